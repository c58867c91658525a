"""What entries took is given back when they are gone: by tables, by the journal, by the C library."""

from __future__ import annotations

import gc
import mmap
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually

from flatdata.index.collection import BY_SLUG, MOST_BEHIND, Collection
from flatdata.index.index import Index
from flatdata.index.keeper import Keeper
from flatdata.spare_memory import SpareMemory, resident_bytes
from flatdata.store.changes import Delete, Put
from flatdata.store.entry import Entry
from flatdata.store.paths import Tree
from flatdata.store.scan import Scan
from flatdata.store.store import Store

MANY = 3_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.load_files()
    yield store
    store.close()


def fill(store: Store, count: int) -> None:
    puts = [Put("c/manifest", {"name": "c"}), *(Put(f"c/{number}", {"n": number}) for number in range(count))]
    store.commit(lambda view: (puts, None), origin="test")


def remove(store: Store, first: int, count: int) -> None:
    deletes = [Delete(f"c/{number}") for number in range(first, count)]
    store.commit(lambda view: (deletes, None), origin="test")


def test_tables_shrink_when_most_entries_are_removed(store: Store) -> None:
    fill(store, MANY)
    entries, names = sys.getsizeof(store.state.entries), sys.getsizeof(store.state.folders["c"])
    remove(store, 10, MANY)
    assert sys.getsizeof(store.state.entries) < entries / 10
    assert sys.getsizeof(store.state.folders["c"]) < names / 10
    assert [entry.name for entry in store.children("c")] == [str(number) for number in range(10)]
    assert store.get("c/9") is not None
    assert store.get("c/10") is None


def test_a_folder_that_is_emptied_stays_usable_when_tables_shrink(store: Store) -> None:
    fill(store, MANY)
    remove(store, 0, MANY)
    assert store.exists("c")
    fill(store, 1)
    assert [entry.slug for entry in store.children("c")] == ["c/0"]


def test_numbers_of_removed_entries_are_used_again(store: Store) -> None:
    index = Index(store.state, store.state_dir)
    fill(store, MANY)
    highest = max(entry.num for entry in store.children("c"))
    for _ in range(3):
        remove(store, 0, MANY)
        fill(store, MANY)
    assert sorted(entry.num for entry in store.children("c")) == list(range(highest + 1))
    index.close()


class _Weak(Entry):
    """An entry that tells whether it is still alive."""

    __slots__ = ("__weakref__",)


def test_a_journal_that_no_structure_reads_keeps_nothing_alive() -> None:
    collection = Collection(threading.RLock(), [])
    entries = [_entry(number) for number in range(MOST_BEHIND)]
    for entry in entries:
        collection.change(None, entry)
    collection.build([BY_SLUG])
    alive = [weakref.ref(entry) for entry in entries]
    for entry in entries:
        collection.change(entry, None)
    collection.change(None, _entry(0))
    del entry, entries
    gc.collect()
    assert not any(reference() for reference in alive)
    collection.build([BY_SLUG])
    assert len(collection.sorted(BY_SLUG)) == 1


def _entry(number: int) -> _Weak:
    entry = _Weak(f"c/{number}", b"{}", form="file", mtime_ns=0, size=2)
    entry.num = number
    return entry


# --- the C library ------------------------------------------------------------------------------------------


class Process:
    """As much of a process as `SpareMemory` sees."""

    def __init__(self) -> None:
        self.resident = 100 << 20
        self.trims = 0
        self.spare = SpareMemory(self.trim, lambda: self.resident)

    def trim(self) -> None:
        self.trims += 1
        self.resident -= 1 << 20


def test_memory_is_given_back_after_many_changes_once_nothing_goes_on() -> None:
    process = Process()
    assert [process.spare.look(0), process.spare.look(0)] == [True, False]
    assert not process.spare.look(MANY)
    assert not process.spare.look(2 * MANY)
    assert process.spare.look(2 * MANY)
    assert not process.spare.look(2 * MANY)
    assert process.trims == 2


def test_memory_is_given_back_when_the_process_has_grown() -> None:
    process = Process()
    process.spare.look(0)
    process.resident += 15 << 20
    assert not process.spare.look(0)
    process.resident += 1 << 20
    assert process.spare.look(0)
    assert not process.spare.look(0)


def test_memory_is_given_back_after_a_large_read_that_was_under_way_at_a_look() -> None:
    process = Process()
    process.spare.look(0)
    process.resident += 500 << 20
    assert process.spare.look(0)
    process.resident -= 200 << 20
    assert process.spare.look(0)
    assert not process.spare.look(0)


def test_few_changes_are_not_worth_it() -> None:
    process = Process()
    process.spare.look(0)
    assert not any(process.spare.look(changes) for changes in (10, 10, 20, 20))


def test_the_keeper_gives_memory_back_too(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    process = Process()
    keeper = Keeper(tmp_path)
    keeper._spare_memory = process.spare
    keeper.prepare()
    stop = threading.Event()
    thread = threading.Thread(target=keeper.run, args=(stop,))
    thread.start()
    try:
        assert eventually(lambda: process.trims) == 1
        process.resident += 100 << 20
        assert eventually(lambda: process.trims == 2)
    finally:
        stop.set()
        thread.join()
        keeper.close()


def test_looking_at_a_folder_keeps_little_of_each_file(tmp_path: Path) -> None:
    for number in range(MANY):
        (tmp_path / f"f{number}.yaml").write_text("")
    gc.collect()
    tracemalloc.start()
    try:
        found = Scan(Tree(tmp_path)).walk().found
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == MANY
    assert peak < 700 * MANY


def test_the_system_says_how_much_memory_a_process_has() -> None:
    before = resident_bytes()
    with mmap.mmap(-1, 64 << 20) as held:
        held.write(b"x" * (64 << 20))
        assert resident_bytes() - before > 48 << 20
