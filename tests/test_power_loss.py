"""The power goes at any moment of a random history: whatever of the files had reached the disk by then, what
was acknowledged is there, what was not is there as a whole or not at all, and nothing else.

The machine is simulated. The log is on the disk as soon as it was flushed, as it is on a real one. The files
are what they were when the whole disk was flushed last, and of what was done to them since any part.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from store_scenarios import (
    CALLERS_OF_THE_SYSTEM,
    Crash,
    CrashingOs,
    assert_memory_is_what_files_say,
    lose_power,
)

from flatdata.store import disk as disk_module
from flatdata.store import store as store_module
from flatdata.store import writer as writer_module
from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.commits import Ticket
from flatdata.store.log import ChangeLog
from flatdata.store.paths import is_within
from flatdata.store.store import Store

HISTORIES = 30
ROUNDS = 4
NAMES = ("a", "b", "c", "d")
BELOW = ("", "/x", "/y", "/x/z")

# --- the machine ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    """The files and folders of a site at one moment."""

    folders: frozenset[str]
    files: dict[str, tuple[bytes, int]]
    """What each says, and its date (ns)."""

    @classmethod
    def of(cls, root: Path) -> Files:
        folders, files = set(), {}
        for top in ("content", ".flatdata/scratch"):
            for folder, _, names in os.walk(root / top):
                folders.add(os.path.relpath(folder, root))
                for name in names:
                    path = Path(folder, name)
                    files[str(path.relative_to(root))] = (path.read_bytes(), path.stat().st_mtime_ns)
        return cls(frozenset(folders), files)

    def only(self, keep: Callable[[str], bool]) -> Files:
        return Files(
            frozenset(filter(keep, self.folders)),
            {path: file for path, file in self.files.items() if keep(path)},
        )

    def write(self, root: Path) -> None:
        for top in ("content", ".flatdata/scratch"):
            shutil.rmtree(root / top, ignore_errors=True)
        for folder in self.folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for name, (data, mtime_ns) in self.files.items():
            (root / name).write_bytes(data)
            os.utime(root / name, ns=(mtime_ns, mtime_ns))


class Machine:
    """A machine that runs a site until its power goes."""

    def __init__(self, root: Path, source: random.Random, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.source = source
        self.steps = CrashingOs()
        self.logs: list[ChangeLog] = []
        for module in CALLERS_OF_THE_SYSTEM:
            patch.setattr(module, "os", self.steps)
        patch.setattr(disk_module, "flush_file_system", self.flush)
        patch.setattr(store_module, "flush_file_system", self.flush)
        patch.setattr(store_module, "ChangeLog", self.open_log)
        (root / "content").mkdir()
        (root / ".flatdata" / "scratch").mkdir(parents=True)
        self.states = [Files.of(root)]
        """What may be on the disk, from the last flush on."""
        self.heads = [0]

    def open_log(self, *args: Any) -> ChangeLog:
        self.logs.append(ChangeLog(*args))
        return self.logs[-1]

    def flush(self, folder: Path) -> None:
        self.steps.step()
        self.states = [Files.of(self.root)]

    def note(self) -> None:
        self.states.append(Files.of(self.root))
        self.heads.append(self.logs[-1].head())

    def arm(self) -> None:
        """Let the power go at one of the next steps."""
        self.steps.calls, self.steps.crash_at = 0, self.source.randrange(1, 40)

    def open(self) -> Store:
        store = Store(self.root)
        store.load_files()
        return store

    def lose_power(self) -> None:
        crashed, self.steps.crash_at = self.steps.has_crashed, 0
        log = self.logs.pop() if self.logs else ChangeLog(self.root / ".flatdata" / "log")
        log.publish(self.source.choice([*self.heads, log.head()]))
        log.close()
        self._lose(crashed).write(self.root)
        self.states = [Files.of(self.root)]
        if self.source.random() < 0.3:
            (self.root / ".flatdata" / "checkpoint").unlink(missing_ok=True)
        lose_power(self.root)

    def _lose(self, crashed: bool) -> Files:
        """What of the files is on the disk."""
        states = [*self.states, Files.of(self.root)]
        if crashed and self.source.random() < 0.7:
            return self.source.choice(states)
        tops = {path.split("/")[1].removesuffix(".yaml") for state in states for path in state.files}
        folders: set[str] = {"content", ".flatdata/scratch"}
        files: dict[str, tuple[bytes, int]] = {}
        for top in () if crashed else sorted(tops):

            def keep(path: str, top: str = top) -> bool:
                return path.split("/")[1:2] in ([top], [f"{top}.yaml"])

            chosen = self.source.choice(states).only(keep)
            folders |= chosen.folders
            files |= {path: self._torn(file) for path, file in chosen.files.items()}
        return states[0] if crashed else Files(frozenset(folders), files)

    def _torn(self, file: tuple[bytes, int]) -> tuple[bytes, int]:
        """A file whose name, but not its data, may have reached the disk."""
        flushed = {data for data, _ in self.states[0].files.values()}
        if file[0] in flushed or self.source.random() < 0.7:
            return file
        return (self.source.choice([b"", bytes(len(file[0]))]), file[1])


# --- the history ------------------------------------------------------------------------------------------

Content = dict[str, int]
"""The number in each entry."""


def exists(content: Content, slug: str) -> bool:
    return any(is_within(other, slug) for other in content)


def changed(content: Content, change: Change) -> Content:
    if isinstance(change, Put):
        return content | {change.slug: change.fields["n"]}
    if isinstance(change, Delete):
        return {slug: n for slug, n in content.items() if slug != change.slug}
    rest = {slug: n for slug, n in content.items() if not is_within(slug, change.slug)}
    if isinstance(change, DeleteTree):
        return rest
    tree = {
        change.new_slug + slug[len(change.slug) :]: n
        for slug, n in content.items()
        if is_within(slug, change.slug)
    }
    return (rest if isinstance(change, Move) else content) | tree


def drawn(source: random.Random, content: Content, number: int) -> Change:
    """A change that is possible."""
    slug, target = (source.choice(NAMES) + source.choice(BELOW) for _ in "12")
    kind = source.choice([Put, Put, Put, Delete, DeleteTree, Move, Copy])
    if kind is Delete and slug in content:
        return Delete(slug)
    if kind is DeleteTree and exists(content, slug):
        return DeleteTree(slug)
    is_free = not exists(content, target) and not is_within(target, slug)
    if kind in (Move, Copy) and exists(content, slug) and is_free:
        return Move(slug, target) if kind is Move else Copy(slug, target)
    return Put(slug, {"n": number}, form=source.choice([None, None, "file"]))


def tops(*changes: Change) -> set[str]:
    slugs = [change.slug for change in changes]
    slugs += [change.new_slug for change in changes if isinstance(change, Move | Copy)]
    return {slug.split("/")[0] for slug in slugs}


def drawn_commit(source: random.Random, content: Content, number: int) -> list[Change]:
    """One change or two that are apart."""
    first, second = (drawn(source, content, number) for _ in "12")
    return [first, second] if source.random() < 0.4 and not tops(first) & tops(second) else [first]


def write_together(machine: Machine, store: Store, commits: list[list[Change]]) -> int:
    """Write commits as threads do that come at the same time; gives how many were acknowledged."""
    tickets = [
        Ticket(lambda view, commit=commit: (commit, None), "test", "", "", tuple(tops(*commit)))
        for commit in commits
    ]
    try:
        while waiting := [ticket for ticket in tickets if not ticket.done]:
            store._write_batch(waiting)
            machine.note()
    except Crash:
        pass
    assert [ticket.error for ticket in tickets if ticket.error] == []
    return sum(ticket.done for ticket in tickets)


def written(machine: Machine, store: Store, content: Content) -> list[Content]:
    """Write until the power goes; gives what may be there then: the first is what was acknowledged."""
    source = machine.source
    dies_at = source.randrange(1, 7)
    for turn in range(dies_at):
        contents, commits = [content], []
        for _ in range(source.randrange(1, 4)):
            commits.append(drawn_commit(source, content, source.randrange(10**6)))
            for change in commits[-1]:
                content = changed(content, change)
            contents.append(content)
        if turn == dies_at - 1 and source.random() < 0.6:
            machine.arm()
        contents = contents[write_together(machine, store, commits) :]
        if source.random() < 0.1 and not machine.steps.crash_at:
            store.checkpoint()
    return contents


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_nothing_is_lost_or_comes_back_when_the_power_goes(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = random.Random(seed)
    machine = Machine(tmp_path, source, monkeypatch)
    store, found = machine.open(), {}
    for _ in range(ROUNDS):
        possible = written(machine, store, found)
        machine.lose_power()
        if source.random() < 0.3:
            machine.arm()
        try:
            store = machine.open()
        except Crash:
            machine.lose_power()
            store = machine.open()
        machine.steps.crash_at = 0
        found = {slug: entry.fields["n"] for slug, entry in store.state.entries.items()}
        assert found in possible
        assert_memory_is_what_files_say(store)
    store.close()


# --- what that rests on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", [Move("b", "c"), Copy("b", "c")])
def test_the_disk_is_flushed_before_and_after_a_tree_is_moved_or_copied(
    transfer: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, random.Random(0), monkeypatch)
    store = machine.open()
    write_together(machine, store, [[Put("a", {"n": 1}), Put("b", {"n": 1})]])
    told: list[object] = []
    append = store.log.append

    def tell_append(lines: list[bytes]) -> int:
        told.append(len(lines))
        return append(lines)

    monkeypatch.setattr(store.log, "append", tell_append)
    monkeypatch.setattr(disk_module, "flush_file_system", lambda folder: told.append("flush"))
    write_together(machine, store, [[Put("a", {"n": 2})], [transfer], [Put("d", {"n": 2})]])
    assert told == [1, "flush", 1, "flush", 1]
    store.close()


@pytest.mark.parametrize(("transfer", "flushes"), [(Move("b", "c"), 1), (Copy("b", "c"), 2)])
def test_a_transfer_that_a_dead_writer_left_is_flushed_when_it_is_finished(
    transfer: Change, flushes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, random.Random(0), monkeypatch)
    store = machine.open()
    write_together(machine, store, [[Put("b", {"n": 1})]])
    told: list[Path] = []
    with monkeypatch.context() as patch:

        def crash(*args: object) -> None:
            raise Crash

        patch.setattr(writer_module, "carry_out", crash)
        write_together(machine, store, [[transfer]])
    monkeypatch.setattr(disk_module, "flush_file_system", told.append)
    write_together(machine, store, [[Put("d", {"n": 1})]])
    assert store.exists("c")
    assert len(told) == flushes
    store.close()


def test_a_recovery_that_the_power_cuts_short_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[list[Change]] = [
        [Put("a/x", {"n": 1}, form="file")],
        [DeleteTree("a")],
        [Put("a", {"n": 2})],
        [Delete("a"), Put("b", {"n": 3})],
    ]
    for at in range(1, 1_000):
        root = tmp_path / str(at)
        root.mkdir()
        machine = Machine(root, random.Random(0), monkeypatch)
        store = machine.open()
        write_together(machine, store, commits)
        store.close()
        lose_power(root)
        machine.steps.calls, machine.steps.crash_at = 0, at
        try:
            Store(root).close()
        except Crash:
            machine.logs[-1].close()
        crashed, machine.steps.crash_at = machine.steps.has_crashed, 0
        lose_power(root)
        store = machine.open()
        assert list(store.state.entries) == ["b"]
        store.close()
        if not crashed:
            break
    assert at > 10
