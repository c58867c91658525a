"""The index of one collection: its members, and the structures over them that queries have asked for.

Structures are built when first needed, outside the lock, from a snapshot of the members. What changes is
kept in a journal, and a structure takes it over when it is asked for: what changed while it was built, and
what changes later.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from pyroaring import BitMap

from flatdata.errors import FlatdataError
from flatdata.index.journal import Journal
from flatdata.index.postings import Postings
from flatdata.index.structures import SortedList
from flatdata.index.tables import Sizes
from flatdata.query.tree import Field, KeyIndex, OrderIndex, SizeIndex
from flatdata.store.entry import Entry
from flatdata.turns import give_way

_CHUNK: Final = 50
"""Entries between two moments at which others may have the interpreter."""
_STEP: Final = 100
"""Changes that a structure takes over at a time, while others wait for the lock: a millisecond."""
MOST_STRUCTURES: Final = 64
"""Structures that one collection keeps; a query uses a handful."""
MOST_BEHIND: Final = 2_000
"""A structure that is so many changes behind, and a quarter of the members, is made anew when needed."""
_HEAVIEST: Final = 16_000_000
"""Bytes of replaced entries that changes may keep in memory."""

BY_SLUG: Final = "slug"

Structure = Postings | SortedList | Sizes
Key = tuple[Field, KeyIndex | OrderIndex | SizeIndex] | str
"""What a structure is over: a field and a kind of index, or `BY_SLUG`."""


class NotBuilt(FlatdataError):
    """A structure is not there (any more): build it without the lock, and ask again."""


class _Kept:
    """A structure, and how many of its collection's changes it has taken over."""

    __slots__ = ("position", "structure")

    def __init__(self, structure: Structure, position: int) -> None:
        self.structure = structure
        self.position = position


class Collection:
    """The entries directly below one slug. `members` and the structures change under the state's lock.

    Structures take changes over when they are asked for: a write costs the same whatever was asked before it,
    and a query pays for the structures that it uses.
    """

    def __init__(self, lock: threading.RLock, members: Iterable[Entry]) -> None:
        self._lock = lock
        self._structures: dict[Key, _Kept] = {}
        self._journal = Journal()
        self._building = threading.Lock()
        self._making = False
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
        if not self._structures and not self._making:
            return
        journal = self._journal
        journal.append(old, new)
        if len(journal) > max(MOST_BEHIND, len(self.members) // 4) or journal.weight > _HEAVIEST:
            self._shorten()

    def _shorten(self) -> None:
        """Forget the older half of the changes, and the structures that have not taken them over."""
        begin = (self._journal.begin + self._journal.end) // 2
        self._structures = {key: kept for key, kept in self._structures.items() if kept.position >= begin}
        # Without structures nobody will ask for any of them.
        self._journal.forget(begin if self._structures or self._making else self._journal.end)

    def build(self, wanted: Iterable[Key]) -> None:
        """See to it that structures are there, making those that are not in one pass. Without the lock.

        Clients choose what they ask for, so only the structures used last are kept.
        """
        self._use(wanted)
        while True:
            if any(key not in self._structures for key in wanted):
                with self._building:
                    missing = [key for key in wanted if key not in self._structures]
                    if missing:
                        self._make(missing)
            elif self._come_near(wanted):
                return
            # Let requests have the lock that wait for it.
            give_way()

    def _come_near(self, wanted: Iterable[Key]) -> bool:
        """Have structures take over some changes; whether what is left can wait until they are used."""
        with self._lock:
            behind = [key for key in wanted if self._behind(key) > _STEP]
            for key in behind:
                self._catch_up(key)
            return not behind

    def _behind(self, key: Key) -> int:
        kept = self._structures.get(key)
        return 0 if kept is None else self._journal.end - kept.position

    def _catch_up(self, key: Key) -> None:
        """Have a structure take over some of the changes that it has not yet. Under the lock."""
        kept = self._structures[key]
        changes = self._journal.since(kept.position, _STEP)
        try:
            for old, new in changes:
                kept.structure.change(old, new)
        except BaseException:
            # It has taken over a part of them.
            del self._structures[key]
            raise
        kept.position += len(changes)

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

    def _at_hand(self, key: Key) -> Structure:
        """A structure that has taken over all changes. Raises NotBuilt."""
        kept = self._structures.get(key)
        if kept is None:
            raise NotBuilt
        if kept.position != self._journal.end:
            if self._behind(key) > _STEP:
                raise NotBuilt
            self._catch_up(key)
        return kept.structure

    def postings(self, key: Key) -> Postings:
        """The postings of a field. Raises NotBuilt. Under the lock."""
        found = self._at_hand(key)
        if not isinstance(found, Postings):
            raise NotBuilt
        return found

    def sorted(self, key: Key) -> SortedList:
        """The sorted list of a field, or of the slugs. Raises NotBuilt. Under the lock."""
        found = self._at_hand(key)
        if not isinstance(found, SortedList):
            raise NotBuilt
        return found

    def sizes(self, key: Key) -> Sizes:
        """The sizes of a field. Raises NotBuilt. Under the lock."""
        found = self._at_hand(key)
        if not isinstance(found, Sizes):
            raise NotBuilt
        return found

    def _make(self, keys: list[Key]) -> None:
        made = {key: _structure(key) for key in keys}
        with self._lock:
            snapshot = list(self.entries.values())
            position = self._journal.end
            self._making = True
        try:
            for start in range(0, len(snapshot), _CHUNK):
                chunk = snapshot[start : start + _CHUNK]
                with _held(chunk):
                    for structure in made.values():
                        structure.collect(chunk)
                # Building may take a second.
                give_way()
            for structure in made.values():
                structure.finish()
        except BaseException:
            with self._lock:
                self._making = False
            raise
        with self._lock:
            self._making = False
            if position >= self._journal.begin:
                self._structures.update((key, _Kept(each, position)) for key, each in made.items())


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
