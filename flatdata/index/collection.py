"""The index of one collection: its members, and the structures over them that queries have asked for.

Structures are built when first needed, outside the lock, from a snapshot of the members; what changes
meanwhile is kept in a journal and replayed on the finished structure before it is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Final, TypeVar

from pyroaring import BitMap

from flatdata.errors import FlatdataError
from flatdata.index.structures import Postings, SortedList
from flatdata.query.tree import Field, KeyIndex, OrderIndex
from flatdata.store.entry import Entry

BULK: Final = 2_000
"""From so many pending changes on, forgetting a structure is cheaper than changing it one by one."""

BY_SLUG: Final = "slug"

Structure = Postings | SortedList
_S = TypeVar("_S", Postings, SortedList)
_Journal = list[tuple[Entry | None, Entry | None]]


class NotBuilt(FlatdataError):
    """A structure is not there (any more): build it without the lock, and ask again."""


class Collection:
    """The entries directly below one slug. `members` and the structures change under the state's lock."""

    def __init__(self, lock: threading.RLock, members: Iterable[Entry]) -> None:
        self._lock = lock
        self._structures: dict[Hashable, Structure] = {}
        self._journals: list[_Journal] = []
        self._building: dict[Hashable, threading.Lock] = {}
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
        for entry in (old, new):
            if entry is not None:
                entry.held = entry.fields
        for structure in self._structures.values():
            structure.change(old, new)
        for entry in (old, new):
            if entry is not None:
                entry.held = None

    def forget(self) -> None:
        """Drop the structures: so much is about to change that making them again is cheaper. Under the lock."""
        self._structures.clear()
        for journal in self._journals:
            journal.append((None, None))

    def build_postings(self, field: Field, index: KeyIndex) -> None:
        """See to it that the postings of a field are there. Call it without the lock."""
        self._get((field, index), Postings, lambda: Postings(field, index))

    def build_sorted(self, field: Field, index: OrderIndex) -> None:
        """See to it that the sorted list of a field is there. Call it without the lock."""
        self._get((field, index), SortedList, lambda: SortedList.over(field, index))

    def build_by_slug(self) -> None:
        """See to it that the list of all members by slug is there. Call it without the lock."""
        self._get(BY_SLUG, SortedList, lambda: SortedList(_no_key))

    def postings(self, field: Field, index: KeyIndex) -> Postings:
        """The postings of a field. Raises NotBuilt. Under the lock."""
        found = self._structures.get((field, index))
        if not isinstance(found, Postings):
            raise NotBuilt
        return found

    def sorted(self, field: Field, index: OrderIndex) -> SortedList:
        """The sorted list of a field. Raises NotBuilt. Under the lock."""
        found = self._structures.get((field, index))
        if not isinstance(found, SortedList):
            raise NotBuilt
        return found

    def by_slug(self) -> SortedList:
        """All members in the order of their slugs. Raises NotBuilt. Under the lock."""
        found = self._structures.get(BY_SLUG)
        if not isinstance(found, SortedList):
            raise NotBuilt
        return found

    def _get(self, key: Hashable, kind: type[_S], make: Callable[[], _S]) -> _S:
        found = self._structures.get(key)
        if isinstance(found, kind):
            return found
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        with building:
            found = self._structures.get(key)
            while not isinstance(found, kind):
                found = self._build(key, make())
            return found

    def _build(self, key: Hashable, structure: _S) -> _S | None:
        journal: _Journal = []
        with self._lock:
            snapshot = list(self.entries.values())
            self._journals.append(journal)
        try:
            structure.fill(snapshot)
        finally:
            with self._lock:
                self._journals = [other for other in self._journals if other is not journal]
                usable = len(journal) < BULK and (None, None) not in journal
                if usable:
                    for old, new in journal:
                        structure.change(old, new)
                    self._structures[key] = structure
        return structure if usable else None


def _no_key(entry: Entry) -> int:
    return 0
