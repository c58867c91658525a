"""The HTTP side of `/api/entries`: which request is what, who may send it, and how its answer is dressed.

Checks come in Flextype's order: parameters, whether the API is on, tokens, the operation
(reference/flextype §1.4). A request that passed them counts as one call of its entries token, whatever
comes of it; the access token is checked but not counted.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from flask import Blueprint, Request, Response
from flask import request as proxied_request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter, Rule

from flatdata import answers
from flatdata.access.token import Token
from flatdata.dialects.flextype.errors import (
    BAD_BODY,
    BAD_QUERY,
    BAD_REQUEST,
    INTERNAL_ERROR,
    NOT_FOUND,
    PROBLEM_OF,
    TOO_LARGE,
    UNAUTHORIZED,
    Problem,
    Refused,
    method_not_allowed,
)
from flatdata.dialects.flextype.options import BadOptions, Options, parse_options
from flatdata.dialects.flextype.params import (
    Params,
    body_params,
    entry_slug,
    overriding_method,
    query_params,
    target_slug,
)
from flatdata.dialects.flextype.phpdate import php_date
from flatdata.dialects.flextype.read import Reader
from flatdata.dialects.flextype.render import Rendering
from flatdata.dialects.flextype.write import (
    RESERVED_FIELD,
    Stamp,
    copying,
    creating,
    deleting,
    moving,
    updating,
)
from flatdata.query.tree import Json
from flatdata.settings import CorsSettings
from flatdata.store.codec import CodecError, check_storable
from flatdata.store.paths import InvalidSlug
from flatdata.store.planning import Plan

if TYPE_CHECKING:
    from flatdata.site import Site

JSON_TYPE: Final = "application/json;charset=UTF-8"
ENTRIES: Final = "/api/entries"
COPY: Final = "/api/entries/copy"
ORIGIN: Final = "flextype"
NO_OPTIONS: Final = Options()

_log = logging.getLogger("flatdata.flextype")


class Answer(answers.Answer):
    """An answer of this dialect; the blueprint gives it the headers that are the same in all of them."""

    default_mimetype = None


class EntriesApi:
    """The endpoints of one site. Each method answers one kind of request, or raises to refuse it."""

    def __init__(self, site: Site) -> None:
        settings = site.settings.flextype
        self._site = site
        self._settings = settings
        zone: tzinfo = UTC if settings.timezone == "UTC" else ZoneInfo(settings.timezone)
        self._zone = zone
        self._reader = Reader(site, Rendering(settings.behaviour == "documented", zone))

    def entries(self) -> Response:
        """Answer a request to `/api/entries`."""
        return self._dispatch(
            {
                "GET": self._fetch,
                "POST": self._create,
                "PATCH": self._update,
                "PUT": self._move,
                "DELETE": self._delete,
            }
        )

    def copy(self) -> Response:
        """Answer a request to `/api/entries/copy`."""
        return self._dispatch({"PUT": self._copy})

    def elsewhere(self, rest: str) -> Response:
        """Answer a request below `/api/entries` that leads nowhere: Flextype's 405 (reference §1.2)."""
        return self._dispatch({})

    # --- which request is it ------------------------------------------------------------------------

    def _dispatch(self, handlers: Mapping[str, Callable[[Params], Response]]) -> Response:
        # The request itself: each look through Flask's proxy costs a microsecond.
        request: Request = proxied_request._get_current_object()  # type: ignore[attr-defined]
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS":
            return Answer(status=200)
        if method == "GET" and "GET" in handlers:
            return handlers["GET"](query_params(request))
        if (method == "POST" and handlers) or method in handlers:
            params = body_params(request, self._settings.max_body_bytes)
            if method == "POST":
                method = overriding_method(request, params)
            if method in handlers and method != "GET":
                return handlers[method](params)
        allowed = (*handlers, "OPTIONS")
        return Answer(method_not_allowed(allowed), 405, {"Allow": ", ".join(allowed)}, content_type=JSON_TYPE)

    # --- who may ----------------------------------------------------------------------------------------

    def _admit(self, params: Params, *, writes: bool) -> tuple[Token, str]:
        """Check the switch and the tokens; gives the entries token, and who is asking for the log.

        Raises:
            Refused
        """
        given = params.text("token")
        given_access = params.text("access_token") if writes else ""
        if not self._settings.enabled:
            raise Refused(UNAUTHORIZED)
        entries = self._site.tokens.check("entries", given)
        access = self._site.tokens.check("access", given_access) if writes else entries
        if entries is None or access is None:
            raise Refused(UNAUTHORIZED)
        return entries, access.uuid or access.digest[:12]

    def _count(self, token: Token) -> None:
        if not self._site.tokens.count_call(token):
            raise Refused(UNAUTHORIZED)

    # --- reading ------------------------------------------------------------------------------------

    def _fetch(self, params: Params) -> Response:
        params.require("id", "token")
        id_ = params.text("id")
        token, _ = self._admit(params, writes=False)
        try:
            given = params.values.get("options")
            options = NO_OPTIONS if given is None else parse_options(given)
        except BadOptions as error:
            raise Refused(BAD_QUERY, f"{error.field} {error.reason}") from error
        self._count(token)
        body = self._reader.fetch(id_, options, self._reader.expansion(_base_url))
        return _data(body) if body is not None else _refusal(NOT_FOUND)

    # --- writing ------------------------------------------------------------------------------------

    def _create(self, params: Params) -> Response:
        def prepare() -> tuple[Plan, str]:
            slug = target_slug(params.text("id"), "id")
            return creating(slug, _storable(params.fields("data")), self._stamp()), slug

        return self._shown(self._write(params, ("data",), prepare, "create"))

    def _update(self, params: Params) -> Response:
        def prepare() -> tuple[Plan, str]:
            id_, data = params.text("id"), _storable(params.fields("data"))
            slug = entry_slug(id_)
            return updating(slug, data), slug

        return self._shown(self._write(params, ("data",), prepare, "update"))

    def _move(self, params: Params) -> Response:
        return self._transfer(params, moving, "move")

    def _copy(self, params: Params) -> Response:
        return self._transfer(params, copying, "copy")

    def _transfer(self, params: Params, make: Callable[[str, str], Plan], action: str) -> Response:
        def prepare() -> tuple[Plan, str]:
            id_, new_id = params.text("id"), params.text("new_id")
            slug, new_slug = entry_slug(id_), entry_slug(new_id)
            return make(slug, new_slug), new_slug

        return self._shown(self._write(params, ("new_id",), prepare, action))

    def _delete(self, params: Params) -> Response:
        def prepare() -> tuple[Plan, str]:
            slug = entry_slug(params.text("id"))
            return deleting(slug), slug

        self._write(params, (), prepare, "delete")
        return Answer(status=204)

    def _write(
        self,
        params: Params,
        names: tuple[str, ...],
        prepare: Callable[[], tuple[Plan, str]],
        action: str,
    ) -> str:
        """Check a write and carry it out; gives the slug it is about.

        An id that cannot exist is found out after the tokens were checked, and counts as a call, as every
        404 does.
        """
        params.require("id", *names, "token", "access_token")
        token, who = self._admit(params, writes=True)
        try:
            plan, slug = prepare()
        except InvalidSlug:
            self._count(token)
            raise
        self._count(token)
        self._site.store.commit(plan, origin=ORIGIN, who=who, action=action)
        return slug

    def _shown(self, slug: str) -> Response:
        """The entry as a read gives it. A folder that was moved without an entry of its own has no fields."""
        entry = self._site.store.get(slug)
        return _data(self._reader.expansion(_base_url).render(entry) if entry is not None else b"{}")

    def _stamp(self) -> Stamp:
        now = _date_text(self._settings.date_format, int(time.time()), self._zone)
        return Stamp(now, str(uuid.uuid4()))


