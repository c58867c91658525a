"""The endpoints of single rows: read, insert, update, delete (reference/fliplet.md §2.2, §4.3)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response

from flatdata.access.rules import Denial, Operation
from flatdata.access.subjects import row as subject_of
from flatdata.dialects.fliplet.api import Call, answer, granted, live_source, machinery, raw_answer
from flatdata.dialects.fliplet.errors import bad_request, denied, not_found
from flatdata.dialects.fliplet.hooks import INSERT, UPDATE, Hasher
from flatdata.dialects.fliplet.multipart import Form, is_multipart, reading
from flatdata.dialects.fliplet.render import BRIEF, FULL, UPLOADED, Lens
from flatdata.dialects.fliplet.write import (
    column_changes,
    grant_insert,
    grant_update,
    prepare_insert,
    prepare_update,
    row_at,
)
from flatdata.store.changes import Change, Delete, Put
from flatdata.store.entry import Entry
from flatdata.store.media import Owner
from flatdata.store.planning import View
from flatdata.store.sources import Source, changed_row, new_row

Json = Any
"""Any JSON value."""


def _row_name(call: Call) -> str:
    """The name of the row in the path; `session` is the row of the signed-in user."""
    name = call.names[0]
    if name == "session":
        identity = call.caller.actor.user.get("id")
        return str(identity) if isinstance(identity, int | str) else ""
    return name


def _find(store: Any, call: Call, source: Source) -> Entry:
    """The row in the path, in a store or a view. Raises `Refused`: 404, or 400 if no row is called so."""
    name = _row_name(call)
    entry = row_at(store, source, name)
    if entry is None:
        raise not_found("Entry") if name.isdigit() or name == "" else bad_request("Invalid entry id")
    return entry


def _written(call: Call, slug: str, lens: Lens, *, uploaded: bool = False) -> Response:
    """The answer to a write: the row as it is now."""
    entry = call.api.site.store.get(slug)
    if entry is None:
        raise not_found("Entry")
    style = FULL if call.api.live else UPLOADED if uploaded else BRIEF
    return raw_answer(style.row(entry, call.source.id, lens.data(entry)), 200 if call.api.live else 201)


def get_row(call: Call) -> Response:
    """`GET …/data/<entryId>`."""
    source, reads = call.source, call.policy(Operation.READ)
    if isinstance(reads.fixed, Denial):
        raise denied(reads.fixed)
    entry = _find(call.api.site.store, call, source)
    # What does not depend on the row is decided without parsing it.
    grant = reads.fixed or granted(reads, subject_of(entry.fields))
    style = FULL if call.api.live else BRIEF
    return raw_answer(style.shown(entry, source.id, Lens(grant, machinery(source).hashed)))


# --- what is written ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sent:
    """The columns of a row in a request, and the form they came with if it was multipart."""

    columns: dict[str, Json]
    form: Form | None = None

    def for_update(self, stored: Mapping[str, Json]) -> dict[str, Json]:
        """The columns as they are merged into a stored row."""
        return self.columns if self.form is None else self.form.added_to(self.columns, stored)

    def drop_unused(self, row: Mapping[str, Json]) -> None:
        """Remove the files that did not get into the row, which was written."""
        if self.form is not None:
            self.form.drop_unused(row)


@contextlib.contextmanager
def _sent(call: Call, source: Source) -> Iterator[Sent]:
    """The columns in the body; files become visible here, and are removed if the block raises."""
    if not is_multipart(call):
        yield Sent(call.body())
        return
    encrypt = source.encrypted or call.api.settings.encrypt_media
    with reading(call, encrypt=encrypt) as form:
        owner = Owner(source.id, source.app_id, source.organization_id, call.caller.user_id)
        yield Sent(form.keep(owner, call.request.host_url), form)


def insert_row(call: Call) -> Response:
    """`PUT …/data`: a new row, from JSON or a multipart form."""
    source, inserts, machine = call.source, call.policy(Operation.INSERT), machinery(call.source)
    if isinstance(inserts.fixed, Denial):
        raise denied(inserts.fixed)
    with _sent(call, source) as sent:
        columns = prepare_insert(source, machine, grant_insert(inserts, sent.columns), Hasher())

        def plan(view: View) -> tuple[list[Change], str]:
            current = live_source(view, source.slug)
            put = new_row(view, current, columns, created_by=call.caller.user_id)
            return [put, *column_changes(current, [columns])], put.slug

        slug = call.api.commit(call.caller, "insert", plan)
    sent.drop_unused(columns)
    call.api.send(source, machine, INSERT, [slug])
    lens = Lens(granted(inserts, subject_of(sent.columns)), machine.hashed)
    return _written(call, slug, lens, uploaded=sent.form is not None)


def update_row(call: Call) -> Response:
    """`PUT …/data/<entryId>`: a shallow merge into a row, from JSON or a multipart form."""
    source, updates, machine = call.source, call.policy(Operation.UPDATE), machinery(call.source)
    if isinstance(updates.fixed, Denial):
        raise denied(updates.fixed)
    before = _find(call.api.site.store, call, source).fields
    with _sent(call, source) as sent:
        decision = updates.decide_update(sent.for_update(before), before)
        if isinstance(decision, Denial):
            raise denied(decision)
        lens = Lens(decision, machine.hashed)
        columns = prepare_update(machine, decision.project(sent.for_update(before)), before, Hasher())

        def plan(view: View) -> tuple[list[Change], Put]:
            current = live_source(view, source.slug)
            entry = _find(view, call, current)
            policy = call.policy(Operation.UPDATE, current)
            written = grant_update(policy, columns, entry.fields, lens, extend=True)
            put = changed_row(view, entry, written)
            return [put, *column_changes(current, [columns])], put

        put = call.api.commit(call.caller, "update-row", plan)
    sent.drop_unused(put.fields)
    slug = put.slug
    call.api.send(source, machine, UPDATE, [slug])
    return _written(call, slug, lens, uploaded=sent.form is not None)


def delete_row(call: Call) -> Response:
    """`DELETE …/data/<entryId>`."""
    source, deletes = call.source, call.policy(Operation.DELETE)
    if isinstance(deletes.fixed, Denial):
        raise denied(deletes.fixed)

    def plan(view: View) -> tuple[list[Change], None]:
        current = live_source(view, source.slug)
        entry = _find(view, call, current)
        granted(call.policy(Operation.DELETE, current), subject_of(entry.fields))
        return [Delete(entry.slug)], None

    call.api.commit(call.caller, "delete-row", plan)
    return answer({})
