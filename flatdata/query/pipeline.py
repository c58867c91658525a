"""Aggregate pipelines: a list of stages, each of which makes documents of documents.

Semantics of the mingo library (reference: fliplet.md §3.6) over full entries, whose fields stand below
`data`. A pipeline is read as a whole before anything runs, and bounded in what it may hold, in the work it
may do, and in what it may answer with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from flatdata.query.accumulators import ACCUMULATORS
from flatdata.query.documents import (
    Document,
    PipelineError,
    key_of,
    order_of,
    path_reader,
    put,
    weigh,
)
from flatdata.query.expressions import Compiler, Expression
from flatdata.query.javascript import is_number
from flatdata.query.pipelinematch import compile_match
from flatdata.query.pipelinereshape import Reshape, add_fields, project, replace_root, replace_with, unset
from flatdata.query.tree import ABSENT, Json
from flatdata.turns import in_turns

__all__ = ["Pipeline", "PipelineError", "parse_pipeline"]

MAX_STAGES: Final = 64
"""Stages of a pipeline, those within `$facet` included."""

MAX_DOCUMENTS = 1_000_000
"""Documents that a stage may give."""

MAX_WEIGHT = 5_000_000
"""Values that the documents which a stage builds may hold, written out."""

MAX_WORK = 20_000_000
"""Parts of stages times documents that they are tried on, and values of documents that are built."""

Documents = list[Document]
Run = Callable[[Documents, "_Work"], Documents]


@dataclass(slots=True)
class _Work:
    """What is left of the work that one run may do."""

    left: int

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise PipelineError("The pipeline does too much work")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, ready to run: `parts` is how much work it is for one document."""

    name: str
    parts: int
    run: Run
    builds: bool
    """Whether it builds documents, which may then be large."""
    operand: Json = None
    """What was sent; it is well-formed."""
    reads: frozenset[str] = frozenset()
    """The paths that it looks at in documents; an empty one stands for whole documents."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that has been read."""

    stages: tuple[Stage, ...]

    @property
    def reads(self) -> frozenset[str] | None:
        """The paths of its documents that make a difference, None for all."""
        found: frozenset[str] = frozenset()
        for stage in self.stages:
            found |= stage.reads
            if "" in found:
                return None
            if stage.name in _MAKES_OTHERS:
                return found
        return None

    def run(self, documents: Iterable[Document]) -> Documents:
        """Give what the pipeline makes of `documents`, which stay as they are. Raises `PipelineError`."""
        return _run(self.stages, list(documents), _Work(MAX_WORK))


def _run(stages: tuple[Stage, ...], documents: Documents, work: _Work) -> Documents:
    for stage in stages:
        work.spend(len(documents) * stage.parts)
        documents = stage.run(documents, work)
        if stage.builds:
            weight = weigh(documents, MAX_WEIGHT)
            if weight > MAX_WEIGHT:
                raise PipelineError(f"{stage.name} makes too much of its documents")
            work.spend(weight)
    return documents


def parse_pipeline(source: Json) -> Pipeline:
    """Read a pipeline: a list of objects of one stage each. Raises `PipelineError`."""
    weigh([source], math.inf)  # only for its depth
    return Pipeline(_Reader().stages(source, 1))


class _Reader:
    """One reading of a pipeline."""

    def __init__(self) -> None:
        self.compiler = Compiler()
        self.stage_count = 0

    def stages(self, source: Json, depth: int) -> tuple[Stage, ...]:
        if not isinstance(source, list):
            raise PipelineError("A pipeline must be an array of stages")
        return tuple(self._stage(item, depth) for item in source)

    def _stage(self, source: Json, depth: int) -> Stage:
        self.stage_count += 1
        if self.stage_count > MAX_STAGES:
            raise PipelineError(f"A pipeline may have at most {MAX_STAGES} stages")
        if not (isinstance(source, dict) and len(source) == 1):
            raise PipelineError("A stage must be an object of one operator")
        ((name, operand),) = source.items()
        if name not in STAGES:
            raise PipelineError(f"Unknown stage {name}")
        before, around = self.compiler.nodes, self.compiler.reads
        self.compiler.count(depth)
        self.compiler.reads = set()
        read, builds = STAGES[name]
        run = read(self, operand, depth + 1)
        reads, self.compiler.reads = self.compiler.reads, around
        around |= reads
        return Stage(name, self.compiler.nodes - before, run, builds, operand, frozenset(reads))


# --- stages ------------------------------------------------------------------------------------------------


def _match(reader: _Reader, operand: Json, depth: int) -> Run:
    test = compile_match(reader.compiler, operand, depth)
    return lambda documents, work: [document for document in in_turns(documents) if test(document)]


