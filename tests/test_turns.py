"""Long computations give way: whoever waits for the processor gets it before they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Server, write

from flatdata import turns

ROWS = 40


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that grows by one with each turn that is given, after every item."""
    turns_given: list[None] = []
    monkeypatch.setattr(turns, "_TURN_SECONDS", -1.0)
    monkeypatch.setattr(turns, "give_way", lambda: turns_given.append(None))
    return turns_given


def test_the_items_are_the_same_in_turns(given: list[None]) -> None:
    assert list(turns.in_turns(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert len(given) == 5


def test_nobody_gives_way_before_half_a_millisecond_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 0.0001, 0.0004, 0.0005, 0.0006, 0.0007, 0.0012, 0.0013, 0.0014])
    seen: list[str] = []
    given = []
    monkeypatch.setattr(turns, "perf_counter", lambda: next(moments))
    monkeypatch.setattr(turns, "give_way", lambda: given.append(seen[-1]))
    for item in turns.in_turns("abcdef"):
        seen.append(item)
    assert given == ["c", "e"]


def test_giving_way_needs_nobody_who_waits() -> None:
    turns.give_way()


def _query(server: Server) -> Any:
    params = {
        "id": "numbers",
        "token": server.tokens["entries"],
        "options[collection]": "true",
        "options[filter][where][0][key]": "text",
        "options[filter][where][0][operator]": "regexp",
        "options[filter][where][0][value]": "[a-z]+ 7$",
    }
    return server.session.get(f"{server.url}/api/entries", params=params)


def _import(server: Server) -> Any:
    rows = [{"text": f"row {number}"} for number in range(ROWS)]
    return _fliplet(server, "data", {"append": True, "entries": rows})


def _commit(server: Server) -> Any:
    entries = [{"data": {"text": f"row {number}"}} for number in range(ROWS)]
    return _fliplet(server, "commit", {"entries": entries, "append": True})


def _fliplet(server: Server, path: str, body: dict[str, Any]) -> Any:
    headers = {"Auth-token": server.tokens["data-sources"]}
    return server.session.post(f"{server.url}/v1/data-sources/7/{path}", json=body, headers=headers)


@pytest.mark.parametrize("ask", [_query, _import, _commit], ids=["query", "import", "commit"])
def test_requests_that_go_through_many_entries_give_way(
    site_dir: Path, serve: Callable[..., Server], given: list[None], ask: Callable[[Server], Any]
) -> None:
    write(site_dir, "numbers/manifest.yaml", "id: 7\nname: Numbers\n")
    for number in range(ROWS):
        write(site_dir, f"numbers/{number + 1}.yaml", f"text: row {number}\n")
    server = serve(site_dir)
    del given[:]
    answer = ask(server)
    assert answer.status_code == 200, answer.text
    assert len(given) >= ROWS
