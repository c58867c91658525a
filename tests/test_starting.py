"""What a start does without, what it tells on the way, and the catalogue it reads."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import eventually, write

from flatdata import server
from flatdata.app import _LATER
from flatdata.index.status import READING, READY, KeeperStatus, StatusFile
from flatdata.settings import Settings
from flatdata.store.catalogue import read_catalogue, write_catalogue
from flatdata.store.entry import Entry
from flatdata.store.paths import ENTRY_MD, ENTRY_YAML, FILE

# --- imports --------------------------------------------------------------------------------------------

NOT_NEEDED = {
    "flatdata.index.keeper_process": ["whoosh", "yaml", "frontmatter", "flask", "granian", "tqdm", "click"],
    "flatdata.cli.serve, flatdata.server": ["granian", "flask", "whoosh", "tqdm", "yaml", "watchdog"],
    "flatdata.app": [*_LATER, "whoosh", "yaml", "frontmatter", "cryptography", "watchdog", "granian"],
}
"""By what a process imports before a site is open: what takes long to import and is not needed for that."""


def loaded_after(code: str, names: list[str]) -> list[str]:
    """Those of some modules that are loaded in a new process that ran `code`."""
    script = f"import sys\n{code}\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("modules", NOT_NEEDED)
def test_a_start_imports_nothing_that_it_can_do_without(modules: str) -> None:
    assert loaded_after(f"import {modules}", NOT_NEEDED[modules]) == []


def test_what_was_not_imported_is_soon_after_the_site_is_open(site_dir: Path) -> None:
    write(site_dir, "a.yaml", "title: a\n")
    code = f"""
import os, threading
os.environ["FLATDATA_ROOT"] = {str(site_dir)!r}
from flatdata.app import create_app_from_environment
app = create_app_from_environment()
[thread] = [each for each in threading.enumerate() if each.name == "importing"]
thread.join()
assert app.extensions["flatdata"].ready
"""
    assert loaded_after(code, list(_LATER)) == list(_LATER)


# --- what is told ---------------------------------------------------------------------------------------


class Screen:
    """A terminal, and what was shown on it."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.out = os.fdopen(slave, "w", encoding="utf-8")
        self._shown = b""

    def shown(self) -> str:
        while select.select([self._master], [], [], 0)[0]:
            self._shown += os.read(self._master, 65_536)
        return self._shown.decode()

    def close(self) -> None:
        self.out.close()
        os.close(self._master)


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def status(site_dir: Path, monkeypatch: pytest.MonkeyPatch) -> StatusFile:
    """The status of a keeper that reads content for the first time."""
    (site_dir / ".flatdata").mkdir()
    monkeypatch.setattr(server, "_answers", lambda settings: True)
    file = StatusFile(site_dir / ".flatdata")
    file.write(KeeperStatus(phase=READING, done=500, total=2_000))
    return file


def telling(root: Path, out: io.TextIOBase) -> threading.Thread:
    thread = threading.Thread(target=server._tell, args=(Settings(), root, out, time.monotonic()))
    thread.start()
    return thread


def test_a_first_start_shows_its_progress_on_a_terminal(
    site_dir: Path, status: StatusFile, screen: Screen
) -> None:
    thread = telling(site_dir, screen.out)
    assert eventually(lambda: "reading content:  25%" in screen.shown())
    assert "500/2000" in screen.shown()
    status.write(KeeperStatus(phase=READING, done=1_500, total=2_000))
    assert eventually(lambda: "1500/2000" in screen.shown())
    status.write(KeeperStatus(phase=READY, entries=2_000))
    thread.join()
    last = screen.shown().split("\n")[-2]
    assert "2000 entries, 0 sources, 0 problems, opened in" in last


def test_no_bar_is_drawn_where_nobody_watches(site_dir: Path, status: StatusFile) -> None:
    out = io.StringIO()
    thread = telling(site_dir, out)
    thread.join(0.2)
    status.write(KeeperStatus(phase=READY, entries=2_000))
    thread.join()
    assert out.getvalue().startswith("flatdata: http://127.0.0.1:8000 serves")
    assert out.getvalue().count("\n") == 1


def test_a_first_start_on_a_terminal_ends_with_what_was_opened(site_dir: Path, screen: Screen) -> None:
    for number in range(300):
        write(site_dir, f"films/f{number}.yaml", f"title: Film {number}\n")
    command = [sys.executable, "-m", "flatdata", "serve", "--root", str(site_dir), "--port", "0"]
    process = subprocess.Popen(command, stderr=screen.out, stdout=subprocess.DEVNULL)
    try:
        assert eventually(lambda: "300 entries, 0 sources, 0 problems, opened in" in screen.shown())
    finally:
        process.terminate()
        process.wait(60)


# --- the catalogue --------------------------------------------------------------------------------------

COUNT = 2_345
"""More than two blocks of a catalogue, and a part of one."""


def entries() -> list[Entry]:
    """Entries of every form, with dates, sizes and texts at the ends of what there can be."""
    dates = (0, -1, -(10**18), 10**18 + 7, 32_503_680_000 * 10**9 + 1, 2**33 * 10**9)
    forms = (FILE, ENTRY_YAML, ENTRY_MD)
    return [
        Entry(
            f"films/{'ä' * (number % 7)}f{number}",
            b'{"n":%d,"text":"%s"}' % (number, b"x\\ty" * (number % 50)),
            b'{"id":1}' if number % 3 else b"",
            form=forms[number % len(forms)],
            mtime_ns=dates[number % len(dates)],
            size=number * 10**12,
            seq=number,
        )
        for number in range(COUNT)
    ]


def facts(entry: Entry) -> tuple[object, ...]:
    return entry.slug, entry.body, entry.meta_body, entry.form, entry.mtime_ns, entry.size, entry.seq


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "index" / "catalogue"
    inodes = {entry.slug: 2**64 - 1 - entry.seq for entry in entries() if entry.seq % 2}
    write_catalogue(path, entries(), inodes, epoch="e", position=7, seq=COUNT, high_water=9)
    return path


def test_a_catalogue_gives_back_what_was_written(catalogue: Path) -> None:
    read = read_catalogue(catalogue)
    assert read is not None
    assert [facts(entry) for entry in read.entries] == [facts(entry) for entry in entries()]
    assert read.inodes == [2**64 - 1 - entry.seq if entry.seq % 2 else 0 for entry in entries()]
    assert (read.epoch, read.position, read.seq, read.high_water) == ("e", 7, COUNT, 9)


def test_a_catalogue_that_is_cut_off_or_changed_anywhere_is_not_believed(catalogue: Path) -> None:
    data = catalogue.read_bytes()
    end_of_head = data.index(b"\n") + 1
    for length in (0, 5, end_of_head, end_of_head + 3, len(data) // 2, len(data) - 1):
        catalogue.write_bytes(data[:length])
        assert read_catalogue(catalogue) is None, length
    for place in (*range(0, end_of_head + 60, 3), *range(end_of_head, len(data), len(data) // 50)):
        catalogue.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert read_catalogue(catalogue) is None, place
    catalogue.write_bytes(data + b"\0")
    assert read_catalogue(catalogue) is None
    catalogue.write_bytes(data)
    assert read_catalogue(catalogue) is not None


def test_a_catalogue_of_no_entries_is_one(tmp_path: Path) -> None:
    path = tmp_path / "index" / "catalogue"
    write_catalogue(path, [], {}, epoch="e", position=0, seq=0, high_water=0)
    read = read_catalogue(path)
    assert read is not None
    assert read.entries == []
