"""How the keeper writes words: behind everything else, and without leaving old documents."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import eventually, write

from flatdata.index import words_writer as writer_module
from flatdata.index.committed import CommittedFile
from flatdata.index.keeper import Keeper
from flatdata.index.whoosh_adapter import WhooshIndex, WhooshWriter
from flatdata.index.words_writer import WordsWriter
from flatdata.store.changes import Change, Delete, Move, Put


@pytest.fixture
def keeper(site_dir: Path) -> Keeper:
    for number in range(300):
        write(site_dir, f"films/f{number}.yaml", f"title: Film {number}\n")
    keeper = Keeper(site_dir)
    keeper.prepare(watch=False)
    return keeper


def writer_of(keeper: Keeper) -> WordsWriter:
    return WordsWriter(keeper.store.state_dir / "index" / "words", keeper.store)


def documents(keeper: Keeper) -> list[str]:
    """The slugs of the documents in the index that are not deleted."""
    index = WhooshIndex.open(keeper.store.state_dir / "index" / "words")
    _, segments = index.segments()
    found = [
        slug
        for segment in segments
        for number, slug in enumerate(segment.slugs())
        if number not in segment.deleted
    ]
    for segment in segments:
        segment.close()
    index.close()
    return sorted(found)


@pytest.mark.parametrize("changed", [3, 200])
def test_few_or_many_changed_entries_have_one_document_each(
    keeper: Keeper, site_dir: Path, changed: int
) -> None:
    words = writer_of(keeper)
    index = words._create()
    assert index is not None
    for number in range(changed):
        write(site_dir, f"films/f{number}.yaml", f"title: Other film {number}\n")
    (site_dir / "content" / "films" / "f299.yaml").unlink()
    assert keeper.compare() == changed + 1
    words._catch_up(index)
    index.close()
    assert documents(keeper) == sorted(f"films/f{number}" for number in range(299))
    keeper.close()


@pytest.mark.parametrize(("gone", "made"), [(140, 310), (160, 150), (300, 10)])
def test_a_segment_of_which_most_is_deleted_is_written_once_more_without_it(
    keeper: Keeper, site_dir: Path, gone: int, made: int
) -> None:
    words = writer_of(keeper)
    index = words._create()
    assert index is not None
    for number in range(gone):
        (site_dir / "content" / "films" / f"f{number}.yaml").unlink()
    for number in range(10):
        write(site_dir, f"others/o{number}.yaml", f"title: Other {number}\n")
    keeper.compare()
    words._catch_up(index)
    _, segments = index.segments()
    assert sum(len(segment.slugs()) for segment in segments) == made
    for segment in segments:
        segment.close()
    index.close()
    films = [f"films/f{number}" for number in range(gone, 300)]
    assert documents(keeper) == sorted([*films, *(f"others/o{number}" for number in range(10))])
    keeper.close()


def test_words_wait_while_edits_are_taken_in(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_GIVE_WAY_SECONDS", 0.2)
    words = writer_of(keeper)
    words.give_way()
    began = time.monotonic()
    words._wait_for_others()
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    words._wait_for_others()
    assert time.monotonic() - began < 0.2
    keeper.close()


def test_words_do_not_wait_for_ever(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_LONGEST_WAIT", 0.1)
    monkeypatch.setattr(writer_module, "_GIVE_WAY_SECONDS", 1_000.0)
    words = writer_of(keeper)
    words.give_way()
    waiting = threading.Thread(target=words._wait_for_others)
    waiting.start()
    waiting.join(30)
    assert not waiting.is_alive()
    keeper.close()


def test_taking_in_edits_comes_before_words(
    keeper: Keeper, site_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = keeper._words = writer_of(keeper)
    keeper.compare()
    assert words._busy_until == 0.0
    write(site_dir, "films/f7.yaml", "title: Other\n")
    assert keeper.compare() == 1
    assert words._busy_until > time.monotonic()
    monkeypatch.setattr(keeper, "_words", None)
    keeper.close()


# --- what changed ---------------------------------------------------------------------------------------


def commit(keeper: Keeper, *changes: Change) -> None:
    keeper.store.commit(lambda view: (list(changes), None), origin="test")


@pytest.mark.parametrize("heard", [True, False], ids=["while it runs", "before it starts"])
def test_what_changed_is_found_once_and_what_was_moved_or_deleted_is_not(keeper: Keeper, heard: bool) -> None:
    words = writer_of(keeper)
    index = words._create()
    assert index is not None
    commit(keeper, Put("films/f0", {"title": "Other"}), Put("films/new", {"title": "New"}))
    commit(keeper, Delete("films/f1"), Put("others/new", {"title": "New"}))
    commit(keeper, Move("films", "movies"))
    commit(keeper, Put("films/f2", {"title": "Another"}), Delete("movies/f3"))
    if not heard:
        index.close()
        words = writer_of(keeper)
        index = words._open()
        assert index is not None
    words._catch_up(index)
    commit(keeper, Put("films/f2", {"title": "Yet another"}))
    words._catch_up(index)
    index.close()
    movies = [f"movies/f{number}" for number in range(300) if number not in (1, 3)]
    assert documents(keeper) == sorted([*movies, "movies/new", "films/f2", "others/new"])
    assert words.committed() == (keeper.store.state.seq, len(keeper.store.state.entries))
    keeper.close()


def test_documents_of_which_no_note_was_left_do_not_stay_beside_newer_ones(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = writer_of(keeper)
    index = words._create()
    assert index is not None
    commit(keeper, Put("films/new", {"title": "New"}))

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(CommittedFile, "write", fail)
        with pytest.raises(OSError, match="space"):
            words._catch_up(index)
    index.close()
    words = writer_of(keeper)
    index = words._open()
    assert index is not None
    words._catch_up(index)
    index.close()
    assert documents(keeper) == sorted([*(f"films/f{number}" for number in range(300)), "films/new"])
    keeper.close()


def test_documents_are_looked_for_only_of_entries_that_were_there(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[str] = []
    remove = WhooshWriter.remove

    def note(self: WhooshWriter, slugs: Collection[str]) -> None:
        looked_for.extend(slugs)
        remove(self, slugs)

    monkeypatch.setattr(WhooshWriter, "remove", note)
    words = writer_of(keeper)
    index = words._create()
    assert index is not None
    commit(keeper, Put("films/new", {"title": "New"}))
    commit(keeper, Put("films/new", {"title": "Newer"}), Put("films/f7", {"title": "Other"}))
    words._catch_up(index)
    index.close()
    assert looked_for == ["films/f7"]
    assert len(documents(keeper)) == 301
    keeper.close()


def test_what_changed_before_the_index_was_made_has_one_document(keeper: Keeper) -> None:
    words = writer_of(keeper)
    commit(keeper, Put("films/new", {"title": "New"}))
    index = words._create()
    assert index is not None
    commit(keeper, Put("films/new", {"title": "Newer"}))
    words._catch_up(index)
    index.close()
    assert documents(keeper) == sorted([*(f"films/f{number}" for number in range(300)), "films/new"])
    keeper.close()


def test_the_index_is_made_again_when_other_entries_were_loaded(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_COMMIT_SECONDS", 0.002)
    words = writer_of(keeper)
    words.start()
    eventually(lambda: words.committed()[1] == 300)
    store = keeper.store
    store.load(store.children("films")[:10], store.position, store.state.seq, 0)
    eventually(lambda: words.committed()[1] == 10)
    words.stop()
    assert len(documents(keeper)) == 10
    keeper.close()


# --- when -----------------------------------------------------------------------------------------------


class Stream:
    """A clock that goes on only by what is worked and waited, for 100 seconds of changes without an end.

    It stands for the event by which words are stopped, and for the clocks of their thread.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.worked = self.rested = 0.0
        self.changes = 0

    def work(self, seconds: float) -> None:
        self.worked += seconds

    def wait(self, seconds: float) -> bool:
        self.rested += seconds
        self.changes += 1
        commit(self._keeper, Put(f"films/new{self.changes}", {}))
        return self.is_set()

    def is_set(self) -> bool:
        return self.worked + self.rested > 100

    def clocks(self) -> SimpleNamespace:
        return SimpleNamespace(monotonic=lambda: self.worked + self.rested, thread_time=lambda: self.worked)


@pytest.mark.parametrize(
    ("seconds", "most", "least"), [(0.01, 0.02, 0.0), (1.0, 0.26, 0.2), (20.0, 0.85, 0.7)]
)
def test_of_a_stream_of_changes_words_take_a_quarter_of_the_time_until_they_would_get_far_behind(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, seconds: float, most: float, least: float
) -> None:
    words = writer_of(keeper)
    index = words._create()
    assert index is not None
    index.close()
    stream = Stream(keeper)
    catch_up = WordsWriter._catch_up

    def take(self: WordsWriter, index: WhooshIndex) -> None:
        catch_up(self, index)
        stream.work(seconds)

    monkeypatch.setattr(WordsWriter, "_catch_up", take)
    monkeypatch.setattr(writer_module, "time", stream.clocks())
    monkeypatch.setattr(words, "_stop", stream)
    commit(keeper, Put("films/new", {}))
    words._keep_up()
    assert least <= stream.worked / (stream.worked + stream.rested) <= most
    keeper.close()
