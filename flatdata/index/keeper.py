"""The keeper: one for each site, in a process of its own. It holds the files and the log together.

It reads the content on the first start, compares the files with what is known, follows what the watcher hints
at, and records every edit it finds as a change from disk; it writes the catalogue from which the next start
reads, flushes checkpoints, drops log segments nobody needs, and keeps Whoosh up to date. Here is when it does
what; comparing is `flatdata.index.comparing`, writing things down `flatdata.index.upkeep`.

Being a process of its own, nothing of this takes the interpreter from a request. The keeper is whoever holds
the lock `.flatdata/keeper.lock`; it dies with its holder, and the next supervisor starts another keeper
(`flatdata.index.supervisor`).
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flatdata.index.comparing import Comparison
from flatdata.index.status import (
    COMPARING,
    READING,
    READY,
    REBUILD_REQUEST,
    STOPPED,
    KeeperStatus,
    ProblemReport,
    StatusFile,
)
from flatdata.index.upkeep import Upkeep
from flatdata.index.watching import OVERFLOW, Hint, Watcher
from flatdata.spare_memory import SpareMemory
from flatdata.store.paths import InvalidSlug, parent_of
from flatdata.store.store import Store

if TYPE_CHECKING:
    from flatdata.index.words_writer import WordsWriter

_QUIET_SECONDS: Final = 0.005
_GATHER_SECONDS: Final = 0.05
_TICK_SECONDS: Final = 0.2
_STATUS_SECONDS: Final = 0.1
"""How often the status is written while things happen; what is left to tell is told after a tick."""
_MANY_HINTS: Final = 400
_MANY_OF: Final = 3
"""More changed paths than that, and than a third of all entries: comparing everything is cheaper."""
_CATALOGUE_SECONDS: Final = 10.0
_PARTIAL_COMPARE_SECONDS: Final = 2.0
_ODD_COMPARE_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 1.0

logger = logging.getLogger("flatdata.keeper")


class _Clock:
    """When each of the things was done last that are done every so often."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._done: dict[str, float] = {}

    def is_due(self, task: str, seconds: float) -> bool:
        return time.monotonic() - self._done.get(task, self._begun) > seconds

    def restart(self, task: str) -> None:
        self._done[task] = time.monotonic()


