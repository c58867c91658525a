"""Single values of `options`, cast as PHP casts them, and the refusal of those it cannot use."""

from __future__ import annotations

import re
from typing import Final

from flatdata.errors import FlatdataError
from flatdata.query.php_values import is_number, members, number_of, text_of
from flatdata.query.tree import Json

MAX_TEXTS: Final = 50
"""Values of one option that may be a list."""

_FALSE: Final = frozenset({"", "0", "false", "no", "off"})
_LEADING_NUMBER: Final = re.compile(
    r"[ \t\n\r\v\f]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
)
_MAX_INT: Final = 2**63 - 1


class BadOptions(FlatdataError):
    """An option that cannot be used.

    `field` is its path in dots (`options.find.depth`), `reason` says what it must be, in words that follow
    the path in a sentence; neither holds anything a client sent.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


def to_bool(value: Json, field: str) -> bool:
    """An option that is on or off: off are false, 0, no, off and nothing, all else is on.

    Raises:
        BadOptions: for a list or map.
    """
    if isinstance(value, list | dict):
        raise BadOptions(field, "must be true or false")
    return text_of(value).strip().lower() not in _FALSE


def to_int(value: Json) -> int:
    """PHP's `(int)`: the number a text begins with, truncated, else 0; within 64 bits."""
    if isinstance(value, list | dict):
        return 1 if value else 0
    found = _LEADING_NUMBER.match(text_of(value))
    number = number_of(found[0]) if found is not None else 0
    return int(max(-_MAX_INT - 1, min(number or 0, _MAX_INT)))


def to_text(value: Json, field: str) -> str:
    """An option that must be text; front matter may write it as a number or a boolean.

    Raises:
        BadOptions: for a list or map.
    """
    if isinstance(value, str) or is_number(value) or isinstance(value, bool):
        return text_of(value)
    raise BadOptions(field, "must be a string")


def to_texts(value: Json, field: str) -> list[str]:
    """An option that may be one text or a list of them.

    Raises:
        BadOptions
    """
    values = members(value)
    if len(values) > MAX_TEXTS:
        raise BadOptions(field, f"must not have more than {MAX_TEXTS} values")
    return [to_text(item, field) for item in values]


def to_mapping(value: Json, field: str) -> dict[str, Json]:
    """An option that must be a map; an absent one is empty, and a list is PHP's map with indices as keys.

    Raises:
        BadOptions
    """
    if isinstance(value, list):
        return {str(i): item for i, item in enumerate(value)}
    if value is not None and not isinstance(value, dict):
        raise BadOptions(field, "must be a mapping")
    return value or {}
