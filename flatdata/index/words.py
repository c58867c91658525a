"""Words: what terms an entry has, and finding entries by them.

Each string of an entry is cut into words (`\\w+`, case-folded); a term is `<word>\\x1f<path>`, where the path
is the dotted one of the string, without places in lists. From the words of a text that are no stop words
come its stems: searches for words compare those, searches for substrings look at the words themselves.

The keeper writes the terms to Whoosh (`flatdata.index.words_writer`), behind the changes; every process reads
them here. What a reader may see: Whoosh is behind by a second or so, on a first start by much more. Entries
that changed since its last commit are marked, and left to the evaluator.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from array import array
from collections.abc import Hashable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
from pyroaring import BitMap

from flatdata.index.errors import BrokenWords
from flatdata.query.tree import Json
from flatdata.store.entry import Entry
from flatdata.store.state import State

if TYPE_CHECKING:
    from flatdata.index.whoosh_adapter import Segment, WhooshIndex

VERSION: Final = 3
LONGEST: Final = 64
"""Words of more characters share one term."""
ANYWHERE: Final = "*"
"""The path of a search in all strings of an entry."""
_SHORTEST: Final = 3
_REFRESH_SECONDS: Final = 0.2
_LONG: Final = "\x01"
_SEPARATOR: Final = "\x1f"
_WORD: Final = re.compile(r"\w+")
_PLAIN_PATH: Final = str.maketrans({"\n": " ", _SEPARATOR: " "})
"""Characters of keys that separate terms from each other, or words from paths."""
_MOST_ANSWERS: Final = 200_000
"""Entries or words in all the answers of a kind that are remembered."""
_TRIES: Final = 3
"""So often an index that cannot be read is tried again before it is thrown away."""

_Answer = TypeVar("_Answer", BitMap, list[str], "array[int]", dict[int, int], "Counts")

logger = logging.getLogger("flatdata.words")


# --- what is in a text --------------------------------------------------------------------------------


@lru_cache(maxsize=100_000)
def _stem_of(word: str) -> str | None:
    from flatdata.index.whoosh_adapter import STOP_WORDS, stem  # not needed to open a site

    return None if word in STOP_WORDS else str(stem(word))[:LONGEST]  # type: ignore[no-untyped-call]


def analyse(text: str) -> list[str]:
    """The words of a text as searches compare them: case-folded, without English stop words, stemmed."""
    return [stemmed for word in _WORD.findall(text.casefold()) if (stemmed := _stem_of(word)) is not None]


def words_path(path: str) -> str:
    """A dotted path without its places in lists: all elements of a list share the path of the list."""
    path = path.translate(_PLAIN_PATH)
    if not any(character.isdigit() for character in path):
        return path
    return ".".join(segment for segment in path.split(".") if not segment.isdigit())


def has_odd_keys(value: Json) -> bool:
    """Whether several strings in a value may have one path: a key is empty, or `words_path` changes it."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if any(not key or "." in key or words_path(key) != key for key in value):
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def strings_of(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string inside a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings_of(inner, words_path(f"{path}.{key}" if path else key))
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner, path)


def terms_of(entry: Entry) -> dict[str, int]:
    """The terms of an entry, and how often each occurs."""
    terms: dict[str, int] = {}
    for path, text in strings_of(entry.fields):
        end = _SEPARATOR + path
        for word in _WORD.findall(text.casefold()):
            term = (word if len(word) <= LONGEST else _LONG) + end
            terms[term] = terms.get(term, 0) + 1
    return terms


# --- how far the index got ------------------------------------------------------------------------------


class Committed(msgspec.Struct):
    """What the last commit holds: records up to `seq` (those before `position`), and what is older.

    `epoch` is that of the log, `generation` the one of Whoosh's index.
    """

    version: int
    epoch: str
    generation: int
    seq: int
    position: int
    entries: int


class CommittedFile:
    """Where `Committed` is written after each commit."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "committed.json"

    def read(self) -> Committed | None:
        """The last one, None if there is none or it is another version's."""
        try:
            committed = msgspec.json.decode(self.path.read_bytes(), type=Committed)
        except (OSError, msgspec.DecodeError):
            return None
        return committed if committed.version == VERSION else None

    def write(self, committed: Committed) -> None:
        """Replace it. Raises OSError."""
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(committed))
        os.replace(temporary, self.path)

    def exists(self) -> bool:
        """Whether it is there."""
        return self.path.exists()

    def remove(self) -> None:
        """Have the index made anew: its writer looks every so often whether this file is there."""
        with contextlib.suppress(OSError):
            self.path.unlink()


