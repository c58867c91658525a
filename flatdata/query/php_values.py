"""Values as PHP sees them: numeric texts, casts, and the comparisons `==`, `===` and `<=>` of PHP 8.

Rules: reference/flextype §2.2, §2.3. PHP 8 throughout: an int and a text that is no number compare as
texts. One deliberate difference: integers have any size and are compared exactly, where PHP goes through
doubles. PHP knows one kind of array: a list is a map with the keys "0", "1", ...
"""

from __future__ import annotations

import re
from typing import Final

from flatdata.query.tree import Absent, Json

_MAX_DIGITS: Final = 400
_HUGE: Final = 10**_MAX_DIGITS
_NUMERIC: Final = re.compile(
    r"[ \t\n\r\v\f]*(?:(?P<whole>[+-]?[0-9]+)|[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"[ \t\n\r\v\f]*"
)

_NUMBER_STARTS: Final = frozenset(" \t\n\r\v\f+-.0123456789")


def number_of(text: str) -> int | float | None:
    """The number a text reads as: decimal, with sign, fraction, exponent and blanks around it, or None.

    Whole numbers stay exact up to 400 digits; what is too large for a float is an infinity.
    """
    if text[:1] not in _NUMBER_STARTS or (found := _NUMERIC.fullmatch(text)) is None:
        return None
    whole = found["whole"]
    return int(whole) if whole is not None and len(whole) <= _MAX_DIGITS else float(text)


def is_number(value: Json | Absent) -> bool:
    """Whether a value is an int or a float, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def numeric(value: Json | Absent) -> int | float | None:
    """The number that a number or a numeric text stands for; None for anything else, booleans too."""
    if isinstance(value, str):
        return number_of(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_of(value: Json | Absent) -> str:
    """What PHP's `(string)` makes of a value: 14 digits of a float, `Array` for lists and maps."""
    if isinstance(value, str):
        return value
    if value is None or value is False or isinstance(value, Absent):
        return ""
    if value is True:
        return "1"
    if isinstance(value, int):
        return str(value) if -_HUGE < value < _HUGE else "INF" if value > 0 else "-INF"
    return _float_text(value) if isinstance(value, float) else "Array"


def _float_text(value: float) -> str:
    mantissa, scientific, exponent = f"{value:.14G}".partition("E")
    if not scientific:
        return mantissa
    return f"{mantissa}{'' if '.' in mantissa else '.0'}E{int(exponent):+d}"


def truth(value: Json | Absent) -> bool:
    """PHP's `(bool)`: false are null, false, 0, "", "0" and what is empty."""
    return value != "0" if isinstance(value, str) and value else bool(value)


def members(value: Json) -> list[Json]:
    """The values of PHP's `(array)`: those of a list or map, else the value alone; none for null."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _mapping(array: list[Json] | dict[str, Json]) -> dict[str, Json]:
    return array if isinstance(array, dict) else {str(i): item for i, item in enumerate(array)}


# --- comparison -------------------------------------------------------------------------------------


def loose_compare(left: Json, right: Json) -> int:
    """PHP's `left <=> right`: -1, 0 or 1. Arrays that cannot be compared give 1 either way round."""
    if isinstance(left, str) and right is None:
        return 1 if left else 0
    if isinstance(right, str) and left is None:
        return -1 if right else 0
    if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
        return truth(left) - truth(right)
    left_array, right_array = isinstance(left, list | dict), isinstance(right, list | dict)
    if left_array and right_array:
        return _compare_arrays(_mapping(left), _mapping(right))
    if left_array or right_array:
        return 1 if left_array else -1
    a, b = numeric(left), numeric(right)
    if a is None or b is None:
        left_text, right_text = text_of(left), text_of(right)
        return (left_text > right_text) - (left_text < right_text)
    return (a > b) - (a < b)


def _compare_arrays(left: dict[str, Json], right: dict[str, Json]) -> int:
    if len(left) != len(right):
        return 1 if len(left) > len(right) else -1
    for key, value in left.items():
        if key not in right:
            return 1
        if difference := loose_compare(value, right[key]):
            return difference
    return 0


def loose_equal(left: Json, right: Json) -> bool:
    """PHP's `left == right`."""
    return loose_compare(left, right) == 0


def identical(left: Json, right: Json) -> bool:
    """PHP's `left === right`: the same type and value; arrays with the same keys in the same order."""
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        ours, theirs = _mapping(left), _mapping(right)
        return list(ours) == list(theirs) and all(identical(ours[key], theirs[key]) for key in ours)
    return type(left) is type(right) and bool(left == right)


def documented_equal(value: Json, operand: Json) -> bool:
    """Equality as the documentation's examples need it: `year eq 2020` finds `year: 2020`.

    A text that reads as a number equals a number in the file, `true` and `false` equal booleans, and
    1 equals 1.0; everything else is exact.
    """
    if isinstance(operand, str):
        if isinstance(value, bool):
            return operand == ("true" if value else "false")
        if isinstance(value, int | float):
            return number_of(operand) == value
        return isinstance(value, str) and value == operand
    if is_number(value) and is_number(operand):
        return bool(value == operand)
    return identical(value, operand)
