"""Files on their way into the content: what they say, and the dates that they have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flatdata.store import staging
from flatdata.store.staging import Scratch


def test_each_staged_file_has_its_own_date(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path / "scratch"))
    for number, date in enumerate(
        (1_700_000_000_123_456_789, 1_600_000_000_987_654_321, 1_600_000_000_987_654_321)
    ):
        kept = scratch.stage_file(str(number), b"x", date)
        assert kept == os.stat(scratch.path(str(number))).st_mtime_ns
        assert abs(kept - date) < 2_000_000_000


def test_the_date_that_the_disk_keeps_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch, real = Scratch(str(tmp_path / "scratch")), os.utime

    def to_seconds(descriptor: int, *, ns: tuple[int, int]) -> None:
        real(descriptor, ns=(ns[0], ns[1] // 10**9 * 10**9))

    monkeypatch.setattr(staging.os, "utime", to_seconds)
    for date in (1_700_000_000_123_456_789, 1_700_000_000_123_456_789, 1_700_000_001_000_000_001):
        assert scratch.stage_file("1", b"x", date) == date // 10**9 * 10**9


def test_a_file_that_the_disk_takes_in_pieces_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, real = Scratch(str(tmp_path / "scratch")), os.write
    monkeypatch.setattr(staging.os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    scratch.stage_file("1", b"title: Platform\n", 10**18)
    assert Path(scratch.path("1")).read_bytes() == b"title: Platform\n"
