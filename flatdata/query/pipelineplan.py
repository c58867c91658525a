"""What an index can answer of an aggregate pipeline: its first stages, as a question to the index.

`$match`, `$sort` and a `$limit` behind it, `$skip`, `$limit`, then `$count`, or a `$group` that only counts.
What these stages find in the index is what they would have made of all documents, in the same order; the
other stages run over it. Whatever an index would answer otherwise is left to the stages themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from flatdata.query.accumulators import ACCUMULATORS, SAFE_INTEGER
from flatdata.query.documents import Document, key_of, order_of, path_reader
from flatdata.query.expressions import Compiler
from flatdata.query.pipeline import MAX_WORK, Pipeline
from flatdata.query.pipelinetree import match_tree
from flatdata.query.tree import (
    ABSENT,
    EVERYTHING,
    Absent,
    All,
    Field,
    Json,
    KeyIndex,
    Node,
    OrderBy,
    OrderIndex,
)

IDENTITY: Final = KeyIndex("aggregate identity", lambda value: (key_of(value),))
"""One key for each value, the one by which `$group` tells groups apart."""

SORTED: Final = OrderIndex("aggregate order", order_of)
"""The order of `$sort`."""

_NUMBER: Final = "number"
"""In what `counted` gives: how many there are."""


@dataclass(frozen=True, slots=True)
class Documents:
    """How the fields of a tree read documents.

    `of` gives the document of a record, or the part of it into which those paths lead that `has` knows.
    `quick` may give another way to what `resolve` finds in it under a path.
    """

    of: Callable[[Any], Document]
    has: Callable[[str], bool] = lambda path: True
    quick: Callable[[str], Callable[[Any], Json | Absent] | None] = lambda path: None

    def field(self, path: str) -> Field | None:
        """What stands under a path as `$sort` and `$group` see it."""
        if not self.has(path):
            return None
        read, of = path_reader(path), self.of
        return Field("aggregate", path, self.quick(path) or (lambda record: read(of(record))))

    def matched(self, path: str) -> Field | None:
        """What stands under a path as `$match` sees it."""
        if not self.has(path):
            return None
        read, of = path_reader(path, unwrap=True), self.of
        return Field("aggregate match", path, lambda record: read(of(record)))


@dataclass(frozen=True, slots=True)
class Head:
    """A question to an index, and the stages that take its answer.

    The documents that satisfy `where` are wanted, by `order` before the order that they have anyway, and of
    those the page of `offset` and `limit`: `rest` takes them. With `total` only their number is wanted, and
    with `groups` that of each value of this field: `rest` takes what `counted` makes of a number.
    """

    rest: Pipeline
    where: Node = EVERYTHING
    order: tuple[OrderBy, ...] = ()
    offset: int = 0
    limit: int | None = None
    groups: Field | None = None
    total: bool = False

    def counts(self, found: int) -> list[Document]:
        """What `rest` takes where the number is wanted: `found` documents satisfy `where`."""
        number = max(0, found - self.offset)
        return [counted(ABSENT, number if self.limit is None else min(number, self.limit))]


def counted(value: Json | Absent, number: int) -> Document:
    """What stands for a number of documents that share a value."""
    return {"_id": None if value is ABSENT else value, _NUMBER: number}


def head_of(pipeline: Pipeline, documents: Documents, most: int) -> Head | None:
    """Take as many stages as an index can answer from a pipeline over at most so many documents.

    None if it can answer none. A filter that the pipeline's own bounds may refuse is left to it, because the
    evaluator may have to look at every document.
    """
    head = Head(pipeline)
    while head.rest.stages and not head.total and head.groups is None:
        step = _STEPS.get(head.rest.stages[0].name)
        taken = None if step is None else step(head, documents, most)
        if taken is None:
            break
        head = taken
    return None if head.rest is pipeline else head


_Step = Callable[[Head, Documents, int], "Head | None"]
"""Takes the first stage of the rest into the question; None if an index cannot answer it then."""


def _match(head: Head, documents: Documents, most: int) -> Head | None:
    stage, *others = head.rest.stages
    if head.offset or head.limit is not None or stage.parts * most > MAX_WORK:
        return None
    tree = match_tree(stage.operand, documents.matched)
    if tree is None:
        return None
    where = tree if head.where == EVERYTHING else All((head.where, tree))
    return replace(head, where=where, rest=Pipeline(tuple(others)))


def _sort(head: Head, documents: Documents, most: int) -> Head | None:
    """Only before a limit: a page costs an index little, but all of it as much as it costs the stage."""
    stage, *others = head.rest.stages
    following = [other.name for other in others[:2] if other.name != "$skip"][:1]
    if head.offset or head.limit is not None or following != ["$limit"]:
        return None
    fields = {path: documents.field(path) for path in stage.operand}
    order = [
        OrderBy(field, SORTED, stage.operand[path] == -1)
        for path, field in fields.items()
        if field is not None
    ]
    if len(order) < len(fields):
        return None
    return replace(head, order=(*order, *head.order), rest=Pipeline(tuple(others)))


def _skip(head: Head, documents: Documents, most: int) -> Head:
    stage, *others = head.rest.stages
    skip = int(stage.operand)
    limit = None if head.limit is None else max(0, head.limit - skip)
    return replace(head, offset=head.offset + skip, limit=limit, rest=Pipeline(tuple(others)))


def _limit(head: Head, documents: Documents, most: int) -> Head:
    stage, *others = head.rest.stages
    limit = int(stage.operand)
    limit = limit if head.limit is None else min(limit, head.limit)
    return replace(head, limit=limit, rest=Pipeline(tuple(others)))


def _count(head: Head, documents: Documents, most: int) -> Head:
    stage, *others = head.rest.stages
    last = replace(stage, parts=0, run=lambda found, work: [{stage.operand: found[0][_NUMBER]}])
    return replace(head, total=True, rest=Pipeline((last, *others)))


def _group(head: Head, documents: Documents, most: int) -> Head | None:
    stage, *others = head.rest.stages
    if head.offset or head.limit is not None:
        return None
    counters: dict[str, _Counter] = {}
    for name, accumulated in stage.operand.items():
        if name != "_id":
            if (counter := _counter(accumulated)) is None:
                return None
            counters[name] = counter
    source = stage.operand["_id"]
    field = None if _is_constant(source) else _identity(source, documents)
    if field is None and not _is_constant(source):
        return None

    def run(found: list[Document], work: object) -> list[Document]:
        """Finish groups; a constant makes one group, of at least one document."""
        groups: list[Document] = []
        for each in found:
            if number := each[_NUMBER]:
                group = {"_id": source if field is None else each["_id"]}
                for name, count in counters.items():
                    group[name] = count(number)
                groups.append(group)
        return groups

    rest = Pipeline((replace(stage, parts=0, run=run), *others))
    return replace(head, groups=field, total=field is None, rest=rest)


_STEPS: Final[Mapping[str, _Step]] = {
    "$match": _match,
    "$sort": _sort,
    "$skip": _skip,
    "$limit": _limit,
    "$count": _count,
    "$group": _group,
}

# --- groups that only count ---------------------------------------------------------------------------------

_Counter = Callable[[int], Json]
"""What an accumulator makes of a number of documents."""


def _counter(accumulated: dict[str, Json]) -> _Counter | None:
    """What an accumulator makes of documents that it does not look into; None if it does."""
    ((name, operand),) = accumulated.items()
    if name == "$count" and (operand == {} or _is_constant(operand)):
        return lambda number: number
    if name != "$sum" or not _is_constant(operand):
        return None
    adding = ACCUMULATORS["$sum"]
    if not isinstance(operand, int) or isinstance(operand, bool):
        return lambda number: adding([operand] * number)
    # Beyond this, adding up one by one gives something else than multiplying.
    most = SAFE_INTEGER // max(1, abs(operand))
    return lambda number: operand * number if number <= most else adding([operand] * number)


def _is_constant(source: Json) -> bool:
    return not (isinstance(source, list | dict) or (isinstance(source, str) and source.startswith("$")))


def _identity(source: Json, documents: Documents) -> Field | None:
    """The field of what groups are made by: what stands under a path, or an object of that; else None."""
    if isinstance(source, str):
        return None if source.startswith("$$") else documents.field(source[1:])
    if not isinstance(source, dict) or not source:
        return None
    paths = [part for part in source.values() if isinstance(part, str) and _is_path(part)]
    if len(paths) < len(source) or any(name.startswith("$") for name in source):
        return None
    if not all(documents.has(path[1:]) for path in paths):
        return None
    identity = Compiler().expression(source)
    shape = msgspec.json.encode(source).decode()
    return Field("aggregate object", shape, lambda record: identity(documents.of(record)))


def _is_path(source: str) -> bool:
    return source.startswith("$") and not source.startswith("$$")
