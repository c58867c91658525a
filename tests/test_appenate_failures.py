"""Every failure of the Data Source API, in both formats: the status, the whole body, and nothing changed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from appenate_api import (
    GUID,
    DataSource,
    RunningServer,
    expected_failure,
    expected_xml_failure,
    write_source,
    xml_rows,
)

WRONG = ("CompanyId or IntegrationKey is wrong", "AuthenticationException")
DTD = "The body must not have a document type declaration"


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    folder = write_source(root, columns=("Code", "Sport"))
    (folder / "1.yaml").write_text("Code: AH\nSport: Air Hockey\n")
    write_source(root, "foreign", id=4, external_id="FOREIGN", company_id=2, guid=GUID.replace("0", "7"))
    (root / "tokens").mkdir()
    return root


@pytest.fixture
def sports(server: RunningServer) -> DataSource:
    return DataSource(server)


def files(server: RunningServer) -> dict[str, bytes]:
    """All files of the content."""
    return {str(path): path.read_bytes() for path in (server.root / "content").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("properties", "message", "code"),
    [
        ({"CompanyId": ""}, "Missing parameters", "ArgumentException"),
        ({"IntegrationKey": ""}, "Missing parameters", "ArgumentException"),
        ({"ExternalId": ""}, "Missing parameters", "ArgumentException"),
        ({"Name": ""}, "Missing parameters", "ArgumentException"),
        ({"CompanyId": "x"}, "CompanyId must be an integer, not 'x'", "ArgumentException"),
        ({"CompanyId": 2}, *WRONG),
        ({"IntegrationKey": "wrong"}, *WRONG),
        ({"IntegrationKey": "k" * 10_000}, *WRONG),
        ({"IntegrationKey": "../datasource"}, *WRONG),
        ({"ExternalId": "SPORTS-002"}, "There is no data source with this ExternalId", "ArgumentException"),
        ({"ExternalId": "FOREIGN"}, "There is no data source with this ExternalId", "ArgumentException"),
        ({"ExternalId": "../sports"}, "There is no data source with this ExternalId", "ArgumentException"),
        ({"Id": "sports"}, "Id must be a GUID, not 'sports'", "ArgumentException"),
        ({"Id": GUID.replace("0", "9")}, "There is no data source with this Id", "ArgumentException"),
        ({"Id": GUID.replace("0", "7")}, "There is no data source with this Id", "ArgumentException"),
    ],
)
def test_single_values_that_are_refused(
    server: RunningServer, sports: DataSource, properties: dict[str, Any], message: str, code: str
) -> None:
    before = files(server)
    in_json = sports.put(**properties, NewRows=[["GO", "Go"]])
    assert (in_json.status_code, in_json.json()) == (400, expected_failure(message, code))
    in_xml = sports.put_xml(xml_rows("NewRows", [["GO", "Go"]]), **properties)
    assert (in_xml.status_code, in_xml.text) == (400, expected_xml_failure(message, code))
    assert files(server) == before


@pytest.mark.parametrize("query_format", ["json", "xml"])
@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        ("{", "application/json", "The body is not well-formed JSON"),
        ("[]", "application/json", "The body must be a JSON object"),
        ("[" * 100_000, "application/json", "The body is not well-formed JSON"),
        ('{"Name": "\\ud800"}', "application/json", "The body is not well-formed JSON"),
        (b'{"Name": "\xff"}', "application/json", "The body is not well-formed JSON"),
        ("<DataSource>", "application/xml", "The body is not well-formed XML"),
        ("<a>" * 100_000, "text/xml", "The body is not well-formed XML"),
        ("CompanyId=1", "", "The body is not well-formed XML"),
        ("<SList />", "application/xml", "The root element must be DataSource"),
        (
            "<DataSource><Rows><Record /></Rows></DataSource>",
            "application/xml",
            "Rows may hold nothing but Row elements: 'Record'",
        ),
        (
            "CompanyId=1",
            "application/x-www-form-urlencoded",
            "The Content-Type must be application/xml or application/json",
        ),
        ("a", "text/plain", "The Content-Type must be application/xml or application/json"),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><DataSource />', "application/xml", DTD),
        (
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><DataSource><Name>&e;</Name></DataSource>',
            "application/xml",
            DTD,
        ),
        (
            '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><DataSource />',
            "application/xml",
            DTD,
        ),
    ],
)
def test_bodies_that_cannot_be_read(
    server: RunningServer,
    sports: DataSource,
    body: str | bytes,
    content_type: str,
    message: str,
    query_format: str,
) -> None:
    before = files(server)
    response = sports.send(body, content_type, query_format)
    assert response.status_code == 400
    if query_format == "json":
        assert response.json() == expected_failure(message, "SerializationException")
    else:
        assert response.text == expected_xml_failure(message, "SerializationException")
    assert files(server) == before


def test_an_xml_bomb_is_refused_unread(sports: DataSource) -> None:
    entities = '<!ENTITY e0 "lol">' + "".join(
        f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 12)
    )
    response = sports.send(f"<!DOCTYPE bomb [{entities}]><DataSource><Name>&e11;</Name></DataSource>")
    assert (response.status_code, response.text) == (400, expected_xml_failure(DTD, "SerializationException"))
    assert response.elapsed.total_seconds() < 1


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"Rows": "a"}, "Rows must be a collection"),
        ({"Rows": [{}]}, "Rows[0] must be a list of values"),
        ({"NewRows": [["a", ["b"]]]}, "NewRows[0]: a value must be text"),
        ({"Headers": [{"DisplayAt": "Title"}]}, "Headers[0] must have a Name"),
        (
            {"Headers": [{"Name": "A", "DisplayAt": "Footer"}]},
            "Headers[0]: DisplayAt must be one of Title, SubLeft, Thumb, not 'Footer'",
        ),
        ({"Rows": [["a", "1"], ["a", "2"]]}, "Rows[1]: the key 'a' is that of Rows[0] already"),
        (
            {"Headers": [{"Name": "A"}, {"Name": "B"}, {"Name": "C"}], "NewRows": [["a", "b"]]},
            "NewRows[0]: 2 Vals, but there are 3 Headers",
        ),
    ],
)
def test_collections_that_are_refused(
    server: RunningServer, sports: DataSource, properties: dict[str, Any], message: str
) -> None:
    before = files(server)
    in_json = sports.put(**properties)
    assert (in_json.status_code, in_json.json()) == (400, expected_failure(message))
    in_xml = sports.put(format="xml", **properties)
    assert (in_xml.status_code, in_xml.text) == (400, expected_xml_failure(message))
    assert files(server) == before


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(("path", "allowed"), [("", "GET, PUT"), ("/search", "GET")])
def test_sources_can_neither_be_made_nor_deleted(
    sports: DataSource, method: str, path: str, allowed: str
) -> None:
    response = sports.session.request(method, f"{sports.url}{path}?format=json", json=sports.who, timeout=60)
    message = expected_failure(f"The methods here are {allowed}", "NotSupportedException")
    assert (response.status_code, response.json()) == (405, message)
    assert response.headers["Allow"] == allowed


@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        ({"ExternalId": ""}, "Missing parameters", "ArgumentException"),
        ({"CompanyId": ""}, "Missing parameters", "ArgumentException"),
        ({"IntegrationKey": "wrong"}, *WRONG),
        ({"CompanyId": 2}, *WRONG),
        ({"ExternalId": "FOREIGN"}, "There is no data source with this ExternalId", "ArgumentException"),
        ({"PageNo": "-1"}, "PageNo must not be negative", "ArgumentException"),
        ({"PageSize": "many"}, "PageSize must be an integer, not 'many'", "ArgumentException"),
        ({"ReturnRows": "2"}, "ReturnRows must be true or false, not '2'", "ArgumentException"),
    ],
)
def test_reads_that_are_refused(sports: DataSource, query: dict[str, Any], message: str, code: str) -> None:
    in_json = sports.get(**query)
    assert (in_json.status_code, in_json.json()) == (400, expected_failure(message, code))
    in_xml = sports.get(format="xml", **query)
    assert (in_xml.status_code, in_xml.text) == (400, expected_xml_failure(message, code))


@pytest.mark.parametrize("page", [0, 10**6, 10**17])
def test_a_page_beyond_the_last_is_empty(sports: DataSource, page: int) -> None:
    answer = sports.get(ReturnRows="true", PageNo=page).json()["DataSource"]
    assert (answer["Rows"], answer["TotalRows"]) == ([["AH", "Air Hockey"]] if page == 0 else [], 1)


def test_a_key_never_comes_back(sports: DataSource) -> None:
    for response in (
        sports.put(CompanyId=2),
        sports.put(ExternalId="x"),
        sports.put_xml("<Rows><x/></Rows>"),
    ):
        assert response.status_code == 400
        assert sports.key not in response.text


def test_a_revoked_key_is_refused(server: Any, sports: DataSource) -> None:
    assert sports.put(NewRows=[["GO", "Go"]]).status_code == 200
    for path in (server.root / "tokens" / "datasource").glob("*/token.yaml"):
        path.write_text(path.read_text().replace("state: enabled", "state: disabled"))
    server.site.tokens = type(server.site.tokens)(server.root, server.site.store.state_dir, refresh_seconds=0)
    response = sports.put(NewRows=[["DA", "Darts"]])
    assert (response.status_code, response.json()) == (400, expected_failure(*WRONG))


def test_a_source_without_an_appenate_part_is_not_there(server: RunningServer, serve: Any) -> None:
    other = server.root.parent / "other"
    folder = write_source(other)
    text = (folder / "manifest.yaml").read_text()
    (folder / "manifest.yaml").write_text(text[: text.index("appenate:")])
    response = DataSource(serve(other)).put()
    message = "There is no data source with this ExternalId"
    assert (response.status_code, response.json()) == (400, expected_failure(message))


def test_requests_at_the_same_time_do_not_add_a_key_twice(sports: DataSource) -> None:
    start = threading.Barrier(8)
    codes: list[int] = []

    def add(number: int) -> None:
        start.wait()
        for step in range(5):
            body = {**sports.who, "Name": "Sports", "NewRows": [[f"step {step}", f"by {number}"]]}
            codes.append(requests.put(sports.url, json=body, timeout=60).status_code)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 40
    assert sorted(row[0] for row in sports.rows()) == ["AH", *(f"step {step}" for step in range(5))]
