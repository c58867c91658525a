"""JSON texts from outside, read only if they are not nested beyond reason.

The decoder refuses deep nesting by itself, but at the very limit of the interpreter's stack. A finalizer that
the garbage collector happens to run there fails for want of stack, and what it should close stays open.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final

import msgspec

from flatdata.errors import FlatdataError

MAX_DEPTH: Final = 500
"""Levels of nesting: many times what can be stored, half of what the interpreter's stack holds."""

_LEVEL: Final = [{"[": 1, "{": 1, "]": -1, "}": -1}.get(chr(byte), 0) for byte in range(256)]
_NO_BRACKETS: Final = bytes(byte for byte, step in enumerate(_LEVEL) if step == 0)

_decode: Final = msgspec.json.Decoder().decode


class NotJson(FlatdataError):
    """A text is not JSON, is not UTF-8, or is nested more than `MAX_DEPTH` levels deep."""


def parse_json(text: bytes | str, decode: Callable[[bytes], Any] = _decode) -> Any:
    """The value of a JSON text.

    Args:
        decode: of a decoder with hooks of its own.

    Raises:
        NotJson: for anything else.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
            raise NotJson(f"nested more than {MAX_DEPTH} levels deep")
        return decode(data)
    except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8, or a number without end
        raise NotJson("not JSON") from error


def _depth(data: bytes) -> int:
    """How many levels deep a JSON text is nested, up to where it is malformed."""
    # Every second piece between quotation marks is a string, once those that are escaped are out of the way.
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(plain).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_LEVEL.__getitem__, brackets)), default=0)
