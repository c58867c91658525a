"""A client of `/api/entries` for tests: what a seed request looks like, without the typing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import requests

NOT_FOUND = {"http_status_code": 404, "message": "Entry not found"}
UNAUTHORIZED = {"http_status_code": 401, "message": "Unauthorized"}
BAD_QUERY = {"http_status_code": 400, "message": "Wrong query params or not defined"}
BAD_BODY = {"http_status_code": 400, "message": "Wrong body params or not defined"}


class RunningServer(Protocol):
    """What the fixture `server` gives."""

    url: str
    tokens: dict[str, str]
    session: requests.Session


class Entries:
    """The API of one server, with tokens that may do everything."""

    def __init__(self, server: RunningServer) -> None:
        self.url = f"{server.url}/api/entries"
        self.tokens = {"token": server.tokens["entries"], "access_token": server.tokens["access"]}
        self.session = server.session

    def query(self, query: str) -> requests.Response:
        """Send a read, its query as it is written, with the token behind it."""
        return self.session.get(f"{self.url}?{query}&token={self.tokens['token']}", timeout=30)

    def get(self, id: str) -> requests.Response:
        """Read one entry."""
        return self.session.get(self.url, params={"id": id, "token": self.tokens["token"]}, timeout=30)

    def send(self, method: str, path: str = "", **params: Any) -> requests.Response:
        """Send a write as JSON; parameters that are given as tokens win over the right ones."""
        return self.session.request(method, self.url + path, json=self.tokens | params, timeout=30)


def write_entry(site_dir: Path, id: str, text: str, name: str = "entry.md") -> Path:
    """Write the file of an entry as it is, line ends included."""
    path = site_dir / "content" / id / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def snapshot(*roots: Path) -> dict[str, bytes | str]:
    """Every file and folder below `roots` but the content and what the server keeps for itself."""
    found: dict[str, bytes | str] = {}
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in ("content", ".flatdata")]
            found[folder] = "folder"
            for name in files:
                path = Path(folder, name)
                found[str(path)] = path.read_bytes() if path.is_file() else "special"
    return found
