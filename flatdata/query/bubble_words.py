"""Words in the texts of Bubble fields: where a stored value has them, and the search for them.

The index of words has the strings of an entry at their paths, whatever their fields are. `Texts` says which
strings of a value are those that a search looks at, at which paths the index has these, and in which values
the index has others there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flatdata.query.bubble_values import FieldType, read_value
from flatdata.query.tree import (
    ABSENT,
    Absent,
    AllHints,
    AnyHint,
    Field,
    Hint,
    Json,
    Keyed,
    KeyIndex,
    Nothing,
    Operator,
    Place,
    Words,
)

Analyse = Callable[[str], list[str]]
"""From a text to its words, lower-cased, without stop words, stemmed."""

_LONGEST_STEM: Final = 60
"""Characters from which on the index of words may take two stems for one."""
_ODD: Final = "odd"


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts in the stored values of a kind of fields.

    `read` gives those of a value (`ABSENT` too). `odd` finds the values of which the index of words does not
    have just these at the value's path and below it at `keys`; an empty key is the value's path itself.
    """

    read: Callable[[Json | Absent], Iterable[str]]
    odd: Keyed
    keys: tuple[str, ...] = ("",)


def _values_of(field_type: FieldType) -> Callable[[Json | Absent], Iterable[Any]]:
    """From a stored value to what it means as this type, and so to what a client is shown of it."""

    def read(raw: Json | Absent) -> Iterable[Any]:
        value = read_value(field_type, raw)
        if value is ABSENT:
            return ()
        return value if field_type.many else (value,)

    return read


def _is_odd_text(raw: Json | Absent) -> bool:
    return not (isinstance(raw, str) or raw is ABSENT or raw is None)


def _is_odd_address(raw: Json | Absent) -> bool:
    """Whether some string is in a list where no address is, which the index does not tell from one."""
    return isinstance(raw, list) or (isinstance(raw, dict) and isinstance(raw.get("address"), list))


def _texts(field_type: FieldType) -> Texts:
    """The texts of a field whose values are texts."""
    return Texts(_values_of(field_type), _odd_values_of(field_type, _is_odd_text))


def _addresses(field_type: FieldType) -> Texts:
    """What the addresses of a field are called."""
    values = _values_of(field_type)

    def read(raw: Json | Absent) -> Iterable[str]:
        return [value["address"] for value in values(raw) if "address" in value]

    return Texts(read, _odd_values_of(field_type, _is_odd_address), ("", "address"))


def _odd_values_of(field_type: FieldType, is_odd: Callable[[Json | Absent], bool]) -> Keyed:
    """Where the values of a field are odd, or in a list those of its entries."""

    def keys(raw: Json | Absent) -> tuple[str, ...]:
        if field_type.many and isinstance(raw, list):
            return (_ODD,) if any(map(is_odd, raw)) else ()
        return (_ODD,) if is_odd(raw) else ()

    # The lengths of texts are kept by this name, so no two types may share one.
    return Keyed(KeyIndex(f"bubble:odd:{field_type}", keys), (_ODD,))


_ADDRESS: Final = "geographic_address"

IN_TEXT: Final = _texts(FieldType("text"))
"""A text."""
IN_TEXTS: Final = _texts(FieldType("text", many=True))
"""A list of texts; a single one is a list of one."""
IN_OPTION: Final = _texts(FieldType("option"))
"""An option, of whatever set."""
IN_OPTIONS: Final = _texts(FieldType("option", many=True))
"""A list of options."""
IN_ADDRESS: Final = _addresses(FieldType(_ADDRESS))
"""What a geographic address is called: plain text, or the `address` of a mapping."""
IN_ADDRESSES: Final = _addresses(FieldType(_ADDRESS, many=True))
"""What those in a list are called."""

_TEXTS_OF: Final[Mapping[tuple[str, bool], Texts]] = {
    ("text", False): IN_TEXT,
    ("text", True): IN_TEXTS,
    ("option", False): IN_OPTION,
    ("option", True): IN_OPTIONS,
    (_ADDRESS, False): IN_ADDRESS,
    (_ADDRESS, True): IN_ADDRESSES,
}


def texts_of(field_type: FieldType) -> Texts | None:
    """What a search of the whole thing looks at in fields of a type; None if it passes over them."""
    return _TEXTS_OF.get((field_type.kind, field_type.many))


def word_search(analyse: Analyse, where: Texts, *, exact: bool = True) -> Operator:
    """The operator that finds words, all of them, but spread over as many texts as there are.

    `exact` False is for fields whose paths in the index of words may be those of other fields too.
    """

    def contains(raw: Json | Absent, stems: tuple[str, ...]) -> bool:
        missing = set(stems)
        for text in where.read(raw) if stems else ():
            missing.difference_update(analyse(text))
        return bool(stems) and not missing

    def hint(stems: tuple[str, ...]) -> Hint:
        if not stems:
            return Nothing()
        sure = exact and all(len(stem) < _LONGEST_STEM for stem in stems)
        if len(where.keys) == 1:
            return Words(stems, sure, where.odd, where.keys[0])
        return AllHints(
            tuple(
                AnyHint(tuple(Words((stem,), sure, where.odd, key) for key in where.keys)) for stem in stems
            )
        )

    return Operator("text contains", contains, hint)


def word_place(source: Field, where: Texts) -> Place:
    """A field whose words count in a ranking, as `word_search` finds them."""
    return Place(source, where.odd, where.read, where.keys)
