"""Finishing what a dead writer left in the log, before anybody writes again.

Whole records beyond the head are accepted changes: their effects are carried out once more, each as far as
it was not. A torn record is cut off. A file that says nothing that the entry said in these records, before or
after, was edited by hand since, and stays; one with no text, or only NULs, is what a power loss left.

Puts and deletes have images, so they can be carried out again over files of any age since. A move or a copy
has none: it is carried out again only over the files that it found. Writers see to it that this is enough:

- before the record of one is appended, everything before it was flushed to the disk;
- before anything is appended after it, it was carried out and flushed itself.

So one that is followed by another record is on the disk, with everything before it, and recovery begins after
it. One that is the last record found what came before it on the disk, and recovery begins with it.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from flatdata.store.codec import CodecError
from flatdata.store.disk import Disk
from flatdata.store.effects import apply, is_transfer
from flatdata.store.images import Image, image_after, image_before, image_of, render
from flatdata.store.log import ChangeLog, Effect, Record, decode_line, image_bytes
from flatdata.store.paths import parent_of

FROM_DISK: Final = "disk"
"""Origin of the records that take in what somebody did to the files."""
_IN_THE_WAY: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
"""What the system says where something else is in the place of a file or a folder."""

logger = logging.getLogger("flatdata.store")


def recover(log: ChangeLog, disk: Disk, start: int) -> None:
    """Carry out once more what lies in the log from `start` on, and cut off what is no whole record.

    Only under the write lock. `start` is the head or, where files may be older than that says, before it.
    Nothing is done of what is certain to be on the disk.

    Raises:
        OSError: if the disk refuses.
    """
    head, end = log.head(), log.end()
    start = _first_in_doubt(log, start, end)
    if not log.same_boot():
        # What lies there may be from a recovery that the power cut short: it does not say what was done.
        disk.scratch.clear()
    last = _redo_records(log, disk, start, end)
    if last != end:
        log.publish(min(head, last))
        log.truncate(last)
    log.publish(last)
    log.mark_boot()
    disk.scratch.clear()


def _first_in_doubt(log: ChangeLog, start: int, end: int) -> int:
    """The position in [start, end] before which everything is on the disk, as far as the log says."""
    doubtful, before, was_transfer = start, start, False
    for record, position in _whole_records(log, start, end):
        transfer = is_transfer(record.changes)
        if transfer or was_transfer:
            doubtful = before
        before, was_transfer = position, transfer
    return doubtful


def _redo_records(log: ChangeLog, disk: Disk, start: int, end: int) -> int:
    """Carry out the records in [start, end) as far as they were not; gives where the whole ones end."""
    past = _Past(log, start, end)
    last = start
    for record, position in _whole_records(log, start, end):
        if record.origin != FROM_DISK:
            for number, effect in enumerate(record.changes):
                _redo_or_give_up(effect, f"{record.seq}-{number}", disk, past, position)
            if is_transfer(record.changes):
                disk.flush()
        last = position
    return last


def _whole_records(log: ChangeLog, start: int, end: int) -> Iterator[tuple[Record, int]]:
    for line, position in log.lines(start, end):
        record = decode_line(line)
        if record is None:
            return
        yield record, position


class _Past:
    """What the records in [start, end) of a log say together."""

    def __init__(self, log: ChangeLog, start: int, end: int) -> None:
        self._edits: dict[str, int] = {}
        """Where the last record of an edit by hand lies, for each entry edited and everything above it."""
        self._images: set[int] = set()
        """Hashes of all that each entry said before and after changes that are no edits by hand."""
        for record, position in _whole_records(log, start, end):
            for effect in record.changes:
                if record.origin == FROM_DISK:
                    for slug in _with_ancestors(effect.slug):
                        self._edits[slug] = position
                elif effect.op in ("put", "delete"):
                    self._images.add(hash((effect.slug, image_before(effect))))
                    self._images.add(hash((effect.slug, image_after(effect))))

    def is_edited(self, slug: str, position: int) -> bool:
        """Whether an entry, or something below it, was edited by hand after the record at `position`."""
        return self._edits.get(slug, -1) > position

    def holds(self, slug: str, image: Image) -> bool:
        """Whether it is from one of the records that an entry says this, and not from an edit by hand."""
        return hash((slug, image)) in self._images


def _with_ancestors(slug: str) -> Iterator[str]:
    while slug:
        yield slug
        slug = parent_of(slug)


def _redo_or_give_up(effect: Effect, key: str, disk: Disk, past: _Past, position: int) -> None:
    disk.new_record()
    try:
        _redo(effect, key, disk, past, position)
    except OSError as error:
        # Somebody put a link or a file in the way meanwhile: what is on the disk by hand stays.
        if error.errno not in _IN_THE_WAY:
            raise
        logger.warning("a change of %s is given up: %s", effect.slug, error.strerror)


# --- one effect ---------------------------------------------------------------------------------------


_IsEdited = Callable[[str], bool]


def _redo(effect: Effect, key: str, disk: Disk, past: _Past, position: int) -> None:
    """Carry out one effect of a record that a dead writer may have left half done. Raises OSError."""

    def is_edited(slug: str) -> bool:
        return past.is_edited(slug, position)

    if is_edited(effect.slug) or (effect.to and is_edited(effect.to)):
        if effect.op == "rmtree":
            _remove_ours(effect, disk, is_edited)
    elif effect.op == "put":
        _redo_put(effect, key, disk, past)
    elif effect.op == "delete":
        if _is_ours(effect.slug, effect.form, effect, disk, past):
            apply(effect, key, disk)
    elif effect.op == "rmtree":
        _redo_rmtree(effect, key, disk, is_edited)
    elif effect.op == "move":
        _rename_missing(effect, disk.parts_of(effect.slug), disk)
        disk.prune(effect.slug)
    elif disk.parts(effect.to) != effect.parts:
        disk.scratch.stage_copy(key, disk.parts_of(effect.slug), effect.mtime)
        disk.flush()
        _rename_missing(effect, disk.scratch.parts(key), disk)


def _redo_put(effect: Effect, key: str, disk: Disk, past: _Past) -> None:
    if not _is_ours(effect.slug, effect.form, effect, disk, past):
        return
    disk.scratch.stage_file(key, render(image_after(effect), effect.form), effect.mtime)
    disk.place(key, disk.tree.file(effect.slug, effect.form))
    old_form = effect.old_form
    if old_form and old_form != effect.form and _is_ours(effect.slug, old_form, effect, disk, past):
        disk.unlink(disk.tree.file(effect.slug, old_form))


def _is_ours(slug: str, form: str, effect: Effect, disk: Disk, past: _Past) -> bool:
    """Whether a file may be replaced or removed by a `put` or `delete` that is done once more."""
    try:
        raw = disk.raw(slug, form)
    except FileNotFoundError:
        return not (effect.op == "put" and image_bytes(effect.old) and effect.old_form in ("", form))
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return False
        raise
    if not raw.strip(b"\0"):
        return True
    try:
        return past.holds(slug, image_of(raw, form))
    except CodecError:
        return False


def _redo_rmtree(effect: Effect, key: str, disk: Disk, is_edited: _IsEdited) -> None:
    aside = disk.scratch.parts(key)
    if any(os.path.lexists(path) for path in aside.values()):
        # It was under way: what lies in a place that was emptied already came later.
        left = [part for part, path in aside.items() if not os.path.lexists(path) and part in effect.parts]
        sources = disk.parts_of(effect.slug)
        disk.rename_parts({part: sources[part] for part in left}, aside)
    elif all(_is_known(slug, form, effect, disk) for slug, form in disk.entry_files(effect.slug)):
        apply(effect, key, disk)
    else:
        _remove_ours(effect, disk, is_edited)


def _remove_ours(effect: Effect, disk: Disk, is_edited: _IsEdited) -> None:
    """Remove of a tree what is still as it was when the tree was removed."""
    for slug, form in list(disk.entry_files(effect.slug)):
        if not is_edited(slug) and _is_known(slug, form, effect, disk):
            disk.unlink(disk.tree.file(slug, form))
            disk.prune(slug)


def _is_known(slug: str, form: str, effect: Effect, disk: Disk) -> bool:
    """Whether a file of a tree that was removed says what it said then."""
    image = effect.images.get(slug)
    try:
        return image is not None and disk.read(slug, form).body == bytes(image)
    except CodecError:
        return False
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return False
        raise


def _rename_missing(effect: Effect, sources: Mapping[str, str], disk: Disk) -> None:
    """Rename those parts of a tree that a dead writer left behind."""
    targets = disk.parts_of(effect.to)
    left = [part for part in effect.parts if not os.path.lexists(targets[part])]
    disk.rename_parts({part: sources[part] for part in left}, targets)
