"""`options[find]`: which files of a collection are looked at, as Symfony's Finder says it (reference §2.2).

Each test that takes a list needs all of its values to hold, except `contains` and `path`, of which one does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final, Literal, cast

import re2

from flatdata.dialects.flextype.option_values import BadOptions, to_texts
from flatdata.dialects.flextype.strtotime import strtotime
from flatdata.query.php_dates import Calendar
from flatdata.query.php_values import number_of
from flatdata.query.tree import Json

MAX_PATTERN: Final = 1000
"""Characters of a `contains`, `not_contains` or `path`."""
MAX_TEST: Final = 200
"""Characters of a `depth`, `date` or `size`."""

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DATE_WORDS: Final = {"after": ">", "since": ">", "before": "<", "until": "<"}
_UNITS: Final = {"": 1, "k": 1000, "ki": 1 << 10, "m": 1000**2, "mi": 1 << 20, "g": 1000**3, "gi": 1 << 30}
_NUMBER: Final = re.compile(r"(==|!=|[<>]=?|)\s*([0-9.]+)\s*((?:[kmg]i?)?)", re.IGNORECASE | re.ASCII)
_DATE: Final = re.compile(r"(==|!=|[<>]=?|after|since|before|until|)\s*(.+)", re.IGNORECASE | re.DOTALL)

Times = Literal["atime", "mtime", "ctime"]


@dataclass(frozen=True, slots=True)
class SizeTest:
    """A file's size in bytes, compared with a number."""

    comparison: str
    number: float

    def accepts(self, size: int) -> bool:
        """Whether a size passes."""
        return _COMPARISONS[self.comparison](size, self.number)


@dataclass(frozen=True, slots=True)
class DateTest:
    """A file's time of modification, compared with a text that names a time."""

    comparison: str
    text: str

    def accepts(self, mtime: int, calendar: Calendar) -> bool:
        """Whether a Unix time passes, at the calendar's now."""
        return _COMPARISONS[self.comparison](mtime, calendar.seconds(self.text))


@dataclass(frozen=True, slots=True)
class TextTest:
    """A text to be found, or a regular expression if it was written with delimiters (`/prison/i`)."""

    text: str
    pattern: Any = field(default=None, compare=False, repr=False)

    def found_in(self, text: str) -> bool:
        """Whether `text` holds it. As in PHP, `$` is also true before a newline at the end."""
        if self.pattern is None:
            return self.text in text
        if self.pattern.search(text) is not None:
            return True
        return text.endswith("\n") and self.pattern.search(text[:-1]) is not None


@dataclass(frozen=True, slots=True)
class Find:
    """Which entries a collection holds. Depth 1 is a child, 0 the collection's own entry."""

    min_depth: int = 1
    max_depth: int | None = 1
    dates: tuple[DateTest, ...] = ()
    sizes: tuple[SizeTest, ...] = ()
    exclude: tuple[str, ...] = ()
    contains: tuple[TextTest, ...] = ()
    not_contains: tuple[TextTest, ...] = ()
    path: tuple[TextTest, ...] = ()
    sort_by: Times | None = None

    @property
    def needs_files(self) -> bool:
        """Whether there is a test beyond depth, so that each entry's file must be looked at."""
        return bool(
            self.dates or self.sizes or self.exclude or self.contains or self.not_contains or self.path
        )

    def accepts_path(self, relative: str) -> bool:
        """Whether a path below the collection (`2019/deep`, "" for itself) passes `exclude` and `path`."""
        segments, slashed = relative.split("/"), f"/{relative}/"
        if any(name in segments or ("/" in name and f"/{name}/" in slashed) for name in self.exclude):
            return False
        return not self.path or any(test.found_in(relative) for test in self.path)

    def accepts_file(self, size: int, mtime: int, calendar: Calendar) -> bool:
        """Whether a file's size in bytes and its Unix time of modification pass."""
        return all(test.accepts(size) for test in self.sizes) and all(
            test.accepts(mtime, calendar) for test in self.dates
        )

    def accepts_text(self, text: str) -> bool:
        """Whether the raw text of a file passes `contains` and `not_contains`."""
        if any(test.found_in(text) for test in self.not_contains):
            return False
        return not self.contains or any(test.found_in(text) for test in self.contains)


def parse_find(options: Mapping[str, Json]) -> Find:
    """Read `options[find]`.

    Raises:
        BadOptions
    """
    for callable_key in ("filter", "sort"):
        if options.get(callable_key) is not None:
            raise BadOptions(f"options.find.{callable_key}", "is a PHP function, which cannot be sent")
    min_depth, max_depth = _depths(options.get("depth"))
    return Find(
        min_depth,
        max_depth,
        dates=tuple(_date_test(text) for text in _texts(options, "date", MAX_TEST)),
        sizes=tuple(_size_test(text) for text in _texts(options, "size", MAX_TEST)),
        exclude=tuple(text.strip("/") for text in _texts(options, "exclude", MAX_PATTERN) if text.strip("/")),
        contains=_text_tests(options, "contains"),
        not_contains=_text_tests(options, "not_contains"),
        path=_text_tests(options, "path"),
        sort_by=_sort_by(options.get("sort_by")),
    )


