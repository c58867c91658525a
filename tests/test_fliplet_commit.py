"""Commit and bulk import: what stays, what goes, what is answered (reference/fliplet.md §4)."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from fliplet_api import DataSources


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


def commit(api: DataSources, source: int, **body: Any) -> Any:
    answer = api.post(f"/data-sources/{source}/commit", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def three_rows(api: DataSources) -> tuple[int, list[int]]:
    source = api.create()
    api.fill(source, [{"n": 0, "k": "a"}, {"n": 1, "k": "b"}, {"n": 2, "k": "c"}])
    return source, [row["id"] for row in api.rows(source)]


def test_without_append_unlisted_rows_are_removed(api: DataSources) -> None:
    source, ids = three_rows(api)
    answer = commit(api, source, entries=[{"id": ids[1], "data": {"n": 9}}, {"data": {"n": 10}}])
    assert [row["data"] for row in answer["entries"]] == [{"n": 9}, {"n": 10}]
    assert answer["entries"][0]["id"] == ids[1]


def test_with_append_unlisted_rows_stay(api: DataSources) -> None:
    source, ids = three_rows(api)
    answer = commit(api, source, entries=[{"data": {"n": 10}}], append=True)
    assert [row["id"] for row in answer["entries"]][:3] == ids
    assert len(answer["entries"]) == 4


def test_a_delete_list_removes_unlisted_rows_too_as_documented(api: DataSources) -> None:
    source, ids = three_rows(api)
    answer = commit(api, source, entries=[{"id": ids[0], "data": {}}], delete=[ids[1]])
    assert [row["id"] for row in answer["entries"]] == [ids[0]]


@pytest.mark.settings(**{"fliplet.behaviour": "live"})
def test_a_delete_list_keeps_unlisted_rows_in_live_mode(api: DataSources) -> None:
    source, ids = three_rows(api)
    answer = commit(api, source, entries=[{"id": ids[0], "data": {"n": 5}}], delete=[ids[1]])
    assert [row["id"] for row in answer["entries"]] == [ids[0], ids[2]]
    assert commit(api, source, entries=[], delete=[])["entries"] == api.rows(source)


def test_deletions_without_entries(api: DataSources) -> None:
    source, ids = three_rows(api)
    answer = commit(api, source, delete=[ids[0], str(ids[1]), 999_999], append=True, extend=True)
    assert [row["id"] for row in answer["entries"]] == [ids[2]]


@pytest.mark.parametrize("body", [{}, {"entries": None}, {"append": False}])
def test_a_delete_list_alone_does_not_remove_every_row(api: DataSources, body: Any) -> None:
    source, ids = three_rows(api)
    answer = api.post(f"/data-sources/{source}/commit", {"delete": [ids[0]], **body})
    assert (answer.status_code, answer.json()["message"]) == (400, "A commit needs entries or append")
    assert [row["id"] for row in api.rows(source)] == ids


@pytest.mark.settings(**{"fliplet.behaviour": "live"})
def test_a_delete_list_alone_is_enough_in_live_mode(api: DataSources) -> None:
    source, ids = three_rows(api)
    assert [row["id"] for row in commit(api, source, delete=[ids[0]])["entries"]] == ids[1:]


def test_extend_merges_and_its_absence_replaces(api: DataSources) -> None:
    source, ids = three_rows(api)
    commit(api, source, entries=[{"id": ids[0], "data": {"x": {"y": 1}}}], append=True, extend=True)
    commit(api, source, entries=[{"id": ids[1], "data": {"x": 2}}], append=True)
    assert api.columns(source) == [{"n": 0, "k": "a", "x": {"y": 1}}, {"x": 2}, {"n": 2, "k": "c"}]


def test_a_row_given_twice_takes_both_changes(api: DataSources) -> None:
    source, ids = three_rows(api)
    entries = [{"id": ids[0], "data": {"p": 1}}, {"id": ids[0], "data": {"q": 2}}]
    commit(api, source, entries=entries, append=True, extend=True)
    assert api.columns(source)[0] == {"n": 0, "k": "a", "p": 1, "q": 2}


def test_a_row_that_is_updated_and_deleted_is_deleted(api: DataSources) -> None:
    source, ids = three_rows(api)
    commit(api, source, entries=[{"id": ids[0], "data": {"p": 1}}], delete=[ids[0]], append=True)
    assert [row["id"] for row in api.rows(source)] == ids[1:]


def test_an_unknown_id_is_inserted_under_a_new_one(api: DataSources) -> None:
    source, ids = three_rows(api)
    answer = commit(api, source, entries=[{"id": 10**9, "data": {"n": 7}, "clientId": "c1"}], append=True)
    (made,) = (row for row in answer["entries"] if row["data"] == {"n": 7})
    assert answer["clientIds"] == [{"id": made["id"], "clientId": "c1"}]
    assert made["id"] not in (10**9, *ids)


def test_ids_of_another_source_are_not_touched(api: DataSources) -> None:
    source, ids = three_rows(api)
    other = api.create("Other")
    commit(api, other, entries=[{"id": ids[0], "data": {"n": "mine"}}], delete=[ids[1]], append=True)
    assert len(api.rows(source)) == 3
    assert api.columns(source)[0] == {"n": 0, "k": "a"}


def test_client_ids_are_mapped(api: DataSources) -> None:
    source, ids = three_rows(api)
    entries = [{"data": {"n": 7}, "clientId": "new"}, {"id": ids[2], "data": {}, "clientId": 5}]
    answer = commit(api, source, entries=entries, append=True, returnEntries=False)
    assert "entries" not in answer
    assert [pair["clientId"] for pair in answer["clientIds"]] == ["new", 5]
    assert answer["clientIds"][1]["id"] == ids[2]


@pytest.mark.settings(**{"fliplet.behaviour": "live"})
def test_order_is_kept_and_sorts(api: DataSources) -> None:
    source, ids = three_rows(api)
    entries = [{"id": ids[2], "data": {}, "order": -1}, {"data": {"n": 7}, "order": 1}, {"data": {"n": 8}}]
    answer = commit(api, source, entries=entries, append=True, extend=True)
    assert [(row["order"], row["data"]["n"]) for row in answer["entries"]] == [
        (-1, 2), (0, 0), (1, 7), (1, 1), (None, 8),
    ]  # fmt: skip


@pytest.mark.settings(**{"fliplet.behaviour": "live"})
def test_orders_are_made_regular(api: DataSources) -> None:
    source, _ = three_rows(api)
    api.insert(source, {"n": 3})
    answer = commit(api, source, entries=[], append=True, normalizeOrder={"gap": 10})
    assert [(row["order"], row["data"]["n"]) for row in answer["entries"]] == [
        (10, 0),
        (20, 1),
        (30, 2),
        (40, 3),
    ]


@pytest.mark.parametrize("body", [{"entries": []}, {"entries": [], "append": False}])
def test_making_orders_regular_does_not_remove_every_row(api: DataSources, body: Any) -> None:
    source, ids = three_rows(api)
    answer = api.post(f"/data-sources/{source}/commit", {"normalizeOrder": {"gap": 10}, **body})
    assert answer.status_code == 400
    assert answer.json()["message"] == "normalizeOrder without entries needs append or delete"
    assert [row["id"] for row in api.rows(source)] == ids


def test_columns_grow_with_the_rows(api: DataSources) -> None:
    source, _ = three_rows(api)
    commit(api, source, entries=[{"data": {"new": 1}}], append=True)
    assert api.get(f"/data-sources/{source}").json()["dataSource"]["columns"] == ["n", "k", "new"]
    commit(api, source, entries=[{"data": {"other": 1}}], append=True, columns=["k", "z"])
    assert api.get(f"/data-sources/{source}").json()["dataSource"]["columns"] == ["k", "z", "other"]


def test_expected_columns_guard_against_others(api: DataSources) -> None:
    source, _ = three_rows(api)
    body = {"entries": [{"data": {"n": 5}}], "append": True, "expectColumns": ["n"]}
    answer = api.post(f"/data-sources/{source}/commit", body)
    assert answer.status_code == 409
    assert len(api.rows(source)) == 3
    commit(api, source, **{**body, "expectColumns": ["n", "k"]})


WRONG: list[Any] = [
    {},
    {"entries": {}},
    {"entries": "x"},
    {"entries": [5]},
    {"entries": [{"data": [1]}]},
    {"entries": [{"id": [], "data": {}}]},
    {"entries": [{"id": -1, "data": {}}]},
    {"entries": [{"id": True, "data": {}}]},
    {"entries": [{"data": {}, "order": 2**31}]},
    {"entries": [{"data": {}, "order": "1"}]},
    {"entries": [], "delete": 5},
    {"entries": [], "delete": [None]},
    {"entries": [], "columns": "a"},
    {"entries": [], "columns": [1]},
    {"entries": [], "runHooks": "insert"},
    {"entries": [], "normalizeOrder": {"gap": 0}},
    {"entries": [], "renameColumns": [{"column": "a", "newColumn": "b"}]},
    {"entries": [{"data": {"_meta": {}}}]},
    {"entries": [{"data": {"a": 1}}, {"data": {"_meta": 1}}]},
]


@pytest.mark.parametrize("body", WRONG)
def test_a_wrong_commit_changes_nothing(api: DataSources, body: Any) -> None:
    source, _ = three_rows(api)
    before = api.rows(source)
    answer = api.post(f"/data-sources/{source}/commit", {"append": True, **body} if body else body)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert api.rows(source) == before


def test_a_commit_is_one_record(api: DataSources, server: Any) -> None:
    source, ids = three_rows(api)
    before = server.site.store.state.seq
    entries = [{"id": ids[0], "data": {"n": 5}}, *({"data": {"n": n, "new": n}} for n in range(50))]
    commit(api, source, entries=entries, delete=[ids[1]], append=True)
    assert server.site.store.state.seq == before + 1


# --- bulk import ------------------------------------------------------------------------------------------


def test_a_source_with_rows_is_created_at_once(api: DataSources) -> None:
    source = api.create("Full", entries=[{"a": 1}, {"b": 2}], columns=["z"])
    assert api.columns(source) == [{"a": 1}, {"b": 2}]
    assert api.get(f"/data-sources/{source}").json()["dataSource"]["columns"] == ["z", "a", "b"]


def test_rows_of_any_json_come_back_as_they_were_sent(api: DataSources) -> None:
    row = {
        "date": "2024-01-01", "yes": "yes", "null": None, "n": 2**70, "f": 1.5, "empty": "",
        "nested": {"a": [1, {}]},
        "octal": "010", "id": 7, "name with spaces": "ünï \u2028 😀", "true": "true", "": "empty name",
        "a.b": 1, "$c": 2, "createdAt": "mine",
    }  # fmt: skip
    source = api.create()
    api.fill(source, [row])
    assert api.columns(source) == [row]


@pytest.mark.settings(**{"fliplet.behaviour": "live"})
def test_in_live_mode_an_import_answers_with_rows_and_takes_ids(api: DataSources) -> None:
    source = api.create()
    first = api.post(f"/data-sources/{source}/data", {"entries": [{"n": 1}, {"n": 2}]}).json()
    assert [row["data"] for row in first] == [{"n": 1}, {"n": 2}]
    again = [{"id": first[1]["id"], "n": 3}, {"id": 10**12, "n": 4}]
    answer = api.post(f"/data-sources/{source}/data", {"append": True, "entries": again}).json()
    assert [row["data"] for row in answer] == [{"n": 3}, {"n": 4}]
    assert answer[0]["id"] == first[1]["id"]
    assert sorted(row["n"] for row in api.columns(source)) == [1, 3, 4]


def test_an_import_as_a_form(api: DataSources) -> None:
    source = api.create()
    form = {"entries[0][email]": "a@example.org", "entries[1][email]": "b@example.org", "append": "true"}
    assert api.request("POST", f"/data-sources/{source}/data", data=form).status_code == 200
    assert api.columns(source) == [{"email": "a@example.org"}, {"email": "b@example.org"}]


@pytest.mark.parametrize("entries", [None, {}, "x", [1], [[]], [None]])
def test_a_wrong_import_changes_nothing(api: DataSources, entries: Any) -> None:
    source, _ = three_rows(api)
    assert api.post(f"/data-sources/{source}/data", {"entries": entries}).status_code == 400
    assert len(api.rows(source)) == 3


def test_fifty_thousand_rows_in_one_request(api: DataSources, server: Any) -> None:
    source = api.create()
    rows = [{"n": number, "name": f"row {number}"} for number in range(50_000)]
    before = server.site.store.state.seq
    answer = server.session.post(
        f"{api.url}/data-sources/{source}/data",
        json={"entries": rows},
        headers={"Auth-token": api.token},
        timeout=300,
    )
    assert answer.status_code == 200
    assert server.site.store.state.seq == before + 1
    assert [row["data"] for row in api.query(source, where={"n": {"$gte": 49_998}})] == rows[-2:]
    total = api.post(f"/data-sources/{source}/data/query", {"limit": 1, "includePagination": True}).json()
    assert total["pagination"] == {"total": 50_000, "limit": 1}


# --- killed in the middle -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.06, 0.15])
def test_a_killed_commit_is_whole_or_not_at_all(site_dir: Path, serve_process: Any, delay: float) -> None:
    server = serve_process(site_dir)
    api = DataSources(server)
    source = api.create()
    api.fill(source, [{"n": number, "state": "old"} for number in range(1_000)])
    ids = [row["id"] for row in api.rows(source)]
    entries: list[Any] = [{"id": id, "data": {"n": n, "state": "new"}} for n, id in enumerate(ids[:500])]
    entries += [{"data": {"n": n, "state": "new"}} for n in range(250)]
    body = {"entries": entries, "delete": ids[500:750], "append": True, "returnEntries": False}
    answers: list[int] = []

    def send() -> None:
        try:
            answers.append(api.post(f"/data-sources/{source}/commit", body).status_code)
        except OSError:
            answers.append(0)

    sending = threading.Thread(target=send)
    sending.start()
    sending.join(delay + random.random() * 0.02)
    kill_group(server)
    sending.join()
    server = serve_process(site_dir, tokens=server.tokens)
    api = DataSources(server)
    states = [row["state"] for row in api.columns(source)]
    assert (states.count("old"), states.count("new")) in ((1_000, 0), (250, 750))
    if answers == [200]:
        assert states.count("new") == 750
    eventually(lambda: not list((site_dir / ".flatdata" / "scratch").iterdir()))


def kill_group(server: Any) -> None:
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
