"""Bodies of writes: from JSON to what the fields of a thing become (reference/bubble.md §9).

Keys must be those that a GET shows. `_id`, `Created Date` and `Modified Date` are the server's: clients send
back what they read, so they are passed over, never written. `Created By` is refused when a thing is created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.bubble.errors import Refused, bad_request, expected, invalid, not_json, unrecognized
from flatdata.dialects.bubble.types import (
    CREATED_BY,
    CREATED_DATE,
    EMAIL,
    MODIFIED_DATE,
    SLUG,
    UNIQUE_ID,
    Names,
    ThingType,
)
from flatdata.dialects.bubble.values import Parser
from flatdata.json_text import NotJson, parse_json
from flatdata.query.bubble_values import read_value, show_value
from flatdata.query.tree import ABSENT, Json

PASSWORD: Final = "password"
MAX_PASSWORD: Final = 1_000
"""Characters: hashing more costs without protecting more."""

MAX_EMAIL: Final = 254

_PASSED_OVER: Final = frozenset({UNIQUE_ID.caption, CREATED_DATE.caption, MODIFIED_DATE.caption})
_BUILT_IN: Final = frozenset({CREATED_BY.caption, SLUG.caption})


@dataclass(frozen=True, slots=True)
class Body:
    """A body, understood.

    `values` are by caption, None for fields that are cleared; `built_in` what was sent for built-in fields,
    as it was sent; `password` is only there when a user is created with one.
    """

    values: Mapping[str, Json]
    built_in: Mapping[str, Json]
    password: str | None = None


def parse_object(data: bytes) -> dict[str, Json]:
    """The JSON object of a body; no body is an empty one. Raises `Refused`."""
    if not data.strip():
        return {}
    try:
        value = parse_json(data)
    except NotJson:
        raise not_json(data.decode("utf-8", "replace")) from None
    if not isinstance(value, dict):
        raise bad_request("The body must be a JSON object")
    return value


def read_body(
    raw: Mapping[str, Json], thing_type: ThingType, names: Names, parser: Parser, *, creating: bool
) -> Body:
    """What a body asks for. Raises `Refused` for the first thing that is wrong with it."""
    return Reader(thing_type, names, parser, creating=creating).read(raw)


class Reader:
    """Reads the bodies of one request, which all are for one type.

    Args:
        names: what fields are called in them.
        parser: understands their values.
        creating: whether they are of things to be created.
    """

    def __init__(self, thing_type: ThingType, names: Names, parser: Parser, *, creating: bool) -> None:
        self._writable = thing_type.writable(names)
        self._parser = parser
        self._creating = creating
        self._is_user = thing_type.is_user

    def read(self, raw: Mapping[str, Json]) -> Body:
        """What a body asks for. Raises `Refused` for the first thing that is wrong with it."""
        writable, parse = self._writable, self._parser.parse
        built_in: dict[str, Json] = {}
        password: str | None = None
        if not writable.keys() >= raw.keys():
            built_in = {key: value for key, value in raw.items() if key in _PASSED_OVER or key in _BUILT_IN}
            self._check_keys(raw, built_in)
        values: dict[str, Json] = {}
        for key, value in raw.items():
            if (field := writable.get(key)) is not None and key not in built_in:
                values[field.caption] = parse(field, key, value)
            elif key not in built_in:
                password = check_password(value)
        if self._is_user and (self._creating or EMAIL in values):
            values[EMAIL] = check_email(values.get(EMAIL))
        return Body(values, built_in, password)

    def _check_keys(self, raw: Mapping[str, Json], built_in: Mapping[str, Json]) -> None:
        for key in raw:
            if self._creating and key in _BUILT_IN:
                raise unrecognized(key)
            is_password = self._creating and self._is_user and key == PASSWORD
            if not (key in self._writable or key in built_in or is_password):
                raise unrecognized(key)


def check_email(value: Json) -> str:
    """An e-mail address, in lower case and without blanks around it. Raises `Refused`."""
    if value is None or value == "":
        raise bad_request("email is required")
    if not isinstance(value, str):
        raise invalid(EMAIL, expected("a string", value))
    email = value.strip().lower()
    name, _, domain = email.rpartition("@")
    if not name or not domain or len(email) > MAX_EMAIL or not email.isprintable() or " " in email:
        raise invalid(EMAIL, "this is not an e-mail address")
    return email


def check_password(value: Json) -> str | None:
    """A password, None for null. Raises `Refused`, never repeating it."""
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise invalid(PASSWORD, "it must be a string that is not empty")
    if len(value) > MAX_PASSWORD:
        raise invalid(PASSWORD, f"it must not be longer than {MAX_PASSWORD} characters")
    return value


def defaults(thing_type: ThingType) -> dict[str, Json]:
    """The fields with a default, by caption. A default that does not fit its field's type is none."""
    found: dict[str, Json] = {}
    given = thing_type.defaults
    for field in thing_type.fields if given else ():
        value = read_value(field.type, given.get(field.caption, ABSENT))
        if value is not ABSENT:
            found[field.caption] = show_value(field.type, value)
    return found


def email_taken(email: str) -> Refused:
    """Somebody else has this address."""
    return Refused(400, "USED_EMAIL", f"This email is already in use: {email}")
