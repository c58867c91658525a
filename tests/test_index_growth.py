"""What a page costs hangs on what is found, not on how many entries there are: in steps, not in time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from pyroaring import BitMap
from test_words import Site, contains, field

from flatdata.index import words_view as view_module
from flatdata.index.collection import Collection
from flatdata.index.ordering import Ordering
from flatdata.index.terms import analyse
from flatdata.index.whoosh_adapter import Segment
from flatdata.query.bubble_words import IN_TEXTS, word_place, word_search
from flatdata.query.tree import All, AnyOf, Condition, Node, Query, Relevance, Scope, Sought
from flatdata.store.changes import Put
from flatdata.store.entry import Entry

pytestmark = pytest.mark.usefixtures("words_at_once")

FIELDS = ("t", "u")
SIZES = (300, 1_200)
MATCHES = 100


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    """Sites of `SIZES` entries: "film" is in half of them, "noir" in `MATCHES` of these."""
    made = []
    for size in SIZES:
        site = Site(tmp_path / str(size))
        texts = ["film" if number % 2 else "other" for number in range(size)]
        for number in range(MATCHES):
            texts[number * (size // MATCHES) | 1] += " noir" + " film" * (number % 3 // 2)
        site.commit(*(Put(f"c/e{number:04d}", {"t": text}) for number, text in enumerate(texts)))
        site.catch_up()
        made.append(site)
    yield made
    for site in made:
        site.close()


def all_words(*words: str) -> Node:
    """All of them, in whichever field."""
    operator = word_search(analyse, IN_TEXTS)
    return All(
        tuple(
            AnyOf(tuple(Condition(field(name), operator, tuple(analyse(word))) for name in FIELDS))
            for word in words
        )
    )


def ranked(*words: str) -> Query:
    """The first entries with all words."""
    sought = Sought(
        tuple(stem for word in words for stem in analyse(word)),
        tuple(word_place(field(name), IN_TEXTS) for name in FIELDS),
    )
    return Query(Scope("c"), all_words(*words), limit=20, relevance=Relevance((sought,)))


def steps(act: Callable[[], Any]) -> int:
    """How many instructions the interpreter carries out."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def test_ranking_as_many_of_more_entries_takes_little_more(sites: list[Site]) -> None:
    query = ranked("film", "noir")
    taken = []
    for site in sites:
        assert site.index.search(query).total == MATCHES
        taken.append(steps(lambda site=site: site.index.search(query)))
    assert taken[1] < 1.2 * taken[0]


def test_ranking_more_matches_takes_little_more(tmp_path: Path) -> None:
    query = ranked("film")
    taken = []
    for size in SIZES:
        site = Site(tmp_path / str(size))
        texts = ["film " * (1 + number % 7 // 5) + "x" * (number % 211) for number in range(size)]
        site.commit(*(Put(f"c/e{number:04d}", {"t": text}) for number, text in enumerate(texts)))
        site.catch_up()
        assert site.index.search(query).total == size
        taken.append(steps(lambda site=site: site.index.search(query)))
        site.close()
    assert taken[1] < 1.2 * taken[0]


def test_a_page_of_as_many_of_more_entries_takes_little_more(sites: list[Site]) -> None:
    query = Query(Scope("c"), contains("noir"), limit=20, total=False)
    taken = []
    for site in sites:
        assert len(site.index.search(query).entries) == 20
        taken.append(steps(lambda site=site: site.index.search(query)))
    assert taken[1] < 2 * taken[0]


def test_words_of_many_entries_do_not_drive_each_other_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "_MOST_ANSWERS", 0)
    words = [f"word{letter}" for letter in "abcdefgh"]
    texts = [
        " ".join(word for at, word in enumerate(words) if (at + number) % 3 == 0) for number in range(120)
    ]
    site.commit(*(Put(f"c/e{number}", {"t": text}) for number, text in enumerate(texts)))
    site.catch_up()
    totals = [site.index.search(ranked(word)).total for word in words]
    assert totals == [40] * 8

    def never(segment: Segment, term: str) -> Any:
        raise AssertionError(term)

    monkeypatch.setattr(Segment, "posting", never)
    assert [site.index.search(ranked(word)).total for word in words] == totals


def test_a_word_is_read_once_for_finding_and_ranking(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.commit(*(Put(f"c/e{number}", {"t": "film " * (1 + number % 3)}) for number in range(120)))
    site.catch_up()
    read: list[str] = []
    posting = Segment.posting

    def reading(segment: Segment, term: str) -> Any:
        read.append(term)
        return posting(segment, term)

    monkeypatch.setattr(Segment, "posting", reading)
    found = site.index.search(ranked("film"))
    assert [entry.fields["t"].count("film") for entry in found.entries] == [3] * 20
    assert read.count("film\x1ft") == 1


def test_what_is_remembered_anew_does_not_drive_others_out() -> None:
    answers: view_module._Answers[list[str]] = view_module._Answers()
    others = ["other"] * (view_module._MOST_ANSWERS // 2)
    answers.keep("others", others)
    for _ in range(3):
        answers.keep("again", ["again"] * (view_module._MOST_ANSWERS // 4))
    assert answers.get("others") is others


class Looking(BitMap):
    """A set that counts how often it is asked for one number."""

    looked = 0

    def __contains__(self, num: int) -> bool:
        self.looked += 1
        return super().__contains__(num)


def test_a_page_of_few_among_many_does_not_look_at_each() -> None:
    entries = [Entry(f"c/{number:05d}", b"{}", form="file", mtime_ns=1, size=1) for number in range(20_000)]
    for number, entry in enumerate(entries):
        entry.num = number * 7 % 20_000
    collection = Collection(threading.RLock(), entries)
    ordering = Ordering(collection, ())
    collection.build(ordering.keys)
    wanted = Looking([entry.num for entry in entries[::40]])
    assert ordering.page(wanted, 0, 30) == entries[: 30 * 40 : 40]
    assert wanted.looked < 200
