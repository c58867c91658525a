"""Aggregate pipelines: stages, accumulators, expressions, filters and bounds (reference §3.6)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.query import pipeline
from flatdata.query.documents import PipelineError
from flatdata.query.pipeline import MAX_STAGES, parse_pipeline

PEOPLE: list[dict[str, Any]] = [
    {"id": 1, "data": {"Name": "Ann", "Department": "Design", "Age": "31", "Score": 80, "Tags": ["a", "b"]}},
    {"id": 2, "data": {"Name": "Bob", "Department": "Sales", "Age": "45 years", "Score": 2.5, "Tags": []}},
    {"id": 3, "data": {"Name": "Cid", "Department": "Design", "Age": "n/a", "Score": None, "Tags": ["b"]}},
    {"id": 4, "data": {"Name": "Dee", "Age": 29, "Score": 90, "Home": {"City": "Rome", "Zip": 1}}},
]


def run(*stages: Any, documents: list[dict[str, Any]] = PEOPLE) -> list[dict[str, Any]]:
    before = copy.deepcopy(documents)
    result = parse_pipeline(list(stages)).run(documents)
    assert documents == before
    return result


def value_of(expression: Any, document: dict[str, Any] | None = None) -> Any:
    """Give an expression's value for a document, `...` where it is missing."""
    made = run({"$replaceWith": {"x": expression}}, documents=[document or {}])
    return made[0].get("x", ...)


def ids(query: Any, documents: list[dict[str, Any]] = PEOPLE) -> list[int]:
    return [document["id"] for document in run({"$match": query}, documents=documents)]


# --- stages -------------------------------------------------------------------------------------------


def test_documented_sample_groups_converted_numbers() -> None:
    stages = (
        {"$project": {"department": "$data.Department", "age": {"$convertToNumber": "$data.Age"}}},
        {"$group": {"_id": "$department", "average": {"$avg": "$age"}, "count": {"$sum": 1}}},
    )
    assert run(*stages) == [
        {"_id": "Design", "average": 31, "count": 2},
        {"_id": "Sales", "average": 45, "count": 1},
        {"_id": None, "average": 29, "count": 1},
    ]


def test_group_with_every_accumulator() -> None:
    documents = [{"k": 1, "v": 2}, {"k": 1, "v": None}, {"k": 1, "v": 2.5}, {"k": 1}, {"k": 1, "v": 2}]
    fields = {
        name[1:]: {name: "$v"}
        for name in ("$sum", "$avg", "$min", "$max", "$first", "$last", "$push", "$addToSet")
    }
    (group,) = run({"$group": {"_id": "$k", **fields, "n": {"$count": {}}}}, documents=documents)
    assert group == {
        **{"_id": 1, "sum": 6.5, "avg": 6.5 / 3, "min": 2, "max": 2.5, "first": 2, "last": 2, "n": 5},
        "push": [2, None, 2.5, None, 2],
        "addToSet": [2, None, 2.5],
    }


NUMBERS = st.integers(-10, 10) | st.floats(-1e3, 1e3) | st.sampled_from([2**53, -(2**53) - 1, 1e300, 10**30])


@given(st.lists(NUMBERS))
def test_sums_are_what_adding_doubles_one_by_one_gives(numbers: list[Any]) -> None:
    total = 0.0
    for number in numbers:
        total += number
    documents: list[dict[str, Any]] = [{"v": number} for number in [*numbers, "x"]]
    (group,) = run({"$group": {"_id": None, "sum": {"$sum": "$v"}}}, documents=documents)
    assert group["sum"] == total


def test_accumulators_of_nothing() -> None:
    fields = {"s": {"$sum": "$v"}, "a": {"$avg": "$v"}, "m": {"$max": "$v"}, "l": {"$last": "$v"}}
    assert run({"$group": {"_id": None, **fields}}, documents=[{"k": 1}]) == [
        {"_id": None, "s": 0, "a": 0, "m": None}
    ]
    assert run({"$group": {"_id": None}}, documents=[]) == []


def test_group_by_an_object_and_text_is_no_number() -> None:
    documents = [{"a": 1, "b": "x"}, {"a": 1.0, "b": "x"}, {"a": "1", "b": "x"}, {"a": True, "b": "x"}]
    result = run(
        {"$group": {"_id": {"a": "$a", "b": "$b"}, "n": {"$sum": 1}, "t": {"$sum": "$a"}}},
        documents=documents,
    )
    assert [(group["_id"]["a"], group["n"], group["t"]) for group in result] == [
        (1, 2, 2),
        ("1", 1, 0),
        (True, 1, 0),
    ]


