"""The endpoints that search rows: lists, queries, indexes (reference/fliplet.md §3, §9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Response

from flatdata.access.rules import Denial, Grant, Operation
from flatdata.access.subjects import Search
from flatdata.dialects.fliplet.aggregate import aggregate, documents_of
from flatdata.dialects.fliplet.api import (
    Api,
    Call,
    Machinery,
    answer,
    granted,
    live_source,
    machinery,
    raw_answer,
)
from flatdata.dialects.fliplet.errors import bad_request, denied, not_found
from flatdata.dialects.fliplet.fields import data_field, visible_fields
from flatdata.dialects.fliplet.hooks import MAX_CANDIDATES, UPDATE, Hasher, Verification, before_query
from flatdata.dialects.fliplet.join import Join, Row, assemble
from flatdata.dialects.fliplet.places import DEFAULT_ORDER
from flatdata.dialects.fliplet.querybody import QueryBody, pagination_of, parse_query_body
from flatdata.dialects.fliplet.queryparts import is_named
from flatdata.dialects.fliplet.render import BRIEF, FULL, Lens, RowStyle
from flatdata.dialects.fliplet.views import view_filter
from flatdata.dialects.fliplet.write import column_changes, delete_each, grant_update, prepare_update
from flatdata.query.evaluate import matches
from flatdata.query.javascript import text_of
from flatdata.query.siftvalues import elements_of, values_of
from flatdata.query.tree import ABSENT, EVERYTHING, All, Node, Query, Scope
from flatdata.store.changes import Change
from flatdata.store.entry import Entry, encode_json
from flatdata.store.planning import View
from flatdata.store.sources import Source, changed_row, parse_row_id

Json = Any
"""Any JSON value."""

_DECODE = msgspec.json.Decoder().decode


def style_of(api: Api) -> RowStyle:
    """How rows are shown: as in the samples, or in live mode as the hosted service does."""
    return FULL if api.live else BRIEF


def all_rows(api: Api, source: Source, where: Node = EVERYTHING) -> list[Entry]:
    """The rows of a source that satisfy a condition, in the default order."""
    query = Query(Scope(source.slug), where, DEFAULT_ORDER, total=False)
    return api.site.index.search(query).entries


def list_rows(call: Call) -> Response:
    """`GET …/data`: every row."""
    source = call.source
    lens = Lens(call.grant(Operation.READ), machinery(source).hashed)
    rows = style_of(call.api).rows(all_rows(call.api, source), source.id, lens)
    return raw_answer(b'{"entries":%s}' % rows)


# --- queries ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A query that was let in and read: what to search for, and what the caller sees of it."""

    query: QueryBody
    condition: Node
    verifications: tuple[Verification, ...]
    machine: Machinery
    lens: Lens
    joins: Mapping[str, Json]
    """The joins as they were sent, by name."""


def _asked(call: Call, body: Mapping[str, Json]) -> Asked:
    """Read a query. Raises `Refused`, `QueryBodyError`, `SiftError`.

    Columns that the caller does not see are missing for filters and orders too, so that no answer depends on
    what they hold.
    """
    source, machine = call.source, machinery(call.source)
    sent = body.get("where")
    where: Mapping[str, Json] = sent if isinstance(sent, dict) else {}
    operation = Operation.COUNT if body.get("countOnly") is True else Operation.QUERY
    lens = Lens(call.grant(operation, Search(where)), machine.hashed)
    prepared, verifications = before_query(machine.hooks, where)
    read_field = data_field if lens.clear else visible_fields(lens.shows)
    columns = source.columns if lens.clear else [name for name in source.columns or () if lens.shows(name)]
    query = parse_query_body({**body, "where": prepared} if where else body, columns, read_field)
    view: Node = EVERYTHING
    if query.views:
        context = {"user": dict(call.caller.actor.user), "session": dict(call.caller.actor.session)}
        view = view_filter(source.definition, query.views, context, read_field)
    joins = body.get("join")
    return Asked(
        query=query,
        condition=query.condition if view == EVERYTHING else All((query.condition, view)),
        verifications=verifications,
        machine=machine,
        lens=lens,
        joins=joins if isinstance(joins, dict) else {},
    )


