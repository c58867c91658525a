"""Hints of what changed on the disk, from watchdog. Hints only: the comparison of files is the truth.

Of watchdog this takes the reader of inotify alone. Its observer walks over all files once more to find the
folders, and hands each event through two queues and three threads: 0.3 s of a start with 50,000 files, and
50 µs an event where a checkout by git makes 20,000. Here the scan that compares the files has each folder
watched just before it lists it, so nothing can happen unseen in between; and folders that appear are hinted
at, compared, and so watched in turn.

What may be missed (see the notes in docs/architecture.md): events beyond the system's queue, folders beyond
the number it watches, network file systems. The first is told to the caller, the second is `partial`; the
rest is found by the comparison that the keeper makes every so often.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyFD, Mask

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent, WatchDescriptor

_MASK: Final = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_ONLYDIR
)
_BELOW: Final = Mask(_MASK | InotifyConstants.IN_DONT_FOLLOW)
_IS_FOLDER: Final = InotifyConstants.IN_ISDIR
_MOVED_FROM: Final = InotifyConstants.IN_MOVED_FROM
_OURS: Final = CallbackId(0)
_CLOSE_SECONDS: Final = 2.0
_MOST_HINTS: Final = 100_000
"""Hints that wait to be taken, at most; beyond that everything is compared."""

# watchdog warns when the folder it watches is found again under another name, as after a move.
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)

OVERFLOW: Final = ""
"""Put into the queue where events were lost."""

Hint = tuple[str, bool]
"""A path that changed, and whether it is a folder."""


class Watcher:
    """Watches the folders that it is shown, and nothing below them.

    Attributes:
        hints: where changed paths arrive.
        partial: whether some folder is known not to be watched.
    """

    def __init__(self, folder: Path) -> None:
        self.hints: queue.SimpleQueue[Hint] = queue.SimpleQueue()
        self.partial = False
        self._folder = folder
        self._identity = _identity(folder)
        self._lock = threading.Lock()
        self._by_path: dict[bytes, WatchDescriptor] = {}
        self._by_watch: dict[WatchDescriptor, bytes] = {}
        self._dropping = False
        self._is_gone = False
        self._source: InotifyFD | None = None
        try:
            self._source = InotifyFD()
        except OSError:
            self.partial = True
        else:
            self._source.start()

    def watch(self, folder: str) -> None:
        """Watch what happens to the files and folders directly in `folder` from now on."""
        path = os.fsencode(folder)
        with self._lock:
            if self._source is None or path in self._by_path:
                return
            # The folder of all content may be a link, one that is below it is no content.
            mask = _MASK if folder == str(self._folder) else _BELOW
            try:
                watch = self._source.add_callback(path, mask, self, _OURS)
            except OSError as error:
                # A folder that is gone meanwhile will be hinted at by what happens to the one it was in.
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    self.partial = True
                return
            self._by_path[path] = watch
            self._by_watch[watch] = path
            if folder == str(self._folder):
                self._is_gone = False

    def is_stale(self) -> bool:
        """Whether another folder is in the place of the one that is watched, or will be.

        Another one may have the number of the one that went: then only the end of the watch tells.
        """
        return self._is_gone or _identity(self._folder) != self._identity

    def close(self) -> None:
        """Stop watching."""
        with self._lock:
            source, self._source = self._source, None
        if source is not None:
            source.stop()
            source.join(_CLOSE_SECONDS)

    # --- told by watchdog, in its thread ----------------------------------------------------------------

    def on_event(self, event: InotifyEvent) -> None:
        """Note that something happened in a folder that is watched."""
        with self._lock:
            path = self._by_watch.get(event.wd)
        if path is None:
            return
        if event.name:
            path = path + b"/" + event.name
        is_folder = bool(event.mask & _IS_FOLDER)
        if is_folder and event.mask & _MOVED_FROM:
            self._forget(path)
        self._hint((os.fsdecode(path), is_folder))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Note that a folder is gone. Another one in its place will be watched when that is compared."""
        with self._lock:
            path = self._by_watch.pop(wd, None)
            if path is None or self._by_path.get(path) != wd:
                return
            del self._by_path[path]
            if self._source is None:
                return
            if path == os.fsencode(self._folder):
                self._is_gone = True
        self._hint((os.fsdecode(path), True))

    def on_queue_overflow(self) -> None:
        """Note that events were lost."""
        self.hints.put((OVERFLOW, True))

    def _hint(self, hint: Hint) -> None:
        if self.hints.qsize() < _MOST_HINTS:
            self._dropping = False
            self.hints.put(hint)
        elif not self._dropping:
            self._dropping = True
            self.on_queue_overflow()

    def _forget(self, folder: bytes) -> None:
        """Watch no longer what was moved away; where it was moved to it is compared, and watched again."""
        below = folder + b"/"
        with self._lock:
            if self._source is None:
                return
            paths = [path for path in self._by_path if path == folder or path.startswith(below)]
            for path in paths:
                watch = self._by_path.pop(path)
                if self._by_watch.get(watch) == path:
                    del self._by_watch[watch]
                    self._source.remove_callbacks([(watch, _OURS)])


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino
