"""Privacy rules over HTTP: who finds, sees, creates, modifies and deletes what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bubble_http import USERS, Bubble, admin, put_manifest
from conftest import Server, eventually

CREATOR = {"field": "Created By", "equals": {"user": "_id"}}
FIELDS = {
    "Name": "text",
    "Price": "number",
    "Secret": "text",
    "Open": "boolean",
    "Owner": "user",
    "Team": "list.user",
}
OWN = {"when": CREATOR, "find": True, "view": "all", "create": True, "modify": True, "delete": True}
CREATE = "Permission denied: cannot create this object"
MODIFY = "You do not have permission to modify this object"
DELETE = "You do not have permission to delete this object"


@dataclass
class People:
    """The API as each of the callers uses it, and the ids of the users."""

    callers: dict[str, Bubble]
    ids: dict[str, str]

    def __getitem__(self, name: str) -> Bubble:
        return self.callers[name]


@pytest.fixture
def people(site_dir: Path, serve: Callable[..., Server]) -> Callable[..., People]:
    def open_site(*rules: Any, public: bool = False, **part: Any) -> People:
        bubble = {"exposed": True, "display": "Item", "fields": FIELDS, "privacy": list(rules), **part}
        put_manifest(site_dir, "items", {"id": 1, "name": "Items", "public": public, "bubble": bubble})
        put_manifest(site_dir, "users", USERS)
        api = admin(serve(site_dir))
        ids = {}
        callers = {"admin": api, "visitor": api.anonymous()}
        for name, role in (("tony", "Editor"), ("anna", "Boss")):
            email = f"{name}@b.example"
            ids[name] = api.create("user", email=email, password="secret words", Role=role)
            callers[name] = api.as_user(email)
        return People(callers, ids)

    return open_site


Open = Callable[..., People]


# --- a table: rules, caller, operation, what comes of it ----------------------------------------

RULES: dict[str, list[Any]] = {
    "none": [],
    "own": [OWN],
    "own, and all found with their name": [OWN, {"find": True, "view": ["Name"]}],
    "all seen by users": [{"when": "logged_in", "find": True, "view": "all"}],
    "bosses modify": [
        {"find": True, "view": ["Name", "Price"]},
        {"when": {"user": "Role", "equals": "Boss"}, "modify": True, "delete": True},
    ],
    "open ones modified": [{"when": {"field": "Open", "equals": True}, "modify": True, "create": True}],
    "teams": [
        {"when": {"field": "Team", "contains": {"user": "_id"}}, "find": True, "view": "all", "modify": True}
    ],
    "broken": [{"when": "everyone", "find": True, "view": "all"}],
    "find only": [{"find": True}],
    "view only": [{"view": "all"}],
}

ALL = "Name Open Owner Price Secret Team"
TABLE: list[tuple[str, str, str, Any]] = [
    ("none", "visitor", "search", 0),
    ("none", "visitor", "get", ""),
    ("none", "tony", "search", 1),
    ("none", "tony", "get", ALL),
    ("none", "tony", "create", CREATE),
    ("none", "tony", "modify", MODIFY),
    ("none", "tony", "delete", DELETE),
    ("none", "admin", "search", 1),
    ("none", "admin", "create", 201),
    ("none", "admin", "modify", 204),
    ("none", "admin", "delete", 204),
    ("own", "visitor", "search", 0),
    ("own", "visitor", "get", ""),
    ("own", "visitor", "create", CREATE),
    ("own", "anna", "search", 0),
    ("own", "anna", "get", ""),
    ("own", "anna", "modify", MODIFY),
    ("own", "anna", "replace", MODIFY),
    ("own", "anna", "delete", DELETE),
    ("own", "anna", "create", 201),
    ("own", "tony", "search", 1),
    ("own", "tony", "get", ALL),
    ("own", "tony", "modify", 204),
    ("own", "tony", "delete", 204),
    ("own", "admin", "search", 1),
    ("own, and all found with their name", "visitor", "search", 1),
    ("own, and all found with their name", "visitor", "get", "Name"),
    ("own, and all found with their name", "anna", "get", "Name"),
    ("own, and all found with their name", "tony", "get", ALL),
    ("own, and all found with their name", "anna", "delete", DELETE),
    ("all seen by users", "visitor", "search", 0),
    ("all seen by users", "anna", "get", ALL),
    ("all seen by users", "anna", "modify", MODIFY),
    ("bosses modify", "visitor", "get", "Name Price"),
    ("bosses modify", "tony", "modify", MODIFY),
    ("bosses modify", "anna", "modify", 204),
    ("bosses modify", "anna", "replace", 204),
    ("bosses modify", "anna", "delete", 204),
    ("bosses modify", "anna", "create", CREATE),
    ("open ones modified", "visitor", "search", 0),
    ("open ones modified", "visitor", "modify", 204),
    ("open ones modified", "visitor", "delete", DELETE),
    ("open ones modified", "visitor", "create", CREATE),
    ("teams", "anna", "search", 1),
    ("teams", "anna", "get", ALL),
    ("teams", "anna", "modify", 204),
    ("teams", "tony", "search", 0),
    ("teams", "tony", "modify", MODIFY),
    ("broken", "tony", "search", 0),
    ("broken", "tony", "get", ""),
    ("broken", "admin", "search", 1),
    ("find only", "visitor", "search", 1),
    ("find only", "visitor", "get", ""),
    ("view only", "visitor", "search", 0),
    ("view only", "visitor", "get", ALL),
]


def outcome(people: People, caller: str, operation: str, identity: str) -> Any:
    api, path = people[caller], f"/obj/item/{identity}"
    if operation == "search":
        return api.search("item")["count"]
    if operation == "get":
        shown = api.thing("item", identity)
        return " ".join(sorted(key for key in shown if key in FIELDS))
    requests: dict[str, tuple[str, str, Any]] = {
        "create": ("POST", "/obj/item", {"Name": "new"}),
        "modify": ("PATCH", path, {"Price": 2}),
        "replace": ("PUT", path, {"Price": 2}),
        "delete": ("DELETE", path, None),
    }
    method, path, body = requests[operation]
    response = api.request(method, path, json=body)
    return response.json()["translation"] if response.status_code == 401 else response.status_code


@pytest.mark.parametrize("rules", RULES)
def test_what_callers_may_do(people: Open, rules: str) -> None:
    site = people(*RULES[rules])
    for name, caller, operation, expected in TABLE:
        if name != rules:
            continue
        item = {"Name": "A", "Price": 1, "Secret": "x", "Open": True, "Owner": site.ids["anna"]}
        identity = site["admin"].create("item", **item, Team=[site.ids["anna"]])
        path = site["admin"].server.root / "content" / "items" / f"{identity}.yaml"
        path.write_text(path.read_text().replace("admin_user_flatdata_live", site.ids["tony"]))
        await_creator(site, identity)
        assert outcome(site, caller, operation, identity) == expected, (caller, operation)
        for thing in site["admin"].search("item")["results"]:
            site["admin"].request("DELETE", f"/obj/item/{thing['_id']}")


def await_creator(site: People, identity: str) -> None:
    # Whoever asks while the file is being written may find it empty.
    eventually(lambda: site["admin"].thing("item", identity).get("Created By") == site.ids["tony"])


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 30


# --- before and after a change ----------------------------------------


def test_a_user_cannot_give_away_what_lets_them_modify(people: Open) -> None:
    rule = {
        "when": {"field": "Owner", "equals": {"user": "_id"}},
        "find": True,
        "view": "all",
        "modify": True,
    }
    site = people(rule)
    tony, ids = site["tony"], site.ids
    identity = site["admin"].create("item", Name="A", Owner=ids["tony"])
    for method, body in [
        ("PATCH", {"Owner": ids["anna"]}),
        ("PATCH", {"Owner": None}),
        ("PUT", {"Name": "B"}),
    ]:
        response = tony.request(method, f"/obj/item/{identity}", json=body)
        assert (response.status_code, response.json()["translation"]) == (401, MODIFY)
        assert tony.thing("item", identity)["Owner"] == ids["tony"]
    assert tony.request("PATCH", f"/obj/item/{identity}", json={"Name": "B"}).status_code == 204
    taking = site["anna"].request("PATCH", f"/obj/item/{identity}", json={"Owner": ids["anna"]})
    assert taking.status_code == 401
    assert (
        site["admin"].request("PATCH", f"/obj/item/{identity}", json={"Owner": ids["anna"]}).status_code
        == 204
    )


def test_what_is_created_has_to_match_a_rule_with_its_defaults(people: Open) -> None:
    site = people({"when": {"field": "Open", "equals": True}, "create": True}, defaults={"Open": True})
    assert site["tony"].create("item", Name="A")
    refused = site["tony"].request("POST", "/obj/item", json={"Name": "A", "Open": False})
    assert (refused.status_code, refused.json()["translation"]) == (401, CREATE)
    assert site["admin"].search("item")["count"] == 1


def test_bulk_creation_checks_each_line(people: Open) -> None:
    site = people({"when": {"field": "Open", "equals": True}, "create": True})
    plain = {"Content-Type": "text/plain"}
    data = '{"Name":"a","Open":true}\n{"Name":"b"}\n{"Name":"c","Open":true}'
    response = site["tony"].request("POST", "/obj/item/bulk", data=data, headers=plain)
    assert response.status_code == 400
    assert [line.split(",")[0] for line in response.text.split("\n")] == [
        '{"status":"success"',
        '{"status":"error"',
        '{"status":"success"',
    ]
    assert CREATE in response.text
    assert site["admin"].search("item")["count"] == 2
    none = site["visitor"].request("POST", "/obj/user/bulk", data="{}", headers=plain)
    assert none.status_code == 401


def test_created_by_is_the_caller_and_cannot_be_chosen(people: Open) -> None:
    site = people(OWN)
    identity = site["tony"].create("item", Name="A")
    assert site["tony"].thing("item", identity)["Created By"] == site.ids["tony"]
    forged = site["tony"].request("PATCH", f"/obj/item/{identity}", json={"Created By": site.ids["anna"]})
    assert forged.status_code == 204
    assert site["tony"].thing("item", identity)["Created By"] == site.ids["tony"]


# --- what is hidden cannot be asked about ----------------------------------------

HALF = [
    {"find": True, "view": ["Name"]},
    {"when": CREATOR, "view": ["Price"]},
]


def two_things(site: People) -> None:
    """Two things of the admin's."""
    site["admin"].create("item", Name="other", Price=10, Secret="word")
    site["admin"].create("item", Name="cheap", Price=1, Secret="word")


