"""What Flask does for those who embed the application still happens: hooks, signals, errors of routing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import flask
import pytest
from conftest import make_tokens, write
from flask import Flask, Response
from flask.testing import FlaskClient

from flatdata import application
from flatdata.app import create_app
from flatdata.application import Application
from flatdata.settings import load_settings
from flatdata.site import Site


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    write(tmp_path, "films/alien/entry.yaml", "title: Alien\n")
    make_tokens(tmp_path)
    site = Site(tmp_path, load_settings(tmp_path, {}, {}))
    site.start("thread")
    assert site.wait_ready(20)
    yield create_app(site)
    site.close()


def client_of(app: Flask) -> FlaskClient:
    return app.test_client()


def test_hooks_are_called_in_flasks_order_when_they_are_registered(app: Flask) -> None:
    called = []
    app.before_request(lambda: called.append("before"))

    @app.after_request
    def after(response: Response) -> Response:
        called.append("after")
        response.headers["X-Seen"] = "yes"
        return response

    app.teardown_request(lambda error: called.append("teardown"))
    app.teardown_appcontext(lambda error: called.append("end"))
    response = client_of(app).get("/health")
    assert (response.status_code, response.headers["X-Seen"]) == (200, "yes")
    assert called == ["before", "after", "teardown", "end"]


def test_a_hook_may_answer_instead_of_the_view(app: Flask) -> None:
    app.before_request(lambda: ("no entry", 403))
    response = client_of(app).get("/health")
    assert (response.status_code, response.text) == (403, "no entry")


@pytest.mark.parametrize("name", ["request_started", "request_finished", "request_tearing_down"])
def test_signals_reach_those_who_listen(app: Flask, name: str) -> None:
    heard = []

    def listen(sender: Flask, **_: object) -> None:
        heard.append(sender)

    with getattr(flask, name).connected_to(listen):
        client_of(app).get("/health")
    client_of(app).get("/health")
    assert heard == [app]


def test_hooks_of_one_request_are_called_once(app: Flask) -> None:
    @app.route("/once")
    def once() -> str:
        @flask.after_this_request
        def mark(response: Response) -> Response:
            response.headers["X-Once"] = "yes"
            return response

        return "plain text"

    client = client_of(app)
    assert client.get("/once").headers["X-Once"] == "yes"
    assert client.get("/once").text == "plain text"
    assert "X-Once" not in client.get("/health").headers


def test_paths_and_methods_that_no_rule_has_are_refused_again_and_again(app: Flask) -> None:
    client = client_of(app)
    for _ in range(2):
        assert client.get("/nowhere").status_code == 404
        refused = client.post("/health")
        assert refused.status_code == 405
        assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
        assert client.options("/health").status_code == 200


def test_a_redirect_of_the_router_leads_to_the_host_that_was_asked(app: Flask) -> None:
    app.add_url_rule("/folder/", "folder", lambda: "here")
    response = client_of(app).get("/folder", headers={"Host": "films.example"})
    assert response.headers["Location"] == "http://films.example/folder/"


def test_what_a_path_named_is_not_kept_for_the_next_request(app: Flask) -> None:
    @app.route("/echo/<name>")
    def echo(name: str) -> str:
        seen = dict(flask.request.view_args or {})
        (flask.request.view_args or {}).clear()
        return f"{name} {seen['name']}"

    client = client_of(app)
    assert [client.get(f"/echo/{name}").text for name in ("a", "b", "a")] == ["a a", "b b", "a a"]


def test_addresses_are_built_with_the_host_of_the_request(app: Flask) -> None:
    app.add_url_rule("/where", "where", lambda: flask.url_for("health", _external=True))
    client = client_of(app)
    hosts = ("films.example", "localhost:8080", "films.example:80")
    found = [client.get("/where", headers={"Host": host}).text for host in hosts]
    assert found == [
        "http://films.example/health",
        "http://localhost:8080/health",
        "http://films.example/health",
    ]


def test_long_paths_and_hosts_that_clients_make_up_are_not_kept(app: Application) -> None:
    client = client_of(app)
    client.get("/v1/apps")
    before = app._known_match.cache_info().currsize, application._known_host.cache_info().currsize
    for number in range(3):
        host = f"{'h' * 300}{number}.example"
        response = client.get(f"/v1/{'x' * 300}{number}", headers={"Host": host})
        assert response.status_code == 404
    after = app._known_match.cache_info().currsize, application._known_host.cache_info().currsize
    assert before == after
