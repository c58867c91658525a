"""Several processes over one site: what one wrote all answer with, and none is missed when it dies."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import requests
from conftest import Server, eventually, write

from flatdata.store.log import ChangeLog


def _children(server: Server, word: str) -> list[psutil.Process]:
    """The processes below `flatdata serve` whose command line holds `word`."""
    assert server.process is not None
    found = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        try:
            if word in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def _keepers(server: Server) -> list[psutil.Process]:
    return _children(server, "keeper_process")


def _workers(server: Server) -> list[psutil.Process]:
    keepers = {process.pid for process in _keepers(server)}
    return [process for process in _children(server, "") if process.pid not in keepers]


def _create(server: Server, slug: str, number: int) -> requests.Response:
    body = {
        "id": slug,
        "token": server.tokens["entries"],
        "access_token": server.tokens["access"],
        "data": {"n": number},
    }

    def answer() -> requests.Response | None:
        # A connection of its own: the system hands it to one worker or another, which may still be starting.
        given = requests.post(server.url + "/api/entries", json=body, timeout=20)
        return None if given.status_code == 503 and given.json().get("status") == "starting" else given

    created: requests.Response = eventually(answer)
    return created


def _number(server: Server, slug: str) -> int | None:
    answer = requests.get(
        server.url + "/api/entries", params={"id": slug, "token": server.tokens["entries"]}, timeout=20
    )
    return answer.json()["data"]["n"] if answer.status_code == 200 else None


def _connections(server: Server, workers: int) -> list[requests.Session]:
    """A connection that is kept alive to each of the workers; they tell who they are by their request ids."""
    found: dict[str, requests.Session] = {}

    def connect() -> bool:
        session = requests.Session()
        who = session.get(server.url + "/health", timeout=20).headers["X-Request-Id"][:16]
        if who in found:
            session.close()
        else:
            found[who] = session
        return len(found) >= workers

    eventually(connect)
    return list(found.values())


def _entry(server: Server, session: requests.Session, slug: str) -> Any:
    params = {"id": slug, "token": server.tokens["entries"]}
    answer = session.get(server.url + "/api/entries", params=params, timeout=20)
    return answer.json()["data"] if answer.status_code == 200 else None


def _send(server: Server, session: requests.Session, method: str, slug: str, data: dict[str, Any]) -> int:
    body = {"id": slug, "token": server.tokens["entries"], "access_token": server.tokens["access"]}
    if method != "DELETE":
        body["data"] = data  # type: ignore[assignment]
    return session.request(method, server.url + "/api/entries", json=body, timeout=20).status_code


def _count(server: Server, session: requests.Session, number: int) -> int:
    query = (
        "id=c&options[collection]=true&options[filter][where][0][key]=n&options[filter][where][0][operator]=eq"
        f"&options[filter][where][0][value]={number}&token={server.tokens['entries']}"
    )
    answer = session.get(f"{server.url}/api/entries?{query}", timeout=20)
    return len(answer.json()["data"]) if answer.status_code == 200 else 0


def test_a_write_is_visible_to_the_next_request_on_any_connection(
    site_dir: Path, serve_process: Callable[..., Server]
) -> None:
    for number in range(60):
        write(site_dir, f"c/e{number:02d}.yaml", "n: -1\n")
    server = serve_process(site_dir, workers=2)
    sessions = _connections(server, 2)
    for number in range(150):
        writer, reader = sessions[number % 2], sessions[(number + 1) % 2]
        slug = f"c/e{number % 60:02d}"
        assert _send(server, writer, "PATCH", slug, {"n": number}) == 200
        assert _entry(server, reader, slug)["n"] == number
        assert _count(server, reader, number) == 1
    assert _send(server, sessions[0], "DELETE", "c/e00", {}) in (200, 204)
    assert _entry(server, sessions[1], "c/e00") is None
    assert _count(server, sessions[1], 120) == 0
    for session in sessions:
        session.close()


def test_an_edit_on_disk_reaches_every_worker(site_dir: Path, serve_process: Callable[..., Server]) -> None:
    write(site_dir, "c/a.yaml", "n: 1\n")
    server = serve_process(site_dir, workers=2)
    sessions = _connections(server, 2)
    write(site_dir, "c/a.yaml", "n: 2\n")
    for session in sessions:
        eventually(lambda session=session: _entry(server, session, "c/a")["n"] == 2)
        session.close()


def test_counting_through_all_workers_at_once_loses_nothing(
    site_dir: Path, serve_process: Callable[..., Server]
) -> None:
    server = serve_process(site_dir, workers=2)
    statuses: list[int] = []

    def create(writer: int) -> None:
        with requests.Session() as session:
            for number in range(25):
                statuses.append(_send(server, session, "POST", f"c/w{writer}-{number}", {"n": 7}))

    threads = [threading.Thread(target=create, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 150
    for session in _connections(server, 2):
        assert _count(server, session, 7) == 150
        session.close()


def _delete(folder: Path) -> None:
    """Delete a folder that others write in meanwhile."""
    eventually(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists())


def test_what_is_kept_beside_the_content_may_be_deleted_while_the_server_runs(
    site_dir: Path, serve_process: Callable[..., Server]
) -> None:
    write(site_dir, "c/a.yaml", "n: 1\n")
    server = serve_process(site_dir, workers=2)
    before = _keepers(server)[0].pid
    _delete(site_dir / ".flatdata")
    sessions = _connections(server, 2)

    def written(number: int) -> bool:
        return _send(server, sessions[number % 2], "POST", f"c/e{number}", {"n": number}) == 200

    for number in range(6):
        eventually(lambda number=number: written(number))
    eventually(lambda: [process.pid for process in _keepers(server) if process.pid != before])
    write(site_dir, "c/a.yaml", "n: 2\n")
    for session in sessions:
        eventually(lambda session=session: (_entry(server, session, "c/a") or {}).get("n") == 2)
        for number in range(6):
            assert _entry(server, session, f"c/e{number}")["n"] == number
    for number in range(10, 20):
        assert written(number)
        assert _entry(server, sessions[(number + 1) % 2], f"c/e{number}")["n"] == number
    for session in sessions:
        session.close()


SLOW_PLUGIN = """
import time
from flatdata.plugins import hookimpl

