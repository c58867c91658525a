"""Giving memory back to the system that is free but lies between what is in use.

The C library gives back by itself only what is free at the end of its heaps. After an import of 20,000 rows
some 40 MB are free in the middle: the bodies of requests, rows and records that were of one size, and nothing
else of that size comes soon. `malloc_trim` gives back whole pages of it, in 1 to 7 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

_MANY_CHANGES: Final = 2_000
_MANY_BYTES: Final = 16 << 20


class SpareMemory:
    """Gives back what is spare once much was done, and nothing goes on just now.

    Args:
        trim: gives back what it can.
        resident: the bytes of memory that this process has.
    """

    def __init__(
        self, trim: Callable[[], object] | None = None, resident: Callable[[], int] | None = None
    ) -> None:
        self._trim = trim or _trim_of_library()
        self._resident = resident or resident_bytes
        self._trimmed_at = 0
        self._last = 0
        self._left = 0

    def look(self, changes: int) -> bool:
        """Give back what is spare if this is the time for it; whether it was. To be called every so often.

        It is, when nothing has changed since the last look, and since memory was given back thousands of
        entries have, or the process has grown by 16 MB, or shrunk, as after a large read that was under way.

        Args:
            changes: how many entries were changed so far.
        """
        quiet = changes == self._last
        self._last = changes
        if not quiet or (changes - self._trimmed_at < _MANY_CHANGES and self._is_as_large()):
            return False
        self._trim()
        self._trimmed_at = changes
        self._left = self._resident()
        return True

    def _is_as_large(self) -> bool:
        return abs(self._resident() - self._left) < _MANY_BYTES


def resident_bytes() -> int:
    """The bytes of memory that this process has, 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _trim_of_library() -> Callable[[], object]:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return lambda: None
    return lambda: trim(ctypes.c_size_t(0))
