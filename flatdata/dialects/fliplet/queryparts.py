"""Parts that queries and joins have in common: limits, attributes, orderings (reference/fliplet.md §3)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from flatdata.dialects.fliplet.fields import META_FIELDS
from flatdata.errors import FlatdataError
from flatdata.query.javascript import is_nan, is_number, number_of_text, text_of
from flatdata.query.tree import ABSENT, Absent, Json, OrderIndex
from flatdata.store.entry import encode_json

DATA: Final = "data."
"""What the names of columns begin with where they stand beside metadata."""

MAX_NAMES: Final = 10_000
"""Columns that a query may name in one list."""


class QueryBodyError(FlatdataError):
    """A query that is not understood or is refused; `message` says why, in words for the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def shown(value: Json) -> str:
    """Give a value as an error may repeat it: as text, not too long of it."""
    return text_of(value)[:200]


# --- numbers --------------------------------------------------------------------------------------------


def read_whole(name: str, value: Json) -> int | None:
    """Read a `limit` or an `offset`: None if it is not sent, fractions cut off. Raises `QueryBodyError`."""
    if value is None:
        return None
    number = number_of_text(value) if isinstance(value, str) and value.strip() else value
    if not is_number(number) or is_nan(number) or not 0 <= number < math.inf:
        raise QueryBodyError(f"Invalid {name}: {shown(value)}")
    return int(number)


def read_limit(value: Json) -> int | None:
    """Read a limit, where 0 means none."""
    return read_whole("limit", value) or None


# --- names ----------------------------------------------------------------------------------------------


def read_names(name: str, value: Json) -> tuple[str, ...] | None:
    """Read a list of names, None if it is not sent. Raises `QueryBodyError`."""
    if value is None:
        return None
    if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise QueryBodyError(f"{name} must be an array of names")
    if len(value) > MAX_NAMES:
        raise QueryBodyError(f"{name} may have at most {MAX_NAMES} names")
    return tuple(value)


def is_named(column: str, names: frozenset[str]) -> bool:
    """Tell whether a column is among names that may begin with `data.` or not."""
    return column in names or DATA + column in names


# --- order ------------------------------------------------------------------------------------------------

_NUMERIC: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def order_key(value: Json | Absent) -> tuple[Any, ...]:
    """Give the place of a value: numbers and text that looks like one, then text, then null and missing.

    Text is ordered without regard to case first. Lists and objects are ordered by their JSON.
    """
    if value is None or value is ABSENT:
        return (2,)
    if is_number(value) and not is_nan(value):
        return (0, value)
    text = value if isinstance(value, str) else _json_text(value)
    stripped = text.strip()
    if _NUMERIC.fullmatch(stripped):
        return (0, number_of_text(stripped))
    return (1, text.casefold(), text)


def _json_text(value: Json | Absent) -> str:
    if isinstance(value, bool | float):
        return text_of(value)
    try:
        return encode_json(value).decode()
    except (TypeError, UnicodeEncodeError):
        return text_of(value)


ORDER: Final = OrderIndex("fliplet order", order_key)
"""The order of rows by a column or by metadata."""

_DIRECTIONS: Final = {"ASC": False, "DESC": True}


def read_direction(value: Json) -> bool:
    """Tell whether a direction is descending. Raises `QueryBodyError`."""
    if value is None:
        return False
    direction = value.upper() if isinstance(value, str) else ""
    if direction not in _DIRECTIONS:
        raise QueryBodyError(f"Invalid order direction: {shown(value)}")
    return _DIRECTIONS[direction]


def read_order_column(value: Json | Absent, columns: Sequence[str] | None) -> str:
    """Read what to order by: a name of metadata, or `data.` and a column, which must be declared if any are.

    The two messages are the service's own (§3.4). Raises `QueryBodyError`.
    """
    if not isinstance(value, str):
        raise QueryBodyError(f"Invalid order column name: {shown(value)}")
    if value in META_FIELDS:
        return value
    column = value.removeprefix(DATA)
    if column == value or not column or not all(c.isalnum() or c in " _-" for c in column):
        raise QueryBodyError(f"Invalid order column name: {shown(value)}")
    if columns and column not in columns:
        raise QueryBodyError(f"Column '{column}' does not exists")
    return value
