"""A source and its rows in memory, and a PUT of the Appenate dialect on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flatdata.dialects.appenate.request import Address, Credentials, Update
from flatdata.dialects.appenate.rows import IS_ONE_OF, place_of
from flatdata.dialects.appenate.update import changes_of
from flatdata.query.tree import ABSENT
from flatdata.store.changes import Change
from flatdata.store.entry import Entry, encode_json
from flatdata.store.sources import Source, row_order

GUID = "0e4f2c1d5b6a4798a0b1c2d3e4f50617"
LONG_AGO = "2020-01-01T00:00:00.000Z"

REQUEST = Update(Credentials(1, "secret"), Address(None, "SPORTS-001"))


class ListedRows:
    """Rows in a list, found by looking at each; `touched` counts the rows that were handed out."""

    def __init__(self, rows: Iterable[Entry]) -> None:
        self._rows = sorted(rows, key=place_of)
        self.touched = 0

    def _handed_out(self, rows: Sequence[Entry]) -> Sequence[Entry]:
        self.touched += len(rows)
        return rows

    def all(self) -> Sequence[Entry]:
        return self._handed_out(self._rows)

    def page(self, offset: int, limit: int) -> Sequence[Entry]:
        return self._handed_out(self._rows[offset : offset + limit])

    def with_keys(self, column: str, keys: Collection[str]) -> Sequence[Entry]:
        found = [
            row for row in self._rows if IS_ONE_OF.matches(row.fields.get(column, ABSENT), frozenset(keys))
        ]
        return self._handed_out(found)

    def next_order(self) -> int | None:
        if not self._rows:
            return 0
        order = row_order(self._rows[-1])
        return None if order is None else order + 1

    def count(self) -> int:
        return len(self._rows)


@dataclass
class Clock:
    """As much of a plan's view as changes need."""

    now_ns: int = 1_790_856_000_000_000_000
    last_id: int = 100

    def get(self, slug: str) -> Entry | None:
        raise AssertionError(slug)

    def exists(self, slug: str) -> bool:
        raise AssertionError(slug)

    def children(self, slug: str) -> Sequence[Entry]:
        raise AssertionError(slug)

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id


def a_row(id: int | str, fields: dict[str, Any], **meta: Any) -> Entry:
    """A row, with what its `_meta` is to hold."""
    meta_body = encode_json(meta) if meta else b""
    return Entry(f"sports/{id}", encode_json(fields), meta_body, form="file", mtime_ns=0, size=0)


def sport(id: int, code: Any, name: Any, order: int | None = None) -> Entry:
    """A row of the source that `a_source` gives, made long ago."""
    return a_row(id, {"Code": code, "Sport": name}, created_at=LONG_AGO, updated_at=LONG_AGO, order=order)


def a_source(columns: Sequence[str] | None = ("Code", "Sport"), **fields: Any) -> Source:
    """A source with these columns."""
    manifest = {
        "id": 3,
        "name": "Sports",
        "columns": None if columns is None else list(columns),
        "updated_at": LONG_AGO,
        "mine": "kept",
        "appenate": {"guid": GUID, "external_id": "SPORTS-001", "company_id": 1},
    }
    return Source("sports", manifest | fields)


def update(
    request: Update, rows: Iterable[Entry] = (), source: Source | None = None, siblings: Iterable[Source] = ()
) -> list[Change]:
    """The changes that a request makes to a source with these rows."""
    source = source or a_source()
    return changes_of(Clock(), source, ListedRows(rows), [source, *siblings], request, max_rows=50_000)


def keys(count: int) -> tuple[tuple[str], ...]:
    """So many rows of a key alone."""
    return tuple((f"k{number}",) for number in range(count))