class Keeper:
    """The work of the keeper, step by step.

    Args:
        root: the site's folder.
        compare_seconds: how often the files are compared even if nothing hints at a change.
        checkpoint_seconds: how often what was written is flushed for good.
        keep_days: how long log records are kept (0 for ever).
        segment_bytes: size at which a segment of the log is closed.
        progress: told of (files read, files in all) while the content is read for the first time.
    """

    def __init__(
        self,
        root: Path,
        *,
        compare_seconds: float = 60.0,
        checkpoint_seconds: float = 30.0,
        keep_days: float = 0,
        segment_bytes: int = 64 << 20,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.store = Store(root, segment_bytes)
        self._compare_seconds = compare_seconds
        self._checkpoint_seconds = checkpoint_seconds
        self._progress = progress
        self.store.catalogue_path.parent.mkdir(exist_ok=True)
        self._files = Comparison(self.store, self._give_way)
        self._upkeep = Upkeep(self.store, self._files, keep_days)
        self._status_file = StatusFile(self.store.state_dir)
        self.status = KeeperStatus(pid=os.getpid())
        self._untold = False
        """Whether the status is not what was written last."""
        self._lost = False
        """Whether changes may have been missed."""
        self._compare_took = 0.0
        self._clock = _Clock()
        self._spare_memory = SpareMemory()
        self._watcher: Watcher | None = None
        self._words: WordsWriter | None = None

    # --- starting -------------------------------------------------------------------------------------

    def prepare(self, *, watch: bool = True) -> None:
        """Bring what is known in step with the files; when this returns, the site can be served."""
        self._tell(COMPARING)
        if not self._load():
            self._read_everything()
        if watch:
            self._start_watching()
        self.compare()
        if self.store.log.head() != self._upkeep.catalogue_position:
            self._upkeep.write_catalogue()
        self._tell(READY)

    def _start_watching(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._watcher = Watcher(self.store.tree.root)
        self._files.watch = self._watcher.watch

    def _load(self) -> bool:
        catalogue = self.store.load_catalogue()
        if catalogue is None:
            return False
        self._files.know(catalogue.entries, catalogue.inodes)
        self._upkeep.catalogue_position = catalogue.position
        return True

    def _read_everything(self) -> None:
        """Fill the memory from the files, without a record in the log: they are what it starts from.

        Nobody knows what changed since anybody looked, so all that was learned before is void.
        """
        self._tell(READING)
        high_water = self.store.high_water_since_checkpoint()
        self.store.begin_epoch()
        position = self.store.log.head()
        seq = self.store.log.last_seq(position)
        entries = self._files.read_all(self._tell_progress)
        self.store.load(entries, position, seq, high_water)

    def _tell_progress(self, done: int, total: int) -> None:
        self.status.done, self.status.total = done, total
        if self._clock.is_due("progress", _TICK_SECONDS):
            self._clock.restart("progress")
            self._tell(READING)

    def _tell(self, phase: str) -> None:
        status = self.status
        status.phase = phase
        status.sources = len(self.store.manifests())
        status.entries = len(self.store.state.entries) - status.sources
        status.problems = [ProblemReport(p.path, p.reason, p.line) for p in self._files.problems()]
        if self._words is not None:
            status.words_seq, status.words_entries = self._words.committed()
        try:
            self._status_file.write(status)
            self._untold = False
        except OSError as error:
            logger.warning("the status cannot be written: %s", error.strerror)
            self._untold = True
        self._clock.restart("status")
        if self._progress is not None and phase == READING:
            self._progress(status.done, status.total)

    def compare(self, slug: str = "") -> int:
        """Compare the files at and below `slug` with what is known; take in the differences.

        Gives the number of entries that changed.
        """
        return self._files.compare(slug)

    def _give_way(self) -> None:
        if self._words is not None:
            self._words.give_way()

    # --- running --------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Keep the site in step until `stop` is set; call `prepare` first."""
        from flatdata.index.words_writer import WordsWriter  # Whoosh is not needed to open a site

        self._words = WordsWriter(self.store.state_dir / "index" / "words", self.store)
        self._words.start()
        self._clock = _Clock()
        if not self.store.checkpoint_position():
            # Nothing vouches for the files yet: after a power loss all of the log would be gone through.
            self._upkeep.start_checkpoint()
        while not stop.is_set() and not self.store.log.is_deleted():
            try:
                self._step()
                self._spare_memory.look(self.store.state.changed)
            except OSError as error:
                # The disk is full or the like: what was hinted at meanwhile is found by comparing.
                logger.warning("the files cannot be followed: %s", error.strerror)
                self._lost = True
                stop.wait(_PAUSE_SECONDS)

    def _step(self) -> None:
        hints = self._gather()
        self.store.follow()
        if hints:
            self._follow_hints(hints)
            self._untold = True
        if self._watcher is not None and self._watcher.is_stale():
            self._start_watching()
            self._lost = True
        if self._rebuild_requested():
            self.rebuild()
            self._clock.restart("compare")
        if self._lost or self._clock.is_due("compare", self._seconds_between_comparisons()):
            self._lost = self._files.odd = False
            began = time.monotonic()
            self.compare()
            self._compare_took = time.monotonic() - began
            self._untold = True
            self._clock.restart("compare")
        if (
            self._clock.is_due("catalogue", _CATALOGUE_SECONDS)
            and self.store.position != self._upkeep.catalogue_position
        ):
            self._upkeep.write_catalogue()
            self._clock.restart("catalogue")
            self._untold = True
        if self._clock.is_due("checkpoint", self._checkpoint_seconds):
            self._upkeep.start_checkpoint()
            self._clock.restart("checkpoint")
        if self._untold and self._clock.is_due("status", _STATUS_SECONDS):
            self._tell(READY)

    def _seconds_between_comparisons(self) -> float:
        if self._files.odd:
            # Whoever makes odd files all the time does not make us compare all the time.
            return max(_ODD_COMPARE_SECONDS, 3 * self._compare_took)
        if self._watcher is None or self._watcher.partial:
            return min(_PARTIAL_COMPARE_SECONDS, self._compare_seconds)
        return self._compare_seconds

    def _gather(self) -> list[Hint]:
        """Wait for hints, then until there has been a moment of quiet."""
        if self._watcher is None:
            time.sleep(_TICK_SECONDS)
            return []
        waiting = self._watcher.hints
        try:
            hints = [waiting.get(timeout=_TICK_SECONDS)]
        except queue.Empty:
            return []
        end = time.monotonic() + _GATHER_SECONDS
        is_quiet = False
        while not is_quiet:
            # Asleep between looks: to be woken by each of a thousand hints a second costs more than they do.
            time.sleep(_QUIET_SECONDS)
            is_quiet = waiting.empty() or time.monotonic() >= end
            hints += (waiting.get() for _ in range(waiting.qsize()))
        return hints

    def _follow_hints(self, hints: list[Hint]) -> None:
        paths = set(hints)
        if (OVERFLOW, True) in paths:
            logger.warning("the system lost file events; comparing everything")
        many = max(_MANY_HINTS, len(self.store.state.entries) // _MANY_OF)
        if len(paths) > many or (OVERFLOW, True) in paths:
            self.compare()
            return
        left = self._files.without_echoes(paths)
        if left and self.store.log.head() != self.store.position:
            # The files of a commit are in their places a moment before its record is published.
            self.store.follow()
            left = self._files.without_echoes(left)
        folders: set[str] = set()
        slugs: list[str] = []
        for path, is_folder in left:
            try:
                if is_folder:
                    folders.update(self.store.tree.locate_folder(path))
                elif located := self.store.tree.locate(path):
                    slugs.append(located[0])
            except InvalidSlug:
                self._files.odd = True
        for slug in _outermost(folders):
            self.compare(slug)
        self._files.take_in(slugs)
        if any(self._files.is_odd(path) for path, is_folder in left if not is_folder):
            self._files.odd = True

    def _rebuild_requested(self) -> bool:
        try:
            os.unlink(self.store.state_dir / REBUILD_REQUEST)
        except FileNotFoundError:
            return False
        return True

    def rebuild(self) -> int:
        """Read every file again, whatever its date; gives how many entries turned out different."""
        changed = self._files.read_again()
        self._upkeep.write_catalogue()
        if self._words is not None:
            self._words.rebuild()
        self._tell(READY)
        return changed

    def close(self) -> None:
        """Write down what the next start needs, and let go."""
        if self._watcher is not None:
            self._watcher.close()
        if self._words is not None:
            self._words.stop()
        self._upkeep.wait()
        if not self.store.log.is_deleted():
            self.store.follow()
            self._upkeep.finish()
            self._tell(STOPPED)
        self.store.close()


def _outermost(folders: Iterable[str]) -> list[str]:
    """Those of some folders that lie in none of the others."""
    known = set(folders)
    return sorted(slug for slug in known if known.isdisjoint(_above(slug)))


def _above(slug: str) -> Iterator[str]:
    """Every folder that a folder lies in, the root included."""
    while slug:
        slug = parent_of(slug)
        yield slug
