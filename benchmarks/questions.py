"""What is asked of every server, in words that belong to none of them, and the right answers.

A question is about the collection of films. Each server's adapter (`asking.Adapter`) turns it into a request
of that server, and the answer back into names of films, which are checked here against a plain scan before
anything is timed.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from flatdata.index.terms import analyse

Film = Mapping[str, Any]
Comparison = Literal["equal", "at least", "contains", "in", "not equal"]

_TESTS: Final[Mapping[Comparison, Callable[[Any, Any], bool]]] = {
    "equal": operator.eq,
    "at least": operator.ge,
    "contains": lambda value, operand: operand in value,
    "in": lambda value, operand: value in operand,
    "not equal": operator.ne,
}
WORD_FIELDS: Final = ("title", "director", "genre", "country", "tags", "content")
"""The fields that a search for words looks at."""
PAGE: Final = 20


@dataclass(frozen=True, slots=True)
class Test:
    """A condition on one field."""

    field: str
    comparison: Comparison
    value: Any

    def holds(self, film: Film) -> bool:
        """Whether a film satisfies it."""
        return _TESTS[self.comparison](film[self.field], self.value)


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask.

    Attributes:
        name: of one film; then nothing else is looked at.
        tests: conditions that must all hold.
        words: words that must all occur somewhere in the film, stemmed; those that fit best come first where
            the API can do that.
        sort: a field, and whether it descends.
        groups: a field by which the films are put into groups, of which a page of `limit` is wanted, with
            all films in them; or
        counts: a field for whose values the films are to be counted.
    """

    name: str | None = None
    tests: tuple[Test, ...] = ()
    words: tuple[str, ...] = ()
    sort: tuple[str, bool] | None = None
    offset: int = 0
    limit: int = PAGE
    groups: str | None = None
    counts: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a server answered.

    `names` are those of the films, in order; `total` counts all matches, where the API says it; `groups` are
    the films, or their number, for each value of the field asked for; `ranked` says that the films come by
    BM25, the best first.
    """

    names: tuple[str, ...] = ()
    total: int | None = None
    groups: Mapping[str, int] | None = None
    ranked: bool = False


class WrongAnswer(Exception):
    """A server's answer is not the right one; the text says what differs."""


class Films:
    """All films by name, and what must be known about them to check answers."""

    def __init__(self, films: Iterable[tuple[str, Film]]) -> None:
        self.by_name: dict[str, Film] = dict(films)
        self._words: dict[str, frozenset[str]] = {}
        self._matching: dict[Question, list[str]] = {}

    def __len__(self) -> int:
        return len(self.by_name)

    def values(self, field: str) -> Counter[Any]:
        """How often each value of a field occurs."""
        return Counter(film[field] for film in self.by_name.values())

    def matching(self, question: Question) -> list[str]:
        """The names of all films that a question is about, in no order that matters."""
        if question not in self._matching:
            self._matching[question] = self._scan(question)
        return self._matching[question]

    def _scan(self, question: Question) -> list[str]:
        stems = [stem for word in question.words for stem in analyse(word)]
        return [
            name
            for name, film in self.by_name.items()
            if all(test.holds(film) for test in question.tests)
            and (not stems or self._stems(name).issuperset(stems))
        ]

    def _stems(self, name: str) -> frozenset[str]:
        if name not in self._words:
            film = self.by_name[name]
            self._words[name] = frozenset(analyse(" ".join(_texts(film))))
        return self._words[name]

    @cached_property
    def _average_length(self) -> float:
        return sum(map(_length, self.by_name.values())) / len(self)

    # --- checking ---------------------------------------------------------------------------------------

    def check(self, question: Question, found: Found) -> None:
        """Raise WrongAnswer unless `found` answers `question`; films that tie may come in any order."""
        if question.name is not None:
            _same("the film", found.names, (question.name,))
            return
        names = self.matching(question)
        if question.groups is not None or question.counts is not None:
            self._check_groups(question, found, names)
            return
        if found.total is not None:
            _same("the total", found.total, len(names))
        page = min(question.limit, max(0, len(names) - question.offset))
        _same("the number of films", len(found.names), page)
        _same("different films", len(set(found.names)), page)
        strangers = set(found.names) - set(names)
        if strangers:
            raise WrongAnswer(f"{question}: {sorted(strangers)[:3]} do not belong there")
        if question.sort is not None:
            self._check_order(question, found.names, names)
        if found.ranked:
            self._check_ranks(question, found.names, names)

    def _check_order(self, question: Question, given: Sequence[str], names: list[str]) -> None:
        field, descending = question.sort or ("", False)
        values = sorted((self.by_name[name][field] for name in names), reverse=descending)
        wanted = values[question.offset : question.offset + question.limit]
        _same("the order", [self.by_name[name][field] for name in given], wanted)

    def _check_ranks(self, question: Question, given: Sequence[str], names: list[str]) -> None:
        scores = dict.fromkeys(names, 0.0)
        for stem in {stem for word in question.words for stem in analyse(word)}:
            having = sum(stem in self._stems(name) for name in self.by_name)
            weight = math.log(1 + (len(self) - having + 0.5) / (having + 0.5))
            for name in names:
                film = self.by_name[name]
                often = sum(analyse(text).count(stem) for text in _texts(film))
                length = _length(film) / self._average_length
                scores[name] += weight * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length))
        best = sorted(scores.values(), reverse=True)[question.offset : question.offset + question.limit]
        _same("the scores", [round(scores[name], 6) for name in given], [round(each, 6) for each in best])

    def _check_groups(self, question: Question, found: Found, names: list[str]) -> None:
        groups = found.groups or {}
        field = question.groups or question.counts or ""
        counts = Counter(str(self.by_name[name][field]) for name in names)
        wanted = len(counts) if question.groups is None else min(question.limit, len(counts))
        _same("the number of groups", len(groups), wanted)
        for value, count in groups.items():
            _same(f"the group {value}", count, counts[value])


def _texts(film: Film) -> list[str]:
    """The texts that a search for words looks at."""
    values = [film[field] for field in WORD_FIELDS]
    return [text for value in values for text in ([value] if isinstance(value, str) else value)]


def _length(film: Film) -> int:
    return sum(map(len, _texts(film)))


def _same(what: str, given: object, wanted: object) -> None:
    if given != wanted:
        raise WrongAnswer(f"{what}: {given!r} instead of {wanted!r}")
