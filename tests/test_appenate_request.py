"""Requests of the Appenate dialect as typed values: XML, JSON, the query string, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flatdata.dialects.appenate.body import read_json, read_xml
from flatdata.dialects.appenate.errors import ARGUMENT, UNREADABLE, Refused
from flatdata.dialects.appenate.request import (
    Address,
    Credentials,
    Header,
    Page,
    Read,
    Search,
    Update,
    parse_read,
    parse_search,
    parse_update,
)

GUID = "0e4f2c1d5b6a4798a0b1c2d3e4f50617"
CREDENTIALS = {"CompanyId": 1, "IntegrationKey": "secret"}
SPORTS = {**CREDENTIALS, "ExternalId": "SPORTS-001"}

SEED_XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<DataSource>
  <CompanyId>1</CompanyId><IntegrationKey>secret</IntegrationKey>
  <Name>Favorite Sports</Name><ExternalId>SPORTS-001</ExternalId>
  <Rows>
    <Row>
      <Val>AH</Val>
      <Val>Air Hockey</Val>
      <Val>This is some additional information about Air Hockey</Val>
      <Val>http://mywebsite.com/images/air-hockey.jpg</Val>
    </Row>
    <Row>
      <Val>CH</Val>
      <Val>Chess (We have no additional info or images for this sport)</Val>
      <Val />
      <Val></Val>
    </Row>
  </Rows>
</DataSource>
"""

SEED = Update(
    credentials=Credentials(1, "secret"),
    address=Address(None, "SPORTS-001"),
    name="Favorite Sports",
    rows=(
        (
            "AH",
            "Air Hockey",
            "This is some additional information about Air Hockey",
            "http://mywebsite.com/images/air-hockey.jpg",
        ),
        ("CH", "Chess (We have no additional info or images for this sport)", "", ""),
    ),
)


def from_json(value: Any, name_required: bool = False) -> Update:
    return parse_update(read_json(msgspec.json.encode(value)), {}, name_required=name_required)


def from_xml(inner: str, root: str = "DataSource") -> Update:
    credentials = "<CompanyId>1</CompanyId><IntegrationKey>secret</IntegrationKey>"
    document = f"<{root}>{credentials}<ExternalId>SPORTS-001</ExternalId>{inner}</{root.split()[0]}>"
    return parse_update(read_xml(document.encode()), {}, name_required=False)


# --- the two formats ---------------------------------------------------------------------------------


def test_xml_of_the_seed() -> None:
    assert parse_update(read_xml(SEED_XML), {}, name_required=True) == SEED


def test_json_of_the_same_request_is_the_same_value() -> None:
    body = {**SPORTS, "Name": "Favorite Sports", "Rows": [list(row) for row in SEED.rows or ()]}
    assert from_json(body, name_required=True) == SEED


def test_xml_with_every_property_in_reverse_alphabetical_order() -> None:
    update = from_xml(
        '<Rows xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true" />'
        "<NewRows><Row><Val>a</Val><Val>b</Val></Row></NewRows>"
        "<Name>Sports</Name>"
        f"<Id>{GUID}</Id>"
        "<Headers><Header><Name>Code</Name></Header>"
        "<Header><Name>Sport</Name><DisplayAt>Title</DisplayAt></Header></Headers>"
        "<DeletedRows><Row><Val>k</Val></Row></DeletedRows>"
    )
    assert update == Update(
        credentials=Credentials(1, "secret"),
        address=Address(GUID, "SPORTS-001"),
        name="Sports",
        headers=(Header("Code"), Header("Sport", "Title")),
        new_rows=(("a", "b"),),
        deleted_rows=(("k",),),
    )


@pytest.mark.parametrize(
    "root",
    [
        'DataSource xmlns:i="http://www.w3.org/2001/XMLSchema-instance"',
        'DataSource xmlns="http://schemas.servicestack.net/types"',
        "datasource",
        "DATASOURCE",
    ],
)
def test_xml_root_in_any_namespace_and_case(root: str) -> None:
    assert from_xml("", root).address == Address(None, "SPORTS-001")


def test_xml_names_in_any_case() -> None:
    update = from_xml("<newrows><row><VAL>a</VAL><val>b</val></row></newrows><NAME>n</NAME>")
    assert (update.name, update.new_rows) == ("n", (("a", "b"),))


def test_json_names_in_any_case() -> None:
    update = from_json(
        {"companyid": 1, "Integrationkey": "secret", "EXTERNALID": "x", "newRows": [["a", "b"]]}
    )
    assert update.credentials == Credentials(1, "secret")
    assert update.new_rows == (("a", "b"),)


