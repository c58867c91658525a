"""Hostile ids and contents over HTTP: a clear refusal, nothing touched, never a 5xx.

Every id below is sent through every endpoint that takes one; each is a case of its own, and each test reports
all that failed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flextype_api import Entries, RunningServer, snapshot, write_entry

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


@pytest.fixture
def untouched(site_dir: Path, tmp_path: Path, entries: Entries) -> Iterator[None]:
    """Nothing outside the content changes during the test, and the server is well after it."""
    before = snapshot(site_dir, tmp_path / "outside")
    yield
    assert snapshot(site_dir, tmp_path / "outside") == before
    assert entries.get("a").json()["data"]["title"] == "A"
    assert entries.send("POST", id="afterwards", data={}).status_code == 200


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
    wrong: dict[Any, Any] = {}
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


@pytest.mark.parametrize("request_name", ["post", "move to", "copy to"])
def test_what_is_no_folder_in_the_place_of_one_is_a_place_that_is_taken(
    entries: Entries, site_dir: Path, request_name: str
) -> None:
    content = site_dir / "content"
    (site_dir / "nothing").mkdir()
    (content / "to-nothing").symlink_to(site_dir / "nothing")
    (content / "dangling").symlink_to("nowhere")
    (content / "README").write_text("of the repository")
    os.mkfifo(content / "pipe")
    for id in ("to-nothing", "dangling", "README", "pipe"):
        assert REQUESTS[request_name](entries, id).status_code == 404, id
    assert list((site_dir / "nothing").iterdir()) == []
    assert entries.get("a/child").status_code == 200


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
    wrong: dict[Any, Any] = {}
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
    data: dict[str, Any] = {
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


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "content",
    [
        5,
        None,
        "",
        " x ",
        "\n\nx\n",
        "---\na: b\n---\nx",
        ["a"],
        {"a": 1},
        "x\r\ny",
        "\ufeffx",
        True,
        "\u0000",
    ],
)
def test_any_content_survives_in_a_file_with_front_matter(entries: Entries, content: Any) -> None:
    made = entries.send("PATCH", id="a/child", data={"content": content})
    assert made.status_code == 200
    assert entries.get("a/child").json()["data"]["content"] == content