def test_sort_is_stable_and_orders_kinds() -> None:
    assert [d["id"] for d in run({"$sort": {"data.Department": 1, "id": -1}})] == [4, 3, 1, 2]
    documents = [{"v": value} for value in (True, [1], {"a": 1}, "b", "a", 10, 9.5, None)] + [{}]
    ordered = run({"$sort": {"v": 1}}, documents=documents)
    assert [d.get("v", ...) for d in ordered] == [None, ..., 9.5, 10, "a", "b", {"a": 1}, [1], True]
    same = [{"k": 1, "n": n} for n in range(5)]
    assert run({"$sort": {"k": -1}}, documents=same) == same


def test_limit_skip_and_count() -> None:
    assert [d["id"] for d in run({"$skip": 1}, {"$limit": 2})] == [2, 3]
    assert run({"$limit": 0}) == []
    assert run({"$match": {"id": {"$gt": 2}}}, {"$count": "n"}) == [{"n": 2}]
    assert run({"$match": {"id": 99}}, {"$count": "n"}) == [{"n": 0}]


def test_unwind() -> None:
    made = run({"$unwind": "$data.Tags"})
    assert [(d["id"], d["data"]["Tags"]) for d in made] == [(1, "a"), (1, "b"), (3, "b")]
    options = {"path": "$data.Tags", "preserveNullAndEmptyArrays": True, "includeArrayIndex": "n"}
    made = run({"$unwind": options})
    assert [(d["id"], d["data"].get("Tags"), d["n"]) for d in made] == [
        (1, "a", 0), (1, "b", 1), (2, None, None), (3, "b", 0), (4, None, None),
    ]  # fmt: skip
    assert run({"$unwind": "$v"}, documents=[{"v": 5}, {"v": ""}, {"v": None}]) == [{"v": 5}]


def test_facet() -> None:
    facets = {
        "total": [{"$count": "n"}],
        "designers": [{"$match": {"data.Department": "Design"}}, {"$project": {"id": 1}}],
    }
    assert run({"$facet": facets}) == [{"total": [{"n": 4}], "designers": [{"id": 1}, {"id": 3}]}]


PROJECTIONS = [
    ({"id": 1}, {"id": 7}),
    ({"data.a": 1, "data.l.x": True}, {"data": {"a": 1, "l": [{"x": 1}]}}),
    ({"data": {"a": 1}}, {"data": {"a": 1}}),
    ({"data.zz": 1}, {}),
    ({"id": 0}, {"data": {"a": 1, "l": [{"x": 1}, {"y": 2}]}}),
    ({"data.l.x": 0, "id": False}, {"data": {"a": 1, "l": [{}, {"y": 2}]}}),
    ({"x": "$data.a", "id": 1}, {"id": 7, "x": 1}),
    ({"x": "$data.zz"}, {}),
    ({"x": {"n": "$data.a", "m": {"$literal": "$a"}}}, {"x": {"n": 1, "m": "$a"}}),
    ({"x": ["$data.a", "$data.zz"]}, {"x": [1, None]}),
    ({"x": "text"}, {"x": "text"}),
    ({"data.b": {"$add": ["$data.a", 1]}, "data.a": 1}, {"data": {"a": 1, "b": 2}}),
    ({"x": "$data.l.x"}, {"x": [1]}),
]


@pytest.mark.parametrize(("projection", "result"), PROJECTIONS)
def test_project(projection: Any, result: Any) -> None:
    document = {"id": 7, "data": {"a": 1, "l": [{"x": 1}, {"y": 2}]}}
    assert run({"$project": projection}, documents=[document]) == [result]


def test_project_keeps_the_id_of_a_group_unless_told() -> None:
    assert run({"$project": {"n": 1}}, documents=[{"_id": "x", "n": 1, "m": 2}]) == [{"_id": "x", "n": 1}]
    assert run({"$project": {"_id": 0, "n": 1}}, documents=[{"_id": "x", "n": 1, "m": 2}]) == [{"n": 1}]
    assert run({"$project": {"_id": 0}}, documents=[{"_id": "x", "n": 1}]) == [{"n": 1}]


def test_fields_are_added_removed_and_replaced() -> None:
    document = {"a": 1, "l": [{"x": 1}, {"x": 2}]}
    assert run({"$addFields": {"b.c": "$a", "l.y": 3, "z": "$zz"}}, documents=[document]) == [
        {"a": 1, "l": [{"x": 1, "y": 3}, {"x": 2, "y": 3}], "b": {"c": 1}}
    ]
    assert run({"$set": {"a": "$$REMOVE"}}, {"$unset": ["l.x"]}, documents=[document]) == [{"l": [{}, {}]}]
    assert run({"$replaceRoot": {"newRoot": "$data"}})[3] == PEOPLE[3]["data"]


