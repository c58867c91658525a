"""The body of `POST …/data/query`, parsed once into a `QueryBody` (reference/fliplet.md §3.1).

Keys that are not listed there are passed over: clients add some that the service does not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.fliplet.fields import META_FIELDS, ReadField, data_field
from flatdata.dialects.fliplet.join import Join, parse_joins
from flatdata.dialects.fliplet.places import DEFAULT_ORDER
from flatdata.dialects.fliplet.queryparts import (
    DATA,
    ORDER,
    QueryBodyError,
    read_direction,
    read_limit,
    read_names,
    read_order_column,
    read_whole,
    shown,
)
from flatdata.query.pipeline import Pipeline, PipelineError, parse_pipeline
from flatdata.query.sift import parse_condition, parse_where
from flatdata.query.siftvalues import SiftError
from flatdata.query.tree import ABSENT, EVERYTHING, All, Json, Node, OrderBy

__all__ = ["QueryBody", "QueryBodyError", "pagination_of", "parse_query_body"]

TYPES: Final = ("select", "update", "delete")

METADATA: Final = {"id": "id", "dataSourceEntryId": "id", "createdAt": "createdAt", "updatedAt": "updatedAt"}
"""Top-level keys that filter by metadata, and the field that each is about."""

MAX_ORDER: Final = 32
"""Columns that a query may be ordered by."""

MAX_DISTINCT: Final = 1_000
"""Characters of the name of the column that is to be distinct."""


@dataclass(frozen=True, slots=True)
class QueryBody:
    """What a query asks for.

    `where` is the filter over columns, `metadata` that over the row itself, `condition` both together;
    `where_json` is the filter as it was sent, `{}` if none was. `data` is the patch of an update. `limit`
    None means all, `offset` None that none was sent. `order` always says something. `attributes` None
    means all columns. An aggregate runs over the full rows that the rest of the query finds.
    """

    type: str
    where: Node
    where_json: Mapping[str, Json]
    metadata: Node
    data: Mapping[str, Json]
    attributes: tuple[str, ...] | None
    limit: int | None
    offset: int | None
    order: tuple[OrderBy, ...]
    include_pagination: bool
    distinct: str | None
    joins: tuple[Join, ...]
    aggregate: Pipeline | None
    count_only: bool
    views: tuple[str, ...]

    @property
    def condition(self) -> Node:
        """The whole filter."""
        parts = tuple(part for part in (self.where, self.metadata) if part != EVERYTHING)
        return parts[0] if len(parts) == 1 else All(parts)


def parse_query_body(
    body: Json, columns: Sequence[str] | None, read_field: ReadField = data_field
) -> QueryBody:
    """Parse a query over a source that declares `columns` (None or none: anything may be ordered by).

    `read_field` gives the fields of columns; `visible_fields` makes one that hides some. Raises
    `QueryBodyError`.
    """
    if not isinstance(body, dict):
        raise QueryBodyError("A query must be an object")
    try:
        return _parse(body, columns, read_field)
    except (SiftError, PipelineError) as error:
        raise QueryBodyError(error.message) from error


def _parse(body: dict[str, Json], columns: Sequence[str] | None, read_field: ReadField) -> QueryBody:
    where, aggregate = body.get("where"), body.get("aggregate")
    kind = _read_type(body.get("type"))
    return QueryBody(
        type=kind,
        where=EVERYTHING if where is None else parse_where(where, read_field),
        where_json=where or {},
        metadata=_read_metadata(body),
        data=_read_data(kind, body.get("data")),
        attributes=read_names("attributes", body.get("attributes")),
        limit=read_limit(body.get("limit")),
        offset=read_whole("offset", body.get("offset")),
        order=_read_order(body.get("order"), columns, read_field),
        include_pagination=body.get("includePagination") is True,
        distinct=_read_distinct(body.get("distinct")),
        joins=parse_joins(body.get("join")),
        aggregate=None if aggregate is None else parse_pipeline(aggregate),
        count_only=body.get("countOnly") is True,
        views=(*_read_view(body.get("view")), *_read_view(body.get("views"))),
    )


def _read_type(value: Json) -> str:
    kind = "select" if value is None else value
    if kind not in TYPES:
        raise QueryBodyError(f"Invalid query type: {shown(value)}")
    return str(kind)


def _read_data(kind: str, value: Json) -> Mapping[str, Json]:
    if kind != "update":
        return {}
    if not isinstance(value, dict):
        raise QueryBodyError("An update needs data, an object of columns")
    return value


def _read_metadata(body: dict[str, Json]) -> Node:
    parts = [parse_condition(body[key], META_FIELDS[name]) for key, name in METADATA.items() if key in body]
    return All(tuple(parts)) if parts else EVERYTHING


def _read_order(value: Json, columns: Sequence[str] | None, read_field: ReadField) -> tuple[OrderBy, ...]:
    """Read the order: pairs of column and direction. A text is taken for a pair of its characters."""
    if value is None or value == []:
        return DEFAULT_ORDER
    pairs = list(value) if isinstance(value, str | list) else [value]
    if len(pairs) > MAX_ORDER:
        raise QueryBodyError(f"A query may be ordered by at most {MAX_ORDER} columns")
    return tuple(_read_pair(pair, columns, read_field) for pair in pairs)


def _read_pair(pair: Json, columns: Sequence[str] | None, read_field: ReadField) -> OrderBy:
    items = list(pair) if isinstance(pair, str | list) else []
    asked = items[0] if items else ABSENT
    name = read_order_column(asked, columns)
    descending = read_direction(items[1] if len(items) > 1 else None)
    field = META_FIELDS[name] if name in META_FIELDS else read_field(name.removeprefix(DATA))
    return OrderBy(field, ORDER, descending)


def _read_distinct(value: Json) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_DISTINCT:
        raise QueryBodyError("distinct must be the name of a column")
    return value


def _read_view(value: Json) -> tuple[str, ...]:
    return read_names("views", [value] if isinstance(value, str) else value) or ()


def pagination_of(query: QueryBody, total: int) -> dict[str, int]:
    """Give the `pagination` of an answer: the number of all matches, and limit and offset if they were sent.

    `total` counts what the filter finds, before `distinct` and before required joins (§3.5).
    """
    sent = {"limit": query.limit, "offset": query.offset}
    return {"total": total, **{name: number for name, number in sent.items() if number is not None}}
