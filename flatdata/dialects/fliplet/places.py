"""Where rows come when nobody says how to order them (reference/fliplet.md §3.4, column NEW).

`order ASC`, rows without one last, then `id DESC`. Both are in one key: most rows have no `order`, and
thousands of ties would have to be sorted by their ids for each page. The key is bytes, because sorting a few
hundred of them takes a third of what it takes with tuples.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from flatdata.dialects.fliplet.fields import META_FIELDS
from flatdata.dialects.fliplet.queryparts import order_key
from flatdata.query.tree import Field, Json, OrderBy, OrderIndex

_INVERTED: Final = bytes(range(255, -1, -1))
_END: Final = b"\xff"
_NO_ORDER: Final = b"\x02"
_TEXT, _NUMBER = b"\x00", b"\x01"
_NEGATIVE, _POSITIVE = b"\x00", b"\x01"
_FRACTION: Final = b"\x01"
_LENGTH: Final = struct.Struct(">H").pack
_DOUBLE: Final = struct.Struct(">d").pack


def _place_key(place: Json) -> bytes:
    """Give bytes whose order is that of the places of rows, each `[order, id]`."""
    order, identity = place
    first = _NO_ORDER if order is None else _number(order)
    kind, *parts = order_key(identity)
    if kind == 0:
        return first + _NUMBER + _descending(_number(parts[0]))
    return first + _TEXT + b"".join([_descending(text.encode("utf-8", "surrogatepass")) for text in parts])


def _number(number: int | float) -> bytes:
    """Give bytes in the order of numbers; none of them begins with those of another but for its fraction."""
    if number < 0:
        return _NEGATIVE + _positive(-number).translate(_INVERTED) + _END
    return _POSITIVE + _positive(number)


def _positive(number: int | float) -> bytes:
    if number == math.inf:
        return b"\xff\xff"
    whole = int(number)
    digits = whole.to_bytes((whole.bit_length() + 7) // 8)
    fraction = _FRACTION + _DOUBLE(number - whole) if number != whole else b""
    return _LENGTH(len(digits)) + digits + fraction


def _descending(key: bytes) -> bytes:
    """Give bytes in the reverse order; a key that goes on comes before one that ends."""
    return key.translate(_INVERTED) + _END


_PLACE: Final = Field(
    "fliplet place", "", lambda entry: [META_FIELDS["order"].read(entry), META_FIELDS["id"].read(entry)]
)
_PLACES: Final = OrderIndex("fliplet place", _place_key)

DEFAULT_ORDER: Final = (OrderBy(_PLACE, _PLACES),)
"""The default order."""
