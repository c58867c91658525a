"""The PyPI client `bubble-api`, driven through everything it can do, against a server in live mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from bubble_api import BubbleClient, Field
from bubble_http import put_manifest
from conftest import Server

FEEDBACK: dict[str, Any] = {
    "id": 1,
    "name": "Feedback",
    "bubble": {
        "exposed": True,
        "display": "App Feedback",
        "fields": {"rating": "number", "app_version": "text", "seen": "boolean", "tags": "list.text"},
    },
}


@pytest.fixture(params=["test", "live"])
def client(site_dir: Path, serve: Callable[..., Server], request: pytest.FixtureRequest) -> BubbleClient:
    put_manifest(site_dir, "feedback", FEEDBACK)
    server = serve(site_dir, bubble={"behaviour": "live"})
    return BubbleClient(server.url, server.tokens["things"], bubble_version=request.param)


def test_create_read_update_replace_delete(client: BubbleClient) -> None:
    identity = client.create("App Feedback", {"rating": 5, "app_version": "async 2.2.6 test"})
    thing = client.get("appfeedback", identity)
    assert (thing["_id"], thing["rating"], thing["app_version"]) == (identity, 5, "async 2.2.6 test")
    client.update_object("App Feedback", identity, {"rating": 7})
    assert client.get_by_id("appfeedback", identity)["rating"] == 7
    client.replace_object("appfeedback", identity, {"app_version": "3"})
    replaced = client.get_by_id("appfeedback", identity)
    assert "rating" not in replaced
    assert replaced["_id"] == identity
    assert replaced["Created Date"] == thing["Created Date"]
    assert client.get("appfeedback", "3", column_name="app_version")["_id"] == identity
    client.delete("appfeedback", identity)
    with pytest.raises(requests.HTTPError, match="404 Client Error: Not Found"):
        client.get("appfeedback", identity)


def test_create_without_fields(client: BubbleClient) -> None:
    identity = client.create("appfeedback")
    assert client.get("appfeedback", identity)["_id"] == identity


def test_bulk(client: BubbleClient) -> None:
    answers = client.create(
        "appfeedback", [{"rating": number, "app_version": f"v{number} test"} for number in range(250)]
    )
    assert [answer["status"] for answer in answers] == ["success"] * 250
    found = client.get_objects("appfeedback", sort_field=Field("Created Date"))
    assert [thing["_id"] for thing in found] == [answer["id"] for answer in answers]
    with pytest.raises(requests.HTTPError, match="400"):
        client.create("appfeedback", [{"rating": 1}, {"rating": "x"}])
    assert client.count_objects("appfeedback") == 251


def test_search(client: BubbleClient) -> None:
    for rating, version, seen in [
        (5, "2.2.6 test", True),
        (12, "async 2.2.6 test", False),
        (20, "2.3", True),
    ]:
        client.create(
            "appfeedback", {"rating": rating, "app_version": version, "seen": seen, "tags": [version]}
        )
    rating, version = Field("rating"), Field("app_version")

    def ratings(*constraints: Any, **options: Any) -> list[int]:
        return [thing["rating"] for thing in client.get_objects("appfeedback", list(constraints), **options)]

    assert ratings(rating == 12) == [12]
    assert ratings(rating != 12) == [5, 20]
    assert ratings(rating > 10, version.text_contains(" test")) == [12]
    assert ratings(rating < 10.5) == [5]
    assert ratings(version.not_text_contains("test")) == [20]
    assert ratings(Field("seen") == True) == [5, 20]  # noqa: E712
    assert ratings(rating.is_in([5, 20])) == [5, 20]
    assert ratings(rating.is_not_in([5, 20])) == [12]
    assert ratings(Field("tags").contains("2.3")) == [20]
    assert ratings(Field("tags").not_contains("2.3")) == [5, 12]
    assert ratings(Field("Created By").is_empty()) == []
    assert ratings(Field("tags").is_not_empty_list(), sort_field="rating", descending=True) == [20, 12, 5]
    assert client.count_objects("appfeedback", rating == 5) == 1
    assert client.get_objects("appfeedback", max_objects=2)[1]["rating"] == 12
    client.delete("appfeedback", constraints=version.text_contains("test"))
    assert ratings() == [20]


def test_a_wrong_token_and_an_unknown_type(client: BubbleClient) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        client.get_objects("nothing")
    client.api_token = "nope"
    with pytest.raises(requests.HTTPError, match="401"):
        client.get_objects("appfeedback")
