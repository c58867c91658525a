"""XML or JSON: what a body is written in, and what the answer shall be."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final


class Format(Enum):
    """A format; its value is the media type that answers carry, as the seed writes it."""

    XML = "application/xml"
    JSON = "application/json"


_NAMES: Final = {"xml": Format.XML, "json": Format.JSON}
_TYPES: Final = {
    "application/xml": Format.XML,
    "text/xml": Format.XML,
    "application/json": Format.JSON,
    "text/json": Format.JSON,
}


def of_media_type(media_type: str) -> Format | None:
    """The format of a media type without parameters, `application/vnd.x+json` included; None for others."""
    media_type = media_type.strip().lower()
    _, _, suffix = media_type.partition("+")
    return _TYPES.get(media_type) or _NAMES.get(suffix)


def answer_format(query: str | None, accepted: Iterable[str], content_type: str) -> Format:
    """The format of an answer (reference/appenate §1).

    The parameter `format` decides; a value that is neither `xml` nor `json` is passed over. Then the first of
    the `accepted` media types that names a format, best first; then that of the request; then XML.
    """
    if query is not None and (named := _NAMES.get(query.strip().lower())) is not None:
        return named
    for media_type in (*accepted, content_type):
        if (wanted := of_media_type(media_type)) is not None:
            return wanted
    return Format.XML
