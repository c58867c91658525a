"""What the Flextype dialect answers when it refuses: one table of bodies.

The bodies, with their key order, are those of reference/flextype §1.2; the four-digit codes there never
appear in an answer. A message may be followed by `: ` and what was wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flatdata.errors import FlatdataError
from flatdata.plugins import MacroFailed
from flatdata.store.codec import CodecError
from flatdata.store.entry import encode_json
from flatdata.store.errors import EntryExists, EntryMissing, StoreUnavailable
from flatdata.store.paths import InvalidSlug


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of refusal: its HTTP status and the sentence that clients know it by."""

    status: int
    message: str

    def body(self, detail: str = "") -> bytes:
        """The JSON of the answer, with what was wrong appended to the message."""
        message = f"{self.message}: {detail}" if detail else self.message
        return encode_json({"http_status_code": self.status, "message": message})


INTERNAL_ERROR: Final = Problem(500, "Internal Error")
UNAUTHORIZED: Final = Problem(401, "Unauthorized")
BAD_REQUEST: Final = Problem(400, "Bad Request")
BAD_QUERY: Final = Problem(400, "Wrong query params or not defined")
BAD_BODY: Final = Problem(400, "Wrong body params or not defined")
NOT_FOUND: Final = Problem(404, "Entry not found")
TOO_LARGE: Final = Problem(413, "Request body too large")
UNAVAILABLE: Final = Problem(503, "Service Unavailable")


class Refused(FlatdataError):
    """This request is not carried out. Nothing was changed.

    `detail` is written for the client and holds nothing but its own input's shape.
    """

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.detail = detail


PROBLEM_OF: Final[dict[type[FlatdataError], Problem]] = {
    InvalidSlug: NOT_FOUND,
    EntryExists: NOT_FOUND,
    EntryMissing: NOT_FOUND,
    CodecError: BAD_BODY,
    StoreUnavailable: UNAVAILABLE,
    MacroFailed: INTERNAL_ERROR,
}
"""What the refusals of other floors are to a client: an id that cannot exist does not exist, and a target
that is taken was, to Flextype, an entry that could not be made (404)."""


def method_not_allowed(allowed: tuple[str, ...]) -> bytes:
    """The body of a 405: Slim's, which names the methods (reference/flextype §1.2)."""
    return encode_json({"message": f"Method not allowed. Must be one of: {', '.join(allowed)}"})
