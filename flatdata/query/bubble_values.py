"""Types of Bubble fields, and what a stored value means as one of them (reference/bubble.md §2, §3, §9).

A row is a file that people edit and that other APIs write, so a column may hold something else than its
field's type. Reading is tolerant: the text `5` in a number field is the number 5, the word `yes` in a yes/no
field is true. What cannot be read as the type is *empty*: `ABSENT` here, left out of answers, found by
`is_empty`. Writing through the API is strict, and none of this module's business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flatdata.query.bubble_dates import read_date, show_date
from flatdata.query.tree import ABSENT, Absent, Json

MAX_NUMBER_TEXT: Final = 400
"""Characters of the longest text that is read as a number."""

ID: Final = "id"
"""The kind of names that flatdata gives, such as the unique id: text that cannot be searched for words."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,4})?", re.ASCII | re.IGNORECASE)
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of a field.

    `kind` is a key of `SCALARS`; `target` the type name of `custom` and the option set of `option`, squashed;
    `many` says that the field is a list of such values.
    """

    kind: str
    target: str = ""
    many: bool = False

    def __str__(self) -> str:
        return ("list." if self.many else "") + self.kind + (f".{self.target}" if self.target else "")

    @property
    def item(self) -> FieldType:
        """The type of one entry of a list; of a scalar, itself."""
        return FieldType(self.kind, self.target)


def squash(caption: str) -> str:
    """The caption without blanks, in lower case: how types, fields and sets are named in URLs."""
    return "".join(caption.split()).lower()


def parse_type(text: Json) -> FieldType | None:
    """The type that a manifest names: `text`, `list.number`, `custom.rentalunit`; None if there is none."""
    if not isinstance(text, str):
        return None
    many = text.startswith("list.")
    kind, _, target = text.removeprefix("list.").partition(".")
    if kind not in SCALARS or kind == ID or bool(target) != (kind in TARGETED):
        return None
    return FieldType(kind, squash(target), many)


# --- reading one value ----------------------------------------------------------------------------------


def read_text(raw: Json | Absent) -> str | Absent:
    """Text that is not empty; numbers and yes/no as they would be written."""
    if isinstance(raw, str):
        return raw or ABSENT
    if type(raw) is bool:
        return "yes" if raw else "no"
    if type(raw) in (int, float):
        return (
            f"{raw:.0f}" if isinstance(raw, float) and raw.is_integer() and abs(raw) < 1e15 else _shown(raw)
        )
    return ABSENT


def _shown(number: Any) -> str | Absent:
    try:
        return str(number)
    except ValueError:  # an integer with more digits than Python turns to text
        return ABSENT


def read_number(raw: Json | Absent) -> int | float | Absent:
    """A finite number, or text that reads as one. A boolean is none."""
    if type(raw) is int:
        return raw
    if type(raw) is float:
        return raw if math.isfinite(raw) else ABSENT
    if isinstance(raw, str) and len(raw) <= MAX_NUMBER_TEXT and _NUMBER.fullmatch(text := raw.strip()):
        number = float(text) if any(mark in text for mark in ".eE") else int(text)
        return number if math.isfinite(number) else ABSENT
    return ABSENT


def read_boolean(raw: Json | Absent) -> bool | Absent:
    """true or false, also as the words true, false, yes and no."""
    if type(raw) is bool:
        return raw
    return _BOOLEANS.get(raw.strip().lower(), ABSENT) if isinstance(raw, str) else ABSENT


def read_moment(raw: Json | Absent) -> int | Absent:
    """Milliseconds since 1970."""
    ms = None if raw is ABSENT else read_date(raw)
    return ABSENT if ms is None else ms


def read_name(raw: Json | Absent) -> str | Absent:
    """An id, a URL or an option: text that is not empty. Row ids that are integers may be stored as such."""
    if isinstance(raw, str):
        return raw or ABSENT
    return _shown(raw) if type(raw) is int else ABSENT


def _coordinate(raw: Json, bound: float) -> float | int | None:
    return raw if type(raw) in (int, float) and -bound <= raw <= bound else None


def read_address(raw: Json | Absent) -> dict[str, Json] | Absent:
    """A mapping of `address` and, together or not at all, `lat` and `lng` in degrees."""
    if isinstance(raw, str):
        return {"address": raw} if raw else ABSENT
    if not isinstance(raw, dict):
        return ABSENT
    value: dict[str, Json] = {}
    if isinstance(raw.get("address"), str) and raw["address"]:
        value["address"] = raw["address"]
    lat, lng = _coordinate(raw.get("lat"), 90), _coordinate(raw.get("lng"), 180)
    if lat is not None and lng is not None:
        value["lat"], value["lng"] = lat, lng
    return value or ABSENT


SCALARS: Final[Mapping[str, Callable[[Json | Absent], Any]]] = {
    "text": read_text,
    "number": read_number,
    "boolean": read_boolean,
    "date": read_moment,
    "geographic_address": read_address,
    "file": read_name,
    "image": read_name,
    "user": read_name,
    "custom": read_name,
    "option": read_name,
    ID: read_name,
}
"""How a stored value of each kind is read: its value, or `ABSENT`."""

TARGETED: Final = frozenset({"custom", "option"})
"""Kinds that name a type or a set behind them."""

REFERENCES: Final = frozenset({"user", "custom"})
"""Kinds whose values are ids of things."""


def read_value(field_type: FieldType, raw: Json | Absent) -> Any:
    """What a stored value means: a value of the kind, a list of them, or `ABSENT` for an empty field.

    A list field that holds a single value is a list of one; entries that mean nothing are left out.
    """
    reader = SCALARS[field_type.kind]
    if not field_type.many:
        return reader(raw)
    items = raw if isinstance(raw, list) else [raw]
    return [value for value in map(reader, items) if value is not ABSENT] or ABSENT


def show_value(field_type: FieldType, value: Any) -> Json:
    """The JSON of a value from `read_value`: dates as text, everything else as it is."""
    if field_type.kind != "date":
        return value
    return [show_date(ms) for ms in value] if field_type.many else show_date(value)
