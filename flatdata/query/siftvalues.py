"""What Fliplet's filters see of a record: paths, several values under one path, and index keys.

A dotted path looks into objects and, where it meets a list, into each of its items (reference: fliplet.md
§3.2). Where that gives one value the field reads that value; where it gives none or several, or a null item
that the path goes on behind, it reads a `Many`, and every operator of `flatdata.query.sift` holds for it when
it holds for one of its values. The index kinds below follow the same rule, so that a hint and the operator it
belongs to always agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flatdata.errors import FlatdataError
from flatdata.query.javascript import (
    is_nan,
    is_number,
    leading_number,
    number_of,
    number_of_text,
    own_property,
    text_of,
)
from flatdata.query.jsdate import parse_date
from flatdata.query.tree import (
    ABSENT,
    Absent,
    AllHints,
    AnyHint,
    Containing,
    Everything,
    Field,
    Hint,
    Json,
    Keyed,
    KeyIndex,
    NoHint,
    OrderIndex,
)


class SiftError(FlatdataError):
    """A filter that is not understood or is refused; `message` says which part, in words for the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Many:
    """The values under a path that fanned out over lists.

    `null_item` says that the path goes on behind a null among the items of a list, or behind a null whose
    members are asked for. Such a null is a value like any other, but nothing exists there: see `values_of`.
    """

    values: tuple[Json | Absent, ...]
    null_item: bool = False


NULL_ITEM: Final = Many((), null_item=True)
"""A null that a path goes on behind, alone."""


# --- reading ----------------------------------------------------------------------------------------


def read_path(document: Json | Many, path: str) -> Json | Absent | Many:
    """Give what stands under a dotted path of `document`.

    A step that is a number takes an item of a list, any other step is taken in each of its items. A null
    on the way ends the path and is its value. It exists if the step before it led to it, which is the name of
    an object's member or, for an item of a list, happens to be a position in that list: this is what the
    filter engine asks its values for.
    """
    if document is None or isinstance(document, Many):
        return NULL_ITEM
    steps = path.split(".")
    found: list[Json | Absent] = []
    null_item = False
    pending: list[tuple[Json | Absent, int, bool]] = [(document, 0, False)]
    while pending:
        current, index, own = pending.pop()
        if current is None and not own:
            null_item = True
        elif index == len(steps) or current is None or current is ABSENT:
            found.append(current)
        elif isinstance(current, list) and is_nan(number_of_text(steps[index])):
            led = index > 0 and own_property(current, steps[index - 1]) is not ABSENT
            pending += [(item, index, led) for item in reversed(current)]
        else:
            pending.append((own_property(current, steps[index]), index + 1, True))
    return found[0] if len(found) == 1 and not null_item else Many(tuple(found), null_item)


def plain_field(path: str) -> Field:
    """Address a value of records that are plain mappings, as in stored versions and joined rows."""
    return Field(view="sift", path=path, read=lambda record: read_path(record, path))


def values_of(value: Json | Absent | Many) -> Sequence[Json | Absent]:
    """Give the values that an operator is tried on, one after the other."""
    if not isinstance(value, Many):
        return (value,)
    return (*value.values, None) if value.null_item else value.values


def elements_of(value: Json | Absent) -> Sequence[Json | Absent]:
    """Give the items of a list that has some, else the value itself."""
    return value if isinstance(value, list) and value else (value,)


def comparable(value: Json | Absent) -> int | float | None:
    """Give the number that `$gt` and its kin compare: None for what never compares.

    Numbers are themselves; text with a date of digits in it is the date's milliseconds; of other text the
    first run of characters that are no part of a number goes, and what then begins with a number is it.
    """
    if is_number(value):
        return None if is_nan(value) else value
    if not isinstance(value, str):
        return None
    number = _comparable_text(value)
    return None if is_nan(number) else number


_DATE_LIKE: Final = re.compile(r"[0-9]{2,4}([-.])[0-9]{2}\1[0-9]{2,4}")
_NO_NUMBER: Final = re.compile(r"[^0-9,.-]+")


def _comparable_text(text: str) -> int | float:
    if _DATE_LIKE.search(text):
        date = parse_date(text)
        return date.ms if date else math.nan
    return leading_number(_NO_NUMBER.sub("", text, count=1))


# --- index kinds ------------------------------------------------------------------------------------

EMPTY_LIST_KEY: Final = ("empty list",)


def equality_keys(value: Json | Absent | Many) -> set[Hashable]:
    """Give the keys of a value in `EQUALITY`: those of each of its elements."""
    if not isinstance(value, list | Many):
        return set(_keys_of(value))
    return {key for one in values_of(value) for element in elements_of(one) for key in _keys_of(element)}


def _keys_of(element: Json | Absent) -> Iterator[Hashable]:
    """Yield one key for each way in which JavaScript's `==` may look at the element.

    `==` is not transitive, so text, text read as a number, and numbers have keys apart, as have lists and
    objects, which are compared by their text but never with each other. None stands for null and missing,
    a bare string for text, a bare number for numbers and booleans.
    """
    if element is None or element is ABSENT:
        yield None
    elif isinstance(element, str):
        yield element
        yield from _number_keys(number_of_text(element), "text")
    elif isinstance(element, list | dict):
        text = text_of(element)
        yield ("object", text)
        yield from _number_keys(number_of_text(text), "object")
        if element == []:
            yield EMPTY_LIST_KEY
    else:
        yield from _number_keys(number_of(element), None)


