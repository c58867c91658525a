"""The parts that writes of rows are made of: hooks before saving, new rows, columns that grow.

What takes time (passwords, templates) happens before a plan, outside the site's write lock; the functions
with a `view` are for plans.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flatdata.access.rules import Denial, Grant, Policy
from flatdata.access.subjects import row as subject_of
from flatdata.dialects.fliplet.api import Machinery, granted
from flatdata.dialects.fliplet.errors import denied
from flatdata.dialects.fliplet.hooks import INSERT, UPDATE, Hasher, before_save
from flatdata.dialects.fliplet.render import Lens
from flatdata.store.changes import Change, Delete
from flatdata.store.entry import Entry
from flatdata.store.paths import MANIFEST, InvalidSlug, check_slug, join
from flatdata.store.sources import Source, update_manifest

Json = Any
"""Any JSON value."""

# --- before the plan ----------------------------------------------------------------------------------


def prepare_insert(
    source: Source,
    machine: Machinery,
    columns: Mapping[str, Json],
    hasher: Hasher,
    trigger: str | None = None,
) -> dict[str, Json]:
    """The columns of a new row after the hooks, with the identifier that the definition asks for.

    `definition.guid` names a column that gets a random UUID where the client sent none (§2.4).
    """
    prepared = dict(columns)
    guid = source.definition.get("guid")
    if isinstance(guid, str) and guid and not prepared.get(guid):
        prepared[guid] = str(uuid.uuid4())
    return before_save(machine.hooks, INSERT, prepared, {}, hasher, trigger) if machine.hooks else prepared


def prepare_update(
    machine: Machinery,
    columns: Mapping[str, Json],
    stored: Mapping[str, Json],
    hasher: Hasher,
    trigger: str | None = None,
) -> dict[str, Json]:
    """The columns that change a stored row, after the hooks."""
    if not machine.hooks:
        return dict(columns)
    return before_save(machine.hooks, UPDATE, columns, stored, hasher, trigger)


# --- rows ---------------------------------------------------------------------------------------------


def row_slug(source: Source, name: str) -> str | None:
    """The slug of the row that a client names, None if no row can have that name."""
    try:
        slug = check_slug(join(source.slug, name))
    except InvalidSlug:
        return None
    return slug if "/" not in name else None


def row_at(view: Any, source: Source, name: str) -> Entry | None:
    """The row of that name in a store or a view, None if there is none."""
    # What is found under the name as it is needs no check of the name, which takes longer than the look.
    entry: Entry | None = view.get(join(source.slug, name)) if "/" not in name else None
    if entry is None:
        slug = row_slug(source, name)
        entry = None if slug is None else view.get(slug)
    return entry if entry is not None and entry.form != MANIFEST else None


def delete_each(decider: Policy, entries: Iterable[Entry]) -> list[Change]:
    """The changes that delete rows. Raises `Refused` if one of them may not be deleted."""
    changes: list[Change] = []
    for entry in entries:
        if decider.fixed is None or isinstance(decider.fixed, Denial):
            granted(decider, subject_of(entry.fields))
        changes.append(Delete(entry.slug))
    return changes


def grant_insert(decider: Policy, columns: Mapping[str, Json]) -> dict[str, Json]:
    """The columns of a new row that may be written. Raises `Refused` if it is denied."""
    fixed = decider.fixed
    if isinstance(fixed, Grant) and fixed.whole:
        return dict(columns)
    return granted(decider, subject_of(columns)).project(columns)


def grant_update(
    decider: Policy, columns: Mapping[str, Json], stored: Mapping[str, Json], lens: Lens, *, extend: bool
) -> dict[str, Json]:
    """What a stored row becomes when `columns` are written to it.

    What the caller does not see stays as it is, so that clients which send back rows as they read them
    lose nothing. Raises `Refused` if it is denied.
    """
    decision = decider.decide_update(columns, stored, extend=extend)
    if isinstance(decision, Denial):
        raise denied(decision)
    written = decision.written(stored, columns, extend=extend)
    unseen = {} if extend else {name: value for name, value in stored.items() if not lens.shows(name)}
    return {**unseen, **written}


# --- columns ------------------------------------------------------------------------------------------


def columns_with(declared: Sequence[str] | None, rows: Iterable[Mapping[str, Json]]) -> list[str]:
    """The declared columns, and behind them the keys of rows that are not among them."""
    columns = dict.fromkeys(declared or ())
    for row in rows:
        if not columns.keys() >= row.keys():
            columns.update(dict.fromkeys(row))
    return list(columns)


def column_changes(
    source: Source, rows: Iterable[Mapping[str, Json]], explicit: Sequence[str] | None = None
) -> list[Change]:
    """The change of the manifest that rows with new columns make, if any (§4.4).

    `explicit` replaces the declared columns first.
    """
    columns = columns_with(source.columns if explicit is None else explicit, rows)
    if columns == list(source.columns or ()) and (columns or explicit is None):
        return []
    return [update_manifest(source, columns=columns)]
