"""What `flatdata check` says of access rules: just what grants nothing, never holds, or is not read."""

from __future__ import annotations

from typing import Any

import pytest

from flatdata.access import ruleproblems
from flatdata.access.rules import Actor, Operation, applicable
from flatdata.access.subjects import row
from flatdata.store.manifest import Source

ANNA = Actor(
    token_id=7,
    app_id=3,
    user={"id": 12, "Email": "anna@example.org", "Role": "Admin", "dataSourceId": 731},
    session={"uuid": "s1"},
)
ROW = {"Email": "anna@example.org", "Status": "open", "Role": "Admin"}


def said(*rules: Any, columns: list[str] | None = None) -> list[str]:
    source = Source("people", {"id": 1, "access_rules": list(rules), "columns": columns})
    found = ruleproblems.problems([source])
    assert {problem.slug for problem in found} <= {"people"}
    return [f"{problem.field} {problem.reason}" for problem in found]


def rule(**keys: Any) -> dict[str, Any]:
    return {"type": ["select"], "allow": "all", **keys}


def grants(definition: dict[str, Any]) -> bool:
    """Whether the rule grants Anna anything about her row."""
    read = (applicable(definition, operation, ANNA) for operation in Operation)
    return any(each is not None and each.met(row(ROW), ANNA.names) for each in read)


WELL = [
    rule(),
    rule(type="count", name="Counting", enabled=True, appId=[]),
    rule(type=["insert", "update", "delete"], allow="loggedIn", appId=3, script=None),
    rule(allow={"user": {"Role": {"equals": "Admin"}, "Email": {"contains": "@example"}}}, appId=[2, 3]),
    rule(allow={"user": {"Role": "Admin"}, "loggedIn": True, "tokens": [7], "dataSourceId": 731}),
    rule(allow={"dataSourceId": [731, "people"]}, include=["Email"], exclude=["Role"]),
    rule(require=["Email", {"Email": {"equals": "{{user.[Email]}}"}, "Status": {"notequals": "gone"}}]),
    rule(require=[{"Email": "{{ user.Email }}"}], include=None, exclude=None),
    rule(require=[{"Status": {"notequals": "{{session.uuid}}"}}], include=[]),
    rule(require=None),
]

TYPES = "select, count, insert, update, delete"
ALLOWED = "loggedIn, user, tokens, dataSourceId"
VALUE = "must be a text, a number, true or false"
GRANTING_NOTHING: list[tuple[dict[str, Any], str]] = [
    ({"allow": "all"}, f".type must be one or a list of {TYPES}"),
    (rule(type=[]), f".type must be one or a list of {TYPES}"),
    (rule(type={"select": True}), f".type must be one or a list of {TYPES}"),
    (rule(type="read"), f".type names 'read', which is none of {TYPES}"),
    (rule(type=[10**5000]), f".type must be one or a list of {TYPES}"),
    ({"type": "select"}, f".allow must be all, loggedIn, or a mapping of {ALLOWED}"),
    (rule(allow="admin"), f".allow must be all, loggedIn, or a mapping of {ALLOWED}"),
    (rule(allow={}), f".allow must be all, loggedIn, or a mapping of {ALLOWED}"),
    (rule(allow=["all"]), f".allow must be all, loggedIn, or a mapping of {ALLOWED}"),
    (rule(allow={"role": "Admin", "loggedIn": True}), f".allow.role is none of {ALLOWED}"),
    (rule(allow={"loggedIn": "yes"}), ".allow.loggedIn must be true"),
    (rule(allow={"tokens": 7}), ".allow.tokens must be a list of ids of tokens, which are numbers"),
    (rule(allow={"tokens": []}), ".allow.tokens must be a list of ids of tokens, which are numbers"),
    (rule(allow={"tokens": ["7"]}), ".allow.tokens must be a list of ids of tokens, which are numbers"),
    (rule(allow={"dataSourceId": None}), ".allow.dataSourceId must be the id of a data source, or a list"),
    (rule(allow={"dataSourceId": [True]}), ".allow.dataSourceId must be the id of a data source, or a list"),
    (rule(allow={"user": "Admin"}), ".allow.user must be a mapping of columns to conditions"),
    (rule(allow={"user": {}}), ".allow.user must be a mapping of columns to conditions"),
    (
        rule(allow={"user": {"Role": {"eq": "Admin"}}}),
        ".allow.user.Role.eq is none of equals, notequals, con",
    ),
    (rule(allow={"user": {"Role": {}}}), ".allow.user.Role must have one of equals, notequals, contains"),
    (rule(allow={"user": {"Role": {"equals": ["Admin"]}}}), f".allow.user.Role.equals {VALUE}"),
    (rule(allow={"user": {"Role": None}}), f".allow.user.Role {VALUE}"),
    (rule(allow={"user": {"Role": ["Admin"]}}), f".allow.user.Role {VALUE}"),
    (rule(enabled=1), ".enabled must be true or false"),
    (rule(enabled=None), ".enabled must be true or false"),
    (rule(appId="3"), ".appId must be the id of an app, or a list of them"),
    (rule(appId=["3"]), ".appId must be the id of an app, or a list of them"),
    (rule(require="Email"), ".require must be a list of columns and conditions"),
    (rule(require=["Email", ""]), ".require[1] must be a mapping of columns to conditions"),
    (rule(require=[{}]), ".require[0] must be a mapping of columns to conditions"),
    (rule(require=[5]), ".require[0] must be a mapping of columns to conditions"),
    (
        rule(require=[{"Email": {"like": "a"}}]),
        ".require[0].Email.like is none of equals, notequals, contains",
    ),
    (rule(require=[{"Email": {"contains": ""}}]), ".require[0].Email.contains must not be empty: the empty "),
    (rule(require=[{"Email": "{{users.[Email]}}"}]), ".require[0].Email has a template that is none: they "),
    (rule(require=[{"Email": {"equals": "{{user.Email}"}}]), ".require[0].Email.equals has a template that "),
    (rule(include="Email"), ".include must be a list of columns"),
    (rule(exclude={"Email": True}), ".exclude must be a list of columns"),
    (rule(script="return {granted: true}"), ".script is not run, and its rule grants nothing"),
]