def test_xml_nil_is_not_specified_and_an_empty_collection_is() -> None:
    nil = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"'
    assert from_xml(f"<Rows {nil} />").rows is None
    assert from_xml(f"<Id {nil} />").address.guid is None
    assert from_xml("<Rows />").rows == ()
    assert from_xml(f"<Rows><Row><Val>a</Val><Val {nil}/></Row></Rows>").rows == (("a", ""),)


def test_json_null_is_not_specified_and_an_empty_collection_is() -> None:
    assert from_json({**SPORTS, "Rows": None}).rows is None
    assert from_json({**SPORTS, "Rows": []}).rows == ()


def test_blanks_inside_a_val_are_data() -> None:
    assert from_xml("<NewRows><Row><Val> a </Val><Val>\n\tb</Val></Row></NewRows>").new_rows == (
        (" a ", "\n\tb"),
    )


def test_xml_entities_of_xml_itself_comments_and_cdata() -> None:
    update = from_xml(
        "<NewRows><Row><Val>a&amp;b</Val><Val>x<!-- no -->y<![CDATA[<z>]]></Val></Row></NewRows>"
    )
    assert update.new_rows == (("a&b", "xy<z>"),)


def test_blanks_around_single_values_are_not_data() -> None:
    update = parse_update(
        read_xml(
            b"<DataSource><CompanyId>\n 1 </CompanyId><IntegrationKey> k </IntegrationKey>"
            b"<ExternalId> e </ExternalId><Name> n </Name></DataSource>"
        ),
        {},
        name_required=True,
    )
    assert update == Update(Credentials(1, "k"), Address(None, "e"), "n")


def test_json_values_that_are_not_text_keep_the_text_they_were_written_as() -> None:
    rows = b"[[1, 1.50, 1e3, true, false, null, 99999999999999999999]]"
    body = b'{"CompanyId": 1, "IntegrationKey": "k", "ExternalId": "e", "NewRows": %s}' % rows
    update = parse_update(read_json(body), {}, name_required=False)
    assert update.new_rows == (("1", "1.50", "1e3", "true", "false", "", "99999999999999999999"),)


def test_json_deleted_rows_may_be_flat() -> None:
    assert from_json({**SPORTS, "DeletedRows": ["k1", 2, ["k3"]]}).deleted_rows == (("k1",), ("2",), ("k3",))


def test_unknown_properties_are_ignored() -> None:
    assert from_json({**SPORTS, "Color": {"deep": []}, "__class__": "x"}) == from_json(SPORTS)
    assert from_xml("<Color><Deep>1</Deep></Color>") == from_json(SPORTS)


def test_unknown_properties_of_a_header_are_ignored() -> None:
    header = {"Name": "Code", "Width": {"px": 1}}
    assert from_json({**SPORTS, "Headers": [header]}).headers == (Header("Code"),)
    width = "<Width><Px>1</Px></Width>"
    xml = f"<Headers><Header>{width}<Name>Code</Name>{width}</Header></Headers>"
    assert from_xml(xml).headers == (Header("Code"),)


@pytest.mark.parametrize("junk", ["text", 5, {"a": 1}, [{"a": 1}], [[["a"]]], [["a"]]])
@pytest.mark.parametrize("rows", [[], [["k", "v"]]])
def test_json_beside_rows_the_other_two_are_ignored_whatever_they_are(rows: Any, junk: Any) -> None:
    beside = from_json({"NewRows": junk, **SPORTS, "Rows": rows, "DeletedRows": junk})
    assert beside == from_json({**SPORTS, "Rows": rows})


@pytest.mark.parametrize("junk", ["text", "<Record />", "<Row><Val><b>a</b></Val></Row>", "<Row />"])
@pytest.mark.parametrize("rows", ["", "<Row><Val>k</Val><Val>v</Val></Row>"])
def test_xml_beside_rows_the_other_two_are_ignored_whatever_they_are(rows: str, junk: str) -> None:
    new, deleted = f"<NewRows>{junk}</NewRows>", f"<DeletedRows>{junk}</DeletedRows>"
    assert from_xml(f"{new}<Rows>{rows}</Rows>{deleted}") == from_xml(f"<Rows>{rows}</Rows>")


def test_beside_rows_that_are_not_specified_the_other_two_count() -> None:
    update = from_json({**SPORTS, "Rows": None, "NewRows": [["k", "v"]], "DeletedRows": [["d"]]})
    assert (update.rows, update.new_rows, update.deleted_rows) == (None, (("k", "v"),), (("d",),))


