"""Accumulators of an aggregate pipeline: what `$group` makes of the values of a group.

The same names are expressions over the items of a list (`{$sum: "$data.Scores"}` in `$project`). Semantics
of the mingo library (reference: fliplet.md §3.6): text is never taken for a number, an average of nothing
is 0. Null and missing values are passed over; a smallest or largest of nothing else is null.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final

from flatdata.query.documents import key_of, order_of
from flatdata.query.javascript import as_float, is_nan, is_number
from flatdata.query.tree import ABSENT, Absent, Json

Values = list[Json | Absent]

SAFE_INTEGER: Final = 2**53
"""Up to here an integer and the double that JavaScript has for it are the same."""


def normal(number: int | float) -> int | float:
    """Give a result as JavaScript would hold it: a double, written as an integer where it is one."""
    if isinstance(number, int):
        return number if abs(number) <= SAFE_INTEGER else as_float(number)
    return int(number) if number.is_integer() and abs(number) <= SAFE_INTEGER else number


def _numbers(values: Values) -> list[int | float]:
    return [normal(value) for value in values if is_number(value) and not is_nan(value)]


def _total(numbers: list[int | float]) -> int | float:
    total: int | float = 0
    if sum(map(abs, numbers)) <= SAFE_INTEGER:
        # No sum on the way is large enough to be held otherwise. Not `sum`, which rounds in a way of its own.
        for number in numbers:
            total += number
        return normal(total)
    for number in numbers:
        total = normal(total + number)
    return total


def _sum(values: Values) -> Json:
    return _total(_numbers(values))


def _average(values: Values) -> Json:
    numbers = _numbers(values)
    return normal(as_float(_total(numbers)) / (len(numbers) or 1))


def _known(values: Values) -> Iterator[Json]:
    return (value for value in values if value is not None and value is not ABSENT)


def _smallest(values: Values) -> Json:
    return min(_known(values), key=order_of, default=None)


def _largest(values: Values) -> Json:
    return max(_known(values), key=order_of, default=None)


def _first(values: Values) -> Json | Absent:
    return values[0] if values else ABSENT


def _last(values: Values) -> Json | Absent:
    return values[-1] if values else ABSENT


def _all(values: Values) -> Json:
    return [None if value is ABSENT else value for value in values]


def _unique(values: Values) -> Json:
    unique: dict[Hashable, Json] = {}
    for value in values:
        unique.setdefault(key_of(value), None if value is ABSENT else value)
    return list(unique.values())


ACCUMULATORS: Final[dict[str, Callable[[Values], Json | Absent]]] = {
    "$sum": _sum,
    "$avg": _average,
    "$min": _smallest,
    "$max": _largest,
    "$first": _first,
    "$last": _last,
    "$push": _all,
    "$addToSet": _unique,
    "$count": len,
}
"""What each makes of the values of a group, in the order of the group."""

LIST_ACCUMULATORS: Final = ("$sum", "$avg", "$min", "$max", "$first", "$last")
"""Those that are expressions over a list as well."""
