"""The rows of a source as this API sees them: lists of texts, each found by its first one, in display order.

Rows may come from other APIs or from an editor: they may lack columns, or hold values that are not text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from flatdata.query.tree import (
    ABSENT,
    EVERYTHING,
    Absent,
    Condition,
    Field,
    Hint,
    Json,
    Keyed,
    KeyIndex,
    Operator,
    OrderBy,
    OrderIndex,
    Query,
    Scope,
)
from flatdata.store.entry import Entry, encode_json
from flatdata.store.orders import Orders
from flatdata.store.sources import Source, row_id, row_order

if TYPE_CHECKING:
    from flatdata.index.index import Index


class Rows(Protocol):
    """The rows of one source, as they are now."""

    def all(self) -> Sequence[Entry]:
        """Every row, in display order."""

    def page(self, offset: int, limit: int) -> Sequence[Entry]:
        """`limit` rows in display order, from the row number `offset` on."""

    def with_keys(self, column: str, keys: Collection[str]) -> Sequence[Entry]:
        """The rows whose value in `column` is one of `keys`, as texts; no key is empty."""

    def next_order(self) -> int | None:
        """The order of a row behind the last one; None where the last one has none."""

    def count(self) -> int:
        """How many rows there are."""


# --- values -------------------------------------------------------------------------------------------


def as_text(value: Json | Absent) -> str:
    """A value as a Val: text as it is, nothing as "", everything else as its JSON."""
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT:
        return ""
    return encode_json(value).decode()


def vals_of(row: Entry, columns: Iterable[str]) -> list[str]:
    """The Vals of a row; "" for columns that it lacks."""
    fields = row.fields
    return [as_text(fields.get(column)) for column in columns]


def columns_of(source: Source, rows: Rows) -> tuple[str, ...]:
    """The columns of a source: the declared ones, else the keys of its rows in the order they appear."""
    if source.columns:
        return source.columns
    return tuple(dict.fromkeys(key for row in rows.all() for key in row.fields))


# --- order --------------------------------------------------------------------------------------------


def place_of(row: Entry) -> tuple[bool, int, bool, int, str]:
    """Sorts rows as they are displayed: by their order, those without one last, then by id."""
    order, identity = row_order(row), row_id(row)
    is_text = isinstance(identity, str)
    return order is None, order or 0, is_text, 0 if isinstance(identity, str) else identity, row.name


_PLACE: Final = Field("appenate", "place", place_of)
_BY_PLACE: Final = OrderIndex("appenate.place", lambda place: place)


# --- keys ---------------------------------------------------------------------------------------------


def _keys(value: Json | Absent) -> tuple[str, ...]:
    text = as_text(value)
    return (text,) if text else ()


_TEXTS: Final = KeyIndex("appenate.text", _keys)


def _is_one_of(value: Json | Absent, operand: frozenset[str]) -> bool:
    return as_text(value) in operand


def _one_of_hint(operand: frozenset[str]) -> Hint:
    return Keyed(_TEXTS, tuple(operand))


IS_ONE_OF: Final = Operator("is one of", _is_one_of, _one_of_hint)
"""Whether a value, as text, is one of the operand's texts, none of which is empty."""


def _column(name: str) -> Field:
    def read(row: Entry) -> Any:
        return row.fields.get(name, ABSENT)

    return Field("appenate.column", name, read)


class Content(Protocol):
    """The part of the store that is needed here."""

    @property
    def orders(self) -> Orders:
        """Where appended rows come."""

    def children(self, slug: str) -> list[Entry]:
        """The entries directly below."""


class IndexedRows:
    """The rows of the source at `slug`, found through the index."""

    def __init__(self, store: Content, index: Index, slug: str) -> None:
        self._store = store
        self._index = index
        self._slug = slug

    def all(self) -> list[Entry]:
        """Every row, in display order."""
        # Not through the index: who wants all is about to change most of them, and the structures with them.
        return sorted(self._store.children(self._slug), key=place_of)

    def page(self, offset: int, limit: int) -> list[Entry]:
        """`limit` rows in display order, from the row number `offset` on."""
        order = (OrderBy(_PLACE, _BY_PLACE),)
        return self._index.search(Query(Scope(self._slug), EVERYTHING, order, offset, limit)).entries

    def with_keys(self, column: str, keys: Collection[str]) -> list[Entry]:
        """The rows whose value in `column` is one of `keys`, in display order."""
        # Sorted here: in the index, every row that was written since the last time would have to be, too.
        where = Condition(_column(column), IS_ONE_OF, frozenset(keys))
        return sorted(self._index.search(Query(Scope(self._slug), where)).entries, key=place_of)

    def next_order(self) -> int | None:
        """The order of a row behind the last one; None where the last one has none."""
        extent = self._store.orders.of(self._slug)
        if extent.unordered:
            return None
        return 0 if extent.largest is None else extent.largest + 1

    def count(self) -> int:
        """How many rows there are."""
        return self._index.search(Query(Scope(self._slug), limit=0)).total
