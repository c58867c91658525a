"""The HTTP side of `/v1`: which request is what, who may send it, and how refusals are dressed.

The tables below are all there is to find. The name of a data source may hold slashes, which a WSGI server
hands over decoded (`/v1/data-sources/Sales%2F2024/data`): of the ways to read a path, the first one that
names a source wins.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Request, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from flatdata.dialects.fliplet.api import Api, Call, FlipletAnswer, answer, read_id
from flatdata.dialects.fliplet.bulk import import_rows
from flatdata.dialects.fliplet.caller import KIND, Caller, caller_of
from flatdata.dialects.fliplet.commit import commit_rows
from flatdata.dialects.fliplet.errors import (
    Refused,
    missing_token,
    not_allowed,
    not_found,
    refusal_of,
    too_large,
    unknown_token,
)
from flatdata.dialects.fliplet.files import get_contents, get_file, list_files
from flatdata.dialects.fliplet.identity import get_user, list_apps, list_organizations
from flatdata.dialects.fliplet.limits import RateLimit
from flatdata.dialects.fliplet.rows import delete_row, get_row, insert_row, update_row
from flatdata.dialects.fliplet.search import get_indexes, list_rows, query_rows
from flatdata.dialects.fliplet.sources import (
    create_source,
    delete_source,
    get_source,
    list_deleted,
    list_sources,
    purge_source,
    restore_source,
    update_source,
)
from flatdata.dialects.fliplet.versioning import list_versions, restore_version, version_data
from flatdata.errors import FlatdataError
from flatdata.store.sources import Source

if TYPE_CHECKING:
    from flatdata.site import Site

Endpoint = Callable[[Call], Response]
Methods = Mapping[str, Endpoint]
Shape = tuple[str, ...]
"""The segments of a path; `*` stands for any one, `**` for all that is left."""

SOURCES: Final = "data-sources"

TOP: Final[Mapping[Shape, Methods]] = {
    (SOURCES,): {"GET": list_sources, "POST": create_source},
    (SOURCES, "deleted"): {"GET": list_deleted},
    (SOURCES, "deleted", "*"): {"DELETE": purge_source},
    ("user",): {"GET": get_user},
    ("organizations",): {"GET": list_organizations},
    ("apps",): {"GET": list_apps},
    ("media",): {"GET": list_files},
    ("media", "files", "*"): {"GET": get_file},
    ("media", "files", "*", "contents"): {"GET": get_contents},
    ("media", "files", "*", "contents", "*"): {"GET": get_contents},
}
"""Paths below `/v1`."""

BELOW: Final[Mapping[Shape, Methods]] = {
    (): {"GET": get_source, "PUT": update_source, "DELETE": delete_source},
    ("data",): {"GET": list_rows, "POST": import_rows, "PUT": insert_row},
    ("data", "query"): {"GET": query_rows, "POST": query_rows},
    ("data", "*"): {"GET": get_row, "PUT": update_row, "DELETE": delete_row},
    ("commit",): {"POST": commit_rows},
    ("indexes", "**"): {"GET": get_indexes},
    ("versions",): {"GET": list_versions},
    ("versions", "*", "data"): {"GET": version_data, "POST": version_data},
    ("versions", "*", "restore"): {"POST": restore_version},
}
"""Paths below `/v1/data-sources/{ds}`."""

IN_TRASH: Final[Mapping[Shape, Methods]] = {("*", "restore"): {"POST": restore_source}}
"""Paths below `/v1/data-sources` that name a deleted source."""

_ALL_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_log = logging.getLogger("flatdata.fliplet")


@dataclass(frozen=True, slots=True)
class _Starred:
    """A shape with stars, taken apart once: where its literal segments stand, and where its stars."""

    literals: tuple[tuple[int, str], ...]
    stars: tuple[int, ...]
    methods: Methods

    def match(self, segments: Shape) -> tuple[Methods, tuple[str, ...]] | None:
        """The methods and what stands for the stars, if the path has this shape."""
        for place, literal in self.literals:
            if segments[place] != literal:
                return None
        return self.methods, tuple([segments[place] for place in self.stars])


class _Table:
    """A table of shapes, sorted by their lengths, so that a path is compared with few of them."""

    def __init__(self, table: Mapping[Shape, Methods]) -> None:
        self._plain = {shape: methods for shape, methods in table.items() if not {"*", "**"} & set(shape)}
        self._open = {shape[:-1]: methods for shape, methods in table.items() if shape[-1:] == ("**",)}
        self._starred: dict[int, list[_Starred]] = {}
        for shape, methods in table.items():
            if "*" in shape:
                places = range(len(shape))
                literals = tuple((place, shape[place]) for place in places if shape[place] != "*")
                stars = tuple(place for place in places if shape[place] == "*")
                self._starred.setdefault(len(shape), []).append(_Starred(literals, stars, methods))

    def match(self, segments: Shape) -> tuple[Methods, tuple[str, ...]] | None:
        """The methods of the path, and what stands for its stars; literal segments win over stars."""
        if (methods := self._plain.get(segments)) is not None:
            return methods, ()
        for head, methods in self._open.items():
            if len(segments) > len(head) and segments[: len(head)] == head:
                return methods, segments[len(head) :]
        for starred in self._starred.get(len(segments), ()):
            if (found := starred.match(segments)) is not None:
                return found
        return None


_TOP: Final = _Table(TOP)
_BELOW: Final = _Table(BELOW)
_IN_TRASH: Final = _Table(IN_TRASH)


def _segments(incoming: Request) -> Shape:
    """The path below `/v1`, taken apart; a slash at its end counts for nothing."""
    return tuple(incoming.path.rstrip("/").split("/")[2:])


class Dispatcher:
    """Finds the endpoint of a request and lets its sender in."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._api = Api(site)
        self._limit = RateLimit(site.settings.fliplet.rate_limit)

    def __call__(self, **_: str) -> Response:
        """Answer a request below `/v1`."""
        try:
            return self._answer()
        except FlatdataError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return refused(refusal)

    def _answer(self) -> Response:
        incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
        method = incoming.method
        if method == "OPTIONS":
            return FlipletAnswer(status=204)
        segments = _segments(incoming)
        caller = self._admit(incoming)
        methods, names, source = self._find(incoming, segments)
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            raise not_allowed(", ".join(methods))
        if caller.token is None and not (source is not None and source.public) and segments[:1] != ("media",):
            raise missing_token()
        return endpoint(Call(self._api, incoming, caller, source, names))

    def _find(self, incoming: Request, segments: Shape) -> tuple[Methods, tuple[str, ...], Source | None]:
        """The endpoint's methods, what the path names, and the source it is about. Raises `Refused` (404)."""
        if (top := _TOP.match(segments)) is not None:
            return (*top, None)
        if segments[:1] != (SOURCES,):
            raise not_found("Page")
        if (trash := _IN_TRASH.match(segments[1:])) is not None:
            return (*trash, None)
        first: tuple[Methods, tuple[str, ...]] | None = None
        for end in range(2, len(segments) + 1):
            if (below := _BELOW.match(segments[end:])) is not None:
                if (source := self._source(incoming, "/".join(segments[1:end]))) is not None:
                    return (*below, source)
                first = first or below
        if first is None:
            raise not_found("Page")
        return (*first, None)

    def _admit(self, incoming: Request) -> Caller:
        """Who asks; counts the call. Raises `Refused`."""
        caller = caller_of(incoming, lambda token: self._site.tokens.check(KIND, token))
        if self._limit.active:
            key = f"address {incoming.remote_addr}" if caller.token is None else caller.token.digest
            self._limit.check(key)
        if caller.token is not None and not self._site.tokens.count_call(caller.token):
            raise unknown_token()
        return caller

    def _source(self, incoming: Request, name: str) -> Source | None:
        """A source by id or name: digits are an id unless the query says `dsn` (§2.2)."""
        if _DIGITS.fullmatch(name) and not (incoming.query_string and "dsn" in incoming.args):
            return self._site.sources.by_id(read_id(name)) if int(name) else None
        return self._site.sources.by_name(name)


