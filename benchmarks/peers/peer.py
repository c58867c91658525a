"""What the peers have in common: how they are installed, filled and started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.asking import Adapter
from benchmarks.processes import Server
from benchmarks.questions import Film
from benchmarks.wire import Request

_INSTALL_SECONDS = 600


class CannotInstall(Exception):
    """A peer is not to be had on this machine; the text says why."""


class Peer(Protocol):
    """One other server.

    Attributes:
        version: its name and version.
        adapters: ways to ask it that are measured against each other, each with a title of its own.
    """

    version: str

    @property
    def adapters(self) -> Sequence[Adapter]:
        """See above."""

    def fill(self, folder: Path, films: Mapping[str, Film]) -> None:
        """Put the films into a new data folder."""

    def start(self, folder: Path) -> Server:
        """Serve that folder. The caller stops it."""

    def create_many(self, films: Sequence[Film]) -> Request | None:
        """The request that creates many films, None if there is no such thing."""


def run(command: Sequence[str | Path]) -> str:
    """Run an installer; its output. Raises CannotInstall."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(f"{command[0]}: {type(error).__name__}") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it failed"]
        raise CannotInstall(f"{Path(str(command[0])).name}: {last[0][:300]}")
    return done.stdout


def pip_install(folder: Path, requirement: str, program: str) -> Path:
    """Install a requirement into a virtual environment of its own; the path of its program.

    Nothing is asked of the network if the program is there already. Raises CannotInstall.
    """
    found = folder / "bin" / program
    if not found.exists():
        run([sys.executable, "-m", "venv", folder])
        run([folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", requirement])
    if not found.exists():
        raise CannotInstall(f"{requirement} has no program {program}")
    return found
