"""Hostile requests to the Data API: each gets a clear refusal, none a 5xx, none touches what is not its
own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bubble_http import UNITS, USERS, Bubble, admin, put_manifest, put_row
from conftest import Server, site_files, write

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api(site_dir: Path, serve: Callable[..., Server]) -> Bubble:
    put_manifest(site_dir, "units", UNITS)
    put_manifest(site_dir, "users", USERS)
    put_row(site_dir, "units/7", **{"Unit name": "A", "Unit number": 7})
    write(site_dir, "private/secret.yaml", "secret: yes\n")
    (site_dir / "outside.yaml").write_text("Unit name: outside\n")
    return admin(serve(site_dir, bubble={"max_body_bytes": 1_000_000}))


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file that a request might touch, but not the server's own."""
    return {str(path.relative_to(root)): path.read_bytes() for path in site_files(root) if path.is_file()}


IDS = [
    "../users/1",
    "..%2f..%2foutside",
    "%2e%2e/%2e%2e/outside",
    "..%252f..%252foutside",
    "..\\outside",
    "%5c..%5coutside",
    ".",
    "..",
    "%00",
    "7%00",
    "7%0a",
    "manifest",
    "manifest.yaml",
    "7.yaml",
    "entry",
    ".hidden",
    ".flatdata",
    "../private/secret",
    "x" * 300,
    "é" * 200,
    "%ff%fe",
    "%ed%a0%80",
    "．．／outside",
    "\u202e7",
    "CON",
    "7%20",
    "%207",
    "*",
    "null",
    "[object%20Object]",
    "1'%20OR%20'1'='1",
]