def refused(refusal: Refused) -> Response:
    """The answer to a request that is refused."""
    response = answer(refusal.body, refusal.status)
    response.headers.update(refusal.headers)
    return response


def _http_error(error: HTTPException) -> Response:
    """What the framework refuses, in this dialect's form."""
    if isinstance(error, RequestEntityTooLarge):
        return refused(too_large())
    return refused(Refused(error.code or 500, {"error": error.name.lower(), "message": error.name}))


def _unexpected(error: Exception) -> Response:
    _log.exception("a request failed", exc_info=error)
    return refused(Refused(500, {"error": "internal error", "message": "Internal Server Error"}))


def create_blueprint(site: Site) -> Blueprint:
    """The routes of this dialect for a site."""
    blueprint = Blueprint("fliplet", __name__)
    if not site.settings.fliplet.enabled:
        return blueprint
    dispatcher = Dispatcher(site)
    for rule in ("/v1/<path:rest>", "/v1/data-sources/"):
        # Not strict: a redirect to the form with a slash would lose clients that do not follow it.
        blueprint.add_url_rule(
            rule,
            rule,
            dispatcher,
            methods=_ALL_METHODS,
            provide_automatic_options=False,
            strict_slashes=False,
        )
    blueprint.register_error_handler(HTTPException, _http_error)
    blueprint.register_error_handler(Exception, _unexpected)
    return blueprint
