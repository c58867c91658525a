"""Joins, and what else happens to the rows of a page before they are answered (reference/fliplet.md §3.7).

Everything here works on rendered rows (`{id, data: {…}, createdAt, …}`), which it does not change. Rows are
matched through a table of the values at the joined paths, so that a join takes time in proportion to the
rows on both sides. Values are the same when their texts are: forms send `"12"` where an id is 12. Nothing
matches a missing value, so a path without its `data.` finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.fliplet.fields import data_field
from flatdata.dialects.fliplet.queryparts import (
    DATA,
    QueryBodyError,
    is_named,
    order_key,
    read_direction,
    read_limit,
    read_names,
    shown,
)
from flatdata.query.accumulators import normal
from flatdata.query.documents import key_of
from flatdata.query.javascript import is_nan, is_number, leading_number, text_of
from flatdata.query.sift import parse_where
from flatdata.query.siftvalues import SiftError
from flatdata.query.tree import ABSENT, EVERYTHING, Absent, Json, Node
from flatdata.store.entry import encode_json

Row = dict[str, Json]

MAX_JOINS: Final = 20
"""Joins of one query."""

MAX_PAIRS: Final = 10
"""Pairs of paths of one join."""

MAX_JOINED = 250_000
"""Rows that all joins of a query may add to its answer."""


@dataclass(frozen=True, slots=True)
class Join:
    """One join. Exactly one of `source_id` and `source_name` is set; `on` is empty for an outer join."""

    name: str
    source_id: int | None
    source_name: str | None
    on: tuple[tuple[str, str], ...]
    where: Node = EVERYTHING
    required: bool = False
    has: bool = False
    count: bool = False
    sum: str | None = None
    attributes: tuple[str, ...] | None = None
    order: tuple[str, bool] | None = None
    limit: int | None = None


Fetch = Callable[[Join], Sequence[Row]]
"""Gives the rows of a join's source that satisfy its `where`, in the source's own order."""

# --- reading ------------------------------------------------------------------------------------------


def parse_joins(source: Json) -> tuple[Join, ...]:
    """Read the `join` of a query: an object of named joins. Raises `QueryBodyError`."""
    if source is None:
        return ()
    if not isinstance(source, dict):
        raise QueryBodyError("join must be an object of joins")
    if len(source) > MAX_JOINS:
        raise QueryBodyError(f"A query may have at most {MAX_JOINS} joins")
    return tuple(_parse_join(name, options) for name, options in source.items())


def _parse_join(name: str, options: Json) -> Join:
    if not isinstance(options, dict):
        raise QueryBodyError(f"The join {shown(name)} must be an object")
    source_id, source_name = options.get("dataSourceId"), options.get("dataSourceName")
    if isinstance(source_id, str) and source_id.isascii() and source_id.isdigit() and len(source_id) < 16:
        source_id = int(source_id)
    if type(source_id) is not int and not isinstance(source_name, str):
        raise QueryBodyError(f"The join {shown(name)} needs a dataSourceId or a dataSourceName")
    by_id = type(source_id) is int
    total = options.get("sum")
    if not (total is None or isinstance(total, str)):
        raise QueryBodyError("The sum of a join must be the name of a column")
    return Join(
        name=name,
        source_id=source_id if by_id else None,
        source_name=None if by_id else source_name,
        on=_parse_on(name, options.get("on")),
        where=_parse_filter(options.get("where")),
        required=options.get("required") is True,
        has=options.get("has") is True,
        count=options.get("count") is True,
        sum=total or None,
        attributes=read_names("attributes", options.get("attributes")),
        order=_parse_order(options.get("order")),
        limit=read_limit(options.get("limit")),
    )


def _parse_on(name: str, source: Json) -> tuple[tuple[str, str], ...]:
    if source is None:
        return ()
    if not (isinstance(source, dict) and all(isinstance(path, str) for path in source.values())):
        raise QueryBodyError(f"The on of the join {shown(name)} must be an object of paths")
    if len(source) > MAX_PAIRS:
        raise QueryBodyError(f"A join may have at most {MAX_PAIRS} pairs of paths")
    return tuple(source.items())


def _parse_filter(where: Json) -> Node:
    if where is None:
        return EVERYTHING
    try:
        return parse_where(where, data_field)
    except SiftError as error:
        raise QueryBodyError(error.message) from error


def _parse_order(source: Json) -> tuple[str, bool] | None:
    """Read the one flat pair, a bare path, or the pair in a list, as the order of a query has it."""
    if source is None or source == []:
        return None
    if isinstance(source, list) and len(source) == 1 and isinstance(source[0], list):
        source = source[0]
    path, direction, *_ = [*source, None, None] if isinstance(source, list) else [source, None]
    if not isinstance(path, str):
        raise QueryBodyError(f"Invalid order column name: {shown(path)}")
    return path, read_direction(direction)


# --- rows -----------------------------------------------------------------------------------------------


def value_at(row: Row, path: str) -> Json | Absent:
    """Give what stands under a path of a rendered row; a column may have dots in its name."""
    if path.startswith(DATA):
        columns, column = row.get("data"), path.removeprefix(DATA)
        if isinstance(columns, dict) and column in columns:
            return columns[column]
    value: Json | Absent = row
    for step in path.split("."):
        value = value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def project(row: Row, attributes: frozenset[str]) -> Row:
    """Give a row with only the named columns in its data; everything else of it stays."""
    return {**row, "data": {name: value for name, value in row["data"].items() if is_named(name, attributes)}}


def projected(rows: Iterable[Row], attributes: tuple[str, ...] | None) -> list[Row]:
    """Give rows with only the named columns, all of them for None."""
    names = frozenset(attributes or ())
    return list(rows) if attributes is None else [project(row, names) for row in rows]


def distinct_rows(rows: Iterable[Row], column: str | None) -> list[Row]:
    """Give the first row of each value of a column; rows without the column count as one value."""
    if column is None:
        return list(rows)
    kept: dict[Hashable, Row] = {}
    for row in rows:
        value = row["data"].get(column, ABSENT)
        if value is ABSENT and column.startswith(DATA):
            value = row["data"].get(column.removeprefix(DATA), ABSENT)
        kept.setdefault(("absent",) if value is ABSENT else key_of(value), row)
    return list(kept.values())


# --- joining --------------------------------------------------------------------------------------------


def assemble(
    rows: Iterable[Row],
    fetch: Fetch,
    *,
    joins: Sequence[Join] = (),
    distinct: str | None = None,
    attributes: tuple[str, ...] | None = None,
) -> list[Row]:
    """Make the rows of an answer from those of a page: distinct, joined, projected, outer joins appended.

    Joined rows have the `attributes` of their join. Raises `QueryBodyError` if joins add too many rows.
    """
    budget = _Budget()
    kept = distinct_rows(rows, distinct)
    inner = [join for join in joins if join.on]
    if inner:
        kept = _joined(kept, inner, fetch, budget)
    made = projected(kept, attributes)
    for join in joins:
        if not join.on:
            made += budget.take(_shaped(join, fetch(join)))
    return made


class _Budget:
    """Counts the rows that joins add."""

    def __init__(self) -> None:
        self.added = 0

    def take(self, rows: list[Row]) -> list[Row]:
        self.added += len(rows)
        if self.added > MAX_JOINED:
            raise QueryBodyError(f"The joins of a query may add at most {MAX_JOINED} rows")
        return rows


def _joined(rows: list[Row], joins: Sequence[Join], fetch: Fetch, budget: _Budget) -> list[Row]:
    tables = [(join, _table(join, fetch(join))) for join in joins]
    made: list[Row] = []
    for row in rows:
        results: dict[str, Json] = {}
        for join, table in tables:
            found = table.get(_key(row, [left for left, _ in join.on]))
            if found is None and join.required:
                break
            result = _result(join, []) if found is None else found
            results[join.name] = budget.take(result) if isinstance(result, list) else result
        else:
            made.append({**row, "joins": results})
    return made


def _table(join: Join, rows: Sequence[Row]) -> dict[Hashable, Json]:
    """Give, for each value of the joined paths, what a row that has it gets."""
    groups: dict[Hashable, list[Row]] = {}
    paths = [right for _, right in join.on]
    for row in rows:
        key = _key(row, paths)
        if key is not None:
            groups.setdefault(key, []).append(row)
    return {key: _result(join, members) for key, members in groups.items()}


def _key(row: Row, paths: Sequence[str]) -> Hashable:
    """Give a key of the values at some paths, None where one of them is missing or null."""
    parts = [_key_part(value_at(row, path)) for path in paths]
    return None if None in parts else tuple(parts)


def _key_part(value: Json | Absent) -> Hashable:
    if value is None or value is ABSENT:
        return None
    if isinstance(value, list | dict):
        return ("json", encode_json(value)) if isinstance(value, list) else ("json", key_of(value))
    return text_of(value)


def _result(join: Join, members: Sequence[Row]) -> Json:
    """Give what a join makes of the rows that match one row."""
    if join.has:
        return bool(members)
    if join.count:
        return len(members)
    if join.sum is not None:
        return _sum(members, join.sum)
    return _shaped(join, members)


def _sum(rows: Iterable[Row], column: str) -> int | float:
    """Add up a column: numbers, and text that begins with one."""
    total: int | float = 0
    for row in rows:
        value = value_at(row, column if column.startswith(DATA) else DATA + column)
        number = value if is_number(value) else leading_number(value) if isinstance(value, str) else 0
        total = total if is_nan(number) else normal(total + normal(number))
    return total


def _shaped(join: Join, rows: Sequence[Row]) -> list[Row]:
    """Order joined rows, cut them to the limit, and leave them the columns that are asked for."""
    if join.order is not None:
        path, descending = join.order
        rows = sorted(rows, key=lambda row: order_key(value_at(row, path)), reverse=descending)
    return projected(rows if join.limit is None else rows[: join.limit], join.attributes)