def test_a_name_given_twice_counts_as_its_last() -> None:
    assert from_json({**SPORTS, "Name": "one", "name": "two"}).name == "two"
    assert from_xml("<Name>one</Name><Name>two</Name>").name == "two"


def test_json_with_a_byte_order_mark() -> None:
    assert read_json(b'\xef\xbb\xbf{"Name":"n"}') == {"name": "n"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_xml_in_the_encoding_it_declares(encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?><DataSource><Name>Pétanque</Name></DataSource>'
    assert read_xml(document.encode(encoding)) == {"name": "Pétanque"}


def test_charset_of_the_header_wins_over_the_declaration() -> None:
    document = '<?xml version="1.0" encoding="utf-16"?><DataSource><Name>Pétanque</Name></DataSource>'
    assert read_xml(document.encode(), "UTF-8") == {"name": "Pétanque"}


# --- single values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [7, "7", " 7 ", "+7", "007"])
def test_company_id_as_number_or_text(value: Any) -> None:
    assert from_json({**SPORTS, "CompanyId": value}).credentials.company_id == 7


@pytest.mark.parametrize("value", ["x", "1.0", 1.5, "1_0", "١", "9" * 19])
def test_company_id_that_is_no_integer(value: Any) -> None:
    with pytest.raises(Refused, match="CompanyId must be an integer"):
        from_json({**SPORTS, "CompanyId": value})


@pytest.mark.parametrize(
    "text",
    [GUID, GUID.upper(), "0e4f2c1d-5b6a-4798-a0b1-c2d3e4f50617", "{0E4F2C1D-5B6A-4798-A0B1-C2D3E4F50617}"],
)
def test_id_in_every_form_of_a_guid(text: str) -> None:
    assert from_json({**CREDENTIALS, "Id": text}).address == Address(GUID, None)


def test_id_of_zeros_is_an_id_left_unset() -> None:
    unset = "00000000-0000-0000-0000-000000000000"
    assert from_json({**SPORTS, "Id": unset}).address == Address(None, "SPORTS-001")


def test_id_that_is_no_guid() -> None:
    with pytest.raises(Refused, match="Id must be a GUID, not 'SPORTS'"):
        from_json({**CREDENTIALS, "Id": "SPORTS"})


@pytest.mark.parametrize("value", [True, [], {}, ["x"]])
@pytest.mark.parametrize("name", ["Id", "ExternalId", "CompanyId", "IntegrationKey", "Name"])
def test_single_value_that_is_no_text(name: str, value: Any) -> None:
    expected = "an integer" if name == "CompanyId" else "text"
    with pytest.raises(Refused, match=f"{name} must be {expected}"):
        from_json({**SPORTS, name: value})


@pytest.mark.parametrize("missing", ["CompanyId", "IntegrationKey", "ExternalId"])
@pytest.mark.parametrize("empty", [None, "", "  "])
def test_missing_parameters(missing: str, empty: str | None) -> None:
    with pytest.raises(Refused) as caught:
        from_json({**SPORTS, missing: empty})
    assert (caught.value.message, caught.value.problem) == ("Missing parameters", ARGUMENT)


def test_name_is_missed_only_where_it_is_required() -> None:
    assert from_json(SPORTS).name is None
    with pytest.raises(Refused, match="Missing parameters"):
        from_json(SPORTS, name_required=True)


def test_the_key_is_not_shown_by_a_request() -> None:
    assert "secret" not in repr(from_json(SPORTS))


def test_query_string_fills_in_single_values_only() -> None:
    query = {
        "companyid": "1",
        "integrationkey": "secret",
        "externalid": "other",
        "rows": "x",
        "format": "xml",
    }
    update = parse_update(
        {"externalid": "SPORTS-001", "name": None}, {**query, "name": "n"}, name_required=True
    )
    assert update == Update(Credentials(1, "secret"), Address(None, "SPORTS-001"), "n")


# --- headers and rows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Title", "Title"),
        ("subleft", "SubLeft"),
        ("THUMB", "Thumb"),
        ("None", None),
        ("", None),
        (None, None),
    ],
)
def test_display_at(given: str | None, stored: str | None) -> None:
    headers = [{"Name": "Code"}, {"name": "Sport", "DISPLAYAT": given}]
    assert from_json({**SPORTS, "Headers": headers}).headers == (Header("Code"), Header("Sport", stored))


def test_no_headers_say_nothing_about_headers() -> None:
    assert from_json({**SPORTS, "Headers": []}).headers is None


