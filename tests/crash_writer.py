"""A process that writes until it is killed; it tells on standard output what was acknowledged.

    python crash_writer.py ROOT ROUND

Lines: `<writer> <number>` once commit `number` of a writer was acknowledged, `tree <slug>` once the tree of
200 entries was moved there.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from flatdata.index.keeper import Keeper
from flatdata.store.changes import Change, Delete, Move, Put
from flatdata.store.planning import View

GROUP = 5
TREE = 200


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def main(root: Path, start: int) -> None:
    keeper = Keeper(root)
    keeper.prepare(watch=False)
    store = keeper.store

    def write(writer: int) -> None:
        number = start
        while True:
            number += 1

            def plan(view: View, number: int = number) -> tuple[list[Change], Any]:
                group = [Put(f"w{writer}/g{place}", {"n": number}) for place in range(GROUP)]
                single = f"w{writer}/only-{number % 3}"
                extra: Change = Put(single, {"n": number})
                if number % 4 == 0 and view.get(single) is not None:
                    extra = Delete(single)
                return [*group, extra], None

            store.commit(plan, origin="test")
            say(f"{writer} {number}")

    def move() -> None:
        while True:
            source, target = (
                ("tree-a", "deep/er/tree-b") if store.exists("tree-a") else ("deep/er/tree-b", "tree-a")
            )
            move = Move(source, target)
            store.commit(lambda view, move=move: ([move], None), origin="test")  # type: ignore[misc]
            say(f"tree {target}")

    if not store.exists("tree-a") and not store.exists("deep/er/tree-b"):
        entries: list[Change] = [Put(f"tree-a/e{number}", {"n": number}) for number in range(TREE)]
        store.commit(lambda view: (entries, None), origin="test")
    say("started")
    for task in (*(lambda w=w: write(w) for w in range(3)), move):  # type: ignore[misc]
        threading.Thread(target=task).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
