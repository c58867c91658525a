"""Hostile bodies and queries over HTTP: a clear refusal, nothing touched, never a 5xx, never slow.

Every item of the lists below is a case of its own; each test reports all that failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flextype_api import Entries, RunningServer, snapshot, write_entry


@pytest.fixture
def site_dir(site_dir: Path) -> Path:
    """A site with two entries."""
    write_entry(site_dir, "a", "---\ntitle: A\n---\nbody\n")
    write_entry(site_dir, "a/child", "---\ntitle: Child\ntags: [x]\n---\n")
    return site_dir


@pytest.fixture
def entries(server: RunningServer) -> Entries:
    return Entries(server)


@pytest.fixture
def untouched(site_dir: Path, entries: Entries) -> Iterator[None]:
    """Nothing outside the content changes during the test, and the server is well after it."""
    before = snapshot(site_dir)
    yield
    assert snapshot(site_dir) == before
    assert entries.get("a").json()["data"]["title"] == "A"
    assert entries.send("POST", id="afterwards", data={}).status_code == 200


# --- bodies -------------------------------------------------------------------------------------------

DATA: dict[str, Any] = {
    "text": "x",
    "number": 5,
    "true": True,
    "list": [1],
    "list of maps": [{"a": 1}],
    "reserved field": {"_meta": {"created_at": "x"}},
    "deep": "[" * 70 + "]" * 70,
    "deep map": '{"a":' * 70 + "1" + "}" * 70,
}
"""Values of `data` that are refused; the deep ones are JSON already."""


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_data_that_cannot_be_kept_is_refused(entries: Entries, method: str) -> None:
    wrong: dict[Any, Any] = {}
    for name, data in DATA.items():
        text = f'{{"x": {data}}}' if name.startswith("deep") else json.dumps(data)
        body = (
            json.dumps(entries.tokens | {"id": "a" if method == "PATCH" else "new"})[:-1]
            + f', "data": {text}}}'
        )
        answer = entries.session.request(
            method, entries.url, data=body, headers={"Content-Type": "application/json"}, timeout=30
        )
        if answer.status_code != 400 or not answer.json()["message"].startswith("Wrong body params"):
            wrong[name] = (answer.status_code, answer.text[:200])
    assert wrong == {}
    assert entries.get("new").status_code == 404


BODIES: dict[str, bytes] = {
    "empty": b"",
    "no json": b"{",
    "text": b'"x"',
    "list": b"[1]",
    "null": b"null",
    "number": b"1e400",
    "trailing": b'{"id": "a"} x',
    "nan": b'{"id": NaN}',
    "utf-16": '{"id": "a"}'.encode("utf-16"),
    "latin-1": b'{"id": "\xe9"}',
    "lone surrogate": b'{"id": "\\ud800"}',
    "deep": b"[" * 200_000,
    "deep map": b'{"a":' * 200_000,
    "deep closed": b"[" * 20_000 + b"]" * 20_000,
    "digits": b'{"id": ' + b"9" * 100_000 + b"}",
    "nul": b"\x00",
    "bom": b"\xef\xbb\xbf{}",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "yaml": b"!!python/object/apply:os.system ['true']",
    "form of many": b"&".join(b"a%d=1" % number for number in range(20_000)),
    "form of depth": b"a" + b"[x]" * 5_000 + b"=1",
    "form of brackets": b"[" * 50_000 + b"=1",
    "form of percents": b"%" * 50_000,
    "multipart": b'--x\r\nContent-Disposition: form-data; name="id"\r\n\r\na\r\n--x--',
}
TYPES = [
    "application/json",
    "application/json;charset=utf-7",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/xml",
    "",
    "application/json; boundary",
]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_hostile_bodies_are_refused(entries: Entries, method: str) -> None:
    wrong: dict[Any, Any] = {}
    for name, body in BODIES.items():
        for kind in TYPES:
            answer = entries.session.request(
                method, entries.url, data=body, headers={"Content-Type": kind}, timeout=30
            )
            if answer.status_code not in (400, 413):
                wrong[name, kind] = (answer.status_code, answer.text[:200])
    assert wrong == {}


@pytest.mark.usefixtures("untouched")
def test_params_of_the_wrong_type_are_named(entries: Entries) -> None:
    for name in ("id", "token", "access_token"):
        for value in ([], {}, 5, True, ["a"], {"a": "b"}):
            answer = entries.send("DELETE", **({"id": "a"} | {name: value}))
            assert answer.status_code == 400
            assert answer.json()["message"] == f"Wrong body params or not defined: {name} must be a string"
    for value in ([], 5, {"x": 1}):
        assert entries.send("PUT", id="a", new_id=value).status_code == 400


@pytest.mark.settings(**{"flextype.max_body_bytes": 2_048})
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_body_beyond_the_limit_is_refused(entries: Entries, method: str) -> None:
    small = entries.send(method, id="none/x", new_id="y", data={"text": "x" * 1_500})
    assert small.status_code in (200, 404)
    large = entries.send(method, id="none/x", new_id="y", data={"text": "x" * 2_000})
    assert large.status_code == 413
    assert large.json() == {"http_status_code": 413, "message": "Request body too large"}
    chunks = (b" " * 1_000 for _ in range(5))
    headers = {"Content-Type": "application/json"}
    chunked = entries.session.request(method, entries.url, data=chunks, headers=headers, timeout=30)
    assert chunked.status_code in (400, 413)


# --- queries ------------------------------------------------------------------------------------------

FILTER = "id=a&options[collection]=true&options[filter]"
QUERIES = [
    "id[]=a",
    "id[x]=a",
    "id=a&options=x",
    "id=a&options[]=x",
    "id=a&options[collection][]=true",
    "id=a&options[filter]=x",
    "id=a&options[find]=x",
    "id=a&options[method][]=fetch",
    "id=a&options[method]=__init__",
    "id=a&options[method]=fetch__globals__",
    "id=a&" + "&".join(f"options[x{number}]=1" for number in range(2_000)),
    "id=a&options" + "[x]" * 500 + "=1",
    "id=a&" + "[" * 3_000 + "=1",
    "id=a&%ff%fe[%ff]=%ff",
    "id=%ff",
    "id=%ED%A0%80",
    "id=a%00",
    f"{FILTER}[where]=x",
    f"{FILTER}[where][][]=x",
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator][]=eq&options[filter][where][0][value]=A",
    f"{FILTER}[where][0][key][]=title&options[filter][where][0][operator]=eq&options[filter][where][0][value]=A",
    f"{FILTER}[where][0][key]=__class__.__mro__&options[filter][where][0][operator]=eq"
    "&options[filter][where][0][value]=A",
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator]=$where&options[filter][where][0][value]=1",
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator]=regexp"
    "&options[filter][where][0][value]=" + "(a%2B)%2B" * 30 + "$",
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator]=regexp"
    "&options[filter][where][0][value]=(?<=a)b",
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator]=regexp"
    "&options[filter][where][0][value]=" + "a{1000}" * 200,
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator]=newer"
    "&options[filter][where][0][value]=" + "9" * 900,
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator]=newer"
    "&options[filter][where][0][value]=%2B99999999999999999999 years",
    f"{FILTER}[where][0][key]=title&options[filter][where][0][operator]=gt"
    "&options[filter][where][0][value]=1e99999",
    f"{FILTER}[where][0][key]=" + "a." * 3_000 + "&options[filter][where][0][operator]=eq"
    "&options[filter][where][0][value]=1",
    f"{FILTER}[group_by][]=title",
    f"{FILTER}[group_by]=tags",
    f"{FILTER}[sort_by]=title",
    f"{FILTER}[sort_by][key][]=title&options[filter][sort_by][direction]=ASC",
    f"{FILTER}[sort_by][key]=title&options[filter][sort_by][direction][]=ASC",
    f"{FILTER}[offset]=1e18",
    f"{FILTER}[offset]=999999999999999999999999",
    f"{FILTER}[offset]=-999999999999999999999999",
    f"{FILTER}[offset][]=1",
    f"{FILTER}[limit]=-1",
    f"{FILTER}[limit]=999999999999999999999999",
    f"{FILTER}[limit]=abc",
    f"{FILTER}[limit][]=1",
    f"{FILTER}[return]=first&options[filter][limit]=0",
    f"{FILTER}[return]=next",
    f"{FILTER}[return]=random&options[filter][random]=-1",
    f"{FILTER}[return]=random&options[filter][random]=99999999999999999999",
    f"{FILTER}[return][]=first",
    *(
        f"id=a&options[collection]=true&options[find][{key}]={value}"
        for key, value in [
            ("depth", "abc"),
            ("depth", ">99999999999999999999999"),
            ("depth", "<-1"),
            ("date", "garbage"),
            ("date", "> +99999999999 years"),
            ("size", "garbage"),
            ("size", "> 9999999999999999999999g"),
            ("exclude", "../.."),
            ("contains", "/(a+)+$/"),
            ("contains", "/[/"),
            ("contains", "/" + "a{1000}" * 100 + "/"),
            ("not_contains", "/(?P<x>/"),
            ("path", "/../"),
            ("path", "/etc/passwd"),
            ("sort_by", "__class__"),
            ("filter", "phpinfo"),
            ("in", "/etc"),
            ("contains][x", "y"),
            ("path][", "x"),
        ]
    ),
]


@pytest.mark.usefixtures("untouched")
def test_hostile_queries_are_answered_or_refused(entries: Entries) -> None:
    wrong: dict[Any, Any] = {}
    for query in QUERIES:
        answer = entries.query(query)
        slow = answer.elapsed.total_seconds() > 2
        if answer.status_code not in (200, 400, 404) or slow:
            wrong[query[:100]] = (answer.status_code, answer.text[:200], answer.elapsed)
        elif answer.status_code != 200 and set(answer.json()) != {"http_status_code", "message"}:
            wrong[query[:100]] = (answer.status_code, answer.text[:200])
    assert wrong == {}
