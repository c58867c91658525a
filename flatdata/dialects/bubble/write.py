"""Creating, modifying, replacing and deleting things (reference/bubble.md §9, §12).

A write is understood first, outside of every lock: values, addresses, references, passwords. Then it is a
plan of one commit, which looks at the thing as it is at that moment and checks the caller's rules before
and after the change. A change after which the caller could not make another one is refused.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flatdata.access.passwords import hash_password from flatdata.access.privacy import Grants from
flatdata.dialects.bubble.bodies import Body, defaults, email_taken from flatdata.dialects.bubble.context
import Api, Visit from flatdata.dialects.bubble.errors import Refused, denied, missing_thing, unrecognized
from flatdata.dialects.bubble.things import random_parts, thing_slug, unique_id from
flatdata.dialects.bubble.types import ( CREATED_BY, CREATED_DATE, EMAIL, SLUG, ThingType, ) from
flatdata.dialects.bubble.values import Upload, with_urls from flatdata.query.bubble_values import
read_value, show_value from flatdata.query.tree import ABSENT, Json from flatdata.store.changes import
Change, Delete from flatdata.store.entry import Entry, encode_json from flatdata.store.paths import FILE
from flatdata.store.sources import View, added_columns, changed_row, iso_ms, new_row, source_at,
update_manifest from flatdata.store.store import Store

ORIGIN: Final = "bubble"
PASSWORD_HASH: Final = "password_hash"
"""The key of `_meta` that holds the hash of a user's password: no API shows `_meta`."""

Columns = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Draft:
    """A thing to be created: its columns, and what goes into its `_meta` besides the dates."""

    columns: Columns
    meta: Mapping[str, Json]

    def with_urls(self, urls: Mapping[str, str]) -> Draft:
        """The same, with the places of files that were kept."""
        return Draft({name: with_urls(value, urls) for name, value in self.columns.items()}, self.meta)


# --- the changes, as plans ---------------------------------------------------------------------------------


def make_draft(thing_type: ThingType, body: Body, creator: str | None) -> Draft:
    """What a new thing will hold. Hashes the password, which takes its time."""
    columns = {**defaults(thing_type), **body.values}
    meta: dict[str, Json] = {}
    if creator is not None:
        meta["created_by"] = creator
    if body.password is not None:
        meta[PASSWORD_HASH] = hash_password(body.password)
    return Draft({name: value for name, value in columns.items() if value is not None}, meta)


def plan_creation(
    view: View, thing_type: ThingType, drafts: Iterable[Draft], grants: Grants | None
) -> tuple[list[Change], list[str | Refused]]:
    """The changes that create things, and for each draft its id or why it is refused.

    `grants` None asks no rule: for what does not come through the Data API.
    """ drafts = list(drafts) ms = view.now_ns // 1_000_000 taken: set[str] = set() changes: list[Change] =
    [] results: list[str | Refused] = [] for draft, random_part in zip(drafts, random_parts(len(drafts)),
    strict=True): identity = unique_id(ms, random_part) put = new_row(view, thing_type.source,
    draft.columns, name=identity) meta = {**(put.meta or {}), **draft.meta} refusal =
    _refusal_of_creation(view, thing_type, draft, _entry(put.slug, draft.columns, meta, view), grants,
    taken) if refusal is not None: results.append(refusal) continue changes.append(type(put)(put.slug,
    put.fields, meta)) results.append(identity) if changes: changes += _columns_of(view, thing_type,
    (draft.columns for draft in drafts)) return changes, results


def _refusal_of_creation(
    view: View, thing_type: ThingType, draft: Draft, entry: Entry, grants: Grants | None, taken: set[str]
) -> Refused | None:
    if grants is not None and not grants.may("create", entry):
        return denied("create")
    email = draft.columns.get(EMAIL) if thing_type.is_user else None
    if isinstance(email, str):
        if email in taken or has_email(view.children(thing_type.source.slug), email):
            return email_taken(email)
        taken.add(email)
    return None


def plan_change(
    view: View, api: Api, thing_type: ThingType, identity: str, body: Body, grants: Grants, *, replacing: bool
) -> tuple[list[Change], None]:
    """The changes that modify or replace a thing. Raises `Refused`."""
    before = _present(view, api, thing_type, identity)
    if not grants.may("modify", before):
        raise denied("modify")
    _check_built_in(body, before)
    columns = _replaced(thing_type, before, body) if replacing else {**before.fields, **body.values}
    columns = {name: value for name, value in columns.items() if value is not None}
    put = changed_row(view, before, columns)
    meta = dict(put.meta or {})
    if replacing and not api.live:
        meta = _reset(meta, body, before, iso_ms(view.now_ns))
    if not grants.may("modify", _entry(before.slug, columns, meta, view)):
        raise denied("modify")
    email = body.values.get(EMAIL) if thing_type.is_user else None
    if isinstance(email, str):
        others = (row for row in view.children(thing_type.source.slug) if row.slug != before.slug)
        if has_email(others, email):
            raise email_taken(email)
    changes: list[Change] = [type(put)(put.slug, put.fields, meta)]
    return changes + _columns_of(view, thing_type, [columns]), None


def plan_deletion(
    view: View, api: Api, thing_type: ThingType, identity: str, grants: Grants
) -> tuple[list[Change], None]:
    """The change that deletes a thing. Raises `Refused`."""
    before = _present(view, api, thing_type, identity)
    if not grants.may("delete", before):
        raise denied("delete")
    return [Delete(before.slug)], None


