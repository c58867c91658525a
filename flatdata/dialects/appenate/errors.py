"""What this dialect refuses: one table of problems, each with its status and the code that clients read.

The seed knows one pair, `ArgumentException` and `Missing parameters`, and the status 400 for every failure.
Codes are names of .NET exceptions, as the platform's framework makes them (reference/appenate §5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flatdata.errors import FlatdataError


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of refusal: its HTTP status and its `ErrorCode`."""

    status: int
    code: str


ARGUMENT: Final = Problem(400, "ArgumentException")
UNREADABLE: Final = Problem(400, "SerializationException")
CREDENTIALS: Final = Problem(400, "AuthenticationException")
CREDENTIALS_LIVE: Final = Problem(401, "AuthenticationException")
NO_SUCH_METHOD: Final = Problem(405, "NotSupportedException")
UNAVAILABLE: Final = Problem(503, "IOException")

MISSING_PARAMETERS: Final = "Missing parameters"
_SHOWN: Final = 60


class Refused(FlatdataError):
    """This request is not carried out. Nothing was changed.

    Args:
        message: for the client; holds nothing but its own input, shortened, and facts about its own source.
    """

    def __init__(self, message: str, problem: Problem = ARGUMENT) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message


def shown(text: str) -> str:
    """A value of the client's in quotes, short enough for a message."""
    return f"'{text}'" if len(text) <= _SHOWN else f"'{text[:_SHOWN]}...'"
