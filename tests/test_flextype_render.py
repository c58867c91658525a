"""What an entry shows: the bytes of an answer, and the same values as fields of a query."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.dialects.flextype.fields import field_at, read_path
from flatdata.dialects.flextype.phpdate import php_date
from flatdata.dialects.flextype.render import SPECIAL_FIELDS, Rendered, Rendering, render
from flatdata.dialects.flextype.shortcodes import expand_shortcodes
from flatdata.dialects.flextype.special_fields import Expansion, markdown
from flatdata.dialects.flextype.write import Stamp, merged, with_defaults
from flatdata.query.tree import ABSENT
from flatdata.store.entry import Entry, encode_json

MTIME = 1_600_000_000
DOCUMENTED = Rendering(documented=True, zone=UTC)
LIVE = Rendering(documented=False, zone=UTC)


def entry(slug: str, fields: dict[str, Any]) -> Entry:
    return Entry(slug, encode_json(fields), form="entry.yaml", mtime_ns=MTIME * 10**9 + 999, size=10)


def shown(
    fields: dict[str, Any], how: Rendering = DOCUMENTED, slug: str = "movies/platform"
) -> dict[str, Any]:
    return json.loads(render(entry(slug, fields), how))


def test_missing_special_fields_come_last_in_their_order() -> None:
    body = render(entry("movies/platform", {"title": "Platform"}), DOCUMENTED)
    assert body.decode() == (
        '{"title":"Platform","content":"","slug":"movies/platform","published_at":1600000000,'
        '"modified_at":1600000000,"created_at":1600000000,"routable":true,"visibility":"visible",'
        '"id":"movies/platform"}'
    )


def test_stored_special_fields_keep_their_place() -> None:
    fields = {"visibility": "weird", "title": "t", "routable": 0, "created_at": "2020-04-17 10:17"}
    assert list(shown(fields).items())[:4] == [
        ("visibility", "visible"),
        ("title", "t"),
        ("routable", False),
        ("created_at", 1_587_118_620),
    ]


def test_slug_is_the_last_segment_in_live_mode_only() -> None:
    assert shown({}, LIVE)["slug"] == "platform"
    assert shown({}, LIVE)["id"] == "movies/platform"
    assert shown({}, DOCUMENTED)["slug"] == "movies/platform"


@pytest.mark.parametrize("how", [DOCUMENTED, LIVE])
def test_slug_and_id_of_the_file_win(how: Rendering) -> None:
    assert (shown({"slug": "s", "id": 7}, how)["slug"], shown({"slug": "s", "id": 7}, how)["id"]) == ("s", 7)


@pytest.mark.parametrize("how", [DOCUMENTED, LIVE])
@pytest.mark.parametrize("name", list(SPECIAL_FIELDS))
def test_a_stored_null_is_as_good_as_none(name: str, how: Rendering) -> None:
    assert shown({name: None}, how)[name] == shown({}, how)[name]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("17-04-2020 10:17", 1_587_118_620),
        ("2020-04-17T10:17:00Z", 1_587_118_620),
        ("04/17/2020 10:17 am", 1_587_118_620),
        ("@1587118620", 1_587_118_620),
        (1_587_118_620, 0),
        ("", 0),
        ("no date at all", 0),
        (True, 0),
        (["2020-04-17"], 0),
        ({"a": 1}, 0),
        (1.5, 0),
    ],
)
def test_dates_are_unix_times_or_zero(stored: Any, expected: int) -> None:
    assert shown({"published_at": stored})["published_at"] == expected
    assert shown({"created_at": stored})["created_at"] == expected


def test_dates_are_read_in_the_time_zone_of_the_site() -> None:
    how = Rendering(documented=True, zone=ZoneInfo("Europe/Warsaw"))
    assert shown({"published_at": "17-04-2020 12:17"}, how)["published_at"] == 1_587_118_620


def test_a_stored_modified_at_is_shown_as_it_is() -> None:
    assert shown({"modified_at": "15-05-2020 06:57"})["modified_at"] == "15-05-2020 06:57"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        (0, False),
        (-0.0, False),
        (0.1, True),
        ("", False),
        ("0", False),
        ("false", True),
        ("0.0", True),
        ([], False),
        ({}, False),
        ([0], True),
        ({"a": 0}, True),
        (10**30, True),
    ],
)
def test_routable_is_what_php_makes_of_it(value: Any, expected: bool) -> None:
    assert shown({"routable": value})["routable"] is expected


def test_json_is_compact_and_unescaped() -> None:
    fields = {"f": 7.0, "u": "Zażółć / slash", "big": 10**25, "content": "ü"}
    body = render(entry("x", fields), LIVE)
    assert body.startswith('{"f":7.0,"u":"Zażółć / slash","big":10000000000000000000000000,'.encode())


def test_nested_look_alikes_stay_untouched() -> None:
    fields = {"meta": {"published_at": "17-04-2020 10:17", "routable": 0}, "content": "c"}
    assert shown(fields)["meta"] == fields["meta"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.text(max_size=6) | st.sampled_from([*SPECIAL_FIELDS, "content", "a.b", "published_at.x"])


@given(st.dictionaries(names, json_values, max_size=6), st.sampled_from([DOCUMENTED, LIVE]))
def test_queries_see_what_answers_show(fields: dict[str, Any], how: Rendering) -> None:
    record = entry("movies/platform", fields)
    answer = json.loads(render(record, how))
    for name in {*answer, "content.x", "published_at.x", "slug.0", "a.b", "absent"}:
        assert field_at(name, how).read(record) == read_path(answer, name)


# --- paths into values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("meta.studio.name", "Warner"),
        ("tags.1", "harley"),
        ("tags.01", ABSENT),
        ("tags.2", ABSENT),
        ("tags.-1", ABSENT),
        ("tags.²", ABSENT),
        ("tags.99999999999999999999", ABSENT),
        ("meta.studio", {"name": "Warner"}),
        ("meta.studio.name.x", ABSENT),
        ("meta.none", ABSENT),
        ("a.b", "literal"),
        ("a.c", 2),
        ("", ABSENT),
        (".", ABSENT),
        ("meta.", ABSENT),
        ("nul", None),
        ("__class__", ABSENT),
        ("meta.__class__.__mro__", ABSENT),
    ],
)
def test_dots_lead_into_maps_and_lists(path: str, expected: Any) -> None:
    fields = {
        "meta": {"studio": {"name": "Warner"}},
        "tags": ["dc", "harley"],
        "a.b": "literal",
        "a": {"b": 1, "c": 2},
        "nul": None,
    }
    assert read_path(fields, path) == expected


# --- keeping renderings -------------------------------------------------------------------------------


def test_kept_renderings_are_bounded() -> None:
    kept = Rendered(max_bytes=900)
    entries = [entry(str(number), {}) for number in range(5)]
    for each in entries:
        kept.keep(each, b"x" * 200)
    assert kept.get(entries[-1]) == b"x" * 200
    assert [kept.get(each) for each in entries].count(None) == 4


# --- dates as PHP writes them -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("d-m-Y H:i", "07-02-2020 09:05"),
        ("Y-m-d\\TH:i:sP", "2020-02-07T09:05:03+00:00"),
        ("D, j M y g:i A", "Fri, 7 Feb 20 9:05 AM"),
        ("l jS F Y", "Friday 7th February 2020"),
        ("c", "2020-02-07T09:05:03+00:00"),
        ("r", "Fri, 07 Feb 2020 09:05:03 +0000"),
        ("U", "1581066303"),
        ("z t L N w W o", "37 29 1 5 5 06 2020"),
        ("\\\\ \\d", "\\ d"),
        ("u v G h a e T Z O n I", "000000 000 9 09 am UTC UTC 0 +0000 2 0"),
    ],
)
def test_dates_are_written_as_php_does(layout: str, expected: str) -> None:
    assert php_date(layout, datetime(2020, 2, 7, 9, 5, 3, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("day", "expected"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (23, "23rd")]
)
def test_ordinals(day: int, expected: str) -> None:
    assert php_date("jS", datetime(2020, 1, day, tzinfo=UTC)) == expected


# --- defaults of new entries --------------------------------------------------------------------------


def test_defaults_follow_what_the_client_sent() -> None:
    stamp = Stamp("15-05-2020 06:57", "u-u-i-d")
    assert list(with_defaults({"content": "C", "title": "T"}, stamp).items()) == [
        ("title", "T"),
        ("published_at", "15-05-2020 06:57"),
        ("published_by", ""),
        ("created_at", "15-05-2020 06:57"),
        ("created_by", ""),
        ("routable", True),
        ("visibility", "visible"),
        ("uuid", "u-u-i-d"),
        ("content", "C"),
    ]


def test_given_values_keep_their_place_and_are_made_valid() -> None:
    data = {"published_at": "x", "visibility": "weird", "routable": 0, "uuid": "fixed", "published_by": None}
    assert list(with_defaults(data, Stamp("now", "v4")).items()) == [
        ("published_at", "x"),
        ("visibility", "visible"),
        ("routable", False),
        ("uuid", "fixed"),
        ("published_by", ""),
        ("created_at", "now"),
        ("created_by", ""),
    ]


@pytest.mark.parametrize(
    ("stored", "data", "expected"),
    [
        ({"a": 1, "content": "c"}, {"b": 2}, ["a", "b", "content"]),
        ({"content": "c", "a": 1}, {"b": 2}, ["content", "a", "b"]),
        ({"a": 1}, {"content": "c", "b": 2}, ["a", "content", "b"]),
        ({}, {"content": "c", "b": 2}, ["b", "content"]),
    ],
)
def test_content_stays_last_where_it_was_last(
    stored: dict[str, Any], data: dict[str, Any], expected: list[str]
) -> None:
    assert list(merged(stored, data)) == expected


# --- shortcodes and markdown --------------------------------------------------------------------------

HANDLERS = {"url": lambda attributes: "http://x", "echo": lambda attributes: repr(dict(attributes))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go to [url]/a", "go to http://x/a"),
        ("[url /]", "http://x"),
        ("[echo a=\"1 2\" b='3' c=4]", "{'a': '1 2', 'b': '3', 'c': '4'}"),
        ("[raw][url][/raw] [url]", "[url] http://x"),
        ("[raw][url]", "[raw]http://x"),
        ("[unknown a=b] [1] [a](b)", "[unknown a=b] [1] [a](b)"),
        ("[url", "[url"),
        ('[echo a="[url]"]', "{'a': '[url]'}"),
        ("", ""),
    ],
)
def test_shortcodes_are_replaced(text: str, expected: str) -> None:
    assert expand_shortcodes(text, HANDLERS) == expected


@given(st.text(alphabet="[]/raw url=\"'x"))
def test_texts_without_known_shortcodes_come_through(text: str) -> None:
    assert expand_shortcodes(text.replace("[raw]", ""), {}) == text.replace("[raw]", "")


def test_markdown_has_tables_and_passes_html_through() -> None:
    assert markdown("# Foo") == "<h1>Foo</h1>\n"
    assert "<table>" in markdown("| a |\n|---|\n| 1 |\n")
    assert markdown("<b>x</b>") == "<p><b>x</b></p>\n"


def test_cells_of_markdown_tables_are_aligned_by_their_attribute() -> None:
    table = markdown("| a | b | c |\n|:--|:-:|---|\n| 1 | 2 | 3 |\n")
    assert '<th align="left">a</th>\n<th align="center">b</th>\n<th>c</th>' in table
    assert '<td align="left">1</td>\n<td align="center">2</td>\n<td>3</td>' in table


# --- fields made on reading ---------------------------------------------------------------------------


class Content:
    """Entries by slug, fetched one at a time, with the number of fetches."""

    def __init__(
        self, fields: Mapping[str, dict[str, Any]], registry: Mapping[str, Any] | None = None
    ) -> None:
        self.entries = {slug: entry(slug, each) for slug, each in fields.items()}
        self.registry = registry or {}
        self.fetches = 0

    def fetch(self, slug: str, options: Any, expansion: Expansion) -> bytes | None:
        self.fetches += 1
        found = self.entries.get(slug)
        return expansion.render(found) if found else None

    def show(self, slug: str) -> dict[str, Any]:
        expansion = Expansion(LIVE, Rendered(), self.fetch, self.registry, lambda: "http://site")
        return json.loads(expansion.render(self.entries[slug]))


def fetching(**wanted: str) -> dict[str, Any]:
    return {"entries": {"fetch": {name: {"id": slug} for name, slug in wanted.items()}}}


def test_fetched_entries_stand_between_stored_and_special_fields() -> None:
    content = Content(
        {"a": {"title": "A", **fetching(other="b", gone="c"), "content": "x"}, "b": {"title": "B"}}
    )
    answer = content.show("a")
    assert list(answer)[:6] == ["title", "entries", "content", "other", "gone", "slug"]
    assert (answer["other"]["title"], answer["other"]["id"], answer["gone"]) == ("B", "b", [])


def test_fetched_entries_fetch_in_turn() -> None:
    content = Content({"a": fetching(root="a/b"), "a/b": fetching(root="a/b/c"), "a/b/c": {"title": "l3"}})
    assert content.show("a")["root"]["root"]["id"] == "a/b/c"


def test_an_entry_inside_itself_shows_its_stored_fields() -> None:
    content = Content({"a": fetching(again="b"), "b": fetching(again="a")})
    assert "again" not in content.show("a")["again"]["again"]


def test_nesting_ends_at_eight() -> None:
    content = Content({str(level): fetching(next=str(level + 1)) for level in range(30)})
    answer, depth = content.show("0"), 0
    while "next" in answer:
        answer, depth = answer["next"], depth + 1
    assert depth == 8


def test_fetching_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    wide = {f"n{number}": f"{{}}{number}" for number in range(12)}
    levels = {}
    for level in range(6):
        for number in range(12):
            levels[f"{level}-{number}"] = fetching(**{f"n{n}": f"{level + 1}-{n}" for n in range(len(wide))})
    content = Content(levels)
    with caplog.at_level(logging.WARNING):
        content.show("0-0")
    assert content.fetches <= 10_000
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"entries": None},
        {"entries": []},
        {"entries": {"fetch": "x"}},
        {"entries": {"fetch": {"a": 1}}},
        {"entries": {"fetch": {"a": {"id": 3}}}},
        {"entries": {"fetch": [{"id": "a"}]}},
        {"registry": {"get": {"a": {"key": ["x"]}}}},
        {"parsers": "markdown"},
        {"parsers": {"markdown": {"enabled": "yes", "fields": ["content"]}}},
        {"parsers": {"markdown": {"enabled": True, "fields": [3, "none", "entries"]}}},
        {"parsers": {"python": {"enabled": True, "fields": ["content"]}}},
    ],
)
def test_ill_formed_special_fields_change_nothing(fields: dict[str, Any]) -> None:
    answer = Content({"a": {**fields, "content": "# x"}}).show("a")
    assert answer["content"] == "# x"
    assert list(answer)[: len(fields) + 1] == [*fields, "content"]


def test_registry_values_are_merged_in_dots_nesting() -> None:
    registry = {"flextype": {"manifest": {"version": "0.9.16", "author": {"name": "A"}}}}
    wanted = {
        "ver": {"key": "flextype.manifest.version"},
        "author.name": {"key": "flextype.manifest.author.name"},
        "none": {"key": "no.such", "default": [1]},
    }
    answer = Content({"a": {"registry": {"get": wanted}}}, registry).show("a")
    assert (answer["ver"], answer["author"], answer["none"]) == ("0.9.16", {"name": "A"}, [1])


def test_parsers_run_in_the_order_of_the_file() -> None:
    fields = {
        "content": '# [registry_get name="Bar" default="*Zed*"]',
        "meta": {"intro": "*i*"},
        "parsers": {
            "shortcode": {"enabled": True, "fields": ["content"]},
            "markdown": {"enabled": True, "fields": ["content", "meta.intro"]},
        },
    }
    answer = Content({"a": fields}).show("a")
    assert answer["content"] == "<h1><em>Zed</em></h1>\n"
    assert answer["meta"] == {"intro": "<p><em>i</em></p>\n"}
    assert answer["parsers"] == fields["parsers"]


def test_shortcodes_read_entries_registry_and_address() -> None:
    text = (
        '[entries_fetch id="b" field="title"]|[entries_fetch id="b" field="none" default="d"]|'
        '[entries_fetch id="zz" field="title" default="e"]|[registry_get name="n.x"]|[url]/a|'
        '[media_files_fetch id="f" field="title" default="g"]|[entries_fetch id="b" field="tags"]'
    )
    parsers = {"shortcodes": {"enabled": True, "fields": ["content"]}}
    content = Content(
        {"a": {"content": text, "parsers": parsers}, "b": {"title": "B", "tags": [1]}}, {"n": {"x": 3}}
    )
    assert content.show("a")["content"] == "B|d|e|3|http://site/a|g|"


def test_entries_with_special_fields_are_not_kept() -> None:
    content = Content({"a": fetching(other="b"), "b": {"title": "old"}})
    kept = Rendered()
    for title in ("old", "new"):
        content.entries["b"] = entry("b", {"title": title})
        expansion = Expansion(LIVE, kept, content.fetch, {}, str)
        assert json.loads(expansion.render(content.entries["a"]))["other"]["title"] == title
