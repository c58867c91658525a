"""What a process knows of the content: every entry, and which folder holds which names.

The state follows the change log, record by record, so that all processes of a site agree. It is changed by
one thread at a time, under `State.lock`; entries are immutable, so readers may keep what they were given.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from flatdata.store.entry import Entry
from flatdata.store.log import Effect, Record, image_bytes
from flatdata.store.paths import FILE, MANIFEST, join, name_of, parent_of

_MANY_REMOVED: Final = 1_000
_ROOMY: Final = 128
"""Bytes for each name in a set, from which on it takes twice what it needs."""
LARGEST_NUMBER: Final = 10**15
"""Rows with larger numbers than this do not say what the next one is."""

ChangeListener = Callable[[Entry | None, Entry | None], None]
"""Told of each entry that changed: what it was, what it is. Called under the state's lock."""


class State:
    """All entries of a site in memory."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.entries: dict[str, Entry] = {}
        self.folders: dict[str, set[str]] = {"": set()}
        """For each folder with entries at any depth: the names of its direct children, without manifests."""
        self._manifests: dict[str, Entry] = {}
        self.high_water = 0
        """The largest integer that ever named a row."""
        self.manifest_version = 0
        """Grows with every change of a manifest."""
        self.seq = 0
        """Number of the last record applied."""
        self.changed = 0
        """How many entries were put, removed or loaded so far."""
        self._removed = 0
        self.epoch = ""
        """The epoch of the log (`flatdata.store.log`) in which this was learned."""
        self.listeners: list[ChangeListener] = []
        self.load_listeners: list[Callable[[Iterable[Entry]], None]] = []
        """Told of entries that were loaded in bulk, under the lock."""

    # --- reading ------------------------------------------------------------------------------------

    def exists(self, slug: str) -> bool:
        """Whether there is such an entry, or a folder with entries below."""
        return slug in self.entries or slug in self.folders

    def children(self, slug: str) -> list[Entry]:
        """The entries directly below `slug`, ordered by slug."""
        with self.lock:
            slugs = sorted(join(slug, name) for name in self.folders.get(slug, ()))
            return [self.entries[child] for child in slugs if child in self.entries]

    def below(self, slug: str) -> Iterator[Entry]:
        """The entry `slug` and every entry and manifest below it. Take the lock while iterating."""
        if (own := self.entries.get(slug)) is not None:
            yield own
        if (manifest := self.entries.get(join(slug, MANIFEST))) is not None:
            yield manifest
        for name in self.folders.get(slug, ()):
            yield from self.below(join(slug, name))

    def manifests(self) -> list[Entry]:
        """The manifests of all data sources."""
        with self.lock:
            return list(self._manifests.values())

    # --- changing -----------------------------------------------------------------------------------

    def load(self, entries: Iterable[Entry], seq: int = 0, epoch: str = "") -> None:
        """Take `entries` in place of all that is known, as of record `seq`; only load listeners are told.

        Readers without the lock see what was before or what is after, nothing in between.
        """
        fresh = State()
        for entry in entries:
            fresh._insert(entry)
        with self.lock:
            self.entries, self.folders, self._manifests = fresh.entries, fresh.folders, fresh._manifests
            self.high_water = max(self.high_water, fresh.high_water)
            self.manifest_version += fresh.manifest_version + 1
            self.seq = seq
            self.epoch = epoch
            self.changed += len(self.entries)
            for listener in self.load_listeners:
                listener(self.entries.values())

    def apply(self, record: Record) -> None:
        """Carry out a record. Records come in order; one that was seen already is passed over."""
        with self.lock:
            if record.seq <= self.seq:
                return
            for effect in record.changes:
                self._apply(effect, record)
            self.seq = record.seq
            if self._removed > max(_MANY_REMOVED, len(self.entries) // 2):
                self._shrink()

    def _shrink(self) -> None:
        """Let go of the room that removed entries took: tables keep theirs however much is taken out."""
        self._removed = 0
        self.entries = dict(self.entries)
        for slug, names in self.folders.items():
            if sys.getsizeof(names) > _ROOMY * (len(names) + 8):
                self.folders[slug] = set(names)

    def _apply(self, effect: Effect, record: Record) -> None:
        if effect.op == "put":
            self.put(entry_after(effect, record.seq))
        elif effect.op == "delete":
            self.remove(effect.slug)
        elif effect.op == "rmtree":
            for entry in list(self.below(effect.slug)):
                self.remove(entry.slug)
        else:
            self._transfer(effect, record)

    def _transfer(self, effect: Effect, record: Record) -> None:
        sources = list(self.below(effect.slug))
        copying = effect.op == "copy"
        made = [
            Entry(
                effect.to + source.slug[len(effect.slug) :],
                source.body,
                source.meta_body,
                form=source.form,
                mtime_ns=effect.mtime if copying else source.mtime_ns,
                size=source.size,
                seq=record.seq,
            )
            for source in sources
        ]
        if not copying:
            for source in sources:
                self.remove(source.slug)
        for entry in made:
            self.put(entry)

    def put(self, entry: Entry) -> None:
        """Create or replace one entry."""
        self.changed += 1
        before = self.entries.get(entry.slug)
        self._insert(entry)
        for listener in self.listeners:
            listener(before, entry)

    def remove(self, slug: str) -> None:
        """Forget one entry, and the folders that became empty with it."""
        entry = self.entries.pop(slug, None)
        if entry is None:
            return
        self.changed += 1
        self._removed += 1
        if entry.form == MANIFEST:
            self.manifest_version += 1
            self._manifests.pop(slug, None)
            self._prune(parent_of(slug))
        elif slug not in self.folders:
            self.folders[parent_of(slug)].discard(name_of(slug))
            self._prune(parent_of(slug))
        for listener in self.listeners:
            listener(entry, None)

    def _insert(self, entry: Entry) -> None:
        slug = entry.slug
        known = slug in self.entries
        self.entries[slug] = entry
        if entry.form == MANIFEST:
            self.manifest_version += 1
            self._manifests[slug] = entry
            self._add_folder(parent_of(slug))
            return
        parent, _, name = slug.rpartition("/")
        self._note_number(row_number(name, entry.form))
        if known:
            return
        if parent not in self.folders:
            self._add_folder(parent)
        self.folders[parent].add(name)

    def _note_number(self, number: int) -> None:
        # Numbers go on from the largest; one so large that clients could not hold it counts only in turn.
        if self.high_water < number < LARGEST_NUMBER or number == self.high_water + 1:
            self.high_water = number

    def _add_folder(self, slug: str) -> None:
        if slug in self.folders:
            return
        self.folders[slug] = set()
        parent, _, name = slug.rpartition("/")
        self._add_folder(parent)
        self.folders[parent].add(name)

    def _prune(self, slug: str) -> None:
        while slug and not self.folders.get(slug, True) and join(slug, MANIFEST) not in self.entries:
            del self.folders[slug]
            if slug in self.entries:
                return
            parent = parent_of(slug)
            self.folders[parent].discard(name_of(slug))
            slug = parent


def row_number(name: str, form: str) -> int:
    """The integer that names a row, 0 where it is no integer or no row."""
    is_number = form == FILE and name.isascii() and name.isdigit() and len(name) <= 18
    return int(name) if is_number else 0


def entry_after(effect: Effect, seq: int) -> Entry:
    """The entry that a `put` leaves."""
    return Entry(
        effect.slug,
        image_bytes(effect.new),
        image_bytes(effect.new_meta),
        form=effect.form,
        mtime_ns=effect.mtime,
        size=effect.size,
        seq=seq,
    )


class Places:
    """Slugs, and with each the tree at it and the way there: what two commits must not have in common."""

    def __init__(self, slugs: Iterable[str] = ()) -> None:
        self._slugs: set[str] = set()
        self._above: set[str] = set()
        self.add(slugs)

    def __bool__(self) -> bool:
        return bool(self._slugs)

    def add(self, slugs: Iterable[str]) -> None:
        """Take in more slugs; the empty one stands for the whole content."""
        for slug in slugs:
            self._slugs.add(slug)
            while slug and slug not in self._above:
                self._above.add(slug)
                slug = parent_of(slug)

    def overlap(self, slugs: Iterable[str]) -> bool:
        """Whether one of `slugs` is, holds or lies in one of these."""
        return any(self._overlaps(slug) for slug in slugs)

    def _overlaps(self, slug: str) -> bool:
        if not self._slugs:
            return False
        if not slug or "" in self._slugs or slug in self._above:
            return True
        while slug:
            if slug in self._slugs:
                return True
            slug = parent_of(slug)
        return False
