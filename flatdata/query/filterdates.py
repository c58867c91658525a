"""The date and time conditions of Fliplet's `$filters` (reference: fliplet.md §3.3).

A value is a date (`2024-01-31`), a time of day (`14:30`) or both. It stands for a span: the day, minute or
second that it names, or the `unit` around it. `dateis` holds for what lies in the span, `datebefore` and
`dateafter` for what lies outside on one side, `datebetween` from the first span's start to the second's end.
A cell without a zone is read as local; one with a zone is turned into local time, which is UTC unless the
item names a `timezone`. Weeks begin on Sunday.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flatdata.query.javascript import is_nan, is_number, number_of_text, text_of
from flatdata.query.jsdate import DAY, LIMIT, days_since_epoch, parse_date
from flatdata.query.siftvalues import Many, SiftError, bounds_of, is_unset, shaped, values_of
from flatdata.query.tree import (
    EVERYTHING,
    Absent,
    AnyHint,
    Condition,
    Everything,
    Field,
    Hint,
    Json,
    Node,
    Operator,
    OrderIndex,
    Ranged,
)

HOUR: Final = 3_600_000
MINUTE: Final = 60_000
SECOND: Final = 1_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,3}))?)?")
_SECONDS: Final = re.compile(r"[0-9]:[0-9]{2}:[0-9]{2}")

# --- spans around a moment, in milliseconds of local time ----------------------------------------------


def _fixed(length: int) -> Callable[[int], tuple[int, int]]:
    return lambda ms: (ms - ms % length, ms - ms % length + length)


def _week(ms: int) -> tuple[int, int]:
    day = ms // DAY
    start = day - (day + 4) % 7  # 1970-01-01 was a Thursday
    return start * DAY, (start + 7) * DAY


def _months(length: int) -> Callable[[int], tuple[int, int]]:
    def span(ms: int) -> tuple[int, int]:
        date = _EPOCH + timedelta(milliseconds=ms)
        first = date.year * 12 + (date.month - 1) // length * length
        return _month_start(first), _month_start(first + length)

    return span


def _month_start(months: int) -> int:
    return days_since_epoch(months // 12, months % 12 + 1, 1) * DAY


UNITS: Final[dict[str, Callable[[int], tuple[int, int]]]] = {
    "year": _months(12),
    "quarter": _months(3),
    "month": _months(1),
    "week": _week,
    "day": _fixed(DAY),
    "hour": _fixed(HOUR),
    "minute": _fixed(MINUTE),
    "second": _fixed(SECOND),
}
TIME_UNITS: Final = ("hour", "minute", "second")

# --- reading cells ---------------------------------------------------------------------------------------


def _time_of_day(text: str) -> int | None:
    found = _TIME.fullmatch(text.strip())
    if not found:
        return None
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return hour * HOUR + minute * MINUTE + second * SECOND + int((found[4] or "0").ljust(3, "0"))


def _local(ms: int, zone: ZoneInfo | None) -> int | None:
    """Turn milliseconds in UTC into those of the zone's clock; None beyond the years of calendars."""
    if zone is None:
        return ms
    try:
        moment = _EPOCH + timedelta(milliseconds=ms)
        offset = moment.astimezone(zone).utcoffset() or timedelta()
    except (OverflowError, ValueError):
        return None
    return ms + offset // timedelta(milliseconds=1)


def _moment(cell: Json | Absent | Many, zone: ZoneInfo | None) -> int | None:
    """Give the local milliseconds of a cell with a date, else None. Numbers are Unix milliseconds."""
    if is_number(cell):
        return _local(int(cell), zone) if -LIMIT <= cell <= LIMIT else None
    if not isinstance(cell, str) or not is_nan(number_of_text(cell)):
        return None
    date = parse_date(cell.strip())
    if date is None:
        return None
    return _local(date.ms, zone if date.zoned else None)