@lru_cache(maxsize=8)
def _date_text(layout: str, second: int, zone: tzinfo) -> str:
    """A Unix time as the site writes dates. Of whole seconds, as in PHP: one text serves many creates."""
    return php_date(layout, datetime.fromtimestamp(second, zone))


def _storable(data: dict[str, Json]) -> dict[str, Json]:
    if RESERVED_FIELD in data:
        raise Refused(BAD_BODY, f"data must not have a field {RESERVED_FIELD}")
    try:
        check_storable(data)
    except CodecError as error:
        raise Refused(BAD_BODY, f"data: {error.reason}") from error
    return data


def _base_url() -> str:
    return proxied_request.host_url.rstrip("/")


def _data(body: bytes) -> Response:
    return Answer(b'{"data":%s}' % body, content_type=JSON_TYPE)


def _refusal(problem: Problem, detail: str = "") -> Response:
    return Answer(problem.body(detail), problem.status, content_type=JSON_TYPE)


def _refused(error: Refused) -> Response:
    return _refusal(error.problem, error.detail)


def _http_error(error: HTTPException) -> Response:
    """What Flask itself refuses: a body that is too large, a host name that is none."""
    return _refusal(TOO_LARGE if error.code == TOO_LARGE.status else BAD_REQUEST)


def _unexpected(error: Exception) -> Response:
    """A fault of ours. The client learns nothing of it."""
    _log.exception("a request failed", exc_info=error)
    return _refusal(INTERNAL_ERROR)


