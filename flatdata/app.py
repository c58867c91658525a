"""The WSGI application: one Flask app over one site, with a blueprint for each dialect.

What happens to every request, whatever the dialect, is in `flatdata.requests`.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Response
from werkzeug.exceptions import HTTPException

from flatdata.application import Application
from flatdata.dialects.appenate import create_blueprint as appenate
from flatdata.dialects.bubble import create_blueprint as bubble
from flatdata.dialects.flextype import create_blueprint as flextype
from flatdata.dialects.fliplet import create_blueprint as fliplet
from flatdata.requests import Door, LogWriter
from flatdata.settings import load_settings
from flatdata.site import Site

DIALECTS: Final = {"flextype": flextype, "fliplet": fliplet, "bubble": bubble, "appenate": appenate}
"""Adding a dialect is adding a line here."""

_LATER: Final = (
    "flatdata.store.yaml_reader",
    "flatdata.store.yaml_writer",
    "flatdata.index.whoosh_adapter",
    "flatdata.store.front_matter",
    "argon2",
    "markdown_it",
    "pydantic_handlebars",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.kdf.hkdf",
)
"""Imported where they are first needed, and not before the site is open: together they take 0.2 s."""
_LATER_SECONDS: Final = 60.0


def create_app(site: Site, log: Callable[[bytes], None] | None = None) -> Application:
    """The application over an open site, writing its access log to `log`. The caller closes the site."""
    app = Application("flatdata")
    app.config["MAX_CONTENT_LENGTH"] = site.settings.max_body_bytes
    app.extensions["flatdata"] = site
    app.add_url_rule("/health", "health", lambda: _health(site))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    for name, create_blueprint in DIALECTS.items():
        app.register_blueprint(create_blueprint(site), name=name)
    app.wsgi_app = Door(app.wsgi_app, site, log)  # type: ignore[method-assign]
    return app


def create_app_from_environment() -> Application:
    """The application of the site named by `FLATDATA_ROOT`, for a WSGI server's worker process.

    `FLATDATA_OPTIONS` holds settings from the command line as JSON. The site closes when the process ends.
    """
    root = Path(os.environ.get("FLATDATA_ROOT", "."))
    overrides = msgspec.json.decode(os.environ.get("FLATDATA_OPTIONS", "{}"))
    settings = load_settings(root, os.environ, overrides)
    # A thread that computes gives way to waiting requests after half a millisecond instead of five.
    sys.setswitchinterval(0.0005)
    site = Site(root.resolve(), settings)
    site.start("process")
    atexit.register(site.close)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    log = LogWriter()
    atexit.register(log.close)
    threading.Thread(target=_import_later, args=(site,), name="importing", daemon=True).start()
    return create_app(site, log.write)


def _import_later(site: Site) -> None:
    """Import what the site could be opened without, so that hardly a request waits for it."""
    while not site.wait_ready(_LATER_SECONDS):
        pass
    for name in _LATER:
        importlib.import_module(name)


def _health(site: Site) -> Response:
    return _json(site.health(), 200 if site.ready else 503)


def _http_error(error: HTTPException) -> Response | HTTPException:
    """Errors outside every dialect's paths; the dialects' blueprints have handlers of their own."""
    if error.response is not None or error.code is None:
        return error
    response = _json({"status": error.code, "message": error.name}, error.code)
    for header, value in error.get_headers():
        if header.lower() not in ("content-type", "content-length"):
            response.headers[header] = value
    return response


def _unexpected(error: Exception) -> Response:
    logging.getLogger("flatdata").exception("a request failed", exc_info=error)
    return _json({"status": 500, "message": "Internal Server Error"}, 500)


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(msgspec.json.encode(body), status, content_type="application/json")