def test_constraints_on_hidden_fields_are_dropped(people: Open) -> None:
    site = people({"find": True, "view": ["Name"]})
    two_things(site)
    visitor = site["visitor"]
    for constraint in [
        ("Secret", "equals", "word"),
        ("Secret", "equals", "wrong"),
        ("Price", "greater than", 5),
        ("Secret", "is_empty"),
        ("Secret", "text contains", "nothing"),
        ("Secret", "in", []),
    ]:
        assert visitor.search("item", constraint)["count"] == 2
    assert visitor.search("item", ("Name", "equals", "cheap"))["count"] == 1


def test_sorting_by_a_hidden_field_is_not_sorting(people: Open) -> None:
    site = people({"find": True, "view": ["Name"]})
    two_things(site)
    orders = {
        tuple(
            thing["Name"]
            for thing in site["visitor"].search("item", sort_field="Price", descending=way)["results"]
        )
        for way in ("true", "false")
    }
    assert len(orders) == 1


def test_hidden_fields_are_not_searched_for_words(people: Open) -> None:
    site = people({"find": True, "view": ["Name"]})
    two_things(site)
    assert site["visitor"].search("item", ("_all", "text contains", "word"))["count"] == 0
    assert site["visitor"].search("item", ("_all", "not text contains", "word"))["count"] == 2
    assert site["visitor"].search("item", ("_all", "text contains", "cheap"))["count"] == 1
    assert site["admin"].search("item", ("_all", "text contains", "word"))["count"] == 2


