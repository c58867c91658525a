"""Versions of a data source, cut from the change log: nothing is copied when something is written.

Each record that changes rows of a source is a version of it: the rows as they were right after the record. A
record that restores an older version is one too, but the other way round: the rows right before it, so that
a restore can be undone. The list is made from the log, and the rows of a version by undoing, from now
backwards, what was done since: listing and reading cost what happened meanwhile, writing costs nothing.

The history of a source begins where its folder came to its present place: records from before a move of the
whole folder are not among its versions.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from flatdata.store.changes import Change, Delete, Put
from flatdata.store.entry import Entry
from flatdata.store.errors import CorruptLog
from flatdata.store.log import Effect, Record, decode_line, image_bytes
from flatdata.store.manifest import Json, Source
from flatdata.store.paths import FILE, MANIFEST, is_within, join, name_of, parent_of
from flatdata.store.sources import View
from flatdata.store.store import Store

RESTORE: Final = "restore"
"""The action of a record that restores a version."""

_DAY_MS: Final = 86_400_000
_MOVED: Final = re.compile(rb'"op":"(?:move|copy)"')


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a source.

    `id` is the number of its record, `position` the place in the log from which on everything is undone,
    `ts_ms` in milliseconds since 1970; `origin`, `who` and `action` are those of the record. `is_before` says
    that it holds the rows before its record. `count` rows, `columns` as the manifest declared them then.
    """

    id: int
    position: int
    ts_ms: int
    origin: str
    who: str
    action: str
    is_before: bool
    count: int
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class OldRow:
    """A row as it was: the last segment of its slug, and the JSON of its columns and of its `_meta`."""

    name: str
    body: bytes
    meta_body: bytes

    @property
    def fields(self) -> dict[str, Json]:
        """Its columns, parsed anew."""
        fields: dict[str, Json] = msgspec.json.decode(self.body)
        return fields

    @property
    def meta(self) -> dict[str, Json]:
        """Its `_meta`, parsed anew; `{}` if it had none."""
        meta: dict[str, Json] = msgspec.json.decode(self.meta_body) if self.meta_body else {}
        return meta


@dataclass(frozen=True, slots=True)
class _Step:
    """What one record did to a source, as far as a list of versions needs it."""

    seq: int
    start: int
    end: int
    ts_ms: int
    origin: str
    who: str
    action: str
    added: int
    """Rows after it, less rows before it."""
    changes_rows: bool
    old_manifest: bytes
    """The manifest before it, empty if the record left that alone."""


