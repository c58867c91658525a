"""Reads while something else goes on: writes in a stream, a large import, a slow query."""

from __future__ import annotations

import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from statistics import median

from benchmarks.asking import COUNTER, Flextype, Fliplet
from benchmarks.bench import Bench, strange_film
from benchmarks.lines import LINES
from benchmarks.load import Latency, LoadFailed, paced, summary, timings
from benchmarks.questions import Question, Test, WrongAnswer
from benchmarks.report import Section, Table, at_most, milliseconds, significant
from benchmarks.wire import Address, Connection, Request, ask
from benchmarks.writes import timed

WRITES = 200
"""Writes a second; half of them come from another process, each of the others has a query at its heels."""
IMPORTED = 20_000
_SLOW_SECONDS = 5.0
_MAX_CONDITIONS = 200
_WINDOW = 12.0
"""Seconds of each measurement here, in times those of a read: a p99 needs many requests."""
_ROUNDS = 3


# --- a query right after a write ----------------------------------------------------------------------------


def after_write(bench: Bench) -> Section:
    """Query what was just written, while others write too."""
    seconds, quiet, driven = bench.extent.seconds * _WINDOW, list[float](), list[float]()
    _queries(bench, 1.0, write=True)
    for _ in range(_ROUNDS):
        bench.server.wait_until_quiet(60)
        quiet += _queries(bench, seconds, write=False)
        with _writing(bench, WRITES / 2, seconds):
            driven += _queries(bench, seconds, write=True)
    told, idle, busy = Section("a query right after a write"), summary(quiet), summary(driven)
    factor = busy.p99 / idle.p99
    detail = f"{milliseconds(busy.p99)} : {milliseconds(idle.p99)}"
    work = (
        f"a query right after a write, while {WRITES} writes a second go on: p99, in times an idle server's"
    )
    told.verdicts.append(at_most(work, factor, 3.0, "×", detail=detail))
    rows = [_row("idle server", idle), _row(f"right after a write, {WRITES} writes a second", busy)]
    told.figures.append(
        Table(
            "A query right after a write",
            ["", "p50", "p95", "p99", "slowest", "queries"],
            rows,
            "The query filters by a text and a number, and must find just the entry written before it.",
        )
    )
    return told


def _queries(bench: Bench, seconds: float, *, write: bool) -> list[float]:
    """The seconds that each query took, at an even pace."""
    flextype, taken, address = Flextype(bench.site.tokens), list[float](), bench.server.address
    directors = list(bench.films.values("director"))
    run = bench.run_name()
    with Connection(address) as writer, Connection(address) as reader:

        def once(number: int) -> None:
            name = f"{run}-{number:08d}"
            director = f"{run} {number}" if write else directors[number % len(directors)]
            if write:
                film = {**strange_film(number), "director": director}
                if writer.send(flextype.create_named(film, name)).status != 200:
                    raise LoadFailed(f"{name} was not created")
            question = Question(tests=(Test("director", "equal", director), Test("year", "at least", 1900)))
            data = flextype.collection(question).encode(address)
            begun = time.perf_counter()
            answer = reader.send_bytes(data)
            taken.append(time.perf_counter() - begun)
            if write and flextype.read(question, answer).names != (name,):
                raise WrongAnswer(f"{name} was not found right after it had been written")

        paced(once, WRITES / 2, seconds)
    return taken


@contextmanager
def _writing(bench: Bench, per_second: float, seconds: float) -> Iterator[None]:
    """Another process that creates entries at an even pace."""
    flextype = Flextype(bench.site.tokens)
    template = flextype.create(strange_film(0), bench.run_name()).encode(bench.server.address)
    process = multiprocessing.get_context("fork").Process(
        target=_write, args=(bench.server.address, template, per_second, seconds + 1)
    )
    process.start()
    time.sleep(0.2)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _write(address: Address, template: bytes, per_second: float, seconds: float) -> None:
    with Connection(address) as connection:

        def once(number: int) -> None:
            connection.send_bytes(template.replace(COUNTER.encode(), b"%08d" % number))

        paced(once, per_second, seconds)


def _row(title: str, one: Latency) -> list[str]:
    values = (one.p50, one.p95, one.p99, one.worst)
    return [title, *(milliseconds(value) for value in values), f"{one.count:,}"]


# --- reads beside something slow ----------------------------------------------------------------------------


