"""Counting the calls of a token: no more than its file allows, whatever ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from token_files import PLAIN, Clock, write_token

from flatdata.access.calls import CallCounts
from flatdata.access.tokens import Tokens


def test_a_limit_ends_the_calls(tokens: Tokens, tmp_path: Path) -> None:
    path = write_token(tmp_path, PLAIN, "state: enabled\nlimit_calls: 3\ncalls: 1\n")
    for calls in (1, 2):
        token = tokens.check("entries", PLAIN)
        assert token is not None
        assert token.calls == calls
        assert tokens.count_call(token)
    assert not tokens.count_call(token)
    assert tokens.check("entries", PLAIN) is None
    assert path.read_text() == "state: enabled\nlimit_calls: 3\ncalls: 1\n"


def test_counts_survive_a_restart_and_a_rename_to_the_hash(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, "limit_calls: 5\n")
    token = tokens.check("entries", PLAIN)
    assert token is not None
    assert all(tokens.count_call(token) for _ in range(4))
    tokens.hash_plain()
    again = Tokens(tmp_path, tmp_path / ".flatdata")
    token = again.check("entries", PLAIN)
    assert token is not None
    assert token.calls == 4
    assert again.count_call(token)
    assert again.check("entries", PLAIN) is None


def test_calls_without_a_limit_are_counted_too(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.check("entries", tokens.create("entries"))
    assert token is not None
    for _ in range(1000):
        assert tokens.count_call(token)
    assert [each.calls for each in tokens.list()] == [1000]
    tokens.close()
    assert [each.calls for each in Tokens(tmp_path, tmp_path / ".flatdata").list()] == [1000]


def test_raising_the_limit_gives_more_calls(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    path = write_token(tmp_path, PLAIN, "limit_calls: 1\n")
    token = tokens.check("entries", PLAIN)
    assert token is not None
    assert tokens.count_call(token)
    assert tokens.check("entries", PLAIN) is None
    path.write_text("limit_calls: 2\n")
    clock.now += 0.5
    assert tokens.check("entries", PLAIN) is not None


def test_kinds_are_counted_apart(tokens: Tokens, tmp_path: Path) -> None:
    for kind in ("entries", "access"):
        write_token(tmp_path, PLAIN, "limit_calls: 1\n", kind)
    entries = tokens.check("entries", PLAIN)
    assert entries is not None
    assert tokens.count_call(entries)
    assert tokens.check("entries", PLAIN) is None
    assert tokens.check("access", PLAIN) is not None


def test_a_limit_holds_where_nothing_can_be_written(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, "limit_calls: 9\n")
    (tmp_path / ".flatdata").write_text("a file where the folder should be")
    token = tokens.check("entries", PLAIN)
    assert token is not None
    assert not tokens.count_call(token)


@pytest.mark.parametrize("damage", ["delete", "truncate", "tear"])
def test_a_damaged_file_of_counts_starts_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "calls"
    counts, other = CallCounts(path), CallCounts(path)
    keys = [bytes([number]) * 32 for number in range(3)]
    for key in keys:
        assert counts.take(key, 10)
        assert other.take(key, 10)
    if damage == "delete":
        path.unlink()
    else:
        os.truncate(path, 0 if damage == "truncate" else 100)
    expected = [2, 0, 0] if damage == "tear" else [0, 0, 0]
    assert [counts.get(key) for key in keys] == expected
    assert counts.take(keys[2], 10)
    assert other.take(keys[2], 10)
    assert [counts.get(key) for key in keys] == [other.get(key) for key in keys] == [expected[0], 0, 2]
    counts.close()
    other.close()


USER = """
import os, sys
from pathlib import Path
from flatdata.access.tokens import Tokens

root, token, tries, forks = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tokens = Tokens(root, root / ".flatdata")
tokens.check("entries", token)
for _ in range(forks):  # the children share what the parent opened
    tokens.count_call(tokens.check("entries", token))
    os.write(1, b"+")
    os.fork()
for _ in range(tries):
    found = tokens.check("entries", token)
    if found is not None and tokens.count_call(found):
        os.write(1, b"+")
"""


def use(root: Path, tries: int, forks: int = 0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", USER, str(root), PLAIN, str(tries), str(forks)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_a_limit_is_exact_over_processes(tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, "limit_calls: 1000\ncalls: 100\n")
    processes = [use(tmp_path, 500) for _ in range(4)]
    granted = [process.communicate(timeout=60)[0] for process in processes]
    assert sum(map(len, granted)) == 900


def test_a_limit_is_exact_over_forked_children(tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, "limit_calls: 500\n")
    granted, _ = use(tmp_path, 300, forks=2).communicate(timeout=60)
    assert len(granted) == 500


def test_killed_processes_neither_lose_calls_nor_hold_others_up(tmp_path: Path) -> None:
    limit, kills, tries = 3000, 5, 300
    write_token(tmp_path, PLAIN, f"limit_calls: {limit}\n")
    granted = 0
    for _ in range(kills):
        processes = [use(tmp_path, tries) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            granted += len(process.stdout.read(50))
        for process in processes:
            process.kill()
            process.wait(60)
            assert process.stdout is not None
            with process.stdout as output:
                granted += len(output.read())
    granted += len(use(tmp_path, limit).communicate(timeout=60)[0])
    # A process may die after its call was counted and before it said so.
    assert limit - 2 * kills <= granted <= limit
