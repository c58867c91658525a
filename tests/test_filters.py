"""Fliplet's `$filters`: every condition and date unit of the reference §3.3."""

from __future__ import annotations

from typing import Any

import pytest

from flatdata.query.evaluate import matches
from flatdata.query.sift import SiftError, parse_where, plain_field


def holds(condition: str, cell: Any, **item: Any) -> bool:
    """Tell whether a condition holds for a record whose column `c` has a value, or is missing for `...`."""
    node = parse_where({"$filters": [{"column": "c", "condition": condition, **item}]}, plain_field)
    return matches(node, {} if cell is ... else {"c": cell})


def refusal(*items: Any) -> str:
    with pytest.raises(SiftError) as caught:
        parse_where({"$filters": list(items)}, plain_field)
    return caught.value.message


VALUES = [
    ("==", "Active", "ACTIVE", True),
    ("==", "Active", "inactive", False),
    ("==", 5, "5", True),
    ("==", "5", 5.0, True),
    ("==", "05", 5, True),
    ("==", ..., "x", False),
    ("==", None, "null", False),
    ("==", True, "true", True),
    ("==", ["x"], "X", True),
    ("!=", "Active", "ACTIVE", False),
    ("!=", "Active", "x", True),
    ("!=", ..., "x", True),
    (">", "20 kg", 18, True),
    (">", 18, "18", False),
    (">=", 18, "18", True),
    ("<", "9", 18, True),
    ("<=", 18.5, 18, False),
    ("<", ..., 18, False),
    ("<", None, 18, False),
    ("<", "abc", 18, False),
    ("contains", "Ann@Company.com", "@COMPANY", True),
    ("contains", 125, "25", True),
    ("contains", ["red", "Green"], "green", True),
    ("contains", ..., "x", False),
    ("notcontain", "abc", "X", True),
    ("notcontains", "abc", "B", False),
    ("notcontains", ..., "x", False),
    ("notcontain", None, "x", False),
    ("regex", "ORD-123", "^ord-[0-9]+$", True),
    ("regex", 123, "^12", True),
    ("regex", ..., "x", False),
    ("oneof", "Tech", ["Tech", "Science"], True),
    ("oneof", "tech", ["Tech"], False),
    ("oneof", "Art, Tech", ["Tech"], True),
    ("oneof", ["Art", "Tech"], "Tech,Law", True),
    ("oneof", 'a, "x, y"', ["x, y"], True),
    ("oneof", "x, y", ["x, y"], True),
    ("oneof", 3, "1,2,3", True),
    ("oneof", "x", [], False),
    ("oneof", ..., ["x"], False),
    ("notoneof", "Tech", ["Tech"], False),
    ("notin", "Art", ["Tech"], True),
    ("notin", ..., ["Tech"], True),
    ("notin", "x", [], True),
]


@pytest.mark.parametrize(("condition", "cell", "value", "result"), VALUES)
def test_value_condition(condition: str, cell: Any, value: Any, result: bool) -> None:
    assert holds(condition, cell, value=value) is result


EMPTY = [..., None, "", [], {}]
FULL = [0, 1.5, False, " ", [None], 10**400]


@pytest.mark.parametrize(
    ("cell", "empty"), [*((cell, True) for cell in EMPTY), *((cell, False) for cell in FULL)]
)
def test_emptiness(cell: Any, empty: bool) -> None:
    assert holds("empty", cell) is empty
    assert holds("notempty", cell) is not empty


@pytest.mark.parametrize(
    ("cell", "value", "result"),
    [
        (18, {"from": 18, "to": 65}, True),
        ("65 years", {"from": "18", "to": "65"}, True),
        (66, {"from": 18, "to": 65}, False),
        (66, {"from": 18, "to": ""}, True),
        (1, {"from": None, "to": 5}, True),
        (..., {"from": 1, "to": 5}, False),
        (..., {"from": "", "to": ""}, True),
    ],
)
def test_between(cell: Any, value: Any, result: bool) -> None:
    assert holds("between", cell, value=value) is result


