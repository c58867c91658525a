"""Several processes over one site: what one wrote all answer with, and none is missed when it dies."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import requests
from conftest import Server, eventually, write


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
    # A connection of its own: the system hands it to one worker or the other.
    return requests.post(server.url + "/api/entries", json=body, timeout=20)


def _number(server: Server, slug: str) -> int | None:
    answer = requests.get(
        server.url + "/api/entries", params={"id": slug, "token": server.tokens["entries"]}, timeout=20
    )
    return answer.json()["data"]["n"] if answer.status_code == 200 else None


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
