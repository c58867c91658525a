"""How many requests a token may send: a sliding window, per process (reference/fliplet.md §11)."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from flatdata.dialects.fliplet.errors import Refused
from flatdata.settings import RateLimitSettings
from flatdata.store.dates import iso_ms

MESSAGE: Final = (
    "You've made too many attempts in a short period of time, please try again in a few seconds. Read more "
    "about rate limiting and how you may be affected by reading our documentation."
)
REFERENCE: Final = "https://developers.fliplet.com/Rate-limiting-for-API.html"
_TRACKED: Final = 10_000


class RateLimit:
    """Counts requests by key (a token, or an address without one). `_lock` guards the windows."""

    def __init__(self, settings: RateLimitSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, deque[float]] = OrderedDict()

    @property
    def active(self) -> bool:
        """Whether there is a limit at all."""
        return self._settings.requests != 0

    def check(self, key: str) -> None:
        """Count a request. Raises `Refused` (429) if it is one too many; that one is not counted."""
        if not self.active:
            return
        most, seconds = self._settings.requests, self._settings.seconds
        now = self._clock()
        with self._lock:
            window = self._windows.setdefault(key, deque())
            self._windows.move_to_end(key)
            if len(self._windows) > _TRACKED:
                self._windows.popitem(last=False)
            while window and window[0] <= now - seconds:
                window.popleft()
            if len(window) < most:
                window.append(now)
                return
            wait = window[0] + seconds - now
        raise Refused(
            429,
            {
                "message": MESSAGE,
                "referenceUrl": REFERENCE,
                "nextValidRequestDate": iso_ms(time.time_ns() + int(wait * 1e9)),
            },
            {"Retry-After": str(max(1, int(wait + 0.999)))},
        )
