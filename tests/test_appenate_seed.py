"""The Data Source API as its documentation describes it, request by request, against a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from appenate_api import (
    GUID,
    PATH,
    DataSource,
    RunningServer,
    expected_failure,
    expected_xml_failure,
    write_source,
    xml_rows,
)

AIR_HOCKEY = [
    "AH",
    "Air Hockey",
    "This is some additional information about Air Hockey",
    "http://mywebsite.com/images/air-hockey.jpg",
]
FOOTBALL = [
    "FB",
    "Football",
    "This is some additional information about Football",
    "http://mywebsite.com/images/football.jpg",
]
CHESS = ["CH", "Chess (We have no additional info or images for this sport)", "", ""]

SEED_REQUEST = """<?xml version="1.0" encoding="UTF-8"?> <DataSource> <CompanyId>1</CompanyId>\
<IntegrationKey>{key}</IntegrationKey> <Name>Favorite Sports</Name><ExternalId>SPORTS-001</ExternalId>
<Rows> <Row> <Val>AH</Val> <Val>Air Hockey</Val>
<Val>This is some additional information about Air Hockey</Val>
<Val>http://mywebsite.com/images/air-hockey.jpg</Val> </Row>
<Row> <Val>FB</Val> <Val>Football</Val> <Val>This is some additional information about Football</Val>
<Val>http://mywebsite.com/images/football.jpg</Val> </Row><Row> <Val>CH</Val>
<Val>Chess (We have no additional info or images for this sport)</Val><Val /> <Val /> </Row> </Rows>
</DataSource>"""


@pytest.fixture
def folder(site_dir: Path) -> Path:
    return write_source(site_dir)


@pytest.fixture
def sports(folder: Path, server: RunningServer) -> DataSource:
    return DataSource(server)


def stored_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows on the disk, by their order."""
    rows = [yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml") if path.stem != "manifest"]
    return sorted(rows, key=lambda row: row["_meta"]["order"])  # type: ignore[no-any-return]


def manifest(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "manifest.yaml").read_text())  # type: ignore[no-any-return]


# --- the examples -------------------------------------------------------------------------------------


def test_xml_example_of_the_seed(sports: DataSource, folder: Path) -> None:
    url = f"{sports.base}/api/v2/DataSource?format=xml"
    body = SEED_REQUEST.format(key=sports.key)
    response = sports.session.put(
        url, data=body.encode(), headers={"Content-Type": "application/xml"}, timeout=60
    )
    assert (response.status_code, response.content) == (200, b"")
    assert sports.rows() == [AIR_HOCKEY, FOOTBALL, CHESS]
    stored = stored_rows(folder)
    assert {key: value for key, value in stored[2].items() if key != "_meta"} == {
        "Code": "CH",
        "Sport": "Chess (We have no additional info or images for this sport)",
        "Info": "",
        "Pic": "",
    }
    assert manifest(folder)["name"] == "Favorite Sports"


def test_json_example(sports: DataSource, folder: Path) -> None:
    response = sports.put(
        Name="Favorite Sports",
        Headers=[
            {"Name": "Code"},
            {"Name": "Sport", "DisplayAt": "Title"},
            {"Name": "Info", "DisplayAt": "SubLeft"},
            {"Name": "Pic", "DisplayAt": "Thumb"},
        ],
        Rows=[AIR_HOCKEY, CHESS],
    )
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Type"] == "application/json"
    assert sports.rows() == [AIR_HOCKEY, CHESS]
    assert manifest(folder)["appenate"] == {
        "guid": GUID,
        "external_id": "SPORTS-001",
        "company_id": 1,
        "display_at": {"Sport": "Title", "Info": "SubLeft", "Pic": "Thumb"},
    }


def test_error_example_of_the_seed(sports: DataSource) -> None:
    response = sports.send("<DataSource></DataSource>")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/xml"
    assert response.text == expected_xml_failure("Missing parameters")


