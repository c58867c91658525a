"""One content: what is written here is a file, and a row for the other APIs; what is edited there is found
here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from bubble_http import UNITS, Bubble, admin, put_manifest, put_row
from conftest import Server, eventually


@pytest.fixture
def api(site_dir: Path, serve: Callable[..., Server]) -> Bubble:
    put_manifest(site_dir, "units", UNITS)
    return admin(serve(site_dir))


def test_a_thing_is_a_row_on_disk(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "Unit A", "Address": "Berlin", "Start": "01/13/2016"})
    path = api.server.root / "content" / "units" / f"{identity}.yaml"
    row = yaml.safe_load(path.read_text())
    assert list(row) == ["Unit name", "Unit number", "Start", "Address", "Status", "_meta"]
    meta = row.pop("_meta")
    assert row == {
        "Unit name": "Unit A",
        "Unit number": 1,
        "Status": "Open",
        "Start": "2016-01-13T00:00:00.000Z",
        "Address": {"address": "Berlin", "lat": 52.52437, "lng": 13.41053},
    }
    assert meta["created_by"] == "admin_user_flatdata_live"
    assert meta["created_at"] == meta["updated_at"] == api.thing("rentalunit", identity)["Created Date"]
    api.request("DELETE", f"/obj/rentalunit/{identity}")
    assert not path.exists()


def test_a_thing_is_an_entry(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "Unit A"})
    query = {"id": f"units/{identity}", "token": api.server.tokens["entries"]}
    entry = api.server.get("/api/entries", params=query)
    assert entry.status_code == 200
    assert entry.json()["data"]["Unit name"] == "Unit A"
    assert "password" not in entry.text


def test_a_thing_is_found_by_a_fliplet_query(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "Unit A", "Unit number": 5})
    api.create("rentalunit", **{"Unit name": "Unit B"})
    headers = {"Auth-token": api.server.tokens["data-sources"]}
    answer = api.server.request(
        "POST", "/v1/data-sources/1/data/query", headers=headers, json={"where": {"Unit number": 5}}
    )
    assert answer.status_code == 200
    (row,) = answer.json()["entries"]
    assert (row["id"], row["data"]["Unit name"]) == (identity, "Unit A")


def test_an_entry_that_is_written_elsewhere_is_a_thing(api: Bubble) -> None:
    tokens = api.server.tokens
    body = {"id": "units/8", "data": {"Unit name": "From entries"}, "token": tokens["entries"]}
    made = api.server.request("POST", "/api/entries", json={**body, "access_token": tokens["access"]})
    assert made.status_code == 200, made.text
    assert api.thing("rentalunit", "8")["Unit name"] == "From entries"


def test_a_row_that_is_edited_on_disk_is_found_by_its_new_value(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "Unit A", "Tags": ["a"]})
    path = api.server.root / "content" / "units" / f"{identity}.yaml"
    path.write_text(path.read_text().replace("Unit A", "Red houses"))
    eventually(lambda: api.search("rentalunit", ("Unit name", "text contains", "house"))["count"] == 1)
    assert api.search("rentalunit", ("Unit name", "equals", "Unit A"))["count"] == 0
    assert api.thing("rentalunit", identity)["Unit name"] == "Red houses"
    path.unlink()
    eventually(lambda: api.search("rentalunit")["count"] == 0)


def test_a_row_written_by_hand_is_a_thing(api: Bubble) -> None:
    put_row(api.server.root, "units/by-hand", **{"Unit name": 12, "Unit number": "5", "Archived?": "yes"})
    eventually(lambda: api.search("rentalunit")["count"] == 1)
    thing = api.thing("rentalunit", "by-hand")
    assert (thing["Unit name"], thing["Unit number"], thing["Archived?"]) == ("12", 5, True)
    assert api.names("rentalunit", ("Unit name", "text contains", "12")) == ["12"]
    assert api.names("rentalunit", ("Unit number", "less than", 6)) == ["12"]
    assert api.request("PATCH", "/obj/rentalunit/by-hand", json={"Unit number": 6}).status_code == 204
    assert api.thing("rentalunit", "by-hand")["Created Date"] == thing["Created Date"]


def test_a_manifest_that_is_written_by_hand_makes_a_type(api: Bubble) -> None:
    put_row(api.server.root, "films/one", title="Metropolis")
    bubble = {"exposed": True, "display": "Film", "fields": {"title": "text"}}
    put_manifest(api.server.root, "films", {"id": 7, "name": "Films", "bubble": bubble})
    eventually(lambda: api.request("GET", "/obj/film").status_code == 200)
    assert api.search("film")["results"][0]["title"] == "Metropolis"
    assert "film" in api.get("/meta")["get"]


def test_a_file_that_is_broken_does_not_take_its_neighbours_down(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "Unit A"})
    api.create("rentalunit", **{"Unit name": "Unit B"})
    path = api.server.root / "content" / "units" / f"{identity}.yaml"
    good = path.read_text()
    path.write_text("Unit name: [")
    eventually(lambda: api.names("rentalunit") == ["Unit B"])
    path.write_text(good)
    eventually(lambda: api.names("rentalunit") == ["Unit A", "Unit B"])


def test_columns_that_other_apis_declare_grow_with_new_fields(
    site_dir: Path, serve: Callable[..., Server]
) -> None:
    put_manifest(site_dir, "units", {**UNITS, "columns": ["Unit name"]})
    api = admin(serve(site_dir))
    api.create("rentalunit", **{"Unit name": "Unit A"})
    manifest = yaml.safe_load((site_dir / "content/units/manifest.yaml").read_text())
    assert manifest["columns"] == ["Unit name", "Unit number", "Status"]
    assert manifest["bubble"]["fields"] == UNITS["bubble"]["fields"]


def test_writing_a_thing_leaves_a_manifest_alone_that_declares_no_columns(api: Bubble) -> None:
    path = api.server.root / "content" / "units" / "manifest.yaml"
    before = path.read_bytes()
    api.create("rentalunit", **{"Unit name": "Unit A"})
    assert path.read_bytes() == before
    assert api.search("rentalunit")["count"] == 1
