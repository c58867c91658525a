"""Searches: from parsed parameters and the caller's grants to a page of things (reference/bubble.md §6-§8,
§12).

What a caller does not see cannot be asked about either. A constraint or sort on a field that no rule shows
the caller is dropped, as on the hosted service; where the field is visible on some things only, it counts
as empty on the others, so that the results are those that the visible data would give.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import structs

from flatdata.access.privacy import Grants, all_of, any_of, none_of
from flatdata.dialects.bubble.constraints import MAX_VALUES, WORDS_IN, Anywhere, Constraint, Reading
from flatdata.dialects.bubble.errors import bad_parameter, unrecognized
from flatdata.dialects.bubble.parameters import Search, SortBy
from flatdata.dialects.bubble.types import CREATED_DATE, ThingField
from flatdata.query.bubble import distance_km, order_index, order_key
from flatdata.query.bubble_values import read_address
from flatdata.query.bubble_words import Texts, texts_of, word_place, word_search
from flatdata.query.evaluate import matches
from flatdata.query.tree import (
    ABSENT,
    EVERYTHING,
    NOTHING,
    Absent,
    AnyOf,
    Condition,
    Field,
    Json,
    Node,
    OrderBy,
    OrderIndex,
    Query,
    Relevance,
    Scope,
    Sought,
)
from flatdata.store.entry import Entry

RELEVANCE: Final = "_relevance"
"""The sort field that stands for how well things fit the words that are sought; an addition of flatdata's."""
MAX_REACH: Final = 50_000
"""Things that a search can reach with `cursor`: beyond, pages are empty though `remaining` is not 0 (§6)."""

SearchIndex = Callable[[Query], Any]
"""From a query to a result with `entries` and `total`."""

