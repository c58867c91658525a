"""The structures in memory that make a query a lookup: postings and sorted lists over one field of one
collection. Plain data structures: who calls holds the lock.

Entries are known by small integers (`Entry.num`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from pyroaring import BitMap

from flatdata.query.tree import Field, KeyIndex, OrderIndex
from flatdata.store.entry import Entry

_MARK_DISTANCE: Final = 512
_MOST_MARKS: Final = 128


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

    def count(self, keys: Iterable[Hashable]) -> int:
        """How many entries there are at the most with one of `keys`."""
        total = 0
        for key in keys:
            held = self._postings.get(key)
            if held is not None:
                total += 1 if isinstance(held, int) else len(held)
        return total

    def find(self, keys: Iterable[Hashable]) -> BitMap:
        """The entries with one of `keys`. Not to be changed by the caller."""
        found = [held for key in keys if (held := self._postings.get(key)) is not None]
        if len(found) == 1 and not isinstance(found[0], int):
            return found[0]
        union = BitMap([held for held in found if isinstance(held, int)])
        maps = [held for held in found if not isinstance(held, int)]
        return BitMap.union(union, *maps) if maps else union


class SortedList:
    """The entries of a collection in the order of one key, ties in the order of their slugs.

    `key` None is for entries that are not in the list. Inserting moves at most a few hundred kilobytes of
    pointers at fifty thousand entries, some 20 µs.
    """

    def __init__(self, key: Callable[[Entry], Any]) -> None:
        self._key = key
        self._items: list[tuple[Any, str]] = []
        self._nums: array[int] = array("I")
        self._keys: dict[int, Any] = {}
        self._collected: list[tuple[Any, str, int]] = []
        self._marks: _Marks | None = None

    @classmethod
    def over(cls, field: Field, index: OrderIndex) -> SortedList:
        """A list by one kind of key of a field."""
        read, key_of = field.read, index.key
        return cls(lambda entry: key_of(read(entry)))

    def __len__(self) -> int:
        return len(self._items)

    def collect(self, entries: Iterable[Entry]) -> None:
        """Take in some of many entries, while the list is made; `finish` when all are in."""
        key_of = self._key
        keyed = self._collected
        for entry in entries:
            key = key_of(entry)
            if key is not None:
                keyed.append((key, entry.slug, entry.num))

    def finish(self) -> None:
        """Make what was collected ready to be asked."""
        keyed = self._collected
        self._collected = []
        keyed.sort()
        self._items = [(key, slug) for key, slug, _ in keyed]
        self._nums = array("I", [num for _, _, num in keyed])
        self._keys = {num: key for key, _, num in keyed}

    def change(self, old: Entry | None, new: Entry | None) -> None:
        """Take over that `old` became `new`."""
        before = self._keys.get(old.num) if old is not None else None
        after = self._key(new) if new is not None else None
        if before is not None and old is not None:
            if after is not None and new is not None and before == after and old.slug == new.slug:
                return
            at = bisect_left(self._items, (before, old.slug))
            if self._marks is not None:
                self._marks.remove(self._items[at], old.num)
            del self._items[at]
            del self._nums[at]
            del self._keys[old.num]
        if after is not None and new is not None:
            at = bisect_left(self._items, (after, new.slug))
            self._items.insert(at, (after, new.slug))
            self._nums.insert(at, new.num)
            self._keys[new.num] = after
            if self._marks is not None:
                self._marks.add((after, new.slug), new.num)

    def key_of(self, num: int) -> Any:
        """The key of an entry, None if it is not in the list."""
        return self._keys.get(num)

    # --- ranges ---------------------------------------------------------------------------------------

    def span(self, low: Any, high: Any, low_open: bool, high_open: bool) -> tuple[int, int]:
        """Where the keys between the bounds lie."""
        start, stop = 0, len(self._items)
        if low is not None:
            start = (bisect_right if low_open else bisect_left)(self._items, low, key=_first)
        if high is not None:
            stop = (bisect_left if high_open else bisect_right)(self._items, high, key=_first)
        return start, max(start, stop)

    def slice(self, start: int, stop: int) -> BitMap:
        """The entries at the places [start, stop)."""
        if stop - start < _MARK_DISTANCE * 2:
            return BitMap(self._nums[start:stop])
        if self._marks is None or len(self._items) > 2 * self._marks.made_for:
            self._marks = _Marks(self._items, self._nums)
        return self._marks.slice(self._items, self._nums, start, stop)

    def within(self, nums: BitMap, low: Any, high: Any, low_open: bool, high_open: bool) -> BitMap:
        """Those of `nums` whose key lies between the bounds; for few `nums`."""
        kept = []
        for num in nums:
            key = self._keys.get(num)
            if key is None:
                continue
            if low is not None and (key <= low if low_open else key < low):
                continue
            if high is not None and (key >= high if high_open else key > high):
                continue
            kept.append(num)
        return BitMap(kept)

    # --- order ----------------------------------------------------------------------------------------

    def page(self, offset: int, limit: int, descending: bool) -> list[int]:
        """The numbers at places [offset, offset + limit) of the list; ties by slug in both directions."""
        if not descending:
            return list(self._nums[offset : offset + limit])
        page: list[int] = []
        total = len(self._items)
        while len(page) < limit and offset < total:
            low, high = self._group_around(total - 1 - offset)
            start = low + offset - (total - high)
            taken = self._nums[start : min(high, start + limit - len(page))]
            page += taken
            offset += len(taken)
        return page

    def _group_around(self, place: int) -> tuple[int, int]:
        key = self._items[place][0]
        low = place
        if low and self._items[low - 1][0] == key:
            low = bisect_left(self._items, key, key=_first)
        high = place + 1
        if high < len(self._items) and self._items[high][0] == key:
            high = bisect_right(self._items, key, key=_first)
        return low, high

    def groups(self, wanted: BitMap, descending: bool, needed: int) -> Iterator[list[int]]:
        """The entries of `wanted` in the order of their keys, those of equal keys together.

        `needed` is how many the caller is going to take: it decides between walking the list, which costs a
        step for each entry passed, and sorting `wanted`, which costs some ten for each of them.
        """
        if needed * len(self._items) > 10 * len(wanted) * len(wanted):
            yield from self._groups_of_few(wanted, descending)
        elif descending:
            place = len(self._items)
            while place:
                low, high = self._group_around(place - 1)
                if group := [num for num in self._nums[low:high] if num in wanted]:
                    yield group
                place = low
        else:
            # Walking number by number: a group is closed when the key changes.
            items, nums = self._items, self._nums
            group = []
            last: Any = None
            for place, num in enumerate(nums):
                if num in wanted:
                    key = items[place][0]
                    if group and key != last:
                        yield group
                        group = []
                    group.append(num)
                    last = key
            if group:
                yield group

    def _groups_of_few(self, wanted: BitMap, descending: bool) -> Iterator[list[int]]:
        keys = self._keys
        nums = [num for num in wanted if num in keys]
        nums.sort(key=keys.__getitem__, reverse=descending)
        for _, group in groupby(nums, key=keys.__getitem__):
            yield list(group)


class _Marks:
    """For large ranges: at marks along a sorted list, the set of all entries before the mark.

    A range is then the difference of two such sets and two short ends, instead of tens of thousands of
    entries put together one by one (2 ms at 36,000; 0.1 ms with marks).
    """

    def __init__(self, items: list[tuple[Any, str]], nums: array[int]) -> None:
        self.made_for = len(items)
        places = range(_MARK_DISTANCE, len(items), max(_MARK_DISTANCE, len(items) // _MOST_MARKS))
        self._marks = [items[place] for place in places]
        self._before: list[BitMap] = []
        so_far, last = BitMap(), 0
        for place in places:
            so_far = so_far | BitMap(nums[last:place])
            self._before.append(so_far)
            last = place

    def add(self, item: tuple[Any, str], num: int) -> None:
        for before in self._before[bisect_right(self._marks, item) :]:
            before.add(num)

    def remove(self, item: tuple[Any, str], num: int) -> None:
        for before in self._before[bisect_right(self._marks, item) :]:
            before.discard(num)

    def slice(self, items: list[tuple[Any, str]], nums: array[int], start: int, stop: int) -> BitMap:
        first = bisect_left(self._marks, items[start])
        last = bisect_right(self._marks, items[stop - 1]) - 1
        if first >= last:
            return BitMap(nums[start:stop])
        head = bisect_left(items, self._marks[first])
        tail = bisect_left(items, self._marks[last])
        middle = self._before[last] - self._before[first]
        return middle | BitMap(nums[start:head]) | BitMap(nums[tail:stop])


def _first(item: tuple[Any, str]) -> Any:
    return item[0]