# --- the blueprint ------------------------------------------------------------------------------------


def cors_headers(settings: CorsSettings) -> list[tuple[str, str]]:
    """The headers of every answer. Flextype sends the two last ones empty, and the first under this name."""
    if not settings.enabled:
        return []
    exposed = ", ".join(settings.expose)
    headers = [
        ("Access-Control-Allow-Origin", settings.origin),
        ("Access-Control-Allow-Headers", ", ".join(settings.headers)),
        ("Access-Control-Allow-Methods", ", ".join(settings.methods)),
        ("Access-Control-Allow-Expose", exposed),
        ("Access-Control-Allow-Credentials", "true" if settings.credentials else ""),
    ]
    return [*headers, ("Access-Control-Expose-Headers", exposed)] if exposed else headers


def create_blueprint(site: Site) -> Blueprint:
    """The Flextype dialect of a site: `/api/entries` and what belongs to it."""
    headers = [*cors_headers(site.settings.flextype.cors), ("Cache-Control", "no-store")]

    def dressed(answering: Callable[..., Response]) -> Callable[..., Response]:
        def answer(*given: Any, **named: Any) -> Response:
            response = answering(*given, **named)
            if isinstance(response, Answer):
                response.fixed = headers
            return response

        return answer

    api = EntriesApi(site)
    blueprint = Blueprint("flextype", __name__)
    _add_route(blueprint, ENTRIES, "entries", dressed(api.entries))
    _add_route(blueprint, COPY, "copy", dressed(api.copy))
    _add_route(blueprint, f"{ENTRIES}/<flextype_rest:rest>", "elsewhere", dressed(api.elsewhere))
    blueprint.register_error_handler(Refused, dressed(_refused))
    for kind, problem in PROBLEM_OF.items():
        blueprint.register_error_handler(kind, dressed(lambda error, answer=problem: _refusal(answer)))
    blueprint.register_error_handler(HTTPException, dressed(_http_error))
    blueprint.register_error_handler(Exception, dressed(_unexpected))
    return blueprint


class _Rest(PathConverter):
    """Whatever follows in a path: nothing, slashes, anything."""

    regex = ".*?"
    part_isolating = False


def _add_route(blueprint: Blueprint, path: str, name: str, view: Callable[..., Response]) -> None:
    """Route every method there is to one view: methods that are not served get this dialect's own 405."""

    def add(state: BlueprintSetupState) -> None:
        endpoint = f"{state.name}.{name}"
        state.app.url_map.converters.setdefault("flextype_rest", _Rest)
        state.app.url_map.add(Rule(path, endpoint=endpoint))
        state.app.view_functions[endpoint] = view

    blueprint.record_once(add)
