"""Constraints of a search, from what a client sends to conditions of the query tree (reference/bubble.md §7).

Values are read by the type of the field they are compared with: `"3"` for a number, `"yes"` or `"True"` for
a yes/no, dates in every form. What does not fit the type is refused. `null` asks for an empty field; a
constraint that needs a value and has none at all does not constrain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flatdata.dialects.bubble.errors import (
    constraint_not_found,
    expected,
    invalid,
    missing_reference,
    unrecognized,
)
from flatdata.dialects.bubble.geo import Geocode
from flatdata.dialects.bubble.types import CREATED_BY, Catalogue, ThingField, ThingType
from flatdata.dialects.bubble.values import Exists
from flatdata.query.bubble import (
    CONSTRAINT_TYPES,
    VALUELESS,
    Circle,
    bound,
    operators,
    wanted,
    words_wanted,
)
from flatdata.query.bubble_values import ID, REFERENCES, FieldType, read_number, read_value
from flatdata.query.bubble_words import Analyse
from flatdata.query.tree import ABSENT, Json, Operator

ALL: Final = "_all"
WORDS_IN: Final = "text contains"
MAX_VALUES: Final = 10_000
"""Values in the list of `in` and `not in`, and in all lists of one search."""

MAX_WORDS_TEXT: Final = 1_000
"""Characters of a text whose words are looked for: each word is a look-up in each field."""

KM_PER_UNIT: Final[Mapping[str, float]] = {
    "": 1.609344,
    "miles": 1.609344,
    "mile": 1.609344,
    "mi": 1.609344,
    "km": 1.0,
    "kilometers": 1.0,
    "kilometres": 1.0,
}
"""Units of a geographic search; miles unless said otherwise."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One comparison of a field."""

    field: ThingField
    operator: Operator
    operand: Any


