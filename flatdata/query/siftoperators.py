"""The operators of Fliplet's `where`: what each means, and where the index may look for what it matches.

Semantics: fliplet.md §3.2. An operand has been made ready by `flatdata.query.sift` when an operator gets it:
a number for the comparisons, a lower-cased text for `$iLike`, a `Listed` for `$in`, a tree for `$elemMatch`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from flatdata.query.evaluate import matches as node_matches
from flatdata.query.javascript import (
    OBJECT_TEXT,
    deeply_equal,
    is_nan,
    loosely_equal,
    number_of,
    own_property,
    text_of,
    truthy,
)
from flatdata.query.patterns import Pattern
from flatdata.query.siftvalues import (
    COMPARABLE,
    EQUALITY,
    NULL_ITEM,
    Many,
    comparable,
    elements_of,
    equality_keys,
    equality_keys_for,
    shaped,
    text_hint,
    unless_many,
    values_of,
)
from flatdata.query.tree import (
    ABSENT,
    Absent,
    All,
    AllHints,
    AnyHint,
    AnyOf,
    Condition,
    Everything,
    Field,
    Hint,
    Json,
    Keyed,
    Node,
    NoHint,
    Nothing,
    Operator,
    Ranged,
    no_hint,
)

ITSELF: Final = Field(view="sift value", path="", read=lambda value: value)
"""The value that a sub-query is tried on."""

# --- what each operator means, for one value --------------------------------------------------------


def _of_each(test: Callable[[Json | Absent, Any], bool]) -> Callable[[Json | Absent | Many, Any], bool]:
    """Make a test of one value hold for a `Many` when it holds for one of its values."""

    def matches(value: Json | Absent | Many, operand: Any) -> bool:
        if not isinstance(value, Many):
            return test(value, operand)
        return any(test(one, operand) for one in values_of(value))

    return matches


def _of_each_place(
    test: Callable[[Json | Absent | Many, Any], bool],
) -> Callable[[Json | Absent | Many, Any], bool]:
    """As `_of_each`, for a test to which it matters whether a null exists: it gets `NULL_ITEM` as itself."""

    def matches(value: Json | Absent | Many, operand: Any) -> bool:
        if not isinstance(value, Many):
            return test(value, operand)
        return any(test(one, operand) for one in value.values) or (
            value.null_item and test(NULL_ITEM, operand)
        )

    return matches


def _of_elements(test: Callable[[Json | Absent, Any], bool]) -> Callable[[Json | Absent | Many, Any], bool]:
    """Make a test of one value hold for a list, too, when it holds for one of its items."""
    of_each = _of_each(lambda value, operand: any(test(element, operand) for element in elements_of(value)))

    def matches(value: Json | Absent | Many, operand: Any) -> bool:
        # Nearly every value is a single one, and many may have to be tried.
        return of_each(value, operand) if isinstance(value, list | Many) else test(value, operand)

    return matches


def _equals(element: Json | Absent, operand: Json) -> bool:
    if operand == []:
        return isinstance(element, list) and not element
    return loosely_equal(element, operand)


def _unequal(value: Json | Absent, operand: Json) -> bool:
    return not any(_equals(element, operand) for element in elements_of(value))


def _compares(test: Callable[[int | float, int | float], bool]) -> Callable[[Json | Absent, Any], bool]:
    def compare(element: Json | Absent, bound: int | float | None) -> bool:
        number = comparable(element)
        return number is not None and bound is not None and test(number, bound)

    return compare


def _remainder(element: Json | Absent, operand: tuple[int | float, Json | Absent]) -> bool:
    """Give `element % divisor == remainder`; JavaScript's remainder has the sign of the dividend."""
    divisor, remainder = operand
    number = number_of(element)
    if not divisor or is_nan(divisor) or is_nan(number) or number in (math.inf, -math.inf):
        return False
    if isinstance(number, int) and isinstance(divisor, int):
        left: int | float = abs(number) % abs(divisor) * (-1 if number < 0 else 1)
    else:
        try:
            left = math.fmod(number, divisor)
        except OverflowError:
            return False
    return loosely_equal(left, remainder)


def _holds_text(element: Json | Absent, needle: str) -> bool:
    return element is not ABSENT and needle in text_of(element)


def _holds_text_in_any_case(element: Json | Absent, needle: str) -> bool:
    return element is not ABSENT and needle in text_of(element).lower()


def _has_size(value: Json | Absent, size: Json) -> bool:
    return truthy(value) and value is not ABSENT and deeply_equal(own_property(value, "length"), size)


def _exists(value: Json | Absent | Many, wanted: bool) -> bool:
    return (value is not ABSENT and value is not NULL_ITEM) is wanted


def _some_element(value: Json | Absent | Many, node: Node) -> bool:
    if isinstance(value, list):
        return any(node_matches(node, element) for element in value)
    return node_matches(node, value)


def _found(element: Json | Absent, pattern: Pattern | None) -> bool:
    return pattern is not None and pattern.found_in(element)


@dataclass(frozen=True, slots=True)
class Listed:
    """The operand of `$in`: a text, or plain items as keys and items that are sub-queries."""

    text: str | None
    loose: frozenset[Hashable]
    strict: frozenset[Hashable]
    nodes: tuple[Node, ...]
    matches_null: bool


