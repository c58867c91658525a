"""Regular expressions from clients, compiled for RE2: matching takes time in proportion to the text.

What RE2 has no match for in linear time (look-around, back-references) is refused, and so are patterns
whose automaton would be large.
"""

from __future__ import annotations

import re
from typing import Any, Final

import re2

from flatdata.errors import FlatdataError
from flatdata.query.tree import ABSENT, Absent, Json

MAX_PATTERN: Final = 1_000
"""Characters of a pattern."""

MAX_MEMORY: Final = 1 << 20
"""Bytes that one compiled pattern may take."""

_IGNORED_FLAGS: Final = frozenset("gu")
_INLINE_FLAGS: Final = frozenset("ims")
_ESCAPE_OR_SPACE: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\s+|\#[^\n]*", re.DOTALL)
_UNICODE_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9A-Fa-f]+)\}|u([0-9A-Fa-f]{4})|(\\)|(.))", re.DOTALL)


class PatternError(FlatdataError):
    """A pattern or its options are refused; `message` says why, in words for the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Pattern:
    """A compiled pattern, equal to another of the same text and options."""

    __slots__ = ("_compiled", "options", "text")

    def __init__(self, text: str, options: str, compiled: Any) -> None:
        self.text = text
        self.options = options
        self._compiled = compiled

    def found_in(self, value: Json | Absent) -> bool:
        """Tell whether `value` is a string in which the pattern occurs."""
        if value is ABSENT or not isinstance(value, str):
            return False
        try:
            return self._compiled.search(value) is not None
        except UnicodeEncodeError:
            return False  # a lone surrogate, which only a hand-made record can hold: no text to match

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and (self.text, self.options) == (other.text, other.options)

    def __hash__(self) -> int:
        return hash((self.text, self.options))


def compile_pattern(text: str, options: str = "") -> Pattern:
    """Compile a JavaScript-like pattern. Options: `i`, `m`, `s`, and `x` for space and comments in it.

    `g` and `u` change nothing about whether a pattern occurs and are let through. Raises `PatternError`.
    """
    if len(text) > MAX_PATTERN:
        raise PatternError(f"The pattern is longer than {MAX_PATTERN} characters")
    unknown = set(options) - _INLINE_FLAGS - _IGNORED_FLAGS - {"x"}
    if unknown:
        raise PatternError(f"Unknown pattern option {min(unknown)}")
    source = _UNICODE_ESCAPE.sub(_translated_escape, _compact(text) if "x" in options else text)
    flags = "".join(sorted(set(options) & _INLINE_FLAGS))
    settings = re2.Options()
    settings.max_mem = MAX_MEMORY
    settings.log_errors = False
    try:
        compiled = re2.compile(f"(?{flags}:{source})" if flags else source, settings)
        if flags:
            re2.compile(source, settings)  # what closes our group must not be what the client sent
    except (re2.error, UnicodeEncodeError) as error:
        raise PatternError("The pattern is invalid or needs what linear-time matching cannot do") from error
    return Pattern(text, options, compiled)


def _compact(text: str) -> str:
    """Drop white space and comments outside of classes and escapes."""

    def kept(match: re.Match[str]) -> str:
        token = match.group()
        return token if token[0] in "\\[" else ""

    return _ESCAPE_OR_SPACE.sub(kept, text)


def _translated_escape(match: re.Match[str]) -> str:
    """Write JavaScript's `\\u00e9` and `\\u{e9}` as RE2 does; leave other escapes alone."""
    digits = match[1] or match[2]
    return f"\\x{{{digits}}}" if digits else match.group()
