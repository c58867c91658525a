"""Writes as plans of a commit: what to change, or why not (reference/bubble.md §9, §12).

Pure functions of the content as it is at that moment. The caller's rules are checked on a thing as it was
and as it will be; a change after which the caller could not make another one is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from flatdata.access.passwords import hash_password
from flatdata.access.privacy import Grants
from flatdata.dialects.bubble.bodies import Body, defaults, email_taken
from flatdata.dialects.bubble.errors import Refused, bad_request, denied, missing_thing, unrecognized
from flatdata.dialects.bubble.things import random_parts, thing_slug, unique_id
from flatdata.dialects.bubble.types import CREATED_BY, CREATED_DATE, EMAIL, SLUG, ThingField, ThingType
from flatdata.dialects.bubble.values import Upload, with_urls
from flatdata.query.bubble_values import read_value, show_value
from flatdata.query.tree import ABSENT, Json
from flatdata.store.changes import Change, Delete, Put
from flatdata.store.entry import Entry, encode_json
from flatdata.store.paths import FILE
from flatdata.store.sources import (
    View,
    added_columns,
    changed_row,
    iso_ms,
    new_row,
    source_at,
    update_manifest,
)
from flatdata.store.storable import DEFAULT_LIMITS
from flatdata.turns import in_turns

PASSWORD_HASH: Final = "password_hash"
"""The key of `_meta` that holds the hash of a user's password: no API shows `_meta`."""

MAX_THING: Final = DEFAULT_LIMITS.max_bytes
"""Bytes of a thing as JSON; about as much as its file may have."""

Columns = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Rights:
    """What a plan is checked against.

    `grants` are the caller's (None asks no rule: for what does not come through the Data API);
    `missing_status` is the status for an id that does not exist; `live` keeps built-in fields in a PUT."""

    thing_type: ThingType
    grants: Grants | None
    missing_status: int
    live: bool

    def check(self, action: str, entry: Entry) -> None:
        """Raise `Refused` if the caller may not do this to the thing, or the thing is too large."""
        if len(entry.body) > MAX_THING:
            raise bad_request(f"A thing cannot be larger than {MAX_THING} bytes")
        if self.grants is not None and not self.grants.may(action, entry):
            raise denied(action)

    def present(self, view: View, identity: str) -> Entry:
        """The thing with this id. Raises `Refused`."""
        slug = thing_slug(self.thing_type, identity)
        entry = None if slug is None else view.get(slug)
        if entry is None:
            raise missing_thing(self.thing_type.name, identity, self.missing_status)
        return entry


# --- creating ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A thing to be created: its columns, and what goes into its `_meta` besides the dates."""

    columns: Columns
    meta: Mapping[str, Json]

    def with_urls(self, urls: Mapping[str, str]) -> Draft:
        """The same, with the places of files that were kept."""
        return Draft({name: with_urls(value, urls) for name, value in self.columns.items()}, self.meta)

    def names(self, upload: Upload) -> bool:
        """Whether the file came with this thing."""
        return any(
            upload.token in value if isinstance(value, list) else upload.token == value
            for value in self.columns.values()
        )


def make_draft(thing_type: ThingType, body: Body, creator: str | None) -> Draft:
    """What a new thing will hold. Hashes the password, which takes its time."""
    columns = _in_order(thing_type, {**defaults(thing_type), **body.values})
    meta: dict[str, Json] = {}
    if creator is not None:
        meta["created_by"] = creator
    if body.password is not None:
        meta[PASSWORD_HASH] = hash_password(body.password)
    return Draft(_filled(columns), meta)


def plan_creation(
    view: View, rights: Rights, drafts: Iterable[Draft]
) -> tuple[list[Change], list[str | Refused]]:
    """The changes that create things, and for each draft its id or why it is refused."""
    drafts = list(drafts)
    ms = view.now_ns // 1_000_000
    emails = _Emails(view, rights.thing_type)
    changes: list[Change] = []
    results: list[str | Refused] = []
    for draft, random_part in zip(in_turns(drafts), random_parts(len(drafts)), strict=True):
        identity = unique_id(ms, random_part)
        row = new_row(view, rights.thing_type.source, draft.columns, name=identity)
        put = Put(row.slug, row.fields, {**(row.meta or {}), **draft.meta})
        try:
            rights.check("create", _entry(put, view))
            emails.take(draft.columns)
        except Refused as refused:
            results.append(refused)
            continue
        changes.append(put)
        results.append(identity)
    if changes:
        changes += _new_columns(view, rights.thing_type, (draft.columns for draft in drafts))
    return changes, results


