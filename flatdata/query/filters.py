"""Fliplet's `$filters`: a list of `{column, condition, value}`, all of which must hold.

Reference: fliplet.md §3.3, whose semantics are those of the service's own list component. A condition whose
value is not set holds everywhere, as does `none`: that is how clients switch a filter off. An unknown
condition is refused, so that a slip of the pen in a query that deletes never means "everything".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from flatdata.query.filterdates import DATE_CONDITIONS
from flatdata.query.javascript import (
    is_nan,
    is_number,
    leading_number,
    loosely_equal,
    number_of,
    number_of_text,
    text_of,
)
from flatdata.query.patterns import Pattern
from flatdata.query.siftvalues import (
    Many,
    SiftError,
    bounds_of,
    is_unset,
    shaped,
    text_hint,
    unless_many,
    values_of,
)
from flatdata.query.tree import (
    ABSENT,
    EVERYTHING,
    Absent,
    All,
    AnyHint,
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
)

Compile = Callable[[str, str], Pattern]
"""Compiles a pattern with options; raises `SiftError`."""


def cells_of(value: Json | Absent | Many) -> Sequence[Json | Absent]:
    """Give the values that a condition is tried on; a path that leads nowhere has a missing one."""
    return values_of(value) or (ABSENT,)


def _is_set(cell: Json | Absent) -> bool:
    return cell is not None and cell is not ABSENT


def _of_cells(test: Callable[[Json | Absent, Any], bool]) -> Callable[[Json | Absent | Many, Any], bool]:
    return lambda value, operand: any(test(cell, operand) for cell in cells_of(value))


# --- equality, in any case ----------------------------------------------------------------------------


def _folded_keys(value: Json | Absent | Many) -> set[Hashable]:
    return {key for cell in cells_of(value) if _is_set(cell) for key in _keys_of_text(text_of(cell).lower())}


def _keys_of_text(text: str) -> Iterator[Hashable]:
    yield text
    number = number_of_text(text)
    if not is_nan(number):
        yield number


FOLDED: Final = KeyIndex("filters text", _folded_keys)
"""Text in lower case, and the number it stands for."""

EQUAL: Final = Operator(
    "filter ==",
    _of_cells(lambda cell, wanted: _is_set(cell) and loosely_equal(text_of(cell).lower(), wanted)),
    lambda wanted: Keyed(FOLDED, (wanted if isinstance(wanted, str) else number_of(wanted),)),
)


def _equal(field: Field, item: dict[str, Json], compile_: Compile) -> Node:
    value = item["value"]
    wanted = value if is_number(value) or isinstance(value, bool) else text_of(value).lower()
    return Condition(field, EQUAL, wanted)


# --- numbers --------------------------------------------------------------------------------------------


def _number(cell: Json | Absent | Many) -> float | None:
    """Give the number that a cell's text begins with, None if it begins with none."""
    if isinstance(cell, Many) or not _is_set(cell):
        return None
    number = leading_number(text_of(cell))
    return None if is_nan(number) else number


NUMBER: Final = OrderIndex("filters number", _number)


def _within(cell: Json | Absent, limits: Ranged) -> bool:
    number = _number(cell)
    if number is None:
        return False
    above = limits.low is None or number > limits.low or (number == limits.low and not limits.low_open)
    return above and (
        limits.high is None or number < limits.high or (number == limits.high and not limits.high_open)
    )


def _limits_hint(limits: Ranged) -> Hint:
    return AnyHint((limits, shaped("many")))


WITHIN: Final = Operator("filter number", _of_cells(_within), _limits_hint)


def _limit(value: Json, condition: str) -> float | None:
    """Read a bound: None for a blank one."""
    if is_unset(value):
        return None
    number = leading_number(text_of(value))
    if is_nan(number):
        raise SiftError(f"The condition {condition} needs a number")
    return number


def _compares(condition: str) -> Callable[[Field, dict[str, Json], Compile], Node]:
    open_end = not condition.endswith("=")

    def build(field: Field, item: dict[str, Json], compile_: Compile) -> Node:
        limit = _limit(item["value"], condition)
        if condition.startswith(">"):
            return Condition(field, WITHIN, Ranged(NUMBER, low=limit, low_open=open_end))
        return Condition(field, WITHIN, Ranged(NUMBER, high=limit, high_open=open_end))

    return build


def _between(field: Field, item: dict[str, Json], compile_: Compile) -> Node:
    low, high = (_limit(value, "between") for value, _ in bounds_of(item, "between"))
    if low is None and high is None:
        return EVERYTHING
    return Condition(field, WITHIN, Ranged(NUMBER, low=low, high=high))


# --- text -----------------------------------------------------------------------------------------------

_UNSET: Final = shaped("null", "absent", exact=True)
CONTAINS: Final = Operator(
    "filter contains",
    _of_cells(lambda cell, needle: _is_set(cell) and needle in text_of(cell).lower()),
    partial(text_hint, any_case=True),
)
LACKS: Final = Operator(
    "filter notcontain",
    _of_cells(lambda cell, needle: _is_set(cell) and needle not in text_of(cell).lower()),
    lambda needle: unless_many(NoHint(AnyHint((text_hint(needle, any_case=True), _UNSET)))),
)
FOUND: Final = Operator(
    "filter regex",
    _of_cells(lambda cell, pattern: _is_set(cell) and pattern.found_in(text_of(cell))),
)


