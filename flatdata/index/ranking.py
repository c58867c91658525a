"""Ranking: how well entries fit the words of a search, by BM25 (Robertson and Zaragoza, 2009).

The documents are the entries of one collection, of each the texts at the places that are searched. A stem's
frequency counts all of its words there; a document is as long as its texts have characters. What the index of
words does not know of an entry (it changed since, or holds something else than texts) is counted in the entry
itself, so that scores do not depend on how far the index got.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from pyroaring import BitMap

from flatdata.index.collection import Collection, Key
from flatdata.index.terms import analyse, path_below
from flatdata.index.words import Words
from flatdata.index.words_view import Counts
from flatdata.query.tree import Field, OrderBy, Relevance, SizeIndex, Sought
from flatdata.store.entry import Entry

K1: Final = 1.2
"""How soon more of the same word stop to count."""
B: Final = 0.75
"""How much long texts are held back."""
LONGEST_STEM: Final = 40
"""Stems of so many characters are counted in the entries: they may be cut, or of words that share one term.

Stemming takes at most 22 characters off a word.
"""

_CHARACTERS: Final = SizeIndex("characters", lambda value: value if isinstance(value, int) else 0)


class Ranking:
    """An order by relevance over one collection."""

    def __init__(self, relevance: Relevance) -> None:
        self._parts = [_Part(each) for each in relevance.sought]

    def needs(self) -> list[Key]:
        """The structures it needs."""
        return [key for part in self._parts for key in part.needs()]

    def measure(self, collection: Collection, words: Words, found: BitMap) -> Measured:
        """What the scores of `found` are made of. Under the state's lock. Raises NotBuilt."""
        entries = list(map(collection.entries.__getitem__, found.to_array()))
        return Measured(entries, [part.measure(collection, words, found) for part in self._parts])

    def count(self, members: Sequence[Entry], found: list[Entry]) -> Measured:
        """The same by reading all of a collection's `members`."""
        return Measured(found, [part.count_all(members, found) for part in self._parts])


@dataclass(frozen=True, slots=True)
class Measured:
    """Entries, and what their scores are made of; it needs no lock."""

    entries: list[Entry]
    parts: list[_Numbers]

    def page(
        self, order: Sequence[OrderBy], offset: int, limit: int | None, *, descending: bool
    ) -> list[Entry]:
        """A page in the order of scores; equal ones by `order`, then by slug."""
        scores = [0.0] * len(self.entries)
        for part in self.parts:
            scores = part.added_to(scores, self.entries)
        end = len(scores) if limit is None else min(len(scores), offset + limit)
        if not end:
            return []
        last = sorted(scores, reverse=descending)[end - 1]
        if descending:
            places = [place for place, score in enumerate(scores) if score >= last]
        else:
            places = [place for place, score in enumerate(scores) if score <= last]
        head = [(scores[place], self.entries[place]) for place in places]
        head.sort(key=lambda each: each[1].slug)
        for step in reversed(order):
            head.sort(key=_key_of(step), reverse=step.descending)
        head.sort(key=_SCORE, reverse=descending)
        return [entry for _, entry in head[offset : None if limit is None else offset + limit]]


_SCORE: Final = itemgetter(0)


def _key_of(step: OrderBy) -> Callable[[tuple[float, Entry]], Any]:
    read, key_of = step.field.read, step.index.key
    return lambda scored: key_of(read(scored[1]))


class _Part:
    """The scores for one set of words."""

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        self._paths = tuple(path_below(each.source.path, key) for each in sought.places for key in each.keys)
        self._indexed = (
            sought.indexed
            and len(set(self._paths)) == len(self._paths)
            and all(len(stem) < LONGEST_STEM for stem in sought.stems)
        )
        names = [(each.source.view, each.odd.index.name, each.source.path) for each in sought.places]
        self._sizes: Key = (Field("words:texts", repr(names), self._length), _CHARACTERS)

    def needs(self) -> list[Key]:
        """The structures it needs."""
        return [self._sizes, *((place.source, place.odd.index) for place in self._sought.places)]

    def _texts(self, entry: Entry) -> Iterable[str]:
        for place in self._sought.places:
            yield from place.texts(place.source.read(entry))

    def _length(self, entry: Entry) -> int:
        return sum(map(len, self._texts(entry)))

    def count(self, entry: Entry) -> list[int]:
        """How often each stem occurs in an entry."""
        found = [stem for text in self._texts(entry) for stem in analyse(text)]
        return [found.count(stem) for stem in self._sought.stems]

    def measure(self, collection: Collection, words: Words, found: BitMap) -> _Numbers:
        """What the scores of `found` are made of. Under the state's lock."""
        sizes = collection.sizes(self._sizes)
        members = collection.members
        counted = words.counts(self._paths, self._sought.stems) if self._indexed else None
        counts: list[Counts] | None = None
        unknown = members
        if counted is not None:
            counts, uncounted = counted
            odd = [collection.postings((p.source, p.odd.index)).find(p.odd.keys) for p in self._sought.places]
            unknown = BitMap.union(uncounted, *odd) & members
        return _Numbers(
            self,
            BitMap(found),
            list(map(sizes.size_of, found.to_array())),
            len(members),
            sizes.total,
            counts or [Counts()] * len(self._sought.stems),
            [_size_without(each.nums & members, unknown) for each in counts or ()]
            or [0] * len(self._sought.stems),
            [collection.entries[num] for num in unknown],
        )

    def count_all(self, members: Sequence[Entry], found: Sequence[Entry]) -> _Numbers:
        """The same by reading all of a collection's `members`."""
        stems = self._sought.stems
        lengths = [self._length(entry) for entry in found]
        total = sum(map(self._length, members))
        counts = [Counts()] * len(stems)
        return _Numbers(self, BitMap(), lengths, len(members), total, counts, [0] * len(stems), list(members))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Numbers about a collection and what was found in it.

    `lengths` are those of the entries `found`, in the order of their numbers; `known` is how many entries
    have each stem according to `counts`, without the `unknown` ones.
    """

    part: _Part
    found: BitMap
    lengths: list[int]
    documents: int
    total: int
    counts: list[Counts]
    known: list[int]
    unknown: list[Entry]

    def added_to(self, scores: list[float], entries: Sequence[Entry]) -> list[float]:
        """The scores with those of these words added, for each entry found."""
        own = {entry: self.part.count(entry) for entry in self.unknown}
        scale = K1 * B * self.documents / self.total if self.total else 0.0
        least = K1 * (1 - B)
        weights, columns = [], []
        for at, counts in enumerate(self.counts):
            having = self.known[at] + sum(1 for each in own.values() if each[at])
            weights.append((K1 + 1) * math.log(1 + (self.documents - having + 0.5) / (having + 0.5)))
            frequencies = counts.among(self.found) if counts.nums else [0] * len(entries)
            if own:
                for place, entry in enumerate(entries):
                    if entry in own:
                        frequencies[place] = own[entry][at]
            columns.append(frequencies)
        # Most entries have every stem once.
        all_once, once, together = 1 + least, (1,) * len(columns), sum(weights)
        added = [together / (all_once + scale * length) for length in self.lengths]
        for place, frequencies_here in enumerate(zip(*columns, strict=True)):
            if frequencies_here != once:
                norm = least + scale * self.lengths[place]
                added[place] = sum(
                    weight * frequency / (frequency + norm)
                    for weight, frequency in zip(weights, frequencies_here, strict=True)
                )
        return [score + more for score, more in zip(scores, added, strict=True)]


def _size_without(nums: BitMap, others: BitMap) -> int:
    return len(nums) - nums.intersection_cardinality(others)
