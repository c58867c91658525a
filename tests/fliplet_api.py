"""A client of `/v1/data-sources` for tests: requests of the seeds, without the typing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import requests

from flatdata.access.tokens import Tokens

UNKNOWN_TOKEN = {
    "error": "not authorised",
    "message": "The auth_token provided doesn't belong to any user.",
}


class RunningServer(Protocol):
    """What the fixture `server` gives."""

    url: str
    root: Path
    tokens: dict[str, str]
    session: requests.Session


def new_token(server: RunningServer, **attributes: Any) -> tuple[str, int]:
    """A token for data sources that is no administrator's, and its id."""
    tokens = Tokens(server.root, server.root / ".flatdata")
    try:
        token = tokens.create("data-sources", **attributes)
        found = tokens.check("data-sources", token)
        assert found is not None
        assert found.id is not None
        return token, found.id
    finally:
        tokens.close()


class DataSources:
    """The API of one server with one token; an administrator's unless another is given."""

    def __init__(self, server: RunningServer, token: str | None = None) -> None:
        self.server = server
        self.url = f"{server.url}/v1"
        self.token = server.tokens["data-sources"] if token is None else token

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any request below `/v1`, with the token in its header unless `headers` are given."""
        options.setdefault("headers", {"Auth-token": self.token} if self.token else {})
        options.setdefault("timeout", 30)
        return self.server.session.request(method, self.url + path, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        """POST with a JSON body."""
        return self.request("POST", path, json=json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        """PUT with a JSON body."""
        return self.request("PUT", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        """DELETE."""
        return self.request("DELETE", path, **options)

    def create(self, name: str = "Foo", **attributes: Any) -> int:
        """A new data source; gives its id."""
        answer = self.post("/data-sources?organizationId=1", {"name": name, **attributes})
        assert answer.status_code == 201, answer.text
        identity: int = answer.json()["dataSource"]["id"]
        return identity

    def insert(self, source: int, columns: dict[str, Any]) -> int:
        """A new row; gives its id."""
        answer = self.put(f"/data-sources/{source}/data", columns)
        assert answer.status_code in (200, 201), answer.text
        identity: int = answer.json()["id"]
        return identity

    def fill(self, source: int, rows: list[dict[str, Any]]) -> None:
        """Replace all rows."""
        answer = self.post(f"/data-sources/{source}/data", {"entries": rows})
        assert answer.status_code == 200, answer.text

    def rows(self, source: int) -> list[dict[str, Any]]:
        """All rows, in the default order."""
        answer = self.get(f"/data-sources/{source}/data")
        assert answer.status_code == 200, answer.text
        entries: list[dict[str, Any]] = answer.json()["entries"]
        return entries

    def columns(self, source: int) -> list[dict[str, Any]]:
        """The columns of all rows, in the default order."""
        return [row["data"] for row in self.rows(source)]

    def query(self, source: int, **body: Any) -> list[dict[str, Any]]:
        """The entries that a query finds."""
        answer = self.post(f"/data-sources/{source}/data/query", body)
        assert answer.status_code == 200, answer.text
        entries: list[dict[str, Any]] = answer.json()["entries"]
        return entries


def denial(name: str, source: int, verb: str) -> dict[str, Any]:
    """The body of a denial."""
    return {
        "message": f'The security rules for the Data Source "{name}" do not allow this app to {verb} data.',
        "type": "datasource.access",
        "payload": {"dataSourceId": source},
    }
