"""The values of an entry that a query can name, as fields of the query tree.

A query sees what an answer shows: the special fields through `render.SPECIAL_FIELDS`, `content` as the empty
text where there is none, everything else as it is stored. Dots lead into maps and lists
(`meta.studio.name`, `tags.0`); a top-level key that itself contains the dots wins (reference/flextype §2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from flatdata.dialects.flextype.render import SPECIAL_FIELDS, Rendering
from flatdata.query.tree import ABSENT, Absent, Field, Json
from flatdata.store.entry import Entry, field_reader

STORED: Final = "data"
"""The view of fields that are read as they are stored."""
CONTENT: Final = "content"
"""The view of the one field that is an empty text where it is not stored."""

_COMPUTED: Final = frozenset({"published_at", "created_at", "routable", "visibility"})
"""Special fields whose stored value is never shown, so that no path leads into it."""


def field_at(path: str, how: Rendering) -> Field:
    """The field that a client calls `path`."""
    if path in SPECIAL_FIELDS:
        return Field(how.view, path, _special(path, how))
    read = field_reader(path)
    if path == "content":
        return Field(CONTENT, path, lambda entry: read(entry, ""))
    if path.partition(".")[0] in _COMPUTED:
        return Field(how.view, path, lambda entry: read(entry, ABSENT))
    if "." not in path:
        return Field(STORED, path, lambda entry: read(entry, ABSENT))
    return Field(STORED, path, lambda entry: read_path(entry.fields, path))


def _special(name: str, how: Rendering) -> Callable[[Entry], Json]:
    shown = SPECIAL_FIELDS[name]
    return lambda entry: shown(entry.fields.get(name), entry, how)


def read_path(fields: Mapping[str, Json], path: str) -> Json | Absent:
    """The value at `path`, or `ABSENT`. List items are named by their position without leading zeros."""
    if path in fields:
        return fields[path]
    value: Json = fields
    for segment in path.split("."):
        if isinstance(value, Mapping):
            if segment not in value:
                return ABSENT
            value = value[segment]
        elif isinstance(value, list):
            position = _position(segment)
            if position is None or position >= len(value):
                return ABSENT
            value = value[position]
        else:
            return ABSENT
    return value


def _position(segment: str) -> int | None:
    if not (segment.isascii() and segment.isdigit()) or len(segment) > 9:
        return None
    return int(segment) if segment == "0" or segment[0] != "0" else None
