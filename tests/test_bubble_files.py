"""Files that come inside bodies: kept, served, and private where they are said to be."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bubble_http import UNITS, USERS, Bubble, admin, put_manifest
from conftest import Server

PICTURE = b"\x89PNG picture"


def sent(name: str = "a.png", content: bytes = PICTURE, **more: Any) -> dict[str, Any]:
    return {"filename": name, "contents": base64.b64encode(content).decode(), **more}


@pytest.fixture
def api(site_dir: Path, serve: Callable[..., Server]) -> Bubble:
    owner = {
        "when": {"field": "Created By", "equals": {"user": "_id"}},
        "view": "all",
        "attached_files": True,
    }
    put_manifest(site_dir, "units", UNITS, privacy=[owner, {"when": "logged_in", "create": True}])
    put_manifest(site_dir, "users", USERS)
    return admin(serve(site_dir))


def media(api: Bubble) -> list[str]:
    return sorted(path.name for path in (api.server.root / "media").iterdir())


def test_a_file_is_kept_and_served_to_whoever_has_its_url(api: Bubble) -> None:
    identity = api.create("rentalunit", Photo=sent("Mein Bild.png"))
    url = api.thing("rentalunit", identity)["Photo"]
    assert url.startswith("/fileupload/")
    response = api.server.get(url)
    assert response.content == PICTURE
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in response.headers["Content-Security-Policy"]
    number, name = url.split("/")[2:]
    for guess in (f"/fileupload/{number}/a.png", f"/fileupload/{int(number) + 1}/{name}", "/fileupload/x/y"):
        assert api.server.get(guess).status_code == 404


def test_a_url_may_be_written_again(api: Bubble) -> None:
    identity = api.create("rentalunit", Photo=sent())
    url = api.thing("rentalunit", identity)["Photo"]
    assert api.thing("rentalunit", api.create("rentalunit", Photo=url))["Photo"] == url


def test_a_private_file_is_for_those_who_see_the_files_of_its_thing(api: Bubble) -> None:
    for name in ("tony", "anna"):
        api.create("user", email=f"{name}@b.example", password="secret words")
    tony, anna = api.as_user("tony@b.example"), api.as_user("anna@b.example")
    thing = tony.create("rentalunit", **{"Unit name": "A"})
    holder = tony.create("rentalunit", Photo=sent(private=True, attach_to=thing))
    url = tony.thing("rentalunit", holder)["Photo"]
    for caller, status in [(api, 200), (tony, 200), (anna, 401), (api.anonymous(), 401)]:
        headers = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
        assert api.server.get(url, headers=headers).status_code == status
    assert api.server.get(url, params={"api_token": tony.token}).content == PICTURE


def test_a_write_that_is_refused_keeps_no_file(api: Bubble) -> None:
    unit = api.create("rentalunit")
    visitor = api.anonymous()
    for response in [
        api.request("POST", "/obj/rentalunit", json={"Photo": sent(), "Unit number": "x"}),
        api.request("PATCH", "/obj/rentalunit/nope", json={"Photo": sent()}),
        api.request("POST", "/obj/rentalunit", json={"Photo": sent("a.exe")}),
        visitor.request("POST", "/obj/rentalunit", json={"Photo": sent()}),
        visitor.request("PATCH", f"/obj/rentalunit/{unit}", json={"Photo": sent()}),
    ]:
        assert response.status_code in (400, 401)
    assert media(api) == []


def test_bulk_keeps_the_files_of_the_lines_that_are_accepted(api: Bubble) -> None:
    import json

    lines = [
        {"Photo": sent("one.png"), "Unit name": "a"},
        {"Photo": sent("two.png"), "Unit number": "x"},
        {"Photo": sent("three.png"), "Unit name": "c"},
    ]
    data = "\n".join(json.dumps(line) for line in lines)
    response = api.request("POST", "/obj/rentalunit/bulk", data=data, headers={"Content-Type": "text/plain"})
    assert [json.loads(line)["status"] for line in response.text.split("\n")] == [
        "success",
        "error",
        "success",
    ]
    assert len(media(api)) == 4  # a folder and its description, for each of two files
    for thing in api.search("rentalunit")["results"]:
        assert api.server.get(thing["Photo"]).content == PICTURE


@pytest.mark.parametrize(
    "name", ["../../x.png", "/etc/passwd", "a\0b.png", "..", ".env", "x" * 500 + ".png", "ÄÖ .png"]
)
def test_names_of_files_are_made_safe(api: Bubble, name: str) -> None:
    identity = api.create("rentalunit", Photo=sent(name))
    url = api.thing("rentalunit", identity)["Photo"]
    assert api.server.get(url).content == PICTURE
    assert len(media(api)) == 2
