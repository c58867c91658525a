"""Filters of an aggregate pipeline (`$match`) as trees, so that an index can answer them.

Each operator is what `flatdata.query.pipelinematch` makes of it; here is only where an index may look for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flatdata.query.documents import NoValues, key_of, order_of
from flatdata.query.expressions import Compiler
from flatdata.query.javascript import truthy
from flatdata.query.pipelinematch import COMBINED, OPERATORS, Predicate, candidates_of, items_of, operators_of
from flatdata.query.tree import (
    ABSENT,
    Absent,
    All,
    AnyHint,
    AnyOf,
    Condition,
    Field,
    Hint,
    Json,
    Keyed,
    KeyIndex,
    Node,
    NoHint,
    Not,
    Operator,
    OrderIndex,
    Ranged,
    no_hint,
)


def _kinds(value: Json | Absent) -> tuple[str, ...]:
    if value is ABSENT:
        return ("absent",)
    if isinstance(value, list):
        return ("absent", "list") if isinstance(value, NoValues) else ("present", "list")
    return ("present", "text") if isinstance(value, str) else ("present",)


def _single(value: Json | Absent) -> tuple[Any, ...] | None:
    return None if value is ABSENT or isinstance(value, list) else order_of(value)


_CANDIDATES: Final = KeyIndex("aggregate candidates", lambda value: set(map(key_of, candidates_of(value))))
_ITEMS: Final = KeyIndex("aggregate items", lambda value: set(map(key_of, items_of(value))))
_KIND: Final = KeyIndex("aggregate kind", _kinds)
_COMPARABLE: Final = OrderIndex("aggregate comparable", _single)
"""Values other than lists, in the order of `$gt` and its kin, which compare those of one kind."""


def _of_kind(*kinds: str) -> Callable[[Json], Hint]:
    return lambda operand: Keyed(_KIND, kinds, exact=False)


def _equality_hint(operand: Json) -> Hint:
    return Keyed(_CANDIDATES, (key_of(operand),))


def _listed_hint(operand: Json) -> Hint:
    return Keyed(_ITEMS, tuple(set(map(key_of, operand))))


def _above(open_end: bool) -> Callable[[Json], Hint]:
    def hint(operand: Json) -> Hint:
        bound = order_of(operand)
        beyond = (bound[0] + 1,)
        return _range(Ranged(_COMPARABLE, bound, beyond, low_open=open_end, high_open=True))

    return hint


def _below(open_end: bool) -> Callable[[Json], Hint]:
    def hint(operand: Json) -> Hint:
        bound = order_of(operand)
        return _range(Ranged(_COMPARABLE, bound[:1], bound, high_open=open_end))

    return hint


def _range(values: Ranged) -> Hint:
    """The values of one kind in a range; lists are there with one of their items."""
    return AnyHint((values, Keyed(_KIND, ("list",), exact=False)))


_HINTS: Final[dict[str, Callable[[Json], Hint]]] = {
    "$eq": _equality_hint,
    "$ne": lambda operand: NoHint(_equality_hint(operand)),
    "$gt": _above(True),
    "$gte": _above(False),
    "$lt": _below(True),
    "$lte": _below(False),
    "$in": _listed_hint,
    "$nin": lambda operand: NoHint(_listed_hint(operand)),
    "$exists": lambda wanted: Keyed(_KIND, ("present" if truthy(wanted) else "absent",)),
    "$size": _of_kind("list"),
    "$all": _of_kind("list"),
    "$elemMatch": _of_kind("list"),
    "$regex": _of_kind("text", "list"),
}
"""Where the index may look for what an operator finds; for the others everywhere."""


@dataclass(frozen=True, slots=True)
class _Test:
    passes: Predicate
    hint: Hint


_PASSES: Final = Operator("aggregate test", lambda value, test: test.passes(value), lambda test: test.hint)


def match_tree(query: dict[str, Json], read_field: Callable[[str], Field | None]) -> Node | None:
    """Give a well-formed filter as a tree over the fields that `read_field` gives for paths.

    None for a filter that looks at something else.
    """
    parts: list[Node | None] = []
    for name, operand in query.items():
        if name in COMBINED:
            parts.append(_combined_tree(name, [match_tree(item, read_field) for item in operand]))
        else:
            field = None if name == "$expr" else read_field(name)
            parts.append(None if field is None else _value_tree(operand, field))
    known = tuple(part for part in parts if part is not None)
    return All(known) if len(known) == len(parts) else None


def _combined_tree(name: str, parts: list[Node | None]) -> Node | None:
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts):
        return None
    return All(known) if name == "$and" else AnyOf(known) if name == "$or" else Not(AnyOf(known))


def _value_tree(query: Json, field: Field) -> Node:
    query = operators_of(query)
    parts: list[Node] = []
    for name, operand in query.items():
        if name == "$not":
            parts.append(Not(_value_tree(operand, field)))
        elif name != "$options":
            passes = OPERATORS[name](Compiler(), operand, query, 1)
            parts.append(Condition(field, _PASSES, _Test(passes, _HINTS.get(name, no_hint)(operand))))
    return All(tuple(parts))