def _listed(value: Json | Absent, listed: Listed) -> bool:
    if listed.text is not None:
        return _inside(value, listed.text)
    if isinstance(value, list):
        return any(strict_key(item) in listed.strict for item in value)
    if value is None and listed.matches_null:
        return True
    # The engine asks for the text of the value, and never takes an object for listed.
    if text_of(value) != OBJECT_TEXT and (
        not listed.loose.isdisjoint(equality_keys(value))
        or any(node_matches(node, value) for node in listed.nodes)
    ):
        return True
    return strict_key(value) in listed.strict


def _unlisted(value: Json | Absent, listed: Listed) -> bool:
    return not _listed(value, listed)


def strict_key(value: Json | Absent) -> Hashable:
    """Give a key that is equal for what JavaScript's `===` holds equal: never for lists and objects."""
    if isinstance(value, bool):
        return (value,)
    return value if value is None or isinstance(value, str | int | float) else ABSENT


def _inside(value: Json | Absent, text: str) -> bool:
    """Treat a string operand of `$in` as the engine does: as a list of characters, and as a text."""
    if isinstance(value, list):
        return any(text_of(item) in text for item in value)
    if isinstance(value, dict):
        return OBJECT_TEXT in text
    return text_of(value) in text or any(loosely_equal(value, character) for character in text)


# --- where the index may look -------------------------------------------------------------------------


def _equality_hint(operand: Json) -> Hint:
    return Keyed(EQUALITY, equality_keys_for(operand))


def _range_hint(low: bool, open_end: bool) -> Callable[[int | float | None], Hint]:
    def hint(bound: int | float | None) -> Hint:
        if bound is None:
            return Nothing()
        limits = (
            Ranged(COMPARABLE, low=bound, low_open=open_end)
            if low
            else Ranged(COMPARABLE, high=bound, high_open=open_end)
        )
        return AnyHint((limits, shaped("list", "many")))

    return hint


_STRICTLY: Final = AnyHint((NoHint(shaped("list", "many", "object", exact=True)), shaped("list", "many")))
"""Single values for sure, lists and `Many` possibly, objects not at all."""


def _listed_hint(listed: Listed) -> Hint:
    """Hint at what `$in` lists. Items of lists are compared strictly: loose keys only say where to look."""
    if listed.text is not None or listed.nodes:
        return Everything()
    nulls = AllHints((Keyed(EQUALITY, (None,), exact=False), shaped("null")))
    extra = (nulls,) if listed.matches_null and None not in listed.loose else ()
    if not listed.loose:
        return AnyHint(extra)
    if OBJECT_TEXT in listed.loose:
        return AnyHint((Keyed(EQUALITY, tuple(listed.loose), exact=False), *extra))
    found = AllHints((Keyed(EQUALITY, tuple(listed.loose)), _STRICTLY))
    return AnyHint((found, *extra)) if extra else found


def _pattern_hint(pattern: Pattern | None) -> Hint:
    return Nothing() if pattern is None else shaped("text", "list", "many")


def hint_of(node: Node) -> Hint:
    """Combine the hints of a tree whose conditions are about one value itself."""
    if isinstance(node, Condition):
        return node.operator.hint(node.operand) if node.field is ITSELF else Everything()
    if isinstance(node, All):
        return AllHints(tuple(map(hint_of, node.parts))) if node.parts else Everything(exact=True)
    if isinstance(node, AnyOf):
        return AnyHint(tuple(map(hint_of, node.parts))) if node.parts else Nothing()
    return NoHint(hint_of(node.part))


# --- the table ------------------------------------------------------------------------------------------

OPERATORS: Final[dict[str, Operator]] = {
    operator.name: operator
    for operator in (
        Operator("$eq", _of_elements(_equals), _equality_hint),
        Operator("$ne", _of_each(_unequal), lambda operand: unless_many(NoHint(_equality_hint(operand)))),
        Operator("$gt", _of_elements(_compares(lambda a, b: a > b)), _range_hint(True, True)),
        Operator("$gte", _of_elements(_compares(lambda a, b: a >= b)), _range_hint(True, False)),
        Operator("$lt", _of_elements(_compares(lambda a, b: a < b)), _range_hint(False, True)),
        Operator("$lte", _of_elements(_compares(lambda a, b: a <= b)), _range_hint(False, False)),
        Operator("$in", _of_each(_listed), _listed_hint),
        Operator("$nin", _of_each(_unlisted), lambda listed: unless_many(NoHint(_listed_hint(listed)))),
        Operator(
            "$exists", _of_each_place(_exists), lambda yes: shaped("present" if yes else "absent", exact=True)
        ),
        Operator("$size", _of_each(_has_size), lambda size: shaped("text", "list", "object", "many")),
        Operator("$mod", _of_elements(_remainder), no_hint),
        Operator("$regex", _of_elements(_found), _pattern_hint),
        Operator("$like", _of_elements(_holds_text), text_hint),
        Operator("$iLike", _of_elements(_holds_text_in_any_case), partial(text_hint, any_case=True)),
        Operator("$elemMatch", _of_each_place(_some_element), no_hint),
        Operator("$match", _of_each(deeply_equal), no_hint),
    )
}
"""The operators of a field. `$all` and the logical ones are taken apart when a filter is read."""

SUBQUERY: Final = Operator(
    "subquery",
    _of_each_place(lambda value, node: node_matches(node, value)),
    lambda node: unless_many(hint_of(node)),
)
"""A tree over a value, tried on each value of a `Many` as a whole."""
