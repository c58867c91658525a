"""Commit: many inserts, updates and deletions in one request, all or none (reference/fliplet.md §4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flask import Response

from flatdata.access.rules import Denial, Grant, Operation, Policy
from flatdata.access.subjects import NO_SEARCH
from flatdata.dialects.fliplet.api import Call, Machinery, live_source, machinery, raw_answer
from flatdata.dialects.fliplet.attributes import read_columns
from flatdata.dialects.fliplet.body import is_true
from flatdata.dialects.fliplet.bulk import read_trigger
from flatdata.dialects.fliplet.errors import bad_request, conflict, denied
from flatdata.dialects.fliplet.hooks import INSERT, UPDATE, Hasher
from flatdata.dialects.fliplet.render import BRIEF, FULL, Lens
from flatdata.dialects.fliplet.search import all_rows
from flatdata.dialects.fliplet.write import (
    column_changes,
    delete_each,
    grant_insert,
    grant_update,
    prepare_insert,
    prepare_update,
    row_at,
)
from flatdata.store.changes import Change, Put
from flatdata.store.entry import Entry, encode_json
from flatdata.store.paths import name_of
from flatdata.store.planning import View
from flatdata.store.sources import Source, changed_row, new_row, parse_row_id
from flatdata.turns import in_turns

Json = Any
"""Any JSON value."""

_INT32: Final = 2**31

# --- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """One of the entries of a commit; `name` is that of the row it updates, None for an insert."""

    name: str | None
    data: dict[str, Json]
    order: int | None
    client_id: Json


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as it was asked for.

    `delete` is None where the request has no such list; `removes_unlisted` says whether rows that are not
    among `items` go.
    """

    items: tuple[Item, ...]
    delete: tuple[str, ...] | None
    removes_unlisted: bool
    extend: bool
    run_hooks: frozenset[str]
    return_entries: bool
    columns: list[str] | None
    expected_columns: list[str] | None
    gap: int | None
    trigger: str | None


def _name(identity: Json, what: str) -> str:
    if isinstance(identity, str) and identity:
        return identity
    if type(identity) is int and 0 < identity < 10**18:
        return str(identity)
    raise bad_request(f"{what} must be ids of entries")


def _item(entry: Json) -> Item:
    if not isinstance(entry, dict):
        raise bad_request("Each of the entries must be an object with data")
    data, order = entry.get("data"), entry.get("order")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise bad_request("The data of an entry must be an object of columns")
    if order is not None and not (type(order) is int and -_INT32 <= order < _INT32):
        raise bad_request("order must be a whole number of 32 bits")
    identity = entry.get("id")
    return Item(None if identity is None else _name(identity, "entries"), data, order, entry.get("clientId"))


def _list(body: Mapping[str, Json], key: str) -> list[Json] | None:
    value = body.get(key)
    if value is not None and not isinstance(value, list):
        raise bad_request(f"{key} must be a list")
    return value


def _gap(value: Json) -> int | None:
    if value is None:
        return None
    gap = value.get("gap") if isinstance(value, dict) else None
    if type(gap) is not int or not 0 < gap <= 1_000_000:
        raise bad_request("normalizeOrder must be an object with a gap of at least 1")
    return gap


