"""What can be kept: the values the codec can write so that they read back the same, and its limits.

Everything that is JSON can be kept, except a handful of values that no YAML text can hold or that would
let one value exhaust the server. `check_storable` says which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from flatdata.errors import FlatdataError

Json = Any
"""Any JSON value: None, bool, int, float, str, list of them, dict with str keys."""


class CodecError(FlatdataError):
    """A text that cannot be read, or a value that cannot be written.

    `reason` is a sentence without the offending data's file; `line` counts from 1, None where the fault
    has no place (a value to be written, a file that is too large).
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason: Final = reason
        self.line: Final = line


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one document, for reading and for writing.

    `max_bytes` of text, `max_depth` of collections in each other, `max_nodes` values (keys not counted),
    and `max_alias_nodes` more that reading may make by following aliases.
    """

    max_bytes: int = 16 * 1024 * 1024
    max_depth: int = 64
    max_nodes: int = 1_000_000
    max_alias_nodes: int = 10_000


DEFAULT_LIMITS: Final = Limits()

MAX_DIGITS: Final = 4300
"""Decimal digits of the longest integer: what CPython converts to and from text unless told otherwise."""

INTEGER_BOUND: Final = 10**MAX_DIGITS
"""The smallest positive integer with too many digits."""


def check_storable(value: Json, limits: Limits = DEFAULT_LIMITS) -> None:
    """Return if `value` can be written and read back unchanged.

    Raises `CodecError` for text with a lone surrogate, keys that are not text, floats that are not
    finite, integers of more than 4300 digits, anything that is not JSON, more nesting or more values than
    `limits` allow. Every other character survives, NUL included.

    Not looked at: `max_bytes`, which only the written text can tell (`dump_yaml` does).
    """
    # Level by level instead of recursively: depth is the number of rounds, and a list that holds itself
    # ends at the depth limit.
    level = [value]
    nodes = 1
    for depth in range(limits.max_depth + 1):
        below: list[Json] = []
        for item in level:
            if isinstance(item, (dict, list)):
                if depth == limits.max_depth:
                    raise CodecError(f"nested more than {limits.max_depth} deep")
                nodes += len(item)
                if nodes > limits.max_nodes:
                    raise CodecError(f"more than {limits.max_nodes} values")
                below.extend(_members(item))
            else:
                _check_scalar(item)
        if not below:
            return
        level = below


def _members(collection: dict[Any, Json] | list[Json]) -> list[Json]:
    """The values of a collection, its keys checked."""
    if isinstance(collection, list):
        return collection
    for key in collection:
        if not isinstance(key, str):
            raise CodecError("a key is not text")
        _check_text(key)
    return list(collection.values())


def _check_scalar(value: Json) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise CodecError("a number is not finite")
    elif isinstance(value, int):
        if not -INTEGER_BOUND < value < INTEGER_BOUND:
            raise CodecError(f"an integer has more than {MAX_DIGITS} digits")
    elif value is not None:
        raise CodecError(f"a value of type {type(value).__name__} is not JSON")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CodecError("text holds a lone surrogate") from error
