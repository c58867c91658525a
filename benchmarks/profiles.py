"""Profiles of the three most frequent requests, as text: `python -m benchmarks.profiles`.

The application is called in this process, without server and network, and a timer looks a thousand times a
second at what it is doing: the requests run as fast as they would unwatched, and waiting for the disk counts.
What was found with it, and what was done, is in PROFILES.md.
"""

from __future__ import annotations

import argparse
import gc
import io
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from types import FrameType
from typing import Any, Final

from flask import Flask, Response

from benchmarks import sites
from benchmarks.asking import COUNTER, Flextype
from benchmarks.bench import strange_film
from benchmarks.films import films
from benchmarks.lines import LINES
from benchmarks.questions import Films
from benchmarks.report import significant
from benchmarks.run import PEERS_FOLDER
from benchmarks.wire import Request
from flatdata.app import create_app
from flatdata.requests import LogWriter
from flatdata.settings import load_settings
from flatdata.site import Site

HERE: Final = Path(__file__).parent / "profiles"
_INTERVAL: Final = 0.001
_REQUESTS: Final = 20_000
_WARM: Final = 500
_SHOWN: Final = 30
_PARTS: Final = (
    ("/flask/", "Flask"),
    ("/werkzeug/", "Werkzeug"),
    ("/blinker/", "Flask"),
    ("flatdata/requests.py", "id, access log, following the log of changes"),
    ("flatdata/app.py", "Flask"),
    ("flatdata/dialects/", "the dialect"),
    ("flatdata/access/", "tokens"),
    ("flatdata/index/", "the index"),
    ("flatdata/query/", "the query"),
    ("flatdata/store/", "the store"),
)
"""What a file belongs to; anything else counts for whoever called it."""

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Samples:
    """What was seen: parts, the functions at work, and all functions that were under way."""

    parts: Counter[str] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)

    def take(self, signum: int, frame: FrameType | None) -> None:
        """Look at the stack; a signal handler."""
        part, functions = "", dict[str, None]()
        while frame is not None and frame.f_code.co_filename != __file__:
            name = frame.f_code.co_filename
            functions[f"{_short(name)}:{frame.f_code.co_qualname}"] = None
            part = part or next((title for piece, title in _PARTS if piece in name), "")
            frame = frame.f_back
        if functions:
            self.parts[part or "the rest"] += 1
            self.own[next(iter(functions))] += 1
            self.under_way.update(functions.keys())


def _short(filename: str) -> str:
    for mark in ("site-packages/", "flatdata/", "lib/"):
        if mark in filename:
            start = filename.rindex(mark)
            return filename[start if mark == "flatdata/" else start + len(mark) :]
    return filename


def _environ(request: Request) -> dict[str, Any]:
    """What a WSGI server makes of a request."""
    path, _, query = request.path.partition("?")
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(request.body)) if request.body else "",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _run(app: WsgiApp, environs: Iterable[dict[str, Any]]) -> float:
    """Answer requests; the seconds that took. Raises RuntimeError if one is refused."""
    refused: list[str] = []

    def start_response(status: str, headers: Any, *rest: Any) -> None:
        if not status.startswith("200"):
            refused.append(status)

    begun = time.perf_counter()
    for environ in environs:
        answer = app(environ, start_response)
        b"".join(answer)
        if (close := getattr(answer, "close", None)) is not None:
            close()
    taken = time.perf_counter() - begun
    if refused:
        raise RuntimeError(f"{len(refused)} requests were answered {refused[0]}")
    return taken


def profile(app: WsgiApp, requests: Iterator[Request], number: int) -> tuple[float, Samples]:
    """Microseconds of a request, and what was seen in `number` of them."""
    environs = [_environ(next(requests)) for _ in range(number + _WARM)]
    _run(app, environs[:_WARM])
    gc.collect()
    samples = Samples()
    before = signal.signal(signal.SIGALRM, samples.take)
    signal.setitimer(signal.ITIMER_REAL, _INTERVAL, _INTERVAL)
    try:
        seconds = _run(app, environs[_WARM:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return seconds / number * 1e6, samples


def _bare(size: int) -> Flask:
    app, body = Flask("bare"), b"x" * size

    @app.route("/<path:path>", methods=["GET", "POST"])
    def constant(path: str) -> Response:
        return Response(body, content_type="application/json")

    return app


def _text(title: str, number: int, each: float, bare: float, samples: Samples) -> str:
    total = sum(samples.own.values())

    def rows(counter: Counter[str], most: int) -> list[str]:
        return [
            f"{count / total:7.1%} {count / total * each:8.1f}  {name}"
            for name, count in counter.most_common(most)
        ]

    lines = [
        title,
        "=" * len(title),
        f"{number:,} requests in process, {each:.0f} us each, {each / bare:.2f} times a bare Flask route's "
        f"{bare:.0f} us; {total:,} samples",
        "",
        "  share       us  part",
        *rows(samples.parts, _SHOWN),
        "",
        "  share       us  function, without what it calls",
        *rows(samples.own, _SHOWN),
        "",
        "  share       us  function, with what it calls",
        *rows(samples.under_way, _SHOWN),
    ]
    return "\n".join(lines) + "\n"


def _requests(site: sites.Site, size: int) -> dict[str, tuple[str, Iterator[Request], int]]:
    """The three requests: a file's name, title, requests, and how many of them."""
    flextype, known = Flextype(site.tokens), Films(films(size))
    create = flextype.create(strange_film(0), "profil")

    def asked(line: int) -> Iterator[Request]:
        made = [flextype.ask(question) for question in LINES[line].questions(known)]
        return cycle([request for request in made if request is not None])

    def created() -> Iterator[Request]:
        for number in count():
            body = create.body.replace(COUNTER.encode(), b"%08d" % number)
            yield Request(create.method, create.path, body, create.headers)

    return {
        "get": (LINES[0].title, asked(0), _REQUESTS),
        "filter": (LINES[1].title, asked(1), _REQUESTS // 2),
        "create": ("create one entry, on disk when it is answered", created(), _REQUESTS // 10),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Profile the three most frequent requests.")
    parser.add_argument("--size", type=int, default=50_000, help="films (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=HERE, help="a folder (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=PEERS_FOLDER / "profiles", help="emptied; default: %(default)s"
    )
    chosen = parser.parse_args()
    shutil.rmtree(chosen.folder, ignore_errors=True)
    chosen.folder.mkdir(parents=True)
    chosen.output.mkdir(parents=True, exist_ok=True)
    made = sites.make_site(chosen.folder / "site", chosen.size)
    site = Site(made.root.resolve(), load_settings(made.root, {}, {}))
    site.start("off")
    with open(chosen.folder / "access.log", "wb") as file:
        log = LogWriter(file.fileno())
        app = create_app(site, log.write)
        for name, (title, requests, number) in _requests(made, chosen.size).items():
            each, samples = profile(app, requests, number)
            bare, _ = profile(_bare(600), requests, number)
            text = _text(f"{title}, {chosen.size:,} films", number, each, bare, samples)
            (chosen.output / f"{name}.txt").write_text(text, encoding="utf-8")
            print(f"{title}: {significant(each)} us", file=sys.stderr)
        log.close()
    site.close()
    shutil.rmtree(chosen.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
