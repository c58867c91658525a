"""The WSGI application: one Flask app over one site, with a blueprint for each dialect.

Every response carries `X-Request-Id`, and one structured line is logged for it; neither holds a token (query
strings do, so they are left out).
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from flatdata.settings import load_settings
from flatdata.site import Site

import importlib

DIALECTS = {}
for _name in ("flextype", "fliplet", "bubble", "appenate"):
    try:
        DIALECTS[_name] = importlib.import_module(f"flatdata.dialects.{_name}").create_blueprint
    except (ImportError, AttributeError) as _error:
        logging.getLogger("flatdata").debug("TEMPORARY: %s", _error)

access_log = logging.getLogger("flatdata.access")


def create_app(site: Site) -> Flask:
    """The application over an open site. The caller closes the site."""
    app = Flask("flatdata", static_folder=None)
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = site.settings.max_body_bytes
    app.extensions["flatdata"] = site
    app.add_url_rule("/health", "health", lambda: _health(site))
    app.before_request(lambda: _before(site))
    app.after_request(_after)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    for name, create_blueprint in DIALECTS.items():
        app.register_blueprint(create_blueprint(site), name=name)
    return app


def create_app_from_environment() -> Flask:
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
    configure_logging()
    return create_app(site)


def configure_logging() -> None:
    """Write structured access lines and warnings to standard error, unless logging is configured already."""
    if logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    access_log.addHandler(handler)
    access_log.setLevel(logging.INFO)
    access_log.propagate = False
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def _before(site: Site) -> Response | None:
    g.started = time.perf_counter()
    if not site.ready and request.path != "/health":
        response = _json({"status": "starting", "message": "The site is being opened"}, 503)
        response.headers["Retry-After"] = "1"
        return response
    site.store.follow()
    return None


def _after(response: Response) -> Response:
    request_id = uuid.uuid4().hex
    response.headers["X-Request-Id"] = request_id
    if access_log.isEnabledFor(logging.INFO):
        line = {
            "id": request_id,
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.get("started", time.perf_counter())) * 1_000, 2),
            "bytes": response.content_length,
        }
        access_log.info("%s", json.dumps(line))
    return response


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
