"""Texts read as times, as PHP's `strtotime` reads them (reference/flextype §2.2, §2.3, §4, §5).

What the text leaves out comes from now, except that a date without a time means midnight. Days and months
roll over: 30 February is 1 March, and a month after 31 January is 2 or 3 March. Hours, minutes and seconds
are added after the time zone has been applied, so they are elapsed time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from flatdata.dialects.flextype.calendar_days import calendar_date, day_number
from flatdata.dialects.flextype.time_text import Parts, read_parts
from flatdata.query.php_dates import Calendar

MAX_TEXT: Final = 200
"""Characters; a longer text reads as no time."""
_LIMIT: Final = 2**63
_EPOCH: Final = datetime(1970, 1, 1)


def _utc_offset(seconds: int, zone: tzinfo, local: bool) -> int:
    """Seconds east of Greenwich, at a local time or at a Unix time; far years count as 2 and 9998."""
    low, high = day_number(2, 1, 1) * 86400, day_number(9998, 1, 1) * 86400
    moment = _EPOCH + timedelta(seconds=min(max(seconds, low), high))
    placed = moment.replace(tzinfo=zone) if local else moment.replace(tzinfo=UTC).astimezone(zone)
    return int((placed.utcoffset() or timedelta()).total_seconds())


def _weekday_step(parts: Parts, number: int) -> int:
    """Days from day `number` to the weekday asked for."""
    wanted, current = parts.weekday or 0, (number + 4) % 7
    if parts.weekday_rule == 2:
        if current == 0 and wanted != 0:
            wanted -= 7
        if wanted == 0 and current != 0:
            wanted = 7
        return wanted - current
    if wanted < 0:
        return -wanted - current - 7
    step = wanted - current
    backwards = (parts.plus or {}).get("day", 0) < 0
    if (backwards and step < 0) or (not backwards and step <= -parts.weekday_rule):
        step += 7
    return step


def _resolve(parts: Parts, now: int, zone: tzinfo) -> int | None:
    local_now = now + _utc_offset(now, zone, local=False)
    days_now, rest = divmod(local_now, 86400)
    this_year, this_month, today = calendar_date(days_now)
    year = this_year if parts.year is None else parts.year
    month = this_month if parts.month is None else parts.month
    day = today if parts.day is None else parts.day
    clock = _clock(parts, rest)
    plus = dict(parts.plus or {})
    if parts.of_month:
        day, month = 1, month + plus.pop("month", 0) + (parts.of_month == "last")
    if parts.edge:
        day, month = (1, month) if parts.edge == "first" else (0, month + 1)
    number = day_number(year, month, day)
    if parts.weekday is not None:
        number += _weekday_step(parts, number)
    year, month, day = calendar_date(number)
    year, month = year + plus.get("year", 0), month + plus.get("month", 0)
    day += plus.get("day", 0)
    if parts.edge:
        day, month = (1, month) if parts.edge == "first" else (0, month + 1)
    seconds = day_number(year, month, day) * 86400 + clock
    found = zone if parts.zone is None else parts.zone
    offset = found if isinstance(found, int) else _utc_offset(seconds, found, local=True)
    seconds += plus.get("hour", 0) * 3600 + plus.get("minute", 0) * 60 + plus.get("second", 0) - offset
    return seconds if -_LIMIT <= seconds < _LIMIT else None


def _clock(parts: Parts, now: int) -> int:
    """Seconds since midnight: given, or midnight of a date, or now's."""
    if parts.hour is not None:
        return parts.hour * 3600 + (parts.minute or 0) * 60 + (parts.second or 0)
    return 0 if parts.has_date else now


def _known(text: str) -> Parts | None:
    stripped = text.strip(" \t\n\r\v\f") if len(text) <= MAX_TEXT else ""
    return read_parts(stripped) if stripped else None


def strtotime(text: str, now: int, zone: tzinfo) -> int | None:
    """The Unix time, in whole seconds, that a text names; None where PHP's `strtotime` gives false.

    Args:
        now: Unix time from which relative texts count and from which what is left out is taken.
        zone: what the text is read in unless it names a zone itself.
    """
    parts = _known(text)
    return None if parts is None else _resolve(parts, now, zone)


def moves(text: str) -> bool:
    """Whether the time a text names depends on now. False for a text that names none."""
    parts = _known(text)
    return parts is not None and not parts.fixed


def calendar(now: int, zone: tzinfo) -> Calendar:
    """What `newer` and `older` compare texts by, at a Unix time and in a time zone."""
    return Calendar(str(zone), now, lambda text, at: strtotime(text, at, zone), moves)
