"""What the endpoints of the Bubble dialect share: the site's parts, and who is calling."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from flatdata.access.privacy import ADMIN, VISITOR, Caller
from flatdata.access.sessions import Attempts, Sessions
from flatdata.dialects.bubble.files import Files
from flatdata.dialects.bubble.geo import Geocode
from flatdata.dialects.bubble.things import find_thing, reference_exists, thing_of_any_type
from flatdata.dialects.bubble.types import Catalogue, Names, Types
from flatdata.dialects.bubble.values import MAX_LIST, MAX_LIST_LIVE, Parser
from flatdata.query.bubble_values import FieldType
from flatdata.query.bubble_words import Analyse
from flatdata.query.tree import Query
from flatdata.settings.table import BubbleSettings
from flatdata.store.store import Store

_DAY: Final = 86_400.0


@dataclass(frozen=True)
class Api:
    """The parts of a site that this dialect uses.

    `users_lock` makes writes that give out e-mail addresses wait for each other within this process: two of
    them in one batch of the store would not see each other. Between processes the store's own lock does it.
    """

    settings: BubbleSettings
    store: Store
    index: Callable[[Query], Any]
    types: Types
    sessions: Sessions
    attempts: Attempts
    geocode: Geocode
    analyse: Analyse
    files: Files
    check_token: Callable[[str], bool]
    users_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> Names:
        """What fields are called in bodies."""
        return self.settings.field_names

    @property
    def live(self) -> bool:
        """Whether to answer as the hosted service does, where that differs from its documentation."""
        return self.settings.behaviour == "live"

    @property
    def missing_status(self) -> int:
        """The status for an id that does not exist."""
        return 404 if self.live else 400

    def parser(self, catalogue: Catalogue) -> Parser:
        """What understands the values of one request."""
        return Parser(
            catalogue,
            lambda field_type, identity: self.exists(catalogue, field_type, identity),
            self.geocode,
            lambda identity: thing_of_any_type(self.store.get, catalogue, identity) is not None,
            MAX_LIST_LIVE if self.live else MAX_LIST,
        )

    def exists(self, catalogue: Catalogue, field_type: FieldType, identity: str) -> bool:
        """Whether a reference leads somewhere."""
        return reference_exists(self.store.get, catalogue, field_type, identity)

    def log_in_seconds(self, stay: bool) -> float:
        """How long a new token is good for."""
        return (self.settings.stay_logged_in_days if stay else self.settings.token_days) * _DAY


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's caller.

    `version` is `live`, `test` or a branch: it does not choose other data, but is part of what admins are
    called in `Created By`.
    """

    caller: Caller
    version: str

    def creator(self, app_name: str) -> str | None:
        """What is noted as `Created By` of what this caller creates."""
        if self.caller.admin:
            return f"admin_user_{app_name}_{'live' if self.version == 'live' else 'test'}"
        return self.caller.user_id or None


def identify(api: Api, catalogue: Catalogue, token: str | None) -> Caller | None:
    """Whose token this is: an admin's, a user's, or without one a visitor. None for one that is not valid."""
    if token is None:
        return VISITOR
    if api.check_token(token):
        return ADMIN
    identity = api.sessions.user_of(token)
    users = catalogue.users
    if identity is None or users is None:
        return None
    user = find_thing(api.store.get, users, identity)
    return None if user is None else Caller(user_id=identity, user=user)
