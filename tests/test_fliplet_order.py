"""Where rows that are appended by an import come: found in the index, told by looking at every row."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatdata.dialects.fliplet.bulk import first_order
from flatdata.index import index as index_module
from flatdata.index.index import Index
from flatdata.store.entry import Entry, encode_json
from flatdata.store.sources import row_order
from flatdata.store.state import State

SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
orders = st.none() | st.integers(-3, 3) | st.sampled_from([True, "1", 1.5, 10**30])


def row(name: str, order: Any) -> Entry:
    meta = b"" if order is None else encode_json({"order": order})
    return Entry(f"rows/{name}", b"{}", meta, form="file", mtime_ns=0, size=1)


def by_looking(state: State) -> int | None:
    rows = state.children("rows")
    found = [order for entry in rows if (order := row_order(entry)) is not None]
    return max(found) + 1 if found else None if rows else 0


@pytest.mark.parametrize("small", [0, 48])
@SETTINGS
@given(
    st.dictionaries(st.sampled_from(["1", "2", "3", "a", "b"]), orders),
    st.lists(st.tuples(st.sampled_from(["1", "2", "a"]), orders), max_size=3),
)
def test_appended_rows_come_behind_those_that_have_an_order(
    small: int, given_rows: dict[str, Any], steps: list[tuple[str, Any]]
) -> None:
    folder, state = Path(tempfile.mkdtemp()), State()
    for name, order in given_rows.items():
        state.put(row(name, order))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SMALL", small)
        index = Index(state, folder)
        assert first_order(index, "rows") == by_looking(state)
        for name, order in steps:
            state.put(row(name, order))
            assert first_order(index, "rows") == by_looking(state)
        index.close()
    shutil.rmtree(folder)
