"""Bulk import: many flat rows in one request, one record in the log (reference/fliplet.md §4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response

from flatdata.access.rules import Grant, Operation
from flatdata.dialects.fliplet.api import Call, empty_answer, live_source, machinery, raw_answer
from flatdata.dialects.fliplet.body import is_true
from flatdata.dialects.fliplet.errors import bad_request
from flatdata.dialects.fliplet.hooks import INSERT, Hasher
from flatdata.dialects.fliplet.render import EVERYTHING_SHOWN, FULL, Lens
from flatdata.dialects.fliplet.write import (
    column_changes,
    delete_each,
    grant_insert,
    grant_update,
    prepare_insert,
    row_at,
)
from flatdata.store.changes import Change, Put
from flatdata.store.orders import Orders
from flatdata.store.planning import View
from flatdata.store.sources import Source, changed_row, new_row
from flatdata.turns import in_turns

Json = Any
"""Any JSON value."""


def read_rows(entries: Json) -> list[dict[str, Json]]:
    """The flat rows of an import. Raises `Refused`."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise bad_request("entries must be a list of objects, each with the columns of one row")
    return entries


def read_trigger(source: Json) -> str | None:
    """The `source` of a write, by which hooks are chosen."""
    return source if isinstance(source, str) else None


def _row_name(identity: Json) -> str | None:
    """The name of the row that an id stands for."""
    return str(identity) if isinstance(identity, str) or type(identity) is int else None


def _taken(rows: list[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    """The rows, which are taken out of the list: what was sent goes while as much again is made of it."""
    rows.reverse()
    while rows:
        yield rows.pop()


def import_rows(call: Call) -> Response:
    """`POST /v1/data-sources/{ds}/data`: replaces all rows, or appends.

    Imported rows keep the order they come in. Documented mode answers without a body; live mode with the
    rows, and takes the key `id` of a row for the id of the row.
    """
    source, body = call.source, call.body()
    append = is_true(body.get("append")) or is_true(call.request.args.get("append"))
    rows = read_rows(body.pop("entries", None))
    names: list[str | None] | None = None
    if call.api.live:
        names = [_row_name(row.get("id")) for row in rows]
        rows = [{column: value for column, value in row.items() if column != "id"} for row in rows]
    inserts = call.policy(Operation.INSERT)
    machine, hasher, trigger = machinery(source), Hasher(), read_trigger(body.get("source"))
    prepared = [
        prepare_insert(source, machine, grant_insert(inserts, row), hasher, trigger)
        for row in in_turns(_taken(rows))
    ]

    def plan(view: View) -> tuple[list[Change], tuple[list[str], list[str]]]:
        current = live_source(view, source.slug)
        puts, updated = _puts(call, view, current, prepared, names, append)
        old = () if append else (row for row in view.children(current.slug) if row.slug not in updated)
        deletes = delete_each(call.policy(Operation.DELETE, current), old)
        slugs = [put.slug for put in puts]
        changes = [*deletes, *puts, *column_changes(current, prepared)]
        return changes, (slugs, [slug for slug in slugs if slug not in updated])

    written, inserted = call.api.commit(call.caller, "import", plan, reads=(source.slug,))
    if is_true(body.get("runHooks", append)):
        call.api.send(source, machine, INSERT, inserted, trigger)
    if not call.api.live:
        return empty_answer()
    lens = Lens(EVERYTHING_SHOWN.grant, machine.hashed)
    return raw_answer(FULL.rows(call.api.entries(written), source.id, lens))


def _puts(
    call: Call,
    view: View,
    source: Source,
    rows: Sequence[dict[str, Json]],
    names: Sequence[str | None] | None,
    append: bool,
) -> tuple[list[Put], set[str]]:
    """The changes that write the rows, and the slugs of those that were there (live mode)."""
    puts: list[Put] = []
    updated: set[str] = set()
    updates = call.policy(Operation.UPDATE, source)
    lens = Lens(Grant(), machinery(source).hashed)
    first = first_order(call.api.site.store.orders, source.slug) if append else 0
    for number, columns in enumerate(in_turns(rows)):
        order = None if first is None else first + number
        entry = row_at(view, source, names[number] or "") if names is not None else None
        if entry is None or entry.slug in updated:
            puts.append(new_row(view, source, columns, order=order, created_by=call.caller.user_id))
            continue
        updated.add(entry.slug)
        written = grant_update(updates, columns, entry.fields, lens, extend=False)
        puts.append(changed_row(view, entry, written, **({} if order is None else {"order": order})))
    return puts, updated


def first_order(orders: Orders, slug: str) -> int | None:
    """The order of the first row that is appended: behind those that have one.

    Where rows have none, being single inserts, the new ones get none either: they would come before them.
    """
    extent = orders.of(slug)
    if extent.largest is not None:
        return extent.largest + 1
    return None if extent.unordered else 0
