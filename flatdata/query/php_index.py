"""What an index keeps of a field for PHP's comparisons: keys, kinds and orders, shared by the operators."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from flatdata.query.php_values import is_number, number_of, numeric, text_of
from flatdata.query.tree import (
    Absent,
    AllHints,
    Hint,
    Json,
    Keyed,
    KeyIndex,
    NoHint,
    OrderIndex,
)

BOOLEANS: Final[Mapping[bool, Hashable]] = {True: ("boolean", True), False: ("boolean", False)}
ARRAYS: Final = ("list", "map")


def exact_keys(value: Json | Absent) -> tuple[Hashable, ...]:
    """The key of a scalar in `EXACT`; none for anything else."""
    if isinstance(value, bool):
        return (BOOLEANS[value],)
    return (value,) if isinstance(value, str | int | float) else ()


def _kind_keys(value: Json | Absent) -> tuple[Hashable, ...]:
    kind = _KINDS.get(type(value))
    return () if kind is None else (kind,)


def _numeric_keys(value: Json | Absent) -> tuple[Hashable, ...]:
    number = numeric(value)
    return () if number is None else (number,)


def _text_key(value: Json | Absent) -> str | None:
    return text_of(value) if isinstance(value, str) or is_number(value) else None


def _sort_key(value: Json | Absent) -> tuple[int, Any]:
    if isinstance(value, int) and not isinstance(value, bool):
        return (2, value)
    text = text_of(value).lower()
    if not text:
        return (0, 0)
    number = number_of(text)
    if number is not None:
        return (2, number)
    return (1 if text < "0" else 3, text)


_KINDS: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    dict: "map",
}
EXACT: Final = KeyIndex("php.exact", exact_keys)
"""Scalars by value: 1 and 1.0 are one key; 1, "1" and true are three."""
KIND: Final = KeyIndex("php.kind", _kind_keys)
"""What a value is: boolean, number, text, list or map. Absent and null have no kind."""
NUMERIC: Final = KeyIndex("php.numeric", _numeric_keys)
"""Numbers and numeric texts, by the number: 1, 1.0 and "1" are one key."""
NUMBERS: Final = OrderIndex("php.numbers", numeric)
"""Numbers and numeric texts, by number."""
TEXTS: Final = OrderIndex("php.texts", _text_key)
"""Texts, and numbers as PHP writes them, by code point (which is the order of their UTF-8 bytes)."""
SORT: Final = OrderIndex("php.sort", _sort_key)
"""The order of `sort_by`: each value as lower-cased text, numeric texts by number, others by bytes.

PHP compares pair by pair (both numeric: as numbers, else as texts), which is no order over a mixture:
"9" < "10", "10" < "1a", but "1a" < "9". This one agrees with PHP where all values are numeric and where
none is. In a mixture come: absent, null, false and ""; texts that sort before "0"; numbers; other texts.
"""

# Every present value, exactly and as mere candidates; every text likewise.
PRESENT: Final = Keyed(KIND, tuple(dict.fromkeys(_KINDS.values())))
SOMETHING: Final = Keyed(KIND, PRESENT.keys, exact=False)
ANY_TEXT: Final = Keyed(KIND, ("text",))
SOME_TEXT: Final = Keyed(KIND, ("text",), exact=False)


def negated(hint: Callable[[Any], Hint]) -> Callable[[Any], Hint]:
    """The hint of the opposite operator: what has a value and is not among the matching ones."""

    return lambda operand: AllHints((PRESENT, NoHint(hint(operand))))
