"""Days of the Gregorian calendar in any year, numbered from 1970-01-01 as day 0."""

from __future__ import annotations

from datetime import date
from typing import Final

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_ERA_START: Final = date(2000, 1, 1).toordinal()
_ERA_YEARS, _ERA_DAYS = 400, 146_097


def day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of any year, month and day, which may be out of range."""
    years, month = divmod(month - 1, 12)
    eras, year = divmod(year + years - 2000, _ERA_YEARS)
    return date(2000 + year, month + 1, 1).toordinal() - _EPOCH_DAY + eras * _ERA_DAYS + day - 1


def calendar_date(number: int) -> tuple[int, int, int]:
    """Year, month and day of a day number."""
    eras, rest = divmod(number + _EPOCH_DAY - _ERA_START, _ERA_DAYS)
    found = date.fromordinal(_ERA_START + rest)
    return found.year + eras * _ERA_YEARS, found.month, found.day
