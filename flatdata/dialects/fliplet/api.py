"""What every endpoint works with: the parts of the site, and one request that was let in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from flask import Request

from flatdata.access.rules import Denial, Grant, Operation, Policy, may_manage, policy
from flatdata.access.subjects import NO_SEARCH, Subject
from flatdata.answers import Answer
from flatdata.dialects.fliplet.body import read_object
from flatdata.dialects.fliplet.caller import Caller
from flatdata.dialects.fliplet.courier import Courier
from flatdata.dialects.fliplet.errors import bad_request, denied, not_found
from flatdata.dialects.fliplet.hooks import SENT_TYPES, Hook, hashed_columns, read_hooks
from flatdata.dialects.fliplet.outbox import Outbox
from flatdata.dialects.fliplet.render import Lens
from flatdata.store.changes import Change
from flatdata.store.entry import Entry
from flatdata.store.media import Media
from flatdata.store.planning import View
from flatdata.store.sealed import parse_key
from flatdata.store.sources import Source, source_at
from flatdata.store.versions import Versions

if TYPE_CHECKING:
    from flatdata.site import Site

Json = Any
"""Any JSON value."""

ORIGIN: Final = "fliplet"
JSON_TYPE: Final = "application/json; charset=utf-8"
MAX_ID_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Machinery:
    """The hooks of a source, and the columns that hold password hashes."""

    hooks: tuple[Hook, ...]
    hashed: frozenset[str]


def machinery(source: Source) -> Machinery:
    """The hooks of a source, read."""
    if not source.hooks:
        return _NO_HOOKS
    hooks = read_hooks(source.hooks)
    return Machinery(hooks, hashed_columns(hooks))


_NO_HOOKS: Final = Machinery((), frozenset())


class Api:
    """The parts of one site that the endpoints use. One for the whole application; threads share it."""

    def __init__(self, site: Site) -> None:
        settings = site.settings.fliplet
        self.site = site
        self.settings = settings
        self.live = settings.behaviour == "live"
        self.versions = Versions(site.store, min(settings.versions_keep_days, site.settings.log.keep_days))
        self.media = Media(site.root / "media", settings.media_max_bytes, self._key)
        courier = Courier(settings, site.plugins)
        folder = site.store.state_dir / "fliplet-hooks"
        self.outbox = Outbox(folder, courier.deliver, settings.hook_attempts)
        self.outbox.start_if_pending()
        site.on_close(self.outbox.close)

    def _key(self) -> bytes | None:
        text = os.environ.get(self.settings.encryption_key_env)
        return parse_key(text) if text else None

    def commit(
        self,
        caller: Caller,
        action: str,
        plan: Callable[[View], tuple[list[Change], Any]],
        *,
        reads: Iterable[str] = (),
    ) -> Any:
        """Carry out a plan as one record of this dialect. Arguments and errors as those of `Store.commit`."""
        return self.site.store.commit(plan, origin=ORIGIN, who=caller.who, action=action, reads=reads)

    def entries(self, slugs: Iterable[str]) -> list[Entry]:
        """Those of the entries that are (still) there, in this order."""
        found = (self.site.store.get(slug) for slug in slugs)
        return [entry for entry in found if entry is not None]

    def send(
        self, source: Source, machine: Machinery, event: str, slugs: Iterable[str], trigger: str | None = None
    ) -> None:
        """Have the hooks of a source that run on `event` sent for the rows that were written.

        Password hashes are not among what they get.
        """
        hooks = [hook for hook in machine.hooks if hook.type in SENT_TYPES and hook.runs(event, trigger)]
        if not hooks:
            return
        lens = Lens(Grant(), machine.hashed)
        rows = [lens.data(entry) for entry in self.entries(slugs)]
        for hook in hooks:
            if rows:
                self.outbox.post(source.id, hook, rows)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was let in: who sent it, and what its path names."""

    api: Api
    request: Request
    caller: Caller
    found: Source | None = None
    names: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """The data source that the path names. Raises `Refused` (404) if there is none."""
        if self.found is None:
            raise not_found("Data source")
        return self.found

    @property
    def manages(self) -> bool:
        """Whether the caller may change the source itself, and see all of it."""
        return may_manage(self.source, self.caller.actor)

    def managed(self, verb: str) -> Source:
        """The source, if the caller may change it. Raises `Refused`."""
        source = self.source
        if not self.manages:
            raise denied(Denial(verb, source.id, source.name))
        return source

    def policy(self, operation: Operation, source: Source | None = None) -> Policy:
        """What decides about an operation of the caller on the rows of the source."""
        return policy(source or self.source, operation, self.caller.actor)

    def grant(self, operation: Operation, subject: Subject = NO_SEARCH) -> Grant:
        """The grant for an operation. Raises `Refused` if it is denied."""
        return granted(self.policy(operation), subject)

    def body(self) -> dict[str, Json]:
        """The object in the request's body. Raises `Refused`."""
        return read_object(self.request, self.api.settings.max_body_bytes)


def granted(decider: Policy, subject: Subject = NO_SEARCH) -> Grant:
    """What a policy grants for a subject. Raises `Refused` if it denies."""
    decision = decider.decide(subject)
    if isinstance(decision, Denial):
        raise denied(decision)
    return decision


def live_source(view: View, slug: str) -> Source:
    """A source as a plan sees it. Raises `Refused` (404) if it is gone or in the trash meanwhile."""
    source = source_at(view, slug)
    if source is None or source.deleted_at is not None:
        raise not_found("Data source")
    return source


CORS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Auth-token, Authorization, Content-Type, X-Device-Platform, X-Device-Tracking, X-App-Locales",
    ),
    ("Access-Control-Max-Age", "86400"),
)
"""For the browser SDK. Without credentials, so that a page of somebody else never uses a cookie."""


class FlipletAnswer(Answer):
    """An answer of this dialect, which pages of other hosts may read."""

    fixed = CORS


def answer(value: Json, status: int = 200) -> FlipletAnswer:
    """A JSON answer."""
    return raw_answer(msgspec.json.encode(value), status)


def raw_answer(body: bytes, status: int = 200) -> FlipletAnswer:
    """A JSON answer that is serialised already."""
    return FlipletAnswer(body, status, content_type=JSON_TYPE)


def empty_answer() -> FlipletAnswer:
    """An answer without a body."""
    return FlipletAnswer(b"", 200)


def read_id(text: Json, what: str = "id") -> int:
    """A positive whole number that a client gave. Raises `Refused` (400)."""
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS:
        text = int(text)
    if type(text) is not int or not 0 < text < 10**MAX_ID_DIGITS:
        raise bad_request(f"Invalid {what}")
    return int(text)


def now_ms() -> int:
    """The time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
