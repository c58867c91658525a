"""Postings: from the keys of one field of one collection to the entries that have them.

A plain data structure: who calls holds the lock. Entries are known by small integers (`Entry.num`).
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Final

from pyroaring import BitMap

from flatdata.query.tree import Field, KeyIndex
from flatdata.store.entry import Entry

_NO_ENTRIES: Final = BitMap()


class Postings:
    """From each key of a field to the entries that have it.

    A key of one entry only is kept as its number, so that a field of unique values costs little.
    """

    def __init__(self, field: Field, index: KeyIndex) -> None:
        self._field = field
        self._index = index
        self._postings: dict[Hashable, int | BitMap] = {}

    def _keys(self, entry: Entry) -> set[Hashable]:
        return set(self._index.keys(self._field.read(entry)))

    def collect(self, entries: Iterable[Entry]) -> None:
        """Take in some of many entries, while the structure is made; `finish` when all are in."""
        gathered: dict[Hashable, Any] = self._postings
        read, keys_of = self._field.read, self._index.keys
        for entry in entries:
            for key in keys_of(read(entry)):
                held = gathered.get(key)
                if held is None:
                    gathered[key] = entry.num
                elif held.__class__ is int:
                    gathered[key] = array("I", (held, entry.num))
                else:
                    held.append(entry.num)

    def finish(self) -> None:
        """Make what was collected ready to be asked."""
        for key, value in self._postings.items():
            if not isinstance(value, int):
                self._postings[key] = BitMap(value)

    def change(self, old: Entry | None, new: Entry | None) -> None:
        """Take over that `old` became `new`."""
        before = self._keys(old) if old is not None else set()
        after = self._keys(new) if new is not None else set()
        for key in before - after:
            self._remove(key, old.num)  # type: ignore[union-attr]
        for key in after - before:
            self._add(key, new.num)  # type: ignore[union-attr]

    def _add(self, key: Hashable, num: int) -> None:
        held = self._postings.get(key)
        if held is None:
            self._postings[key] = num
        elif isinstance(held, int):
            self._postings[key] = BitMap((held, num))
        else:
            held.add(num)

    def _remove(self, key: Hashable, num: int) -> None:
        held = self._postings.get(key)
        if isinstance(held, int):
            del self._postings[key]
        elif held is not None:
            held.discard(num)
            if not held:
                del self._postings[key]

    def __len__(self) -> int:
        return len(self._postings)

    def among(self, wanted: BitMap) -> Iterator[BitMap | int]:
        """The entries of each key that are in `wanted`; keys without any are left out."""
        for held in self._postings.values():
            if isinstance(held, int):
                if held in wanted:
                    yield held
            elif found := held & wanted:
                yield found

    def of(self, key: Hashable) -> BitMap:
        """The entries with one key. Not to be changed by the caller."""
        held = self._postings.get(key, _NO_ENTRIES)
        return BitMap((held,)) if isinstance(held, int) else held

    def find(self, keys: Iterable[Hashable]) -> BitMap:
        """The entries with one of `keys`. Not to be changed by the caller."""
        get = self._postings.get
        found = [held for key in keys if (held := get(key)) is not None]
        if not found:
            return _NO_ENTRIES
        if len(found) == 1 and not isinstance(found[0], int):
            return found[0]
        union = BitMap([held for held in found if isinstance(held, int)])
        maps = [held for held in found if not isinstance(held, int)]
        return BitMap.union(union, *maps) if maps else union
