"""The same queries at a tenth of the size, at the size, and at four times the size, side by side.

All three sites are made for this: the one that the other parts ask has the rows that they created.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from statistics import median

from benchmarks.asking import Adapter, Bubble, Flextype, Fliplet
from benchmarks.bench import Bench
from benchmarks.films import films
from benchmarks.lines import GROWTH_LINES, SORTED
from benchmarks.load import Latency, latency
from benchmarks.processes import Server, stopping
from benchmarks.questions import Films
from benchmarks.report import Section, Table, Verdict, milliseconds, significant, times
from benchmarks.sites import Site, make_site, memory, serve

MOST = 2.0
"""Times the latency at the size before."""


def section(bench: Bench) -> Section:
    """Measure at three sizes."""
    told = Section("growth")
    size = bench.extent.size
    with ExitStack() as stack:
        places = [_place(bench, stack, each, told) for each in (size // 10, size, size * 4)]
        found: dict[tuple[str, str], list[list[Latency]]] = {}
        for line in GROWTH_LINES:
            for dialect in (Flextype, Fliplet, Bubble):
                sets = [
                    _requests(line, films_, dialect(site.tokens), server) for films_, site, server in places
                ]
                if not all(sets):
                    continue
                rounds: list[list[Latency]] = [[] for _ in places]
                for _ in range(bench.extent.rounds):
                    for number, (_, _, server) in enumerate(places):
                        rounds[number].append(latency(server.address, sets[number], bench.extent.seconds))
                found[line, dialect.title] = rounds
    sizes = [len(each) for each, _, _ in places]
    for line in GROWTH_LINES:
        mine = {title: rounds for (of, title), rounds in found.items() if of == line}
        if mine and line != SORTED:
            told.verdicts.append(_verdict(line, sizes, mine))
    columns = ["", *(f"{each:,}" for each in sizes), "growth"]
    rows = [
        [f"{line}, {title}", *(milliseconds(_p50(each)) for each in rounds), _steps(rounds)]
        for (line, title), rounds in found.items()
    ]
    note = "Median latency of a page of 20, one connection. About a page or more matches at every size."
    told.figures.append(Table("Growth", columns, rows, note))
    return told


def _place(bench: Bench, stack: ExitStack, size: int, told: Section) -> tuple[Films, Site, Server]:
    """A site of a size, served until the stack unwinds."""
    site = make_site(bench.folder / f"site-{size}", size)
    server, start = serve(site, bench.folder / f"flatdata-{size}.log")
    stack.enter_context(stopping(server))
    known = Films(films(size))
    gc.freeze()
    settled = server.wait_until_quiet()
    worker = memory(server)["worker"]
    told.notes.append(
        f"{size:,} films: first start {significant(start.seconds)} s, word index {significant(settled)} s "
        f"more, worker {worker.rss:,.0f} MB"
    )
    return known, site, server


def _requests(line: str, known: Films, adapter: Adapter, server: Server) -> list[bytes]:
    """The requests of a line, their answers checked; empty if the API cannot ask them."""
    encoded = []
    for question in GROWTH_LINES[line](known):
        if not known.matching(question):
            continue
        request = adapter.ask(question)
        if request is None:
            return []
        known.check(question, adapter.read(question, server.ask(request)))
        encoded.append(request.encode(server.address))
    return encoded


def _p50(rounds: Sequence[Latency]) -> float:
    return median(each.p50 for each in rounds)


def _factors(rounds: Sequence[Sequence[Latency]]) -> list[float]:
    return [
        median(more.p50 / less.p50 for less, more in zip(before, after, strict=True))
        for before, after in pairwise(rounds)
    ]


def _steps(rounds: Sequence[Sequence[Latency]]) -> str:
    return ", ".join(times(each) for each in _factors(rounds))


def _verdict(line: str, sizes: Sequence[int], found: Mapping[str, Sequence[Sequence[Latency]]]) -> Verdict:
    work = f"{line}: growth from {' to '.join(f'{size:,}' for size in sizes)}"
    measured = "; ".join(f"{title} {_steps(rounds)}" for title, rounds in found.items())
    reached = all(max(_factors(rounds)) < MOST for rounds in found.values())
    return Verdict(work, f"less than {significant(MOST)} × at each step", measured, reached)
