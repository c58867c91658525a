"""The disk refuses a step of a commit, and the power goes as soon as its record was cut off the log: whatever
of the files had reached the disk by then, nothing of the commit is there. If its record was kept, because the
disk did not let it be undone for good, all of it is.
"""

from __future__ import annotations

import errno
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from store_scenarios import (
    SCENARIOS,
    Crash,
    assert_memory_is_what_files_say,
    commit,
    fill,
    known,
    lose_power,
)
from test_power_loss import Files, Machine

from flatdata.store import disk as disk_module
from flatdata.store import effects as effects_module
from flatdata.store.changes import Change, Delete, DeleteTree, Put
from flatdata.store.errors import StoreUnavailable
from flatdata.store.log import Effect
from flatdata.store.store import Store

COMMITS: dict[str, list[Change]] = SCENARIOS | {
    "deletes": [Delete("tree/b/c"), Delete("rows/1"), Delete("rows/2")],
    "delete a tree and a row": [DeleteTree("tree"), Delete("rows/1")],
    "delete a tree of two parts": [DeleteTree("parts")],
    "another form": [Put("single", {"n": 9}, form="entry.yaml")],
}


def refuse(*args: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def filled(root: Path) -> Store:
    """A store in which everything is on the disk for good."""
    store = fill(root)
    commit(store, Put("parts/below", {"n": 6}))
    commit(store, Put("parts", {"n": 7}, form="file"))
    store.checkpoint()
    return store


def outcome(root: Path, changes: list[Change]) -> dict[str, Any]:
    store = filled(root)
    commit(store, *changes)
    store.close()
    return known(store)


def content(files: Files) -> Files:
    return files.only(lambda path: path.startswith("content"))


class Refusing:
    """A machine whose disk refuses the n-th of the next steps and, unless it `flushes`, each flush after it.

    Its power goes when something was cut off the log. The machine's `states` then has all that the content
    was since the last flush.
    """

    def __init__(
        self, machine: Machine, store: Store, patch: pytest.MonkeyPatch, at: int, *, flushes: bool
    ) -> None:
        self.machine = machine
        self.store = store
        self.at = at
        self.flushes = flushes
        self.calls = 0
        self._truncate = store.log.truncate
        patch.setattr(machine.steps, "step", self.step)
        patch.setattr(disk_module, "flush_file_system", self.flush)
        patch.setattr(store.log, "truncate", self.cut)

    @property
    def reached(self) -> bool:
        return self.calls >= self.at

    def step(self) -> None:
        self.calls += 1
        self.note()
        if self.calls == self.at:
            refuse()

    def flush(self, folder: Path) -> None:
        if self.reached and not self.flushes:
            refuse()
        self.machine.flush(folder)

    def cut(self, position: int) -> None:
        self._truncate(position)
        raise Crash

    def note(self) -> None:
        files = Files.of(self.machine.root)
        if content(files) != content(self.machine.states[-1]):
            self.machine.states.append(files)

    def is_logged(self, changes: list[Change]) -> bool:
        """Commit; whether the record is in the log when the power has gone."""
        try:
            commit(self.store, *changes)
        except (StoreUnavailable, Crash):
            pass
        else:
            return True
        finally:
            self.note()
        return self.store.log.end() > self.store.log.head()


def found_after_power_loss(site: Path, files: Files, root: Path) -> dict[str, Any]:
    """What is found if just these files of a site had reached the disk, and all of its log."""
    shutil.copytree(site / ".flatdata", root / ".flatdata")
    files.write(root)
    lose_power(root)
    store = Store(root)
    store.load_files()
    assert_memory_is_what_files_say(store)
    store.close()
    return known(store)


@pytest.mark.parametrize("flushes", [True, False], ids=["flushes", "refuses to flush"])
@pytest.mark.parametrize("name", COMMITS)
def test_of_a_refused_commit_a_power_loss_leaves_nothing_or_all_if_its_record_was_kept(
    name: str, flushes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = outcome(tmp_path / "model", COMMITS[name])
    for at in range(1, 1_000):
        site = tmp_path / str(at)
        site.mkdir()
        with monkeypatch.context() as patch:
            machine = Machine(site, random.Random(0), patch)
            store = filled(site)
            before = known(store)
            refusing = Refusing(machine, store, patch, at, flushes=flushes)
            expected = after if refusing.is_logged(COMMITS[name]) else before
            store.close()
        for number, files in enumerate(machine.states):
            found = found_after_power_loss(site, files, tmp_path / f"{at}-{number}")
            assert found == expected, f"step {at}, state {number}"
        if not refusing.reached:
            break
    assert at > 5


@pytest.mark.parametrize("name", ["rows", "delete a tree", "move", "copy"])
def test_what_could_not_be_undone_for_good_is_seen_by_nobody_until_the_next_write_finishes_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "flush_file_system", lambda folder: None)
    changes = COMMITS[name]
    after = outcome(tmp_path / "model", changes)
    store = filled(tmp_path / "site")
    other = Store(store.root)
    other.load_files()
    before = known(store)
    apply = effects_module.apply
    with monkeypatch.context() as patch:

        def refuse_the_last(effect: Effect, *args: Any, **options: Any) -> None:
            if effect.slug == changes[-1].slug:
                patch.setattr(disk_module, "flush_file_system", refuse)
                refuse()
            apply(effect, *args, **options)

        patch.setattr(effects_module, "apply", refuse_the_last)
        with pytest.raises(StoreUnavailable):
            commit(store, *changes)
    other.follow()
    assert known(store) == known(other) == before
    assert_memory_is_what_files_say(other)
    commit(other, Put("probe", {}))
    store.follow()
    assert known(store) == known(other) == after | {"probe": ({}, {})}
    assert_memory_is_what_files_say(store)
    store.close()
    other.close()
