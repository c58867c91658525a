"""What the watcher hints at, of the folders it was shown."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually
from watchdog.observers.inotify_c import InotifyFD

from flatdata.index import watching
from flatdata.index.watching import OVERFLOW, Hint, Watcher
from flatdata.store.paths import Tree
from flatdata.store.scan import Scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("films/old", "films/new/deep", "books"):
        (tmp_path / "content" / name).mkdir(parents=True)
    return tmp_path / "content"


@pytest.fixture
def watcher(folder: Path) -> Iterator[Watcher]:
    """A watcher that was shown all folders, by a scan."""
    watcher = Watcher(folder)
    Scan(Tree(folder), watcher.watch).walk()
    yield watcher
    watcher.close()


class Hints:
    """What was hinted at so far."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._seen: set[Hint] = set()

    def has(self, path: Path | str, is_folder: bool = False) -> bool:
        while not self._watcher.hints.empty():
            self._seen.add(self._watcher.hints.get())
        return (str(path), is_folder) in self._seen


def test_files_made_changed_moved_and_deleted_are_hinted_at(folder: Path, watcher: Watcher) -> None:
    hints = Hints(watcher)
    film = folder / "films" / "old" / "a.yaml"
    film.write_text("a: 1\n")
    assert eventually(lambda: hints.has(film))
    other = folder / "books" / "b.yaml"
    film.rename(other)
    assert eventually(lambda: hints.has(other))
    third = folder / "films" / "new" / "deep" / "c.yaml"
    os.link(other, third)
    assert eventually(lambda: hints.has(third))
    again = Hints(watcher)
    other.unlink()
    assert eventually(lambda: again.has(other))


def test_a_folder_is_hinted_at_and_watched_once_it_was_scanned(folder: Path, watcher: Watcher) -> None:
    hints = Hints(watcher)
    (folder / "songs").mkdir()
    assert eventually(lambda: hints.has(folder / "songs", True))
    Scan(Tree(folder), watcher.watch).walk("songs")
    (folder / "songs" / "a.yaml").write_text("a: 1\n")
    assert eventually(lambda: hints.has(folder / "songs" / "a.yaml"))


def test_a_folder_that_was_moved_is_watched_under_its_new_name(folder: Path, watcher: Watcher) -> None:
    hints = Hints(watcher)
    (folder / "films").rename(folder / "moved")
    assert eventually(lambda: hints.has(folder / "moved", True))
    assert hints.has(folder / "films", True)
    Scan(Tree(folder), watcher.watch).walk("moved")
    film = folder / "moved" / "new" / "deep" / "a.yaml"
    film.write_text("a: 1\n")
    assert eventually(lambda: hints.has(film))
    assert not hints.has(folder / "films" / "new" / "deep" / "a.yaml")


def test_another_folder_in_the_place_of_one_is_watched(folder: Path, watcher: Watcher) -> None:
    hints = Hints(watcher)
    shutil.rmtree(folder / "books")
    # Told by the folder itself: whoever scanned too early for that is told to scan again.
    assert eventually(lambda: hints.has(folder / "books", True) and len(watcher._by_path) == 5)
    (folder / "books").mkdir()
    Scan(Tree(folder), watcher.watch).walk("books")
    (folder / "books" / "a.yaml").write_text("a: 1\n")
    assert eventually(lambda: hints.has(folder / "books" / "a.yaml"))


def test_what_was_moved_away_is_not_watched_any_more(folder: Path, watcher: Watcher, tmp_path: Path) -> None:
    hints = Hints(watcher)
    (folder / "films").rename(tmp_path / "elsewhere")
    assert eventually(lambda: hints.has(folder / "films", True))
    assert len(watcher._by_path) == len(watcher._by_watch) == 2
    (tmp_path / "elsewhere" / "a.yaml").write_text("a: 1\n")
    (folder / "books" / "b.yaml").write_text("b: 1\n")
    assert eventually(lambda: hints.has(folder / "books" / "b.yaml"))
    assert not hints.has(folder / "films" / "a.yaml")


def test_hints_that_nobody_takes_become_one(
    folder: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_MOST_HINTS", 10)
    for number in range(100):
        (folder / "books" / f"b{number}.yaml").write_text("")
    assert eventually(lambda: watcher.hints.qsize() > 10)
    taken = [watcher.hints.get() for _ in range(11)]
    assert taken[-1] == (OVERFLOW, True)
    assert watcher.hints.qsize() <= 11


def test_folders_beyond_what_the_system_watches_are_known(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher(folder)

    def refuse(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    watcher.watch(str(folder))
    watcher.watch(str(folder / "gone"))
    assert not watcher.partial
    monkeypatch.setattr(InotifyFD, "add_callback", refuse)
    watcher.watch(str(folder / "films"))
    assert watcher.partial
    watcher.close()


def test_a_system_without_watchers_to_spare_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(InotifyFD, "_create_inotify_fd", refuse)
    watcher = Watcher(folder)
    watcher.watch(str(folder))
    assert watcher.partial
    watcher.close()


def test_a_new_folder_with_the_number_of_the_old_one_is_noticed(
    folder: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the file system gives the number of the folder that went to the next that is made.
    monkeypatch.setattr(watching, "_identity", lambda folder: watcher._identity)
    assert not watcher.is_stale()
    shutil.rmtree(folder)
    folder.mkdir()
    assert eventually(watcher.is_stale)
    watcher.watch(str(folder))
    assert not watcher.is_stale()
