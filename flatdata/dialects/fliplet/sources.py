"""The endpoints of data sources themselves: list, create, read, change, trash (reference/fliplet.md §2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Response
from werkzeug.datastructures import MultiDict

from flatdata.access.rules import Denial, known_columns, may_manage, may_see
from flatdata.access.token import Token
from flatdata.dialects.fliplet.api import (
    Call,
    answer,
    empty_answer,
    live_source,
    machinery,
    now_ms,
    read_id,
)
from flatdata.dialects.fliplet.attributes import (
    Json,
    read_attributes,
    read_columns,
    read_name,
    shown,
    shown_after_change,
    shown_besides,
)
from flatdata.dialects.fliplet.bulk import read_rows
from flatdata.dialects.fliplet.errors import bad_request, denied, not_found
from flatdata.dialects.fliplet.files import forget_files
from flatdata.dialects.fliplet.hooks import Hasher
from flatdata.dialects.fliplet.write import columns_with, prepare_insert
from flatdata.store.changes import Change, DeleteTree
from flatdata.store.dates import iso_ms
from flatdata.store.manifest import ROLE_LETTERS
from flatdata.store.planning import View
from flatdata.store.sources import Source, new_row, new_source, source_at, update_manifest

# --- context ------------------------------------------------------------------------------------------


def _context(call: Call, body: Mapping[str, Json]) -> tuple[int | None, int | None]:
    """The app and the organisation a request is about: from its query, its body, else the token's own.

    Raises:
        Refused: for a malformed id, and for an app or organisation that is not the token's.
    """
    token = call.caller.known()
    given = {**body, **call.request.args.to_dict()}
    app_id = read_id(given["appId"], "appId") if given.get("appId") else None
    organization_id = (
        read_id(given["organizationId"], "organizationId") if given.get("organizationId") else None
    )
    _check_context(token, app_id, organization_id)
    return app_id, organization_id


def _check_context(token: Token, app_id: int | None, organization_id: int | None) -> None:
    foreign_app = app_id is not None and token.app_id is not None and app_id != token.app_id
    foreign_organization = (
        organization_id is not None
        and token.organization_id is not None
        and organization_id != token.organization_id
    )
    if not token.admin and (foreign_app or foreign_organization):
        raise bad_request("The token does not belong to this app or organization")


# --- listing ------------------------------------------------------------------------------------------


def _in_context(call: Call) -> Callable[[Source], bool]:
    app_id, organization_id = _context(call, {})
    if app_id is not None or organization_id is not None:
        return lambda source: (
            (app_id is None or source.app_id == app_id)
            and (organization_id is None or source.organization_id == organization_id)
        )
    token = call.caller.known()
    if token.admin or (token.app_id is None and token.organization_id is None):
        return lambda source: True
    return lambda source: (
        (source.app_id is None and source.organization_id is None)
        or (token.app_id is not None and source.app_id == token.app_id)
        or (token.organization_id is not None and source.organization_id == token.organization_id)
    )


def _of_type(args: MultiDict[str, str]) -> Callable[[Source], bool]:
    wanted = args.get("type")
    excluded = frozenset((args.get("excludeTypes") or "").split(",")) - {""}

    def fits(source: Source) -> bool:
        if wanted is not None and (source.type or "") != ("" if wanted == "null" else wanted):
            return False
        return source.type not in excluded

    return fits


_ORDERS: Final[Mapping[str, Callable[[Source], Any]]] = {
    "name": lambda source: (source.name.casefold(), source.name, source.id),
    "id": lambda source: source.id,
    "createdAt": lambda source: (source.created_at, source.id),
    "updatedAt": lambda source: (source.updated_at, source.id),
}
"""What a list can be ordered by."""


def list_sources(call: Call) -> Response:
    """`GET /v1/data-sources`: those of the context that the caller may see, by name."""
    args = call.request.args
    in_context, of_type = _in_context(call), _of_type(args)
    sources = [
        source
        for source in call.api.site.sources.all()
        if in_context(source) and of_type(source) and may_see(source, call.caller.actor)
    ]
    key = _ORDERS.get(args.get("order") or "name")
    if key is None:
        raise bad_request(f"A list is ordered by one of {', '.join(_ORDERS)}")
    sources.sort(key=key, reverse=(args.get("direction") or "").upper() == "DESC")
    return answer({"dataSources": [_described(call, source) for source in sources]})


def _described(call: Call, source: Source) -> dict[str, Json]:
    """A source as a list or a single read shows it, with what the query asks for besides."""
    args = call.request.args
    manages = may_manage(source, call.caller.actor)
    every = {**shown(source, manages=manages), **shown_besides(source, manages=manages)}
    if not manages:
        every["columns"] = known_columns(source, call.caller.actor)
    lists = args.getlist("attributes") + args.getlist("attributes[]")
    wanted = {name for part in lists for name in part.split(",") if name}
    if wanted:
        described = {name: value for name, value in every.items() if name in wanted or name == "id"}
    else:
        described = every if call.api.live else {name: every[name] for name in shown(source, manages=False)}
    if "includeEntriesCount" in args or "includeCount" in args:
        described["entriesCount"] = len(call.api.site.store.children(source.slug))
    return described


def get_source(call: Call) -> Response:
    """`GET /v1/data-sources/{ds}`."""
    source = call.source
    if not may_see(source, call.caller.actor):
        raise denied(Denial("read", source.id, source.name))
    return answer({"dataSource": _described(call, source)})


# --- creating and changing ------------------------------------------------------------------------------


def create_source(call: Call) -> Response:
    """`POST /v1/data-sources`: a new source, with rows if `entries` or `version` give some.

    The creator gets every role.
    """
    token, body = call.caller.known(), call.body()
    app_id, organization_id = _context(call, body)
    if app_id is None and organization_id is None:
        app_id = token.app_id
    if organization_id is None and (app_id is None or token.organization_id is not None):
        organization_id = token.organization_id or call.api.settings.organization_id
    fields = read_attributes(body)
    name = read_name(fields.pop("name", None))
    fields |= {"app_id": app_id, "organization_id": organization_id}
    if token.id is not None:
        fields["permissions"] = {str(token.id): _letters(body)}
    draft, hasher = Source("", fields), Hasher()
    machine = machinery(draft)
    rows = [prepare_insert(draft, machine, row, hasher) for row in _first_rows(call, body)]
    if rows:
        fields["columns"] = columns_with(fields.get("columns"), rows)

    def plan(view: View) -> tuple[list[Change], Source]:
        changes, source = new_source(view, name, **fields)
        puts = [
            new_row(view, source, row, order=number, created_by=call.caller.user_id)
            for number, row in enumerate(rows)
        ]
        return [*changes, *puts], source

    source = call.api.commit(call.caller, "create", plan)
    return answer({"dataSource": shown_after_change(source)}, 201)


def _letters(body: Mapping[str, Json]) -> str:
    letters = body.get("permissions")
    if letters is None:
        return ROLE_LETTERS
    if not isinstance(letters, str) or not set(letters) <= set(ROLE_LETTERS):
        raise bad_request(f"permissions must be letters out of {ROLE_LETTERS}")
    return letters


def _first_rows(call: Call, body: Mapping[str, Json]) -> list[dict[str, Json]]:
    """The rows of a new source: given, or those of a version of another one."""
    version = body.get("version")
    if version is None:
        return read_rows(body.get("entries") or [])
    if not isinstance(version, dict):
        raise bad_request("version must be an object with dataSourceId and id")
    origin = call.api.site.sources.by_id(read_id(version.get("dataSourceId"), "dataSourceId"))
    if origin is None:
        raise not_found("Data source")
    if not may_manage(origin, call.caller.actor):
        raise denied(Denial("read", origin.id, origin.name))
    found = call.api.versions.find(origin, read_id(version.get("id"), "version id"), now_ms())
    if found is None:
        raise not_found("Version")
    return [row.fields for row in call.api.versions.rows(origin, found)]


def update_source(call: Call) -> Response:
    """`PUT /v1/data-sources/{ds}`: each attribute that is sent replaces its own.

    The sample that changes columns shows the definition in its answer, the one that changes only the name
    does not; so does this.
    """
    source, body = call.managed("update"), call.body()
    fields = read_attributes(body)
    added = read_columns(body["newColumns"]) if body.get("newColumns") is not None else []

    def plan(view: View) -> tuple[list[Change], Source]:
        current = live_source(view, source.slug)
        changed = {**fields, "updated_at": iso_ms(view.now_ns)}
        if added:
            declared = fields.get("columns", current.columns)
            changed["columns"] = list(dict.fromkeys([*(declared or ()), *added]))
        put = update_manifest(current, **changed)
        return [put], Source(current.slug, put.fields)

    changed = call.api.commit(call.caller, "update", plan)
    described = shown_after_change(changed)
    if body.keys() & {"columns", "newColumns", "definition"}:
        described["definition"] = dict(changed.definition)
    return answer({"dataSource": described})


# --- the trash ----------------------------------------------------------------------------------------


def delete_source(call: Call) -> Response:
    """`DELETE /v1/data-sources/{ds}`: into the trash, from where it can be restored. Its files stay."""
    source = call.managed("delete")

    def plan(view: View) -> tuple[list[Change], None]:
        current = live_source(view, source.slug)
        return [update_manifest(current, deleted_at=iso_ms(view.now_ns))], None

    call.api.commit(call.caller, "remove", plan)
    return empty_answer()


def list_deleted(call: Call) -> Response:
    """`GET /v1/data-sources/deleted`: what the caller may restore."""
    in_context = _in_context(call)
    actor = call.caller.actor
    sources = [
        {**shown(source, manages=True), "deletedAt": source.deleted_at}
        for source in call.api.site.sources.trash()
        if in_context(source) and may_manage(source, actor)
    ]
    return answer({"dataSources": sources})


def _trashed(call: Call, verb: str) -> Source:
    """The source in the trash whose id the path names. Raises `Refused`."""
    call.caller.known()
    source = call.api.site.sources.in_trash(read_id(call.names[0]))
    if source is None:
        raise not_found("Data source")
    if not may_manage(source, call.caller.actor):
        raise denied(Denial(verb, source.id, source.name))
    return source


def restore_source(call: Call) -> Response:
    """`POST /v1/data-sources/<id>/restore`: out of the trash."""
    source = _trashed(call, "update")

    def plan(view: View) -> tuple[list[Change], Source]:
        current = source_at(view, source.slug)
        if current is None:
            raise not_found("Data source")
        put = update_manifest(current, deleted_at=None)
        return [put], Source(current.slug, put.fields)

    restored = call.api.commit(call.caller, "undelete", plan)
    return answer({"dataSource": shown_after_change(restored)})


def purge_source(call: Call) -> Response:
    """`DELETE /v1/data-sources/deleted/<id>`: for good, with its rows and files."""
    source = _trashed(call, "delete")

    def plan(view: View) -> tuple[list[Change], None]:
        current = source_at(view, source.slug)
        if current is None or current.deleted_at is None:
            raise not_found("Data source")
        return [DeleteTree(current.slug)], None

    call.api.commit(call.caller, "purge", plan)
    forget_files(call, source)
    return empty_answer()
