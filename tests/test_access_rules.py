"""Who may do what: combinations of role, rule, operation and token (reference/fliplet.md §5)."""

from __future__ import annotations

from typing import Any

import pytest

from flatdata.access.rules import (
    ANONYMOUS,
    Actor,
    Denial,
    Grant,
    Operation,
    decide,
    may_manage,
    may_see,
    policy,
)
from flatdata.access.subjects import NO_SEARCH, Search, Subject, row
from flatdata.store.manifest import Source

READ, QUERY, COUNT = Operation.READ, Operation.QUERY, Operation.COUNT
INSERT, UPDATE, DELETE = Operation.INSERT, Operation.UPDATE, Operation.DELETE

HERS = "anna@example.org"
HIS = "bert@example.org"

TOKEN = Actor(token_id=7, app_id=3)
OTHER = Actor(token_id=8)
ADMIN = Actor(token_id=9, admin=True)
ANNA = Actor(token_id=7, app_id=3, user={"id": 12, "Email": HERS, "Role": "Admin", "Teams": ["a", "b"]})
BERT = Actor(token_id=8, user={"Email": HIS, "Enabled": True, "dataSourceId": 731})
EVERY = ["select", "insert", "update", "delete"]

ANNAS = {"Email": HERS, "Status": "Draft"}
BERTS = {"Email": HIS, "Status": "Sent"}
OWN = {"Email": {"equals": "{{user.[Email]}}"}}


def source(rules: Any = None, roles: dict[str, str] | None = None, *, public: bool = False) -> Source:
    return Source(
        "people",
        {"id": 5, "name": "People", "access_rules": rules, "permissions": roles or {}, "public": public},
    )


def rule(allow: Any = "all", types: Any = EVERY, **more: Any) -> list[dict[str, Any]]:
    return [{"type": types, "allow": allow, **more}]


ROLES = [
    ("crudq", READ, True),
    ("crudq", QUERY, True),
    ("crudq", COUNT, True),
    ("crudq", INSERT, True),
    ("crudq", UPDATE, True),
    ("crudq", DELETE, True),
    ("r", READ, True),
    ("r", QUERY, False),
    ("q", QUERY, True),
    ("q", READ, False),
    ("q", COUNT, True),
    ("c", INSERT, True),
    ("c", UPDATE, False),
    ("u", UPDATE, True),
    ("u", DELETE, False),
    ("d", DELETE, True),
    ("d", INSERT, False),
    ("", READ, False),
]


@pytest.mark.parametrize(("letters", "operation", "granted"), ROLES)
def test_without_rules_a_role_allows_what_its_letters_say(
    letters: str, operation: Operation, granted: bool
) -> None:
    assert isinstance(decide(source(roles={"7": letters}), operation, TOKEN), Grant) is granted