def _find(call: Call, asked: Asked) -> tuple[list[Entry], int]:
    """The page of rows that a query finds, and how many there are in all."""
    query = asked.query
    offset, limit = query.offset or 0, query.limit
    search = call.api.site.index.search
    scope = Scope(call.source.slug)
    if not asked.verifications:
        found = search(
            Query(scope, asked.condition, query.order, offset, limit, total=query.include_pagination)
        )
        return found.entries, found.total
    candidates = search(
        Query(scope, asked.condition, query.order, 0, MAX_CANDIDATES + 1, total=False)
    ).entries
    if len(candidates) > MAX_CANDIDATES:
        raise bad_request("A condition on a hashed column needs another one that finds fewer rows")
    verified = [entry for entry in candidates if _verified(entry, asked.verifications)]
    return verified[offset : None if limit is None else offset + limit], len(verified)


def _verified(entry: Entry, verifications: Iterable[Verification]) -> bool:
    columns = entry.fields
    return all(verification.holds(columns) for verification in verifications)


def query_rows(call: Call) -> Response:
    """`POST …/data/query`, and `GET` for all rows."""
    body = call.body() if call.request.method == "POST" else {}
    if isinstance(fixed := call.policy(Operation.COUNT).fixed, Denial):
        raise denied(fixed)
    asked = _asked(call, body)
    if asked.query.type == "update":
        return _update_found(call, asked)
    if asked.query.type == "delete":
        return _delete_found(call, asked)
    if asked.query.count_only:
        return _count(call, asked)
    if _takes_every_row(asked) and asked.query.aggregate is not None:
        found = Query(Scope(call.source.slug), asked.condition, asked.query.order, total=False)
        rows = encode_json(aggregate(call.api.site, call.source, asked.query.aggregate, found))
        count = total = _number(call, asked) if asked.query.include_pagination else 0
    else:
        entries, total = _find(call, asked)
        rows, count = _rendered(call, asked, entries), len(entries)
    rest: dict[str, Json] = {}
    if asked.query.include_pagination:
        if call.api.live:
            rest = {"dataSourceId": call.source.id, "count": count}
        rest["pagination"] = pagination_of(asked.query, total)
    return raw_answer(b'{"entries":%s%s' % (rows, b"}" if not rest else b"," + encode_json(rest)[1:]))


def _takes_every_row(asked: Asked) -> bool:
    """Whether the filter alone says which rows the answer is about, and the caller sees all of them."""
    query = asked.query
    return not (query.offset or query.limit is not None or asked.verifications) and asked.lens.clear


def _number(call: Call, asked: Asked) -> int:
    """How many rows the filter finds."""
    return call.api.site.index.search(Query(Scope(call.source.slug), asked.condition, limit=0)).total


def _count(call: Call, asked: Asked) -> Response:
    count = _find(call, asked)[1] if asked.verifications else _number(call, asked)
    return answer({"count": count, "dataSourceId": call.source.id})


# --- rows as a query wants them -----------------------------------------------------------------------


def _rendered(call: Call, asked: Asked, entries: list[Entry]) -> bytes:
    """The rows of an answer as JSON; the plain ones without being parsed."""
    query, source = asked.query, call.source
    if query.aggregate is not None:
        return encode_json(
            query.aggregate.run(documents_of(entries, source, query.aggregate.reads, asked.lens))
        )
    style = style_of(call.api)
    if query.joins or query.distinct is not None:
        rows = assemble(
            _rows(style, entries, source, asked.lens),
            lambda join: _joined(call, asked, join),
            joins=query.joins,
            distinct=query.distinct,
            attributes=query.attributes,
        )
        return encode_json(rows)
    if query.attributes is None:
        return style.rows(entries, source.id, asked.lens)
    names = frozenset(query.attributes)
    return b"[%s]" % b",".join(
        style.row(entry, source.id, encode_json(_named(entry, names, asked.lens))) for entry in entries
    )


def _named(entry: Entry, names: frozenset[str], lens: Lens) -> dict[str, Json]:
    return {name: value for name, value in entry.fields.items() if is_named(name, names) and lens.shows(name)}


def _rows(style: RowStyle, entries: Iterable[Entry], source: Source, lens: Lens) -> list[Row]:
    """Rows as values."""
    rows: list[Row] = _DECODE(style.rows(entries, source.id, lens))
    return rows


def _joined(call: Call, asked: Asked, join: Join) -> Sequence[Row]:
    """The rows of the source that a query joins, as far as the caller may read it.

    The hosted service does not ask that (§3.7); but then a token for one source would read every other.
    """
    sources = call.api.site.sources
    source = sources.by_id(join.source_id) if join.source_id is not None else None
    if join.source_name is not None:
        source = sources.by_name(join.source_name)
    if source is None:
        raise not_found("Data source of a join")
    sent = asked.joins.get(join.name)
    where = sent.get("where") if isinstance(sent, dict) else None
    subject = Search(where if isinstance(where, dict) else {})
    lens = Lens(granted(call.policy(Operation.QUERY, source), subject), machinery(source).hashed)
    if lens.clear:
        entries = all_rows(call.api, source, join.where)
    else:
        entries = [entry for entry in all_rows(call.api, source) if matches(join.where, _veiled(entry, lens))]
    return _rows(style_of(call.api), entries, source, lens)


