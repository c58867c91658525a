"""A sorted sequence in blocks: entries by key and slug, cheap to change anywhere, asked by place.

A plain data structure: who calls holds the lock. Entries are known by small integers (`Entry.num`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate, islice
from operator import eq
from typing import Any, Final, NamedTuple

from pyroaring import BitMap

_LENGTH: Final = 512
"""Entries of a block when it is made. One of twice as many is cut in two, one of a quarter joins the next."""
_SHORT: Final = 96
"""At so many places looking at each is quicker than asking for the set of the block."""
_FEW: Final = 32
"""So many entries of a block are put in order faster than they are looked for among all of it."""


class Item(NamedTuple):
    """What a place is decided by."""

    key: Any
    slug: str


class Blocks:
    """Entries in the order of their keys, ties in the order of their slugs.

    One list of fifty thousand entries moves a megabyte of pointers for each that is put in, which takes
    40 µs; a block moves a few kilobytes. Keys, slugs and numbers are lists side by side: a tuple for each
    entry would take three times the memory.
    """

    def __init__(self, keys: list[Any], slugs: list[str], nums: array[int]) -> None:
        """From entries in their order."""
        cuts = [(start, start + _LENGTH) for start in range(0, len(keys), _LENGTH)] or [(0, 0)]
        self._keys = [keys[start:stop] for start, stop in cuts]
        self._slugs = [slugs[start:stop] for start, stop in cuts]
        self._nums = [nums[start:stop] for start, stop in cuts]
        self._sets: list[BitMap | None] = [None] * len(cuts)
        self._last_keys = [block[-1] for block in self._keys if block]
        self._last_slugs = [block[-1] for block in self._slugs if block]
        self._starts: list[int] | None = None

    def _begins(self) -> list[int]:
        """The places where the blocks begin, and the end."""
        if self._starts is None:
            self._starts = [0, *accumulate(map(len, self._nums))]
        return self._starts

    def __len__(self) -> int:
        return self._begins()[-1]

    # --- changes --------------------------------------------------------------------------------------

    def _find(self, key: Any, slug: str) -> tuple[int, int]:
        """The block that an entry is in, or belongs to, and its place there."""
        low = bisect_left(self._last_keys, key)
        block = bisect_left(self._last_slugs, slug, low, bisect_right(self._last_keys, key, low))
        if block == len(self._keys):
            block -= 1
        keys = self._keys[block]
        low = bisect_left(keys, key)
        return block, bisect_left(self._slugs[block], slug, low, bisect_right(keys, key, low))

    def insert(self, key: Any, slug: str, num: int) -> Any:
        """Put an entry in its place. Returns its key, or the equal key of a neighbour, for both to share."""
        block, at = self._find(key, slug)
        keys = self._keys[block]
        if at and keys[at - 1] == key:
            key = keys[at - 1]
        keys.insert(at, key)
        self._slugs[block].insert(at, slug)
        self._nums[block].insert(at, num)
        if (held := self._sets[block]) is not None:
            held.add(num)
        self._starts = None
        if len(keys) >= 2 * _LENGTH:
            self._cut(block)
        elif at == len(keys) - 1:
            self._note_last(block)
        return key

    def remove(self, key: Any, slug: str) -> None:
        """Take out an entry that is there."""
        block, at = self._find(key, slug)
        keys = self._keys[block]
        del keys[at]
        del self._slugs[block][at]
        num = self._nums[block].pop(at)
        if (held := self._sets[block]) is not None:
            held.discard(num)
        self._starts = None
        if len(keys) <= _LENGTH // 4 and len(self._keys) > 1:
            self._join(min(block, len(self._keys) - 2))
        elif not keys:
            self._last_keys.clear()
            self._last_slugs.clear()
        elif at == len(keys):
            self._note_last(block)

    def _note_last(self, block: int) -> None:
        self._last_keys[block : block + 1] = self._keys[block][-1:]
        self._last_slugs[block : block + 1] = self._slugs[block][-1:]

    def _cut(self, block: int) -> None:
        """Make two blocks of one."""
        for side in (self._keys, self._slugs, self._nums):
            whole: Any = side[block]
            middle = len(whole) // 2
            side[block : block + 1] = [whole[:middle], whole[middle:]]
        self._sets[block : block + 1] = [None, None]
        self._last_keys[block : block + 1] = [self._keys[block][-1], self._keys[block + 1][-1]]
        self._last_slugs[block : block + 1] = [self._slugs[block][-1], self._slugs[block + 1][-1]]

    def _join(self, block: int) -> None:
        """Make one block of one and the next."""
        for side in (self._keys, self._slugs, self._nums):
            both: Any = side[block : block + 2]
            side[block : block + 2] = [both[0] + both[1]]
        self._sets[block : block + 2] = [None]
        del self._last_keys[block + 1], self._last_slugs[block + 1]
        self._note_last(block)
        if len(self._keys[block]) >= 2 * _LENGTH:
            self._cut(block)

    # --- questions ------------------------------------------------------------------------------------

    def place(self, item: Item) -> int:
        """Where an entry is, or belongs."""
        block, at = self._find(*item)
        return self._begins()[block] + at

    def left(self, key: Any) -> int:
        """The place of the first entry whose key is not less."""
        block = bisect_left(self._last_keys, key)
        if block == len(self._last_keys):
            return len(self)
        return self._begins()[block] + bisect_left(self._keys[block], key)

    def right(self, key: Any) -> int:
        """The place of the first entry whose key is greater."""
        block = bisect_right(self._last_keys, key)
        if block == len(self._last_keys):
            return len(self)
        return self._begins()[block] + bisect_right(self._keys[block], key)

    def _at(self, place: int) -> tuple[int, int]:
        """The block of a place, and where in it."""
        begins = self._begins()
        block = bisect_right(begins, place) - 1
        return block, place - begins[block]

    def key(self, place: int) -> Any:
        """The key of the entry at a place."""
        block, at = self._at(place)
        return self._keys[block][at]

    def item(self, place: int) -> Item:
        """The key and slug of the entry at a place."""
        block, at = self._at(place)
        return Item(self._keys[block][at], self._slugs[block][at])

    def among(
        self,
        wanted: BitMap,
        start: int,
        stop: int,
        key_of: Callable[[int], Any],
        limit: int | None = None,
    ) -> list[int]:
        """Those of `wanted` at the places [start, stop), in their order; `key_of` gives the key of each.

        With a `limit`, blocks behind the one in which so many are found are not looked at. Looking at 512
        places takes 50 µs, asking which of `wanted` are in a block 1 µs: most often few are.
        """
        begins = self._begins()
        block = bisect_right(begins, start) - 1
        found: list[int] = []
        while block < len(self._nums) and (begin := begins[block]) < stop:
            low, high = max(0, start - begin), min(len(self._nums[block]), stop - begin)
            found += self._among(block, wanted, low, high, key_of)
            if limit is not None and len(found) >= limit:
                break
            block += 1
        return found

    def _among(
        self, block: int, wanted: BitMap, low: int, high: int, key_of: Callable[[int], Any]
    ) -> list[int]:
        """The same at places of one block."""
        nums = self._nums[block]
        whole = high - low == len(nums)
        if not whole:
            nums = nums[low:high]
        if high - low <= _SHORT:
            return list(filter(wanted.__contains__, nums))
        held = self._sets[block]
        if held is None:
            held = self._sets[block] = BitMap(self._nums[block])
        hits = (held & wanted).to_array().tolist()
        if len(hits) < 2 and (whole or not hits):
            return hits
        if whole and len(hits) <= _FEW:
            hits.sort(key=key_of)
            keys = list(map(key_of, hits))
            if not any(map(eq, keys, islice(keys, 1, None))):
                return hits
        return list(filter(set(hits).__contains__, nums))

    def nums(self, start: int, stop: int) -> array[int]:
        """The entries at the places [start, stop)."""
        begins = self._begins()
        block = bisect_right(begins, start) - 1
        if block >= len(self._nums):
            return array("I")
        begin = begins[block]
        found = self._nums[block][start - begin : stop - begin]
        while (block := block + 1) < len(self._nums) and (begin := begins[block]) < stop:
            found += self._nums[block][: stop - begin]
        return found
