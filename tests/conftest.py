"""Fixtures: sites on a real disk, and real servers on loopback ports.

`server` runs the application in this process behind a threaded HTTP server, with a keeper in a thread: it
is up in a moment, so each test has a site of its own. `process_server` runs `flatdata serve` itself: granian,
its workers and the keeper, each in their processes, to be killed where a test is about that.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, settings
from token_files import Clock
from werkzeug.serving import WSGIRequestHandler, make_server

from flatdata.access.tokens import Tokens
from flatdata.app import create_app
from flatdata.index import index as index_module
from flatdata.index import keeper as keeper_module
from flatdata.index import words as words_module
from flatdata.index import words_writer as writer_module
from flatdata.index.keeper import Keeper
from flatdata.query.evaluate import predicate
from flatdata.query.tree import Node
from flatdata.settings import load_settings
from flatdata.site import Site
from flatdata.store.entry import Entry

pytest.register_assert_rewrite("served_site", "words_site")

WAIT_SECONDS = 20.0

# How long an example takes says something about the machine, and nothing about the code.
settings.register_profile("flatdata", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("flatdata")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(**settings): settings of the site that `server` serves")


def eventually(check: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Ask until the answer is true, and give it; fail if it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return answer


def write(root: Path, path: str, text: str) -> Path:
    """Write a content file as an editor would; gives its path."""
    target = root / "content" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target


def site_files(root: Path) -> Iterator[Path]:
    """Everything in a site's folder but what the server keeps there for itself, which comes and goes."""
    for path in root.iterdir():
        if path.name != ".flatdata":
            yield path
            yield from path.rglob("*")


@dataclass
class Server:
    """A running server: where it is, what it serves, and a token of each kind."""

    url: str
    root: Path
    tokens: dict[str, str]
    site: Site | None = None
    process: subprocess.Popen[bytes] | None = None
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET `path`, which begins with a slash."""
        return self.session.get(self.url + path, timeout=WAIT_SECONDS, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any request."""
        return self.session.request(method, self.url + path, timeout=WAIT_SECONDS, **options)


def make_tokens(root: Path) -> dict[str, str]:
    """A token of each kind in the site at `root`; those of row dialects are administrators'."""
    (root / ".flatdata").mkdir(exist_ok=True)
    tokens, folder = _tokens()
    shutil.copytree(folder, root / "tokens", dirs_exist_ok=True)
    return dict(tokens)


@cache
def _tokens() -> tuple[dict[str, str], Path]:
    """The tokens of all sites, and a folder with their files: making them is a fifth of a short test."""
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root)
    (root / ".flatdata").mkdir()
    tokens = Tokens(root, root / ".flatdata")
    try:
        made = {
            "entries": tokens.create("entries"),
            "access": tokens.create("access"),
            "data-sources": tokens.create("data-sources", admin=True, organization_id=1, app_id=1),
            "things": tokens.create("things", admin=True),
            "datasource": tokens.create("datasource", company_id=1),
        }
    finally:
        tokens.close()
    return made, root / "tokens"


