"""Who may call `/api/entries`: tokens, their states and limits, and what a call costs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from flextype_api import BAD_BODY, BAD_QUERY, UNAUTHORIZED, Entries, RunningServer, write_entry

PLAIN = {
    "disabled": ("0" * 31 + "1", "state: disabled\nlimit_calls: 0\ncalls: 0\n"),
    "odd_state": ("0" * 31 + "2", "state: whatever\nlimit_calls: 0\ncalls: 0\n"),
    "one_left": ("0" * 31 + "3", "state: enabled\nlimit_calls: 2\ncalls: 1\n"),
    "used_up": ("0" * 31 + "4", "state: enabled\nlimit_calls: 2\ncalls: 2\n"),
    "text_limit": ("0" * 31 + "5", "state: enabled\nlimit_calls: '0'\ncalls: 0\n"),
    "negative": ("0" * 31 + "6", "state: enabled\nlimit_calls: -1\ncalls: 0\n"),
    "empty": ("0" * 31 + "7", ""),
    "broken": ("0" * 31 + "8", "state: [\n"),
    "five": ("0" * 31 + "9", "state: enabled\nlimit_calls: 5\ncalls: 0\n"),
}
ACCESS = {
    "disabled": ("a" * 31 + "1", "state: disabled\nlimit_calls: 0\ncalls: 0\n"),
    "one_left": ("a" * 31 + "3", "state: enabled\nlimit_calls: 1\ncalls: 0\n"),
}


@pytest.fixture
def site_dir(site_dir: Path) -> Path:
    """A site with tokens in every state, laid out as in a Flextype project."""
    write_entry(site_dir, "a", "---\ntitle: A\n---\n")
    for kind, tokens in (("entries", PLAIN), ("access", ACCESS)):
        for token, text in tokens.values():
            path = site_dir / "tokens" / kind / token / "token.yaml"
            path.parent.mkdir(parents=True)
            path.write_text(text)
    return site_dir


@pytest.fixture
def entries(server: RunningServer) -> Entries:
    return Entries(server)


def read(entries: Entries, token: str, id: str = "a") -> requests.Response:
    return entries.session.get(entries.url, params={"id": id, "token": token}, timeout=30)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("disabled", 401),
        ("odd_state", 200),
        ("one_left", 200),
        ("used_up", 401),
        ("text_limit", 401),
        ("negative", 401),
        ("empty", 401),
        ("broken", 401),
    ],
)
def test_state_and_limit_decide(entries: Entries, name: str, status: int) -> None:
    answer = read(entries, PLAIN[name][0])
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == UNAUTHORIZED


def test_a_limit_ends_the_calls(entries: Entries) -> None:
    token = PLAIN["one_left"][0]
    assert [read(entries, token).status_code for _ in range(3)] == [200, 401, 401]


def test_a_404_counts_as_a_call(entries: Entries) -> None:
    token = PLAIN["one_left"][0]
    assert [read(entries, token, id).status_code for id in ("none", "a")] == [404, 401]


@pytest.mark.parametrize("id", ["..", "a//b", ""])
def test_an_impossible_id_counts_as_a_call(entries: Entries, id: str) -> None:
    token = PLAIN["one_left"][0]
    assert [read(entries, token, each).status_code for each in (id, "a")] == [404, 401]


def test_a_400_and_a_401_do_not_count(entries: Entries) -> None:
    token = PLAIN["one_left"][0]
    assert entries.session.get(entries.url, params={"token": token}, timeout=30).status_code == 400
    bad = {"id": "a", "token": token, "options": "x"}
    assert entries.session.get(entries.url, params=bad, timeout=30).status_code == 400
    assert entries.send("PATCH", token=token, access_token="f" * 32, id="a", data={}).status_code == 401
    assert entries.send("PATCH", token=token, id="a").status_code == 400
    assert entries.send("PATCH", token=token, id="a", data="x").status_code == 400
    assert read(entries, token).status_code == 200


def test_writes_do_not_count_for_the_access_token(entries: Entries) -> None:
    access = ACCESS["one_left"][0]
    for title in ("x", "y", "z"):
        answer = entries.send("PATCH", access_token=access, id="a", data={"title": title})
        assert answer.status_code == 200


def test_a_disabled_access_token_writes_nothing(entries: Entries) -> None:
    answer = entries.send("PATCH", access_token=ACCESS["disabled"][0], id="a", data={"title": "changed"})
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    assert entries.get("a").json()["data"]["title"] == "A"


def test_a_used_up_entries_token_writes_nothing(entries: Entries) -> None:
    answer = entries.send("DELETE", token=PLAIN["used_up"][0], id="a")
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    assert entries.get("a").status_code == 200


def test_concurrent_calls_do_not_exceed_a_limit(entries: Entries) -> None:
    token, statuses = PLAIN["five"][0], []

    def call() -> None:
        params = {"id": "a", "token": token}
        statuses.extend(requests.get(entries.url, params=params, timeout=30).status_code for _ in range(3))

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 5 + [401] * 13


# --- which token, where -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    ["f" * 32, "", " ", "../entries/x", "%00", "\n", "é" * 16, "x" * 5_000, "0" * 64, "*"],
)
def test_unknown_tokens_are_refused_alike(entries: Entries, token: str) -> None:
    for id in ("a", "none", "../etc"):
        answer = read(entries, token, id)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_tokens_are_good_for_their_kind_only(entries: Entries) -> None:
    assert read(entries, entries.tokens["access_token"]).status_code == 401
    answer = entries.send("PATCH", access_token=entries.tokens["token"], id="a", data={})
    assert answer.status_code == 401


def test_the_hash_of_a_token_is_no_token(entries: Entries, site_dir: Path) -> None:
    for path in (site_dir / "tokens" / "entries").iterdir():
        if len(path.name) == 64:
            assert read(entries, path.name).status_code == 401


def test_writes_take_their_tokens_from_the_body_only(entries: Entries) -> None:
    body = {"id": "a", "data": {"title": "x"}}
    answer = entries.session.patch(entries.url, params=entries.tokens, json=body, timeout=30)
    assert (answer.status_code, answer.json()) == (400, BAD_BODY)


def test_a_header_is_no_token(entries: Entries) -> None:
    header = {"Authorization": f"Bearer {entries.tokens['token']}"}
    answer = entries.session.get(entries.url, params={"id": "a"}, headers=header, timeout=30)
    assert (answer.status_code, answer.json()) == (400, BAD_QUERY)


# --- the order of checks ------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"id": "a"}, {"token": "x"}])
def test_missing_query_params_come_before_tokens(entries: Entries, params: dict[str, str]) -> None:
    answer = entries.session.get(entries.url, params=params, timeout=30)
    assert (answer.status_code, answer.json()) == (400, BAD_QUERY)


NEEDED = {
    ("POST", ""): ("id", "token", "access_token", "data"),
    ("PATCH", ""): ("id", "token", "access_token", "data"),
    ("PUT", ""): ("id", "new_id", "token", "access_token"),
    ("PUT", "/copy"): ("id", "new_id", "token", "access_token"),
    ("DELETE", ""): ("id", "token", "access_token"),
}


@pytest.mark.parametrize("value", ["absent", None])
@pytest.mark.parametrize(
    ("method", "path", "name"), [(*endpoint, name) for endpoint, names in NEEDED.items() for name in names]
)
def test_missing_body_params_come_before_tokens(
    entries: Entries, method: str, path: str, name: str, value: Any
) -> None:
    body: dict[str, Any] = dict.fromkeys(NEEDED[method, path], "x")
    if value is None:
        body[name] = None
    else:
        del body[name]
    answer = entries.session.request(method, entries.url + path, json=body, timeout=30)
    assert (answer.status_code, answer.json()) == (400, BAD_BODY)
    assert entries.get("a").status_code == 200


@pytest.mark.parametrize("data", [{}, []])
def test_empty_values_count_as_given(entries: Entries, data: Any) -> None:
    assert entries.send("PATCH", id="a", data=data).status_code == 200
    assert entries.send("DELETE", id="").status_code == 404


def test_no_answer_repeats_a_token(entries: Entries) -> None:
    for answer in (
        entries.query("id=a"),
        entries.query("id=none"),
        entries.query("id=a&options=x"),
        entries.send("PATCH", id="a", data="x"),
        entries.send("PATCH", id="a", data={"b": 1}),
    ):
        assert entries.tokens["token"] not in answer.text
        assert entries.tokens["access_token"] not in answer.text


# --- switching the API off ----------------------------------------------------------------------------


@pytest.mark.settings(**{"flextype.enabled": False})
def test_a_disabled_api_authorises_nobody(entries: Entries) -> None:
    assert entries.get("a").json() == UNAUTHORIZED
    assert entries.send("PATCH", id="a", data={}).json() == UNAUTHORIZED
    assert entries.query("x=a").json() == BAD_QUERY
