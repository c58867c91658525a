"""Answers of the Appenate dialect, whole bodies."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from flatdata.dialects.appenate.formats import Format
from flatdata.dialects.appenate.read import DataSource
from flatdata.dialects.appenate.request import Header
from flatdata.dialects.appenate.response import failure, search_answer, source_answer

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
SPORTS = DataSource(
    guid="0e4f2c1d5b6a4798a0b1c2d3e4f50617",
    external_id="SPORTS-001",
    company_id=1,
    name="Favorite Sports",
    headers=(Header("Code"), Header("Sport", "Title")),
    total_rows=2,
    rows=[["AH", "Air Hockey"], ["CH", ""]],
)


def test_failure_in_xml_is_that_of_the_seed() -> None:
    assert failure(Format.XML, "ArgumentException", "Missing parameters") == DECLARATION + (
        b"<DataSourceResponse><ResponseStatus><ErrorCode>ArgumentException</ErrorCode><Errors />"
        b"<Message>Missing parameters</Message></ResponseStatus></DataSourceResponse>"
    )


def test_failure_in_json() -> None:
    assert failure(Format.JSON, "ArgumentException", "Missing parameters") == (
        b'{"ResponseStatus":{"ErrorCode":"ArgumentException","Message":"Missing parameters","Errors":[]}}'
    )


def test_source_in_xml() -> None:
    assert source_answer(Format.XML, SPORTS) == DECLARATION + (
        b"<DataSourceResponse><DataSource><CompanyId>1</CompanyId><ExternalId>SPORTS-001</ExternalId>"
        b"<Headers><Header><DisplayAt>None</DisplayAt><Name>Code</Name></Header>"
        b"<Header><DisplayAt>Title</DisplayAt><Name>Sport</Name></Header></Headers>"
        b"<Id>0e4f2c1d5b6a4798a0b1c2d3e4f50617</Id><Name>Favorite Sports</Name>"
        b"<Rows><Row><Val>AH</Val><Val>Air Hockey</Val></Row><Row><Val>CH</Val><Val /></Row></Rows>"
        b"<TotalRows>2</TotalRows></DataSource>"
        b"<ResponseStatus><ErrorCode /><Errors /><Message /></ResponseStatus></DataSourceResponse>"
    )


def test_source_in_json() -> None:
    assert source_answer(Format.JSON, SPORTS) == (
        b'{"DataSource":{"Id":"0e4f2c1d5b6a4798a0b1c2d3e4f50617","Name":"Favorite Sports",'
        b'"ExternalId":"SPORTS-001","CompanyId":1,'
        b'"Headers":[{"Name":"Code","DisplayAt":"None"},{"Name":"Sport","DisplayAt":"Title"}],'
        b'"TotalRows":2,"Rows":[["AH","Air Hockey"],["CH",""]]},'
        b'"ResponseStatus":{"ErrorCode":"","Message":"","Errors":[]}}'
    )


def test_source_without_rows_ids_and_columns() -> None:
    bare = DataSource(None, None, 1, "Bare", (), 0)
    assert source_answer(Format.JSON, bare) == (
        b'{"DataSource":{"Name":"Bare","CompanyId":1,"Headers":[],"TotalRows":0},'
        b'"ResponseStatus":{"ErrorCode":"","Message":"","Errors":[]}}'
    )
    assert source_answer(Format.XML, bare) == DECLARATION + (
        b"<DataSourceResponse><DataSource><CompanyId>1</CompanyId><Headers /><Name>Bare</Name>"
        b"<TotalRows>0</TotalRows></DataSource>"
        b"<ResponseStatus><ErrorCode /><Errors /><Message /></ResponseStatus></DataSourceResponse>"
    )


def test_search_in_both_formats() -> None:
    bare = DataSource(None, "B-1", 1, "Bare", (), 3)
    assert search_answer(Format.JSON, [bare], 7) == (
        b'{"DataSources":[{"Name":"Bare","ExternalId":"B-1","CompanyId":1,"Headers":[],"TotalRows":3}],'
        b'"TotalCount":7,"ResponseStatus":{"ErrorCode":"","Message":"","Errors":[]}}'
    )
    assert search_answer(Format.XML, [bare], 7) == DECLARATION + (
        b"<DataSourceResponse><DataSources><DataSource><CompanyId>1</CompanyId><ExternalId>B-1</ExternalId>"
        b"<Headers /><Name>Bare</Name><TotalRows>3</TotalRows></DataSource></DataSources>"
        b"<ResponseStatus><ErrorCode /><Errors /><Message /></ResponseStatus><TotalCount>7</TotalCount>"
        b"</DataSourceResponse>"
    )


@pytest.mark.parametrize(
    "text", ["a & b <c> ]]>", "line\nline\r\nline\tend", " blanks ", "日本 𝄞 é", "&amp;"]
)
def test_xml_gives_back_every_text_it_can_hold(text: str) -> None:
    source = DataSource(None, None, 1, text, (), 1, [["key", text]])
    root = ElementTree.fromstring(source_answer(Format.XML, source))
    assert [root.findtext("DataSource/Name"), root.findtext("DataSource/Rows/Row/Val[2]")] == [text, text]


def test_xml_replaces_what_it_cannot_hold() -> None:
    root = ElementTree.fromstring(failure(Format.XML, "ArgumentException", "a\x00b\x1bc\uffffd"))
    assert root.findtext("ResponseStatus/Message") == "a\ufffdb\ufffdc\ufffdd"