def read_commit(body: Mapping[str, Json], *, live: bool) -> Commit:
    """The commit that a body asks for, in live mode or as documented. Raises `Refused`.

    One that removes what it does not list must have a list, if an empty one: `delete` alone would otherwise
    remove every row. `normalizeOrder` alone would, too, and needs `append` or `delete` (§4.1).
    """
    entries, delete = _list(body, "entries"), _list(body, "delete")
    gap = _gap(body.get("normalizeOrder"))
    removes_unlisted = not is_true(body.get("append")) and (delete is None or not live)
    if entries is None and (delete is None or removes_unlisted):
        raise bad_request(f"A commit needs entries or {'delete' if delete is None else 'append'}")
    if gap is not None and not entries and delete is None and removes_unlisted:
        raise bad_request("normalizeOrder without entries needs append or delete")
    columns, expected = _list(body, "columns"), _list(body, "expectColumns")
    hooks = _list(body, "runHooks") or []
    return Commit(
        items=tuple(map(_item, entries or ())),
        delete=None if delete is None else tuple(_name(identity, "delete") for identity in delete),
        removes_unlisted=removes_unlisted,
        extend=is_true(body.get("extend")),
        run_hooks=frozenset(hook for hook in hooks if hook in (INSERT, UPDATE)),
        return_entries=body.get("returnEntries") is None or is_true(body["returnEntries"]),
        columns=None if columns is None else read_columns(columns),
        expected_columns=None if expected is None else read_columns(expected),
        gap=gap,
        trigger=read_trigger(body.get("source")),
    )


# --- carrying out -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Policies:
    """What decides about each kind of change."""

    insert: Policy
    update: Policy
    delete: Policy


@dataclass(slots=True)
class Outcome:
    """What a plan did: the slugs of rows inserted and updated, and which client id became which slug."""

    inserted: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    client_slugs: list[tuple[str, Json]] = field(default_factory=list)


class _Planner:
    """Makes the changes of one commit, in one view of the content."""

    def __init__(self, commit: Commit, view: View, source: Source, policies: Policies, lens: Lens) -> None:
        self.commit = commit
        self.view = view
        self.source = source
        self.policies = policies
        self.lens = lens
        self.puts: dict[str, Put] = {}
        self.outcome = Outcome()

    def write(self, item: Item, columns: dict[str, Json], created_by: Json) -> None:
        """Add one of the entries. A row that is not there (any more) is inserted under a new id."""
        entry = None if item.name is None else row_at(self.view, self.source, item.name)
        if entry is None:
            granted = grant_insert(self.policies.insert, columns)
            put = new_row(self.view, self.source, granted, order=item.order, created_by=created_by)
            self.outcome.inserted.append(put.slug)
        else:
            put = self._changed(entry, item, columns)
        self.puts[put.slug] = put
        if item.client_id is not None:
            self.outcome.client_slugs.append((put.slug, item.client_id))

    def _changed(self, entry: Entry, item: Item, columns: dict[str, Json]) -> Put:
        earlier = self.puts.get(entry.slug)
        stored = entry.fields if earlier is None else earlier.fields
        written = grant_update(self.policies.update, columns, stored, self.lens, extend=self.commit.extend)
        if earlier is None:
            self.outcome.updated.append(entry.slug)
        return changed_row(self.view, entry, written, **({} if item.order is None else {"order": item.order}))

    def deletions(self) -> list[Change]:
        """The changes that delete rows: those that are named, or all that are not written."""
        named = (row_at(self.view, self.source, name) for name in dict.fromkeys(self.commit.delete or ()))
        doomed = {entry.slug: entry for entry in named if entry is not None}
        for slug in doomed:
            self.puts.pop(slug, None)
        if self.commit.removes_unlisted:
            for entry in self.view.children(self.source.slug):
                if entry.slug not in self.puts:
                    doomed[entry.slug] = entry
        return delete_each(self.policies.delete, doomed.values())

    def renumber(self, gap: int, deletions: Iterable[Change]) -> None:
        """Give every row that stays an order of its own: its place among them times `gap`."""
        gone = {change.slug for change in deletions}
        for entry in self.view.children(self.source.slug):
            if entry.slug not in gone and entry.slug not in self.puts:
                self.puts[entry.slug] = Put(entry.slug, entry.fields, entry.meta)
        places = sorted(self.puts.values(), key=_place)
        for number, put in enumerate(places, start=1):
            self.puts[put.slug] = replace(put, meta={**(put.meta or {}), "order": number * gap})


def _place(put: Put) -> tuple[bool, int, int]:
    """Where a row comes in the default order: by order, those without one last, the newest first."""
    order, identity = (put.meta or {}).get("order"), parse_row_id(name_of(put.slug))
    position = order if type(order) is int else None
    return (position is None, position or 0, -identity if isinstance(identity, int) else 0)