@pytest.fixture
def clock() -> Clock:
    """The time of `tokens`."""
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Iterator[Tokens]:
    """The tokens of a site, at times that `clock` says."""
    tokens = Tokens(tmp_path, tmp_path / ".flatdata", clock=clock)
    yield tokens
    tokens.close()


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    """An empty site."""
    root = tmp_path / "site"
    for folder in ("content", "tokens", "plugins", "media"):
        (root / folder).mkdir(parents=True)
    return root


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _keepers_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper in a thread looks every so often whether it is to end, and a test would wait for it."""
    monkeypatch.setattr(keeper_module, "_TICK_SECONDS", 0.01)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """A function that serves a site in this process: `serve(root, **settings)`."""
    closers: list[Callable[[], None]] = []

    def start(root: Path, tokens: dict[str, str] | None = None, **settings: Any) -> Server:
        tokens = tokens if tokens is not None else make_tokens(root)
        keeper = Keeper(root, compare_seconds=60)
        keeper.prepare()
        stop = threading.Event()
        keeping = threading.Thread(target=keeper.run, args=(stop,))
        keeping.start()
        site = Site(root.resolve(), load_settings(root, {}, settings))
        site.start("off")
        httpd = make_server("127.0.0.1", 0, create_app(site), threaded=True, request_handler=_QuietHandler)
        httpd.daemon_threads = True
        serving = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        server = Server(f"http://127.0.0.1:{httpd.server_port}", root, tokens, site=site)

        def close() -> None:
            server.session.close()
            httpd.shutdown()
            serving.join()
            httpd.server_close()
            site.close()
            stop.set()
            keeping.join()
            keeper.close()

        closers.append(close)
        return server

    yield start
    for close in reversed(closers):
        close()


@pytest.fixture
def words_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index of words is written, and looked at, without pauses."""
    monkeypatch.setattr(words_module, "_REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(writer_module, "_COMMIT_SECONDS", 0.002)


@pytest.fixture
def index_at_once(words_at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is used for the smallest collection, and its words are kept up to date without pauses."""
    monkeypatch.setattr(index_module, "SMALL", 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """The entries about which the index asked the evaluator."""
    entries: list[Entry] = []

    def noting(node: Node) -> Callable[[Entry], bool]:
        is_wanted = predicate(node)

        def note(entry: Entry) -> bool:
            entries.append(entry)
            return is_wanted(entry)

        return note

    monkeypatch.setattr(index_module, "predicate", noting)
    return entries


@pytest.fixture
def serve_with_words(serve: Callable[..., Server], words_at_once: None) -> Callable[[Path], Server]:
    """The same, once the index of words has all that is in the site."""

    def start(root: Path) -> Server:
        server = serve(root)
        eventually(lambda: _has_words(server))
        return server

    return start


def _has_words(server: Server) -> bool:
    assert server.site is not None
    words = server.site.index._words
    words.refresh()
    return words._view is not None and not words.behind


@pytest.fixture
def server(request: pytest.FixtureRequest, site_dir: Path, serve: Callable[..., Server]) -> Server:
    """A server over `site_dir`; `@pytest.mark.settings(...)` on the test sets settings."""
    marker = request.node.get_closest_marker("settings")
    return serve(site_dir, **(marker.kwargs if marker is not None else {}))


# Below the ports that the system gives to whoever asks for any: one of those may be somebody else's before
# the server takes it. Each process of the tests has ports of its own, and comes back to one late.
_FIRST_PORT = 20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.cycle(range(_FIRST_PORT, _FIRST_PORT + 1_000))


def free_port() -> int:
    """A port that nobody listens on."""
    for port in _PORTS:
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no end of ports")


@pytest.fixture
def serve_process() -> Iterator[Callable[..., Server]]:
    """A function that runs `flatdata serve` on a site: `serve_process(root, workers=1)`."""
    running: list[Server] = []

    def start(root: Path, workers: int = 1, tokens: dict[str, str] | None = None) -> Server:
        port = free_port()
        tokens = tokens if tokens is not None else make_tokens(root)
        command = [sys.executable, "-m", "flatdata", "serve", "--root", str(root), "--port", str(port)]
        with open(root / ".flatdata" / "serve.log", "ab") as log:
            process = subprocess.Popen(
                [*command, "--workers", str(workers)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        server = Server(f"http://127.0.0.1:{port}", root, tokens, process=process)
        running.append(server)
        eventually(lambda: _is_up(server))
        return server

    yield start
    for server in running:
        server.session.close()
        if server.process is not None and server.process.poll() is None:
            server.process.terminate()
            server.process.wait(WAIT_SECONDS)


def _is_up(server: Server) -> bool:
    assert server.process is None or server.process.poll() is None, "the server ended"
    try:
        return requests.get(server.url + "/health", timeout=1).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture
def process_server(site_dir: Path, serve_process: Callable[..., Server]) -> Server:
    """`flatdata serve` over `site_dir`."""
    return serve_process(site_dir)
