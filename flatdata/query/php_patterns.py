r"""The regular expressions of Flextype's `regexp` and `nregexp`: PCRE's `/…/ium`, run by RE2.

Under `u` PHP takes `\w`, `\d` and `\s` for Unicode's letters and digits, digits and blanks, RE2 for those of
ASCII; so they are spelled out. Rules: reference/flextype §2.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import re2

MAX_PATTERN: Final = 1000
"""Characters in a regular expression; a longer one is invalid."""

_UNICODE_MEMORY: Final = 1 << 20
"""Bytes that a pattern may take with its classes spelled out, which is some 30 ms of work at most."""
_MOST_SPELLED_OUT: Final = 100
"""Classes of a pattern up to which they are spelled out: RE2 takes 0.3 ms for each, even where it refuses."""

_WORD: Final = r"_\p{L}\p{N}"
_BLANK: Final = r"\s\x{0B}\x{85}\p{Z}"
_OUTSIDE: Final[Mapping[str, str]] = {
    r"\w": f"[{_WORD}]",
    r"\W": f"[^{_WORD}]",
    r"\d": r"\p{Nd}",
    r"\D": r"\P{Nd}",
    r"\s": f"[{_BLANK}]",
    r"\S": f"[^{_BLANK}]",
}
_INSIDE: Final[Mapping[str, str]] = {r"\w": _WORD, r"\d": r"\p{Nd}", r"\D": r"\P{Nd}", r"\s": _BLANK}
"""In a class; what is left of the others stays RE2's, because a class cannot hold the opposite of several."""

# Ends with the text where it is not closed, and looks no further than such names are long: what is searched
# from each bracket to the end takes a fifth of a second.
_CLASS: Final = r"\[\^?\]?(?:\\.|\[:\^?\w{1,10}:\]|[^\]\\])*(?:\]|\Z)"
_PART: Final = re.compile(rf"\\Q.*?(?:\\E|\Z)|\\.|{_CLASS}", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\.", re.DOTALL)
_CLOSED: Final = re.compile(r"(?:[^\\/]|\\.)*", re.DOTALL)


def php_pattern(text: str) -> Any:
    """`/text/ium` compiled, or None where it is invalid: a `/` must be escaped, RE2 must understand it."""
    return _compiled(text) if len(text) <= MAX_PATTERN else None


@lru_cache(maxsize=256)
def _compiled(text: str) -> Any:
    if _CLOSED.fullmatch(text) is None:
        return None
    few = sum(map(text.count, _OUTSIDE)) <= _MOST_SPELLED_OUT
    spelled_out = _PART.sub(_unicode, text) if few else text
    if spelled_out != text and (found := _by_re2(spelled_out, _UNICODE_MEMORY)) is not None:
        return found
    return _by_re2(text)


def _by_re2(text: str, max_memory: int | None = None) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    if max_memory is not None:
        options.max_mem = max_memory
    try:
        return re2.compile("(?m)" + text, options)
    except re2.error:
        return None


def _unicode(part: re.Match[str]) -> str:
    """An escape or a class with what Unicode understands by it; text between `\\Q` and `\\E` as it is."""
    text = part[0]
    if text[0] == "[":
        return _ESCAPE.sub(lambda escape: _INSIDE.get(escape[0], escape[0]), text)
    return _OUTSIDE.get(text, text)
