"""A disk that refuses: each call of a commit fails once in its turn, or from its turn on until it is mended.

Each time the commit is done as a whole or not at all, its caller is told which, what is in memory is what the
files say, and the next commit works without a restart.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import eventually, write
from store_scenarios import CALLERS_OF_THE_SYSTEM, SCENARIOS, assert_memory_is_what_files_say, fill, known

from flatdata.index import keeper as keeper_module
from flatdata.index import upkeep as upkeep_module
from flatdata.index.keeper import Keeper
from flatdata.index.status import READY, KeeperStatus, StatusFile
from flatdata.store import disk as disk_module
from flatdata.store import log as log_module
from flatdata.store.changes import Change, DeleteTree, Put
from flatdata.store.errors import StoreUnavailable
from flatdata.store.store import Store

CHANGING = (
    *("open", "write", "fsync", "fdatasync", "ftruncate", "utime"),
    *("rename", "makedirs", "unlink", "rmdir", "lstat"),
)
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)


class FailingOs:
    """The module `os`, of whose changing calls the n-th fails, and those after it too if it `lasts`."""

    def __init__(self) -> None:
        self.calls = 0
        self.fail_at = 0
        self.lasts = False
        self.number = errno.ENOSPC

    def plan(self, fail_at: int, lasts: bool) -> None:
        self.calls, self.fail_at, self.lasts = 0, fail_at, lasts
        self.number = ERRORS[fail_at % len(ERRORS)]

    @property
    def failed(self) -> bool:
        return bool(self.fail_at) and self.calls >= self.fail_at

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CHANGING:
            return real

        def call(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.fail_at and (self.calls >= self.fail_at if self.lasts else self.calls == self.fail_at):
                raise OSError(self.number, os.strerror(self.number))
            return real(*args, **options)

        return call


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> FailingOs:
    failing = FailingOs()
    for module in CALLERS_OF_THE_SYSTEM:
        assert isinstance(module.os, ModuleType)  # type: ignore[attr-defined]
        monkeypatch.setattr(module, "os", failing)
    return failing


def commit(store: Store, changes: list[Change]) -> bool:
    """Whether it worked; if not, in the way it should."""
    try:
        store.commit(lambda view: (changes, None), origin="test")
    except StoreUnavailable:
        return False
    return True


def outcome(root: Path, changes: list[Change]) -> dict[str, Any]:
    store = fill(root)
    store.commit(lambda view: (changes, None), origin="test")
    after = known(store)
    store.close()
    return after


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_call_that_fails_once_undoes_the_whole_commit(
    name: str, tmp_path: Path, failing: FailingOs
) -> None:
    changes = SCENARIOS[name]
    after = outcome(tmp_path / "model", changes)
    refused = 0
    for fail_at in range(1, 1_000):
        store = fill(tmp_path / str(fail_at))
        before = known(store)
        failing.plan(fail_at, lasts=False)
        done = commit(store, changes)
        reached = failing.failed
        failing.plan(0, lasts=False)
        refused += not done
        assert known(store) == (after if done else before), f"call {fail_at}"
        assert_memory_is_what_files_say(store)
        assert done or commit(store, changes), "it does not work afterwards"
        assert known(store) == after
        assert_memory_is_what_files_say(store)
        check_reopened(store, after)
        if not reached:
            break
    assert refused >= 3


@pytest.mark.parametrize("name", SCENARIOS)
def test_content_that_stays_read_only_leaves_a_commit_whole_or_undone(
    name: str, tmp_path: Path, failing: FailingOs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log can be written all the while, so it is not the log that keeps what was half done."""
    monkeypatch.setattr(log_module, "os", os)
    test_a_disk_that_stays_broken_leaves_a_commit_whole_or_undone(name, tmp_path, failing)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_disk_that_stays_broken_leaves_a_commit_whole_or_undone(
    name: str, tmp_path: Path, failing: FailingOs
) -> None:
    changes = SCENARIOS[name]
    after = outcome(tmp_path / "model", changes)
    probe: Change = Put("probe", {"n": 0})
    for fail_at in range(1, 1_000):
        store = fill(tmp_path / str(fail_at))
        before = known(store)
        failing.plan(fail_at, lasts=True)
        done = commit(store, changes)
        reached = failing.failed
        if reached and not done:
            assert not commit(store, [probe]), "nothing works while the disk is broken"
        failing.plan(0, lasts=False)
        assert commit(store, [probe]), "it does not work afterwards"
        found = known(store)
        assert found.pop("probe") == ({"n": 0}, {})
        assert found == after if done else found in (before, after), f"call {fail_at}"
        assert_memory_is_what_files_say(store)
        check_reopened(store, found | {"probe": ({"n": 0}, {})})
        if not reached:
            break


def check_reopened(store: Store, expected: dict[str, Any]) -> None:
    store.close()
    again = Store(store.root)
    again.load_files()
    assert known(again) == expected
    assert os.listdir(again.disk.scratch.folder) == []
    again.close()


