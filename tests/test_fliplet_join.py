"""Joins in all forms of the reference §3.7, distinct rows and projected attributes."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from flatdata.dialects.fliplet import join as join_module
from flatdata.dialects.fliplet.join import Join, assemble, parse_joins, value_at
from flatdata.dialects.fliplet.queryparts import QueryBodyError
from flatdata.query.evaluate import matches
from flatdata.query.tree import ABSENT, EVERYTHING
from flatdata.store.entry import Entry, encode_json


def entry(number: int, source: int, **data: Any) -> dict[str, Any]:
    stamp = f"2024-01-{number:02d}T00:00:00.000Z"
    return {"id": number, "data": data, "createdAt": stamp, "updatedAt": stamp, "dataSourceId": source}


ARTICLES = [
    entry(1, 456, ID=1, Title="A great blog post"),
    entry(2, 456, ID=2, Title="Something worth reading"),
    entry(5, 456, Title="Draft"),
]
COMMENTS = [
    entry(3, 123, ArticleID=1, Text="Thanks!", Likes=5),
    entry(4, 123, ArticleID=1, Text="Loved it", Likes="2 likes"),
    entry(6, 123, ArticleID=9, Text="Lost", Likes=1),
    entry(7, 123, Text="Nowhere"),
]
ON = {"data.ID": "data.ArticleID"}


def joined(
    options: dict[str, Any], rows: list[dict[str, Any]] = ARTICLES, **more: Any
) -> list[dict[str, Any]]:
    before = copy.deepcopy((rows, COMMENTS))
    joins = parse_joins({"Comments": {"dataSourceId": 123, **options}})
    made = assemble(rows, lambda join: COMMENTS, joins=joins, **more)
    assert (rows, COMMENTS) == before
    return made


def results(options: dict[str, Any]) -> list[Any]:
    return [row["joins"]["Comments"] for row in joined({"on": ON, **options})]


def test_a_left_join_adds_full_entries() -> None:
    made = joined({"on": ON})
    assert made[0] == {**ARTICLES[0], "joins": {"Comments": COMMENTS[:2]}}
    assert [row["joins"]["Comments"] for row in made[1:]] == [[], []]


def test_has_count_and_sum() -> None:
    assert results({"has": True}) == [True, False, False]
    assert results({"count": True}) == [2, 0, 0]
    assert results({"sum": "Likes"}) == [7, 0, 0]
    assert results({"sum": "data.Likes"}) == [7, 0, 0]
    assert results({"sum": "Nothing"}) == [0, 0, 0]


def test_an_inner_join_drops_rows_without_a_match() -> None:
    assert [row["id"] for row in joined({"on": ON, "required": True})] == [1]
    assert [row["joins"]["Comments"] for row in joined({"on": ON, "required": True, "count": True})] == [2]


def test_an_outer_join_concatenates() -> None:
    assert joined({}) == [*ARTICLES, *COMMENTS]
    assert joined({"order": ["id", "DESC"], "limit": 1, "attributes": ["Text"]})[3:] == [
        {**COMMENTS[3], "data": {"Text": "Nowhere"}}
    ]


def test_order_comes_before_limit_for_each_row() -> None:
    assert [c["id"] for c in results({"order": ["createdAt", "DESC"], "limit": 1})[0]] == [4]
    assert [c["id"] for c in results({"order": "data.Text"})[0]] == [4, 3]
    assert [c["id"] for c in results({"order": [["data.Text", "desc"]]})[0]] == [3, 4]
    assert [c["id"] for c in results({"order": ["data.Unknown"]})[0]] == [3, 4]


def test_attributes_of_a_join_and_of_the_query() -> None:
    made = joined({"on": ON, "attributes": ["Text", "data.Likes"]}, attributes=("data.Title",))
    assert made[0]["data"] == {"Title": "A great blog post"}
    assert made[0]["joins"]["Comments"][0]["data"] == {"Text": "Thanks!", "Likes": 5}
    assert joined({}, attributes=())[0]["data"] == {}
    assert joined({}, attributes=())[3] == COMMENTS[0]


def test_values_match_by_their_text() -> None:
    rows = [entry(1, 1, k=1), entry(2, 1, k="1"), entry(3, 1, k=1.0), entry(4, 1, k=True), entry(5, 1, k=[1])]
    others = [entry(6, 2, v="1"), entry(7, 2, v=[1])]
    joins = parse_joins({"J": {"dataSourceId": 2, "on": {"data.k": "data.v"}, "count": True}})
    assert [row["joins"]["J"] for row in assemble(rows, lambda join: others, joins=joins)] == [1, 1, 1, 0, 1]


def test_metadata_joins_and_missing_values_match_nothing() -> None:
    assert results({"on": {"id": "data.ArticleID"}, "count": True}) == [2, 0, 0]
    assert results({"on": {"ID": "ArticleID"}, "count": True}) == [0, 0, 0]
    assert results({"on": {"data.Nothing": "data.Nothing"}, "count": True}) == [0, 0, 0]


def test_several_pairs_must_all_match() -> None:
    rows = [entry(1, 1, a=1, b="x"), entry(2, 1, a=1, b="y")]
    others = [entry(3, 2, c=1, d="y")]
    joins = parse_joins(
        {"J": {"dataSourceName": "Other", "on": {"data.a": "data.c", "data.b": "data.d"}, "has": True}}
    )
    assert [row["joins"]["J"] for row in assemble(rows, lambda join: others, joins=joins)] == [False, True]


def test_each_join_is_fetched_once_with_its_filter() -> None:
    asked: list[Join] = []

    def fetch(join: Join) -> list[dict[str, Any]]:
        asked.append(join)
        return [] if join.source_name else COMMENTS

    source = {
        "A": {"dataSourceId": "123", "on": ON, "where": {"Likes": {"$gt": 3}}},
        "B": {"dataSourceName": "Other", "on": ON},
    }
    (first, *_) = assemble(ARTICLES, fetch, joins=parse_joins(source))
    assert set(first["joins"]) == {"A", "B"}
    assert [(join.source_id, join.source_name) for join in asked] == [(123, None), (None, "Other")]
    liked, other = (
        Entry(f"comments/{likes}", encode_json({"Likes": likes}), form="file", mtime_ns=0, size=0)
        for likes in (5, 1)
    )
    assert matches(asked[0].where, liked)
    assert not matches(asked[0].where, other)
    assert asked[1].where == EVERYTHING


def test_distinct_keeps_the_first_row_of_each_value() -> None:
    values = [{"k": "a"}, {"k": "A"}, {"k": "a"}, {}, {"z": 1}, {"k": None}, {"k": 1}, {"k": "1"}]
    rows = [
        entry(number, 1, **data) for number, data in enumerate([*values, {"k": {"x": 1}}, {"k": {"x": 1}}])
    ]
    for column in ("k", "data.k"):
        assert [row["id"] for row in assemble(rows, lambda join: [], distinct=column)] == [
            0,
            1,
            3,
            5,
            6,
            7,
            8,
        ]
    assert len(assemble(rows, lambda join: [])) == 10


def test_values_at_paths() -> None:
    row = entry(1, 1, **{"a.b": 1, "c": {"d": 2}, "Start Time": 3})
    assert value_at(row, "data.a.b") == 1
    assert value_at(row, "data.c.d") == 2
    assert value_at(row, "data.Start Time") == 3
    assert value_at(row, "id") == 1
    assert value_at(row, "data.c.d.e") is ABSENT
    assert value_at(row, "__class__") is ABSENT


REFUSED = [
    ([], "join must be an object of joins"),
    ({"J": 5}, "The join J must be an object"),
    ({"J": {}}, "The join J needs a dataSourceId or a dataSourceName"),
    ({"J": {"dataSourceId": True}}, "The join J needs a dataSourceId or a dataSourceName"),
    ({"J": {"dataSourceId": 1, "on": ["a"]}}, "The on of the join J must be an object of paths"),
    ({"J": {"dataSourceId": 1, "on": {"a": 5}}}, "The on of the join J must be an object of paths"),
    ({"J": {"dataSourceId": 1, "sum": 5}}, "The sum of a join must be the name of a column"),
    ({"J": {"dataSourceId": 1, "limit": -1}}, "Invalid limit: -1"),
    ({"J": {"dataSourceId": 1, "order": ["id", "UP"]}}, "Invalid order direction: UP"),
    ({"J": {"dataSourceId": 1, "order": 5}}, "Invalid order column name: 5"),
    ({"J": {"dataSourceId": 1, "attributes": "a"}}, "attributes must be an array of names"),
    ({"J": {"dataSourceId": 1, "where": {"a": {"$foo": 1}}}}, "Unknown operation $foo"),
    ({f"J{n}": {"dataSourceId": 1} for n in range(21)}, "A query may have at most 20 joins"),
    (
        {"J": {"dataSourceId": 1, "on": dict.fromkeys("abcdefghijk", "x")}},
        "A join may have at most 10 pairs of paths",
    ),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_refused(source: Any, message: str) -> None:
    with pytest.raises(QueryBodyError) as caught:
        parse_joins(source)
    assert caught.value.message == message


def test_rows_that_joins_add_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_module, "MAX_JOINED", 100)
    rows, others = [entry(1, 1, k=1)] * 11, [entry(2, 2, k=1)] * 10
    joins = parse_joins({"J": {"dataSourceId": 2, "on": {"data.k": "data.k"}}})
    with pytest.raises(QueryBodyError, match="may add at most 100 rows"):
        assemble(rows, lambda join: others, joins=joins)
    assert len(assemble(rows[:10], lambda join: others, joins=joins)) == 10


def test_a_join_takes_time_in_proportion_to_its_rows() -> None:
    rows = [entry(1, 1, k=n) for n in range(20_000)]
    others = [entry(2, 2, k=n, v=1) for n in range(20_000)]
    joins = parse_joins({"J": {"dataSourceId": 2, "on": {"data.k": "data.k"}, "sum": "v"}})
    started = time.perf_counter()
    made = assemble(rows, lambda join: others, joins=joins)
    assert sum(row["joins"]["J"] for row in made) == 20_000
    assert time.perf_counter() - started < 5
