"""How often each token was used, counted by all processes of a site in one small file.

The file holds records of 64 bytes: the token's key (32 bytes), the count (64 bits, little-endian), the rest
zero. It only grows. Records are read with `pread` and written with one `pwrite` each: a process killed at any
point leaves whole records, and a file that somebody deletes or truncates is noticed instead of being fatal,
as it would be under a memory map.

Locks, in this order: `_lock` (threads of this process), then `flock` on the file (processes), held only
while a count is raised.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

KEY_BYTES: Final = 32
_RECORD_BYTES: Final = 64
_COUNT: Final = struct.Struct("<Q")
_FLUSH_SECONDS: Final = 1.0

_log = logging.getLogger("flatdata.tokens")


class _Forks:
    """How often this process came out of a fork; asking the system for its id would cost more."""

    count = 0


def _count_fork() -> None:
    _Forks.count += 1


os.register_at_fork(after_in_child=_count_fork)


class CallCounts:
    """Counts of calls, by key (32 bytes).

    Args:
        path: of the file; it and its folder are made with the first count.
        clock: seconds, growing.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._start()

    def _start(self) -> None:
        self._forks = _Forks.count
        self._lock = threading.Lock()
        self._fd = -1
        self._places: dict[bytes, int] = {}
        self._end = 0
        self._pending: dict[bytes, int] = {}
        self._flushed = -_FLUSH_SECONDS

    def get(self, key: bytes) -> int:
        """Calls counted so far, those of this process that are not written yet included."""
        self._after_fork()
        with self._lock:
            try:
                if self._is_gone():
                    self._open(create=False)
                written = self._read(key)
            except OSError:  # nothing was counted yet, or `take` will refuse
                written = 0
            return written + self._pending.get(key, 0)

    def add(self, key: bytes) -> None:
        """Count one call. It is written at once, or with the first call a second later."""
        self._after_fork()
        with self._lock:
            self._pending[key] = self._pending.get(key, 0) + 1
            if self._clock() - self._flushed >= _FLUSH_SECONDS:
                self._flush()

    def take(self, key: bytes, allowance: float) -> bool:
        """Count one call unless `allowance` calls were counted; exact over all processes.

        A count that cannot be written is refused: the limit holds on a full or read-only disk too.
        """
        self._after_fork()
        with self._lock:
            if self._pending:
                self._flush()
            try:
                with self._exclusive():
                    count = self._read(key)
                    if count >= allowance:
                        return False
                    self._write(key, count + 1)
            except OSError as error:
                _log.error("calls of limited tokens cannot be counted: %s", error.strerror)
                return False
            return True

    def flush(self) -> None:
        """Write what is pending."""
        self._after_fork()
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Write what is pending and close the file. It is opened again when needed."""
        self.flush()
        with self._lock:
            self._forget_file()

    # --- under the lock -------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushed = self._clock()
        if not self._pending:
            return
        try:
            with self._exclusive():
                for key, calls in self._pending.items():
                    self._write(key, self._read(key) + calls)
        except OSError as error:
            _log.warning("calls of tokens cannot be counted: %s", error.strerror)
        self._pending = {}

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the file against other processes. Raises OSError."""
        while True:
            if self._is_gone():
                self._open(create=True)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if not self._is_gone():  # it may have been deleted while this process waited
                break
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _is_gone(self) -> bool:
        return self._fd < 0 or os.fstat(self._fd).st_nlink == 0

    def _open(self, *, create: bool) -> None:
        self._forget_file()
        if create:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._fd = os.open(self._path, flags, 0o600)

    def _forget_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._places = {}
        self._end = 0

    def _place(self, key: bytes) -> int | None:
        """Where the count of `key` lies; follows what other processes added."""
        status = os.fstat(self._fd)
        if status.st_size < self._end:
            self._places, self._end = {}, 0
        if status.st_size - self._end >= _RECORD_BYTES:
            added = os.pread(self._fd, status.st_size - self._end, self._end)
            for offset in range(0, len(added) - _RECORD_BYTES + 1, _RECORD_BYTES):
                self._places.setdefault(added[offset : offset + KEY_BYTES], self._end + offset + KEY_BYTES)
            self._end += len(added) - len(added) % _RECORD_BYTES
        return self._places.get(key)

    def _read(self, key: bytes) -> int:
        """The count in the file. Raises OSError."""
        place = self._place(key)
        data = b"" if place is None else os.pread(self._fd, _COUNT.size, place)
        return int(_COUNT.unpack(data)[0]) if len(data) == _COUNT.size else 0

    def _write(self, key: bytes, count: int) -> None:
        """Only while holding the file. Raises OSError."""
        if (place := self._place(key)) is not None:
            os.pwrite(self._fd, _COUNT.pack(count), place)
            return
        # A torn record at the end (the disk was full) is written over.
        record = (key + _COUNT.pack(count)).ljust(_RECORD_BYTES, b"\0")
        if os.pwrite(self._fd, record, self._end) < _RECORD_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._places[key] = self._end + KEY_BYTES
        self._end += _RECORD_BYTES

    def _after_fork(self) -> None:
        """A forked child shares the parent's file description, and with it its flock: open another."""
        if self._forks != _Forks.count:
            if self._fd >= 0:
                os.close(self._fd)
            self._start()
