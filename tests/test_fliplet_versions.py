"""Versions, cut from the change log (reference/fliplet.md §7)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from fliplet_api import DataSources


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


def versions(api: DataSources, source: int) -> list[dict[str, Any]]:
    answer = api.get(f"/data-sources/{source}/versions")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["versions"]
    return found


def columns_of(api: DataSources, source: int, version: dict[str, Any]) -> list[dict[str, Any]]:
    answer = api.get(f"/data-sources/{source}/versions/{version['id']}/data")
    assert answer.status_code == 200, answer.text
    return [row["data"] for row in answer.json()["entries"]]


def test_every_change_of_rows_is_a_version_with_the_rows_right_after_it(api: DataSources) -> None:
    source = api.create()
    states: list[list[dict[str, Any]]] = []

    def remember() -> None:
        states.append(api.columns(source))

    row = api.insert(source, {"a": 1})
    remember()
    api.put(f"/data-sources/{source}/data/{row}", {"b": 2})
    remember()
    api.fill(source, [{"c": number} for number in range(5)])
    remember()
    api.post(f"/data-sources/{source}/commit", {"entries": [{"data": {"d": 1}}], "append": True})
    remember()
    api.post(f"/data-sources/{source}/data/query", {"type": "delete", "where": {"c": {"$gt": 2}}})
    remember()
    api.post(f"/data-sources/{source}/data/query", {"type": "update", "where": {"c": 0}, "data": {"c": 9}})
    remember()
    listed = versions(api, source)[::-1]
    assert [columns_of(api, source, version) for version in listed] == states
    assert [version["data"]["entries"]["count"] for version in listed] == [len(state) for state in states]
    actions = ["snapshot", "snapshot", "snapshot", "commit", "snapshot", "snapshot"]
    assert [version["data"]["action"] for version in listed] == actions
    assert listed[1]["data"]["columns"] == ["a", "b"]
    assert listed[3]["data"]["columns"] == ["a", "b", "c", "d"]


def test_a_restore_takes_a_version_of_what_was_before_and_can_be_undone(
    api: DataSources, server: Any
) -> None:
    source = api.create()
    api.fill(source, [{"n": 1}, {"n": 2}])
    good, ids = versions(api, source)[0], [row["id"] for row in api.rows(source)]
    api.fill(source, [{"n": 3}])
    api.insert(source, {"n": 4})
    before, seq = api.rows(source), server.site.store.state.seq
    assert api.post(f"/data-sources/{source}/versions/{good['id']}/restore").status_code == 200
    assert server.site.store.state.seq == seq + 1
    assert [row["id"] for row in api.rows(source)] == ids
    saved = versions(api, source)[0]
    assert (saved["data"]["action"], saved["data"]["entries"]["count"]) == ("pre-restore", 2)
    assert columns_of(api, source, saved) == [row["data"] for row in before]
    api.post(f"/data-sources/{source}/versions/{saved['id']}/restore")
    assert api.rows(source) == before
    assert columns_of(api, source, good) == [{"n": 1}, {"n": 2}]


def test_an_edit_on_disk_makes_a_version(api: DataSources, site_dir: Path) -> None:
    source = api.create("Disk")
    row = api.insert(source, {"a": "first"})
    before = len(versions(api, source))
    file = site_dir / "content" / "disk" / f"{row}.yaml"
    file.write_text("a: second\n", encoding="utf-8")
    eventually(lambda: len(versions(api, source)) > before)
    newest, older = versions(api, source)[:2]
    assert newest["user"]["fullName"] == "disk"
    assert columns_of(api, source, newest) == [{"a": "second"}]
    assert columns_of(api, source, older) == [{"a": "first"}]
    (site_dir / "content" / "disk" / "by-hand.yaml").write_text("a: third\n", encoding="utf-8")
    eventually(lambda: len(columns_of(api, source, versions(api, source)[0])) == 2)
    file.unlink()
    eventually(lambda: columns_of(api, source, versions(api, source)[0]) == [{"a": "third"}])
    assert columns_of(api, source, older) == [{"a": "first"}]


def test_entries_that_move_and_are_deleted_as_trees_are_undone(api: DataSources, server: Any) -> None:
    source = api.create("Moves")
    first, second = api.insert(source, {"a": 1}), api.insert(source, {"a": 2})
    version = versions(api, source)[0]
    tokens = {"token": server.tokens["entries"], "access_token": server.tokens["access"]}
    entries = f"{server.url}/api/entries"
    moved = {"id": f"moves/{first}", "new_id": "moves/renamed", **tokens}
    assert server.session.put(entries, json=moved, timeout=10).status_code == 200
    gone = {"id": f"moves/{second}", **tokens}
    assert server.session.delete(entries, json=gone, timeout=10).status_code == 204
    assert [row["id"] for row in api.rows(source)] == ["renamed"]
    assert columns_of(api, source, version) == [{"a": 2}, {"a": 1}]
    api.post(f"/data-sources/{source}/versions/{version['id']}/restore")
    assert [row["id"] for row in api.rows(source)] == [second, first]


def test_a_version_by_where_and_limit(api: DataSources) -> None:
    source = api.create()
    api.fill(source, [{"n": number, "even": number % 2 == 0} for number in range(10)])
    version = versions(api, source)[0]["id"]
    api.fill(source, [])
    path = f"/data-sources/{source}/versions/{version}/data"
    found = api.post(path, {"where": {"even": True, "n": {"$gte": 4}}, "limit": 2}).json()["entries"]
    assert [row["data"]["n"] for row in found] == [4, 6]
    assert len(api.post(path, {}).json()["entries"]) == 10
    assert len(api.get(f"{path}?limit=3").json()["entries"]) == 3
    assert len(api.get(f"{path}?where=%7B%22n%22%3A1%7D").json()["entries"]) == 10
    for body in (
        {"limit": "x"},
        {"limit": -1},
        {"where": []},
        {"where": {"$where": "1"}},
        {"where": {"$nope": 1}},
    ):
        assert api.post(path, body).status_code == 400, body


@pytest.mark.parametrize("version", ["0", "x", "-1", "999999", "9" * 30, "1.5"])
def test_versions_that_are_not(api: DataSources, version: str) -> None:
    source = api.create()
    for method, end in (("GET", "data"), ("POST", "restore")):
        answer = api.request(method, f"/data-sources/{source}/versions/{version}/{end}")
        assert answer.status_code in (400, 404)
        assert answer.json()["message"]


def test_a_version_of_another_source_is_not_found(api: DataSources) -> None:
    source, other = api.create("One"), api.create("Two")
    api.insert(other, {"a": 1})
    version = versions(api, other)[0]["id"]
    assert api.get(f"/data-sources/{source}/versions/{version}/data").status_code == 404


def test_a_new_source_from_a_version(api: DataSources) -> None:
    source = api.create()
    api.fill(source, [{"n": 1}, {"n": 2}])
    version = versions(api, source)[0]["id"]
    api.fill(source, [])
    copy = api.create("Copy", version={"dataSourceId": source, "id": version})
    assert api.columns(copy) == [{"n": 1}, {"n": 2}]


def test_names_that_begin_alike_are_told_apart(api: DataSources) -> None:
    one, two = api.create("ab"), api.create("abc")
    api.insert(two, {"x": 1})
    assert versions(api, one) == []
    api.insert(one, {"y": 1})
    assert [version["data"]["columns"] for version in versions(api, one)] == [["y"]]


def test_an_insert_into_many_rows_costs_what_it_costs_in_few(api: DataSources) -> None:
    few, many = api.create("Few"), api.create("Many")
    api.fill(few, [{"n": number} for number in range(50)])
    api.post(
        f"/data-sources/{many}/data", {"entries": [{"n": number} for number in range(20_000)]}, timeout=200
    )
    times = {source: sorted(insert_seconds(api, source) for _ in range(15)) for source in (few, many)}
    assert times[many][7] < 4 * times[few][7] + 0.02
    assert versions(api, many)[0]["data"]["entries"]["count"] == 20_015


def insert_seconds(api: DataSources, source: int) -> float:
    started = time.perf_counter()
    api.insert(source, {"n": -1})
    return time.perf_counter() - started
