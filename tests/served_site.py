"""A site on a real disk with two workers and a keeper, driven step by step, and what each query should find.

Workers, keeper, watcher and writer of words are the real ones, but for what starts them and has them wait; no
two of them work at the same time, so that the same steps end the same way. What would happen between two
threads is made to happen while an index structure is built, or while the evaluator looks at entries.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec import structs
from query_strategies import CALENDAR, FIELDS

from flatdata.dialects.flextype.file_tests import file_conditions
from flatdata.dialects.flextype.find_options import Find
from flatdata.dialects.flextype.options import group_key
from flatdata.index import blocks, collection, keeper, planner, status, structures, words, words_writer
from flatdata.index import index as index_module
from flatdata.index.keeper import Keeper
from flatdata.index.watching import OVERFLOW, Hint
from flatdata.index.words_writer import WordsWriter
from flatdata.query.evaluate import matches
from flatdata.query.tree import All, Condition, Field, KeyIndex, Node, Not, OrderBy, Query, Scope
from flatdata.settings import load_settings
from flatdata.site import Site
from flatdata.store import store as store_module
from flatdata.store.changes import Change, Put
from flatdata.store.codec import CodecError, dump_entry, load_entry
from flatdata.store.entry import Entry, encode_json
from flatdata.store.errors import EntryExists, EntryMissing
from flatdata.store.paths import ENTRY_MD, ENTRY_YAML, FILE, MANIFEST, is_within

EDITED = 1_600_000_000 * 10**9
"""When the first edit on disk was made, in nanoseconds; each comes a second and a half after the last."""
GROUPS = KeyIndex("test.group", lambda value: (group_key(value),))
STANDING = 8
"""Questions that are asked again after each step: those asked last."""

# --- what is made small -----------------------------------------------------------------------------------

VARIANTS: dict[str, list[tuple[ModuleType, str, int]]] = {
    "structures for the smallest": [(index_module, "SMALL", 0)],
    "large ranges": [
        (index_module, "SMALL", 0),
        (planner, "FEW", 0),
        (structures, "_MARK_DISTANCE", 1),
        (structures, "_MOST_MARKS", 1_000),
    ],
    "ranges with few marks": [
        (index_module, "SMALL", 4),
        (planner, "FEW", 0),
        (structures, "_MARK_DISTANCE", 3),
        (structures, "_BLOCKWISE", 2),
        (blocks, "_LENGTH", 2),
    ],
    "structures given up after few changes": [
        (index_module, "SMALL", 0),
        (collection, "MOST_BEHIND", 0),
        (collection, "_STEP", 1),
    ],
    "structures forgotten": [(index_module, "SMALL", 0), (collection, "MOST_STRUCTURES", 1)],
    "changes taken over one at a time": [(index_module, "SMALL", 0), (collection, "_STEP", 1)],
    "no structures": [],
}
"""So that what is for large collections happens in small ones."""
AT_ONCE: list[tuple[ModuleType, str, Any]] = [
    # Workers look for new words when they are told to, see `read_words`.
    (words, "_REFRESH_SECONDS", 1e9),
    (words_writer, "_COMMIT_SECONDS", 0.0),
    (keeper, "_TICK_SECONDS", 0.0),
    (keeper, "_QUIET_SECONDS", 0.0),
    (keeper, "_ODD_COMPARE_SECONDS", 0.0),
    # Nothing here is about a machine that goes down.
    (store_module, "flush_file_system", lambda folder: None),
]

# --- what the files say -----------------------------------------------------------------------------------


def files_say(content: Path) -> list[Entry]:
    """The entries, by looking for each file there may be, and reading it."""
    entries: dict[str, Entry] = {}
    for form in (FILE, ENTRY_MD, ENTRY_YAML):
        for path in content.rglob("*.yaml" if form == FILE else form):
            if form == FILE and path.name in (ENTRY_YAML, f"{MANIFEST}.yaml"):
                continue
            slug = str((path.with_suffix("") if form == FILE else path.parent).relative_to(content))
            entries.pop(slug, None)  # whether or not it can be read, it stands before other forms
            with contextlib.suppress(CodecError):
                entries[slug] = _entry_of(slug, path, form)
    return list(entries.values())


def _entry_of(slug: str, path: Path, form: str) -> Entry:
    fields, status = load_entry(path.read_bytes(), form), path.stat()
    meta = fields.pop("_meta", {})
    body, meta_body = encode_json(fields), encode_json(meta) if meta else b""
    return Entry(slug, body, meta_body, form=form, mtime_ns=status.st_mtime_ns, size=status.st_size)


# --- what is asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A query: what `find` asks of files is added when it is known whose files."""

    where: Node
    find: Find
    order: tuple[OrderBy, ...]
    slug: str
    offset: int
    limit: int | None

    def query(self, site: Site) -> Query:
        """The query to a worker's index, put together as the Flextype dialect does it."""
        conditions = file_conditions(self.find, self.slug, CALENDAR, site.store.raw)
        scope = Scope(self.slug, self.find.min_depth, self.find.max_depth)
        return Query(scope, All((self.where, *conditions)), self.order, self.offset, self.limit)


