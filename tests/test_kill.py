"""Writers killed with SIGKILL at random moments: what was acknowledged is there, what is half-done is not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from crash_writer import GROUP, TREE

from flatdata.index.keeper import Keeper
from flatdata.store.scan import Scan

KILLS = 52
WRITERS = 3


def _run_and_kill(root: Path, start: int, seconds: float) -> dict[str, str]:
    """Let writers write for a while; gives the last thing that each was told."""
    script = Path(__file__).with_name("crash_writer.py")
    child = subprocess.Popen([sys.executable, str(script), str(root), str(start)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"started\n"
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    told = child.stdout.read().decode()
    child.stdout.close()
    child.wait()
    acknowledged = {}
    for line in told.splitlines():
        writer, _, what = line.partition(" ")
        acknowledged[writer] = what
    return acknowledged


def _check(root: Path, acknowledged: dict[str, str], last: int) -> int:
    """Open the site again and look; gives the largest number that any writer may have reached."""
    keeper = Keeper(root)
    keeper.prepare(watch=False)
    store = keeper.store
    highest = last
    for writer in range(WRITERS):
        numbers = {
            entry.fields["n"]
            for place in range(GROUP)
            if (entry := store.get(f"w{writer}/g{place}")) is not None
        }
        assert len(numbers) <= 1, "half of a commit is there"
        present = numbers.pop() if numbers else 0
        told = int(acknowledged.get(str(writer), 0))
        assert present >= told, "an acknowledged commit is lost"
        assert not told or present <= told + 1
        highest = max(highest, present)
    trees = [slug for slug in ("tree-a", "deep/er/tree-b") if store.exists(slug)]
    assert len(trees) == 1
    assert len(store.children(trees[0])) == TREE
    for slug, found in Scan(store.tree).walk().found.items():
        entry = store.get(slug)
        assert entry is not None
        assert store.disk.read(slug, found.form).body == entry.body
    assert len(Scan(store.tree).walk().found) == len(store.state.entries)
    assert os.listdir(store.disk.scratch.folder) == []
    keeper.close()
    return highest


def test_kills_lose_nothing_acknowledged_and_leave_nothing_half_done(site_dir: Path) -> None:
    source = random.Random(20)
    number = 0
    for _ in range(KILLS):
        acknowledged = _run_and_kill(site_dir, number, source.uniform(0.0, 0.25))
        number = _check(site_dir, acknowledged, number) + 1
