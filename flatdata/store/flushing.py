"""Having what was written reach the disk, so that a power loss cannot take it back."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def flush_file_system(folder: Path) -> None:
    """Have everything written to the file system of `folder` reach the disk. Raises OSError."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
