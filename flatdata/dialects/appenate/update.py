"""What a PUT changes: from a source, its rows and a request to a list of changes, or a refusal.

Where the documentation is silent (reference/appenate §8):

* More rows than a limit, and rows with another number of Vals than there are Headers, are refused.
* The key (first Val) must not be empty. `Rows` must not hold one key twice; in `NewRows` the last one counts.
* `DeletedRows` are deleted before `NewRows` are added; keys that no row has are passed over.
* `Rows` replaces the content of the source; rows whose key stays keep their id and their date of creation.
* `Headers` without `Rows` renames columns by their position; a column more is empty in the rows that are
  there. Fewer columns than those rows have would lose data, and are refused.
* A source that never had columns gets `Column 1`, `Column 2`, ... when rows come without `Headers`.
* A row that other APIs gave more columns keeps them through `NewRows`, and a value that is not text stays as
  it is while its text is the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.appenate.access import reachable
from flatdata.dialects.appenate.errors import Refused, shown
from flatdata.dialects.appenate.part import external_id_of
from flatdata.dialects.appenate.request import Header, Row, Update
from flatdata.dialects.appenate.rows import Rows, as_text, columns_of
from flatdata.query.tree import Json
from flatdata.store.changes import Change, Delete, Put
from flatdata.store.entry import Entry
from flatdata.store.sources import (
    META,
    Source,
    View,
    changed_row,
    iso_ms,
    new_row,
    row_order,
    update_manifest,
)
from flatdata.turns import in_turns

LIMITS: Final[Mapping[str, int]] = {"Rows": 10_000, "NewRows": 1_500, "DeletedRows": 500}
"""Most rows that a request may hold, by collection (seed)."""
MIN_COLUMNS: Final = 2


def changes_of(
    view: View, source: Source, rows: Rows, siblings: Iterable[Source], request: Update, *, max_rows: int
) -> list[Change]:
    """The changes that carry out `request` on `source`; empty if everything is so already.

    `siblings` are the live sources of the site, `max_rows` the most that the source may have. If anything
    changes, the manifest is among it, with a new date: so two requests for one source always touch one entry,
    and the store, which plans several commits at a time, plans the second after the first was carried out.

    Raises `Refused`.
    """
    _check_external_id(source, siblings, request)
    asked = _asked(request)
    old_columns = columns_of(source, rows)
    columns = _columns(request, old_columns, asked)
    _check_rows("Rows", asked.rows or (), len(columns))
    _check_rows("NewRows", asked.new_rows, len(columns))
    if asked.rows is not None:
        _check_total(len(asked.rows), max_rows)
        row_changes = _replace(view, source, rows, _Columns(old_columns, columns), asked.rows)
    else:
        row_changes = _amend(view, source, rows, _Columns(old_columns, columns), asked, max_rows)
    manifest = _manifest(source, columns, request)
    if not row_changes and all(source.manifest.get(key) == value for key, value in manifest.items()):
        return []
    return [*row_changes, update_manifest(source, **manifest, updated_at=iso_ms(view.now_ns))]


# --- checks -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """The collections of a request that count: given `Rows`, the other two are ignored (seed)."""

    rows: tuple[Row, ...] | None
    new_rows: tuple[Row, ...]
    deleted_rows: tuple[Row, ...]


def _asked(request: Update) -> _Asked:
    if request.rows is not None:
        asked = _Asked(request.rows, (), ())
    else:
        asked = _Asked(None, request.new_rows or (), request.deleted_rows or ())
    _check_limits(asked)
    _check_deleted(asked.deleted_rows)
    return asked


def _check_limits(asked: _Asked) -> None:
    given = {"Rows": asked.rows or (), "NewRows": asked.new_rows, "DeletedRows": asked.deleted_rows}
    for name, limit in LIMITS.items():
        if len(given[name]) > limit:
            raise Refused(f"{name}: {len(given[name])} rows, the limit is {limit} in a request")


def _check_total(count: int, limit: int) -> None:
    if count > limit:
        raise Refused(f"The data source would have {count} rows, the limit is {limit}")


def _check_deleted(rows: Sequence[Row]) -> None:
    for number, row in enumerate(rows):
        if len(row) != 1:
            raise Refused(f"DeletedRows[{number}]: exactly 1 Val is needed, there are {len(row)}")
        if not row[0]:
            raise Refused(f"DeletedRows[{number}]: the key is empty")


def _check_rows(name: str, rows: Sequence[Row], columns: int) -> None:
    keys: dict[str, int] = {}
    for number, row in enumerate(rows):
        if len(row) < MIN_COLUMNS:
            raise Refused(f"{name}[{number}]: at least {MIN_COLUMNS} Vals are needed, there are {len(row)}")
        if len(row) != columns:
            raise Refused(f"{name}[{number}]: {len(row)} Vals, but there are {columns} Headers")
        if not row[0]:
            raise Refused(f"{name}[{number}]: the key (first Val) is empty")
        if (first := keys.setdefault(row[0], number)) != number and name == "Rows":
            raise Refused(f"{name}[{number}]: the key {shown(row[0])} is that of {name}[{first}] already")


def _check_external_id(source: Source, siblings: Iterable[Source], request: Update) -> None:
    wanted = request.address.external_id
    if request.address.guid is None or wanted is None:
        return
    for other in reachable(siblings, request.credentials.company_id):
        if other.slug != source.slug and external_id_of(other) == wanted:
            raise Refused(f"The ExternalId {shown(wanted)} is that of another data source")


def _columns(request: Update, old: tuple[str, ...], asked: _Asked) -> tuple[str, ...]:
    """The columns after the request."""
    if request.headers is not None:
        return _checked_names(request.headers)
    if old:
        return old
    first = next(iter(asked.rows or asked.new_rows), ())
    return tuple(f"Column {number}" for number in range(1, len(first) + 1))


def _checked_names(headers: Sequence[Header]) -> tuple[str, ...]:
    if len(headers) < MIN_COLUMNS:
        raise Refused(f"Headers: at least {MIN_COLUMNS} are needed, there is {len(headers)}")
    names: dict[str, int] = {}
    for number, header in enumerate(headers):
        if header.name == META:
            raise Refused(f"Headers[{number}]: the name {META} is reserved")
        if (first := names.setdefault(header.name, number)) != number:
            raise Refused(
                f"Headers[{number}]: the name {shown(header.name)} is that of Headers[{first}] already"
            )
    return tuple(names)


# --- rows ---------------------------------------------------------------------------------------------


def _filled(columns: Sequence[str], row: Row, before: Mapping[str, Json]) -> dict[str, Json]:
    """The fields of a row; values that `before` holds as something else than text stay if their text does."""
    return {
        column: before[column] if column in before and as_text(before[column]) == val else val
        for column, val in zip(columns, row, strict=True)
    }


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns before and after a request."""

    old: tuple[str, ...]
    new: tuple[str, ...]

    def key_of(self, fields: Mapping[str, Json]) -> str:
        """The key of a row as it was before."""
        return as_text(fields.get(self.old[0])) if self.old else ""

    def carried_over(self, fields: Mapping[str, Json]) -> dict[str, Json]:
        """The fields of a row under the new names."""
        if self.old == self.new:
            return dict(fields)
        carried: dict[str, Json] = dict.fromkeys(self.new, "")
        carried.update(
            (new, fields[old]) for old, new in zip(self.old, self.new, strict=False) if old in fields
        )
        for name, value in fields.items():
            if name not in self.old:
                carried.setdefault(name, value)
        return carried


