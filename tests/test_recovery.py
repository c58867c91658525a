"""After a crash or a power loss: accepted changes are whole, edits by hand are kept, and what is in memory is
what the files say.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_scenarios import (
    CALLERS_OF_THE_SYSTEM,
    SCENARIOS,
    Crash,
    CrashingOs,
    assert_memory_is_what_files_say,
    by_hand,
    commit,
    fill,
    known,
    lose_power,
)

from flatdata.store import effects as effects_module
from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.store import Store


def crash(store: Store, patch: pytest.MonkeyPatch, at: int, *changes: Change) -> bool:
    """Commit, and let the process end at a call; False if it made fewer calls than that."""
    crashing = CrashingOs()
    with patch.context() as patched:
        for module in CALLERS_OF_THE_SYSTEM:
            patched.setattr(module, "os", crashing)
        crashing.crash_at = at
        try:
            commit(store, *changes)
        except Crash:
            return True
    return False


def crash_when_accepted(store: Store, patch: pytest.MonkeyPatch, *changes: Change) -> None:
    """Commit, and let the process end between the log and the files."""
    with patch.context() as patched:

        def end(*args: Any, **options: Any) -> None:
            raise Crash

        patched.setattr(effects_module, "apply", end)
        with pytest.raises(Crash):
            commit(store, *changes)
    store.close()


def reopened(root: Path) -> Store:
    store = Store(root)
    store.load_files()
    assert os.listdir(store.disk.scratch.folder) == []
    assert store.log.end() == store.log.head()
    return store


def outcome(root: Path, changes: list[Change]) -> dict[str, Any]:
    store = fill(root)
    commit(store, *changes)
    after = known(store)
    store.close()
    return after


# --- crashes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_step_leaves_a_commit_whole_or_undone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = SCENARIOS[name]
    after = outcome(tmp_path / "model", changes)
    seen = set()
    for at in range(1, 1_000):
        root = tmp_path / str(at)
        store = fill(root)
        before = known(store)
        crashed = crash(store, monkeypatch, at, *changes)
        store.close()
        again = reopened(root)
        found = known(again)
        assert found in ((before, after) if crashed else (after,)), f"step {at}"
        seen.add(found == after)
        assert_memory_is_what_files_say(again)
        commit(again, Put("probe", {}))
        again.close()
        if not crashed:
            break
    assert seen == {False, True}


def test_another_process_finishes_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path)
    other = Store(tmp_path)
    other.load_files()
    crash_when_accepted(store, monkeypatch, Put("x", {"n": 1}), Move("tree", "moved"))
    assert other.get("x") is None
    commit(other, Put("y", {"n": 2}))
    assert known(other)["x"] == ({"n": 1}, {})
    assert other.exists("moved/b/c")
    assert not other.exists("tree")
    assert_memory_is_what_files_say(other)
    other.close()


def test_what_was_left_in_the_scratch_folder_goes(tmp_path: Path) -> None:
    store = fill(tmp_path)
    Path(store.disk.scratch.folder, "17-0").write_text("half a file")
    Path(store.disk.scratch.folder, "17-1", "folder").mkdir(parents=True)
    store.close()
    reopened(tmp_path).close()


def last_segment(root: Path) -> Path:
    return max((root / ".flatdata" / "log").glob("*.log"))


def whole_line(root: Path) -> bytes:
    return last_segment(root).read_bytes().splitlines(keepends=True)[-1]


TAILS: dict[str, Callable[[bytes], bytes]] = {
    "half a record": lambda line: line[: len(line) // 2],
    "a record without its line end": lambda line: line[:-1],
    "a record with a wrong bit": lambda line: line[:20] + bytes([line[20] ^ 1]) + line[21:],
    "NULs": lambda line: b"\0" * 4_096,
    "NULs and a line end": lambda line: b"\0" * 100 + b"\n",
    "no JSON": lambda line: b"00000000 \n",
    "a wrong bit, and a whole record after it": lambda line: b"x" + line + line,
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("segment_bytes", [64 << 20, 100])
def test_a_torn_tail_is_cut_off_at_the_next_start(tail: str, segment_bytes: int, tmp_path: Path) -> None:
    store = fill(tmp_path)
    before = known(store)
    store.close()
    with open(last_segment(tmp_path), "ab") as file:
        file.write(TAILS[tail](whole_line(tmp_path)))
    again = Store(tmp_path, segment_bytes)
    again.load_files()
    assert known(again) == before
    commit(again, Put("x", {"n": 1}))
    again.close()
    last = reopened(tmp_path)
    assert [record.seq for record, _ in last.log.read(0, last.log.head())] == [1, 2]
    assert known(last) == before | {"x": ({"n": 1}, {})}
    last.close()


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("segment_bytes", [64 << 20, 100])
def test_a_torn_tail_is_cut_off_by_a_process_that_is_running(
    tail: str, segment_bytes: int, tmp_path: Path
) -> None:
    fill(tmp_path).close()
    store = Store(tmp_path, segment_bytes)
    store.load_files()
    commit(store, Put("w", {"n": 0}))
    with open(last_segment(tmp_path), "ab") as file:
        file.write(TAILS[tail](whole_line(tmp_path)))
    commit(store, Put("x", {"n": 1}))
    expected = known(store)
    store.close()
    again = reopened(tmp_path)
    assert known(again) == expected
    assert [record.seq for record, _ in again.log.read(0, again.log.head())] == [1, 2, 3]
    again.close()


# --- edits by hand between the crash and the next start -------------------------------------------------


def test_a_file_edited_after_a_crash_is_kept_and_the_rest_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path)
    crash_when_accepted(
        store, monkeypatch, Put("tree/a", {"n": 9}), Delete("tree/b/c"), Put("rows/1", {"n": 9})
    )
    by_hand(store, "tree/a", {"by": "hand"})
    by_hand(store, "tree/b/c", {"by": "hand"})
    again = reopened(tmp_path)
    found = known(again)
    assert found["tree/a"] == found["tree/b/c"] == ({"by": "hand"}, {})
    assert found["rows/1"] == ({"n": 9}, {"order": 1})
    assert_memory_is_what_files_say(again)
    again.close()


def test_a_file_made_by_hand_after_a_crash_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fill(tmp_path)
    crash_when_accepted(store, monkeypatch, Put("new", {"n": 9}), Put("rows/9", {"n": 9}))
    by_hand(store, "new", {"by": "hand"})
    again = reopened(tmp_path)
    assert known(again)["new"] == ({"by": "hand"}, {})
    assert known(again)["rows/9"] == ({"n": 9}, {})
    again.close()


def test_a_file_deleted_by_hand_after_a_crash_stays_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path)
    crash_when_accepted(store, monkeypatch, Put("tree/a", {"n": 9}))
    Path(store.tree.file("tree/a", "entry.yaml")).unlink()
    again = reopened(tmp_path)
    assert again.get("tree/a") is None
    again.close()


def test_what_was_edited_in_a_deleted_tree_after_a_crash_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path)
    crash_when_accepted(store, monkeypatch, DeleteTree("tree"))
    by_hand(store, "tree/b/c", {"by": "hand"})
    by_hand(store, "tree/added", {"by": "hand"})
    again = reopened(tmp_path)
    left = {slug: fields for slug, (fields, _) in known(again).items() if slug.startswith("tree")}
    assert left == {"tree/b/c": {"by": "hand"}, "tree/added": {"by": "hand"}}
    again.close()


def test_a_link_put_in_the_way_after_a_crash_does_not_keep_the_site_from_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path)
    crash_when_accepted(store, monkeypatch, Put("away/x", {"n": 1}), Put("y", {"n": 2}))
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "content" / "away").symlink_to(outside)
    again = reopened(tmp_path)
    assert list(outside.iterdir()) == []
    assert known(again)["y"] == ({"n": 2}, {})
    commit(again, Put("z", {"n": 3}))
    again.close()


# --- power loss -----------------------------------------------------------------------------------------


LOSSES: dict[str, Callable[[Path, bytes], object]] = {
    "nothing": lambda path, old: None,
    "empty": lambda path, old: path.write_bytes(b""),
    "NULs": lambda path, old: path.write_bytes(b"\0" * 40),
    "old": lambda path, old: path.write_bytes(old) if old else path.unlink(missing_ok=True),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("head_is_old", [False, True])
def test_files_that_a_power_loss_took_back_are_written_again(
    loss: str, head_is_old: bool, tmp_path: Path
) -> None:
    store = fill(tmp_path)
    paths = {
        slug: Path(store.tree.file(slug, store.state.entries[slug].form)) for slug in ("tree/a", "rows/1")
    }
    before = {slug: path.read_bytes() for slug, path in paths.items()}
    paths["new"] = Path(store.tree.file("new", "entry.yaml"))
    head = store.log.head()
    commit(store, Put("tree/a", {"n": 9}), Put("new", {"n": 9}))
    commit(store, Put("rows/1", {"n": 9}), Delete("rows/2"))
    expected = known(store)
    if head_is_old:
        store.log.publish(head)
    store.close()
    for slug, path in paths.items():
        LOSSES[loss](path, before.get(slug, b""))
    lose_power(tmp_path)
    again = reopened(tmp_path)
    assert known(again) == expected
    assert_memory_is_what_files_say(again)
    again.close()


FORMS: dict[str, list[Change]] = {
    "folder, then file": [Put("new", {"n": 1}), Put("new", {"n": 2}, form="file"), Put("new", {"n": 3})],
    "file, then folder": [
        Put("new", {"n": 1}, form="file"),
        Put("new/child", {"n": 2}),
        Put("new", {"n": 3}),
    ],
}


@pytest.mark.parametrize("name", FORMS)
def test_an_entry_whose_form_changed_is_as_it_was_last_after_a_power_loss(name: str, tmp_path: Path) -> None:
    store = fill(tmp_path)
    for change in FORMS[name]:
        commit(store, change)
    expected = known(store)
    store.close()
    lose_power(tmp_path)
    again = reopened(tmp_path)
    assert known(again) == expected
    assert_memory_is_what_files_say(again)
    again.close()


@pytest.mark.parametrize("last", [Move("away/tree", "b/tree"), Copy("away/tree", "twin")])
def test_a_tree_that_a_power_loss_put_back_is_moved_again(last: Change, tmp_path: Path) -> None:
    store = fill(tmp_path)
    commit(store, Move("tree", "away/tree"))
    commit(store, Put("away/tree/a", {"n": 9}))
    shutil.copytree(tmp_path / "content", tmp_path / "saved", copy_function=shutil.copy2)
    commit(store, last, DeleteTree("rows"), Put("single/child", {"n": 9}))
    expected = known(store)
    store.close()
    shutil.rmtree(tmp_path / "content")
    shutil.move(tmp_path / "saved", tmp_path / "content")
    lose_power(tmp_path)
    again = reopened(tmp_path)
    assert known(again) == expected
    assert_memory_is_what_files_say(again)
    again.close()


def edit_by_hand(store: Store, slug: str, fields: dict[str, Any]) -> None:
    by_hand(store, slug, fields)
    assert store.ingest([slug]) == 1


def test_an_edit_that_was_seen_after_a_change_outlives_a_power_loss(tmp_path: Path) -> None:
    store = fill(tmp_path)
    commit(store, Put("tree/a", {"n": 9}), Delete("tree/b/c"))
    edit_by_hand(store, "tree/a", {"n": 1})
    edit_by_hand(store, "tree/b/c", {"n": 2})
    expected = known(store)
    store.close()
    lose_power(tmp_path)
    again = reopened(tmp_path)
    assert known(again) == expected
    again.close()


def test_a_tree_made_again_by_hand_outlives_a_power_loss(tmp_path: Path) -> None:
    store = fill(tmp_path)
    commit(store, DeleteTree("tree"))
    edit_by_hand(store, "tree/a", {"n": 1})
    commit(store, Move("single", "away"))
    edit_by_hand(store, "single", {"n": 5})
    commit(store, Copy("rows", "twin"))
    for path in (tmp_path / "content" / "twin").iterdir():
        path.unlink()
    store.ingest(["twin/manifest", "twin/1", "twin/2"])
    expected = known(store)
    store.close()
    lose_power(tmp_path)
    again = reopened(tmp_path)
    assert known(again) == expected
    again.close()


def test_what_a_checkpoint_vouches_for_is_not_done_again(tmp_path: Path) -> None:
    store = fill(tmp_path)
    commit(store, Put("tree/a", {"n": 9}))
    store.checkpoint()
    commit(store, Put("rows/1", {"n": 9}))
    store.close()
    by_hand(store, "tree/a", {"n": 1})
    by_hand(store, "rows/1", {"n": 3, "_meta": {"order": 1}}, "file")
    lose_power(tmp_path)
    again = reopened(tmp_path)
    assert known(again)["tree/a"] == ({"n": 1}, {})
    assert known(again)["rows/1"] == ({"n": 9}, {"order": 1})
    again.close()


def test_a_log_whose_end_a_power_loss_took_goes_on(tmp_path: Path) -> None:
    store = fill(tmp_path)
    head = store.log.head()
    edit_by_hand(store, "tree/a", {"n": 9})
    expected = known(store)
    store.close()
    os.truncate(last_segment(tmp_path), head + 10)
    lose_power(tmp_path)
    again = reopened(tmp_path)
    assert again.log.head() == head
    assert known(again) == expected
    commit(again, Put("x", {}))
    assert [record.seq for record, _ in again.log.read(0, again.log.head())] == [1, 2]
    again.close()


def test_a_segment_is_flushed_before_another_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path).close()
    store = Store(tmp_path, segment_bytes=100)
    store.load_files()
    commit(store, Put("x", {}))
    edit_by_hand(store, "tree/a", {"n": 9})
    unflushed = last_segment(tmp_path).stat().st_ino
    flushed = []
    fdatasync = os.fdatasync

    def note(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", note)
    commit(store, Put("x", {"n": 1}))
    assert flushed == [unflushed, last_segment(tmp_path).stat().st_ino]
    store.close()
