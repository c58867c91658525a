"""Pages of any set of entries, cut from sorted lists that live through changes, are those of a plain sort."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from flatdata.index import blocks, ordering, structures
from flatdata.index.collection import Collection
from flatdata.index.ordering import Ordering
from flatdata.query.tree import Field, OrderBy, OrderIndex
from flatdata.store.entry import Entry, encode_json

KEY = OrderIndex("test", lambda value: (0, value))
FIELDS = [Field("test", name, lambda entry, name=name: entry.fields[name]) for name in "fgh"]  # type: ignore[misc]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.none() | st.tuples(st.integers(0, 3), st.integers(0, 1) | st.just(1.0), st.integers(0, 50)),
    ),
    max_size=80,
)
ORDERS = st.lists(st.builds(OrderBy, st.sampled_from(FIELDS), st.just(KEY), st.booleans()), max_size=3)
PAGES = st.tuples(st.sets(st.integers(0, 60)) | st.none(), st.integers(0, 45), st.integers(0, 45))


class Kept:
    """A collection, and its entries by slug."""

    def __init__(self, steps: list[tuple[int, Any]], spread: int) -> None:
        self.spread = spread
        self.by_slug: dict[str, Entry] = {}
        self.collection = Collection(threading.RLock(), [])
        for step in steps:
            self.change(*step)

    def change(self, number: int, values: tuple[float, ...] | None) -> None:
        """Put an entry or, without values, remove it; the order of numbers is not that of slugs."""
        slug = f"c/e{number * 7 % 41:02d}"
        old = self.by_slug.pop(slug, None)
        new = None
        if values is not None:
            body = encode_json(dict(zip("fgh", values, strict=True)))
            new = Entry(slug, body, form="file", mtime_ns=1, size=1)
            new.num = number * self.spread
            self.by_slug[slug] = new
        if old is not None or new is not None:
            self.collection.change(old, new)

    def expected(self, wanted: BitMap, order: list[OrderBy]) -> list[str]:
        """The slugs of the wanted ones, sorted plainly."""
        found = sorted((each for each in self.by_slug.values() if each.num in wanted), key=lambda e: e.slug)
        for step in reversed(order):
            found.sort(key=lambda e, s=step: s.field.read(e), reverse=step.descending)  # type: ignore[misc]
        return [each.slug for each in found]


@pytest.mark.parametrize("sorting", [0, 8, 10**9])
@pytest.mark.parametrize(("distance", "ties"), [(1, 0), (3, 2), (512, 512)])
@settings(max_examples=60)
@given(STEPS, STEPS, ORDERS, st.lists(PAGES, min_size=1, max_size=5), st.sampled_from([1, 100]))
@example([(n, (n % 2, 0, n)) for n in range(41)], [], [OrderBy(FIELDS[0], KEY, True)], [(None, 25, 9)], 1)
@example([(n, (0, 0, n)) for n in range(41)], [], [OrderBy(FIELDS[2], KEY, True)], [(None, 25, 9)], 1)
def test_pages_are_those_of_a_plain_sort(
    sorting: int,
    distance: int,
    ties: int,
    first: list[tuple[int, Any]],
    changes: list[tuple[int, Any]],
    order: list[OrderBy],
    pages: list[tuple[set[int] | None, int, int]],
    spread: int,
) -> None:
    kept = Kept(first, spread)
    ordered = Ordering(kept.collection, tuple(order))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "_SORTING", sorting)
        patch.setattr(ordering, "_MANY_TIES", ties)
        patch.setattr(structures, "_MARK_DISTANCE", distance)
        patch.setattr(structures, "_BLOCKWISE", distance)
        patch.setattr(blocks, "_LENGTH", distance)
        kept.collection.build(ordered.keys)
        for step in [None, *changes]:
            if step is not None:
                kept.change(*step)
            for numbers, offset, limit in pages:
                wanted = BitMap(kept.collection.members)
                if numbers is not None:
                    wanted &= BitMap([number * spread for number in numbers])
                expected = kept.expected(wanted, order)[offset : offset + limit]
                assert [each.slug for each in ordered.page(wanted, offset, limit)] == expected