def _replace(
    view: View, source: Source, rows: Rows, columns: _Columns, wanted: Sequence[Row]
) -> list[Change]:
    """The changes after which the rows are `wanted`, in that order."""
    by_key: dict[str, Entry] = {}
    unwanted: list[Change] = []
    for entry in in_turns(rows.all()):
        # A row with an empty key, or with that of a row before it, cannot be among the wanted ones.
        key = columns.key_of(entry.fields)
        if not key or by_key.setdefault(key, entry) is not entry:
            unwanted.append(Delete(entry.slug))
    changes: list[Change] = []
    for order, row in enumerate(in_turns(wanted)):
        known = by_key.pop(row[0], None)
        if known is None:
            fields: dict[str, Json] = dict(zip(columns.new, row, strict=True))
            changes.append(new_row(view, source, fields, order=order))
            continue
        before = known.fields
        fields = _filled(columns.new, row, before)
        if fields != before or row_order(known) != order:
            changes.append(changed_row(view, known, fields, order=order))
    return [*unwanted, *(Delete(entry.slug) for entry in by_key.values()), *changes]


def _amend(
    view: View, source: Source, rows: Rows, columns: _Columns, asked: _Asked, max_rows: int
) -> list[Change]:
    """The changes that rename columns, delete rows, and add or update others."""
    before = rows.count()
    changes: dict[str, Change] = {}
    if before and columns.old != columns.new:
        if len(columns.new) < len(columns.old):
            raise Refused(
                f"Headers: the rows have {len(columns.old)} Vals, there are {len(columns.new)} Headers; "
                "send Rows to replace them"
            )
        for entry in in_turns(rows.all()):
            changes[entry.slug] = changed_row(view, entry, columns.carried_over(entry.fields))
    gone = {row[0] for row in asked.deleted_rows}
    deleted = _found(rows, columns, gone)
    changes.update((entry.slug, Delete(entry.slug)) for entry in deleted)
    wanted = {row[0]: row for row in asked.new_rows}
    known = set()
    for entry in _found(rows, columns, wanted.keys() - gone):
        fields = entry.fields
        key = columns.key_of(fields)
        known.add(key)
        updated = columns.carried_over(fields)
        updated.update(_filled(columns.new, wanted[key], updated))
        if updated != fields:
            changes[entry.slug] = changed_row(view, entry, updated)
    added = [row for key, row in wanted.items() if key not in known]
    if added:
        _check_total(before - len(deleted) + len(added), max_rows)
    return [*changes.values(), *_added(view, source, rows, columns.new, added)]


def _found(rows: Rows, columns: _Columns, keys: Collection[str]) -> Sequence[Entry]:
    """The rows that have one of `keys` before the request."""
    return rows.with_keys(columns.old[0], keys) if keys and columns.old else ()


def _added(
    view: View, source: Source, rows: Rows, columns: Sequence[str], wanted: Iterable[Row]
) -> Iterator[Put]:
    """New rows behind the last one. Where that has no order, ids keep them in line, so they get none."""
    order = rows.next_order()
    for number, row in enumerate(wanted):
        place = None if order is None else order + number
        yield new_row(view, source, dict(zip(columns, row, strict=True)), order=place)


# --- the manifest -------------------------------------------------------------------------------------


def _manifest(source: Source, columns: tuple[str, ...], request: Update) -> dict[str, Json]:
    """The keys of the manifest that a request sets, whether or not they differ from what is there."""
    keys: dict[str, Json] = {}
    if request.name is not None:
        keys["name"] = request.name
    if columns:
        keys["columns"] = list(columns)
    part = dict(source.appenate or {})
    if request.address.guid is not None and request.address.external_id is not None:
        part["external_id"] = request.address.external_id
    if request.headers is not None:
        part["display_at"] = {
            header.name: header.display_at for header in request.headers if header.display_at
        }
    return {**keys, "appenate": part}