RULES: list[tuple[str, Any, Operation, Actor, Subject, bool]] = [
    ("an empty list denies the creator", [], READ, TOKEN, NO_SEARCH, False),
    ("an empty list does not stop an admin", [], DELETE, ADMIN, NO_SEARCH, True),
    ("all", rule(), READ, OTHER, NO_SEARCH, True),
    ("one type as text", rule(types="select"), QUERY, OTHER, NO_SEARCH, True),
    ("another type", rule(types=["insert"]), QUERY, OTHER, NO_SEARCH, False),
    ("select implies count", rule(types=["select"]), COUNT, OTHER, NO_SEARCH, True),
    ("count alone counts", rule(types=["count"]), COUNT, OTHER, NO_SEARCH, True),
    ("count alone does not read", rule(types=["count"]), QUERY, OTHER, NO_SEARCH, False),
    ("no type", [{"allow": "all"}], READ, OTHER, NO_SEARCH, False),
    ("no allow", [{"type": EVERY}], READ, OTHER, NO_SEARCH, False),
    ("an unknown allow", rule("everybody"), READ, OTHER, NO_SEARCH, False),
    ("an empty allow", rule({}), READ, OTHER, NO_SEARCH, False),
    ("an unknown key in allow", rule({"tokens": [7], "role": 1}), READ, TOKEN, NO_SEARCH, False),
    ("a disabled rule", rule(enabled=False), READ, TOKEN, NO_SEARCH, False),
    ("enabled by a word", rule(enabled="no"), READ, TOKEN, NO_SEARCH, False),
    ("a script", rule(script="return {granted: true}"), READ, TOKEN, NO_SEARCH, False),
    ("the second rule grants", [*rule(enabled=False), *rule()], READ, TOKEN, NO_SEARCH, True),
    ("logged in", rule("loggedIn"), READ, ANNA, NO_SEARCH, True),
    ("not logged in", rule("loggedIn"), READ, TOKEN, NO_SEARCH, False),
    ("a listed token", rule({"tokens": [7]}), UPDATE, TOKEN, row(ANNAS), True),
    ("another token", rule({"tokens": [7]}), UPDATE, OTHER, row(ANNAS), False),
    ("nobody is no listed token", rule({"tokens": [None]}), READ, ANONYMOUS, NO_SEARCH, False),
    ("no token is listed", rule({"tokens": []}), READ, TOKEN, NO_SEARCH, False),
    ("true is not token 1", rule({"tokens": [True]}), READ, Actor(token_id=1), NO_SEARCH, False),
    ("a user by literal", rule({"user": {"Role": "Admin"}}), READ, ANNA, NO_SEARCH, True),
    ("a literal minds case", rule({"user": {"Role": "admin"}}), READ, ANNA, NO_SEARCH, False),
    ("equals does not mind case", rule({"user": {"Role": {"equals": "admin"}}}), READ, ANNA, NO_SEARCH, True),
    ("equals means the whole", rule({"user": {"Role": {"equals": "Adm"}}}), READ, ANNA, NO_SEARCH, False),
    ("contains", rule({"user": {"Role": {"contains": "dmi"}}}), READ, ANNA, NO_SEARCH, True),
    ("contains nothing", rule({"user": {"Role": {"contains": ""}}}), READ, ANNA, NO_SEARCH, False),
    ("an element of a list", rule({"user": {"Teams": "b"}}), READ, ANNA, NO_SEARCH, True),
    ("notequals", rule({"user": {"Role": {"notequals": "Guest"}}}), READ, ANNA, NO_SEARCH, True),
    ("notequals its own", rule({"user": {"Role": {"notequals": "admin"}}}), READ, ANNA, NO_SEARCH, False),
    ("notequals what is missing", rule({"user": {"Rank": {"notequals": "x"}}}), READ, ANNA, NO_SEARCH, True),
    ("all fields of a user", rule({"user": {"Role": "Admin", "Rank": "x"}}), READ, ANNA, NO_SEARCH, False),
    ("a native boolean", rule({"user": {"Enabled": True}}), READ, BERT, NO_SEARCH, True),
    ("equals true: no boolean", rule({"user": {"Enabled": {"equals": True}}}), READ, BERT, NO_SEARCH, False),
    ("an unknown operator", rule({"user": {"Role": {"matches": "A"}}}), READ, ANNA, NO_SEARCH, False),
    ("no condition on the user", rule({"user": {}}), READ, ANNA, NO_SEARCH, False),
    ("a user of a source", rule({"loggedIn": True, "dataSourceId": [1, 731]}), READ, BERT, NO_SEARCH, True),
    ("a user of no source", rule({"loggedIn": True, "dataSourceId": 731}), READ, ANNA, NO_SEARCH, False),
    ("the app of the token", rule(appId=[3]), READ, TOKEN, NO_SEARCH, True),
    ("another app", rule(appId=[4]), READ, TOKEN, NO_SEARCH, False),
    ("no app", rule(appId=[3]), READ, OTHER, NO_SEARCH, False),
    ("a required column in a filter", rule(require=["Email"]), QUERY, TOKEN, Search({"Email": None}), True),
    ("in $filters", rule(require=["Email"]), QUERY, TOKEN, Search({"$filters": [
        {"column": "Email", "condition": "==", "value": "x"}]}), True),
    ("in an inactive filter", rule(require=["Email"]), QUERY, TOKEN, Search({"$filters": [
        {"column": "Email", "condition": "none", "value": "x"}]}), False),
    ("a filter that asks nothing", rule(require=["Email"]), QUERY, TOKEN, Search({"Email": {}}), False),
    ("no required column", rule(require=["Email"]), READ, TOKEN, NO_SEARCH, False),
    ("a required column of a row", rule(require=["Email"]), READ, TOKEN, row(ANNAS), True),
    ("own rows by a plain filter", rule(require=[OWN]), QUERY, ANNA, Search({"Email": HERS}), True),
    ("own rows by $eq", rule(require=[OWN]), QUERY, ANNA, Search({"Email": {"$eq": HERS}}), True),
    ("own rows by $filters", rule(require=[OWN]), QUERY, ANNA, Search({"$filters": [
        {"column": "Email", "condition": "==", "value": HERS}]}), True),
    ("somebody else's rows", rule(require=[OWN]), QUERY, ANNA, Search({"Email": HIS}), False),
    ("own rows or others", rule(require=[OWN]), QUERY, ANNA, Search({"$or": [
        {"Email": HERS}, {}]}), False),
    ("more than own rows", rule(require=[OWN]), QUERY, ANNA, Search({"Email": {"$ne": HERS}}), False),
    ("an unknown condition asks nothing", rule(require=[OWN]), QUERY, ANNA, Search({"$filters": [
        {"column": "Email", "condition": "", "value": HERS}]}), False),
    ("contains by $like", rule(require=[{"Email": {"contains": "@example"}}]), QUERY, ANNA,
        Search({"Email": {"$iLike": "a@Example.org"}}), True),
    ("notequals by $ne", rule(require=[{"Status": {"notequals": "Sent"}}]), QUERY, ANNA,
        Search({"Status": {"$ne": "Sent"}}), True),
    ("notequals by another value", rule(require=[{"Status": {"notequals": "1"}}]), QUERY, ANNA,
        Search({"Status": 2}), True),
    ("notequals by a number that finds it", rule(require=[{"Status": {"notequals": "1"}}]), QUERY, ANNA,
        Search({"Status": 1}), False),
    ("notequals by a boolean that finds it", rule(require=[{"Status": {"notequals": "1"}}]), QUERY, ANNA,
        Search({"Status": {"$eq": True}}), False),
    ("notequals by a text that finds it", rule(require=[{"Status": {"notequals": 1}}]), QUERY, ANNA,
        Search({"$filters": [{"column": "Status", "condition": "==", "value": "01"}]}), False),
    ("notequals nothing", rule(require=[{"Status": {"notequals": "Sent"}}]), QUERY, ANNA, NO_SEARCH, False),
    ("an own row", rule(require=[OWN]), READ, ANNA, row(ANNAS), True),
    ("somebody else's row", rule(require=[OWN]), DELETE, ANNA, row(BERTS), False),
    ("insert one's own", rule(require=[OWN]), INSERT, ANNA, row(ANNAS), True),
    ("insert for somebody else", rule(require=[OWN]), INSERT, ANNA, row(BERTS), False),
    ("a template without a user", rule(require=[OWN]), INSERT, TOKEN, row({"Email": None}), False),
    ("the empty text is no user", rule(require=[OWN]), INSERT, TOKEN, row({"Email": ""}), False),
    ("the user by id", rule(require=[{"Owner": "{{user.[ID]}}"}]), INSERT, ANNA, row({"Owner": 12}), True),
    ("require of a wrong type", rule(require="Email"), READ, ANNA, row(ANNAS), False),
    ("an empty requirement", rule(require=[{}]), READ, ANNA, row(ANNAS), False),
    ("an unmet rule falls through", [*rule(require=["Nothing"]), *rule()], INSERT, TOKEN, row(ANNAS), True),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "operation", "actor", "subject", "granted"), [r[1:] for r in RULES], ids=[
    r[0] for r in RULES])  # fmt: skip
