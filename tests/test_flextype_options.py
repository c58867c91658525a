"""`options` of a fetch: parsing, filters, pages and groups."""

from __future__ import annotations

from typing import Any

import pytest
from flextype_samples import CALENDAR, found
from hypothesis import given
from hypothesis import strategies as st

from flatdata.dialects.flextype.find_options import Find
from flatdata.dialects.flextype.option_values import to_int
from flatdata.dialects.flextype.options import (
    MAX_CONDITIONS,
    BadOptions,
    Filter,
    Options,
    Where,
    apply_slice,
    group_key,
    page_of,
    parse_options,
)
from flatdata.dialects.flextype.querystring import parse_query
from flatdata.query.evaluate import matches
from flatdata.query.php import LIVE
from flatdata.query.tree import ABSENT, Field, Operator


def parsed(query: str) -> Options:
    """The options in a query string in which every name begins with `options`."""
    return parse_options(parse_query("&".join(f"options{part}" for part in query.split("&")))["options"])


def filtered(query: str) -> Filter:
    """The filter in a query string in which every name begins with `options[filter]`."""
    found = parsed("&".join(f"[filter]{part}" for part in query.split("&"))).filter
    assert found is not None
    return found


# --- options -----------------------------------------------------------------------------------------


def test_no_options() -> None:
    assert parse_options(None) == parse_options({}) == parse_options([]) == Options()
    assert Options() == Options(False, Find(1, 1), None, None, {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((text, False) for text in ("", "0", "false", "FALSE", "no", "Off", " ", False, 0, None)),
        *((text, True) for text in ("true", "1", "yes", "on", "2", "foo", "-1", "0.0", True, 1)),
    ],
)
def test_collection_is_on_or_off(value: Any, expected: bool) -> None:
    assert parse_options({"collection": value}).collection is expected


def test_unknown_keys_are_ignored_and_kept_for_macros() -> None:
    options = parsed("[method]=fetchFromOtherDB&[foo][bar]=1&[filter][unknown]=1&[list][]=a&[list][]=b")
    assert options.method == "fetchFromOtherDB"
    assert options.filter == Filter()
    assert options.raw == {
        "method": "fetchFromOtherDB",
        "foo": {"bar": "1"},
        "filter": {"unknown": "1"},
        "list": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ("abc", "options"),
        ("", "options"),
        (5, "options"),
        ({"filter": "abc"}, "options.filter"),
        ({"filter": ""}, "options.filter"),
        ({"find": "abc"}, "options.find"),
        ({"collection": ["x"]}, "options.collection"),
        ({"method": {"x": "y"}}, "options.method"),
        ({"filter": {"group_by": ["x"]}}, "options.filter.group_by"),
        ({"filter": {"group_by": "x" * 501}}, "options.filter.group_by"),
        ({"filter": {"sort_by": {"key": ["x"], "direction": "ASC"}}}, "options.filter.sort_by.key"),
        ({"filter": {"sort_by": {"key": "x", "direction": ["y"]}}}, "options.filter.sort_by.direction"),
        ({"filter": {"return": "random", "random": "-1"}}, "options.filter.random"),
        ({"filter": {"where": [{"key": ["x"], "operator": "eq", "value": "y"}]}}, "options.filter.where.key"),
        (
            {"filter": {"where": [{"key": "x", "operator": {"$where": "1"}, "value": "y"}]}},
            "options.filter.where.operator",
        ),
        (
            {"filter": {"where": [{"key": "x", "operator": "REGEXP", "value": "y" * 1001}]}},
            "options.filter.where.value",
        ),
        ({"filter": {"where": [{}] * (MAX_CONDITIONS + 1)}}, "options.filter.where"),
        ({"find": {"filter": "strlen"}}, "options.find.filter"),
        ({"find": {"sort": "system"}}, "options.find.sort"),
        ({"find": {"depth": ""}}, "options.find.depth"),
        ({"find": {"depth": "1.5"}}, "options.find.depth"),
        ({"find": {"depth": "!= 1"}}, "options.find.depth"),
        ({"find": {"depth": "-1"}}, "options.find.depth"),
        ({"find": {"depth": ["1", ["2"]]}}, "options.find.depth"),
        ({"find": {"depth": "1" * 201}}, "options.find.depth"),
        ({"find": {"depth": ["1"] * 51}}, "options.find.depth"),
        ({"find": {"size": "1.2.3"}}, "options.find.size"),
        ({"find": {"size": "> 10q"}}, "options.find.size"),
        ({"find": {"date": "garbage"}}, "options.find.date"),
        ({"find": {"date": ">"}}, "options.find.date"),
        ({"find": {"date": ""}}, "options.find.date"),
        ({"find": {"contains": "/[/"}}, "options.find.contains"),
        ({"find": {"contains": "/a/b/i"}}, "options.find.contains"),
        ({"find": {"contains": r"/(a)\1/"}}, "options.find.contains"),
        ({"find": {"not_contains": {"a": {"b": "c"}}}}, "options.find.not_contains"),
        ({"find": {"path": "x" * 1001}}, "options.find.path"),
    ],
)
def test_what_cannot_be_used_is_named(options: Any, field: str) -> None:
    with pytest.raises(BadOptions) as caught:
        parse_options(options)
    assert caught.value.field == field
    assert caught.value.reason


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("collection", "filter", "find", "method", "where", "group_by", "sort_by", "offset"),
                        *(
                            "limit",
                            "return",
                            "random",
                            "key",
                            "operator",
                            "value",
                            "direction",
                            "depth",
                            "date",
                        ),
                        *("size", "exclude", "contains", "not_contains", "path", "0"),
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_options_are_parsed_or_refused(raw: Any) -> None:
    try:
        options = parse_options(raw)
    except BadOptions:
        return
    found(options)


