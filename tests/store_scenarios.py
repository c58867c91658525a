"""Commits of every kind, and what is to be true of a store before and after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.scan import Scan
from flatdata.store.store import Store

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
}


def fill(root: Path) -> Store:
    store = Store(root)
    store.commit(lambda view: (BEFORE, None), origin="test")
    return store


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
