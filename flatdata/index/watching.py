"""Hints of what changed on the disk, from watchdog. Hints only: the comparison of files is the truth.

What is known to be missed (measured; see the notes in docs/architecture.md): queue overflow, more folders
than the kernel watches, network file systems. Overflow is told to the caller; the rest is found by the
comparison that the keeper makes every so often.
"""

from __future__ import annotations

import logging
import os
import queue
import warnings
from pathlib import Path
from typing import Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

_EVENTS: Final[list[type[FileSystemEvent]]] = [
    FileModifiedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]
_WATCH_LIMIT: Final = Path("/proc/sys/fs/inotify/max_user_watches")

# watchdog warns when a folder is moved and its old path is used again; it goes on watching.
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)

OVERFLOW: Final = ""
"""Put into the queue where events were lost."""

Hint = tuple[str, bool]
"""A path that changed, and whether it is a folder."""


class _Handler(FileSystemEventHandler):
    def __init__(self, hints: queue.SimpleQueue[Hint]) -> None:
        self._hints = hints

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._hints.put((os.fsdecode(path), event.is_directory))


class _OverflowHandler(logging.Handler):
    """Watchdog tells of lost events by a log message alone."""

    def __init__(self, hints: queue.SimpleQueue[Hint]) -> None:
        super().__init__(logging.WARNING)
        self._hints = hints

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._hints.put((OVERFLOW, True))


class Watcher:
    """Watches a folder and everything below it.

    Attributes:
        hints: where changed paths arrive.
        partial: whether the folder is known not to be watched whole.
    """

    def __init__(self, folder: Path, folders: int) -> None:
        self.hints: queue.SimpleQueue[Hint] = queue.SimpleQueue()
        self.partial = folders > _watch_limit()
        self._folder = folder
        self._identity = _identity(folder)
        self._overflow = _OverflowHandler(self.hints)
        self._logger = logging.getLogger("watchdog.observers.inotify_c")
        self._logger.addHandler(self._overflow)
        self._observer = Observer()
        try:
            self._observer.schedule(_Handler(self.hints), str(folder), recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError:
            self.partial = True

    def is_stale(self) -> bool:
        """Whether another folder is in the place of the one that is watched."""
        return _identity(self._folder) != self._identity

    def close(self) -> None:
        """Stop watching."""
        self._logger.removeHandler(self._overflow)
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(2)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _watch_limit() -> int:
    try:
        return int(_WATCH_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1 << 62
