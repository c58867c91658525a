"""What the keeper makes of hints that only repeat what the log told: nothing, and it misses nothing."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually, write

from flatdata.index import keeper as keeper_module
from flatdata.index.comparing import Comparison
from flatdata.index.keeper import Keeper
from flatdata.index.status import KeeperStatus, StatusFile
from flatdata.store.changes import Change, Delete, Put
from flatdata.store.paths import FILE, MANIFEST
from flatdata.store.store import Store


@pytest.fixture
def worker(site_dir: Path) -> Iterator[Store]:
    """The store of a process that writes; it knows the content."""
    for number in range(5):
        write(site_dir, f"films/f{number}.yaml", f"n: {number}\n")
    store = Store(site_dir)
    store.load_files()
    yield store
    store.close()


@pytest.fixture
def keeper(site_dir: Path, worker: Store) -> Iterator[Keeper]:
    keeper = Keeper(site_dir, compare_seconds=1e9)
    keeper.prepare()
    yield keeper
    keeper.close()


def commit(store: Store, *changes: Change) -> None:
    store.commit(lambda view: (list(changes), None), origin="test")


def have_hint(keeper: Keeper, path: str) -> None:
    """Wait until something below the content was hinted at."""
    watcher = keeper._watcher
    assert watcher is not None
    kept = []

    def is_there() -> bool:
        while not watcher.hints.empty():
            kept.append(watcher.hints.get())
        return str(keeper.store.tree.root / path) in [hint for hint, _ in kept]

    assert eventually(is_there)
    for hint in kept:
        watcher.hints.put(hint)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was compared or taken in, as it happens."""
    seen: list[str] = []
    compare, take_in = Comparison.compare, Comparison.take_in

    def note_compare(self: Comparison, slug: str = "") -> int:
        seen.append(slug)
        return compare(self, slug)

    def note_take_in(self: Comparison, slugs: Any) -> int:
        listed = list(slugs)
        seen.extend(listed)
        return take_in(self, listed)

    monkeypatch.setattr(Comparison, "compare", note_compare)
    monkeypatch.setattr(Comparison, "take_in", note_take_in)
    return seen


def test_files_that_are_as_the_log_says_are_not_compared(
    keeper: Keeper, worker: Store, compared: list[str]
) -> None:
    commit(worker, Put("films/new", {"n": 7}), Put("films/row", {"n": 8}, form=FILE))
    have_hint(keeper, "films/row.yaml")
    keeper._step()
    commit(worker, Put("films/new", {"n": 9}))
    have_hint(keeper, "films/new/entry.yaml")
    keeper._step()
    commit(worker, Delete("films/new"), Delete("films/row"))
    have_hint(keeper, "films/row.yaml")
    keeper._step()
    assert compared == []
    assert sorted(keeper.store.state.entries) == [f"films/f{number}" for number in range(5)]


def test_an_entry_that_was_created_is_followed_when_it_is_edited_by_hand(
    site_dir: Path, keeper: Keeper, worker: Store
) -> None:
    commit(worker, Put("films/new", {"n": 7}))
    have_hint(keeper, "films/new")
    keeper._step()
    write(site_dir, "films/new/entry.yaml", "n: 70\n")
    have_hint(keeper, "films/new/entry.yaml")
    keeper._step()
    entry = keeper.store.get("films/new")
    assert entry is not None
    assert entry.fields == {"n": 70}


def edited(root: Path) -> None:
    write(root, "films/new/entry.yaml", "n: 70\n")


def replaced_by_one_of_the_same_size_and_date(root: Path) -> None:
    target = root / "content" / "films" / "new" / "entry.yaml"
    other = root / "other.yaml"
    other.write_text(target.read_text().replace("7", "8"))
    shutil.copystat(target, other)
    os.replace(other, target)


def with_a_neighbour(root: Path) -> None:
    write(root, "films/new/child.yaml", "n: 70\n")


def with_a_folder(root: Path) -> None:
    write(root, "films/new/child/entry.yaml", "n: 70\n")


def with_a_manifest(root: Path) -> None:
    write(root, "films/new/manifest.yaml", "id: 5\nname: New\n")


def with_another_form(root: Path) -> None:
    write(root, "films/new/entry.md", "n: 70\n")


def with_a_file_of_the_same_name(root: Path) -> None:
    write(root, "films/new.yaml", "n: 70\n")


def as_a_link(root: Path) -> None:
    folder = root / "content" / "films" / "new"
    folder.rename(root / "elsewhere")
    folder.symlink_to(root / "elsewhere")


def below_a_link(root: Path) -> None:
    folder = root / "content" / "films"
    folder.rename(root / "elsewhere")
    folder.symlink_to(root / "elsewhere")


def deleted(root: Path) -> None:
    shutil.rmtree(root / "content" / "films" / "new")


