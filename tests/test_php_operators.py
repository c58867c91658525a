"""The operators of `where`: the table of reference §2.3, and all conditions recorded from Flextype 0.9.16."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import yaml

from flatdata.dialects.flextype.fields import read_path
from flatdata.dialects.flextype.options import parse_options
from flatdata.dialects.flextype.strtotime import calendar, strtotime
from flatdata.query.evaluate import matches
from flatdata.query.php import DOCUMENTED, LIVE, UNKNOWN, loose_compare, loose_equal, text_of, truth
from flatdata.query.php_values import documented_equal, identical, number_of
from flatdata.query.tree import ABSENT, Field

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "flextype.json").read_text("utf-8"))
RECORDED = [case for case in CASES["get_cases"] if "where" in case]
MTIME = 1_600_000_000
NOW = 1_700_000_000
CALENDAR = calendar(NOW, UTC)

IN_DOCUMENTED_MODE = {
    'meta.budget eq "84"': {"movies/birds-of-prey"},
    'year neq "2020"': {"movies/dead-pigs", "movies/platform"},
}
"""What the recorded conditions select where a text that reads as a number equals one."""


def shown(slug: str, text: str) -> dict[str, Any]:
    """A recorded file with the fields that an answer adds to it."""
    _, front, body = text.split("---\n", 2)
    fields: dict[str, Any] = {"content": body.strip(), **yaml.safe_load(front)}
    published = fields.get("published_at")
    return {
        **fields,
        "id": slug,
        "slug": slug.rpartition("/")[2],
        "published_at": MTIME if published is None else strtotime(published, NOW, UTC),
        "visibility": "draft" if fields.get("visibility") == "draft" else "visible",
    }


MOVIES = {slug: shown(slug, text) for slug, text in CASES["fixtures"].items() if slug.count("/") == 1}


def selected(operators: Any, conditions: list[dict[str, Any]]) -> set[str]:
    """The recorded movies that all conditions match."""
    options = parse_options({"filter": {"where": conditions}})
    assert options.filter is not None
    nodes = [
        where.condition(Field("", where.key, lambda m, k=where.key: read_path(m, k)), operators, CALENDAR)
        for where in options.filter.where
    ]
    return {slug for slug, movie in MOVIES.items() if all(matches(node, movie) for node in nodes)}


@pytest.mark.parametrize("case", RECORDED, ids=[case["name"] for case in RECORDED])
def test_recorded_condition_in_live_mode(case: dict[str, Any]) -> None:
    assert selected(LIVE, case["where"]) == set(case["expect"].get("ids", ()))


@pytest.mark.parametrize("case", RECORDED, ids=[case["name"] for case in RECORDED])
def test_recorded_condition_in_documented_mode(case: dict[str, Any]) -> None:
    expected = IN_DOCUMENTED_MODE.get(case["name"], set(case["expect"].get("ids", ())))
    assert selected(DOCUMENTED, case["where"]) == expected


# --- both modes -------------------------------------------------------------------------------------

BIG = 2**63 + 1

SHARED_TABLE: list[tuple[Any, str, Any, bool]] = [
    (2020, "in", "2020", True),
    (7.0, "in", "7", True),
    ("2020", "in", ["2019", "2020.0"], True),
    ("abc", "in", ["ABC", "abc"], True),
    ("abc", "in", "abc,def", False),
    (True, "in", ["anything"], True),
    (True, "in", ["", "0"], False),
    (False, "in", [""], True),
    (False, "in", ["0"], True),
    (["a"], "in", ["a"], False),
    ("", "in", [], False),
    (0, "in", None, False),
    ("a", "nin", ["b"], True),
    ("a", "nin", ["a"], False),
    ("1e3", "in", "1000", True),
    ("0x10", "in", "16", False),
    (" 1 ", "in", "1", True),
    (BIG, "in", str(BIG - 1), False),
    (BIG, "in", str(BIG), True),
    (9, "lt", "10", True),
    ("9", "<", "10", True),
    ("9", "lt", "10a", False),
    ("b", "gt", "a", True),
    ("B", "gt", "a", False),
    ("é", "gt", "z", True),
    (2020, "gt", "abc", False),
    (2020, "lt", "abc", True),
    (6.5, "gte", "6.5", True),
    (10, "lte", "10.0", True),
    (-1, "gt", "", True),
    (True, ">", "0", True),
    (False, ">=", "0", True),
    ([], "gt", "5", True),
    ({"a": 1}, ">=", "zzz", True),
    ([], "lt", "5", False),
    (2020, "lt", ["1"], True),
    (BIG, "gt", str(BIG - 1), True),
    ("150", "between", ["90", "150"], True),
    ("90", "between", ["90", "10", "150"], True),
    ("160", "between", ["90", "150"], False),
    (2019, "between", "2019", True),
    (2019, "between", ["2020", "2018"], False),
    (2019, "between", {"from": "2018", "to": "2020"}, True),
    (2019, "nbetween", ["2020", "2018"], True),
    (2019, "between", [], False),
    (2019, "nbetween", [], False),
    ("drama", "contains", "ram", True),
    ("drama", "like", "Ram", False),
    ("100%", "like", "0%", True),
    ("drama", "contains", "", True),
    ("drama", "ncontains", "x", True),
    ("drama", "nlike", "", False),
    (2020, "contains", "20", False),
    (2020, "ncontains", "x", False),
    (["drama"], "contains", "drama", False),
    (["drama"], "ncontains", "x", False),
    ("drama", "contains", ["drama"], False),
    ("drama", "ncontains", ["x"], False),
    ("FòôBar", "starts_with", "Fò", True),
    ("FòôBar", "starts_with", "FòX", True),
    ("FôôBar", "starts_with", "Fò", True),
    ("FaaBar", "starts_with", "Fò", False),
    ("Bar", "starts_with", "Barn", False),
    ("Bar", "starts_with", "", True),
    (2020, "starts_with", "2", False),
    ("FòôBar", "ends_with", "ôBar", True),
    ("FòôBar", "ends_with", "FFòôBar", False),
    ("Bar", "ends_with", "", False),
    (2020, "ends_with", "0", False),
    ("Bare", "regexp", "^b", True),
    ("one\nBare", "regexp", "^bare$", True),
    ("Bare", "regexp", "/^b/i", False),
    ("a/b", "regexp", r"a\/b", True),
    ("a", "regexp", "a\\", False),
    ("a", "nregexp", "a\\", True),
    ("Bare", "regexp", "[", False),
    ("Bare", "nregexp", "[", True),
    ("Bare", "nregexp", "^b", False),
    ("aa", "regexp", r"(a)\1", False),
    ("FòôBar", "regexp", r"^\w+$", True),
    ("FòôBar", "nregexp", r"^\w+$", False),
    ("ò", "regexp", r"\W", False),
    ("fò-ô", "regexp", r"^[\w-]+$", True),
    ("ò", "regexp", r"[^\w]", False),
    ("-", "regexp", r"^[^]\w]$", True),
    ("ò", "regexp", r"^[[:digit:]\w]$", True),
    ("٣", "regexp", r"^\d$", True),
    ("٣", "regexp", r"[\D]", False),
    ("a\u00a0b", "regexp", r"^a\sb$", True),
    ("a\u00a0b", "regexp", r"\S{3}", False),
    ("a\u00a0b", "regexp", r"a[\s]b", True),
    (r"\w", "regexp", r"^\Q\w\E$", True),
    ("w", "regexp", r"^\Q\w\E$", False),
    (r"\w", "regexp", r"^\\w$", True),
    ("ab" * 500, "regexp", r"^\w{1000}$", True),
    ("é" * 20, "regexp", "^" + r"\w" * 20, True),
    ("é" * 101, "regexp", "^" + r"\w" * 101, False),
    ("e" * 101, "regexp", "^" + r"\w" * 101, True),
    ("[:a", "regexp", "[[:a" * 240, False),
    (2020, "regexp", "^20", False),
    (2020, "nregexp", "x", False),
    ("Bare", "regexp", ["b"], False),
    ("Bare", "nregexp", ["x"], False),
    ("a" * 50, "regexp", "a" * 1001, False),
    ("2020-02-07", "newer", "2020-02-06", True),
    ("2020-02-07", "newer", "2020-02-07", False),
    ("2020-02-07", "older", "now", True),
    ("tomorrow", "newer", "now", True),
    ("07-02-2020 10:00", "older", "2020-02-07T10:00:01Z", True),
    ("2020-02-07", "newer", "garbage", True),
    ("2020-02-07", "older", "garbage", False),
    ("garbage", "newer", "2019-01-01", False),
    ("garbage", "older", "2019-01-01", True),
    ("garbage", "older", "@0", False),
    (1581033600, "newer", "2019-01-01", False),
    (["2020-02-07"], "newer", "2019-01-01", False),
    ("2020-02-07", "newer", ["2019-01-01"], False),
    ("anything", "==", "anything", False),
    ("anything", "is", "anything", False),
    ("anything", "", "anything", False),
]


def holds(operators: Any, value: Any, name: str, operand: Any) -> bool:
    """Whether one condition matches a record that has `value`."""
    options = parse_options({"filter": {"where": [{"key": "v", "operator": name, "value": operand}]}})
    assert options.filter is not None
    if not options.filter.where:
        return operators.get(name, UNKNOWN).matches(value, operand)
    condition = options.filter.where[0].condition(Field("", "v", lambda record: record), operators, CALENDAR)
    return matches(condition, value)


@pytest.mark.parametrize("operators", [DOCUMENTED, LIVE], ids=["documented", "live"])
@pytest.mark.parametrize(("value", "name", "operand", "expected"), SHARED_TABLE)
def test_operator_of_both_modes(operators: Any, value: Any, name: str, operand: Any, expected: bool) -> None:
    if name in ("regexp", "nregexp") and isinstance(operand, str) and len(operand) > 1000:
        assert operators[name].matches(value, operand) is expected
    else:
        assert holds(operators, value, name, operand) is expected


@pytest.mark.parametrize(
    ("value", "operand", "live", "documented"),
    [
        (2020, "2020", False, True),
        (2020, "2020.0", False, True),
        (2020, " 2020", False, True),
        (2020, "2020a", False, False),
        (6.1, "6.1", False, True),
        ("2020", "2020", True, True),
        ("2020", "2020.0", False, False),
        ("Cathy Yan", "cathy yan", False, False),
        (True, "true", False, True),
        (True, "1", False, False),
        (False, "false", False, True),
        (False, "", False, False),
        ("true", "true", True, True),
        (1, 1, True, True),
        (1, 1.0, False, True),
        (1, True, False, False),
        ("1", 1, False, False),
        ([], "", False, False),
        (["a", "b"], ["a", "b"], True, True),
        (["a", "b"], {"0": "a", "1": "b"}, True, True),
        (["a", "b"], {"1": "b", "0": "a"}, False, False),
        (BIG, str(BIG), False, True),
        (BIG, str(BIG - 1), False, False),
        (float(2**60), str(2**60 + 1), False, False),
    ],
)
def test_equality_by_mode(value: Any, operand: Any, live: bool, documented: bool) -> None:
    for name in ("eq", "="):
        assert holds(LIVE, value, name, operand) is live
        assert holds(DOCUMENTED, value, name, operand) is documented
    for name in ("neq", "!=", "<>"):
        assert holds(LIVE, value, name, operand) is not live
        assert holds(DOCUMENTED, value, name, operand) is not documented


@pytest.mark.parametrize("operators", [DOCUMENTED, LIVE], ids=["documented", "live"])
@pytest.mark.parametrize("value", [None, ABSENT], ids=["null", "absent"])
@pytest.mark.parametrize("operand", ["", "0", "a", ["a"], [], None, False])
def test_absent_and_null_never_match(operators: Any, value: Any, operand: Any) -> None:
    assert not any(operator.matches(value, operand) for operator in operators.values())


def test_every_name_of_the_reference_is_there() -> None:
    names = {
        *("eq", "=", "neq", "!=", "<>", "in", "nin", "lt", "<", "lte", "<=", "gt", ">", "gte", ">="),
        *("between", "nbetween", "contains", "like", "ncontains", "nlike", "starts_with", "ends_with"),
        *("newer", "older", "regexp", "nregexp"),
    }
    assert set(DOCUMENTED) == set(LIVE) == names


def test_operator_name_in_any_case() -> None:
    assert holds(LIVE, "a", "EQ", "a")
    assert holds(LIVE, "drama", "Starts_With", "dr")


# --- PHP's comparisons ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "sign"),
    [
        (1, 2, -1),
        ("10", "9", 1),
        ("10", "9a", -1),
        ("abc", "abd", -1),
        ("1e1", "10", 0),
        ("1 ", " 1", 0),
        (None, "", 0),
        (None, "a", -1),
        ("a", None, 1),
        (None, False, 0),
        (None, [], 0),
        (None, [1], -1),
        (True, "0", 1),
        (True, "a", 0),
        (False, [], 0),
        (True, 2, 0),
        ([1], "a", 1),
        ("a", [1], -1),
        ([1, 2], [3], 1),
        ([1, 2], [1, 3], -1),
        ({"a": 1}, {"b": 1}, 1),
        ({"b": 1}, {"a": 1}, 1),
        ([1], {"0": "1.0"}, 0),
        (7.0, "7x", -1),
        (1e25, "1.0E+25x", -1),
        (10**500, 10**500 + 1, -1),
        ("9" * 600, 10**500, 1),
    ],
)
def test_loose_comparison(left: Any, right: Any, sign: int) -> None:
    assert loose_compare(left, right) == sign
    assert loose_equal(left, right) is (sign == 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.0, "7"),
        (6.1, "6.1"),
        (0.1 + 0.2, "0.3"),
        (1e25, "1.0E+25"),
        (1.5e-7, "1.5E-7"),
        (123456789012345.0, "1.2345678901234E+14"),
        (0.0001, "0.0001"),
        (True, "1"),
        (False, ""),
        (None, ""),
        (ABSENT, ""),
        ([], "Array"),
        (-12, "-12"),
    ],
)
def test_text_of_a_value(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("+5", 5),
        ("-0", 0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("\t12\n", 12),
        ("1e400", float("inf")),
        ("", None),
        (".", None),
        ("1e", None),
        ("0x1A", None),
        ("1_000", None),
        ("1 2", None),
        ("١", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_numeric_text(text: str, number: float | None) -> None:
    assert number_of(text) == number


def test_truth_of_a_value() -> None:
    assert [truth(v) for v in (None, False, 0, 0.0, "", "0", [], {})] == [False] * 8
    assert [truth(v) for v in (True, 1, -0.5, "0.0", " ", "a", [0], {"a": None})] == [True] * 8


def test_identity_looks_at_types_and_order_of_keys() -> None:
    assert identical({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]})
    assert not identical({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not identical([1], [1.0])
    assert not identical([True], [1])
    assert not documented_equal([1], [1.0])
