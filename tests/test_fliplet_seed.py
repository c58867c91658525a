"""Each sample of the two seeds, request by request, comparing whole bodies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import eventually
from fliplet_api import DataSources

DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
MANIFEST = """\
id: {id}
name: '{name}'
organization_id: {organization}
created_at: '2016-10-27T15:51:33.497Z'
updated_at: '2016-10-27T15:51:33.497Z'
"""
JOHN = """\
email: john.doe@example.org
last-name: Doe
first-name: John
_meta:
  created_at: '2016-11-15T12:47:56.700Z'
  updated_at: '2016-11-15T12:47:58.840Z'
"""


def described(id: int, name: str, **changed: Any) -> dict[str, Any]:
    """A data source as the samples show it."""
    return {
        "id": id,
        "name": name,
        "appCapabilities": None,
        "hooks": [],
        "encrypted": False,
        "columns": None,
        "type": None,
        "public": None,
        "createdAt": "2016-10-27T15:51:33.497Z",
        "updatedAt": "2016-10-27T15:51:33.497Z",
        "appId": None,
        "organizationId": 123,
        **changed,
    }


def put_file(root: Path, path: str, text: str) -> None:
    target = root / "content" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


@pytest.fixture
def api(site_dir: Path, serve: Any) -> DataSources:
    """The sources and the row that the samples are about, written by hand."""
    for id, name, organization in (
        (2, "Foo", 123),
        (3, "Foo bar", 123),
        (4, "12345", 123),
        (5, "People", 123),
    ):
        put_file(
            site_dir, f"s{id}/manifest.yaml", MANIFEST.format(id=id, name=name, organization=organization)
        )
    put_file(site_dir, "s9/manifest.yaml", MANIFEST.format(id=9, name="Elsewhere", organization=7))
    put_file(site_dir, "s5/1958.yaml", JOHN)
    return DataSources(serve(site_dir))


def undated(answer: requests.Response) -> Any:
    """The body with every date of its own making replaced, after a look at their form."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            for key in ("createdAt", "updatedAt"):
                if key in value:
                    assert DATE.fullmatch(value[key])
            return {
                key: "now" if key in ("createdAt", "updatedAt") else strip(item)
                for key, item in value.items()
            }
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip(answer.json())


# --- data sources -------------------------------------------------------------------------------------


def test_list_the_sources_of_an_organization(api: DataSources) -> None:
    answer = api.get("/data-sources?organizationId=7")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json() == {"dataSources": [described(9, "Elsewhere", organizationId=7)]}


def test_list_the_sources_of_an_app(api: DataSources) -> None:
    made = api.post("/data-sources?appId=5", {"name": "Of the app"}).json()["dataSource"]["id"]
    answer = api.get("/data-sources?appId=5")
    assert [source["id"] for source in answer.json()["dataSources"]] == [made]


def test_get_a_source_by_its_id(api: DataSources) -> None:
    answer = api.get("/data-sources/2")
    assert answer.status_code == 200
    assert answer.json() == {"dataSource": described(2, "Foo")}


def test_get_a_source_by_its_name(api: DataSources) -> None:
    answer = api.get("/data-sources/Foo%20bar")
    assert answer.status_code == 200
    assert answer.json() == {"dataSource": described(3, "Foo bar")}


def test_a_name_of_digits_needs_dsn(api: DataSources) -> None:
    assert api.get("/data-sources/12345").status_code == 404
    answer = api.get("/data-sources/12345?dsn")
    assert answer.status_code == 200
    assert answer.json() == {"dataSource": described(4, "12345")}


def test_names_work_wherever_ids_do(api: DataSources) -> None:
    assert api.get("/data-sources/People/data/1958").json()["dataSourceId"] == 5
    assert api.post("/data-sources/People/data/query", {}).json()["entries"][0]["id"] == 1958
    assert api.put("/data-sources/12345/data?dsn", {"a": 1}).status_code == 201
    assert api.get("/data-sources/12345/data?dsn").json()["entries"][0]["data"] == {"a": 1}


def test_names_mind_case(api: DataSources) -> None:
    assert api.get("/data-sources/foo%20bar").status_code == 404


def test_create_a_source(api: DataSources) -> None:
    answer = api.post("/data-sources?organizationId=123", {"name": "Test"})
    assert answer.status_code == 201
    made = answer.json()["dataSource"]["id"]
    expected = described(made, "Test", public=False, createdAt="now", updatedAt="now")
    assert undated(answer) == {"dataSource": expected}


def test_create_a_source_with_a_type(api: DataSources) -> None:
    made = api.post("/data-sources?organizationId=123", {"name": "Hidden", "type": "keystore"})
    assert made.json()["dataSource"]["type"] == "keystore"


def test_update_a_source(api: DataSources) -> None:
    answer = api.put("/data-sources/2", {"name": "New name", "columns": ["Foo", "Bar"]})
    assert answer.status_code == 200
    expected = described(
        2, "New name", public=False, columns=["Foo", "Bar"], createdAt="now", updatedAt="now"
    )
    assert undated(answer) == {"dataSource": {**expected, "definition": {}}}