ADDRESS: Final = "geographic_address"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of entries; `total` counts all matches, None where it was not asked for."""

    entries: list[Entry]
    total: int | None


def run(search: Search, reading: Reading, grants: Grants, index: SearchIndex) -> Page:
    """Carry out a search. Raises `Refused`."""
    thing_type = reading.thing_type
    constraints = _constraints(search, reading)
    where = _where(constraints, reading, grants)
    relevance = _relevance(search, constraints, reading, grants)
    sorts = search.sorts if relevance is None else search.sorts[1:]
    orders = [_order(sort, search, reading, grants) for sort in sorts]
    kept = [order for order in orders if order is not None]
    query = Query(Scope(thing_type.source.slug), where, total=search.count_remaining)
    limit = max(0, min(search.limit, MAX_REACH - search.cursor))
    if relevance is not None:
        ties = (*map(_read_from_entries, kept), _BY_CREATION)
        found = index(
            structs.replace(query, order=ties, offset=search.cursor, limit=limit, relevance=relevance)
        )
        return Page(found.entries, found.total if search.count_remaining else None)
    if search.random or any(isinstance(order, _Computed) for order in kept):
        found = index(query)
        entries = list(found.entries)
        _arrange(entries, kept, shuffled=search.random)
        total = len(entries) if search.count_remaining else None
        return Page(entries[search.cursor : search.cursor + limit], total)
    order = tuple(order for order in kept if isinstance(order, OrderBy)) or (_BY_CREATION,)
    found = index(structs.replace(query, order=order, offset=search.cursor, limit=limit))
    return Page(found.entries, found.total if search.count_remaining else None)


# --- constraints ------------------------------------------------------------------------------------------


def _constraints(search: Search, reading: Reading) -> list[Constraint | Anywhere]:
    lists = (value for raw in search.constraints if isinstance(value := raw.get("value"), list))
    if sum(map(len, lists)) > MAX_VALUES:
        raise bad_parameter("constraints", f"their lists must have no more than {MAX_VALUES} entries")
    read = (reading.constraint(raw) for raw in search.constraints)
    return [constraint for constraint in read if constraint is not None]


def _where(constraints: Sequence[Constraint | Anywhere], reading: Reading, grants: Grants) -> Node:
    parts = [grants.findable()]
    for constraint in constraints:
        if isinstance(constraint, Anywhere):
            parts.append(_anywhere(constraint, reading, grants))
        else:
            parts.append(_node(constraint, grants))
    return all_of(*parts)


def _node(constraint: Constraint, grants: Grants) -> Node:
    operator, operand = constraint.operator, constraint.operand
    condition = Condition(constraint.field.source, operator, operand)
    allowed = grants.constrainable(constraint.field.caption)
    if allowed == NOTHING:
        return EVERYTHING
    if allowed == EVERYTHING:
        return condition
    seen_as_empty = EVERYTHING if operator.matches(ABSENT, operand) else NOTHING
    return any_of(all_of(allowed, condition), all_of(none_of(allowed), seen_as_empty))


def _anywhere(search: Anywhere, reading: Reading, grants: Grants) -> Node:
    """All words, each in some text of the thing that the caller may search."""
    if not search.stems:
        return EVERYTHING if search.negated else NOTHING
    constrainable = _constrainable(grants)
    places = [
        (
            constrainable(field.caption),
            field.source,
            word_search(reading.analyse, texts, exact=field.own_words),
        )
        for field, texts in _searched(reading.thing_type.fields)
    ]
    if all(allowed is EVERYTHING for allowed, _, _ in places):
        # Of plain conditions there is nothing to decide: a third of the time that making the tree takes.
        parts: list[Node] = [
            AnyOf(tuple([Condition(field, operator, (stem,)) for _, field, operator in places]))
            for stem in search.stems
        ]
    else:
        parts = [
            any_of(
                *(all_of(allowed, Condition(field, operator, (stem,))) for allowed, field, operator in places)
            )
            for stem in search.stems
        ]
    node = all_of(*parts)
    return none_of(node) if search.negated else node


def _constrainable(grants: Grants) -> Callable[[str], Node]:
    """From the caption of a field to the things that the caller may filter by it."""
    return (lambda caption: EVERYTHING) if grants.shows_all() else grants.constrainable


def _searched(fields: Iterable[ThingField]) -> list[tuple[ThingField, Texts]]:
    """Those of the fields that the key `_all` searches, and the texts in them."""
    return [(field, texts) for field in fields if (texts := texts_of(field.type)) is not None]


# --- relevance --------------------------------------------------------------------------------------------


def _relevance(
    search: Search, constraints: Sequence[Constraint | Anywhere], reading: Reading, grants: Grants
) -> Relevance | None:
    """The order that `sort_field=_relevance` asks for, which is flatdata's own: by BM25.

    What counts are the words of `text contains`, in the fields that the caller may search on all things:
    how often a word occurs in a hidden field must not show in the order. Raises `Refused` if no words are
    sought.
    """
    if not search.sorts or search.sorts[0].key != RELEVANCE or reading.thing_type.find(RELEVANCE):
        return None
    sought = [
        _sought(constraint, reading, grants)
        for constraint in constraints
        if (isinstance(constraint, Anywhere) and not constraint.negated)
        or (isinstance(constraint, Constraint) and constraint.operator.name == WORDS_IN)
    ]
    if not sought:
        raise unrecognized(RELEVANCE)
    return Relevance(tuple(sought), search.sorts[0].descending)


def _sought(constraint: Constraint | Anywhere, reading: Reading, grants: Grants) -> Sought:
    if isinstance(constraint, Anywhere):
        stems, searched = constraint.stems, _searched(reading.thing_type.fields)
    else:
        stems, searched = constraint.operand, _searched([constraint.field])
    constrainable = _constrainable(grants)
    searched = [each for each in searched if constrainable(each[0].caption) == EVERYTHING]
    places = tuple(word_place(field.source, texts) for field, texts in searched)
    return Sought(stems, places, all(field.own_words for field, _ in searched))


def _read_from_entries(order: OrderBy | _Computed) -> OrderBy:
    """A sort key for ties, of which the index needs no structure."""
    if isinstance(order, OrderBy):
        return order
    return OrderBy(_ENTRY, OrderIndex("bubble:computed", order.key), order.descending)


_ENTRY: Final = Field("bubble:entry", "", lambda entry: entry)


# --- order ------------------------------------------------------------------------------------------------

_BY_CREATION: Final = OrderBy(CREATED_DATE.source, order_index(CREATED_DATE.type))


@dataclass(frozen=True, slots=True)
class _Computed:
    """A sort key that no structure of the index has."""

    key: Callable[[Any], Any]
    descending: bool


def _order(sort: SortBy, search: Search, reading: Reading, grants: Grants) -> OrderBy | _Computed | None:
    """How to sort, None where the caller may not sort by this field."""
    field = reading.thing_type.find(sort.key)
    if field is None:
        raise unrecognized(sort.key)
    if field.type.many:
        raise bad_parameter("sort_field", f"{field.caption} is a list")
    key = _sort_key(field, search, reading)
    allowed = grants.constrainable(field.caption)
    if allowed == NOTHING:
        return None
    if allowed == EVERYTHING and key is None:
        return OrderBy(field.source, order_index(field.type), sort.descending)
    read = key or (lambda raw: order_key(field.type, raw))
    return _Computed(
        lambda entry: read(field.source.read(entry) if matches(allowed, entry) else ABSENT), sort.descending
    )


def _sort_key(field: ThingField, search: Search, reading: Reading) -> Callable[[Json | Absent], Any] | None:
    """The key of an address: its distance from the reference, those without a place last."""
    if field.type.kind != ADDRESS:
        return None
    if not search.geo_reference:
        raise bad_parameter("geo_reference", f"sorting by {field.caption} needs an address")
    centre = reading.geocode(search.geo_reference)
    if centre is None:
        raise bad_parameter("geo_reference", "could not resolve this address")

    def distance(raw: Json | Absent) -> tuple[float, ...]:
        value = read_address(raw)
        if isinstance(value, Absent) or "lat" not in value:
            return (1,)
        return (0, distance_km(value["lat"], value["lng"], centre.lat, centre.lng))

    return distance


def _arrange(entries: list[Entry], orders: list[OrderBy | _Computed], *, shuffled: bool) -> None:
    """Order entries in place that come by slug."""
    if shuffled:
        random.shuffle(entries)
        return
    for order in reversed(orders):
        entries.sort(key=_entry_key(order), reverse=order.descending)


def _entry_key(order: OrderBy | _Computed) -> Callable[[Entry], Any]:
    if isinstance(order, _Computed):
        return order.key
    read, key_of = order.field.read, order.index.key
    return lambda entry: key_of(read(entry))
