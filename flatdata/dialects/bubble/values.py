"""Values of fields as clients send them: to what is stored, or to the reason why not (reference/bubble.md
§9).

Reading what is stored is `flatdata.query.bubble_values`' business and forgiving; writing is strict, except
that numbers, dates and yes/no may come as text, because many clients send every value as text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from flatdata.dialects.bubble.errors import expected, invalid
from flatdata.dialects.bubble.geo import Geocode, place_of
from flatdata.dialects.bubble.types import Catalogue, ThingField
from flatdata.query.bubble_values import FieldType, read_boolean, read_moment, read_number, show_value
from flatdata.query.tree import ABSENT, Absent, Json

MAX_TEXT: Final = 10_000_000
"""Characters of a text field (§13)."""

MAX_LIST: Final = 10_000
"""Entries of a list field, as the documentation has it (§13)."""

MAX_LIST_LIVE: Final = 200
"""Entries of a list field that the hosted service takes in one write (§5.1)."""

MAX_FILE_NAME: Final = 200
"""Characters of a file's name that are kept, from its end."""

Exists = Callable[[FieldType, str], bool]
"""Whether there is a thing with this id of the type that a reference refers to."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came inside a body: to be kept once the write is sure to be allowed.

    `token` stands for its URL in the values until then. A private file is attached to the thing `attach_to`.
    """

    token: str
    name: str
    content: bytes
    private: bool
    attach_to: str


def with_urls(value: Json, urls: Mapping[str, str]) -> Json:
    """A value with the tokens of uploads replaced by where they were kept."""
    if isinstance(value, str):
        return urls.get(value, value)
    if isinstance(value, list):
        return [with_urls(item, urls) for item in value]
    return value


@dataclass(slots=True)
class Parser:
    """What is needed to understand values, and the files that were among them.

    Args:
        catalogue: the types and option sets of the site.
        exists: looks up references.
        geocode: resolves addresses.
        is_thing: whether there is a thing of any type with an id, for files that are attached to it.
        max_list: entries a list may have.
    """

    catalogue: Catalogue
    exists: Exists
    geocode: Geocode
    is_thing: Callable[[str], bool]
    max_list: int = MAX_LIST
    uploads: list[Upload] = field(default_factory=list)

    def parse(self, thing_field: ThingField, key: str, value: Json) -> Json:
        """What is stored for `value`; None clears the field.

        `key` is what the client calls the field. Raises `Refused`.
        """
        field_type = thing_field.type
        # Most values are texts, and need no more than this.
        is_text = field_type.kind == "text" and not field_type.many
        if is_text and value.__class__ is str and len(value) <= MAX_TEXT:
            return value or None
        try:
            return self._parse(field_type, value)
        except _Bad as bad:
            raise invalid(key, bad.reason, bad.code) from None

    def _parse(self, field_type: FieldType, value: Json) -> Json:
        if value is None:
            return None
        if not field_type.many:
            return _PARSERS[field_type.kind](self, field_type, value)
        if not isinstance(value, list):
            raise _Bad(expected("a list", value))
        if len(value) > self.max_list:
            raise _Bad(f"array length exceeds the limit of {self.max_list} entries.", "LIST_TOO_LONG")
        item_type = field_type.item
        items = [_PARSERS[field_type.kind](self, item_type, _present(item)) for item in value]
        return [item for item in items if item is not None] or None

    # --- one value of each kind; None where it clears the field

    def text(self, field_type: FieldType, value: Json) -> Json:
        text = _string(value)
        if len(text) > MAX_TEXT:
            raise _Bad(f"text length exceeds the limit of {MAX_TEXT} characters")
        return text or None

    def number(self, field_type: FieldType, value: Json) -> Json:
        return _read(read_number(value), "a number", value)

    def boolean(self, field_type: FieldType, value: Json) -> Json:
        return _read(read_boolean(value), "a boolean", value)

    def date(self, field_type: FieldType, value: Json) -> Json:
        return show_value(field_type, _read(read_moment(value), "a date", value))

    def address(self, field_type: FieldType, value: Json) -> Json:
        if isinstance(value, str):
            return self._resolved(value) if value.strip() else None
        if not isinstance(value, dict):
            raise _Bad(expected("a geographic address", value))
        address = value.get("address")
        if address is not None and not isinstance(address, str):
            raise _Bad(expected("a geographic address", value))
        if value.get("lat") is None and value.get("lng") is None:
            if not address:
                raise _Bad(expected("a geographic address", value))
            return self._resolved(address)
        place = place_of(_degrees(value.get("lat")), _degrees(value.get("lng")))
        if place is None:
            raise _Bad(expected("a geographic address", value))
        return {**({"address": address} if address else {}), "lat": place.lat, "lng": place.lng}

    def _resolved(self, address: str) -> Json:
        place = self.geocode(address)
        if place is None:
            raise _Bad("could not resolve this address")
        return {"address": address, "lat": place.lat, "lng": place.lng}

    def file(self, field_type: FieldType, value: Json) -> Json:
        if not isinstance(value, dict):
            url = _string(value)
            if len(url) > MAX_TEXT or not url.isprintable():
                raise _Bad("this is not a URL")
            return url or None
        upload = Upload(
            token=f"upload:{uuid4()}",
            name=_file_name(value.get("filename")),
            content=_contents(value.get("contents")),
            private=bool(
                _read(read_boolean(value.get("private") or False), "a boolean", value.get("private"))
            ),
            attach_to=_string(value.get("attach_to") or ""),
        )
        if upload.private and not self.is_thing(upload.attach_to):
            raise _Bad("attach_to must be the id of a thing where a file is private")
        self.uploads.append(upload)
        return upload.token

    def reference(self, field_type: FieldType, value: Json) -> Json:
        identity = _string(value)
        if identity and not self.exists(field_type, identity):
            raise _Bad("object with this id does not exist")
        return identity or None

    def option(self, field_type: FieldType, value: Json) -> Json:
        options = self.catalogue.option_sets.get(field_type.target)
        if options is None or not isinstance(value, str) or value not in options.options:
            raise _Bad(f"could not parse this as a {options.display if options else field_type.target}")
        return value


_PARSERS: Final[Mapping[str, Callable[[Parser, FieldType, Json], Json]]] = {
    "text": Parser.text,
    "number": Parser.number,
    "boolean": Parser.boolean,
    "date": Parser.date,
    "geographic_address": Parser.address,
    "file": Parser.file,
    "image": Parser.file,
    "user": Parser.reference,
    "custom": Parser.reference,
    "option": Parser.option,
}


class _Bad(Exception):
    """A value that cannot be used."""

    def __init__(self, reason: str, code: str = "INVALID_DATA") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def _read(value: Any | Absent, what: str, original: Json) -> Any:
    if value is ABSENT:
        raise _Bad(expected(what, original))
    return value


def _string(value: Json) -> str:
    if not isinstance(value, str):
        raise _Bad(expected("a string", value))
    return value


def _present(item: Json) -> Json:
    if item is None or item == "":
        raise _Bad("a list cannot hold empty entries")
    return item


def _degrees(value: Json) -> Json:
    return None if (number := read_number(value)) is ABSENT else number


def _file_name(value: Json) -> str:
    if not (name := _string(value).strip()):
        raise _Bad("filename is required")
    return name[-MAX_FILE_NAME:]


def _contents(value: Json) -> bytes:
    text = _string(value)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Bad("contents must be in base64") from None