# --- filters --------------------------------------------------------------------------------------------

MATCHES = [
    ({}, [1, 2, 3, 4]),
    ({"data.Department": "Design"}, [1, 3]),
    ({"data.Department": None}, [4]),
    ({"data.Score": "80"}, []),
    ({"data.Tags": "b"}, [1, 3]),
    ({"data.Tags": ["a", "b"]}, [1]),
    ({"data.Home": {"Zip": 1, "City": "Rome"}}, [4]),
    ({"data.Home.City": {"$eq": "Rome"}}, [4]),
    ({"data.Score": {"$gt": 2.5}}, [1, 4]),
    ({"data.Score": {"$gte": 2.5, "$lt": 90}}, [1, 2]),
    ({"data.Age": {"$lt": 40}}, [4]),
    ({"data.Name": {"$lte": "Bob"}}, [1, 2]),
    ({"data.Score": {"$ne": 80}}, [2, 3, 4]),
    ({"data.Department": {"$in": ["Sales", None]}}, [2, 4]),
    ({"data.Tags": {"$nin": ["a"]}}, [2, 3, 4]),
    ({"data.Department": {"$exists": False}}, [4]),
    ({"data.Score": {"$exists": True}}, [1, 2, 3, 4]),
    ({"data.Tags": {"$size": 0}}, [2]),
    ({"data.Tags": {"$all": ["b", "a"]}}, [1]),
    ({"data.Tags": {"$all": []}}, []),
    ({"data.Tags": {"$elemMatch": {"$gt": "a"}}}, [1, 3]),
    ({"id": {"$mod": [2, 1]}}, [1, 3]),
    ({"data.Name": {"$regex": "^[ab]", "$options": "i"}}, [1, 2]),
    ({"data.Age": {"$type": "number"}}, [4]),
    ({"data.Age": {"$type": ["string", "array"]}}, [1, 2, 3]),
    ({"data.Score": {"$not": {"$gt": 50}}}, [2, 3]),
    ({"$or": [{"id": 1}, {"data.Name": "Dee"}]}, [1, 4]),
    ({"$and": [{"id": {"$gt": 1}}, {"id": {"$lt": 4}}]}, [2, 3]),
    ({"$nor": [{"id": 1}, {"id": 2}]}, [3, 4]),
    ({"$expr": {"$gt": ["$id", 2]}}, [3, 4]),
]


@pytest.mark.parametrize(("query", "result"), MATCHES)
def test_match(query: Any, result: list[int]) -> None:
    assert ids(query) == result


def test_match_looks_into_lists_of_objects() -> None:
    documents = [
        {"id": 1, "l": [{"x": 1}, {"x": 5}]},
        {"id": 2, "l": [{"y": 1}]},
        {"id": 3, "l": []},
        {"id": 4},
    ]
    assert ids({"l.x": 5}, documents) == [1]
    assert ids({"l.0.x": 1}, documents) == [1]
    assert ids({"l.x": {"$exists": False}}, documents) == [2, 3, 4]
    assert ids({"l": {"$elemMatch": {"x": {"$gt": 1}}}}, documents) == [1]


# --- expressions ----------------------------------------------------------------------------------------

