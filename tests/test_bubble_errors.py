"""The Bubble Data API's refusals, by their bodies (reference/bubble.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bubble_http import UNIQUE_ID, UNITS, Bubble, admin, put_manifest, put_units
from conftest import Server, write


@pytest.fixture
def api(site_dir: Path, request: pytest.FixtureRequest) -> Bubble:
    put_units(site_dir)
    return admin(request.getfixturevalue("server"))


def body(status: int, code: str, message: str) -> dict[str, Any]:
    return {"statusCode": status, "body": {"status": code, "message": message}}


MISSING = "Missing object of type rentalunit: object with id 1x1 does not exist"
ERRORS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("GET", "/obj/rentalunit/1x1", None, body(400, "MISSING_DATA", MISSING)),
    ("PATCH", "/obj/rentalunit/1x1", {}, body(400, "MISSING_DATA", MISSING)),
    ("PUT", "/obj/rentalunit/1x1", {}, body(400, "MISSING_DATA", MISSING)),
    ("DELETE", "/obj/rentalunit/1x1", None, body(400, "MISSING_DATA", MISSING)),
    ("GET", "/obj/jobs", None, body(404, "NOT_FOUND", "Type not found jobs")),
    ("POST", "/obj/Jobs", {}, body(404, "NOT_FOUND", "Type not found Jobs")),
    ("GET", "/obj/jobs/1x1", None, body(404, "NOT_FOUND", "Type not found jobs")),
    ("POST", "/obj/rentalunit", {"Nope": 1}, body(400, "ERROR", "Unrecognized field: Nope")),
    ("POST", "/obj/rentalunit", {"unitname": "a"}, body(400, "ERROR", "Unrecognized field: unitname")),
    (
        "POST",
        "/obj/rentalunit",
        {"unit_name_text": "a"},
        body(400, "ERROR", "Unrecognized field: unit_name_text"),
    ),
    ("POST", "/obj/rentalunit", {"Created By": "x"}, body(400, "ERROR", "Unrecognized field: Created By")),
    ("POST", "/obj/rentalunit", {"Slug": "x"}, body(400, "ERROR", "Unrecognized field: Slug")),
    ("PATCH", "/obj/rentalunit/7", {"Slug": "x"}, body(400, "ERROR", "Unrecognized field: Slug")),
    (
        "PATCH",
        "/obj/rentalunit/7",
        {"Unit name": "B", "Nope": 1},
        body(400, "ERROR", "Unrecognized field: Nope"),
    ),
    (
        "POST",
        "/obj/rentalunit",
        {"Unit number": ""},
        body(
            400,
            "INVALID_DATA",
            'Invalid data for field Unit number: Expected a number, but got a string (original data: "")',
        ),
    ),
    (
        "PATCH",
        "/obj/rentalunit/7",
        {"Status": "open"},
        body(400, "INVALID_DATA", "Invalid data for field Status: could not parse this as a Status"),
    ),
    ("POST", "/obj/rentalunit", [1], body(400, "ERROR", "The body must be a JSON object")),
    ("GET", "/nothing", None, body(404, "NOT_FOUND", "There is no such endpoint")),
    ("GET", "/obj", None, body(404, "NOT_FOUND", "There is no such endpoint")),
    ("GET", "/obj/rentalunit/7/8", None, body(404, "NOT_FOUND", "There is no such endpoint")),
    ("POST", "/wf/nothing", {}, body(404, "NOT_FOUND", "Workflow not found nothing")),
    ("PUT", "/obj/rentalunit", {}, body(405, "METHOD_NOT_ALLOWED", "Method PUT is not allowed here")),
    ("POST", "/obj/rentalunit/7", {}, body(405, "METHOD_NOT_ALLOWED", "Method POST is not allowed here")),
    ("GET", "/wf/login", None, body(405, "METHOD_NOT_ALLOWED", "Method GET is not allowed here")),
    ("POST", "/meta", {}, body(405, "METHOD_NOT_ALLOWED", "Method POST is not allowed here")),
]


@pytest.mark.parametrize(("method", "path", "sent", "answer"), ERRORS)
def test_errors(api: Bubble, method: str, path: str, sent: Any, answer: dict[str, Any]) -> None:
    response = api.request(method, path, json=sent)
    assert response.json() == answer
    assert response.status_code == answer["statusCode"]
    assert response.headers["Content-Type"] == "application/json"
    assert api.search("rentalunit")["results"][0]["Unit name"] == "The cat in the hat"
    assert api.search("rentalunit")["count"] == 1


def test_errors_of_searches(api: Bubble) -> None:
    def answer(**constraint: Any) -> Any:
        return api.request("GET", "/obj/rentalunit", params={"constraints": json.dumps([constraint])}).json()

    message = "Constraint type not found contains for field unit_name_text and type rentalunit"
    assert answer(key="Unit name", constraint_type="contains", value="a") == body(404, "NOT_FOUND", message)
    assert answer(key="zip", constraint_type="equals", value="a") == body(
        400, "ERROR", "Unrecognized field: zip"
    )
    assert answer(key="Unit number", constraint_type="equals", value="a")["body"]["status"] == "INVALID_DATA"
    broken = api.request("GET", "/obj/rentalunit", params={"constraints": "[{"})
    assert broken.json()["body"]["status"] == "INVALID_DATA"
    unsorted = api.request("GET", "/obj/rentalunit", params={"sort_field": "zip"})
    assert unsorted.json() == body(400, "ERROR", "Unrecognized field: zip")


def test_a_body_that_is_no_json(api: Bubble) -> None:
    response = api.request(
        "POST", "/obj/rentalunit", data=b'{"a": }', headers={"Content-Type": "application/json"}
    )
    assert response.json() == body(400, "ERROR", 'Could not parse as JSON: {"a": }')


UNAUTHORIZED = "Invalid or expired token: "


@pytest.mark.parametrize("token", ["nope", "0" * 32, "x" * 3000, "a b"])
@pytest.mark.parametrize("path", ["/obj/rentalunit", "/obj/jobs", "/meta", "/nothing"])
def test_a_bad_token_is_refused_before_anything_else(api: Bubble, token: str, path: str) -> None:
    response = Bubble(api.server, token).request("GET", path)
    assert response.status_code == 401
    answer = response.json()
    assert UNIQUE_ID.fullmatch(answer["args"].pop("code"))
    shown = token if len(token) < 2000 else token[:2000] + "..."
    assert answer == {
        "error_class": "Unauthorized",
        "args": {},
        "message": None,
        "translation": UNAUTHORIZED + shown,
    }
    assert response.headers["WWW-Authenticate"] == "Bearer"
    in_url = api.anonymous().request("GET", path, params={"api_token": token})
    assert in_url.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "translation"),
    [
        ("POST", "/obj/rentalunit", "Permission denied: cannot create this object"),
        ("PATCH", "/obj/rentalunit/7", "You do not have permission to modify this object"),
        ("PUT", "/obj/rentalunit/7", "You do not have permission to modify this object"),
        ("DELETE", "/obj/rentalunit/7", "You do not have permission to delete this object"),
    ],
)
def test_writes_without_permission(api: Bubble, method: str, path: str, translation: str) -> None:
    response = api.anonymous().request(method, path, json={"Unit name": "B"})
    answer = response.json()
    assert response.status_code == 401
    assert UNIQUE_ID.fullmatch(answer["args"].pop("code"))
    assert answer == {"error_class": "Unauthorized", "args": {}, "message": None, "translation": translation}
    assert api.thing("rentalunit", "7")["Unit name"] == "The cat in the hat"


@pytest.mark.settings(bubble={"enabled": False})
def test_a_data_api_that_is_switched_off(api: Bubble) -> None:
    for path in ("/obj/rentalunit", "/obj/jobs", "/obj/rentalunit/7"):
        message = "This application does not expose a Data API"
        assert api.request("GET", path).json() == body(404, "NOT_FOUND", message)
    assert Bubble(api.server, "nope").request("GET", "/obj/rentalunit").status_code == 401


def test_a_type_that_is_not_exposed_is_not_found(site_dir: Path, serve: Callable[..., Server]) -> None:
    put_manifest(site_dir, "units", UNITS, exposed=False)
    write(site_dir, "plain/manifest.yaml", "id: 9\nname: Plain\n")
    api = admin(serve(site_dir))
    for name in ("rentalunit", "plain", "units"):
        assert api.request("GET", f"/obj/{name}").json() == body(404, "NOT_FOUND", f"Type not found {name}")
    assert api.get("/meta")["get"] == []
