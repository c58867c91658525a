"""How rows look in answers: JSON made of the bytes that entries hold already (reference/fliplet.md §2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from flatdata.access.rules import Grant
from flatdata.store.dates import iso_ms
from flatdata.store.entry import Entry, encode_json
from flatdata.store.sources import parse_row_id

Json = Any
"""Any JSON value."""


class _Meta(msgspec.Struct):
    """What a row's `_meta` says, of any type, because people edit it; dates as the JSON they are."""

    created_at: msgspec.Raw = msgspec.Raw(b"null")
    updated_at: msgspec.Raw = msgspec.Raw(b"null")
    order: Any = None


_read_meta: Final = msgspec.json.Decoder(_Meta).decode
_NO_META: Final = _Meta()


def _id(entry: Entry) -> bytes:
    """The id of a row as JSON: a number where its name is one."""
    name = entry.name
    if name.isdigit() and name.isascii() and name[0] != "0" and len(name) < 19:
        return name.encode()
    return encode_json(parse_row_id(name))


def _is_date(stamp: msgspec.Raw) -> bool:
    return bytes(stamp)[:1] == b'"'


@dataclass(frozen=True, slots=True)
class Lens:
    """Which columns of a source one caller sees: those that the rules grant, password hashes never."""

    grant: Grant
    hashed: frozenset[str] = frozenset()

    @property
    def clear(self) -> bool:
        """Whether every column is seen."""
        return self.grant.whole and not self.hashed

    def shows(self, column: str) -> bool:
        """Whether a column is seen."""
        return column not in self.hashed and self.grant.allows(column)

    def project(self, columns: Mapping[str, Json]) -> dict[str, Json]:
        """The columns of a row that are seen."""
        return {name: value for name, value in columns.items() if self.shows(name)}

    def data(self, entry: Entry) -> bytes:
        """The columns of a row that are seen, as JSON."""
        return entry.body if self.clear else encode_json(self.project(entry.fields))


class _Kept:
    """The rows rendered last, whole, by their entries. Entries never change, so nothing here grows stale.

    A row takes some 10 microseconds to render. When the bound is reached all is dropped, which costs less
    than knowing which of it was used last. Threads may race here; at worst the bound is off by what they
    hold.
    """

    def __init__(self, max_bytes: int = 8 << 20) -> None:
        self._rows: dict[Entry, tuple[int, bytes]] = {}
        self._bytes = 0
        self._max_bytes = max_bytes

    def get(self, entry: Entry, source_id: int) -> bytes | None:
        """What was kept for this very object as a row of this source."""
        kept = self._rows.get(entry)
        return kept[1] if kept is not None and kept[0] == source_id else None

    def keep(self, entry: Entry, source_id: int, row: bytes) -> None:
        """Keep a row."""
        size = len(row) + 200
        if self._bytes + size > self._max_bytes:
            self._rows, self._bytes = {}, 0
        self._rows[entry] = source_id, row
        self._bytes += size


@dataclass(frozen=True, slots=True)
class RowStyle:
    """How a row is written: with `deletedAt`, and with `order`, or without."""

    deleted_at: bool
    order: bool
    _kept: _Kept = field(default_factory=_Kept, compare=False, repr=False)

    def shown(self, entry: Entry, source_id: int, lens: Lens) -> bytes:
        """One row as JSON, as somebody sees it."""
        if not lens.clear:
            return self.row(entry, source_id, lens.data(entry))
        row = self._kept.get(entry, source_id)
        if row is None:
            row = self.row(entry, source_id, entry.body)
            self._kept.keep(entry, source_id, row)
        return row

    def row(self, entry: Entry, source_id: int, data: bytes) -> bytes:
        """One row as JSON, with `data` as its columns; dates are the file's where the row says none."""
        meta = _read_meta(entry.meta_body) if entry.meta_body else _NO_META
        created, updated = meta.created_at, meta.updated_at
        by_file = b"" if _is_date(created) and _is_date(updated) else encode_json(iso_ms(entry.mtime_ns))
        parts = b'{"id":%s,"data":%s,"createdAt":%s,"updatedAt":%s,"dataSourceId":%d' % (
            _id(entry),
            data,
            created if _is_date(created) else by_file,
            updated if _is_date(updated) else by_file,
            source_id,
        )
        if self.deleted_at:
            parts += b',"deletedAt":null'
        if self.order:
            parts += b',"order":%s' % encode_json(meta.order if type(meta.order) is int else None)
        return parts + b"}"

    def rows(self, entries: Iterable[Entry], source_id: int, lens: Lens) -> bytes:
        """Rows as a JSON list."""
        return b"[" + b",".join([self.shown(entry, source_id, lens) for entry in entries]) + b"]"


BRIEF: Final = RowStyle(deleted_at=False, order=False)
"""As the samples show rows."""
UPLOADED: Final = RowStyle(deleted_at=True, order=False)
"""As the sample of a multipart insert shows one."""
FULL: Final = RowStyle(deleted_at=True, order=True)
"""As the hosted service shows rows."""
EVERYTHING_SHOWN: Final = Lens(Grant())
