"""What the Bubble dialect answers when it refuses: the bodies of reference/bubble.md §5.

Two forms. The data layer's is `{"statusCode": ..., "body": {"status": ..., "message": ...}}`; that of access
is flat, with `error_class` and `translation`. Both are made here and nowhere else. Texts marked (own) are not
documented anywhere; the others are the service's, letter by letter.
"""

from __future__ import annotations

from typing import Final

from flatdata.errors import FlatdataError
from flatdata.query.tree import Json
from flatdata.store.entry import encode_json

LONGEST_ECHO: Final = 2_000
"""Characters of a client's input that an answer repeats."""


class Refused(FlatdataError):
    """This request is not carried out; nothing was changed.

    Args:
        http: the status of the answer.
        code: the word clients branch on, such as `MISSING_DATA`.
        message: for people; holds nothing but names from the request and the manifest.
    """

    def __init__(self, http: int, code: str, message: str) -> None:
        super().__init__(message)
        self.http = http
        self.code = code
        self.message = message

    @property
    def content(self) -> dict[str, Json]:
        """The body as a mapping."""
        return {"statusCode": self.http, "body": {"status": self.code, "message": self.message}}

    def body(self, incident: str) -> bytes:
        """The JSON of the answer."""
        return encode_json(self.content)


class Unauthorized(Refused):
    """The caller is not known, or may not do this. `translation` is what people see."""

    def __init__(self, translation: str) -> None:
        super().__init__(401, "Unauthorized", translation)

    def body(self, incident: str) -> bytes:
        """The JSON of the answer. `incident` is an id of this very refusal, shaped like a unique id."""
        return encode_json(
            {
                "error_class": "Unauthorized",
                "args": {"code": incident},
                "message": None,
                "translation": self.message,
            }
        )


class TooManyAttempts(Refused):
    """Too many failed log-ins (own). `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(429, "TOO_MANY_ATTEMPTS", "Too many attempts. Please try again later.")
        self.retry_after = retry_after


class MethodNotAllowed(Refused):
    """The path exists, but not with this method (own)."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(405, "METHOD_NOT_ALLOWED", f"Method {method} is not allowed here")
        self.allowed = allowed


# --- not found --------------------------------------------------------------------------------------------


def missing_thing(type_name: str, identity: str, http: int) -> Refused:
    """There is no such thing. 400 as the documentation says, 404 as the service answers."""
    return Refused(
        http,
        "MISSING_DATA",
        f"Missing object of type {type_name}: object with id {_short(identity)} does not exist",
    )


def type_not_found(name: str) -> Refused:
    """No exposed type has this name."""
    return Refused(404, "NOT_FOUND", f"Type not found {_short(name)}")


def no_data_api() -> Refused:
    """The site does not serve this API."""
    return Refused(404, "NOT_FOUND", "This application does not expose a Data API")


def constraint_not_found(name: str, field_id: str, type_name: str) -> Refused:
    """The field cannot be asked this."""
    return Refused(
        404,
        "NOT_FOUND",
        f"Constraint type not found {_short(name)} for field {field_id} and type {type_name}",
    )


def path_not_found() -> Refused:
    """No endpoint has this path (own)."""
    return Refused(404, "NOT_FOUND", "There is no such endpoint")


def workflow_not_found(name: str) -> Refused:
    """No workflow has this name (own)."""
    return Refused(404, "NOT_FOUND", f"Workflow not found {_short(name)}")


# --- bad requests -----------------------------------------------------------------------------------------


def unrecognized(key: str) -> Refused:
    """The body or the search names a field that the type does not have."""
    return Refused(400, "ERROR", f"Unrecognized field: {_short(key)}")


def invalid(field: str, reason: str, code: str = "INVALID_DATA") -> Refused:
    """The value of a field cannot be used."""
    return Refused(400, code, f"Invalid data for field {field}: {reason}")


def bad_parameter(name: str, reason: str) -> Refused:
    """A parameter of the request cannot be used (own)."""
    return Refused(400, "INVALID_DATA", f"Invalid value for parameter {name}: {reason}")


def bad_request(message: str) -> Refused:
    """Something about the request as a whole."""
    return Refused(400, "ERROR", message)


def not_json(raw: str) -> Refused:
    """The body, or a line of it, is not JSON."""
    return Refused(400, "ERROR", f"Could not parse as JSON: {_short(raw)}")


def missing_reference(identity: str) -> Refused:
    """A search compares a reference with a thing that does not exist (live mode)."""
    return Refused(400, "MISSING_DATA", f"object with this id does not exist: {_short(identity)}")


BULK_CONTENT_TYPE: Final = (
    "Expecting a newline-seperated list of JSON objects.  Make sure the Content-Type header is text/plain"
)

# --- access -----------------------------------------------------------------------------------------------

DENIED: Final = {
    "create": "Permission denied: cannot create this object",
    "modify": "You do not have permission to modify this object",
    "delete": "You do not have permission to delete this object",
    "attached_files": "You do not have permission to view this file",
}
"""What a caller without the permission is told."""


def denied(action: str) -> Unauthorized:
    """No privacy rule lets the caller do this."""
    return Unauthorized(DENIED[action])


def bad_token(token: str) -> Unauthorized:
    """The token is not, or no longer, valid. The contract repeats it."""
    return Unauthorized(f"Invalid or expired token: {_short(token)}")


# --- words for values -------------------------------------------------------------------------------------

_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "an object"),
    (type(None), "null"),
)


def expected(what: str, value: Json) -> str:
    """Why a value of the wrong type is refused: `Expected a number, but got a string (original data: "")`."""
    got = next(word for kind, word in _KINDS if isinstance(value, kind))
    return f"Expected {what}, but got {got} (original data: {_short(encode_json(value).decode())})"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_ECHO else f"{text[:LONGEST_ECHO]}..."