def test_update_the_name_only_as_the_older_seed_does(api: DataSources) -> None:
    answer = api.put("/data-sources/2", {"name": "New name"})
    assert answer.status_code == 200
    expected = described(2, "New name", public=False, createdAt="now", updatedAt="now")
    assert undated(answer) == {"dataSource": expected}
    assert api.get("/data-sources/New%20name").json()["dataSource"]["id"] == 2


def test_delete_a_source(api: DataSources) -> None:
    answer = api.delete("/data-sources/2")
    assert (answer.status_code, answer.content) == (200, b"")
    assert api.get("/data-sources/2").status_code == 404
    assert api.get("/data-sources/Foo").status_code == 404


# --- rows -------------------------------------------------------------------------------------------------


def test_bulk_import_appends_or_replaces(api: DataSources) -> None:
    rows = [{"email": "ibroom@fliplet.com"}, {"email": "nvalbusa@fliplet.com"}]
    answer = api.post("/data-sources/2/data", {"append": True, "entries": rows})
    assert (answer.status_code, answer.content) == (200, b"")
    assert api.columns(2) == rows
    api.post("/data-sources/2/data?append=true", {"entries": [{"email": "third@example.org"}]})
    assert api.columns(2) == [*rows, {"email": "third@example.org"}]
    answer = api.post("/data-sources/2/data", {"entries": rows[:1]})
    assert (answer.status_code, answer.content) == (200, b"")
    assert api.columns(2) == rows[:1]


def test_truncate(api: DataSources) -> None:
    answer = api.post("/data-sources/5/data", {"entries": []})
    assert (answer.status_code, answer.content) == (200, b"")
    assert api.rows(5) == []


def test_commit(api: DataSources) -> None:
    first, second = api.insert(2, {"email": "a@example.org", "name": "A"}), api.insert(2, {"email": "gone"})
    body = {
        "entries": [{"id": first, "data": {"email": "b@example.org"}}, {"data": {"email": "c@example.org"}}],
        "delete": [second],
        "append": True,
        "extend": True,
        "runHooks": [],
    }
    answer = api.post("/data-sources/2/commit", body)
    assert answer.status_code == 200
    third = answer.json()["entries"][0]["id"]
    row = {"createdAt": "now", "updatedAt": "now", "dataSourceId": 2}
    assert undated(answer) == {
        "entries": [
            {"id": third, "data": {"email": "c@example.org"}, **row},
            {"id": first, "data": {"email": "b@example.org", "name": "A"}, **row},
        ],
        "clientIds": [],
    }
    assert undated(api.get("/data-sources/2/data"))["entries"] == undated(answer)["entries"]


JOHNS_ROW = {
    "id": 1958,
    "data": {"email": "john.doe@example.org", "last-name": "Doe", "first-name": "John"},
    "createdAt": "2016-11-15T12:47:56.700Z",
    "updatedAt": "2016-11-15T12:47:58.840Z",
    "dataSourceId": 5,
}


def test_run_a_query(api: DataSources) -> None:
    body = {"type": "select", "where": {"email": "john.doe@example.org"}}
    answer = api.post("/data-sources/5/data/query", body)
    assert answer.status_code == 200
    assert answer.json() == {"entries": [JOHNS_ROW]}


def test_get_a_row_by_its_id(api: DataSources) -> None:
    answer = api.get("/data-sources/5/data/1958")
    assert answer.status_code == 200
    assert answer.json() == JOHNS_ROW


def test_insert_a_row(api: DataSources) -> None:
    answer = api.put("/data-sources/2/data", {"email": "twu@fliplet.com", "name": "Tony"})
    assert answer.status_code == 201
    id = answer.json()["id"]
    data = {"email": "twu@fliplet.com", "name": "Tony"}
    row = {"dataSourceId": 2, "updatedAt": "now", "createdAt": "now"}
    assert undated(answer) == {"id": id, "data": data, **row}
    assert answer.json()["createdAt"] == answer.json()["updatedAt"]
    assert api.get(f"/data-sources/2/data/{id}").json() == answer.json()


def test_update_a_row(api: DataSources) -> None:
    answer = api.put("/data-sources/5/data/1958", {"email": "new@example.org", "date": "2024-01-01"})
    assert answer.status_code == 201
    data = {**JOHNS_ROW["data"], "email": "new@example.org", "date": "2024-01-01"}  # type: ignore[dict-item]
    assert answer.json() == {**JOHNS_ROW, "data": data, "updatedAt": answer.json()["updatedAt"]}
    assert answer.json()["updatedAt"] > "2020"


