"""Collections and single entries over HTTP: what the recorded cases leave out, and content of some size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from flextype_api import NOT_FOUND, Entries, RunningServer, write_entry

NUMBERS = range(120)
"""Enough rows that the index answers with its structures instead of looking at each entry."""


@pytest.fixture
def site_dir(site_dir: Path) -> Path:
    """A collection of 120 rows, a few entries beside it, and one broken file."""
    for number in NUMBERS:
        text = f"n: {number}\nodd: {'true' if number % 2 else 'false'}\nname: Row {number:03}\n"
        text += f"published_at: '{1 + number % 28:02}-01-2020 00:00'\ngroup: g{number % 3}\n"
        path = write_entry(site_dir, "rows", text, f"r{number:03}.yaml")
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    write_entry(site_dir, "rows/broken", "---\ntitle: [\n---\n")
    write_entry(site_dir, "2019", "---\ntitle: Digits\n---\n")
    write_entry(site_dir, "10", "---\ntitle: Ten\n---\n")
    write_entry(site_dir, "home", "---\ntitle: Home\nlist: [1, 2]\nmap: {k: v}\n---\nbody\n")
    return site_dir


@pytest.fixture
def entries(server: RunningServer) -> Entries:
    return Entries(server)


def ids(entries: Entries, query: str, id: str = "rows") -> list[str]:
    """The last segments of the ids that a collection answers with, in order."""
    answer = entries.query(f"id={id}&options[collection]=true&{query}")
    assert answer.status_code == 200, answer.text
    return [key.rpartition("/")[2] for key in answer.json()["data"]]


def where(key: str, operator: str, value: str, number: int = 0) -> str:
    prefix = f"options[filter][where][{number}]"
    return f"{prefix}[key]={key}&{prefix}[operator]={operator}&{prefix}[value]={value}"


ALL = [f"r{number:03}" for number in NUMBERS]


def test_a_broken_file_leaves_its_neighbours_alone(entries: Entries) -> None:
    assert ids(entries, "") == ALL
    assert entries.get("rows/broken").json() == NOT_FOUND


def test_the_empty_id_is_the_root(entries: Entries) -> None:
    assert ids(entries, "", id="") == ["10", "2019", "home"]
    assert entries.query("id=&options[collection]=true").text.startswith('{"data":{"10":{"title":"Ten"')


@pytest.mark.parametrize("id", ["rows/", "/rows", "//rows//"])
def test_slashes_at_the_ends_of_an_id_do_not_count(entries: Entries, id: str) -> None:
    assert ids(entries, "options[filter][limit]=1", id=id) == ["r000"]


@pytest.mark.parametrize("id", ["none", "home", "rows/r001", "home/x"])
def test_a_collection_of_nothing_is_a_404(entries: Entries, id: str) -> None:
    answer = entries.query(f"id={id}&options[collection]=true")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


# --- where, sort, pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (where("n", "eq", "7"), ["r007"]),
        (where("n", "eq", "7.0"), ["r007"]),
        (where("odd", "eq", "true") + "&options[filter][limit]=2", ["r001", "r003"]),
        (where("n", "in", "5") + "&" + where("odd", "in", "1", 1), ["r005"]),
        (where("n", "gte", "118"), ["r118", "r119"]),
        (where("name", "ends_with", "050"), ["r050"]),
        (where("slug", "eq", "rows/r009"), ["r009"]),
        (where("id", "starts_with", "rows/r11") + "&options[filter][limit]=1", ["r110"]),
        (where("published_at", "gt", "1580083200") + "&options[filter][limit]=2", ["r027", "r055"]),
        (where("modified_at", "lte", "1600000001"), ["r000", "r001"]),
        (where("routable", "eq", "true") + "&options[filter][offset]=118", ["r118", "r119"]),
        (where("visibility", "neq", "visible") + "&" + where("n", "eq", "1", 1), []),
        (where("content", "eq", "") + "&options[filter][offset]=119", ["r119"]),
        (where("content", "neq", ""), []),
    ],
)
def test_where_sees_what_answers_show(entries: Entries, query: str, expected: list[str]) -> None:
    if expected:
        assert ids(entries, query) == expected
    else:
        assert entries.query(f"id=rows&options[collection]=true&{query}").json() == NOT_FOUND


@pytest.mark.settings(**{"flextype.behaviour": "live"})
def test_live_mode_compares_strictly(entries: Entries) -> None:
    answer = entries.query(f"id=rows&options[collection]=true&{where('n', 'eq', '7')}")
    assert answer.status_code == 404
    assert ids(entries, where("n", "neq", "7")) == ALL
    assert ids(entries, where("slug", "eq", "r009")) == ["r009"]


SORTED = "options[filter][sort_by][key]=n&options[filter][sort_by][direction]=DESC"


@pytest.mark.parametrize(
    ("offset", "limit"),
    [(0, 3), (5, 3), (118, 5), (-2, None), (-5, 2), (0, -118), (3, -115), (-10, -8), (None, 1), (1, None)],
)
def test_pages_are_slices(entries: Entries, offset: int | None, limit: int | None) -> None:
    query = SORTED
    query += "" if offset is None else f"&options[filter][offset]={offset}"
    query += "" if limit is None else f"&options[filter][limit]={limit}"
    assert ids(entries, query) == ALL[::-1][offset:][:limit]


@pytest.mark.parametrize(
    "query",
    [
        "[limit]=0",
        "[limit]=abc",
        "[offset]=120",
        "[limit]=-120",
        "[limit]=0&options[filter][return]=first",
        "[limit]=1&options[filter][return]=next",
        "[offset]=119&options[filter][return]=next",
        "[return]=random&options[filter][random]=0",
    ],
)
def test_nothing_left_is_a_404(entries: Entries, query: str) -> None:
    answer = entries.query(f"id=rows&options[collection]=true&options[filter]{query}")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("[return]=first", 119),
        ("[return]=next", 118),
        ("[return]=last", 0),
        ("[return]=next&options[filter][offset]=4", 114),
        ("[return]=first&options[filter][offset]=-3", 2),
        ("[return]=last&options[filter][limit]=10", 110),
    ],
)
def test_return_gives_one_bare_entry(entries: Entries, query: str, expected: int) -> None:
    answer = entries.query(f"id=rows&options[collection]=true&{SORTED}&options[filter]{query}")
    assert answer.json()["data"]["n"] == expected


def test_shuffle_is_a_list_of_all(entries: Entries) -> None:
    data = entries.query("id=rows&options[collection]=true&options[filter][return]=shuffle").json()["data"]
    assert [entry["n"] for entry in data] != list(NUMBERS)
    assert sorted(entry["n"] for entry in data) == list(NUMBERS)


def test_random_is_one_or_some(entries: Entries) -> None:
    query = "id=rows&options[collection]=true&options[filter][return]=random"
    assert entries.query(query).json()["data"]["n"] in NUMBERS
    some = [
        entry["n"] for entry in entries.query(f"{query}&options[filter][random]=5").json()["data"].values()
    ]
    assert len(some) == 5
    assert some == sorted(some)
    everything = entries.query(f"{query}&options[filter][random]=500").json()["data"]
    assert len(everything) == len(NUMBERS)


def test_groups_are_lists_and_pages_count_groups(entries: Entries) -> None:
    query = f"id=rows&options[collection]=true&{where('n', 'lt', '7')}&options[filter][group_by]=group"
    data = entries.query(query).json()["data"]
    assert {group: [entry["n"] for entry in members] for group, members in data.items()} == {
        "g0": [0, 3, 6],
        "g1": [1, 4],
        "g2": [2, 5],
    }
    page = entries.query(f"{query}&options[filter][offset]=1&options[filter][limit]=1").json()["data"]
    assert page == {"g1": data["g1"]}
    assert entries.query(f"{query}&options[filter][return]=last").json()["data"] == data["g2"]


def test_groups_by_special_fields_and_booleans(entries: Entries) -> None:
    query = "id=rows&options[collection]=true&options[filter][group_by]="
    assert list(entries.query(f"{query}visibility").json()["data"]) == ["visible"]
    assert list(entries.query(f"{query}odd").json()["data"]) == ["0", "1"]


# --- find -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("[date]=> @1600000117", ["r118", "r119"]),
        ("[date][]=>= @1600000001&options[find][date][]=< @1600000003", ["r001", "r002"]),
        ("[contains]=Row 042", ["r042"]),
        ("[contains][]=Row 001&options[find][contains][]=/row 00[23]/i", ["r001", "r002", "r003"]),
        ("[not_contains]=/^n: \\d{1,2}$/m&options[filter][limit]=1", ["r100"]),
        ("[path]=/^r11[89]$/", ["r118", "r119"]),
        ("[path]=r11&options[find][exclude]=r110&options[filter][limit]=1", ["r111"]),
        ("[sort_by]=mtime&options[filter][offset]=-1", ["r119"]),
    ],
)
def test_find_looks_at_files(entries: Entries, query: str, expected: list[str]) -> None:
    assert ids(entries, f"options[find]{query}") == expected


def test_find_and_where_work_together(entries: Entries) -> None:
    assert ids(entries, f"options[find][contains]=Row 00&{where('odd', 'eq', 'true')}") == [
        "r001",
        "r003",
        "r005",
        "r007",
        "r009",
    ]


# --- a filter on one entry ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("[limit]=2", {"title": "Home", "list": [1, 2]}),
        ("[return]=first", "Home"),
        (
            "[where][0][key]=k&options[filter][where][0][operator]=eq&options[filter][where][0][value]=v",
            {"map": {"k": "v"}},
        ),
        (
            "[where][0][key]=1&options[filter][where][0][operator]=eq&options[filter][where][0][value]=2",
            {"list": [1, 2]},
        ),
        ("[offset]=100", None),
    ],
)
def test_a_filter_on_one_entry_picks_fields_and_is_not_remembered(
    entries: Entries, query: str, expected: Any
) -> None:
    plain = entries.get("home").json()
    answer = entries.query(f"id=home&options[filter]{query}")
    assert answer.json() == (NOT_FOUND if expected is None else {"data": expected})
    assert entries.get("home").json() == plain


# --- special fields -----------------------------------------------------------------------------------------


def test_fetched_collections_follow_their_content(entries: Entries) -> None:
    first = {"id": "rows", "options": {"collection": True, "filter": {"where": [], "limit": 2}}}
    one = {"id": "rows", "options": {"collection": True, "filter": {"return": "last"}}}
    wanted = {"where": [{"key": "n", "operator": "eq", "value": 3}]}
    third = {"id": "rows", "options": {"collection": True, "filter": wanted}}
    none = {"id": "rows", "options": {"collection": True, "filter": {"limit": 0}}}
    data = {"entries": {"fetch": {"two": first, "last": one, "third": third, "none": none}}}
    made = entries.send("POST", id="page", data=data).json()["data"]
    assert [entry["n"] for entry in made["two"].values()] == [0, 1]
    assert (made["last"]["n"], list(made["third"]), made["none"]) == (119, ["rows/r003"], [])
    entries.send("PATCH", id="rows/r119", data={"n": -1})
    assert entries.get("page").json()["data"]["last"]["n"] == -1


def test_shortcodes_know_the_address_of_the_site(entries: Entries) -> None:
    parsers = {"shortcode": {"enabled": True, "fields": ["content"]}}
    data = {"content": '[url]/x [entries_fetch id="home" field="map.k"]', "parsers": parsers}
    made = entries.send("POST", id="page", data=data).json()["data"]
    assert made["content"] == f"{entries.url.removesuffix('/api/entries')}/x v"
    assert entries.get("page").json()["data"] == made
