"""The parameters of a search, parsed once (reference/bubble.md §6, §7, §8).

A GET carries them in its query string; some clients send a JSON body with it, whose values then need not be
text. Everything comes out typed, or is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.bubble.errors import bad_parameter
from flatdata.json_text import NotJson, parse_json
from flatdata.query.bubble_values import read_boolean
from flatdata.query.tree import Json

MAX_LIMIT: Final = 100
"""Things on a page; more are asked for in vain (§6)."""

MAX_SORTS: Final = 10
MAX_CONSTRAINTS: Final = 500
RANDOM: Final = "_random_sorting"


@dataclass(frozen=True, slots=True)
class SortBy:
    """One sort key, as the client names it."""

    key: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What a list request asks for. `sorts` is empty for the default order; `random` excludes it."""

    constraints: tuple[Mapping[str, Json], ...] = ()
    cursor: int = 0
    limit: int = MAX_LIMIT
    sorts: tuple[SortBy, ...] = ()
    random: bool = False
    geo_reference: str = ""
    count_remaining: bool = True


# What JSON has most of, and what means nothing to a query string: decoding it early changes nothing.
_ESCAPES: Final = [(b"%%%02X" % ord(plain), plain.encode()) for plain in '"{}[]:, ']
_FEW_ESCAPES: Final = 8


def without_escapes(query: bytes) -> bytes:
    """The same query string without the escapes of the punctuation of JSON, if it has many."""
    if query.count(b"%") > _FEW_ESCAPES:
        for escape, plain in _ESCAPES:
            query = query.replace(escape, plain)
    return query


def parse_search(parameters: Mapping[str, Json]) -> Search:
    """The search that the parameters of a request describe. Raises `Refused`."""
    sorts = _sorts(parameters)
    random = bool(sorts) and sorts[0].key == RANDOM
    return Search(
        constraints=_constraints(parameters.get("constraints")),
        cursor=_whole(parameters, "cursor", 0),
        limit=min(_whole(parameters, "limit", MAX_LIMIT), MAX_LIMIT),
        sorts=() if random else sorts,
        random=random,
        geo_reference=_text(parameters, "geo_reference"),
        count_remaining=not _flag(parameters.get("exclude_remaining"), "exclude_remaining"),
    )


def _whole(parameters: Mapping[str, Json], name: str, default: int) -> int:
    value = parameters.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.strip().isdigit():
        return int(value)
    if type(value) is int and value >= 0:
        return value
    raise bad_parameter(name, "it must be a whole number, 0 or greater")


def _text(parameters: Mapping[str, Json], name: str) -> str:
    value = parameters.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise bad_parameter(name, "it must be text")


def _flag(value: Json, name: str) -> bool:
    if value is None or value == "":
        return False
    flag = read_boolean(value)
    if isinstance(flag, bool):
        return flag
    raise bad_parameter(name, "it must be true or false")


def _list(value: Json, name: str, longest: int) -> tuple[Mapping[str, Json], ...]:
    """A JSON array of objects, as text or already parsed."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except NotJson:
            raise bad_parameter(name, "it is not JSON") from None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise bad_parameter(name, "it must be an array of objects")
    if len(value) > longest:
        raise bad_parameter(name, f"it must have no more than {longest} items")
    return tuple(value)


def _constraints(value: Json) -> tuple[Mapping[str, Json], ...]:
    constraints = _list(value, "constraints", MAX_CONSTRAINTS)
    for constraint in constraints:
        for part in ("key", "constraint_type"):
            if not isinstance(constraint.get(part), str):
                raise bad_parameter("constraints", f"each of them needs a {part}")
    return constraints


def _sorts(parameters: Mapping[str, Json]) -> tuple[SortBy, ...]:
    first = _text(parameters, "sort_field")
    if not first:
        return ()
    sorts = [SortBy(first, _flag(parameters.get("descending"), "descending"))]
    if first == RANDOM:
        # Not looked at: "the entries in the array additional_sort_fields will be ignored".
        return tuple(sorts)
    for item in _list(parameters.get("additional_sort_fields"), "additional_sort_fields", MAX_SORTS):
        key = item.get("sort_field")
        if not isinstance(key, str) or not key:
            raise bad_parameter("additional_sort_fields", "each of them needs a sort_field")
        sorts.append(SortBy(key, _flag(item.get("descending"), "descending")))
    return tuple(sorts)
