"""Carrying out writes: plans become commits, and the files that came with them are kept.

A write is understood before, outside of every lock: values, addresses, references, passwords.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flatdata.access.privacy import Grants
from flatdata.dialects.bubble.bodies import Body
from flatdata.dialects.bubble.context import Api, Visit
from flatdata.dialects.bubble.errors import Refused
from flatdata.dialects.bubble.plans import Rights, make_draft, plan_change, plan_creation, plan_deletion
from flatdata.dialects.bubble.types import EMAIL, ThingType
from flatdata.dialects.bubble.values import Upload, with_urls
from flatdata.store.changes import Change
from flatdata.store.entry import Entry
from flatdata.store.sources import View
from flatdata.store.store import Store

ORIGIN: Final = "bubble"
Plan = Callable[[View], tuple[list[Change], Any]]
PlanWith = Callable[[Mapping[str, str]], Plan]
"""From the URLs of files that were kept, by their tokens, to a plan."""


@dataclass(frozen=True, slots=True)
class _Now:
    """The content at this moment, seen without a lock: for trying out a plan."""

    store: Store
    now_ns: int

    def get(self, slug: str) -> Entry | None:
        return self.store.get(slug)

    def exists(self, slug: str) -> bool:
        return self.store.exists(slug)

    def children(self, slug: str) -> Sequence[Entry]:
        return self.store.children(slug)

    def manifests(self) -> Sequence[Entry]:
        return self.store.manifests()

    def next_id(self) -> int:
        return 0


@dataclass(frozen=True)
class Writer:
    """The writes of one request: who makes them, to which type, with which grants (None: no rule is
    asked)."""

    api: Api
    visit: Visit
    thing_type: ThingType
    grants: Grants | None

    def create(self, body: Body, uploads: Sequence[Upload] = ()) -> str:
        """Create a thing; gives its id. Raises `Refused`."""
        (result,) = self.create_many([body], uploads, all_or_none=True)
        if isinstance(result, Refused):
            raise result
        return result

    def create_many(
        self, bodies: Iterable[Body], uploads: Sequence[Upload], *, all_or_none: bool = False
    ) -> list[str | Refused]:
        """Create things, as one record; gives for each its id or why it was refused."""
        creator = self.visit.creator(self.api.settings.app_name)
        drafts = [make_draft(self.thing_type, body, creator) for body in bodies]
        if uploads:
            # Files have to be there before the things that name them, and a thing that is refused keeps none.
            _, tried = plan_creation(_Now(self.api.store, time.time_ns()), self._rights, drafts)
            refused = [
                draft for draft, result in zip(drafts, tried, strict=True) if isinstance(result, Refused)
            ]
            uploads = [upload for upload in uploads if not any(draft.names(upload) for draft in refused)]

        def plan_with(urls: Mapping[str, str]) -> Plan:
            named = [draft.with_urls(urls) for draft in drafts] if urls else drafts

            def plan(view: View) -> tuple[list[Change], list[str | Refused]]:
                changes, results = plan_creation(view, self._rights, named)
                for result in results if all_or_none else ():
                    if isinstance(result, Refused):
                        raise result
                return changes, results

            return plan

        results: list[str | Refused]
        results = self._carry_out(plan_with, "create", uploads, emails=self.thing_type.is_user)
        return results

    def change(self, identity: str, body: Body, uploads: Sequence[Upload], *, replacing: bool) -> None:
        """Modify or replace a thing. A change that is refused keeps no files. Raises `Refused`."""

        def plan_with(urls: Mapping[str, str]) -> Plan:
            values = {name: with_urls(value, urls) for name, value in body.values.items()}
            named = Body(values, body.built_in)
            return lambda view: plan_change(view, self._rights, identity, named, replacing=replacing)

        emails = self.thing_type.is_user and EMAIL in body.values
        if uploads:
            plan_with({})(_Now(self.api.store, time.time_ns()))
        self._carry_out(plan_with, "replace" if replacing else "modify", uploads, emails=emails)

    def delete(self, identity: str) -> None:
        """Delete a thing. Raises `Refused`."""

        def plan_with(urls: Mapping[str, str]) -> Plan:
            return lambda view: plan_deletion(view, self._rights, identity)

        self._carry_out(plan_with, "delete", (), emails=False)

    @property
    def _rights(self) -> Rights:
        return Rights(self.thing_type, self.grants, self.api.missing_status, self.api.live)

    def _carry_out(self, plan_with: PlanWith, action: str, uploads: Sequence[Upload], *, emails: bool) -> Any:
        """Keep files and commit a plan. `emails` says that the plan gives out e-mail addresses."""
        api = self.api
        with (
            api.files.kept(uploads, self.thing_type) as urls,
            api.users_lock if emails else contextlib.nullcontext(),
        ):
            who = self.visit.creator(api.settings.app_name) or ""
            reads = (self.thing_type.source.slug,) if emails else ()
            return api.store.commit(plan_with(urls), origin=ORIGIN, who=who, action=action, reads=reads)