def broken(root: Path) -> None:
    write(root, "films/new/entry.yaml", "n: [\n")


EDITS = [
    edited,
    replaced_by_one_of_the_same_size_and_date,
    with_a_neighbour,
    with_a_folder,
    with_a_manifest,
    with_another_form,
    with_a_file_of_the_same_name,
    as_a_link,
    below_a_link,
    deleted,
    broken,
]


@pytest.mark.parametrize("looked", [True, False], ids=["after a look", "before any look"])
@pytest.mark.parametrize("edit", EDITS)
def test_of_an_edit_right_after_a_commit_all_is_found_that_comparing_everything_finds(
    site_dir: Path, keeper: Keeper, worker: Store, edit: Callable[[Path], None], looked: bool
) -> None:
    commit(worker, Put("films/new", {"n": 7}))
    have_hint(keeper, "films/new")
    if looked:
        keeper._step()
    edit(site_dir)
    write(site_dir, "last.yaml", "n: 1\n")
    have_hint(keeper, "last.yaml")
    keeper._step()
    while keeper._files.odd:
        keeper._clock._done["compare"] = -1e9
        keeper._step()
    known = dict(keeper.store.state.entries)
    problems = keeper._files.problems()
    assert "last" in known
    assert keeper.compare() == 0
    assert keeper.store.state.entries == known
    assert keeper._files.problems() == problems


def test_a_file_that_was_deleted_right_after_its_commit_is_gone(
    site_dir: Path, keeper: Keeper, worker: Store
) -> None:
    commit(worker, Put("films/new", {"n": 7}), Put("films/new/child", {"n": 8}, form=FILE))
    (site_dir / "content" / "films" / "new" / "child.yaml").unlink()
    have_hint(keeper, "films/new")
    keeper._step()
    assert keeper.store.exists("films/new")
    assert not keeper.store.exists("films/new/child")


@pytest.mark.parametrize("hinted", ["films/new", "films/new/entry.yaml"])
@pytest.mark.parametrize("noticed", [True, False])
def test_a_file_that_stood_behind_one_that_was_deleted_is_found(
    site_dir: Path, keeper: Keeper, worker: Store, noticed: bool, hinted: str
) -> None:
    commit(worker, Put("films/new", {"n": 70}, form=FILE))
    write(site_dir, "films/new/entry.yaml", "n: 7\n")
    if noticed:
        keeper.compare()
        assert [problem.path for problem in keeper._files.problems()] == ["content/films/new.yaml"]
    commit(worker, Delete("films/new"))
    keeper.store.follow()
    keeper._follow_hints([(str(site_dir / "content" / hinted), hinted == "films/new")])
    entry = keeper.store.get("films/new")
    assert entry is not None
    assert entry.form == FILE


def test_what_was_reported_is_looked_at_again(site_dir: Path, keeper: Keeper, worker: Store) -> None:
    (site_dir / "content" / "films" / "new.yaml").symlink_to("nothing")
    keeper.compare()
    assert len(keeper._files.problems()) == 1
    (site_dir / "content" / "films" / "new.yaml").unlink()
    commit(worker, Put("films/new", {}, form=FILE))
    have_hint(keeper, "films/new.yaml")

    def is_well() -> bool:
        keeper._step()
        return keeper._files.problems() == []

    assert eventually(is_well)


def test_the_status_is_written_now_and_then_and_is_right_in_the_end(
    site_dir: Path, keeper: Keeper, worker: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write_status = StatusFile.write

    def note(self: StatusFile, status: KeeperStatus) -> None:
        written.append(status.entries)
        write_status(self, status)

    monkeypatch.setattr(StatusFile, "write", note)
    monkeypatch.setattr(keeper_module, "_STATUS_SECONDS", 1e9)
    for number in range(3):
        commit(worker, Put(f"films/n{number}", {}), Put(f"s{number}/manifest", {"id": number}, form=MANIFEST))
        have_hint(keeper, f"films/n{number}")
        keeper._step()
    assert written == []
    monkeypatch.setattr(keeper_module, "_STATUS_SECONDS", 0.0)
    keeper._step()
    status = StatusFile(keeper.store.state_dir).read()
    assert (status.entries, status.sources) == (8, 3)
    keeper._step()
    assert written == [8]


def test_a_keeper_that_runs_tells_of_a_commit_without_a_further_change(
    site_dir: Path, keeper: Keeper, worker: Store
) -> None:
    stop = threading.Event()
    running = threading.Thread(target=keeper.run, args=(stop,))
    running.start()
    try:
        for number in range(20):
            commit(worker, Put(f"films/n{number}", {}))
        assert eventually(lambda: StatusFile(keeper.store.state_dir).read().entries == 25)
    finally:
        stop.set()
        running.join()
