"""Single values, as requests and manifests hold them: ids, names, numbers, places.

Each reader takes a JSON value, or None where there is none, and gives what it means; None where that is
nothing. It raises `Unfit` for what it refuses.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

from flatdata.dialects.appenate.errors import shown
from flatdata.errors import FlatdataError
from flatdata.query.tree import Json

DISPLAY_AT: Final = ("Title", "SubLeft", "Thumb")
_NOWHERE: Final = "none"
"""What a GET answers for a column without a place; a client may send it back."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_UNSET_GUID: Final = "0" * 32
"""What .NET clients send for an Id that they leave unset."""


class Unfit(FlatdataError):
    """A value is not what it should be. `reason` goes on where the value's name ends: "must be text"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_text(value: Json) -> str | None:
    """Text without the blanks around it; a number as it is written."""
    if type(value) is int:
        value = _digits(value)
    if value is not None and not isinstance(value, str):
        raise Unfit("must be text")
    return (value or "").strip() or None


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python turns to text
        raise Unfit("must be shorter") from None


def read_integer(value: Json) -> int | None:
    """An integer of up to 18 digits, also as text."""
    if isinstance(value, bool | float | list | dict):
        raise Unfit("must be an integer")
    text = read_text(value)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise Unfit(f"must be an integer, not {shown(text)}")
    return int(text)


def read_guid(value: Json) -> str | None:
    """A GUID, dashed or not, braced or not, in any case, as 32 lower-case hex digits."""
    text = read_text(value)
    if text is None:
        return None
    try:
        found = uuid.UUID(text).hex
    except ValueError:
        raise Unfit(f"must be a GUID, not {shown(text)}") from None
    return None if found == _UNSET_GUID else found


def read_place(value: Json) -> str | None:
    """Where apps show a column: one of `DISPLAY_AT`, written in any case."""
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise Unfit("must be text")
    for option in DISPLAY_AT:
        if text.lower() == option.lower():
            return option
    if text.lower() == _NOWHERE:
        return None
    raise Unfit(f"must be one of {', '.join(DISPLAY_AT)}, not {shown(text)}")
