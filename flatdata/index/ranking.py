"""Ranking: how well entries fit the words of a search, by BM25 (Robertson and Zaragoza, 2009).

The documents are the entries of one collection, of each the texts at the places that are searched. A stem's
frequency counts all of its words there; a document is as long as its texts have characters. What the index of
words does not know of an entry (it changed since, or holds something else than texts) is counted in the entry
itself, so that scores do not depend on how far the index got.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import add, attrgetter
from typing import Any, Final, Self

from pyroaring import BitMap

from flatdata.index.collection import Collection, Key
from flatdata.index.tables import Sizes
from flatdata.index.terms import analyse, path_below
from flatdata.index.words import Words
from flatdata.index.words_view import Counts, places_of
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

_SOON: Final = 2_000
"""So many entries are scored in half a millisecond, for which others may wait."""

_MORE: Final = 64
"""So many entries are scored sooner than it is found out which of them need not be."""

_CHARACTERS: Final = SizeIndex("characters", lambda value: value if isinstance(value, int) else 0)


class Ranking:
    """An order by relevance over one collection."""

    def __init__(self, relevance: Relevance) -> None:
        self._parts = [_Part(each) for each in relevance.sought]
        self._descending = relevance.descending

    def needs(self) -> list[Key]:
        """The structures it needs."""
        return [key for part in self._parts for key in part.needs()]

    def measure(self, collection: Collection, words: Words, found: BitMap, count: int | None) -> Measured:
        """What the scores of `found` are made of, as far as the first `count` of them need it.

        Under the state's lock. Raises NotBuilt.
        """
        first = _First(count, self._descending) if count is not None and len(self._parts) == 1 else None
        parts = [part.measure(collection, words, found, first) for part in self._parts]
        looked_at = found if first is None else parts[0].found
        return Measured(looked_at, collection.entries, parts, len(found))

    def count(self, members: Sequence[Entry], found: list[Entry]) -> Measured:
        """The same by reading all of a collection's `members`."""
        # Entries that were gathered one by one may have had the same number one after the other.
        places = BitMap(range(len(found)))
        parts = [part.count_all(members, found) for part in self._parts]
        return Measured(places, found, parts, len(found))


class Measured:
    """Entries, and what their scores are made of.

    Args:
        found: a number for each entry. Not changed.
        entries: by such numbers; others may be among them.
        parts: of what each score is the sum.
        total: how many there are with those that are too far behind to be looked at.
    """

    def __init__(
        self,
        found: BitMap,
        entries: Mapping[int, Entry] | Sequence[Entry],
        parts: Sequence[_Numbers],
        total: int,
    ) -> None:
        self._found = found
        self._entries = entries
        self._parts = parts
        self._total = total
        self._picked: tuple[list[float], list[Entry]] | None = None

    def __len__(self) -> int:
        return self._total

    def hold(self, count: int | None, *, descending: bool) -> Self:
        """Keep what is needed as it is now, for a page of the first `count` that is made without the lock."""
        self._found = BitMap(self._found)
        if len(self._found) <= _SOON and not any(part.unknown for part in self._parts):
            # Of 550 entries only the best are fetched, which spares a seventh of the request: entries, and
            # the numbers in the dict, are spread over the memory.
            self._picked = self._pick(count, descending)
        else:
            nums = self._found.to_array()
            self._entries = dict(zip(nums, map(self._entries.__getitem__, nums), strict=True))
        return self

    def page(
        self, order: Sequence[OrderBy], offset: int, limit: int | None, *, descending: bool
    ) -> list[Entry]:
        """A page in the order of scores; equal ones by `order`, then by slug."""
        end = len(self) if limit is None else min(len(self), offset + limit)
        scores, entries = self._picked or self._pick(end, descending)
        begin = 0
        for stop in range(1, len(scores) + 1):
            if stop == len(scores) or scores[stop] != scores[begin]:
                if stop - begin > 1 and stop > offset:
                    entries[begin:stop] = _in_order(entries[begin:stop], order)
                begin = stop
        return entries[offset:end]

    def _pick(self, count: int | None, descending: bool) -> tuple[list[float], list[Entry]]:
        """The scores of the first `count`, and of those as good as the last, in order; and the entries."""
        if count == 0 or not self._found:
            return [], []
        nums, scores = self._scores()
        last = sorted(scores, reverse=descending)[: count or len(scores)][-1]
        if descending:
            places = [place for place, score in enumerate(scores) if score >= last]
        else:
            places = [place for place, score in enumerate(scores) if score <= last]
        places.sort(key=scores.__getitem__, reverse=descending)
        return [scores[place] for place in places], [self._entries[nums[place]] for place in places]

    def _scores(self) -> tuple[array[int], list[float]]:
        """Numbers and their scores, in no order."""
        if len(self._parts) == 1:
            return self._parts[0].scores(self._entries)
        nums = self._found.to_array()
        summed = [0.0] * len(nums)
        for part in self._parts:
            score_of = dict(zip(*part.scores(self._entries), strict=True))
            summed = list(map(add, summed, map(score_of.__getitem__, nums)))
        return nums, summed


def _in_order(entries: list[Entry], order: Sequence[OrderBy]) -> list[Entry]:
    """Entries that fit equally well, in the order that is for those."""
    entries.sort(key=_SLUG)
    for step in reversed(order):
        entries.sort(key=_key_of(step), reverse=step.descending)
    return entries


_SLUG: Final = attrgetter("slug")