def beside_slow(bench: Bench) -> Section:
    """Read while an import runs, and while a slow query does."""
    told = Section("reads beside a slow request")
    address, reads = bench.server.address, _reads(bench)
    timings(address, cycle(reads), 1.0)
    idle = summary(timings(address, cycle(reads), bench.extent.seconds * _WINDOW))
    rows = [[*_row("idle server", idle), ""]]
    rows_of = bench.extent.scaled(IMPORTED)
    query, known = _slow_query(bench)
    if known < 0.8 * _SLOW_SECONDS:
        told.notes.append(f"the slowest query that may be asked took {significant(known)} s here")
    slow: dict[str, tuple[Callable[[], Request], Callable[[], None]]] = {
        f"{rows_of:,}-row import": (lambda: _import(bench, rows_of), lambda: _truncate(bench)),
        "slow query": (lambda: query, lambda: None),
    }
    for title, (make, prepare) in slow.items():
        taken, took = list[float](), list[float]()
        try:
            for _ in range(_ROUNDS):
                prepare()
                bench.server.wait_until_quiet(60)
                seconds, meanwhile = _beside(address, reads, make())
                taken += meanwhile
                took.append(seconds)
        except LoadFailed as failed:
            told.notes.append(f"{title}: {failed}")
            continue
        beside = summary(taken)
        factor = beside.p99 / idle.p99
        detail = f"{milliseconds(beside.p99)} : {milliseconds(idle.p99)}"
        work = f"reads beside a {title} of {significant(median(took))} s: p99, in times an idle server's"
        told.verdicts.append(at_most(work, factor, 5.0, "×", detail=detail))
        rows.append([*_row(f"beside a {title}", beside), f"{significant(median(took))} s"])
    _truncate(bench)
    columns = ["", "p50", "p95", "p99", "slowest", "reads", "the slow request took"]
    note = "GET one entry and the filtered list in turn, one connection."
    told.figures.append(Table("Reads beside a slow request", columns, rows, note))
    return told


def _reads(bench: Bench) -> list[bytes]:
    """GET one entry and the filtered list, in turn."""
    flextype = Flextype(bench.site.tokens)
    questions = [list(line.questions(bench.films)) for line in LINES[:2]]
    asked = [flextype.ask(question) for pair in zip(*questions, strict=False) for question in pair]
    return [request.encode(bench.server.address) for request in asked if request is not None]


def _beside(address: Address, reads: list[bytes], request: Request) -> tuple[float, list[float]]:
    """How long a request takes, and each read meanwhile. Raises LoadFailed."""
    done, took, failures = threading.Event(), list[float](), list[str]()

    def run() -> None:
        begun = time.perf_counter()
        try:
            answer = ask(address, request, timeout=600)
            if not 200 <= answer.status < 300 and answer.status != 404:
                failures.append(f"answered {answer.status}: {answer.body[:200]!r}")
        except OSError as error:
            failures.append(type(error).__name__)
        finally:
            took.append(time.perf_counter() - begun)
            done.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        taken = timings(address, cycle(reads), 3600, stop=done)
    finally:
        thread.join()
    if failures:
        raise LoadFailed(failures[0])
    return took[0], taken


def _import(bench: Bench, count: int) -> Request:
    fliplet = Fliplet(bench.site.tokens, source=2)
    return fliplet.create_many([strange_film(number) for number in range(count)])


def _truncate(bench: Bench) -> None:
    timed(bench.server, Fliplet(bench.site.tokens, source=2).create_many([], append=False))


def _slow_query(bench: Bench) -> tuple[Request, float]:
    """A query that takes about five seconds, or the slowest that may be asked; and how long it took.

    Regular expressions that every text matches are looked for in every film, and one that none matches comes
    last, so that no page is ever full; how many of them make five seconds is found by trying.
    """
    conditions = 2
    while True:
        request = _matching(bench, conditions)
        begun = time.perf_counter()
        ask(bench.server.address, request, timeout=600)
        taken = time.perf_counter() - begun
        wanted = math.ceil(conditions * min(10.0, _SLOW_SECONDS / taken))
        if taken >= 0.8 * _SLOW_SECONDS or conditions >= _MAX_CONDITIONS:
            return request, taken
        conditions = min(_MAX_CONDITIONS, max(conditions + 1, wanted))


def _matching(bench: Bench, conditions: int) -> Request:
    options = {"[collection]": "true", "[filter][limit]": "1"}
    for number in range(conditions):
        where = f"[filter][where][{number}]"
        options |= {f"{where}[key]": "content", f"{where}[operator]": "regexp"}
        last = number == conditions - 1
        options[f"{where}[value]"] = "zz[0-9]+zz" if last else f"[a-z]( zz{number})?"
    return Flextype(bench.site.tokens).fetch("films", options)
