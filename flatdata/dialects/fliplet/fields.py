"""The fields of a row that Fliplet's queries address: its columns, and what is known of the row itself.

A column is one key of the row's data; a dotted path looks into its value as `flatdata.query.siftvalues`
does. Metadata reads as answers show it (reference/fliplet.md §2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from flatdata.query.siftvalues import Many, read_path
from flatdata.query.tree import ABSENT, Absent, Field, Json
from flatdata.store.dates import iso_ms
from flatdata.store.entry import Entry, field_reader
from flatdata.store.sources import parse_row_id

ReadField = Callable[[str], Field]
"""Gives the field of a (dotted) path."""


def data_field(path: str) -> Field:
    """Address a column, or with dots what lies inside of one."""
    if "." in path:
        return Field("fliplet", path, lambda entry: read_path(entry.fields, path))
    read = field_reader(path)
    return Field("data", path, lambda entry: read(entry, ABSENT))


def visible_fields(shows: Callable[[str], bool]) -> ReadField:
    """Give a reader of fields to which the columns that `shows` denies are missing, as unknown ones are."""

    def read_field(path: str) -> Field:
        return data_field(path) if shows(path.partition(".")[0]) else hidden_field(path)

    return read_field


def hidden_field(path: str) -> Field:
    """Address a column that the caller may not see: it is missing in every row."""
    return Field("fliplet hidden", path, _missing)


def _missing(entry: Entry) -> Json | Absent | Many:
    return ABSENT


# --- metadata -----------------------------------------------------------------------------------------


def _id(entry: Entry) -> Json:
    return parse_row_id(entry.name)


def _order(entry: Entry) -> Json:
    order = entry.meta.get("order")
    return order if type(order) is int else None


def _date(key: str) -> Callable[[Entry], Json]:
    def read(entry: Entry) -> Json:
        value: Any = entry.meta.get(key)
        return value if isinstance(value, str) else iso_ms(entry.mtime_ns)

    return read


def _never(entry: Entry) -> Json:
    return None


META_FIELDS: Final[Mapping[str, Field]] = {
    name: Field("fliplet meta", name, read)
    for name, read in {
        "id": _id,
        "order": _order,
        "createdAt": _date("created_at"),
        "updatedAt": _date("updated_at"),
        "deletedAt": _never,
    }.items()
}
"""What is known of a row: `id` (an integer where its name is one), `order` (an integer or null), the dates
as ISO 8601 text, those of the file where the row has none, and `deletedAt`, null because the row is there."""
