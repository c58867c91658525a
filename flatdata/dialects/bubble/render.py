"""Things as clients see them (reference/bubble.md §3).

Empty fields are left out. The bytes of a thing, whole or in one of the few ways in which rules cut it, are
kept on its entry until it changes.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from flatdata.dialects.bubble.types import (
    CREATED_BY,
    CREATED_DATE,
    MODIFIED_DATE,
    SLUG,
    UNIQUE_ID,
    Names,
    ThingType,
)
from flatdata.query.bubble_values import read_value, show_value
from flatdata.query.tree import ABSENT, Json
from flatdata.store.entry import Entry, encode_json

_SLOT: Final = "bubble:"

Visible = frozenset[str] | None
"""Captions of the fields that are shown; None for all."""


def thing(thing_type: ThingType, entry: Entry, names: Names, visible: Visible = None) -> dict[str, Json]:
    """A thing as a mapping. `_id` is always there, other built-in fields only if they are visible."""
    shown: dict[str, Json] = {}
    columns = entry.fields
    for field in (MODIFIED_DATE, CREATED_DATE, CREATED_BY, *thing_type.fields, SLUG):
        if visible is not None and field.caption not in visible:
            continue
        raw = field.source.read(entry) if field.built_in else columns.get(field.caption, ABSENT)
        value = read_value(field.type, raw)
        if value is not ABSENT:
            shown[field.key(names)] = show_value(field.type, value)
    shown[UNIQUE_ID.caption] = entry.name
    return shown


def thing_bytes(thing_type: ThingType, entry: Entry, names: Names, visible: Visible = None) -> bytes:
    """The same as JSON, from the entry's own memory where it was made before."""
    look = f"{_SLOT}{thing_type.stamp}:{names}"
    slot = look if visible is None else f"{look}:{_mark(visible)}"
    kept = entry.rendered
    if kept is not None and (made := kept.get(slot)) is not None:
        return made
    made = encode_json(thing(thing_type, entry, names, visible))
    # What was made for a type that looked different will not be asked for again.
    others = {
        name: data
        for name, data in (kept or {}).items()
        if not name.startswith(_SLOT) or name.startswith(look)
    }
    entry.rendered = {**others, slot: made}
    return made


def _mark(visible: frozenset[str]) -> str:
    return f"{crc32(encode_json(sorted(visible))):08x}"


def list_body(things: list[bytes], cursor: int, remaining: int | None) -> bytes:
    """The answer to a search. `remaining` None leaves it out."""
    tail = b"" if remaining is None else b',"remaining":%d' % remaining
    return b'{"response":{"cursor":%d,"results":[%s],"count":%d%s}}' % (
        cursor,
        b",".join(things),
        len(things),
        tail,
    )
