"""The constraint types of Bubble's Data API as query operators (reference/bubble.md §7).

`operators(field_type, analyse)` is the table of what can be asked of a field of a type; a constraint type
that is not in it does not exist for such a field. Operands are what the functions under "operands" make.

* Equality is between *keys*: the text, the number, the yes/no, the moment, the id. An empty field has the key
  `EMPTY`, so empty equals empty; an empty yes/no also equals no.
* `not ...` is the complement: records with an empty field are among them.
* Nothing is greater or less than an empty field. Text is ordered without regard to case first, then by code
  point, the same for comparing and for sorting.
* `text contains` looks for words: those of the operand, stemmed and without stop words, must all occur, in
  any order. An operand of nothing but stop words is found nowhere.
* Sorted ascending, empty fields come last; descending, first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from flatdata.query.bubble_values import ID, FieldType, read_address, read_value
from flatdata.query.bubble_words import IN_TEXT, Analyse, word_search
from flatdata.query.tree import (
    ABSENT,
    Absent,
    AllHints,
    AnyHint,
    Hint,
    Json,
    Keyed,
    KeyIndex,
    NoHint,
    Nothing,
    Operator,
    OrderIndex,
    Ranged,
)

EMPTY: Final = ("empty",)
"""The key of a field that has no value. A tuple, so that no value has it."""

EARTH_RADIUS_KM: Final = 6_371.0088
_KM_PER_DEGREE: Final = math.pi * EARTH_RADIUS_KM / 180
_SLACK: Final = 1e-6  # degrees, for rounding

Keys = tuple[Hashable, ...]

# --- keys -----------------------------------------------------------------------------------------------


def _address_keys(value: Mapping[str, Json]) -> Keys:
    """An address is found by its text and by its place, as far as it has them."""
    text = (("address", value["address"]),) if "address" in value else ()
    place = (("place", value["lat"], value["lng"]),) if "lat" in value else ()
    return (*text, *place)


def item_keys(field_type: FieldType, value: Any) -> Keys:
    """The keys of one value, not a list; more than one only for an address."""
    return _address_keys(value) if field_type.kind == "geographic_address" else (value,)


def keys_of(field_type: FieldType, raw: Json | Absent) -> Keys:
    """The keys that a stored value answers to."""
    value = read_value(field_type, raw)
    if value is ABSENT:
        return (EMPTY, False) if field_type.kind == "boolean" and not field_type.many else (EMPTY,)
    if field_type.many:
        return (("list", *(item_keys(field_type, item) for item in value)),)
    return item_keys(field_type, value)


def each_key(field_type: FieldType, raw: Json | Absent) -> Keys:
    """The keys of the entries of a list."""
    value = read_value(field_type, raw)
    return () if value is ABSENT else tuple(key for item in value for key in item_keys(field_type, item))


def order_key(field_type: FieldType, raw: Json | Absent) -> tuple[Any, ...]:
    """The place of a stored value in the order of its field; empty ones after all others."""
    value = read_value(field_type, raw)
    if value is ABSENT:
        return (0, False) if field_type.kind == "boolean" else (1,)
    return (0, *collated(field_type.kind, value))


def collated(kind: str, value: Any) -> tuple[Any, ...]:
    """What a value is compared by."""
    if kind == "geographic_address":
        value = value.get("address", "")
    return (value.casefold(), value) if isinstance(value, str) else (value,)


@lru_cache(maxsize=256)
def key_index(field_type: FieldType) -> KeyIndex:
    """Postings from the keys of a field."""
    return KeyIndex(f"bubble:{_plain(field_type)}", lambda raw: keys_of(field_type, raw))


@lru_cache(maxsize=256)
def each_index(field_type: FieldType) -> KeyIndex:
    """Postings from the entries of a list field."""
    return KeyIndex(f"bubble:each:{_plain(field_type)}", lambda raw: each_key(field_type, raw))


@lru_cache(maxsize=256)
def order_index(field_type: FieldType) -> OrderIndex:
    """The sorted list of a field, for comparing and for sorting. Not for lists."""
    return OrderIndex(f"bubble:{field_type.kind}", lambda raw: order_key(field_type, raw))


def _plain(field_type: FieldType) -> str:
    return f"list.{field_type.kind}" if field_type.many else field_type.kind


def _coordinate(name: str) -> Callable[[Json | Absent], float | None]:
    def read(raw: Json | Absent) -> float | None:
        value = read_address(raw)
        return None if isinstance(value, Absent) else value.get(name)

    return read


LATITUDE: Final = OrderIndex("bubble:latitude", _coordinate("lat"))
LONGITUDE: Final = OrderIndex("bubble:longitude", _coordinate("lng"))


# --- operands -------------------------------------------------------------------------------------------


def wanted(field_type: FieldType, value: Any) -> Keys:
    """The operand of `equals`, or with the item's type of `contains`: all these keys must be there.

    `value` is as `read_value` gives it; `ABSENT` asks for an empty field.
    """
    if value is ABSENT:
        return (EMPTY,)
    if field_type.many:
        return (("list", *(item_keys(field_type, item) for item in value)),)
    return item_keys(field_type, value)


def bound(field_type: FieldType, value: Any) -> tuple[Any, ...]:
    """The operand of `greater than` and `less than`."""
    return (0, *collated(field_type.kind, value))


def words_wanted(analyse: Analyse, text: str) -> tuple[str, ...]:
    """The operand of `text contains`."""
    return tuple(dict.fromkeys(analyse(text)))


@dataclass(frozen=True, slots=True)
class Circle:
    """The operand of `geographic_search`: a centre in degrees and a radius in kilometres."""

    lat: float
    lng: float
    radius_km: float


def distance_km(lat: float, lng: float, other_lat: float, other_lng: float) -> float:
    """The great-circle distance between two places given in degrees, by the haversine formula."""
    a, b = math.radians(lat), math.radians(other_lat)
    turn = math.radians(other_lng - lng)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(turn / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


# --- the tables -----------------------------------------------------------------------------------------


def _negated(name: str, operator: Operator) -> Operator:
    return Operator(
        name,
        lambda raw, operand: not operator.matches(raw, operand),
        lambda operand: NoHint(operator.hint(operand)),
    )


def _holds(index: KeyIndex) -> Callable[[Keys], Hint]:
    """Where all of some keys are."""

    def hint(keys: Keys) -> Hint:
        hints: tuple[Hint, ...] = tuple(Keyed(index, (key,)) for key in keys)
        return hints[0] if len(hints) == 1 else AllHints(hints)

    return hint


def _equality(field_type: FieldType) -> Iterable[Operator]:
    index = key_index(field_type)
    holds = _holds(index)

    def equals(raw: Json | Absent, keys: Keys) -> bool:
        own = keys_of(field_type, raw)
        return all(key in own for key in keys)

    def among(raw: Json | Absent, choices: tuple[Keys, ...]) -> bool:
        own = keys_of(field_type, raw)
        return any(all(key in own for key in keys) for keys in choices)

    def where_among(choices: tuple[Keys, ...]) -> Hint:
        if all(len(keys) == 1 for keys in choices):
            return Keyed(index, tuple(keys[0] for keys in choices)) if choices else Nothing()
        return AnyHint(tuple(holds(keys) for keys in choices))

    def is_empty(raw: Json | Absent, _: object) -> bool:
        return EMPTY in keys_of(field_type, raw)

    equal = Operator("equals", equals, holds)
    member = Operator("in", among, where_among)
    empty = Operator("is_empty", is_empty, lambda _: Keyed(index, (EMPTY,)))
    return (
        equal,
        _negated("not equal", equal),
        member,
        _negated("not in", member),
        empty,
        _negated("is_not_empty", empty),
    )


def _ordering(field_type: FieldType) -> Iterable[Operator]:
    index = order_index(field_type)

    def greater(raw: Json | Absent, limit: tuple[Any, ...]) -> bool:
        return limit < order_key(field_type, raw) < (1,)

    def less(raw: Json | Absent, limit: tuple[Any, ...]) -> bool:
        return order_key(field_type, raw) < limit

    return (
        Operator(
            "greater than", greater, lambda limit: Ranged(index, limit, (1,), low_open=True, high_open=True)
        ),
        Operator("less than", less, lambda limit: Ranged(index, None, limit, high_open=True)),
    )


def _list_membership(field_type: FieldType) -> Iterable[Operator]:
    def contains(raw: Json | Absent, keys: Keys) -> bool:
        # An address is one entry: text and place have to be found in the same one.
        value = read_value(field_type, raw)
        return value is not ABSENT and any(set(keys) <= set(item_keys(field_type, item)) for item in value)

    def where(keys: Keys) -> Hint:
        hints: tuple[Hint, ...] = tuple(Keyed(each_index(field_type), (key,), len(keys) == 1) for key in keys)
        return AllHints(hints)

    has = Operator("contains", contains, where)
    empty = Operator(
        "empty",
        lambda raw, _: EMPTY in keys_of(field_type, raw),
        lambda _: Keyed(key_index(field_type), (EMPTY,)),
    )
    return has, _negated("not contains", has), empty, _negated("not empty", empty)


def _within(raw: Json | Absent, circle: Circle) -> bool:
    value = read_address(raw)
    if isinstance(value, Absent) or "lat" not in value:
        return False
    return distance_km(value["lat"], value["lng"], circle.lat, circle.lng) <= circle.radius_km


def _where_within(circle: Circle) -> Hint:
    """A box of degrees around the circle; without bounds to east and west where it holds a pole."""
    reach = circle.radius_km / _KM_PER_DEGREE + _SLACK
    south, north = circle.lat - reach, circle.lat + reach
    band = Ranged(LATITUDE, south, north, exact=False)
    if south <= -90 or north >= 90:
        return band
    sine = math.sin(math.radians(reach)) / math.cos(math.radians(circle.lat))
    if sine >= 1:
        return band
    width = math.degrees(math.asin(sine)) + _SLACK
    west, east = circle.lng - width, circle.lng + width
    sides: tuple[tuple[float, float], ...]
    if west < -180:
        sides = ((west + 360, 180.0), (-180.0, east))
    elif east > 180:
        sides = ((west, 180.0), (-180.0, east - 360))
    else:
        sides = ((west, east),)
    return AllHints((band, AnyHint(tuple(Ranged(LONGITUDE, low, high, exact=False) for low, high in sides))))


GEOGRAPHIC: Final = Operator("geographic_search", _within, _where_within)


# --- the table -------------------------------------------------------------------------------------------

_TEXT: Final = FieldType("text")
_ORDERED: Final = frozenset({"text", "number", "date", ID})


@lru_cache(maxsize=512)
def operators(field_type: FieldType, analyse: Analyse, exact_words: bool = True) -> Mapping[str, Operator]:
    """The constraint types that a field of this type can be asked, by name."""
    rows = list(_equality(field_type))
    if field_type.many:
        rows += _list_membership(field_type)
    elif field_type.kind in _ORDERED:
        rows += _ordering(field_type)
    if field_type == _TEXT:
        has_words = word_search(analyse, IN_TEXT, exact=exact_words)
        rows += (has_words, _negated("not text contains", has_words))
    if field_type.kind == "geographic_address" and not field_type.many:
        rows.append(GEOGRAPHIC)
    return {row.name: row for row in rows}


CONSTRAINT_TYPES: Final = (
    "equals",
    "not equal",
    "is_empty",
    "is_not_empty",
    "text contains",
    "not text contains",
    "greater than",
    "less than",
    "in",
    "not in",
    "contains",
    "not contains",
    "empty",
    "not empty",
    "geographic_search",
)
"""Every constraint type there is, in the order of the API's documentation."""

VALUELESS: Final = frozenset({"is_empty", "is_not_empty", "empty", "not empty"})
"""Those that take no value."""
