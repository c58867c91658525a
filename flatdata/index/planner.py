"""The planner: from a query tree to the entries that match, by way of the structures of one collection.

A tree is compiled once for each query: every condition's hint is worked out then, and its structures are
known. Resolving it under the lock gives two sets for each part: the entries that match for sure, and those
that possibly do. They are combined as in three-valued logic (for a negation, possible and sure change
places), and only the entries between the two are left to the evaluator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from pyroaring import BitMap

from flatdata.index.collection import Collection, Key
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
    Node,
    NoHint,
    Ranged,
    Words,
)

FEW: Final = 64
"""Candidates up to which looking at each is cheaper than making a large set."""
WORD_VIEWS: Final = frozenset({"data", "content", "fliplet", "bubble:column"})
"""Views whose fields read the stored strings at their paths, as the word index has them."""
_NONE: Final = BitMap()


class Sets(NamedTuple):
    """Entries that match for sure, and those that possibly do (a superset). Shared: not to be changed."""

    sure: BitMap
    possible: BitMap


class Plan(ABC):
    """A compiled part of a tree. `resolve` and `cost` run under the state's lock, and may raise NotBuilt."""

    __slots__ = ()

    def keys(self) -> Iterator[Key]:
        """The structures it needs."""
        return iter(())

    @abstractmethod
    def cost(self, collection: Collection) -> int:
        """How many entries it leaves, roughly."""

    @abstractmethod
    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        """The members among `within` that match."""


class _Keyed(Plan):
    __slots__ = ("_exact", "_key", "_keys")

    def __init__(self, field: Field, hint: Keyed) -> None:
        self._key = (field, hint.index)
        self._keys = hint.keys
        self._exact = hint.exact

    def keys(self) -> Iterator[Key]:
        yield self._key

    def cost(self, collection: Collection) -> int:
        return collection.postings(self._key).count(self._keys)

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        found = collection.postings(self._key).find(self._keys) & within
        return Sets(found if self._exact else _NONE, found)


class _Ranged(Plan):
    __slots__ = ("_bounds", "_exact", "_key")

    def __init__(self, field: Field, hint: Ranged) -> None:
        self._key = (field, hint.index)
        self._bounds = (hint.low, hint.high, hint.low_open, hint.high_open)
        self._exact = hint.exact

    def keys(self) -> Iterator[Key]:
        yield self._key

    def cost(self, collection: Collection) -> int:
        start, stop = collection.sorted(self._key).span(*self._bounds)
        return stop - start

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        listed = collection.sorted(self._key)
        if len(within) <= FEW:
            found = listed.within(within, *self._bounds)
        else:
            start, stop = listed.span(*self._bounds)
            found = listed.slice(start, stop) & within
        return Sets(found if self._exact else _NONE, found)


class _Everything(Plan):
    __slots__ = ("_exact",)

    def __init__(self, exact: bool) -> None:
        self._exact = exact

    def cost(self, collection: Collection) -> int:
        # What only the evaluator can decide comes last.
        return len(collection.members) + 1

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        return Sets(within if self._exact else _NONE, within)


class _Nothing(Plan):
    __slots__ = ()

    def cost(self, collection: Collection) -> int:
        return 0

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        return Sets(_NONE, _NONE)


class _Words(Plan):
    __slots__ = ("_hint", "_path")

    def __init__(self, field: Field, hint: Containing | Words) -> None:
        self._path = words_path(field.path)
        self._hint = hint

    def cost(self, collection: Collection) -> int:
        return len(collection.members) + 1

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        if isinstance(self._hint, Containing):
            possible = words.containing(self._path, self._hint.needle)
            return Sets(_NONE, within if possible is None else possible & within)
        found = words.with_stems(self._path, self._hint.stems)
        if found is None:
            return Sets(_NONE, within)
        return Sets(found[0] & within if self._hint.exact else _NONE, found[1] & within)


class _Not(Plan):
    __slots__ = ("_part",)

    def __init__(self, part: Plan) -> None:
        self._part = part

    def keys(self) -> Iterator[Key]:
        return self._part.keys()

    def cost(self, collection: Collection) -> int:
        return len(collection.members) - self._part.cost(collection)

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        sure, possible = self._part.resolve(collection, words, within)
        return Sets(within - possible, within - sure)


class _All(Plan):
    __slots__ = ("_parts",)

    def __init__(self, parts: list[Plan]) -> None:
        self._parts = parts

    def keys(self) -> Iterator[Key]:
        for part in self._parts:
            yield from part.keys()

    def cost(self, collection: Collection) -> int:
        return min((part.cost(collection) for part in self._parts), default=len(collection.members))

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        sure, possible = within, within
        for part in self._in_order(collection):
            if not possible:
                break
            sets = part.resolve(collection, words, possible)
            sure, possible = sure & sets.sure, sets.possible
        return Sets(sure, possible)

    def _in_order(self, collection: Collection) -> list[Plan]:
        """The parts that leave few entries first; postings are cheap to ask, and may spare asking others."""
        parts = self._parts
        if len(parts) < 2:
            return parts
        first = min(
            (part for part in parts if isinstance(part, _Keyed)), key=_costs(collection), default=None
        )
        if first is not None and first.cost(collection) <= FEW:
            return [first, *(part for part in parts if part is not first)]
        return sorted(parts, key=_costs(collection))


class _Any(Plan):
    __slots__ = ("_parts",)

    def __init__(self, parts: list[Plan]) -> None:
        self._parts = parts

    def keys(self) -> Iterator[Key]:
        for part in self._parts:
            yield from part.keys()

    def cost(self, collection: Collection) -> int:
        return sum(part.cost(collection) for part in self._parts)

    def resolve(self, collection: Collection, words: WordIndex, within: BitMap) -> Sets:
        if not self._parts:
            return Sets(_NONE, _NONE)
        sets = [part.resolve(collection, words, within) for part in self._parts]
        return Sets(
            BitMap.union(*[each.sure for each in sets]), BitMap.union(*[each.possible for each in sets])
        )


def _costs(collection: Collection) -> Callable[[Plan], int]:
    return lambda part: part.cost(collection)


def compile_tree(node: Node) -> Plan:
    """The plan of a tree, with every hint worked out."""
    if isinstance(node, Condition):
        return _compile_hint(node.operator.hint(node.operand), node.field)
    if isinstance(node, All):
        return _All([compile_tree(part) for part in node.parts])
    if isinstance(node, AnyOf):
        return _Any([compile_tree(part) for part in node.parts])
    return _Not(compile_tree(node.part))


def _compile_hint(hint: Hint, field: Field) -> Plan:
    if isinstance(hint, Keyed):
        return _Keyed(field, hint)
    if isinstance(hint, Ranged):
        return _Ranged(field, hint)
    if isinstance(hint, AnyHint):
        return _Any([_compile_hint(part, field) for part in hint.hints])
    if isinstance(hint, AllHints):
        return _All([_compile_hint(part, field) for part in hint.hints])
    if isinstance(hint, NoHint):
        return _Not(_compile_hint(hint.hint, field))
    if isinstance(hint, Everything):
        return _Everything(hint.exact)
    if isinstance(hint, Containing | Words):
        return _Words(field, hint) if field.view in WORD_VIEWS else _Everything(exact=False)
    return _Nothing()