@pytest.mark.parametrize("definition", WELL)
def test_a_rule_that_grants_as_it_stands_has_no_problems(definition: dict[str, Any]) -> None:
    assert said(definition) == []
    assert grants(definition)


@pytest.mark.parametrize(("definition", "words"), GRANTING_NOTHING)
def test_a_rule_that_grants_nothing_is_named_by_its_place(definition: dict[str, Any], words: str) -> None:
    [line] = said(rule(type="delete"), definition)
    assert line.startswith(f"access_rules[1]{words}")
    assert not grants(definition)


def test_what_is_passed_over_in_a_rule_that_grants_is_named() -> None:
    assert said(rule(type=["select", "write"])) == [
        f"access_rules[0].type names 'write', which is none of {TYPES}"
    ]
    assert said(rule(exclude=["Email", 5])) == ["access_rules[0].exclude must be a list of columns"]
    [line] = said(rule(excludes=["Email"]))
    assert line.startswith("access_rules[0].excludes is not read: a rule has type, allow, enabled, ")
    assert said(rule(allow={"tokens": [7, "8"]})) == [
        "access_rules[0].allow.tokens must be a list of ids of tokens, which are numbers"
    ]


def test_columns_that_are_not_declared_are_named_where_any_are() -> None:
    written = rule(
        include=["Name", "Nmae"], exclude=["Pasword"], require=["Mail", {"Stauts": "open", "Name": "x"}]
    )
    assert said(written) == said(written, columns=[]) == []
    assert said(written, columns=["Name", "Password", "Email", "Status"]) == [
        "access_rules[0].require[0] names 'Mail', which is not a column",
        "access_rules[0].require[1] names 'Stauts', which is not a column",
        "access_rules[0].include names 'Nmae', which is not a column",
        "access_rules[0].exclude names 'Pasword', which is not a column",
    ]
    assert said(rule(require=["Address.City"]), columns=["Address"]) == []


def test_a_rule_behind_one_that_grants_everybody_the_same_never_decides() -> None:
    everybody, own = rule(exclude=["Email"]), rule(require=["Email"])
    words = "never decides: everybody is granted the same before, by"
    assert said(everybody, own) == [f"access_rules[1] {words} access_rules[0]"]
    assert said(own, everybody) == []
    assert said(everybody, rule(type=["select", "insert"])) == []
    assert said(everybody, rule(type="count")) == [f"access_rules[1] {words} access_rules[0]"]
    assert said(rule(type="count"), rule()) == []
    assert said(everybody, rule(type="insert"), rule(type=["select", "insert"], allow="loggedIn")) == [
        f"access_rules[2] {words} access_rules[0], access_rules[1]"
    ]
    for first in (rule(appId=3), rule(allow="loggedIn"), rule(enabled=False), own):
        assert said(first, rule(include=["Email"])) == []


def test_rules_that_are_switched_off_are_not_looked_at() -> None:
    assert said(rule(enabled=False, type="read", allow="nobody", script="x")) == []


@pytest.mark.parametrize("rules", [None, [], "all", [5]])
def test_a_source_without_a_list_of_rules_has_no_problems_here(rules: Any) -> None:
    assert ruleproblems.problems([Source("people", {"id": 1, "access_rules": rules})]) == []
