"""Serving a site over HTTP with granian, a production WSGI server.

This process starts the keeper and the workers, says when the site is open, and ends them in order. Each
worker makes its own application (`flatdata.app.create_app_from_environment`).
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Never, TextIO

import msgspec

from flatdata.index.status import READING, READY, KeeperStatus, StatusFile
from flatdata.index.supervisor import KeeperOptions, Supervisor
from flatdata.requests import HEALTH
from flatdata.settings import Settings, plain_settings
from flatdata.store.errors import NotASite

if TYPE_CHECKING:
    from tqdm import tqdm

THREADS: Final = 16
"""Requests that one worker answers at a time. Those that wait for the disk share one flush, and leave the
interpreter to the others: with four threads 16 clients made a seventh fewer entries in a second."""
_MALLOC: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 10),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 20),
}
"""For the C library's allocator in the keeper and the workers, where it is glibc's: by itself it keeps up to
32 MB blocks for later, and after a few imports of 20,000 rows a worker holds 400 MB instead of 260."""
_POLL_SECONDS: Final = 0.05
_OK: Final = re.compile(rb"HTTP/1\.[01] 200 ")
_STATUS_LINE_BYTES: Final = 64


def run(settings: Settings, root: Path, out: TextIO | None = None) -> None:
    """Serve the site at `root` until SIGINT or SIGTERM; requests in flight are finished first.

    Args:
        out: where the opening is told; standard error if None.

    Raises:
        NotASite: without a `content/` folder.
    """
    root = root.resolve()
    if not settings.port:
        settings = replace(settings, port=_free_port(settings.host))
    if not (root / "content").is_dir():
        raise NotASite(root)
    state_dir = root / ".flatdata"
    state_dir.mkdir(exist_ok=True)
    started = time.monotonic()
    StatusFile(state_dir).write(KeeperStatus())
    for name, value in _MALLOC.items():
        os.environ.setdefault(name, value)
    os.environ["FLATDATA_ROOT"] = str(root)
    os.environ["FLATDATA_OPTIONS"] = msgspec.json.encode(plain_settings(settings)).decode()
    supervisor = Supervisor(
        root,
        KeeperOptions(
            compare_seconds=settings.index.compare_seconds,
            checkpoint_seconds=settings.log.checkpoint_seconds,
            keep_days=settings.log.keep_days,
            segment_bytes=settings.log.segment_bytes,
        ),
    )
    supervisor.start()
    telling = threading.Thread(
        target=_tell, args=(settings, root, out or sys.stderr, started), name="telling", daemon=True
    )
    telling.start()
    try:
        _serve(settings)
    finally:
        supervisor.stop()


def _serve(settings: Settings) -> None:
    # Imported while the keeper is at work already.
    import multiprocessing

    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    # Not fork: this process has threads, and a lock one of them holds would stay locked in the worker.
    multiprocessing.set_start_method("spawn", force=True)
    server = Granian(
        "flatdata.app:create_app_from_environment",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=30,
        websockets=False,
        log_level=LogLevels.warning,
    )
    server.serve()


def _tell(settings: Settings, root: Path, out: TextIO, started: float) -> None:
    """Show the progress of a first start on a terminal, then what was opened and how long that took."""
    file = StatusFile(root / ".flatdata")
    bar: tqdm[Never] | None = None
    while (status := file.read()).phase != READY:
        if status.phase == READING and status.total and out.isatty():
            if bar is None:
                bar = _bar(status.total, out)
            bar.update(status.done - bar.n)
        time.sleep(_POLL_SECONDS)
    if bar is not None:
        bar.close()
    while not _answers(settings):
        time.sleep(_POLL_SECONDS)
    seconds = time.monotonic() - started
    print(
        f"flatdata: http://{settings.host}:{settings.port} serves {root}: {status.entries} entries, "
        f"{status.sources} sources, {len(status.problems)} problems, opened in {seconds:.1f} s",
        file=out,
        flush=True,
    )
    for problem in status.problems[:20]:
        place = f"{problem.path}:{problem.line}" if problem.line is not None else problem.path
        print(f"  {place}: {problem.reason}", file=out, flush=True)


def _bar(total: int, out: TextIO) -> tqdm[Never]:
    from tqdm import tqdm  # takes as long to import as a small site to open

    return tqdm(total=total, desc="reading content", unit="files", file=out)


def _answers(settings: Settings) -> bool:
    """Whether the server takes requests by now."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    try:
        with socket.create_connection((host, settings.port), timeout=1) as connection:
            connection.sendall(b"GET %s HTTP/1.0\r\n\r\n" % HEALTH.encode())
            return _OK.match(connection.recv(_STATUS_LINE_BYTES)) is not None
    except OSError:
        return False


def _free_port(host: str) -> int:
    """A port that nobody listens on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port