def test_where_a_field_is_hidden_on_some_things_it_is_empty_there(people: Open) -> None:
    site = people(*HALF, {"when": "logged_in", "create": True})
    tony = site["tony"]
    tony.create("item", Name="own", Price=10)
    two_things(site)

    def names(*constraints: tuple[Any, ...], **parameters: Any) -> list[str]:
        return [thing["Name"] for thing in tony.search("item", *constraints, **parameters)["results"]]

    assert names(("Price", "equals", 10)) == ["own"]
    assert names(("Price", "is_empty")) == ["other", "cheap"]
    assert names(("Price", "not equal", 10)) == ["other", "cheap"]
    assert names(("Price", "less than", 5)) == []
    assert names(sort_field="Price") == ["own", "other", "cheap"]
    assert names(sort_field="Price", descending="true") == ["other", "cheap", "own"]
    assert names(sort_field="Price", limit=1, cursor=1) == ["other"]


def test_a_field_that_cannot_be_asked_about_is_still_seen(people: Open) -> None:
    site = people({"find": True, "view": "all", "not_constrainable": ["Price"]})
    two_things(site)
    assert site["visitor"].search("item", ("Price", "equals", 1))["count"] == 2
    assert {thing["Price"] for thing in site["visitor"].search("item")["results"]} == {1, 10}
    assert site["visitor"].search("item", ("Name", "equals", "cheap"))["count"] == 1


def test_built_in_fields_are_hidden_too_unless_they_are_listed(people: Open) -> None:
    site = people({"find": True, "view": ["Name", "Created Date"]})
    two_things(site)
    (thing, _) = site["visitor"].search("item")["results"]
    assert set(thing) == {"_id", "Name", "Created Date"}


def test_counts_are_of_what_the_caller_finds(people: Open) -> None:
    site = people({"when": {"field": "Price", "less than": 5}, "find": True})
    two_things(site)
    page = site["visitor"].search("item", limit=1)
    assert (page["count"], page["remaining"]) == (1, 0)


def test_a_public_source_is_read_by_visitors(people: Open) -> None:
    site = people(public=True)
    two_things(site)
    assert site["visitor"].search("item")["count"] == 2
    assert site["visitor"].request("POST", "/obj/item", json={}).status_code == 401


def test_rules_follow_the_manifest(people: Open) -> None:
    site = people({"find": True})
    two_things(site)
    assert site["visitor"].search("item")["count"] == 2
    root = site["admin"].server.root
    bubble = {"exposed": True, "display": "Item", "fields": FIELDS, "privacy": [{"find": False}]}
    put_manifest(root, "items", {"id": 1, "name": "Items", "bubble": bubble})
    eventually(lambda: site["visitor"].search("item")["count"] == 0)


def test_a_users_new_role_counts_at_once(people: Open) -> None:
    site = people({"when": {"user": "Role", "equals": "Boss"}, "find": True, "view": "all"})
    two_things(site)
    assert site["tony"].search("item")["count"] == 0
    site["admin"].request("PATCH", f"/obj/user/{site.ids['tony']}", json={"Role": "Boss"})
    assert site["tony"].search("item")["count"] == 2
