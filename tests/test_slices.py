"""Entries with extreme numbers are found by the bits of their numbers, with all that tie."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from pyroaring import BitMap

from flatdata.index.slices import Slices

NUMBERS = st.dictionaries(
    st.integers(0, 40) | st.integers(70_000, 70_020), st.integers(0, 9) | st.integers(0, 2**31)
)


@given(NUMBERS, st.sets(st.integers(0, 40)), st.integers(1, 12), st.integers(0, 8), st.booleans())
@example({1: 3, 2: 3, 3: 4}, {1, 2, 3}, 1, 0, False)
@example({1: 2, 2: 1, 3: 1}, {1, 2, 3, 4}, 2, 0, True)
def test_the_least_and_the_largest_come_with_all_that_tie(
    numbers: dict[int, int], asked: set[int], count: int, more: int, largest: bool
) -> None:
    slices = Slices(list(numbers), list(numbers.values()))
    entries = BitMap(asked)
    in_order = sorted(asked, key=lambda num: numbers.get(num, 0), reverse=largest)
    found = slices.extreme(entries, count, more, largest=largest)
    assert entries == BitMap(asked)
    last = numbers.get(in_order[:count][-1], 0) if asked else 0
    tied = [num for num in in_order if numbers.get(num, 0) == last]
    wanted = {*in_order[:count], *tied} if asked else set()
    assert wanted <= set(found) <= asked
    assert len(found) <= max(len(wanted), count + more)


@given(NUMBERS, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2**31))))
def test_changed_numbers_are_taken_over(numbers: dict[int, int], changes: list[tuple[int, int]]) -> None:
    slices = Slices(list(numbers), list(numbers.values()))
    for num, new in changes:
        slices.change(num, numbers.get(num, 0), new)
        numbers[num] = new
    for largest in (False, True):
        for count in range(1, len(numbers) + 1):
            found = slices.extreme(BitMap(numbers), count, 0, largest=largest)
            in_order = sorted(numbers.values(), reverse=largest)
            assert sorted([numbers[num] for num in found], reverse=largest) == in_order[: len(found)]
            assert len(found) >= count


def test_few_are_looked_for_among_many_without_asking_each() -> None:
    slices = Slices(range(5_000), [num * 7919 % 5_000 for num in range(5_000)])
    found = slices.extreme(BitMap(range(5_000)), 20, 0, largest=False)
    assert sorted(num * 7919 % 5_000 for num in found) == list(range(20))
