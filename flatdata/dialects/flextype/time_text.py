"""What a text says about a time: the formats that PHP's `strtotime` reads.

A text is a sequence of dates, times, zones and relative parts; at each place the longest format of
`FORMATS` wins, at equal length the earliest. Not read, where PHP reads them: counted weekdays
(`+3 weekdays`), `front of` and `back of`, units below a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from flatdata.dialects.flextype.calendar_days import day_number

_MONTH_NAMES: Final = [
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
]
_MONTHS: Final[Mapping[str, int]] = {
    **{name: i for i, month in enumerate(_MONTH_NAMES, 1) for name in (month, month[:3])},
    "sept": 9,
}
_ROMAN: Final = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_DAY_NAMES: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_WEEKDAYS: Final = {name: i for i, day in enumerate(_DAY_NAMES) for name in (day, day[:3])}
_UNITS: Final[Mapping[str, tuple[str, int]]] = {
    f"{name}{plural}": amount
    for names, amount in {
        "sec second": ("second", 1),
        "min minute": ("minute", 1),
        "hour": ("hour", 1),
        "day": ("day", 1),
        "week": ("day", 7),
        "fortnight forthnight": ("day", 14),
        "month": ("month", 1),
        "year": ("year", 1),
    }.items()
    for name in names.split()
    for plural in ("", "s")
}
_ORDINAL_NAMES: Final = [
    *("first", "second", "third", "fourth", "fifth", "sixth"),
    *("seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
]
_ORDINALS: Final[Mapping[str, int]] = {**{name: i for i, name in enumerate(_ORDINAL_NAMES, 1)}, "eight": 8}
_RELATIVES: Final[Mapping[str, int]] = {"next": 1, "last": -1, "previous": -1, "this": 0}
_HOURS_OF_ZONE: Final[Mapping[str, int]] = {
    **dict.fromkeys(("utc", "gmt", "wet", "z"), 0),
    **{letter: i for i, letter in enumerate("abcdefghiklm", 1)},
    **{letter: -i for i, letter in enumerate("nopqrstuvwxy", 1)},
    **{"west": 1, "bst": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3, "sast": 2, "msk": 3},
    **{"hkt": 8, "sgt": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13},
    **{"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7},
    **{"akst": -9, "akdt": -8, "hst": -10},
}


class _Unreadable(Exception):
    """The text names no time."""


@dataclass(slots=True)
class Parts:
    """What a text says. None stands for what it leaves out."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    has_date: bool = False
    has_time: bool = False
    zones: int = 0
    zone: int | tzinfo | None = None  # seconds east of Greenwich, or a zone with rules
    plus: dict[str, int] | None = None  # relative: amounts by unit
    weekday: int | None = None
    weekday_rule: int = 0  # 0: after the day itself; 1: the day itself counts; 2: in this week, from Monday
    of_month: str = ""  # "first", "last": a weekday counted within the month
    edge: str = ""  # "first", "last": that day of the month

    def add(self, unit: str, amount: int) -> None:
        """Take a relative part."""
        self.plus = self.plus or {}
        self.plus[unit] = self.plus.get(unit, 0) + amount

    def set_time(self, hour: int, minute: int = 0, second: int = 0) -> None:
        """Take a time of day."""
        self.hour, self.minute, self.second = hour, minute, second

    @property
    def fixed(self) -> bool:
        """Whether now adds nothing."""
        given = self.year is not None and self.month is not None and self.day is not None
        return given and (self.has_date or self.hour is not None)


_Found = re.Match[str]
_Read = Callable[[Parts, _Found], None]

# --- what each format says --------------------------------------------------------------------------


def _read_date(parts: Parts, found: _Found) -> None:
    if parts.has_date:
        raise _Unreadable
    parts.has_date = True
    given = found.groupdict()
    year, month, day = given.get("y"), given.get("m"), given.get("d")
    if year is not None:
        parts.year = _year(year)
    if month is not None:
        parts.month = _month(month)
    if day is not None:
        parts.day = int(day)
    elif year is not None:
        parts.day = 1


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) > 3 or year >= 100 else year + (2000 if year < 70 else 1900)


def _month(text: str) -> int:
    if text[0].isdigit():
        return int(text)
    return _ROMAN.index(text) + 1 if text in _ROMAN else _MONTHS[text.lower()]


