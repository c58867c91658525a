"""How the keeper writes words: behind everything else, and without leaving old documents."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from conftest import write

from flatdata.index import words_writer as writer_module
from flatdata.index.keeper import Keeper
from flatdata.index.whoosh_adapter import WhooshIndex
from flatdata.index.words_writer import WordsWriter


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
