"""Order by relevance is BM25 as a plain computation has it, however far the index of words got."""

from __future__ import annotations

import math
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from pyroaring import BitMap
from test_words import COLLECTIONS, RECORDS, STEPS, Site, field, take

from flatdata.index import index as index_module
from flatdata.index import ranking
from flatdata.index.terms import analyse
from flatdata.index.words_view import Counts, places_of
from flatdata.query.bubble_words import IN_TEXTS, word_place, word_search
from flatdata.query.evaluate import matches
from flatdata.query.tree import EVERYTHING, AnyOf, Condition, Node, Query, Relevance, Scope, Sought
from flatdata.store.changes import Delete, Put
from flatdata.store.entry import Entry

pytestmark = pytest.mark.usefixtures("words_at_once")

LONG = "x" * 58 + "ational"
"""A word that shares its term with others, while its stem does not look it."""
WORDS = st.lists(st.sampled_from(["noir", "film", "run", "a", "été", "x" * 65, LONG]), min_size=1, max_size=2)
SOUGHT = st.lists(
    st.tuples(WORDS, st.lists(st.sampled_from(["t", "u"]), min_size=1, max_size=2, unique=True)),
    min_size=1,
    max_size=2,
)
Asked = list[tuple[list[str], list[str]]]


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


@pytest.mark.parametrize(
    ("small", "soon", "more"), [(0, 2_000, 64), (0, 2_000, 0), (0, 1, 0), (48, 2_000, 64)]
)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
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
    small: int,
    soon: int,
    more: int,
    records: list[dict[str, Any]],
    steps: list[Any],
    queries: list[tuple[Asked, bool]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SMALL", small)
        patch.setattr(ranking, "_SOON", soon)
        patch.setattr(ranking, "_MORE", more)
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


@pytest.mark.parametrize("more", [0, 10])
def test_pages_are_parts_of_the_whole_order(site: Site, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """Of a page only those are scored that can be on it: a whole order is that of all scores."""
    monkeypatch.setattr(ranking, "_MORE", more)
    source = random.Random(3)
    changes = []
    for number in range(400):
        noir, film = source.choice([0, 0, 0, 1, 1, 1, 2, 3, 9]), source.choice([0, 0, 1, 2, 4])
        text = "noir " * noir + "film " * film + "z" * source.randint(0, 30)
        changes.append(Put(f"c/e{number:03d}", {"t": text}))
    changes.append(Put("c/mixed", {"t": "noir film", "2024": {"t": "noir noir"}}))
    site.commit(*changes)
    site.catch_up()
    # The index of words is behind of these.
    site.commit(
        *(Put(f"c/e{number:03d}", {"t": "noir film " * (number % 3)}) for number in range(0, 400, 40))
    )
    site.store.follow()
    parts = sought([(["noir", "film"], ["t"])])
    for descending in (True, False):
        query = Query(Scope("c"), EVERYTHING, relevance=Relevance(parts, descending))
        whole = site.index.search(query)
        assert whole.total == len(whole.entries) == 401
        for offset, limit in ((0, 0), (0, 1), (0, 20), (20, 20), (77, 3), (150, 200), (390, 20), (500, 5)):
            page = site.index.search(structs.replace(query, offset=offset, limit=limit))
            assert page.entries == whole.entries[offset : offset + limit]
            assert page.total == 401


def test_a_page_is_made_of_few_scores(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["noir " * (1 + number % 7 // 6) + "long " * (number % 97) for number in range(600)]
    site.commit(*(Put(f"c/e{number:03d}", {"t": text}) for number, text in enumerate(texts)))
    site.catch_up()
    scored = []
    scores = ranking._Numbers.scores

    def counting(numbers: Any, entries: Any) -> Any:
        made = scores(numbers, entries)
        scored.append(len(made[1]))
        return made

    monkeypatch.setattr(ranking._Numbers, "scores", counting)
    relevance = Relevance(sought([(["noir"], ["t"])]))
    query = Query(Scope("c"), where(relevance.sought), relevance=relevance)
    whole = site.index.search(query)
    page = site.index.search(structs.replace(query, limit=5))
    assert (page.entries, page.total) == (whole.entries[:5], 600)
    assert scored[0] == 600
    assert scored[1] <= 2 * (5 + ranking._MORE)


WORDS_OF_A_STEM = st.lists(
    st.dictionaries(st.integers(0, 12), st.sampled_from([1, 1, 1, 2, 3, 70])), min_size=1, max_size=4
)


@given(WORDS_OF_A_STEM, st.sets(st.integers(0, 14)), st.integers(0, 3))
@example([{1: 1, 2: 2}, {1: 1, 2: 1, 3: 2}, {2: 2}], {1, 2, 3, 4}, 0)
def test_frequencies_of_a_stem_are_those_of_its_words_together(
    words: list[dict[int, int]], asked: set[int], few: int
) -> None:
    counts = Counts()
    for word in words:
        repeated = {count: BitMap([num for num in word if word[num] == count]) for count in word.values()}
        repeated.pop(1, None)
        counts = counts.with_word(Counts(BitMap(word), repeated))
    expected = {num: sum(word.get(num, 0) for word in words) for num in asked}
    found = BitMap(asked)
    assert counts.frequencies(found, places_of(found)) == [expected[num] for num in found]
    assert set(counts.unlike_once(found)) == {num for num, count in expected.items() if count != 1}
    apart = counts.apart(found, few)
    assert sorted(num for nums, _ in apart for num in nums) == sorted(asked)
    for nums, occurs in apart:
        assert len(nums) <= few or len({expected[num] for num in nums}) == 1
        assert occurs == (expected[nums[0]] > 0)
    assert set(counts.nums) == {num for word in words for num in word}


class Counting(dict[int, Entry]):
    """Entries by number, counting how many are asked for."""

    asked = 0

    def __getitem__(self, num: int) -> Entry:
        self.asked += 1
        return super().__getitem__(num)


def test_of_what_is_found_only_the_best_are_fetched(site: Site) -> None:
    texts = {f"c/e{number:03d}": "noir " + "long " * (number % 97) for number in range(300)}
    site.commit(*(Put(slug, {"t": text}) for slug, text in texts.items()))
    site.catch_up()
    relevance = Relevance(sought([(["noir"], ["t"])]))
    query = Query(Scope("c"), where(relevance.sought), limit=7, relevance=relevance)
    expected = [f"c/e{number:03d}" for number in (0, 97, 194, 291, 1, 98, 195)]
    assert [entry.slug for entry in site.index.search(query).entries] == expected
    collection = site.index._collection("c")
    collection.entries = Counting(collection.entries)
    result = site.index.search(query)
    assert [entry.slug for entry in result.entries] == expected
    assert result.total == 300
    assert collection.entries.asked < 12


@pytest.mark.parametrize("soon", [0, 2_000])
def test_a_page_is_of_the_moment_at_which_its_entries_were_found(
    site: Site, monkeypatch: pytest.MonkeyPatch, soon: int
) -> None:
    monkeypatch.setattr(ranking, "_SOON", soon)
    site.commit(*(Put(f"c/e{number:02d}", {"t": "noir " + "long " * (number // 2)}) for number in range(60)))
    site.catch_up()
    ranked = index_module._ranked

    def changing(*args: Any) -> index_module.Result:
        # One takes over the number of the entry that goes.
        new = [Put(f"c/e{number}", {"t": "noir"}) for number in (97, 98, 99)]
        site.commit(Delete("c/e00"), Put("c/e01", {"t": "film"}), *new)
        return ranked(*args)

    monkeypatch.setattr(index_module, "_ranked", changing)
    query = Query(Scope("c"), EVERYTHING, limit=3, relevance=Relevance(sought([(["noir"], ["t"])])))
    result = site.index.search(query)
    assert [(entry.slug, entry.fields["t"]) for entry in result.entries] == [
        ("c/e00", "noir "),
        ("c/e01", "noir "),
        ("c/e02", "noir long "),
    ]
    assert result.total == 60