EXPRESSIONS = [
    ("$a", 3),
    ("$zz", ...),
    ("$$ROOT.a", 3),
    ("$$CURRENT.s", "Ab"),
    ("plain", "plain"),
    (5, 5),
    ({"$literal": "$a"}, "$a"),
    ({"$add": ["$a", 1, "2"]}, 6),
    ({"$add": ["$a", "$zz"]}, None),
    ({"$subtract": ["$a", 5]}, -2),
    ({"$multiply": ["$a", 0.5]}, 1.5),
    ({"$multiply": ["$a", "abc"]}, None),
    ({"$divide": [7, 2]}, 3.5),
    ({"$divide": [1, 0]}, None),
    ({"$mod": [-7, 3]}, -1),
    ({"$pow": [2, 10]}, 1024),
    ({"$pow": [10, 10**6]}, None),
    ({"$abs": -2}, 2),
    ({"$ceil": 1.2}, 2),
    ({"$floor": -1.2}, -2),
    ({"$sqrt": 16}, 4),
    ({"$sqrt": -1}, None),
    ({"$round": [2.5, 0]}, 2),
    ({"$round": [3.14159, 2]}, 3.14),
    ({"$trunc": [-3.99]}, -3),
    ({"$eq": ["$a", 3.0]}, True),
    ({"$eq": ["$a", "3"]}, False),
    ({"$ne": ["$s", "Ab"]}, False),
    ({"$gt": ["$a", 2]}, True),
    ({"$gt": ["$s", 2]}, False),
    ({"$gte": [3, "$a"]}, True),
    ({"$lt": ["a", "b"]}, True),
    ({"$lte": [4, "$a"]}, False),
    ({"$cmp": ["$a", 9]}, -1),
    ({"$and": [1, "x"]}, True),
    ({"$and": []}, True),
    ({"$or": [0, "", "$n"]}, False),
    ({"$not": ["$n"]}, True),
    ({"$not": "$a"}, False),
    ({"$cond": [{"$gt": ["$a", 2]}, "hi", "lo"]}, "hi"),
    ({"$cond": {"if": "$n", "then": 1, "else": {"$add": [1, 1]}}}, 2),
    ({"$switch": {"branches": [{"case": False, "then": 1}, {"case": "$a", "then": 2}]}}, 2),
    ({"$switch": {"branches": [], "default": "d"}}, "d"),
    ({"$ifNull": ["$n", "none"]}, "none"),
    ({"$ifNull": ["$a", "none"]}, 3),
    ({"$concat": ["$s", "-", "$s"]}, "Ab-Ab"),
    ({"$concat": ["$s", "$n"]}, None),
    ({"$toLower": "$s"}, "ab"),
    ({"$toUpper": ["$s"]}, "AB"),
    ({"$toUpper": "$zz"}, ""),
    ({"$substr": ["hello", 1, 2]}, "el"),
    ({"$substr": ["hello", 1, -1]}, "ello"),
    ({"$toString": 2.0}, "2"),
    ({"$size": "$l"}, 3),
    ({"$size": "$a"}, ...),
    ({"$isArray": ["$l"]}, True),
    ({"$arrayElemAt": ["$l", -1]}, 4),
    ({"$arrayElemAt": ["$l", 9]}, ...),
    ({"$in": [4, "$l"]}, True),
    ({"$sum": "$l"}, 6),
    ({"$avg": ["$a", 5]}, 4),
    ({"$max": "$l"}, 4),
    ({"$first": "$l"}, 2),
    ({"$convertToNumber": "12.50"}, 12.5),
    ({"$convertToNumber": " 12 kg"}, 12),
    ({"$convertToNumber": "abc"}, None),
    ({"$convertToNumber": "$a"}, 3),
    ({"$convertToNumber": "$zz"}, None),
    ({"p": "$a", "q": "$zz"}, {"p": 3}),
]


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS)
def test_expression(expression: Any, value: Any) -> None:
    assert value_of(expression, {"a": 3, "s": "Ab", "n": None, "l": [2, None, 4]}) == value


# --- what is refused --------------------------------------------------------------------------------------

