"""Words in the texts of Bubble fields: where a stored value has them, and the search for them.

The index of words has the strings of an entry at their paths, whatever their fields are. `Texts` says which
strings of a value are those that a search looks at, at which paths the index has these, and in which values
the index has others there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from flatdata.query.bubble_values import FieldType, read_address, read_value
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


def _odd_values(name: str, is_odd: Callable[[Json | Absent], bool]) -> Keyed:
    return Keyed(KeyIndex(name, lambda raw: (_ODD,) if is_odd(raw) else ()), (_ODD,))


def _items(raw: Json | Absent) -> list[Json | Absent]:
    return raw if isinstance(raw, list) else [raw]


def _text_in(raw: Json | Absent) -> Iterable[str]:
    text = read_value(_TEXT, raw)
    return () if text is ABSENT else (text,)


def _texts_in(raw: Json | Absent) -> Iterable[str]:
    texts = read_value(_TEXTS, raw)
    return () if texts is ABSENT else texts


def _addresses_in(raw: Json | Absent) -> Iterable[str]:
    read = map(read_address, _items(raw))
    return [value["address"] for value in read if not isinstance(value, Absent) and "address" in value]


def _is_odd_text(raw: Json | Absent) -> bool:
    return not (isinstance(raw, str) or raw is ABSENT or raw is None)


def _are_odd_texts(raw: Json | Absent) -> bool:
    return any(map(_is_odd_text, _items(raw)))


def _are_odd_addresses(raw: Json | Absent) -> bool:
    """Whether some string is in a list where no address is, which the index does not tell from one."""
    return any(
        isinstance(item, list) or (isinstance(item, dict) and isinstance(item.get("address"), list))
        for item in _items(raw)
    )


_TEXT: Final = FieldType("text")
_TEXTS: Final = FieldType("text", many=True)

IN_TEXT: Final = Texts(_text_in, _odd_values("bubble:odd-text", _is_odd_text))
"""A text."""
IN_TEXTS: Final = Texts(_texts_in, _odd_values("bubble:odd-texts", _are_odd_texts))
"""A text, or a list of them."""
IN_ADDRESSES: Final = Texts(
    _addresses_in, _odd_values("bubble:odd-addresses", _are_odd_addresses), ("", "address")
)
"""What a geographic address is called, or those in a list: plain text, or the `address` of a mapping."""


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
