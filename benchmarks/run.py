"""All measurements in one run, written to RESULTS.md: `python -m benchmarks.run --size 50000`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks import growth, mixed, reads, rows, sites, starts, writes
from benchmarks.bench import FULL_SIZE, Bench, Extent, prepared
from benchmarks.load import LoadFailed, require_wrk
from benchmarks.processes import StartFailed, memory_of
from benchmarks.questions import WrongAnswer
from benchmarks.report import Section, Table, at_most, machine, page, significant
from benchmarks.wire import ask, get

HERE: Final = Path(__file__).parent
PEERS_FOLDER: Final = HERE / ".peers"
MEMORY_MB: Final = 300.0
_QUIET_SECONDS: Final = 120.0

Part = Callable[[Bench], Section | list[Section]]


def memory(bench: Bench) -> Section:
    """The memory of one worker after all that was done to it, and of the peers.

    With what other parts created, and without it.
    """
    told = Section("memory")
    bench.server.wait_until_quiet(60)
    created = _entries(bench) - bench.extent.size
    more = sites.memory(bench.server)["worker"]
    told.notes.append(
        f"{significant(more.rss)} MB before the {created:,} entries that others had created went"
    )
    sites.remove_created(bench.site, bench.films.by_name)
    end = time.monotonic() + _QUIET_SECONDS
    while (left := _entries(bench)) != bench.extent.size:
        if time.monotonic() >= end:
            raise WrongAnswer(f"{left:,} entries are left of what others had created")
        time.sleep(0.2)
    bench.server.wait_until_quiet(60)
    found = sites.memory(bench.server)
    work = f"memory of one worker, {bench.extent.size:,} entries, after all of the above"
    told.verdicts.append(at_most(work, found["worker"].rss, MEMORY_MB, "MB"))
    table = [
        [f"flatdata, {role}", f"{each.rss:,.0f} MB", f"{each.pss:,.0f} MB", f"{each.peak:,.0f} MB"]
        for role, each in found.items()
    ]
    for peer, server in bench.peers:
        all_ = [memory_of(pid) for pid in server.pids]
        sums = [sum(getattr(each, name) for each in all_) for name in ("rss", "pss", "peak")]
        table.append([peer.version, *(f"{value:,.0f} MB" for value in sums)])
    columns = ["", "resident", "its share of what is shared", "highest"]
    told.figures.append(Table("Memory", columns, table))
    return told


def _entries(bench: Bench) -> int:
    """How many entries flatdata has."""
    return int(ask(bench.server.address, get("/health"), timeout=60).json["entries"])


PARTS: Final[dict[str, Part]] = {
    "starts": starts.starts,
    "reads": reads.section,
    "creates": writes.creates,
    "bulk": writes.bulk,
    "after-write": mixed.after_write,
    "slow": mixed.beside_slow,
    "checkout": starts.checkout,
    "dialects": rows.sections,
    "memory": memory,
    "growth": growth.section,
}
"""In this order: what changes the films comes after what needs them as they were, and what deletes large
sites comes last. Where ext4 has no journal, making a file takes many times as long for minutes after that."""
ABOUT: Final = (
    "Made by `make bench` (README.md beside this page says how to read it). {rounds} rounds of {seconds} s "
    "each, interleaved; medians of them; {minutes:.0f} minutes in all.{missing}"
)


def run(extent: Extent, parts: Sequence[str], folder: Path) -> Iterator[str]:
    """Run the parts; the text of RESULTS.md after each of them.

    A part that fails says so there, and the others go on.
    """
    begun = time.monotonic()
    where = machine(PEERS_FOLDER)
    told: list[Section] = []
    with prepared(extent, folder) as bench:
        bench.start_peers(PEERS_FOLDER)
        where["peers"] = ", ".join(peer.version for peer, _ in bench.peers)
        for number, name in enumerate(parts, 1):
            _say(f"{time.monotonic() - begun:6.0f} s  {name}")
            told += _part(bench, name)
            yield page(
                extent.size,
                [*told, _of_run(bench)],
                where,
                ABOUT.format(
                    rounds=extent.rounds,
                    seconds=extent.seconds,
                    minutes=(time.monotonic() - begun) / 60,
                    missing=f" **Without {', '.join(parts[number:])}.**" if parts[number:] else "",
                ),
            )
    _say(f"{(time.monotonic() - begun) / 60:.1f} minutes")


def _part(bench: Bench, name: str) -> list[Section]:
    try:
        bench.settle(_QUIET_SECONDS)
        found = PARTS[name](bench)
    except (LoadFailed, WrongAnswer, StartFailed, OSError) as error:
        reason = f"failed: {type(error).__name__}: {str(error)[:500]}"
        _say(reason)
        return [Section(name, notes=[reason])]
    return found if isinstance(found, list) else [found]


def _of_run(bench: Bench) -> Section:
    told = Section("this run")
    told.notes += [f"{name} is not here: {reason}" for name, reason in bench.missing.items()]
    if bench.restarts:
        told.notes.append(f"flatdata ended {bench.restarts} times and was started again")
    return told


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure flatdata against a bare route and other servers.")
    parser.add_argument("--size", type=int, default=FULL_SIZE, help="films (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, help=f"repeated rounds (default: 5 from {FULL_SIZE} films on, else 2)"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.4, help="of each measurement in a round (default: %(default)s)"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument(
        "--folder",
        type=Path,
        default=PEERS_FOLDER / "run",
        help="for sites and data; emptied (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "RESULTS.md", help="what to write (default: %(default)s)"
    )
    chosen = parser.parse_args()
    try:
        require_wrk()
    except LoadFailed as failed:
        parser.error(str(failed))
    PEERS_FOLDER.mkdir(exist_ok=True)
    rounds = chosen.rounds or (5 if chosen.size >= FULL_SIZE else 2)
    extent = Extent(chosen.size, rounds, chosen.seconds)
    for text in run(extent, chosen.parts, chosen.folder):
        chosen.output.write_text(text, encoding="utf-8")
    _say(f"written: {chosen.output}")


if __name__ == "__main__":
    main()