@pytest.mark.parametrize(
    "condition",
    ["==", "!=", ">", "<=", "contains", "notcontain", "regex", "oneof", "notin", "dateis", "datebefore"],
)
@pytest.mark.parametrize("item", [{}, {"value": None}, {"value": ""}])
def test_a_condition_without_a_value_holds_everywhere(condition: str, item: dict[str, Any]) -> None:
    assert holds(condition, ..., **item)
    assert holds(condition, "x", **item)


def test_none_is_inactive() -> None:
    assert holds("none", "x", value="y")
    node = parse_where({"$filters": [{"column": "none", "condition": "==", "value": "y"}]}, plain_field)
    assert matches(node, {})


DATES = [
    ("dateis", "1990-01-01", "1990-01-01", True),
    ("dateis", "1990-01-01T23:30:00.000Z", "1990-01-01", True),
    ("dateis", "1990-01-02", "1990-01-01", False),
    ("dateis", "01-31-2024", "2024-01-31", True),
    ("dateis", "2024-01-31 14:30:59", "2024-01-31 14:30", True),
    ("dateis", "2024-01-31 14:31", "2024-01-31 14:30", False),
    ("dateis", 1706711400000, "2024-01-31", True),
    ("dateis", "14:30", "14:30", True),
    ("dateis", "2024-01-31 14:30:20", "14:30", True),
    ("dateis", "2024-01-31", "14:30", False),
    ("datebefore", "2024-12-30", "2024-12-31", True),
    ("datebefore", "2024-12-31 10:00", "2024-12-31", False),
    ("datebefore", "09:59", "10:00", True),
    ("datebefore", "10:00", "10:00", False),
    ("dateafter", "2024-01-01 09:01", "2024-01-01 09:00", True),
    ("dateafter", "2024-01-01 09:00", "2024-01-01 09:00", False),
    ("dateafter", "2024-01-01 15:00", "2024-01-01", False),
    ("dateafter", "2024-01-02", "2024-01-01", True),
    ("dateis", ..., "2024-01-01", False),
    ("dateis", "soon", "2024-01-01", False),
    ("dateis", "20240101", "2024-01-01", False),
    ("dateis", True, "2024-01-01", False),
]


@pytest.mark.parametrize(("condition", "cell", "value", "result"), DATES)
def test_date_condition(condition: str, cell: Any, value: Any, result: bool) -> None:
    assert holds(condition, cell, value=value) is result


UNITS = [
    ("year", "2024-01-01", "2024-12-31", "2025-01-01"),
    ("quarter", "2024-04-01", "2024-06-30", "2024-07-01"),
    ("month", "2024-02-01", "2024-02-29", "2024-03-01"),
    ("week", "2024-02-25", "2024-03-02", "2024-03-03"),
    ("day", "2024-02-29 00:00", "2024-02-29 23:59:59", "2024-03-01"),
    ("hour", "2024-02-29 10:00", "2024-02-29 10:59", "2024-02-29 11:00"),
    ("minute", "2024-02-29 10:05:00", "2024-02-29 10:05:59", "2024-02-29 10:06"),
    ("second", "2024-02-29 10:05:01", "2024-02-29T10:05:01.999", "2024-02-29 10:05:02"),
]


@pytest.mark.parametrize(("unit", "first", "last", "next_one"), UNITS)
def test_date_units(unit: str, first: str, last: str, next_one: str) -> None:
    for cell in (first, last):
        assert holds("dateis", cell, value=first, unit=unit)
        assert holds("dateis", cell, value=last, unit=f"{unit}s")
        assert not holds("datebefore", cell, value=last, unit=unit)
        assert not holds("dateafter", cell, value=first, unit=unit)
    assert not holds("dateis", next_one, value=first, unit=unit)
    assert holds("dateafter", next_one, value=first, unit=unit)
    assert holds("datebefore", first, value=next_one, unit=unit)


