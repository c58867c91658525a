"""When writing words fails: nothing stays locked, and the index gets complete without a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually, write
from test_words_writing import documents, writer_of

from flatdata.index import words_writer as writer_module
from flatdata.index.errors import BrokenWords
from flatdata.index.keeper import Keeper
from flatdata.index.whoosh_adapter import WhooshWriter
from flatdata.store.entry import Entry

FILMS = [f"films/f{number}" for number in range(60)]


@pytest.fixture
def keeper(site_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    monkeypatch.setattr(writer_module, "_COMMIT_SECONDS", 0.002)
    for slug in FILMS:
        write(site_dir, f"{slug}.yaml", f"title: Film {slug}\n")
    keeper = Keeper(site_dir)
    keeper.prepare(watch=False)
    yield keeper
    keeper.close()


class Failing:
    """Stands for a function, and raises once, at the n-th call."""

    def __init__(self, real: Any, at: int, error: type[Exception]) -> None:
        self.real, self.error = real, error
        self.left = at
        self.failed = False

    def __call__(self, *args: Any) -> Any:
        self.left -= 1
        if not self.left:
            self.failed = True
            raise self.error
        return self.real(*args)


def change(keeper: Keeper, site_dir: Path) -> None:
    for slug in FILMS[:5]:
        write(site_dir, f"{slug}.yaml", "title: Another film\n")
    (site_dir / "content" / f"{FILMS[-1]}.yaml").unlink()
    assert keeper.compare() == 6


FAILURES = [
    ("add", BrokenWords),
    ("terms_of", ValueError),
    ("terms_of", RecursionError),
    ("remove", BrokenWords),
    ("commit", BrokenWords),
]
each_failure = pytest.mark.parametrize(("what", "error"), FAILURES)


def fail(patch: pytest.MonkeyPatch, what: str, at: int, error: type[Exception]) -> Failing:
    """Have `what` fail once: a method of the writer, or the function that looks at entries."""
    if what == "terms_of":
        failing = Failing(writer_module.terms_of, at, error)
        patch.setattr(writer_module, "terms_of", failing)
        return failing
    failing = Failing(getattr(WhooshWriter, what), at, error)

    def call(self: WhooshWriter, *args: Any) -> Any:
        return failing(self, *args)

    patch.setattr(WhooshWriter, what, call)
    return failing


@each_failure
def test_a_failed_commit_leaves_no_lock_and_the_index_as_it_was(
    keeper: Keeper, site_dir: Path, what: str, error: type[Exception]
) -> None:
    words = writer_of(keeper)
    index = words._create()
    assert index is not None
    change(keeper, site_dir)
    with pytest.MonkeyPatch.context() as patch:
        fail(patch, what, 1, error)
        with pytest.raises(error):
            words._catch_up(index)
    assert documents(keeper) == sorted(FILMS)
    words._catch_up(index)
    index.close()
    assert documents(keeper) == sorted(FILMS[:-1])


@each_failure
def test_the_index_gets_complete_after_a_commit_that_failed(
    keeper: Keeper, site_dir: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: type[Exception]
) -> None:
    words = writer_of(keeper)
    words.start()
    eventually(lambda: words.committed()[1] == len(FILMS))
    failing = fail(monkeypatch, what, 1, error)
    change(keeper, site_dir)
    eventually(lambda: words.committed()[0] == keeper.store.state.seq)
    words.stop()
    assert failing.failed
    assert documents(keeper) == sorted(FILMS[:-1])


@pytest.mark.parametrize(
    ("what", "at"), [("add", 1), ("add", len(FILMS)), ("terms_of", 7), ("commit", 1)], ids=str
)
def test_an_index_that_could_not_be_made_is_made_at_the_next_try(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, what: str, at: int
) -> None:
    failing = fail(monkeypatch, what, at, BrokenWords)
    words = writer_of(keeper)
    words.start()
    eventually(lambda: words.committed()[1] == len(FILMS))
    words.stop()
    assert failing.failed
    assert documents(keeper) == sorted(FILMS)


def test_making_the_index_anew_leaves_no_lock_when_it_is_stopped(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = writer_of(keeper)
    cancelled: list[WhooshWriter] = []
    cancel = WhooshWriter.cancel

    def terms(entry: Entry) -> Mapping[str, int]:
        words._stop.set()
        return {entry.slug: 1}

    def note(self: WhooshWriter) -> None:
        cancelled.append(self)
        cancel(self)

    monkeypatch.setattr(writer_module, "_AT_ONCE", 1)
    monkeypatch.setattr(writer_module, "terms_of", terms)
    monkeypatch.setattr(WhooshWriter, "cancel", note)
    assert words._create() is None
    assert len(cancelled) == 1
    assert not words._folder.exists()
