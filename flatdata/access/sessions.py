"""Log-ins of people: tokens that expire, and a limit on guessing.

Both live in one SQLite file in `.flatdata/`, so that they survive a restart and all processes of a site share
them. Of a token only the SHA-256 is kept. Each call opens the file anew: that costs a tenth of a millisecond,
and nothing is shared between threads or inherited over a fork.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_NAME: Final = "sessions.sqlite3"
MAX_TOKEN_CHARACTERS: Final = 512
_BUSY_SECONDS: Final = 10.0
_TOUCH_SECONDS: Final = 60.0
"""How old the note of a token's last use may become before it is renewed."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessions (
    token TEXT PRIMARY KEY, user TEXT NOT NULL, expires REAL NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_user ON sessions (user);
CREATE TABLE IF NOT EXISTS attempts (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, made REAL NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_subject ON attempts (subject, made);
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through: to be forgiven if it succeeds."""

    ids: tuple[int, ...]


class _Database:
    """The file, opened for each use. `clock` gives seconds since 1970."""

    def __init__(self, state_dir: Path, clock: Callable[[], float]) -> None:
        self.path = state_dir / FILE_NAME
        self.clock = clock

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for looking something up; None while there is no file."""
        if not self.path.exists():
            yield None
            return
        with contextlib.closing(self._connect()) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction that nobody else writes beside."""
        with contextlib.closing(self._connect()) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        if not self.path.exists():
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)


class Sessions:
    """The log-ins of one site.

    Args:
        state_dir: `.flatdata/`.
        idle_seconds: without a request after which a log-in ends early.
        clock: seconds since 1970.
    """

    def __init__(self, state_dir: Path, idle_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._database = _Database(state_dir, clock)
        self._idle_seconds = idle_seconds

    def open(self, user: str, seconds: float) -> str:
        """Log a user in; gives the token, which is kept nowhere."""
        token = secrets.token_urlsafe(32)
        now = self._database.clock()
        with self._database.writing() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE expires <= ? OR used <= ?", (now, now - self._idle_seconds)
            )
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?)", (_digest(token), user, now + seconds, now)
            )
        return token

    def user_of(self, token: str) -> str | None:
        """The user whom a token belongs to, None if it is not valid (any more)."""
        if not token or len(token) > MAX_TOKEN_CHARACTERS:
            return None
        digest, now = _digest(token), self._database.clock()
        with self._database.reading() as connection:
            row = None if connection is None else _one(connection, digest)
        if row is None:
            return None
        user, expires, used = row
        if expires <= now or used <= now - self._idle_seconds:
            return None
        if used < now - min(_TOUCH_SECONDS, self._idle_seconds / 10):
            with self._database.writing() as connection:
                connection.execute("UPDATE sessions SET used = ? WHERE token = ?", (now, digest))
        return user

    def end_all(self, user: str) -> None:
        """Log a user out everywhere."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE user = ?", (user,))


class Attempts:
    """Counts attempts by subject (an account, an address) and says when there were too many.

    Args:
        state_dir: `.flatdata/`.
        limit: attempts that one subject has in `window_seconds`.
        clock: seconds since 1970.
    """

    def __init__(
        self, state_dir: Path, limit: int, window_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = _Database(state_dir, clock)
        self._limit = limit
        self._window = window_seconds

    def begin(self, *subjects: str) -> Attempt | float:
        """Count an attempt before it is made, so that many at once are counted too.

        Gives the attempt, or the seconds until there may be another one.
        """
        now = self._database.clock()
        names = [_digest(subject) for subject in subjects]
        with self._database.writing() as connection:
            connection.execute("DELETE FROM attempts WHERE made <= ?", (now - self._window,))
            waits = [self._wait(connection, name, now) for name in names]
            if any(waits):
                return max(waits)
            return Attempt(
                tuple(
                    connection.execute(
                        "INSERT INTO attempts (subject, made) VALUES (?, ?)", (name, now)
                    ).lastrowid
                    or 0
                    for name in names
                )
            )

    def _wait(self, connection: sqlite3.Connection, name: str, now: float) -> float:
        made = [
            row[0]
            for row in connection.execute(
                "SELECT made FROM attempts WHERE subject = ? ORDER BY made DESC LIMIT ?", (name, self._limit)
            )
        ]
        return 0.0 if len(made) < self._limit else max(made[-1] + self._window - now, 0.001)

    def forgive(self, attempt: Attempt, *subjects: str) -> None:
        """Take back an attempt that succeeded, and all earlier ones of some subjects."""
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM attempts WHERE id = ?", [(each,) for each in attempt.ids])
            connection.executemany(
                "DELETE FROM attempts WHERE subject = ?", [(_digest(each),) for each in subjects]
            )


def _one(connection: sqlite3.Connection, digest: str) -> tuple[str, float, float] | None:
    try:
        row = connection.execute(
            "SELECT user, expires, used FROM sessions WHERE token = ?", (digest,)
        ).fetchone()
    except sqlite3.OperationalError:  # the file was made, its tables not yet
        return None
    return None if row is None else (row[0], row[1], row[2])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
