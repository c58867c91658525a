"""Fetching: from an id and its options to the JSON of an answer (reference/flextype §2).

The steps come in Flextype's order: find, where, group_by, sort_by, offset, limit, return. The index does
the first two, and sorting and paging as far as they count from the start; what is left is done here.
Whatever comes out empty is None, a 404.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from flatdata.dialects.flextype.errors import INTERNAL_ERROR, Refused
from flatdata.dialects.flextype.fields import field_at, read_path
from flatdata.dialects.flextype.file_tests import BY_TIME, file_conditions
from flatdata.dialects.flextype.options import (
    BadOptions,
    Filter,
    Find,
    Options,
    apply_slice,
    group_key,
    grouped,
    parse_options,
)
from flatdata.dialects.flextype.params import collection_slug, entry_slug
from flatdata.dialects.flextype.render import Rendered, Rendering
from flatdata.dialects.flextype.special_fields import Expansion
from flatdata.dialects.flextype.strtotime import calendar as calendar_at
from flatdata.plugins import MacroFailed
from flatdata.query.evaluate import matches
from flatdata.query.php import DOCUMENTED, LIVE
from flatdata.query.php_index import SORT
from flatdata.query.tree import ABSENT, Absent, All, Field, Json, KeyIndex, OrderBy, Query, Scope
from flatdata.store.entry import Entry, decode_json, encode_json
from flatdata.store.paths import MANIFEST, InvalidSlug

if TYPE_CHECKING:
    from flatdata.site import Site

FETCH: Final = "fetch"
KEPT_ENTRIES: Final = 1_000
"""Entries of an answer up to which their renderings are kept: a larger one would push everything else out."""
NO_FILTER: Final = Filter()

T = TypeVar("T")
_log = logging.getLogger("flatdata.flextype")


class Reader:
    """Answers fetches from the store, the index and the macros of one site."""

    def __init__(self, site: Site, how: Rendering) -> None:
        self._site = site
        self._how = how
        self._operators = DOCUMENTED if how.documented else LIVE
        self._kept = Rendered()

    def expansion(self, base_url: Callable[[], str]) -> Expansion:
        """What renders the entries of one request."""
        registry = self._site.settings.flextype.registry
        return Expansion(self._how, self._kept, self._fetch_nested, registry, base_url)

    def fetch(self, id_: str, options: Options, expansion: Expansion) -> bytes | None:
        """The JSON of an entry, of a collection, or of what a macro gives.

        A name in `options[method]` is looked up among the registered macros and nowhere else; Flextype
        takes names without `fetch` in them for its default method.

        Raises:
            InvalidSlug, MacroFailed, Refused
        """
        method = options.method
        if method is not None and method != FETCH:
            if (macro := self._site.plugins.macros.get(method)) is not None:
                return _encoded(method, macro(id_, options.raw))
            if FETCH in method:
                return None
        if options.collection:
            return self._collection(collection_slug(id_), options, expansion)
        entry = self._entry(id_)
        if entry is None:
            return None
        body = expansion.render(entry)
        return body if options.filter is None else self._filtered(body, options.filter)

    def _entry(self, id_: str) -> Entry | None:
        entry = self._site.store.get(id_)
        # What is there under this very id needs no look at how it is written.
        if entry is not None and entry.form != MANIFEST:
            return entry
        return self._site.store.get(entry_slug(id_))

    def _fetch_nested(self, id_: str, options: Json, expansion: Expansion) -> bytes | None:
        """The same for `entries.fetch` in a file, where what cannot be used finds nothing."""
        try:
            return self.fetch(id_, parse_options(options), expansion)
        except (BadOptions, InvalidSlug, MacroFailed, Refused):
            return None

    # --- collections --------------------------------------------------------------------------------

    def _collection(self, slug: str, options: Options, expansion: Expansion) -> bytes | None:
        steps = options.filter or NO_FILTER
        if steps.group_by is not None:
            groups, paged = self._groups(slug, options, steps, steps.group_by)
            picked_groups = _sliced(groups, steps, paged=paged)
            return _answer(picked_groups, steps, lambda group: self._list(group, expansion))
        entries, paged = self._search(slug, options, steps)
        pairs = [(entry.slug, entry) for entry in _sliced(entries, steps, paged=paged)]
        if expansion.nested and not expansion.affords(len(pairs)):
            return None
        keep = len(pairs) <= KEPT_ENTRIES
        return _answer(pairs, steps, lambda entry: expansion.render(entry, keep=keep))

    def _list(self, entries: Sequence[Entry], expansion: Expansion) -> bytes:
        if expansion.nested and not expansion.affords(len(entries)):
            return b"[]"
        keep = len(entries) <= KEPT_ENTRIES
        return b"[%s]" % b",".join(expansion.render(entry, keep=keep) for entry in entries)

    def _search(self, slug: str, options: Options, steps: Filter) -> tuple[list[Entry], bool]:
        """The entries that `find` and `where` leave, in order, and whether they are a page already."""
        offset, limit, paged = _page_of(steps)
        if limit == 0 or _nowhere(options.find):
            return [], True
        order = []
        if steps.sort is not None:
            key, descending = steps.sort
            order.append(OrderBy(field_at(key, self._how), SORT, descending))
        query = msgspec.structs.replace(
            self._query(slug, options.find, steps, order), offset=offset, limit=limit
        )
        return self._site.index.search(query).entries, paged

    def _groups(
        self, slug: str, options: Options, steps: Filter, name: str
    ) -> tuple[list[tuple[str, list[Entry]]], bool]:
        """The groups of the entries that `find` and `where` leave, and whether they are a page already."""
        offset, limit, paged = _page_of(steps)
        if limit == 0 or _nowhere(options.find):
            return [], True
        field = _group_field(name, self._how)
        query = self._query(slug, options.find, steps, [])
        groups = self._site.index.groups(query, field, _GROUPS, offset=offset, limit=limit)
        return [(group_key(field.read(group.first)), group.entries) for group in groups], paged

    def _query(self, slug: str, find: Find, steps: Filter, order: list[OrderBy]) -> Query:
        """What `find` and `where` leave, ordered by `order` before `find.sort_by`."""
        calendar = calendar_at(int(time.time()), self._how.zone)
        conditions = [
            where.condition(field_at(where.key, self._how), self._operators, calendar)
            for where in steps.where
        ]
        conditions += file_conditions(find, slug, calendar, self._site.store.raw)
        if find.sort_by is not None:
            order = [*order, BY_TIME]
        scope = Scope(slug, find.min_depth, find.max_depth)
        return Query(scope, All(tuple(conditions)), tuple(order), total=False)

    # --- one entry ------------------------------------------------------------------------------------

    def _filtered(self, body: bytes, steps: Filter) -> bytes | None:
        """A filter on a single entry picks among its own fields, as in Flextype.

        There the picked fields are then served to everybody as the entry; here nothing remembers them.
        """
        fields: dict[str, Json] = decode_json(body)
        calendar = calendar_at(int(time.time()), self._how.zone)
        conditions = [where.condition(_inside(where.key), self._operators, calendar) for where in steps.where]
        wanted = All(tuple(conditions))
        pairs = [(name, value) for name, value in fields.items() if matches(wanted, value)]
        if steps.group_by is not None:
            inside = _inside(steps.group_by)
            groups = grouped((value for _, value in pairs), inside.read)
            return _answer(_sliced(list(groups.items()), steps, paged=False), steps, encode_json)
        if steps.sort is not None:
            key, descending = steps.sort
            inside = _inside(key)
            pairs.sort(key=lambda pair: SORT.key(inside.read(pair[1])), reverse=descending)
        return _answer(_sliced(pairs, steps, paged=False), steps, encode_json)


_NEEDED: Final[Mapping[str, int]] = {"first": 1, "next": 2}
"""How many entries a `return` looks at, where that is less than all."""


def _sliced(items: Sequence[T], steps: Filter, *, paged: bool) -> Sequence[T]:
    return items if paged else apply_slice(items, steps.offset, steps.limit)


def _page_of(steps: Filter) -> tuple[int, int | None, bool]:
    """Offset and limit of what is needed, and whether that is the page; else it is everything."""
    page = steps.plain_page
    if page is None:
        return 0, None, False
    offset, limit = page
    needed = _NEEDED.get(steps.result)
    if needed is not None and (limit is None or limit > needed):
        limit = needed
    return offset, limit, True


def _nowhere(find: Find) -> bool:
    return find.max_depth is not None and find.max_depth < find.min_depth


_GROUPS: Final = KeyIndex("flextype.group", lambda value: (group_key(value),))


def _group_field(name: str, how: Rendering) -> Field:
    """Groups know no dots: a name with dots is a name."""
    if "." in name:
        return Field("flextype-name", name, lambda entry: entry.fields.get(name, ABSENT))
    return field_at(name, how)


def _inside(path: str) -> Field:
    """A field of a field's value, for filters on one entry."""

    def read(value: Any) -> Json | Absent:
        if isinstance(value, list):
            value = {str(position): item for position, item in enumerate(value)}
        return read_path(value, path) if isinstance(value, dict) else ABSENT

    return Field("flextype-inside", path, read)