def _veiled(entry: Entry, lens: Lens) -> Entry:
    """A row without the columns that are not seen."""
    return Entry(
        entry.slug,
        lens.data(entry),
        entry.meta_body,
        form=entry.form,
        mtime_ns=entry.mtime_ns,
        size=entry.size,
    )


# --- queries that write -------------------------------------------------------------------------------


def _update_found(call: Call, asked: Asked) -> Response:
    """`type: update`: merges `data` into every row that is found (§3.8)."""
    source, hasher = call.source, Hasher()
    entries, _ = _find(call, asked)
    patches = {
        entry.slug: prepare_update(asked.machine, asked.query.data, entry.fields, hasher) for entry in entries
    }
    lens = Lens(Grant(), asked.machine.hashed)

    def plan(view: View) -> tuple[list[Change], list[str]]:
        current = live_source(view, source.slug)
        policy = call.policy(Operation.UPDATE, current)
        changes: list[Change] = []
        for entry in _still(view, patches, asked):
            written = grant_update(policy, patches[entry.slug], entry.fields, lens, extend=True)
            changes.append(changed_row(view, entry, written))
        slugs = [change.slug for change in changes]
        return [*changes, *column_changes(current, patches.values())], slugs

    slugs = call.api.commit(call.caller, "update-rows", plan)
    call.api.send(source, asked.machine, UPDATE, slugs)
    rows = style_of(call.api).rows(call.api.entries(slugs), source.id, asked.lens)
    return raw_answer(b'{"entries":%s}' % rows)


def _delete_found(call: Call, asked: Asked) -> Response:
    """`type: delete`: removes every row that is found. The answer serves both descriptions of it (§3.8)."""
    source = call.source
    entries, _ = _find(call, asked)
    slugs = [entry.slug for entry in entries]

    def plan(view: View) -> tuple[list[Change], list[int | str]]:
        current = live_source(view, source.slug)
        doomed = list(_still(view, slugs, asked))
        changes = delete_each(call.policy(Operation.DELETE, current), doomed)
        return changes, [parse_row_id(entry.name) for entry in doomed]

    deleted = call.api.commit(call.caller, "delete-rows", plan)
    return answer({"entries": [], "deleted": deleted, "deletedCount": len(deleted)})


def _still(view: View, slugs: Iterable[str], asked: Asked) -> Iterable[Entry]:
    """Those of the rows found before the lock was taken that are there and still match."""
    for slug in slugs:
        entry = view.get(slug)
        if entry is not None and matches(asked.condition, entry):
            yield entry


# --- indexes ------------------------------------------------------------------------------------------


def get_indexes(call: Call) -> Response:
    """`GET …/indexes/<columns>`: the different values of columns, as texts.

    Missing values count as null in live mode only (§9).
    """
    source = call.source
    lens = Lens(call.grant(Operation.READ), machinery(source).hashed)
    paths = [path for path in "/".join(call.names).split(",") if path]
    if not paths:
        raise bad_request("Name the columns to index")
    declared = {name for name in source.columns or () if lens.shows(name)}
    for path in paths:
        if declared and path not in declared and path.partition(".")[0] not in declared:
            raise bad_request(f"Column '{path}' does not exists")
    read_field = data_field if lens.clear else visible_fields(lens.shows)
    fields = {path: read_field(path) for path in dict.fromkeys(paths)}
    found: dict[str, dict[str | None, None]] = {path: {} for path in fields}
    for entry in call.api.site.store.children(source.slug):
        for path, field in fields.items():
            for value in values_of(field.read(entry)):
                found[path].update(dict.fromkeys(map(_index_text, elements_of(value))))
    return answer({"indexes": {path: _sorted(values, call.api.live) for path, values in found.items()}})


def _index_text(value: Json) -> str | None:
    if value is None or value is ABSENT:
        return None
    return encode_json(value).decode() if isinstance(value, dict | list) else text_of(value)


def _sorted(values: Mapping[str | None, None], with_null: bool) -> list[str | None]:
    texts: list[str | None] = [*sorted(value for value in values if value is not None)]
    return [*texts, None] if with_null and None in values else texts
