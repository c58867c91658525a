"""JavaScript's conversions and loose comparison, over JSON values.

The Fliplet dialect promises the answers of an engine written in JavaScript, whose `==`, `String()` and
`Number()` decide what a filter finds (reference: fliplet.md §3.2). These are those rules for JSON values;
`ABSENT` stands for `undefined`. Numbers are kept exact where Python can, so that two integers beyond 2**53
are equal only when they are the same: the one place where JavaScript would say otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, TypeGuard

from flatdata.query.tree import ABSENT, Absent, Json

WHITESPACE: Final = (
    "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript trims from both ends of a string before it reads a number."""

OBJECT_TEXT: Final = "[object Object]"
NAN: Final = math.nan

_DECIMAL: Final = r"[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
_NUMBER: Final = re.compile(_DECIMAL)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,300}")
_RADIX: Final = re.compile(r"0(?:[xX]([0-9a-fA-F]+)|[oO]([0-7]+)|[bB]([01]+))")
_NUMBER_STARTS: Final = frozenset("0123456789+-.I")
_INFINITY: Final = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether `value` is a JSON number: booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_nan(number: int | float) -> bool:
    """Tell whether a number is NaN; integers of any size are not."""
    return number != number


def number_text(number: int | float) -> str:
    """Give a number as JavaScript prints it: `1` for 1.0, `1e+21`, `NaN`."""
    if isinstance(number, int):
        if abs(number) < 10**21:
            return str(number)
        number = as_float(number)
    if is_nan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    if 1e-6 <= abs(number) < 1e21:
        return _without_trailing_zeros(format(Decimal(repr(number)), "f"))
    mantissa, _, exponent = repr(number).partition("e")
    return f"{_without_trailing_zeros(mantissa)}e{int(exponent):+d}"


def _without_trailing_zeros(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def as_float(number: int | float) -> float:
    """Give the nearest double, infinite where the integer is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def text_of(value: Json | Absent) -> str:
    """Give `String(value)`: lists joined with commas at every depth, objects as `[object Object]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(_leaf_texts(value))
    return _scalar_text(value)


def _scalar_text(value: Json | Absent) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return "undefined" if value is ABSENT else OBJECT_TEXT


def _leaf_texts(items: list[Json]) -> Iterator[str]:
    """Yield what a list's join is made of, without recursion: stored lists may be nested deeply."""
    stack: list[Iterator[Json]] = [iter(items)]
    if not items:
        yield ""
    while stack:
        for item in stack[-1]:
            if isinstance(item, list) and item:
                stack.append(iter(item))
                break
            empty = item is None or item is ABSENT or item == []
            yield "" if empty else _scalar_text(item)
        else:
            stack.pop()


def number_of_text(text: str) -> int | float:
    """Give `Number(text)`: 0 for an empty string, NaN for what is no number."""
    text = text.strip(WHITESPACE)
    if not text:
        return 0
    if text[0] not in _NUMBER_STARTS:
        return NAN
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if text in _INFINITY:
        return _INFINITY[text]
    radix = _RADIX.fullmatch(text)
    if radix:
        return next(
            int(digits, base) for digits, base in zip(radix.groups(), (16, 8, 2), strict=True) if digits
        )
    return NAN


def number_of(value: Json | Absent) -> int | float:
    """Give `Number(value)`."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if value is None:
        return 0
    if isinstance(value, str):
        return number_of_text(value)
    return number_of_text(text_of(value)) if isinstance(value, list) else NAN


def leading_number(text: str) -> float:
    """Give `parseFloat(text)`: the number that a string begins with, NaN if it begins with none."""
    text = text.lstrip(WHITESPACE)
    if not text or text[0] not in _NUMBER_STARTS:
        return NAN
    found = _NUMBER.match(text)
    if found:
        return float(found.group())
    for word, number in _INFINITY.items():
        if text.startswith(word):
            return number
    return NAN


def loosely_equal(left: Json | Absent, right: Json | Absent) -> bool:
    """Give `left == right`. Two lists or objects are never equal: they are not the same object."""
    if _nullish(left) or _nullish(right):
        return _nullish(left) and _nullish(right)
    if isinstance(left, list | dict):
        if isinstance(right, list | dict):
            return False
        left = text_of(left)
    elif isinstance(right, list | dict):
        right = text_of(right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return number_of(left) == number_of(right)


def _nullish(value: Json | Absent) -> bool:
    return value is None or value is ABSENT


def truthy(value: Json | Absent) -> bool:
    """Tell whether `value` counts as true: empty lists and objects do."""
    if isinstance(value, list | dict):
        return True
    if isinstance(value, float) and is_nan(value):
        return False
    return bool(value)


def length_of(text: str) -> int:
    """Give `text.length`: characters beyond the basic plane count twice."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def own_property(value: Json | Absent, key: str) -> Json | Absent:
    """Give `value[key]` where it is the value's own: members, list items, characters, lengths."""
    if isinstance(value, dict):
        return value.get(key, ABSENT)
    if not isinstance(value, list | str):
        return ABSENT
    if key == "length":
        return length_of(value) if isinstance(value, str) else len(value)
    if not (key.isascii() and key.isdigit() and len(key) < 10 and str(int(key)) == key):
        return ABSENT
    position = int(key)
    return value[position] if position < len(value) else ABSENT


def deeply_equal(left: Json | Absent, right: Json | Absent) -> bool:
    """Tell whether two values are the same JSON: 1 equals 1.0, never `true`. Without recursion."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs += [(item, other[key]) for key, item in one.items()]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs += list(zip(one, other, strict=True))
        elif isinstance(one, bool) or isinstance(other, bool) or not (is_number(one) and is_number(other)):
            if type(one) is not type(other) or one != other:
                return False
        elif one != other:
            return False
    return True
