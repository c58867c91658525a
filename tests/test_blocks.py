"""A sorted sequence in blocks is the sorted list of what is in it, through all changes."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from flatdata.index import blocks
from flatdata.index.blocks import Blocks, Item

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=60)
"""Keys, and the numbers that slugs are made of. A pair that is there goes, one that is not comes."""


def _slug(number: int) -> str:
    return f"c/{number:02}"


def _check(order: Blocks, expected: list[tuple[int, str, int]]) -> None:
    assert len(order) == len(expected)
    keys = [key for key, _, _ in expected]
    nums = [num for _, _, num in expected]
    for place, (key, slug, _) in enumerate(expected):
        assert order.item(place) == Item(key, slug)
        assert order.key(place) == key
        assert order.place(Item(key, slug)) == place
    for key in range(-1, 7):
        assert order.left(key) == bisect_left(keys, key)
        assert order.right(key) == bisect_right(keys, key)
        for slug in ("", "c/15x", "d"):
            assert order.place(Item(key, slug)) == bisect_left(expected, (key, slug, 0))
    for start in range(0, len(nums) + 1, 3):
        for stop in (start, start + 1, start + 7, len(nums)):
            assert order.nums(start, stop).tolist() == nums[start:stop]
            for wanted in (BitMap(nums[::3]), BitMap(nums[:2]), BitMap(num + 7 for num in nums)):
                among = order.among(wanted, start, stop, lambda num: num // 100)
                assert among == [num for num in nums[start:stop] if num in wanted]
                first = order.among(wanted, start, stop, lambda num: num // 100, 2)
                assert first[:2] == among[:2]


@settings(max_examples=150)
@given(PAIRS, PAIRS, st.sampled_from([1, 2, 4, 8]), st.sampled_from([0, 3]))
@example([(1, number) for number in range(30)], [(1, number) for number in range(30)], 2, 0)
@example([(0, 1)], [(0, 1), (3, 1), (3, 1)], 1, 0)
def test_it_is_the_sorted_list_of_what_is_in_it(
    first: list[tuple[int, int]], changes: list[tuple[int, int]], length: int, short: int
) -> None:
    held = sorted({(key, _slug(number), key * 100 + 50 - number) for key, number in first})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_LENGTH", length)
        patch.setattr(blocks, "_SHORT", short)
        patch.setattr(blocks, "_FEW", 3)
        order = Blocks(
            [key for key, _, _ in held],
            [slug for _, slug, _ in held],
            array("I", [num for _, _, num in held]),
        )
        _check(order, held)
        for key, number in changes:
            each = (key, _slug(number), key * 100 + 50 - number)
            if each in held:
                held.remove(each)
                order.remove(key, each[1])
            else:
                held.insert(bisect_left(held, each), each)
                assert order.insert(*each) == key
            _check(order, held)


def test_a_neighbour_with_an_equal_key_shares_it() -> None:
    one, other = "".join(["drama", "tic"]), "".join(["drama", "tic"])
    assert one is not other
    order = Blocks([one], ["c/a"], array("I", [1]))
    assert order.insert(other, "c/b", 2) is one