def _prepared(call: Call, source: Source, machine: Machinery, commit: Commit) -> list[dict[str, Json]]:
    """The columns of each item after the hooks that come before saving."""
    store, hasher = call.api.site.store, Hasher()
    prepared = []
    for item in in_turns(commit.items):
        entry = None if item.name is None else row_at(store, source, item.name)
        if entry is None:
            prepared.append(prepare_insert(source, machine, item.data, hasher, commit.trigger))
        else:
            stored = entry.fields if machine.hooks else {}
            prepared.append(prepare_update(machine, item.data, stored, hasher, commit.trigger))
    return prepared


def _check_columns(source: Source, expected: list[str] | None) -> None:
    if expected is not None and list(source.columns or ()) != expected:
        raise conflict("The columns of the data source have changed")


def commit_rows(call: Call) -> Response:
    """`POST /v1/data-sources/{ds}/commit`.

    Without `append`, rows that are not listed are removed; in live mode a list `delete` keeps them (§13).
    """
    source, body = call.source, call.body()
    for key in ("renameColumns", "deleteColumns"):
        if body.get(key):
            raise bad_request(f"{key} is not supported")
    commit = read_commit(body, live=call.api.live)
    machine = machinery(source)
    _refuse_early(call, commit)
    prepared = _prepared(call, source, machine, commit)

    def plan(view: View) -> tuple[list[Change], Outcome]:
        current = live_source(view, source.slug)
        _check_columns(current, commit.expected_columns)
        policies = Policies(
            *(call.policy(each, current) for each in (Operation.INSERT, Operation.UPDATE, Operation.DELETE))
        )
        planner = _Planner(commit, view, current, policies, Lens(Grant(), machine.hashed))
        for item, columns in zip(in_turns(commit.items), prepared, strict=True):
            planner.write(item, columns, call.caller.user_id)
        deletions = planner.deletions()
        if commit.gap is not None:
            planner.renumber(commit.gap, deletions)
        columns_changed = column_changes(current, prepared, commit.columns)
        return [*deletions, *planner.puts.values(), *columns_changed], planner.outcome

    outcome = call.api.commit(call.caller, "commit", plan, reads=(source.slug,))
    for event, slugs in ((INSERT, outcome.inserted), (UPDATE, outcome.updated)):
        if event in commit.run_hooks:
            call.api.send(source, machine, event, slugs, commit.trigger)
    return raw_answer(_answer(call, machine, commit, outcome))


def _refuse_early(call: Call, commit: Commit) -> None:
    """Refuse a commit that rules out of hand, before it costs anything. Raises `Refused`."""
    inserts = any(item.name is None for item in commit.items)
    for asked, operation in ((inserts, Operation.INSERT), (bool(commit.delete), Operation.DELETE)):
        fixed = call.policy(operation).fixed
        if asked and isinstance(fixed, Denial):
            raise denied(fixed)


def _answer(call: Call, machine: Machinery, commit: Commit, outcome: Outcome) -> bytes:
    """All rows in their latest state, for those who may read them; for others the rows that they wrote."""
    client_ids = encode_json(
        [{"id": parse_row_id(name_of(slug)), "clientId": client} for slug, client in outcome.client_slugs]
    )
    if not commit.return_entries:
        return b'{"clientIds":%s}' % client_ids
    reads = call.policy(Operation.QUERY).decide(NO_SEARCH)
    if isinstance(reads, Grant):
        entries, lens = all_rows(call.api, call.source), Lens(reads, machine.hashed)
    else:
        entries = call.api.entries(dict.fromkeys([*outcome.inserted, *outcome.updated]))
        lens = Lens(Grant(), machine.hashed)
    style = FULL if call.api.live else BRIEF
    return b'{"entries":%s,"clientIds":%s}' % (style.rows(entries, call.source.id, lens), client_ids)
