"""`newer` and `older`: texts compared as the times they name.

What texts name which times is the dialect's affair (Flextype's `strtotime`); it comes in as a `Calendar`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flatdata.query.php_index import SOME_TEXT
from flatdata.query.php_values import loose_compare
from flatdata.query.tree import (
    Absent,
    AnyHint,
    Hint,
    Json,
    Keyed,
    KeyIndex,
    Nothing,
    OrderIndex,
    Ranged,
)


def _later(value: Json, operand: Json) -> bool:
    return loose_compare(operand, value) < 0


def _earlier(value: Json, operand: Json) -> bool:
    return loose_compare(value, operand) < 0


@dataclass(frozen=True, slots=True)
class Calendar:
    """How texts are read as times, supplied by the dialect that knows their formats.

    Args:
        zone: names the time zone: calendars of one zone agree on all texts that do not move.
        now: Unix time from which relative texts count.
        read: gives the Unix time of a text at a given now, None where it reads as no time.
        moves: tells whether what a text reads as depends on now.
    """

    zone: str
    now: int
    read: Callable[[str, int], int | None] = field(compare=False, repr=False)
    moves: Callable[[str], bool] = field(compare=False, repr=False)

    def seconds(self, text: str) -> int | bool:
        """The Unix time of a text, or PHP's false."""
        found = self.read(text, self.now)
        return False if found is None else found

    def moment(self, text: str) -> Moment:
        """A text of the query, read once, as operand of `newer` and `older`."""
        return Moment(self.seconds(text), self)


@dataclass(frozen=True, slots=True)
class Moment:
    """The operand of `newer` and `older`; any other operand matches nothing."""

    seconds: int | bool
    calendar: Calendar


def newer(value: Json, operand: Any) -> bool:
    """Whether the text `value` names a later time than the `Moment`; no time counts as PHP's false."""
    return _dated(value, operand, _later)


def older(value: Json, operand: Any) -> bool:
    """Whether the text `value` names an earlier time than the `Moment`; no time counts as PHP's false."""
    return _dated(value, operand, _earlier)


def _dated(value: Json, operand: Any, test: Callable[[Json, Json], bool]) -> bool:
    if not isinstance(value, str) or not isinstance(operand, Moment):
        return False
    return test(operand.calendar.seconds(value), operand.seconds)


def _times(calendar: Calendar) -> tuple[OrderIndex, KeyIndex]:
    """The times of the texts that do not move, and the texts that move or read as no time."""

    def time(value: Json | Absent) -> int | None:
        return None if not isinstance(value, str) or calendar.moves(value) else calendar.read(value, 0)

    def other(value: Json | Absent) -> Iterable[Hashable]:
        if not isinstance(value, str):
            return ()
        if calendar.moves(value):
            return ("moving",)
        return ("timeless",) if calendar.read(value, 0) is None else ()

    return OrderIndex(f"php.times {calendar.zone}", time), KeyIndex(f"php.not-times {calendar.zone}", other)


def _dated_hint(test: Callable[[Json, Json], bool]) -> Callable[[Any], Hint]:
    def hint(operand: Any) -> Hint:
        if not isinstance(operand, Moment):
            return Nothing()
        seconds, upward = operand.seconds, test is _later
        if seconds is False:
            return SOME_TEXT if upward else Nothing()
        times, others = _times(operand.calendar)
        low, high = (seconds, None) if upward else (None, seconds)
        timeless = ("timeless",) if test(False, seconds) else ()
        return AnyHint(
            (
                Ranged(times, low, high, low_open=upward, high_open=not upward),
                Keyed(others, timeless),
                Keyed(others, ("moving",), exact=False),
            )
        )

    return hint


newer_hint = _dated_hint(_later)
older_hint = _dated_hint(_earlier)
