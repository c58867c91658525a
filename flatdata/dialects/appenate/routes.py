"""The HTTP side of `/api/v2/datasource`: which request is what, and how its answer is dressed.

A path matches in any case, with or without a slash at its end (reference/appenate §1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter, Map

from flatdata.dialects.appenate.access import admit, find, is_reachable
from flatdata.dialects.appenate.body import Raw, read_json, read_xml
from flatdata.dialects.appenate.errors import (
    ARGUMENT,
    CREDENTIALS,
    CREDENTIALS_LIVE,
    NO_SUCH_METHOD,
    UNAVAILABLE,
    UNREADABLE,
    Problem,
    Refused,
)
from flatdata.dialects.appenate.formats import Format, answer_format, of_media_type
from flatdata.dialects.appenate.read import describe, found, has_name, page_of
from flatdata.dialects.appenate.request import (
    Credentials,
    Update,
    parse_read,
    parse_search,
    parse_update,
)
from flatdata.dialects.appenate.response import failure, search_answer, source_answer
from flatdata.dialects.appenate.rows import IndexedRows
from flatdata.dialects.appenate.update import changes_of
from flatdata.errors import FlatdataError
from flatdata.store.changes import Change
from flatdata.store.codec import CodecError
from flatdata.store.errors import EntryExists, EntryMissing, StoreUnavailable
from flatdata.store.paths import InvalidSlug
from flatdata.store.planning import View
from flatdata.store.sources import Source, source_at, source_of

if TYPE_CHECKING:
    from flatdata.site import Site

ORIGIN: Final = "appenate"
_METHODS: Final = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")


class CaselessConverter(BaseConverter):
    """Matches one word of a path in any case: `<caseless("datasource"):word>`."""

    def __init__(self, url_map: Map, word: str) -> None:
        super().__init__(url_map)
        self.regex = f"(?i:{re.escape(word)})"


class DataSourceApi:
    """The endpoints of one site. Each method answers one kind of request, or raises to refuse it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._settings = site.settings.appenate
        is_documented = self._settings.behaviour == "documented"
        self._name_required = is_documented
        self._bad_credentials = CREDENTIALS if is_documented else CREDENTIALS_LIVE

    def datasource(self, **_: str) -> Response:
        """Answer a request to `/api/v2/datasource`."""
        return self._dispatch({"GET": self._read, "PUT": self._update})

    def search(self, **_: str) -> Response:
        """Answer a request to `/api/v2/datasource/search`."""
        return self._dispatch({"GET": self._search})

    def _dispatch(self, handlers: Mapping[str, Callable[[], Response]]) -> Response:
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is not None:
            return handler()
        allowed = ", ".join(handlers)
        response = _failure(NO_SUCH_METHOD, f"The methods here are {allowed}")
        response.headers["Allow"] = allowed
        return response

    def _admit(self, credentials: Credentials) -> str:
        """Check who is asking; gives the token's name for the log."""
        token = admit(self._site.tokens, credentials, self._bad_credentials)
        return token.uuid or token.digest[:12]

    # --- reading ------------------------------------------------------------------------------------

    def _read(self) -> Response:
        wanted = parse_read(_query())
        self._admit(wanted.credentials)
        company_id = wanted.credentials.company_id
        source = find(self._site.sources.all(), company_id, wanted.address)
        if not has_name(source, wanted.name):
            raise Refused("The data source has another Name")
        page = wanted.page if wanted.return_rows else None
        return _answer(source_answer(_format(), describe(source, self._rows(source), company_id, page)))

    def _search(self) -> Response:
        wanted = parse_search(_query())
        self._admit(wanted.credentials)
        sources = found(self._site.sources.all(), wanted)
        company_id = wanted.credentials.company_id
        listed = [
            describe(source, self._rows(source), company_id, None) for source in page_of(sources, wanted.page)
        ]
        return _answer(search_answer(_format(), listed, len(sources)))

    def _rows(self, source: Source) -> IndexedRows:
        return IndexedRows(self._site.store, self._site.index, source.slug)

    # --- writing ------------------------------------------------------------------------------------

    def _update(self) -> Response:
        wanted = parse_update(self._body(), _query(), name_required=self._name_required)
        who = self._admit(wanted.credentials)
        source = find(self._site.sources.all(), wanted.credentials.company_id, wanted.address)

        def plan(view: View) -> tuple[list[Change], None]:
            return self._changes(view, source.slug, wanted), None

        # An external id must stay unique among all sources; rows among those of this one.
        reads = ("",) if wanted.address.external_id is not None else (source.slug,)
        self._site.store.commit(plan, origin=ORIGIN, who=who, action="update", reads=reads)
        return _answer(b"")

    def _changes(self, view: View, slug: str, wanted: Update) -> list[Change]:
        """The changes, worked out on what the source is under the write lock."""
        source = source_at(view, slug)
        if source is None or source.deleted_at is not None:
            raise Refused("The data source has been deleted")
        if not is_reachable(source, wanted.credentials.company_id):
            raise Refused("The data source cannot be reached any more")
        sources = [source_of(manifest) for manifest in view.manifests()]
        live = [each for each in sources if each.deleted_at is None]
        limit = self._settings.max_rows
        return changes_of(view, source, self._rows(source), live, wanted, max_rows=limit)

    def _body(self) -> Raw:
        # One byte more than allowed: a chunked body, whose length nobody declared, is cut there in silence.
        request.max_content_length = self._settings.max_body_bytes + 1
        data = request.get_data(cache=False)
        if len(data) > self._settings.max_body_bytes:
            raise RequestEntityTooLarge
        form = of_media_type(request.mimetype) if request.mimetype else Format.XML
        if not data.strip():
            return {}
        if form is None:
            raise Refused("The Content-Type must be application/xml or application/json", UNREADABLE)
        if form is Format.JSON:
            return read_json(data)
        return read_xml(data, request.mimetype_params.get("charset"))


