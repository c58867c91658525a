"""What the store refuses or cannot do."""

from __future__ import annotations

from pathlib import Path

from flatdata.errors import FlatdataError


class EntryExists(FlatdataError):
    """The target of a create, move or copy is taken."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"entry exists: {slug}")
        self.slug = slug


class EntryMissing(FlatdataError):
    """There is no such entry (or folder)."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"no such entry: {slug}")
        self.slug = slug


class StoreUnavailable(FlatdataError):
    """The disk refused a write (full, read-only, no permission...); nothing was changed."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"the disk refused the write: {cause.strerror}")
        self.errno = cause.errno


class CorruptLog(FlatdataError):
    """A record in the middle of the change log cannot be read."""

    def __init__(self, path: str, offset: int) -> None:
        super().__init__(f"unreadable record in {path} at byte {offset}")
        self.path = path
        self.offset = offset


class NotASite(FlatdataError):
    """The folder has no `content/`."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"{root} is not a site: it has no content/ folder")
        self.root = root
