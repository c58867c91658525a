"""Tables of sizes tell what each entry's field measures now, however far its number is from the others."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from pyroaring import BitMap

from flatdata.index.tables import Sizes
from flatdata.query.tree import Field, SizeIndex
from flatdata.store.entry import Entry, encode_json

SIZES = SizeIndex("test", lambda value: value if isinstance(value, int) else 0)
SIZE = Field("test", "size", lambda entry: entry.fields.get("size"))
HELD = st.dictionaries(st.integers(0, 30) | st.integers(5_000, 5_030), st.integers(0, 2**33) | st.none())
CHANGES = st.lists(
    st.tuples(st.integers(0, 40) | st.sampled_from([3_000, 5_010, 90_000]), st.integers(-1, 9))
)


def _entry(num: int, size: int | None) -> Entry:
    entry = Entry(f"c/e{num}", encode_json({"size": size}), form="file", mtime_ns=1, size=1)
    entry.num = num
    return entry


@given(HELD, CHANGES)
@example({1: 5}, [(90_000, 7), (1, 6), (90_000, 0), (90_000, -1)])
@example({number: number for number in range(20)}, [(30, 4), (30, -1), (5, 0), (5_010, 3), (6, 9)])
@example({5_000: 3}, [(2, 1), (5_000, -1)])
def test_sizes_are_those_of_the_entries(held: dict[int, int | None], changes: list[tuple[int, int]]) -> None:
    entries = {num: _entry(num, size) for num, size in held.items()}
    sizes = Sizes(SIZE, SIZES)
    sizes.collect(entries.values())
    sizes.finish()
    expected = {num: min(size or 0, 2**31) for num, size in held.items()}
    for num, size in changes:
        old = entries.pop(num, None)
        expected.pop(num, None)
        if size >= 0:
            entries[num] = _entry(num, size)
            expected[num] = size
        if old is not None or size >= 0:
            sizes.change(old, entries.get(num))
        assert sizes.of(expected) == list(expected.values())
        assert sizes.total == sum(expected.values())
        for largest in (False, True):
            in_order = sorted(expected.values(), reverse=largest)
            found = sizes.extreme(BitMap(expected), 3, 0, largest=largest)
            assert sorted([expected[each] for each in found], reverse=largest) == in_order[: len(found)]
            assert len(found) >= min(3, len(expected))


def test_many_sizes_take_four_bytes_each() -> None:
    sizes = Sizes(SIZE, SIZES)
    sizes.collect(_entry(num, 1_000_000 + num) for num in range(1_000))
    sizes.finish()
    assert sizes.of([0, 999]) == [1_000_000, 1_000_999]
    assert memoryview(sizes._sizes).nbytes == 4_000  # type: ignore[arg-type]
