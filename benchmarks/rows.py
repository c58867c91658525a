"""What the row dialects' own issues ask for: imports, commits, queries and deletions by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.asking import Appenate, Bubble, Fliplet, vals_of
from benchmarks.bench import Bench, strange_film
from benchmarks.lines import GROWTH_LINES
from benchmarks.load import latency, summary, timings
from benchmarks.report import Section, Table, milliseconds, significant
from benchmarks.wire import Request, get
from benchmarks.writes import timed

_SMALL = 50
_APPENATE_ROWS, _APPENATE_NEW, _APPENATE_DELETED = 10_000, 1_500, 500
"""The most that one request may hold."""


def sections(bench: Bench) -> list[Section]:
    """A section for each row dialect; of one that is not served, a line that says so."""
    tokens = bench.site.tokens
    credentials = f"CompanyId=1&IntegrationKey={tokens['datasource']}&ExternalId=FILMS&Name=films"
    probes: dict[str, tuple[Request, Callable[[Bench], Section]]] = {
        "Fliplet": (get("/v1/data-sources", headers={"Auth-token": tokens["data-sources"]}), fliplet),
        "Bubble": (get("/api/1.1/meta", headers={"Authorization": f"Bearer {tokens['things']}"}), bubble),
        "Appenate": (get(f"/api/v2/datasource?format=json&{credentials}"), appenate),
    }
    told = []
    for title, (probe, measure) in probes.items():
        status = bench.server.ask(probe).status
        if status == 200:
            told.append(measure(bench))
        else:
            told.append(
                Section(title, notes=[f"not served here ({probe.path} answers {status}): not measured"])
            )
    return told


def _queries(bench: Bench, requests: Mapping[str, Sequence[Request]]) -> list[list[str]]:
    """A row of p50 and p95 for each kind of query."""
    rows = []
    address = bench.server.address
    for title, asked in requests.items():
        encoded = [request.encode(address) for request in asked]
        done = [latency(address, encoded, bench.extent.seconds) for _ in range(bench.extent.rounds)]
        p50, p95 = (median(getattr(each, name) for each in done) for name in ("p50", "p95"))
        rows.append([title, milliseconds(p50), milliseconds(p95)])
    return rows


def _seconds(bench: Bench, request: Request) -> float:
    taken = timed(bench.server, request)
    assert taken is not None
    return taken


# --- Fliplet ------------------------------------------------------------------------------------------------


def fliplet(bench: Bench) -> Section:
    """Issue 4: imports, a commit, queries, an insert into few rows and into many."""
    told, size = Section("Fliplet"), bench.extent.size
    films, imported = Fliplet(bench.site.tokens), Fliplet(bench.site.tokens, source=2)
    small = Fliplet(bench.site.tokens, source=4)
    rows = []
    for share in (5, 1):
        _seconds(bench, imported.create_many([], append=False))
        count = size // share
        taken = _seconds(bench, imported.create_many([strange_film(number) for number in range(count)]))
        rows.append([f"bulk import of {count:,} rows", f"{significant(taken)} s"])
    count = bench.extent.scaled(1_000)
    commits = [
        _seconds(bench, imported.commit([strange_film(number) for number in range(count)])) for _ in range(3)
    ]
    rows.append([f"commit of {count:,} into {size:,}", f"{significant(median(commits))} s"])
    _seconds(bench, small.create_many([strange_film(number) for number in range(_SMALL)], append=False))
    for into, source in ((_SMALL, small), (size, imported)):
        data = source.create(strange_film(0), "").encode(bench.server.address)
        one = summary(timings(bench.server.address, iter([data] * 20), 0, least=20))
        rows.append(
            [f"one insert into {into:,}", f"p50 {milliseconds(one.p50)}, p95 {milliseconds(one.p95)}"]
        )
    _seconds(bench, imported.create_many([], append=False))
    told.figures.append(Table("Fliplet: writing", ["", ""], rows))
    ranges = [{"year": {"$gte": year, "$lte": year + 2}} for year in range(1930, 2020, 10)]
    words = [
        test.value for asked in GROWTH_LINES["`contains`, a rare word"](bench.films) for test in asked.tests
    ]
    queries = {
        "equality": [
            films.query(_page({"director": director}))
            for director in list(bench.films.values("director"))[:40]
        ],
        "range": [films.query(_page(where)) for where in ranges],
        "contains": [films.query(_page({"content": {"$iLike": word}})) for word in words],
        "order": [
            films.query({**_page({}), "order": [["data.rating", way]], "offset": offset})
            for way in ("ASC", "DESC")
            for offset in (0, 20, 40)
        ],
    }
    title = f"Fliplet: queries on {size:,} rows, page of 20 with total"
    told.figures.append(Table(title, ["", "p50", "p95"], _queries(bench, queries)))
    return told


def _page(where: Mapping[str, Any]) -> dict[str, Any]:
    return {"where": where, "limit": 20, "includePagination": True}


# --- Bubble -------------------------------------------------------------------------------------------------


def bubble(bench: Bench) -> Section:
    """Issue 5: searches, and a bulk create."""
    told, size = Section("Bubble"), bench.extent.size
    api = Bubble(bench.site.tokens)

    def searches(kind: str, key: str, values: Sequence[Any]) -> list[Request]:
        return [api.search([{"key": key, "constraint_type": kind, "value": value}]) for value in values]

    far = size * 4 // 5
    words = [asked.words for asked in GROWTH_LINES["full text, two words"](bench.films)]
    years = range(1930, 2020, 10)
    queries = {
        "equality": searches("equals", "director", list(bench.films.values("director"))[:40]),
        "range": [
            api.search(
                [
                    {"key": "year", "constraint_type": "greater than", "value": year},
                    {"key": "year", "constraint_type": "less than", "value": year + 3},
                ]
            )
            for year in years
        ],
        "text contains": searches("text contains", "content", [" ".join(pair) for pair in words]),
        "_all": searches("text contains", "_all", [" ".join(pair) for pair in words]),
        "sort by a number, cursor 0": [api.search([], ("rating", way)) for way in (False, True)],
        f"sort by a number, cursor {far:,}": [api.search([], ("rating", way), far) for way in (False, True)],
    }
    title = f"Bubble: searches on {size:,} things, page of 20 with what remains"
    told.figures.append(Table(title, ["", "p50", "p95"], _queries(bench, queries)))
    lines = [strange_film(number) for number in range(1_000)]
    taken = [_seconds(bench, api.create_many(lines)) for _ in range(3)]
    rows = [["bulk create of 1,000", f"{significant(median(taken))} s"]]
    told.figures.append(Table("Bubble: writing", ["", ""], rows))
    return told


# --- Appenate -----------------------------------------------------------------------------------------------


def appenate(bench: Bench) -> Section:
    """Issue 6: a replace, new rows, deletions."""
    told, extent = Section("Appenate"), bench.extent
    api = Appenate(bench.site.tokens, "appended")
    many, new, gone = (extent.scaled(count) for count in (_APPENATE_ROWS, _APPENATE_NEW, _APPENATE_DELETED))

    def rows(first: int, count: int) -> list[list[str]]:
        return [vals_of(strange_film(number)) for number in range(first, first + count)]

    figures = []
    _seconds(bench, api.put(Rows=rows(0, many)))
    taken = _seconds(bench, api.put(Rows=rows(many // 2, many)))
    figures.append([f"replace of {many:,} rows, half of them there before", f"{significant(taken)} s"])
    held, full = many, extent.scaled(48_000)
    while held < full:
        step = min(new, full - held)
        _seconds(bench, api.put(NewRows=rows(extent.size * 2 + held, step)))
        held += step
    taken = _seconds(bench, api.put(NewRows=rows(extent.size * 4, new)))
    figures.append([f"{new:,} new rows into {held:,}", f"{significant(taken)} s"])
    rest = extent.size - held - new
    if rest > 0:
        _seconds(bench, api.put(NewRows=rows(extent.size * 5, rest)))
    deleted = [[vals[0]] for vals in rows(extent.size * 4, gone)]
    taken = _seconds(bench, api.put(DeletedRows=deleted))
    figures.append([f"{gone:,} deletes out of {extent.size:,}", f"{significant(taken)} s"])
    told.figures.append(Table("Appenate: writing", ["", ""], figures))
    return told
