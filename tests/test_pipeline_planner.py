"""Whatever the index answers of an aggregate pipeline is what its stages make of all documents."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sift_strategies import documents as columns
from sift_strategies import wheres

from flatdata.dialects.fliplet.aggregate import aggregate, documents_of
from flatdata.dialects.fliplet.fields import data_field
from flatdata.dialects.fliplet.places import DEFAULT_ORDER
from flatdata.index import index as index_module
from flatdata.index.index import Index
from flatdata.query.documents import PipelineError, resolve
from flatdata.query.evaluate import matches
from flatdata.query.pipeline import MAX_WORK, parse_pipeline
from flatdata.query.pipelineplan import Documents, head_of
from flatdata.query.sift import parse_where
from flatdata.query.tree import Query, Scope
from flatdata.store.entry import Entry, encode_json
from flatdata.store.manifest import Source
from flatdata.store.state import State

SETTINGS = settings(max_examples=300, suppress_health_check=list(HealthCheck))
SOURCE = Source("rows", {"id": 7})

# --- pipelines ------------------------------------------------------------------------------------------

paths = st.sampled_from(
    ["data.a", "data.b", "data.a.b", "data.a.0", "data", "id", "order", "createdAt", "zz"]
)
column_paths = st.sampled_from(["data.a", "data.b", "data.a.b"])
# Few values, so that they meet.
POOL = [None, True, 0, 1, 1.0, 2, "", "x", "X", "1", [], [1], [2, "x"], [[1]], {}, {"b": 1}, [{"b": 1}]]
wanted: st.SearchStrategy[Any] = st.sampled_from([*POOL, [{}], [{"b": 1}, {"b": 2}]])
lists = st.lists(wanted, max_size=3)
tests = st.one_of(
    wanted,
    st.builds(
        lambda name, operand: {name: operand},
        st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]),
        wanted,
    ),
    st.builds(lambda name, items: {name: items}, st.sampled_from(["$in", "$nin", "$all"]), lists),
    st.sampled_from(
        [
            *(
                {"$exists": True},
                {"$exists": 0},
                {"$size": 0},
                {"$size": 1},
                {"$mod": [2, 0]},
                {"$type": "string"},
            ),
            *({"$regex": "x", "$options": "i"}, {"$elemMatch": {"$gt": 0}}, {"$elemMatch": {"b": 1}}),
            *({"$not": {"$gt": 1}}, {"$not": {"$in": [1, None]}}, {"$gt": 0, "$lt": "x"}, {"$gte": None}),
        ]
    ),
)
filters = st.recursive(
    st.dictionaries(paths, tests, max_size=2),
    lambda inner: (
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, max_size=2),
        )
        | st.just({"$expr": {"$gt": ["$data.a", 1]}})
    ),
    max_leaves=3,
)
counters = st.dictionaries(
    st.sampled_from("mn"),
    st.sampled_from(
        [
            *({"$sum": 1}, {"$sum": 2.5}, {"$sum": 0.1}, {"$sum": 2**53}, {"$sum": "x"}, {"$sum": True}),
            *({"$count": {}}, {"$count": 1}, {"$sum": "$data.a"}, {"$first": "$id"}, {"$push": "$data.b"}),
        ]
    ),
    max_size=2,
)
identities: st.SearchStrategy[Any] = st.one_of(
    paths.map(lambda path: f"${path}"),
    st.sampled_from([None, 5, "all", True, {}, "$$ROOT", "$$CURRENT.data.a"]),
    st.sampled_from([{"$toLower": "$data.a"}, ["$data.a"], {"x": 5}, {"x": {"y": "$data.a"}}]),
    st.dictionaries(st.sampled_from("xy"), paths.map(lambda path: f"${path}"), min_size=1, max_size=2),
)
stages = st.one_of(
    filters.map(lambda query: {"$match": query}),
    st.dictionaries(paths, st.sampled_from([1, -1]), min_size=1, max_size=2).map(
        lambda keys: {"$sort": keys}
    ),
    st.integers(0, 6).map(lambda number: {"$limit": number}),
    st.integers(0, 3).map(lambda number: {"$skip": number}),
    st.just({"$count": "n"}),
    st.builds(lambda identity, fields: {"$group": {"_id": identity, **fields}}, identities, counters),
    st.sampled_from(
        [
            *({"$project": {"data.a": 1}}, {"$project": {"data.b": 0}}, {"$project": {"x": "$data.b"}}),
            *({"$unwind": "$data.a"}, {"$unset": "data.a"}, {"$addFields": {"data.c": "$data.a"}}),
            *(
                {"$replaceWith": {"a": "$data"}},
                {"$replaceWith": "$data"},
                {"$facet": {"n": [{"$count": "n"}]}},
            ),
        ]
    ),
)
pipelines = st.lists(stages, min_size=1, max_size=4)

# --- rows -----------------------------------------------------------------------------------------------

records = st.one_of(
    st.dictionaries(st.sampled_from("ab"), wanted, max_size=2),
    columns.filter(lambda record: "inf" not in str(record).lower()),
)


def row(number: int, fields: Any) -> Entry:
    meta = encode_json({"order": number % 3, "created_at": f"200{number}"}) if number % 2 else b""
    return Entry(f"rows/{number}", encode_json(fields), meta, form="file", mtime_ns=number * 10**12, size=1)


@pytest.fixture(autouse=True)
def _structures_for_the_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "SMALL", 0)


class _Rows:
    """Rows in a state with an index."""

    def __init__(self, records: list[Any]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.state = State()
        for number, record in enumerate(records):
            self.state.put(row(number, record))
        self.site: Any = SimpleNamespace(
            index=Index(self.state, self.folder), store=SimpleNamespace(state=self.state)
        )

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self.site.index.close()
        shutil.rmtree(self.folder)

    def by_index(self, pipeline: Any, where: Any) -> Any:
        query = Query(Scope("rows"), parse_where(where, data_field), DEFAULT_ORDER, total=False)
        return outcome(lambda: aggregate(self.site, SOURCE, parse_pipeline(pipeline), query))

    def by_stages(self, pipeline: Any, where: Any) -> Any:
        node = parse_where(where, data_field)
        (order,) = DEFAULT_ORDER
        found = [entry for entry in self.state.children("rows") if matches(node, entry)]
        found.sort(key=lambda entry: order.index.key(order.field.read(entry)))
        return outcome(lambda: parse_pipeline(pipeline).run(documents_of(found, SOURCE, None)))


def outcome(run: Any) -> Any:
    try:
        return encode_json(run())
    except PipelineError as error:
        return error.message


# --- tests ----------------------------------------------------------------------------------------------


@SETTINGS
@given(
    st.lists(records, max_size=9),
    st.lists(pipelines, min_size=1, max_size=3),
    st.just({}) | wheres,
    st.lists(st.tuples(st.integers(0, 9), st.none() | records), max_size=3),
)
@example([{"a": 1}, {"a": 1.0}, {"a": True}, {"a": None}, {}], [[{"$group": {"_id": "$data.a"}}]], {}, [])
@example([{"a": 1.0}, {"a": 1}], [[{"$group": {"_id": "$data.a", "n": {"$sum": 0.1}}}]], {}, [(0, None)])
@example([{}, {"a": 1}, {}], [[{"$limit": 1}, {"$limit": 2}, {"$count": "n"}]], {}, [])
def test_pipelines_give_the_same_with_the_index_through_changes(
    given_records: list[Any], given_pipelines: list[Any], where: Any, steps: list[tuple[int, Any]]
) -> None:
    with _Rows(given_records) as rows:
        for step in [None, *steps]:
            if step is not None and step[1] is None:
                rows.state.remove(f"rows/{step[0]}")
            elif step is not None:
                rows.state.put(row(*step))
            for pipeline in given_pipelines:
                assert rows.by_index(pipeline, where) == rows.by_stages(pipeline, where)


@SETTINGS
@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), wanted, min_size=1), min_size=1, max_size=9),
    st.lists(st.dictionaries(column_paths, tests, min_size=1, max_size=1), min_size=1, max_size=4),
)
@example([{"a": [2, "x"]}, {"a": "x"}, {"a": 2}], [{"data.a": {"$regex": "x"}}])
def test_filters_find_the_same_with_the_index(given_records: list[Any], queries: list[Any]) -> None:
    with _Rows(given_records) as rows:
        for query in queries:
            pipeline = [{"$match": query}, {"$project": {"id": 1}}]
            assert rows.by_index(pipeline, {}) == rows.by_stages(pipeline, {})


DOCUMENTS = Documents(of=lambda record: record, has=lambda path: path.startswith("data."))


def left_after(*pipeline: Any) -> list[str] | None:
    """Give the stages that are left to run over documents, None where the index is asked for nothing."""
    head = head_of(parse_pipeline(list(pipeline)), DOCUMENTS, 50_000)
    return None if head is None else [stage.name for stage in head.rest.stages]


def test_first_stages_are_asked_of_the_index() -> None:
    match, sort = {"$match": {"data.a": {"$gt": 1}}}, {"$sort": {"data.a": 1}}
    group = {"$group": {"_id": "$data.a", "n": {"$sum": 1}}}
    assert left_after(match) == []
    assert left_after(match, match, {"$unset": "data.b"}) == ["$unset"]
    # These two stay, to make documents of the numbers that the index gives.
    assert left_after(match, group, {"$sort": {"n": -1}}) == ["$group", "$sort"]
    assert left_after({"$skip": 2}, {"$limit": 3}, {"$count": "n"}) == ["$count"]
    assert left_after(sort, {"$skip": 2}, {"$limit": 3}, match) == ["$match"]
    assert left_after({"$group": {"_id": {"x": "$data.a", "y": "$data.b"}, "n": {"$count": {}}}}) == [
        "$group"
    ]
    assert left_after({"$group": {"_id": None, "n": {"$sum": 1}}}) == ["$group"]


@pytest.mark.parametrize(
    "stage",
    [
        {"$match": {"id": 1}},
        {"$match": {"$expr": {"$gt": ["$data.a", 1]}}},
        {"$sort": {"data.a": 1}},
        {"$group": {"_id": "$id", "n": {"$sum": 1}}},
        {"$group": {"_id": "$data.a", "n": {"$sum": "$data.b"}}},
        {"$group": {"_id": {"$toLower": "$data.a"}, "n": {"$sum": 1}}},
        {"$group": {"_id": "$$ROOT", "n": {"$sum": 1}}},
        {"$project": {"data.a": 1}},
    ],
)
def test_what_the_index_does_not_have_is_left_to_the_stages(stage: Any) -> None:
    assert left_after(stage) is None


def test_a_filter_beyond_the_bounds_of_work_is_left_to_them() -> None:
    pipeline = parse_pipeline([{"$match": {"data.a": {"$in": [1]}}}])
    parts = pipeline.stages[0].parts
    assert head_of(pipeline, DOCUMENTS, MAX_WORK // parts) is not None
    assert head_of(pipeline, DOCUMENTS, MAX_WORK // parts + 1) is None


READS: list[tuple[list[Any], set[str] | None]] = [
    ([{"$group": {"_id": "$data.a", "n": {"$sum": "$data.b"}}}, {"$sort": {"n": 1}}], {"data.a", "data.b"}),
    ([{"$match": {"data.a": 1, "$or": [{"id": 2}]}}, {"$count": "n"}], {"data.a", "id"}),
    (
        [{"$sort": {"order": 1}}, {"$project": {"x": {"$add": ["$data.a", 1]}, "id": 1}}],
        {"order", "data.a", "id"},
    ),
    ([{"$unwind": "$data.a"}, {"$group": {"_id": None}}], {"data.a"}),
    ([{"$replaceWith": {"a": "$createdAt"}}], {"createdAt"}),
    ([{"$group": {"_id": None, "all": {"$push": "$$ROOT"}}}], None),
    ([{"$project": {"data.a": 0}}, {"$count": "n"}], None),
    ([{"$facet": {"n": [{"$count": "n"}]}}], None),
    ([{"$match": {"data.a": 1}}], None),
    ([{"$addFields": {"x": "$data.a"}}], None),
    ([], None),
]


@pytest.mark.parametrize(("pipeline", "reads"), READS)
def test_a_pipeline_knows_which_paths_it_reads(pipeline: Any, reads: set[str] | None) -> None:
    assert parse_pipeline(pipeline).reads == reads


NAMES = ["a", "b", "", 'a"b', "a\\b", "a\nb", "é", "data", "column_0"]


@given(
    st.dictionaries(st.sampled_from(NAMES), wanted),
    st.frozensets(st.sampled_from([*(f"data.{name}" for name in NAMES), "data.a.b", "id"])),
)
def test_documents_have_the_columns_that_are_read(fields: dict[str, Any], reads: frozenset[str]) -> None:
    (document,) = documents_of([row(1, fields)], SOURCE, reads)
    for path in reads:
        assert resolve(document, path) == resolve({"id": 1, "data": fields}, path)


def test_documents_have_only_what_is_read() -> None:
    entry = row(1, {"a": 1, "b": 2})
    assert documents_of([entry], SOURCE, frozenset({"data.a", "id", "zz"})) == [{"id": 1, "data": {"a": 1}}]
    assert documents_of([entry], SOURCE, None) == [
        {
            **{
                "id": 1,
                "data": {"a": 1, "b": 2},
                "createdAt": "2001",
                "updatedAt": "1970-01-01T00:16:40.000Z",
            },
            **{"dataSourceId": 7, "deletedAt": None, "order": 1},
        }
    ]
