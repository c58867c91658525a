"""Datasette 1.0: an ASGI application over SQLite. Reading needs no token there; writing does.

The table has an index on what is filtered by and on what is sorted by, and a full-text index, as somebody who
publishes it would make them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.asking import COUNTER
from benchmarks.peers.peer import pip_install, run
from benchmarks.processes import Server, free_port, start
from benchmarks.questions import WORD_FIELDS, Film, Found, Question
from benchmarks.sites import TYPES
from benchmarks.wire import Answer, Json, Request, get, send_json

_REQUIREMENT: Final = "datasette>=1.0a19,<2"
_SECRET: Final = "only-for-measuring"
_OPERATORS: Final = {"equal": "exact", "at least": "gte", "contains": "contains", "not equal": "not"}
_MAX_ROWS: Final = 1_000
_MOST_COUNTED: Final = 10_000
_START_SECONDS: Final = 60.0
_TABLE: Final = "/data/films"


class Table:
    """The table, asked through the JSON API."""

    title = "Datasette"

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, question: Question) -> Request | None:
        """A row, or the first page of rows: others are reached only from the page before."""
        if question.name is not None:
            return get(f"{_TABLE}/{question.name}.json")
        if question.groups is not None or question.offset:
            return None
        query = {"_size": str(question.limit), "_extra": "count"}
        if question.counts is not None:
            query |= {
                "_size": "0",
                "_facet": question.counts,
                "_facet_size": "max",
                "_extra": "facet_results",
            }
        for test in question.tests:
            if isinstance(test.value, tuple):
                query[f"{test.field}__in"] = ",".join(test.value)
            else:
                query[f"{test.field}__{_OPERATORS[test.comparison]}"] = str(test.value)
        if question.words:
            query["_search"] = " ".join(question.words)
        if question.sort is not None:
            query["_sort_desc" if question.sort[1] else "_sort"] = question.sort[0]
        return get(f"{_TABLE}.json", query)

    def read(self, question: Question, answer: Answer) -> Found:
        """`{"rows": [...], "count": ...}`; it counts no further than to 10,001, which is no total."""
        value = answer.json
        names = tuple(row["name"] for row in value["rows"])
        if question.counts is None:
            count = value.get("count")
            return Found(names, None if count is None or count > _MOST_COUNTED else count)
        results = value["facet_results"]["results"][question.counts]["results"]
        return Found(groups={str(result["value"]): result["count"] for result in results})

    def create(self, film: Film, run: str) -> Request:
        """One row."""
        return self.insert([{"name": f"{run}-{COUNTER}", **_row(film)}])

    def insert(self, rows: Sequence[Mapping[str, Json]]) -> Request:
        """Rows, as they are sent."""
        return send_json("POST", f"{_TABLE}/-/insert", {"rows": rows}, self._headers)


def _row(film: Film) -> dict[str, Json]:
    return {key: " ".join(value) if isinstance(value, list) else value for key, value in film.items()}


class Datasette:
    """The server."""

    def __init__(self, folder: Path) -> None:
        self._program = pip_install(folder / "datasette", _REQUIREMENT, "datasette")
        self.version = f"Datasette {run([self._program, '--version']).split()[-1]}"
        token = run([self._program, "create-token", "root", "--secret", _SECRET]).strip()
        self._table = Table(token)
        self.adapters = (self._table,)
        self._batches = 0

    def fill(self, folder: Path, films: Mapping[str, Film]) -> None:
        """Make the table and its indexes with SQLite."""
        columns = ["name", *TYPES]
        with sqlite3.connect(folder / "data.db") as database:
            database.execute("PRAGMA journal_mode=WAL")
            declared = ", ".join(f"{name} {_sql_type(name)}" for name in columns[1:])
            database.execute(f"CREATE TABLE films (name TEXT PRIMARY KEY, {declared})")
            database.executemany(
                f"INSERT INTO films VALUES ({', '.join('?' * len(columns))})",
                ([name, *(_row(film)[column] for column in TYPES)] for name, film in films.items()),
            )
            for column in ("director, year", "country", "year", "rating", "title"):
                database.execute(f"CREATE INDEX 'by {column}' ON films ({column})")
            words = ", ".join(WORD_FIELDS)
            database.execute(
                f"CREATE VIRTUAL TABLE films_fts USING fts5({words}, content=\"films\", tokenize='porter')"
            )
            database.execute(f"INSERT INTO films_fts (rowid, {words}) SELECT rowid, {words} FROM films")
        database.close()

    def start(self, folder: Path) -> Server:
        """Serve the database."""
        port = free_port()
        settings = {"max_insert_rows": _MAX_ROWS, "max_returned_rows": 1_000, "facet_time_limit_ms": 10_000}
        command: list[str | Path] = [
            self._program,
            "serve",
            folder / "data.db",
            "-p",
            str(port),
            "--root",
            "--secret",
            _SECRET,
        ]
        for name, value in settings.items():
            command += ["--setting", name, str(value)]
        server = start("Datasette", command, port, folder / "datasette.log")
        return server.up(get("/-/versions.json"), _START_SECONDS)

    def create_many(self, films: Sequence[Film]) -> Request:
        """Rows in one request."""
        self._batches += 1
        run_name = f"batch-{self._batches}"
        return self._table.insert(
            [{"name": f"{run_name}-{number}", **_row(film)} for number, film in enumerate(films)]
        )


def _sql_type(column: str) -> str:
    return {"number": "NUMERIC", "boolean": "INTEGER"}.get(TYPES[column], "TEXT")
