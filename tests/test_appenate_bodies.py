"""Bodies of the Appenate API that cannot be read, and in what format one is answered."""

from __future__ import annotations

import pytest

from flatdata.dialects.appenate.body import read_json, read_xml
from flatdata.dialects.appenate.errors import UNREADABLE, Refused
from flatdata.dialects.appenate.formats import Format, answer_format, of_media_type

# --- bodies that cannot be read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"{} {}",
        b'{"Name": NaN}',
        b'{"Name": "\\ud800"}',
        b'{"Name": "\xff"}',
        b"[" * 100_000,
        b'{"CompanyId": ' + b"9" * 5_000 + b"}",
    ],
)
def test_json_that_cannot_be_read(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read_json(data)
    assert caught.value.problem is UNREADABLE


BOMB = b"""<!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><DataSource><Name>&c;</Name></DataSource>"""


@pytest.mark.parametrize(
    "data",
    [
        BOMB,
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><DataSource/>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><DataSource><Name>&e;</Name></DataSource>',
        b'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><DataSource/>',
        b"<!DOCTYPE DataSource><DataSource/>",
        BOMB.decode().encode("utf-16"),
    ],
)
def test_document_type_declarations_are_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="must not have a document type declaration") as caught:
        read_xml(data)
    assert caught.value.problem is UNREADABLE


@pytest.mark.parametrize(
    "data",
    [
        b"plain text",
        b"<DataSource>",
        b"<DataSource/><DataSource/>",
        b"<DataSource><Name>&undefined;</Name></DataSource>",
        b"<DataSource><Name>&#0;</Name></DataSource>",
        b"<DataSource><Name>&#xD800;</Name></DataSource>",
        b"<DataSource><Name>\xff</Name></DataSource>",
        b"<DataSource><a:Name/></DataSource>",
        b'<?xml version="1.0" encoding="utf-7"?><DataSource/>',
        b'<?xml version="1.0" encoding="no-such-encoding"?><DataSource/>',
        b'<?xml version="1.0" encoding="hex"?><DataSource/>',
        b'<?xml version="1.0" encoding="gb2312"?><DataSource/>',
        b"<a>" * 100_000,
        b"<SList/>",
    ],
)
def test_xml_that_cannot_be_read(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read_xml(data)
    assert caught.value.problem is UNREADABLE


def test_xinclude_is_an_unknown_property() -> None:
    document = (
        b'<DataSource xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/passwd"/>'
        b"<Name>n</Name></DataSource>"
    )
    assert read_xml(document) == {"include": None, "name": "n"}


# --- formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("application/json", Format.JSON),
        ("text/json", Format.JSON),
        ("application/vnd.example+json", Format.JSON),
        ("application/xml", Format.XML),
        ("text/xml", Format.XML),
        ("TEXT/XML", Format.XML),
        ("application/atom+xml", Format.XML),
        ("text/plain", None),
        ("*/*", None),
        ("json", None),
        ("", None),
    ],
)
def test_media_types(media_type: str, form: Format | None) -> None:
    assert of_media_type(media_type) is form


@pytest.mark.parametrize(
    ("query", "accepted", "content_type", "form"),
    [
        ("xml", ["application/json"], "application/json", Format.XML),
        ("JSON", ["application/xml"], "application/xml", Format.JSON),
        (None, ["application/json"], "application/xml", Format.JSON),
        (None, ["*/*"], "application/json", Format.JSON),
        (None, ["text/html", "application/xml"], "application/json", Format.XML),
        (None, [], "application/json", Format.JSON),
        (None, [], "", Format.XML),
        ("csv", ["application/json"], "", Format.JSON),
        ("", [], "text/plain", Format.XML),
    ],
)
def test_format_of_the_answer(
    query: str | None, accepted: list[str], content_type: str, form: Format
) -> None:
    assert answer_format(query, accepted, content_type) is form