def test_error_example_in_json(sports: DataSource) -> None:
    response = sports.send("{}", "application/json", format="json")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/json"
    assert response.content == (
        b'{"ResponseStatus":{"ErrorCode":"ArgumentException","Message":"Missing parameters","Errors":[]}}'
    )


def test_incremental_requests_as_real_clients_send_them(sports: DataSource) -> None:
    sports.put(Rows=[AIR_HOCKEY, FOOTBALL, CHESS])
    added = {"Id": GUID, "ExternalId": None, "NewRows": [["GO", "Go", "", 3], ["CH", "Chess", None, ""]]}
    assert sports.put(**added).status_code == 200
    assert sports.rows() == [AIR_HOCKEY, FOOTBALL, ["CH", "Chess", "", ""], ["GO", "Go", "", "3"]]
    assert sports.put(CompanyId="1", DeletedRows=["AH", "GO", "unknown"]).status_code == 200
    assert sports.rows() == [FOOTBALL, ["CH", "Chess", "", ""]]


def test_incremental_requests_in_xml(sports: DataSource) -> None:
    sports.put(Rows=[AIR_HOCKEY, FOOTBALL])
    response = sports.put_xml(xml_rows("DeletedRows", [["AH"]]) + xml_rows("NewRows", [CHESS]))
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Type"] == "application/xml"
    assert sports.rows() == [FOOTBALL, CHESS]


def test_rows_make_the_other_two_be_ignored(sports: DataSource) -> None:
    sports.put(Rows=[AIR_HOCKEY])
    assert sports.put(Rows=[CHESS], NewRows=[["x"]], DeletedRows=[["CH"]]).status_code == 200
    assert sports.rows() == [CHESS]
    assert sports.put(Rows=[FOOTBALL], NewRows="none", DeletedRows={"CH": True}).status_code == 200
    assert sports.rows() == [FOOTBALL]


# --- where and in what --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", "/api/v2/DataSource", "/API/V2/DATASOURCE/"])
def test_path_in_any_case_with_and_without_a_slash(sports: DataSource, path: str) -> None:
    body = {**sports.who, "Name": "Sports", "Rows": [CHESS]}
    response = sports.session.put(sports.base + path, json=body, timeout=60, allow_redirects=False)
    assert (response.status_code, response.content) == (200, b"")
    assert sports.rows() == [CHESS]


@pytest.mark.parametrize(
    ("query", "accept", "content_type", "answer"),
    [
        ("?format=xml", "application/json", "application/json", "application/xml"),
        ("?format=json", "application/xml", "application/xml", "application/json"),
        ("?FORMAT=JSON", "*/*", "", "application/json"),
        ("", "application/json", "application/xml", "application/json"),
        (
            "",
            "text/html, application/xml;q=0.9, application/json;q=0.1",
            "application/json",
            "application/xml",
        ),
        ("", "application/xml;q=0.1, application/json", "", "application/json"),
        ("", "*/*", "application/json;charset=utf-8", "application/json"),
        ("", "*/*", "text/xml; charset=utf-8", "application/xml"),
        ("", "*/*", "", "application/xml"),
    ],
)
def test_format_of_the_answer(
    sports: DataSource, query: str, accept: str, content_type: str, answer: str
) -> None:
    headers = {"Accept": accept} | ({"Content-Type": content_type} if content_type else {})
    body = b"{}" if "json" in content_type else b"<DataSource/>"
    response = sports.session.put(sports.url + query, data=body, headers=headers, timeout=60)
    assert (response.status_code, response.headers["Content-Type"]) == (400, answer)
    assert "Missing parameters" in response.text


def test_without_a_content_type_the_body_is_xml(sports: DataSource) -> None:
    body = SEED_REQUEST.format(key=sports.key)
    assert sports.send(body, content_type="").status_code == 200
    assert sports.rows() == [AIR_HOCKEY, FOOTBALL, CHESS]


def test_single_values_may_come_in_the_query_string(sports: DataSource) -> None:
    query = {**sports.who, "name": "Renamed"}
    response = sports.session.put(sports.url, params=query, json={"Rows": [CHESS]}, timeout=60)
    assert response.status_code == 200
    assert sports.get().json()["DataSource"]["Name"] == "Renamed"


