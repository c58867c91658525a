"""How far the word index got: the note that its writer leaves after each commit, and readers look for."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

VERSION: Final = 4
"""Of the terms that are written; the index of another version is made anew."""


class Committed(msgspec.Struct):
    """What the last commit holds: records up to `seq` (those before `position`), and what is older.

    `epoch` is that of the log, `generation` the one of Whoosh's index.
    """

    version: int
    epoch: str
    generation: int
    seq: int
    position: int
    entries: int


class CommittedFile:
    """Where `Committed` is written after each commit."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "committed.json"

    def read(self) -> Committed | None:
        """The last one, None if there is none or it is another version's."""
        try:
            committed = msgspec.json.decode(self.path.read_bytes(), type=Committed)
        except (OSError, msgspec.DecodeError):
            return None
        return committed if committed.version == VERSION else None

    def write(self, committed: Committed) -> None:
        """Replace it. Raises OSError."""
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(committed))
        os.replace(temporary, self.path)

    def exists(self) -> bool:
        """Whether it is there."""
        return self.path.exists()

    def remove(self) -> None:
        """Have the index made anew: its writer looks every so often whether this file is there."""
        with contextlib.suppress(OSError):
            self.path.unlink()
