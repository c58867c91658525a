"""The lines that read: flatdata through each of its dialects, the bare route of the same size, the peers.

Answers are checked before anything is timed. In every round all contestants of a line are measured in turn,
each dialect right before the bare route that belongs to it; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean, median

from msgspec import DecodeError

from benchmarks.asking import Adapter, Bubble, Flextype, Fliplet
from benchmarks.bare import serve_bare
from benchmarks.bench import Bench
from benchmarks.lines import LINES, Line
from benchmarks.load import (
    Latency,
    LoadFailed,
    Throughput,
    latency,
    middle,
    summary,
    throughput,
    timings,
)
from benchmarks.processes import Server, stopping
from benchmarks.questions import Films, WrongAnswer
from benchmarks.report import Section, Table, Verdict, at_least, milliseconds, per_second, significant, times
from benchmarks.wire import Address, Answer, Request

SPECIAL = ("GET one entry", "filtered list: director equal, year at least")
"""Lines in which a peer's further set-ups (with an index, public) take part."""
_POCKETBASE = "PocketBase"
_CHECK_SECONDS = 4.0
"""Time for asking and checking the questions of a line; of a slow server fewer are asked."""
_ASKED_AGAIN_SECONDS = 0.05
"""After an answer that took so long the question is asked again: the first may have had to make what the next
find, and would pass for that of a slow server."""
_SLOW_ROUNDS = 3
"""Rounds for those whose single answer takes half the time of a measurement."""


@dataclass(slots=True)
class Contestant:
    """One server asked in one way about one line, and what was measured."""

    title: str
    address: Address
    requests: list[bytes]
    seconds_each: float
    bare: Contestant | None = None
    failure: str = ""
    latencies: list[Latency] = field(default_factory=list)
    throughputs: dict[int, list[Throughput]] = field(default_factory=dict)

    def is_slow(self, seconds: float) -> bool:
        """Whether one answer takes so long that one has to do."""
        return self.seconds_each > seconds / 2

    @property
    def latency(self) -> Latency:
        """The median over the rounds."""
        return middle(self.latencies)

    def rate(self, connections: int) -> float:
        """Requests a second, the median over the rounds."""
        return median(each.rate for each in self.throughputs[connections])

    @property
    def ratio(self) -> float:
        """Times the bare route's latency."""
        assert self.bare is not None
        pairs = zip(self.latencies, self.bare.latencies, strict=True)
        return median(mine.p50 / bare.p50 for mine, bare in pairs)


@dataclass(frozen=True, slots=True)
class Asked:
    """An adapter's requests for a line, checked: seconds and bytes of an answer are means."""

    adapter: Adapter
    server: Server
    requests: list[Request]
    seconds: float
    size: int


def _timed(server: Server, request: Request) -> tuple[Answer, float]:
    """An answer, and the seconds that it took."""
    begun = time.perf_counter()
    answer = server.ask(request)
    return answer, time.perf_counter() - begun


def asked(films: Films, line: Line, adapter: Adapter, server: Server) -> Asked | None:
    """Ask the questions of a line once. Raises WrongAnswer; None if the API cannot ask any of them."""
    pairs = [(question, adapter.ask(question)) for question in line.questions(films)]
    requests: list[Request] = []
    sizes: list[int] = []
    seconds: list[float] = []
    for question, request in pairs:
        if request is None or sum(seconds) > _CHECK_SECONDS:
            continue
        answer, took = _timed(server, request)
        if took > _ASKED_AGAIN_SECONDS:
            answer, took = _timed(server, request)
        seconds.append(took)
        films.check(question, adapter.read(question, answer))
        requests.append(request)
        sizes.append(len(answer.body))
    return Asked(adapter, server, requests, mean(seconds), round(mean(sizes))) if requests else None


def _route(line: Line, adapter: Adapter) -> str:
    return f"{LINES.index(line)}-{adapter.title}"


def _bare_contestant(line: Line, of: Asked, bare: Server) -> Contestant:
    """The same requests, with the same queries, headers and bodies, to a route that returns a constant."""
    requests = []
    for request in of.requests:
        query = request.path.partition("?")[2]
        path = f"/{_route(line, of.adapter)}" + (f"?{query}" if query else "")
        method = "GET" if request.method == "GET" else "POST"
        requests.append(Request(method, path, request.body, request.headers).encode(bare.address))
    return Contestant(f"bare route, {of.size:,} bytes", bare.address, requests, 0.001)