# --- which source -------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [GUID, GUID.upper(), GUID.replace("-", "")])
def test_source_addressed_by_id(sports: DataSource, id: str) -> None:
    assert sports.put(Id=id, ExternalId="", Rows=[CHESS]).status_code == 200
    assert sports.rows() == [CHESS]


def test_external_id_is_set_on_a_source_addressed_by_id(sports: DataSource, folder: Path) -> None:
    assert sports.put(Id=GUID, ExternalId="SPORTS-002").status_code == 200
    assert manifest(folder)["appenate"]["external_id"] == "SPORTS-002"
    assert sports.put(ExternalId="SPORTS-001").status_code == 400
    assert sports.put(ExternalId="SPORTS-002").status_code == 200


def test_external_id_of_another_source_cannot_be_taken(
    site_dir: Path, sports: DataSource, serve: Any
) -> None:
    other = site_dir.parent / "other"
    write_source(other)
    write_source(other, "games", id=4, guid=GUID.replace("0", "1"), external_id="GAMES-001")
    (other / "tokens").mkdir()
    ours = DataSource(serve(other))
    message = "The ExternalId 'GAMES-001' is that of another data source"
    response = ours.put(Id=GUID, ExternalId="GAMES-001")
    assert (response.status_code, response.json()) == (400, expected_failure(message))


# --- one content --------------------------------------------------------------------------------------


def test_one_request_is_one_record_of_the_log(sports: DataSource, server: Any) -> None:
    before = server.site.store.state.seq
    sports.put(Name="Renamed", Headers=[{"Name": "A"}, {"Name": "B"}], Rows=[["a", "b"], ["c", "d"]])
    assert server.site.store.state.seq == before + 1
    sports.put(Name="Renamed", NewRows=[["a", "x"], ["e", "f"]], DeletedRows=[["c"]])
    assert server.site.store.state.seq == before + 2
    sports.put(Name="Renamed", NewRows=[["a", "x"]])
    assert server.site.store.state.seq == before + 2


def test_rows_are_entries(sports: DataSource, server: RunningServer) -> None:
    sports.put(Rows=[CHESS])
    query = {"id": "sports", "options[collection]": "true", "token": server.tokens["entries"]}
    answer = requests.get(f"{server.url}/api/entries", params=query, timeout=60).json()
    (entry,) = answer["data"].values()
    assert (entry["Code"], entry["Pic"]) == ("CH", "")


def test_rows_written_by_hand_are_found_shown_and_updated(site_dir: Path, serve: Any) -> None:
    path = write_source(site_dir) / "7.yaml"
    path.write_text("Code: 12\nSport: Boules\nPlayers: 2\n")
    sports = DataSource(serve(site_dir))
    assert sports.rows() == [["12", "Boules", "", ""]]
    assert sports.put(NewRows=[["12", "Pétanque", "", ""], ["GO", "Go", "", ""]]).status_code == 200
    assert sports.rows() == [["12", "Pétanque", "", ""], ["GO", "Go", "", ""]]
    stored = yaml.safe_load(path.read_text())
    assert (stored["Code"], stored["Players"]) == (12, 2)


# --- reading ------------------------------------------------------------------------------------------


def test_get_without_rows(sports: DataSource) -> None:
    sports.put(Rows=[CHESS])
    assert sports.get().json() == {
        "DataSource": {
            "Id": GUID.replace("-", ""),
            "Name": "Sports",
            "ExternalId": "SPORTS-001",
            "CompanyId": 1,
            "Headers": [{"Name": name, "DisplayAt": "None"} for name in ("Code", "Sport", "Info", "Pic")],
            "TotalRows": 1,
        },
        "ResponseStatus": {"ErrorCode": "", "Message": "", "Errors": []},
    }


