"""Privacy rules: what they mean for whom, and that they fail closed."""

from __future__ import annotations

from typing import Any

import pytest
from bubble_samples import TONY, UNIT, catalogue, thing, unit_type, units, users

from flatdata.access.privacy import ACTIONS, ADMIN, VISITOR, Caller, Grants
from flatdata.query.evaluate import matches
from flatdata.query.tree import EVERYTHING, NOTHING

ANNA = "1449154312665x222222222222222222"
CREATOR = {"field": "Created By", "equals": {"user": "_id"}}


def user(identity: str, **fields: Any) -> Caller:
    return Caller(
        user_id=identity, user=thing({"email": f"{identity}@b.example", **fields}, f"users/{identity}")
    )


CALLERS = {
    "visitor": VISITOR,
    "tony": user(TONY, Role="editor", Team="north", Level=3, Teams=["north", "west"]),
    "anna": user(ANNA, Role="Admin", Level=1),
    "admin": ADMIN,
}

ROW = {
    "Name": "A red house",
    "Size": 3,
    "Open": True,
    "Status": "Open",
    "Owner": ANNA,
    "Tags": ["north", "big"],
    "Owners": [TONY, "x"],
}
THING = thing(ROW, created_by=TONY)


def grants(caller: str, *rules: Any) -> Grants:
    return unit_type(privacy=list(rules)).policy.grants(CALLERS[caller])


def holds(when: Any, caller: str, entry: Any = THING) -> bool:
    policy = catalogue(units(privacy=[{"when": when, "find": True}]), users()).types["rentalunit"].policy
    return matches(policy.grants(CALLERS[caller]).findable(), entry)


CONDITIONS: list[tuple[Any, str]] = [
    ("logged_in", "tony anna"),
    ("logged_out", "visitor"),
    ({"not": "logged_in"}, "visitor"),
    (CREATOR, "tony"),
    ({"field": "Owner", "equals": {"user": "_id"}}, "anna"),
    ({"field": "Owner", "not equal": {"user": "_id"}}, "tony"),
    ({"not": CREATOR}, "anna"),
    ({"not": {"not": CREATOR}}, "tony"),
    ({"field": "Owners", "contains": {"user": "_id"}}, "tony"),
    ({"field": "Owners", "not contains": {"user": "_id"}}, "anna"),
    ({"field": "Status", "equals": "Open"}, "visitor tony anna"),
    ({"field": "Status", "in": ["Open", "Closed"]}, "visitor tony anna"),
    ({"field": "Status", "not in": ["Open"]}, ""),
    ({"field": "Size", "greater than": 2}, "visitor tony anna"),
    ({"field": "Size", "less than": 3}, ""),
    ({"field": "Size", "equals": {"user": "Level"}}, "tony"),
    ({"field": "Size", "greater than": {"user": "Level"}}, "anna"),
    ({"field": "Open", "equals": True}, "visitor tony anna"),
    ({"field": "Name", "text contains": "houses"}, "visitor tony anna"),
    ({"field": "Name", "is_empty": True}, ""),
    ({"field": "Plan", "is_empty": True}, "visitor tony anna"),
    ({"field": "Tags", "contains": {"user": "Team"}}, "tony"),
    ({"field": "Tags", "empty": True}, ""),
    ({"user": "Role", "equals": "Admin"}, "anna"),
    ({"user": "Role", "not equal": "Admin"}, "tony"),
    ({"user": "Role", "in": ["Admin", "editor"]}, "tony anna"),
    ({"user": "Level", "greater than": 2}, "tony"),
    ({"user": "Team", "is_empty": True}, "anna"),
    ({"user": "Teams", "contains": "west"}, "tony"),
    ({"field": "Status", "in": {"user": "Teams"}}, ""),
    ({"all": [CREATOR, {"field": "Status", "equals": "Open"}]}, "tony"),
    ({"all": [CREATOR, {"field": "Status", "equals": "Closed"}]}, ""),
    ({"any": [CREATOR, {"user": "Role", "equals": "Admin"}]}, "tony anna"),
    ({"not": {"any": [CREATOR, {"user": "Role", "equals": "Admin"}]}}, ""),
    ({"not": {"all": [CREATOR, "logged_in"]}}, "visitor anna"),
]