def depth_below(slug: str, entry: Entry) -> int | None:
    """How deep an entry lies below `slug`, 0 for the entry itself, None for one that does not."""
    if slug and not is_within(entry.slug, slug):
        return None
    return entry.slug.count("/") - slug.count("/") if slug else entry.slug.count("/") + 1


def plainly(query: Query, entries: list[Entry]) -> list[Entry]:
    """What a query finds, all of it, by going through the entries."""
    scope = query.scope
    deepest = 99 if scope.max_depth is None else scope.max_depth
    found = [
        entry
        for entry in sorted(entries, key=lambda entry: entry.slug)
        if (depth := depth_below(scope.slug, entry)) is not None
        and scope.min_depth <= depth <= deepest
        and matches(query.where, entry)
    ]
    for step in reversed(query.order):
        found.sort(key=lambda entry, by=step: by.index.key(by.field.read(entry)), reverse=step.descending)  # type: ignore[misc]
    return found


def plain_groups(field: Field, found: list[Entry]) -> list[list[str]]:
    """The slugs of entries that come in order, in groups."""
    groups: dict[object, list[str]] = {}
    for entry in found:
        groups.setdefault(GROUPS.keys(field.read(entry)), []).append(entry.slug)
    return list(groups.values())


def interrupted(query: Query, happen: Callable[[], None]) -> Query:
    """The same query, at whose first look at an entry something happens."""

    def field(asked: Field) -> Field:
        def read(entry: Any) -> Any:
            happen()
            return asked.read(entry)

        return Field(asked.view, asked.path, read)

    def node(asked: Node) -> Node:
        if isinstance(asked, Condition):
            return structs.replace(asked, field=field(asked.field))
        if isinstance(asked, Not):
            return Not(node(asked.part))
        return type(asked)(tuple(node(part) for part in asked.parts))

    order = tuple(structs.replace(step, field=field(step.field)) for step in query.order)
    return structs.replace(query, where=node(query.where), order=order)


# --- the site ---------------------------------------------------------------------------------------------


class Hints(queue.SimpleQueue[Hint]):
    """The hints of a watcher, which can be waited for."""

    def __init__(self) -> None:
        self._mark = ""
        self._is_there = threading.Event()

    def put(self, item: Hint, block: bool = True, timeout: float | None = None) -> None:
        """Add a hint; the one that is waited for is none."""
        if item[0] == self._mark:
            self._is_there.set()
        else:
            super().put(item)

    def wait_for_all(self, folder: Path) -> None:
        """Have everything hinted at that has happened so far: events come in order."""
        mark = folder / ".mark"
        self._mark = str(mark)
        self._is_there.clear()
        mark.mkdir()
        assert self._is_there.wait(10)
        self._is_there.clear()
        mark.rmdir()
        assert self._is_there.wait(10)


