"""Tokens made, listed, revoked and hashed by the command line's functions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from token_files import OPEN, PLAIN, digest, write_token

from flatdata.access.token import Kind, TokenError
from flatdata.access.tokens import Tokens
from flatdata.store.codec import load_yaml

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
