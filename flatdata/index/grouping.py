"""Groups of entries by one key each: put together from postings, at a cost for each group, not each entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pyroaring import BitMap

from flatdata.index.collection import Collection
from flatdata.index.ordering import Ordering
from flatdata.index.postings import Postings
from flatdata.query.tree import Absent, Field, Json, KeyIndex
from flatdata.store.entry import Entry

MOST_WALKED: Final = 500
"""Groups up to which the order is walked from its start; it costs some 5 µs for each. For more of them
all keys are gone through, which costs some 0.2 µs for each entry."""
_FIRST_STEP: Final = 64


class Group(NamedTuple):
    """Entries that share a key: the first in order, how many there are (`size`), and all of them if wanted.

    `value` is that of the first in the field that decides.
    """

    first: Entry
    value: Json | Absent
    size: int
    entries: list[Entry]


def grouped(
    ordered: Iterable[Entry], field: Field, index: KeyIndex, start: int, stop: int | None, members: bool
) -> list[Group]:
    """The groups [start, stop) of entries that come in order, by reading each of them."""
    groups: dict[object, tuple[Json | Absent, list[Entry]]] = {}
    for entry in ordered:
        value = field.read(entry)
        (key,) = index.keys(value)
        groups.setdefault(key, (value, []))[1].append(entry)
    return [
        Group(entries[0], value, len(entries), entries if members else [])
        for value, entries in list(groups.values())[start:stop]
    ]


class Grouping:
    """Groups of members of a collection by one field."""

    def __init__(
        self, collection: Collection, ordering: Ordering, field: Field, index: KeyIndex, *, members: bool
    ) -> None:
        self._collection = collection
        self._ordering = ordering
        self._field = field
        self._index = index
        self._members = members

    def gather(self, wanted: BitMap, start: int, stop: int | None) -> Gathered:
        """What the groups [start, stop) of `wanted` are made of. Under the state's lock. Raises NotBuilt."""
        postings = self._collection.postings((self._field, self._index))
        most = min(len(postings) if stop is None else stop, len(postings), len(wanted))
        if most <= MOST_WALKED:
            found = self._walk(wanted, postings, most, start)
            return _Walked(found, in_order=not (self._members and self._ordering.by_slug))
        ordered = self._ordering.page(wanted, 0, len(wanted))
        sets = list(postings.among(wanted))
        return _Collected(ordered, self._field, sets, slice(start, stop), members=self._members)

    def _walk(self, wanted: BitMap, postings: Postings, most: int, start: int) -> list[Group]:
        """The first groups: that of the first entry, that of the first which is not in it, and so on.

        So many of them are found as `most`, and those from number `start` on are given.
        """
        read, keys_of, of_key = self._field.read, self._index.keys, postings.of
        found: list[Group] = []
        number = 0
        everything = len(wanted) == len(self._collection.members)
        left = BitMap(wanted)
        at, step = 0, _FIRST_STEP
        while number < most and (page := self._ordering.page(wanted, at, step)):
            for entry in page:
                if entry.num not in left:
                    continue
                value = read(entry)
                (key,) = keys_of(value)
                group = of_key(key)
                if not everything:
                    group = group & wanted
                if number >= start:
                    members = self._in_order(entry, group) if self._members else []
                    found.append(Group(entry, value, len(group), members))
                number += 1
                left -= group
                if number == most or not left:
                    return found
            at += step
            step *= 2
        return found

    def _in_order(self, first: Entry, group: BitMap) -> list[Entry]:
        """The entries of a group in order; where that is the order of slugs, they are not yet."""
        if len(group) == 1:
            return [first]
        if self._ordering.by_slug:
            entries = self._collection.entries
            return [entries[num] for num in group]
        return self._ordering.page(group, 0, len(group))


@dataclass(frozen=True, slots=True)
class _Walked:
    """Groups whose entries may yet have to be put in the order of their slugs."""

    found: list[Group]
    in_order: bool

    def groups(self) -> list[Group]:
        """The groups."""
        if not self.in_order:
            for group in self.found:
                group.entries.sort(key=_slug)
        return self.found


@dataclass(frozen=True, slots=True)
class _Collected:
    """All entries in order, and the sets that they are divided into."""

    ordered: list[Entry]
    field: Field
    sets: list[BitMap | int]
    wanted: slice
    members: bool

    def groups(self) -> list[Group]:
        """The groups that are wanted: one whose first entry comes before another's is before the other."""
        place = {entry.num: at for at, entry in enumerate(self.ordered)}.__getitem__
        firsts = [
            (place(each) if isinstance(each, int) else min(map(place, each)), each) for each in self.sets
        ]
        firsts.sort(key=_first)
        return [self._group(first, each, place) for first, each in firsts[self.wanted]]

    def _group(self, first: int, group: BitMap | int, place: Callable[[int], int]) -> Group:
        entry = self.ordered[first]
        value = self.field.read(entry)
        if isinstance(group, int):
            return Group(entry, value, 1, [entry] if self.members else [])
        places = sorted(map(place, group)) if self.members else []
        return Group(entry, value, len(group), [self.ordered[at] for at in places])


Gathered = _Walked | _Collected
"""What was taken from the index; its `groups` needs no lock."""


def _first(found: tuple[int, object]) -> int:
    return found[0]


def _slug(entry: Entry) -> str:
    return entry.slug
