"""Types, things and manifests that the tests of the Bubble dialect share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flatdata.dialects.bubble.geo import Place
from flatdata.dialects.bubble.types import Catalogue, ThingType, read_catalogue
from flatdata.dialects.bubble.values import Parser
from flatdata.index.terms import analyse
from flatdata.store.entry import Entry, encode_json
from flatdata.store.sources import Source

UNIT = "1449154312665x293260311940684900"
OTHER = "1449154312666x293260311940684901"
TONY = "1449154312665x111111111111111111"

PLACES = {
    "New York": Place(40.7128, -74.006),
    "Newark": Place(40.7357, -74.1724),
    "Berlin": Place(52.52, 13.405),
    "Potsdam": Place(52.3906, 13.0645),
}

FIELDS = {
    "Name": "text",
    "Size": "number",
    "Open": "boolean",
    "Start": "date",
    "Where": "geographic_address",
    "Photo": "image",
    "Plan": "file",
    "Owner": "user",
    "Parent": "custom.rentalunit",
    "Status": "option.status",
    "Tags": "list.text",
    "Sizes": "list.number",
    "Days": "list.date",
    "Flags": "list.boolean",
    "Places": "list.geographic_address",
    "Owners": "list.user",
    "Units": "list.custom.rentalunit",
    "States": "list.option.status",
    "Photos": "list.image",
}
"""A field of each type."""


def source(identity: int, slug: str, bubble: Mapping[str, Any] | None, **keys: Any) -> Source:
    """A data source as its manifest describes it."""
    return Source(slug, {"id": identity, "name": slug, "bubble": bubble, **keys})


def catalogue(*sources: Source) -> Catalogue:
    """The types of some sources."""
    return read_catalogue(sources, analyse)


def units(**part: Any) -> Source:
    """The source of rental units, with a field of each type."""
    return source(
        1,
        "units",
        {
            "exposed": True,
            "display": "Rental Unit",
            "fields": FIELDS,
            "option_sets": {"Status": ["Open", "Closed"]},
            **part,
        },
    )


def users(**part: Any) -> Source:
    """The source of users."""
    fields = {"Name": "text", "Role": "text", "Team": "text", "Level": "number", "Teams": "list.text"}
    return source(2, "users", {"exposed": True, "display": "User", "fields": fields, **part})


def unit_type(**part: Any) -> ThingType:
    """The type of rental units."""
    return catalogue(units(**part), users()).types["rentalunit"]


def thing(fields: Mapping[str, Any], slug: str = f"units/{UNIT}", **meta: Any) -> Entry:
    """A row, as the store would give it."""
    return Entry(
        slug,
        encode_json(dict(fields)),
        encode_json(meta) if meta else b"",
        form="file",
        mtime_ns=1_600_000_000_123_000_000,
        size=0,
    )


def parser(of: Catalogue | None = None, **settings: Any) -> Parser:
    """What understands values, in a site where the things `UNIT`, `OTHER` and `TONY` exist."""
    known = {"custom": {UNIT, OTHER}, "user": {TONY}}
    return Parser(
        of if of is not None else catalogue(units(), users()),
        lambda field_type, identity: identity in known[field_type.kind],
        PLACES.get,
        lambda identity: identity in {UNIT, OTHER, TONY},
        **settings,
    )