def raw(api: Bubble, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    """The status and body of a request whose path no client has tidied up."""
    connection = http.client.HTTPConnection(api.server.url.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {api.token}"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_ids_that_lead_elsewhere(api: Bubble, method: str) -> None:
    before = snapshot(api.server.root)
    for identity in IDS:
        path = f"/api/1.1/obj/rentalunit/{quote(identity, safe='%/?=#')}"
        status, text = raw(api, method, path, b"{}" if method[0] == "P" else b"")
        assert status in (400, 404), (identity, text)
        assert "MISSING_DATA" in text or "There is no such endpoint" in text, (identity, text)
    assert snapshot(api.server.root) == before


@pytest.mark.parametrize(
    "name", ["..", "../units", "units", "%2e%2e", "users/..", "a" * 5000, "__class__", "\u202e", "%00"]
)
def test_type_names_that_lead_elsewhere(api: Bubble, name: str) -> None:
    for method in ("GET", "POST"):
        response = api.request(method, f"/obj/{name}", json={} if method == "POST" else None)
        assert response.status_code in (400, 404, 405)


def test_references_that_lead_elsewhere(api: Bubble) -> None:
    for identity in (
        "../private/secret",
        "../users/manifest",
        "manifest",
        "",
        ".",
        "7/../7",
        "7\0",
        "x" * 5000,
    ):
        response = api.request("PATCH", "/obj/rentalunit/7", json={"Parent": identity or "/"})
        assert response.status_code == 400
        assert response.json()["body"]["status"] == "INVALID_DATA"


BODIES: list[bytes] = [
    b"[" * 100_000,
    b'{"Unit name":' * 50_000,
    b'{"Unit number": 1e400}',
    b'{"Unit number": NaN}',
    b'{"Unit number": Infinity}',
    b'{"Unit name": "\\ud800"}',
    b'{"Unit name": "\xff"}',
    b'{"Unit name": "a"} trailing',
    b"5",
    b'"text"',
    b"null",
    b"true",
    b"[]",
    b"{",
    b"{'Unit name': 'a'}",
    b'{"__proto__": {"x": 1}}',
    b'{"__class__": "x"}',
    b'{"constructor": 1}',
    b'{"_meta": {"created_by": "x"}}',
    b'{"": 1}',
    b'{"Unit name": {"$ne": null}}',
    b'{"Unit number": {"__add__": 1}}',
    b'{"Start": {"$date": 1}}',
    b'{"Tags": {"0": "a"}}',
    b'{"Tags": [["a"]]}',
    b'{"Tags": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"Address": {"lat": 1e308, "lng": 1}}',
    b'{"Unit number": "' + b"9" * 5000 + b'"}',
    b'{"Unit number": ' + b"9" * 5000 + b"}",
    b'{"Photo": {"filename": "a", "contents": "' + b"A" * 10 + b'"}}',
    b"\x00",
    b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_bodies_that_cannot_be_stored(api: Bubble, body: bytes) -> None:
    before = snapshot(api.server.root)
    for method, path in [
        ("POST", "/obj/rentalunit"),
        ("PATCH", "/obj/rentalunit/7"),
        ("PUT", "/obj/rentalunit/7"),
    ]:
        response = api.request(method, path, data=body, headers=JSON)
        assert response.status_code == 400, response.text[:300]
        assert response.json()["statusCode"] == 400
        assert len(response.content) < 5_000
    assert snapshot(api.server.root) == before


def test_duplicate_keys_are_plain_data(api: Bubble) -> None:
    response = api.request(
        "PATCH", "/obj/rentalunit/7", data=b'{"Unit name":"a","Unit name":"b"}', headers=JSON
    )
    assert response.status_code in (204, 400)


@pytest.mark.parametrize(
    "text", ["no", "012", "1e3", "2026-01-01", ".nan", "~", "- a", "a: b", "#", "\u2028", "é\U0001f600"]
)
def test_texts_come_back_as_they_were_sent(api: Bubble, text: str) -> None:
    assert api.thing("rentalunit", api.create("rentalunit", **{"Unit name": text}))["Unit name"] == text


@pytest.mark.parametrize("number", [2**64, -(2**70), 0.1, 1e308, 5e-324, 0])
def test_numbers_come_back_as_they_were_sent(api: Bubble, number: float) -> None:
    assert (
        api.thing("rentalunit", api.create("rentalunit", **{"Unit number": number}))["Unit number"] == number
    )


def test_a_body_that_is_too_large(api: Bubble) -> None:
    for path in ("/obj/rentalunit", "/obj/rentalunit/bulk", "/wf/login"):
        response = api.request("POST", path, data=b" " * 1_000_001, headers={"Content-Type": "text/plain"})
        assert response.status_code == 413
        assert response.json()["statusCode"] == 413


CONSTRAINTS: list[Any] = [
    "[" * 50_000,
    "{",
    "null",
    "5",
    '"x"',
    "[null]",
    "[[]]",
    "[{}]",
    '[{"key":"Unit name"}]',
    '[{"key":["Unit name"],"constraint_type":"equals","value":1}]',
    '[{"key":"Unit name","constraint_type":{"$ne":1},"value":1}]',
    '[{"key":"Unit name","constraint_type":"__class__","value":1}]',
    '[{"key":"Unit name","constraint_type":"matches","value":"(a+)+$"}]',
    '[{"key":"__class__","constraint_type":"equals","value":1}]',
    '[{"key":"_meta","constraint_type":"equals","value":1}]',
    '[{"key":"_meta.password_hash","constraint_type":"equals","value":1}]',
    '[{"key":"password","constraint_type":"equals","value":1}]',
    '[{"key":"password_hash","constraint_type":"greater than","value":"$"}]',
    '[{"key":"Unit name","constraint_type":"equals","value":{"a":1}}]',
    '[{"key":"Unit number","constraint_type":"equals","value":1e400}]',
    '[{"key":"Unit number","constraint_type":"in","value":{}}]',
    '[{"key":"Address","constraint_type":"geographic_search","value":{"origin_address":"|","range":1}}]',
    '[{"key":"Address","constraint_type":"geographic_search","value":{"origin_address":"Berlin","range":-1}}]',
    json.dumps([{"key": "Unit name", "constraint_type": "equals", "value": "x"}] * 501),
]


@pytest.mark.parametrize("constraints", CONSTRAINTS, ids=range(len(CONSTRAINTS)))
@pytest.mark.parametrize("type_name", ["rentalunit", "user"])
def test_constraints_that_cannot_be_used(api: Bubble, type_name: str, constraints: str) -> None:
    response = api.request("GET", f"/obj/{type_name}", json={"constraints": constraints})
    assert response.status_code in (400, 404), response.text
    assert response.json()["statusCode"] == response.status_code


PARAMETERS: list[dict[str, Any]] = [
    {"cursor": "-1"},
    {"cursor": "x"},
    {"cursor": "1e18"},
    {"limit": "-1"},
    {"limit": "1.5"},
    {"limit": "９"},
    {"sort_field": "__class__"},
    {"sort_field": "_meta"},
    {"sort_field": "Tags"},
    {"sort_field": "Unit name", "descending": "sideways"},
    {"sort_field": "Unit name", "additional_sort_fields": "{}"},
    {"sort_field": "Address"},
    {"sort_field": "Address", "geo_reference": "Nowhereville"},
    {"exclude_remaining": "perhaps"},
]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_parameters_that_cannot_be_used(api: Bubble, parameters: dict[str, str]) -> None:
    assert api.request("GET", "/obj/rentalunit", params=parameters).status_code == 400


def test_large_parameters_are_bounded(api: Bubble) -> None:
    assert api.search("rentalunit", cursor=10**18)["count"] == 0
    assert api.search("rentalunit", limit=10**18)["count"] == 1
    ids = [f"{number}x1" for number in range(10_000)]
    constraint = {"key": "_id", "constraint_type": "in", "value": ids}
    assert api.get("/obj/rentalunit", json={"constraints": [constraint]})["response"]["count"] == 0
    many = {**constraint, "value": [*ids, "x"]}
    assert api.request("GET", "/obj/rentalunit", json={"constraints": [many]}).status_code == 400
    assert api.request("GET", "/obj/rentalunit", json={"constraints": [constraint] * 2}).status_code == 400


@pytest.mark.parametrize(
    "text", ['"', "'", "*", "NEAR(", "]", ":", "a OR b", "(", "\\", "%", "_", "a*", "stems:x", "\x1f", "\x01"]
)
def test_signs_in_a_word_search_mean_nothing(api: Bubble, text: str) -> None:
    api.create("rentalunit", **{"Unit name": "red houses"})
    assert api.search("rentalunit", ("Unit name", "text contains", text))["count"] == 0 or text == "a OR b"
    assert api.search("rentalunit", ("_all", "text contains", f"red {text}"))["count"] in (0, 1)


TOKENS: list[tuple[dict[str, str], dict[str, str], int]] = [
    ({"Authorization": "Bearer "}, {}, 401),
    ({"Authorization": "Bearer"}, {}, 401),
    ({"Authorization": "bearer {token}"}, {}, 200),
    ({"Authorization": "BEARER   {token} "}, {}, 200),
    ({"Authorization": "Bearer {token}x"}, {}, 401),
    ({"Authorization": "Bearer {token}"}, {"api_token": "wrong"}, 200),
    ({"Authorization": "Bearer wrong"}, {"api_token": "{token}"}, 401),
    ({"Authorization": "Basic {token}"}, {"api_token": "{token}"}, 200),
    ({"Authorization": ""}, {"api_token": "{token}"}, 200),
    ({"Authorization": ""}, {"api_token": "wrong"}, 401),
    ({"Authorization": ""}, {}, 401),
    ({}, {"api_token": ""}, 401),
    ({}, {"api_token": "../{token}"}, 401),
    ({}, {"api_token": "{token}\n"}, 401),
    ({}, {"api_token": "\x00"}, 401),
    ({}, {"api_token": "é" * 1000}, 401),
    ({"Authorization": "Bearer ' OR 1=1 --"}, {}, 401),
    ({"X-Forwarded-User": "admin"}, {"api_token": "admin"}, 401),
]


@pytest.mark.parametrize(("headers", "query", "status"), TOKENS)
def test_tokens(api: Bubble, headers: dict[str, str], query: dict[str, str], status: int) -> None:
    token = api.token or ""
    response = api.server.get(
        "/api/1.1/obj/rentalunit",
        headers={name: value.replace("{token}", token) for name, value in headers.items()},
        params={name: value.replace("{token}", token) for name, value in query.items()},
    )
    assert response.status_code == status


def test_a_token_that_is_not_ascii_is_wrong_even_where_everybody_may_read(
    site_dir: Path, serve_process: Callable[..., Server]
) -> None:
    put_manifest(site_dir, "units", {**UNITS, "public": True})
    anonymous = admin(serve_process(site_dir)).anonymous()
    assert anonymous.request("GET", "/obj/rentalunit").status_code == 200
    for token in ("\xe4".encode(), b"\xe4"):
        headers = {"Authorization": b"Bearer " + token}
        assert anonymous.request("GET", "/obj/rentalunit", headers=headers).status_code == 401


def test_tokens_of_other_apis_are_none_here(api: Bubble) -> None:
    for kind in ("entries", "access", "data-sources", "datasource"):
        assert (
            Bubble(api.server, api.server.tokens[kind]).request("GET", "/obj/rentalunit").status_code == 401
        )


def test_a_users_token_is_none_elsewhere(api: Bubble) -> None:
    api.create("user", email="tony@b.example", password="secret words")
    token = api.as_user("tony@b.example").token or ""
    assert api.server.get("/api/entries", params={"id": "units/7", "token": token}).status_code == 401
    assert api.server.get("/v1/data-sources", headers={"Auth-token": token}).status_code == 401


def test_hashes_of_passwords_are_shown_by_no_api(api: Bubble) -> None:
    identity = api.create("user", email="tony@b.example", password="secret words")
    tokens = api.server.tokens
    answers = [
        api.request("GET", f"/obj/user/{identity}").text,
        api.request("GET", "/obj/user").text,
        api.server.get("/api/entries", params={"id": f"users/{identity}", "token": tokens["entries"]}).text,
        api.server.get("/v1/data-sources/2/data", headers={"Auth-token": tokens["data-sources"]}).text,
    ]
    assert all("tony@b.example" in answer for answer in answers)
    assert not any("argon2" in answer or "password" in answer for answer in answers)


@pytest.mark.parametrize(
    "lines",
    [
        b"{}\n" * 1001,
        b"\n" * 5,
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"Unit name":"\\ud800"}',
        b"{}\r\n{}x",
        b'{"Unit number":1e400}\n{"Nope":1}',
    ],
    ids=range(7),
)
def test_bulk_bodies_that_cannot_be_stored(api: Bubble, lines: bytes) -> None:
    before = api.search("rentalunit")["count"]
    response = api.request("POST", "/obj/rentalunit/bulk", data=lines, headers={"Content-Type": "text/plain"})
    assert response.status_code == 400
    assert api.search("rentalunit")["count"] - before == (1 if lines == b"{}\r\n{}x" else 0)


def test_a_bulk_line_that_cannot_be_stored_fails_alone(api: Bubble) -> None:
    data = b'{"Unit name":"good"}\n{"Unit name":"\\ud800"}\n{"Unit name":"\xff"}\n{"Unit name":"\\u0000"}'
    response = api.request("POST", "/obj/rentalunit/bulk", data=data, headers={"Content-Type": "text/plain"})
    statuses = [json.loads(line)["status"] for line in response.text.split("\n")]
    assert statuses == ["success", "error", "error", "success"]
    assert api.names("rentalunit", ("Unit name", "in", ["good", "\0"])) == ["good", "\0"]
