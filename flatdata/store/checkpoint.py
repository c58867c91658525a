"""The checkpoint: up to where the log is in the files for good, whatever happens to the machine."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from flatdata.store.log import ChangeLog, decode_line
from flatdata.store.paths import name_of
from flatdata.store.state import LARGEST_NUMBER, row_number


class Checkpoint(msgspec.Struct):
    """What the file `.flatdata/checkpoint` holds."""

    epoch: str = ""
    position: int = 0
    high_water: int = 0
    """The largest integer that ever named a row, see `flatdata.store.state.State`."""


class CheckpointFile:
    """Writes and reads the checkpoint of one site.

    Args:
        path: of the file.
        log: which it is about.
    """

    def __init__(self, path: Path, log: ChangeLog) -> None:
        self._path = path
        self._log = log

    def write(self, position: int, high_water: int) -> None:
        """Note that the files are flushed up to a position. Raises OSError."""
        data = msgspec.json.encode(Checkpoint(self._log.epoch(), position, high_water))
        temporary = self._path.with_name("checkpoint.new")
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)

    def read(self) -> Checkpoint:
        """The last one, of whatever epoch; an empty one if there is none."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Checkpoint)
        except (OSError, msgspec.DecodeError):
            return Checkpoint()

    def position(self) -> int:
        """The position that the last one vouches for; 0 if there is none."""
        checkpoint = self.read()
        return checkpoint.position if checkpoint.epoch == self._log.epoch() else 0

    def high_water_since(self) -> int:
        """The largest integer that named a row after it, as far as the log says."""
        start, stop = max(self._log.start(), self.position()), self._log.head()
        numbers = [
            row_number(name_of(effect.slug), effect.form)
            for line, _ in self._log.lines(start, stop)
            if (record := decode_line(line)) is not None
            for effect in record.changes
        ]
        return max((number for number in numbers if number < LARGEST_NUMBER), default=0)