def test_get_with_rows_in_xml(sports: DataSource) -> None:
    sports.put(Headers=[{"Name": "A"}, {"Name": "B", "DisplayAt": "Title"}], Rows=[["1", "<one>"], ["2", ""]])
    response = sports.get(Id=GUID, ReturnRows="true", format="xml")
    assert response.headers["Content-Type"] == "application/xml"
    assert response.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<DataSourceResponse><DataSource><CompanyId>1</CompanyId><ExternalId>SPORTS-001</ExternalId>"
        "<Headers><Header><DisplayAt>None</DisplayAt><Name>A</Name></Header>"
        "<Header><DisplayAt>Title</DisplayAt><Name>B</Name></Header></Headers>"
        f"<Id>{GUID.replace('-', '')}</Id><Name>Sports</Name>"
        "<Rows><Row><Val>1</Val><Val>&lt;one&gt;</Val></Row><Row><Val>2</Val><Val /></Row></Rows>"
        "<TotalRows>2</TotalRows></DataSource>"
        "<ResponseStatus><ErrorCode /><Errors /><Message /></ResponseStatus></DataSourceResponse>"
    )


def test_get_page_by_page(sports: DataSource) -> None:
    rows = [[f"k{number}", "x", "", ""] for number in range(130)]
    sports.put(Rows=rows)
    pages = [
        sports.get(ReturnRows="True", PageNo=page, PageSize=50).json()["DataSource"]["Rows"]
        for page in range(4)
    ]
    assert pages == [rows[:50], rows[50:100], rows[100:], []]
    assert sports.get(ReturnRows="true", PageSize=99_999).json()["DataSource"]["Rows"] == rows


def test_get_with_a_name_finds_only_a_source_of_that_name(sports: DataSource) -> None:
    assert sports.get(Name="SPO").status_code == 200
    response = sports.get(Name="games")
    assert (response.status_code, response.json()) == (
        400,
        expected_failure("The data source has another Name"),
    )


def test_search_lists_the_sources_of_the_company(site_dir: Path, serve: Any) -> None:
    for number, (name, company) in enumerate([("Sports", 1), ("Board games", 1), ("Spot prices", 2)]):
        guid = GUID.replace("0", str(number + 1))
        write_source(
            site_dir,
            f"s{number}",
            id=number + 1,
            name=name,
            company_id=company,
            guid=guid,
            external_id=f"E{number}",
        )
    api = DataSource(serve(site_dir))
    everything = api.get("/search").json()
    assert [source["Name"] for source in everything["DataSources"]] == ["Sports", "Board games"]
    assert everything["TotalCount"] == 2
    assert everything["DataSources"][1]["ExternalId"] == "E1"
    assert [source["Name"] for source in api.get("/Search/", Name="sp").json()["DataSources"]] == ["Sports"]
    page = api.get("/search", PageNo=1, PageSize=1).json()
    assert ([source["Name"] for source in page["DataSources"]], page["TotalCount"]) == (["Board games"], 2)


# --- live mode ----------------------------------------------------------------------------------------


@pytest.mark.settings(appenate={"behaviour": "live"})
def test_live_name_is_optional(sports: DataSource) -> None:
    assert sports.put(Name=None, NewRows=[CHESS]).status_code == 200
    assert sports.get().json()["DataSource"]["Name"] == "Sports"


@pytest.mark.settings(appenate={"behaviour": "live"})
@pytest.mark.parametrize("wrong", [{"IntegrationKey": "x"}, {"CompanyId": 2}])
def test_live_bad_credentials_are_401(sports: DataSource, wrong: dict[str, Any]) -> None:
    response = sports.put(**wrong)
    message = expected_failure("CompanyId or IntegrationKey is wrong", "AuthenticationException")
    assert (response.status_code, response.json()) == (401, message)
    assert response.headers["WWW-Authenticate"] == 'IntegrationKey realm="flatdata"'
    assert sports.get(**wrong).status_code == 401


@pytest.mark.settings(appenate={"enabled": False})
def test_switched_off_it_is_not_there(sports: DataSource) -> None:
    assert sports.put().status_code == 404
