"""What is to be sent after a write: kept in files until it is delivered, so that a restart loses nothing.

A job is one hook for one or more rows: a file whose first line is the hook and each further line the columns
of a row. Its name begins with the time it is due and the number of the attempt; beside it, `<name>.done` has
one byte for each row that was dealt with. A row that could not be delivered becomes a job of its own, due
later. After the last attempt it is moved to `failed/`, from where it can be moved back to be sent again.

Any process of the site may add jobs; the one that holds the lock on `lock`, which dies with it, sends them.
Delivery is at least once: a crash between the answer of a web hook and the byte in `.done` sends it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from flatdata.dialects.fliplet.courier import NotDelivered
from flatdata.dialects.fliplet.hooks import Hook, InvalidHook, Json, read_hook

SENDERS: Final = 4
FAILED_KEPT: Final = 1_000
RETRY_SECONDS: Final = (2.0, 10.0, 60.0, 600.0, 3600.0)
"""How long to wait after the first, second, ... failure; the last one goes on."""

Deliver = Callable[[Hook, Mapping[str, Json]], None]
_log = logging.getLogger("flatdata.fliplet.hooks")


@dataclass(frozen=True, slots=True)
class Job:
    """The first line of a job's file."""

    source_id: int
    hook: dict[str, Any]


class Outbox:
    """The jobs of one site.

    Args:
        folder: for the files; made when the first job comes.
        deliver: sends one hook for one row; raises `NotDelivered`.
        attempts: how often that is tried.
        retry_seconds: see `RETRY_SECONDS`.
        poll_seconds: how often to look for jobs that other processes added or that fall due.

    `start` begins sending, in threads that end with the process; `close` ends them sooner. `_lock` guards
    `_in_hand`, the names of jobs that a sender has.
    """

    def __init__(
        self,
        folder: Path,
        deliver: Deliver,
        attempts: int,
        *,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        poll_seconds: float = 1.0,
    ) -> None:
        self._folder = folder
        self._deliver = deliver
        self._attempts = attempts
        self._retry_seconds = retry_seconds
        self._poll_seconds = poll_seconds
        self._news = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()
        self._thread: threading.Thread | None = None

    # --- adding -----------------------------------------------------------------------------------------

    def post(self, source_id: int, hook: Hook, rows: Iterable[bytes]) -> None:
        """Add a job: `rows` are the columns of each row as JSON. Raises OSError."""
        header = msgspec.json.encode(Job(source_id, dict(hook.definition)))
        self._write(b"\n".join([header, *rows]) + b"\n", due=time.time(), attempt=1)
        self.start()
        self._news.set()

    def _write(self, data: bytes, due: float, attempt: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{int(due * 1000):015d}-{attempt:03d}-{uuid.uuid4().hex}"
        temporary = self._folder / f"{name}.new"
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._folder / f"{name}.job")

    def pending(self) -> int:
        """How many jobs wait or are being sent."""
        return len(self._names())

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._folder) if name.endswith(".job"))
        except FileNotFoundError:
            return []

    # --- sending ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to send what is there and what comes; does nothing the second time."""
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="fliplet-hooks", daemon=True)
                self._thread.start()

    def start_if_pending(self) -> None:
        """Begin to send if an earlier run left jobs."""
        if self._names():
            self.start()

    def close(self) -> None:
        """Stop sending; what is not delivered stays for the next start."""
        self._closed.set()
        self._news.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=2.0)

    def _run(self) -> None:
        with open(self._folder / "lock", "ab") as lock:
            while not _try_lock(lock.fileno()):
                if self._closed.wait(self._poll_seconds):
                    return
            others = [
                threading.Thread(target=self._work, name="fliplet-hook", daemon=True)
                for _ in range(SENDERS - 1)
            ]
            for thread in others:
                thread.start()
            self._work()
            for thread in others:
                thread.join()

    def _work(self) -> None:
        while not self._closed.is_set():
            self._news.clear()
            name = self._take()
            if name is None:
                self._news.wait(self._poll_seconds)
                continue
            try:
                self._send(name)
            except OSError:  # a full disk, say; the job stays and is tried again
                _log.exception("sending hooks failed")
                self._closed.wait(self._poll_seconds)

    def _take(self) -> str | None:
        """A job that is due and that no other sender has."""
        now = int(time.time() * 1000)
        with self._lock:
            for name in self._names():
                if not name[:15].isdigit() or int(name[:15]) > now:
                    return None
                if name not in self._in_hand:
                    self._in_hand.add(name)
                    return name
        return None

    def _send(self, name: str) -> None:
        path = self._folder / name
        done_path = path.with_suffix(".done")
        try:
            with contextlib.suppress(FileNotFoundError), open(done_path, "ab", buffering=0) as done:
                for job, line in _rows(path, done.tell()):
                    if self._closed.is_set():
                        return
                    self._send_row(job, line, int(name[16:19]))
                    done.write(b".")
            path.unlink(missing_ok=True)
            done_path.unlink(missing_ok=True)
        finally:
            with self._lock:
                self._in_hand.discard(name)

    def _send_row(self, job: Job, line: bytes, attempt: int) -> None:
        try:
            self._deliver(read_hook(job.hook), msgspec.json.decode(line))
        except (InvalidHook, msgspec.DecodeError):
            _log.warning("a hook of data source %d cannot be read", job.source_id)
        except NotDelivered as error:
            last = attempt >= self._attempts or not error.again
            _log.log(
                logging.ERROR if last else logging.WARNING,
                "%s hook of data source %d not delivered, attempt %d of %d: %s",
                job.hook.get("type"), job.source_id, attempt, self._attempts, error.reason,
            )  # fmt: skip
            data = msgspec.json.encode(job) + b"\n" + line + b"\n"
            if last:
                self._keep_failed(data)
            else:
                wait = self._retry_seconds[min(attempt, len(self._retry_seconds)) - 1]
                self._write(data, time.time() + wait, attempt + 1)

    def _keep_failed(self, data: bytes) -> None:
        folder = self._folder / "failed"
        folder.mkdir(exist_ok=True)
        kept = sorted(os.listdir(folder))
        for name in kept[: max(0, len(kept) - FAILED_KEPT + 1)]:
            (folder / name).unlink(missing_ok=True)
        path = folder / f"{int(time.time() * 1000):015d}-001-{uuid.uuid4().hex}.job"
        path.write_bytes(data)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _rows(path: Path, skip: int) -> Iterator[tuple[Job, bytes]]:
    """The rows of a job's file after the first `skip`; none if its first line cannot be read."""
    with open(path, "rb") as file:
        try:
            job = msgspec.json.decode(file.readline(), type=Job)
        except msgspec.DecodeError:
            _log.error("the hook file %s cannot be read", path.name)
            return
        for number, line in enumerate(file):
            if number >= skip and line.endswith(b"\n"):
                yield job, line[:-1]
