"""Tokens as files: who is let in, how calls are counted, what is noticed and what is refused."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.access.calls import CallCounts
from flatdata.access.token import KINDS, Kind, TokenError, call_allowance
from flatdata.access.tokens import Tokens
from flatdata.store.codec import load_yaml

PLAIN = "0123456789abcdef0123456789abcdef"


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Iterator[Tokens]:
    tokens = Tokens(tmp_path, tmp_path / ".flatdata", clock=clock)
    yield tokens
    tokens.close()


def write_token(root: Path, name: str, text: str, kind: str = "entries") -> Path:
    path = root / "tokens" / kind / name / "token.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


OPEN = "state: enabled\nlimit_calls: 0\ncalls: 0\n"


# --- the rule -----------------------------------------------------------------------------------------


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


# --- hostile tokens -----------------------------------------------------------------------------------

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


# --- changes on the disk ------------------------------------------------------------------------------


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


# --- creating, listing, revoking, hashing -------------------------------------------------------------

COMMON = ["title", "state", "limit_calls", "calls", "uuid"]
DATES = ["created_by", "created_at", "updated_by", "updated_at"]


@pytest.mark.parametrize(
    ("kind", "attributes", "own"),
    [
        ("entries", {}, []),
        ("access", {"limit_calls": 5}, []),
        ("data-sources", {"admin": True, "app_id": 1}, ["id", "app_id", "admin"]),
        ("things", {"user": {"email": "a@b.example"}}, ["id", "user"]),
        ("datasource", {"company_id": 9}, ["id", "company_id"]),
    ],
)
def test_a_new_token_is_a_file_named_by_its_hash(
    tokens: Tokens, tmp_path: Path, kind: Kind, attributes: dict[str, Any], own: list[str]
) -> None:
    token = tokens.create(kind, "the title", **attributes)
    assert re.fullmatch(r"(eu--)?[0-9a-f]{32}" if kind == "data-sources" else r"[0-9a-f]{32}", token)
    [path] = tmp_path.glob("tokens/*/*/*")
    assert path == tmp_path / "tokens" / kind / digest(token) / "token.yaml"
    fields = load_yaml(path.read_bytes())
    assert list(fields) == [*COMMON, *DATES, *own]
    assert (fields["title"], fields["state"], fields["calls"]) == ("the title", "enabled", 0)
    assert {key: fields[key] for key in attributes} == attributes


def test_tokens_for_data_sources_look_as_their_clients_expect(tokens: Tokens) -> None:
    assert re.fullmatch(r"eu--[0-9a-f]{32}", tokens.create("data-sources"))


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("entries", {"admin": True}),
        ("things", {"company_id": 1}),
        ("things", {"id": 1}),
        ("things", {"digest": "x"}),
        ("datasource", {"company_id": "1"}),
        ("things", {"user": []}),
        ("entries", {"limit_calls": "many"}),
        ("entries", {"state": 5}),
    ],
)
def test_attributes_that_make_no_sense_are_refused(
    tokens: Tokens, tmp_path: Path, kind: Kind, attributes: dict[str, Any]
) -> None:
    with pytest.raises(TokenError):
        tokens.create(kind, **attributes)
    assert not list(tmp_path.rglob("token.yaml"))


def test_ids_are_unique(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([5, 5, 5, 6, 6, 7])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn))
    for kind in ("data-sources", "things", "datasource"):
        tokens.create(kind)  # type: ignore[arg-type]
    assert len({token.id for token in tokens.list()}) == 3


def test_a_token_is_revoked_by_itself_or_the_first_digits_of_its_hash(tokens: Tokens) -> None:
    first, second, third = (tokens.create("entries", title) for title in ("a", "b", "c"))
    assert [token.title for token in tokens.revoke(first)] == ["a"]
    assert [token.title for token in tokens.revoke(digest(second)[:6])] == ["b"]
    assert [token.title for token in tokens.list()] == ["c"]
    assert tokens.check("entries", third) is not None


@pytest.mark.parametrize("which", ["", "abc", "f" * 32, "../..", "\ud800", "0" * 64])
def test_revoking_what_is_not_there_is_an_error(tokens: Tokens, which: str) -> None:
    tokens.create("entries")
    with pytest.raises(TokenError, match="no such token"):
        tokens.revoke(which)
    assert len(tokens.list()) == 1


def test_digits_that_several_tokens_begin_with_revoke_none(tokens: Tokens, tmp_path: Path) -> None:
    for last in "01":
        write_token(tmp_path, "a" * 63 + last, OPEN)
    with pytest.raises(TokenError, match="several"):
        tokens.revoke("aaaaaa")
    assert len(tokens.list()) == 2


def test_a_broken_token_can_be_revoked(tokens: Tokens, tmp_path: Path) -> None:
    path = write_token(tmp_path, PLAIN, "state: [")
    tokens.revoke(PLAIN)
    assert not path.parent.exists()


def test_revoking_a_linked_folder_leaves_what_it_points_to(tokens: Tokens, tmp_path: Path) -> None:
    path = write_token(tmp_path, digest("x"), OPEN)
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    tokens.revoke("x")
    assert not path.parent.is_symlink()
    assert (tmp_path / "elsewhere" / "token.yaml").exists()


def test_plain_folders_are_reported_and_hashed(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, OPEN)
    write_token(tmp_path, PLAIN, OPEN, "access")
    other = PLAIN[::-1]
    write_token(tmp_path, other, OPEN)
    write_token(tmp_path, digest(other), OPEN)
    assert len([p for p in tokens.problems() if "flatdata token hash" in p.reason]) == 2
    assert {token.kind for token in tokens.hash_plain()} == {"entries", "access"}
    [left] = tokens.problems()
    assert "its hashed folder is there too" in left.reason


def test_where_a_token_lies_twice_the_hashed_folder_counts(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, PLAIN, OPEN)
    write_token(tmp_path, digest(PLAIN), OPEN.replace("enabled", "disabled"))
    assert tokens.check("entries", PLAIN) is None


def test_problems_name_file_and_line(tokens: Tokens, tmp_path: Path) -> None:
    write_token(tmp_path, digest("a"), "state: enabled\nstate: disabled\n")
    write_token(tmp_path, "readme", OPEN)
    write_token(tmp_path, digest("b"), OPEN + "id: 7\n", "things")
    write_token(tmp_path, digest("c"), OPEN + "id: 7\n", "datasource")
    write_token(tmp_path, PLAIN, OPEN, "registry")
    found = {problem.path: problem for problem in tokens.problems()}
    assert found[f"tokens/entries/{digest('a')}/token.yaml"].line == 2
    assert "ignored" in found["tokens/entries/readme"].reason
    assert "not a kind of token" in found["tokens/registry"].reason
    assert "id 7 is also that of" in found[f"tokens/datasource/{digest('c')}/token.yaml"].reason
    assert len(found) == 4


# --- counting calls -----------------------------------------------------------------------------------


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