def test_dates_between_are_inclusive() -> None:
    span = {"from": {"value": "2024-01-01"}, "to": {"value": "2024-12-31"}}
    assert holds("datebetween", "2024-01-01", **span)
    assert holds("datebetween", "2024-12-31T22:00:00", **span)
    assert not holds("datebetween", "2025-01-01", **span)
    assert holds("datebetween", "2030-01-01", **{"from": {"value": "2024-01-01"}})
    assert holds("datebetween", "12:00", **{"from": {"value": "09:00"}, "to": {"value": "17:00"}})
    assert not holds("datebetween", "17:01", **{"from": {"value": "09:00"}, "to": {"value": "17:00"}})


def test_each_bound_may_have_a_unit() -> None:
    span = {"from": {"value": "2024-05-20", "unit": "month"}, "to": {"value": "2024-06-02", "unit": "day"}}
    assert holds("datebetween", "2024-05-01", **span)
    assert not holds("datebetween", "2024-06-03", **span)
    assert holds("datebetween", "2024-06-30", **{**span, "to": {"value": "2024-06-02"}, "unit": "month"})


def test_timezones_shift_cells_that_name_a_zone() -> None:
    late = "2024-01-01T23:30:00Z"
    assert holds("dateis", late, value="2024-01-02", timezone="Europe/Paris")
    assert holds("dateis", late, value="2024-01-01")
    assert holds("dateis", "2024-01-01 23:30", value="2024-01-01", timezone="Europe/Paris")


def test_conditions_stand_beside_other_keys_and_inside_logical_ones() -> None:
    filters = [{"column": "a", "condition": ">", "value": 1}, {"column": "b", "condition": "notempty"}]
    node = parse_where({"c": "x", "$or": [{"$filters": filters}, {"d": 1}]}, plain_field)
    assert matches(node, {"a": 2, "b": "y", "c": "x"})
    assert not matches(node, {"a": 2, "b": "", "c": "x"})
    assert matches(node, {"c": "x", "d": 1})


def test_a_dotted_column_looks_into_lists() -> None:
    node = parse_where({"$filters": [{"column": "a.b", "condition": ">", "value": 5}]}, plain_field)
    assert matches(node, {"a": [{"b": 1}, {"b": 9}]})
    assert not matches(node, {"a": [{"b": 1}]})


REFUSED = [
    ("x", "An item of $filters must be an object"),
    ({"condition": "=="}, "An item of $filters needs a column"),
    ({"column": 5, "condition": "=="}, "An item of $filters needs a column"),
    ({"column": "a", "condition": ">", "value": "abc"}, "The condition > needs a number"),
    ({"column": "a", "condition": "between", "value": 5}, "The condition between needs from and to"),
    (
        {"column": "a", "condition": "between", "value": {"from": [1]}},
        "The condition between needs from and to",
    ),
    ({"column": "a", "condition": "dateis", "value": "soon"}, "The condition dateis needs a date"),
    ({"column": "a", "condition": "dateis", "value": 10**30}, "The condition dateis needs a date"),
    (
        {"column": "a", "condition": "dateis", "value": "2024-01-01", "timezone": "../etc"},
        "Unknown timezone in $filters",
    ),
    (
        {
            "column": "a",
            "condition": "datebetween",
            "from": {"value": "10:00"},
            "to": {"value": "2024-01-01"},
        },
        "The condition datebetween needs two dates or two times",
    ),
]


@pytest.mark.parametrize(("item", "message"), REFUSED)
def test_refused(item: Any, message: str) -> None:
    assert refusal(item) == message


def test_an_unknown_condition_or_unit_is_refused_with_the_known_ones() -> None:
    assert refusal({"column": "a", "condition": "equals", "value": 1}).startswith("Unknown condition equals")
    assert "dateis" in refusal({"column": "a", "condition": {"x": 1}, "value": 1})
    item = {"column": "a", "condition": "dateis", "value": "2024-01-01", "unit": "decade"}
    assert refusal(item).startswith("Unknown unit in $filters; known are year quarter")


def test_filters_must_be_a_list_of_bounded_length() -> None:
    with pytest.raises(SiftError, match="needs an array"):
        parse_where({"$filters": {"column": "a"}}, plain_field)
    assert "at most" in refusal(*[{"column": "a", "condition": "empty"}] * 2_001)
    assert "regular expressions" in refusal(*[{"column": "a", "condition": "regex", "value": "x"}] * 101)
