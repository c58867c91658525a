"""Commits made at the same time, by threads and by processes: nothing is lost, and nobody hurts others."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from store_scenarios import assert_memory_is_what_files_say

from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.errors import EntryExists, EntryMissing, StoreUnavailable
from flatdata.store.planning import View
from flatdata.store.store import Store

THREADS = 12
ROUNDS = 15


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    """Two processes' views of one site."""
    opened = [Store(tmp_path, segment_bytes=4_000) for _ in range(2)]
    for store in opened:
        store.load_files()
    yield opened
    for store in opened:
        store.close()


def at_once(count: int, task: Callable[[int], None]) -> None:
    """Run `task(0)`, `task(1)`... in threads that start together; raises what one of them raised."""
    errors: list[BaseException] = []
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        try:
            task(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a commit never ends"
    if errors:
        raise errors[0]


def put(store: Store, slug: str, fields: dict[str, Any]) -> None:
    store.commit(lambda view: ([Put(slug, fields)], None), origin="test")


def test_commits_of_different_entries_are_all_there(stores: list[Store]) -> None:
    def write(number: int) -> None:
        for turn in range(ROUNDS):
            put(stores[number % 2], f"c/t{number}-{turn}", {"n": turn})

    at_once(THREADS, write)
    for store in stores:
        store.follow()
        assert len(store.children("c")) == THREADS * ROUNDS
        assert_memory_is_what_files_say(store)
    seqs = [record.seq for record, _ in stores[0].log.read(0, stores[0].log.head())]
    assert seqs == list(range(1, THREADS * ROUNDS + 1))


def test_commits_of_the_same_entry_build_on_each_other(stores: list[Store]) -> None:
    put(stores[0], "counter", {"n": 0})

    def count(view: View) -> tuple[list[Change], int]:
        entry = view.get("counter")
        assert entry is not None
        number = entry.fields["n"] + 1
        return [Put("counter", {"n": number})], number

    told: list[int] = []
    at_once(
        THREADS,
        lambda number: told.extend(stores[number % 2].commit(count, origin="test") for _ in range(ROUNDS)),
    )
    assert sorted(told) == list(range(1, THREADS * ROUNDS + 1))
    for store in stores:
        store.follow()
        entry = store.get("counter")
        assert entry is not None
        assert entry.fields == {"n": THREADS * ROUNDS}


def flushes(store: Store, patch: pytest.MonkeyPatch) -> list[int]:
    counted: list[int] = []
    real = os.fdatasync

    def flush(descriptor: int) -> None:
        counted.append(descriptor)
        real(descriptor)

    patch.setattr(os, "fdatasync", flush)
    return counted


def held_back(store: Store, count: int, task: Callable[[int], None]) -> None:
    """Run tasks while the write lock is held, and let go of it when all of them wait for it."""
    threads = [threading.Thread(target=task, args=(number,)) for number in range(count)]
    with store._writer:
        for thread in threads:
            thread.start()
        while len(store._commits._waiting) < count - 1:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_commits_that_wait_share_a_flush(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    counted = flushes(stores[0], monkeypatch)
    held_back(stores[0], 30, lambda number: put(stores[0], f"c/e{number}", {}))
    assert len(stores[0].children("c")) == 30
    assert len(counted) <= 3


def test_a_plan_that_raises_hurts_nobody_else(stores: list[Store]) -> None:
    store = stores[0]
    errors: dict[int, BaseException] = {}

    def write(number: int) -> None:
        def plan(view: View) -> tuple[list[Change], None]:
            if number % 3 == 1:
                raise ValueError(number)
            if number % 3 == 2:
                return [Delete(f"missing/e{number}")], None
            return [Put(f"c/e{number}", {})], None

        try:
            store.commit(plan, origin="test")
        except (ValueError, EntryMissing) as error:
            errors[number] = error

    held_back(store, 30, write)
    assert len(store.children("c")) == 10
    assert {number: type(error) for number, error in errors.items()} == {
        number: (ValueError if number % 3 == 1 else EntryMissing) for number in range(30) if number % 3
    }
    assert all(error.args == (number,) for number, error in errors.items() if number % 3 == 1)


def test_a_plan_that_ends_the_thread_does_not_stop_the_others(stores: list[Store]) -> None:
    store = stores[0]
    ended: list[int] = []
    refused: list[int] = []

    def write(number: int) -> None:
        def plan(view: View) -> tuple[list[Change], None]:
            if number == 5:
                raise SystemExit
            return [Put(f"c/e{number}", {})], None

        try:
            store.commit(plan, origin="test")
        except SystemExit:
            ended.append(number)
        except StoreUnavailable:
            refused.append(number)

    held_back(store, 12, write)
    put(store, "after", {})
    assert len(ended) == 1
    assert len(store.children("c")) == 12 - len(ended) - len(refused)
    assert_memory_is_what_files_say(store)


def test_what_a_plan_reads_is_current_when_it_says_so(stores: list[Store]) -> None:
    """Each row takes the next number that no row has: never the same one twice."""

    def insert(view: View) -> tuple[list[Change], int]:
        number = max((entry.fields["n"] for entry in view.children("rows")), default=0) + 1
        row = view.next_id()
        return [Put(f"rows/{row}", {"n": number})], number

    put(stores[0], "rows/manifest", {"id": 1})
    told: list[int] = []

    def write(number: int) -> None:
        for _ in range(5):
            told.append(stores[number % 2].commit(insert, origin="test", reads=["rows"]))

    at_once(THREADS, write)
    assert sorted(told) == list(range(1, 5 * THREADS + 1))
    stores[0].follow()
    assert len(stores[0].children("rows")) == 5 * THREADS


def test_of_commits_that_want_the_same_place_one_gets_it(stores: list[Store]) -> None:
    put(stores[0], "source", {"n": 1})
    put(stores[0], "source/child", {"n": 2})
    won: list[str] = []

    def move(number: int) -> None:
        change: Change = Move("source", "target") if number % 2 else Copy("source", "target")
        with contextlib.suppress(EntryExists, EntryMissing):
            stores[number % 2].commit(lambda view: ([change], None), origin="test")
            won.append(change.__class__.__name__)

    at_once(THREADS, move)
    assert len(won) == 1
    for store in stores:
        store.follow()
        assert store.exists("target/child")
        assert store.exists("source/child") == (won == ["Copy"])
        assert_memory_is_what_files_say(store)


def test_trees_and_entries_in_them_do_not_get_into_each_others_way(stores: list[Store]) -> None:
    for number in range(4):
        put(stores[0], f"tree{number}/a/b", {"n": number})

    def work(number: int) -> None:
        store = stores[number % 2]
        for turn in range(8):
            tree = f"tree{(number + turn) % 4}"
            kind = (number + turn) % 3
            change: Change = (
                Put(f"{tree}/a/new", {"n": turn})
                if kind == 0
                else Move(tree, f"tree{number}-{turn}")
                if kind == 1
                else DeleteTree(f"{tree}/a")
            )
            with contextlib.suppress(EntryExists, EntryMissing):
                store.commit(lambda view, change=change: ([change], None), origin="test")  # type: ignore[misc]

    at_once(6, work)
    for store in stores:
        store.follow()
        assert_memory_is_what_files_say(store)
    assert set(stores[0].state.entries) == set(stores[1].state.entries)


def test_a_reader_sees_all_of_a_commit_or_nothing(stores: list[Store]) -> None:
    writer, reader = stores
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            changes: list[Change] = [Put(f"c/e{place}", {"n": number}) for place in range(5)]
            writer.commit(lambda view, changes=changes: (changes, None), origin="test")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen = 0
        while seen < 8:
            reader.follow()
            numbers = {entry.fields["n"] for entry in reader.children("c")}
            assert len(numbers) <= 1
            seen = max(numbers, default=0)
    finally:
        stop.set()
        thread.join()


def test_an_edit_by_hand_behind_the_back_is_taken_in_before_the_commit(stores: list[Store]) -> None:
    put(stores[0], "a", {"n": 1})
    path = Path(stores[0].tree.file("a", "entry.yaml"))
    path.write_text("n: by hand\n")

    def plan(view: View) -> tuple[list[Change], Any]:
        entry = view.get("a")
        assert entry is not None
        return [Put("a", {**entry.fields, "m": 2})], None

    stores[0].commit(plan, origin="test")
    stores[1].follow()
    entry = stores[1].get("a")
    assert entry is not None
    assert entry.fields == {"n": "by hand", "m": 2}


def test_an_edit_by_hand_of_the_same_size_is_copied_as_it_is(stores: list[Store]) -> None:
    put(stores[0], "tree/a", {"n": 1})
    path = Path(stores[0].tree.file("tree/a", "entry.yaml"))
    path.write_text(path.read_text().replace("1", "2"))
    stores[0].commit(lambda view: ([Copy("tree", "twin")], None), origin="test")
    assert_memory_is_what_files_say(stores[0])
    entry = stores[0].get("twin/a")
    assert entry is not None
    assert entry.fields == {"n": 2}


def test_an_entry_keeps_its_text_when_it_becomes_a_folder(stores: list[Store]) -> None:
    text = "# kept by hand\nn:   1 # one\n"
    path = Path(stores[0].tree.file("a", "file"))
    path.write_text(text)
    stores[0].ingest(["a"])
    put(stores[0], "a/child", {})
    assert Path(stores[0].tree.file("a", "entry.yaml")).read_text() == text
    assert not path.exists()
    assert_memory_is_what_files_say(stores[0])
