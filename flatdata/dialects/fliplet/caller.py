"""Who sends a request: the token, in each of the ways it may be given (reference/fliplet.md §1.1)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from flask import Request

from flatdata.access.rules import ANONYMOUS, Actor
from flatdata.access.token import Token
from flatdata.dialects.fliplet.errors import missing_token, unknown_token

KIND: Final = "data-sources"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_TOKEN: Final = 1024

Check = Callable[[str], "Token | None"]
"""Looks up a token as it was sent."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the token and, for rules, the actor; `secret` is the token as it was sent."""

    token: Token | None
    actor: Actor
    secret: str = ""

    @property
    def who(self) -> str:
        """For the change log: the id of the token."""
        return "" if self.token is None else str(self.token.id or self.token.uuid)

    @property
    def user_id(self) -> int | None:
        """The id of the token as that of a user."""
        return None if self.token is None else self.token.id

    def known(self) -> Token:
        """The token. Raises `Refused` (401) if there is none."""
        if self.token is None:
            raise missing_token()
        return self.token


def _candidates(value: str) -> Iterator[str]:
    """What a Bearer token may stand for: itself, or what it is the base64 of."""
    yield value
    try:
        yield base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return


def _bearer(header: str) -> str | None:
    scheme, _, value = header.strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _given(request: Request) -> list[tuple[str, ...]]:
    """What was sent as a token, by header or query; each item lists what it may stand for."""
    given: list[tuple[str, ...]] = []
    headers = request.environ  # `request.headers` would be made for each request
    if (header := headers.get("HTTP_AUTH_TOKEN")) is not None:
        given.append((header.strip(),))
    if (header := headers.get("HTTP_AUTHORIZATION")) is not None:
        bearer = _bearer(header)
        given.append(() if bearer is None else tuple(_candidates(bearer)))
    if request.query_string:
        given += [(value,) for value in request.args.getlist("auth_token")]
    return given


def _from_cookie(request: Request) -> list[tuple[str, ...]]:
    """The token in the cookie: for changes only if the page that sends it is of this very host.

    A browser adds the cookie to requests that other people's pages make.
    """
    value = request.cookies.get("auth_token")
    if value is None:
        return []
    origin = request.headers.get("Origin")
    same_site = origin is None or urlsplit(origin).netloc == request.host
    return [(value,)] if same_site or request.method in _SAFE_METHODS else []


def caller_of(request: Request, check: Check) -> Caller:
    """Who sent a request; nobody, if it has no token.

    Raises:
        Refused: 401, for a token that is unknown, and for several that are not the same one.
    """
    given = _given(request) or _from_cookie(request)
    if not given:
        return Caller(None, ANONYMOUS)
    found: dict[str, tuple[Token, str]] = {}
    for candidates in given:
        known = _first_known(candidates, check)
        if known is None:
            raise unknown_token()
        found[known[0].digest] = known
    if len(found) != 1:
        raise unknown_token()
    token, secret = found.popitem()[1]
    session = {"uuid": token.uuid}
    actor = Actor(token.id, token.admin, token.app_id, token.organization_id, token.user, session)
    return Caller(token, actor, secret)


def _first_known(candidates: tuple[str, ...], check: Check) -> tuple[Token, str] | None:
    for candidate in candidates:
        if len(candidate) <= _MAX_TOKEN and (token := check(candidate)) is not None:
            return token, candidate
    return None