def _contestant(of: Asked) -> Contestant:
    encoded = [request.encode(of.server.address) for request in of.requests]
    return Contestant(of.adapter.title, of.server.address, encoded, of.seconds)


def _measure(contestants: Sequence[Contestant], line: Line, rounds: int, seconds: float) -> None:
    for number in range(rounds):
        # Another one begins in each round, so that none always follows the same.
        turn = number % len(contestants)
        for each in [*contestants[turn:], *contestants[:turn]]:
            if number < _SLOW_ROUNDS or not each.is_slow(seconds):
                _take_part(each, lambda one: one.latencies.append(_latency(one, seconds)))
    for connections in line.connections:
        for _ in range(rounds):
            for each in contestants:
                _take_part(each, lambda one: _load(one, connections, seconds))  # noqa: B023 - called at once


def _take_part(contestant: Contestant, act: Callable[[Contestant], None]) -> None:
    """Measure a contestant, and the bare route right after it; one that fails is left out from then on."""
    for one in (contestant, contestant.bare):
        if one is None or contestant.failure:
            continue
        try:
            act(one)
        except (LoadFailed, OSError) as failed:
            contestant.failure = f"{type(failed).__name__}: {str(failed)[:300]}"


def _latency(contestant: Contestant, seconds: float) -> Latency:
    if contestant.is_slow(seconds):
        return summary(timings(contestant.address, iter(contestant.requests), 0, least=1))
    return latency(contestant.address, contestant.requests, seconds)


def _load(contestant: Contestant, connections: int, seconds: float) -> None:
    # Long enough for a slow one to answer several times on each connection.
    seconds = max(seconds, 4 * connections * contestant.seconds_each)
    done = throughput(contestant.address, contestant.requests, connections, seconds)
    contestant.throughputs.setdefault(connections, []).append(done)


def _peers(bench: Bench, line: Line) -> list[tuple[Adapter, Server]]:
    chosen = []
    for peer, server in bench.peers:
        adapters = peer.adapters if line.title in SPECIAL else peer.adapters[:1]
        chosen += [(adapter, server) for adapter in adapters]
    return chosen


def _all_asked(
    films: Films, line: Line, askers: Sequence[tuple[Adapter, Server]], notes: list[str]
) -> list[Asked]:
    """What each of the askers can ask about a line, with right answers; the others are noted."""
    found = []
    for adapter, server in askers:
        try:
            each = asked(films, line, adapter, server)
        except (WrongAnswer, DecodeError, KeyError, TypeError, OSError) as error:
            notes.append(f"{line.title}, {adapter.title}: wrong answer: {type(error).__name__} {error}"[:500])
            continue
        if each is not None:
            found.append(each)
    return found


def section(bench: Bench) -> Section:
    """Measure all lines."""
    told, films, tokens = Section("reading"), bench.films, bench.site.tokens
    dialects: list[Adapter] = [Flextype(tokens), Fliplet(tokens), Bubble(tokens)]
    mine = [(each, bench.server) for each in dialects]
    ours = {line.title: _all_asked(films, line, mine, told.notes) for line in LINES}
    theirs = {line.title: _all_asked(films, line, _peers(bench, line), told.notes) for line in LINES}
    sizes = {_route(line, each.adapter): each.size for line in LINES for each in ours[line.title]}
    measured: dict[str, list[Contestant]] = {}
    with stopping(serve_bare(bench.folder, sizes)) as bare:
        for line in LINES:
            contestants = [_contestant(each) for each in [*ours[line.title], *theirs[line.title]]]
            for contestant, of in zip(contestants, ours[line.title], strict=False):
                contestant.bare = _bare_contestant(line, of, bare)
            _measure(contestants, line, bench.extent.rounds, bench.extent.seconds)
            told.notes += [
                f"{line.title}, {each.title}: {each.failure}" for each in contestants if each.failure
            ]
            measured[line.title] = [each for each in contestants if not each.failure]
    _tell(told, measured)
    return told


# --- telling ----------------------------------------------------------------------------------------------


