"""An entry as this dialect shows it: its stored fields, and those that Flextype adds on reading.

The order of fields is the file's, then `content` where the file has none, then whichever of
`SPECIAL_FIELDS` are missing, in the order of that table (reference/flextype §2.1, §4, §5). Queries see the
same values: `fields` reads special fields through the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Any, Final

import msgspec

from flatdata.dialects.flextype.strtotime import MAX_TEXT, moves, strtotime
from flatdata.query.php_values import truth
from flatdata.query.tree import Json
from flatdata.store.entry import Entry, encode_json

VISIBILITIES: Final = frozenset({"draft", "hidden", "visible"})
EXPANDING: Final = frozenset({"entries", "registry", "parsers"})
"""Top-level fields that may make the answer depend on more than the entry (module `special_fields`)."""

_decode_value: Final = msgspec.json.Decoder().decode
_decode_top: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a site shows its entries.

    Args:
        documented: `slug` is the whole id, as in the documentation; else its last segment, as served by
            Flextype 0.9.10 and later.
        zone: what dates without an offset are read in.
    """

    documented: bool
    zone: tzinfo

    @property
    def view(self) -> str:
        """The name of the fields' view for the index."""
        return "flextype-documented" if self.documented else "flextype-live"


def known_visibility(value: Json) -> str:
    """`draft`, `hidden` or `visible`; anything else is visible."""
    return value if isinstance(value, str) and value in VISIBILITIES else "visible"


def _slug(stored: Json, entry: Entry, how: Rendering) -> Json:
    if stored is not None:
        return stored
    return entry.slug if how.documented else entry.name


def _id(stored: Json, entry: Entry, how: Rendering) -> Json:
    return entry.slug if stored is None else stored


def _modified(stored: Json, entry: Entry, how: Rendering) -> Json:
    return entry.mtime_ns // 1_000_000_000 if stored is None else stored


def _date(stored: Json, entry: Entry, how: Rendering) -> int:
    """Unix time. Relative texts (`tomorrow`) count from the time of the file, so that they stand still."""
    mtime = entry.mtime_ns // 1_000_000_000
    if stored is None:
        return mtime
    return _seconds(stored, mtime, how.zone) if isinstance(stored, str) and stored else 0


def _seconds(text: str, now: int, zone: tzinfo) -> int:
    settled = _settled(text, zone) if len(text) <= MAX_TEXT else 0
    return strtotime(text, now, zone) or 0 if settled is None else settled


@lru_cache(maxsize=16_384)
def _settled(text: str, zone: tzinfo) -> int | None:
    """The time that a text names at any moment, None if it moves. It takes some 20 µs to work out."""
    return None if moves(text) else strtotime(text, 0, zone) or 0


def _routable(stored: Json, entry: Entry, how: Rendering) -> bool:
    return stored is None or truth(stored)


def _visibility(stored: Json, entry: Entry, how: Rendering) -> str:
    return known_visibility(stored)


SPECIAL_FIELDS: Final[Mapping[str, Callable[[Json, Entry, Rendering], Json]]] = {
    "slug": _slug,
    "published_at": _date,
    "modified_at": _modified,
    "created_at": _date,
    "routable": _routable,
    "visibility": _visibility,
    "id": _id,
}
"""What a special field shows, given what is stored in it. A stored null is as good as none."""


def top_level(entry: Entry) -> dict[str, Any]:
    """The stored fields by name, each as the JSON it is stored in (`msgspec.Raw`): no more is parsed."""
    return _decode_top(entry.body)


def plain(value: Any) -> Json:
    """The value behind one field of `top_level`."""
    return _decode_value(value) if isinstance(value, msgspec.Raw) else value


def complete(top: dict[str, Any], entry: Entry, how: Rendering) -> bytes:
    """Add to `top` what Flextype adds on reading, and serialise it."""
    top.setdefault("content", "")
    for name, shown in SPECIAL_FIELDS.items():
        stored = top.get(name)
        top[name] = shown(None if stored is None else plain(stored), entry, how)
    return encode_json(top)


def render(entry: Entry, how: Rendering) -> bytes:
    """The entry as JSON, with nothing fetched and nothing parsed into it."""
    return complete(top_level(entry), entry, how)


class Rendered:
    """The entries rendered last, serialised. Entries are immutable, so what is here never goes stale.

    Rendering costs some 3 microseconds an entry; a page of twenty is where keeping it pays. When the
    bound is reached all of it is dropped, which costs less than knowing which of it was used last.
    """

    def __init__(self, max_bytes: int = 8 << 20) -> None:
        self._bodies: dict[Entry, bytes] = {}
        self._bytes = 0
        self._max_bytes = max_bytes

    def get(self, entry: Entry) -> bytes | None:
        """What was kept for this very object."""
        return self._bodies.get(entry)

    def keep(self, entry: Entry, body: bytes) -> None:
        """Keep a rendering. Threads may race here; at worst the bound is off by what they hold."""
        self._bytes += len(body) + 200
        if self._bytes > self._max_bytes:
            self._bodies = {}
            self._bytes = len(body) + 200
        self._bodies[entry] = body
