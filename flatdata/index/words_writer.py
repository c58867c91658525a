"""Brings the word index up to date behind the changes, in a thread of the keeper."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flatdata.index.committed import VERSION, Committed, CommittedFile
from flatdata.index.errors import BrokenWords
from flatdata.index.terms import terms_of
from flatdata.index.whoosh_adapter import WhooshIndex, WhooshWriter
from flatdata.store.entry import Entry
from flatdata.store.log import Record
from flatdata.store.paths import MANIFEST
from flatdata.store.store import Store

_COMMIT_SECONDS: Final = 1.0
_REST: Final = 3.0
"""Times as long as a commit took is rested after it: a stream of writes needs the processor, too."""
_LONGEST_REST: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
_STOP_SECONDS: Final = 3.0
_GIVE_WAY_SECONDS: Final = 1.0
_LONGEST_WAIT: Final = 10.0
_NICENESS: Final = 10
_AT_ONCE: Final = 100
"""Entries that are added between two looks at whether somebody else needs the interpreter."""

_NOTHING: Final = Committed(VERSION, "", -1, -1, 0, 0)

logger = logging.getLogger("flatdata.words")


class WordsWriter:
    """The thread that writes words. Nobody waits for it, so whoever else has something to do comes first.

    What changed is heard from the state, as the keeper follows the log; the log itself is read here only for
    what came before.

    Args:
        folder: `.flatdata/index/words`.
        store: followed by the keeper; read here under its state's lock.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._file = CommittedFile(folder)
        self._stop = threading.Event()
        self._rebuild = threading.Event()
        self._committed = _NOTHING
        self._busy_until = 0.0
        self._thread = threading.Thread(target=self._run, name="words", daemon=True)
        self._changed: dict[str, bool] = {}
        """The entries that changed since the last commit, and whether they were there then. Like the next
        two, it is read and changed under the state's lock."""
        self._trees: set[str] = set()
        """Trees of which it is not known which of their entries changed."""
        with store.state.lock:
            self._heard_from = store.position
            store.state.listeners.append(self._note_change)
            store.state.load_listeners.append(self._note_load)

    def _note_change(self, before: Entry | None, after: Entry | None) -> None:
        entry = before or after
        if entry is not None:
            self._changed.setdefault(entry.slug, before is not None)

    def _note_load(self, entries: Iterable[Entry]) -> None:
        self._rebuild.set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand; one that takes long is left, and made again at the next start."""
        self._stop.set()
        self._thread.join(_STOP_SECONDS)

    def rebuild(self) -> None:
        """Throw the index away and make it again, in the background."""
        self._rebuild.set()

    def give_way(self) -> None:
        """Note that the keeper takes in edits: words have to wait for a moment, or ten seconds at most."""
        self._busy_until = time.monotonic() + _GIVE_WAY_SECONDS

    def committed(self) -> tuple[int, int]:
        """Number of the last record that is in the index (-1: it is being made), and its entries."""
        return self._committed.seq, self._committed.entries

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            # Of this thread alone, as Linux has it: requests in other processes come first, too.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        pause = _COMMIT_SECONDS
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._keep_up()
            except Exception as error:  # whatever one entry or a damaged file may do
                if self._stop.is_set():
                    # The keeper did not wait for a long batch, and has closed the log under it.
                    return
                logger.warning("the word index is made again: %r", error)
                self._remove()
                # A disk that is full stays so for a while, and making the index is work.
                lasted = time.monotonic() - began > _LONGEST_PAUSE
                pause = _COMMIT_SECONDS if lasted else min(2 * pause, _LONGEST_PAUSE)
                self._stop.wait(pause)

    def _keep_up(self) -> None:
        index = self._open() or self._create()
        if index is None:
            return
        try:
            while not self._stop.is_set() and not self._rebuild.is_set():
                pause = _COMMIT_SECONDS
                if not self._file.exists():
                    # A reader found the index damaged, or somebody deleted it.
                    self._rebuild.set()
                elif self._store.position != self._committed.position:
                    self._wait_for_others()
                    if not self._stop.is_set():
                        began = time.thread_time()
                        self._catch_up(index)
                        pause = max(pause, _REST * (time.thread_time() - began))
                self._stop.wait(min(pause, _LONGEST_REST))
        finally:
            index.close()
        if self._rebuild.is_set():
            self._rebuild.clear()
            self._remove()

    def _wait_for_others(self) -> None:
        end = time.monotonic() + _LONGEST_WAIT
        while (now := time.monotonic()) < min(self._busy_until, end):
            if self._stop.wait(min(self._busy_until, end) - now):
                return

    def _open(self) -> WhooshIndex | None:
        committed, log = self._file.read(), self._store.log
        if committed is None or committed.epoch != log.epoch():
            return None
        if not log.start() <= committed.position <= self._store.position:
            return None
        self._committed = committed
        self._note_unheard()
        return WhooshIndex.open(self._folder)

    def _note_unheard(self) -> None:
        """Note what changed between the last commit and when changes began to be heard.

        Documents may be there of all of it: a keeper that died may have committed them, and left no note.
        """
        changed: set[str] = set()
        trees: set[str] = set()
        for record, _ in self._store.log.read(self._committed.position, self._heard_from):
            _note_slugs(record, changed, trees)
        with self._store.state.lock:
            self._changed.update(dict.fromkeys(changed, True))
            self._trees |= trees

    def _remove(self) -> None:
        self._committed = _NOTHING
        shutil.rmtree(self._folder, ignore_errors=True)

    def _create(self) -> WhooshIndex | None:
        """Make the index from all entries in memory; None if the keeper stopped meanwhile."""
        self._remove()
        index = WhooshIndex.create(self._folder)
        with self._store.state.lock:
            seq, position = self._store.state.seq, self._store.position
            entries = [entry for entry in self._store.state.entries.values() if entry.form != MANIFEST]
            self._changed.clear()
            self._trees.clear()
        writer = index.writer()
        if writer is None:
            raise BrokenWords("another process writes")
        with writer:
            for number, entry in enumerate(entries):
                if not number % _AT_ONCE:
                    self._wait_for_others()
                if self._stop.is_set():
                    break
                writer.add(entry.slug, terms_of(entry))
            else:
                writer.commit()
                self._note(index, seq, position, len(entries))
                return index
        index.close()
        self._remove()
        return None

    def _note(self, index: WhooshIndex, seq: int, position: int, entries: int) -> None:
        epoch = self._store.log.epoch()
        self._committed = Committed(VERSION, epoch, index.generation(), seq, position, entries)
        self._file.write(self._committed)

    def _catch_up(self, index: WhooshIndex) -> None:
        """Take over what changed since the last commit, as it is now."""
        writer = index.writer()
        if writer is None:
            return
        with writer:
            changes = self._take_changes()
            try:
                _write(writer, changes)
                writer.commit()
            except Exception:
                self._put_back(changes)
                raise
        self._note(index, changes.seq, changes.position, changes.count)

    def _take_changes(self) -> _Changes:
        state = self._store.state
        with state.lock:
            changed, self._changed = self._changed, {}
            trees, self._trees = self._trees, set()
            entries = {slug: state.entries[slug] for slug in changed if slug in state.entries}
            for tree in trees:
                entries.update((entry.slug, entry) for entry in state.below(tree))
            return _Changes(
                state.seq,
                self._store.position,
                len(state.entries),
                changed,
                # To look for the documents of new entries would be much work, and find none.
                {slug for slug, was_there in changed.items() if was_there},
                trees,
                [entry for entry in entries.values() if entry.form != MANIFEST],
            )

    def _put_back(self, changes: _Changes) -> None:
        with self._store.state.lock:
            self._changed = self._changed | changes.changed
            self._trees |= changes.trees


@dataclass(frozen=True, slots=True)
class _Changes:
    """What changed since the last commit, as of record `seq` and a position of the log."""

    seq: int
    position: int
    count: int
    """How many entries there are."""
    changed: dict[str, bool]
    outdated: set[str]
    """Slugs of which the index may hold documents."""
    trees: set[str]
    entries: list[Entry]
    """Those of which the index is to hold documents."""


def _write(writer: WhooshWriter, changes: _Changes) -> None:
    writer.remove(changes.outdated | changes.trees)
    for tree in changes.trees:
        writer.remove_below(tree)
    for entry in changes.entries:
        writer.add(entry.slug, terms_of(entry))


def _note_slugs(record: Record, changed: set[str], trees: set[str]) -> None:
    """Note which entries a record touched: one by one, or whole trees."""
    for effect in record.changes:
        if effect.op in ("put", "delete"):
            changed.add(effect.slug)
        else:
            trees.update(slug for slug in (effect.slug, effect.to) if slug)