def _key_of(step: OrderBy) -> Callable[[Entry], Any]:
    read, key_of = step.field.read, step.index.key
    return lambda entry: key_of(read(entry))


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

    def measure(self, collection: Collection, words: Words, found: BitMap, first: _First | None) -> _Numbers:
        """What the scores of `found`, or of the `first` of them, are made of. Under the state's lock."""
        sizes = collection.sizes(self._sizes)
        members = collection.members
        counts, unknown = self._counted(collection, words)
        known = [each.nums.intersection_cardinality(members) for each in counts]
        read = _NONE
        if unknown:
            known = [
                count - each.nums.intersection_cardinality(unknown)
                for count, each in zip(known, counts, strict=True)
            ]
            read = found & unknown
        if first is not None:
            found = first.among(found - read, counts, sizes) | read
        odd = BitMap.union(_NONE, *(each.unlike_once(found) for each in counts)) - read
        groups = (found - odd - read, odd, read)
        return _Numbers(
            self,
            len(members),
            sizes.total,
            counts,
            known,
            [collection.entries[num] for num in unknown],
            groups,
            [sizes.of(group.to_array()) for group in groups],
        )

    def _counted(self, collection: Collection, words: Words) -> tuple[Sequence[Counts], BitMap]:
        """How often each stem occurs, and the members for which that is not known."""
        stems = self._sought.stems
        counted = words.counts(self._paths, stems) if self._indexed else None
        if counted is None:
            return [Counts()] * len(stems), collection.members
        counts, uncounted = counted
        odd = [collection.postings((p.source, p.odd.index)).find(p.odd.keys) for p in self._sought.places]
        return counts, BitMap.union(uncounted, *odd) & collection.members

    def count_all(self, members: Sequence[Entry], found: Sequence[Entry]) -> _Numbers:
        """The same by reading all of a collection's `members`; the numbers are the places in `found`."""
        count = len(self._sought.stems)
        return _Numbers(
            self,
            len(members),
            sum(map(self._length, members)),
            [Counts()] * count,
            [0] * count,
            list(members),
            (_NONE, _NONE, BitMap(range(len(found)))),
            [[], [], list(map(self._length, found))],
        )


@dataclass(frozen=True, slots=True)
class _First:
    """The first entries in an order by one set of words, found without scoring all.

    Among entries that have each stem equally often the score falls with the length, so only the shortest of
    them can be among the best. The first `count` of each such set are enough, and those as long as the last.
    """

    count: int
    descending: bool

    def among(self, found: BitMap, counts: Sequence[Counts], sizes: Sizes) -> BitMap:
        """Those of `found` that may be among the first, and some others."""
        enough = self.count + _MORE
        if len(found) <= enough:
            return found
        kept: list[BitMap] = []
        alike = [(found, False)]
        for each in counts:
            parted = [
                (same, scored or occurs)
                for nums, scored in alike
                for same, occurs in each.apart(nums, enough)
            ]
            kept += [same for same, _ in parted if len(same) <= enough]
            alike = [(same, scored) for same, scored in parted if len(same) > enough]
        for nums, scored in alike:
            # Those without any of the words are all equal, however long.
            largest = not self.descending
            kept.append(sizes.extreme(nums, self.count, _MORE, largest=largest) if scored else nums)
        return BitMap.union(_NONE, *kept)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Numbers about a collection and what was found in it.

    `known` is how many entries have each stem according to `counts`, without the `unknown` ones. What was
    found is in three `groups`: entries that have each stem once, which most have; others, of which `counts`
    knows how often they have it; those that have to be read. `lengths` are of each group, in the order of
    their numbers.
    """

    part: _Part
    documents: int
    total: int
    counts: Sequence[Counts]
    known: list[int]
    unknown: list[Entry]
    groups: tuple[BitMap, BitMap, BitMap]
    lengths: Sequence[list[int]]

    @property
    def found(self) -> BitMap:
        """All that are in the groups."""
        return BitMap.union(*self.groups)

    def scores(self, entries: Mapping[int, Entry] | Sequence[Entry]) -> tuple[array[int], list[float]]:
        """The numbers of what was found, and their scores for these words."""
        own = {entry: self.part.count(entry) for entry in self.unknown}
        weights = []
        for at, known in enumerate(self.known):
            having = known + sum(1 for each in own.values() if each[at])
            weights.append((K1 + 1) * math.log(1 + (self.documents - having + 0.5) / (having + 0.5)))
        scale = K1 * B * self.documents / self.total if self.total else 0.0
        least = K1 * (1 - B)
        plain, odd, read = self.groups
        all_once, together = 1 + least, sum(weights)
        scores = [together / (all_once + scale * length) for length in self.lengths[0]]
        norms = [least + scale * length for length in self.lengths[1]]
        sums, place_of = [0.0] * len(norms), places_of(odd)
        for weight, counts in zip(weights, self.counts, strict=True):
            sums = [
                score + weight * frequency / (frequency + norm)
                for score, frequency, norm in zip(sums, counts.frequencies(odd, place_of), norms, strict=True)
            ]
        scores += sums
        for num, length in zip(read, self.lengths[2], strict=True):
            frequencies = own.get(entries[num], [0] * len(weights))
            if frequencies.count(1) == len(frequencies):
                # To the last bit as it is for those that are known to be so.
                scores.append(together / (all_once + scale * length))
                continue
            norm = least + scale * length
            each = zip(weights, frequencies, strict=True)
            scores.append(sum(weight * frequency / (frequency + norm) for weight, frequency in each))
        nums = plain.to_array()
        nums.extend(odd.to_array())
        nums.extend(read.to_array())
        return nums, scores


_NONE: Final = BitMap()