def _clock(cell: Json | Absent | Many, zone: ZoneInfo | None) -> int | None:
    """Give the milliseconds since midnight of a cell with a time of day, None for any other."""
    if isinstance(cell, str):
        time = _time_of_day(cell)
        if time is not None or ":" not in cell:
            return time
    moment = _moment(cell, zone)
    return None if moment is None else moment % DAY


MOMENTS: Final = OrderIndex("filters moment", lambda cell: _moment(cell, None))
CLOCKS: Final = OrderIndex("filters clock", lambda cell: _clock(cell, None))

# --- conditions --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to before `high`, local milliseconds of moments or, with `clock`, since midnight."""

    low: int | None
    high: int | None
    clock: bool
    zone: ZoneInfo | None


def _lies_in(value: Json | Absent | Many, span: Span) -> bool:
    read = _clock if span.clock else _moment
    for cell in values_of(value):
        ms = read(cell, span.zone)
        if ms is not None and (span.low is None or span.low <= ms) and (span.high is None or ms < span.high):
            return True
    return False


def _span_hint(span: Span) -> Hint:
    if span.zone is not None:
        return Everything()
    index = CLOCKS if span.clock else MOMENTS
    return AnyHint((Ranged(index, low=span.low, high=span.high, high_open=True), shaped("many")))


LIES_IN: Final = Operator("filter date", _lies_in, _span_hint)


@dataclass(frozen=True, slots=True)
class _Value:
    """The span that a value stands for."""

    low: int
    high: int
    clock: bool


def _zone(item: dict[str, Json]) -> ZoneInfo | None:
    name = item.get("timezone")
    if is_unset(name) or name == "UTC":
        return None
    try:
        return ZoneInfo(text_of(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SiftError("Unknown timezone in $filters") from error


def _read(value: Json, unit: Json, zone: ZoneInfo | None, condition: str) -> _Value:
    wanted = None if is_unset(unit) else text_of(unit).lower().removesuffix("s")
    if wanted is not None and wanted not in UNITS:
        raise SiftError(f"Unknown unit in $filters; known are {' '.join(UNITS)}")
    text = text_of(value)
    named = "second" if is_number(value) or _SECONDS.search(text) else "minute" if ":" in text else "day"
    time = _time_of_day(text)
    if time is not None:
        low, high = UNITS[wanted if wanted in TIME_UNITS else named](time)
        return _Value(low, high, clock=True)
    moment = _moment(value, zone)
    if moment is None:
        raise SiftError(f"The condition {condition} needs a date")
    try:
        low, high = UNITS[wanted or named](moment)
    except (OverflowError, ValueError) as error:
        raise SiftError(f"The condition {condition} needs a date") from error
    return _Value(low, high, clock=False)


def _single(condition: str, limits: Callable[[_Value], tuple[int | None, int | None]]) -> Callable[..., Node]:
    def build(field: Field, item: dict[str, Json]) -> Node:
        if is_unset(item.get("value")):
            return EVERYTHING
        zone = _zone(item)
        value = _read(item["value"], item.get("unit"), zone, condition)
        return Condition(field, LIES_IN, Span(*limits(value), value.clock, zone))

    return build


def _between(field: Field, item: dict[str, Json]) -> Node:
    zone = _zone(item)
    read = [
        None if is_unset(value) else _read(value, unit, zone, "datebetween")
        for value, unit in bounds_of(item, "datebetween")
    ]
    known = [value for value in read if value is not None]
    if not known:
        return EVERYTHING
    if len({value.clock for value in known}) > 1:
        raise SiftError("The condition datebetween needs two dates or two times")
    low, high = (read[0].low if read[0] else None), (read[1].high if read[1] else None)
    return Condition(field, LIES_IN, Span(low, high, known[0].clock, zone))


DATE_CONDITIONS: Final[dict[str, Callable[[Field, dict[str, Json]], Node]]] = {
    "dateis": _single("dateis", lambda value: (value.low, value.high)),
    "datebefore": _single("datebefore", lambda value: (None, value.low)),
    "dateafter": _single("dateafter", lambda value: (value.high, None)),
    "datebetween": _between,
}
