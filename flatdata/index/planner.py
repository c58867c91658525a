"""The planner: from a query tree to the entries that match, by way of the structures of one collection.

A tree is compiled once for each query: every condition's hint is worked out then, and its structures are
known. Resolving it under the lock gives two sets for each part: the entries that match for sure, and those
that possibly do. They are combined as in three-valued logic (for a negation, possible and sure change
places), and only the entries between the two are left to the evaluator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pyroaring import BitMap

from flatdata.index.collection import Collection, Key
from flatdata.index.structures import SortedList
from flatdata.index.terms import has_own_path, path_below, words_path
from flatdata.index.words import Words as WordIndex
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
    Nothing,
    Ranged,
    Words,
)

FEW: Final = 64
"""Candidates up to which looking at each is cheaper than making a large set."""
WORD_VIEWS: Final = frozenset({"data", "content", "fliplet", "bubble:column"})
"""Views whose fields read the stored strings at their paths, as the word index has them."""
_NONE: Final = BitMap()


class Sets(NamedTuple):
    """Entries that match for sure, and those that possibly do (a superset). Shared: not to be changed.

    Where nothing is left to the evaluator, both are the same object.
    """

    sure: BitMap
    possible: BitMap


_EMPTY: Final = Sets(_NONE, _NONE)


class Plan(ABC):
    """A compiled part of a tree, for one query.

    `bind`, `cost` and `resolve` run under the state's lock, in this order.
    """

    __slots__ = ()

    @abstractmethod
    def keys(self, into: list[Key]) -> None:
        """Add the structures it needs to a list."""

    @abstractmethod
    def bind(self, collection: Collection) -> None:
        """Take hold of the structures. Raises NotBuilt."""

    @abstractmethod
    def cost(self, members: int) -> int:
        """How many of so many members it leaves, roughly."""

    @abstractmethod
    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        """The members among `within` that match."""


def _sets(found: BitMap, exact: bool) -> Sets:
    if not found:
        return _EMPTY
    return Sets(found, found) if exact else Sets(_NONE, found)


class _Keyed(Plan):
    __slots__ = ("_exact", "_found", "_key", "_keys")
    _found: BitMap

    def __init__(self, hint: Keyed, field: Field) -> None:
        self._key = (field, hint.index)
        self._keys = hint.keys
        self._exact = hint.exact

    def keys(self, into: list[Key]) -> None:
        into.append(self._key)

    def bind(self, collection: Collection) -> None:
        self._found = collection.postings(self._key).find(self._keys)

    def cost(self, members: int) -> int:
        return len(self._found)

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        return _sets(self._found & within, self._exact) if self._found else _EMPTY


class _Ranged(Plan):
    __slots__ = ("_bounds", "_exact", "_key", "_list")
    _list: SortedList

    def __init__(self, hint: Ranged, field: Field) -> None:
        self._key = (field, hint.index)
        self._bounds = (hint.low, hint.high, hint.low_open, hint.high_open)
        self._exact = hint.exact

    def keys(self, into: list[Key]) -> None:
        into.append(self._key)

    def bind(self, collection: Collection) -> None:
        self._list = collection.sorted(self._key)

    def cost(self, members: int) -> int:
        start, stop = self._list.span(*self._bounds)
        return stop - start

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        listed = self._list
        if not len(listed):
            return _EMPTY
        if len(within) <= FEW:
            return _sets(listed.within(within, *self._bounds), self._exact)
        start, stop = listed.span(*self._bounds)
        return _sets(listed.slice(start, stop) & within, self._exact)


class _Free(Plan):
    """A plan that needs no structures."""

    __slots__ = ()

    def keys(self, into: list[Key]) -> None:
        return

    def bind(self, collection: Collection) -> None:
        return


class _Everything(_Free):
    __slots__ = ("_exact",)

    def __init__(self, exact: bool) -> None:
        self._exact = exact

    def cost(self, members: int) -> int:
        # What only the evaluator can decide comes last.
        return members + 1

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        return _sets(within, self._exact)


class _Nothing(_Free):
    __slots__ = ()

    def cost(self, members: int) -> int:
        return 0

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        return _EMPTY


class _Containing(Plan):
    __slots__ = ("_key", "_needle", "_path", "_plain")

    def __init__(self, hint: Containing, field: Field) -> None:
        self._path = words_path(field.path)
        self._needle = hint.needle
        plain = hint.plain if has_own_path(field.path) else None
        self._key = None if plain is None else (field, plain.index, plain.keys)
        self._plain = _NONE

    def keys(self, into: list[Key]) -> None:
        if self._key is not None:
            into.append(self._key[:2])

    def bind(self, collection: Collection) -> None:
        if self._key is not None:
            self._plain = collection.postings(self._key[:2]).find(self._key[2])

    def cost(self, members: int) -> int:
        return members + 1

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        possible = words.containing(self._path, self._needle)
        if possible is None:
            return Sets(_NONE, within)
        possible = possible & within
        if not self._plain:
            return Sets(_NONE, possible)
        sure = words.within_words(self._path, self._needle) & self._plain & possible
        return _sets(possible, True) if len(sure) == len(possible) else Sets(sure, possible)


class _Words(Plan):
    __slots__ = ("_exact", "_key", "_stems", "odd", "path", "stem")

    def __init__(self, hint: Words, field: Field) -> None:
        self.path = path_below(field.path, hint.key)
        self._stems = hint.stems
        self._exact = hint.exact
        self.stem = hint.stems[0] if hint.exact and len(hint.stems) == 1 else None
        """The only one, if having it is the same as matching."""
        self._key = None if hint.odd is None else (field, hint.odd.index, hint.odd.keys)
        self.odd = _NONE

    def keys(self, into: list[Key]) -> None:
        if self._key is not None:
            into.append(self._key[:2])

    def bind(self, collection: Collection) -> None:
        if self._key is not None:
            self.odd = collection.postings(self._key[:2]).find(self._key[2])

    def cost(self, members: int) -> int:
        return members + 1

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        found = words.with_stems(self.path, self._stems)
        if found is None:
            return Sets(_NONE, within)
        sure, possible = found
        if self.odd:
            sure, possible = sure - self.odd, possible | self.odd
        if not self._exact:
            return Sets(_NONE, possible & within)
        return _sets(sure & within, True) if sure is possible else Sets(sure & within, possible & within)


class _Not(Plan):
    __slots__ = ("_part",)

    def __init__(self, part: Plan) -> None:
        self._part = part

    def keys(self, into: list[Key]) -> None:
        self._part.keys(into)

    def bind(self, collection: Collection) -> None:
        self._part.bind(collection)

    def cost(self, members: int) -> int:
        return members - self._part.cost(members)

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        sure, possible = self._part.resolve(words, within)
        if not possible:
            return Sets(within, within)
        return _sets(within - sure, True) if sure is possible else Sets(within - possible, within - sure)


class _Parts(Plan):
    """A plan of several."""

    __slots__ = ("_members", "_parts")

    def __init__(self, parts: list[Plan]) -> None:
        self._parts = parts
        self._members = 0

    def keys(self, into: list[Key]) -> None:
        for part in self._parts:
            part.keys(into)

    def bind(self, collection: Collection) -> None:
        self._members = len(collection.members)
        for part in self._parts:
            part.bind(collection)


class _All(_Parts):
    __slots__ = ()

    def cost(self, members: int) -> int:
        return min([part.cost(members) for part in self._parts], default=members)

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        sure, possible = within, within
        for part in self._parts if len(within) <= FEW else self._in_order(self._members):
            sets = part.resolve(words, possible)
            if not sets.possible:
                return _EMPTY
            # So far all was exact: what the part says of `possible` it says of `sure`.
            sure = sets.sure if sure is possible else sure & sets.sure
            possible = sets.possible
        return Sets(sure, possible)

    def _in_order(self, members: int) -> list[Plan]:
        """The parts that leave few entries first; postings are cheap to ask, and may spare asking others."""
        parts = self._parts
        if len(parts) < 2:
            return parts
        for part in parts:
            if isinstance(part, _Keyed) and part.cost(members) <= FEW:
                return [part, *(other for other in parts if other is not part)]
        return sorted(parts, key=lambda part: part.cost(members))


class _Any(_Parts):
    __slots__ = ()

    @property
    def parts(self) -> list[Plan]:
        """Those of which one is enough."""
        return self._parts

    def cost(self, members: int) -> int:
        return sum([part.cost(members) for part in self._parts])

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        found = [sets for part in self._parts if (sets := part.resolve(words, within)).possible]
        if len(found) < 2:
            return found[0] if found else _EMPTY
        possible = BitMap.union(*[sets.possible for sets in found])
        if all(sets.sure is sets.possible for sets in found):
            return Sets(possible, possible)
        return Sets(BitMap.union(*[sets.sure for sets in found]), possible)


class _Anywhere(_Any):
    """One stem at one of several paths: the usual case of it is one set, which the word index remembers."""

    __slots__ = ("_paths", "_stem")

    def __init__(self, parts: list[_Words], stem: str) -> None:
        super().__init__([*parts])
        self._paths = tuple(part.path for part in parts)
        self._stem = stem

    def resolve(self, words: WordIndex, within: BitMap) -> Sets:
        found = None
        if not any(part.odd for part in self._parts if isinstance(part, _Words)):
            found = words.with_stem_anywhere(self._paths, self._stem)
        if found is None:
            return super().resolve(words, within)
        sure, possible = found
        return _sets(sure & within, True) if sure is possible else Sets(sure & within, possible & within)


def _any_of(parts: list[Plan]) -> Plan:
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, _Any) else (part,))]
    words = [part for part in flat if isinstance(part, _Words) and part.stem is not None]
    stem = words[0].stem if len(words) > 1 else None
    if stem is not None and all(part.stem == stem for part in words):
        others = [part for part in flat if not isinstance(part, _Words) or part.stem is None]
        flat = [*others, _Anywhere(words, stem)]
    return flat[0] if len(flat) == 1 else _Any(flat)


def _all_of(parts: list[Plan]) -> Plan:
    return parts[0] if len(parts) == 1 else _All(parts)


def compile_tree(node: Node) -> Plan:
    """The plan of a tree, with every hint worked out."""
    if isinstance(node, Condition):
        return _compile_hint(node.operator.hint(node.operand), node.field)
    if isinstance(node, All):
        return _all_of([compile_tree(part) for part in node.parts])
    if isinstance(node, AnyOf):
        return _any_of([compile_tree(part) for part in node.parts])
    return _Not(compile_tree(node.part))


def _compile_hint(hint: Hint, field: Field) -> Plan:
    return _COMPILERS[type(hint)](hint, field)


def _compile_words(hint: Containing | Words, field: Field) -> Plan:
    if field.view not in WORD_VIEWS:
        return _Everything(exact=False)
    return _Words(hint, field) if isinstance(hint, Words) else _Containing(hint, field)


_COMPILERS: Final[Mapping[type, Callable[[Any, Field], Plan]]] = {
    Keyed: _Keyed,
    Ranged: _Ranged,
    AnyHint: lambda hint, field: _any_of([_compile_hint(part, field) for part in hint.hints]),
    AllHints: lambda hint, field: _all_of([_compile_hint(part, field) for part in hint.hints]),
    NoHint: lambda hint, field: _Not(_compile_hint(hint.hint, field)),
    Everything: lambda hint, field: _Everything(hint.exact),
    Nothing: lambda hint, field: _Nothing(),
    Containing: _compile_words,
    Words: _compile_words,
}
