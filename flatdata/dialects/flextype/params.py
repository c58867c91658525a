"""The parameters of a request, parsed once at the door.

Reads take theirs from the query, writes from the body alone (reference/flextype §1.3). A parameter is
missing if it is absent or null; one of the wrong type, on which Flextype fails, is refused with its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from flask import Request

from flatdata.dialects.flextype.errors import BAD_BODY, BAD_QUERY, TOO_LARGE, Problem, Refused
from flatdata.dialects.flextype.querystring import QueryTooLarge, parse_query, with_lists
from flatdata.json_text import NotJson, parse_json
from flatdata.query.tree import Json
from flatdata.store.paths import InvalidSlug, check_slug

METHOD_HEADER: Final = "X-Http-Method-Override"
METHOD_FIELD: Final = "_METHOD"


@dataclass(frozen=True, slots=True)
class Params:
    """The parameters of one request, and how one that is missing or wrong is refused."""

    values: Mapping[str, Json]
    problem: Problem

    def require(self, *names: str) -> None:
        """Refuse the request unless each of `names` is there; which one is not said, as in Flextype.

        Raises:
            Refused
        """
        for name in names:
            if self.values.get(name) is None:
                raise Refused(self.problem)

    def text(self, name: str) -> str:
        """The value of a parameter that must be text.

        Raises:
            Refused
        """
        value = self.values.get(name)
        if not isinstance(value, str):
            raise Refused(self.problem, f"{name} must be a string")
        return value

    def fields(self, name: str) -> dict[str, Json]:
        """The value of a parameter that must be a mapping; an empty list is PHP's empty mapping.

        Raises:
            Refused
        """
        value = self.values.get(name)
        if value == []:
            return {}
        if not isinstance(value, dict):
            raise Refused(self.problem, f"{name} must be an object")
        return value


def query_params(request: Request) -> Params:
    """The parameters of a read.

    Raises:
        Refused: if there are more, or deeper ones, than are taken in.
    """
    try:
        return Params(parse_query(request.environ.get("QUERY_STRING", "")), BAD_QUERY)
    except QueryTooLarge as error:
        raise Refused(BAD_QUERY, "too many or too deep") from error


def body_params(request: Request, max_bytes: int) -> Params:
    """The parameters of a write. A body of another type, or one that cannot be parsed, has none.

    Raises:
        Refused: if the body is larger than `max_bytes`.
    """
    if (request.content_length or 0) > max_bytes:
        raise Refused(TOO_LARGE)
    # One more than allowed: a body without a length is cut at the limit, and must not pass for a whole one.
    request.max_content_length = max_bytes + 1
    kind = request.mimetype
    if kind == "application/json" or kind.endswith("+json"):
        return Params(_json(_bytes(request, max_bytes)), BAD_BODY)
    if kind == "application/x-www-form-urlencoded":
        return Params(_form(_bytes(request, max_bytes)), BAD_BODY)
    if kind == "multipart/form-data" and request.method == "POST":
        return Params(_form(urlencode(list(request.form.items(multi=True))).encode()), BAD_BODY)
    return Params({}, BAD_BODY)


def _bytes(request: Request, max_bytes: int) -> bytes:
    data = request.get_data(cache=False)
    if len(data) > max_bytes:
        raise Refused(TOO_LARGE)
    return data


def _json(data: bytes) -> dict[str, Json]:
    try:
        value = parse_json(data)
    except NotJson:
        return {}
    return value if isinstance(value, dict) else {}


def _form(data: bytes) -> dict[str, Json]:
    try:
        return {name: with_lists(value) for name, value in parse_query(data).items()}
    except QueryTooLarge as error:
        raise Refused(BAD_BODY, "too many or too deep") from error


def overriding_method(request: Request, params: Params) -> str:
    """What a POST really is: a header or a body field may say so, the header first."""
    given = request.headers.get(METHOD_HEADER) or params.values.get(METHOD_FIELD)
    return given.upper() if isinstance(given, str) and given else "POST"


def entry_slug(text: str) -> str:
    """The slug that an id stands for: slashes at both ends do not count.

    Raises:
        InvalidSlug: if no entry can have it.
    """
    return check_slug(text.strip("/"))


def collection_slug(text: str) -> str:
    """The same for a collection: the empty id is the root of the content.

    Raises:
        InvalidSlug
    """
    trimmed = text.strip("/")
    return check_slug(trimmed) if trimmed else ""


def target_slug(text: str, name: str) -> str:
    """The slug for an entry that is to be made; an id that none can have is refused with the reason.

    Raises:
        Refused
    """
    try:
        return entry_slug(text)
    except InvalidSlug as error:
        raise Refused(BAD_BODY, f"{name} cannot be used: {error.reason}") from error
