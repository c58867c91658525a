"""Commits of every kind, and what is to be true of a store before and after them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from flatdata.store import disk, flushing, log, staging
from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.codec import dump_entry
from flatdata.store.log import boot_id
from flatdata.store.scan import Scan
from flatdata.store.store import Store

CALLERS_OF_THE_SYSTEM: Final = (disk, flushing, log, staging)
"""The modules whose `os` a test replaces, for a disk that refuses or a process that ends."""
STEPS: Final = frozenset(
    {"open", "write", "fsync", "fdatasync", "utime", "rename", "mkdir", "makedirs", "unlink", "rmdir", "link"}
)
"""The calls of the system that change something, or come before a change."""
BEFORE: list[Change] = [
    Put("tree", {"n": 0}),
    Put("tree/a", {"n": 1}),
    Put("tree/b/c", {"n": 2}),
    Put("rows/manifest", {"id": 1}),
    Put("rows/1", {"n": 3}, meta={"order": 1}),
    Put("rows/2", {"n": 4}),
    Put("single", {"n": 5}, form="file"),
]
SCENARIOS: dict[str, list[Change]] = {
    "create": [Put("new/deep/entry-x", {"n": 9})],
    "replace": [Put("tree/a", {"n": 9})],
    "delete": [Delete("tree/b/c")],
    "rows": [Put("rows/1", {"n": 9}), Put("rows/3", {"n": 9}), Delete("rows/2"), Put("rows/4", {"n": 9})],
    "delete a tree": [Put("new", {"n": 9}), DeleteTree("tree"), Put("rows/2", {"n": 9})],
    "move": [Put("rows/1", {"n": 9}), Move("tree", "away/tree"), Delete("rows/2")],
    "copy": [Put("rows/1", {"n": 9}), Copy("tree", "away/tree"), Put("rows/5", {"n": 9})],
    "child of a single file": [Put("single/child", {"n": 9}), Put("rows/1", {"n": 9})],
    "single file and its child": [Put("single", {"n": 8}), Put("single/child", {"n": 9})],
    "child, and its single file": [Put("single/child", {"n": 9}), Put("single", {"n": 8})],
    "child in place of a single file": [Delete("single"), Put("single/child", {"n": 9})],
}


class Crash(BaseException):
    """The process ends here."""


class CrashingOs:
    """The module `os`, with which the process ends at the n-th of the calls that commits make."""

    def __init__(self) -> None:
        self.calls = 0
        self.crash_at = 0

    @property
    def has_crashed(self) -> bool:
        return 0 < self.crash_at <= self.calls

    def step(self) -> None:
        """Count one call; end the process if it is the n-th."""
        self.calls += 1
        if self.calls == self.crash_at:
            raise Crash

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in STEPS:
            return real

        def call(*args: Any, **options: Any) -> Any:
            self.step()
            return real(*args, **options)

        return call


def fill(root: Path) -> Store:
    store = Store(root)
    store.commit(lambda view: (BEFORE, None), origin="test")
    return store


def commit(store: Store, *changes: Change) -> None:
    """Commit just these changes."""
    store.commit(lambda view: (list(changes), None), origin="test")


def by_hand(store: Store, slug: str, fields: dict[str, Any], form: str = "entry.yaml") -> Path:
    path = Path(store.tree.file(slug, form))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump_entry(fields, form))
    return path


def known(store: Store) -> dict[str, Any]:
    return {slug: (entry.fields, entry.meta) for slug, entry in store.state.entries.items()}


def assert_memory_is_what_files_say(store: Store) -> None:
    found = Scan(store.tree).walk()
    assert found.problems == []
    assert set(found.found) == set(store.state.entries)
    for slug, file in found.found.items():
        entry = store.state.entries[slug]
        image = store.disk.read(slug, file.form)
        assert (image.body, image.meta_body) == (entry.body, entry.meta_body)
        assert file[:3] == (entry.form, entry.mtime_ns, entry.size)


def lose_power(root: Path) -> None:
    """The machine went down: the head was written in another run of it, and may be older than the log."""
    assert boot_id()
    head = root / ".flatdata" / "log" / "head"
    data = head.read_bytes()
    head.write_bytes(data.replace(boot_id().encode(), b"another run of the machine".ljust(36, b"\0")))
