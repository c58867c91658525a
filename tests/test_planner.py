"""The planner, over structures that live through changes, gives what the evaluator says, in order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flatdata.index import index as index_module
from flatdata.index.index import Index
from flatdata.query import php
from flatdata.query.evaluate import matches
from flatdata.query.php_index import SORT
from flatdata.query.tree import ABSENT, All, AnyOf, Condition, Field, Node, Not, OrderBy, Query, Scope
from flatdata.store.entry import Entry, encode_json
from flatdata.store.state import State

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([2**70, -(2**53) - 1, 2**53, 0.5, -0.0, 7.0, 1e300]),
    st.sampled_from(
        ["", " ", "a", "A", "ab", "Ab c", "10", "9", "1e1", " 7", "07", "7.0", "true", "ß", "日本", "x.y"]
    ),
    st.text(alphabet="ab1 Ä", max_size=6),
    st.lists(st.sampled_from(["a", 1, None]), max_size=2),
    st.fixed_dictionaries({"z": st.integers(0, 2)}),
)
FIELD_NAMES = ("f", "g")
RECORDS = st.dictionaries(st.sampled_from(FIELD_NAMES), VALUES, max_size=2)
FIELDS = {name: Field("data", name, lambda e, name=name: e.fields.get(name, ABSENT)) for name in FIELD_NAMES}
OPERANDS = st.one_of(
    st.sampled_from(
        ["", "a", "ab", "b", "10", "7", "7.0", "0", "true", "false", "é", "[", "^a", "Ä", "2019-01-01"]
    ),
    VALUES.filter(lambda value: isinstance(value, str)),
    st.lists(st.sampled_from(["a", "7", "", "12", "true", "0"]), max_size=3),
    st.dictionaries(st.sampled_from("01"), st.sampled_from(["a", "7"]), max_size=2),
)
OPERATORS = sorted(
    {id(row): row for table in (php.DOCUMENTED, php.LIVE) for row in table.values()}.values(), key=str
)
CONDITIONS: st.SearchStrategy[Node] = st.builds(
    Condition, st.sampled_from(list(FIELDS.values())), st.sampled_from(OPERATORS), OPERANDS
)
TREES = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=5,
)
ORDERS = st.lists(
    st.builds(OrderBy, st.sampled_from(list(FIELDS.values())), st.just(SORT), st.booleans()), max_size=2
).map(tuple)
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


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(RECORDS, max_size=25), st.lists(QUERIES, min_size=1, max_size=4), STEPS)
@example([{"f": 7}, {"f": "7"}, {"f": 7.0}, {"f": True}], [(All(), (), 0, None)], [])
def test_searches_through_changes_are_what_the_evaluator_says(
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
            result = index.search(Query(Scope("c"), where, order, offset, limit))
            expected = _expected(state, where, order)
            assert result.total == len(expected)
            stop = None if limit is None else offset + limit
            assert [entry.slug for entry in result.entries] == expected[offset:stop]
    index.close()
    shutil.rmtree(folder)
