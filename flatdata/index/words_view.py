"""The word index as one commit left it: which entries have which words at which paths.

Answers are sets of entry numbers (`Entry.num`). What was read of a segment stays true while the segment
lives, and goes over to the views of later commits; what was asked of a view ends with it.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping
from operator import add, eq
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pyroaring import BitMap

from flatdata.index.terms import LONG, LONGEST, SEPARATOR, SHARED, WORD, beginnings_of, stem_of
from flatdata.store.entry import Entry

if TYPE_CHECKING:
    from flatdata.index.whoosh_adapter import Segment, WhooshIndex

_SHORTEST: Final = 3
_MOST_ANSWERS: Final = 200_000
"""Entries or words in all the answers of a kind that are remembered, at least."""
_ANSWERS_AN_ENTRY: Final = 4
"""Of answers that are sets, so many times as many entries as there are: words that are in a third of
all entries must not drive each other out."""
_NONE: Final = BitMap()

_Documents = Mapping[int, "array[int]"]
"""Documents of a segment that have a term more than once, by how often."""
_Answer = TypeVar("_Answer", BitMap, list[str], "array[int]", _Documents, "Counts")


class Counts:
    """How often a stem occurs in each of the entries that have it: mostly once.

    Args:
        nums: the entries that have it.
        repeated: those that have it more often, by how often.
    """

    def __init__(self, nums: BitMap = _NONE, repeated: Mapping[int, BitMap] | None = None) -> None:
        self.nums = nums
        self._repeated = dict(sorted(repeated.items())) if repeated else {}
        self._often = BitMap.union(_NONE, *self._repeated.values())

    def __len__(self) -> int:
        return len(self.nums) + len(self._often)

    def unlike_once(self, found: BitMap) -> BitMap:
        """Those of `found` in which it does not occur exactly once."""
        often = found & self._often
        return often if found.issubset(self.nums) else (found - self.nums) | often

    def apart(self, found: BitMap, few: int) -> list[tuple[BitMap, bool]]:
        """`found` in sets of entries in which it occurs equally often, and whether it does at all.

        A set of at most `few` entries may be mixed.
        """
        often = found & self._often
        without = found - self.nums
        sets = [(without, False), (found - often - without, True)]
        for nums in self._repeated.values():
            if len(often) <= few:
                break
            sets.append((often & nums, True))
            often = often - nums
        sets.append((often, True))
        return [(nums, occurs) for nums, occurs in sets if nums]

    def frequencies(self, entries: BitMap, place_of: Mapping[int, int]) -> list[int]:
        """How often it occurs in each of `entries`; `place_of` tells from their numbers in which order."""
        counts = [1] * len(entries)
        often = entries & self._often
        without = entries - self.nums
        if not often and not without:
            return counts
        for num in without.to_array():
            counts[place_of[num]] = 0
        for count, nums in self._repeated.items():
            if not often:
                break
            # Few occur very often.
            here = often & nums
            often -= here
            for num in here.to_array():
                counts[place_of[num]] = count
        return counts

    def with_word(self, other: Counts) -> Counts:
        """The same together with those of another word."""
        both = self.nums & other.nums
        repeated = {count: nums - both for count, nums in self._repeated.items()}
        for count, nums in other._repeated.items():
            repeated[count] = repeated.get(count, _NONE) | (nums - both)
        summed: dict[int, list[int]] = {}
        places = places_of(both)
        counts = map(add, self.frequencies(both, places), other.frequencies(both, places))
        for num, count in zip(both.to_array(), counts, strict=True):
            summed.setdefault(count, []).append(num)
        for count, listed in summed.items():
            repeated[count] = repeated.get(count, _NONE) | BitMap(listed)
        return Counts(self.nums | other.nums, {count: nums for count, nums in repeated.items() if nums})


def places_of(entries: BitMap) -> dict[int, int]:
    """The places of entries in the order of their numbers."""
    return dict(zip(entries.to_array(), range(len(entries)), strict=True))


class _Answers(Generic[_Answer]):
    """Answers to what was asked before; those asked last are kept. Under the state's lock.

    Args:
        most: how much may be remembered, if that is more than for every kind.
    """

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._held: dict[Hashable, _Answer] = {}
        self._weight = 0

    def get(self, key: Hashable) -> _Answer | None:
        found = self._held.pop(key, None)
        if found is not None:
            self._held[key] = found
        return found

    def keep(self, key: Hashable, answer: _Answer) -> _Answer:
        if (before := self._held.pop(key, None)) is not None:
            self._weight -= _weight(before)
        self._held[key] = answer
        self._weight += _weight(answer)
        while self._weight > max(_MOST_ANSWERS, self._most):
            self._weight -= _weight(self._held.pop(next(iter(self._held))))
        return answer


def _weight(answer: BitMap | list[str] | array[int] | _Documents | Counts) -> int:
    listed = answer.values() if isinstance(answer, dict) else (answer,)
    return sum(map(len, listed)) + 1


class Held:
    """What was read of one segment; it stays true for as long as the segment lives.

    Args:
        segment: the segment.
        entries: all entries by slug, for their numbers.
    """

    def __init__(self, segment: Segment, entries: Mapping[str, Entry]) -> None:
        self.nums = array("q", (_num(entries.get(slug)) for slug in segment.slugs()))
        self.complete = min(self.nums, default=0) >= 0
        self.same = all(map(eq, self.nums, range(len(self.nums))))
        """Whether the numbers of the documents are those of their entries, as after a first start."""
        self.documents: _Answers[array[int]] = _Answers(_ANSWERS_AN_ENTRY * len(self.nums))
        self.repeated: _Answers[_Documents] = _Answers()
        lexicon = segment.lexicon()
        self.lexicon = "\n" + "\n".join(lexicon) + "\n"
        """All terms, a line each, in order."""
        self._terms: _Answers[list[str]] = _Answers()

    def terms(self, stemmed: str) -> list[str]:
        """The terms of the words that have a stem, at whatever path. Not to be changed.

        Only words are looked at that may have it. To find the stem of each word takes 17 µs: of 100,000
        different ones nearly two seconds, in the first request after a start, and the lists take more memory
        than the terms do.
        """
        found = self._terms.get(stemmed)
        if found is None:
            found = list(self._find(stemmed)) if stemmed else []
            self._terms.keep(stemmed, found)
        return found

    def _find(self, stemmed: str) -> Iterator[str]:
        last, has_stem = "", False
        for beginning in beginnings_of(stemmed):
            for term in lines_beginning(self.lexicon, beginning):
                word = term.partition(SEPARATOR)[0]
                if word != last:
                    last, has_stem = word, stem_of(word) == stemmed
                if has_stem:
                    yield term


class View:
    """The index as of one commit. All questions raise BrokenWords; their answers are not to be changed.

    Args:
        index: the files, which are closed with the view.
        segments: the segments of the commit, and what was read of each.
    """

    def __init__(self, index: WhooshIndex, segments: list[tuple[Segment, Held]]) -> None:
        self._index = index
        self._segments = segments
        most = _ANSWERS_AN_ENTRY * sum(len(held.nums) for _, held in segments)
        self.postings: _Answers[BitMap] = _Answers(most)
        self.stems: _Answers[BitMap] = _Answers(most)
        self._anywhere: _Answers[BitMap] = _Answers(most)
        self.holding: _Answers[list[str]] = _Answers()
        self._counts: _Answers[Counts] = _Answers(2 * most)

    @classmethod
    def open(
        cls, folder: Path, entries: Mapping[str, Entry], known: Mapping[str, Held]
    ) -> tuple[View, dict[str, Held], int | None]:
        """The last commit in a folder; `known` is what was read of segments before, by their names.

        Gives the view, what is known of its segments, and the commit's number (None for an empty index).
        """
        from flatdata.index.whoosh_adapter import WhooshIndex  # not needed to open a site

        index = WhooshIndex.open(folder)
        generation, listed = index.segments()
        held = {each.name: known.get(each.name) or Held(each, entries) for each in listed}
        return cls(index, [(each, held[each.name]) for each in listed]), held, generation

    def close(self) -> None:
        """Let go of the files."""
        for segment, _ in self._segments:
            segment.close()
        self._index.close()

    # --- questions ----------------------------------------------------------------------------------------

    def containing(self, path: str, needle: str) -> BitMap | None:
        """Entries that may have a string at `path` with `needle` in it; None: any may."""
        folded = needle.casefold()
        found: BitMap | None = None
        for run in WORD.finditer(folded):
            word, begins, ends = run.group(), run.start() > 0, run.end() < len(folded)
            if len(word) > LONGEST or (len(word) < _SHORTEST and not (begins and ends)):
                continue
            words = [word] if begins and ends else self._words_with(word, path, begins, ends)
            terms = [each + SEPARATOR + path for each in (*words, LONG)]
            hits = _union(map(self._posting, terms))
            found = hits if found is None else found & hits
        return found

    def within_words(self, path: str, needle: str) -> BitMap:
        """Some of what `containing` gives: entries with a word at `path` that holds a case-folded needle.

        Those are left out in which keys of other paths lead to it too.
        """
        if not WORD.fullmatch(needle) or len(needle) > LONGEST:
            return BitMap()
        words = self._words_with(needle, path, begins=False, ends=False)
        found = _union(self._posting(each + SEPARATOR + path) for each in words if each != LONG)
        return found - self.sharing(path)

    def with_stems(self, path: str, stems: Iterable[str]) -> tuple[BitMap, BitMap] | None:
        """Entries that have all `stems` at `path` for sure, and those that possibly do; None: any may.

        The sets are one object where nothing is left open.
        """
        sure: BitMap | None = None
        for stemmed in stems:
            hits = self._with_stem(stemmed, path)
            sure = hits if sure is None else sure & hits
        if sure is None:
            return None
        long, shared = self._with_stem(LONG, path), self.sharing(path)
        if not long and not shared:
            return sure, sure
        return sure - shared, sure | long

    def with_stem_anywhere(self, paths: tuple[str, ...], stemmed: str) -> BitMap | None:
        """Entries that have a stem at one of `paths`; None where some path leaves anything open."""
        left = self._anywhere.get(paths)
        if left is None:
            sets = [each for path in paths for each in (self._with_stem(LONG, path), self.sharing(path))]
            left = self._anywhere.keep(paths, _union(sets))
        if left:
            return None
        key = (stemmed, paths)
        found = self._anywhere.get(key)
        if found is None:
            found = _union(self._with_stem(stemmed, path) for path in paths)
            self._anywhere.keep(key, found)
        return found

    def counts(self, paths: tuple[str, ...], stems: Iterable[str]) -> list[Counts]:
        """How often each of `stems` occurs at all `paths` together."""
        return [self._counted(stemmed, paths) for stemmed in stems]

    def sharing(self, path: str) -> BitMap:
        """Entries with a string at `path` that keys without a path of their own led to, see `SHARED`."""
        return self._posting(SHARED + SEPARATOR + path)

    # --- looking ------------------------------------------------------------------------------------------

    def _posting(self, term: str) -> BitMap:
        found = self.postings.get(term)
        if found is None:
            found = BitMap()
            for segment, held in self._segments:
                found |= _entries_of(segment, held, _documents(segment, held, term))
            self.postings.keep(term, found)
        return found

    def _with_stem(self, stemmed: str, path: str) -> BitMap:
        key = (stemmed, path)
        found = self.stems.get(key)
        if found is None:
            end = SEPARATOR + path
            found = _union(self._posting(term) for term in self._terms(stemmed) if term.endswith(end))
            self.stems.keep(key, found)
        return found

    def _terms(self, stemmed: str) -> set[str]:
        """The terms of a stem, at whatever path."""
        return {term for _, held in self._segments for term in held.terms(stemmed)}

    def _words_with(self, word: str, path: str, begins: bool, ends: bool) -> list[str]:
        """The words at `path` that hold `word`: at their beginning, at their end, as a whole or anywhere."""
        pattern = ("\n" if begins else "") + word + (SEPARATOR if ends else "")
        key = (pattern, path)
        found = self.holding.get(key)
        if found is None:
            end = SEPARATOR + path
            lines = {line for _, held in self._segments for line in _lines_with(held.lexicon, pattern)}
            words = [line[: -len(end)] for line in lines if line.endswith(end)]
            found = self.holding.keep(key, [each for each in words if word in each])
        return found

    def _counted(self, stemmed: str, paths: tuple[str, ...]) -> Counts:
        key = (stemmed, paths)
        found = self._counts.get(key)
        if found is None:
            found = Counts()
            ends = tuple(SEPARATOR + path for path in paths)
            for term in self._terms(stemmed):
                if term.endswith(ends):
                    word = Counts(self._posting(term), self._repeated(term))
                    found = found.with_word(word) if found.nums else word
            self._counts.keep(key, found)
        return found

    def _repeated(self, term: str) -> dict[int, BitMap]:
        """The entries that have a term more than once, by how often."""
        repeated: dict[int, BitMap] = {}
        for segment, held in self._segments:
            for count, numbers in _repeated_documents(segment, held, term).items():
                repeated[count] = repeated.get(count, _NONE) | _entries_of(segment, held, numbers)
        return {count: nums for count, nums in repeated.items() if nums}


def _entries_of(segment: Segment, held: Held, documents: array[int]) -> BitMap:
    """The entries that documents of a segment are of, as far as these are not deleted."""
    alive = BitMap(documents)
    if segment.deleted:
        alive -= segment.deleted
    if held.same:
        return alive
    nums = map(held.nums.__getitem__, alive.to_array())
    return BitMap(array("I", nums) if held.complete else [num for num in nums if num >= 0])


def _num(entry: Entry | None) -> int:
    return entry.num if entry is not None else -1


def _union(sets: Iterable[BitMap]) -> BitMap:
    listed = list(filter(None, sets))
    return BitMap.union(*listed) if len(listed) > 1 else listed[0] if listed else BitMap()


def _documents(segment: Segment, held: Held, term: str) -> array[int]:
    found = held.documents.get(term)
    if found is not None:
        return found
    documents, repeated = segment.posting(term)
    if repeated:
        # Of most words there is nothing to be kept, and a text may be part of thousands.
        held.repeated.keep(term, repeated)
    return held.documents.keep(term, documents)


def _repeated_documents(segment: Segment, held: Held, term: str) -> _Documents:
    found = held.repeated.get(term)
    return held.repeated.keep(term, segment.posting(term)[1]) if found is None else found


def lines_beginning(text: str, prefix: str) -> Iterator[str]:
    """The lines that begin with `prefix`, of lines in order with a newline before and behind each."""
    low, high = 0, len(text) - 1
    while low < high:
        # The newline before the line in the middle; those at `low` and before it are before shorter ones.
        middle = text.rfind("\n", low, (low + high) // 2 + 1)
        end = text.index("\n", middle + 1)
        if text[middle + 1 : end] < prefix:
            low = end
        else:
            high = middle
    while text.startswith(prefix, low + 1):
        end = text.index("\n", low + 1)
        yield text[low + 1 : end]
        low = end


def _lines_with(text: str, pattern: str) -> Iterator[str]:
    at = text.find(pattern)
    while at >= 0:
        start = text.rfind("\n", 0, at + 1) + 1
        stop = text.index("\n", start)
        yield text[start:stop]
        at = text.find(pattern, stop)
