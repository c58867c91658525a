"""The planner, over structures that live through changes, gives what the evaluator says, in order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from query_strategies import ORDERS, RECORDS, TREES

from flatdata.index import blocks, collection, planner, structures
from flatdata.index import index as index_module
from flatdata.index.index import Index
from flatdata.query import php
from flatdata.query.evaluate import matches
from flatdata.query.tree import ABSENT, All, Condition, Field, Node, OrderBy, Query, Scope
from flatdata.store.entry import Entry, encode_json
from flatdata.store.state import State

QUERIES = st.tuples(TREES, ORDERS, st.integers(0, 5), st.none() | st.integers(0, 6))
STEPS = st.lists(st.tuples(st.integers(0, 30), st.none() | RECORDS), max_size=12)


def _entry(number: int, fields: dict[str, Any]) -> Entry:
    return Entry(f"c/e{number:02d}", encode_json(fields), form="file", mtime_ns=1, size=1)


def _expected(state: State, where: Node, order: tuple[OrderBy, ...]) -> list[str]:
    found = sorted((entry for entry in state.children("c") if matches(where, entry)), key=lambda e: e.slug)
    for step in reversed(order):
        found.sort(key=lambda e, s=step: s.index.key(s.field.read(e)), reverse=step.descending)  # type: ignore[misc]
    return [entry.slug for entry in found]


@pytest.fixture(autouse=True)
def _structures_for_the_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "SMALL", 0)


VARIANTS: dict[str, list[tuple[ModuleType, str, int]]] = {
    "as it is": [],
    "large ranges": [
        (planner, "FEW", 0),
        (structures, "_MARK_DISTANCE", 1),
        (structures, "_MOST_MARKS", 1_000),
    ],
    "ranges with few marks": [
        (planner, "FEW", 0),
        (structures, "_MARK_DISTANCE", 3),
        (structures, "_BLOCKWISE", 2),
        (blocks, "_LENGTH", 2),
    ],
    "structures given up after few changes": [(collection, "MOST_BEHIND", 0), (collection, "_STEP", 1)],
    "structures forgotten": [(collection, "MOST_STRUCTURES", 1)],
    "changes taken over one at a time": [(collection, "_STEP", 1)],
}
"""What is made small, so that what is for large collections happens here."""


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(RECORDS, max_size=25), st.lists(QUERIES, min_size=1, max_size=4), STEPS)
@example([{"f": 7}, {"f": "7"}, {"f": 7.0}, {"f": True}], [(All(), (), 0, None)], [])
@pytest.mark.parametrize("variant", VARIANTS)
def test_searches_through_changes_are_what_the_evaluator_says(
    variant: str,
    records: list[dict[str, Any]],
    queries: list[tuple[Node, tuple[OrderBy, ...], int, int | None]],
    steps: list[tuple[int, dict[str, Any] | None]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in VARIANTS[variant]:
            patch.setattr(module, name, value)
        check(records, queries, steps)


def check(
    records: list[dict[str, Any]],
    queries: list[tuple[Node, tuple[OrderBy, ...], int, int | None]],
    steps: list[tuple[int, dict[str, Any] | None]],
) -> None:
    folder = Path(tempfile.mkdtemp())
    state = State()
    for number, fields in enumerate(records):
        state.put(_entry(number, fields))
    index = Index(state, folder)
    for step in [None, *steps]:
        if step is not None:
            number, changed = step
            if changed is None:
                state.remove(f"c/e{number:02d}")
            else:
                state.put(_entry(number, changed))
        for where, order, offset, limit in queries:
            expected = _expected(state, where, order)
            stop = None if limit is None else offset + limit
            result = index.search(Query(Scope("c"), where, order, offset, limit))
            assert result.total == len(expected)
            assert [entry.slug for entry in result.entries] == expected[offset:stop]
            result = index.search(Query(Scope("c"), where, order, offset, limit, total=False))
            assert result.total in (-1, len(expected))
            assert [entry.slug for entry in result.entries] == expected[offset:stop]
    index.close()
    shutil.rmtree(folder)


def test_structures_that_are_not_used_are_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(collection, "MOST_STRUCTURES", 5)
    state = State()
    for number in range(20):
        state.put(_entry(number, {"f": number}))
    index = Index(state, tmp_path)
    for number in range(200):
        field = Field("data", f"x{number}", lambda entry: ABSENT)
        where = Condition(field, php.DOCUMENTED["eq"], str(number))
        assert index.search(Query(Scope("c"), where)).total == 0
        assert len(index._collections["c"]._structures) <= 5 + 3
    index.close()


def test_a_key_that_cannot_be_made_leaves_no_half_of_a_structure(tmp_path: Path) -> None:
    state = State()
    for number in range(20):
        state.put(_entry(number, {"f": number}))
    index = Index(state, tmp_path)
    failing = True

    def read(entry: Entry) -> Any:
        if failing and entry.fields["f"] == 13:
            raise RuntimeError
        return entry.fields["f"]

    where = Condition(Field("data", "failing", read), php.DOCUMENTED["gte"], "10")
    with pytest.raises(RuntimeError):
        index.search(Query(Scope("c"), where))
    failing = False
    assert index.search(Query(Scope("c"), where)).total == 10
    index.close()


KEYED = st.lists(st.tuples(st.integers(0, 25), st.none() | st.integers(0, 9)), max_size=60)
RANGES = st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9), st.booleans(), st.booleans())


@settings(max_examples=150)
@given(KEYED, KEYED, st.lists(RANGES, min_size=1, max_size=6), st.sampled_from([1, 2, 3]))
@example([(n, n % 10) for n in range(1, 20)], [(3, None), (3, 3)], [(3, 9, False, False)], 1)
def test_ranges_of_a_list_that_changes_are_its_entries_between_the_bounds(
    first: list[tuple[int, int | None]],
    changes: list[tuple[int, int | None]],
    ranges: list[tuple[int | None, int | None, bool, bool]],
    distance: int,
) -> None:
    listed = structures.SortedList(lambda entry: entry.fields.get("f"))
    entries: dict[int, Entry] = {}

    def put(number: int, key: int | None) -> None:
        """Give an entry a key; without one it goes, and comes back later under the same number."""
        entry = None if key is None else _entry(number, {"f": key})
        if entry is not None:
            entry.num = number
        listed.change(entries.get(number), entry)
        if entry is None:
            entries.pop(number, None)
        else:
            entries[number] = entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structures, "_MARK_DISTANCE", distance)
        patch.setattr(structures, "_BLOCKWISE", distance)
        patch.setattr(blocks, "_LENGTH", distance)
        for number, key in first:
            put(number, key)
        for number, key in [(0, 5), *changes]:
            put(number, key)
            for low, high, low_open, high_open in ranges:
                expected = {
                    number
                    for number, entry in entries.items()
                    if (low is None or entry.fields["f"] > low or (entry.fields["f"] == low and not low_open))
                    and (
                        high is None
                        or entry.fields["f"] < high
                        or (entry.fields["f"] == high and not high_open)
                    )
                }
                start, stop = listed.span(low, high, low_open, high_open)
                assert set(listed.slice(start, stop)) == expected
