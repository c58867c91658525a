"""What the keeper tells the other processes of a site: `.flatdata/keeper.json`, replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

STARTING: Final = "starting"
READING: Final = "reading"
COMPARING: Final = "comparing"
READY: Final = "ready"
STOPPED: Final = "stopped"

REBUILD_REQUEST: Final = "rebuild"
"""The file in `.flatdata/` by which a keeper is asked to read every file again."""


class ProblemReport(msgspec.Struct, frozen=True):
    """A file that is not served: its path from the site's folder, the line if known, and why."""

    path: str
    reason: str
    line: int | None = None


class KeeperStatus(msgspec.Struct):
    """The keeper's state: its process id, phase, progress (files), and what it could not serve."""

    pid: int = 0
    phase: str = STARTING
    done: int = 0
    total: int = 0
    entries: int = 0
    sources: int = 0
    problems: list[ProblemReport] = []
    words_seq: int = 0
    words_entries: int = 0


class StatusFile:
    """The file itself. Reading never raises: a missing or torn file is a keeper that is starting."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "keeper.json"

    def read(self) -> KeeperStatus:
        """The last status written."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=KeeperStatus)
        except (OSError, msgspec.DecodeError):
            return KeeperStatus()

    def write(self, status: KeeperStatus) -> None:
        """Replace the status. Raises OSError."""
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(status))
        os.replace(temporary, self._path)
