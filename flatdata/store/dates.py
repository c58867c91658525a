"""Points in time as rows and manifests hold them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_LAST_NS: Final = 253_402_300_799 * 1_000_000_000


@lru_cache(maxsize=256)
def iso_ms(ns: int) -> str:
    """Nanoseconds since 1970 as ISO 8601 in UTC with milliseconds and `Z`, kept within 1970 to 9999."""
    ns = min(max(ns, 0), _LAST_NS)
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns // 1_000_000 % 1000:03d}Z"
