"""Groups through changes are what a plain grouping of the entries gives."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from query_strategies import FIELDS, ORDERS, RECORDS, TREES

from flatdata.dialects.flextype.options import group_key
from flatdata.index import grouping
from flatdata.index import index as index_module
from flatdata.index.index import Index
from flatdata.query.evaluate import matches
from flatdata.query.tree import EVERYTHING, KeyIndex, Node, OrderBy, Query, Scope
from flatdata.store.entry import Entry, encode_json
from flatdata.store.state import State

KEYS = KeyIndex("test.group", lambda value: (group_key(value),))
ASKED = st.tuples(
    TREES | st.just(EVERYTHING),
    ORDERS,
    st.sampled_from(sorted(FIELDS)),
    st.integers(0, 3),
    st.none() | st.integers(0, 4),
    st.booleans(),
)
STEPS = st.lists(st.tuples(st.integers(0, 30), st.none() | RECORDS), max_size=12)
Asked = tuple[Node, tuple[OrderBy, ...], str, int, int | None, bool]


def slug_of(number: int) -> str:
    return f"c/e{number:02d}"


def put(state: State, number: int, fields: dict[str, Any]) -> None:
    state.put(Entry(slug_of(number), encode_json(fields), form="file", mtime_ns=1, size=1))


def found(state: State, where: Node, order: tuple[OrderBy, ...]) -> list[Entry]:
    """What a query finds, by the evaluator and a plain sort."""
    kept = sorted((entry for entry in state.children("c") if matches(where, entry)), key=lambda e: e.slug)
    for step in reversed(order):
        kept.sort(key=lambda e, s=step: s.index.key(s.field.read(e)), reverse=step.descending)  # type: ignore[misc]
    return kept


def plainly(state: State, asked: Asked) -> list[tuple[str, int, list[str]]]:
    """The groups as first entry, count and entries, by going through all entries in order."""
    where, order, name, offset, limit, members = asked
    groups: dict[str, list[str]] = {}
    for entry in found(state, where, order):
        groups.setdefault(group_key(FIELDS[name].read(entry)), []).append(entry.slug)
    stop = None if limit is None else offset + limit
    return [(slugs[0], len(slugs), slugs if members else []) for slugs in groups.values()][offset:stop]


@pytest.mark.parametrize(
    ("small", "walked", "step"), [(0, 500, 64), (0, 500, 1), (0, 0, 64), (1_000, 500, 64)]
)
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.lists(RECORDS, max_size=25), st.lists(ASKED, min_size=1, max_size=3), STEPS)
@example([{"f": 1}, {"f": "1"}, {"f": True}, {}, {"f": []}], [(EVERYTHING, (), "f", 0, None, True)], [])
def test_groups_through_changes_are_those_of_a_plain_grouping(
    small: int,
    walked: int,
    step: int,
    records: list[dict[str, Any]],
    asked: list[Asked],
    steps: list[tuple[int, dict[str, Any] | None]],
) -> None:
    folder = Path(tempfile.mkdtemp())
    state = State()
    for number, fields in enumerate(records):
        put(state, number, fields)
    index = Index(state, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SMALL", small)
        patch.setattr(grouping, "MOST_WALKED", walked)
        patch.setattr(grouping, "_FIRST_STEP", step)
        for change in [None, *steps]:
            if change is not None:
                number, fields_now = change
                if fields_now is None:
                    state.remove(slug_of(number))
                else:
                    put(state, number, fields_now)
            for each in asked:
                where, order, name, offset, limit, members = each
                groups = index.groups(
                    Query(Scope("c"), where, order, offset=1, limit=1),
                    FIELDS[name],
                    KEYS,
                    offset=offset,
                    limit=limit,
                    members=members,
                )
                given = [(g.first.slug, g.size, [entry.slug for entry in g.entries]) for g in groups]
                assert given == plainly(state, each)
    index.close()
    shutil.rmtree(folder)