@pytest.mark.parametrize(("when", "callers"), CONDITIONS)
def test_a_condition_holds_for(when: Any, callers: str) -> None:
    assert {name for name in ("visitor", "tony", "anna") if holds(when, name)} == set(callers.split())
    assert grants("admin", {"when": when}).findable() == EVERYTHING


EMPTY_USER_FIELD = [
    {"field": "Tags", "contains": {"user": "Team"}},
    {"field": "Tags", "not contains": {"user": "Team"}},
    {"field": "Photo", "equals": {"user": "Team"}},
    {"field": "Name", "not equal": {"user": "Team"}},
    {"field": "Name", "in": {"user": "Teams"}},
    {"field": "Name", "not in": {"user": "Teams"}},
]


@pytest.mark.parametrize("when", EMPTY_USER_FIELD)
@pytest.mark.parametrize("caller", ["visitor", "anna"])
def test_what_the_user_has_not_filled_in_opens_nothing(when: Any, caller: str) -> None:
    assert not holds(when, caller)
    assert not holds({"not": when}, caller)
    assert not holds({"all": [when, "logged_in"]}, caller)
    empty_row = thing({}, created_by="")
    assert not holds(when, caller, empty_row)
    assert not holds({"not": when}, caller, empty_row)


BAD_RULES: list[Any] = [
    "everyone",
    {"find": "yes"},
    {"finds": True},
    {"view": "some"},
    {"view": ["Nothing"]},
    {"view": [1]},
    {"not_constrainable": ["Nothing"]},
    {"when": None, "find": True},
    {"when": {}, "find": True},
    {"when": [], "find": True},
    {"when": True, "find": True},
    {"when": "everyone", "find": True},
    {"when": {"all": []}, "find": True},
    {"when": {"any": []}, "find": True},
    {"when": {"all": "logged_in"}, "find": True},
    {"when": {"not": []}, "find": True},
    {"when": {"field": "Nothing", "equals": 1}, "find": True},
    {"when": {"field": "Size"}, "find": True},
    {"when": {"field": "Size", "equals": 1, "in": [1]}, "find": True},
    {"when": {"field": "Size", "user": "Level", "equals": 1}, "find": True},
    {"when": {"field": "Size", "bigger than": 1}, "find": True},
    {"when": {"field": "Size", "text contains": "a"}, "find": True},
    {"when": {"field": "Size", "equals": None}, "find": True},
    {"when": {"field": "Size", "equals": "five"}, "find": True},
    {"when": {"field": "Size", "in": []}, "find": True},
    {"when": {"field": "Size", "in": None}, "find": True},
    {"when": {"field": "Size", "in": [None]}, "find": True},
    {"when": {"field": "Size", "is_empty": False}, "find": True},
    {"when": {"field": "Size", "is_empty": None}, "find": True},
    {"when": {"field": "Size", "equals": {"user": "Name"}}, "find": True},
    {"when": {"field": "Name", "equals": {"user": "Nothing"}}, "find": True},
    {"when": {"field": "Name", "equals": {"user": "Teams"}}, "find": True},
    {"when": {"field": "Tags", "equals": {"user": "Team"}}, "find": True},
    {"when": {"field": "Tags", "contains": {"user": "Teams"}}, "find": True},
    {"when": {"field": "Where", "geographic_search": {"origin_address": "x"}}, "find": True},
    {"when": {"user": "Nothing", "equals": "x"}, "find": True},
    {"when": {"not": {"not": {"not": {"what": 1}}}}, "find": True},
]


