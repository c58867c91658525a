"""Entries in a wanted order: pages of a set, cut from the sorted lists of a collection.

Everything here runs under the state's lock, and raises NotBuilt where a list is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from itertools import groupby
from operator import attrgetter
from typing import Final

from pyroaring import BitMap

from flatdata.index.collection import BY_SLUG, Collection, Key
from flatdata.index.structures import SortedList
from flatdata.query.tree import OrderBy
from flatdata.store.entry import Entry

_SORTING: Final = 32
"""Putting one entry in its place by sorting takes as long as passing so many along a sorted list."""
_PICKING: Final = 4
"""The first of so many times as many entries are picked out faster than all are sorted."""
_MANY_TIES: Final = 512
"""Ties of more entries are paged by the list of the next sort key instead of sorted."""


class Ordering:
    """An order of the entries of one collection: its sort keys, ties by slug, ascending."""

    def __init__(self, collection: Collection, order: tuple[OrderBy, ...]) -> None:
        self._collection = collection
        self.keys: list[Key] = [(step.field, step.index) for step in order] or [BY_SLUG]
        """The structures it needs."""
        self.by_slug = not order
        self._descending = [step.descending for step in order] or [False]

    def page(self, wanted: BitMap, offset: int, limit: int) -> list[Entry]:
        """At most `limit` entries of `wanted` in order, after the first `offset` of them."""
        total = len(wanted)
        limit = min(limit, total - offset)
        if limit <= 0:
            return []
        lists = [self._collection.sorted(key) for key in self.keys]
        entries = self._collection.entries
        # Sorting what is wanted, or walking the list from the start of the page: whichever is less.
        if limit * len(lists[0]) > _SORTING * total * total:
            found = list(map(entries.__getitem__, wanted.to_array()))
            if self.by_slug and (offset + limit) * _PICKING < total:
                return nsmallest(offset + limit, found, key=_slug)[offset:]
            found.sort(key=_slug)
            if self.by_slug:
                return found[offset : offset + limit]
            nums = [entry.num for entry in found]
            self._sort(nums, lists, 0)
            return [entries[num] for num in nums[offset : offset + limit]]
        return [entries[num] for num in self._page(wanted, offset, limit, lists, 0)]

    def _sort(self, nums: list[int], lists: Sequence[SortedList], first: int) -> None:
        """Put entries in order that come by slug: by the sort keys from number `first` on."""
        for at in range(len(lists) - 1, first - 1, -1):
            nums.sort(key=lists[at].key_of, reverse=self._descending[at])

    def _page(
        self, wanted: BitMap, offset: int, limit: int, lists: Sequence[SortedList], first: int
    ) -> list[int]:
        """A page by the sort keys from number `first` on."""
        listed = lists[first]
        found = listed.page(wanted, offset, limit, self._descending[first])
        if first == len(lists) - 1:
            return found
        runs = [(key, list(run)) for key, run in groupby(found, listed.key_of)]
        page: list[int] = []
        for number, (key, run) in enumerate(runs):
            if number in (0, len(runs) - 1):
                # Ties at the ends of the page may go on beyond it.
                low, high = listed.span(key, key, False, False)
                passed = 0
                if not number and offset:
                    passed = len(wanted) - listed.rank(wanted, high)
                    passed = offset - (passed if self._descending[first] else listed.rank(wanted, low))
                run = self._among(wanted, low, high, passed, limit - len(page), lists, first)
            elif len(run) > 1:
                self._sort(run, lists, first + 1)
            page += run
        return page

    def _among(
        self,
        wanted: BitMap,
        low: int,
        high: int,
        offset: int,
        limit: int,
        lists: Sequence[SortedList],
        first: int,
    ) -> list[int]:
        """A page of the ties at the places [low, high) of list `first`, by the sort keys behind it."""
        listed = lists[first]
        if high - low > _MANY_TIES:
            tied = listed.slice(low, high) & wanted
            if limit * len(listed) <= _SORTING * len(tied) * len(tied):
                return self._page(tied, offset, limit, lists, first + 1)
        nums = listed.members_at(wanted, low, high)
        self._sort(nums, lists, first + 1)
        return nums[offset : offset + limit]


_slug: Final = attrgetter("slug")
