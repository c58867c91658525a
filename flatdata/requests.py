"""What happens to every request, whatever it asks for: an id, a line in the log, and content that is current.

A WSGI middleware around the Flask application, since it runs for each request and has to cost little: some
five microseconds, where Flask's own hooks for the same take thirty.
"""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flatdata.errors import FlatdataError

if TYPE_CHECKING:
    from flatdata.site import Site

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

HEALTH: Final = "/health"
_MOST_LINES: Final = 100_000
"""Lines that wait to be written, at most."""
_GATHER_SECONDS: Final = 0.02
_CLOSE_SECONDS: Final = 2.0
_STARTING: Final = b'{"status":"starting","message":"The site is being opened"}'


logger = logging.getLogger("flatdata.requests")


class AccessLine(msgspec.Struct, frozen=True):
    """One line of the access log. It has the path without the query string, which may hold tokens."""

    id: str
    method: str
    path: str
    status: int
    ms: float


class Door:
    """Every request comes through here, on its way to `app`.

    Args:
        log: takes one line of the access log, without line end; None writes none.
    """

    def __init__(self, app: WsgiApp, site: Site, log: Callable[[bytes], None] | None) -> None:
        self._app = app
        self._site = site
        self._log = log
        # Unique without asking the system for randomness each time.
        self._prefix = secrets.token_hex(8)
        self._counter = itertools.count(1)
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        started = time.perf_counter()
        request_id = f"{self._prefix}{next(self._counter):08x}"

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            headers.append(("X-Request-Id", request_id))
            if self._log is not None:
                milliseconds = round((time.perf_counter() - started) * 1_000, 2)
                path = environ.get("PATH_INFO", "")
                method = environ["REQUEST_METHOD"]
                line = AccessLine(request_id, method, _printable(path), int(status[:3]), milliseconds)
                self._log(self._encode(line))
            return start_response(status, headers, *rest)

        if not self._is_current() and environ.get("PATH_INFO") != HEALTH:
            start("503 Service Unavailable", [("Content-Type", "application/json"), ("Retry-After", "1")])
            return [_STARTING]
        return self._app(environ, start)

    def _is_current(self) -> bool:
        """Take over what other processes wrote; whether what is in memory can be served."""
        if not self._site.ready:
            return False
        try:
            self._site.store.follow()
        except (FlatdataError, OSError) as error:
            logger.warning("what other processes wrote cannot be read: %s", error)
            return False
        return True


class LogWriter:
    """Writes lines to a file from a thread of its own, those of a moment together.

    A request neither waits for the log nor gives the interpreter away to write it, which with several
    requests at a time costs more than the line. The lines of the last moment are lost if the process is
    killed; a log that nobody reads loses its oldest lines.

    Args:
        descriptor: of the file; standard error if not given.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque(maxlen=_MOST_LINES)
        self._some = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Write one line, given without its end, soon."""
        self._lines.append(line)
        if not self._some.is_set():
            self._some.set()

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._closed = True
        self._some.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closed:
            self._some.wait()
            if not self._closed:
                time.sleep(_GATHER_SECONDS)
            # Cleared before looking: a line that comes meanwhile is written now or wakes us again.
            self._some.clear()
            self._write_waiting()
        # Lines that came while the last ones were written, or before this thread ran at all.
        self._write_waiting()

    def _write_waiting(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines:
            self._put(b"\n".join(lines) + b"\n")

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # Nobody can be told: this is where errors are told.
            return


def _printable(path: str) -> str:
    """A path from WSGI (bytes read as Latin-1) as text that any log can hold."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")