def test_headers_that_are_numbers_are_taken_as_they_are_written() -> None:
    update = from_json({**SPORTS, "Headers": [{"Name": 2024}, {"Name": 1.50}]})
    assert update.headers == (Header("2024"), Header("1.5"))


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ("Code", "Headers must be a collection"),
        (["Code"], r"Headers\[0\] must be an object with a Name"),
        ([{"Name": "Code"}, {"DisplayAt": "Title"}], r"Headers\[1\] must have a Name"),
        ([{"Name": " "}], r"Headers\[0\] must have a Name"),
        ([{"Name": None}], r"Headers\[0\] must have a Name"),
        ([{"Name": True}], r"Headers\[0\]: Name must be text"),
        (
            [{"Name": "Code", "DisplayAt": "Left"}],
            r"Headers\[0\]: DisplayAt must be one of Title, SubLeft, Thumb, not 'Left'",
        ),
        ([{"Name": "Code", "DisplayAt": 1}], r"Headers\[0\]: DisplayAt must be text"),
    ],
)
def test_headers_that_are_refused(headers: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        from_json({**SPORTS, "Headers": headers})


@pytest.mark.parametrize("name", ["Rows", "NewRows", "DeletedRows"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a", r"{} must be a collection"),
        ({"Row": []}, r"{} must be a collection"),
        ([["a", "b"], {"Val": "a"}], r"{}\[1\] must be a list of values"),
        ([["a", ["b"]]], r"{}\[0\]: a value must be text"),
        ([["a", {}]], r"{}\[0\]: a value must be text"),
    ],
)
def test_rows_that_are_refused(name: str, rows: Any, message: str) -> None:
    with pytest.raises(Refused, match=message.format(name)):
        from_json({**SPORTS, name: rows})


@pytest.mark.parametrize("name", ["Rows", "NewRows"])
def test_only_deleted_rows_may_be_flat(name: str) -> None:
    with pytest.raises(Refused, match=r"\[0\] must be a list of values"):
        from_json({**SPORTS, name: ["k1"]})


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("<Rows><Record/></Rows>", "Rows may hold nothing but Row elements: 'Record'"),
        ("<Rows><Row><Value>a</Value></Row></Rows>", "Row may hold nothing but Val elements: 'Value'"),
        ("<Rows>a,b</Rows>", "Rows must not hold text: 'a,b'"),
        ("<Rows><Row><Val>a</Val>b</Row></Rows>", "Row must not hold text: 'b'"),
        ("<Rows><Row><Val><b>a</b></Val></Row></Rows>", "Val must hold text only"),
        ("<Headers><Name>Code</Name></Headers>", "Headers may hold nothing but Header elements: 'Name'"),
    ],
)
def test_xml_that_would_lose_something_is_refused(inner: str, message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        from_xml(inner)
    assert caught.value.problem is UNREADABLE


# --- reading -----------------------------------------------------------------------------------------

QUERY = {"companyid": "1", "integrationkey": "secret"}


def test_read_with_its_defaults() -> None:
    read = parse_read({**QUERY, "externalid": "SPORTS-001"})
    assert read == Read(Credentials(1, "secret"), Address(None, "SPORTS-001"), None, False, Page(0, 1250))


def test_read_of_a_page() -> None:
    read = parse_read(
        {**QUERY, "id": GUID, "returnrows": "True", "pageno": "2", "pagesize": "10", "name": "x"}
    )
    assert read == Read(Credentials(1, "secret"), Address(GUID, None), "x", True, Page(2, 10))


def test_page_sizes_are_capped() -> None:
    assert parse_read({**QUERY, "id": GUID, "pagesize": "9999"}).page == Page(0, 1250)
    assert parse_search({**QUERY, "pagesize": "9999"}).page == Page(0, 250)


def test_search_with_and_without_a_name() -> None:
    assert parse_search(QUERY) == Search(Credentials(1, "secret"), None, Page(0, 250))
    assert parse_search({**QUERY, "name": "spo"}).name == "spo"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"pageno": "-1"}, "PageNo must not be negative"),
        ({"pageno": "x"}, "PageNo must be an integer, not 'x'"),
        ({"pagesize": "0"}, "PageSize must be at least 1"),
        ({"pagesize": "-5"}, "PageSize must be at least 1"),
        ({"returnrows": "maybe"}, "ReturnRows must be true or false, not 'maybe'"),
    ],
)
def test_pages_that_are_refused(query: dict[str, str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        parse_read({**QUERY, "id": GUID, **query})