def fetch_slowly(id, options):
    open(options["mark"], "w").close()
    time.sleep(1.5)
    return {"slow": {"n": 1}}

@hookimpl
def flatdata_macros():
    return {"fetchSlowly": fetch_slowly}
"""


def test_sigterm_lets_requests_in_flight_finish(
    site_dir: Path, serve_process: Callable[..., Server], tmp_path: Path
) -> None:
    (site_dir / "plugins" / "slow").mkdir()
    (site_dir / "plugins" / "slow" / "plugin.py").write_text(SLOW_PLUGIN)
    server = serve_process(site_dir, workers=2)
    assert _send(server, server.session, "POST", "c/a", {"n": 1}) == 200
    mark = tmp_path / "mark"
    answers: list[requests.Response] = []
    query = f"id=c&options[method]=fetchSlowly&options[mark]={mark}&token={server.tokens['entries']}"
    asking = threading.Thread(target=lambda: answers.append(server.get(f"/api/entries?{query}")))
    asking.start()
    eventually(mark.exists)
    assert server.process is not None
    server.process.terminate()
    asking.join()
    assert answers[0].status_code == 200
    assert answers[0].json() == {"data": {"slow": {"n": 1}}}
    assert server.process.wait(30) == 0
    log = ChangeLog(site_dir / ".flatdata" / "log")
    assert log.same_boot()
    assert log.head() == log.end() > 0
    log.close()
    assert list((site_dir / ".flatdata" / "scratch").iterdir()) == []


def test_what_one_worker_wrote_every_worker_answers_with(
    site_dir: Path, serve_process: Callable[..., Server]
) -> None:
    server = serve_process(site_dir, workers=2)
    for number in range(60):
        assert _create(server, f"films/f{number}", number).status_code == 200
        assert [_number(server, f"films/f{number}") for _ in range(4)] == [number] * 4


def test_a_killed_worker_is_replaced_and_loses_nothing(
    site_dir: Path, serve_process: Callable[..., Server]
) -> None:
    server = serve_process(site_dir, workers=2)
    for number in range(20):
        assert _create(server, f"films/f{number}", number).status_code == 200
    before = {process.pid for process in _workers(server)}
    victim = max(_workers(server), key=lambda process: process.memory_info().rss)
    victim.send_signal(signal.SIGKILL)
    eventually(lambda: {process.pid for process in _workers(server)} - before)

    def all_there() -> bool:
        try:
            return [_number(server, f"films/f{number}") for number in range(20)] == list(range(20))
        except (requests.ConnectionError, KeyError):
            return False

    eventually(all_there)


def test_a_killed_keeper_is_replaced_and_edits_are_seen(
    site_dir: Path, serve_process: Callable[..., Server]
) -> None:
    server = serve_process(site_dir)
    keeper = eventually(lambda: _keepers(server))[0]
    keeper.send_signal(signal.SIGKILL)
    write(site_dir, "films/by-hand.yaml", "n: 7\n")
    eventually(lambda: _number(server, "films/by-hand") == 7)
    write(site_dir, "films/by-hand.yaml", "n: 8\n")
    eventually(lambda: _number(server, "films/by-hand") == 8)
    assert [process.pid for process in _keepers(server)] != [keeper.pid]


def test_sigterm_ends_the_server_cleanly(site_dir: Path, serve_process: Callable[..., Server]) -> None:
    server = serve_process(site_dir)
    assert _create(server, "films/a", 1).status_code == 200
    process = server.process
    assert process is not None
    started = time.monotonic()
    process.terminate()
    assert process.wait(20) == 0
    assert time.monotonic() - started < 20
    status = msgspec.json.decode((site_dir / ".flatdata" / "keeper.json").read_bytes())
    assert status["phase"] == "stopped"
    again = serve_process(site_dir, tokens=server.tokens)
    assert _number(again, "films/a") == 1


def test_the_allocator_of_workers_and_keeper_is_set_up_unless_the_user_did_so(
    site_dir: Path, serve_process: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    server = serve_process(site_dir)
    running = [*_workers(server), *eventually(lambda: _keepers(server))]
    assert len(running) >= 2
    for process in running:
        told = process.environ()
        assert (told["MALLOC_ARENA_MAX"], told["MALLOC_TRIM_THRESHOLD_"]) == ("2", "1000000")
