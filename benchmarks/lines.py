"""The lines of work that only read: their questions, and how fast they are to be.

Each line has several questions, asked in turn, so that no server can answer from a cache of one response.
Everything is chosen from the data by fixed rules: the same size gives the same questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from benchmarks.questions import PAGE, Films, Question, Test
from flatdata.index.terms import analyse

MANY: Final = 50
"""Values of an `in`."""
_VARIANTS: Final = 40
_OLDEST: Final = 1950
"""Films of a director from this year on: about 7 in 50,000."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of work.

    `most` is how many times the latency of the bare route it may take at most; `connections` says with how
    many connections its throughput is measured besides.
    """

    title: str
    questions: Callable[[Films], Sequence[Question]]
    most: float | None
    connections: tuple[int, ...] = ()


def _one_film(films: Films) -> list[Question]:
    names = list(films.by_name)
    return [Question(name=name) for name in names[:: max(1, len(names) // 500)]]


def _directors(films: Films) -> list[str]:
    """Directors in a fixed order that has nothing to do with their names."""
    return list(films.values("director"))


def _director_and_year(films: Films) -> list[Question]:
    """Only directors who have such a film: PocketBase delays empty answers on purpose."""
    active = {film["director"]: None for film in films.by_name.values() if film["year"] >= _OLDEST}
    return [
        Question(tests=(Test("director", "equal", director), Test("year", "at least", _OLDEST)))
        for director in list(active)[:_VARIANTS]
    ]


@cache
def _word_counts(films: Films) -> Counter[str]:
    """In how many texts each word occurs."""
    counts: Counter[str] = Counter()
    for film in films.by_name.values():
        counts.update(set(film["content"].split()))
    return counts


def _words_near(films: Films, share: float, count: int) -> list[str]:
    """Words that occur in about that share of the texts, of all those that have a stem of their own."""
    counts = _word_counts(films)
    stems = Counter(stem for word in counts for stem in analyse(word))
    own = [word for word in counts if [stems[stem] for stem in analyse(word)] == [1]]
    goal = share * len(films)
    return sorted(own, key=lambda word: (abs(counts[word] - goal), word))[:count]


def _contains(films: Films) -> list[Question]:
    return [
        Question(tests=(Test("content", "contains", word),)) for word in _words_near(films, 0.01, _VARIANTS)
    ]


def _two_words(films: Films) -> list[Question]:
    often, seldom = _words_near(films, 0.3, 5), _words_near(films, 0.02, 20)
    return [Question(words=(often[number % len(often)], word)) for number, word in enumerate(seldom)]


def _sorted_by(field: str) -> Callable[[Films], list[Question]]:
    def questions(films: Films) -> list[Question]:
        return [
            Question(sort=(field, descending), offset=PAGE * page)
            for page in range(8)
            for descending in (False, True)
        ]

    return questions


def _far_page(films: Films) -> list[Question]:
    """The two thousandth page of 50,000 films; of fewer, one as far behind."""
    page = len(films) * 4 // 5 // PAGE
    return [Question(sort=("rating", False), offset=PAGE * (page + number)) for number in range(8)]


def _in_many(films: Films) -> list[Question]:
    directors = _directors(films)
    return [
        Question(tests=(Test("director", "in", tuple(directors[start : start + MANY])),))
        for start in range(0, min(len(directors) - MANY, 20 * MANY), MANY)
    ]


def _negation(films: Films) -> list[Question]:
    return [
        Question(tests=(Test("country", "not equal", country),))
        for country in sorted(films.values("country"))
    ]


def _groups(films: Films) -> list[Question]:
    return [Question(groups="director"), Question(groups="director", limit=PAGE - 1)]


def _counts(films: Films) -> list[Question]:
    return [Question(counts="country"), Question(counts="year")]


LINES: Final = (
    Line("GET one entry", _one_film, 1.5, (8,)),
    Line("filtered list: director equal, year at least", _director_and_year, 2.5, (8,)),
    Line("`contains` in a 40-word text", _contains, 2.5, (8,)),
    Line("full text, two words, ranked", _two_words, 5.0),
    Line("sort of all by a number", _sorted_by("rating"), 5.0),
    Line("sort of all by text", _sorted_by("title"), 5.0),
    Line("page 2,000 of a sort (beyond 80 % of all)", _far_page, 5.0),
    Line(f"`in` with {MANY} values", _in_many, 5.0),
    Line("negation", _negation, 5.0),
    Line("group by: 20 groups with their entries", _groups, 5.0),
    Line("group by: a count for each value", _counts, 5.0),
)
"""In the order of the issue's table."""


# --- pages of 20 from selective filters, at every size ------------------------------------------------------


def _country_and_year(films: Films) -> list[Question]:
    return [
        Question(tests=(Test("country", "equal", country), Test("year", "at least", 2019)))
        for country in sorted(films.values("country"))
    ]


def _seldom_word(films: Films) -> list[Question]:
    return [Question(tests=(Test("content", "contains", word),)) for word in _words_near(films, 0.008, 10)]


def _two_seldom_words(films: Films) -> list[Question]:
    often, seldom = _words_near(films, 0.2, 3), _words_near(films, 0.04, 10)
    return [Question(words=(often[number % len(often)], word)) for number, word in enumerate(seldom)]


SORTED: Final = "page 2 of a sort of all"
"""The one line here that no filter narrows; it has nothing to reach."""

GROWTH_LINES: Final[Mapping[str, Callable[[Films], Sequence[Question]]]] = {
    "country equal, year at least": _country_and_year,
    "`contains`, a rare word": _seldom_word,
    f"`in` with {MANY} values": _in_many,
    "full text, two words": _two_seldom_words,
    SORTED: lambda films: [Question(sort=("rating", True), offset=PAGE)],
}
"""Filters that leave a page or more at every size: a fixed share of all, so more where there are more."""
