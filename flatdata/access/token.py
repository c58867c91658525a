"""What a token is: its kinds, its fields, and the rule by which it is let in or refused. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, get_args

from flatdata.errors import FlatdataError
from flatdata.query.tree import Json

Kind = Literal["entries", "access", "data-sources", "things", "datasource"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Flextype's two, Fliplet's, Bubble's and Appenate's."""

_HASHED: Final = re.compile(r"[0-9a-f]{64}")
_PLAIN: Final = re.compile(r"[0-9a-fA-F]{32}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")


class TokenError(FlatdataError):
    """Something that cannot be done with a token.

    Args:
        reason: for people; never holds the token.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# --- names -------------------------------------------------------------------------------------------


def is_token_name(name: str) -> bool:
    """Whether a folder of this name can hold a token: a SHA-256, or a plain token of 32 hex digits."""
    return bool(_HASHED.fullmatch(name) or _PLAIN.fullmatch(name))


def digest_of(name: str) -> str:
    """The SHA-256 of the token whose folder has this name."""
    return name if _HASHED.fullmatch(name) else sha256(name.encode()).hexdigest()


def shown_name(name: str) -> str:
    """The name of a token's folder for people: a plain token is cut."""
    return name if _HASHED.fullmatch(name) else f"{name[:4]}..."


# --- fields ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its file describes it.

    `digest` is the SHA-256 of the token in hex, `name` is that of its folder. `limit_calls` is as written;
    `calls` are those in the file and those counted since. `allowance` is how many calls may be counted
    besides those in the file: infinite without a limit, 0 or less for a token that is refused.
    """

    kind: Kind
    name: str = field(repr=False)
    digest: str
    state: str | None
    limit_calls: Json
    calls: int
    allowance: float
    title: str
    uuid: str
    created_by: str
    created_at: str
    updated_by: str
    updated_at: str
    id: int | None
    app_id: int | None
    organization_id: int | None
    company_id: int | None
    admin: bool
    user: Mapping[str, Json]
    counter: bytes = field(repr=False)
    """Its key in the file of counts."""

    @property
    def is_plain(self) -> bool:
        """Whether the name of its folder gives the token away."""
        return self.name != self.digest


def call_allowance(state: Json, limit_calls: Json, calls: Json) -> float:
    """How many more calls a token of these fields allows: infinite, or refused at 0 and below.

    The rule of reference/flextype.md §1.4: refused is the state `disabled`, and a limit that is not the
    integer 0 once the calls have reached it; so `'0'`, negative numbers and a missing limit refuse. Any other
    state text passes. What cannot be read as text or number refuses.
    """
    if state == "disabled" or not (state is None or isinstance(state, str)):
        return 0
    if type(limit_calls) is int and limit_calls == 0:
        return math.inf
    most, used = _number(limit_calls), _number(0 if calls is None else calls)
    if most is None or used is None:
        return 0
    left = most - used
    return 0 if math.isnan(left) else left


def _number(value: Json) -> float | None:
    if isinstance(value, str):
        return int(value) if _NUMBER.fullmatch(value) else None
    if type(value) is int:
        return min(max(value, -(10**18)), 10**18)
    return value if isinstance(value, float) else None


class _Field(NamedTuple):
    accepts: Callable[[Json], bool]
    wanted: str
    missing: Json


def _is_text(value: Json) -> bool:
    return value is None or isinstance(value, str)


def _is_id(value: Json) -> bool:
    return value is None or (type(value) is int and value > 0)


_ATTRIBUTES: Final[Mapping[str, _Field]] = {
    **{
        name: _Field(_is_text, "text", "")
        for name in ("title", "uuid", "created_by", "created_at", "updated_by", "updated_at")
    },
    **{
        name: _Field(_is_id, "a positive whole number", None)
        for name in ("id", "app_id", "organization_id", "company_id")
    },
    "admin": _Field(lambda value: value is None or type(value) is bool, "true or false", False),
    "user": _Field(lambda value: value is None or isinstance(value, dict), "a mapping", {}),
}

FIELDS_BY_KIND: Final[Mapping[Kind, tuple[str, ...]]] = {
    "entries": (),
    "access": (),
    "data-sources": ("id", "app_id", "organization_id", "admin", "user"),
    "things": ("id", "admin", "user"),
    "datasource": ("id", "company_id"),
}
"""What a new token of a kind has besides the fields that all have."""


def read_token(kind: Kind, name: str, fields: Mapping[str, Json]) -> Token:
    """The token that a file with these fields describes; an attribute of the wrong type counts as missing."""
    given = {key: fields.get(key) for key in _ATTRIBUTES}
    attributes: dict[str, Any] = {
        key: rule.missing if given[key] is None or not rule.accepts(given[key]) else given[key]
        for key, rule in _ATTRIBUTES.items()
    }
    state, limit_calls, calls = fields.get("state"), fields.get("limit_calls"), fields.get("calls")
    digest = digest_of(name)
    return Token(
        kind=kind,
        name=name,
        digest=digest,
        state=state if isinstance(state, str) else None,
        limit_calls=limit_calls,
        calls=int(_number(calls) or 0) if not isinstance(calls, float) or math.isfinite(calls) else 0,
        allowance=call_allowance(state, limit_calls, calls),
        counter=sha256(f"{kind}/{digest}".encode()).digest(),
        **attributes,
    )


def field_problems(fields: Mapping[str, Json]) -> Iterator[str]:
    """What is wrong with the fields of a token file, as sentences."""
    for key, rule in _ATTRIBUTES.items():
        if not rule.accepts(fields.get(key)):
            yield f"{key} must be {rule.wanted}"
    state, limit_calls = fields.get("state"), fields.get("limit_calls")
    if not _is_text(state):
        yield "state must be text; the token is refused"
    if _number(limit_calls) is None:
        yield "limit_calls must be a whole number (0: no limit); the token is refused"
    elif fields.get("calls") is not None and _number(fields.get("calls")) is None:
        yield "calls must be a whole number; the token is refused"