REFUSED = [
    ({}, "A pipeline must be an array of stages"),
    (["x"], "A stage must be an object of one operator"),
    ([{"$match": {}, "$limit": 1}], "A stage must be an object of one operator"),
    ([{"$out": "x"}], "Unknown stage $out"),
    ([{"$lookup": {}}], "Unknown stage $lookup"),
    ([{"$project": {"x": {"$function": {"body": "1"}}}}], "Unknown expression $function"),
    ([{"$project": {"$x": 1}}], "Unknown expression $x"),
    ([{"$project": {"a": 1, "b": 0}}], "Projection cannot have a mix of inclusion and exclusion."),
    ([{"$project": {"a": 1, "a.b": 1}}], "Two paths contradict each other at a.b"),
    ([{"$addFields": {"a.b": 1, "a": 1}}], "Two paths contradict each other at a"),
    ([{"$project": {"x": {"$add": [1], "y": 2}}}], "$add must stand alone in its object"),
    ([{"$project": {"x": {"$subtract": [1]}}}], "$subtract takes another number of operands"),
    ([{"$project": {"x": {"$cond": [1, 2]}}}], "$cond takes if, then and else"),
    ([{"$project": {"x": {"$switch": {"branches": [5]}}}}], "$switch takes branches of case and then"),
    ([{"$project": {"x": "$$NOW"}}], "Unknown variable $$NOW"),
    ([{"$group": {"n": {"$sum": 1}}}], "$group needs an _id"),
    ([{"$group": {"_id": 1, "n": {"$median": 1}}}], "Unknown accumulator $median"),
    ([{"$group": {"_id": 1, "n": 5}}], "A field of $group needs one accumulator"),
    ([{"$sort": {"a": 2}}], "$sort takes 1 and -1"),
    ([{"$sort": {"a": True}}], "$sort takes 1 and -1"),
    ([{"$limit": -1}], "$limit needs a whole number"),
    ([{"$limit": "5"}], "$limit needs a whole number"),
    ([{"$skip": 1.5}], "$skip needs a whole number"),
    ([{"$limit": float("inf")}], "$limit needs a whole number"),
    ([{"$unwind": "data"}], "$unwind needs a path"),
    ([{"$unwind": {"path": "$a", "includeArrayIndex": "$x"}}], "$unwind takes a name as includeArrayIndex"),
    ([{"$count": "a.b"}], "Invalid expression value for $count"),
    ([{"$count": " $a"}], "Invalid expression value for $count"),
    ([{"$facet": {"a": [{"$foo": 1}]}}], "Unknown stage $foo"),
    ([{"$match": {"a": {"$foo": 1}}}], "Unknown operator $foo"),
    ([{"$match": {"$where": "1"}}], "Unknown top level operator $where"),
    ([{"$match": {"a": {"$in": 5}}}], "$in and $nin need an array"),
    ([{"$match": {"$or": {}}}], "$or needs an array"),
    ([{"$match": {"a": {"$mod": [0, 1]}}}], "$mod needs [divisor, remainder]"),
    ([{"$match": {"a": {"$regex": {}}}}], "$regex needs a string"),
    ([{"$match": {"a": {"$elemMatch": 5}}}], "$elemMatch needs an object"),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_refused(source: Any, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        parse_pipeline(source)
    assert caught.value.message == message


def refusal_of_run(documents: list[dict[str, Any]], *stages: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        parse_pipeline(list(stages)).run(documents)
    return caught.value.message


def test_bounds_on_what_a_pipeline_holds() -> None:
    with pytest.raises(PipelineError, match="at most 64 stages"):
        parse_pipeline([{"$facet": {"a": [{"$limit": 1}] * MAX_STAGES}}])
    with pytest.raises(PipelineError, match="at most 1000 parts"):
        parse_pipeline([{"$project": {f"f{n}": "$a" for n in range(1_001)}}])
    with pytest.raises(PipelineError, match="regular expressions"):
        parse_pipeline([{"$match": {"$or": [{"a": {"$regex": "x"}}] * 101}}])
    deep: Any = 1
    for _ in range(2_000):
        deep = [deep]
    for source in (
        [{"$project": {"x": deep}}],
        [{"$match": {"a": deep}}],
        [{"$match": {"a": {"$not": {"$not": deep}}}}],
    ):
        with pytest.raises(PipelineError, match="deep"):
            parse_pipeline(source)
    wrapped: Any = "$$ROOT"
    for _ in range(25):
        wrapped = {"a": wrapped}
    wrap = {"$replaceRoot": {"newRoot": wrapped}}
    assert parse_pipeline([wrap] * 3).run([{"a": 1}])
    assert refusal_of_run([{"a": 1}], *[wrap] * 20, {"$group": {"_id": "$a"}}).endswith("nested too deeply")


def test_unwinding_cannot_explode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_DOCUMENTS", 10_000)
    documents = [{"a": list(range(110)), "b": list(range(110))}]
    assert "more than 10000 documents" in refusal_of_run(documents, {"$unwind": "$a"}, {"$unwind": "$b"})


def test_what_is_built_cannot_explode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_WEIGHT", 50_000)
    doubling = [{"$project": {"a": ["$a", "$a"]}}] * 40
    assert refusal_of_run([{"a": 1}], *doubling) == "$project makes too much of its documents"
    squares = [{"$project": {"a": {"$multiply": ["$a", "$a"]}}}] * 60
    assert parse_pipeline(squares).run([{"a": 10**5}]) in ([{"a": None}], [{"a": float("inf")}])


def test_text_cannot_explode() -> None:
    doubling = [{"$project": {"a": {"$concat": ["$a", "$a"]}}}] * 40
    assert "at most 1000000 characters" in refusal_of_run([{"a": "xx"}], *doubling)


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_WORK", 100_000)
    many = [{"$match": {"$or": [{"a": n} for n in range(400)]}}]
    assert refusal_of_run([{"a": 0}] * 1_000, *many) == "The pipeline does too much work"
