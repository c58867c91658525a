"""Reads one YAML document into JSON values, whatever the document tries.

libyaml splits the text into events and we build the values, because its own composer follows a document
of 30 kB of `[` until the stack ends and takes the process with it (reference/measurements.md §2.4). It is
faster as well: 40 µs instead of 90 for a file of 640 bytes (§2.1).

The language is YAML 1.2 with its core schema, and on top of that: keys are text (`1: a` has the key "1"),
a duplicate key is an error, `<<` is an ordinary key, standard tags are honoured and all others refused, an
alias gives a copy of what it names.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from typing import Any, Final

from yaml import (
    AliasEvent,
    CBaseLoader,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from flatdata.store.storable import DEFAULT_LIMITS, CodecError, Json, Limits
from flatdata.store.yaml_scalars import MAPPING_TAG, SEQUENCE_TAG, resolve_plain, resolve_tagged

_MAX_TAG_DIRECTIVES: Final = 16
_TAG_DIRECTIVE: Final = re.compile(rb"[\r\n\x85\xa8\xa9]%TAG")  # the last bytes of YAML 1.1's line breaks
_CONFLICT_MARKERS: Final = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (rb"^<{7}(?: .*)?\r?$", rb"^={7}\r?$", rb"^>{7}(?: .*)?\r?$")
)


def load_yaml(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Json:
    """The value of the one YAML document in `data`, None if there is none.

    UTF-8, with or without a byte order mark, or UTF-16 with one; any line ends. Raises `CodecError`, with
    the line where there is one, for everything that is not such a document, that JSON cannot hold, or
    that is beyond `limits`.
    """
    text = to_utf8(data, limits)
    refuse_conflict(text)
    _refuse_directives(text)
    try:
        return _Builder(CBaseLoader(text).get_event, limits).document()
    except ReaderError as error:
        raise CodecError(error.reason, line_at(text, error.position)) from error
    except MarkedYAMLError as error:
        raise _syntax_error(error) from error
    except UnicodeDecodeError as error:
        # libyaml decodes `%ED%A0%80` in a tag without asking whether that is a character.
        raise CodecError("a tag is not valid UTF-8") from error


def to_utf8(data: bytes, limits: Limits) -> bytes:
    """The text as UTF-8 without guessing; not validated unless it was UTF-16."""
    if len(data) > limits.max_bytes:
        raise CodecError(f"larger than {limits.max_bytes} bytes")
    if not data.startswith((BOM_UTF16_BE, BOM_UTF16_LE)):
        return data
    try:
        return data.decode("utf-16").encode()
    except UnicodeDecodeError as error:
        raise CodecError("invalid UTF-16") from error


def refuse_conflict(text: bytes) -> None:
    """Raise `CodecError` if a merge was left unresolved: git's three markers, in order, as lines.

    The parser alone does not notice markers inside a quoted scalar or in the body of an `entry.md`.
    """
    if b"<<<<<<<" not in text:
        return
    position, first_line = 0, None
    for marker in _CONFLICT_MARKERS:
        match = marker.search(text, position)
        if match is None:
            return
        position = match.end()
        first_line = first_line or line_at(text, match.start())
    raise CodecError("unresolved git conflict", first_line)


def line_at(text: bytes, position: int) -> int:
    """The line, counted from 1, of the byte at `position`."""
    return text.count(b"\n", 0, position) + 1


def _refuse_directives(text: bytes) -> None:
    """Raise `CodecError` for more %TAG directives than anybody writes.

    libyaml compares each with all before it: 16,000 take half a second, the million that fit an hour.
    """
    if text.count(b"%TAG") > _MAX_TAG_DIRECTIVES and len(_TAG_DIRECTIVE.findall(text)) > _MAX_TAG_DIRECTIVES:
        raise CodecError("too many %TAG directives")


def _syntax_error(error: MarkedYAMLError) -> CodecError:
    words = [part for part in (error.context, error.problem) if part]
    mark = error.problem_mark or error.context_mark
    return CodecError(": ".join(words) or "not YAML", mark.line + 1 if mark else None)


class _Builder:
    """Makes the value of a document out of its events, counting as it goes.

    Recursive, but never deeper than the limit.
    """

    __slots__ = ("_alias_nodes_left", "_anchors", "_limits", "_next", "_nodes_left", "_open")

    def __init__(self, next_event: Callable[[], Any], limits: Limits) -> None:
        self._next = next_event
        self._limits = limits
        self._nodes_left = limits.max_nodes
        self._alias_nodes_left = limits.max_alias_nodes
        self._anchors: dict[str, Json] = {}
        self._open: list[Json] = []  # collections with an anchor that are not complete yet

    def document(self) -> Json:
        """The value of the one document, None if there is none."""
        self._next()  # the start of the stream
        if type(self._next()) is StreamEndEvent:
            return None
        value = self._value(self._next(), 0)
        self._next()  # the end of the document
        event = self._next()
        if type(event) is not StreamEndEvent:
            raise _error("more than one document", event)
        return value

    def _value(self, event: Any, depth: int) -> Json:
        """The value that begins with this event, inside `depth` collections."""
        if not self._nodes_left:
            raise _error(f"more than {self._limits.max_nodes} values", event)
        self._nodes_left -= 1
        if type(event) is not ScalarEvent:
            return self._alias(event, depth) if type(event) is AliasEvent else self._collection(event, depth)
        if event.tag is not None or event.anchor is not None:
            return self._marked_scalar(event)
        if not event.implicit[0]:
            return event.value
        try:
            return resolve_plain(event.value)
        except CodecError as error:
            raise _error(error.reason, event) from error

    def _marked_scalar(self, event: Any) -> Json:
        """A scalar with a tag or an anchor."""
        try:
            if event.tag is not None:
                value = resolve_tagged(event.tag, event.value)
            else:
                value = resolve_plain(event.value) if event.implicit[0] else event.value
        except CodecError as error:
            raise _error(error.reason, event) from error
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _collection(self, event: Any, depth: int) -> Json:
        is_mapping = type(event) is MappingStartEvent
        if event.tag not in (None, MAPPING_TAG if is_mapping else SEQUENCE_TAG):
            raise _error("this tag is not supported here", event)
        if depth >= self._limits.max_depth:
            raise _error(f"nested more than {self._limits.max_depth} deep", event)
        collection: Json = {} if is_mapping else []
        fill = self._fill_mapping if is_mapping else self._fill_sequence
        if event.anchor is None:
            fill(collection, depth + 1)
            return collection
        self._anchors[event.anchor] = collection
        self._open.append(collection)
        fill(collection, depth + 1)
        self._open.pop()
        return collection

    def _fill_mapping(self, mapping: dict[str, Json], depth: int) -> None:
        next_event = self._next
        while type(event := next_event()) is not MappingEndEvent:
            is_bare = type(event) is ScalarEvent and event.tag is None and event.anchor is None
            key = event.value if is_bare else self._marked_key(event)
            if key in mapping:
                raise _error(f"duplicate key {key[:80]!r}", event)
            mapping[key] = self._value(next_event(), depth)

    def _fill_sequence(self, sequence: list[Json], depth: int) -> None:
        next_event = self._next
        while type(event := next_event()) is not SequenceEndEvent:
            sequence.append(self._value(event, depth))

    def _marked_key(self, event: Any) -> str:
        """The text of a key that is not just a scalar."""
        if type(event) is not ScalarEvent:
            raise _error("a key that is an alias or a collection", event)
        key: str = event.value
        self._marked_scalar(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = key
        return key

    def _alias(self, event: Any, depth: int) -> Json:
        """A copy of what the alias names; `depth` as in `_value`."""
        if event.anchor not in self._anchors:
            raise _error("an alias to nothing", event)
        value = self._anchors[event.anchor]
        if any(value is collection for collection in self._open):
            raise _error("an alias to a collection that holds it", event)
        return self._copy(value, depth, event)

    def _copy(self, value: Json, depth: int, event: Any) -> Json:
        if not self._alias_nodes_left:
            raise _error(f"aliases make more than {self._limits.max_alias_nodes} values", event)
        self._alias_nodes_left -= 1
        if not isinstance(value, (dict, list)):
            return value
        if depth >= self._limits.max_depth:
            raise _error(f"nested more than {self._limits.max_depth} deep", event)
        if isinstance(value, list):
            return [self._copy(item, depth + 1, event) for item in value]
        return {key: self._copy(item, depth + 1, event) for key, item in value.items()}


def _error(reason: str, event: Any) -> CodecError:
    return CodecError(reason, event.start_mark.line + 1)