@dataclass(frozen=True, slots=True)
class Anywhere:
    """A search for words in the whole thing (the key `_all`): all `stems`, or with `negated` not all of
    them."""

    stems: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed to understand constraints on a type.

    `exists` is given where comparing with a thing that does not exist is a mistake (live mode).
    """

    thing_type: ThingType
    catalogue: Catalogue
    analyse: Analyse
    geocode: Geocode
    exists: Exists | None = None

    def constraint(self, raw: Mapping[str, Json]) -> Constraint | Anywhere | None:
        """The constraint, or None if it is to be ignored. Raises `Refused`."""
        key, name = raw["key"], raw["constraint_type"]
        if key == ALL:
            return self._anywhere(name, raw)
        field = self.thing_type.find(key)
        if field is None:
            raise unrecognized(key)
        operator = operators(field.type, self.analyse, field.own_words).get(name)
        if operator is None:
            raise constraint_not_found(name, field.id, self.thing_type.name)
        if name in VALUELESS:
            return Constraint(field, operator, None)
        if "value" not in raw:
            return None
        try:
            return Constraint(field, operator, self._operand(field, name, raw["value"]))
        except _Bad as bad:
            raise invalid(key, bad.reason) from None

    def _anywhere(self, name: str, raw: Mapping[str, Json]) -> Anywhere | None:
        if not name.endswith(WORDS_IN) or name not in CONSTRAINT_TYPES:
            raise constraint_not_found(name, ALL, self.thing_type.name)
        if "value" not in raw:
            return None
        try:
            stems = self._words(raw["value"])
        except _Bad as bad:
            raise invalid(ALL, bad.reason) from None
        return Anywhere(stems, negated=name != WORDS_IN)

    def _operand(self, field: ThingField, name: str, value: Json) -> Any:
        if name.endswith(WORDS_IN):
            return self._words(value)
        if name == "geographic_search":
            return self._circle(value)
        if name in ("in", "not in"):
            return self._choices(field, value)
        if name in ("contains", "not contains"):
            return wanted(field.type.item, self._value(field.type.item, value))
        read = self._value(field.type, value)
        if name in ("greater than", "less than"):
            if read is ABSENT and value is None:
                raise _Bad(expected("a value", value))
            # The empty text is a text, which every other one is greater than.
            return bound(field.type, "" if read is ABSENT else read)
        if (
            self.exists is not None
            and field.type.kind in REFERENCES
            and not field.type.many
            and read is not ABSENT
        ):
            self._check_reference(field, read)
        return wanted(field.type, read)

    def _words(self, value: Json) -> tuple[str, ...]:
        if not isinstance(value, str):
            raise _Bad(expected("a string", value))
        if len(value) > MAX_WORDS_TEXT:
            raise _Bad(f"text length exceeds the limit of {MAX_WORDS_TEXT} characters")
        return words_wanted(self.analyse, value)

    def _check_reference(self, field: ThingField, identity: str) -> None:
        if field is not CREATED_BY and self.exists is not None and not self.exists(field.type, identity):
            raise missing_reference(identity)

    def _choices(self, field: ThingField, value: Json) -> Any:
        if not isinstance(value, list):
            raise _Bad(expected("a list", value))
        if len(value) > MAX_VALUES:
            raise _Bad(f"array length exceeds the limit of {MAX_VALUES} entries.")
        return tuple(wanted(field.type, self._value(field.type, item)) for item in value)

    def _value(self, field_type: FieldType, value: Json) -> Any:
        """A value of the type, `ABSENT` for null and for an empty list. Raises `_Bad`."""
        if value is None:
            return ABSENT
        if field_type.many:
            if not isinstance(value, list):
                raise _Bad(expected("a list", value))
            return [self._value(field_type.item, item) for item in value if item is not None] or ABSENT
        if type(value) not in _SHAPES[field_type.kind]:
            raise _Bad(expected(_WORDS[field_type.kind], value))
        if field_type.kind == "option" and value:
            self._check_option(field_type, value)
        read = read_value(field_type, value)
        if read is ABSENT and (value != "" or field_type.kind in _NEVER_EMPTY):
            raise _Bad(expected(_WORDS[field_type.kind], value))
        return read

    def _check_option(self, field_type: FieldType, value: str) -> None:
        options = self.catalogue.option_sets.get(field_type.target)
        if options is not None and value not in options.options:
            raise _Bad(f"could not parse this as a {options.display}")

    def _circle(self, value: Json) -> Circle:
        if not isinstance(value, dict):
            raise _Bad(expected("an object with origin_address and range", value))
        origin = value.get("origin_address")
        if not isinstance(origin, str) or not origin.strip():
            raise _Bad("origin_address must be an address")
        distance = read_number(value.get("range"))
        if not isinstance(distance, int | float) or distance < 0:
            raise _Bad("range must be a number, 0 or greater")
        factor = KM_PER_UNIT.get(unit) if isinstance(unit := value.get("unit") or "", str) else None
        if factor is None:
            raise _Bad("unit must be miles or km")
        place = self.geocode(origin)
        if place is None:
            raise _Bad("could not resolve this address")
        return Circle(place.lat, place.lng, min(float(min(distance, 1e9)) * factor, 1e6))


class _Bad(Exception):
    """A value that cannot be compared with the field."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_SHAPES: Final[Mapping[str, tuple[type, ...]]] = {
    "text": (str,),
    "number": (int, float, str),
    "boolean": (bool, str),
    "date": (int, float, str),
    "geographic_address": (str, dict),
    "file": (str,),
    "image": (str,),
    "user": (str,),
    "custom": (str,),
    "option": (str,),
    ID: (str,),
}
"""The JSON types in which a value of each kind may come."""

_WORDS: Final[Mapping[str, str]] = {
    "number": "a number",
    "boolean": "a boolean",
    "date": "a date",
    "geographic_address": "a geographic address",
} | dict.fromkeys(("text", "file", "image", "user", "custom", "option", ID), "a string")

_NEVER_EMPTY: Final = frozenset({"number", "boolean", "date"})
"""Kinds for which the empty text is no way to ask for an empty field."""