# --- filter ------------------------------------------------------------------------------------------


def test_conditions_in_order_of_appearance() -> None:
    filtering = filtered(
        "[where][9][key]=a&[where][9][operator]=EQ&[where][9][value]=1"
        "&[where][0][key]=b.c&[where][0][operator]=in&[where][0][value][]=x&[where][0][value][]=y"
    )
    assert filtering.where == (Where("a", "eq", "1"), Where("b.c", "in", ["x", "y"]))


def test_incomplete_conditions_are_skipped() -> None:
    filtering = filtered(
        "[where][0][key]=a&[where][0][value]=1&[where][1][operator]=eq&[where][2]=x"
        "&[where][3][key]=&[where][3][operator]=&[where][3][value]="
    )
    assert filtering.where == (Where("", "", ""),)
    assert filtered("[where]=x").where == ()
    assert (
        parse_options({"filter": {"where": [{"key": "a", "operator": "eq", "value": None}]}}).filter
        == Filter()
    )


def test_values_of_front_matter_keep_their_type() -> None:
    options = parse_options({"filter": {"where": [{"key": 0, "operator": "eq", "value": 10}], "limit": 10}})
    assert options.filter == Filter(where=(Where("0", "eq", 10),), limit=10)


def test_dated_operands_are_read_by_the_calendar() -> None:
    at = Field("", "v", lambda record: record)
    newer = Where("v", "newer", "yesterday").condition(at, LIVE, CALENDAR)
    assert newer.operand == CALENDAR.moment("yesterday")
    assert matches(newer, "today")
    assert Where("v", "newer", ["now"]).condition(at, LIVE, CALENDAR).operand == ["now"]
    assert Where("v", "eq", "now").condition(at, LIVE, CALENDAR).operand == "now"


def test_unknown_operator_matches_nothing() -> None:
    condition = Where("v", "$where", "1").condition(Field("", "v", lambda record: record), LIVE, CALENDAR)
    assert isinstance(condition.operator, Operator)
    assert not matches(condition, "1")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("[sort_by][key]=a.b&[sort_by][direction]=desc", ("a.b", True)),
        ("[sort_by][key]=a&[sort_by][direction]=ASC", ("a", False)),
        ("[sort_by][key]=a&[sort_by][direction]=", ("a", False)),
        ("[sort_by][key]=a", None),
        ("[sort_by][direction]=DESC", None),
        ("[sort_by]=a", None),
    ],
)
def test_sort_needs_key_and_direction(query: str, expected: Any) -> None:
    assert filtered(query).sort == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("[return]=first", ("first", None)),
        ("[return]=last", ("last", None)),
        ("[return]=next", ("next", None)),
        ("[return]=shuffle&[random]=2", ("shuffle", None)),
        ("[return]=random", ("random", None)),
        ("[return]=random&[random]=2", ("random", 2)),
        ("[return]=random&[random]=x", ("random", 0)),
        ("[return]=FIRST", ("all", None)),
        ("[return]=count&[random]=-1", ("all", None)),
        ("[return][]=first", ("all", None)),
    ],
)
def test_what_is_returned(query: str, expected: Any) -> None:
    filtering = filtered(query)
    assert (filtering.result, filtering.random) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12abc", 12),
        ("x", 0),
        ("", 0),
        ("-3", -3),
        (" 7", 7),
        ("1.9", 1),
        ("-1.9", -1),
        ("1e3", 1000),
        ("99999999999999999999", 2**63 - 1),
        ("-1e400", -(2**63)),
        ("9" * 5000, 2**63 - 1),
        (True, 1),
        (None, 0),
        ([], 0),
        (["x"], 1),
        (2.9, 2),
    ],
)
def test_integers_are_cast_as_php_does(value: Any, expected: int) -> None:
    assert to_int(value) == expected


# --- pages and groups --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [
        (None, None, "abcdef"),
        (2, None, "cdef"),
        (2, 3, "cde"),
        (-2, None, "ef"),
        (-4, 2, "cd"),
        (-99, 2, "ab"),
        (99, 2, ""),
        (None, -2, "abcd"),
        (1, -2, "bcd"),
        (None, -99, ""),
        (None, 0, ""),
        (0, 10**30, "abcdef"),
    ],
)
def test_slices(offset: int | None, limit: int | None, expected: str) -> None:
    assert apply_slice("abcdef", offset, limit) == list(expected)


bounds = st.none() | st.integers(-9, 9)


@given(bounds, bounds, st.integers(0, 9))
def test_a_page_is_the_same_slice(offset: int | None, limit: int | None, total: int) -> None:
    start, count = page_of(offset, limit, total)
    expected = apply_slice(range(total), offset, limit)
    assert list(range(total))[start : start + count] == expected
    assert count == len(expected)
    plain = Filter(offset=offset, limit=limit).plain_page
    if plain is not None:
        first, many = plain
        assert list(range(total))[first:][:many] == expected
    assert (plain is None) is ((offset or 0) < 0 or (limit or 0) < 0)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (True, "1"),
        (False, "0"),
        (ABSENT, ""),
        (None, ""),
        ("a", "a"),
        (7, "7"),
        (6.1, "6.1"),
        ([1], ""),
        ({}, ""),
    ],
)
def test_group_of_a_value(value: Any, key: str) -> None:
    assert group_key(value) == key
