"""The word index through one thing at a time: changes, restarts, damage, and files left open."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import eventually
from words_site import Site, contains, has_words

from flatdata.index import words_view as view_module
from flatdata.index.terms import terms_of
from flatdata.query.tree import AnyOf
from flatdata.store.changes import Delete, Put
from flatdata.store.entry import Entry, encode_json

pytestmark = pytest.mark.usefixtures("index_at_once")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


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


def test_the_index_decides_without_looking_at_entries(site: Site, asked: list[Entry]) -> None:
    site.commit(*(Put(f"c/e{number}", {"t": "noir" if number == 7 else "film"}) for number in range(60)))
    site.catch_up()
    assert site.find(has_words("noir")) == ["c/e7"]
    assert asked == []
    assert site.find(contains("oi")) == ["c/e7"]
    assert {entry.slug for entry in asked} == {f"c/e{number}" for number in range(60)}
    assert len(asked) == 60
    asked.clear()
    assert site.find(contains("oir")) == ["c/e7"]
    assert [entry.slug for entry in asked] == ["c/e7"]


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
