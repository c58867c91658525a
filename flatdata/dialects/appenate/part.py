"""The part `appenate:` of a manifest, read as requests are: what these would refuse counts as left out.

```yaml
appenate:
  guid: 5b0c6a52-3f0e-4f57-9a43-7d1e8c2b6f90
  external_id: SPORTS-001
  company_id: 1                 # without it the source belongs to no company, and nobody reaches it
  display_at: {Sport: Title}    # column -> place
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from flatdata.access.privacy import Problem
from flatdata.dialects.appenate.values import Unfit, read_guid, read_integer, read_place, read_text
from flatdata.query.tree import Json
from flatdata.store.sources import Source

_T = TypeVar("_T")

_READERS: Final[Mapping[str, Callable[[Json], object]]] = {
    "guid": read_guid,
    "external_id": read_text,
    "company_id": read_integer,
}
"""The keys that hold one value."""


def guid_of(source: Source) -> str | None:
    """The Id of a source as 32 hex digits."""
    return _known(read_guid, _value(source, "guid"))


def external_id_of(source: Source) -> str | None:
    """The ExternalId of a source."""
    return _known(read_text, _value(source, "external_id"))


def company_of(source: Source) -> int | None:
    """The company that a source belongs to."""
    return _known(read_integer, _value(source, "company_id"))


def places_of(source: Source) -> dict[str, str]:
    """Where apps show the columns of a source, those that they show somewhere."""
    listed = _value(source, "display_at")
    if not isinstance(listed, dict):
        return {}
    places = ((column, _known(read_place, value)) for column, value in listed.items())
    return {column: place for column, place in places if place is not None}


def _value(source: Source, key: str) -> Json:
    return (source.appenate or {}).get(key)


def _known(reader: Callable[[Json], _T | None], value: Json) -> _T | None:
    try:
        return reader(value)
    except Unfit:
        return None


# --- what is wrong with it ----------------------------------------------------------------------------


def problems(sources: Iterable[Source]) -> list[Problem]:
    """What the parts of a site's live sources hold that counts for nothing.

    `sources` come in the order in which they are looked through for an Id: by id.
    """
    found: list[Problem] = []
    first: dict[tuple[str, int, str], Source] = {}
    for source in sources:
        if source.appenate is not None:
            said = [*_refused(source), *_misplaced(source), *_taken(source, first)]
            found += (Problem(source.slug, f"appenate.{key}", reason) for key, reason in said)
    return found


def _refused(source: Source) -> Iterator[tuple[str, str]]:
    for key, reader in _READERS.items():
        yield from _refusal(key, reader, _value(source, key))


def _refusal(key: str, reader: Callable[[Json], object], value: Json) -> Iterator[tuple[str, str]]:
    try:
        reader(value)
    except Unfit as error:
        yield key, error.reason


def _misplaced(source: Source) -> Iterator[tuple[str, str]]:
    listed = _value(source, "display_at")
    if listed is None:
        return
    if not isinstance(listed, dict):
        yield "display_at", "must be a mapping"
        return
    for column, value in listed.items():
        yield from _refusal(f"display_at.{column}", read_place, value)
        if source.columns and column not in source.columns:
            yield f"display_at.{column}", "is not a column"


def _taken(source: Source, first: dict[tuple[str, int, str], Source]) -> Iterator[tuple[str, str]]:
    """Ids by which another source of the company is found; `first` collects those that are found."""
    company = company_of(source)
    if company is None:
        return
    for key, name in (("guid", guid_of(source)), ("external_id", external_id_of(source))):
        if name is not None and (other := first.setdefault((key, company, name), source)) is not source:
            yield key, f"is that of {other.slug}, which is found first"
