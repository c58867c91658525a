"""The scratch folder: where files are complete before they are renamed into the content, and lie after it.

It is on the same file system as the content, so that a rename is all it takes. Whatever can fail for want of
space fails here, before anything is promised. What lies here goes by **keys**, one for each effect.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Mapping
from typing import Final

FOLDER_PART: Final = "d"
FILE_PART: Final = "f"
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What the system says where the disk knows no hard links."""


class Scratch:
    """The scratch folder of one site.

    Args:
        folder: where it is; made if missing.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._kept_dates: tuple[int, int] | None = None
        os.makedirs(folder, exist_ok=True)

    def path(self, key: str) -> str:
        """Where the file staged under `key` is."""
        return f"{self.folder}/{key}"

    def parts(self, key: str) -> dict[str, str]:
        """Where the parts of a tree are, on their way into the content or out of it."""
        return {FOLDER_PART: f"{self.folder}/{key}/folder", FILE_PART: f"{self.folder}/{key}/file"}

    def kept(self, key: str) -> str:
        """Where the file is that was in the content before the effect `key`, see `keep`."""
        return f"{self.folder}/{key}-before"

    # --- putting things in ----------------------------------------------------------------------------

    def stage_file(self, key: str, data: bytes, mtime_ns: int) -> int:
        """Write a file, dated `mtime_ns`; gives the date (ns) that the disk keeps. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            descriptor = os.open(f"{self.folder}/{key}", flags, 0o644)
        except FileNotFoundError:
            os.makedirs(self.folder, exist_ok=True)
            descriptor = os.open(f"{self.folder}/{key}", flags, 0o644)
        try:
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            if self._kept_dates is None or self._kept_dates[0] != mtime_ns:
                self._kept_dates = (mtime_ns, os.fstat(descriptor).st_mtime_ns)
            return self._kept_dates[1]
        finally:
            os.close(descriptor)

    def stage_copy(self, key: str, sources: Mapping[str, str], mtime_ns: int) -> None:
        """Copy the parts of a tree; files are dated `mtime_ns`.

        The log has no images of what is copied: it has to be flushed before it is renamed into place.

        Raises OSError.
        """
        target = self.path(key)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(target)
        os.makedirs(target)
        targets = self.parts(key)
        try:
            if os.path.isfile(sources[FILE_PART]):
                shutil.copyfile(sources[FILE_PART], targets[FILE_PART], follow_symlinks=False)
            if os.path.isdir(sources[FOLDER_PART]):
                shutil.copytree(sources[FOLDER_PART], targets[FOLDER_PART], ignore=_not_copied)
        except shutil.Error as error:
            raise OSError(errno.EIO, "the tree cannot be copied whole") from error
        for folder, _, names in os.walk(target):
            for name in names:
                os.utime(os.path.join(folder, name), ns=(mtime_ns, mtime_ns))

    def keep(self, key: str, path: str) -> None:
        """Keep the file at `path`, if there is one, until `let_go`. Raises OSError."""
        kept = self.kept(key)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(kept)
        try:
            os.link(path, kept)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copy2(path, kept)

    # --- throwing things away -------------------------------------------------------------------------

    def let_go(self, key: str) -> None:
        """Remove the file that was kept, as far as the disk lets us."""
        with contextlib.suppress(OSError):
            os.unlink(self.kept(key))

    def discard(self, key: str) -> None:
        """Remove what was staged or set aside under `key`, as far as the disk lets us."""
        path = self.path(key)
        with contextlib.suppress(OSError):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def clear(self) -> None:
        """Remove what dead writers left. Only under the write lock."""
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(self.folder):
            self.discard(name)
        # A new folder: some file systems keep the files of a folder near it, and where tens of thousands were
        # made since, finding a free place takes several times as long.
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)
            os.mkdir(self.folder)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """What a copy of a tree leaves out: hidden things, links, and whatever is neither file nor folder."""
    return {name for name in names if name[0] == "." or not _is_plain(os.path.join(folder, name))}


def _is_plain(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