# --- from what was found to JSON -----------------------------------------------------------------------


def _answer(pairs: Sequence[tuple[str, T]], steps: Filter, encode: Callable[[T], bytes]) -> bytes | None:
    """What `return` asks for, of what all the other steps left (reference/flextype §2.2)."""
    if not pairs:
        return None
    if steps.result in _ONE:
        at = _ONE[steps.result]
        return encode(pairs[at][1]) if -1 <= at < len(pairs) else None
    if steps.result == "shuffle":
        shuffled = random.sample(pairs, len(pairs))
        return b"[%s]" % b",".join(encode(item) for _, item in shuffled)
    if steps.result == "random":
        if steps.random is None:
            return encode(random.choice(pairs)[1])
        chosen = sorted(random.sample(range(len(pairs)), min(steps.random, len(pairs))))
        return _object(((pairs[at]) for at in chosen), encode) if chosen else None
    return _object(pairs, encode)


_ONE: Final[Mapping[str, int]] = {"first": 0, "next": 1, "last": -1}


def _object(pairs: Iterable[tuple[str, T]], encode: Callable[[T], bytes]) -> bytes:
    return b"{%s}" % b",".join(b"%s:%s" % (encode_json(key), encode(item)) for key, item in pairs)


def _encoded(name: str, result: Json) -> bytes | None:
    """What a macro gave, as JSON; nothing if it is empty.

    Raises:
        Refused: if it is no JSON.
    """
    try:
        return encode_json(result) if result else None
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        _log.error("the macro %s gave something that is not JSON: %s", name, error)
        raise Refused(INTERNAL_ERROR) from error
