"""How a process comes to know the content, and keeps up with what all processes write into the log."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from flatdata.store.catalogue import Catalogue, read_catalogue
from flatdata.store.checkpoint import CheckpointFile
from flatdata.store.entry import Entry
from flatdata.store.errors import CorruptLog
from flatdata.store.log import ChangeLog, Record
from flatdata.store.state import State

RecordListener = Callable[[Record], None]


class Follower:
    """The memory of one process, filled once and brought up to date record by record.

    Args:
        log: what it follows.
        catalogue_path: where the keeper writes all entries down.
        checkpoint: says how far row numbers got, whatever is left of the log.
    """

    def __init__(self, log: ChangeLog, catalogue_path: Path, checkpoint: CheckpointFile) -> None:
        self._log = log
        self._catalogue_path = catalogue_path
        self._checkpoint = checkpoint
        self._untold: deque[Record] = deque()
        self.state = State()
        self.position = 0
        """Up to where the log was followed. Changed under `State.lock`."""
        self.listeners: list[RecordListener] = []
        """Told of each record, in order."""

    # --- filling the memory ---------------------------------------------------------------------------

    def load(self, entries: Iterable[Entry], position: int, seq: int, high_water: int) -> None:
        """Fill the memory with entries as they were at a position of the log, and follow from there.

        Raises:
            CorruptLog: if the log does not say what came after.
        """
        with self.state.lock:
            self.state.load(entries, seq, self._log.epoch())
            self.state.high_water = max(self.state.high_water, high_water, self._checkpoint.read().high_water)
            self.position = position
            self._replay()

    def load_catalogue(self) -> Catalogue | None:
        """Fill the memory from the catalogue; None if there is none that the log goes on from."""
        catalogue = read_catalogue(self._catalogue_path)
        if catalogue is None or catalogue.epoch != self._log.epoch():
            return None
        if not self._log.start() <= catalogue.position <= self._log.head():
            return None
        try:
            self.load(catalogue.entries, catalogue.position, catalogue.seq, catalogue.high_water)
        except CorruptLog:
            return None
        return catalogue

    def begin_anew(self) -> None:
        """Where what is known is of another epoch, take over what the keeper wrote down in this one."""
        if self._log.epoch() != self.state.epoch:
            with self.state.lock:
                self.load_catalogue()

    # --- keeping up -----------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Take over every record that is published. Listeners are not told yet.

        Raises:
            CorruptLog: if the log does not say, and the keeper has not written down yet what is there now.
        """
        with self.state.lock:
            try:
                self._replay()
            except CorruptLog:
                if self.load_catalogue() is None:
                    raise

    def _replay(self) -> None:
        head = self._log.head()
        if head == self.position:
            return
        if head < self.position:
            raise CorruptLog("log", head)
        for record, position in self._log.read(self.position, head):
            self.state.apply(record)
            self.position = position
            self._note(record)

    def publish(self, records: Sequence[Record], position: int) -> None:
        """Let everybody see records of our own, which end at `position`. Only under the write lock."""
        with self.state.lock:
            self._log.publish(position)
            for record in records:
                self.state.apply(record)
                self._note(record)
            self.position = position

    def _note(self, record: Record) -> None:
        if self.listeners:
            self._untold.append(record)

    def tell_listeners(self) -> None:
        """Tell listeners of the records taken over since. Without locks: they may take their time."""
        while self._untold:
            with contextlib.suppress(IndexError):
                record = self._untold.popleft()
                for listener in self.listeners:
                    listener(record)
