"""Tokens as files: who is let in, and what is noticed and refused."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_files import OPEN, PLAIN, Clock, digest, write_token

from flatdata.access.token import KINDS, call_allowance
from flatdata.access.tokens import Tokens

# --- the rule ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "limit_calls", "calls", "allowance"),
    [
        ("enabled", 0, 0, math.inf),
        ("enabled", 0, 10**9, math.inf),
        ("whatever", 0, 0, math.inf),
        ("", 0, 0, math.inf),
        ("Disabled", 0, 0, math.inf),
        (None, 0, 0, math.inf),
        ("enabled", 0, None, math.inf),
        ("disabled", 0, 0, 0),
        (False, 0, 0, 0),
        (["enabled"], 0, 0, 0),
        ("enabled", 2, 1, 1),
        ("enabled", 2, 2, 0),
        ("enabled", 2, 3, -1),
        ("enabled", 2, None, 2),
        ("enabled", "5", "3", 2),
        ("enabled", "0", 0, 0),
        ("enabled", -1, 0, -1),
        ("enabled", None, None, 0),
        ("enabled", None, 5, 0),
        ("enabled", 0.0, 0, 0),
        ("enabled", False, 0, 0),
        ("enabled", True, 0, 0),
        ("enabled", "many", 0, 0),
        ("enabled", [], 0, 0),
        ("enabled", 5, "few", 0),
        ("enabled", 5, {}, 0),
        ("enabled", math.nan, 0, 0),
        ("enabled", 5, math.nan, 0),
        ("enabled", 10**4000, 0, 10**18),
    ],
)
def test_state_and_limit_decide(state: Any, limit_calls: Any, calls: Any, allowance: float) -> None:
    assert call_allowance(state, limit_calls, calls) == allowance


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "title: x\n",
        "- a\n",
        "just text\n",
        "state: [\n",
        "a: 1\na: 2\n",
        "\0",
        "[" * 50_000,
    ],
)
def test_a_file_that_says_nothing_of_use_lets_nobody_in(tokens: Tokens, tmp_path: Path, text: str) -> None:
    write_token(tmp_path, PLAIN, text)
    assert tokens.check("entries", PLAIN) is None
    assert tokens.problems()


def test_both_plain_and_hashed_folders_work(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, OPEN)
    write_token(tmp_path, digest("another"), OPEN)
    plain, hashed = tokens.check("entries", PLAIN), tokens.check("entries", "another")
    assert plain is not None
    assert hashed is not None
    assert (plain.is_plain, hashed.is_plain) == (True, False)
    assert plain.digest == digest(PLAIN)


def test_a_token_opens_only_its_own_kind(tokens: Tokens) -> None:
    for kind in KINDS:
        token = tokens.create(kind)
        assert [each for each in KINDS if tokens.check(each, token)] == [kind]


def test_attributes_are_read_and_ill_typed_ones_give_no_rights(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.create(
        "data-sources", "agent", admin=True, user={"Email": "a@b.example"}, app_id=3, organization_id=4
    )
    found = tokens.check("data-sources", token)
    assert found is not None
    assert (found.title, found.admin, found.user) == ("agent", True, {"Email": "a@b.example"})
    assert (found.app_id, found.organization_id, found.company_id) == (3, 4, None)
    assert isinstance(found.id, int)
    write_token(tmp_path, PLAIN, OPEN + "admin: 'true'\nuser: me\nid: '7'\napp_id: -1\ntitle: 5\n", "things")
    odd = tokens.check("things", PLAIN)
    assert odd is not None
    assert (odd.admin, odd.user, odd.id, odd.app_id, odd.title) == (False, {}, None, None, "")
    assert len([p for p in tokens.problems() if p.path.endswith("token.yaml")]) == 5


# --- hostile tokens ----------------------------------------------------------------------------------


HOSTILE = [
    None, True, 0, 1.5, [], {}, [PLAIN], {"token": PLAIN}, b"bytes", "",
    f"../entries/{PLAIN}", f"./{PLAIN}", f"{PLAIN}/", f"/{PLAIN}", f"..\\entries\\{PLAIN}", ".", "..", "/",
    f"{PLAIN}/token.yaml", f"{PLAIN}\0", f"{PLAIN}\n", f"\n{PLAIN}", f" {PLAIN}", f"{PLAIN} ", PLAIN.upper(),
    PLAIN[:-1], PLAIN + "0", digest(PLAIN), digest("hashed"), "*", "?" * 32, "0" * 512, "0" * 513,
    "0" * 10**7, "\ud800", "\u202e" + PLAIN, "\uff0e\uff0e\uff0f", "%2e%2e%2f", "\x7f", "\x1b[0m", "-" * 64,
    "C:\\token", "CON",
]  # fmt: skip


@pytest.mark.parametrize("token", HOSTILE, ids=lambda token: repr(token)[:40])
@pytest.mark.parametrize("kind", ["entries", "../entries", "", "."])
def test_a_hostile_token_is_simply_unknown(tokens: Tokens, tmp_path: Path, kind: str, token: Any) -> None:
    write_token(tmp_path, PLAIN, OPEN)
    write_token(tmp_path, digest("hashed"), OPEN)
    (tmp_path / "tokens" / "token.yaml").write_text(OPEN)
    assert tokens.check(kind, token) is None


@given(st.text() | st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner)))
def test_no_value_makes_the_check_raise(value: Any) -> None:
    assert Tokens(Path("/nonexistent"), Path("/nonexistent")).check("entries", value) is None


def test_a_token_in_unicode_works_by_its_hash(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, digest("ключ"), OPEN)
    assert tokens.check("entries", "ключ") is not None


def test_odd_things_where_a_token_file_should_be_are_refused(tokens: Tokens, tmp_path: Path) -> None:
    kind = tmp_path / "tokens" / "entries"
    for name in ("fifo", "folder", "loop", "dangling", "huge", "file"):
        (kind / digest(name)).parent.mkdir(parents=True, exist_ok=True)
        if name != "file":
            (kind / digest(name)).mkdir()
    os.mkfifo(kind / digest("fifo") / "token.yaml")
    (kind / digest("folder") / "token.yaml").mkdir()
    (kind / digest("loop") / "token.yaml").symlink_to("token.yaml")
    (kind / digest("dangling") / "token.yaml").symlink_to("/nonexistent")
    (kind / digest("huge") / "token.yaml").write_text(OPEN + "# " + "x" * 70_000)
    (kind / digest("file")).write_text(OPEN)
    for name in ("fifo", "folder", "loop", "dangling", "huge", "file"):
        assert tokens.check("entries", name) is None, name
    assert len(tokens.problems()) == 5


def test_the_token_itself_is_nowhere_to_be_read(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, "state: 5\n")
    secret = tokens.create("entries", "t")
    tokens.count_call(tokens.check("entries", secret))  # type: ignore[arg-type]
    tokens.close()
    shown = repr(tokens.list()) + repr(tokens.problems()) + str(tokens.problems())
    assert secret not in shown
    assert PLAIN not in shown
    for path in tmp_path.rglob("*"):
        assert secret not in str(path)
        assert path.is_dir() or secret.encode() not in path.read_bytes()


# --- changes on the disk -----------------------------------------------------------------------------


def test_a_new_token_works_at_once(tokens: Tokens, tmp_path: Path) -> None:
    assert tokens.check("entries", PLAIN) is None
    write_token(tmp_path, PLAIN, OPEN)
    assert tokens.check("entries", PLAIN) is not None
    made = Tokens(tmp_path, tmp_path / ".flatdata").create("entries")
    assert tokens.check("entries", made) is not None


def test_a_folder_that_is_filled_later_works_then(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    path = write_token(tmp_path, PLAIN, "")
    path.unlink()
    assert tokens.check("entries", PLAIN) is None
    path.write_text(OPEN)
    clock.now += 0.5
    assert tokens.check("entries", PLAIN) is not None


@pytest.mark.parametrize("how", ["revoke", "delete", "disable in place", "disable by rename", "break"])
def test_a_token_taken_away_stops_within_half_a_second(
    tokens: Tokens, tmp_path: Path, clock: Clock, how: str
) -> None:
    path = write_token(tmp_path, PLAIN, OPEN)
    assert tokens.check("entries", PLAIN) is not None
    if how == "revoke":
        Tokens(tmp_path, tmp_path / ".flatdata").revoke(PLAIN)
    elif how == "delete":
        path.unlink()
    elif how == "disable in place":
        path.write_text(OPEN.replace("enabled", "disabled"))
    elif how == "disable by rename":
        path.with_name("new").write_text(OPEN.replace("enabled", "disabled"))
        path.with_name("new").rename(path)
    else:
        path.write_text("state: [")
    clock.now += 0.5
    assert tokens.check("entries", PLAIN) is None


def test_an_edit_that_changes_neither_size_nor_time_is_seen(
    tokens: Tokens, tmp_path: Path, clock: Clock
) -> None:
    path = write_token(tmp_path, PLAIN, OPEN.replace("calls: 0\n", "calls: 1\n", 1))
    stamp = path.stat()
    assert tokens.check("entries", PLAIN) is not None
    path.write_text("state: disabled\nlimit_calls: 0\n"[: stamp.st_size].ljust(stamp.st_size))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    clock.now += 0.5
    assert tokens.check("entries", PLAIN) is None


def test_a_token_works_on_while_its_folder_is_hashed(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    write_token(tmp_path, PLAIN, OPEN)
    assert tokens.check("entries", PLAIN) is not None
    [renamed] = Tokens(tmp_path, tmp_path / ".flatdata").hash_plain()
    assert renamed.name == digest(PLAIN)
    for _ in range(3):
        assert tokens.check("entries", PLAIN) is not None
        clock.now += 0.5
    assert not tokens.problems()


def test_the_first_requests_of_all_threads_are_let_in(tmp_path: Path) -> None:
    made = Tokens(tmp_path, tmp_path / ".flatdata").create("entries")
    settled = time.time_ns() - 10**10
    os.utime(tmp_path / "tokens" / "entries", ns=(settled, settled))
    refused: list[int] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for round_ in range(150):
            fresh = Tokens(tmp_path, tmp_path / ".flatdata")
            barrier = threading.Barrier(6)

            def ask(tokens: Tokens = fresh, barrier: threading.Barrier = barrier, at: int = round_) -> None:
                barrier.wait()
                if tokens.check("entries", made) is None:
                    refused.append(at)

            threads = [threading.Thread(target=ask) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not refused


def test_known_tokens_are_not_looked_up_on_the_disk_again_and_again(
    tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.create("entries")
    assert tokens.check("entries", token) is not None
    monkeypatch.setattr(os, "stat", lambda *_: pytest.fail("looked at the disk"))
    assert tokens.check("entries", token) is not None
