"""Requests as typed values: the parameters of the seed, parsed once.

Names were made lower case on the way (`body`), because clients disagree on their spelling. Blanks around ids,
keys and names are no part of them; those around a Val are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from flatdata.dialects.appenate.body import Raw
from flatdata.dialects.appenate.errors import MISSING_PARAMETERS, Refused, shown
from flatdata.dialects.appenate.values import Unfit, read_guid, read_integer, read_place, read_text
from flatdata.query.tree import Json

Row = tuple[str, ...]
"""The Vals of a row, the key first."""
_T = TypeVar("_T")

SINGLE: Final = frozenset({"id", "externalid", "companyid", "integrationkey", "name"})
"""What may come in the query string of a PUT."""

PAGE_SIZE: Final = 1250
SEARCH_PAGE_SIZE: Final = 250


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is asking."""

    company_id: int
    integration_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Which source is meant: the one with `guid` (32 hex digits), else the one with `external_id`.

    Never both None. With a `guid`, `external_id` is the one to be set.
    """

    guid: str | None
    external_id: str | None


@dataclass(frozen=True, slots=True)
class Header:
    """A column: its name, and where apps show it (`Title`, `SubLeft`, `Thumb` or None)."""

    name: str
    display_at: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A PUT. What is None was not specified; an empty `rows` replaces all rows with none."""

    credentials: Credentials
    address: Address
    name: str | None = None
    headers: tuple[Header, ...] | None = None
    rows: tuple[Row, ...] | None = None
    new_rows: tuple[Row, ...] | None = None
    deleted_rows: tuple[Row, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: `number` counts from 0, `size` from 1."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Read:
    """A GET of one source; with a `name`, only if its name contains that."""

    credentials: Credentials
    address: Address
    name: str | None
    return_rows: bool
    page: Page


@dataclass(frozen=True, slots=True)
class Search:
    """A GET of the sources whose name contains `name`, of all if it is None."""

    credentials: Credentials
    name: str | None
    page: Page


# --- whole requests -----------------------------------------------------------------------------------


def parse_update(body: Raw, query: Raw, *, name_required: bool) -> Update:
    """The PUT that a body asks for; `query` fills in what single values the body leaves out (reference §1).

    Raises `Refused`.
    """
    given = {name: value for name, value in body.items() if value is not None}
    body = {**{name: value for name, value in query.items() if name in SINGLE}, **given}
    name = _text(body, "Name")
    if name_required and name is None:
        raise Refused(MISSING_PARAMETERS)
    return Update(
        credentials=_credentials(body),
        address=_address(body),
        name=name,
        headers=_headers(body),
        rows=_rows(body, "Rows"),
        new_rows=_rows(body, "NewRows"),
        deleted_rows=_rows(body, "DeletedRows", flat=True),
    )


def parse_read(query: Raw) -> Read:
    """The GET that a query string asks for. Raises `Refused`."""
    return Read(
        credentials=_credentials(query),
        address=_address(query),
        name=_text(query, "Name"),
        return_rows=_flag(query, "ReturnRows"),
        page=_page(query, PAGE_SIZE),
    )


def parse_search(query: Raw) -> Search:
    """The search that a query string asks for. Raises `Refused`."""
    return Search(_credentials(query), _text(query, "Name"), _page(query, SEARCH_PAGE_SIZE))


# --- single values ------------------------------------------------------------------------------------


def _named(name: str, reader: Callable[[Json], _T], value: Json) -> _T:
    """What a reader makes of the value that is called `name`. Raises `Refused`."""
    try:
        return reader(value)
    except Unfit as error:
        raise Refused(f"{name} {error.reason}") from None


def _text(body: Raw, name: str) -> str | None:
    """A value as text without blanks around it; None if it is missing or empty."""
    return _named(name, read_text, body.get(name.lower()))


def _integer(body: Raw, name: str) -> int | None:
    return _named(name, read_integer, body.get(name.lower()))


def _flag(body: Raw, name: str) -> bool:
    text = (_text(body, name) or "false").lower()
    if text not in ("true", "1", "false", "0"):
        raise Refused(f"{name} must be true or false, not {shown(text)}")
    return text in ("true", "1")


def _page(body: Raw, most: int) -> Page:
    """The page; a size above the largest one means the largest one."""
    number, size = _integer(body, "PageNo"), _integer(body, "PageSize")
    if number is not None and number < 0:
        raise Refused("PageNo must not be negative")
    if size is not None and size < 1:
        raise Refused("PageSize must be at least 1")
    return Page(number or 0, min(size or most, most))


def _credentials(body: Raw) -> Credentials:
    company_id, key = _integer(body, "CompanyId"), _text(body, "IntegrationKey")
    if company_id is None or key is None:
        raise Refused(MISSING_PARAMETERS)
    return Credentials(company_id, key)


def _address(body: Raw) -> Address:
    guid, external_id = _named("Id", read_guid, body.get("id")), _text(body, "ExternalId")
    if guid is None and external_id is None:
        raise Refused(MISSING_PARAMETERS)
    return Address(guid, external_id)


# --- collections --------------------------------------------------------------------------------------


def _collection(body: Raw, name: str) -> list[Json] | None:
    value = body.get(name.lower())
    if value is None or isinstance(value, list):
        return value
    raise Refused(f"{name} must be a collection")


def _headers(body: Raw) -> tuple[Header, ...] | None:
    """The headers; a collection without any says no more than none."""
    items = _collection(body, "Headers")
    return tuple(_header(item, f"Headers[{number}]") for number, item in enumerate(items)) if items else None


def _header(item: Json, place: str) -> Header:
    if not isinstance(item, Mapping):
        raise Refused(f"{place} must be an object with a Name")
    properties = {str(key).lower(): value for key, value in item.items()}
    name = _named(f"{place}: Name", read_text, properties.get("name"))
    if name is None:
        raise Refused(f"{place} must have a Name")
    display_at = _named(f"{place}: DisplayAt", read_place, properties.get("displayat"))
    return Header(name, display_at)


def _rows(body: Raw, name: str, *, flat: bool = False) -> tuple[Row, ...] | None:
    """The rows of a collection. `flat` allows a row to be one value without a list (reference §3)."""
    items = _collection(body, name)
    if items is None:
        return None
    return tuple(_row(item, name, number, flat) for number, item in enumerate(items))


def _row(item: Json, name: str, number: int, flat: bool) -> Row:
    if flat and not isinstance(item, list | dict):
        item = [item]
    if not isinstance(item, list):
        raise Refused(f"{name}[{number}] must be a list of values")
    return tuple([val if type(val) is str else _val(val, name, number) for val in item])


def _val(value: Json, name: str, number: int) -> str:
    """A value as text, as it was written: real clients send numbers and null (reference §3)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value)
    raise Refused(f"{name}[{number}]: a value must be text")
