"""The manifests that a process knows of: told by looking at every entry, whatever happened to them."""

from __future__ import annotations

from pathlib import Path

from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.entry import Entry
from flatdata.store.paths import MANIFEST
from flatdata.store.store import Store


def by_looking(store: Store) -> list[Entry]:
    return [entry for entry in store.state.entries.values() if entry.form == MANIFEST]


def test_manifests_are_known_through_every_change(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def commit(*changes: Change) -> list[str]:
        store.commit(lambda view: (list(changes), None), origin="test")
        assert store.manifests() == by_looking(store)
        return [entry.slug for entry in store.manifests()]

    assert commit(Put("a/manifest", {"id": 1}), Put("b/manifest", {"id": 2})) == ["a/manifest", "b/manifest"]
    assert commit(Put("a/manifest", {"id": 3}), Put("a/1", {})) == ["a/manifest", "b/manifest"]
    assert store.manifests()[0].fields == {"id": 3}
    assert commit(Move("a", "c")) == ["b/manifest", "c/manifest"]
    assert commit(Copy("c", "d/e")) == ["b/manifest", "c/manifest", "d/e/manifest"]
    assert commit(DeleteTree("d")) == ["b/manifest", "c/manifest"]
    assert commit(Delete("b/manifest")) == ["c/manifest"]
    store.load_files()
    assert [entry.slug for entry in store.manifests()] == ["c/manifest"]
    assert store.manifests() == by_looking(store)
    store.close()
