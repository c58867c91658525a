"""Where rows that are appended by an import come: as told by looking at every row."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatdata.dialects.fliplet.bulk import first_order
from flatdata.store.entry import Entry, encode_json
from flatdata.store.orders import Orders
from flatdata.store.sources import row_order
from flatdata.store.state import State

SETTINGS = settings(max_examples=200, suppress_health_check=list(HealthCheck))
orders = st.none() | st.integers(-3, 3) | st.sampled_from([True, "1", 1.5, 10**30])
gone = object()


def row(name: str, order: Any) -> Entry:
    meta = b"" if order is None else encode_json({"order": order})
    return Entry(f"rows/{name}", b"{}", meta, form="file", mtime_ns=0, size=1)


def by_looking(state: State) -> int | None:
    rows = state.children("rows")
    found = [order for entry in rows if (order := row_order(entry)) is not None]
    return max(found) + 1 if found else None if rows else 0


@SETTINGS
@given(
    st.dictionaries(st.sampled_from(["1", "2", "3", "a", "b"]), orders),
    st.lists(st.tuples(st.sampled_from(["1", "2", "3", "a"]), orders | st.just(gone)), max_size=6),
)
def test_appended_rows_come_behind_those_that_have_an_order(
    given_rows: dict[str, Any], steps: list[tuple[str, Any]]
) -> None:
    state = State()
    known = Orders(state)
    for name, order in given_rows.items():
        state.put(row(name, order))
    assert first_order(known, "rows") == by_looking(state)
    for name, order in steps:
        if order is gone:
            state.remove(f"rows/{name}")
        else:
            state.put(row(name, order))
        assert first_order(known, "rows") == by_looking(state)


def test_what_was_loaded_anew_counts() -> None:
    state = State()
    known = Orders(state)
    state.put(row("1", 7))
    assert first_order(known, "rows") == 8
    state.load([row("1", 3)])
    assert first_order(known, "rows") == 4


def test_neither_manifests_nor_other_collections_count() -> None:
    state = State()
    known = Orders(state)
    assert first_order(known, "rows") == 0
    meta = encode_json({"order": 9})
    state.put(Entry("rows/manifest", b"{}", meta, form="manifest", mtime_ns=0, size=1))
    state.put(Entry("other/1", b"{}", meta, form="file", mtime_ns=0, size=1))
    assert first_order(known, "rows") == 0
