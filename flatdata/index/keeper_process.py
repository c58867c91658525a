"""The keeper as a process: `python -m flatdata.index.keeper_process ROOT OPTIONS`.

It runs until its standard input closes, which is when the process that started it stops or dies, or until
the file of its lock is deleted: another keeper may be running then. Exit code 3: the site has a keeper.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from flatdata.index.keeper import Keeper
from flatdata.index.supervisor import TAKEN, KeeperOptions, keeper_lock

_POLL_SECONDS: Final = 1.0


def main(root: Path, options: KeeperOptions) -> int:
    """Keep the site at `root` until standard input closes."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The terminal's interrupt and the service manager's signal go to the server, which then closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock = keeper_lock(root / ".flatdata")
    if lock is None:
        return TAKEN
    # All that is made until the site can be served stays: looking at it for garbage is half a second lost.
    gc.disable()
    stop = threading.Event()
    threading.Thread(target=_wait_for_end, args=(stop, lock), daemon=True).start()
    keeper = Keeper(
        root,
        compare_seconds=options.compare_seconds,
        checkpoint_seconds=options.checkpoint_seconds,
        keep_days=options.keep_days,
        segment_bytes=options.segment_bytes,
    )
    try:
        keeper.prepare()
        gc.freeze()
        gc.enable()
        keeper.run(stop)
    finally:
        keeper.close()
        os.close(lock)
    return 0


def _wait_for_end(stop: threading.Event, lock: int) -> None:
    while os.fstat(lock).st_nlink:
        ready, _, _ = select.select([0], [], [], _POLL_SECONDS)
        if ready and not os.read(0, 1):
            break
    stop.set()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=KeeperOptions)))
