"""Hostile requests to the data sources API: a clear refusal, nothing changed, never a 500."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from conftest import site_files
from fliplet_api import DataSources

# --- paths, names and ids -----------------------------------------------------------------------------

FORM = "application/x-www-form-urlencoded"

PATHS = [
    "..", "../x", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "..%252f..%252fetc", "..\\x", "/etc/passwd",
    "C:\\x", "a/./b", "a//b", "x.", "x ", " ", "%00", "a%00b", "%0a", "%0d%0aX: y", "a" * 300, "a/" * 50,
    ".git/config", ".env", "manifest", "entry", "entry.yaml", "manifest.yaml", "_tokens", "%ff%fe",
    "%c0%ae%c0%ae", "．．／", "\u202e", "CON", "-1", "0", "1.5", "1e3", "9" * 40, "0x1", "null", "{}",
    "[object Object]", "%25",
]  # fmt: skip


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


def tree(root: Path) -> set[str]:
    """Every path of the site but its log and other derived files."""
    return {str(path.relative_to(root)) for path in site_files(root)}


def fine(answer: Any, *statuses: int) -> bool:
    """Whether an answer is a refusal in the form of this API, with one of the statuses."""
    return (
        answer.status_code in (statuses or (400, 404))
        and answer.headers["Content-Type"].startswith("application/json")
        and isinstance(answer.json().get("message"), str)
    )


def raw(api: DataSources, method: str, path: str, body: bytes = b"", type: str = "application/json") -> int:
    """The status of a request whose path is sent as it is."""
    host = urlsplit(api.server.url)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host.netloc}\r\nAuth-token: {api.token}\r\n"
        f"Content-Type: {type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
        connection.sendall(head.encode("utf-8") + body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("path", PATHS)
def test_names_and_ids_that_lead_nowhere(api: DataSources, site_dir: Path, path: str) -> None:
    source = api.create("Real")
    api.insert(source, {"a": 1})
    before = tree(site_dir)
    for sent in (path, quote(path, safe="%"), quote(path, safe="")):
        if any(ord(character) < 33 for character in sent):
            continue
        for method, template in (
            ("GET", "/v1/data-sources/{}"),
            ("PUT", "/v1/data-sources/{}/data"),
            ("DELETE", "/v1/data-sources/{}"),
            ("POST", "/v1/data-sources/{}/commit"),
            ("GET", f"/v1/data-sources/{source}/data/{{}}"),
            ("PUT", f"/v1/data-sources/{source}/data/{{}}"),
            ("DELETE", f"/v1/data-sources/{source}/data/{{}}"),
            ("GET", f"/v1/data-sources/{source}/versions/{{}}/data"),
            ("POST", "/v1/data-sources/{}/restore"),
            ("DELETE", "/v1/data-sources/deleted/{}"),
            ("GET", "/v1/media/files/{}/contents"),
        ):
            status = raw(api, method, template.format(sent), b"{}")
            assert status in (400, 404, 405), (method, template, sent, status)
    assert tree(site_dir) == before
    assert len(api.rows(source)) == 1


@pytest.mark.parametrize("name", [*PATHS, "Ünï cödé 😀", "a\tb", "Foo", "foo", "FOO", "a" * 255, "x\u0308"])
def test_any_name_of_a_source_stays_inside_the_content(api: DataSources, site_dir: Path, name: str) -> None:
    answer = api.post("/data-sources?organizationId=1", {"name": name})
    if not name.strip() or len(name) > 255:
        assert fine(answer)
        return
    assert answer.status_code == 201, answer.text
    source = answer.json()["dataSource"]
    assert source["name"] == name
    row = api.insert(source["id"], {"a": 1})
    folders = [path.name for path in (site_dir / "content").iterdir()]
    assert len(folders) == 1
    assert not folders[0].startswith(".")
    assert (site_dir / "content" / folders[0] / f"{row}.yaml").is_file()
    assert api.columns(source["id"]) == [{"a": 1}]
    assert sorted(path.name for path in site_dir.parent.iterdir()) == ["site"]


@pytest.mark.parametrize("name", [None, "", "  ", 5, [], {}, True, "a" * 256, "\ud800"])
def test_names_that_are_none(api: DataSources, name: Any) -> None:
    body = '{"name": "\\ud800"}' if name == "\ud800" else None
    headers = {"Auth-token": api.token, "Content-Type": "application/json"}
    if body is not None:
        assert fine(api.request("POST", "/data-sources", data=body, headers=headers), 400)
        return
    assert fine(api.post("/data-sources", {"name": name}), 400)


def test_sources_of_one_name_get_folders_of_their_own(api: DataSources, site_dir: Path) -> None:
    ids = [api.create(name) for name in ("Same", "Same", "same", "SAME", "Sa/me", "Sa-me")]
    assert len(set(ids)) == 6
    assert len(list((site_dir / "content").iterdir())) == 6
    for number, source in enumerate(ids):
        api.insert(source, {"n": number})
    assert [api.columns(source)[0]["n"] for source in ids] == list(range(6))
    assert api.get("/data-sources/Same").json()["dataSource"]["id"] == ids[0]


def test_a_name_with_slashes(api: DataSources) -> None:
    source = api.create("Sales/2024/data")
    assert api.put("/data-sources/Sales%2F2024%2Fdata/data", {"a": 1}).status_code == 201
    assert api.columns(source) == [{"a": 1}]
    assert api.get("/data-sources/Sales%2F2024%2Fdata").json()["dataSource"]["id"] == source


def test_rows_named_by_hand(api: DataSources, site_dir: Path) -> None:
    source = api.create("Hand")
    for name in ("alpha", "007", "1733000000000x123456789"):
        (site_dir / "content" / "hand" / f"{name}.yaml").write_text(f"name: {name}\n", encoding="utf-8")
    api.insert(source, {"name": "made"})
    deadline = time.monotonic() + 10
    while len(api.rows(source)) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    ids = {row["id"] for row in api.rows(source)}
    assert {"alpha", "007", "1733000000000x123456789"} < ids
    assert api.get(f"/data-sources/{source}/data/alpha").json()["data"] == {"name": "alpha"}
    assert api.put(f"/data-sources/{source}/data/alpha", {"b": 1}).json()["data"] == {"name": "alpha", "b": 1}
    assert api.delete(f"/data-sources/{source}/data/007").status_code == 200


# --- bodies -------------------------------------------------------------------------------------------

BODIES = [
    b"", b"{", b"[]", b"null", b"5", b'"x"', b"{}{}", b"{}x", b"\xff", b"\xef\xbb\xbf{}", b"\x00", b"NaN",
    b'{"a": NaN}', b'{"a": 1e400}', b'{"a": Infinity}', b'{"a": "\\ud800"}', b'{"\\ud800": 1}',
    b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"a": 1' + b"0" * 5_000 + b"}",
    b'{"_meta": 1}', b'{"entries": null}', b'{"entries": [[]]}', b"<xml/>", b"a=1&b=2", b'{"a": "\\u0000"}',
    b'{"__proto__": {"x": 1}, "__class__": 1, "constructor": 2}', b'{"a": 1, "a": 2}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_bodies_of_every_kind(api: DataSources, body: bytes) -> None:
    source = api.create("Real")
    row = api.insert(source, {"kept": 1})
    base = f"/v1/data-sources/{source}"
    for method, path in (
        ("POST", "/v1/data-sources"),
        ("PUT", base),
        ("PUT", f"{base}/data"),
        ("PUT", f"{base}/data/{row}"),
        ("POST", f"{base}/data"),
        ("POST", f"{base}/commit"),
        ("POST", f"{base}/data/query"),
        ("POST", f"{base}/versions/2/data"),
    ):
        for type in ("application/json", FORM, "multipart/form-data; boundary=x", ""):
            status = raw(api, method, path, body, type)
            assert status in (200, 201, 400, 404, 413, 415), (method, path, type, status)
    assert api.get(f"/data-sources/{source}/data").status_code == 200
    assert api.server.session.get(f"{api.server.url}/health", timeout=10).json()["problems"] == 0


def test_a_body_may_begin_with_a_byte_order_mark(api: DataSources) -> None:
    source = api.create()
    body = b'\xef\xbb\xbf{"a": 1}'
    assert raw(api, "PUT", f"/v1/data-sources/{source}/data", body) == 201
    assert api.rows(source)[0]["data"] == {"a": 1}


@pytest.mark.parametrize(
    "columns",
    [
        {"": 1}, {"a.b": 1}, {"$where": "x"}, {"__class__": {"__init__": 1}}, {"a\x00b": "\x00"},
        {"a\n": "b\r\n"},
        {"<<": {"a": 1}}, {"&anchor": "*alias"}, {"yes": "no", "null": "~", "1": "0x10", "2": "1e3"},
        {"date": "2024-01-01T00:00:00Z"}, {"deep": [[[[[[[[1]]]]]]]]}, {"big": 10**400, "small": -(10**400)},
        {"float": 1e308, "tiny": 5e-324, "minus": -0.0}, {"text": "x" * 100_000}, {"id": 5, "createdAt": "x"},
        {f"c{number}": number for number in range(2_000)}, {"\u202e": "\u2028\u2029\ufeff"},
        {"entry": 1, "manifest": 2},
    ],
    ids=range(18),
)  # fmt: skip
def test_columns_of_every_kind_come_back_unchanged(api: DataSources, columns: dict[str, Any]) -> None:
    source = api.create()
    row = api.insert(source, columns)
    assert api.get(f"/data-sources/{source}/data/{row}").json()["data"] == columns
    api.post(f"/data-sources/{source}/commit", {"entries": api.rows(source)})
    assert api.columns(source) == [columns]


@pytest.mark.settings(**{"fliplet.max_body_bytes": 2048})
def test_bodies_that_are_too_large(api: DataSources) -> None:
    source = api.create()
    large = {"a": "x" * 3000}
    assert fine(api.put(f"/data-sources/{source}/data", large), 413)
    assert fine(api.post(f"/data-sources/{source}/data/query", {"where": large}), 413)
    assert fine(api.put(f"/data-sources/{source}/data", files={"f": ("a.txt", b"x" * 3000)}), 413)
    assert api.rows(source) == []


def test_forms_that_are_too_deep_or_contradict_themselves(api: DataSources) -> None:
    source = api.create()
    path = f"/data-sources/{source}/data"
    headers = {"Auth-token": api.token, "Content-Type": FORM}
    deep = "a" + "[x]" * 50
    made = api.request("PUT", path, data=f"{deep}=1", headers=headers)
    assert made.json()["data"] == {deep: "1"}
    assert fine(api.request("PUT", path, data="a=1&a[b]=2", headers=headers), 400)
    assert fine(api.request("PUT", path, data="a[b]=1&a=2", headers=headers), 400)
    many = "&".join(f"f{number}=1" for number in range(20_000))
    assert fine(api.request("PUT", path, data=many, headers=headers), 400)
    made = api.request("PUT", path, data="a[0]=x&a[1]=y&b[k]=1&c[]=z&d=", headers=headers)
    assert made.json()["data"] == {"a": ["x", "y"], "b": {"k": "1"}, "c": ["z"], "d": ""}


# --- queries ------------------------------------------------------------------------------------------

QUERIES: list[Any] = [
    {"where": {"$where": "1"}}, {"where": {"a": {"$where": "1"}}}, {"where": {"a": {"$nope": 1}}},
    {"where": {"$and": 5}}, {"where": {"a": {"$regex": "(" }}}, {"where": 5}, {"where": "x"}, {"where": [1]},
    {"where": {"a": {"$type": "string"}}}, {"where": {"$filters": 5}}, {"type": "drop"}, {"type": 5},
    {"limit": -1},
    {"limit": "x"}, {"limit": []}, {"limit": 1e400}, {"offset": -1}, {"offset": "x"}, {"order": "createdAt"},
    {"order": ["createdAt", "DESC"]}, {"order": [["a.b", "ASC"]]}, {"order": [["data.a'", "ASC"]]},
    {"order": [["data.n", "SIDEWAYS"]]}, {"order": [[]]}, {"order": [[["x"]]]}, {"order": {"a": 1}},
    {"attributes": 5}, {"attributes": [5]}, {"distinct": 5}, {"join": 5}, {"join": {"x": 5}},
    {"join": {"x": {"on": {}}}}, {"join": {"x": {"dataSourceId": 1, "on": 5}}},
    {"join": {f"j{n}": {"dataSourceId": 1, "on": {"id": "id"}} for n in range(100)}}, {"aggregate": 5},
    {"aggregate": [5]}, {"aggregate": [{"$function": {"body": "x"}}]}, {"aggregate": [{"$out": "x"}]},
    {"aggregate": [{"$group": {}}]}, {"aggregate": [{"$project": {"a": {"$where": 1}}}]},
    {"type": "update"}, {"type": "update", "data": []}, {"type": "update", "data": {"_meta": 1}},
    {"id": {"$nope": 1}},
    {"where": {"a": {"$in": None}}}, {"where": {"$or": [{"a": {"$mod": 5}}]}},
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_queries_that_are_refused(api: DataSources, query: Any) -> None:
    source = api.create()
    api.fill(source, [{"n": 1}])
    body = msgspec.json.encode(query).replace(b"null", b"1e400") if query == {"limit": 1e400} else None
    headers = {"Auth-token": api.token, "Content-Type": "application/json"}
    path = f"/data-sources/{source}/data/query"
    answer = api.post(path, query) if body is None else api.request("POST", path, data=body, headers=headers)
    assert fine(answer, 400), answer.text
    assert api.columns(source) == [{"n": 1}]


def test_queries_that_cost_too_much_end_in_time(api: DataSources) -> None:
    source = api.create()
    api.fill(source, [{"t": "a" * 60 + "!", "n": number} for number in range(3_000)])
    nested: Any = {"t": "x"}
    for _ in range(100):
        nested = {"$and": [nested]}
    queries = [
        {"where": {"t": {"$regex": "(a+)+$"}}},
        {"where": {"t": {"$regex": "(a|a)*b" * 50}}},
        {"where": {"$filters": [{"column": "t", "condition": "regex", "value": "(.*a){30}b"}]}},
        {"where": nested},
        {"where": {"$or": [{"n": number} for number in range(5_000)]}},
        {"limit": 10**18, "offset": 10**17},
        {"order": [["data.n", "ASC"]] * 200},
        {"join": {"x": {"dataSourceId": source, "on": {"data.t": "data.t"}}}},
        {"aggregate": [{"$facet": {f"f{n}": [{"$count": "c"}] for n in range(500)}}]},
        {"where": {"t": {"$iLike": "a" * 100_000}}},
    ]
    for query in queries:
        started = time.perf_counter()
        answer = api.post(f"/data-sources/{source}/data/query", query)
        assert answer.status_code in (200, 400), answer.text
        assert time.perf_counter() - started < 10, query


# --- methods, headers, files --------------------------------------------------------------------------


def test_methods_that_a_path_does_not_have(api: DataSources) -> None:
    source = api.create()
    for method, path in (("PATCH", f"/data-sources/{source}"), ("DELETE", "/data-sources"), ("PUT", "/user"),
                         ("GET", f"/data-sources/{source}/commit")):  # fmt: skip
        answer = api.request(method, path)
        assert fine(answer, 405)
        assert answer.headers["Allow"]
    head = api.request("HEAD", f"/data-sources/{source}")
    assert (head.status_code, head.content) == (200, b"")


def test_stars_in_a_path_are_names_like_others(api: DataSources) -> None:
    source = api.create("*")
    for path in (
        f"/data-sources/{source}/data/*",
        "/media/files/*",
        f"/data-sources/{source}/versions/*/data",
    ):
        assert fine(api.get(path))
    assert fine(api.delete("/data-sources/deleted/*"))
    assert api.get("/data-sources/*").json()["dataSource"]["id"] == source


def test_tokens_are_not_repeated(api: DataSources, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    source = api.create()
    answers = [
        api.get(f"/data-sources/{source}?auth_token={api.token}"),
        api.get(f"/data-sources/999?auth_token={api.token}"),
        api.get("/data-sources", headers={"Auth-token": "eu--wrong-but-secret"}),
        api.request("POST", f"/data-sources?auth_token={api.token}", data=b"{"),
    ]
    for answer in answers:
        assert api.token not in answer.text
        assert "wrong-but-secret" not in answer.text
    assert api.token not in caplog.text.replace(f"auth_token={api.token} HTTP", "")


def test_a_broken_manifest_leaves_the_other_sources_alone(api: DataSources, site_dir: Path) -> None:
    source = api.create("Good")
    api.insert(source, {"a": 1})
    manifests = {
        "broken": "id: [", "no-id": "name: x\n", "same-id": f"id: {source}\nname: Twin\n", "list": "- 1\n",
        "text-id": "id: 'x'\nname: y\n", "types": "id: 77\nname: 5\ncolumns: x\nhooks: 5\npermissions: []\n"
        "access_rules: all\npublic: perhaps\nencrypted: 5\ndefinition: 7\ncreated_at: 5\n",
    }  # fmt: skip
    for name, text in manifests.items():
        (site_dir / "content" / name).mkdir()
        (site_dir / "content" / name / "manifest.yaml").write_text(text, encoding="utf-8")
        (site_dir / "content" / name / "1.yaml").write_text("a: 1\n", encoding="utf-8")
    deadline = time.monotonic() + 10
    while api.get("/data-sources/77").status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.02)
    listed = api.get("/data-sources").json()["dataSources"]
    assert [each["id"] for each in listed] == [source, 77]
    typed = api.get("/data-sources/77").json()["dataSource"]
    assert (typed["name"], typed["columns"], typed["hooks"], typed["public"]) == ("types", None, [], None)
    assert api.columns(source) == [{"a": 1}]
    assert api.put("/data-sources/77", {"name": "Mended", "columns": ["a"]}).status_code == 200
    problems = api.server.site.sources.problems()  # type: ignore[attr-defined]
    assert {problem.slug for problem in problems} >= {"no-id", "same-id", "text-id", "types"}
