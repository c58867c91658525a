"""Sites to measure on, and flatdata serving them with its default settings."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.films import films
from benchmarks.processes import Memory, Server, command_line, family, free_port, memory_of, start
from benchmarks.wire import Answer, get
from flatdata.access.tokens import Tokens
from flatdata.store.codec import dump_entry

FILMS_ID: Final = 1
COMPANY_ID: Final = 1
TYPES: Final = {
    "title": "text",
    "director": "text",
    "year": "number",
    "rating": "number",
    "runtime": "number",
    "genre": "text",
    "country": "text",
    "awarded": "boolean",
    "tags": "list.text",
    "content": "text",
}
"""The columns of a film, as Bubble types them."""
_START_SECONDS: Final = 600.0
_MADE: Final = "2024-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Site:
    """A site on disk, and a token of each kind."""

    root: Path
    tokens: dict[str, str]


def manifest(identity: int, name: str, external_id: str) -> dict[str, Any]:
    """The manifest of a data source with the columns of a film, reachable through every dialect."""
    return {
        "id": identity,
        "name": name,
        "columns": list(TYPES),
        "organization_id": 1,
        "created_at": _MADE,
        "updated_at": _MADE,
        "bubble": {
            "exposed": True,
            "display": name.title(),
            "fields": TYPES,
            "defaults": {},
            "privacy": [],
        },
        "appenate": {
            "guid": f"{identity:08d}-0000-4000-8000-000000000000",
            "external_id": external_id,
            "company_id": COMPANY_ID,
            "display_at": {},
        },
    }


def add_source(site: Site, identity: int, name: str, rows: int = 0) -> None:
    """Add a data source called `name` to the files of a site, with that many films as rows."""
    folder = site.root / "content" / name
    folder.mkdir(parents=True, exist_ok=True)
    described = manifest(identity, name, name.upper())
    (folder / "manifest.yaml").write_bytes(dump_entry(described, "manifest"))
    for row, film in films(rows):
        (folder / f"{row}.yaml").write_bytes(dump_entry(film, "file"))


def make_site(root: Path, size: int) -> Site:
    """Write a site whose data source `films` has `size` films, one file each."""
    (root / ".flatdata").mkdir(parents=True)
    site = Site(root, _make_tokens(root))
    add_source(site, FILMS_ID, "films", size)
    return site


def remove_created(site: Site, films: Iterable[str]) -> None:
    """Remove all content but manifests and the films of these names, as somebody would on the disk."""
    kept = {*(f"{name}.yaml" for name in films), "manifest.yaml"}
    for source in (site.root / "content").iterdir():
        for found in os.scandir(source):
            if found.is_dir():
                shutil.rmtree(found.path)
            elif found.name not in kept:
                os.unlink(found.path)


def _make_tokens(root: Path) -> dict[str, str]:
    tokens = Tokens(root, root / ".flatdata")
    try:
        return {
            "entries": tokens.create("entries"),
            "access": tokens.create("access"),
            "data-sources": tokens.create("data-sources", admin=True, organization_id=1),
            "things": tokens.create("things", admin=True),
            "datasource": tokens.create("datasource", company_id=COMPANY_ID),
        }
    finally:
        tokens.close()


# --- serving ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """A start: seconds until `GET /health` answered 200, and the different answers before that."""

    seconds: float
    answers_before: int
    progress_seen: bool


def serve(site: Site, log: Path) -> tuple[Server, Start]:
    """`flatdata serve` with default settings, ready. The caller stops it."""
    port = free_port()
    command = [sys.executable, "-m", "flatdata", "serve", "--root", str(site.root), "--port", str(port)]
    server = start("flatdata", command, port, log)
    answers: list[Answer] = []
    try:
        seconds = server.wait_for(get("/health"), _START_SECONDS, answers.append)
    except BaseException:
        server.stop()
        raise
    progress = any(answer.json.get("total") for answer in answers)
    return server, Start(seconds, len(answers), progress)


def processes_of(server: Server) -> dict[str, int]:
    """The process ids of a running flatdata by what they are: `main`, `keeper`, `worker`."""
    found = {"main": server.process.pid}
    for pid in family(server.process.pid)[1:]:
        found["keeper" if "keeper_process" in command_line(pid) else "worker"] = pid
    return found


def memory(server: Server) -> dict[str, Memory]:
    """The memory of each process of a running flatdata."""
    return {role: memory_of(pid) for role, pid in processes_of(server).items()}
