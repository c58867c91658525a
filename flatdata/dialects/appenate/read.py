"""The newer read side (reference/appenate §6): a source as one value, for `response` to write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flatdata.dialects.appenate.access import reachable
from flatdata.dialects.appenate.part import external_id_of, guid_of, places_of
from flatdata.dialects.appenate.request import Header, Page, Search
from flatdata.dialects.appenate.rows import Rows, columns_of, vals_of
from flatdata.store.sources import Source


@dataclass(frozen=True, slots=True)
class DataSource:
    """A source as clients see it. `rows` is None where they did not ask for rows."""

    guid: str | None
    external_id: str | None
    company_id: int
    name: str
    headers: tuple[Header, ...]
    total_rows: int
    rows: list[list[str]] | None = None


def describe(source: Source, rows: Rows, company_id: int, page: Page | None) -> DataSource:
    """A source of a company, with one page of its rows in display order if there is a `page`."""
    columns = columns_of(source, rows)
    vals = None
    if page is not None:
        vals = [vals_of(row, columns) for row in rows.page(page.number * page.size, page.size)]
    return DataSource(
        guid=guid_of(source),
        external_id=external_id_of(source),
        company_id=company_id,
        name=source.name,
        headers=_headers(source, columns),
        total_rows=rows.count(),
        rows=vals,
    )


def _headers(source: Source, columns: Iterable[str]) -> tuple[Header, ...]:
    places = places_of(source)
    return tuple(Header(column, places.get(column)) for column in columns)


def has_name(source: Source, name: str | None) -> bool:
    """Whether a source is among those that a search for `name` finds: its name contains it, in any case."""
    return name is None or name.casefold() in source.name.casefold()


def found(sources: Iterable[Source], search: Search) -> list[Source]:
    """All sources that a search is about, by id."""
    ours = reachable(sources, search.credentials.company_id)
    return [source for source in ours if has_name(source, search.name)]


def page_of(sources: list[Source], page: Page) -> list[Source]:
    """One page of a list."""
    start = page.number * page.size
    return sources[start : start + page.size]