@pytest.mark.parametrize("rule", BAD_RULES)
def test_a_rule_that_cannot_be_understood_grants_nothing_and_is_named(rule: Any) -> None:
    found = catalogue(units(privacy=[rule, {"when": CREATOR, "find": True}]), users())
    policy = found.types["rentalunit"].policy
    assert [problem.field for problem in found.problems] == ["bubble.privacy[0]"]
    assert policy.grants(VISITOR).findable() == NOTHING
    assert matches(policy.grants(CALLERS["tony"]).findable(), THING)


def test_a_condition_nested_without_end_is_refused() -> None:
    when: Any = "logged_in"
    for _ in range(100):
        when = {"not": when}
    assert len(catalogue(units(privacy=[{"when": when}]), users()).problems) == 1


@pytest.mark.parametrize("privacy", ["all", {"find": True}, 5, True])
def test_privacy_that_is_no_list_closes_the_type(privacy: Any) -> None:
    policy = catalogue(units(privacy=privacy)).types["rentalunit"].policy
    assert policy.grants(CALLERS["tony"]).findable() == NOTHING
    assert policy.grants(ADMIN).findable() == EVERYTHING


@pytest.mark.parametrize(
    ("caller", "public", "reads"),
    [
        ("visitor", False, False),
        ("visitor", True, True),
        ("tony", False, True),
        ("tony", True, True),
        ("admin", False, True),
    ],
)
def test_a_type_without_rules_is_read_by_users_and_if_it_is_public_by_everyone(
    caller: str, public: bool, reads: bool
) -> None:
    source = units(privacy=[])
    open_type = catalogue(type(source)(source.slug, {**source.manifest, "public": public})).types[
        "rentalunit"
    ]
    granted = open_type.policy.grants(CALLERS[caller])
    assert granted.findable() == (EVERYTHING if reads else NOTHING)
    assert granted.visible(THING) == (None if reads else frozenset())
    for action in ("create", "modify", "delete"):
        assert granted.may(action, THING) is (caller == "admin")


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_are_off_unless_a_rule_that_holds_grants_them(action: str) -> None:
    owner = {"when": CREATOR, action: True}
    everyone = {"find": True, "view": "all"}
    assert grants("tony", owner, everyone).may(action, THING)
    assert not grants("anna", owner, everyone).may(action, THING)
    assert not grants("visitor", owner, everyone).may(action, THING)
    assert grants("admin").may(action, THING)
    assert not any(grants("tony", owner, everyone).may(other, THING) for other in ACTIONS if other != action)
    assert grants("anna", owner).may_ever(action)
    assert not grants("visitor", owner).may_ever(action)


def test_what_rules_grant_adds_up() -> None:
    rules = (
        {"view": ["Name"], "find": True},
        {"when": "logged_in", "view": ["Size"]},
        {"when": CREATOR, "view": ["Owner", "Created Date"]},
    )
    assert grants("visitor", *rules).visible(THING) == {"Name"}
    assert grants("anna", *rules).visible(THING) == {"Name", "Size"}
    assert grants("tony", *rules).visible(THING) == {"Name", "Size", "Owner", "Created Date"}
    assert grants("admin", *rules).visible(THING) is None


def test_a_field_may_be_seen_and_still_not_be_asked_about() -> None:
    rule = {"view": ["Name", "Size"], "not_constrainable": ["Size"]}
    granted = grants("tony", rule)
    assert granted.constrainable("Name") == EVERYTHING
    assert granted.constrainable("Size") == NOTHING
    assert granted.constrainable("Owner") == NOTHING
    assert granted.showing("Size") == EVERYTHING
    both = grants("tony", rule, {"when": CREATOR, "view": "all"})
    assert matches(both.constrainable("Size"), THING)
    assert not matches(both.constrainable("Size"), thing({}, created_by=ANNA))


def test_hidden_things_show_no_field() -> None:
    rule = {"when": CREATOR, "view": "all"}
    assert grants("anna", rule).visible(THING) == frozenset()
    assert grants("anna", rule).visible(thing({}, f"units/{UNIT}", created_by=ANNA)) is None
