"""`$iLike` by the index of words: it finds what the evaluator finds, and asks it about few rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_words import Site

from flatdata.dialects.fliplet.fields import data_field
from flatdata.index.terms import SEPARATOR, SHARED, terms_of
from flatdata.query.evaluate import matches
from flatdata.query.sift import parse_where
from flatdata.query.tree import Query, Scope
from flatdata.store.changes import Put
from flatdata.store.entry import Entry, encode_json

pytestmark = pytest.mark.usefixtures("index_at_once")

PLAIN: dict[str, dict[str, Any]] = {
    "text": {"t": "Film Noir"},
    "part": {"t": "noirish"},
    "list": {"t": ["a", "NOIR film"]},
    "dash": {"t": "noir-film"},
    "other": {"t": "a comedy", "u": "noir"},
    "double": {"t": "pass"},
    "number": {"t": 10},
    "nothing": {},
    "elsewhere": {"t": "noir", "u.5": "x", "7": {"v": "y"}, "w": {"": "z"}},
}
"""Rows that the index decides about alone."""
DOUBTFUL: dict[str, dict[str, Any]] = {
    "mixed": {"t": ["a", 5, "noir"]},
    "nested": {"t": [["noir"], "x"]},
    "sharp": {"t": "noir straße"},
    "dotted": {"t": "x", "t.5": "noir"},
    "empty": {"t": "x", "": {"t": "noir"}},
    "digits": {"t": "x", "7": {"t": "noir"}},
    "long": {"t": "noir" + "x" * 70},
}
"""Rows whose words do not say enough."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.commit(*(Put(f"c/{name}", fields) for name, fields in {**PLAIN, **DOUBTFUL}.items()))
    site.catch_up()
    yield site
    site.close()


def found(site: Site, where: Any) -> list[str]:
    node = parse_where(where, data_field)
    entries = site.index.search(Query(Scope("c"), node)).entries
    assert entries == [entry for entry in site.store.children("c") if matches(node, entry)]
    return [entry.name for entry in entries]


def names_of(entries: list[Entry]) -> set[str]:
    return {entry.name for entry in entries}


NEEDLES = ["noir", "NOIR", "oir", "film", "ss", "ß", "film noir", "r-f", "10", "xxx", "zz"]


@pytest.mark.parametrize("needle", NEEDLES)
def test_texts_are_found_as_by_the_evaluator(site: Site, needle: str) -> None:
    found(site, {"t": {"$iLike": needle}})
    found(site, {"t": {"$not": {"$iLike": needle}}})
    found(site, {"t": {"$like": needle}})
    for condition in ("contains", "notcontain"):
        found(site, {"$filters": [{"column": "t", "condition": condition, "value": needle}]})


def test_a_word_in_plain_text_is_decided_without_the_evaluator(site: Site, asked: list[Entry]) -> None:
    names = found(site, {"t": {"$iLike": "noir"}})
    assert {"text", "part", "list", "dash", "elsewhere"} < set(names)
    assert not {"dotted", "empty", "digits", "other"} & set(names)
    assert names_of(asked) == set(DOUBTFUL)


def test_rows_that_the_words_are_behind_of_are_left_to_the_evaluator(site: Site, asked: list[Entry]) -> None:
    site.writer.stop()
    site.commit(Put("c/text", {"t": "nothing any more"}), Put("c/new", {"t": "noir"}))
    names = found(site, {"t": {"$iLike": "noir"}})
    assert "new" in names
    assert "text" not in names
    assert names_of(asked) == {*DOUBTFUL, "text", "new"}


def test_case_and_several_words_are_left_to_the_evaluator(site: Site, asked: list[Entry]) -> None:
    assert found(site, {"t": {"$iLike": "film noir"}}) == ["text"]
    assert "text" in names_of(asked)
    asked.clear()
    found(site, {"t": {"$like": "noir"}})
    assert {"text", "part", "dash"} <= names_of(asked)


def test_a_place_in_a_list_is_left_to_the_evaluator(site: Site) -> None:
    site.commit(Put("c/first", {"t": ["noir", "film"]}), Put("c/second", {"t": ["film", "noir"]}))
    site.catch_up()
    assert found(site, {"t.0": {"$iLike": "noir"}}) == ["first", "nested"]
    assert found(site, {"t.0": {"$not": {"$iLike": "noir"}}, "t.1": {"$iLike": "noir"}}) == ["list", "second"]


@pytest.mark.parametrize(
    ("fields", "marked"),
    [
        ({"a": "x", "b": {"c": ["y", {"d": "z"}]}}, set()),
        ({"a.b": "x", "c": "y"}, {"a.b"}),
        ({"a": {"": "x"}, "c": "y"}, {"a."}),
        ({"a": [{"7": "x"}], "c": "y"}, {"a"}),
        ({"a\nb": "x", "c": "y"}, {"a b"}),
        ({"7": {"a": {"b": "x"}}, "c": 7}, {"a.b"}),
        ({"a.b": 7}, set()),
    ],
)
def test_paths_to_which_keys_of_other_paths_lead_are_marked(fields: Any, marked: set[str]) -> None:
    entry = Entry("c/a", encode_json(fields), form="file", mtime_ns=1, size=1)
    terms = [term.partition(SEPARATOR) for term in terms_of(entry)]
    assert {path for word, _, path in terms if word == SHARED} == marked