def _number_keys(number: int | float, kind: str | None) -> Iterator[Hashable]:
    if not is_nan(number):
        yield (kind, number) if kind else number


def equality_keys_for(operand: Json) -> tuple[Hashable, ...]:
    """Give the keys in `EQUALITY` of exactly the values that `$eq: operand` holds for."""
    if operand is None:
        return (None,)
    if operand == []:
        return (EMPTY_LIST_KEY,)
    if isinstance(operand, str):
        return (operand, ("object", operand), *_number_keys(number_of_text(operand), None))
    if isinstance(operand, list | dict):
        text = text_of(operand)
        return (text, *_number_keys(number_of_text(text), None))
    number = number_of(operand)
    return tuple(key for kind in (None, "text", "object") for key in _number_keys(number, kind))


def _shape_keys(value: Json | Absent | Many) -> Iterable[str]:
    if isinstance(value, Many):
        kinds = {"many"}.union(*(_kinds(one) for one in value.values))
        return kinds | {"null", "absent"} if value.null_item else kinds
    return _kinds(value)


def _kinds(value: Json | Absent) -> tuple[str, ...]:
    if value is ABSENT:
        return ("absent",)
    if isinstance(value, str):
        return ("present", "text")
    if isinstance(value, list):
        kinds = ("present", "list")
        return kinds if all(isinstance(item, str) for item in value) else (*kinds, "mixed list")
    return ("present", {type(None): "null", bool: "boolean", dict: "object"}.get(type(value), "number"))


EQUALITY: Final = KeyIndex("sift equality", equality_keys)
"""Postings by which `$eq` and `$in` are exact."""

SHAPE: Final = KeyIndex("sift shape", _shape_keys)
"""Postings of what kind of value a field has, among them `many`, and `present` and `absent` for `$exists`."""

COMPARABLE: Final = OrderIndex(
    "sift comparable", lambda value: None if isinstance(value, Many) else comparable(value)
)
"""Single values in the order of `$gt` and its kin. Lists and `Many` stand outside: see `SHAPE`."""


def shaped(*kinds: str, exact: bool = False) -> Hint:
    """Hint at the records whose value has one of these kinds in `SHAPE`."""
    return Keyed(SHAPE, kinds, exact=exact)


def unless_many(hint: Hint) -> Hint:
    """Restrict a hint that is right for single values to those, and leave every `Many` undecided."""
    return AnyHint((AllHints((hint, NoHint(shaped("many", exact=True)))), shaped("many")))


_NUMBER_CHARACTERS: Final = frozenset("0123456789.+-einfaty")
_LITERAL_KINDS: Final = (("null", "null"), ("boolean", "true false"), ("object", "[object object]"))


def _plain_keys(value: Json | Absent | Many) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else (value,)
    return ("plain",) if texts and all(map(_is_plain, texts)) else ()


def _is_plain(value: Json | Absent | Many) -> bool:
    return isinstance(value, str) and (value.isascii() or value.casefold() == value.lower())


PLAIN: Final = KeyIndex("sift plain text", _plain_keys)
"""Text, and lists of nothing but text, whose case-folded form is its lower-case form: without `ß` or `ﬁ`."""


def text_hint(needle: str, any_case: bool = False) -> Hint:
    """Hint at the values whose text may hold `needle`; with `any_case`, in lower case.

    `Containing` finds strings, in lists too; numbers, null, booleans and objects have a text
    as well, and the text of a list may hold a needle that none of its strings does.
    """
    folded = needle.casefold()
    if not folded:
        return Everything()
    plain = Keyed(PLAIN, ("plain",)) if any_case and folded == needle else None
    kinds = ["many", "mixed list"] + [kind for kind, text in _LITERAL_KINDS if folded in text]
    if "," in folded:
        kinds.append("list")
    if set(folded) <= _NUMBER_CHARACTERS:
        kinds.append("number")
    return AnyHint((Containing(folded, plain), shaped(*kinds)))


# --- parts of $filters items that several conditions read ---------------------------------------------


def is_unset(value: Json) -> bool:
    """Tell whether a value of a `$filters` item was left blank."""
    return value is None or value == ""


def bounds_of(item: dict[str, Json], condition: str) -> tuple[tuple[Json, Json], tuple[Json, Json]]:
    """Give (value, unit) of the lower and of the upper bound of a range condition.

    Bounds stand in `value` as `{from, to}`, or beside it as `from: {value, unit}` and `to: {value, unit}`;
    a bound without a unit takes the item's. A missing bound is None. Raises `SiftError`.
    """
    value = item.get("value")
    if not (is_unset(value) or isinstance(value, dict)):
        raise SiftError(f"The condition {condition} needs from and to")
    source = value if isinstance(value, dict) else item
    low, high = (_bound(source.get(end), item.get("unit"), condition) for end in ("from", "to"))
    return low, high


def _bound(bound: Json, unit: Json, condition: str) -> tuple[Json, Json]:
    if isinstance(bound, dict):
        unit = unit if is_unset(bound.get("unit")) else bound["unit"]
        bound = bound.get("value")
    if isinstance(bound, list | dict):
        raise SiftError(f"The condition {condition} needs from and to")
    return bound, unit
