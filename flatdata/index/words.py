"""The word index as a process that serves sees it: finding entries by the words of their strings.

The keeper writes the terms of entries (`flatdata.index.terms`) to Whoosh (`flatdata.index.words_writer`),
behind the changes; every process reads them here, commit by commit. What a reader may see: Whoosh is behind
by a second or so, on a first start by much more. Entries that changed since its last commit are marked, and
left to the evaluator.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from pyroaring import BitMap

from flatdata.index.committed import CommittedFile
from flatdata.index.errors import BrokenWords
from flatdata.index.words_view import Counts, Held, View
from flatdata.store.entry import Entry
from flatdata.store.state import State

_REFRESH_SECONDS: Final = 0.2
_TRIES: Final = 3
"""So often an index that cannot be read is tried again before it is thrown away."""

_T = TypeVar("_T")

logger = logging.getLogger("flatdata.words")


class _Changes:
    """Numbers of entries, and of the records that changed them.

    In arrays: as tuples, those of an import of 50,000 rows took 5 MB until words were asked for again, and
    what was around them could not be given back.
    """

    def __init__(self) -> None:
        self._seqs = array("q")
        self._nums = array("q")

    def add(self, seq: int, num: int) -> None:
        """Note that a record changed an entry."""
        self._seqs.append(seq)
        self._nums.append(num)

    def all(self) -> Iterator[tuple[int, int]]:
        """The records and the entries, in the order in which they were noted."""
        return zip(self._seqs, self._nums, strict=True)


class Words:
    """Reads the word index. Answers are sets of entry numbers (`Entry.num`).

    `refresh` is called without locks and does what takes long; questions are asked under the state's lock.
    """

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self._file = CommittedFile(folder)
        self._state = state
        self._refreshing = threading.Lock()
        self._looked = 0.0
        self._stamp: tuple[int, int] | None = None
        self._held: dict[str, Held] = {}
        self._view: View | None = None
        self._recent: _Changes | None = None
        self._dirty = BitMap()
        self._failures = 0
        self._era = 0

    def close(self) -> None:
        """Let go of the files."""
        with self._refreshing, self._state.lock:
            self._show(None)

    # --- following ----------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Note that all entries have other numbers now. Under the state's lock."""
        self._era += 1
        self._stamp = None
        self._held = {}
        self._show(None)

    def touched(self, entry: Entry) -> None:
        """Note that an entry changed. Under the state's lock."""
        if self._recent is not None:
            self._recent.add(entry.seq, entry.num)
            self._dirty.add(entry.num)

    def refresh(self) -> None:
        """Take over the last commit, looking for one every so often. Without the state's lock."""
        if time.monotonic() - self._looked < _REFRESH_SECONDS or not self._refreshing.acquire(blocking=False):
            return
        try:
            self._looked = time.monotonic()
            stamp = self._stamp_of_file()
            if stamp != self._stamp and self._take_over():
                self._stamp = stamp
        finally:
            self._refreshing.release()

    def _stamp_of_file(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._file.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _take_over(self) -> bool:
        """Read the last commit; False if this is not the moment for it."""
        committed = self._file.read()
        if committed is not None and (committed.epoch, True) != (
            self._state.epoch,
            committed.seq <= self._state.seq,
        ):
            # Numbers are those of the entries as they are here: this process has to follow first.
            return False
        era = self._era
        view: View | None = None
        held: dict[str, Held] = {}
        if committed is not None:
            try:
                view, held, generation = View.open(self._folder, self._state.entries, self._held)
            except BrokenWords as error:
                self._failed(error)
                return False
            if generation not in (None, committed.generation):
                # Another commit, of which nothing is known yet.
                _close(view)
                return False
        with self._state.lock:
            if era != self._era:
                if view is not None:
                    _close(view)
                return False
            self._held = held
            self._show(view)
            if committed is not None:
                self._mark_dirty(committed.seq)
        self._failures = 0
        return True

    def _failed(self, error: BrokenWords) -> None:
        """Try again; an index that cannot be read time and again is thrown away."""
        logger.warning("the word index cannot be read: %s", error)
        self._failures += 1
        if self._failures >= _TRIES:
            self._failures = 0
            self._file.remove()

    def _show(self, view: View | None) -> None:
        old, self._view = self._view, view
        if view is None:
            self._recent = None
            self._dirty = BitMap()
        if old is not None:
            _close(old)

    def _mark_dirty(self, seq: int) -> None:
        before, self._recent = self._recent, _Changes()
        if before is None:
            entries = self._state.entries.values()
            changed = [(entry.seq, entry.num) for entry in entries if entry.seq > seq]
        else:
            changed = [(at, num) for at, num in before.all() if at > seq]
        for at, num in changed:
            self._recent.add(at, num)
        self._dirty = BitMap([num for _, num in changed if num >= 0])

    # --- questions, under the state's lock ----------------------------------------------------------------

    def containing(self, path: str, needle: str) -> BitMap | None:
        """Entries that may have a string at `path` with `needle` in it; None: any may."""
        found = self._ask(lambda view: view.containing(path, needle))
        return None if found is None else found | self._dirty

    def within_words(self, path: str, needle: str) -> BitMap:
        """Some of what `containing` gives: entries with a word at `path` that holds a case-folded needle.

        Those are left out in which keys of other paths lead to it too.
        """
        found = self._ask(lambda view: view.within_words(path, needle))
        return BitMap() if found is None else found - self._dirty

    def with_stems(self, path: str, stems: Iterable[str]) -> tuple[BitMap, BitMap] | None:
        """Entries that have all `stems` at `path` for sure, and those that possibly do; None: any may.

        The sets are not to be changed; they are one object where nothing is left open.
        """
        found = self._ask(lambda view: view.with_stems(path, stems))
        if found is None or not self._dirty:
            return found
        return found[0] - self._dirty, found[1] | self._dirty

    def with_stem_anywhere(self, paths: tuple[str, ...], stemmed: str) -> tuple[BitMap, BitMap] | None:
        """The same for a stem at one of `paths`; None also where more is to be told apart, path by path."""
        found = self._ask(lambda view: view.with_stem_anywhere(paths, stemmed))
        if found is None:
            return None
        return (found - self._dirty, found | self._dirty) if self._dirty else (found, found)

    def counts(self, paths: tuple[str, ...], stems: Iterable[str]) -> tuple[list[Counts], BitMap] | None:
        """How often each of `stems` occurs at all `paths` together, and of which entries that is not true.

        These changed since the last commit, or have other strings at one of the paths too. None if nothing
        is known. Neither is to be changed.
        """
        found = self._ask(lambda view: (view.counts(paths, stems), [view.sharing(path) for path in paths]))
        return None if found is None else (found[0], BitMap.union(self._dirty, *found[1]))

    @property
    def behind(self) -> BitMap:
        """Entries that changed since the last commit. Not to be changed."""
        return self._dirty

    def _ask(self, question: Callable[[View], _T | None]) -> _T | None:
        """What the last commit says; None if there is none, or it cannot be read."""
        view = self._view
        if view is None:
            return None
        try:
            return question(view)
        except BrokenWords as error:
            self._failed(error)
            self._held = {}
            self._stamp = None
            self._show(None)
            return None


def _close(view: View) -> None:
    try:
        view.close()
    except BrokenWords as error:
        logger.warning("the word index cannot be closed: %s", error)
