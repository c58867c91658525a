"""The yardstick: a Flask application whose routes return constants, under the same server as flatdata.

What a request costs here is what the WSGI server and Flask cost; nothing that answers through them can be
faster. One route is for writes: it appends the body to a file and flushes that to the disk.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec
from flask import Flask, Response, request
from granian import Granian

from benchmarks.processes import Server, free_port, start
from benchmarks.wire import get
from flatdata import server as flatdata_server
from flatdata.settings import Settings

SIZES: Final = "BARE_SIZES"
"""Environment variable: the sizes of the constants in bytes by the name of their route, as JSON."""
FILE: Final = "BARE_FILE"
"""Environment variable: the file that `POST /append` appends to."""
_JSON: Final = "application/json;charset=UTF-8"
_ENVELOPE: Final = b'{"data":"%s"}'
_START_SECONDS: Final = 20.0


def create_app() -> Flask:
    """The application that the environment describes."""
    app = Flask("bare", static_folder=None)
    sizes: dict[str, int] = msgspec.json.decode(os.environ[SIZES])
    for name, size in {"health": 20, **sizes}.items():
        constant = _ENVELOPE % (b"x" * max(0, size - len(_ENVELOPE) + 2))
        app.add_url_rule(f"/{name}", name, partial(_constant, constant), methods=["GET", "POST"])
    descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    app.add_url_rule("/append", "append", partial(_append, descriptor), methods=["POST"])
    return app


def _constant(constant: bytes) -> Response:
    return Response(constant, content_type=_JSON)


def _append(descriptor: int) -> Response:
    os.write(descriptor, request.get_data(cache=False))
    os.fdatasync(descriptor)
    return Response(b"{}", content_type=_JSON)


def server_options() -> dict[str, Any]:
    """What flatdata gives to its WSGI server, taken from flatdata itself, so that the two cannot drift."""
    with mock.patch("granian.Granian") as recorded:
        flatdata_server._serve(Settings())
    return dict(recorded.call_args.kwargs)


def serve_bare(folder: Path, sizes: Mapping[str, int]) -> Server:
    """Start the application in a process of its own; its files go to `folder`. The caller stops it."""
    port = free_port()
    environment = {SIZES: msgspec.json.encode(sizes).decode(), FILE: str(folder / "bare.data")}
    command = [sys.executable, "-m", "benchmarks.bare", str(port)]
    server = start("bare route", command, port, folder / "bare.log", environment=environment)
    return server.up(get("/health"), _START_SECONDS)


if __name__ == "__main__":
    options = {**server_options(), "address": "127.0.0.1", "port": int(sys.argv[1]), "workers": 1}
    Granian("benchmarks.bare:create_app", **options).serve()
