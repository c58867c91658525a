"""Things by their ids: making unique ids, and finding the rows they name (reference/bubble.md §4)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from flatdata.dialects.bubble.types import Catalogue, ThingType
from flatdata.query.bubble_values import FieldType
from flatdata.store.entry import Entry
from flatdata.store.paths import InvalidSlug, check_slug, join

_LEAST: Final = 10**17
Get = Callable[[str], Entry | None]
"""Looks up an entry by its slug."""


def random_parts(count: int) -> list[int]:
    """Second halves of `count` ids, ascending, so that things made in one millisecond keep their order."""
    return sorted(_LEAST + secrets.randbelow(9 * _LEAST) for _ in range(count))


def unique_id(ms: int, random_part: int) -> str:
    """`1449154312665x293260311940684900`."""
    return f"{ms:013d}x{random_part}"


def new_id() -> str:
    """An id of now that nothing has: the chance that something does is one in 10^17."""
    return unique_id(time.time_ns() // 1_000_000, random_parts(1)[0])


def thing_slug(thing_type: ThingType, identity: str) -> str | None:
    """The slug of the row with this id, None if no row can have it."""
    slug = join(thing_type.source.slug, identity)
    try:
        fits = "/" not in identity and check_slug(slug) == slug
    except InvalidSlug:
        return None
    return slug if fits else None


def find_thing(get: Get, thing_type: ThingType, identity: str) -> Entry | None:
    """The row with this id."""
    slug = thing_slug(thing_type, identity)
    return None if slug is None else get(slug)


def reference_exists(get: Get, catalogue: Catalogue, field_type: FieldType, identity: str) -> bool:
    """Whether a reference leads to a thing of its type."""
    target = catalogue.target(field_type)
    return target is not None and find_thing(get, target, identity) is not None


def thing_of_any_type(get: Get, catalogue: Catalogue, identity: str) -> tuple[ThingType, Entry] | None:
    """The thing with this id, whatever its type, and that type."""
    for thing_type in (*catalogue.types.values(), *catalogue.hidden.values()):
        if identity and (entry := find_thing(get, thing_type, identity)) is not None:
            return thing_type, entry
    return None
