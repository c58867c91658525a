"""Tables from the number of an entry (`Entry.num`) to something about it.

Plain data structures: who calls holds the lock.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pyroaring import BitMap

from flatdata.index.slices import Slices
from flatdata.query.tree import Field, SizeIndex
from flatdata.store.entry import Entry

_SPARSE: Final = 6
"""Numbers for each entry up to which a list of them takes less memory than a dict."""
_FEW: Final = 64
_LARGEST: Final = 2**31


class KeyTable:
    """The keys of entries by their numbers.

    A list where the numbers are dense, which takes a sixth of a dict's memory; else a dict.
    """

    def __init__(self, nums: Sequence[int], keys: Sequence[Any]) -> None:
        end = max(nums, default=-1) + 1
        self._keys: dict[int, Any] | list[Any] = {} if end > _SPARSE * len(nums) else [None] * end
        for num, key in zip(nums, keys, strict=True):
            self._keys[num] = key

    @property
    def of(self) -> Callable[[int], Any]:
        """From the number of an entry in the table to its key."""
        return self._keys.__getitem__

    def set(self, num: int, key: Any, count: int) -> None:
        """Note the key of an entry; `count` is how many entries the table has."""
        held = self._keys
        if isinstance(held, list) and num >= len(held):
            if num >= _SPARSE * (count + _FEW):
                self._keys = {other: known for other, known in enumerate(held) if known is not None}
            else:
                held.extend([None] * (num + 1 - len(held)))
        self._keys[num] = key

    def remove(self, num: int) -> None:
        """Forget an entry."""
        if isinstance(self._keys, list):
            self._keys[num] = None
        else:
            del self._keys[num]


class _Sparse(dict[int, int]):
    """Sizes by numbers that are far apart; what is not there is 0."""

    def __missing__(self, num: int) -> int:
        return 0


class Sizes:
    """How large one field of each entry is, and of all together.

    An array where the numbers are dense: a ranking asks for the sizes of all that was found, and numbers as
    objects of their own would be spread over the memory.
    """

    def __init__(self, field: Field, index: SizeIndex) -> None:
        self._field = field
        self._index = index
        self._nums: array[int] = array("I")
        self._collected: array[int] = array("I")
        self._sizes: array[int] | _Sparse = array("I")
        self._slices = Slices()
        self._count = 0
        self.total = 0

    def _size(self, entry: Entry) -> int:
        return min(self._index.size(self._field.read(entry)), _LARGEST)

    def collect(self, entries: Iterable[Entry]) -> None:
        """Take in some of many entries, while the table is made; `finish` when all are in."""
        for entry in entries:
            self._nums.append(entry.num)
            self._collected.append(self._size(entry))

    def finish(self) -> None:
        """Make what was collected ready to be asked."""
        self.total = sum(self._collected)
        self._count = len(self._nums)
        end = max(self._nums, default=-1) + 1
        self._sizes = _Sparse() if end > _SPARSE * self._count else _zeros(end)
        for num, size in zip(self._nums, self._collected, strict=True):
            self._sizes[num] = size
        self._slices = Slices(self._nums, self._collected)
        self._nums, self._collected = array("I"), array("I")

    def change(self, old: Entry | None, new: Entry | None) -> None:
        """Take over that `old` became `new`."""
        if old is not None:
            size = self._sizes[old.num]
            self.total -= size
            self._count -= 1
            self._slices.change(old.num, size, 0)
            self._set(old.num, 0)
        if new is not None:
            size = self._size(new)
            self.total += size
            self._count += 1
            self._slices.change(new.num, 0, size)
            self._set(new.num, size)

    def _set(self, num: int, size: int) -> None:
        held = self._sizes
        if isinstance(held, array) and num >= len(held):
            if num >= _SPARSE * (self._count + _FEW):
                self._sizes = held = _Sparse({other: known for other, known in enumerate(held) if known})
            else:
                held.extend(_zeros(num + 1 - len(held)))
        if size or isinstance(held, array):
            held[num] = size
        else:
            held.pop(num, None)

    def of(self, nums: Iterable[int]) -> list[int]:
        """The sizes of entries, by their numbers."""
        sizes = self._sizes
        return [sizes[num] for num in nums]

    def extreme(self, entries: BitMap, count: int, more: int, *, largest: bool) -> BitMap:
        """The `count` smallest or largest of `entries`, see `Slices.extreme`."""
        return self._slices.extreme(entries, count, more, largest=largest)


def _zeros(count: int) -> array[int]:
    return array("I", bytes(array("I").itemsize * count))
