"""Time and memory of starts and of single requests, printed as a table: `python -m benchmarks.measure`.

Each size is a site of its own with default settings: a first start, a second one, and on that, at once,
one GET, one filtered collection and one create. Of requests the first is told, which finds nothing prepared,
and the median of many.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median

from benchmarks import sites
from benchmarks.asking import COUNTER, Flextype
from benchmarks.bench import strange_film
from benchmarks.films import films
from benchmarks.load import LoadFailed
from benchmarks.processes import Server, stopping
from benchmarks.questions import Film, Question, Test
from benchmarks.report import milliseconds, significant
from benchmarks.run import PEERS_FOLDER
from benchmarks.wire import Connection, Request

_ROLES = ("main", "keeper", "worker")
_REPEATED = 200
_COLUMNS = ("", "the first", "median of 200", *(f"peak {role}, MB" for role in _ROLES))


def measure(size: int, folder: Path) -> list[list[str]]:
    """The rows of the table for one size."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        site = sites.make_site(folder / "site", size)
        rows = []
        server, start = sites.serve(site, folder / "log")
        with stopping(server):
            rows.append(_row("first start", f"{significant(start.seconds)} s", "", server))
            settled = server.wait_until_quiet()
            rows.append(_row("the same, word index written", f"{significant(settled)} s more", "", server))
        server, start = sites.serve(site, folder / "log")
        with stopping(server):
            rows.append(_row("second start", f"{significant(start.seconds)} s", "", server))
            server.wait_until_quiet()
            for title, requests in _requests(site, dict(films(100))).items():
                first, usual = _timed(server, requests)
                rows.append(_row(title, milliseconds(first), milliseconds(usual), server))
        return rows
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _requests(site: sites.Site, known: dict[str, Film]) -> dict[str, Iterator[Request]]:
    flextype = Flextype(site.tokens)
    names, some = list(known), list(known.values())
    create = flextype.create(strange_film(0), "single")

    def filtered(number: int) -> Request:
        film = some[number % len(some)]
        tests = (Test("director", "equal", film["director"]), Test("year", "at least", film["year"]))
        return flextype.collection(Question(tests=tests))

    def created(number: int) -> Request:
        body = create.body.replace(COUNTER.encode(), b"%08d" % number)
        return Request(create.method, create.path, body, create.headers)

    return {
        "one GET": (flextype.entry(names[number % len(names)]) for number in count()),
        "one filtered collection": (filtered(number) for number in count()),
        "one create": (created(number) for number in count()),
    }


def _timed(server: Server, requests: Iterator[Request]) -> tuple[float, float]:
    """Milliseconds of the first request and of the usual one. Raises LoadFailed."""
    taken = []
    with Connection(server.address) as connection:
        for _ in range(_REPEATED):
            request = next(requests)
            data = request.encode(server.address)
            begun = time.perf_counter()
            answer = connection.send_bytes(data)
            taken.append(1000 * (time.perf_counter() - begun))
            if answer.status != 200:
                raise LoadFailed(f"{request.method} was answered {answer.status}: {answer.body[:200]!r}")
    return taken[0], median(taken)


def _row(title: str, first: str, usual: str, server: Server) -> list[str]:
    """A row with the highest memory of each process so far."""
    found = sites.memory(server)
    return [title, first, usual, *(f"{found[role].peak:,.0f}" for role in _ROLES)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure starts and single requests: time and peak memory.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000], help="default: %(default)s")
    parser.add_argument(
        "--folder", type=Path, default=PEERS_FOLDER / "measure", help="emptied; default: %(default)s"
    )
    chosen = parser.parse_args()
    for size in chosen.sizes:
        print(f"\n{size:,} films\n")
        for line in (_COLUMNS, ["---"] * len(_COLUMNS), *measure(size, chosen.folder)):
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