# --- reading --------------------------------------------------------------------------------------------


class Counts:
    """How often a stem occurs in each of the entries that have it: mostly once."""

    def __init__(self) -> None:
        self.nums = BitMap()
        self._repeated: dict[int, int] = {}
        self._often = BitMap()

    def __len__(self) -> int:
        return len(self.nums)

    def among(self, found: BitMap) -> list[int]:
        """How often it occurs in each entry of `found`, in the order of their numbers."""
        counts = [1] * len(found)
        if found.intersection_cardinality(self.nums) < len(found):
            counts = list(map(int, map(self.nums.__contains__, found.to_array())))
        for num in (found & self._often).to_array():
            counts[found.rank(num) - 1] = self._repeated[num]
        return counts

    def add(self, nums: BitMap, repeated: dict[int, int]) -> None:
        """Add how often another word occurs: once in `nums` but for those that are `repeated`."""
        known = self._repeated
        for num in (self.nums & nums).to_array():
            known[num] = known.get(num, 1) + repeated.get(num, 1)
        known.update((num, count) for num, count in repeated.items() if num not in self.nums)
        self.nums |= nums
        self._often = BitMap(known)


class _Held:
    """What was read of one segment; it stays true for as long as the segment lives."""

    def __init__(self, segment: Segment, state: State) -> None:
        entries = state.entries
        self.nums = array("q", (_num(entries.get(slug)) for slug in segment.slugs()))
        self.complete = min(self.nums, default=0) >= 0
        self.documents: _Answers[array[int]] = _Answers()
        self.repeated: _Answers[dict[int, int]] = _Answers()
        lexicon = segment.lexicon()
        self.lexicon = "\n" + "\n".join(lexicon) + "\n"
        self.by_stem: dict[str, list[str]] = {}
        for term in lexicon:
            word = term.partition(_SEPARATOR)[0]
            stemmed = _stem_of(word) if word != _LONG else _LONG
            if stemmed is not None:
                self.by_stem.setdefault(stemmed, []).append(term)


class _Answers(Generic[_Answer]):
    """Answers to what was asked before; all are forgotten when there are too many."""

    def __init__(self) -> None:
        self._held: dict[Hashable, _Answer] = {}
        self._weight = 0

    def get(self, key: Hashable) -> _Answer | None:
        return self._held.get(key)

    def keep(self, key: Hashable, answer: _Answer) -> _Answer:
        self._weight += len(answer) + 1
        if self._weight > _MOST_ANSWERS:
            self._held.clear()
            self._weight = 0
        self._held[key] = answer
        return answer


class _View:
    """The index as of one commit."""

    def __init__(self, index: WhooshIndex, segments: list[tuple[Segment, _Held]]) -> None:
        self.index = index
        self.segments = segments
        self.postings: _Answers[BitMap] = _Answers()
        self.stems: _Answers[BitMap] = _Answers()
        self.holding: _Answers[list[str]] = _Answers()
        self.counts: _Answers[Counts] = _Answers()

    def close(self) -> None:
        for segment, _ in self.segments:
            segment.close()
        self.index.close()


