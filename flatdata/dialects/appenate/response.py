"""Answers as bytes: `DataSourceResponse` in XML and JSON (seed; reference/appenate §5, §6).

XML elements come in alphabetical order, as the platform's serialiser writes them. XML cannot hold most
control characters, not even escaped: they come out as U+FFFD there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from flatdata.dialects.appenate.formats import Format
from flatdata.dialects.appenate.read import DataSource
from flatdata.dialects.appenate.request import Header
from flatdata.query.tree import Json
from flatdata.store.entry import encode_json

NOWHERE: Final = "None"
"""Where apps show a column that has no place."""

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_SPECIAL: Final = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def failure(form: Format, code: str, message: str) -> bytes:
    """The body of a failure."""
    return _ANSWERS[form]({}, _status(code, message))


def source_answer(form: Format, source: DataSource) -> bytes:
    """The body of a GET of one source."""
    return _ANSWERS[form]({"DataSource": _source(source)}, _status())


def search_answer(form: Format, sources: Iterable[DataSource], total: int) -> bytes:
    """The body of a search: a page of sources, and how many there are in all.

    What the platform answers is not published; this is the form of the GET with a list in it.
    """
    listed = [_source(source) for source in sources]
    return _ANSWERS[form]({"DataSources": listed, "TotalCount": total}, _status())


# --- as values ----------------------------------------------------------------------------------------


def _status(code: str = "", message: str = "") -> dict[str, Json]:
    return {"ErrorCode": code, "Message": message, "Errors": []}


def _source(source: DataSource) -> dict[str, Json]:
    properties: dict[str, Json] = {
        "Id": source.guid,
        "Name": source.name,
        "ExternalId": source.external_id,
        "CompanyId": source.company_id,
        "Headers": [_header(header) for header in source.headers],
        "TotalRows": source.total_rows,
        "Rows": source.rows,
    }
    return {name: value for name, value in properties.items() if value is not None}


def _header(header: Header) -> dict[str, Json]:
    return {"Name": header.name, "DisplayAt": header.display_at or NOWHERE}


# --- as JSON ------------------------------------------------------------------------------------------


def _json(content: Mapping[str, Json], status: Mapping[str, Json]) -> bytes:
    return encode_json({**content, "ResponseStatus": status})


# --- as XML -------------------------------------------------------------------------------------------

_ITEMS: Final = {
    "DataSources": "DataSource",
    "Headers": "Header",
    "Rows": "Row",
    "Row": "Val",
    "Errors": "Error",
}
"""What the items of a collection are called."""


def _xml(content: Mapping[str, Json], status: Mapping[str, Json]) -> bytes:
    answer = {**content, "ResponseStatus": status}
    return (_DECLARATION + _element("DataSourceResponse", answer)).encode()


def _element(name: str, value: Json) -> str:
    if isinstance(value, dict):
        inner = "".join(_element(key, value[key]) for key in sorted(value))
    elif isinstance(value, list):
        inner = _items(_ITEMS[name], value)
    else:
        inner = _escaped(str(value))
    return f"<{name}>{inner}</{name}>" if inner else f"<{name} />"


def _items(name: str, values: Sequence[Json]) -> str:
    return "".join(_element(name, value) for value in values)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found[0], "\ufffd"), text)


_ANSWERS: Final[Mapping[Format, Callable[[Mapping[str, Json], Mapping[str, Json]], bytes]]] = {
    Format.XML: _xml,
    Format.JSON: _json,
}
