"""Logging in and signing up: tokens that expire, and a limit on guessing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bubble_http import UNITS, USERS, Bubble, admin, put_manifest
from conftest import Server

from flatdata.access.sessions import FILE_NAME, Attempt, Attempts, Sessions

DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


# --- sessions ----------------------------------------


def test_a_token_belongs_to_its_user_until_it_expires(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, 30 * DAY, clock)
    token = sessions.open("tony", DAY)
    assert sessions.user_of(token) == "tony"
    clock.now += DAY - 1
    assert sessions.user_of(token) == "tony"
    clock.now += 1
    assert sessions.user_of(token) is None


def test_a_token_that_is_not_used_for_long_ends_early(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, 30 * DAY, clock)
    used, unused = sessions.open("tony", 365 * DAY), sessions.open("anna", 365 * DAY)
    for _ in range(4):
        clock.now += 10 * DAY
        assert sessions.user_of(used) == "tony"
    assert sessions.user_of(unused) is None


def test_sessions_survive_a_restart_and_are_shared(tmp_path: Path) -> None:
    token = Sessions(tmp_path, DAY).open("tony", DAY)
    assert Sessions(tmp_path, DAY).user_of(token) == "tony"
    script = "import sys; from pathlib import Path; from flatdata.access.sessions import Sessions as S\n"
    script += "print(S(Path(sys.argv[1]), 86400.0).user_of(sys.argv[2]))"
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), token], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "tony"


def test_tokens_are_not_kept(tmp_path: Path) -> None:
    token = Sessions(tmp_path, DAY).open("tony", DAY)
    kept = (tmp_path / FILE_NAME).read_bytes()
    assert token.encode() not in kept
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "\ud800", "' OR 1=1 --"])
def test_what_is_no_token(tmp_path: Path, token: str) -> None:
    sessions = Sessions(tmp_path, DAY)
    assert sessions.user_of(token) is None
    sessions.open("tony", DAY)
    assert sessions.user_of(token) is None


def test_a_user_is_logged_out_everywhere(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, DAY)
    tokens = [sessions.open("tony", DAY) for _ in range(3)]
    other = sessions.open("anna", DAY)
    sessions.end_all("tony")
    assert [sessions.user_of(token) for token in tokens] == [None] * 3
    assert sessions.user_of(other) == "anna"


# --- attempts ----------------------------------------


def test_attempts_are_limited_by_each_subject(tmp_path: Path) -> None:
    clock = Clock()
    attempts = Attempts(tmp_path, 3, 300, clock)
    for _ in range(3):
        assert isinstance(attempts.begin("account:a", "address:1"), Attempt)
        clock.now += 10
    assert attempts.begin("account:a", "address:2") == pytest.approx(270)
    assert attempts.begin("account:b", "address:1") == pytest.approx(270)
    assert isinstance(attempts.begin("account:b", "address:2"), Attempt)
    clock.now += 270
    assert isinstance(attempts.begin("account:a", "address:1"), Attempt)
    assert attempts.begin("account:a") == pytest.approx(10)


def test_a_success_forgives_the_account_and_not_the_address(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, 3, 300, Clock())
    attempts.begin("account:a", "address:1")
    attempt = attempts.begin("account:a", "address:1")
    assert isinstance(attempt, Attempt)
    attempts.forgive(attempt, "account:a")
    for _ in range(2):
        assert isinstance(attempts.begin("account:a", "address:1"), Attempt)
    assert isinstance(attempts.begin("account:a", "address:2"), Attempt)
    assert isinstance(attempts.begin("account:b", "address:1"), float)


def test_many_attempts_at_once_are_all_counted(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, 5, 300)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(attempts.begin("account:a"))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, Attempt) for result in results) == 5


# --- over HTTP ----------------------------------------


@pytest.fixture
def api(site_dir: Path, serve: Callable[..., Server], request: pytest.FixtureRequest) -> Bubble:
    put_manifest(site_dir, "units", UNITS)
    put_manifest(site_dir, "users", USERS)
    marker = request.node.get_closest_marker("settings")
    return admin(serve(site_dir, **(marker.kwargs if marker else {})))


def log_in(api: Bubble, **fields: Any) -> Any:
    return api.anonymous().request("POST", "/wf/login", json=fields)


def test_log_in(api: Bubble) -> None:
    identity = api.create("user", email="tony@b.example", password="secret words")
    response = log_in(api, email="Tony@B.example", password="secret words")
    answer = response.json()
    assert response.status_code == 200
    token = answer["response"].pop("token")
    assert answer == {"status": "success", "response": {"user_id": identity, "expires": 86_400}}
    tony = Bubble(api.server, token)
    assert tony.names("user") == [identity]
    assert tony.anonymous().get("/obj/user", params={"api_token": token})["response"]["count"] == 1
    longer = log_in(api, email="tony@b.example", password="secret words", stay_logged_in=True)
    assert longer.json()["response"]["expires"] == 365 * 86_400


def test_log_in_with_a_form(api: Bubble) -> None:
    api.create("user", email="tony@b.example", password="secret words")
    form = {"email": "tony@b.example", "password": "secret words"}
    assert api.anonymous().request("POST", "/wf/login/", data=form).status_code == 200


def test_sign_up(api: Bubble) -> None:
    fields = {"email": "tony@b.example", "password": "secret words"}
    response = api.anonymous().request("POST", "/wf/signup", json=fields)
    answer = response.json()["response"]
    assert response.status_code == 200
    tony = Bubble(api.server, answer["token"])
    assert tony.thing("user", answer["user_id"])["email"] == "tony@b.example"
    assert log_in(api, **fields).json()["response"]["user_id"] == answer["user_id"]
    again = api.anonymous().request("POST", "/wf/signup", json=fields)
    assert (again.status_code, again.json()["body"]["status"]) == (400, "USED_EMAIL")
    assert api.search("user")["count"] == 1


WRONG = {
    "statusCode": 401,
    "body": {"status": "INVALID_LOGIN_CREDENTIAL", "message": "Wrong email or password"},
}


def test_a_wrong_password_and_an_unknown_account_are_told_the_same(api: Bubble) -> None:
    api.create("user", email="tony@b.example", password="secret words")
    api.create("user", email="anna@b.example")
    for email, password in [
        ("tony@b.example", "other words"),
        ("nobody@b.example", "secret words"),
        ("anna@b.example", "x"),
    ]:
        response = log_in(api, email=email, password=password)
        assert (response.status_code, response.json()) == (401, WRONG)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"email": "tony@b.example"},
        {"password": "x"},
        {"email": "tony@b.example", "password": ""},
        {"email": "tony@b.example", "password": None},
        {"email": "tony@b.example", "password": 5},
        {"email": "tony@b.example", "password": "x" * 1001},
        {"email": ["tony@b.example"], "password": "x"},
        {"email": "tony@b.example", "password": "x", "Role": "Admin"},
        {"email": "tony@b.example", "password": "x", "stay_logged_in": "maybe"},
    ],
)
@pytest.mark.parametrize("workflow", ["login", "signup"])
def test_credentials_that_cannot_be_used(api: Bubble, workflow: str, fields: dict[str, Any]) -> None:
    response = api.anonymous().request("POST", f"/wf/{workflow}", json=fields)
    assert response.status_code == 400
    assert "secret" not in response.text
    assert api.search("user")["count"] == 0


@pytest.mark.settings(bubble={"login_attempts": 3, "login_window_seconds": 60.0})
def test_guessing_is_limited(api: Bubble) -> None:
    api.create("user", email="tony@b.example", password="secret words")
    for _ in range(3):
        assert log_in(api, email="tony@b.example", password="x").status_code == 401
    refused = log_in(api, email="tony@b.example", password="secret words")
    assert refused.status_code == 429
    assert refused.json()["body"]["status"] == "TOO_MANY_ATTEMPTS"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    spoofed = {"X-Forwarded-For": "10.1.2.3", "Forwarded": "for=10.1.2.3"}
    fields = {"email": "anna@b.example", "password": "x"}
    assert api.anonymous().request("POST", "/wf/login", json=fields, headers=spoofed).status_code == 429


@pytest.mark.settings(bubble={"login_attempts": 2})
def test_sign_ups_are_limited_by_address(api: Bubble) -> None:
    statuses = [
        api.anonymous()
        .request("POST", "/wf/signup", json={"email": f"{n}@b.example", "password": "x"})
        .status_code
        for n in range(3)
    ]
    assert statuses == [200, 200, 429]


def test_the_token_of_a_user_who_was_deleted_is_refused(api: Bubble) -> None:
    identity = api.create("user", email="tony@b.example", password="secret words")
    tony = api.as_user("tony@b.example")
    assert api.request("DELETE", f"/obj/user/{identity}").status_code == 204
    response = tony.request("GET", "/obj/user")
    assert response.status_code == 401
    assert response.json()["translation"] == f"Invalid or expired token: {tony.token}"


def test_there_are_no_workflows_without_users_and_no_sign_up_where_it_is_off(
    site_dir: Path, serve: Callable[..., Server]
) -> None:
    put_manifest(site_dir, "users", USERS, signup=False)
    api = admin(serve(site_dir))
    api.create("user", email="tony@b.example", password="secret words")
    assert api.as_user("tony@b.example").token
    answer = api.request("POST", "/wf/signup", json={"email": "a@b.example", "password": "x"})
    assert answer.json()["body"] == {"status": "NOT_FOUND", "message": "Workflow not found signup"}
    assert [workflow["endpoint"] for workflow in api.get("/meta")["post"]] == ["login"]


def test_concurrent_sign_ups_of_one_address_make_one_user(api: Bubble) -> None:
    statuses: list[int] = []

    def sign_up() -> None:
        fields = {"email": "tony@b.example", "password": "secret words"}
        other = Bubble(Server(api.server.url, api.server.root, {}), None)
        statuses.append(other.request("POST", "/wf/signup", json=fields).status_code)
        other.server.session.close()

    threads = [threading.Thread(target=sign_up) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[400] * 5]
    assert api.search("user")["count"] == 1
