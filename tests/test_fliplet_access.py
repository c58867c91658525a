"""Access over HTTP: tokens, roles and rules, with the status and body of each answer (fliplet.md §1, §5).

Which rule grants what is tested in tests/test_access_rules.py; here each kind of request meets a denial and a
grant, and what is denied has changed nothing.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fliplet_api import UNKNOWN_TOKEN, DataSources, denial, new_token

from flatdata.store.sources import update_manifest

ANNA = {"id": 12, "Email": "anna@example.org", "Role": "Admin"}
EVERY = ["select", "insert", "update", "delete"]
OWN = [{"Email": {"equals": "{{user.[Email]}}"}}]


@pytest.fixture
def admin(server: Any) -> DataSources:
    return DataSources(server)


@pytest.fixture
def anna(server: Any) -> tuple[DataSources, int]:
    token, identity = new_token(server, user=ANNA, organization_id=1)
    return DataSources(server, token), identity


# --- ways to send a token -------------------------------------------------------------------------------


def test_a_token_in_each_of_the_four_ways(admin: DataSources) -> None:
    admin.create()
    token = admin.token
    encoded = base64.b64encode(token.encode()).decode()
    for headers in (
        {"Auth-token": token},
        {"auth-token": token},
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"bearer {encoded}"},
        {"Auth-token": token, "Authorization": f"Bearer {encoded}"},
    ):
        answer = admin.get("/data-sources", headers=headers)
        assert (answer.status_code, len(answer.json()["dataSources"])) == (200, 1), headers
    assert admin.get(f"/data-sources?auth_token={token}", headers={}).status_code == 200
    assert admin.get("/data-sources", headers={}, cookies={"auth_token": token}).status_code == 200


def test_no_token_and_unknown_tokens(admin: DataSources) -> None:
    missing = admin.get("/data-sources", headers={})
    assert (missing.status_code, missing.json()["error"]) == (401, "not authorised")
    assert "WWW-Authenticate" in missing.headers
    for headers in (
        {"Auth-token": "eu--unknown"},
        {"Auth-token": ""},
        {"Auth-token": admin.token.upper()},
        {"Auth-token": "x" * 5000},
        {"Authorization": f"Basic {admin.token}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + base64.b64encode(b"\xff\xfe").decode()},
        {"Auth-token": admin.token, "Authorization": "Bearer eu--other"},
    ):
        answer = admin.get("/data-sources", headers=headers)
        assert (answer.status_code, answer.json()) == (401, UNKNOWN_TOKEN), headers
    assert admin.get("/data-sources?auth_token=x", headers={"Auth-token": admin.token}).status_code == 401
    assert admin.get("/data-sources", headers={}, cookies={"auth_token": "../../x"}).json() == UNKNOWN_TOKEN


def test_two_tokens_that_disagree(admin: DataSources, anna: tuple[DataSources, int]) -> None:
    headers = {"Auth-token": admin.token, "Authorization": f"Bearer {anna[0].token}"}
    assert admin.get("/data-sources", headers=headers).json() == UNKNOWN_TOKEN


def test_a_cookie_does_not_write_for_pages_of_other_sites(admin: DataSources) -> None:
    source = admin.create()
    cookies = {"auth_token": admin.token}
    for origin, status in (("https://evil.example", 401), ("null", 401), (admin.server.url, 201)):
        headers = {"Origin": origin}
        answer = admin.put(f"/data-sources/{source}/data", {"a": 1}, headers=headers, cookies=cookies)
        assert (answer.status_code, len(admin.rows(source))) == (status, int(status == 201))


def test_a_public_source_is_read_without_a_token(admin: DataSources) -> None:
    source = admin.create("Open", public=True)
    row = admin.insert(source, {"a": 1})
    nobody = DataSources(admin.server, "")
    assert nobody.get(f"/data-sources/{source}").json()["dataSource"]["public"] is True
    assert nobody.columns(source) == [{"a": 1}]
    assert nobody.get(f"/data-sources/{source}/data/{row}").status_code == 200
    assert nobody.query(source, where={"a": 1})[0]["id"] == row
    answer = nobody.put(f"/data-sources/{source}/data", {"a": 2})
    assert (answer.status_code, answer.json()) == (400, denial("Open", source, "write"))
    assert nobody.delete(f"/data-sources/{source}").status_code == 400
    hidden = admin.create("Closed")
    for path in (hidden, 10**9, "Closed"):
        assert nobody.get(f"/data-sources/{path}/data").status_code == 401


# --- each request, with a right and without ---------------------------------------------------------------


def requests_on(source: int, row: int) -> dict[str, tuple[str, str, Any, str]]:
    """By name: method, path, body, and the verb of the denial."""
    base = f"/data-sources/{source}"
    return {
        "list": ("GET", f"{base}/data", None, "read"),
        "one": ("GET", f"{base}/data/{row}", None, "read"),
        "indexes": ("GET", f"{base}/indexes/Email", None, "read"),
        "versions": ("GET", f"{base}/versions", None, "read"),
        "query": ("POST", f"{base}/data/query", {"where": {}}, "read"),
        "count": ("POST", f"{base}/data/query", {"countOnly": True}, "read"),
        "aggregate": ("POST", f"{base}/data/query", {"aggregate": [{"$count": "n"}]}, "read"),
        "insert": ("PUT", f"{base}/data", {"Email": "x"}, "write"),
        "append": ("POST", f"{base}/data", {"append": True, "entries": [{"Email": "x"}]}, "write"),
        "update": ("PUT", f"{base}/data/{row}", {"Email": "x"}, "update"),
        "commit-insert": ("POST", f"{base}/commit", {"append": True, "entries": [{"data": {}}]}, "write"),
        "commit-update": (
            "POST", f"{base}/commit", {"append": True, "entries": [{"id": row, "data": {}}]}, "update",
        ),
        "commit-delete": ("POST", f"{base}/commit", {"append": True, "delete": [row]}, "delete"),
        "delete": ("DELETE", f"{base}/data/{row}", None, "delete"),
        "change": ("PUT", base, {"name": "Taken"}, "update"),
        "remove": ("DELETE", base, None, "delete"),
    }  # fmt: skip


ROLES = {
    "r": {"list", "one", "indexes", "versions"},
    "q": {"query", "count", "aggregate"},
    "c": {"insert", "append", "commit-insert"},
    "u": {"update", "commit-update"},
    "d": {"delete", "commit-delete"},
    "crudq": set(requests_on(0, 0)),
    "": set(),
}


@pytest.mark.parametrize("letters", ROLES)
def test_a_role_lets_through_what_its_letters_say(
    admin: DataSources, anna: tuple[DataSources, int], site_dir: Any, letters: str
) -> None:
    client, identity = anna
    for name in requests_on(0, 0):
        source, row = source_with(admin, f"{letters or 'no'} {name}", roles={identity: letters})
        before = admin.rows(source)
        method, path, body, verb = requests_on(source, row)[name]
        answer = client.request(method, path, json=body)
        if name in ROLES[letters]:
            assert answer.status_code in (200, 201), (name, answer.text)
        else:
            expected = denial(f"{letters or 'no'} {name}", source, verb)
            assert (answer.status_code, answer.json()) == (400, expected), name
            assert admin.rows(source) == before


RULES = {
    "select": {"list", "one", "indexes", "versions", "query", "count", "aggregate"},
    "count": {"count"},
    "insert": {"insert", "append", "commit-insert"},
    "update": {"update", "commit-update"},
    "delete": {"delete", "commit-delete"},
}


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_lets_through_what_its_type_says(
    admin: DataSources, anna: tuple[DataSources, int], kind: str
) -> None:
    client, identity = anna
    rules = [{"type": [kind], "allow": {"tokens": [identity]}, "enabled": True}]
    for name in requests_on(0, 0):
        source, row = source_with(admin, f"{kind} {name}", rules=rules)
        method, path, body, verb = requests_on(source, row)[name]
        answer = client.request(method, path, json=body)
        if name in RULES[kind]:
            assert answer.status_code in (200, 201), (name, answer.text)
        else:
            expected = denial(f"{kind} {name}", source, verb)
            assert (answer.status_code, answer.json()) == (400, expected), name


def source_with(
    admin: DataSources, name: str, *, roles: dict[int, str] | None = None, rules: Any = None
) -> tuple[int, int]:
    """A source with one row, and roles (written into its manifest) or rules; gives the ids of both."""
    source = admin.create(name)
    row = admin.insert(source, {"Email": "anna@example.org"})
    site = admin.server.site  # type: ignore[attr-defined]
    found = site.sources.by_id(source)
    permissions = {str(identity): letters for identity, letters in (roles or {}).items()}
    put = update_manifest(found, permissions=permissions, access_rules=rules)
    site.store.commit(lambda view: ([put], None), origin="test")
    return source, row


def test_an_empty_list_of_rules_denies_the_creator_but_not_an_admin(
    admin: DataSources, anna: tuple[DataSources, int]
) -> None:
    client, _ = anna
    source = client.create("Mine", accessRules=[])
    answer = client.get(f"/data-sources/{source}/data")
    assert (answer.status_code, answer.json()) == (400, denial("Mine", source, "read"))
    assert admin.rows(source) == []
    assert client.put(f"/data-sources/{source}", {"accessRules": None}).status_code == 200
    assert client.rows(source) == []


def test_the_creator_has_every_role_and_others_have_none(server: Any, anna: tuple[DataSources, int]) -> None:
    client, _ = anna
    source = client.create("Mine")
    client.insert(source, {"a": 1})
    other = DataSources(server, new_token(server)[0])
    answer = other.get(f"/data-sources/{source}/data")
    assert (answer.status_code, answer.json()) == (400, denial("Mine", source, "read"))
    assert other.get("/data-sources").json() == {"dataSources": []}
    assert other.get(f"/data-sources/{source}").json() == denial("Mine", source, "read")
    assert [found["id"] for found in client.get("/data-sources").json()["dataSources"]] == [source]


# --- rules that look at rows --------------------------------------------------------------------------------


@pytest.fixture
def own(admin: DataSources) -> int:
    """A source in which everybody has their own rows."""
    source = admin.create("Own", accessRules=[{"type": EVERY, "allow": "loggedIn", "require": OWN}])
    for email in ("anna@example.org", "bert@example.org"):
        admin.insert(source, {"Email": email, "Note": "x"})
    return source


def test_everybody_reads_their_own_rows(admin: DataSources, anna: tuple[DataSources, int], own: int) -> None:
    client, _ = anna
    found = client.query(own, where={"Email": "anna@example.org"})
    assert [row["data"]["Email"] for row in found] == ["anna@example.org"]
    for where in ({}, {"Email": "bert@example.org"}, {"$or": [{"Email": "anna@example.org"}, {}]}):
        answer = client.post(f"/data-sources/{own}/data/query", {"where": where})
        assert (answer.status_code, answer.json()) == (400, denial("Own", own, "read"))
    mine, others = (row["id"] for row in sorted(admin.rows(own), key=lambda row: row["data"]["Email"]))
    assert client.get(f"/data-sources/{own}/data/{mine}").status_code == 200
    assert client.get(f"/data-sources/{own}/data/{others}").status_code == 400
    assert client.get(f"/data-sources/{own}/data").status_code == 400


def test_everybody_writes_their_own_rows(admin: DataSources, anna: tuple[DataSources, int], own: int) -> None:
    client, _ = anna
    mine, others = (row["id"] for row in sorted(admin.rows(own), key=lambda row: row["data"]["Email"]))
    before = admin.rows(own)
    base = f"/data-sources/{own}"
    refused = [
        client.put(f"{base}/data", {"Email": "bert@example.org"}),
        client.put(f"{base}/data/{others}", {"Note": "y"}),
        client.put(f"{base}/data/{mine}", {"Email": "bert@example.org"}),
        client.delete(f"{base}/data/{others}"),
        client.post(f"{base}/data", {"entries": []}),
        client.post(
            f"{base}/data", {"append": True, "entries": [{"Email": "anna@example.org"}, {"Email": "x"}]}
        ),
        client.post(f"{base}/commit", {"append": True, "delete": [mine, others]}),
        client.post(
            f"{base}/commit",
            {
                "append": True,
                "entries": [{"id": mine, "data": {}}, {"id": others, "data": {}}],
                "extend": True,
            },
        ),
        client.post(f"{base}/data/query", {"type": "delete"}),
        client.post(f"{base}/data/query", {"type": "update", "data": {"Note": "z"}}),
        client.post(f"{base}/versions/1/restore"),
    ]
    assert [answer.status_code for answer in refused][:-1] == [400] * 10
    assert refused[-1].status_code in (400, 404)
    assert admin.rows(own) == before
    assert client.put(f"{base}/data/{mine}", {"Note": "y"}).status_code == 201
    body = {"type": "update", "where": {"Email": "anna@example.org"}, "data": {"Note": "z"}}
    assert client.post(f"{base}/data/query", body).json()["entries"][0]["data"]["Note"] == "z"
    assert client.delete(f"{base}/data/{mine}").json() == {}


def test_columns_that_a_rule_hides_are_not_there(admin: DataSources, anna: tuple[DataSources, int]) -> None:
    client, _ = anna
    rules = [{"type": EVERY, "allow": "all", "exclude": ["Salary"]}]
    source = admin.create("Staff", accessRules=rules, columns=["Name", "Salary"])
    row = admin.insert(source, {"Name": "A", "Salary": 100})
    base = f"/data-sources/{source}"
    assert client.columns(source) == [{"Name": "A"}]
    assert client.get(f"{base}/data/{row}").json()["data"] == {"Name": "A"}
    for where in ({"Salary": 100}, {"Salary": {"$gt": 1}}, {"Salary": {"$exists": True}}, {"Salary.x": 1}):
        assert client.query(source, where=where) == client.query(source, where={"Nothing": 100}) == []
    answers = [
        client.post(f"{base}/data/query", {"order": [[f"data.{column}", "ASC"]]})
        for column in ("Salary", "Pay")
    ]
    assert answers[0].status_code == answers[1].status_code == 400
    assert answers[0].json()["message"].replace("Salary", "Pay") == answers[1].json()["message"]
    assert client.get(f"{base}/indexes/Salary").status_code == 400
    pipeline = [{"$group": {"_id": None, "sum": {"$sum": "$data.Salary"}}}]
    assert client.query(source, aggregate=pipeline) == [{"_id": None, "sum": 0}]
    counts = [{"$group": {"_id": "$data.Salary", "n": {"$sum": 1}}}]
    assert admin.query(source, aggregate=counts) == [{"_id": 100, "n": 1}]
    assert client.query(source, aggregate=counts) == [{"_id": None, "n": 1}]
    assert client.query(source, aggregate=[{"$match": {"data.Salary": {"$gt": 1}}}]) == []
    assert client.query(source, distinct="Salary", attributes=["Salary"])[0]["data"] == {}
    version = admin.get(f"{base}/versions").json()["versions"][0]["id"]
    assert client.get(base).json()["dataSource"]["columns"] == ["Name"]
    assert client.get(f"{base}/versions").json()["versions"][0]["data"]["columns"] == ["Name"]
    body = {"where": {"Salary": 100}}
    assert client.post(f"{base}/versions/{version}/data", body).json() == {"entries": []}
    assert client.get(f"{base}/versions/{version}/data").json()["entries"][0]["data"] == {"Name": "A"}


def test_columns_that_a_rule_hides_are_not_written(admin: DataSources, anna: tuple[DataSources, int]) -> None:
    client, _ = anna
    rules = [{"type": EVERY, "allow": "all", "exclude": ["Salary"]}]
    source = admin.create("Staff", accessRules=rules)
    row = admin.insert(source, {"Name": "A", "Salary": 100})
    base = f"/data-sources/{source}"
    assert client.put(f"{base}/data/{row}", {"Name": "B", "Salary": 0}).json()["data"] == {"Name": "B"}
    client.post(
        f"{base}/commit", {"append": True, "entries": [{"id": row, "data": {"Name": "C", "Salary": 0}}]}
    )
    assert admin.columns(source) == [{"Name": "C", "Salary": 100}]
    client.put(f"{base}/data", {"Name": "D", "Salary": 1})
    assert {"Name": "D"} in admin.columns(source)


def test_a_join_needs_the_right_to_read_the_other_source(
    admin: DataSources, anna: tuple[DataSources, int]
) -> None:
    client, _ = anna
    mine, secret = client.create("Mine"), admin.create("Secret")
    client.insert(mine, {"k": 1})
    admin.insert(secret, {"k": 1, "secret": "x"})
    join = {"Other": {"dataSourceId": secret, "on": {"data.k": "data.k"}}}
    answer = client.post(f"/data-sources/{mine}/data/query", {"join": join})
    assert (answer.status_code, answer.json()) == (400, denial("Secret", secret, "read"))
    admin.put(
        f"/data-sources/{secret}", {"accessRules": [{"type": "select", "allow": "all", "include": ["k"]}]}
    )
    (row,) = client.query(mine, join=join)
    assert [other["data"] for other in row["joins"]["Other"]] == [{"k": 1}]


def test_a_commit_shows_all_rows_only_to_those_who_may_read_them(
    admin: DataSources, anna: tuple[DataSources, int]
) -> None:
    client, _ = anna
    source = admin.create("Drop box", accessRules=[{"type": ["insert"], "allow": "all"}])
    admin.insert(source, {"secret": 1})
    answer = client.post(
        f"/data-sources/{source}/commit", {"append": True, "entries": [{"data": {"mine": 1}}]}
    )
    assert [row["data"] for row in answer.json()["entries"]] == [{"mine": 1}]


# --- sources ------------------------------------------------------------------------------------------------


def test_what_a_token_may_not_set(admin: DataSources, anna: tuple[DataSources, int]) -> None:
    client, _ = anna
    source = client.create("Mine")
    body = {
        "id": 1, "appId": 99, "organizationId": 99, "createdAt": "x", "updatedAt": "x", "deletedAt": "x",
        "permissions": "c", "access_rules": [], "name": "Renamed",
    }  # fmt: skip
    changed = client.put(f"/data-sources/{source}", body).json()["dataSource"]
    assert (changed["id"], changed["appId"], changed["organizationId"]) == (source, None, 1)
    assert changed["createdAt"] != "x"
    assert client.rows(source) == []


def test_a_token_stays_in_its_app_and_organization(server: Any) -> None:
    client = DataSources(server, new_token(server, app_id=5, organization_id=2)[0])
    for context in ("appId=6", "organizationId=3", "appId=5&organizationId=1"):
        assert client.post(f"/data-sources?{context}", {"name": "x"}).status_code == 400
        assert client.get(f"/data-sources?{context}").status_code == 400
    made = client.post("/data-sources?appId=5", {"name": "x"}).json()["dataSource"]
    assert (made["appId"], made["organizationId"]) == (5, 2)


def test_all_in_a_rule_means_all_of_the_organization(server: Any, admin: DataSources) -> None:
    source = admin.create("Ours", accessRules=[{"type": "select", "allow": "all"}])
    ours = DataSources(server, new_token(server, organization_id=1)[0])
    theirs = DataSources(server, new_token(server, organization_id=2)[0])
    assert ours.get(f"/data-sources/{source}/data").status_code == 200
    assert theirs.get(f"/data-sources/{source}/data").json() == denial("Ours", source, "read")


def test_hooks_and_rules_are_shown_to_managers_only(server: Any, admin: DataSources) -> None:
    hook = {"type": "web", "runOn": ["insert"], "payload": {"endpoint": "https://user.example/?secret=1"}}
    rules = [{"type": "select", "allow": "all"}]
    source = admin.create("Hooked", hooks=[hook], accessRules=rules)
    reader = DataSources(server, new_token(server, organization_id=1)[0])
    path = f"/data-sources/{source}?attributes=hooks,accessRules,name"
    assert admin.get(path).json()["dataSource"]["hooks"] == [hook]
    assert admin.get(path).json()["dataSource"]["accessRules"] == rules
    assert reader.get(path).json() == {
        "dataSource": {"id": source, "name": "Hooked", "hooks": [], "accessRules": None}
    }


def test_scripts_in_rules_are_refused(admin: DataSources) -> None:
    rules = [{"type": "select", "allow": "all", "script": "return {granted: true}"}]
    answer = admin.post("/data-sources?organizationId=1", {"name": "x", "accessRules": rules})
    assert answer.status_code == 400
    assert "script" in answer.json()["message"]


def test_the_trash(admin: DataSources, server: Any, anna: tuple[DataSources, int]) -> None:
    client, _ = anna
    source = client.create("Gone")
    row = client.insert(source, {"a": 1})
    client.delete(f"/data-sources/{source}")
    assert client.get(f"/data-sources/{source}/data").status_code == 404
    assert [found["id"] for found in client.get("/data-sources/deleted/").json()["dataSources"]] == [source]
    other = DataSources(server, new_token(server, organization_id=1)[0])
    assert other.get("/data-sources/deleted").json() == {"dataSources": []}
    assert other.post(f"/data-sources/{source}/restore").status_code == 400
    assert client.post(f"/data-sources/{source}/restore").json()["dataSource"]["name"] == "Gone"
    assert [found["id"] for found in client.rows(source)] == [row]
    assert client.delete(f"/data-sources/deleted/{source}").status_code == 404
    client.delete(f"/data-sources/{source}")
    assert client.delete(f"/data-sources/deleted/{source}").status_code == 200
    assert client.post(f"/data-sources/{source}/restore").status_code == 404
    again = client.create("Gone")
    assert again != source
    assert client.rows(again) == []


# --- limits -------------------------------------------------------------------------------------------------


@pytest.mark.settings(**{"fliplet.rate_limit.requests": 3, "fliplet.rate_limit.seconds": 60})
def test_more_requests_than_the_setting_allows(admin: DataSources, server: Any) -> None:
    answers = [admin.get("/data-sources") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["message"].startswith("You've made too many attempts")
    assert set(answers[3].json()) == {"message", "referenceUrl", "nextValidRequestDate"}
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    other = DataSources(server, new_token(server)[0])
    assert other.get("/data-sources").status_code == 200


def test_a_token_with_a_limit_of_calls(server: Any, admin: DataSources) -> None:
    client = DataSources(server, new_token(server, limit_calls=2)[0])
    assert [client.get("/data-sources").status_code for _ in range(3)] == [200, 200, 401]
