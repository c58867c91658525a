"""The site's write lock: of all processes, one at a time changes the files and the log."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class WriteLock:
    """A lock on a file. It dies with the process that holds it; threads need another one between them.

    Args:
        path: the file; made if missing, with the folder it is in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()

    def _open(self) -> int:
        self._path.parent.mkdir(exist_ok=True)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; waits until nobody else does. Raises OSError."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            while not os.fstat(self._descriptor).st_nlink:
                # Somebody deleted the file: who comes next will lock another one, and so have we to.
                deleted, self._descriptor = self._descriptor, self._open()
                os.close(deleted)
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)
