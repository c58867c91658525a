"""The index, through changes of its records, finds and orders what the Fliplet operators say."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sift_strategies import documents, filter_items, wheres

from flatdata.dialects.fliplet.querybody import parse_query_body
from flatdata.index import index as index_module
from flatdata.index.index import Index
from flatdata.query.evaluate import matches
from flatdata.query.tree import Query, Scope
from flatdata.store.entry import Entry, encode_json
from flatdata.store.state import State

SETTINGS = settings(max_examples=150, suppress_health_check=list(HealthCheck))

records = documents.filter(lambda document: "Infinity" not in str(document) and "inf" not in str(document))
filters = st.lists(filter_items, min_size=1, max_size=2).map(lambda items: {"$filters": items})
orders = st.lists(
    st.sampled_from([["data.a"], ["data.b", "DESC"], ["id", "DESC"], ["createdAt"]]), max_size=2
)
queries = st.fixed_dictionaries({"where": st.one_of(wheres, filters), "order": orders})
changes = st.lists(st.tuples(st.integers(0, 9), st.none() | records), max_size=5)


def entry(number: int, fields: Any) -> Entry:
    meta = encode_json({"order": number % 3}) if number % 2 else b""
    return Entry(f"rows/{number}", encode_json(fields), meta, form="file", mtime_ns=number * 10**9, size=1)


@pytest.fixture(autouse=True)
def _structures_for_the_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "SMALL", 0)


@SETTINGS
@given(st.lists(records, max_size=10), st.lists(queries, min_size=1, max_size=3), changes)
def test_searches_through_changes_are_what_the_evaluator_says(
    fields: list[Any], bodies: list[dict[str, Any]], steps: list[tuple[int, Any]]
) -> None:
    folder = Path(tempfile.mkdtemp())
    state = State()
    for number, each in enumerate(fields):
        state.put(entry(number, each))
    index = Index(state, folder)
    asked = [parse_query_body(body, None) for body in bodies]
    for step in [None, *steps]:
        if step is not None and step[1] is None:
            state.remove(f"rows/{step[0]}")
        elif step is not None:
            state.put(entry(*step))
        for query in asked:
            found = sorted(
                (each for each in state.children("rows") if matches(query.condition, each)),
                key=lambda each: each.slug,
            )
            for part in reversed(query.order):
                key, read = part.index.key, part.field.read
                found.sort(key=lambda each, key=key, read=read: key(read(each)), reverse=part.descending)  # type: ignore[misc]
            result = index.search(Query(Scope("rows"), query.condition, query.order))
            assert [each.slug for each in result.entries] == [each.slug for each in found]
    index.close()
    shutil.rmtree(folder)
