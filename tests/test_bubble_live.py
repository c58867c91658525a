"""Where the hosted service answers differently from its documentation: live mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bubble_http import UNITS, Bubble, admin, put_manifest, put_row
from conftest import Server


@pytest.fixture
def api(site_dir: Path, serve: Callable[..., Server]) -> Bubble:
    put_manifest(site_dir, "units", UNITS)
    put_row(site_dir, "units/7", **{"Unit name": "The cat in the hat", "Unit number": 7})
    return admin(serve(site_dir, bubble={"behaviour": "live"}))


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {}), ("PUT", {}), ("DELETE", None)])
def test_an_unknown_id_is_not_found(api: Bubble, method: str, body: Any) -> None:
    response = api.request(method, "/obj/rentalunit/1x1", json=body)
    message = "Missing object of type rentalunit: object with id 1x1 does not exist"
    assert response.status_code == 404
    assert response.json() == {"statusCode": 404, "body": {"status": "MISSING_DATA", "message": message}}


def test_a_replacement_keeps_built_in_fields(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "A", "Tags": ["a"]})
    before = api.thing("rentalunit", identity)
    assert api.request("PUT", f"/obj/rentalunit/{identity}", json={"Unit name": "B"}).status_code == 204
    after = api.thing("rentalunit", identity)
    assert after["Created Date"] == before["Created Date"]
    assert after["Created By"] == before["Created By"]
    assert "Tags" not in after


def test_lists_of_more_than_two_hundred_entries_are_too_long(api: Bubble) -> None:
    response = api.request("POST", "/obj/rentalunit", json={"Tags": ["a"] * 201})
    message = "Invalid data for field Tags: array length exceeds the limit of 200 entries."
    assert response.status_code == 400
    assert response.json()["body"] == {"status": "LIST_TOO_LONG", "message": message}
    assert api.create("rentalunit", Tags=["a"] * 200)


def test_comparing_with_a_thing_that_does_not_exist(api: Bubble) -> None:
    constraints = '[{"key":"Parent","constraint_type":"equals","value":"1x1"}]'
    response = api.request("GET", "/obj/rentalunit", params={"constraints": constraints})
    assert response.json()["body"] == {
        "status": "MISSING_DATA",
        "message": "object with this id does not exist: 1x1",
    }
    assert api.search("rentalunit", ("Parent", "in", ["1x1"]))["count"] == 0
    assert api.search("rentalunit", ("Created By", "equals", "admin_user_x_live"))["count"] == 0