def _holds(operator: Operator) -> Callable[[Field, dict[str, Json], Compile], Node]:
    return lambda field, item, compile_: Condition(field, operator, text_of(item["value"]).lower())


def _regex(field: Field, item: dict[str, Json], compile_: Compile) -> Node:
    return Condition(field, FOUND, compile_(text_of(item["value"]), "i"))


# --- emptiness --------------------------------------------------------------------------------------------


def _emptiness(cell: Json | Absent) -> str:
    """Tell `empty` from `full`: numbers that are finite and booleans are full."""
    if isinstance(cell, float):
        return "full" if math.isfinite(cell) else "empty"
    if isinstance(cell, int):
        return "full"
    return "full" if cell else "empty"


EMPTINESS: Final = KeyIndex("filters emptiness", lambda value: {_emptiness(cell) for cell in cells_of(value)})

HAS_EMPTINESS: Final = Operator(
    "filter empty",
    _of_cells(lambda cell, wanted: _emptiness(cell) == wanted),
    lambda wanted: Keyed(EMPTINESS, (wanted,)),
)

# --- lists ------------------------------------------------------------------------------------------------

_PART: Final = re.compile(r'\s*"([^"]*)"|([^,]+)')


def _split(text: str) -> Iterator[str]:
    """Yield the parts of text between commas, which double quotes protect."""
    for quoted, bare in _PART.findall(text):
        part = quoted or bare.strip()
        if part:
            yield part


def _parts(value: Json | Absent | Many) -> set[Hashable]:
    parts: set[Hashable] = set()
    for cell in cells_of(value):
        if isinstance(cell, list):
            parts.update(text_of(item) for item in cell)
        elif _is_set(cell):
            text = text_of(cell)
            parts.add(text)
            parts.update(_split(text))
    return parts


PARTS: Final = KeyIndex("filters parts", _parts)
"""The items of lists, and the comma-separated parts of text beside the whole of it."""

ONE_OF: Final = Operator(
    "filter oneof",
    lambda value, wanted: not wanted.isdisjoint(_parts(value)),
    lambda wanted: Keyed(PARTS, tuple(wanted)),
)


def _one_of(field: Field, item: dict[str, Json], compile_: Compile) -> Node:
    value = item["value"]
    if isinstance(value, list):
        wanted = frozenset(text_of(each) for each in value)
    else:
        wanted = frozenset({text_of(value), *_split(text_of(value))})
    return Condition(field, ONE_OF, wanted)


# --- the table --------------------------------------------------------------------------------------------

Build = Callable[[Field, dict[str, Json], Compile], Node]


def _negated(build: Build) -> Build:
    return lambda field, item, compile_: Not(build(field, item, compile_))


def _dated(read: Callable[[Field, dict[str, Json]], Node]) -> Build:
    return lambda field, item, compile_: read(field, item)


VALUE_CONDITIONS: Final[dict[str, Build]] = {
    "==": _equal,
    "!=": _negated(_equal),
    ">": _compares(">"),
    ">=": _compares(">="),
    "<": _compares("<"),
    "<=": _compares("<="),
    "contains": _holds(CONTAINS),
    "notcontain": _holds(LACKS),
    "notcontains": _holds(LACKS),
    "regex": _regex,
    "oneof": _one_of,
    "notoneof": _negated(_one_of),
    "notin": _negated(_one_of),
}
"""Conditions that hold everywhere while their `value` is not set."""

OTHER_CONDITIONS: Final[dict[str, Build]] = {
    "between": _between,
    "empty": lambda field, item, compile_: Condition(field, HAS_EMPTINESS, "empty"),
    "notempty": lambda field, item, compile_: Condition(field, HAS_EMPTINESS, "full"),
    "none": lambda field, item, compile_: EVERYTHING,
    **{name: _dated(read) for name, read in DATE_CONDITIONS.items()},
}


def parse_filters(items: Json, read_field: Callable[[str], Field], compile_: Compile) -> Node:
    """Read a `$filters` list into a query tree. Raises `SiftError`."""
    if not isinstance(items, list):
        raise SiftError("$filters needs an array")
    return All(tuple(_parse_item(item, read_field, compile_) for item in items))


def _parse_item(item: Json, read_field: Callable[[str], Field], compile_: Compile) -> Node:
    if not isinstance(item, dict):
        raise SiftError("An item of $filters must be an object")
    column, condition = item.get("column"), item.get("condition")
    if column == "none" or condition == "none":
        return EVERYTHING
    if not isinstance(column, str):
        raise SiftError("An item of $filters needs a column")
    if isinstance(condition, str) and condition in OTHER_CONDITIONS:
        return OTHER_CONDITIONS[condition](read_field(column), item, compile_)
    if isinstance(condition, str) and condition in VALUE_CONDITIONS:
        if is_unset(item.get("value")):
            return EVERYTHING
        return VALUE_CONDITIONS[condition](read_field(column), item, compile_)
    known = " ".join([*VALUE_CONDITIONS, *OTHER_CONDITIONS])
    raise SiftError(f"Unknown condition {text_of(condition)[:40]} in $filters; known are {known}")
