"""Dates as Bubble's Data API takes and gives them: milliseconds since 1970, UTC.

What may be sent (reference/bubble.md §9): whatever JavaScript's `Date` reads, and timestamps in
milliseconds as numbers or text. What comes back is `2016-11-11T19:14:46.517Z`. A date that names no zone is
UTC here; JavaScript would take the zone of the machine, which for a server is an accident.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from flatdata.query.jsdate import parse_date
from flatdata.query.tree import Json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MIN_MS: Final = -62_135_596_800_000  # 0001-01-01T00:00:00.000Z
MAX_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_LONGEST: Final = 100  # characters; no date that somebody means is longer
_TIMESTAMP: Final = re.compile(r"[+-]?\d{7,16}", re.ASCII)


def read_date(value: Json) -> int | None:
    """Milliseconds since 1970 of a date in any form that may be sent or stored; None if it is none."""
    if isinstance(value, str):
        return _from_text(value)
    if type(value) is int:
        return value if MIN_MS <= value <= MAX_MS else None
    if type(value) is float and math.isfinite(value) and MIN_MS <= value <= MAX_MS:
        return int(value)
    return None


def show_date(ms: int) -> str:
    """`2016-11-11T19:14:46.517Z`. `ms` must come from `read_date`."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def _from_text(text: str) -> int | None:
    if len(text) > _LONGEST:
        return None
    if len(text) == 24 and text[10] == "T" and text[23] == "Z":
        try:  # the form that is written here, without the detour over JavaScript's grammar
            return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
        except ValueError:
            pass
    if _TIMESTAMP.fullmatch(text):
        return read_date(int(text))
    parsed = parse_date(text)
    return read_date(parsed.ms) if parsed else None
