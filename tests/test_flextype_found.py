"""`find` and `filter` of a fetch on entries: what is found, and the recorded answers of Flextype."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flextype_samples import CALENDAR, CASES, ENTRIES, found

from flatdata.dialects.flextype.fields import read_path
from flatdata.dialects.flextype.find_options import DateTest, Find, SizeTest, TextTest
from flatdata.dialects.flextype.options import (
    BadOptions,
    Filter,
    Options,
    apply_slice,
    grouped,
    page_of,
    parse_options,
)
from flatdata.dialects.flextype.querystring import parse_query
from flatdata.query.php import SORT
from flatdata.query.tree import ABSENT

# --- the recorded answers ----------------------------------------------------------------------------


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


# --- find --------------------------------------------------------------------------------------------


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
