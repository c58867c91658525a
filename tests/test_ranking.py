"""Order by relevance is BM25 as a plain computation has it, however far the index of words got."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_words import COLLECTIONS, RECORDS, STEPS, Site, field, take

from flatdata.index import index as index_module
from flatdata.index import words as words_module
from flatdata.index import words_writer as writer_module
from flatdata.index.terms import analyse
from flatdata.query.bubble_words import IN_TEXTS, word_place, word_search
from flatdata.query.evaluate import matches
from flatdata.query.tree import EVERYTHING, AnyOf, Condition, Node, Query, Relevance, Scope, Sought
from flatdata.store.changes import Put
from flatdata.store.entry import Entry

LONG = "x" * 58 + "ational"
"""A word that shares its term with others, while its stem does not look it."""
WORDS = st.lists(st.sampled_from(["noir", "film", "run", "a", "été", "x" * 65, LONG]), min_size=1, max_size=2)
SOUGHT = st.lists(
    st.tuples(WORDS, st.lists(st.sampled_from(["t", "u"]), min_size=1, max_size=2, unique=True)),
    min_size=1,
    max_size=2,
)
Asked = list[tuple[list[str], list[str]]]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_module, "_REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(writer_module, "_COMMIT_SECONDS", 0.002)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def sought(asked: Asked) -> tuple[Sought, ...]:
    return tuple(
        Sought(
            tuple(dict.fromkeys(stem for word in words for stem in analyse(word))),
            tuple(word_place(field(name), IN_TEXTS) for name in names),
        )
        for words, names in asked
    )


def where(parts: Sequence[Sought]) -> Node:
    """Some word somewhere."""
    operator = word_search(analyse, IN_TEXTS)
    return AnyOf(
        tuple(
            Condition(place.source, operator, (stem,))
            for part in parts
            for stem in part.stems
            for place in part.places
        )
    )


def texts(entry: Entry, part: Sought) -> list[str]:
    return [text for place in part.places for text in place.texts(place.source.read(entry))]


def plain_scores(entries: Sequence[Entry], parts: Sequence[Sought]) -> dict[str, float]:
    """BM25 of each entry, by slug."""
    scores = dict.fromkeys((entry.slug for entry in entries), 0.0)
    for part in parts:
        words = {e.slug: [stem for text in texts(e, part) for stem in analyse(text)] for e in entries}
        lengths = {e.slug: sum(len(text) for text in texts(e, part)) for e in entries}
        average = sum(lengths.values()) / len(lengths) or 1.0
        for stem in part.stems:
            having = sum(stem in each for each in words.values())
            idf = math.log(1 + (len(entries) - having + 0.5) / (having + 0.5))
            for slug, found in words.items():
                tf = found.count(stem)
                scores[slug] += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * lengths[slug] / average))
    return scores


def check(site: Site, asked: Asked, everything: bool) -> None:
    parts = sought(asked)
    for collection in COLLECTIONS:
        site.store.follow()
        entries = site.store.children(collection)
        condition = EVERYTHING if everything else where(parts)
        expected = {entry.slug for entry in entries if matches(condition, entry)}
        scores = plain_scores(entries, parts) if entries else {}
        for descending in (True, False):
            query = Query(Scope(collection), condition, relevance=Relevance(parts, descending))
            result = site.index.search(query)
            found = [entry.slug for entry in result.entries]
            assert result.total == len(found)
            assert set(found) == expected
            for slug, after in pairwise(found):
                gain = (scores[slug] - scores[after]) * (1 if descending else -1)
                assert gain > -1e-9
                assert gain > 1e-9 or slug < after
            page = Query(
                Scope(collection), condition, offset=1, limit=2, relevance=Relevance(parts, descending)
            )
            assert [entry.slug for entry in site.index.search(page).entries] == found[1:3]


@pytest.mark.parametrize("small", [0, 48])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(RECORDS, max_size=8),
    st.lists(STEPS, max_size=6),
    st.lists(st.tuples(SOUGHT, st.booleans()), min_size=1, max_size=3),
)
@example(
    [{"t": "noir noir film"}, {}, {"t": ["noir", 7], "u": "noir"}, {}, {"t": "x" * 65}],
    ["catch up", Put("c/e3", {"t": "film film noir"})],
    [([(["noir", "film"], ["t", "u"])], False), ([(["x" * 65], ["t"])], False)],
)
@example([{"t": f"noir {LONG}"}, {}, {"t": "noir"}], [], [([(["noir", LONG], ["t"])], False)])
@example(
    [{"t": "noir noir film"}, {}, {"t": "noir", "2024": {"t": "noir"}}, {"2024": {"t": "noir"}}],
    ["catch up", Put("c/e3", {"t": "film film noir"})],
    [([(["noir", "film"], ["t", "u"])], True)],
)
def test_relevance_is_bm25_through_changes(
    small: int, records: list[dict[str, Any]], steps: list[Any], queries: list[tuple[Asked, bool]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SMALL", small)
        site = Site(Path(tempfile.mkdtemp()))
        try:
            if records:
                site.commit(
                    *(Put(f"{COLLECTIONS[n % 2]}/e{n // 2}", fields) for n, fields in enumerate(records))
                )
            for step in [*steps, "catch up"]:
                take(site, step)
                for asked, everything in queries:
                    check(site, asked, everything)
        finally:
            site.close()
            shutil.rmtree(site.root)


def test_frequencies_are_those_of_the_word_index_where_it_is_up_to_date(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {f"c/e{number:02d}": "noir " * (number % 5 + 1) + "film" for number in range(60)}
    site.commit(*(Put(slug, {"t": text}) for slug, text in texts.items()))
    site.catch_up()
    relevance = Relevance(sought([(["noir"], ["t"])]))
    query = Query(Scope("c"), where(relevance.sought), limit=3, relevance=relevance)
    expected = [entry.slug for entry in site.index.search(query).entries]
    assert expected == ["c/e04", "c/e09", "c/e14"]

    def never(text: str) -> list[str]:
        raise AssertionError(text)

    monkeypatch.setattr("flatdata.index.ranking.analyse", never)
    assert [entry.slug for entry in site.index.search(query).entries] == expected


def test_only_entries_with_other_strings_at_the_path_are_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {f"c/e{number:02d}": "noir " * (number % 5 + 1) + "film" for number in range(60)}
    site.commit(
        *(Put(slug, {"t": text}) for slug, text in texts.items()),
        Put("c/mixed", {"t": "noir long film", "2024": {"t": "noir noir noir noir noir noir"}}),
        Put("d/mixed", {"2024": {"t": "noir"}}),
    )
    site.catch_up()
    read: list[str] = []

    def reading(text: str) -> list[str]:
        read.append(text)
        return analyse(text)

    monkeypatch.setattr("flatdata.index.ranking.analyse", reading)
    relevance = Relevance(sought([(["noir"], ["t"])]))
    query = Query(Scope("c"), where(relevance.sought), relevance=relevance)
    found = [entry.slug for entry in site.index.search(query).entries]
    assert read == ["noir long film"]
    assert found[:3] == ["c/e04", "c/e09", "c/e14"]
    assert found[-1] == "c/mixed"


def test_a_stem_counts_in_all_its_forms_and_fields_together(site: Site) -> None:
    forms = [("film", ""), ("film films", ""), ("film films", "film"), ("film films film", "films")]
    for number in range(60):
        first, second = forms[number % 4]
        pad = "z" * (40 - len(first) - len(second))
        site.commit(Put(f"c/e{number:02d}", {"t": f"{first} {pad}", "u": second}))
    site.catch_up()
    relevance = Relevance(sought([(["film"], ["t", "u"])]))
    query = Query(Scope("c"), where(relevance.sought), relevance=relevance)
    found = [int(entry.name[1:]) % 4 for entry in site.index.search(query).entries]
    assert found == [3] * 15 + [2] * 15 + [1] * 15 + [0] * 15
