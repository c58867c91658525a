"""Finishing what a dead writer left in the log, before anybody writes again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from flatdata.store.disk import IN_THE_WAY, Disk
from flatdata.store.log import ChangeLog, Effect, decode_line
from flatdata.store.paths import parent_of

FROM_DISK: Final = "disk"
"""Origin of the records that take in what somebody did to the files."""

logger = logging.getLogger("flatdata.store")


def redo(log: ChangeLog, disk: Disk, start: int, end: int) -> int:
    """Carry out the records in [start, end) as far as they were not; gives where the whole ones end.

    Raises:
        OSError: if the disk refuses.
    """
    edits = _hand_edits(log, start, end)
    last = start
    for line, position in log.lines(start, end):
        record = decode_line(line)
        if record is None:
            break
        if record.origin != FROM_DISK:
            for number, effect in enumerate(record.changes):
                _redo(disk, effect, f"{record.seq}-{number}", edits, position)
        last = position
    return last


def _hand_edits(log: ChangeLog, start: int, end: int) -> dict[str, int]:
    """Where the last record of an edit by hand lies, for each entry edited and everything above it."""
    edits: dict[str, int] = {}
    for line, position in log.lines(start, end):
        record = decode_line(line)
        if record is None:
            break
        if record.origin == FROM_DISK:
            for slug in _with_ancestors(effect.slug for effect in record.changes):
                edits[slug] = position
    return edits


def _with_ancestors(slugs: Iterable[str]) -> Iterable[str]:
    for slug in slugs:
        while slug:
            yield slug
            slug = parent_of(slug)


def _redo(disk: Disk, effect: Effect, key: str, edits: dict[str, int], position: int) -> None:
    disk.new_record()
    try:
        disk.redo(effect, key, lambda slug: edits.get(slug, -1) > position)
    except OSError as error:
        # Somebody put a link or a file in the way meanwhile: what is on the disk by hand stays.
        if error.errno not in IN_THE_WAY:
            raise
        logger.warning("a change of %s is given up: %s", effect.slug, error.strerror)