def _tell(told: Section, found: dict[str, list[Contestant]]) -> None:
    for line in LINES:
        told.verdicts += _verdicts(line, found[line.title])
    titles = list(
        dict.fromkeys(each.title for contestants in found.values() for each in contestants if each.bare)
    )
    others = list(
        dict.fromkeys(each.title for contestants in found.values() for each in contestants if not each.bare)
    )
    told.ratios.append(
        Table(
            "Latency at one connection, in times the bare route's",
            ["work", "at most", *titles],
            [
                [
                    line.title,
                    times(line.most) if line.most else "",
                    *_cells(found[line.title], titles, _ratio),
                ]
                for line in LINES
            ],
        )
    )
    told.ratios.append(
        Table(
            "Latency at one connection, in times that of flatdata's quickest dialect",
            ["work", *others],
            [[line.title, *_against_best(found[line.title], others)] for line in LINES],
        )
    )
    for line in LINES:
        told.figures.append(_figures(line, found[line.title]))


def _cells(
    contestants: Sequence[Contestant], titles: Sequence[str], tell: Callable[[Contestant], str]
) -> list[str]:
    by_title = {each.title: each for each in contestants}
    return [tell(by_title[title]) if title in by_title else "" for title in titles]


def _ratio(contestant: Contestant) -> str:
    return times(contestant.ratio)


def _against_best(contestants: Sequence[Contestant], titles: Sequence[str]) -> list[str]:
    ours = [each.latency.p50 for each in contestants if each.bare is not None]
    return _cells(contestants, titles, lambda each: times(each.latency.p50 / min(ours)) if ours else "")


def _verdicts(line: Line, contestants: Sequence[Contestant]) -> list[Verdict]:
    ours = [each for each in contestants if each.bare is not None]
    target = f"at most {significant(line.most or 0)} × the bare route"
    if not ours:
        return [Verdict(line.title, target, "no dialect that is served can ask this")]
    told = []
    if line.most is not None:
        measured = ", ".join(f"{each.title} {times(each.ratio)}" for each in ours)
        reached = all(each.ratio <= line.most for each in ours)
        told.append(Verdict(f"{line.title}, one connection", target, measured, reached))
    return told + _against_pocketbase(line, contestants)


def _against_pocketbase(line: Line, contestants: Sequence[Contestant]) -> list[Verdict]:
    by_title = {each.title: each for each in contestants}
    peer = by_title.get(_POCKETBASE)
    ours = [each for each in contestants if each.bare is not None]
    if peer is None or not ours or line.title not in SPECIAL:
        return []
    if line.title == SPECIAL[0]:
        mine = ours[0]
        factor = mine.rate(8) / peer.rate(8)
        detail = f"{per_second(mine.rate(8))} : {per_second(peer.rate(8))}"
        work = f"{line.title}, 8 connections, against"
        told = [at_least(f"{work} PocketBase", factor, 1.5, "×", detail=detail)]
        if "json-server" in by_title:
            rate = by_title["json-server"].rate(8)
            measured = (
                f"{significant(mine.rate(8) / rate)} × ({per_second(mine.rate(8))} : {per_second(rate)})"
            )
            told.append(Verdict(f"{work} json-server", "in sight of it", measured))
        return told
    told = []
    for title, least in (
        (_POCKETBASE, 30.0),
        ("PocketBase, index", 1.0),
        ("PocketBase, index, no total", 1.0),
    ):
        if title not in by_title:
            continue
        rate = by_title[title].latency.rate
        factors = {each.title: each.latency.rate / rate for each in ours}
        measured = ", ".join(f"{name} {times(factor)}" for name, factor in factors.items())
        target = f"at least {significant(least)} × its rate ({per_second(rate)})"
        work = f"{line.title}, against {title}, one connection"
        told.append(Verdict(work, target, measured, min(factors.values()) >= least))
    return told


def _figures(line: Line, contestants: Sequence[Contestant]) -> Table:
    columns = ["", "p50", "p99", "requests a second"]
    columns += [f"at {count} connections" for count in line.connections]
    rows = []
    for contestant in contestants:
        for one in (contestant, contestant.bare):
            if one is not None:
                mine = one.latency
                rates = [per_second(one.rate(count)) for count in line.connections]
                row = [
                    one.title,
                    milliseconds(mine.p50),
                    milliseconds(mine.p99),
                    per_second(mine.rate),
                    *rates,
                ]
                rows.append(row)
    return Table(line.title, columns, rows)