# --- requests and responses -----------------------------------------------------------------------------


def _query() -> Raw:
    """The query string by name in lower case; of several values the first one counts."""
    return {name.lower(): values[0] for name, values in request.args.lists()}


def _format() -> Format:
    named = _query().get("format")
    return answer_format(named, request.accept_mimetypes.values(), request.mimetype)


def _answer(body: bytes, status: int = 200) -> Response:
    return Response(body, status, content_type=_format().value)


def _failure(problem: Problem, message: str) -> Response:
    response = _answer(failure(_format(), problem.code, message), problem.status)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'IntegrationKey realm="flatdata"'
    return response


# --- failures -------------------------------------------------------------------------------------------


def _refused(error: Refused) -> Response:
    return _failure(error.problem, error.message)


def _http_error(error: HTTPException) -> Response:
    """What the framework refuses; a body beyond the limit is a 400 here, as every refusal of an update is."""
    if isinstance(error, RequestEntityTooLarge):
        return _failure(ARGUMENT, "The body is too large")
    return _failure(Problem(error.code or 500, type(error).__name__), error.name)


_STORE_PROBLEMS: Final[Mapping[type[FlatdataError], tuple[Problem, str]]] = {
    EntryExists: (ARGUMENT, "A file on the server is in the way of a row"),
    EntryMissing: (ARGUMENT, "A row was removed at the same moment"),
    InvalidSlug: (ARGUMENT, "A row cannot be stored under its id"),
    CodecError: (ARGUMENT, "A value cannot be stored"),
    StoreUnavailable: (UNAVAILABLE, "The server cannot store anything at the moment"),
}
"""What the store's refusals are to a client."""


def _not_stored(error: FlatdataError) -> Response:
    problem, message = next(answer for kind, answer in _STORE_PROBLEMS.items() if isinstance(error, kind))
    return _failure(problem, f"{message}: {error.reason}" if isinstance(error, CodecError) else message)


def create_blueprint(site: Site) -> Blueprint:
    """The Appenate dialect of `site`; a blueprint without any path if the settings switch it off."""
    blueprint = Blueprint(ORIGIN, __name__)
    if not site.settings.appenate.enabled:
        return blueprint
    api = DataSourceApi(site)

    @blueprint.record_once
    def add_converter(state: BlueprintSetupState) -> None:
        state.app.url_map.converters["caseless"] = CaselessConverter

    path = "".join(f'/<caseless("{word}"):{word}>' for word in ("api", "v2", "datasource"))
    options: dict[str, Any] = {"methods": _METHODS, "strict_slashes": False}
    blueprint.add_url_rule(f"{path}/", "datasource", api.datasource, **options)
    blueprint.add_url_rule(f'{path}/<caseless("search"):search>/', "search", api.search, **options)
    blueprint.register_error_handler(Refused, _refused)
    blueprint.register_error_handler(HTTPException, _http_error)
    for kind in _STORE_PROBLEMS:
        blueprint.register_error_handler(kind, _not_stored)
    return blueprint
