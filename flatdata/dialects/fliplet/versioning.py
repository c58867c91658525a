"""The endpoints of versions: list, read, restore (reference/fliplet.md §7)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response

from flatdata.access.rules import Denial, Grant, Operation
from flatdata.access.subjects import Search
from flatdata.access.subjects import row as subject_of
from flatdata.dialects.fliplet.api import (
    Call,
    answer,
    granted,
    live_source,
    machinery,
    now_ms,
    read_id,
)
from flatdata.dialects.fliplet.body import decode
from flatdata.dialects.fliplet.errors import bad_request, denied, not_found
from flatdata.dialects.fliplet.render import Lens
from flatdata.query.evaluate import matches
from flatdata.query.sift import parse_where, plain_field
from flatdata.store.changes import Change
from flatdata.store.dates import iso_ms
from flatdata.store.planning import View
from flatdata.store.sources import Source, parse_row_id
from flatdata.store.versions import RESTORE, OldRow, Version

Json = Any
"""Any JSON value."""

_ACTIONS: Final[Mapping[str, str]] = {"commit": "commit", RESTORE: "pre-restore"}
"""How the actions of records are called in a list of versions; all others are `snapshot`."""


def list_versions(call: Call) -> Response:
    """`GET …/versions`: newest first."""
    source, grant = call.source, call.grant(Operation.READ)
    versions = call.api.versions.all(source, now_ms())
    titles = {str(token.id): token.title for token in call.api.site.tokens.list()} if versions else {}
    return answer({"versions": [_described(source, version, titles, grant) for version in versions]})


def _described(source: Source, version: Version, titles: Mapping[str, str], grant: Grant) -> dict[str, Json]:
    at = iso_ms(version.ts_ms * 1_000_000)
    user_id = int(version.who) if version.who.isascii() and version.who.isdigit() else None
    name = titles.get(version.who) or version.who or version.origin
    month = datetime.fromtimestamp(version.ts_ms / 1000, UTC).strftime("%Y-%m")
    key = hashlib.md5(f"{source.id}/{version.id}".encode(), usedforsecurity=False).hexdigest()
    return {
        "id": version.id,
        "dataSourceId": source.id,
        "userId": user_id,
        "user": {"id": user_id, "firstName": name, "lastName": "", "fullName": name},
        "pageId": None,
        "createdAt": at,
        "updatedAt": at,
        "data": {
            "action": _ACTIONS.get(version.action, "snapshot"),
            "columns": [name for name in version.columns or () if grant.allows(name)],
            "entries": {
                "count": version.count,
                "key": f"data-sources/{source.id}/versions/{month}/{key}.json",
            },
        },
    }


def _version(call: Call) -> Version:
    version = call.api.versions.find(call.source, read_id(call.names[0], "version id"), now_ms())
    if version is None:
        raise not_found("Version")
    return version


def version_data(call: Call) -> Response:
    """`GET` and `POST …/versions/<vid>/data`: the rows as they were, by `limit` and (POST) `where`.

    Rules hold for old rows as for present ones.
    """
    source = call.source
    body = call.body() if call.request.method == "POST" else {}
    limit = _limit(body.get("limit", call.request.args.get("limit")))
    where = {} if body.get("where") is None else body["where"]
    if isinstance(where, str):
        where = decode(where.encode())
    if not isinstance(where, dict):
        raise bad_request("where must be an object")
    grant = granted(call.policy(Operation.READ), Search(where))
    lens = Lens(grant, machinery(source).hashed)
    node = parse_where(where, plain_field)
    found: list[Json] = []
    version = _version(call)
    for row in sorted(call.api.versions.rows(source, version), key=_place):
        if limit is not None and len(found) >= limit:
            break
        columns = row.fields if lens.clear else lens.project(row.fields)
        if matches(node, columns):
            found.append(_row(row, columns, source.id))
    return answer({"entries": found})


def _limit(value: Json) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if type(value) is not int or value < 0:
        raise bad_request("limit must be a positive number")
    return value or None


def _place(row: OldRow) -> tuple[bool, int, int]:
    """Where a row comes in the default order."""
    order, identity = row.meta.get("order"), parse_row_id(row.name)
    position = order if type(order) is int else None
    return (position is None, position or 0, -identity if isinstance(identity, int) else 0)


def _row(row: OldRow, columns: Mapping[str, Json], source_id: int) -> dict[str, Json]:
    meta = row.meta
    order = meta.get("order")
    return {
        "id": parse_row_id(row.name),
        "data": columns,
        "order": order if type(order) is int else None,
        "deletedAt": None,
        "createdAt": meta.get("created_at"),
        "updatedAt": meta.get("updated_at"),
        "dataSourceId": source_id,
    }


def restore_version(call: Call) -> Response:
    """`POST …/versions/<vid>/restore`: one record, whose own version holds the rows before it.

    It takes the right to insert, update and delete every row.
    """
    source, version = call.source, _version(call)
    for operation in (Operation.INSERT, Operation.UPDATE, Operation.DELETE):
        _check_all(call, source, operation)
    rows = call.api.versions.rows(source, version)

    def plan(view: View) -> tuple[list[Change], None]:
        current = live_source(view, source.slug)
        return call.api.versions.restoring(current, rows, view), None

    call.api.commit(call.caller, RESTORE, plan, reads=(source.slug,))
    return answer({"version": _described(source, version, {}, Grant()), "entriesCount": len(rows)})


def _check_all(call: Call, source: Source, operation: Operation) -> None:
    """Refuse unless every row, with every column, may be written. Raises `Refused`."""
    decision = call.policy(operation).decide(subject_of({}))
    if isinstance(decision, Grant) and not decision.whole:
        decision = Denial(operation.verb, source.id, source.name)
    if isinstance(decision, Denial):
        raise denied(decision)
