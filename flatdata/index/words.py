"""Words: the Whoosh index on disk, and reading it. The only module that imports Whoosh.

The keeper writes (`WordsWriter`), in batches, behind the changes; every process reads (`Words`). Whoosh holds
for each entry the words of its strings, twice: as they are (case-folded), for finding substrings, and as
stems without stop words, for finding words. A term is `<word>\\x1f<path>`.

Which distribution: `whoosh3`, pinned exactly. The original is unmaintained and takes bit-flipped segments for
good ones; `whoosh-reloaded` gives up too; both get some numeric ranges wrong. Of whoosh3 only what was
measured to be right is used: no `Searcher.refresh()`, no `BufferedWriter`, a fresh reader for every commit,
no numeric fields. The index is a cache: whatever cannot be read is thrown away and made again.

What a reader may see: Whoosh is behind by up to a second or, on a first start, much more. Entries changed
since its last commit (`Entry.seq` beyond the committed one) are left to the evaluator.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from pyroaring import BitMap
from whoosh import index as whoosh_index
from whoosh.analysis import StemmingAnalyzer
from whoosh.fields import ID, KEYWORD, Schema
from whoosh.index import LockError
from whoosh.query import Prefix

from flatdata.query.tree import Json
from flatdata.store.entry import Entry
from flatdata.store.log import Record
from flatdata.store.paths import MANIFEST
from flatdata.store.state import State
from flatdata.store.store import Store

VERSION: Final = 1
_COMMIT_SECONDS: Final = 1.0
_BATCH: Final = 5_000
_MEMORY_MB: Final = 192
_REFRESH_SECONDS: Final = 0.2
_SHORTEST: Final = 3
_LONGEST: Final = 64
_LONG: Final = "\x01"
"""Stands for words that are too long to be terms."""
_SEPARATOR: Final = "\x1f"
_WORD: Final = re.compile(r"\w+")
ANYWHERE: Final = "*"
"""The path of a search in all strings of an entry."""

logger = logging.getLogger("flatdata.words")
_analyzer = StemmingAnalyzer(minsize=1)


def analyse(text: str) -> list[str]:
    """The words of a text as searches compare them: lower-cased, without English stop words, stemmed."""
    return [token.text for token in _analyzer(text)]


def _schema() -> Schema:
    return Schema(slug=ID(unique=True, sortable=True), tokens=KEYWORD(), stems=KEYWORD(scorable=True))


def words_path(path: str) -> str:
    """A dotted path without its places in lists: all elements of a list share the path of the list."""
    if not any(character.isdigit() for character in path):
        return path
    return ".".join(segment for segment in path.split(".") if not segment.isdigit())


def strings_of(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string inside a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            below = path if key.isdigit() else f"{path}.{key}" if path else key
            yield from strings_of(inner, words_path(below))
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner, path)


def _terms(entry: Entry) -> tuple[list[str], list[str]]:
    tokens: set[str] = set()
    stems: list[str] = []
    for path, text in strings_of(entry.fields):
        end = _SEPARATOR + path
        for word in _WORD.findall(text.casefold()):
            tokens.add((word if len(word) <= _LONGEST else _LONG) + end)
        stems += [stem[:_LONGEST] + end for stem in analyse(text)]
    return list(tokens), stems


class _Committed(msgspec.Struct):
    """What the last commit holds: records up to `seq`, and everything older than the log."""

    version: int
    seq: int
    position: int
    entries: int


class _CommittedFile:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "committed.json"

    def read(self) -> _Committed | None:
        try:
            committed = msgspec.json.decode(self.path.read_bytes(), type=_Committed)
        except (OSError, msgspec.DecodeError):
            return None
        return committed if committed.version == VERSION else None

    def write(self, committed: _Committed) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(committed))
        os.replace(temporary, self.path)


class WordsWriter:
    """Brings Whoosh up to date behind the changes, in a thread of the keeper's process."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._file = _CommittedFile(folder)
        self._stop = threading.Event()
        self._rebuild = threading.Event()
        self._committed = _Committed(VERSION, -1, 0, 0)
        self._thread = threading.Thread(target=self._run, name="words", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stop.set()
        self._thread.join()

    def rebuild(self) -> None:
        """Throw the index away and make it again, in the background."""
        self._rebuild.set()

    def committed(self) -> tuple[int, int]:
        """Number of the last record that is in the index (-1: it is being made), and its entries."""
        return self._committed.seq, self._committed.entries

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._keep_up()
            except Exception as error:
                # Whoosh raises whatever its parts do on damaged files; the index is a cache.
                logger.warning("the word index is made again: %s", type(error).__name__)
                self._remove()
                self._stop.wait(_COMMIT_SECONDS)

    def _keep_up(self) -> None:
        found = self._file.read()
        if found is None or not whoosh_index.exists_in(str(self._folder)):
            self._create()
        else:
            self._committed = found
        index = whoosh_index.open_dir(str(self._folder))
        try:
            while not self._stop.is_set() and not self._rebuild.is_set():
                if self._store.position != self._committed.position:
                    self._catch_up(index)
                self._stop.wait(_COMMIT_SECONDS)
        finally:
            index.close()
        if self._rebuild.is_set():
            self._rebuild.clear()
            self._remove()

    def _remove(self) -> None:
        self._committed = _Committed(VERSION, -1, 0, 0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _create(self) -> None:
        """Make the index from all entries in memory."""
        self._remove()
        self._folder.mkdir(parents=True)
        index = whoosh_index.create_in(str(self._folder), _schema())
        with self._store.state.lock:
            seq, position = self._store.state.seq, self._store.position
            entries = [e for e in self._store.state.entries.values() if e.form != MANIFEST]
        writer = index.writer(limitmb=_MEMORY_MB)
        try:
            for number, entry in enumerate(entries):
                if self._stop.is_set():
                    writer.cancel()
                    self._remove()
                    return
                _add(writer, entry)
                if number % 50 == 0:
                    time.sleep(0)
        except BaseException:
            writer.cancel()
            raise
        writer.commit()
        index.close()
        self._note(seq, position, len(entries))

    def _note(self, seq: int, position: int, entries: int) -> None:
        self._committed = _Committed(VERSION, seq, position, entries)
        self._file.write(self._committed)

    def _catch_up(self, index: Any) -> None:
        """Take over the records since the last commit."""
        with self._store.state.lock:
            seq, stop = self._store.state.seq, self._store.position
        gone: set[str] = set()
        trees: set[str] = set()
        changed: set[str] = set()
        for record, _ in self._store.log.read(self._committed.position, stop):
            _note_slugs(record, changed, gone, trees)
        with self._store.state.lock:
            state = self._store.state
            entries = {slug: state.entries[slug] for slug in changed if slug in state.entries}
            for tree in trees:
                entries.update((entry.slug, entry) for entry in state.below(tree))
            seq, count = max(seq, state.seq), len(state.entries)
        try:
            writer = index.writer(limitmb=_MEMORY_MB)
        except LockError:
            return
        try:
            for slug in changed | gone | trees:
                writer.delete_by_term("slug", slug)
            for tree in trees | gone:
                writer.delete_by_query(Prefix("slug", tree + "/"))
            for entry in entries.values():
                if entry.form != MANIFEST:
                    _add(writer, entry)
        except BaseException:
            writer.cancel()
            raise
        writer.commit()
        # Entries were taken as they were after `stop`: a record that came later is taken over once more.
        self._note(min(seq, self._seq_at(stop, seq)), stop, count)

    def _seq_at(self, position: int, seq: int) -> int:
        following = next(self._store.log.read(position, self._store.log.head()), None)
        return following[0].seq - 1 if following is not None else seq


def _note_slugs(record: Record, changed: set[str], gone: set[str], trees: set[str]) -> None:
    for effect in record.changes:
        if effect.op == "put" or effect.op == "delete":
            changed.add(effect.slug)
        elif effect.op == "rmtree":
            gone.add(effect.slug)
            changed.update(effect.images)
        else:
            trees.add(effect.to)
            if effect.op == "move":
                gone.add(effect.slug)


def _add(writer: Any, entry: Entry) -> None:
    tokens, stems = _terms(entry)
    writer.add_document(slug=entry.slug, tokens=tokens, stems=stems)


class _Segment:
    """One segment of Whoosh's, which never changes but for its deletions; what was read of it is kept."""

    def __init__(self, reader: Any, state: State) -> None:
        column = reader.column_reader("slug")
        entries = state.entries
        self.nums = array("q", (_num(entries.get(column[doc])) for doc in range(reader.doc_count_all())))
        self.docs: dict[tuple[str, str], array[int]] = {}
        self.lexicon: str | None = None

    def documents(self, reader: Any, family: str, term: str) -> array[int]:
        """The documents with a term, deleted ones too."""
        found = self.docs.get((family, term))
        if found is None:
            found = array("I")
            if (family, term) in reader:
                found.extend(reader.postings(family, term).all_ids())
            self.docs[family, term] = found
        return found

    def terms(self, reader: Any, family: str) -> str:
        """All terms of a family, one a line."""
        if self.lexicon is None:
            self.lexicon = "\n" + "\n".join(_text(term) for term in reader.lexicon(family)) + "\n"
        return self.lexicon


def _num(entry: Entry | None) -> int:
    return entry.num if entry is not None else -1


def _text(term: Any) -> str:
    return term.decode() if isinstance(term, bytes) else str(term)


class Words:
    """Reads the word index. Any thread may call; answers are sets of entry numbers (`Entry.num`)."""

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self._file = _CommittedFile(folder)
        self._state = state
        self._lock = threading.RLock()
        self._looked = 0.0
        self._stamp: tuple[int, int] | None = None
        self._segments: dict[str, _Segment] = {}
        self._leaves: list[tuple[Any, _Segment, frozenset[int]]] = []
        self._index: Any = None
        self._reader: Any = None
        self._cache: dict[tuple[str, str], BitMap] = {}
        self._recent: list[tuple[int, int]] | None = None
        self._dirty = BitMap()
        self._lexicon_hits: dict[tuple[str, str], list[str]] = {}

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        self._leaves = []
        if self._reader is not None:
            self._reader.close()
            self._index.close()
        self._reader = self._index = None

    def touched(self, entry: Entry) -> None:
        """Note that an entry changed. Under the state's lock."""
        if self._recent is not None:
            self._recent.append((entry.seq, entry.num))
            self._dirty.add(entry.num)

    def refresh(self) -> bool:
        """Take over the last commit, looking for one every so often; False while there is no index."""
        now = time.monotonic()
        if now - self._looked < _REFRESH_SECONDS:
            return self._reader is not None
        with self._lock:
            self._looked = now
            try:
                status = os.stat(self._file.path)
            except OSError:
                self._drop()
                self._stamp = None
                return False
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._stamp = stamp if self._open() else None
            return self._reader is not None

    def _open(self) -> bool:
        committed = self._file.read()
        if committed is None:
            self._drop()
            return False
        try:
            index = whoosh_index.open_dir(str(self._folder))
            reader = index.reader()
            with self._state.lock:
                leaves = [self._leaf(leaf) for leaf, _ in reader.leaf_readers()]
                self._drop()
                self._index, self._reader, self._leaves = index, reader, leaves
                self._mark_dirty(committed.seq)
                self._cache = {}
                self._lexicon_hits = {}
        except Exception as error:
            # Whatever Whoosh raises on damaged files: the keeper makes the index again.
            logger.warning("the word index cannot be read: %s", type(error).__name__)
            return False
        kept = {id(segment) for _, segment, _ in self._leaves}
        self._segments = {name: seg for name, seg in self._segments.items() if id(seg) in kept}
        return True

    def _leaf(self, reader: Any) -> tuple[Any, _Segment, frozenset[int]]:
        name = str(reader.segment().segment_id())
        segment = self._segments.get(name)
        if segment is None:
            segment = self._segments[name] = _Segment(reader, self._state)
        return reader, segment, frozenset(reader.deleted_docs_set())

    def _mark_dirty(self, seq: int) -> None:
        if self._recent is None:
            entries = self._state.entries.values()
            recent = [(entry.seq, entry.num) for entry in entries if entry.seq > seq and entry.num >= 0]
        else:
            recent = [(changed, num) for changed, num in self._recent if changed > seq]
        self._recent = recent
        self._dirty = BitMap(num for _, num in recent)

    # --- asking -------------------------------------------------------------------------------------

    def containing(self, path: str, needle: str) -> BitMap | None:
        """Entries that may have a string at `path` with `needle` in it; None: any may."""
        if not self.refresh():
            return None
        folded = needle.casefold()
        runs = list(_WORD.finditer(folded))
        with self._lock:
            found: BitMap | None = None
            for run in runs:
                whole_left, whole_right = run.start() > 0, run.end() < len(folded)
                word = run.group()
                if len(word) > _LONGEST or (len(word) < _SHORTEST and not (whole_left and whole_right)):
                    continue
                if whole_left and whole_right:
                    words = [word]
                else:
                    words = self._lookup(word, path, whole_left, whole_right)
                hits = self._union("tokens", [*words, _LONG], path)
                found = hits if found is None else found & hits
            return None if found is None else found | self._dirty

    def with_words(self, path: str, stems: Iterable[str]) -> tuple[BitMap, BitMap] | None:
        """Entries that have all `stems` at `path` for sure, and those that possibly do; None: any may."""
        if not self.refresh():
            return None
        with self._lock:
            found: BitMap | None = None
            for stem in stems:
                stem = stem[:_LONGEST]
                hits = self._anywhere(stem) if path == ANYWHERE else self._union("stems", [stem], path)
                found = hits if found is None else found & hits
            if found is None:
                return None
            return found - self._dirty, found | self._dirty

    def _anywhere(self, stem: str) -> BitMap:
        key = ("stems", stem + _SEPARATOR + ANYWHERE)
        found = self._cache.get(key)
        if found is None:
            terms = {
                _text(t)
                for leaf, _, _ in self._leaves
                for t in leaf.expand_prefix("stems", stem + _SEPARATOR)
            }
            found = BitMap()
            for term in terms:
                found |= self._posting("stems", term)
            self._cache[key] = found
        return found

    def _union(self, family: str, words: list[str], path: str) -> BitMap:
        found = BitMap()
        for word in words:
            found |= self._posting(family, word + _SEPARATOR + path)
        return found

    def _posting(self, family: str, term: str) -> BitMap:
        found = self._cache.get((family, term))
        if found is None:
            found = BitMap()
            for reader, segment, deleted in self._leaves:
                nums = segment.nums
                docs = segment.documents(reader, family, term)
                found |= BitMap([nums[doc] for doc in docs if doc not in deleted and nums[doc] >= 0])
            self._cache[family, term] = found
        return found

    def _lookup(self, word: str, path: str, whole_left: bool, whole_right: bool) -> list[str]:
        """The words at `path` that hold `word`: anywhere, or at the end that the needle goes on from."""
        pattern = ("\n" if whole_left else "") + word + (_SEPARATOR if whole_right else "")
        key = (pattern, path)
        found = self._lexicon_hits.get(key)
        if found is None:
            end = _SEPARATOR + path
            lines = {
                line
                for leaf, seg, _ in self._leaves
                for line in _lines_with(seg.terms(leaf, "tokens"), pattern)
            }
            found = [line[: -len(end)] for line in lines if line.endswith(end) and word in line[: -len(end)]]
            self._lexicon_hits[key] = found
        return found


def _lines_with(text: str, pattern: str) -> Iterator[str]:
    at = text.find(pattern)
    while at >= 0:
        start = text.rfind("\n", 0, at + 1) + 1
        stop = text.index("\n", start)
        yield text[start:stop]
        at = text.find(pattern, stop)
