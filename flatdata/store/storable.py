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
    # ends at the depth limit. Classes are compared before anything is called: this runs for every write.
    level = [value]
    nodes = 1
    for depth in range(limits.max_depth + 1):
        below: list[Json] = []
        for item in level:
            kind = item.__class__
            if kind is str:
                if not item.isascii():
                    _check_text(item)
                continue
            if kind not in _KINDS:
                kind = next((base for base in _BASES if isinstance(item, base)), kind)
            if kind is str:
                _check_text(item)
            elif kind is dict or kind is list:
                if depth == limits.max_depth:
                    raise CodecError(f"nested more than {limits.max_depth} deep")
                nodes += len(item)
                if nodes > limits.max_nodes:
                    raise CodecError(f"more than {limits.max_nodes} values")
                if kind is dict:
                    _check_keys(item)
                    below.extend(item.values())
                else:
                    below.extend(item)
            elif kind not in _PLAIN:
                _check_number(item, kind)
        if not below:
            return
        level = below


_PLAIN: Final = frozenset((bool, type(None)))
_BASES: Final = (str, dict, list, float, int)
_KINDS: Final = frozenset((*_BASES, *_PLAIN))


def _check_keys(mapping: dict[Any, Json]) -> None:
    try:
        text = "".join(mapping)
    except TypeError:
        raise CodecError("a key is not text") from None
    if not text.isascii():
        _check_text(text)


def _check_number(value: Json, kind: type) -> None:
    if kind is float:
        if not math.isfinite(value):
            raise CodecError("a number is not finite")
    elif kind is not int:
        raise CodecError(f"a value of type {kind.__name__} is not JSON")
    elif not -INTEGER_BOUND < value < INTEGER_BOUND:
        raise CodecError(f"an integer has more than {MAX_DIGITS} digits")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CodecError("text holds a lone surrogate") from error
