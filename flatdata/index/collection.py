"""The index of one collection: its members, and the structures over them that queries have asked for.

Structures are built when first needed, outside the lock, from a snapshot of the members; what changes
meanwhile is kept in a journal and replayed on the finished structure before it is used.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

from pyroaring import BitMap

from flatdata.errors import FlatdataError
from flatdata.index.postings import Postings
from flatdata.index.structures import SortedList
from flatdata.index.tables import Sizes
from flatdata.query.tree import Field, KeyIndex, OrderIndex, SizeIndex
from flatdata.store.entry import Entry

_CHUNK: Final = 200
MOST_STRUCTURES: Final = 64
"""Structures that one collection keeps; a query uses a handful."""
BULK: Final = 2_000
"""From so many pending changes on, forgetting a structure is cheaper than changing it one by one."""

BY_SLUG: Final = "slug"

Structure = Postings | SortedList | Sizes
Key = tuple[Field, KeyIndex | OrderIndex | SizeIndex] | str
"""What a structure is over: a field and a kind of index, or `BY_SLUG`."""
_Journal = list[tuple[Entry | None, Entry | None]]


class NotBuilt(FlatdataError):
    """A structure is not there (any more): build it without the lock, and ask again."""


class Collection:
    """The entries directly below one slug. `members` and the structures change under the state's lock."""

    def __init__(self, lock: threading.RLock, members: Iterable[Entry]) -> None:
        self._lock = lock
        self._structures: dict[Key, Structure] = {}
        self._journals: list[_Journal] = []
        self._building = threading.Lock()
        self.entries: dict[int, Entry] = {entry.num: entry for entry in members}
        self.members = BitMap(self.entries)

    def change(self, old: Entry | None, new: Entry | None) -> None:
        """Take over that `old` became `new`; both are members of this collection. Under the lock."""
        if new is not None:
            self.entries[new.num] = new
            if old is None:
                self.members.add(new.num)
        elif old is not None:
            del self.entries[old.num]
            self.members.discard(old.num)
        for journal in self._journals:
            journal.append((old, new))
        if not self._structures:
            return
        with _held([entry for entry in (old, new) if entry is not None]):
            for structure in self._structures.values():
                structure.change(old, new)

    def build(self, wanted: Iterable[Key]) -> None:
        """See to it that structures are there, making those that are not in one pass. Without the lock.

        Clients choose what they ask for, so only the structures used last are kept.
        """
        self._use(wanted)
        while missing := [key for key in wanted if key not in self._structures]:
            with self._building:
                missing = [key for key in missing if key not in self._structures]
                if missing:
                    self._make(missing)

    @property
    def crowded(self) -> bool:
        """Whether there are so many structures that `build` has to be told what is used."""
        return len(self._structures) > MOST_STRUCTURES

    def _use(self, wanted: Iterable[Key]) -> None:
        """Put structures last in line, and let go of those first in line where there are too many."""
        if not self.crowded:
            return
        with self._lock:
            kept = 0
            for key in wanted:
                if (structure := self._structures.pop(key, None)) is not None:
                    self._structures[key] = structure
                    kept += 1
            for key in list(self._structures)[: -max(MOST_STRUCTURES, kept)]:
                del self._structures[key]

    def postings(self, key: Key) -> Postings:
        """The postings of a field. Raises NotBuilt. Under the lock."""
        found = self._structures.get(key)
        if not isinstance(found, Postings):
            raise NotBuilt
        return found

    def sorted(self, key: Key) -> SortedList:
        """The sorted list of a field, or of the slugs. Raises NotBuilt. Under the lock."""
        found = self._structures.get(key)
        if not isinstance(found, SortedList) or found.outdated:
            self._structures.pop(key, None)
            raise NotBuilt
        return found

    def sizes(self, key: Key) -> Sizes:
        """The sizes of a field. Raises NotBuilt. Under the lock."""
        found = self._structures.get(key)
        if not isinstance(found, Sizes):
            raise NotBuilt
        return found

    def _make(self, keys: list[Key]) -> None:
        made = {key: _structure(key) for key in keys}
        journal: _Journal = []
        with self._lock:
            snapshot = list(self.entries.values())
            self._journals.append(journal)
        try:
            for start in range(0, len(snapshot), _CHUNK):
                chunk = snapshot[start : start + _CHUNK]
                with _held(chunk):
                    for structure in made.values():
                        structure.collect(chunk)
                # Building may take a second: let requests have the interpreter that wait for it.
                time.sleep(0)
            for structure in made.values():
                structure.finish()
        except BaseException:
            with self._lock:
                self._forget(journal)
            raise
        with self._lock:
            self._forget(journal)
            if len(journal) < BULK:
                for structure in made.values():
                    for old, new in journal:
                        structure.change(old, new)
                self._structures.update(made)

    def _forget(self, journal: _Journal) -> None:
        self._journals = [other for other in self._journals if other is not journal]


def _structure(key: Key) -> Structure:
    if key == BY_SLUG or isinstance(key, str):
        return SortedList(_slug)
    field, index = key
    if isinstance(index, KeyIndex):
        return Postings(field, index)
    return Sizes(field, index) if isinstance(index, SizeIndex) else SortedList.over(field, index)


@contextlib.contextmanager
def _held(entries: Iterable[Entry]) -> Iterator[None]:
    """Keep entries parsed for as long as several structures read them."""
    for entry in entries:
        entry.held = entry.fields
    try:
        yield
    finally:
        for entry in entries:
            entry.held = None


def _slug(entry: Entry) -> str:
    return entry.slug
