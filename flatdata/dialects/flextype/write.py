"""Creating, updating, moving, copying and deleting entries: each function makes the plan of one commit.

The rules are those of the documentation (reference/flextype §1.1, §4): missing parents are made, an existing
target is never touched, and what cannot be done raises one of the store's errors. Rows of a data source are
dated in their `_meta`, so that the other dialects see when they changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.flextype.render import known_visibility
from flatdata.query.php_values import truth
from flatdata.query.tree import Json
from flatdata.store.changes import Change, Copy, DeleteTree, Move, Put
from flatdata.store.errors import EntryExists, EntryMissing
from flatdata.store.paths import is_within, name_of, parent_of
from flatdata.store.planning import Plan, View
from flatdata.store.sources import changed_row, new_row, source_at

RESERVED_FIELD: Final = "_meta"
"""The one field name that a client cannot use: rows keep there what is not a column."""

CONTENT: Final = "content"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a new entry is given from outside: the time, as the site writes dates, and a random UUID (v4)."""

    now: str
    uuid: str


def with_defaults(data: Mapping[str, Json], stamp: Stamp) -> dict[str, Json]:
    """The fields of a new entry: the client's, then what it left out or null (reference/flextype §4).

    `content` goes last, as the body of a file does.
    """
    fields = dict(data)
    for name, default in (
        ("published_at", stamp.now),
        ("published_by", ""),
        ("created_at", stamp.now),
        ("created_by", ""),
        ("routable", True),
        ("visibility", "visible"),
        ("uuid", stamp.uuid),
    ):
        if fields.get(name) is None:
            fields[name] = default
    fields["routable"] = truth(fields["routable"])
    fields["visibility"] = known_visibility(fields["visibility"])
    return _content_last(fields)


def merged(stored: dict[str, Json], data: Mapping[str, Json]) -> dict[str, Json]:
    """The stored fields with those of `data` in their place or behind; `content` stays last where it was."""
    fields = {**stored, **data}
    at_end = next(reversed(stored), CONTENT) == CONTENT
    return _content_last(fields) if at_end else fields


def _content_last(fields: dict[str, Json]) -> dict[str, Json]:
    if CONTENT in fields:
        fields[CONTENT] = fields.pop(CONTENT)
    return fields


def creating(slug: str, data: Mapping[str, Json], stamp: Stamp) -> Plan:
    """Make an entry where there is none; a folder that only holds other entries is no obstacle."""
    fields = with_defaults(data, stamp)

    def plan(view: View) -> tuple[list[Change], None]:
        if view.get(slug) is not None:
            raise EntryExists(slug)
        source = source_at(view, parent_of(slug))
        if source is None:
            return [Put(slug, fields)], None
        return [new_row(view, source, fields, name=name_of(slug))], None

    return plan


def updating(slug: str, data: Mapping[str, Json]) -> Plan:
    """Replace top-level fields of an entry whole; null is stored as null, other fields stay."""

    def plan(view: View) -> tuple[list[Change], None]:
        entry = view.get(slug)
        if entry is None:
            raise EntryMissing(slug)
        fields = merged(entry.fields, data)
        if source_at(view, parent_of(slug)) is None:
            return [Put(slug, fields)], None
        return [changed_row(view, entry, fields)], None

    return plan


def moving(slug: str, new_slug: str) -> Plan:
    """Rename an entry with everything below it."""

    def plan(view: View) -> tuple[list[Change], None]:
        _check_transfer(view, slug, new_slug)
        return [Move(slug, new_slug)], None

    return plan


def copying(slug: str, new_slug: str) -> Plan:
    """Copy an entry with everything below it; uuid and stored dates stay what they are."""

    def plan(view: View) -> tuple[list[Change], None]:
        _check_transfer(view, slug, new_slug)
        return [Copy(slug, new_slug)], None

    return plan


def deleting(slug: str) -> Plan:
    """Remove an entry with everything below it, or a folder that has only that."""

    def plan(view: View) -> tuple[list[Change], None]:
        if not view.exists(slug):
            raise EntryMissing(slug)
        return [DeleteTree(slug)], None

    return plan


def _check_transfer(view: View, slug: str, new_slug: str) -> None:
    if not view.exists(slug):
        raise EntryMissing(slug)
    if view.exists(new_slug) or is_within(new_slug, slug):
        raise EntryExists(new_slug)