class Once:
    """An event that is set after one round of a loop that waits for it."""

    def __init__(self) -> None:
        self._is_over = False

    def is_set(self) -> bool:
        """Whether the round is over."""
        return self._is_over

    def wait(self, timeout: float) -> bool:
        """End the round."""
        self._is_over = True
        return True


class ServedSite:
    """The site in a folder, which is made. Its steps are the methods under "writes", "edits" and "processes".

    Args:
        records: fields and `_meta` of the first entries, each of which is an entry in `c` and a row in `s`.
    """

    def __init__(
        self, root: Path, variant: str, records: list[tuple[dict[str, Any], dict[str, Any]]]
    ) -> None:
        self.root = root
        self._patch = pytest.MonkeyPatch()
        for module, name, value in [*AT_ONCE, *VARIANTS[variant]]:
            self._patch.setattr(module, name, value)
        self._edits = 0
        self._standing: list[Question] = []
        self._promised: dict[str, dict[str, Any]] = {}
        """What the last commit wrote, which is to be there when it was accepted."""
        self._edit("s/manifest", {"id": 5, "name": "S"}, MANIFEST)
        for number, (fields, meta) in enumerate(records):
            self._edit(f"c/e{number}", fields, FILE if number % 2 else ENTRY_YAML)
            self._edit(f"s/{number + 1}", fields | ({"_meta": meta} if meta else {}), FILE)
        self._open_keeper()
        self.workers = [self._worker(), self._worker()]

    def _open_keeper(self) -> None:
        self.keeper = Keeper(self.root, compare_seconds=1e9)
        self.keeper.prepare()
        assert self.keeper._watcher is not None
        self._hints = Hints()
        waiting = self.keeper._watcher.hints
        self.keeper._watcher.hints = self._hints
        while not waiting.empty():
            self._hints.put(waiting.get())

    def _worker(self) -> Site:
        site = Site(self.root, load_settings(self.root, {}, {}))
        site.start("off")
        return site

    def close(self) -> None:
        """End everything."""
        for site in self.workers:
            site.close()
        self.keeper.close()
        self._patch.undo()

    # --- writes -------------------------------------------------------------------------------------------

    def commit(self, worker: int, changes: list[Change]) -> None:
        """Write through a worker; what cannot be done is refused."""
        self._promised = {}
        try:
            self.workers[worker].store.commit(lambda view: (changes, None), origin="test")
        except (EntryExists, EntryMissing):
            return
        self._promised = {change.slug: change.fields for change in changes if isinstance(change, Put)}

    def commit_through_both(self, worker: int, changes: list[Change], others: list[Change]) -> None:
        """Write through one worker and then the other, before anybody looks."""
        self.commit(worker, changes)
        self.commit(1 - worker, others)

    def commit_over_edit(
        self, worker: int, slug: str, fields: dict[str, Any], form: str, changes: list[Change]
    ) -> None:
        """Write through a worker after somebody made a file that nobody has noticed yet."""
        self.add_file(slug, fields, form, True)
        self.commit(worker, changes)

    # --- edits --------------------------------------------------------------------------------------------

    def _path(self, slug: str, form: str) -> Path:
        base = self.root / "content" / slug
        return base.with_name(base.name + ".yaml") if form in (MANIFEST, FILE) else base / form

    def _file_of(self, slug: str) -> Path | None:
        paths = [self._path(slug, form) for form in (ENTRY_YAML, ENTRY_MD, FILE)]
        return next((path for path in paths if path.exists()), None)

    def _edit(self, slug: str, fields: dict[str, Any], form: str) -> None:
        self._write(self._path(slug, form), dump_entry(fields, form))

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._edits += 1
        at = EDITED + self._edits * 1_500_000_000
        os.utime(path, ns=(at, at))

    def _lose_hints(self, is_seen: bool) -> None:
        """Unless somebody is to see what was done, have the system lose its events, and say so."""
        if is_seen:
            return
        self._hints.wait_for_all(self.root / "content")
        while not self._hints.empty():
            self._hints.get()
        self._hints.put((OVERFLOW, True))

    def edit_file(self, slug: str, fields: dict[str, Any], form: str, is_seen: bool) -> None:
        """Somebody edits the file of an entry, whichever it is, or makes one in a form."""
        path = self._file_of(slug) or self._path(slug, form)
        self._write(path, dump_entry(fields, path.name if path.name in (ENTRY_YAML, ENTRY_MD) else FILE))
        self._lose_hints(is_seen)

    def break_file(self, slug: str, text: bytes, is_seen: bool) -> None:
        """Somebody leaves a file that cannot be read."""
        path = self._file_of(slug) or self._path(slug, FILE)
        self._write(path, text)
        self._lose_hints(is_seen)

    def add_file(self, slug: str, fields: dict[str, Any], form: str, is_seen: bool) -> None:
        """Somebody makes a file for an entry that may have one in another form."""
        path = self._path(slug, form)
        self._write(path, dump_entry(fields, form))
        self._lose_hints(is_seen)

    def remove_file(self, slug: str, is_seen: bool) -> None:
        """Somebody deletes the file of an entry."""
        if (path := self._file_of(slug)) is not None:
            path.unlink()
            self._lose_hints(is_seen)

    def rename_file(self, slug: str, new_slug: str, is_seen: bool) -> None:
        """Somebody gives the file of an entry another name, over what is there."""
        source, target = self._file_of(slug), self._path(new_slug, FILE)
        if source is not None and source.name != ENTRY_MD:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(source, target)
            self._lose_hints(is_seen)

    def change_form(self, slug: str, is_seen: bool) -> None:
        """Somebody turns a single file into a folder, or back."""
        source = self._file_of(slug)
        if source is not None and source.name != ENTRY_MD:
            target = self._path(slug, FILE if source.name == ENTRY_YAML else ENTRY_YAML)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(source, target)
            self._lose_hints(is_seen)

    def remove_folder(self, slug: str, is_seen: bool) -> None:
        """Somebody deletes a folder with all that is in it."""
        folder = self.root / "content" / slug
        shutil.rmtree(folder, ignore_errors=True)
        self._lose_hints(is_seen)

    def rename_folder(self, slug: str, new_slug: str, is_seen: bool) -> None:
        """Somebody moves a folder to where nothing is."""
        source, target = self.root / "content" / slug, self.root / "content" / new_slug
        if source.is_dir() and not target.exists() and not is_within(new_slug, slug):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(source, target)
            self._lose_hints(is_seen)

    # --- processes ----------------------------------------------------------------------------------------

    def write_words(self, are_read: bool) -> None:
        """The keeper's thread of words goes through its loop once; the workers notice at once, or later."""
        self.keeper.store.follow()
        writer = WordsWriter(self.keeper.store.state_dir / "index" / "words", self.keeper.store)
        writer._stop = Once()  # type: ignore[assignment]
        writer._keep_up()
        for worker in (0, 1) if are_read else ():
            self.read_words(worker)

    def read_words(self, worker: int) -> None:
        """It is time for a worker to look for new words."""
        self.workers[worker].index._words._looked = -1e9

    def write_catalogue(self) -> None:
        """The keeper writes down what the next start reads."""
        self.keeper.store.follow()
        self.keeper._upkeep.write_catalogue()

    def ask_for_rebuild(self) -> None:
        """`flatdata index rebuild`."""
        (self.keeper.store.state_dir / status.REBUILD_REQUEST).touch()

    def lose_index(self) -> None:
        """Somebody deletes the index."""
        shutil.rmtree(self.keeper.store.state_dir / "index")
        (self.keeper.store.state_dir / "index").mkdir()

    def restart_worker(self, worker: int) -> None:
        """A worker ends and another takes its place."""
        self.workers[worker].close()
        self.workers[worker] = self._worker()

    def restart_keeper(self, is_killed: bool) -> None:
        """The keeper ends, or is killed, and another takes its place."""
        if is_killed:
            assert self.keeper._watcher is not None
            self.keeper._watcher.close()
            self.keeper.store.close()
        else:
            self.keeper.close()
        self._open_keeper()

    def lose_state(self, worker: int, first: str, changes: list[Change]) -> None:
        """Somebody deletes `.flatdata/`; the keeper ends, and another one begins anew.

        Meanwhile `first` happens: a worker is asked to `write`, or it `looks`, or `nothing`.
        """
        shutil.rmtree(self.keeper.store.state_dir)
        if first == "looks":
            self.workers[worker].store.look()
        elif first == "write":
            self.commit(worker, changes)
        self.keeper.close()
        self._open_keeper()
        for site in self.workers:
            site.store.look()

    # --- questions ----------------------------------------------------------------------------------------

    def ask(self, question: Question) -> None:
        """Ask from now on."""
        self._standing = [*self._standing, question][-STANDING:]

    def ask_while_it_changes(
        self, worker: int, writer: int, question: Question, changes: list[Change], is_anew: bool, total: bool
    ) -> None:
        """Something is committed while a structure is built, or while the evaluator looks at entries.

        Args:
            is_anew: the worker has to build its structures; else they are there.
        """
        site = self.workers[worker]
        moments = [self._settle()]
        site.store.follow()
        query = replace(question, find=Find()).query(site)
        if is_anew:
            with site.store.state.lock:
                site.index._collections.clear()
        else:
            site.index.search(query)
        happens = [changes]

        def happen() -> None:
            if happens:
                self.commit(writer, happens.pop())
                site.store.follow()
                moments.append(_held(site))

        result = site.index.search(interrupted(structs.replace(query, total=total), happen))
        happens.clear()
        answers = [_answer(query, entries) for entries in moments]
        found = [entry.slug for entry in result.entries]
        if result.total >= 0 or total:
            assert (found, result.total) in answers
        else:
            assert found in [page for page, _ in answers]
        self.ask(question)

    def check(self) -> None:
        """Both workers hold what the files say, and find what going through the files finds."""
        entries = self._settle()
        known = {entry.slug: _as_stored(entry) for entry in entries}
        written = {entry.slug: entry.fields for entry in entries if entry.slug in self._promised}
        assert _with_content(written) == _with_content(self._promised)
        self._promised = {}
        for site in self.workers:
            site.store.follow()
            assert {entry.slug: _as_stored(entry) for entry in _held(site)} == known
        for question in self._standing:
            for site in self.workers:
                self._check(site, question, entries)

    def _settle(self) -> list[Entry]:
        """Have the keeper do what it does by itself; gives what the files say then."""
        self._hints.wait_for_all(self.root / "content")
        self.keeper._step()
        while not self._hints.empty() or self.keeper._files.odd or self.keeper._lost:
            self.keeper._step()
        return files_say(self.root / "content")

    def _check(self, site: Site, question: Question, entries: list[Entry]) -> None:
        query = question.query(site)
        page, total = _answer(query, entries)
        result = site.index.search(query)
        assert ([entry.slug for entry in result.entries], result.total) == (page, total)
        result = site.index.search(structs.replace(query, total=False))
        assert [entry.slug for entry in result.entries] == page
        assert result.total in (-1, total)
        groups = plain_groups(FIELDS["f"], plainly(query, entries))
        asked = site.index.groups(query, FIELDS["f"], GROUPS, offset=query.offset, limit=query.limit)
        stop = None if query.limit is None else query.offset + query.limit
        assert [[each.slug for each in group.entries] for group in asked] == groups[query.offset : stop]


def _held(site: Site) -> list[Entry]:
    """The entries that a worker has in memory."""
    return [entry for entry in site.store.state.entries.values() if entry.form != MANIFEST]


def _as_stored(entry: Entry) -> tuple[object, ...]:
    return entry.body, entry.meta_body, entry.form, entry.mtime_ns, entry.size


def _with_content(entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The fields of entries, all with the `content` that those with a body have in any case."""
    return {slug: {"content": "", **fields} for slug, fields in entries.items()}


def _answer(query: Query, entries: list[Entry]) -> tuple[list[str], int]:
    """The page and the total."""
    found = [entry.slug for entry in plainly(query, entries)]
    return found[query.offset : None if query.limit is None else query.offset + query.limit], len(found)
