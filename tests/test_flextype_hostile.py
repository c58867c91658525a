"""Hostile ids, bodies, queries and contents over HTTP: a clear refusal, nothing touched, never a 5xx.

The lists below are sent through every endpoint that takes such a thing; each item is a case of its own, and
each test reports all that failed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flextype_api import Entries, RunningServer, write_entry

IDS = [
    "..",
    "../x",
    "../../x",
    "a/../../x",
    "a/../b",
    "./a",
    "a/./b",
    ".",
    "a//b",
    "..\\x",
    "a\\b",
    "\\\\server\\share",
    "//etc/passwd/../x",
    "..%2fx",
    "%2e%2e/x",
    "..%252fx",
    "a/..",
    "a/...",
    "a.",
    "a ",
    " a",
    "a/ /b",
    "x\x00y",
    "x\ny",
    "x\ty",
    "x\r\ny",
    "\x7f",
    "x\u2028y",
    "x\u202ey",
    "\ufeffx",
    "．．／x",
    "..／x",
    "x" * 300,
    "é" * 130,
    "x" * 5_000,
    "/".join("d" * 40),
    "a/" * 2_000 + "b",
    ".git/config",
    ".env",
    ".flatdata",
    ".flatdata/log",
    "a/.hidden",
    "../tokens/entries",
    "../flatdata.yaml",
    "../plugins/x/plugin",
    "~/x",
    "~root",
    "entry",
    "manifest",
    "source/manifest",
    "a/entry",
    "a/manifest",
    "entry.yaml",
    "a.yaml",
    "a/entry.md/x",
    "link/x",
    "link",
    "loop/loop/x",
    "fifo",
    "CON",
    "COM1",
    "a:b",
    "a*",
    "a?b",
    "<b>",
    "${x}",
    "{{7*7}}",
    "$(id)",
    "`id`",
    "; rm -rf",
    "a' OR '1'='1",
    "__proto__",
    "__class__",
    "0",
    "-1",
    "1e400",
    "null",
    "true",
]
SAFE = frozenset(
    {"CON", "COM1", "a:b", "a*", "a?b", "<b>", "${x}", "{{7*7}}", "$(id)", "`id`", "; rm -rf"}
    | {"a' OR '1'='1", "__proto__", "__class__", "0", "-1", "1e400", "null", "true", "~/x", "~root"}
    | {"%2e%2e/x", "．．／x", "..／x"}
)
"""Ids that look bad and are harmless names: an entry may be made there, inside `content/`."""


@pytest.fixture
def site_dir(site_dir: Path, tmp_path: Path) -> Path:
    """A site with a data source, links and special files in its content, and a neighbour to steal from."""
    write_entry(site_dir, "a", "---\ntitle: A\n---\nbody\n")
    write_entry(site_dir, "a/child", "---\ntitle: Child\n---\n")
    write_entry(site_dir, "source", "id: 77\nname: secret-name\n", "manifest.yaml")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "entry.md").write_text("---\ntitle: outside\n---\n")
    (outside / "x").mkdir()
    (outside / "x" / "entry.md").write_text("---\ntitle: outside x\n---\n")
    content = site_dir / "content"
    (content / "link").symlink_to(outside)
    (content / "loop").mkdir()
    (content / "loop" / "loop").symlink_to(content / "loop")
    os.mkfifo(content / "fifo.yaml")
    return site_dir


@pytest.fixture
def entries(server: RunningServer) -> Entries:
    return Entries(server)


def snapshot(*roots: Path) -> dict[str, bytes | str]:
    """Every file and folder below `roots` but the content and what the server keeps for itself."""
    found: dict[str, bytes | str] = {}
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in ("content", ".flatdata")]
            found[folder] = "folder"
            for name in files:
                path = Path(folder, name)
                found[str(path)] = path.read_bytes() if path.is_file() else "special"
    return found


@pytest.fixture
def untouched(site_dir: Path, tmp_path: Path, entries: Entries) -> Iterator[None]:
    """Nothing outside the content changes during the test, and the server is well after it."""
    before = snapshot(site_dir, tmp_path / "outside")
    yield
    assert snapshot(site_dir, tmp_path / "outside") == before
    assert entries.get("a").json()["data"]["title"] == "A"


# --- ids ----------------------------------------------------------------------------------------------

REQUESTS: dict[str, Callable[[Entries, str], requests.Response]] = {
    "get": lambda entries, id: entries.get(id),
    "collection": lambda entries, id: entries.session.get(
        entries.url,
        params={"id": id, "options[collection]": "true", "token": entries.tokens["token"]},
        timeout=30,
    ),
    "post": lambda entries, id: entries.send("POST", id=id, data={"title": "x"}),
    "patch": lambda entries, id: entries.send("PATCH", id=id, data={"title": "x"}),
    "move": lambda entries, id: entries.send("PUT", id=id, new_id="moved"),
    "move to": lambda entries, id: entries.send("PUT", id="a/child", new_id=id),
    "copy": lambda entries, id: entries.send("PUT", "/copy", id=id, new_id="copied"),
    "copy to": lambda entries, id: entries.send("PUT", "/copy", id="a/child", new_id=id),
    "delete": lambda entries, id: entries.send("DELETE", id=id),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("request_name", REQUESTS)
def test_hostile_ids_reach_nothing(entries: Entries, site_dir: Path, request_name: str) -> None:
    wrong = {}
    for id in IDS:
        answer = REQUESTS[request_name](entries, id)
        if id in SAFE:
            acceptable: tuple[int, ...] = (200, 204, 400, 404)
        else:
            acceptable = (400, 404) if request_name == "post" else (404,)
        leaks = "outside" in answer.text or "secret-name" in answer.text
        refused = answer.status_code in (400, 404)
        ill_formed = refused and set(answer.json()) != {"http_status_code", "message"}
        if answer.status_code not in acceptable or leaks or ill_formed:
            wrong[id[:60]] = (answer.status_code, answer.text[:200])
        if request_name == "move to" and answer.ok:
            assert entries.send("PUT", id=id, new_id="a/child").ok
    assert wrong == {}
    inside = os.path.realpath(site_dir / "content")
    for folder, _, files in os.walk(inside):
        assert all(os.path.realpath(Path(folder, name)).startswith(inside) for name in files)


@pytest.mark.usefixtures("untouched")
def test_the_same_ids_percent_encoded_in_the_path_are_no_route(entries: Entries) -> None:
    for rest in ("..%2f..%2fflatdata.yaml", "%2e%2e/x", "..%252fx", "%00", "a%0ab", "%ff%fe"):
        answer = entries.session.get(f"{entries.url}/{rest}", timeout=30)
        assert answer.status_code in (400, 404, 405)


# --- what a reader must not see -----------------------------------------------------------------------


def test_manifests_are_no_entries(entries: Entries) -> None:
    assert entries.get("source/manifest").status_code == 404
    answer = entries.query("id=source&options[collection]=true")
    assert answer.status_code == 404
    everything = entries.query("id=&options[collection]=true&options[find][depth]=>0")
    assert "secret-name" not in everything.text
    assert everything.status_code == 200


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
    wrong = {}
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
    wrong = {}
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
    wrong = {}
    for query in QUERIES:
        answer = entries.query(query)
        slow = answer.elapsed.total_seconds() > 2
        if answer.status_code not in (200, 400, 404) or slow:
            wrong[query[:100]] = (answer.status_code, answer.text[:200], answer.elapsed)
        elif answer.status_code != 200 and set(answer.json()) != {"http_status_code", "message"}:
            wrong[query[:100]] = (answer.status_code, answer.text[:200])
    assert wrong == {}


# --- contents -----------------------------------------------------------------------------------------

FETCH_ALL = {"fetch": {"all": {"id": "", "options": {"collection": True, "find": {"depth": ">=0"}}}}}
CONTENTS: list[dict[str, Any]] = [
    {"entries": {"fetch": {"x": {"id": "../outside"}}}},
    {"entries": {"fetch": {"x": {"id": "source/manifest"}}}},
    {"entries": {"fetch": {"self": {"id": "bad"}}}},
    {"entries": FETCH_ALL},
    {"entries": {"fetch": {"x": {"id": "a", "options": "x"}}}},
    {"entries": {"fetch": {"x": {"id": "a", "options": {"filter": 5, "find": {"depth": "abc"}}}}}},
    {"entries": {"fetch": {"x": {"id": "a", "options": {"method": "fetchNothing"}}}}},
    {"registry": {"get": {"a.b.c": {"key": "__class__.__init__"}}}},
    {
        "content": "[entries_fetch id=bad field=content] {{7*7}} {% x %}",
        "parsers": {"shortcode": {"enabled": True}},
    },
    {"content": "[" * 20_000, "parsers": {"markdown": {"enabled": True, "fields": ["content"]}}},
    {"content": "> " * 5_000, "parsers": {"markdown": {"enabled": True, "fields": ["content"]}}},
    {"content": "[raw]" * 20_000, "parsers": {"shortcode": {"enabled": True, "fields": ["content"]}}},
    {
        "": 1,
        "a.b": 2,
        "id": {"x": 1},
        "slug": [1],
        "published_at": {"y": 2},
        "visibility": [],
        "routable": {},
    },
    {"__proto__": {"x": 1}, "__class__": "x", "constructor": None},
]


@pytest.mark.usefixtures("untouched")
def test_hostile_contents_are_shown_within_bounds(entries: Entries) -> None:
    wrong = {}
    for number, data in enumerate(CONTENTS):
        made = entries.send("POST", id="bad", data=data)
        listed = entries.query("id=&options[collection]=true&options[find][depth]=>0")
        gone = entries.send("DELETE", id="bad")
        if [made.status_code, listed.status_code, gone.status_code] != [200, 200, 204]:
            wrong[number] = (made.status_code, listed.status_code, gone.status_code)
        if "outside" in made.json()["data"].get("x", "") or "secret-name" in listed.text:
            wrong[number] = (made.text[:200],)
        if made.elapsed.total_seconds() > 5:
            wrong[number] = (made.elapsed,)
    assert wrong == {}


@pytest.mark.usefixtures("untouched")
def test_what_a_client_stored_is_what_the_next_one_gets(entries: Entries) -> None:
    data = {
        "texts": [
            "2020-01-01",
            "yes",
            "no",
            "null",
            "1e3",
            "0o7",
            "12:30",
            "=",
            "<<",
            "~",
            " a ",
            "\t",
            "é\n",
            "",
        ],
        "numbers": [0, -1, 10**30, 1.5, 7.0, 1e300, -0.0, 2**64],
        "nested": {"a": {"b": [[], {}, [None, True, False]]}},
        "<script>": "</script><!--",
        "content": "---\nnot: front matter\n---\n",
    }
    assert entries.send("POST", id="faithful", data=data).status_code == 200
    shown = entries.get("faithful").json()["data"]
    assert {name: shown[name] for name in data} == data
    assert [type(number) for number in shown["numbers"]] == [type(number) for number in data["numbers"]]