def _texts(options: Mapping[str, Json], name: str, longest: int) -> list[str]:
    field_name = f"options.find.{name}"
    texts = to_texts(options.get(name), field_name)
    if any(len(text) > longest for text in texts):
        raise BadOptions(field_name, f"must not be longer than {longest} characters")
    return texts


def _sort_by(value: Json) -> Times | None:
    return cast("Times", value) if value in ("atime", "mtime", "ctime") else None


# --- numbers and dates ------------------------------------------------------------------------------


def _number_test(text: str, field_name: str, example: str) -> tuple[str, float]:
    found = _NUMBER.fullmatch(text.strip())
    number = number_of(found[2]) if found is not None else None
    if found is None or number is None:
        raise BadOptions(field_name, f"must be an operator and a number, such as {example}")
    return found[1] or "==", number * _UNITS[found[3].lower()]


def _depths(value: Json) -> tuple[int, int | None]:
    """The least and the greatest depth that all tests allow; a child's where there is no test."""
    if value is None:
        return 1, 1
    lowest: int = 0
    highest: int | None = None
    for text in _texts({"depth": value}, "depth", MAX_TEST):
        comparison, number = _number_test(text, "options.find.depth", ">= 1")
        if comparison == "!=" or number != int(number):
            raise BadOptions("options.find.depth", "must be a whole number after ==, <, <=, > or >=")
        depth = int(number)
        if comparison in ("==", ">", ">="):
            lowest = max(lowest, depth + (comparison == ">"))
        if comparison in ("==", "<", "<="):
            limit = depth - (comparison == "<")
            highest = limit if highest is None else min(highest, limit)
    return lowest, highest


def _size_test(text: str) -> SizeTest:
    return SizeTest(*_number_test(text, "options.find.size", ">= 10k"))


def _date_test(text: str) -> DateTest:
    found = _DATE.fullmatch(text.strip())
    if found is None or strtotime(found[2], 0, UTC) is None:
        raise BadOptions("options.find.date", "must be an operator and a date, such as > 2020-01-31")
    word = found[1].lower()
    return DateTest(_DATE_WORDS.get(word, word) or "==", found[2])


# --- texts and regular expressions ------------------------------------------------------------------

_FLAGS: Final = "imsxuADU"
_PAIRS: Final = {"{": "}", "(": ")", "[": "]", "<": ">"}


def _text_tests(options: Mapping[str, Json], name: str) -> tuple[TextTest, ...]:
    return tuple(_text_test(text, f"options.find.{name}") for text in _texts(options, name, MAX_PATTERN))


def _text_test(text: str, field_name: str) -> TextTest:
    """A delimited regular expression where Symfony takes it for one, else a plain text."""
    body = text[: max(3, len(text.rstrip(_FLAGS)))]
    if len(body) < 3 or "\n" in text or not _delimits(body[0], body[-1]):
        return TextTest(text)
    inside, flags = body[1:-1], text[len(body) :]
    if body[0] == body[-1] and re.search(rf"(?<!\\)(?:\\\\)*{re.escape(body[0])}", inside):
        raise BadOptions(field_name, "has a delimiter within the regular expression that needs a backslash")
    return TextTest(text, _compiled(inside, flags, field_name))


def _delimits(first: str, last: str) -> bool:
    if first == last:
        return not (first in "*?\\ " or (first.isascii() and first.isalnum()))
    return _PAIRS.get(first) == last


def _compiled(pattern: str, flags: str, field_name: str) -> Any:
    """A regular expression under PCRE's flags, compiled by RE2 (which has no back references or lookaround).

    `u` is always on, and so is `D`, for which `TextTest.found_in` makes up where it was not given.
    """
    if "x" in flags:
        pattern = _without_layout(pattern)
    if "A" in flags:
        pattern = rf"\A(?:{pattern})"
    own = "".join(sorted(set(flags) & set("imsU")))
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?{own}){pattern}" if own else pattern, options)
    except re2.error as error:
        raise BadOptions(field_name, "is not a regular expression that can be used") from error


def _without_layout(pattern: str) -> str:
    """What the flag `x` leaves of a pattern: no blanks and no `#` comments outside of classes."""
    kept: list[str] = []
    in_class = in_comment = escaped = False
    for char in pattern:
        if in_comment:
            in_comment = char != "\n"
            continue
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif in_class:
            in_class = char != "]"
        elif char == "#" or char.isspace():
            in_comment = char == "#"
            continue
        else:
            in_class = char == "["
        kept.append(char)
    return "".join(kept)
