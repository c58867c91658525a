"""Sees to it that a site has a keeper: starts one, in a process of its own, whenever nobody is it.

Each process that serves the site has a supervisor; they may all try, since the keeper's lock lets one in. A
keeper ends when the process that started it does (its standard input closes), and another supervisor takes
over.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from flatdata.errors import FlatdataError

_POLL_SECONDS: Final = 0.25
_LONGEST_PAUSE: Final = 8.0
_STOP_SECONDS: Final = 20.0
LOCK_NAME: Final = "keeper.lock"
TAKEN: Final = 3
"""Exit code of a keeper that found that there is one."""

logger = logging.getLogger("flatdata.keeper")


class KeeperOptions(msgspec.Struct, frozen=True):
    """How the keeper works; see `flatdata.index.keeper.Keeper` for units."""

    compare_seconds: float = 60.0
    checkpoint_seconds: float = 30.0
    keep_days: float = 0.0
    segment_bytes: int = 64 << 20


def keeper_lock(state_dir: Path) -> int | None:
    """Take the keeper's lock: a file descriptor that holds it until it is closed, None if it is taken.

    Raises OSError.
    """
    state_dir.mkdir(exist_ok=True)
    descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class Supervisor:
    """Keeps a keeper running for the site at `root`, from `start` to `stop`.

    Args:
        tick: called every so often.
    """

    def __init__(self, root: Path, options: KeeperOptions, tick: Callable[[], None] | None = None) -> None:
        self._root = root
        self._options = options
        self._tick = tick
        self._pause = _POLL_SECONDS
        self._not_before = 0.0
        self._started = 0.0
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="keeper supervisor", daemon=True)

    def start(self) -> None:
        """Start a keeper now, unless there is one, and watch over it from now on."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End the keeper this process started, and wait for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        child = self._child
        if child is None:
            return
        if child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._child = None

    def _run(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                if time.monotonic() >= self._not_before:
                    self._look()
                if self._tick is not None:
                    self._tick()
            except (FlatdataError, OSError) as error:
                logger.warning("there may be no keeper: %s", error)

    def _look(self) -> None:
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._rest(self._child.returncode)
            self._child = None
            if time.monotonic() < self._not_before:
                return
        lock = keeper_lock(self._root / ".flatdata")
        if lock is None:
            return
        os.close(lock)
        options = msgspec.json.encode(self._options).decode()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "flatdata.index.keeper_process", str(self._root), options],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._started = time.monotonic()

    def _rest(self, status: int) -> None:
        """Wait longer and longer before another keeper is started, while they fail at once."""
        if status in (0, TAKEN) or time.monotonic() - self._started > _LONGEST_PAUSE:
            self._pause = _POLL_SECONDS
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._not_before = time.monotonic() + self._pause
