"""The lines that write: creating one entry, durable when it is answered, and 1,000 in one request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from benchmarks.asking import COUNTER, Adapter, Appenate, Bubble, Flextype, Fliplet
from benchmarks.bare import serve_bare
from benchmarks.bench import Bench, strange_film
from benchmarks.load import Latency, LoadFailed, Throughput, middle, summary, throughput, timings
from benchmarks.processes import Server, stopping
from benchmarks.questions import Film, Found, Question, WrongAnswer
from benchmarks.report import Section, Table, at_least, at_most, milliseconds, per_second, significant, times
from benchmarks.wire import Address, Request

CONNECTIONS = 16
_BACKLOG_SECONDS = 60.0
BULK = 1_000


@dataclass(slots=True)
class Creator:
    """One server in which entries are created, and what was measured."""

    title: str
    server: Server
    request: Callable[[], Request]
    latencies: list[Latency] = field(default_factory=list)
    throughputs: list[Throughput] = field(default_factory=list)
    failure: str = ""

    @property
    def address(self) -> Address:
        """Where the server listens."""
        return self.server.address

    def bodies(self) -> Iterator[bytes]:
        """Encoded requests, each of which creates another entry."""
        data = self.request().encode(self.address)
        counter = COUNTER.encode()
        return (data.replace(counter, b"%08d" % number) for number in count(1))

    @property
    def rate(self) -> float:
        """Creates a second over several connections, the median of the rounds; 0 if it could not do that."""
        return 0.0 if self.failure else median(each.rate for each in self.throughputs)

    def measure_one(self, seconds: float) -> None:
        """Create over one connection."""
        self.latencies.append(summary(timings(self.address, self.bodies(), seconds)))

    def measure_many(self, seconds: float) -> None:
        """Create over several connections; a server that fails gets no other turn."""
        if self.failure:
            return
        body = self.request().encode(self.address)
        try:
            self.throughputs.append(throughput(self.address, [body], CONNECTIONS, seconds))
        except LoadFailed as failed:
            self.failure = f"{self.title}, {CONNECTIONS} connections: {failed}"
            self.server.wait_until_quiet(_BACKLOG_SECONDS)


def _creators(bench: Bench, bare: Server) -> list[Creator]:
    film = strange_film(0)

    def creating(adapter: Adapter) -> Callable[[], Request]:
        return lambda: adapter.create(film, bench.run_name())

    flextype = Flextype(bench.site.tokens)
    plain = flextype.create(film, bench.run_name())
    creators = [
        Creator("Flextype", bench.server, creating(flextype)),
        Creator("bare route that appends and flushes", bare, lambda: _append(plain)),
        Creator("Fliplet", bench.server, creating(Fliplet(bench.site.tokens))),
        Creator("Bubble", bench.server, creating(Bubble(bench.site.tokens))),
    ]
    return creators + [
        Creator(adapter.title, server, creating(adapter))
        for peer, server in bench.peers
        for adapter in peer.adapters[:1]
    ]


def _append(request: Request) -> Request:
    return Request("POST", "/append", request.body, request.headers)


def creates(bench: Bench) -> Section:
    """Create entries from one connection, and from 16."""
    with stopping(serve_bare(bench.folder, {})) as bare:
        creators = _creators(bench, bare)
        for _ in range(bench.extent.rounds):
            for each in creators:
                each.measure_one(bench.extent.seconds)
        for _ in range(bench.extent.rounds):
            for each in creators:
                each.measure_many(bench.extent.seconds)
    _check_created(bench)
    return _told(creators)


def _check_created(bench: Bench) -> None:
    """What was acknowledged is there."""
    flextype, run = Flextype(bench.site.tokens), bench.run_name()
    film = strange_film(1)
    for number in range(20):
        name = f"{run}-{number:08d}"
        created = bench.server.ask(flextype.create_named(film, name))
        found = bench.server.ask(flextype.entry(name))
        if created.status != 200 or flextype.read(Question(name=name), found) != Found((name,)):
            raise WrongAnswer(f"{name} was not there after it had been created")


def _told(creators: Sequence[Creator]) -> Section:
    told = Section("creating", notes=[each.failure for each in creators if each.failure])
    mine, bare = creators[0], creators[1]
    latency, rate = middle(mine.latencies), mine.rate
    work = "create one entry through /api/entries, on disk when it is answered"
    told.verdicts.append(at_least(f"{work}, one connection", latency.rate, 600))
    told.verdicts.append(at_least(f"{work}, {CONNECTIONS} connections", rate, 1_500))
    ratios = [
        [
            each.title,
            times(middle(each.latencies).rate / latency.rate),
            times(each.rate / rate),
        ]
        for each in creators
    ]
    told.ratios.append(
        Table(
            "Creating entries: rates in times that of /api/entries",
            ["", "one connection", f"{CONNECTIONS} connections"],
            ratios,
            f"The {bare.title} writes one record to one file: no entry, no index, nothing to be asked about "
            "later. PocketBase, Datasette and json-server do not flush to the disk before they answer.",
        )
    )
    rows = [
        [
            each.title,
            *(milliseconds(value) for value in (summary_.p50, summary_.p99)),
            per_second(summary_.rate),
            per_second(each.rate),
        ]
        for each in creators
        for summary_ in [middle(each.latencies)]
    ]
    columns = ["", "p50", "p99", "one connection", f"{CONNECTIONS} connections"]
    told.figures.append(Table("Creating entries", columns, rows))
    return told


# --- many in one request ----------------------------------------------------------------------------------


def bulk(bench: Bench) -> Section:
    """Create 1,000 entries in one request, in a collection that has all films already."""
    numbers = count(0)

    def films() -> list[Film]:
        return [strange_film(next(numbers)) for _ in range(BULK)]

    tokens = bench.site.tokens
    fliplet, bubble, appenate = Fliplet(tokens), Bubble(tokens), Appenate(tokens, "appended")
    requests: dict[str, tuple[Server, Callable[[], Request | None]]] = {
        "Fliplet bulk import": (bench.server, lambda: fliplet.create_many(films())),
        "Fliplet commit": (bench.server, lambda: fliplet.commit(films())),
        "Bubble bulk create": (bench.server, lambda: bubble.create_many(films())),
        "Appenate NewRows": (bench.server, lambda: appenate.create_many(films())),
    }
    for peer, server in bench.peers:
        requests[peer.version] = (server, lambda peer=peer: peer.create_many(films()))  # type: ignore[misc]
    told, taken = Section(f"{BULK:,} rows in one request"), dict[str, list[float]]()
    for _ in range(bench.extent.rounds):
        for title, (server, make) in requests.items():
            try:
                seconds = timed(server, make())
            except LoadFailed as failed:
                told.notes.append(f"{title}: {failed}")
                continue
            if seconds is not None:
                taken.setdefault(title, []).append(seconds)
    for title, rounds in taken.items():
        if requests[title][0] is bench.server:
            work = f"{BULK:,} rows in one request, {title}"
            told.verdicts.append(at_most(work, median(rounds), 0.15, "s"))
    told.figures.append(
        Table(
            f"{BULK:,} rows in one request",
            ["", "median", "best", "worst"],
            [
                [title, *(f"{significant(pick(rounds))} s" for pick in (median, min, max))]
                for title, rounds in taken.items()
            ],
            "Into a source that holds all films; Appenate, whose keys are unique, into one that holds what "
            "it got before.",
        )
    )
    told.notes = list(dict.fromkeys(told.notes))
    return told


def timed(server: Server, request: Request | None) -> float | None:
    """The seconds that one request takes; None if there is none. Raises LoadFailed if it is refused."""
    if request is None:
        return None
    begun = time.perf_counter()
    answer = server.ask(request)
    taken = time.perf_counter() - begun
    if not 200 <= answer.status < 300:
        raise LoadFailed(f"{request.method} was answered {answer.status}: {answer.body[:200]!r}")
    return taken
