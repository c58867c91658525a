"""The two workflows there are: logging in and signing up, with e-mail and password (reference/bubble.md §11).

Both answer with a token. Attempts are counted by account and by address before they are made; a log-in that
succeeds forgives the account's. An unknown account takes as long to refuse as a wrong password.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from flatdata.access.passwords import hash_password, verify_password
from flatdata.access.sessions import Attempt
from flatdata.dialects.bubble.bodies import Body, check_email, check_password
from flatdata.dialects.bubble.context import Api, Visit
from flatdata.dialects.bubble.errors import (
    Refused,
    TooManyAttempts,
    bad_request,
    invalid,
    unrecognized,
    workflow_not_found,
)
from flatdata.dialects.bubble.plans import PASSWORD_HASH, find_email
from flatdata.dialects.bubble.types import EMAIL, Catalogue, ThingType
from flatdata.dialects.bubble.write import Writer
from flatdata.query.bubble_values import read_boolean
from flatdata.query.tree import Json

_KEYS: Final = frozenset({"email", "password", "stay_logged_in"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What both workflows take."""

    email: str
    password: str
    stay: bool


def run_workflow(
    name: str, api: Api, catalogue: Catalogue, visit: Visit, parameters: Mapping[str, Json], address: str
) -> dict[str, Json]:
    """Carry out a workflow; gives the body of the answer. `address` is the client's. Raises `Refused`."""
    users = catalogue.users
    workflow = _WORKFLOWS.get(name)
    if workflow is None or users is None or (name == "signup" and not users.signup):
        raise workflow_not_found(name)
    return workflow(api, visit, users, _credentials(parameters), address)


def available(catalogue: Catalogue) -> tuple[str, ...]:
    """The names of the workflows of a site."""
    users = catalogue.users
    return () if users is None else ("login", "signup") if users.signup else ("login",)


def _credentials(parameters: Mapping[str, Json]) -> Credentials:
    for key in parameters:
        if key not in _KEYS:
            raise unrecognized(key)
    password = check_password(parameters.get("password"))
    if password is None:
        raise bad_request("password is required")
    stay = read_boolean(parameters.get("stay_logged_in") or False)
    if not isinstance(stay, bool):
        raise invalid("stay_logged_in", "it must be true or false")
    return Credentials(check_email(parameters.get("email")), password, stay)


def _log_in(api: Api, visit: Visit, users: ThingType, given: Credentials, address: str) -> dict[str, Json]:
    account = f"account:{given.email}"
    attempt = _attempt(api, account, f"address:{address}")
    user = find_email(api.store.children(users.source.slug), given.email)
    hashed = None if user is None else user.meta.get(PASSWORD_HASH)
    fits = verify_password(hashed if isinstance(hashed, str) else _no_one(), given.password)
    if user is None or not isinstance(hashed, str) or not fits:
        raise Refused(401, "INVALID_LOGIN_CREDENTIAL", "Wrong email or password")
    api.attempts.forgive(attempt, account)
    return _logged_in(api, user.name, given.stay)


def _sign_up(api: Api, visit: Visit, users: ThingType, given: Credentials, address: str) -> dict[str, Json]:
    _attempt(api, f"signup:{address}")
    writer = Writer(api, visit, users, grants=None)
    return _logged_in(api, writer.create(Body({EMAIL: given.email}, {}, given.password)), given.stay)


def _attempt(api: Api, *subjects: str) -> Attempt:
    attempt = api.attempts.begin(*subjects)
    if isinstance(attempt, Attempt):
        return attempt
    raise TooManyAttempts(math.ceil(attempt))


def _logged_in(api: Api, identity: str, stay: bool) -> dict[str, Json]:
    seconds = api.log_in_seconds(stay)
    token = api.sessions.open(identity, seconds)
    answer = {"token": token, "user_id": identity, "expires": int(seconds)}
    return {"status": "success", "response": answer}


@cache
def _no_one() -> str:
    """A hash for accounts that do not exist: checking it takes as long as checking a real one."""
    return hash_password("")


_Workflow = Callable[[Api, Visit, ThingType, Credentials, str], dict[str, Json]]
_WORKFLOWS: Final[Mapping[str, _Workflow]] = {"login": _log_in, "signup": _sign_up}