def test_insert_a_row_with_a_file(api: DataSources) -> None:
    answer = api.put(
        "/data-sources/2/data", data={"foo": "bar"}, files={"baz": ("file.jpg", b"\xff\xd8\xff")}
    )
    assert answer.status_code == 201
    body = answer.json()
    url, file_id = body["data"]["baz"], body["data"]["bazMediaFileId"]
    assert undated(answer) == {
        "id": body["id"],
        "data": {"foo": "bar", "baz": url, "bazMediaFileId": file_id},
        "dataSourceId": 2,
        "updatedAt": "now",
        "createdAt": "now",
        "deletedAt": None,
    }
    assert url.endswith("/file.jpg")
    assert api.request("GET", "", headers={"Auth-token": api.token}).status_code == 404
    contents = api.server.session.get(url, headers={"Auth-token": api.token}, timeout=10)
    assert (contents.status_code, contents.content) == (200, b"\xff\xd8\xff")


def test_update_a_row_with_a_file(api: DataSources) -> None:
    answer = api.put("/data-sources/5/data/1958", data={"foo": "bar"}, files={"photo": ("me.png", b"png")})
    assert answer.status_code == 201
    assert answer.json()["data"]["email"] == "john.doe@example.org"
    assert answer.json()["data"]["photoMediaFileId"] == 1


def test_unique_values_of_columns(api: DataSources) -> None:
    api.fill(2, [
        {"Name": "Nick", "Role": {"Name": "Developer"}},
        {"Name": "John", "Role": {"Name": "Designer"}},
        {"Name": "Nick", "Role": {"Name": "Designer"}},
    ])  # fmt: skip
    answer = api.get("/data-sources/2/indexes/Name,Role.Name")
    assert answer.status_code == 200
    assert answer.json() == {"indexes": {"Name": ["John", "Nick"], "Role.Name": ["Designer", "Developer"]}}
    assert api.get("/data-sources/2/indexes/Name%2CRole.Name").json() == answer.json()


# --- versions ---------------------------------------------------------------------------------------------


def test_list_versions(api: DataSources) -> None:
    api.post(
        "/data-sources/2/commit", {"entries": [{"data": {"Column 1": "demo data", "Column 2": "demo data"}}]}
    )
    answer = api.get("/data-sources/2/versions")
    assert answer.status_code == 200
    version = answer.json()["versions"][0]
    user = version["userId"]
    assert undated(answer) == {
        "versions": [
            {
                "createdAt": "now",
                "data": {
                    "action": "commit",
                    "columns": ["Column 1", "Column 2"],
                    "entries": {"count": 1, "key": version["data"]["entries"]["key"]},
                },
                "dataSourceId": 2,
                "id": version["id"],
                "pageId": None,
                "updatedAt": "now",
                "user": {"firstName": str(user), "fullName": str(user), "id": user, "lastName": ""},
                "userId": user,
            }
        ]
    }
    key = rf"data-sources/2/versions/{version['createdAt'][:7]}/[0-9a-f]{{32}}\.json"
    assert re.fullmatch(key, version["data"]["entries"]["key"])


def test_the_rows_of_a_version(api: DataSources) -> None:
    api.fill(2, [{"Column 1": "demo data", "Column 2": "demo data"}, {"Column 1": "other"}])
    version = api.get("/data-sources/2/versions").json()["versions"][0]["id"]
    api.post("/data-sources/2/data", {"entries": []})
    path = f"/data-sources/2/versions/{version}/data"
    answer = api.post(path, {"where": {"Column 1": "demo data"}, "limit": 5})
    assert answer.status_code == 200
    id = answer.json()["entries"][0]["id"]
    data = {"Column 1": "demo data", "Column 2": "demo data"}
    row = {"createdAt": "now", "dataSourceId": 2, "deletedAt": None, "order": 0, "updatedAt": "now"}
    assert undated(answer) == {"entries": [{"id": id, "data": data, **row}]}
    assert len(api.get(path).json()["entries"]) == 2
    assert len(api.get(f"{path}?limit=1").json()["entries"]) == 1


def test_restore_a_version(api: DataSources) -> None:
    api.fill(2, [{"a": 1}, {"a": 2}])
    before = api.rows(2)
    version = api.get("/data-sources/2/versions").json()["versions"][0]["id"]
    api.fill(2, [{"a": 3}])
    assert api.post(f"/data-sources/2/versions/{version}/restore").status_code == 200
    assert api.rows(2) == before


# --- the store under it -----------------------------------------------------------------------------------


def test_a_row_is_an_entry_and_an_edit_of_its_file_is_read_back(api: DataSources, site_dir: Path) -> None:
    id = api.insert(5, {"email": "a@example.org"})
    tokens = api.server.tokens
    entry = api.server.session.get(
        f"{api.server.url}/api/entries", params={"id": f"s5/{id}", "token": tokens["entries"]}, timeout=10
    )
    assert entry.json()["data"]["email"] == "a@example.org"
    file = site_dir / "content" / "s5" / f"{id}.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("a@example.org", "b@example.org"), encoding="utf-8"
    )
    eventually(lambda: api.get(f"/data-sources/5/data/{id}").json()["data"] == {"email": "b@example.org"})
    assert [row["id"] for row in api.query(5, where={"email": "b@example.org"})] == [id]
