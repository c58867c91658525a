"""What is written down every so often, so that the next start has little to do: catalogue and checkpoints."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from flatdata.index.comparing import Comparison
from flatdata.store.catalogue import write_catalogue
from flatdata.store.store import Store

_JOIN_SECONDS: Final = 10.0

logger = logging.getLogger("flatdata.keeper")


class Upkeep:
    """Writes the catalogue and checkpoints, and drops records of the log that nobody needs.

    Args:
        store: what is written down.
        files: knows the inodes of its files.
        keep_days: how long log records are kept (0 for ever).

    Attributes:
        catalogue_position: up to where the catalogue goes that was read or written last; -1 without one.
    """

    def __init__(self, store: Store, files: Comparison, keep_days: float) -> None:
        self._store = store
        self._files = files
        self._keep_days = keep_days
        self.catalogue_position = -1
        self._checkpoint_position = -1
        self._checkpointing: threading.Thread | None = None

    def write_catalogue(self) -> None:
        """Write the catalogue of what is in memory. If it fails, that is told, and the old one stays."""
        state = self._store.state
        with state.lock:
            entries = list(state.entries.values())
            epoch, position = self._store.log.epoch(), self._store.position
            seq, high_water = state.seq, state.high_water
        try:
            write_catalogue(
                self._store.catalogue_path,
                entries,
                self._files.inodes_of(entries),
                epoch=epoch,
                position=position,
                seq=seq,
                high_water=high_water,
            )
        except OSError as error:
            logger.warning("the catalogue cannot be written: %s", error.strerror)
            return
        self.catalogue_position = position

    def start_checkpoint(self) -> None:
        """Flush in a thread of its own: a busy disk may take seconds, and edits must not wait for it."""
        head = self._store.log.head()
        busy = self._checkpointing is not None and self._checkpointing.is_alive()
        if head == self._checkpoint_position or busy:
            return
        self._checkpoint_position = head
        self._checkpointing = threading.Thread(target=self._checkpoint, name="checkpoint", daemon=True)
        self._checkpointing.start()

    def _checkpoint(self) -> None:
        try:
            self._store.checkpoint()
            self._drop_old_records()
        except OSError as error:
            logger.warning("the checkpoint failed: %s", error.strerror)

    def _drop_old_records(self) -> None:
        if not self._keep_days:
            return
        horizon_ms = (time.time() - self._keep_days * 86_400) * 1_000
        limit = min(self.catalogue_position, self._store.checkpoint_position())
        self._store.log.drop_older(horizon_ms, limit)

    def wait(self) -> None:
        """Let a checkpoint under way come to its end, for ten seconds at most."""
        if self._checkpointing is not None:
            self._checkpointing.join(_JOIN_SECONDS)

    def finish(self) -> None:
        """Write what was not written yet of what is in memory."""
        if self._store.position != self.catalogue_position:
            self.write_catalogue()
        if self._store.log.head() != self._checkpoint_position:
            self._checkpoint()
