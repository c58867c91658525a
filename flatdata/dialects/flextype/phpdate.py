"""Dates written as PHP's `date()` writes them, for the setting `date_format` (default `d-m-Y H:i`)."""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def _suffix(day: int) -> str:
    return "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _offset(moment: datetime, separator: str) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{separator}{rest:02}"


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + _offset(moment, ":")


def _rfc2822(moment: datetime) -> str:
    day, month = _DAYS[moment.weekday()][:3], _MONTHS[moment.month - 1][:3]
    return f"{day}, {moment:%d} {month} {moment:%Y %H:%M:%S} {_offset(moment, '')}"


LETTERS: Final[Mapping[str, Callable[[datetime], str]]] = {
    "d": lambda t: f"{t.day:02}",
    "D": lambda t: _DAYS[t.weekday()][:3],
    "j": lambda t: str(t.day),
    "l": lambda t: _DAYS[t.weekday()],
    "N": lambda t: str(t.isoweekday()),
    "S": lambda t: _suffix(t.day),
    "w": lambda t: str(t.isoweekday() % 7),
    "z": lambda t: str(t.timetuple().tm_yday - 1),
    "W": lambda t: f"{t.isocalendar().week:02}",
    "F": lambda t: _MONTHS[t.month - 1],
    "m": lambda t: f"{t.month:02}",
    "M": lambda t: _MONTHS[t.month - 1][:3],
    "n": lambda t: str(t.month),
    "t": lambda t: str(monthrange(t.year, t.month)[1]),
    "L": lambda t: "1" if isleap(t.year) else "0",
    "o": lambda t: str(t.isocalendar().year),
    "Y": lambda t: f"{t.year:04}",
    "y": lambda t: f"{t.year % 100:02}",
    "a": lambda t: "am" if t.hour < 12 else "pm",
    "A": lambda t: "AM" if t.hour < 12 else "PM",
    "g": lambda t: str(t.hour % 12 or 12),
    "G": lambda t: str(t.hour),
    "h": lambda t: f"{t.hour % 12 or 12:02}",
    "H": lambda t: f"{t.hour:02}",
    "i": lambda t: f"{t.minute:02}",
    "s": lambda t: f"{t.second:02}",
    "u": lambda t: f"{t.microsecond:06}",
    "v": lambda t: f"{t.microsecond // 1000:03}",
    "e": lambda t: str(t.tzinfo or "UTC"),
    "I": lambda t: "1" if t.dst() else "0",
    "O": lambda t: _offset(t, ""),
    "P": lambda t: _offset(t, ":"),
    "T": lambda t: t.tzname() or "UTC",
    "Z": lambda t: str(int((t.utcoffset() or timedelta()).total_seconds())),
    "c": _iso,
    "r": _rfc2822,
    "U": lambda t: str(int(t.timestamp())),
}
"""Each letter of a format; other characters stand for themselves, and so does one after a backslash."""


def php_date(layout: str, moment: datetime) -> str:
    """Write `moment`, which must have a time zone, in `layout`."""
    out: list[str] = []
    escaped = False
    for letter in layout:
        if escaped or letter not in LETTERS:
            if letter == "\\" and not escaped:
                escaped = True
                continue
            out.append(letter)
        else:
            out.append(LETTERS[letter](moment))
        escaped = False
    return "".join(out)
