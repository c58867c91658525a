"""Request bodies: JSON, or the same as a form (`entries[0][email]=...`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from flatdata.dialects.fliplet.errors import Refused, bad_request, too_large
from flatdata.json_text import NotJson, parse_json

Json = Any
"""Any JSON value."""

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
MAX_FORM_FIELDS: Final = 10_000
_MAX_DEPTH: Final = 8


def read_bytes(request: Request, limit: int) -> bytes:
    """The body of a request. Raises `Refused` (413, or 400 for one that breaks off)."""
    length = request.content_length
    if (length or 0) > limit:
        raise too_large()
    try:
        # Of a known length no more is asked for: a buffer as large as the limit would be made.
        data: bytes = request.stream.read(limit + 1) if length is None else _exactly(request, length)
    except RequestEntityTooLarge:
        raise too_large() from None
    except (ClientDisconnected, OSError):
        raise bad_request("The request broke off") from None
    if len(data) > limit:
        raise too_large()
    return data


def _exactly(request: Request, length: int) -> bytes:
    """So many bytes, from the server's own stream: `request.stream` takes long to make.

    Raises:
        ClientDisconnected: if they do not come. OSError.
    """
    stream = request.environ["wsgi.input"]
    data: bytes = stream.read(length)
    while len(data) < length:
        if not (more := stream.read(length - len(data))):
            raise ClientDisconnected
        data += more
    return data


def read_object(request: Request, limit: int) -> dict[str, Json]:
    """The object in a body; an empty body is an empty object. Raises `Refused`."""
    data = read_bytes(request, limit)
    # The content type is sent by nearly everybody; taking it apart as `request.mimetype` does takes long.
    if request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == FORM:
        return read_form(data)
    if not data.strip():
        return {}
    value = decode(data)
    if not isinstance(value, dict):
        raise bad_request("The body must be a JSON object")
    return value


def decode(data: bytes) -> Json:
    """A JSON text as a value. Raises `Refused`."""
    try:
        # With a byte order mark or without, as the server of the original takes it.
        value: Json = parse_json(data.removeprefix(b"\xef\xbb\xbf"))
    except NotJson:
        raise bad_request("The body is not valid JSON") from None
    return value


def read_form(data: bytes) -> dict[str, Json]:
    """A form as an object; lists and objects by brackets in the names. Raises `Refused`."""
    try:
        pairs = parse_qsl(data.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise bad_request("The body is not a valid form") from None
    tree: dict[str, Json] = {}
    for name, value in pairs:
        _place(tree, _keys(name), value)
    return {key: _with_lists(value) for key, value in tree.items()}


def _keys(name: str) -> list[str]:
    head, *rest = name.replace("]", "").split("[")
    if len(rest) > _MAX_DEPTH or ("[" in name) != ("]" in name):
        return [name]
    return [head, *rest]


def _place(tree: dict[str, Json], keys: Iterable[str], value: str) -> None:
    *path, last = keys
    for key in path:
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            raise _contradiction()
        tree = below
    if last == "":
        last = str(len(tree))
    if isinstance(tree.get(last), dict):
        raise _contradiction()
    tree[last] = value


def _contradiction() -> Refused:
    return bad_request("The form names a field both as a text and as a list")


def _with_lists(value: Json) -> Json:
    """Objects whose keys count from 0 as lists."""
    if not isinstance(value, dict):
        return value
    items = {key: _with_lists(item) for key, item in value.items()}
    if list(items) == [str(number) for number in range(len(items))]:
        return list(items.values())
    return items


def is_true(value: Json) -> bool:
    """Whether a flag is set: true, or what a form or a query string says instead."""
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in ("true", "1"))
