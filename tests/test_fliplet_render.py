"""Rows are rendered once, and shown as they are now."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flatdata.access.rules import Grant
from flatdata.dialects.fliplet.render import BRIEF, FULL, Lens, RowStyle, _Kept
from flatdata.store.entry import Entry

CLEAR = Lens(Grant())


def row(name: str = "7", meta: dict[str, Any] | None = None, body: bytes = b'{"a":1}') -> Entry:
    meta_body = msgspec.json.encode(meta) if meta else b""
    return Entry(f"rows/{name}", body, meta_body, form="file", mtime_ns=1_500_000_000, size=1)


def shown(entry: Entry, style: RowStyle = FULL, source_id: int = 3, lens: Lens = CLEAR) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(style.shown(entry, source_id, lens))
    return made


@pytest.mark.parametrize(
    ("meta", "created", "updated", "order"),
    [
        (None, "1970-01-01T00:00:01.500Z", "1970-01-01T00:00:01.500Z", None),
        ({"created_at": "2001"}, "2001", "1970-01-01T00:00:01.500Z", None),
        ({"created_at": "2001", "updated_at": "2002", "order": 5}, "2001", "2002", 5),
        ({"created_at": 1, "updated_at": "2002", "order": "5"}, "1970-01-01T00:00:01.500Z", "2002", None),
    ],
)
def test_a_row_has_its_own_dates_or_those_of_its_file(
    meta: dict[str, Any] | None, created: str, updated: str, order: int | None
) -> None:
    entry = row(meta=meta)
    whole = {"id": 7, "data": {"a": 1}, "createdAt": created, "updatedAt": updated, "dataSourceId": 3}
    assert shown(entry, BRIEF) == whole
    assert shown(entry) == {**whole, "deletedAt": None, "order": order}


def test_a_row_is_rendered_once_for_each_style_and_source() -> None:
    entry = row()
    first = FULL.shown(entry, 3, CLEAR)
    assert FULL.shown(entry, 3, CLEAR) is first
    assert shown(entry, source_id=4)["dataSourceId"] == 4
    assert "order" not in shown(entry, BRIEF)
    assert shown(row(body=b'{"a":2}'))["data"] == {"a": 2}


def test_a_row_that_is_seen_in_part_is_never_shown_whole() -> None:
    entry = row(body=b'{"a":1,"secret":2}')
    assert shown(entry)["data"] == {"a": 1, "secret": 2}
    assert shown(entry, lens=Lens(Grant(), frozenset({"secret"})))["data"] == {"a": 1}
    assert shown(entry, lens=Lens(Grant(include=frozenset({"secret"}))))["data"] == {"secret": 2}
    assert shown(entry)["data"] == {"a": 1, "secret": 2}


def test_rendered_rows_take_no_more_than_their_bound() -> None:
    kept = _Kept(max_bytes=1_000)
    entries = [row(str(number)) for number in range(5)]
    for entry in entries:
        kept.keep(entry, 3, b"x" * 100)
    assert [kept.get(entry, 3) for entry in entries[:3]] == [None] * 3
    assert kept.get(entries[4], 3) == b"x" * 100
    assert kept.get(entries[4], 4) is None
