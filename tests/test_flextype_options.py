"""`options` of a fetch: parsing, pages and groups, and the recorded answers of Flextype to filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flatdata.dialects.flextype.fields import read_path
from flatdata.dialects.flextype.find_options import DateTest, Find, SizeTest, TextTest
from flatdata.dialects.flextype.option_values import to_int
from flatdata.dialects.flextype.options import (
    MAX_CONDITIONS,
    BadOptions,
    Filter,
    Options,
    Where,
    apply_slice,
    group_key,
    grouped,
    page_of,
    parse_options,
)
from flatdata.dialects.flextype.querystring import parse_query
from flatdata.dialects.flextype.strtotime import calendar, strtotime
from flatdata.query.evaluate import matches
from flatdata.query.php import LIVE, SORT
from flatdata.query.tree import ABSENT, Field, Operator

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "flextype.json").read_text("utf-8"))
MTIME = 1_600_000_000
CALENDAR = calendar(1_700_000_000, UTC)


def parsed(query: str) -> Options:
    """The options in a query string in which every name begins with `options`."""
    return parse_options(parse_query("&".join(f"options{part}" for part in query.split("&")))["options"])


def filtered(query: str) -> Filter:
    """The filter in a query string in which every name begins with `options[filter]`."""
    found = parsed("&".join(f"[filter]{part}" for part in query.split("&"))).filter
    assert found is not None
    return found


# --- the recorded answers ---------------------------------------------------------------------------


def shown(slug: str, text: str) -> dict[str, Any]:
    """A recorded file with the fields that an answer adds to it."""
    _, front, body = text.split("---\n", 2)
    fields: dict[str, Any] = {"content": body.strip(), **yaml.safe_load(front)}
    published = fields.get("published_at")
    return {
        **fields,
        "id": slug,
        "slug": slug.rpartition("/")[2],
        "published_at": MTIME if published is None else strtotime(published, MTIME, UTC),
        "visibility": "draft" if fields.get("visibility") == "draft" else "visible",
    }


ENTRIES = {slug: shown(slug, text) for slug, text in CASES["fixtures"].items()}


def depth_of(slug: str) -> int:
    """How far below `movies` an entry is."""
    return slug.count("/")


def found(options: Options) -> list[str]:
    """The recorded entries that the options select, in order; groups are left to their own test."""
    find, filtering = options.find, options.filter or Filter()
    slugs = [
        slug
        for slug in sorted(ENTRIES)
        if find.min_depth <= depth_of(slug) <= (9 if find.max_depth is None else find.max_depth)
        and find.accepts_path(slug.removeprefix("movies").strip("/"))
        and find.accepts_file(len(CASES["fixtures"][slug].encode()), MTIME, CALENDAR)
        and find.accepts_text(CASES["fixtures"][slug])
    ]
    for where in filtering.where:
        at = Field("", where.key, lambda entry, key=where.key: read_path(entry, key))
        condition = where.condition(at, LIVE, CALENDAR)
        slugs = [slug for slug in slugs if matches(condition, ENTRIES[slug])]
    if filtering.sort:
        key, descending = filtering.sort
        slugs.sort(key=lambda slug: SORT.key(read_path(ENTRIES[slug], key)), reverse=descending)
    return slugs


def sort_keys(options: Options, slugs: list[str]) -> list[Any]:
    assert options.filter is not None
    assert options.filter.sort is not None
    return [SORT.key(read_path(ENTRIES[slug], options.filter.sort[0])) for slug in slugs]


COLLECTIONS = [
    case
    for case in CASES["get_cases"]
    if "collection" in case["request"]["query"] and case["class"] not in ("crash500", "shape")
]
LISTS = [case for case in COLLECTIONS if "ids" in case["expect"] or case["class"] == "empty404"]
GROUPED = [case for case in COLLECTIONS if "groups" in case["expect"]]
REFUSED = {
    "filter scalar",
    "options scalar",
    "find [depth]=abc",
    "find [size]=garbage",
    "sorted by title then [return]=random&[random]=-1",
}


@pytest.mark.parametrize("case", LISTS, ids=[case["name"] for case in LISTS])
def test_recorded_list(case: dict[str, Any]) -> None:
    options = parse_options(parse_query(case["request"]["query"])["options"])
    assert options.collection
    everything = found(options)
    filtering = options.filter or Filter()
    slugs = apply_slice(everything, filtering.offset, filtering.limit)
    expected = case["expect"].get("ids", [])
    if case["expect"].get("ties_unspecified"):
        assert sort_keys(options, slugs) == sort_keys(options, expected)
    if case["expect"].get("ordered") and not case["expect"].get("ties_unspecified"):
        assert slugs == expected
    assert set(slugs) == set(expected)
    start, count = page_of(filtering.offset, filtering.limit, len(everything))
    assert everything[start : start + count] == slugs


@pytest.mark.parametrize("case", GROUPED, ids=[case["name"] for case in GROUPED])
def test_recorded_groups(case: dict[str, Any]) -> None:
    options = parse_options(parse_query(case["request"]["query"])["options"])
    assert options.filter is not None
    key = options.filter.group_by
    groups = grouped(found(options), lambda slug: ENTRIES[slug].get(key, ABSENT))
    assert {name: sorted(slugs) for name, slugs in groups.items()} == case["expect"]["groups"]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_crashed_flextype_is_refused(name: str) -> None:
    case = next(case for case in CASES["get_cases"] if case["name"] == name)
    with pytest.raises(BadOptions):
        parse_options(parse_query(case["request"]["query"])["options"])


@pytest.mark.parametrize("case", CASES["get_cases"], ids=[case["name"] for case in CASES["get_cases"]])
def test_every_recorded_query_is_parsed_or_refused(case: dict[str, Any]) -> None:
    try:
        parse_options(parse_query(case["request"]["query"]).get("options"))
    except BadOptions:
        assert case["class"] == "crash500"


# --- options ----------------------------------------------------------------------------------------


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


# --- filter -----------------------------------------------------------------------------------------


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


# --- pages and groups -------------------------------------------------------------------------------


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


# --- find -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ("1", (1, 1)),
        ("== 2", (2, 2)),
        (">0", (1, None)),
        (">= 0", (0, None)),
        (" <3 ", (0, 2)),
        ("<=3", (0, 3)),
        ([">0", "<4"], (1, 3)),
        ({"a": ">1", "b": ">0"}, (2, None)),
        (["1", "2"], (2, 1)),
        (2, (2, 2)),
        ("<0", (0, -1)),
    ],
)
def test_depths(depth: Any, expected: tuple[int, int | None]) -> None:
    find = parse_options({"find": {"depth": depth}}).find
    assert (find.min_depth, find.max_depth) == expected


@pytest.mark.parametrize(
    ("text", "passing", "failing"),
    [
        ("> 100", 101, 100),
        ("100", 100, 99),
        ("== 1k", 1000, 1024),
        (">=1Ki", 1024, 1023),
        ("<1.5m", 1_499_999, 1_500_000),
        ("!= 0", 1, 0),
        ("<= 1gi", 1 << 30, (1 << 30) + 1),
    ],
)
def test_sizes(text: str, passing: int, failing: int) -> None:
    (test,) = parse_options({"find": {"size": text}}).find.sizes
    assert test.accepts(passing)
    assert not test.accepts(failing)


@pytest.mark.parametrize(
    ("text", "passing", "failing"),
    [
        ("> 2020-02-07", "2020-02-07 00:00:01", "2020-02-07 00:00:00"),
        ("since 2020-02-07", "2020-02-08 00:00:00", "2020-02-07 00:00:00"),
        ("AFTER 7 Feb 2020", "2020-02-08 00:00:00", "2020-02-07 00:00:00"),
        ("until 2020-02-07", "2020-02-06 00:00:00", "2020-02-07 00:00:00"),
        ("before 2020-02-07 10:00", "2020-02-07 09:59:59", "2020-02-07 10:00:00"),
        ("2020-02-07", "2020-02-07 00:00:00", "2020-02-07 00:00:01"),
        ("!= 2020-02-07", "2020-02-07 00:00:01", "2020-02-07 00:00:00"),
        (">= -1 day", "2023-11-13 22:13:20", "2023-11-13 22:13:19"),
    ],
)
def test_dates(text: str, passing: str, failing: str) -> None:
    (test,) = parse_options({"find": {"date": text}}).find.dates
    times = [int(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()) for time in (passing, failing)]
    assert [test.accepts(time, CALENDAR) for time in times] == [True, False]


def test_all_tests_of_a_list_must_hold() -> None:
    find = parse_options({"find": {"size": ["> 10", "< 20"], "date": ["> @100", "< @200"]}}).find
    assert find.sizes == (SizeTest(">", 10), SizeTest("<", 20))
    assert find.dates == (DateTest(">", "@100"), DateTest("<", "@200"))
    assert find.accepts_file(15, 150, CALENDAR)
    assert not find.accepts_file(25, 150, CALENDAR)
    assert not find.accepts_file(15, 250, CALENDAR)


def test_excluded_folders() -> None:
    find = parse_options({"find": {"exclude": ["2019", "a/b/", "/"]}}).find
    accepted = ["", "2020", "x2019", "a", "b", "a/bc", "b/a"]
    refused = ["2019", "2019/deep", "x/2019/y", "a/b", "a/b/c", "x/a/b"]
    assert [path for path in accepted + refused if find.accepts_path(path)] == accepted


@pytest.mark.parametrize(
    ("test", "text", "expected"),
    [
        ("Prison", "A Prison", True),
        ("prison", "A Prison", False),
        ("", "x", True),
        ("a.c", "abc", False),
        ("/a.c/", "abc", True),
        ("/PRISON/i", "prison", True),
        ("#a/b#", "a/b", True),
        (r"/a\/b/", "a/b", True),
        ("{a{2}}", "aa", True),
        ("(a|b)i", "B", True),
        ("~^b$~m", "a\nb\nc", True),
        ("~^b$~", "a\nb\nc", False),
        ("/c$/", "abc\n", True),
        ("/a.b/s", "a\nb", True),
        ("/a.b/", "a\nb", False),
        ("/a b # comment\t/x", "ab", True),
        (r"/a\ b[ #]c/x", "a b#c", True),
        ("/b/A", "ab", False),
        ("/a/u", "a", True),
        ("//", "x//y", True),
        ("//", "xy", False),
        ("aba", "ab", False),
        ("/a\nb/", "x/a\nb/", True),
        ("/é/i", "É", True),
    ],
)
def test_texts_and_delimited_expressions(test: str, text: str, expected: bool) -> None:
    (found_text,) = parse_options({"find": {"contains": test}}).find.contains
    assert found_text.found_in(text) is expected


def test_one_of_several_texts_is_enough_but_none_of_the_unwanted() -> None:
    find = parse_options(
        {"find": {"contains": ["a", "b"], "not_contains": ["x", "/y/i"], "path": ["p", "q"]}}
    ).find
    assert [text for text in ("a", "b", "c", "ax", "bY") if find.accepts_text(text)] == ["a", "b"]
    assert [path for path in ("p", "xq", "r") if find.accepts_path(path)] == ["p", "xq"]
    assert find.needs_files
    assert TextTest("a") in find.contains


@pytest.mark.parametrize(
    ("value", "expected"), [("mtime", "mtime"), ("atime", "atime"), ("name", None), (["mtime"], None)]
)
def test_sort_of_files(value: Any, expected: str | None) -> None:
    find = parse_options({"find": {"sort_by": value, "in": "/etc", "name": "x"}}).find
    assert find == Find(sort_by=expected)
    assert not find.needs_files
