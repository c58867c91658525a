"""Giving way in long computations, so that no request waits for a slow one.

A thread that computes keeps its processor for a turn of the system's scheduler, some milliseconds, even
where a request that needs a tenth of that stands behind it in the queue of the same processor: of reads
beside a slow query, one in a hundred took 6 ms, and takes 3 where the query gives way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Final, TypeVar

_Item = TypeVar("_Item")

_TURN_SECONDS: Final = 0.0005


def _sleep() -> None:
    time.sleep(0)


give_way: Final[Callable[[], None]] = getattr(os, "sched_yield", _sleep)
"""Let threads run that wait for this processor. Costs a microsecond where there are none."""


def in_turns(items: Iterable[_Item]) -> Iterator[_Item]:
    """The same items; between them others get a turn, if half a millisecond has gone since the last.

    Not for loops under a lock that requests need: they would wait for the longer.
    """
    end = perf_counter() + _TURN_SECONDS
    for item in items:
        yield item
        if perf_counter() >= end:
            give_way()
            end = perf_counter() + _TURN_SECONDS
