"""Dates as `new Date(text)` reads them in Node, with UTC as the local time.

Two grammars: the ISO form of the language's standard, and the lenient one that Node falls back to
(`3/20/2018 4:05 pm`, `20 March 2018`, `12-25-2018 UTC+2`), in which month-first is the order of numbers,
words before the first number are ignored, and anything odd after it makes the text no date at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

DAY: Final = 86_400_000
"""Milliseconds of a day."""

LIMIT: Final = 100_000_000 * DAY
"""Milliseconds on either side of 1970 beyond which there are no dates."""
MAX_TEXT: Final = 1_000
"""Characters beyond which a text is not read for a date."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DAYS_OF_400_YEARS: Final = 146_097

_ISO: Final = re.compile(
    r"([+-][0-9]{6}|[0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?"
    r"(?:[Tt]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)

_TOKEN: Final = re.compile(
    r"(?P<number>[0-9]+)|(?P<word>[^\W\d_]+|[_\[\]^`{|}~\\]+)|(?P<space>\s+)|(?P<sign>.)", re.S
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONES: Final = {
    "ut": 0, "utc": 0, "z": 0, "gmt": 0,
    "edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class JsDate:
    """A moment: `ms` since 1970 in UTC, and whether the text named its zone (else UTC was assumed)."""

    ms: int
    zoned: bool


def parse_date(text: str) -> JsDate | None:
    """Read `text` as Node does, or give None where Node gives an invalid date."""
    usual = _usual(text)
    if usual is not None:
        return usual
    if len(text) > MAX_TEXT:
        return None
    iso = _ISO.match(text)
    if iso and iso.end() == len(text):
        found = _from_iso(iso)
        if found is not _NOT_ISO:
            return found
    if iso and iso[3] and not iso[4] and text.startswith("-", iso.end()) and _from_iso(iso) is not _NOT_ISO:
        return None
    return _Lenient(text).parse()


def _usual(text: str) -> JsDate | None:
    """Read what `toISOString` writes, the form of most stored dates, without the grammars."""
    if len(text) != 24 or text[4] != "-" or text[10] != "T" or text[19] != "." or text[23] != "Z":
        return None
    try:
        return JsDate((datetime.fromisoformat(text) - _START) // _MILLISECOND, True)
    except ValueError:
        return None


def days_since_epoch(year: int, month: int, day: int) -> int:
    """Give the number of days from 1970-01-01 to a proleptic Gregorian date of any year.

    `day` may exceed its month: 30 February is 2 (or 1) March.
    """
    cycles, year_of_cycle = divmod(year, 400)
    return (
        date(2000 + year_of_cycle, month, 1).toordinal()
        - _EPOCH
        + day
        - 1
        + (cycles - 5) * _DAYS_OF_400_YEARS
    )


_NOT_ISO: Final = JsDate(0, False)


def _from_iso(match: re.Match[str]) -> JsDate | None:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if year == "-000000" or not (1 <= int(month or 1) <= 12 and 1 <= int(day or 1) <= 31):
        return _NOT_ISO
    offset, zoned = _zone_minutes(zone), zone is not None or hour is None
    if offset is None:
        return None
    clock = _clock(int(hour or 0), int(minute or 0), int(second or 0), _milliseconds(fraction or "0"))
    return _moment((int(year), int(month or 1), int(day or 1)), clock, offset, zoned and hour is not None)


def _zone_minutes(zone: str | None) -> int | None:
    """Give the minutes east of UTC, None for an impossible zone."""
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def _milliseconds(digits: str) -> int:
    return int(digits[:3].ljust(3, "0"))


def _clock(hour: int, minute: int, second: int, ms: int) -> int | None:
    """Give the milliseconds since midnight, None for an impossible time; 24:00 is allowed."""
    if hour == 24 and not (minute or second or ms):
        return DAY
    if hour > 23 or minute > 59 or second > 59:
        return None
    return ((hour * 60 + minute) * 60 + second) * 1000 + ms


def _moment(day: tuple[int, int, int], clock: int | None, offset: int, zoned: bool) -> JsDate | None:
    if clock is None:
        return None
    ms = days_since_epoch(*day) * DAY + clock - offset * 60_000
    return JsDate(ms, zoned) if abs(ms) <= LIMIT else None


class _NoDate(Exception):
    """The text is no date."""


@dataclass(slots=True)
class _Lenient:
    """One reading of a text by the lenient grammar, token by token."""

    text: str
    tokens: list[tuple[str, str]] = field(default_factory=list)
    position: int = 0
    numbers: list[int] = field(default_factory=list)
    named_month: int | None = None
    clock: list[int] = field(default_factory=list)
    clock_done: bool = False
    afternoon: int | None = None
    zone_sign: int = 0
    zone_hours: int | None = None
    zone_minutes: int | None = None
    seen_number: bool = False

    def parse(self) -> JsDate | None:
        self.tokens = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(self.text)]
        readers: dict[str, Callable[[str], None]] = {
            "number": self._number,
            "word": self._word,
            "sign": self._sign,
        }
        try:
            while self.position < len(self.tokens):
                kind, token = self.tokens[self.position]
                self.position += 1
                if kind in readers:
                    readers[kind](token)
            return self._result()
        except _NoDate:
            return None

    # --- tokens -----------------------------------------------------------------------------------

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "")

    def _skip(self, sign: str) -> bool:
        if self._peek() == ("sign", sign):
            self.position += 1
            return True
        return False

    def _number(self, digits: str) -> None:
        self.seen_number = True
        value = int(digits.lstrip("0")[:9] or "0")
        if self._skip(":"):
            self._clock_part(value)
        elif self._skip(".") and self._continues_clock(value):
            self.clock.append(value)
            kind, fraction = self._peek()
            if kind != "number":
                raise _NoDate
            self.position += 1
            self.clock = [*[*self.clock, 0, 0][:3], _milliseconds(fraction)]
            self.clock_done = True
        elif self.zone_hours is not None and self.zone_minutes is None and value < 60:
            self.zone_minutes = value
        elif self._continues_clock(value):
            self.clock.append(value)
            self.clock_done = True
            kind, token = self._peek()
            if kind not in ("end", "space") and token.lower() not in ("z", "+", "-"):
                raise _NoDate
        else:
            if len(self.numbers) == 3:
                raise _NoDate
            self.numbers.append(value)
            self._skip("-")

    def _clock_part(self, value: int) -> None:
        """Take a number before a colon; two colons stand for `:00:`."""
        if self._skip(":"):
            if self.clock:
                raise _NoDate
            self.clock += [value, 0]
            return
        if self.clock_done or len(self.clock) == 4:
            raise _NoDate
        self.clock.append(value)
        self._skip(".")

    def _continues_clock(self, value: int) -> bool:
        return (
            not self.clock_done
            and len(self.clock) in (1, 2, 3)
            and value < (60, 60, 1000)[len(self.clock) - 1]
        )

    def _word(self, word: str) -> None:
        lowered = word.lower()
        if lowered in ("am", "pm") and self.clock:
            self.afternoon = 12 if lowered == "pm" else 0
        elif lowered[:3] in _MONTHS:
            self.named_month = _MONTHS.index(lowered[:3]) + 1
            self._skip("-")
        elif lowered in _ZONES and self.seen_number:
            hours = _ZONES[lowered]
            self.zone_sign, self.zone_hours, self.zone_minutes = (-1 if hours < 0 else 1), abs(hours), 0
        elif self.seen_number or self._peek()[0] == "number":
            raise _NoDate

    def _sign(self, sign: str) -> None:
        in_utc = self.zone_hours == 0 and self.zone_minutes == 0
        if sign in "+-" and (in_utc or self.clock):
            self._offset(-1 if sign == "-" else 1)
        elif sign in "+-)" and self.seen_number:
            raise _NoDate
        elif sign == "(":
            self._skip_parentheses()

    def _offset(self, sign: int) -> None:
        self.zone_sign, digits = sign, ""
        if self._peek()[0] == "number":
            digits = self._peek()[1]
            self.position += 1
        self.seen_number = True
        value = int(digits[:9] or "0")
        if self._peek() == ("sign", ":"):
            self.zone_hours, self.zone_minutes = value, None
        elif len(digits) in (1, 2):
            self.zone_hours, self.zone_minutes = value, 0
        elif len(digits) in (3, 4):
            self.zone_hours, self.zone_minutes = divmod(value, 100)
        else:
            raise _NoDate

    def _skip_parentheses(self) -> None:
        depth = 1
        while depth and self.position < len(self.tokens):
            token = self.tokens[self.position]
            depth += {("sign", "("): 1, ("sign", ")"): -1}.get(token, 0)
            self.position += 1

    # --- the result ---------------------------------------------------------------------------------

    def _result(self) -> JsDate | None:
        clock = [*self.clock, 0, 0, 0, 0][:4]
        if self.afternoon is not None:
            if clock[0] > 12:
                raise _NoDate
            clock[0] = clock[0] % 12 + self.afternoon
        offset = ((self.zone_hours or 0) * 60 + (self.zone_minutes or 0)) * self.zone_sign
        return _moment(self._day(), _clock(*clock), offset, self.zone_sign != 0)

    def _day(self) -> tuple[int, int, int]:
        """Tell year, month and day apart: month first, unless the first number can only be a year."""
        if not self.numbers:
            raise _NoDate
        first, second, third = [*self.numbers, 1, 1][:3]
        year_first = not 1 <= first <= 31
        if self.named_month is not None:
            month = self.named_month
            year, day = (first, second) if year_first else (second, first)
        elif year_first:
            year, month, day = first, second, third
        else:
            month, day, year = first, second, third
        if 0 <= year <= 49:
            year += 2000
        elif 50 <= year <= 99:
            year += 1900
        if not (1 <= month <= 12 and 1 <= day <= 31):
            raise _NoDate
        return year, month, day