class _History:
    """The steps of one source, oldest first, as far as the log was followed. Changed under a lock."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.steps: list[_Step] = []


class Versions:
    """Lists, reads and restores versions. Threads may share it: one at a time follows the log.

    Args:
        store: whose log it reads.
        keep_days: versions that are older are not offered.
    """

    def __init__(self, store: Store, keep_days: int) -> None:
        self._store = store
        self._keep_ms = keep_days * _DAY_MS
        self._lock = threading.Lock()
        self._histories: dict[str, _History] = {}

    # --- listing ----------------------------------------------------------------------------------------

    def all(self, source: Source, now_ms: int) -> list[Version]:
        """The versions of a source, newest first."""
        steps, count = self._steps(source.slug)
        columns = source.columns
        versions: list[Version] = []
        for step in reversed(steps):
            before = columns
            if step.old_manifest:
                before = Source(source.slug, msgspec.json.decode(step.old_manifest)).columns
            if step.ts_ms < now_ms - self._keep_ms:
                break
            if step.changes_rows:
                is_before = step.action == RESTORE
                versions.append(
                    Version(
                        id=step.seq,
                        position=step.start if is_before else step.end,
                        ts_ms=step.ts_ms,
                        origin=step.origin,
                        who=step.who,
                        action=step.action,
                        is_before=is_before,
                        count=count - step.added if is_before else count,
                        columns=before if is_before else columns,
                    )
                )
            columns = before
            count -= step.added
        return versions

    def find(self, source: Source, identity: int, now_ms: int) -> Version | None:
        """The version with this id, None if the source has none (any more)."""
        return next((version for version in self.all(source, now_ms) if version.id == identity), None)

    def _steps(self, slug: str) -> tuple[list[_Step], int]:
        """The steps of a source up to now, and how many rows it has now."""
        with self._lock:
            with self._store.state.lock:
                now = self._store.position
                entries, names = self._store.state.entries, self._store.state.folders.get(slug, ())
                count = sum(join(slug, name) in entries for name in names)
            start = self._store.log.start()
            history = self._histories.get(slug)
            if history is None or history.position < start:
                history = self._histories[slug] = _History(start)
            for record, begin, end in self._records(slug, history.position, now):
                if any(_brings_folder(effect, slug) for effect in record.changes):
                    history.steps.clear()
                    continue
                if (step := _step(record, begin, end, slug)) is not None:
                    history.steps.append(step)
            history.position = now
            return [step for step in history.steps if step.start >= start], count

    def _records(self, slug: str, start: int, stop: int) -> Iterator[tuple[Record, int, int]]:
        """The records in [start, stop) that may touch a source, each with where it begins and ends."""
        needle = msgspec.json.encode(slug)[:-1]
        begin = start
        for line, end in self._store.log.lines(start, stop):
            if needle in line or _MOVED.search(line):
                record = decode_line(line)
                if record is None:
                    raise CorruptLog("log", begin)
                yield record, begin, end
            begin = end

    # --- reading ----------------------------------------------------------------------------------------

    def rows(self, source: Source, version: Version) -> list[OldRow]:
        """The rows of a version, by name."""
        with self._store.state.lock:
            now = self._store.position
            entries = self._store.children(source.slug)
        images = {entry.name: (entry.body, entry.meta_body) for entry in entries}
        self._undo(source.slug, version.position, now, images)
        return [OldRow(name, *images[name]) for name in sorted(images)]

    def _undo(self, slug: str, start: int, stop: int, images: dict[str, tuple[bytes, bytes]]) -> None:
        effects = [
            effect
            for record, _, _ in self._records(slug, start, stop)
            for effect in record.changes
            if _touches(effect, slug)
        ]
        for effect in reversed(effects):
            _UNDO[effect.op](effect, slug, images, self._store)

    # --- restoring --------------------------------------------------------------------------------------

    def restoring(self, source: Source, rows: Iterable[OldRow], view: View) -> list[Change]:
        """The changes that bring back the rows of a version; for a commit with the action `RESTORE`."""
        wanted = {join(source.slug, row.name): row for row in rows}
        present = {entry.slug: entry for entry in view.children(source.slug)}
        changes: list[Change] = [Delete(slug) for slug in present if slug not in wanted]
        for slug, row in wanted.items():
            entry = present.get(slug)
            if entry is None:
                changes.append(Put(slug, row.fields, row.meta, FILE))
            elif not _says(entry, row):
                changes.append(Put(slug, row.fields, row.meta))
        return changes


def _says(entry: Entry, row: OldRow) -> bool:
    return (entry.body, entry.meta_body) == (row.body, row.meta_body)


# --- what an effect did to a source -------------------------------------------------------------------


def _touches(effect: Effect, slug: str) -> bool:
    if effect.op == "rmtree":
        return any(parent_of(image) == slug for image in effect.images)
    return parent_of(effect.slug) == slug or parent_of(effect.to) == slug


def _brings_folder(effect: Effect, slug: str) -> bool:
    return effect.op in ("move", "copy") and is_within(slug, effect.to)


def _is_row(slug: str, source: str) -> bool:
    return parent_of(slug) == source and name_of(slug) != MANIFEST


def _added(effect: Effect, slug: str) -> int:
    """Rows after an effect, less rows before it."""
    before = after = 0
    if effect.op in ("put", "delete") and _is_row(effect.slug, slug):
        before = int(effect.op == "delete" or bool(image_bytes(effect.old)))
        after = int(effect.op == "put")
    elif effect.op == "rmtree":
        before = sum(_is_row(image, slug) for image in effect.images)
    elif effect.op in ("move", "copy"):
        before = int(effect.op == "move" and _is_row(effect.slug, slug))
        after = int(_is_row(effect.to, slug))
    return after - before


def _step(record: Record, start: int, end: int, slug: str) -> _Step | None:
    touching = [effect for effect in record.changes if _touches(effect, slug)]
    if not touching:
        return None
    manifest = join(slug, MANIFEST)
    return _Step(
        seq=record.seq,
        start=start,
        end=end,
        ts_ms=record.ts_ms,
        origin=record.origin,
        who=record.who,
        action=record.action,
        added=sum(_added(effect, slug) for effect in touching),
        changes_rows=any(effect.slug != manifest for effect in touching),
        old_manifest=next((image_bytes(effect.old) for effect in touching if effect.slug == manifest), b""),
    )


# --- undoing ------------------------------------------------------------------------------------------

Images = dict[str, tuple[bytes, bytes]]


def _undo_put(effect: Effect, slug: str, images: Images, store: Store) -> None:
    name = name_of(effect.slug)
    if name == MANIFEST:
        return
    if old := image_bytes(effect.old):
        images[name] = (old, image_bytes(effect.old_meta))
    else:
        images.pop(name, None)


def _undo_rmtree(effect: Effect, slug: str, images: Images, store: Store) -> None:
    for image, body in effect.images.items():
        if _is_row(image, slug):
            images[name_of(image)] = (bytes(body), bytes(effect.image_metas.get(image, b"")))


def _undo_move(effect: Effect, slug: str, images: Images, store: Store) -> None:
    image = images.pop(name_of(effect.to), None) if _is_row(effect.to, slug) else None
    if not _is_row(effect.slug, slug):
        return
    if image is None and (entry := store.get(effect.to)) is not None:
        # It left the source: the record does not hold what it said, but where it went does.
        image = (entry.body, entry.meta_body)
    if image is not None:
        images[name_of(effect.slug)] = image


def _undo_copy(effect: Effect, slug: str, images: Images, store: Store) -> None:
    if _is_row(effect.to, slug):
        images.pop(name_of(effect.to), None)


_UNDO: Final[Mapping[str, Any]] = {
    "put": _undo_put,
    "delete": _undo_put,
    "rmtree": _undo_rmtree,
    "move": _undo_move,
    "copy": _undo_copy,
}
"""How the effects of each kind are undone on the images of a source's rows, by name."""
