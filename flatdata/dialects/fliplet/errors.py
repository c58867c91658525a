"""What the Fliplet dialect answers when it refuses (reference/fliplet.md §1.2, §5.5, §11)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any, Final

from flatdata.access.rules import Denial
from flatdata.dialects.fliplet.hooks import MAX_HASHES, InvalidHook, TooManyHashes
from flatdata.dialects.fliplet.queryparts import QueryBodyError
from flatdata.errors import FlatdataError
from flatdata.query.pipeline import PipelineError
from flatdata.query.siftvalues import SiftError
from flatdata.store.codec import CodecError
from flatdata.store.errors import EntryExists, EntryMissing, StoreUnavailable
from flatdata.store.media import KeyUnusable, MediaRefused
from flatdata.store.paths import InvalidSlug
from flatdata.store.sources import ReservedColumn

_Headers = Mapping[str, str]
_NONE: Final[_Headers] = {}


class Refused(FlatdataError):
    """A request that is refused: the status and the JSON body of the answer, and headers besides."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(str(body.get("message", "")))
        self.status = status
        self.body = body
        self.headers = headers


def bad_request(message: str) -> Refused:
    """What was sent cannot be understood or carried out."""
    return Refused(400, {"error": "bad request", "message": message})


def not_found(what: str) -> Refused:
    """There is no such thing."""
    return Refused(404, {"error": "not found", "message": f"{what} not found"})


def not_allowed(methods: str) -> Refused:
    """The path is known, the method is not one of `methods`."""
    return Refused(405, {"error": "method not allowed", "message": "Method not allowed"}, {"Allow": methods})


def conflict(message: str) -> Refused:
    """Something else changed what the request is about."""
    return Refused(409, {"error": "conflict", "message": message})


def too_large(message: str = "The request is too large") -> Refused:
    """More bytes than the settings allow."""
    return Refused(413, {"error": "too large", "message": message})


_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="data sources"'}


def unknown_token() -> Refused:
    """The token is unknown, revoked, or one of several that disagree."""
    message = "The auth_token provided doesn't belong to any user."
    return Refused(401, {"error": "not authorised", "message": message}, _CHALLENGE)


def missing_token() -> Refused:
    """The request needs a token and has none."""
    return Refused(401, {"error": "not authorised", "message": "An auth_token is required."}, _CHALLENGE)


def denied(denial: Denial) -> Refused:
    """Roles or rules do not allow it; the body is that of §5.5."""
    message = (
        f'The security rules for the Data Source "{denial.source_name}" '
        f"do not allow this app to {denial.verb} data."
    )
    return Refused(
        400,
        {"message": message, "type": "datasource.access", "payload": {"dataSourceId": denial.source_id}},
    )


def _unavailable(error: StoreUnavailable) -> Refused:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Refused(
        507 if full else 503,
        {"error": "unavailable", "message": "The disk is full" if full else "The site cannot be written to"},
    )


def _media(error: MediaRefused) -> Refused:
    message = (
        "Files of this type are not allowed"
        if error.reason == "type"
        else f"Files may have {error.limit} bytes"
    )
    return Refused(422, {"error": "unprocessable", "message": message})


_WORDS: Final[Mapping[type[FlatdataError], Callable[[Any], Refused]]] = {
    SiftError: lambda error: bad_request(error.message),
    QueryBodyError: lambda error: bad_request(error.message),
    PipelineError: lambda error: bad_request(error.message),
    InvalidHook: lambda error: bad_request(error.reason),
    ReservedColumn: lambda error: bad_request(f"The column name '{error.column}' is reserved"),
    CodecError: lambda error: bad_request(f"The data cannot be stored: {error.reason}"),
    InvalidSlug: lambda error: bad_request(f"Invalid id: {error.reason}"),
    EntryExists: lambda error: Refused(
        409, {"error": "conflict", "message": "The entry was changed meanwhile"}
    ),
    EntryMissing: lambda error: not_found("Entry"),
    TooManyHashes: lambda error: bad_request(f"One request may hash at most {MAX_HASHES} values"),
    MediaRefused: _media,
    KeyUnusable: lambda error: Refused(
        503, {"error": "unavailable", "message": "The site has no usable key for encrypted files"}
    ),
    StoreUnavailable: _unavailable,
}
"""What each exception of the other floors becomes."""


def refusal_of(error: FlatdataError) -> Refused | None:
    """The answer to an exception of another floor, None if it is none a client has to do with."""
    if isinstance(error, Refused):
        return error
    words = next((_WORDS[kind] for kind in type(error).__mro__ if kind in _WORDS), None)
    return None if words is None else words(error)
