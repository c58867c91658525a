"""Hooks on data and queries: operations, and the templates in them (reference/fliplet.md §6)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fliplet_api import DataSources
from hook_samples import hook

from flatdata.access.passwords import hash_password, verify_password
from flatdata.dialects.fliplet.hooks import InvalidHook, Verification, before_query, before_save, read_hook
from flatdata.dialects.fliplet.templates import TemplateError, render

# --- templates ---------------------------------------------------------------------------------------

ROW = {"name": "Anna <b>", "n": 3.0, "First Name": "Jo", "list": ["x", "y"], "nested": {"k": 1}, "none": None}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{name}} {{{name}}}", "Anna &lt;b&gt; Anna <b>"),
        ("{{n}}{{none}}{{missing}}", "3"),
        ("{{[First Name]}} {{nested.k}}", "Jo 1"),
        ("{{#if name}}yes{{else}}no{{/if}}", "yes"),
        ("{{#each list}}{{this}},{{/each}}", "x,y,"),
        ("no template", "no template"),
        ("{{name.__class__}}{{name.upper}}{{list.append}}", ""),
    ],
)
def test_templates_read_columns(template: str, text: str) -> None:
    assert render(template, ROW) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{", "{{#if name}}", "{{/if}}", "{{>partial}}", "{{#list}}x{{/list}}", "{{^list}}x{{/list}}",
        "{{#if none}}{{else list}}x{{/if}}", "{{" * 5_000, "{{#if name}}" * 5_000, "{{" + "(" * 5_000 + "}}",
        "x{{name}}" * 20_000, "{{#if name}}" * 13 + "{{/if}}" * 13, "{{#* inline x}}{{/inline}}",
        "{{#if none}}" + "{{else if none}}" * 5_000 + "{{/if}}", "{{x " + "(y " * 5_000 + ")" * 5_000 + "}}",
    ],
)  # fmt: skip
def test_templates_that_are_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, ROW)


def test_parentheses_are_counted_behind_braces_in_texts() -> None:
    with pytest.raises(TemplateError, match="parentheses"):
        render('{{x "}" ' + "(x " * 5_000 + ")" * 5_000 + "}}", ROW)


def test_loops_in_templates_are_bounded() -> None:
    started = time.perf_counter()
    template = "{{#each a}}{{#each ../a}}{{#each ../../a}}x{{/each}}{{/each}}{{/each}}"
    with pytest.raises(TemplateError):
        render(template, {"a": list(range(1_000))})
    assert time.perf_counter() - started < 5


# --- operations, pure --------------------------------------------------------------------------------


def test_operations_change_what_is_saved() -> None:
    hooks = [
        read_hook(
            hook(payload={"email": ["trim", "lower"], "code": ["upper"], "full": "{{first}} {{email}}"})
        )
    ]
    columns = {"email": "  A@Example.org ", "code": "x", "first": "Jo", "n": 5}
    assert before_save(hooks, "insert", columns, {}, str) == {
        "email": "a@example.org", "code": "X", "first": "Jo", "n": 5, "full": "Jo a@example.org",
    }  # fmt: skip
    assert columns["email"] == "  A@Example.org "


def test_operations_touch_submitted_columns_only() -> None:
    hooks = [read_hook(hook(payload={"password": ["hash"]}))]
    assert before_save(hooks, "update", {"n": 1}, {"password": "$argon2id$old"}, hash_password) == {"n": 1}
    for value in (None, "", [], {}):
        assert before_save(hooks, "update", {"password": value}, {}, hash_password) == {"password": value}
    saved = before_save(hooks, "update", {"password": "secret"}, {}, hash_password)
    assert verify_password(saved["password"], "secret")


def test_operations_by_event_condition_and_trigger() -> None:
    on_insert = [read_hook(hook(run_on=["insert"], payload={"a": ["upper"]}))]
    assert before_save(on_insert, "insert", {"a": "x"}, {}, str) == {"a": "X"}
    assert before_save(on_insert, "update", {"a": "x"}, {}, str) == {"a": "x"}
    conditions = [{"kind": {"$in": ["p"]}}]
    conditional = [read_hook(hook(payload={"a": ["upper"]}, conditions=conditions))]
    assert before_save(conditional, "insert", {"a": "x", "kind": "p"}, {}, str)["a"] == "X"
    assert before_save(conditional, "insert", {"a": "x", "kind": "q"}, {}, str)["a"] == "x"
    assert before_save(conditional, "update", {"a": "x"}, {"kind": "p"}, str)["a"] == "X"
    triggered = [read_hook(hook(payload={"a": ["upper"]}, triggers=["form"]))]
    assert before_save(triggered, "insert", {"a": "x"}, {}, str)["a"] == "x"
    assert before_save(triggered, "insert", {"a": "x"}, {}, str, "form")["a"] == "X"


def test_conditions_pass_the_operations_before_a_query() -> None:
    hooks = [read_hook(hook(run_on=["beforeQuery"], payload={"email": ["trim", "lower"], "p": ["hash"]}))]
    where = {
        "email": " A ", "p": "secret", "$or": [{"email": {"$in": ["B ", 5]}}, {"n": " X "}],
        "$filters": [{"column": "email", "condition": "==", "value": "C"}],
    }  # fmt: skip
    prepared, verifications = before_query(hooks, where)
    assert prepared == {
        "email": "a", "$or": [{"email": {"$in": ["b", 5]}}, {"n": " X "}],
        "$filters": [{"column": "email", "condition": "==", "value": "c"}],
    }  # fmt: skip
    assert verifications == (Verification("p", "secret"),)
    assert verifications[0].holds({"p": hash_password("secret")})
    assert not verifications[0].holds({"p": "secret"})


@pytest.mark.parametrize(
    "definition",
    [
        None, "x", [], {}, hook(type=""), hook(type=5), {"type": "web", "payload": {}},
        {"type": "web", "runOn": "insert", "payload": {}},
        {"type": "web", "runOn": ["insert"], "payload": []},
        hook(triggers="x"), hook(triggers=[5]), hook(conditions={}), hook(conditions=["x"]),
    ],
)  # fmt: skip
def test_hooks_that_are_none(definition: Any) -> None:
    with pytest.raises(InvalidHook):
        read_hook(definition)


# --- operations, over HTTP ---------------------------------------------------------------------------


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


@pytest.fixture
def users(api: DataSources) -> int:
    operations = {"password": ["hash"], "email": ["trim", "lower"]}
    return api.create("Users", hooks=[hook(run_on=["beforeSave", "beforeQuery"], payload=operations)])


def test_a_password_is_hashed_found_and_never_shown(api: DataSources, users: int, site_dir: Path) -> None:
    made = api.put(f"/data-sources/{users}/data", {"email": " Anna@Example.org", "password": "secret"})
    row = made.json()["id"]
    assert made.json()["data"] == {"email": "anna@example.org"}
    api.insert(users, {"email": "bert@example.org", "password": "secret"})
    stored = (site_dir / "content" / "users" / f"{row}.yaml").read_text(encoding="utf-8")
    assert "$argon2id$" in stored
    assert "secret" not in stored
    found = api.query(users, where={"email": "ANNA@example.org ", "password": "secret"})
    assert [(entry["id"], entry["data"]) for entry in found] == [(row, {"email": "anna@example.org"})]
    assert len(api.query(users, where={"password": "secret"})) == 2
    assert len(api.query(users, where={"password": {"$eq": "secret"}}, limit=1, offset=1)) == 1
    filters = [{"column": "password", "condition": "==", "value": "secret"}]
    assert len(api.query(users, where={"$filters": filters})) == 2
    for where in (
        {"password": "wrong"},
        {"password": {"$regex": "^\\$argon2"}},
        {"password": {"$like": "$argon2id"}},
        {"password": {"$exists": True}},
        {"$or": [{"password": {"$gte": "$"}}, {"password": "secret"}]},
    ):
        assert api.query(users, where=where) == [], where
    for path in ("data", f"data/{row}", "versions"):
        assert "argon2" not in api.get(f"/data-sources/{users}/{path}").text
    answer = api.get(f"/data-sources/{users}/indexes/password")
    assert (answer.status_code, "argon2" in answer.text) == (400, False)


def test_a_hash_survives_what_clients_send_back(api: DataSources, users: int) -> None:
    row = api.insert(users, {"email": "a@example.org", "password": "secret"})
    api.put(f"/data-sources/{users}/data/{row}", {"email": "b@example.org"})
    rows = api.rows(users)
    api.post(f"/data-sources/{users}/commit", {"entries": rows})
    assert len(api.query(users, where={"email": "b@example.org", "password": "secret"})) == 1
    api.put(f"/data-sources/{users}/data/{row}", {"password": "changed"})
    assert api.query(users, where={"password": "secret"}) == []
    assert len(api.query(users, where={"password": "changed"})) == 1


def test_too_many_rows_to_verify(api: DataSources, users: int) -> None:
    source = api.create("Many", hooks=[hook(run_on=["beforeQuery", "beforeSave"], payload={"p": ["hash"]})])
    api.fill(source, [{"n": number} for number in range(60)])
    answer = api.post(f"/data-sources/{source}/data/query", {"where": {"p": "x"}})
    assert answer.status_code == 400
    assert api.query(source, where={"p": "x", "n": 5}) == []


def test_wrong_hooks_are_refused(api: DataSources) -> None:
    answer = api.post("/data-sources?organizationId=1", {"name": "x", "hooks": [{"type": "web"}]})
    assert answer.status_code == 400
    assert "runOn" in answer.json()["message"]