def _present(view: View, api: Api, thing_type: ThingType, identity: str) -> Entry:
    slug = thing_slug(thing_type, identity)
    entry = None if slug is None else view.get(slug)
    if entry is None:
        raise missing_thing(thing_type.name, identity, api.missing_status)
    return entry


def _replaced(thing_type: ThingType, before: Entry, body: Body) -> Columns:
    """The columns after a PUT: what it does not give becomes its default, or empty.

    Columns that are no fields of the type stay, and so does what a user logs in with.
    """
    old = before.fields
    own = {field.caption for field in thing_type.fields}
    kept = {name: value for name, value in old.items() if name not in own}
    if thing_type.is_user and EMAIL in old:
        kept[EMAIL] = old[EMAIL]
    return {**kept, **defaults(thing_type), **body.values}


def _check_built_in(body: Body, before: Entry) -> None:
    """A slug cannot be changed; a client may send back what it read."""
    if SLUG.caption in body.built_in and body.built_in[SLUG.caption] != _shown(SLUG, before):
        raise unrecognized(SLUG.caption)


def _reset(meta: dict[str, Json], body: Body, before: Entry, now: str) -> dict[str, Json]:
    """The `_meta` after a PUT in documented mode: built-in fields go too, unless they were sent back
    unchanged."""
    for field, key in ((CREATED_DATE, "created_at"), (CREATED_BY, "created_by"), (SLUG, "slug")):
        sent = body.built_in.get(field.caption)
        if sent is None or sent != _shown(field, before):
            meta.pop(key, None)
    meta.setdefault("created_at", now)
    return meta


def _shown(field: Any, entry: Entry) -> Json:
    value = read_value(field.type, field.source.read(entry))
    return None if value is ABSENT else show_value(field.type, value)


def _entry(slug: str, columns: Columns, meta: Mapping[str, Json], view: View) -> Entry:
    """A thing as it will be, for the rules to look at."""
    return Entry(slug, encode_json(columns), encode_json(meta), form=FILE, mtime_ns=view.now_ns, size=0)


def _columns_of(view: View, thing_type: ThingType, rows: Iterable[Columns]) -> list[Change]:
    """What declares columns that the source did not have yet, so that the other APIs know them."""
    source = source_at(view, thing_type.source.slug)
    if source is None or not (added := added_columns(source, rows)):
        return []
    return [update_manifest(source, columns=[*(source.columns or ()), *added])]


def has_email(users: Iterable[Entry], email: str) -> bool:
    """Whether one of some users has this address, which is in lower case."""
    # The bytes of a row are searched first: parsing fifty thousand of them takes a tenth of a second.
    needle = encode_json(email)[1:-1]
    return any(
        needle in user.body.lower() and str(user.fields.get(EMAIL, "")).strip().lower() == email for user in users
    )


# --- carrying them out --------------------------------------------------------------------------------------


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


Plan = Callable[[View], tuple[list[Change], Any]]


@dataclass(frozen=True)
class Writer:
    """Writes of one request: who makes them, to which type, with which rights."""

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

        def plan_with(urls: Mapping[str, str]) -> Plan:
            named = [draft.with_urls(urls) for draft in drafts] if urls else drafts

            def plan(view: View) -> tuple[list[Change], list[str | Refused]]:
                changes, results = plan_creation(view, self.thing_type, named, self.grants)
                if all_or_none and isinstance(results[0], Refused):
                    raise results[0]
                return changes, results

            return plan

        results: list[str | Refused] = self._carry_out(plan_with, "create", uploads, emails=self.thing_type.is_user)
        return results

    def change(self, identity: str, body: Body, uploads: Sequence[Upload], *, replacing: bool) -> None:
        """Modify or replace a thing. Raises `Refused`."""

        def plan_with(urls: Mapping[str, str]) -> Plan:
            named = Body({name: with_urls(value, urls) for name, value in body.values.items()}, body.built_in)
            return lambda view: plan_change(
                view, self.api, self.thing_type, identity, named, self._rights(), replacing=replacing
            )

        emails = self.thing_type.is_user and EMAIL in body.values
        self._carry_out(plan_with, "replace" if replacing else "modify", uploads, emails=emails)

    def delete(self, identity: str) -> None:
        """Delete a thing. Raises `Refused`."""
        self._carry_out(
            lambda urls: lambda view: plan_deletion(view, self.api, self.thing_type, identity,
            self._rights()), "delete", (), emails=False,
        )

    def _rights(self) -> Grants:
        return self.grants if self.grants is not None else Grants(())

    def _carry_out(
        self,
        plan_with: Callable[[Mapping[str, str]], Plan],
        action: str,
        uploads: Sequence[Upload],
        *,
        emails: bool,
    ) -> Any:
        """Commit a plan, with the files that came with it.

        The files have to be there before the thing that names them. A write that would be refused keeps none:
        its plan is tried out first. `emails` says that the plan gives out e-mail addresses.
        """
        api = self.api
        if uploads:
            plan_with({})(_Now(api.store, time.time_ns()))
        with (
            api.files.kept(uploads, self.thing_type) as urls,
            api.users_lock if emails else contextlib.nullcontext(),
        ):
            who = self.visit.creator(api.settings.app_name) or ""
            return api.store.commit(plan_with(urls), origin=ORIGIN, who=who, action=action)
