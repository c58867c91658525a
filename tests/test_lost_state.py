"""Whatever was lost of `.flatdata/`, or is damaged in it: what is in memory is what the files say, and rows
get numbers that were never used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_scenarios import assert_memory_is_what_files_say, by_hand, commit, fill, known

from flatdata.index.keeper import Keeper
from flatdata.settings import load_settings
from flatdata.site import Site
from flatdata.store import catalogue as catalogue_module
from flatdata.store.catalogue import write_catalogue
from flatdata.store.changes import Delete, Put
from flatdata.store.errors import CorruptLog
from flatdata.store.log import ChangeLog
from flatdata.store.store import Store

# --- the head, the catalogue, the segments --------------------------------------------------------------


class Keepers:
    """Opens sites as their keepers do."""

    def __init__(self) -> None:
        self._open: list[Keeper] = []

    def start(self, root: Path) -> Keeper:
        keeper = Keeper(root, segment_bytes=500)
        self._open.append(keeper)
        keeper.prepare(watch=False)
        return keeper

    def close(self, keeper: Keeper) -> None:
        self._open.remove(keeper)
        keeper.close()

    def kill(self, keeper: Keeper) -> None:
        self._open.remove(keeper)
        keeper.store.close()

    def close_all(self) -> None:
        for keeper in list(self._open):
            self.close(keeper)


@pytest.fixture
def keepers() -> Iterator[Keepers]:
    keepers = Keepers()
    yield keepers
    keepers.close_all()


HEADS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "garbled": lambda path: path.write_bytes(b"\xff" * 68),
    "zeroed": lambda path: path.write_bytes(b"\0" * 68),
}


@pytest.mark.parametrize("damage", HEADS)
def test_a_damaged_head_is_made_again(damage: str, tmp_path: Path, keepers: Keepers) -> None:
    store = fill(tmp_path)
    commit(store, Put("tree/a", {"n": 9}))
    commit(store, Put("tree/a", {"n": 10}))
    expected = known(store)
    store.close()
    HEADS[damage](tmp_path / ".flatdata" / "log" / "head")
    keeper = keepers.start(tmp_path)
    assert known(keeper.store) == expected
    assert_memory_is_what_files_say(keeper.store)
    commit(keeper.store, Put("x", {}))
    assert [record.seq for record, _ in keeper.store.log.read(0, keeper.store.log.head())] == [1, 2, 3, 4]


def other_version(path: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(catalogue_module, "VERSION", 99)


CATALOGUES: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "missing": lambda path, _: path.unlink(),
    "no folder": lambda path, _: shutil.rmtree(path.parent),
    "empty": lambda path, _: path.write_bytes(b""),
    "truncated": lambda path, _: os.truncate(path, path.stat().st_size // 2),
    "garbled": lambda path, _: path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":7')),
    "without a line": lambda path, _: path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:2])),
    "other version": other_version,
    "whole": lambda path, _: None,
}


@pytest.mark.parametrize("damage", CATALOGUES)
def test_a_damaged_catalogue_is_made_again_from_the_files(
    damage: str, tmp_path: Path, keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path).close()
    keeper = keepers.start(tmp_path)
    commit(keeper.store, Put("x", {"n": 1}), Delete("tree/a"))
    expected = known(keeper.store)
    keepers.close(keeper)
    by_hand(keeper.store, "tree/b/c", {"by": "hand"})
    expected["tree/b/c"] = ({"by": "hand"}, {})
    CATALOGUES[damage](tmp_path / ".flatdata" / "index" / "catalogue", monkeypatch)
    again = keepers.start(tmp_path)
    assert known(again.store) == expected
    assert_memory_is_what_files_say(again.store)
    assert (tmp_path / ".flatdata" / "index" / "catalogue").exists()
    commit(again.store, Put("y", {}))


def test_a_catalogue_of_another_log_is_not_believed(tmp_path: Path, keepers: Keepers) -> None:
    fill(tmp_path).close()
    keepers.close(keepers.start(tmp_path))
    shutil.copytree(tmp_path / ".flatdata" / "index", tmp_path / "saved")
    shutil.rmtree(tmp_path / ".flatdata")
    keeper = keepers.start(tmp_path)
    for number in range(50):
        commit(keeper.store, Put(f"more/e{number}", {"n": number}))
    expected = known(keeper.store)
    keepers.close(keeper)
    shutil.rmtree(tmp_path / ".flatdata" / "index")
    shutil.move(tmp_path / "saved", tmp_path / ".flatdata" / "index")
    assert known(keepers.start(tmp_path).store) == expected


def test_a_site_without_a_catalogue_serves_its_files(tmp_path: Path) -> None:
    fill(tmp_path).close()
    site = Site(tmp_path, load_settings(tmp_path, {}, {}))
    site.start("off")
    assert site.ready
    assert len(known(site.store)) == 7
    commit(site.store, Put("x", {}))
    site.close()


def test_a_process_that_serves_does_not_believe_a_catalogue_of_another_log(tmp_path: Path) -> None:
    catalogue = tmp_path / ".flatdata" / "index" / "catalogue"
    catalogue.parent.mkdir(parents=True)
    positions = []
    for name in "ab":
        store = Store(tmp_path)
        commit(store, Put(name, {"n": 1}))
        positions.append(store.position)
        write_catalogue(
            catalogue.with_name(name),
            store.state.entries.values(),
            {},
            epoch=store.log.epoch(),
            position=store.position,
            seq=1,
            high_water=0,
        )
        store.close()
        if name == "a":
            shutil.rmtree(tmp_path / ".flatdata" / "log")
    assert positions[0] == positions[1], "the places in the logs do not tell them apart"
    store = Store(tmp_path)
    os.replace(catalogue.with_name("a"), catalogue)
    assert store.load_catalogue() is None
    os.replace(catalogue.with_name("b"), catalogue)
    assert store.load_catalogue() is not None
    store.close()


def test_a_log_lost_in_part_is_read_around(tmp_path: Path, keepers: Keepers) -> None:
    fill(tmp_path).close()
    keeper = keepers.start(tmp_path)
    saved = (tmp_path / ".flatdata" / "index" / "catalogue").read_bytes()
    for number in range(30):
        commit(keeper.store, Put(f"more/e{number}", {"n": number}))
    expected = known(keeper.store)
    keepers.close(keeper)
    (tmp_path / ".flatdata" / "index" / "catalogue").write_bytes(saved)
    segments = sorted((tmp_path / ".flatdata" / "log").glob("*.log"))
    segments[len(segments) // 2].write_bytes(b"\n".join([b"garbage"] * 30))
    again = keepers.start(tmp_path)
    assert known(again.store) == expected
    commit(again.store, Put("x", {}))


def test_the_log_is_kept_in_segments_that_all_can_follow(tmp_path: Path) -> None:
    store = Store(tmp_path, segment_bytes=300)
    other = Store(tmp_path, segment_bytes=300)
    for number in range(40):
        commit(store if number % 2 else other, Put(f"e{number}", {"n": number}))
    store.follow()
    other.follow()
    assert len(store.log.segments()) > 5
    assert known(store) == known(other) == {f"e{number}": ({"n": number}, {}) for number in range(40)}
    seqs = [record.seq for record, _ in store.log.read(0, store.log.head())]
    assert seqs == list(range(1, 41))
    store.close()
    other.close()


def test_old_segments_are_dropped_and_everybody_goes_on(tmp_path: Path, keepers: Keepers) -> None:
    keeper = keepers.start(tmp_path)
    idle = Store(tmp_path)
    idle.load_catalogue()
    lost = Store(tmp_path)
    lost.load_catalogue()
    for number in range(40):
        commit(keeper.store, Put(f"e{number}", {"n": number}))
    log = keeper.store.log
    middle = log.segments()[3]
    assert log.drop_older(4e12, middle - 1) == 2
    assert log.drop_older(0, log.head()) == 0
    with pytest.raises(CorruptLog):
        lost.follow()
    keepers.close(keeper)
    keeper = keepers.start(tmp_path)
    idle.follow()
    lost.follow()
    keeper.store.log.drop_older(4e12, keeper.store.log.head())
    assert keeper.store.log.start() > middle
    commit(lost, Put("x", {}))
    idle.follow()
    keeper.store.follow()
    assert known(idle) == known(lost) == known(keeper.store)
    assert len(known(idle)) == 41
    assert idle.state.seq == keeper.store.state.seq == 41
    idle.close()
    lost.close()


# --- numbers of rows --------------------------------------------------------------------------------------


def next_id(store: Store) -> int:
    number: int = store.commit(lambda view: ([], view.next_id()), origin="test")
    return number


@pytest.mark.parametrize("loss", ["nothing", "index", "crash", "crash and index"])
def test_the_number_of_a_deleted_row_is_not_used_again(loss: str, tmp_path: Path, keepers: Keepers) -> None:
    fill(tmp_path).close()
    keeper = keepers.start(tmp_path)
    commit(keeper.store, Put("rows/7", {}))
    commit(keeper.store, Delete("rows/7"))
    if "crash" in loss:
        keepers.kill(keeper)
    else:
        keepers.close(keeper)
    if "index" in loss:
        shutil.rmtree(tmp_path / ".flatdata" / "index")
    assert next_id(keepers.start(tmp_path).store) == 8


def test_numbers_go_on_from_the_files_when_all_state_is_lost(tmp_path: Path, keepers: Keepers) -> None:
    fill(tmp_path).close()
    shutil.rmtree(tmp_path / ".flatdata")
    assert next_id(keepers.start(tmp_path).store) == 3


@pytest.mark.parametrize("number", [10**15 - 1, 10**15, 10**17])
def test_numbers_after_a_very_large_one_are_drawn_once(number: int, tmp_path: Path) -> None:
    store = fill(tmp_path)
    commit(store, Put(f"rows/{number}", {"n": "large"}))
    other = Store(tmp_path)
    other.load_files()
    drawn = [number]
    for turn in range(6):
        writer = (store, other)[turn % 2]
        drawn.append(
            writer.commit(lambda view: ([Put(f"rows/{(n := view.next_id())}", {})], n), origin="test")
        )
    assert len(set(drawn)) == 7
    assert known(other)[f"rows/{number}"] == ({"n": "large"}, {})
    store.close()
    other.close()


def test_two_processes_never_draw_the_same_number(tmp_path: Path) -> None:
    stores = [fill(tmp_path), Store(tmp_path)]
    stores[1].load_files()
    drawn = []
    for turn in range(10):
        store = stores[turn % 2]
        drawn.append(
            store.commit(lambda view: ([Put(f"rows/{(n := view.next_id())}", {})], n), origin="test")
        )
    assert drawn == list(range(3, 13))
    for store in stores:
        store.close()


def test_a_head_is_one_word_for_all_processes(tmp_path: Path) -> None:
    log, other = ChangeLog(tmp_path), ChangeLog(tmp_path)
    for position in (0, 255, 256, 2**32, 2**40 + 1):
        log.publish(position)
        assert other.head() == position
    assert log.epoch() == other.epoch()
    log.close()
    other.close()
