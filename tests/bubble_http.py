"""A site with Bubble types, and a client that speaks to it as each of several callers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from conftest import Server, write

UNITS: dict[str, Any] = {
    "id": 1,
    "name": "Units",
    "bubble": {
        "exposed": True,
        "display": "Rental Unit",
        "fields": {
            "Unit name": "text",
            "Unit number": "number",
            "Archived?": "boolean",
            "Start": "date",
            "Address": "geographic_address",
            "Photo": "image",
            "Owner": "user",
            "Parent": "custom.rentalunit",
            "Status": "option.status",
            "Tags": "list.text",
            "Related": "list.custom.rentalunit",
        },
        "defaults": {"Unit number": 1, "Status": "Open"},
        "option_sets": {"Status": ["Open", "Closed"]},
    },
}
USERS: dict[str, Any] = {
    "id": 2,
    "name": "Users",
    "bubble": {
        "exposed": True,
        "display": "User",
        "fields": {"Full name": "text", "Role": "text"},
        "privacy": [
            {"when": {"field": "_id", "equals": {"user": "_id"}}, "find": True, "view": "all", "modify": True}
        ],
    },
}


def put_manifest(root: Path, slug: str, manifest: dict[str, Any], **bubble: Any) -> None:
    """Write the manifest of a data source; `bubble` changes keys of its part for Bubble."""
    changed = {**manifest, "bubble": {**manifest["bubble"], **bubble}}
    write(root, f"{slug}/manifest.yaml", yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))


def put_row(root: Path, slug: str, **columns: Any) -> None:
    """Write a row as somebody with an editor would."""
    write(root, f"{slug}.yaml", yaml.safe_dump(columns, sort_keys=False, allow_unicode=True))


UNIQUE_ID = re.compile(r"[0-9]{13}x[0-9]{18}")


def put_units(root: Path) -> None:
    """Rental units, of which one is there, and users."""
    put_manifest(root, "units", UNITS)
    put_manifest(root, "users", USERS)
    put_row(root, "units/7", **{"Unit name": "The cat in the hat", "Unit number": 7})


@dataclass
class Bubble:
    """The Data API of a server, called with one token (None: none)."""

    server: Server
    token: str | None
    prefix: str = "/api/1.1"

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any request to a path below the prefix."""
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return self.server.request(method, self.prefix + path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that succeeds."""
        response = self.request("GET", path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def create(self, type_name: str, **fields: Any) -> str:
        """Create a thing; gives its id."""
        response = self.request("POST", f"/obj/{type_name}", json=fields)
        assert response.status_code == 201, response.text
        identity: str = response.json()["id"]
        return identity

    def thing(self, type_name: str, identity: str) -> dict[str, Any]:
        """One thing."""
        response: dict[str, Any] = self.get(f"/obj/{type_name}/{identity}")["response"]
        return response

    def search(self, type_name: str, *constraints: tuple[Any, ...], **parameters: Any) -> dict[str, Any]:
        """A page of things; a constraint is key, type and, if it takes one, value."""
        if constraints:
            keys = ("key", "constraint_type", "value")
            listed = [dict(zip(keys, each, strict=False)) for each in constraints]
            parameters["constraints"] = json.dumps(listed)
        response: dict[str, Any] = self.get(f"/obj/{type_name}", params=parameters)["response"]
        return response

    def names(self, type_name: str, *constraints: tuple[Any, ...], **parameters: Any) -> list[str]:
        """The names or ids of the things that a search finds, in order."""
        results = self.search(type_name, *constraints, **parameters)["results"]
        return [result.get("Unit name", result["_id"]) for result in results]

    def as_user(self, email: str, password: str = "secret words") -> Bubble:
        """The same, called by a user who logs in."""
        response = self.request("POST", "/wf/login", json={"email": email, "password": password}, headers={})
        assert response.status_code == 200, response.text
        return Bubble(self.server, response.json()["response"]["token"], self.prefix)

    def anonymous(self) -> Bubble:
        """The same, called without a token."""
        return Bubble(self.server, None, self.prefix)


def admin(server: Server, prefix: str = "/api/1.1") -> Bubble:
    """The API, called with an API token."""
    return Bubble(server, server.tokens["things"], prefix)
