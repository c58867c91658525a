"""Fields that are made on reading: `entries.fetch`, `registry.get` and `parsers` (reference/flextype §5).

An entry that has one of them depends on other content, so it is made anew for each request and never kept.
What a request may fetch this way is bounded: entries inside entries 8 deep, an entry inside itself shows
its stored fields only, and beyond `MAX_FETCHED` entries or `MAX_BYTES` of them the rest comes back empty
(and is logged). Queries look at stored values, not at what is made here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flatdata.dialects.flextype.fields import read_path
from flatdata.dialects.flextype.render import EXPANDING, Rendered, Rendering, complete, plain, top_level
from flatdata.dialects.flextype.shortcodes import Handler, expand_shortcodes
from flatdata.query.php_values import text_of
from flatdata.query.tree import ABSENT, Json
from flatdata.store.entry import Entry, decode_json

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore

MAX_NESTING: Final = 8
MAX_FETCHED: Final = 10_000
MAX_BYTES: Final = 16 << 20

Fetch = Callable[[str, Json, "Expansion"], bytes | None]
"""Fetches an entry or a collection by id and options: its JSON, or None if there is nothing to show."""

_log = logging.getLogger("flatdata.flextype")


class Expansion:
    """The rendering of entries for one request, with what they fetch.

    Args:
        how: how entries are shown.
        kept: renderings of entries that fetch nothing.
        fetch: what `entries.fetch` and the shortcode of that name call.
        registry: what `registry.get` reads.
        base_url: gives what the shortcode `[url]` stands for.
    """

    def __init__(
        self,
        how: Rendering,
        kept: Rendered,
        fetch: Fetch,
        registry: Mapping[str, Json],
        base_url: Callable[[], str],
    ) -> None:
        self._how = how
        self._kept = kept
        self._fetch = fetch
        self._registry = registry
        self._base_url = base_url
        self._stack: list[str] = []
        self._left = MAX_FETCHED
        self._bytes_left = MAX_BYTES

    @property
    def nested(self) -> bool:
        """Whether what is being rendered now was fetched by another entry."""
        return bool(self._stack)

    def affords(self, entries: int) -> bool:
        """Take `entries` off what may still be fetched; false if that is more than is left."""
        if entries > self._left or self._bytes_left <= 0:
            if self._left >= 0:
                _log.warning("entries.fetch: too much fetched for one request, at %s", self._stack[-1])
            self._left = -1
            return False
        self._left -= entries
        return True

    def render(self, entry: Entry, *, keep: bool = True) -> bytes:
        """The entry as JSON. `keep` says whether it is likely to be asked for again soon."""
        body = self._kept.get(entry)
        if body is None:
            top = top_level(entry)
            if EXPANDING.isdisjoint(top):
                body = complete(top, entry, self._how)
                if keep:
                    self._kept.keep(entry, body)
            else:
                body = self._expanded(top, entry)
        if self._stack:
            self._bytes_left -= len(body)
        return body

    def _expanded(self, top: dict[str, Any], entry: Entry) -> bytes:
        if len(self._stack) >= MAX_NESTING or entry.slug in self._stack:
            return complete(top, entry, self._how)
        self._stack.append(entry.slug)
        try:
            self._add_registry(top)
            self._add_entries(top)
            self._parse(top)
        finally:
            self._stack.pop()
        return complete(top, entry, self._how)

    # --- registry.get, entries.fetch ----------------------------------------------------------------

    def _add_registry(self, top: dict[str, Any]) -> None:
        for name, wanted in _mapping(top.get("registry"), "get").items():
            if isinstance(wanted, dict) and isinstance(wanted.get("key"), str):
                _set_path(top, name, self._from_registry(wanted["key"], wanted.get("default")))

    def _from_registry(self, key: str, default: Json) -> Json:
        value = read_path(self._registry, key)
        return default if value is ABSENT else value

    def _add_entries(self, top: dict[str, Any]) -> None:
        for name, wanted in _mapping(top.get("entries"), "fetch").items():
            if isinstance(wanted, dict) and isinstance(wanted.get("id"), str):
                body = self._fetched(wanted["id"], wanted.get("options"))
                top[name] = [] if body is None else msgspec.Raw(body)

    def _fetched(self, id_: str, options: Json) -> bytes | None:
        return self._fetch(id_, options, self) if self.affords(1) else None

    # --- parsers --------------------------------------------------------------------------------------

    def _parse(self, top: dict[str, Any]) -> None:
        for name, wanted in _mapping(top.get("parsers")).items():
            parser = self._parser(name)
            if parser is None or not isinstance(wanted, dict) or wanted.get("enabled") is not True:
                continue
            fields = wanted.get("fields")
            for path in fields if isinstance(fields, list) else ():
                text = _text_at(top, path) if isinstance(path, str) else None
                if text is not None:
                    _set_path(top, path, parser(text))

    def _parser(self, name: str) -> Callable[[str], str] | None:
        """By its name in a file. The documentation says `shortcodes`, Flextype understands `shortcode`."""
        if name == "markdown":
            return markdown
        return self._shortcodes if name in ("shortcode", "shortcodes") else None

    def _shortcodes(self, text: str) -> str:
        handlers: dict[str, Handler] = {
            "entries_fetch": self._entries_fetch,
            "media_files_fetch": lambda attributes: attributes.get("default", ""),
            "registry_get": self._registry_get,
            "url": lambda attributes: self._base_url(),
        }
        return expand_shortcodes(text, handlers)

    def _entries_fetch(self, attributes: Mapping[str, str]) -> str:
        default = attributes.get("default", "")
        body = self._fetched(attributes.get("id", ""), None)
        if body is None:
            return default
        value = read_path(decode_json(body), attributes.get("field", ""))
        return _php_text(value, default)

    def _registry_get(self, attributes: Mapping[str, str]) -> str:
        default = attributes.get("default", "")
        return _php_text(read_path(self._registry, attributes.get("name", "")), default)


@lru_cache(maxsize=256)
def markdown(text: str) -> str:
    """CommonMark with tables as HTML. HTML in the text passes through, as it does in Flextype."""
    return str(_markdown().render(text))


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # many sites have no Markdown

    converter = MarkdownIt("commonmark").enable("table")
    converter.core.ruler.push("align", _align_cells)
    return converter


def _align_cells(state: StateCore) -> None:
    """Say where the text of a cell stands with `align`, as GitHub's specification and Flextype do."""
    for token in state.tokens:
        if token.type in ("th_open", "td_open") and (style := token.attrs.pop("style", None)):
            token.attrs["align"] = str(style).removeprefix("text-align:")


def _mapping(value: Any, *path: str) -> dict[str, Json]:
    """The mapping at `path` below a top-level field, `{}` if there is none."""
    value = plain(value)
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _set_path(top: dict[str, Any], path: str, value: Json) -> None:
    """Set a field; dots lead into maps, which are made where there is none."""
    name, *rest = [path] if path in top else path.split(".")
    if not rest:
        top[name] = value
        return
    head = plain(top.get(name))
    top[name] = place = head if isinstance(head, dict) else {}
    for segment in rest[:-1]:
        below = place.get(segment)
        place[segment] = place = below if isinstance(below, dict) else {}
    place[rest[-1]] = value


def _text_at(top: Mapping[str, Any], path: str) -> str | None:
    name = path if path in top else path.partition(".")[0]
    if name not in top:
        return None
    value = read_path({name: plain(top[name])}, path)
    return value if isinstance(value, str) else None


def _php_text(value: Any, default: str) -> str:
    """A value inside a text: as PHP converts it; what is absent, a list or a map gives the default."""
    return default if value is ABSENT or isinstance(value, (list, dict)) else text_of(value)
