"""The two load generators: one connection from Python for latencies, wrk for throughput over several.

A Python client is too slow to keep a server busy, and wrk's latencies are those of a busy server; so each
does what it is good at. Both share the machine with the server: ratios between servers that are measured in
turn mean more than the figures themselves.
"""

from __future__ import annotations

import gc
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median

from benchmarks.wire import Address, Connection

SEPARATOR = b"\x01\x02next\x02\x01"
"""Between the requests of the file that `requests.lua` reads."""
_SCRIPT = Path(__file__).with_name("requests.lua")


class LoadFailed(Exception):
    """A server answered something else than success, or wrk cannot be run; the text says which."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies in milliseconds, and requests a second, of one connection."""

    p50: float
    p95: float
    p99: float
    worst: float
    rate: float
    count: int


@dataclass(frozen=True, slots=True)
class Throughput:
    """Requests a second over several connections, and latencies in milliseconds under that load."""

    rate: float
    p50: float
    p99: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the ordered values lie."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def summary(seconds: Iterable[float]) -> Latency:
    """What a number of latencies in seconds come to. Raises ValueError without any."""
    ordered = sorted(1000 * each for each in seconds)
    if not ordered:
        raise ValueError("no latencies")
    return Latency(
        percentile(ordered, 0.5),
        percentile(ordered, 0.95),
        percentile(ordered, 0.99),
        ordered[-1],
        1000 * len(ordered) / sum(ordered),
        len(ordered),
    )


def middle(rounds: Sequence[Latency]) -> Latency:
    """The median of each figure over repeated rounds."""
    p50, p95, p99, worst, rate = (
        median(getattr(each, name) for each in rounds) for name in ("p50", "p95", "p99", "worst", "rate")
    )
    return Latency(p50, p95, p99, worst, rate, sum(each.count for each in rounds))


# --- one connection -----------------------------------------------------------------------------------


def timings(
    address: Address,
    requests: Iterator[bytes],
    seconds: float,
    *,
    stop: threading.Event | None = None,
    least: int = 3,
) -> list[float]:
    """The seconds that each request took, sent one after the other for `seconds`, or until `stop` is set.

    At least `least` requests are sent. Raises LoadFailed on any status but 2xx.
    """
    taken: list[float] = []
    clock = time.perf_counter
    with Connection(address) as connection:
        end = clock() + seconds
        while len(taken) < least or (clock() < end and not (stop is not None and stop.is_set())):
            data = next(requests)
            begun = clock()
            status, body = connection.send_bytes(data)
            taken.append(clock() - begun)
            if not 200 <= status < 300:
                raise LoadFailed(f"{data[:200]!r} was answered {status}: {body[:200]!r}")
    return taken


def latency(address: Address, requests: Iterable[bytes], seconds: float) -> Latency:
    """The latencies of one connection, after a few that do not count; `requests` are sent over and over."""
    source = cycle(requests)
    timings(address, source, seconds / 4)
    gc.disable()
    try:
        return summary(timings(address, source, seconds))
    finally:
        gc.enable()


def paced(act: Callable[[int], None], per_second: float, seconds: float) -> None:
    """Call `act(number)` at an even pace. After a call that took long the next ones follow at once."""
    begun = time.perf_counter()
    for number in range(int(per_second * seconds)):
        wait = begun + number / per_second - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        act(number)


# --- several connections --------------------------------------------------------------------------------


def require_wrk() -> None:
    """Raise LoadFailed where there is no wrk."""
    if shutil.which("wrk") is None:
        raise LoadFailed("wrk is needed (apt-get install wrk)")


def throughput(
    address: Address, requests: Sequence[bytes], connections: int, seconds: float, first: int = 0
) -> Throughput:
    """What wrk measures with one thread; `@counter` in the requests counts up from `first`.

    wrk knows whole seconds only: `seconds` is rounded up. Raises LoadFailed if any request fails.
    """
    with tempfile.NamedTemporaryFile(suffix=".requests") as file:
        file.write(SEPARATOR.join(requests))
        file.flush()
        done = subprocess.run(
            [
                *(
                    "wrk",
                    "-t1",
                    f"-c{connections}",
                    f"-d{max(1, int(-(-seconds // 1)))}s",
                    "--timeout",
                    "30s",
                ),
                *("-s", str(_SCRIPT), f"http://{address[0]}:{address[1]}", "--", file.name, str(first)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise LoadFailed(f"wrk: {done.stderr or done.stdout}")
    count, duration, failed, p50, p99 = (int(word) for word in line.split()[1:])
    if not count:
        raise LoadFailed(f"none of {connections} requests at a time was answered within {seconds:.1f} s")
    if failed:
        raise LoadFailed(f"{failed} of {count} requests failed: {requests[0][:200]!r}")
    return Throughput(count / duration * 1e6, p50 / 1000, p99 / 1000)
