"""The word index against the evaluator: through changes, commits, moves, deletions, restarts and damage."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flatdata.dialects.fliplet.fields import data_field
from flatdata.index import index as index_module
from flatdata.index import words_view as view_module
from flatdata.index.index import Index
from flatdata.index.keeper import Keeper
from flatdata.index.terms import analyse, has_own_path, terms_of
from flatdata.index.words_writer import WordsWriter
from flatdata.query import php
from flatdata.query.bubble_words import IN_TEXT, IN_TEXTS, word_search
from flatdata.query.evaluate import matches
from flatdata.query.sift import parse_where
from flatdata.query.tree import ABSENT, AnyOf, Condition, Field, Node, Not, Query, Scope
from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.codec import dump_entry
from flatdata.store.entry import Entry, encode_json
from flatdata.store.errors import EntryExists, EntryMissing
from flatdata.store.store import Store

COLLECTIONS = ("c", "d")
FIELDS = ("t", "u", "k\nl", "m\x1fn", "2024")


@pytest.fixture(autouse=True)
def _at_once(words_at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is used for the smallest collection, and kept up to date without pauses."""
    monkeypatch.setattr(index_module, "SMALL", 0)


class Site:
    """A keeper with its words, and a process that serves: each with a memory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.open()

    def open(self) -> None:
        self.keeper = Keeper(self.root)
        self.keeper.prepare(watch=False)
        self.writer = WordsWriter(self.keeper.store.state_dir / "index" / "words", self.keeper.store)
        self.writer.start()
        self.open_reader()

    def open_reader(self) -> None:
        self.store = Store(self.root)
        assert self.store.load_catalogue() is not None
        self.index = Index(self.store.state, self.store.state_dir)

    def close_reader(self) -> None:
        self.index.close()
        self.store.close()

    def close(self) -> None:
        self.close_reader()
        self.writer.stop()
        self.keeper.close()

    def commit(self, *changes: Change) -> None:
        self.store.commit(lambda view: (list(changes), None), origin="test")

    def catch_up(self) -> None:
        """Wait until all words are in the index, and the reader has them."""
        self.keeper.store.follow()
        self.store.follow()
        eventually(lambda: self.writer.committed()[0] == self.store.state.seq and self.is_current())

    def is_current(self) -> bool:
        words = self.index._words
        words.refresh()
        return words._view is not None and not words._dirty

    def find(self, where: Node, collection: str = "c") -> list[str]:
        return [entry.slug for entry in self.index.search(Query(Scope(collection), where)).entries]

    def check(self, *queries: Node) -> None:
        self.store.follow()
        for collection in COLLECTIONS:
            children = self.store.children(collection)
            for where in queries:
                assert self.find(where, collection) == [
                    entry.slug for entry in children if matches(where, entry)
                ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def field(name: str) -> Field:
    return Field("data", name, lambda entry: entry.fields.get(name, ABSENT))


def contains(needle: str, name: str = "t") -> Node:
    return Condition(field(name), php.DOCUMENTED["contains"], needle)


def has_words(text: str, name: str = "t", many: bool = False) -> Node:
    return Condition(
        field(name),
        word_search(analyse, IN_TEXTS if many else IN_TEXT, exact=has_own_path(name)),
        tuple(analyse(text)),
    )


# --- everything at random -------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    [
        *(
            "film noir",
            "Noir-Film",
            "the films",
            "xnoirx",
            "ÉTÉ été",
            "straße",
            "STRASSE",
            "a b",
            "",
            " ",
            "a",
        ),
        *(
            "x" * 63,
            "x" * 64,
            "x" * 65 + " noir",
            "run running runs",
            "日本語 テキスト",
            "İstanbul",
            "ΟΔΟΣ οδος",
        ),
        *("noir_film", "film.noir", "line\nend", "tab\tend", "sep\x1ft", "10 films", "e\u0301te\u0301"),
    ]
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    TEXTS,
    st.lists(TEXTS | st.integers(0, 20), max_size=3),
    st.dictionaries(st.sampled_from(["z", "0", "t"]), TEXTS, max_size=2),
    st.integers(0, 20),
    st.none(),
)
RECORDS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3)
NEEDLES = st.one_of(
    st.sampled_from(
        ["noir", "film", "oir", "m n", "-", "été", "te", "ss", "ß", "x" * 20, "x" * 65, "d\ne", "ΟΣ", "σ"]
    ),
    TEXTS,
    st.text(alphabet="film nor10", min_size=1, max_size=4),
)
STORED = st.sampled_from(FIELDS)
QUERIES: st.SearchStrategy[Node] = st.one_of(
    st.builds(contains, NEEDLES, STORED),
    st.builds(lambda needle, name: Not(contains(needle, name)), NEEDLES, STORED),
    st.builds(
        lambda needle, name: Condition(field(name), php.DOCUMENTED["ends_with"], needle), NEEDLES, STORED
    ),
    st.builds(has_words, NEEDLES, STORED, st.booleans()),
    st.builds(lambda needle, name: Not(has_words(needle, name)), NEEDLES, STORED),
    st.builds(
        lambda needle, path, operator: parse_where({path: {operator: needle}}, data_field),
        NEEDLES,
        st.sampled_from([*FIELDS, "t.z", "t.0", "u.length"]),
        st.sampled_from(["$like", "$iLike"]),
    ),
)
SLUGS = st.builds(
    lambda folder, number: f"{folder}/e{number}", st.sampled_from(COLLECTIONS), st.integers(0, 4)
)
TREES = st.sampled_from([*COLLECTIONS, "away"])
STEPS = st.one_of(
    st.builds(Put, SLUGS, RECORDS),
    st.builds(Put, SLUGS, RECORDS),
    st.builds(Delete, SLUGS),
    st.builds(Move, SLUGS | TREES, SLUGS | TREES),
    st.builds(Copy, SLUGS | TREES, SLUGS | TREES),
    st.builds(DeleteTree, TREES),
    st.tuples(st.just("edit"), SLUGS, RECORDS),
    st.sampled_from(["catch up", "catch up", "restart", "restart the reader", "idle reader"]),
)


def take(site: Site, step: Any) -> None:
    if step == "catch up":
        site.catch_up()
    elif step == "restart":
        site.close()
        site.open()
    elif step == "restart the reader":
        site.close_reader()
        site.open_reader()
    elif step == "idle reader":
        # It looks at the words without having followed what they are about.
        for number in range(2):
            site.keeper.store.commit(
                lambda view, n=number: ([Put(f"c/idle{n}", {"t": "noir"})], None), origin="x"
            )  # type: ignore[misc]
            eventually(lambda: site.writer.committed()[0] == site.keeper.store.state.seq)
            site.index.search(Query(Scope("c"), contains("noir")))
    elif isinstance(step, tuple):
        path = Path(site.store.tree.file(step[1], "entry.yaml"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dump_entry(step[2], "entry.yaml"))
        site.keeper.compare()
    else:
        try:
            site.commit(step)
        except (EntryExists, EntryMissing):
            return


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(RECORDS, max_size=8), st.lists(STEPS, max_size=10), st.lists(QUERIES, min_size=3, max_size=6))
@example([{"k\nl": "film noir"}], ["catch up"], [contains("noir", "k\nl")])
@example([{"t": "film", "2024": {"t": "noir"}}], ["catch up"], [has_words("noir"), Not(has_words("noir"))])
@example([], ["idle reader", Put("c/e0", {"t": "x"}), "catch up"], [contains("noir")])
def test_the_word_index_finds_what_the_evaluator_finds(
    records: list[dict[str, Any]], steps: list[Any], queries: list[Node]
) -> None:
    site = Site(Path(tempfile.mkdtemp()))
    try:
        if records:
            site.commit(*(Put(f"{COLLECTIONS[n % 2]}/e{n // 2}", fields) for n, fields in enumerate(records)))
        for step in [*steps, "catch up"]:
            site.check(*queries)
            take(site, step)
            site.check(*queries)
    finally:
        site.close()
        shutil.rmtree(site.root)


# --- one thing at a time -----------------------------------------------------------------------------------


def test_an_entry_that_a_reader_saw_in_the_words_before_it_followed_is_found_later(site: Site) -> None:
    site.commit(Put("c/first", {"t": "noir"}))
    site.catch_up()
    site.keeper.store.commit(lambda view: ([Put("c/second", {"t": "noir"})], None), origin="test")
    eventually(lambda: site.writer.committed()[0] == 2)
    assert site.find(contains("noir")) == ["c/first"]
    site.store.follow()
    assert site.find(contains("noir")) == ["c/first", "c/second"]
    site.commit(Put("c/third", {"t": "other"}))
    site.catch_up()
    assert site.find(contains("noir")) == ["c/first", "c/second"]


def test_words_are_found_before_and_after_they_are_committed(site: Site) -> None:
    for slug in ("c/a", "c/b"):
        site.commit(Put(slug, {"t": f"story of {slug}"}))
        assert site.find(has_words("stories")) == ["c/a", "c/b"][: len(site.store.children("c"))]
    site.catch_up()
    assert site.find(has_words("stories")) == ["c/a", "c/b"]
    site.commit(Delete("c/a"))
    assert site.find(has_words("stories")) == ["c/b"]
    site.catch_up()
    assert site.find(has_words("stories")) == ["c/b"]


def test_the_index_decides_without_looking_at_entries(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.commit(*(Put(f"c/e{number}", {"t": "noir" if number == 7 else "film"}) for number in range(60)))
    site.catch_up()
    looked: list[Entry] = []

    def look(node: Node, entry: Entry) -> bool:
        looked.append(entry)
        return matches(node, entry)

    monkeypatch.setattr(index_module, "matches", look)
    assert site.find(has_words("noir")) == ["c/e7"]
    assert looked == []
    assert site.find(contains("oi")) == ["c/e7"]
    assert [entry.slug for entry in looked] == [f"c/e{number}" for number in range(60)] or len(looked) == 60
    looked.clear()
    assert site.find(contains("oir")) == ["c/e7"]
    assert [entry.slug for entry in looked] == ["c/e7"]


def words_folder(site: Site) -> Path:
    return site.root / ".flatdata" / "index" / "words"


def truncated(folder: Path) -> None:
    for path in folder.glob("*.seg"):
        os.truncate(path, path.stat().st_size // 2)


def garbled(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(os.urandom(path.stat().st_size))


def without_segments(folder: Path) -> None:
    for path in folder.glob("*.seg"):
        path.unlink()


def without_contents(folder: Path) -> None:
    for path in folder.glob("*.toc"):
        path.unlink()


def without_mark(folder: Path) -> None:
    (folder / "committed.json").unlink()


def with_another_mark(folder: Path) -> None:
    mark = folder / "committed.json"
    mark.write_text(mark.read_text().replace('"version":', '"version":9'))


@pytest.fixture
def _closed() -> Iterator[None]:
    """Whoosh leaves files of damaged indexes to the garbage collection."""
    yield
    gc.collect()


whoosh_leaves_files_open = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def gone(folder: Path) -> None:
    # The keeper may be removing what is damaged at the same time.
    shutil.rmtree(folder, ignore_errors=True)


DAMAGES = [
    truncated,
    garbled,
    without_segments,
    without_contents,
    without_mark,
    with_another_mark,
    gone,
]


@whoosh_leaves_files_open
@pytest.mark.usefixtures("_closed")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_word_index_is_made_again_at_the_next_start(
    damage: Callable[[Path], None], site: Site
) -> None:
    site.commit(*(Put(f"c/e{number}", {"t": "noir" if number % 2 else "film"}) for number in range(20)))
    site.catch_up()
    site.close()
    damage(words_folder(site))
    site.open()
    expected = [f"c/e{number}" for number in sorted(range(1, 20, 2), key=str)]
    assert site.find(contains("noir")) == sorted(expected)
    eventually(lambda: site.find(contains("noir")) == sorted(expected) and site.is_current())
    assert site.find(has_words("noir")) == sorted(expected)


@whoosh_leaves_files_open
@pytest.mark.usefixtures("_closed")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_word_index_damaged_while_it_is_in_use_gives_no_wrong_answers(
    damage: Callable[[Path], None], site: Site
) -> None:
    site.commit(*(Put(f"c/e{number}", {"t": "noir" if number % 2 else "film"}) for number in range(20)))
    site.catch_up()
    site.close_reader()
    damage(words_folder(site))
    site.open_reader()
    expected = sorted(f"c/e{number}" for number in range(1, 20, 2))
    assert site.find(contains("noir")) == expected
    site.commit(Put("c/more", {"t": "noir"}))
    assert site.find(contains("noir")) == [*expected, "c/more"]
    site.commit(Put("c/less", {"t": "film"}))
    site.catch_up()
    assert site.find(contains("noir")) == [*expected, "c/more"]
    assert site.find(has_words("noir")) == [*expected, "c/more"]


def test_words_of_another_log_are_not_believed(site: Site) -> None:
    site.commit(*(Put(f"c/e{number}", {"t": "film"}) for number in range(5)))
    site.catch_up()
    site.close()
    shutil.rmtree(site.root / ".flatdata" / "log")
    for number in range(5):
        Path(site.store.tree.file(f"c/e{number}", "entry.yaml")).write_text("t: noir\n")
    site.open()
    for number in range(3):
        site.commit(Put("c/other", {"t": str(number)}))
    assert len(site.find(contains("noir"))) == 5
    site.catch_up()
    assert len(site.find(contains("noir"))) == 5
    assert site.find(contains("film")) == []


def test_words_of_files_edited_while_the_catalogue_was_lost_are_found(site: Site) -> None:
    site.commit(*(Put(f"c/e{number}", {"t": "film"}) for number in range(5)))
    site.catch_up()
    site.close()
    (site.root / ".flatdata" / "index" / "catalogue").unlink()
    Path(site.store.tree.file("c/e3", "entry.yaml")).write_text("t: noir\n")
    site.open()
    assert site.find(contains("noir")) == ["c/e3"]
    site.catch_up()
    assert site.find(contains("noir")) == ["c/e3"]
    assert len(site.find(contains("film"))) == 4


def test_what_is_remembered_of_answers_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "_MOST_ANSWERS", 50)
    monkeypatch.setattr(view_module, "_ANSWERS_AN_ENTRY", 1)
    site.commit(*(Put(f"c/e{number}", {"t": f"word{number} noir"}) for number in range(40)))
    site.catch_up()
    for number in range(200):
        assert len(site.find(contains(f"ord{number}"))) == (
            0 if number >= 40 else 11 if 1 <= number <= 3 else 1
        )
        assert len(site.find(has_words("noir"))) == 40
    view = site.index._words._view
    assert view is not None
    for answers in (view.holding, view.postings, view.stems):
        assert len(answers._held) <= 50


def test_a_word_in_one_of_several_fields_is_one_remembered_set(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.commit(*(Put(f"c/e{number}", {"tu"[number % 2]: "noir", "v": "film"}) for number in range(6)))
    site.catch_up()
    somewhere = AnyOf((has_words("noir"), has_words("noir", "u"), has_words("noir", "v")))
    assert len(site.find(somewhere)) == 6
    with monkeypatch.context() as patch:
        # Neither field by field, nor put together once more.
        patch.delattr("flatdata.index.words.Words.with_stems")
        patch.delattr("flatdata.index.words_view.View._posting")
        assert len(site.find(somewhere)) == 6
    site.commit(Put("c/e7", {"v": "noir"}), Put("c/e0", {"t": "film"}))
    assert site.find(somewhere) == ["c/e1", "c/e2", "c/e3", "c/e4", "c/e5", "c/e7"]
    site.commit(Put("c/e8", {"t": "noir"}), Put("c/e9", {"2024": {"t": "noir"}}))
    site.catch_up()
    assert site.find(somewhere) == ["c/e1", "c/e2", "c/e3", "c/e4", "c/e5", "c/e7", "c/e8"]


def test_marks_of_changes_do_not_pile_up_without_an_index(site: Site) -> None:
    site.commit(Put("c/a", {"t": "noir"}))
    site.catch_up()
    site.writer.stop()
    shutil.rmtree(words_folder(site))
    for number in range(50):
        site.commit(Put(f"c/e{number}", {"t": "noir"}))
        assert len(site.find(contains("noir"))) == number + 2
    assert site.index._words._recent is None
    assert len(site.index._words._dirty) == 0


def test_very_long_keys_and_texts_have_words(site: Site) -> None:
    key = "k" * 100_000
    site.commit(Put("c/a", {key: "noir", "t": "film " * 50_000}), Put("c/b", {"t": "x" * 200_000 + " noir"}))
    site.catch_up()
    site.check(contains("noir", key), contains("noir"), has_words("films"), contains("x" * 100))


def test_the_terms_of_an_entry_are_its_words_with_their_places() -> None:
    fields = {"t": "Film noir, film", "l": ["a", {"z": "B"}, 7], "d": {"0": {"y": "c"}}, "k\nl": "d", "n": 1}
    entry = Entry("c/a", encode_json(fields), form="file", mtime_ns=1, size=1)
    assert terms_of(entry) == {
        "film\x1ft": 2,
        "noir\x1ft": 1,
        "a\x1fl": 1,
        "b\x1fl.z": 1,
        "c\x1fd.y": 1,
        "\x02\x1fd.y": 1,
        "d\x1fk l": 1,
        "\x02\x1fk l": 1,
    }
