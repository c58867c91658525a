"""Fliplet's `where`: observed cases of the service's filter engine, and the tables of the reference §3.2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flatdata.query.evaluate import matches
from flatdata.query.sift import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    SiftError,
    parse_condition,
    parse_where,
    plain_field,
)
from flatdata.query.siftvalues import NULL_ITEM, Many, read_path
from flatdata.query.tree import ABSENT, Condition, Field

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "cases" / "sift.jsonl").read_text(encoding="utf-8").splitlines()
]


def found(where: Any, data: Any) -> bool:
    return matches(parse_where(where, plain_field), data)


def refusal(where: Any) -> str:
    with pytest.raises(SiftError) as caught:
        parse_where(where, plain_field)
    return caught.value.message


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['where']} {case['data']}")
def test_observed_case(case: dict[str, Any]) -> None:
    try:
        result: bool | str = found(case["where"], case["data"])
    except SiftError as error:
        result = f"THROW {error.message}"
    assert result == case["result"]


EQUALITY = [
    ({"a": 1}, {"a": "1"}, True),
    ({"a": "1"}, {"a": 1}, True),
    ({"a": "x"}, {"a": "X"}, False),
    ({"a": None}, {}, True),
    ({"a": None}, {"a": None}, True),
    ({"a": None}, {"a": ""}, False),
    ({"a": ""}, {}, False),
    ({"a": ""}, {"a": None}, False),
    ({"a": ""}, {"a": 0}, True),
    ({"a": ""}, {"a": False}, True),
    ({"a": 0}, {"a": ""}, True),
    ({"a": True}, {"a": 1}, True),
    ({"a": True}, {"a": "1"}, True),
    ({"a": True}, {"a": "true"}, False),
    ({"a": "x"}, {"a": ["x", "y"]}, True),
    ({"a": ["x", "y"]}, {"a": ["x", "y"]}, False),
    ({"a": ["x"]}, {"a": "x"}, True),
    ({"a": []}, {"a": []}, True),
    ({"a": []}, {}, False),
    ({"a": []}, {"a": ["x"]}, False),
    ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
    ({"a.b": 1}, {"a": [{"b": 1}, {"b": 2}]}, True),
    ({"a.b": 1}, {"a.b": 1}, False),
    ({"a.0": 1}, {"a": [1, 2]}, True),
    ({"a": {}}, {"a": 5}, True),
    ({"a": {}}, {}, True),
    ({"First Name": "J"}, {"First Name": "J"}, True),
    ({"a": "2020-01-01"}, {"a": "2020-01-01T00:00:00.000Z"}, False),
    ({"a": 9007199254740993}, {"a": 9007199254740992}, False),
    ({"a": 1.0}, {"a": 1}, True),
    ({"a": "[object Object]"}, {"a": {"b": 1}}, True),
]


@pytest.mark.parametrize(("where", "data", "result"), EQUALITY)
def test_equality_is_that_of_javascript(where: Any, data: Any, result: bool) -> None:
    assert found(where, data) is result


OPERATORS = [
    ({"a": {"$eq": "1"}}, {"a": 1}, True),
    ({"a": {"$ne": "x"}}, {}, True),
    ({"a": {"$ne": None}}, {"a": None}, False),
    ({"a": {"$ne": ""}}, {"a": ""}, False),
    ({"a": {"$ne": "x"}}, {"a": ["x", "y"]}, False),
    ({"a": {"$ne": "z"}}, {"a": ["x", "y"]}, True),
    ({"a": {"$gt": 10}}, {"a": "11"}, True),
    ({"a": {"$gt": 5}}, {"a": "$10"}, True),
    ({"a": {"$gt": 5}}, {"a": "10 dollars"}, True),
    ({"a": {"$lte": 1}}, {"a": "1,000"}, True),
    ({"a": {"$gt": 201802}}, {"a": "2018/03/19"}, True),
    ({"a": {"$gt": 0}}, {"a": "abc"}, False),
    ({"a": {"$gte": 0}}, {"a": None}, False),
    ({"a": {"$gte": 0}}, {"a": ""}, False),
    ({"a": {"$gte": 0}}, {"a": False}, False),
    ({"a": {"$gte": None}}, {"a": None}, False),
    ({"a": {"$gte": "b"}}, {"a": "c"}, False),
    ({"a": {"$gt": 5}}, {"a": [1, 9]}, True),
    ({"a": {"$lt": "2018-03-20"}}, {"a": "03-19-2018"}, True),
    ({"a": {"$gt": "2018-03-20"}}, {"a": "2018-03-20T00:00:01Z"}, True),
    ({"a": {"$gt": "19.03.2018"}}, {"a": "20.03.2018"}, False),
    ({"a": {"$in": ["x", 1]}}, {"a": "1"}, True),
    ({"a": {"$in": ["x"]}}, {"a": "X"}, False),
    ({"a": {"$in": [None]}}, {}, True),
    ({"a": {"$in": [1]}}, {"a": ["1"]}, False),
    ({"a": {"$in": [1]}}, {"a": [1]}, True),
    ({"a": {"$in": []}}, {"a": "x"}, False),
    ({"a": {"$in": "x"}}, {"a": "x"}, True),
    ({"a": {"$in": [{"$gt": 3}]}}, {"a": 5}, True),
    ({"a": {"$nin": ["x"]}}, {}, True),
    ({"a": {"$nin": ["x"]}}, {"a": "x"}, False),
    ({"a": {"$exists": True}}, {"a": None}, True),
    ({"a": {"$exists": 0}}, {}, True),
    ({"a.b": {"$exists": False}}, {}, True),
    ({"a.b": {"$exists": True}}, {"a": {"b": None}}, True),
    ({"a": {"$size": 2}}, {"a": ["x", "y"]}, True),
    ({"a": {"$size": 2}}, {"a": "xy"}, True),
    ({"a": {"$size": 0}}, {}, False),
    ({"a": {"$all": ["x"]}}, {"a": "x"}, True),
    ({"a": {"$all": ["x", "z"]}}, {"a": ["x", "y"]}, False),
    ({"a": {"$mod": [2, 0]}}, {"a": "4"}, True),
    ({"a": {"$mod": [2, 0]}}, {}, False),
    ({"a": {"$mod": [0, 0]}}, {"a": 4}, False),
    ({"a": {"$mod": [3, -1]}}, {"a": -4}, True),
    ({"a": {"$regex": "^J"}}, {"a": "John"}, True),
    ({"a": {"$regex": "^j", "$options": "i"}}, {"a": "John"}, True),
    ({"a": {"$regex": "^b$", "$options": "m"}}, {"a": "a\nb"}, True),
    ({"a": {"$regex": "a.b", "$options": "s"}}, {"a": "a\nb"}, True),
    ({"a": {"$regex": "a b # both", "$options": "x"}}, {"a": "ab"}, True),
    ({"a": {"$regex": "é|\\u00fc"}}, {"a": "für"}, True),
    ({"a": {"$regex": "1"}}, {"a": 1}, False),
    ({"a": {"$regex": "b"}}, {"a": ["a", "b"]}, True),
    ({"a": {"$like": "oh"}}, {"a": "John"}, True),
    ({"a": {"$like": "OH"}}, {"a": "John"}, False),
    ({"a": {"$iLike": "OH"}}, {"a": "John"}, True),
    ({"a": {"$iLike": "%oh%"}}, {"a": "John"}, False),
    ({"a": {"$iLike": "1"}}, {"a": 12}, True),
    ({"a": {"$iLike": "null"}}, {"a": None}, True),
    ({"a": {"$iLike": "x"}}, {}, False),
    ({"$and": []}, {}, True),
    ({"$or": []}, {}, False),
    ({"$nor": []}, {}, True),
    ({"$nor": [{"a": 1}]}, {"a": 1}, False),
    ({"a": {"$or": [{"$eq": 1}, {"$eq": 2}]}}, {"a": 2}, True),
    ({"a": {"$not": {"$lt": 18}}}, {}, True),
    ({"a": {"$not": "x"}}, {"a": "x"}, False),
    ({"$not": {"a": 1}}, {"a": 2}, True),
    ({"a": {"$elemMatch": {"$gte": 80, "$lt": 90}}}, {"a": [70, 95]}, False),
    ({"a": {"$elemMatch": {"s": "M", "n": {"$gt": 1}}}}, {"a": [{"s": "M", "n": 2}]}, True),
    ({"a": {"$elemMatch": {"s": "M"}}}, {"a": {"s": "M"}}, True),
    ({"a": {"$match": {"x": 1}}}, {"a": {"x": 1}}, True),
    ({"a": {"$match": {"x": 1}}}, {"a": {"x": "1"}}, False),
    ({"a": {"$gt": 1, "$lt": 3}}, {"a": 2}, True),
    ({"a": {"$options": "i"}}, {"a": 2}, True),
]


@pytest.mark.parametrize(("where", "data", "result"), OPERATORS)
def test_operator(where: Any, data: Any, result: bool) -> None:
    assert found(where, data) is result


def test_all_of_a_query_must_hold_for_one_of_the_values_under_a_path() -> None:
    data = {"a": [{"b": 0}, {"b": 9}]}
    assert not found({"a.b": {"$gt": 1, "$lt": 5}}, data)
    assert found({"a.b": {"$gt": 1}, "$and": [{"a.b": {"$lt": 5}}]}, data)
    assert found({"a.b": {"$not": {"$gt": 1}}}, data)
    assert not found({"$not": {"a.b": {"$gt": 1}}}, data)


def test_an_empty_list_on_the_way_has_no_values_to_match() -> None:
    assert not found({"a.b": {"$ne": 1}}, {"a": []})
    assert found({"$nor": [{"a.b": 1}]}, {"a": []})


NULL_ITEMS = [
    ({"a.b": None}, {"a": [None]}, True),
    ({"a.b": {"$ne": None}}, {"a": [None]}, False),
    ({"a.b": {"$ne": 1}}, {"a": [None]}, True),
    ({"a.b": {"$iLike": "NULL"}}, {"a": [None, {"b": 1}]}, True),
    ({"a.b": {"$like": "nul"}}, {"a": [None]}, True),
    ({"a.b": {"$in": ["null"]}}, {"a": [None]}, True),
    ({"a.b": {"$nin": ["null"]}}, {"a": [None]}, False),
    ({"a.b": {"$mod": [2, 0]}}, {"a": [None]}, True),
    ({"a.b": {"$match": None}}, {"a": [None]}, True),
    ({"a.b": {"$gte": 0}}, {"a": [None]}, False),
    ({"a.b": {"$exists": True}}, {"a": [None]}, False),
    ({"a.b": {"$exists": False}}, {"a": [{"b": 1}, None]}, True),
    ({"a.b": {"$exists": True}}, {"a": [{"b": 1}, None]}, True),
    ({"a.b": {"$exists": False, "$like": "null"}}, {"a": [None]}, True),
    ({"a.b": {"$elemMatch": {"$exists": False}}}, {"a": [None, None]}, True),
    ({"a.b": {"c": {"$like": "null"}}}, {"a": [None]}, True),
    ({"a.b": {"c": {"$like": "null"}}}, {"a": {"b": None}}, True),
    ({"a": {"$elemMatch": {"b": {"$like": "null"}}}}, {"a": [None]}, True),
    ({"a.0.b": {"$exists": True}}, {"a": [[None]]}, True),
    ({"a.1.b": {"$exists": True}}, {"a": [[], [None]]}, False),
    ({"$filters": [{"column": "a.b", "condition": "empty"}]}, {"a": [{"b": 1}, None]}, True),
    ({"$filters": [{"column": "a.b", "condition": "contains", "value": "null"}]}, {"a": [None]}, False),
]


@pytest.mark.parametrize(("where", "data", "result"), NULL_ITEMS)
def test_a_path_that_goes_on_behind_a_null_in_a_list_reads_the_null(
    where: Any, data: Any, result: bool
) -> None:
    assert found(where, data) is result


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a": None}, "a.b", None),
        ({}, "a.b", ABSENT),
        ({"a": [{"b": 1}]}, "a.b", 1),
        ({"a": [{"b": 1}, {"b": 2}]}, "a.b", Many((1, 2))),
        ({"a": []}, "a.b", Many(())),
        ({"a": [[{"b": 1}], 5, None]}, "a.b", Many((1, ABSENT), null_item=True)),
        ({"a": [None]}, "a.b", NULL_ITEM),
        ({"a": [None, None]}, "a.b.c", NULL_ITEM),
        ({"a": [{"b": None}]}, "a.b.c", None),
        ({"a": [[None]]}, "a.0.b", None),
        ({"a": [[], [None]]}, "a.1.b", NULL_ITEM),
        (None, "a.b", NULL_ITEM),
        (NULL_ITEM, "a", NULL_ITEM),
        ({"a": [1, 2]}, "a.1", 2),
        ({"a": [1, 2]}, "a.01", ABSENT),
        ({"a": [1, 2]}, "a.9", ABSENT),
        ({"a": "xyz"}, "a.length", 3),
        ({"a": {"__class__": 1}}, "a.__class__", 1),
        ({"a": 5}, "a.__class__.__mro__", ABSENT),
    ],
)
def test_paths(document: Any, path: str, value: Any) -> None:
    assert read_path(document, path) == value


def test_a_column_of_one_step_is_one_condition_for_the_index() -> None:
    node = parse_where({"a": {"$gt": 1}}, plain_field)
    assert isinstance(node, Condition)
    assert (node.field.path, node.operator.name, node.operand) == ("a", "$gt", 1)


def test_condition_on_one_field() -> None:
    number = Field("test", "number", lambda record: record)
    assert matches(parse_condition(5, number), "5")
    assert matches(parse_condition({"$gt": 3, "$lte": 5}, number), 5)
    assert not matches(parse_condition({"$in": [1, 2]}, number), 5)


REFUSED = [
    ({"a": {"$contains": "x"}}, "Unknown operation $contains"),
    ({"$foo": 1}, "Unknown operation $foo"),
    ({"a": {"b": {"$foo": 1}}}, "Unknown operation $foo"),
    ({"a": {"$in": [{"$foo": 1}]}}, "Unknown operation $foo"),
    ({"$where": "this.a"}, "$where is refused: nothing that a client sends is executed"),
    ({"a": {"$where": "1"}}, "$where is refused: nothing that a client sends is executed"),
    ({"a": {"$type": "string"}}, "$type is refused: JSON has no operand for it"),
    ({"$gt": 1}, "$gt needs a field"),
    ({"a": {"$in": None}}, "$in and $nin need an array"),
    ({"a": {"$nin": 5}}, "$in and $nin need an array"),
    ({"$or": {}}, "$or needs an array"),
    ({"a": {"$all": "x"}}, "$all needs an array"),
    ({"a": {"$mod": 2}}, "$mod needs [divisor, remainder]"),
    ({"a": {"$regex": ["x"]}}, "$regex needs a string"),
    ({"a": {"$regex": "x", "$options": 1}}, "$options needs a string"),
    ({"a": {"$regex": "x", "$options": "q"}}, "Unknown pattern option q"),
    ({"a": {"$filters": []}}, "$filters stands beside the columns of a filter, not inside one"),
    (["a"], "A filter must be an object"),
    (None, "A filter must be an object"),
    ({"$and": [5]}, "A filter must be an object"),
]


@pytest.mark.parametrize(("where", "message"), REFUSED)
def test_refused(where: Any, message: str) -> None:
    assert refusal(where) == message


@pytest.mark.parametrize(
    "pattern", ["(", "a)(b", "(?=x)", r"(a)\1", "(((a{100}){100}){100})", "x" * 1_001, "[^", "\ud800"]
)
def test_patterns_that_cannot_be_matched_in_linear_time_are_refused(pattern: str) -> None:
    assert "pattern" in refusal({"a": {"$regex": pattern, "$options": "i"}}).lower()


def test_a_pattern_cannot_stall() -> None:
    assert not found({"a": {"$regex": "(a+)+$"}}, {"a": "a" * 30_000 + "b"})


def nested(levels: int) -> dict[str, Any]:
    where: dict[str, Any] = {"a": 1}
    for _ in range(levels):
        where = {"$and": [where]}
    return where


def test_bounds() -> None:
    assert found(nested(MAX_DEPTH - 2), {"a": 1})
    assert "levels deep" in refusal(nested(MAX_DEPTH))
    assert found({"$or": [{"a": 1}] * MAX_CONDITIONS}, {"a": 1})
    assert f"at most {MAX_CONDITIONS} conditions" in refusal({"$or": [{"a": 1}] * (MAX_CONDITIONS + 1)})
    assert f"at most {MAX_CONDITIONS} conditions" in refusal({"a": {"$in": [{}] * (MAX_CONDITIONS + 1)}})
    assert "regular expressions" in refusal({"$or": [{"a": {"$regex": "x"}}] * 101})


def test_odd_values_never_raise() -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    odd = [
        deep,
        {"a": deep},
        10**400,
        -(10**400),
        float("nan"),
        float("inf"),
        "\ud800",
        "9" * 5_000,
        "0x" + "f" * 999,
    ]
    operands = [1, "x", None, True, [], [1], {"$gt": 1}, 10**400, "1e999", deep]
    for name in ("$eq", "$ne", "$gt", "$lte", "$like", "$iLike", "$size", "$match", "$exists"):
        for operand in operands:
            node = parse_where({"a": {name: operand}}, plain_field)
            for value in odd:
                assert matches(node, {"a": value}) in (True, False)
    for where in ({"a": {"$mod": [2.5, 0]}}, {"a": {"$regex": "x"}}, {"a": {"$in": [1, deep]}}, {"a.b.c": 1}):
        for value in odd:
            assert matches(parse_where(where, plain_field), {"a": value}) in (True, False)
