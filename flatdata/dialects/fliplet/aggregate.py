"""Aggregate pipelines over the rows of a source (reference/fliplet.md §3.6).

What the first stages ask for is looked up in the index where that gives the same. Only the rows that the
other stages take are made into documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs
from msgspec.structs import astuple

from flatdata.dialects.fliplet.fields import META_FIELDS
from flatdata.dialects.fliplet.queryparts import DATA
from flatdata.dialects.fliplet.render import Lens
from flatdata.query.documents import Document
from flatdata.query.pipeline import Pipeline
from flatdata.query.pipelineplan import IDENTITY, Documents, Head, counted, head_of
from flatdata.query.tree import ABSENT, Absent, All, Json, Query
from flatdata.store.entry import Entry, field_reader
from flatdata.store.sources import Source

if TYPE_CHECKING:
    from flatdata.site import Site


def _column(path: str) -> Callable[[Entry], Json | Absent] | None:
    """A way to a column that needs no document."""
    name = path.removeprefix(DATA)
    if "." in name:
        return None
    read = field_reader(name)
    return lambda entry: read(entry, ABSENT)


_FIELDS: Final = Documents(
    of=lambda entry: {"data": entry.fields}, has=lambda path: path.startswith(DATA), quick=_column
)
"""Columns, which the index has as documents show them to those who see all of them."""


def aggregate(site: Site, source: Source, pipeline: Pipeline, found: Query) -> list[Document]:
    """What a pipeline makes of all rows that a query without a page finds, every column of them seen.

    Raises `PipelineError`.
    """
    head = head_of(pipeline, _FIELDS, len(site.store.state.folders.get(source.slug, ())))
    if head is None:
        rows = site.index.search(found).entries
        return pipeline.run(documents_of(rows, source, pipeline.reads))
    order = (*head.order, *found.order)
    where = All((found.where, head.where))
    asked = structs.replace(found, where=where, order=order, offset=head.offset, limit=head.limit)
    return head.rest.run(_answer(site, source, head, asked))


def _answer(site: Site, source: Source, head: Head, asked: Query) -> Iterable[Document]:
    """What the index has to say to the first stages."""
    if head.total:
        return head.counts(site.index.search(structs.replace(asked, offset=0, limit=0, total=True)).total)
    if head.groups is not None:
        groups = site.index.groups(asked, head.groups, IDENTITY, members=False)
        return [counted(group.value, group.size) for group in groups]
    return documents_of(site.index.search(asked).entries, source, head.rest.reads)


# --- rows as documents ----------------------------------------------------------------------------------

_Part = Callable[[Entry], Json]
_UNSPEAKABLE: Final = frozenset('"\\')
"""Characters of names that `msgspec` takes for no field."""


def documents_of(
    rows: Iterable[Entry], source: Source, reads: frozenset[str] | None, lens: Lens | None = None
) -> list[Document]:
    """The rows as the hosted service shows them, as values: as far as `reads` looks at them, None for all.

    With a `lens`, only the columns that it shows.
    """
    parts = _parts(source, _columns(reads), lens)
    if reads is not None:
        names = {path.partition(".")[0] for path in reads}
        parts = {name: part for name, part in parts.items() if name in names}
    made = list(parts.items())
    return [{name: part(row) for name, part in made} for row in rows]


def _parts(source: Source, columns: _Part, lens: Lens | None) -> dict[str, _Part]:
    """What a document has, in the order in which rows are written."""
    return {
        "id": META_FIELDS["id"].read,
        "data": columns if lens is None or lens.clear else lambda row: lens.project(columns(row)),
        "createdAt": META_FIELDS["createdAt"].read,
        "updatedAt": META_FIELDS["updatedAt"].read,
        "dataSourceId": lambda row: source.id,
        "deletedAt": META_FIELDS["deletedAt"].read,
        "order": META_FIELDS["order"].read,
    }


def _columns(reads: frozenset[str] | None) -> _Part:
    """What reads the columns of a row that are looked at, which takes a quarter of reading all."""
    if reads is None or "data" in reads:
        return lambda row: row.fields
    names = sorted({path.split(".")[1] for path in reads if path.startswith(DATA)})
    if any(not name.isprintable() or _UNSPEAKABLE & set(name) for name in names):
        return lambda row: row.fields
    places = [f"column_{number}" for number in range(len(names))]
    fields = [(place, Any, msgspec.UNSET) for place in places]
    struct = msgspec.defstruct("Columns", fields, rename=dict(zip(places, names, strict=True)), gc=False)
    decode = msgspec.json.Decoder(struct).decode

    def columns(row: Entry) -> dict[str, Json]:
        found = zip(names, astuple(decode(row.body)), strict=True)
        return {name: value for name, value in found if value is not msgspec.UNSET}

    return columns
