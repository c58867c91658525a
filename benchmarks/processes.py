"""Server processes: started on a free port, watched, measured through /proc, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.wire import Address, Answer, Request, ask

HOST = "127.0.0.1"
_STOP_SECONDS = 60.0
_QUIET_SHARE = 0.05
"""Of one core, below which a server counts as having nothing left to do."""


class StartFailed(Exception):
    """A server ended, or did not answer in time; the text has the end of what it wrote."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process in MB of 10^6 bytes.

    `rss` counts pages shared with other processes fully, `pss` their share, `peak` is the highest `rss` ever.
    """

    rss: float
    pss: float
    peak: float


def memory_of(pid: int) -> Memory:
    """The memory of a process. Raises OSError if it is gone."""
    rollup = _kilobytes(Path(f"/proc/{pid}/smaps_rollup"))
    status = _kilobytes(Path(f"/proc/{pid}/status"))
    return Memory(rollup["Rss"] / 1000, rollup["Pss"] / 1000, status["VmHWM"] / 1000)


def _kilobytes(path: Path) -> dict[str, float]:
    """The lines `Name:  123 kB` of a file, in units of 1000 bytes."""
    found = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1.024
    return found


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in task.read_text().split()]
    return found


def command_line(pid: int) -> str:
    """How a process was started; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _cpu_seconds(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Server:
    """A running server."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
        self.name = name
        self.process = process
        self.address = address
        self.log = log

    @property
    def pids(self) -> list[int]:
        """The processes of this server."""
        return family(self.process.pid)

    def ask(self, request: Request) -> Answer:
        """Send one request over a connection of its own."""
        return ask(self.address, request)

    def wait_for(
        self, request: Request, seconds: float, seen: Callable[[Answer], None] | None = None
    ) -> float:
        """Ask until the answer is 200; the seconds that it took. `seen` is told of every other answer.

        Raises StartFailed.
        """
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            if self.process.poll() is not None:
                break
            try:
                answer = ask(self.address, request, timeout=5)
            except OSError:
                time.sleep(0.005)
                continue
            if answer.status == 200:
                return time.perf_counter() - begun
            if seen is not None:
                seen(answer)
            time.sleep(0.02)
        raise StartFailed(f"{self.name}: {self.log.read_text(errors='replace')[-2000:]}")

    def up(self, request: Request, seconds: float) -> Server:
        """Itself, once it answers a request with 200; one that does not is stopped. Raises StartFailed."""
        try:
            self.wait_for(request, seconds)
        except BaseException:
            self.stop()
            raise
        return self

    def wait_until_quiet(self, seconds: float = 600.0) -> float:
        """Wait until the server has used next to no processor for a second; how long that took."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            pids, before = self.pids, time.monotonic()
            used = _cpu_seconds(pids)
            time.sleep(1.0)
            if (_cpu_seconds(pids) - used) / (time.monotonic() - before) < _QUIET_SHARE:
                break
        return time.monotonic() - begun

    def stop(self) -> None:
        """End it as Ctrl-C would, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        # json-server's launcher leaves the server itself behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start(
    name: str,
    command: Sequence[str | Path],
    port: int,
    log: Path,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Start a server that will listen on `port`; what it writes goes to the file `log`.

    Python keeps its bytecode, as it does unless it is told otherwise: without, each process would compile
    each module at each start.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**kept, **(environment or {})},
            start_new_session=True,
        )
    return Server(name, process, (HOST, port), log)


@contextlib.contextmanager
def stopping(server: Server) -> Iterator[Server]:
    """Stop a server at the end of the block."""
    try:
        yield server
    finally:
        server.stop()