class _Emails:
    """The addresses of users, each of which only one of them can have."""

    def __init__(self, view: View, thing_type: ThingType, but: str = "") -> None:
        self._view = view
        self._thing_type = thing_type
        self._but = but
        self._taken: set[str] = set()

    def take(self, columns: Mapping[str, Json]) -> None:
        """Give the address in `columns` to their user. Raises `Refused` if somebody else has it."""
        email = columns.get(EMAIL) if self._thing_type.is_user else None
        if not isinstance(email, str):
            return
        others = (row for row in self._view.children(self._thing_type.source.slug) if row.slug != self._but)
        if email in self._taken or find_email(others, email) is not None:
            raise email_taken(email)
        self._taken.add(email)


def find_email(users: Iterable[Entry], email: str) -> Entry | None:
    """The one of some users who has this address, which is in lower case."""
    # The bytes of a row are searched first: parsing fifty thousand of them takes a tenth of a second.
    needle = encode_json(email)[1:-1]
    for user in users:
        if needle in user.body.lower() and str(user.fields.get(EMAIL, "")).strip().lower() == email:
            return user
    return None


# --- changing ---------------------------------------------------------------------------------------------


def plan_change(
    view: View, rights: Rights, identity: str, body: Body, *, replacing: bool
) -> tuple[list[Change], None]:
    """The changes that modify or replace a thing. Raises `Refused`."""
    thing_type = rights.thing_type
    before = rights.present(view, identity)
    rights.check("modify", before)
    if SLUG.caption in body.built_in and body.built_in[SLUG.caption] != _shown(SLUG, before):
        raise unrecognized(SLUG.caption)
    columns = _replaced(thing_type, before, body) if replacing else {**before.fields, **body.values}
    row = changed_row(view, before, _filled(columns))
    meta = dict(row.meta or {})
    if replacing and not rights.live:
        meta = _reset(meta, body, before, iso_ms(view.now_ns))
    put = Put(row.slug, row.fields, meta)
    rights.check("modify", _entry(put, view))
    _Emails(view, thing_type, but=before.slug).take(body.values)
    return [put, *_new_columns(view, thing_type, [put.fields])], None


def plan_deletion(view: View, rights: Rights, identity: str) -> tuple[list[Change], None]:
    """The change that deletes a thing. Raises `Refused`."""
    before = rights.present(view, identity)
    rights.check("delete", before)
    return [Delete(before.slug)], None


def _replaced(thing_type: ThingType, before: Entry, body: Body) -> Columns:
    """The columns after a PUT: what it does not give becomes its default, or empty.

    Columns that are no fields of the type stay, and so does what a user logs in with.
    """
    own = {field.caption for field in thing_type.fields} - ({EMAIL} if thing_type.is_user else set())
    kept = {name: value for name, value in before.fields.items() if name not in own}
    return _in_order(thing_type, {**kept, **defaults(thing_type), **body.values})


def _reset(meta: dict[str, Json], body: Body, before: Entry, now: str) -> dict[str, Json]:
    """The `_meta` after a PUT in documented mode: without built-in fields that were not sent back
    unchanged."""
    for field, key in ((CREATED_DATE, "created_at"), (CREATED_BY, "created_by"), (SLUG, "slug")):
        sent = body.built_in.get(field.caption)
        if sent is None or sent != _shown(field, before):
            meta.pop(key, None)
    return {"created_at": now, **meta}


def _shown(field: ThingField, entry: Entry) -> Json:
    value = read_value(field.type, field.source.read(entry))
    return None if value is ABSENT else show_value(field.type, value)


def _in_order(thing_type: ThingType, columns: Columns) -> Columns:
    """Columns in the order of the type's fields, others behind them: people read the file."""
    fields = {
        field.caption: columns[field.caption] for field in thing_type.fields if field.caption in columns
    }
    return {**fields, **columns}


def _filled(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if value is not None}


def _entry(put: Put, view: View) -> Entry:
    """A thing as it will be, for the rules to look at."""
    return Entry(
        put.slug, encode_json(put.fields), encode_json(put.meta), form=FILE, mtime_ns=view.now_ns, size=0
    )


def _new_columns(view: View, thing_type: ThingType, rows: Iterable[Columns]) -> list[Change]:
    """What adds columns to a list that the source declares, so that the other APIs know them.

    A source that declares none is left alone: its manifest was written by hand, with comments to lose.
    """
    source = source_at(view, thing_type.source.slug)
    if source is None or source.columns is None or not (added := added_columns(source, rows)):
        return []
    return [update_manifest(source, columns=[*source.columns, *added])]
