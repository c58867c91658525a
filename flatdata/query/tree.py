"""The query tree: what a dialect asks for, as plain values.

A query is a tree of conditions over one scope of entries, an ordering and a page. The tree is pure
data plus pure functions: it knows neither disk, nor index, nor HTTP. Two things consume it:

* `flatdata.query.evaluate.matches`, the definition of every operator;
* `flatdata.index.planner`, which uses each operator's *hint* to find candidates quickly.

What a request makes dozens of are `msgspec.Struct`s, which are made six times as fast as frozen dataclasses.

A record is whatever the fields of the tree can read: normally a `flatdata.store.entry.Entry`, in tests
and in stored versions anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

Json = Any
"""Any JSON value: None, bool, int, float, str, list of them, dict with str keys."""


class Absent:
    """The type of `ABSENT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()
"""What a field reads where the record has no such value; never equal to a JSON null."""


@dataclass(frozen=True, slots=True)
class Field:
    """One addressable value of a record.

    `view` and `path` identify the field: two fields that agree on both must read the same, because the
    index keeps one set of structures for each. `read` takes a record and gives the value or `ABSENT`.
    """

    view: str
    path: str
    read: Callable[[Any], Json | Absent] = field(compare=False, hash=False, repr=False)


# --- what the index can be asked for ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """A kind of postings: from each key of a value to the entries that have it.

    `keys` is given a field's value (`ABSENT` too) and yields hashable keys, none to stay out. Keys must
    be equal only where the operators that use the index hold them equal (mind 1 == True == 1.0).
    `name` identifies the kind.
    """

    name: str
    keys: Callable[[Json | Absent], Iterable[Hashable]] = field(compare=False, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class OrderIndex:
    """A kind of sorted list over a field's values.

    `key` is given a value (`ABSENT` too) and gives a key, or None to stay out of the list. All keys of
    one kind must be comparable with each other. `name` identifies the kind.
    """

    name: str
    key: Callable[[Json | Absent], Any] = field(compare=False, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class SizeIndex:
    """A kind of table of sizes: `size` makes a whole number from 0 of a field's value (`ABSENT` too)."""

    name: str
    size: Callable[[Json | Absent], int] = field(compare=False, hash=False, repr=False)


class Keyed(Struct, frozen=True):
    """Entries whose value has one of `keys` in `index`; `exact` says that each of them matches."""

    index: KeyIndex
    keys: tuple[Hashable, ...]
    exact: bool = True


class Ranged(Struct, frozen=True):
    """Entries whose key in `index` lies between `low` and `high` (None is open-ended)."""

    index: OrderIndex
    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False
    exact: bool = True


class Containing(Struct, frozen=True):
    """Entries with a string value (or a string somewhere inside it) that holds `needle`, case-folded.

    The index looks at words, and the evaluator decides, but for the entries of `plain`: they have nothing but
    strings there, and match where one of these holds the needle. Only what is within one word is found so.
    """

    needle: str
    plain: Keyed | None = None


class Words(Struct, frozen=True):
    """Entries whose strings at the field's path hold all of `stems` (see `flatdata.index.terms.analyse`).

    `exact` says that having the stems is the same as matching; the index still leaves entries that its words
    are behind of to the evaluator. Entries that `odd` finds hold something else than strings: they are left
    to the evaluator too. With a `key`, the strings are those at this key inside the field's value.
    """

    stems: tuple[str, ...]
    exact: bool = True
    odd: Keyed | None = None
    key: str = ""


class Everything(Struct, frozen=True):
    """Every entry of the scope; `exact` says that each of them matches."""

    exact: bool = False


class Nothing(Struct, frozen=True):
    """No entry at all."""


class AnyHint(Struct, frozen=True):
    """The union of hints."""

    hints: tuple[Hint, ...]


class AllHints(Struct, frozen=True):
    """The intersection of hints."""

    hints: tuple[Hint, ...]


class NoHint(Struct, frozen=True):
    """The complement of a hint: exact where the hint is exact."""

    hint: Hint


Hint = Keyed | Ranged | Containing | Words | Everything | Nothing | AnyHint | AllHints | NoHint
"""A superset of the matching entries, exact in the parts that say so."""

# --- conditions -----------------------------------------------------------------------------------


def no_hint(operand: Json) -> Hint:
    """Let the evaluator decide for every entry."""
    return Everything(exact=False)


@dataclass(frozen=True, slots=True)
class Operator:
    """One comparison, as a row of a dialect's table.

    `matches(value, operand)` is its definition: total, no exception for any JSON value or `ABSENT`.
    `hint(operand)` tells the index where the matching entries are; it must hold every entry that
    matches, and only matching ones in its exact parts.
    """

    name: str
    matches: Callable[[Json | Absent, Any], bool] = field(compare=False, hash=False, repr=False)
    hint: Callable[[Any], Hint] = field(default=no_hint, compare=False, hash=False, repr=False)


class Condition(Struct, frozen=True):
    """`field operator operand`, true or false for each record."""

    field: Field
    operator: Operator
    operand: Any


class All(Struct, frozen=True):
    """True where every part is; with no parts, true."""

    parts: tuple[Node, ...] = ()


class AnyOf(Struct, frozen=True):
    """True where one part is; with no parts, false."""

    parts: tuple[Node, ...] = ()


class Not(Struct, frozen=True):
    """True where the part is false."""

    part: Node


Node = Condition | All | AnyOf | Not
EVERYTHING: Final = All()
NOTHING: Final = AnyOf()

# --- scope, order, page -----------------------------------------------------------------------------


class Scope(Struct, frozen=True):
    """Which entries a query is about: those below `slug` whose depth lies in the given bounds.

    Depth 1 is a child of `slug`, 0 the entry itself. `max_depth` None means without end. The empty slug
    is the root of the content.
    """

    slug: str
    min_depth: int = 1
    max_depth: int | None = 1


class OrderBy(Struct, frozen=True):
    """One sort key. `index.key` must give a key for every value, `ABSENT` included."""

    field: Field
    index: OrderIndex
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A field whose words count in a ranking.

    `texts` gives the texts in a value of `source` (`ABSENT` too). The index of words has their words at its
    path, or inside the value at one of `keys` (the empty one is the value itself), but for the values that
    `odd` finds.
    """

    source: Field
    odd: Keyed
    texts: Callable[[Json | Absent], Iterable[str]] = field(compare=False, hash=False, repr=False)
    keys: tuple[str, ...] = ("",)


class Sought(Struct, frozen=True):
    """Words that entries are ranked by: each of `stems` as often as it occurs in all `places` together.

    `indexed` False is for places whose paths in the index of words may be those of other fields too.
    """

    stems: tuple[str, ...]
    places: tuple[Place, ...]
    indexed: bool = True


class Relevance(Struct, frozen=True):
    """An order by how well entries fit words: by the sum of their scores for each of `sought`."""

    sought: tuple[Sought, ...]
    descending: bool = True


class Query(Struct, frozen=True):
    """A whole question. Ties, and queries without `order`, are ordered by slug, ascending.

    `limit` None means all. `total` tells whether the number of all matches is wanted. With `relevance`,
    `order` is for entries that fit equally well.
    """

    scope: Scope
    where: Node = EVERYTHING
    order: tuple[OrderBy, ...] = ()
    offset: int = 0
    limit: int | None = None
    total: bool = True
    relevance: Relevance | None = None
