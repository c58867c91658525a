"""The HTTP side of the Bubble dialect: which request is what (reference/bubble.md §1).

Clients write these paths in many ways: with slashes doubled or at the end, with type names in any case, below
`/version-test` or `/version-<branch>`. So one rule takes them all, and this module tells them apart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Request, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from flatdata.access.sessions import Attempts, Sessions
from flatdata.dialects.bubble import errors
from flatdata.dialects.bubble.context import Api, Visit, identify
from flatdata.dialects.bubble.endpoints import Call, json_response, route
from flatdata.dialects.bubble.errors import MethodNotAllowed, Refused, TooManyAttempts, Unauthorized
from flatdata.dialects.bubble.files import PATH as FILES_PATH
from flatdata.dialects.bubble.files import Files, attached_to
from flatdata.dialects.bubble.geo import Geocoder
from flatdata.dialects.bubble.things import new_id, thing_of_any_type
from flatdata.dialects.bubble.types import Types
from flatdata.dialects.bubble.write import ORIGIN
from flatdata.index.terms import analyse
from flatdata.store.codec import CodecError
from flatdata.store.errors import EntryExists, EntryMissing, StoreUnavailable
from flatdata.store.media import KeyUnusable, Media, SealBroken
from flatdata.store.paths import InvalidSlug
from flatdata.store.sealed import parse_key

if TYPE_CHECKING:
    from flatdata.site import Site

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_DAY: Final = 86_400.0


class PathConverter(BaseConverter):
    """All paths of the Data API, however their slashes are written."""

    regex = r"/*(?:version-[0-9A-Za-z_-]+/+)?api/+1\.1(?:/[\s\S]*)?"
    part_isolating = False


# --- requests -----------------------------------------------------------------------------------------------


def _token(incoming: Request) -> str | None:
    """The token of a request: of the header, else of the query string; None if there is none.

    An empty header holds the token "", which is wrong: the HTTP server hands on as empty what was not ASCII.
    """
    header = incoming.headers.get("Authorization")
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return incoming.args.get("api_token", "" if header == "" else None)


def _split(path: str) -> tuple[str, tuple[str, ...]]:
    """The version that a path names, and its segments below `/api/1.1`."""
    segments = [segment for segment in path.split("/") if segment]
    version = "live"
    if segments[0].startswith("version-"):
        version = segments.pop(0).removeprefix("version-")
    return version, tuple(segments[2:])


def _let_in(api: Api, types: Types, version: str) -> Call:
    """Find out who is calling. A bad token is refused before anything else is looked at (§1)."""
    # The request itself: each look through Flask's proxy costs a microsecond.
    incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
    catalogue = types.current()
    token = _token(incoming)
    caller = identify(api, catalogue, token)
    if caller is None:
        raise errors.bad_token(token or "")
    if not api.settings.enabled:
        raise errors.no_data_api()
    # One more than allowed: a body without a length is cut at the limit, and must not pass for a whole one.
    incoming.max_content_length = api.settings.max_body_bytes + 1
    return Call(api, Visit(caller, version), catalogue, incoming)


def _answer(api: Api, path: str) -> Response:
    version, segments = _split(path)
    call = _let_in(api, api.types, version)
    endpoint, arguments = route(segments, call.request.method)
    return endpoint(call, *arguments)


def _serve_file(api: Api, number: int, name: str) -> Response:
    """A file that came inside a body: never shown by a browser as part of this site."""
    call = _let_in(api, api.types, "live")
    file = api.files.find(number, name)
    if file is None:
        raise errors.path_not_found()
    thing_id = attached_to(file)
    if thing_id is not None:
        found = thing_of_any_type(api.store.get, call.catalogue, thing_id)
        if found is None or not found[0].policy.grants(call.visit.caller).may("attached_files", found[1]):
            raise errors.denied("attached_files")
    try:
        response = Response(api.files.media.read(file), content_type=file.content_type)
    except (FileNotFoundError, KeyUnusable, SealBroken):
        raise errors.path_not_found() from None
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Content-Length"] = str(file.size)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


# --- answers ------------------------------------------------------------------------------------------------


def _refused(refused: Refused) -> Response:
    response = json_response(refused.body(new_id()), refused.http)
    if isinstance(refused, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(refused, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(refused.allowed)
    elif isinstance(refused, TooManyAttempts):
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return _refused(Refused(413, "ERROR", "The request is too large"))
    return _refused(Refused(error.code or 400, "ERROR", error.name))


def _not_stored(error: Exception) -> Response:
    return _refused(_STORE_PROBLEMS[type(error)])


_STORE_PROBLEMS: Final[Mapping[type[Exception], Refused]] = {
    StoreUnavailable: Refused(503, "UNAVAILABLE", "The server cannot store this now"),
    EntryExists: Refused(409, "ERROR", "The thing was changed on the server in the meantime"),
    EntryMissing: Refused(409, "ERROR", "The thing was changed on the server in the meantime"),
    CodecError: Refused(400, "INVALID_DATA", "A value cannot be stored"),
    InvalidSlug: Refused(400, "INVALID_DATA", "A value cannot be stored"),
}
"""What the store's refusals are to a client."""


# --- the blueprint ------------------------------------------------------------------------------------------


def make_api(site: Site) -> Api:
    """The parts of a site that this dialect uses."""
    settings = site.settings.bubble
    state_dir = site.store.state_dir

    def check_token(token: str) -> bool:
        found = site.tokens.check("things", token)
        return found is not None and site.tokens.count_call(found)

    def key() -> bytes | None:
        text = os.environ.get(site.settings.fliplet.encryption_key_env)
        return parse_key(text) if text else None

    return Api(
        settings=settings,
        store=site.store,
        index=site.index.search,
        types=Types(site.sources, analyse),
        sessions=Sessions(state_dir, settings.idle_days * _DAY),
        attempts=Attempts(state_dir, settings.login_attempts, settings.login_window_seconds),
        geocode=Geocoder(site.plugins.geocode),
        analyse=analyse,
        files=Files(
            Media(site.root / "media", settings.max_body_bytes, key), site.settings.fliplet.encrypt_media
        ),
        check_token=check_token,
    )


def create_blueprint(site: Site) -> Blueprint:
    """The Bubble dialect of `site`. Switched off, it still says so at its paths."""
    blueprint = Blueprint(ORIGIN, __name__)
    api = make_api(site)

    @blueprint.record_once
    def add_converter(state: BlueprintSetupState) -> None:
        state.app.url_map.converters["bubble"] = PathConverter

    def answer(path: str) -> Response:
        return _answer(api, path)

    def serve_file(number: int, name: str) -> Response:
        return _serve_file(api, number, name)

    blueprint.add_url_rule("/<bubble:path>", "data", answer, methods=_METHODS)
    blueprint.add_url_rule(f"{FILES_PATH}/<int:number>/<name>", "file", serve_file)
    blueprint.register_error_handler(Refused, _refused)
    blueprint.register_error_handler(HTTPException, _http_error)
    for kind in _STORE_PROBLEMS:
        blueprint.register_error_handler(kind, _not_stored)
    return blueprint
