"""json-server 1.0: an array in memory, written to a JSON file as a whole after each change; no tokens."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.asking import COUNTER
from benchmarks.peers.peer import CannotInstall, run
from benchmarks.processes import Server, free_port, start
from benchmarks.questions import Film, Found, Question
from benchmarks.wire import Answer, Request, get, send_json

_REQUIREMENT: Final = "json-server@1.0.0-beta.15"
_OPERATORS: Final = {
    "equal": "eq",
    "at least": "gte",
    "contains": "contains",
    "in": "in",
    "not equal": "ne",
}
_START_SECONDS: Final = 60.0


class Array:
    """The array, asked through the REST API."""

    title = "json-server"

    def ask(self, question: Question) -> Request | None:
        """An item, or a page of items; there is no grouping, and no search for words."""
        if question.name is not None:
            return get(f"/films/{question.name}")
        if question.words or question.groups is not None or question.counts is not None:
            return None
        query = {"_page": str(question.offset // question.limit + 1), "_per_page": str(question.limit)}
        for test in question.tests:
            value = ",".join(test.value) if isinstance(test.value, tuple) else str(test.value)
            query[f"{test.field}:{_OPERATORS[test.comparison]}"] = value
        if question.sort is not None:
            query["_sort"] = f"{'-' if question.sort[1] else ''}{question.sort[0]}"
        return get("/films", query)

    def read(self, question: Question, answer: Answer) -> Found:
        """`{"data": [...], "items": ...}`, or one item."""
        value = answer.json
        if question.name is not None:
            return Found((value["id"],))
        return Found(tuple(item["id"] for item in value["data"]), value["items"])

    def create(self, film: Film, run: str) -> Request:
        """One item."""
        return send_json("POST", "/films", {"id": f"{run}-{COUNTER}", **film})


class JsonServer:
    """The server."""

    def __init__(self, folder: Path) -> None:
        place = folder / "json-server"
        self._program = place / "node_modules" / ".bin" / "json-server"
        if not self._program.exists():
            npm = shutil.which("npm")
            if npm is None:
                raise CannotInstall("there is no npm")
            place.mkdir(parents=True, exist_ok=True)
            run([npm, "install", "--prefix", place, "--no-audit", "--no-fund", _REQUIREMENT])
        self.version = f"json-server {run([self._program, '--version']).strip()}"
        self.adapters = (Array(),)

    def fill(self, folder: Path, films: Mapping[str, Film]) -> None:
        """Write the file."""
        items = [{"id": name, **film} for name, film in films.items()]
        (folder / "db.json").write_bytes(msgspec.json.encode({"films": items}))

    def start(self, folder: Path) -> Server:
        """Serve the file."""
        port = free_port()
        command: list[str | Path] = [
            self._program,
            folder / "db.json",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        server = start("json-server", command, port, folder / "json-server.log", cwd=folder)
        return server.up(get("/films?_page=1&_per_page=1"), _START_SECONDS)

    def create_many(self, films: Sequence[Film]) -> None:
        """There is no such request."""