def test_with_rules_only_a_rule_grants(
    rules: Any, operation: Operation, actor: Actor, subject: Subject, granted: bool
) -> None:
    guarded = source(rules, roles={"7": "crudq"})
    assert isinstance(decide(guarded, operation, actor, subject), Grant) is granted


def test_a_denial_names_the_source_and_the_verb() -> None:
    assert decide(source(), INSERT, OTHER) == Denial("write", 5, "People")
    assert decide(source([]), QUERY, TOKEN) == Denial("read", 5, "People")
    assert decide(source([]), UPDATE, TOKEN) == Denial("update", 5, "People")
    assert decide(source([]), DELETE, TOKEN) == Denial("delete", 5, "People")


def test_a_public_source_is_read_but_not_written_without_a_token() -> None:
    public = source(public=True)
    assert isinstance(decide(public, READ, ANONYMOUS), Grant)
    assert isinstance(decide(public, QUERY, ANONYMOUS), Grant)
    assert isinstance(decide(public, INSERT, ANONYMOUS), Denial)


def test_rules_hold_for_a_public_source_too() -> None:
    assert isinstance(decide(source([], public=True), READ, ANONYMOUS), Denial)
    assert isinstance(decide(source(rule(), public=True), READ, ANONYMOUS), Grant)


def test_exclusion_wins_over_inclusion() -> None:
    decision = decide(source(rule(include=["Email", "Status"], exclude=["Status"])), READ, TOKEN, NO_SEARCH)
    assert isinstance(decision, Grant)
    assert decision.project({**ANNAS, "Secret": 1}) == {"Email": HERS}
    assert not decision.whole


