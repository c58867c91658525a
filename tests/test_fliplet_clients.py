"""What real clients send, replayed (reference/fliplet.md §1.3 and §10)."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fliplet_api import DataSources, new_token

live = pytest.mark.settings(**{"fliplet.behaviour": "live"})


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


# --- fliplet-agent ------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["documented", "live"])
def test_the_agent_pushes(site_dir: Any, serve: Any, behaviour: str) -> None:
    api = DataSources(serve(site_dir, **{"fliplet.behaviour": behaviour}))
    target = api.create("Target")
    api.fill(target, [{"id": 1, "name": "old"}, {"id": 2, "name": "stays"}])
    user = api.get("/user").json()["user"]
    assert set(user) >= {"id", "email", "fullName", "firstName", "lastName", "auth_token"}
    assert api.get("/data-sources?type=keystore").json() == {"dataSources": []}
    organization = api.get("/organizations").json()["organizations"][0]
    assert set(organization) >= {"id", "name"}
    body = {"name": "Fliplet agent keystore", "type": "keystore", "organizationId": organization["id"]}
    made = api.post("/data-sources", body)
    assert made.status_code == 201
    keystore = made.json()["dataSource"]
    assert (keystore["type"], keystore["organizationId"]) == ("keystore", organization["id"])
    assert [each["id"] for each in api.get("/data-sources?type=keystore").json()["dataSources"]] == [
        keystore["id"]
    ]
    assert api.get(f"/data-sources/{keystore['id']}/data").json()["entries"] == []
    key = {"createdAt": "2024-01-01", "source": "agent", "content": "key"}
    assert api.put(f"/data-sources/{keystore['id']}/data", key).status_code in (200, 201)
    assert api.columns(keystore["id"]) == [key]
    present = {
        row["data"]["name"]: row["id"] for row in api.get(f"/data-sources/{target}/data").json()["entries"]
    }
    body = {
        "append": True,
        "entries": [{"id": present["old"], "data": {"name": "new"}}, {"data": {"id": 3, "name": "added"}}],
        "runHooks": [],
        "extend": True,
    }
    answer = api.post(f"/data-sources/{target}/commit", body)
    assert answer.status_code == 200
    assert len(answer.json()["entries"]) == 3
    assert {row["data"]["name"] for row in answer.json()["entries"]} == {"new", "stays", "added"}


def test_the_agent_pulls(api: DataSources) -> None:
    source = api.create("Pulled")
    api.fill(source, [{"Name": name, "City": city} for name, city in (("a", "x"), ("b", "x"), ("c", "y"))])
    body = {"where": {"Name": {"$ne": "c"}}, "attributes": ["City"], "distinct": "City"}
    answer = api.post(f"/data-sources/{source}/data/query", body)
    assert answer.status_code == 200
    assert [row["data"] for row in answer.json()["entries"]] == [{"City": "x"}]


# --- the VS Code extension ----------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["documented", "live"])
def test_vs_code_saves_rows_and_metadata(site_dir: Any, serve: Any, behaviour: str) -> None:
    api = DataSources(serve(site_dir, **{"fliplet.behaviour": behaviour}))
    apps = api.get("/apps").json()["apps"]
    assert apps[0]["id"] == 1
    rules = [
        {"type": ["select", "insert", "update", "delete"], "allow": "all", "appId": [1], "enabled": True}
    ]
    made = api.post("/data-sources", {"name": "From VS Code", "appId": 1, "accessRules": rules})
    assert made.status_code == 201
    source = made.json()["dataSource"]["id"]
    listed = api.get("/data-sources?roles=publisher,editor&appId=1").json()["dataSources"]
    assert [each["id"] for each in listed] == [source]
    assert api.get("/apps").json()["apps"][0]["dataSourcesInUse"] == [{"id": source, "name": "From VS Code"}]
    api.fill(source, [{"n": number} for number in range(3)])
    rows = api.get(f"/data-sources/{source}/data/query?appId=1").json()["entries"]
    assert [row["data"]["n"] for row in rows] == [0, 1, 2]
    edited = [{key: row[key] for key in ("id", "data", "createdAt", "updatedAt")} for row in rows]
    edited[0]["data"] = {"n": "edited"}
    del edited[1]
    edited.append({"data": {"n": "new"}})
    answer = api.post(f"/data-sources/{source}/commit", {"entries": edited, "source": "vscode"})
    assert [row["data"]["n"] for row in answer.json()["entries"]] == ["edited", 2, "new"]
    assert [row["id"] for row in answer.json()["entries"]][:2] == [rows[0]["id"], rows[2]["id"]]
    whole = api.get(f"/data-sources/{source}?attributes=").json()["dataSource"]
    whole["name"] = "Renamed"
    assert api.put(f"/data-sources/{source}", whole).status_code == 200
    again = api.get(f"/data-sources/{source}").json()["dataSource"]
    assert {**again, "updatedAt": None} == {**whole, "updatedAt": None}
    assert (
        api.get(f"/data-sources/{source}?attributes=accessRules").json()["dataSource"]["accessRules"] == rules
    )


# --- the data source widget ---------------------------------------------------------------------------


@live
def test_the_widget_commits_what_changed(api: DataSources) -> None:
    source = api.create("Widget")
    api.fill(source, [{"A": number} for number in range(4)])
    ids = [row["id"] for row in api.rows(source)]
    body = {
        "entries": [
            {"id": ids[1], "data": {"A": "changed", "B": None}, "order": 1},
            {"data": {"A": "new"}, "clientId": "c-1", "order": 4},
        ],
        "delete": [ids[0]],
        "columns": ["A", "B"],
        "returnEntries": False,
    }
    answer = api.post(f"/data-sources/{source}/commit", body)
    assert answer.status_code == 200
    assert [pair["clientId"] for pair in answer.json()["clientIds"]] == ["c-1"]
    rows = api.rows(source)
    assert [row["data"].get("A") for row in rows] == ["changed", 2, 3, "new"]
    assert rows[3]["id"] == answer.json()["clientIds"][0]["id"]
    described = api.get(f"/data-sources/{source}?includeEntriesCount").json()["dataSource"]
    assert (described["columns"], described["entriesCount"]) == (["A", "B"], 4)


@live
def test_the_widget_pages(api: DataSources) -> None:
    source = api.create("Widget")
    api.fill(source, [{"n": number} for number in range(10)])
    body = {"includePagination": True, "limit": 3, "offset": 6, "order": [["order", "ASC"], ["id", "ASC"]]}
    answer = api.post(f"/data-sources/{source}/data/query", body).json()
    assert [row["data"]["n"] for row in answer["entries"]] == [6, 7, 8]
    assert answer["pagination"] == {"total": 10, "limit": 3, "offset": 6}


def test_the_widget_lists_sources(api: DataSources) -> None:
    for name, type in (("b", None), ("a", None), ("m", "menu"), ("k", "keystore")):
        api.create(name, **({} if type is None else {"type": type}))

    def names(query: str) -> list[str]:
        return [
            each["name"] for each in api.get(f"/data-sources?organizationId=1&{query}").json()["dataSources"]
        ]

    assert names("") == ["a", "b", "k", "m"]
    assert names("type=null") == names("type=") == ["a", "b"]
    assert names("type=menu") == ["m"]
    assert names("excludeTypes=menu,bookmarks,likes") == ["a", "b", "k"]
    assert names("order=name&direction=DESC") == ["m", "k", "b", "a"]
    assert names("order=id") == ["b", "a", "m", "k"]
    (first, *_) = api.get("/data-sources?attributes=id,name&includeInUse=true").json()["dataSources"]
    assert set(first) == {"id", "name"}
    assert api.get("/data-sources?order=nonsense").status_code == 400


def test_the_comments_widget_deletes(api: DataSources) -> None:
    source = api.create("Comments")
    api.fill(source, [{"n": 1}, {"n": 2}])
    ids = [row["id"] for row in api.rows(source)]
    answer = api.post(f"/data-sources/{source}/commit", {"delete": [ids[0]], "append": True, "extend": True})
    assert [row["id"] for row in answer.json()["entries"]] == [ids[1]]


# --- other clients ------------------------------------------------------------------------------------


def test_the_playwright_helpers(api: DataSources) -> None:
    source = api.create("Agenda")
    headers = {"Authorization": f"Bearer {api.token}"}
    made = api.put(f"/data-sources/{source}/data", {"Title": "x"}, headers=headers)
    row = made.json()["id"]
    deleted = api.delete(f"/data-sources/{source}/data/{row}", headers=headers)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert api.delete(f"/data-sources/{source}/data/{row}", headers=headers).status_code == 404


def test_a_client_that_takes_json_only(api: DataSources) -> None:
    source = api.create("Sam")
    api.put(f"/data-sources/{source}/data", data={"t": "1"}, files={"f": ("a.jpg", b"x")})
    for method, path, body in (
        ("GET", "/data-sources?appId=1", None),
        ("GET", f"/data-sources/{source}", None),
        ("POST", f"/data-sources/{source}/data/query", {"type": "select", "limit": 5, "offset": 0}),
        ("GET", "/media?appId=1&folderId=2", None),
        ("GET", "/media/files/1", None),
    ):
        answer = api.request(method, path, json=body)
        assert answer.status_code == 200
        assert isinstance(answer.json(), dict)
    assert set(api.get("/media?appId=1").json()) == {"folders", "files"}
    for path in ("/data-sources/999", "/media/files/999", "/nonsense", f"/data-sources/{source}/nonsense"):
        answer = api.get(path)
        assert (answer.status_code, "message" in answer.json()) == (404, True)


def test_the_browser_sdk(api: DataSources) -> None:
    source = api.create("Sdk")
    token = api.token
    both = {
        "Auth-token": token,
        "Authorization": "Bearer " + base64.b64encode(token.encode()).decode(),
        "X-Device-Platform": "web",
        "X-Device-Tracking": "x",
        "X-App-Locales": "en",
        "Origin": "https://apps.example.org",
    }
    asked = api.request("OPTIONS", f"/data-sources/{source}/data", headers={
        "Origin": "https://apps.example.org", "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "auth-token,content-type",
    })  # fmt: skip
    assert asked.status_code == 204
    assert asked.headers["Access-Control-Allow-Origin"] == "*"
    assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
    assert "auth-token" in asked.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in asked.headers
    path = f"/data-sources/{source}"
    row = api.put(f"{path}/data", {"a": 1}, headers=both)
    assert (row.status_code, row.headers["Access-Control-Allow-Origin"]) == (201, "*")
    assert api.post(f"{path}/data/query", {"limit": 1, "_tags": ["x"]}, headers=both).json()["entries"]
    assert (
        api.post(f"{path}/data", {"append": True, "entries": [], "runHooks": True}, headers=both).status_code
        == 200
    )


def test_the_session_row(api: DataSources, server: Any) -> None:
    source = api.create("Users", accessRules=[{"type": ["select", "update"], "allow": "loggedIn"}])
    row = api.insert(source, {"Email": "anna@example.org"})
    user = {"id": row, "dataSourceId": source, "Email": "anna@example.org"}
    anna = DataSources(server, new_token(server, organization_id=1, user=user)[0])
    assert anna.get(f"/data-sources/{source}/data/session").json()["id"] == row
    assert anna.put(f"/data-sources/{source}/data/session", {"Phone": "1"}).status_code == 201
    assert api.columns(source) == [{"Email": "anna@example.org", "Phone": "1"}]
    assert api.get(f"/data-sources/{source}/data/session").status_code == 404


@live
def test_live_mode_answers_as_the_service_does(api: DataSources) -> None:
    source = api.create("Live")
    made = api.put(f"/data-sources/{source}/data", {"n": 12, "name": None})
    assert made.status_code == 200
    row = made.json()["id"]
    dates = {"createdAt": None, "updatedAt": None}
    data = {"n": 12, "name": None}
    expected = {"id": row, "data": data, "dataSourceId": source, "order": None, "deletedAt": None, **dates}
    assert {**made.json(), **dates} == expected
    assert api.put(f"/data-sources/{source}/data/{row}", {"n": 12}).status_code == 200
    assert api.get(f"/data-sources/{source}/indexes/n,name").json() == {
        "indexes": {"n": ["12"], "name": [None]}
    }
    answer = api.post(f"/data-sources/{source}/data/query", {"type": "delete", "where": {"n": 12}})
    assert answer.json() == {"entries": [], "deleted": [row], "deletedCount": 1}
    described = api.get(f"/data-sources/{source}").json()["dataSource"]
    assert described["definition"] == {}
    assert described["accessRules"] is None
