"""The planner: from a query tree to the entries that match, by way of the structures of one collection.

Each condition's hint becomes two sets: the entries that match for sure, and those that possibly do. They are
combined as in three-valued logic (for a negation, possible and sure change places), and only the entries
between the two are left to the evaluator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from pyroaring import BitMap

from flatdata.index.collection import Collection
from flatdata.index.words import Words as WordIndex
from flatdata.index.words import words_path
from flatdata.query.tree import (
    All,
    AllHints,
    AnyHint,
    AnyOf,
    Condition,
    Containing,
    Everything,
    Field,
    Hint,
    Keyed,
    KeyIndex,
    Node,
    NoHint,
    Not,
    OrderIndex,
    Ranged,
    Words,
)

FEW: Final = 64
"""Candidates up to which looking at each is cheaper than making a large set."""


class Sets(NamedTuple):
    """Entries that match for sure, and those that possibly do (a superset)."""

    sure: BitMap
    possible: BitMap


WORD_VIEWS: Final = frozenset({"data", "fliplet", "bubble"})
"""Views whose fields read the stored strings at their paths, as the word index has them."""


def structures_of(node: Node) -> Iterator[tuple[Field, KeyIndex | OrderIndex]]:
    """The structures that the hints of a tree ask for."""
    if isinstance(node, Condition):
        for index in _indexes_of(node.operator.hint(node.operand)):
            yield node.field, index
    elif isinstance(node, Not):
        yield from structures_of(node.part)
    else:
        for part in node.parts:
            yield from structures_of(part)


def _indexes_of(hint: Hint) -> Iterator[KeyIndex | OrderIndex]:
    if isinstance(hint, Keyed | Ranged):
        yield hint.index
    elif isinstance(hint, NoHint):
        yield from _indexes_of(hint.hint)
    elif isinstance(hint, AnyHint | AllHints):
        for part in hint.hints:
            yield from _indexes_of(part)


class Planner:
    """Answers trees over one collection. Everything but the constructor runs under the state's lock."""

    def __init__(self, collection: Collection, words: WordIndex) -> None:
        self._collection = collection
        self._words = words

    def resolve(self, node: Node, within: BitMap) -> Sets:
        """The members among `within` that match `node`."""
        if isinstance(node, Condition):
            return self._hint(node.operator.hint(node.operand), node.field, within)
        if isinstance(node, Not):
            return _complement(self.resolve(node.part, within), within)
        if isinstance(node, All):
            parts = sorted(node.parts, key=self._cost) if len(node.parts) > 1 else node.parts
            sure, possible = within, within
            for part in parts:
                if not possible:
                    break
                sets = self.resolve(part, possible)
                sure, possible = sure & sets.sure, sets.possible
            return Sets(sure, possible)
        sure, possible = BitMap(), BitMap()
        for part in node.parts:
            sets = self.resolve(part, within)
            sure, possible = sure | sets.sure, possible | sets.possible
        return Sets(sure, possible)

    def _cost(self, node: Node) -> int:
        """How many entries a part leaves, roughly: the fewest first."""
        total = len(self._collection.members)
        if isinstance(node, Condition):
            return self._hint_cost(node.operator.hint(node.operand), node.field, total)
        if isinstance(node, All):
            return min((self._cost(part) for part in node.parts), default=total)
        if isinstance(node, AnyOf):
            return sum(self._cost(part) for part in node.parts)
        return total - self._cost(node.part)

    def _hint_cost(self, hint: Hint, field: Field, total: int) -> int:
        if isinstance(hint, Keyed):
            return self._collection.postings(field, hint.index).count(hint.keys)
        if isinstance(hint, Ranged):
            listed = self._collection.sorted(field, hint.index)
            start, stop = listed.span(hint.low, hint.high, hint.low_open, hint.high_open)
            return stop - start
        if isinstance(hint, AnyHint):
            return sum(self._hint_cost(part, field, total) for part in hint.hints)
        if isinstance(hint, AllHints):
            return min((self._hint_cost(part, field, total) for part in hint.hints), default=total)
        if isinstance(hint, NoHint):
            return total - self._hint_cost(hint.hint, field, total)
        # What only the evaluator can decide comes last.
        return total + 1 if isinstance(hint, Everything | Containing | Words) else 0

    def _hint(self, hint: Hint, field: Field, within: BitMap) -> Sets:
        if isinstance(hint, Keyed):
            found = self._collection.postings(field, hint.index).find(hint.keys) & within
            return Sets(found if hint.exact else BitMap(), found)
        if isinstance(hint, Ranged):
            found = self._range(hint, field, within)
            return Sets(found if hint.exact else BitMap(), found)
        if isinstance(hint, Everything):
            return Sets(within if hint.exact else BitMap(), within)
        if isinstance(hint, NoHint):
            return _complement(self._hint(hint.hint, field, within), within)
        if isinstance(hint, AllHints):
            sure, possible = within, within
            for part in hint.hints:
                sets = self._hint(part, field, possible)
                sure, possible = sure & sets.sure, sets.possible
            return Sets(sure, possible)
        if isinstance(hint, AnyHint):
            sure, possible = BitMap(), BitMap()
            for part in hint.hints:
                sets = self._hint(part, field, within)
                sure, possible = sure | sets.sure, possible | sets.possible
            return Sets(sure, possible)
        if isinstance(hint, Containing | Words):
            return self._word_sets(hint, field, within)
        return Sets(BitMap(), BitMap())

    def _word_sets(self, hint: Containing | Words, field: Field, within: BitMap) -> Sets:
        if field.view not in WORD_VIEWS:
            return Sets(BitMap(), within)
        path = words_path(field.path)
        if isinstance(hint, Containing):
            possible = self._words.containing(path, hint.needle)
            return Sets(BitMap(), within if possible is None else possible & within)
        found = self._words.with_stems(path, hint.stems)
        if found is None:
            return Sets(BitMap(), within)
        return Sets(found[0] & within if hint.exact else BitMap(), found[1] & within)

    def _range(self, hint: Ranged, field: Field, within: BitMap) -> BitMap:
        listed = self._collection.sorted(field, hint.index)
        bounds = (hint.low, hint.high, hint.low_open, hint.high_open)
        start, stop = listed.span(*bounds)
        if len(within) <= FEW < stop - start:
            return listed.within(within, *bounds)
        return listed.slice(start, stop) & within


def _complement(sets: Sets, within: BitMap) -> Sets:
    return Sets(within - sets.possible, within - sets.sure)