def _read_time(parts: Parts, found: _Found) -> None:
    if parts.has_time:
        raise _Unreadable
    parts.has_time = True
    given = found.groupdict()
    hour = int(given["h"])
    half = (given.get("half") or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    parts.set_time(hour, int(given.get("i") or 0), int(given.get("s") or 0))


def _read_date_and_time(parts: Parts, found: _Found) -> None:
    _read_date(parts, found)
    _read_time(parts, found)


def _read_date_time_zone(parts: Parts, found: _Found) -> None:
    _read_date_and_time(parts, found)
    _read_zone(parts, found)


def _read_digits(parts: Parts, found: _Found) -> None:
    """Four digits: hour and minute, or a year when there is a time already."""
    if parts.has_time:
        parts.year = int(found[0].lstrip("tT"))
    else:
        _read_time(parts, found)


def _read_year(parts: Parts, found: _Found) -> None:
    parts.year = int(found[0])


def _read_day_of_year(parts: Parts, found: _Found) -> None:
    _read_date(parts, found)
    parts.month = 1


def _read_iso_week(parts: Parts, found: _Found) -> None:
    if parts.has_date:
        raise _Unreadable
    parts.has_date = True
    weekday = int(found["weekday"] or 1)
    parts.year, parts.month = int(found["y"]), 1
    new_year = (day_number(parts.year, 1, 1) + 4) % 7  # 0 is Sunday; week 1 holds the first Thursday
    sunday_before = 1 - new_year if new_year <= 4 else 8 - new_year
    parts.day = sunday_before + (int(found["week"]) - 1) * 7 + weekday


def _read_unix(parts: Parts, found: _Found) -> None:
    parts.year, parts.month, parts.day = 1970, 1, 1
    parts.set_time(0)
    parts.has_date = parts.has_time = False
    parts.add("second", int(found["n"]))
    parts.zones, parts.zone = parts.zones + 1, 0


def _read_word(parts: Parts, found: _Found) -> None:
    word = found[0].lower()
    if word == "now":
        return
    parts.has_time = word == "noon"
    parts.set_time(12 if word == "noon" else 0)
    if word in ("tomorrow", "yesterday"):
        parts.plus = {**(parts.plus or {}), "day": 1 if word == "tomorrow" else -1}


def _read_edge(parts: Parts, found: _Found) -> None:
    parts.edge = found["edge"].lower()


def _read_ago(parts: Parts, found: _Found) -> None:
    parts.plus = {unit: -amount for unit, amount in (parts.plus or {}).items()}
    if parts.weekday is not None:
        parts.weekday = -parts.weekday or -7


def _read_weekday(parts: Parts, found: _Found) -> None:
    parts.has_time = False
    parts.set_time(0)
    parts.weekday = _WEEKDAYS[found["unit"].lower()]
    parts.weekday_rule = 2 if parts.weekday_rule == 2 else 1


def _shift(parts: Parts, amount: int, unit: str, rule: int) -> None:
    """Take `amount` of a unit, or the amount-th weekday of a name."""
    if unit not in _WEEKDAYS:
        name, size = _UNITS[unit]
        parts.add(name, amount * size)
        return
    parts.has_time = False
    parts.set_time(0)
    parts.add("day", (amount - 1 if amount > 0 else amount) * 7)
    parts.weekday, parts.weekday_rule = _WEEKDAYS[unit], rule


def _read_count(parts: Parts, found: _Found) -> None:
    sign = -1 if found["sign"].count("-") % 2 else 1
    _shift(parts, sign * int(found["n"]), found["unit"].lower(), 1)


def _relative_word(found: _Found) -> tuple[int, int]:
    """The amount, and whether today counts."""
    word = found["word"].lower()
    return (_ORDINALS[word], 0) if word in _ORDINALS else (_RELATIVES[word], int(word == "this"))


def _read_relative(parts: Parts, found: _Found) -> None:
    amount, rule = _relative_word(found)
    _shift(parts, amount, found["unit"].lower(), rule)


def _read_week(parts: Parts, found: _Found) -> None:
    """`next week`: alone it is that week's Monday, beside a weekday that day of it."""
    parts.add("day", _relative_word(found)[0] * 7)
    parts.weekday_rule = 2
    if parts.weekday is None:
        parts.weekday = 1


def _read_weekday_of_month(parts: Parts, found: _Found) -> None:
    amount, rule = _relative_word(found)
    parts.of_month = "first" if amount > 0 else "last"
    _shift(parts, amount, found["unit"].lower(), 1 if amount > 0 else rule)


def _read_zone(parts: Parts, found: _Found) -> None:
    """The first zone counts, a second is passed over, as PHP does."""
    parts.zones += 1
    if parts.zones > 2:
        raise _Unreadable
    if parts.zones == 1:
        parts.zone = _zone(found["zone"].strip(" \t()"))


@lru_cache(maxsize=1024)
def _zone(text: str) -> int | tzinfo:
    sign = next((c for c in text if c in "+-"), "")
    if sign:
        return _offset(text.partition(sign)[2]) * (-1 if sign == "-" else 1)
    if text.lower() in _HOURS_OF_ZONE:
        return _HOURS_OF_ZONE[text.lower()] * 3600
    if text not in _zone_names():
        raise _Unreadable
    return ZoneInfo(text)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _offset(text: str) -> int:
    """`2`, `02`, `0200`, `200`, `2:00`, `02:00` as seconds."""
    hours, colon, minutes = text.partition(":")
    if not colon and len(text) > 2:
        hours, minutes = text[:-2], text[-2:]
    return int(hours) * 3600 + int(minutes or 0) * 60


# --- the formats ------------------------------------------------------------------------------------


def _any_of(*names: str) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_Y, _Y4 = r"(?P<y>[0-9]{1,4})", r"(?P<y>[0-9]{4})"
_M, _MM = r"(?P<m>1[0-2]|0?[0-9])", r"(?P<m>0[0-9]|1[0-2])"
_D, _DD = r"(?P<d>3[01]|[0-2]?[0-9])(?:st|nd|rd|th)?", r"(?P<d>0[0-9]|[1-2][0-9]|3[01])"
_NAME = rf"(?P<m>{_any_of(*_MONTHS)}|(?-i:{_any_of(*_ROMAN)}))"
_ABBR = rf"(?P<m>{_any_of(*(name for name in _MONTHS if len(name) < 5))})"
_H, _HH, _H12 = r"(?P<h>2[0-4]|[01]?[0-9])", r"(?P<h>[01][0-9]|2[0-4])", r"(?P<h>1[0-2]|0?[1-9])"
_I, _II = r"(?P<i>[0-5]?[0-9])", r"(?P<i>[0-5][0-9])"
_S, _SS = r"(?P<s>60|[0-5]?[0-9])", r"(?P<s>[0-5][0-9]|60)"
_TIME12 = rf"{_H12}(?:[:.]{_II}(?:[:.]{_SS})?)?[ \t]*(?P<half>[ap])\.?m\.?(?=[ \t]|\Z)"
_TIME24 = rf"t?{_H}[:.]{_I}(?:[:.]{_S}(?:\.[0-9]+)?)?"
_OFFSET = r"(?:GMT)?[+-](?:2[0-4]|[01]?[0-9]):?(?:[0-5]?[0-9])?"
_MONTH_DAY = rf"{_NAME}[ .\t-]*{_D}(?:[,.stndrh\t ]+|\Z)"
_WORD = rf"(?P<word>{_any_of(*_ORDINALS, *_RELATIVES)})[ \t]+"
_RELATIVE_WORD = rf"(?P<word>{_any_of(*_RELATIVES)})[ \t]+"
_DAY_NAME = rf"(?P<unit>{_any_of(*_WEEKDAYS)})"
_UNIT = rf"(?P<unit>{_any_of(*_UNITS, *_WEEKDAYS)})"
_WORD_UNIT = rf"(?P<unit>{_any_of(*(unit for unit in _UNITS if unit != 'week'), *_WEEKDAYS)})"

FORMATS: Final[tuple[tuple[str, str, _Read], ...]] = (
    # The classes of the characters it may begin with (0 digit, a letter, + other), its form, its reader.
    ("a", r"yesterday|now|noon|midnight|today|tomorrow", _read_word),
    ("+", r"@(?P<n>-?[0-9]{1,19})(?:\.[0-9]{1,6})?", _read_unix),
    ("a", r"(?P<edge>first|last) day of", _read_edge),
    ("a", rf"{_WORD}{_DAY_NAME}[ \t]+of", _read_weekday_of_month),
    ("0", _TIME12, _read_time),
    ("0a", _TIME24, _read_time),
    ("0a", rf"t?{_HH}{_II}", _read_digits),
    ("0a", rf"t?{_HH}{_II}{_SS}", _read_time),
    ("0", rf"{_M}/{_D}(?:/{_Y})?", _read_date),
    ("0+", rf"(?P<y>[+-]?[0-9]{{4,9}})-{_MM}-{_DD}", _read_date),
    ("0", rf"{_Y4}/{_MM}/{_DD}/?", _read_date),
    ("0", rf"{_Y4}/{_M}/{_D}", _read_date),
    ("0", rf"(?P<y>[0-9]{{2}})-{_MM}-{_DD}", _read_date),
    ("0", rf"{_Y4}-{_M}", _read_date),
    ("0", rf"{_Y}-{_M}-{_D}", _read_date),
    ("0", rf"{_D}[ \t.-]*{_NAME}[ \t.-]*{_Y}", _read_date),
    ("0", rf"{_D}[.\t-]{_M}[.-]{_Y4}", _read_date),
    ("0", rf"{_D}[.\t]{_M}\.(?P<y>[0-9]{{2}})", _read_date),
    ("a", rf"{_NAME}[ .\t-]*{_Y4}", _read_date),
    ("0", rf"{_Y4}[ .\t-]*{_NAME}", _read_date),
    ("a", rf"{_NAME}[ .\t-]*{_D}[,.stndrh\t ]+{_Y}", _read_date),
    ("a", _MONTH_DAY, _read_date),
    ("0", rf"{_D}[ .\t-]*{_NAME}", _read_date),
    ("0", rf"{_Y4}{_MM}{_DD}", _read_date),
    ("0", rf"{_Y4}:{_MM}:{_DD} {_HH}:{_II}:{_SS}", _read_date_and_time),
    ("0", rf"{_Y4}\.?(?P<d>00[1-9]|0[1-9][0-9]|[12][0-9][0-9]|3[0-5][0-9]|36[0-6])", _read_day_of_year),
    ("0", rf"{_Y4}-?(?-i:W)(?P<week>0[1-9]|[1-4][0-9]|5[0-3])(?:-?(?P<weekday>[0-7]))?", _read_iso_week),
    ("a", rf"{_ABBR}-{_DD}-{_Y}", _read_date),
    ("0", rf"{_Y}-{_ABBR}-{_DD}", _read_date),
    ("0", rf"{_D}/{_ABBR}/{_Y4}:{_HH}:{_II}:{_SS}[ \t]+(?P<zone>{_OFFSET})", _read_date_time_zone),
    ("0", r"[0-9]{4}", _read_year),
    ("a", r"ago", _read_ago),
    ("a", _DAY_NAME, _read_weekday),
    ("a", rf"{_RELATIVE_WORD}week", _read_week),
    ("a", rf"{_WORD}{_WORD_UNIT}", _read_relative),
    ("a", rf"(?P<m>{_any_of(*_MONTHS)})", _read_date),
    ("a+", rf"(?P<zone>{_OFFSET})", _read_zone),
    ("a+", r"(?P<zone>(?-i:[A-Z][a-z]+(?:[_/-][A-Za-z]+)+)|\(?[a-z]{1,6}\)?)", _read_zone),
    ("a", rf"{_MONTH_DAY}{_TIME12}", _read_date_and_time),
    ("a", rf"{_MONTH_DAY}{_TIME24}", _read_date_and_time),
    ("0+", rf"(?P<sign>[+-]*)[ \t]*(?P<n>[0-9]{{1,24}})[ \t]*{_UNIT}", _read_count),
)


@cache
def _compiled(start: str) -> list[tuple[re.Pattern[str], _Read]]:
    """The formats that may begin so; compiled when a text is first read, which takes 20 ms."""
    return [
        (re.compile(form, re.IGNORECASE | re.ASCII), read)
        for starts, form, read in FORMATS
        if start in starts
    ]


@lru_cache(maxsize=8192)
def read_parts(text: str) -> Parts | None:
    """What the text says, or None; shared by all callers, who must not change it."""
    parts, at = Parts(), 0
    try:
        while at < len(text):
            at = at + 1 if text[at] in " .,\t\n" else _read_one(text, at, parts)
    except _Unreadable:
        return None
    return parts


def _read_one(text: str, at: int, parts: Parts) -> int:
    """Read the longest format at a place; gives the place behind it."""
    first = text[at]
    start = "0" if "0" <= first <= "9" else "a" if first.isalpha() else "+"
    best: _Found | None = None
    for pattern, read in _compiled(start):
        found = pattern.match(text, at)
        if found is not None and (best is None or found.end() > best.end()):
            best, chosen = found, read
    if best is None:
        raise _Unreadable
    chosen(parts, best)
    return best.end()
