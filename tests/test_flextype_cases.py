"""Answers recorded from Flextype 0.9.16 (`cases/flextype.json`), replayed against a server in live mode.

Every recorded class is held to but `crash500`: what the original answered with a 500 has no contract, here
it must be anything but a 5xx. Where flatdata means to answer otherwise, the case is listed below with the
reason.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from flextype_api import Entries, RunningServer, write_entry

from flatdata.dialects.flextype.fields import read_path
from flatdata.query.php_index import SORT
from flatdata.query.tree import ABSENT

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "flextype.json").read_text("utf-8"))
MTIME = 1_600_000_000
NOT_FOUND = CASES["meta"]["error_bodies"]["404"]
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

VF = next(case for case in CASES["field_cases"] if case["id"] == "vf")["expect"]["data"]
REGISTRY = {"flextype": {"manifest": {"version": VF["ver"], "author": VF["author"]}}}
pytestmark = pytest.mark.settings(**{"flextype.behaviour": "live", "flextype.registry": REGISTRY})

DATES_C = "---\ntitle: c\npublished_at: 0\ncreated_at: '2020-04-17 10:17'\n---\n"
"""The entry that the case `vf` fetches; the recording has its answer, not its file."""

# --- deviations: by name of the case, what is different and why ---------------------------------------

FIELD_DEVIATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "dates/a": (
        {"published_at": 1_577_923_200, "created_at": 1_577_934_245},
        "a plain date in a file is text here, so it reads as the date it says instead of 0",
    ),
    "types": (
        {
            "date": "2020-01-02",
            "datetime": "2020-01-02 03:04:05",
            "oct": 777,
            "empty_map": {},
            "big": 12_345_678_901_234_567_890,
            "under": "1_000",
            "numkeys": {"0": "a", "1": "b"},
        },
        "YAML 1.2: dates are text, 0777 is decimal, 1_000 is text, integers have any size; and a map stays "
        "a map where PHP makes a list of it",
    ),
}
CRUD_DEVIATIONS: dict[int, tuple[int, str]] = {
    3: (200, "missing parents of a new entry are made"),
    12: (200, "missing parents of a target are made, as the documentation's example needs it"),
    14: (404, "the source was moved by step 12 already"),
    18: (200, "missing parents of a target are made"),
}


# --- the site ---------------------------------------------------------------------------------------------


@pytest.fixture
def site_dir(site_dir: Path) -> Path:
    """The fixtures of the recording, and nothing else."""
    files = CASES["fixtures"] | {case["id"]: case["file"] for case in CASES["field_cases"]}
    for id, text in (files | {"dates/c": DATES_C}).items():
        os.utime(write_entry(site_dir, id, text), (MTIME, MTIME))
    return site_dir


@pytest.fixture
def entries(server: RunningServer) -> Entries:
    return Entries(server)


# --- reads ------------------------------------------------------------------------------------------------


def difference(case: dict[str, Any], status: int, answer: Any) -> str:
    """What is wrong with an answer, or the empty text."""
    expected = case["expect"]
    if case["class"] == "crash500":
        return "" if status < 500 else f"status {status}"
    if status != expected["status"]:
        return f"status {status} instead of {expected['status']}"
    if status == 404:
        return "" if answer == NOT_FOUND else f"body {answer}"
    data = answer["data"]
    if "groups" in expected:
        groups = {value: sorted(entry["id"] for entry in group) for value, group in data.items()}
        wanted = {value: sorted(ids) for value, ids in expected["groups"].items()}
        return "" if groups == wanted else f"groups {groups}"
    if "ids" in expected:
        return _difference_of_ids(case, data)
    return "" if data == expected["data"] else f"data {data}"


def _difference_of_ids(case: dict[str, Any], data: dict[str, Any]) -> str:
    wanted, got = case["expect"]["ids"], list(data)
    if any(entry["id"] != id for id, entry in data.items()):
        return "keys are not ids"
    if sorted(got) != sorted(wanted):
        return f"ids {got}"
    if not case["expect"]["ordered"] or got == wanted:
        return ""
    if case["expect"].get("ties_unspecified"):
        key = re.search(r"\[sort_by\]\[key\]=([^&]+)", case["request"]["query"])
        assert key is not None
        values = {id: SORT.key(read_path(entry, key.group(1))) for id, entry in data.items()}
        if [values[id] for id in got] == [values[id] for id in wanted]:
            return ""
    return f"order {got}"


def test_recorded_reads_are_answered_the_same(entries: Entries) -> None:
    differences = {}
    for case in CASES["get_cases"]:
        answer = entries.query(case["request"]["query"])
        if problem := difference(case, answer.status_code, answer.json()):
            differences[case["name"]] = problem
    assert differences == {}


@pytest.mark.parametrize("case", CASES["field_cases"], ids=lambda case: str(case["id"]))
def test_recorded_files_are_shown_the_same(entries: Entries, case: dict[str, Any]) -> None:
    answer = entries.get(case["id"])
    if case["class"] == "crash500":
        assert answer.status_code < 500
        return
    expected = case["expect"]["data"]
    changes, _ = FIELD_DEVIATIONS.get(case["id"], ({}, ""))
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data == expected | changes
    assert list(data) == list(expected)
    assert all(type(data[name]) is type((expected | changes)[name]) for name in data)


# --- writes -----------------------------------------------------------------------------------------------


def matches(expected: Any, got: Any) -> bool:
    """Whether `got` is what a recording says, with its placeholders for times and random ids."""
    if expected == "<int unix time>":
        return type(got) is int and got > 1_600_000_000
    if expected == "<uuid v4>":
        return isinstance(got, str) and UUID4.fullmatch(got) is not None
    if isinstance(expected, dict):
        return list(expected) == list(got) and all(matches(expected[name], got[name]) for name in expected)
    return bool(expected == got)


def test_recorded_writes_have_the_documented_effects(entries: Entries) -> None:
    for id in ("movies", "nofm", "dates"):
        assert entries.send("DELETE", id=id).status_code == 204
    for number, step in enumerate(CASES["crud_sequence"]):
        request = step["request"]
        expected = step.get("documented", step["flextype_0.9.16"])["status"]
        expected, _ = CRUD_DEVIATIONS.get(number, (expected, ""))
        params = {name: value for name, value in request["body"].items() if "token" not in name}
        answer = entries.send(request["method"], request["path"].removeprefix("/api/entries"), **params)
        assert (number, answer.status_code) == (number, expected)
        if expected == 404:
            assert answer.json() == NOT_FOUND
        after = step.get("get_after")
        if after is None:
            continue
        shown = entries.get(after["id"])
        if number in CRUD_DEVIATIONS and after["status"] == 404:
            assert (number, shown.status_code) == (number, 200)
            continue
        assert (number, shown.status_code) == (number, after["status"])
        if after["status"] == 200:
            assert matches(after["data"], shown.json()["data"]), (number, shown.json())
            if expected == 200 and after["id"] == params.get("new_id", params["id"]):
                assert answer.content == shown.content


@pytest.mark.parametrize("case", CASES["test_suite_cases"], ids=lambda case: f"{case['query'][:40]}")
def test_the_original_test_suite(entries: Entries, case: dict[str, Any]) -> None:
    for post in case["setup_posts"]:
        assert entries.send("POST", **post).status_code == 200
    answer = entries.query(case["query"])
    expected = dict(case["expect"])
    assert answer.status_code == expected.pop("status")
    data = answer.json()["data"]
    facts: dict[str, Any] = {
        "field_count": len(data),
        "count": len(data),
        "keys": sorted(data),
        "ids": list(data),
    }
    if not expected.pop("ordered", True):
        facts["ids"] = sorted(data)
    for name, value in expected.items():
        got = facts.get(name, read_path(data, name))
        assert got is not ABSENT
        assert got == value
