"""The terms of an entry: which words it has, and at which paths.

Each string of an entry is cut into words (`\\w+`, case-folded); a term is `<word>\\x1f<path>`, where the path
is the dotted one of the string, without places in lists. From the words of a text that are no stop words
come its stems: searches for words compare those, searches for substrings look at the words themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from flatdata.query.tree import Json
from flatdata.store.entry import Entry

LONGEST: Final = 64
"""Words of more characters share one term."""
LONG: Final = "\x01"
"""What stands for such a word in its term."""
SHARED: Final = "\x02"
"""The word of the term by which an entry says that some string of its has a path that is not its own."""
SEPARATOR: Final = "\x1f"
"""Between the word and the path of a term."""
WORD: Final = re.compile(r"\w+")
_LONGEST_KEPT: Final = 200
"""Characters of paths that are kept: clients choose them, and must not fill the memory."""
_PLAIN_PATH: Final = str.maketrans({"\n": " ", SEPARATOR: " "})
"""Characters of keys that separate terms from each other, or words from paths."""


def stem_of(word: str) -> str | None:
    """The stem of a case-folded word, None for a stop word."""
    # Endings are of English letters: numbers and many names are their own stems, and not worth remembering.
    # Where a word is so long that its ending is cut off anyway, it is not to fill the memory either.
    has_ending = "a" <= word[-1:] <= "z" and len(word) <= 2 * LONGEST
    return _stem(word) if has_ending else word[:LONGEST]


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str | None:
    # Porter2, though Whoosh's Porter is three times as fast: that one leaves `runn` of `running` and `operat`
    # of `operating`, for its rules about what `ed` and `ing` leave behind are never reached.
    from flatdata.index.whoosh_adapter import STOP_WORDS, stem  # not needed to open a site

    return None if word in STOP_WORDS else str(stem(word))[:LONGEST]  # type: ignore[no-untyped-call]


def beginnings_of(stemmed: str) -> list[str]:
    """What the terms of all words begin with that have a stem, in one way or another.

    Of what Porter2 puts in the place of an ending, one character at most is not the word's own (`i` for `y`,
    `e` for `ion` behind `at`, `l` for `ility` behind `b`), and at least two are before it. Exceptions, which
    know no rule, are in a table. One letter is left only of a word of one letter, or of a vowel before `ed`
    or `ing` and what follows them.
    """
    from flatdata.index.whoosh_adapter import STEMS_OF_EXCEPTIONS  # not needed to open a site

    if "a" <= stemmed <= "z" and len(stemmed) == 1:
        return [stemmed + SEPARATOR, f"{stemmed}ed", f"{stemmed}ing"]
    is_whole = len(stemmed) <= 2 or not "a" <= stemmed[-1] <= "z"
    beginning = stemmed if is_whole else stemmed[:-1]
    exceptions = (word for word, stem in STEMS_OF_EXCEPTIONS.items() if stem == stemmed)
    return [beginning, *(f"{word}{SEPARATOR}" for word in exceptions if not word.startswith(beginning))]


def analyse(text: str) -> list[str]:
    """The words of a text as searches compare them: case-folded, without English stop words, stemmed."""
    return [stemmed for word in WORD.findall(text.casefold()) if (stemmed := stem_of(word)) is not None]


def words_path(path: str) -> str:
    """A dotted path without its places in lists: all elements of a list share the path of the list."""
    path = path.translate(_PLAIN_PATH)
    if not any(map(str.isdigit, path)):
        return path
    return ".".join(segment for segment in path.split(".") if not segment.isdigit())


def path_below(path: str, key: str) -> str:
    """The path of the strings at a key of what is at a dotted path; with an empty key, of its own strings."""
    return (_known_below if len(path) + len(key) <= _LONGEST_KEPT else _below)(path, key)


def _below(path: str, key: str) -> str:
    path = words_path(path)
    if not key:
        return path
    return words_path(f"{path}.{key}" if path else key)


_known_below: Final = lru_cache(maxsize=1_000)(_below)


def has_own_path(key: str) -> bool:
    """Whether a key leads to a path to which no other key leads.

    Others do where a dot in the key looks like a step into a mapping, where `words_path` changes the key, and
    where it is empty.
    """
    return bool(key) and "." not in key and words_path(key) == key


def strings_of(value: Json, path: str = "", own: bool = True) -> Iterator[tuple[str, str, bool]]:
    """Every string inside a value, with its path, and whether all keys on the way have paths of their own."""
    if isinstance(value, str):
        yield path, value, own
    elif isinstance(value, dict):
        for key, inner in value.items():
            full = f"{path}.{key}" if path else key
            below = words_path(full)
            # As `has_own_path` has it, without asking for the path of the key once more.
            yield from strings_of(inner, below, own and below == full and bool(key) and "." not in key)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner, path, own)


def terms_of(entry: Entry) -> dict[str, int]:
    """The terms of an entry, and how often each occurs."""
    terms: dict[str, int] = {}
    for path, text, own in strings_of(entry.fields):
        end = SEPARATOR + path
        if not own:
            terms[SHARED + end] = 1
        for word in WORD.findall(text.casefold()):
            term = (word if len(word) <= LONGEST else LONG) + end
            terms[term] = terms.get(term, 0) + 1
    return terms
