"""An example plugin: screenings of the films, read from a database that is not flatdata's.

    GET /api/entries?id=movies&options[method]=fetchFromOtherDB&token=...
    GET /api/entries?id=movies/lanternfish&options[method]=fetchFromOtherDB&options[city]=Utrecht&token=...

The answer is keyed by `screenings/<number>`, ordered by time. `id` is an entry or a collection: the
screenings of that film, or of all films below it. `options[city]` narrows it to one city.

`cinemas.sqlite` is made from `cinemas.sql`, beside this file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from flatdata.plugins import hookimpl

DATABASE = Path(__file__).with_name("cinemas.sqlite")

SCREENINGS = """
    SELECT screenings.id, film, starts_at, price, name AS cinema, city, country, seats
    FROM screenings JOIN cinemas ON cinemas.id = cinema_id
    WHERE (:id = '' OR film = :id OR substr(film, 1, length(:id) + 1) = :id || '/')
      AND (:city IS NULL OR city = :city)
    ORDER BY starts_at, screenings.id
"""


def fetch_from_other_db(id: str, options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the screenings of the film `id`, or of all films below it, keyed by `screenings/<number>`.

    What a client sent reaches the database as a parameter only, and the connection cannot write.
    """
    city = options.get("city")
    parameters = {"id": id.strip("/"), "city": city if isinstance(city, str) else None}
    with closing(sqlite3.connect(f"{DATABASE.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(SCREENINGS, parameters)]
    return {f"screenings/{row.pop('id')}": row for row in rows}


@hookimpl
def flatdata_macros() -> dict[str, Callable[[str, Mapping[str, Any]], Any]]:
    """Name the macro: it can be called by `options[method]` from here on."""
    return {"fetchFromOtherDB": fetch_from_other_db}