def test_columns_that_are_not_allowed_keep_their_values() -> None:
    grant = Grant(exclude=frozenset({"Role"}))
    assert grant.written({"Role": "Guest", "Name": "A"}, {"Role": "Admin", "Age": 3}) == {
        "Role": "Guest",
        "Name": "A",
        "Age": 3,
    }
    assert grant.written({"Role": "Guest", "Name": "A"}, {"Age": 3}, extend=False) == {
        "Role": "Guest",
        "Age": 3,
    }


def test_an_update_is_checked_on_the_stored_row() -> None:
    drafts = policy(source(rule(require=[{"Status": "Draft"}])), UPDATE, TOKEN)
    assert isinstance(drafts.decide_update({"Status": "Sent"}, ANNAS), Grant)
    assert isinstance(drafts.decide_update({"Status": "Draft"}, BERTS), Denial)


def test_an_update_needs_required_columns_in_what_is_sent() -> None:
    named = policy(source(rule(require=["Email"])), UPDATE, TOKEN)
    assert isinstance(named.decide_update({"Status": "Sent"}, ANNAS), Denial)
    assert isinstance(named.decide_update({"Email": None}, ANNAS), Grant)


def test_nobody_hands_a_row_to_somebody_else() -> None:
    own = policy(source(rule(require=[OWN])), UPDATE, ANNA)
    assert isinstance(own.decide_update({"Status": "Sent"}, ANNAS), Grant)
    assert isinstance(own.decide_update({"Email": HIS}, ANNAS), Denial)
    assert isinstance(own.decide_update({"Status": "Sent"}, ANNAS, extend=False), Denial)


def test_a_decision_without_requirements_is_made_once() -> None:
    assert policy(source(rule()), INSERT, TOKEN).fixed == Grant()
    assert policy(source(rule(require=["Email"])), INSERT, TOKEN).fixed is None


def test_only_the_whole_role_or_an_admin_manages_a_source() -> None:
    assert may_manage(source(roles={"7": "crudq"}), TOKEN)
    assert not may_manage(source(roles={"7": "crud"}), TOKEN)
    assert may_manage(source(), ADMIN)
    assert not may_manage(source(rule(), public=True), ANONYMOUS)


def test_a_source_is_seen_by_those_who_may_do_something_with_it() -> None:
    assert may_see(source(roles={"7": "d"}), TOKEN)
    assert not may_see(source(roles={"7": "d"}), OTHER)
    assert may_see(source(rule({"tokens": [8]}, types=["insert"])), OTHER)
    assert not may_see(source([]), OTHER)
    assert may_see(source(public=True), ANONYMOUS)


def test_a_manifest_of_the_wrong_shape_denies() -> None:
    wrong = Source(
        "people", {"id": 5, "name": "People", "access_rules": "all", "permissions": {"7": "crudqx"}}
    )
    assert isinstance(decide(wrong, READ, TOKEN), Denial)
    assert {problem.field for problem in wrong.problems()} == {"access_rules", "permissions"}