def _count_of(name: str, operand: Json) -> int:
    if not (is_number(operand) and operand >= 0 and operand == operand // 1 and operand < 2**63):
        raise PipelineError(f"{name} needs a whole number")
    return int(operand)


def _limit(reader: _Reader, operand: Json, depth: int) -> Run:
    limit = _count_of("$limit", operand)
    return lambda documents, work: documents[:limit]


def _skip(reader: _Reader, operand: Json, depth: int) -> Run:
    skip = _count_of("$skip", operand)
    return lambda documents, work: documents[skip:]


def _sort(reader: _Reader, operand: Json, depth: int) -> Run:
    """Order by several paths; documents that are equal in all of them keep their order."""
    if not isinstance(operand, dict):
        raise PipelineError("$sort needs an object of paths")
    keys: list[tuple[Expression, bool]] = []
    for path, direction in operand.items():
        if not is_number(direction) or direction not in (1, -1):
            raise PipelineError("$sort takes 1 and -1")
        reader.compiler.count(depth)
        reader.compiler.reads.add(path)
        keys.append((path_reader(path), direction == -1))

    def run(documents: Documents, work: _Work) -> Documents:
        for read, descending in reversed(keys):
            documents = sorted(documents, key=lambda each: order_of(read(each)), reverse=descending)
        return documents

    return run


def _counted(reader: _Reader, operand: Json, depth: int) -> Run:
    if not (
        isinstance(operand, str) and operand.strip() and "." not in operand and operand.strip()[0] != "$"
    ):
        raise PipelineError("Invalid expression value for $count")
    return lambda documents, work: [{operand: len(documents)}]


def _unwind(reader: _Reader, operand: Json, depth: int) -> Run:
    options = operand if isinstance(operand, dict) else {"path": operand}
    path, place = options.get("path"), options.get("includeArrayIndex")
    if not (isinstance(path, str) and path.startswith("$") and len(path) > 1):
        raise PipelineError("$unwind needs a path")
    if not (place is None or (isinstance(place, str) and place and not place.startswith("$"))):
        raise PipelineError("$unwind takes a name as includeArrayIndex")
    reader.compiler.reads.add(path[1:])
    read, steps = path_reader(path[1:]), path[1:].split(".")
    keep = options.get("preserveNullAndEmptyArrays") is True

    def numbered(document: Document, number: int | None) -> Document:
        return document if place is None else {**document, place: number}

    def unwound(document: Document) -> Iterable[Document]:
        value = read(document)
        if isinstance(value, list) and value:
            return [numbered(put(document, steps, item), number) for number, item in enumerate(value)]
        empty = value is ABSENT or value is None or (isinstance(value, str | dict | list) and not value)
        if empty and not keep:
            return ()
        return (numbered(put(document, steps, ABSENT) if value == [] else document, None),)

    def run(documents: Documents, work: _Work) -> Documents:
        made: Documents = []
        for document in in_turns(documents):
            made += unwound(document)
            if len(made) > MAX_DOCUMENTS:
                raise PipelineError(f"$unwind gives more than {MAX_DOCUMENTS} documents")
        return made

    return run


def _group(reader: _Reader, operand: Json, depth: int) -> Run:
    if not isinstance(operand, dict) or "_id" not in operand:
        raise PipelineError("$group needs an _id")
    identity = reader.compiler.expression(operand["_id"], depth)
    fields = {name: _accumulated(reader, source, depth) for name, source in operand.items() if name != "_id"}

    def run(documents: Documents, work: _Work) -> Documents:
        groups: dict[Hashable, tuple[Json, Documents]] = {}
        for document in in_turns(documents):
            value = identity(document)
            key = key_of(value)
            if key not in groups:
                groups[key] = (None if value is ABSENT else value, [])
            groups[key][1].append(document)
        return [_grouped(value, members, fields) for value, members in groups.values()]

    return run


_Accumulated = Callable[[Documents], Json]


def _grouped(identity: Json, members: Documents, fields: dict[str, _Accumulated]) -> Document:
    made = {"_id": identity} | {name: accumulate(members) for name, accumulate in fields.items()}
    return {name: value for name, value in made.items() if value is not ABSENT}


def _accumulated(reader: _Reader, source: Json, depth: int) -> _Accumulated:
    if not (isinstance(source, dict) and len(source) == 1):
        raise PipelineError("A field of $group needs one accumulator")
    ((name, operand),) = source.items()
    if name not in ACCUMULATORS:
        raise PipelineError(f"Unknown accumulator {name}")
    accumulate = ACCUMULATORS[name]
    value = reader.compiler.expression(operand, depth + 1)
    return lambda documents: accumulate([value(document) for document in documents])


def _facet(reader: _Reader, operand: Json, depth: int) -> Run:
    if not isinstance(operand, dict):
        raise PipelineError("$facet needs an object of pipelines")
    reader.compiler.count(depth)
    reader.compiler.reads.add("")
    facets = {name: reader.stages(source, depth + 1) for name, source in operand.items()}
    return lambda documents, work: [{name: _run(stages, documents, work) for name, stages in facets.items()}]


def _each(
    read: Callable[[Compiler, Json, int], Reshape],
) -> Callable[[_Reader, Json, int], Run]:
    """What reads a stage that makes one document of each."""

    def read_stage(reader: _Reader, operand: Json, depth: int) -> Run:
        reshape = read(reader.compiler, operand, depth)
        return lambda documents, work: [reshape(document) for document in in_turns(documents)]

    return read_stage


STAGES: Final[dict[str, tuple[Callable[[_Reader, Json, int], Run], bool]]] = {
    "$match": (_match, False),
    "$project": (_each(project), True),
    "$group": (_group, True),
    "$sort": (_sort, False),
    "$limit": (_limit, False),
    "$skip": (_skip, False),
    "$unwind": (_unwind, False),
    "$count": (_counted, False),
    "$facet": (_facet, True),
    "$addFields": (_each(add_fields), True),
    "$set": (_each(add_fields), True),
    "$unset": (_each(unset), False),
    "$replaceRoot": (_each(replace_root), True),
    "$replaceWith": (_each(replace_with), True),
}
"""Each stage with what reads its operand, and whether it builds documents."""

_MAKES_OTHERS: Final = frozenset({"$group", "$count", "$project", "$replaceRoot", "$replaceWith"})
"""Stages in whose documents there is nothing of what came in but what they read."""
