"""The body of a request as plain values, the same for XML and JSON: names in lower case, nothing checked yet.

A row is a list of values. What XML can only say as text is text here: `request` makes types of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar
from xml.etree.ElementTree import Element

import msgspec
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from flatdata.dialects.appenate.errors import UNREADABLE, Refused, shown
from flatdata.json_text import NotJson, parse_json
from flatdata.query.tree import Json

Raw = Mapping[str, Json]
"""The properties of a request by name in lower case. None means that the property is not specified."""

T = TypeVar("T")

ROOT: Final = "datasource"
COLLECTIONS: Final = ("headers", "rows", "newrows", "deletedrows")
_IGNORED_BESIDE_ROWS: Final = ("newrows", "deletedrows")
_OF_A_HEADER: Final = ("name", "displayat")
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_ENCODINGS: Final = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii"})

# A number with a fraction or an exponent keeps the text it was sent as: `1.50` is a price.
_decode: Final = msgspec.json.Decoder(float_hook=str).decode


def read_json(data: bytes) -> Raw:
    """The properties of a JSON body; of names that differ in case only, the last one counts.

    Raises `Refused`.
    """
    try:
        value = parse_json(data.removeprefix(b"\xef\xbb\xbf"), _decode)
    except NotJson as error:
        raise Refused("The body is not well-formed JSON", UNREADABLE) from error
    if not isinstance(value, dict):
        raise Refused("The body must be a JSON object", UNREADABLE)
    return _that_count({name.lower(): item for name, item in value.items()})


def read_xml(data: bytes, charset: str | None = None) -> Raw:
    """The properties of an XML body; of elements of one name, the last one counts.

    Namespaces, order and case of elements do not matter. `charset` is that of the Content-Type header, which
    wins over the document's own declaration (RFC 7303): .NET clients declare UTF-16 and send UTF-8.
    A document type declaration is refused unread, and with it every entity.

    Raises `Refused`.
    """
    encoding = charset.lower() if charset and charset.lower() in _ENCODINGS else None
    parser = ElementTree.XMLParser(encoding=encoding, forbid_dtd=True)
    try:
        parser.feed(data)
        root = parser.close()
    except DefusedXmlException as error:
        raise Refused("The body must not have a document type declaration", UNREADABLE) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        # ValueError and LookupError: encodings that are declared but cannot be read.
        raise Refused("The body is not well-formed XML", UNREADABLE) from error
    if _name(root) != ROOT:
        raise Refused("The root element must be DataSource", UNREADABLE)
    elements = {_name(element): element for element in root}
    given = _that_count({name: None if _is_nil(element) else element for name, element in elements.items()})
    return {name: None if element is None else _property(name, element) for name, element in given.items()}


def _that_count(properties: Mapping[str, T]) -> Mapping[str, T]:
    """The properties that are read: beside `Rows`, "any values in NewRows and DeletedRows will be ignored"
    (seed), whatever they are."""
    if properties.get("rows") is None:
        return properties
    return {name: value for name, value in properties.items() if name not in _IGNORED_BESIDE_ROWS}


def _name(element: Element) -> str:
    """The local name in lower case."""
    return element.tag.rpartition("}")[2].lower()


def _is_nil(element: Element) -> bool:
    return element.get(_NIL, "").strip() in ("true", "1")


def _property(name: str, element: Element) -> Json:
    if name == "headers":
        return [_header(header) for header in _children(element, "header")]
    if name in COLLECTIONS:
        return [[_text(value) for value in _children(row, "val")] for row in _children(element, "row")]
    # Properties that nobody reads may hold anything.
    return element.text if not len(element) else None


def _header(element: Element) -> Json:
    return {name: _text(part) for part in element if (name := _name(part)) in _OF_A_HEADER}


def _children(element: Element, name: str) -> list[Element]:
    """The elements of a collection. Anything else in it would be lost without a word, and is refused."""
    stray = (element.text or "").strip()
    for child in element:
        stray = stray or (child.tail or "").strip()
        if _name(child) != name:
            raise Refused(
                f"{_bare(element)} may hold nothing but {name.capitalize()} elements: {shown(_bare(child))}",
                UNREADABLE,
            )
    if stray:
        raise Refused(f"{_bare(element)} must not hold text: {shown(stray)}", UNREADABLE)
    return list(element)


def _text(element: Element) -> str | None:
    if len(element):
        raise Refused(f"{_bare(element)} must hold text only", UNREADABLE)
    return None if _is_nil(element) else element.text


def _bare(element: Element) -> str:
    """The local name as it was written."""
    return element.tag.rpartition("}")[2]
