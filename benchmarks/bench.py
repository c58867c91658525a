"""What the parts of a run share: how large and how long, the films, flatdata and the peers, all running."""

from __future__ import annotations

import contextlib
import gc
import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CalledProcessError

from benchmarks import sites
from benchmarks.films import films
from benchmarks.peers import PEERS, CannotInstall, Peer
from benchmarks.processes import Server, StartFailed
from benchmarks.questions import Film, Films

FULL_SIZE = 50_000


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured: films, repeated rounds, seconds of each measurement."""

    size: int
    rounds: int
    seconds: float

    def scaled(self, count: int) -> int:
        """What `count` of 50,000 comes to at this size; at least 1."""
        return max(1, count * self.size // FULL_SIZE)


@dataclass
class Bench:
    """A run.

    Attributes:
        folder: where sites and data folders lie; removed at the end.
        peers: those that run, with their servers.
        missing: why the others do not.
    """

    extent: Extent
    folder: Path
    films: Films
    site: sites.Site
    peers: list[tuple[Peer, Server]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    _server: Server | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def server(self) -> Server:
        """The running flatdata, started if it does not run; starts that nobody asked for are counted."""
        if self._server is None or self._server.process.poll() is not None:
            self.restarts += self._server is not None
            self._server, _ = sites.serve(self.site, self.folder / "flatdata.log")
            self._server.wait_until_quiet()
        return self._server

    def use(self, server: Server) -> None:
        """Take over a server of the site that was started elsewhere."""
        self._server = server

    def settle(self, seconds: float) -> None:
        """Wait until flatdata, if it runs, has nothing left to do, at most so long."""
        if self._server is not None and self._server.process.poll() is None:
            self._server.wait_until_quiet(seconds)

    def stop_server(self) -> None:
        """Stop flatdata."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def run_name(self) -> str:
        """Six characters that nothing in this run was named with before."""
        return f"r{next(self._numbers):05d}"

    def start_peers(self, installed: Path) -> None:
        """Install, fill and start the peers; those that cannot be had are noted in `missing`."""
        for name, make in PEERS.items():
            try:
                peer = make(installed)
                folder = self.folder / name
                folder.mkdir()
                peer.fill(folder, self.films.by_name)
                self.peers.append((peer, peer.start(folder)))
            except (CannotInstall, StartFailed, CalledProcessError, sqlite3.Error, OSError) as error:
                self.missing[name] = f"{type(error).__name__}: {str(error)[-300:]}"

    def close(self) -> None:
        """Stop everything."""
        self.stop_server()
        for _, server in self.peers:
            server.stop()


@contextlib.contextmanager
def prepared(extent: Extent, folder: Path) -> Iterator[Bench]:
    """A run with its site written and nothing started; at the end all is stopped and removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    site = sites.make_site(folder / "site", extent.size)
    for identity, name in OTHER_SOURCES.items():
        sites.add_source(site, identity, name)
    bench = Bench(extent, folder, Films(films(extent.size)), site)
    # The films are looked at all the time and never freed: the collector need not go through them.
    gc.freeze()
    try:
        yield bench
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)


OTHER_SOURCES = {2: "imported", 3: "appended", 4: "small"}
"""Data sources that are empty at first, by id."""


def strange_film(number: int) -> Film:
    """A film that no question about the generated ones finds, apart from those about all films."""
    return {
        "title": f"Zyx {number:08d}",
        "director": "Nobody Nowhere 0",
        "year": 1900,
        "rating": 0.5,
        "runtime": 1,
        "genre": "none",
        "country": "Nowhere",
        "awarded": False,
        "tags": ["zyx", "xyz", "zzz"],
        "content": " ".join(f"zyx{number * 7 % 1_000 + word:04d}" for word in range(40)),
    }