class Words:
    """Reads the word index. Answers are sets of entry numbers (`Entry.num`).

    `refresh` is called without locks and does what takes long; questions are asked under the state's lock.
    """

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self._file = CommittedFile(folder)
        self._state = state
        self._refreshing = threading.Lock()
        self._looked = 0.0
        self._stamp: tuple[int, int] | None = None
        self._held: dict[str, _Held] = {}
        self._view: _View | None = None
        self._recent: list[tuple[int, int]] | None = None
        self._dirty = BitMap()
        self._failures = 0
        self._era = 0

    def close(self) -> None:
        """Let go of the files."""
        with self._refreshing, self._state.lock:
            self._show(None)

    def forget(self) -> None:
        """Note that all entries have other numbers now. Under the state's lock."""
        self._era += 1
        self._stamp = None
        self._held = {}
        self._show(None)

    def touched(self, entry: Entry) -> None:
        """Note that an entry changed. Under the state's lock."""
        if self._recent is not None:
            self._recent.append((entry.seq, entry.num))
            self._dirty.add(entry.num)

    def refresh(self) -> None:
        """Take over the last commit, looking for one every so often. Without the state's lock."""
        if time.monotonic() - self._looked < _REFRESH_SECONDS or not self._refreshing.acquire(blocking=False):
            return
        try:
            self._looked = time.monotonic()
            stamp = self._stamp_of_file()
            if stamp != self._stamp and self._take_over():
                self._stamp = stamp
        finally:
            self._refreshing.release()

    def _stamp_of_file(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._file.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _take_over(self) -> bool:
        """Read the last commit; False if this is not the moment for it."""
        committed = self._file.read()
        if committed is not None and (committed.epoch, True) != (
            self._state.epoch,
            committed.seq <= self._state.seq,
        ):
            # Numbers are those of the entries as they are here: this process has to follow first.
            return False
        era = self._era
        view: _View | None = None
        held: dict[str, _Held] = {}
        if committed is not None:
            try:
                view, held, generation = self._open()
            except BrokenWords as error:
                self._failed(error)
                return False
            if generation not in (None, committed.generation):
                # Another commit, of which nothing is known yet.
                _close(view)
                return False
        with self._state.lock:
            if era != self._era:
                if view is not None:
                    _close(view)
                return False
            self._held = held
            self._show(view)
            if committed is not None:
                self._mark_dirty(committed.seq)
        self._failures = 0
        return True

    def _open(self) -> tuple[_View, dict[str, _Held], int | None]:
        from flatdata.index.whoosh_adapter import WhooshIndex

        index = WhooshIndex.open(self._folder)
        generation, listed = index.segments()
        known = self._held
        held = {each.name: known.get(each.name) or _Held(each, self._state) for each in listed}
        return _View(index, [(each, held[each.name]) for each in listed]), held, generation

    def _failed(self, error: BrokenWords) -> None:
        """Try again; an index that cannot be read time and again is thrown away."""
        logger.warning("the word index cannot be read: %s", error)
        self._failures += 1
        if self._failures >= _TRIES:
            self._failures = 0
            self._file.remove()

    def _show(self, view: _View | None) -> None:
        old, self._view = self._view, view
        if view is None:
            self._recent = None
            self._dirty = BitMap()
        if old is not None:
            _close(old)

    def _mark_dirty(self, seq: int) -> None:
        if self._recent is None:
            changed = [(entry.seq, entry.num) for entry in self._state.entries.values() if entry.seq > seq]
        else:
            changed = [(at, num) for at, num in self._recent if at > seq]
        self._recent = changed
        self._dirty = BitMap([num for _, num in changed if num >= 0])

    # --- questions, under the state's lock --------------------------------------------------------------

    def containing(self, path: str, needle: str) -> BitMap | None:
        """Entries that may have a string at `path` with `needle` in it; None: any may."""
        view = self._view
        if view is None:
            return None
        folded = needle.casefold()
        found: BitMap | None = None
        try:
            for run in _WORD.finditer(folded):
                word, begins, ends = run.group(), run.start() > 0, run.end() < len(folded)
                if len(word) > LONGEST or (len(word) < _SHORTEST and not (begins and ends)):
                    continue
                words = [word] if begins and ends else _words_with(view, word, path, begins, ends)
                terms = [each + _SEPARATOR + path for each in (*words, _LONG)]
                hits = _union(_posting(view, term) for term in terms)
                found = hits if found is None else found & hits
        except BrokenWords as error:
            self._give_up(error)
            return None
        return None if found is None else found | self._dirty

    def within_words(self, path: str, needle: str) -> BitMap:
        """Entries with a word at `path` that holds a case-folded needle: some of what `containing` gives."""
        view = self._view
        if view is None or not _WORD.fullmatch(needle) or len(needle) > LONGEST:
            return BitMap()
        try:
            words = _words_with(view, needle, path, begins=False, ends=False)
            hits = _union(_posting(view, each + _SEPARATOR + path) for each in words if each != _LONG)
        except BrokenWords as error:
            self._give_up(error)
            return BitMap()
        return hits - self._dirty

    def with_stems(self, path: str, stems: Iterable[str]) -> tuple[BitMap, BitMap] | None:
        """Entries that have all `stems` at `path` for sure, and those that possibly do; None: any may.

        The sets are not to be changed; they are one object where nothing is left open.
        """
        view = self._view
        if view is None:
            return None
        sure: BitMap | None = None
        try:
            for stemmed in stems:
                hits = _with_stem(view, stemmed, path)
                sure = hits if sure is None else sure & hits
            if sure is None:
                return None
            long = _with_stem(view, _LONG, path)
        except BrokenWords as error:
            self._give_up(error)
            return None
        if not self._dirty and not long:
            return sure, sure
        return sure - self._dirty, sure | long | self._dirty

    def counts(self, paths: tuple[str, ...], stems: Iterable[str]) -> list[Counts] | None:
        """How often each of `stems` occurs at all `paths` together; None if that is not known.

        It is what the last commit says: of entries that are `behind` it is not true.
        """
        view = self._view
        if view is None:
            return None
        try:
            return [_counts(view, stemmed, paths) for stemmed in stems]
        except BrokenWords as error:
            self._give_up(error)
            return None

    @property
    def behind(self) -> BitMap:
        """Entries that changed since the last commit. Not to be changed."""
        return self._dirty

    def _give_up(self, error: BrokenWords) -> None:
        self._failed(error)
        self._held = {}
        self._stamp = None
        self._show(None)


def _close(view: _View) -> None:
    try:
        view.close()
    except BrokenWords as error:
        logger.warning("the word index cannot be closed: %s", error)


def _num(entry: Entry | None) -> int:
    return entry.num if entry is not None else -1


def _union(sets: Iterable[BitMap]) -> BitMap:
    listed = list(sets)
    return BitMap.union(*listed) if len(listed) > 1 else listed[0] if listed else BitMap()


def _posting(view: _View, term: str) -> BitMap:
    found = view.postings.get(term)
    if found is None:
        found = BitMap()
        for segment, held in view.segments:
            documents = _documents(segment, held, term)
            nums, deleted = held.nums, segment.deleted
            if held.complete and not deleted:
                found |= BitMap(array("I", map(nums.__getitem__, documents)))
            else:
                found |= BitMap(
                    [nums[number] for number in documents if number not in deleted and nums[number] >= 0]
                )
        view.postings.keep(term, found)
    return found


def _documents(segment: Segment, held: _Held, term: str) -> array[int]:
    documents = held.documents.get(term)
    return held.documents.keep(term, segment.documents(term)) if documents is None else documents


def _counts(view: _View, stemmed: str, paths: tuple[str, ...]) -> Counts:
    key = (stemmed, paths)
    found = view.counts.get(key)
    if found is None:
        found = Counts()
        ends = tuple(_SEPARATOR + path for path in paths)
        for term in {term for _, held in view.segments for term in held.by_stem.get(stemmed, ())}:
            if term.endswith(ends):
                found.add(_posting(view, term), _repeated(view, term))
        view.counts.keep(key, found)
    return found


def _repeated(view: _View, term: str) -> dict[int, int]:
    """How often entries have a term that have it more than once."""
    repeated: dict[int, int] = {}
    for segment, held in view.segments:
        counts = held.repeated.get(term)
        if counts is None:
            counts = held.repeated.keep(term, segment.repeated(term))
        nums, deleted = held.nums, segment.deleted
        repeated.update(
            (nums[number], count)
            for number, count in counts.items()
            if number not in deleted and nums[number] >= 0
        )
    return repeated


def _with_stem(view: _View, stemmed: str, path: str) -> BitMap:
    key = (stemmed, path)
    found = view.stems.get(key)
    if found is None:
        end = _SEPARATOR + path
        terms = {term for _, held in view.segments for term in held.by_stem.get(stemmed, ())}
        found = _union(_posting(view, term) for term in terms if path == ANYWHERE or term.endswith(end))
        view.stems.keep(key, found)
    return found


def _words_with(view: _View, word: str, path: str, begins: bool, ends: bool) -> list[str]:
    """The words at `path` that hold `word`: at their beginning, at their end, as a whole or anywhere."""
    pattern = ("\n" if begins else "") + word + (_SEPARATOR if ends else "")
    key = (pattern, path)
    found = view.holding.get(key)
    if found is None:
        end = _SEPARATOR + path
        lines = {line for _, held in view.segments for line in _lines_with(held.lexicon, pattern)}
        words = [line[: -len(end)] for line in lines if line.endswith(end)]
        found = view.holding.keep(key, [each for each in words if word in each])
    return found


def _lines_with(text: str, pattern: str) -> Iterator[str]:
    at = text.find(pattern)
    while at >= 0:
        start = text.rfind("\n", 0, at + 1) + 1
        stop = text.index("\n", start)
        yield text[start:stop]
        at = text.find(pattern, stop)