def test_the_error_says_what_the_disk_said(tmp_path: Path, failing: FailingOs) -> None:
    store = fill(tmp_path)
    failing.plan(1, lasts=True)
    with pytest.raises(StoreUnavailable) as refused:
        store.commit(lambda view: ([Put("x", {})], None), origin="test")
    assert refused.value.errno in ERRORS
    failing.plan(0, lasts=False)
    assert commit(store, [Put("y", {})])
    assert store.get("x") is None
    store.close()


def test_an_unreadable_folder_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fill(tmp_path)

    def refuse(path: str) -> os.stat_result:
        raise PermissionError(errno.EACCES, "denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(disk_module.os, "lstat", refuse)
        with pytest.raises(StoreUnavailable):
            store.commit(lambda view: ([Put("tree/a", {"n": 9})], None), origin="test")
    assert commit(store, [Put("tree/a", {"n": 9})])
    store.close()


def test_a_name_too_long_for_a_single_file_is_a_folder(tmp_path: Path) -> None:
    store = fill(tmp_path)
    assert commit(store, [Put("x" * 255, {"n": 9})])
    assert_memory_is_what_files_say(store)
    assert commit(store, [Put("x" * 255, {"n": 10})])
    assert commit(store, [DeleteTree("x" * 255)])
    store.close()


def deleted_scratch(store: Store) -> None:
    os.rmdir(store.disk.scratch.folder)


def deleted_log(store: Store) -> None:
    for path in (store.state_dir / "log").iterdir():
        path.unlink()


def deleted_log_folder(store: Store) -> None:
    deleted_log(store)
    (store.state_dir / "log").rmdir()


def deleted_lock(store: Store) -> None:
    (store.state_dir / "lock").unlink()


def deleted_everything(store: Store) -> None:
    for path in sorted(store.state_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    store.state_dir.rmdir()


def test_a_lock_that_was_deleted_is_not_what_the_next_writer_holds(tmp_path: Path) -> None:
    store = fill(tmp_path)
    deleted_lock(store)
    with store.locked():
        other = os.open(tmp_path / ".flatdata" / "lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    store.close()


@pytest.mark.parametrize(
    "damage", [deleted_scratch, deleted_log, deleted_log_folder, deleted_lock, deleted_everything]
)
def test_a_server_goes_on_when_its_state_is_deleted_under_it(
    damage: Callable[[Store], None], tmp_path: Path
) -> None:
    store = fill(tmp_path)
    before = known(store)
    damage(store)
    assert commit(store, [Put("x", {"n": 1})])
    assert known(store) == before | {"x": ({"n": 1}, {})}
    other = Store(tmp_path)
    other.load_files()
    assert commit(other, [Put("y", {"n": 2})])
    assert commit(store, [Put("z", {"n": 3})])
    other.follow()
    expected = before | {"x": ({"n": 1}, {}), "y": ({"n": 2}, {}), "z": ({"n": 3}, {})}
    assert known(store) == known(other) == expected
    assert_memory_is_what_files_say(store)
    store.close()
    other.close()


# --- the keeper -------------------------------------------------------------------------------------------


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    """A keeper that runs, with nobody watching."""
    keeper = Keeper(tmp_path, compare_seconds=0.05)
    keeper.prepare(watch=False)
    stop = threading.Event()
    thread = threading.Thread(target=keeper.run, args=(stop,))
    thread.start()
    yield keeper
    stop.set()
    thread.join()
    keeper.close()


def test_a_keeper_outlives_a_disk_that_takes_no_records(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper_module, "_PAUSE_SECONDS", 0.01)

    def refuse(*args: Any, **options: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keeper.store.log, "append", refuse)
        write(tmp_path, "a.yaml", "n: 1\n")
        eventually(lambda: "the files cannot be followed" in caplog.text)
        assert keeper.store.get("a") is None
    eventually(lambda: keeper.store.get("a"))


def test_a_status_that_cannot_be_written_is_written_later(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: StatusFile, status: KeeperStatus) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(StatusFile, "write", refuse)
        write(tmp_path, "a.yaml", "n: 1\n")
        write(tmp_path, "b.yaml", "n: [\n")
        eventually(lambda: keeper.store.get("a"))
    eventually(lambda: len(StatusFile(tmp_path / ".flatdata").read().problems) == 1)


def test_a_catalogue_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = fill(tmp_path)
    expected = known(store)
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr(upkeep_module, "write_catalogue", refuse)
        keeper = Keeper(tmp_path)
        keeper.prepare(watch=False)
        assert known(keeper.store) == expected
        assert StatusFile(tmp_path / ".flatdata").read().phase == READY
    keeper.close()
    store = Store(tmp_path)
    assert store.load_catalogue() is not None
    assert known(store) == expected
    store.close()
