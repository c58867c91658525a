"""`options` of a fetch, parsed once into typed values (reference/flextype §2.1, §2.2).

Unknown keys are ignored and incomplete conditions skipped, as Flextype does. What makes Flextype answer 500
is refused with `BadOptions`. Options come from a query string or from the front matter of an entry. Nothing
here depends on the time; texts that name one are kept until a `Calendar` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar, get_args

from msgspec import Struct

from flatdata.dialects.flextype.find_options import Find, parse_find
from flatdata.dialects.flextype.option_values import BadOptions, to_bool, to_int, to_mapping, to_text
from flatdata.dialects.flextype.querystring import with_lists
from flatdata.query.php import MAX_PATTERN, UNKNOWN
from flatdata.query.php_dates import Calendar
from flatdata.query.php_values import members, text_of
from flatdata.query.tree import Absent, Condition, Field, Json, Operator

__all__ = [
    "BadOptions",
    "Filter",
    "Find",
    "Options",
    "Where",
    "apply_slice",
    "group_key",
    "grouped",
    "page_of",
    "parse_options",
]

MAX_CONDITIONS: Final = 200
"""Conditions of one `where`."""

MAX_KEY: Final = 500
"""Characters of a key to filter, group or sort by."""

Result = Literal["all", "first", "last", "next", "random", "shuffle"]
"""What `return` may ask for; every other value means `all`."""
_RESULTS: Final[Mapping[str, Result]] = {known: known for known in get_args(Result)}
CHILDREN: Final = Find()
"""What a collection holds where nothing else is asked for."""
T = TypeVar("T")


class Where(Struct, frozen=True):
    """One condition: a key in dot notation, a lower-case operator (any text), and what was sent with it."""

    key: str
    operator: str
    value: Json

    def condition(self, at: Field, operators: Mapping[str, Operator], calendar: Calendar) -> Condition:
        """The condition for the query tree, under a table of operators; an unknown one matches nothing."""
        dated = self.operator in ("newer", "older") and isinstance(self.value, str)
        operand = calendar.moment(self.value) if dated else self.value
        return Condition(at, operators.get(self.operator, UNKNOWN), operand)


class Filter(Struct, frozen=True):
    """`options[filter]`, applied in this order: where, group_by, sort, offset, limit, result.

    `sort` is a key in dot notation and whether it descends. `offset` and `limit` are PHP's: negative ones
    count from the end. `random` is the number asked for by `return=random`, None for a bare entry.
    """

    where: tuple[Where, ...] = ()
    group_by: str | None = None
    sort: tuple[str, bool] | None = None
    offset: int | None = None
    limit: int | None = None
    result: Result = "all"
    random: int | None = None

    @property
    def plain_page(self) -> tuple[int, int | None] | None:
        """Offset and limit (None is all) where both count from the start, so that an index can page."""
        offset, limit = self.offset or 0, self.limit
        return (offset, limit) if offset >= 0 and (limit is None or limit >= 0) else None


@dataclass(frozen=True, slots=True)
class Options:
    """All of `options`. `given` is the whole mapping, with PHP's lists as maps."""

    collection: bool = False
    find: Find = CHILDREN
    filter: Filter | None = None
    method: str | None = None
    given: Mapping[str, Json] = field(default_factory=dict, compare=False, hash=False)

    @property
    def raw(self) -> dict[str, Json]:
        """The whole mapping, for macros, with PHP's lists as lists."""
        return {key: with_lists(value) for key, value in self.given.items()}


def parse_options(raw: Json) -> Options:
    """Read the value of `options`, absent (None) included.

    Raises:
        BadOptions
    """
    options = to_mapping(raw, "options")
    given = options.get("filter")
    method, find = options.get("method"), options.get("find")
    return Options(
        collection=to_bool(options.get("collection"), "options.collection"),
        find=parse_find(to_mapping(find, "options.find")) if find is not None else CHILDREN,
        filter=None if given is None else _filter(to_mapping(given, "options.filter")),
        method=None if method is None else to_text(method, "options.method"),
        given=options,
    )


def _filter(options: dict[str, Json]) -> Filter:
    group_by, offset, limit = (options.get(name) for name in ("group_by", "offset", "limit"))
    asked = options.get("return")
    result: Result = _RESULTS.get(asked, "all") if isinstance(asked, str) else "all"
    count = options.get("random") if result == "random" else None
    if count is not None and to_int(count) < 0:
        raise BadOptions("options.filter.random", "must not be negative")
    return Filter(
        where=_where(options.get("where")),
        group_by=None if group_by is None else _key(group_by, "options.filter.group_by"),
        sort=_sort(options.get("sort_by")),
        offset=None if offset is None else to_int(offset),
        limit=None if limit is None else to_int(limit),
        result=result,
        random=None if count is None else to_int(count),
    )


def _where(value: Json) -> tuple[Where, ...]:
    """The complete conditions, in order of appearance. A `where` that is no list or map has none."""
    given = members(value) if isinstance(value, list | dict) else []
    if len(given) > MAX_CONDITIONS:
        raise BadOptions("options.filter.where", f"must not have more than {MAX_CONDITIONS} conditions")
    return tuple(_condition(item) for item in given if isinstance(item, dict) and _complete(item))


def _complete(item: dict[str, Json]) -> bool:
    return all(item.get(part) is not None for part in ("key", "operator", "value"))


def _condition(item: dict[str, Json]) -> Where:
    name = to_text(item["operator"], "options.filter.where.operator").lower()
    value = with_lists(item["value"])
    if name in ("regexp", "nregexp") and isinstance(value, str) and len(value) > MAX_PATTERN:
        raise BadOptions("options.filter.where.value", f"must not be longer than {MAX_PATTERN} characters")
    return Where(_key(item["key"], "options.filter.where.key"), name, value)


def _sort(value: Json) -> tuple[str, bool] | None:
    """Key and direction, both needed; every direction but DESC ascends."""
    if not isinstance(value, dict) or value.get("key") is None or value.get("direction") is None:
        return None
    direction = to_text(value["direction"], "options.filter.sort_by.direction")
    return _key(value["key"], "options.filter.sort_by.key"), direction.upper() == "DESC"


def _key(value: Json, field_name: str) -> str:
    key = to_text(value, field_name)
    if len(key) > MAX_KEY:
        raise BadOptions(field_name, f"must not be longer than {MAX_KEY} characters")
    return key


# --- pages and groups -------------------------------------------------------------------------------


def apply_slice(items: Sequence[T], offset: int | None, limit: int | None) -> list[T]:
    """PHP's `array_slice`, first by offset, then by limit; None leaves out the step.

    A negative offset counts from the end, a negative limit leaves out that many at the end.
    """
    return list(items[offset:])[:limit]


def page_of(offset: int | None, limit: int | None, total: int) -> tuple[int, int]:
    """The same slice of `total` items, as the first position and the number of items."""
    start, stop, _ = slice(offset, None).indices(total)
    count = slice(None, limit).indices(stop - start)[1]
    return start, count


def group_key(value: Json | Absent) -> str:
    """The group of an entry by a value: booleans are `1` and `0`; absent, null, lists and maps are in ``.

    Flextype answers 500 for lists and maps, and truncates floats; here they keep their text.
    """
    if isinstance(value, list | dict):
        return ""
    return str(int(value)) if isinstance(value, bool) else text_of(value)


def grouped(items: Iterable[T], value_of: Callable[[T], Json | Absent]) -> dict[str, list[T]]:
    """The items by `group_key` of their values, groups in order of appearance."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(group_key(value_of(item)), []).append(item)
    return groups
