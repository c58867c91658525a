"""How rows look in answers: JSON made of the bytes that entries hold already (reference/fliplet.md §2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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


def _date(stamp: msgspec.Raw, entry: Entry) -> bytes:
    """A date as JSON; that of the file where the row says none."""
    date = bytes(stamp)
    return date if date[:1] == b'"' else encode_json(iso_ms(entry.mtime_ns))


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


@dataclass(frozen=True, slots=True)
class RowStyle:
    """How a row is written: with `deletedAt`, and with `order`, or without."""

    deleted_at: bool
    order: bool

    def row(self, entry: Entry, source_id: int, data: bytes) -> bytes:
        """One row as JSON, with `data` as its columns."""
        meta = _read_meta(entry.meta_body) if entry.meta_body else _NO_META
        parts = b'{"id":%s,"data":%s,"createdAt":%s,"updatedAt":%s,"dataSourceId":%d' % (
            _id(entry),
            data,
            _date(meta.created_at, entry),
            _date(meta.updated_at, entry),
            source_id,
        )
        if self.deleted_at:
            parts += b',"deletedAt":null'
        if self.order:
            parts += b',"order":%s' % encode_json(meta.order if type(meta.order) is int else None)
        return parts + b"}"

    def rows(self, entries: Iterable[Entry], source_id: int, lens: Lens) -> bytes:
        """Rows as a JSON list."""
        return b"[" + b",".join([self.row(entry, source_id, lens.data(entry)) for entry in entries]) + b"]"


BRIEF: Final = RowStyle(deleted_at=False, order=False)
"""As the samples show rows."""
UPLOADED: Final = RowStyle(deleted_at=True, order=False)
"""As the sample of a multipart insert shows one."""
FULL: Final = RowStyle(deleted_at=True, order=True)
"""As the hosted service shows rows."""
EVERYTHING_SHOWN: Final = Lens(Grant())
