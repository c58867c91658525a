"""Words in columns whose paths in the index of words are those of others: each column is searched alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bubble_http import Bubble, admin, put_manifest, put_row
from conftest import Server

from flatdata.index import index as index_module
from flatdata.store.entry import Entry

CAPTIONS = ("Name", "2024", "2025", "a.5", "a", "*", "line\nend", "line end")
NOTES: dict[str, Any] = {
    "id": 1,
    "name": "Notes",
    "bubble": {
        "exposed": True,
        "display": "Note",
        "fields": {**dict.fromkeys(CAPTIONS, "text"), "Place": "geographic_address", "Tags": "list.text"},
    },
}
ROWS: dict[str, dict[str, Any]] = {
    **{f"noir-{number}": {caption: "film noir"} for number, caption in enumerate(CAPTIONS)},
    "place": {"Place": {"address": "noir street"}},
    "deep": {"a": {"5": "noir"}},
    "below-digits": {"2024": {"Name": "noir"}, "Name": "comedy"},
    "below-nothing": {"": {"Name": ["noir"]}, "Name": "comedy"},
    "below-a-list": {"7": [{"Name": "noir"}], "Name": "comedy", "Tags": ["noir"]},
    "both": {"7": {"Name": "noir, noir and noir"}, "Name": "noir with a longer title"},
}
"""Each word in one column, or where no column is, at a path that columns have."""
PLAIN = 60


@pytest.fixture
def api(site_dir: Path, serve_with_words: Callable[[Path], Server]) -> Bubble:
    put_manifest(site_dir, "notes", NOTES)
    for name, columns in ROWS.items():
        put_row(site_dir, f"notes/{name}", **columns)
    for number in range(PLAIN):
        put_row(site_dir, f"notes/plain-{number}", Name="film noir" if number % 2 else "comedy")
    return admin(serve_with_words(site_dir))


def things() -> set[str]:
    return {*ROWS, *(f"plain-{number}" for number in range(PLAIN))}


def expected(caption: str) -> set[str]:
    """The things with the word in a column, by going through what was written."""
    found = {name for name, columns in ROWS.items() if "noir" in str(columns.get(caption, "")).split()}
    plain = {f"plain-{number}" for number in range(1, PLAIN, 2)} if caption == "Name" else set()
    return found | plain


@pytest.mark.parametrize("caption", CAPTIONS)
def test_words_are_found_in_the_column_that_was_asked_about(api: Bubble, caption: str) -> None:
    found = api.names("note", (caption, "text contains", "noir"), limit=100)
    assert set(found) == expected(caption)
    others = api.names("note", (caption, "not text contains", "noir"), limit=100)
    assert set(others) == things() - set(found)


@pytest.mark.parametrize("caption", CAPTIONS)
def test_things_are_ranked_by_the_column_that_was_asked_about(
    api: Bubble, caption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sort = {"sort_field": "_relevance", "descending": "true", "limit": 100}
    ranked = api.names("note", (caption, "text contains", "noir"), **sort)
    monkeypatch.setattr(index_module, "SMALL", 10_000)
    assert ranked == api.names("note", (caption, "text contains", "noir"), **sort)
    assert set(ranked) == expected(caption)


def test_words_in_any_column_are_found_in_all_of_them(api: Bubble) -> None:
    found = api.names("note", ("_all", "text contains", "noir"), limit=100)
    strangers = {"deep", "below-digits", "below-nothing"}
    assert set(found) == {*ROWS, *expected("Name")} - strangers


def test_things_without_odd_columns_are_decided_about_by_the_index(api: Bubble, asked: list[Entry]) -> None:
    api.names("note", ("Name", "text contains", "noir"), limit=100)
    assert {entry.name for entry in asked} == {"below-digits", "below-nothing", "below-a-list", "both"}
