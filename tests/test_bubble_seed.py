"""Every request that the Data API's documentation describes, against a real server, in documented mode."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from bubble_http import UNIQUE_ID, Bubble, admin, put_manifest, put_row, put_units
from conftest import eventually

from flatdata.access.privacy import ADMIN
from flatdata.dialects.bubble.bulk import create_lines
from flatdata.dialects.bubble.context import Visit
from flatdata.dialects.bubble.routes import make_api
from flatdata.dialects.bubble.write import Writer

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def api(site_dir: Path, request: pytest.FixtureRequest) -> Bubble:
    put_units(site_dir)
    return admin(request.getfixturevalue("server"))


# --- endpoints and names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix", ["/api/1.1", "/version-test/api/1.1", "/version-4k2xq/api/1.1", "//api/1.1/"]
)
@pytest.mark.parametrize(
    "path", ["/obj/rentalunit", "/obj/RentalUnit/", "//obj//RENTALUNIT", "/obj/Rental%20Unit"]
)
def test_paths_are_written_in_many_ways(api: Bubble, prefix: str, path: str) -> None:
    other = Bubble(api.server, api.token, prefix)
    assert other.get(path)["response"]["count"] == 1
    assert other.get(f"{path}/7")["response"]["Unit name"] == "The cat in the hat"


def test_the_token_may_stand_in_the_url(api: Bubble) -> None:
    found = api.anonymous().get("/obj/rentalunit", params={"api_token": api.token})
    assert found["response"]["count"] == 1


# --- one thing ---------------------------------------------------------------------------------------


def test_retrieve_a_thing(api: Bubble) -> None:
    response = api.request("GET", "/obj/rentalunit/7")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    thing = response.json()["response"]
    assert DATE.fullmatch(thing.pop("Created Date"))
    assert DATE.fullmatch(thing.pop("Modified Date"))
    assert thing == {"_id": "7", "Unit name": "The cat in the hat", "Unit number": 7}


def test_create_a_thing(api: Bubble) -> None:
    fields = {"Unit name": "Unit A", "Archived?": False, "Tags": ["a", "b"], "Start": "Wed Jan 13 2016"}
    response = api.request("POST", "/obj/rentalunit", json=fields)
    assert response.status_code == 201
    body = response.json()
    assert body == {"status": "success", "id": body["id"]}
    assert UNIQUE_ID.fullmatch(body["id"])
    thing = api.thing("rentalunit", body["id"])
    assert thing["Created Date"] == thing["Modified Date"]
    del thing["Created Date"], thing["Modified Date"]
    assert thing == {
        "_id": body["id"],
        "Created By": "admin_user_flatdata_live",
        "Unit name": "Unit A",
        "Unit number": 1,
        "Archived?": False,
        "Start": "2016-01-13T00:00:00.000Z",
        "Status": "Open",
        "Tags": ["a", "b"],
    }


def test_created_by_names_the_version_that_an_admin_used(api: Bubble) -> None:
    test = Bubble(api.server, api.token, "/version-test/api/1.1")
    assert test.thing("rentalunit", test.create("rentalunit"))["Created By"] == "admin_user_flatdata_test"


@pytest.mark.parametrize("body", [b"{}", b"", b"  "])
def test_create_with_nothing_but_defaults(api: Bubble, body: bytes) -> None:
    response = api.request("POST", "/obj/rentalunit", data=body, headers={"Content-Type": "application/json"})
    thing = api.thing("rentalunit", response.json()["id"])
    assert (thing["Unit number"], thing["Status"]) == (1, "Open")


def test_a_default_is_not_used_for_a_field_that_is_given_as_null(api: Bubble) -> None:
    assert "Unit number" not in api.thing("rentalunit", api.create("rentalunit", **{"Unit number": None}))


def test_the_server_sets_ids_and_dates_whatever_a_client_sends(api: Bubble) -> None:
    identity = api.create("rentalunit", _id="mine", **{"Created Date": 0, "Modified Date": 0})
    thing = api.thing("rentalunit", identity)
    assert thing["_id"] != "mine"
    assert thing["Created Date"] > "2020"
    assert thing["Modified Date"] > "2020"


def test_modify_a_thing(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "A", "Tags": ["a"], "Status": "Closed"})
    before = api.thing("rentalunit", identity)
    response = api.request("PATCH", f"/obj/rentalunit/{identity}", json={"Unit number": "5", "Tags": None})
    assert (response.status_code, response.content) == (204, b"")
    after = api.thing("rentalunit", identity)
    assert after.pop("Modified Date") >= before.pop("Modified Date")
    assert after == {key: value for key, value in before.items() if key != "Tags"} | {"Unit number": 5}


def test_replace_a_thing(api: Bubble) -> None:
    identity = api.create(
        "rentalunit", **{"Unit name": "A", "Unit number": 5, "Tags": ["a"], "Status": "Closed"}
    )
    before = api.thing("rentalunit", identity)
    response = api.request("PUT", f"/obj/rentalunit/{identity}", json={"Unit name": "B"})
    assert (response.status_code, response.content) == (204, b"")
    after = api.thing("rentalunit", identity)
    assert after["Created Date"] > before["Created Date"]
    assert after.pop("Created Date") == after.pop("Modified Date")
    assert after == {"_id": identity, "Unit name": "B", "Unit number": 1, "Status": "Open"}


def test_a_replacement_keeps_built_in_fields_that_are_sent_back(api: Bubble) -> None:
    identity = api.create("rentalunit", **{"Unit name": "A"})
    before = api.thing("rentalunit", identity)
    assert api.request("PUT", f"/obj/rentalunit/{identity}", json=before).status_code == 204
    after = api.thing("rentalunit", identity)
    assert after["Created Date"] == before["Created Date"]
    assert after["Created By"] == before["Created By"]
    forged = {**before, "Created By": "somebody", "Created Date": "2001-01-01T00:00:00.000Z"}
    assert api.request("PUT", f"/obj/rentalunit/{identity}", json=forged).status_code == 204
    assert "Created By" not in api.thing("rentalunit", identity)
    assert api.thing("rentalunit", identity)["Created Date"] > "2020"


def test_columns_that_are_no_fields_survive_a_replacement(api: Bubble) -> None:
    put_row(api.server.root, "units/8", **{"Unit name": "A", "Unit number": 5, "note": "mine"})
    eventually(lambda: api.request("GET", "/obj/rentalunit/8").status_code == 200)
    assert api.request("PUT", "/obj/rentalunit/8", json={"Unit name": "B"}).status_code == 204
    row = yaml.safe_load((api.server.root / "content/units/8.yaml").read_text())
    assert (row["Unit name"], row["Unit number"], row["note"]) == ("B", 1, "mine")


def test_delete_a_thing(api: Bubble) -> None:
    response = api.request("DELETE", "/obj/rentalunit/7", headers={"Content-Length": "0"})
    assert (response.status_code, response.content) == (204, b"")
    assert api.request("GET", "/obj/rentalunit/7").status_code == 400
    assert api.request("DELETE", "/obj/rentalunit/7").status_code == 400


def test_references_have_to_lead_somewhere(api: Bubble) -> None:
    one = api.create("rentalunit")
    two = api.create("rentalunit", Parent=one, Related=[one, "7"])
    assert api.thing("rentalunit", two)["Related"] == [one, "7"]
    assert api.names("rentalunit", ("Related", "contains", "7")) == [two]
    for body in ({"Parent": "nope"}, {"Related": [one, "nope"]}, {"Owner": one}):
        response = api.request("PATCH", f"/obj/rentalunit/{two}", json=body)
        field = next(iter(body))
        message = f"Invalid data for field {field}: object with this id does not exist"
        assert response.json() == {"statusCode": 400, "body": {"status": "INVALID_DATA", "message": message}}


# --- users -------------------------------------------------------------------------------------------


def test_create_a_user(api: Bubble) -> None:
    identity = api.create("user", email=" Tony@B.example ", password="secret words", **{"Full name": "Tony"})
    user = api.thing("user", identity)
    assert user["email"] == "tony@b.example"
    assert "password" not in json.dumps(user)
    stored = (api.server.root / "content" / "users" / f"{identity}.yaml").read_text()
    assert "secret words" not in stored
    assert "$argon2id$" in stored
    assert api.as_user("tony@b.example").thing("user", identity)["Full name"] == "Tony"


def test_a_password_is_optional_and_an_email_is_not(api: Bubble) -> None:
    assert api.create("user", email="a@b.example")
    for body in ({}, {"email": ""}, {"email": None}, {"password": "secret words"}):
        response = api.request("POST", "/obj/user", json=body)
        assert response.json()["body"] == {"status": "ERROR", "message": "email is required"}
    for email in ("x", "@", "a@", "@b", "a b@c", 5, "a" * 300 + "@b.example", "a\n@b.example"):
        assert api.request("POST", "/obj/user", json={"email": email}).status_code == 400


def test_two_users_cannot_have_one_email(api: Bubble) -> None:
    first = api.create("user", email="a@b.example")
    second = api.create("user", email="c@b.example")
    answers = [
        api.request("POST", "/obj/user", json={"email": "A@b.example"}),
        api.request("PATCH", f"/obj/user/{second}", json={"email": "a@b.example"}),
        api.request("PUT", f"/obj/user/{second}", json={"email": "a@B.example"}),
    ]
    assert [(answer.status_code, answer.json()["body"]["status"]) for answer in answers] == [
        (400, "USED_EMAIL")
    ] * 3
    assert api.request("PATCH", f"/obj/user/{first}", json={"email": "a@b.example"}).status_code == 204


def test_a_replaced_user_keeps_what_they_log_in_with(api: Bubble) -> None:
    identity = api.create("user", email="a@b.example", password="secret words", Role="x")
    assert api.request("PUT", f"/obj/user/{identity}", json={}).status_code == 204
    user = api.thing("user", identity)
    assert user["email"] == "a@b.example"
    assert "Role" not in user
    assert api.as_user("a@b.example").token
    response = api.request("PATCH", f"/obj/user/{identity}", json={"password": "other words"})
    assert response.json()["body"]["message"] == "Unrecognized field: password"


# --- bulk --------------------------------------------------------------------------------------------


def bulk(api: Bubble, data: str | bytes, content_type: str = "text/plain") -> Any:
    return api.request("POST", "/obj/rentalunit/bulk", data=data, headers={"Content-Type": content_type})


def test_bulk_creation_is_one_record(api: Bubble) -> None:
    assert api.server.site is not None
    before = api.server.site.store.state.seq
    response = bulk(api, "\n".join(json.dumps({"Unit name": f"U{number}"}) for number in range(1000)))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain"
    lines = [json.loads(line) for line in response.text.split("\n")]
    assert len(lines) == 1000
    assert all(line["status"] == "success" for line in lines)
    assert api.server.site.store.state.seq == before + 1
    page = api.search("rentalunit", cursor=1, limit=3)
    assert [thing["_id"] for thing in page["results"]] == [line["id"] for line in lines[:3]]
    assert page["remaining"] == 997


def test_lines_that_are_accepted_are_created_even_when_others_fail(api: Bubble) -> None:
    bad = ['{"Unit name": \\unit1}', '{"Unit number": ""}', "", '{"Nope": 1}', '["x"]']
    data = "\n".join(['{"Unit name": "good"}', *bad, '{"Unit name": "last"}', ""])
    response = bulk(api, data, "text/plain; charset=utf-8")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "text/plain"
    lines = [json.loads(line) for line in response.text.split("\n")]
    assert [line["status"] for line in lines] == ["success", *["error"] * 5, "success"]
    assert [line["message"] for line in lines[1:6]] == [
        'Could not parse as JSON: {"Unit name": \\unit1}',
        'Invalid data for field Unit number: Expected a number, but got a string (original data: "")',
        "Could not parse as JSON: ",
        "Unrecognized field: Nope",
        "The body must be a JSON object",
    ]
    assert api.names("rentalunit", ("Unit name", "in", ["good", "last"])) == ["good", "last"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/csv", "", "application/x-www-form-urlencoded"]
)
def test_bulk_wants_plain_text(api: Bubble, content_type: str) -> None:
    response = bulk(api, "{}", content_type)
    message = (
        "Expecting a newline-seperated list of JSON objects.  Make sure the Content-Type header is text/plain"
    )
    assert response.status_code == 400
    assert response.json() == {"statusCode": 400, "body": {"status": "ERROR", "message": message}}


def test_bulk_has_a_limit_and_a_least(api: Bubble) -> None:
    assert bulk(api, "\n".join(["{}"] * 1001)).status_code == 400
    assert bulk(api, "").status_code == 400
    assert api.search("rentalunit")["count"] == 1


def test_bulk_gives_one_email_to_one_user(api: Bubble) -> None:
    data = '{"email":"a@b.example"}\n{"email":"A@b.example"}\n{"email":"c@b.example"}'
    response = api.request("POST", "/obj/user/bulk", data=data, headers={"Content-Type": "text/plain"})
    assert [json.loads(line)["status"] for line in response.text.split("\n")] == [
        "success",
        "error",
        "success",
    ]


def test_lines_that_were_not_reached_in_time_are_answered_as_errors(api: Bubble) -> None:
    assert api.server.site is not None
    parts = make_api(api.server.site)
    catalogue = parts.types.current()
    units = catalogue.types["rentalunit"]
    writer = Writer(parts, Visit(ADMIN, "live"), units, units.policy.grants(ADMIN))
    seconds = itertools.count(0.0, 100.0)
    answer = create_lines(writer, catalogue, b"{}\n{}\n{}\n{}", clock=lambda: next(seconds))
    lines = [json.loads(line) for line in answer.body.split(b"\n")]
    assert answer.status == 400
    assert [line["status"] for line in lines] == ["success", "success", "error", "error"]
    assert lines[2]["message"] == "The request took too long; this thing was not created"
    assert api.search("rentalunit")["count"] == 3


# --- search ------------------------------------------------------------------------------------------


def test_pages(api: Bubble) -> None:
    bulk(
        api,
        "\n".join(json.dumps({"Unit name": f"U{number:03}", "Unit number": number}) for number in range(250)),
    )
    first = api.search("rentalunit", sort_field="unitnumber", constraints="[]", cursor=0)
    assert (first["cursor"], first["count"], first["remaining"]) == (0, 100, 151)
    assert len(first["results"]) == 100
    assert list(first) == ["cursor", "results", "count", "remaining"]
    last = api.search("rentalunit", sort_field="unitnumber", cursor=200, limit=1000)
    assert (last["cursor"], last["count"], last["remaining"]) == (200, 51, 0)
    beyond = api.search("rentalunit", cursor=5000)
    assert (beyond["cursor"], beyond["count"], beyond["remaining"]) == (5000, 0, 0)
    none = api.search("rentalunit", limit=0)
    assert (none["count"], none["remaining"]) == (0, 251)
    assert "remaining" not in api.search("rentalunit", exclude_remaining="true")


def test_the_documentations_example(api: Bubble) -> None:
    put_manifest(
        api.server.root,
        "coffee",
        {"id": 3, "name": "c", "bubble": {"exposed": True, "display": "Coffee Shops"}},
        fields={"Name": "text", "Address": "geographic_address"},
    )
    eventually(lambda: api.request("GET", "/obj/coffeeshops").status_code == 200)
    for name, address in [
        ("Grand Cafe", "New York"),
        ("Little cafe", "Newark"),
        ("Cafe", "Boston"),
        ("Bar", "New York"),
    ]:
        api.create("coffeeshops", Name=name, Address=address)
    query = (
        "constraints=%5B%7B%22key%22%3A%22name%22%2C%22constraint_type%22%3A%22text%20contains%22%2C%20%22value%22%3A"
        "%22cafe%22%7D%2C%7B%22key%22%3A%22address%22%2C%22constraint_type%22%3A%22geographic_search%22%2C%22value%22"
        "%3A%7B%22range%22%3A10%2C%22origin_address%22%3A%22New%20York%22%7D%7D%5D&sort_field=name"
    )
    found = api.anonymous().get(f"/obj/coffeeshops?api_token={api.token}&{query}")["response"]
    assert [shop["Name"] for shop in found["results"]] == ["Grand Cafe", "Little cafe"]
    nearest = api.search("coffeeshops", sort_field="Address", geo_reference="Boston", limit=1)
    assert nearest["results"][0]["Name"] == "Cafe"


def test_constraints_over_http(api: Bubble) -> None:
    for number, name in enumerate(["Peppers", "A red house", "Blue houses"]):
        api.create("rentalunit", **{"Unit name": name, "Unit number": number, "Archived?": number == 1})
    assert api.names("rentalunit", ("unitname", "text contains", "house")) == ["A red house", "Blue houses"]
    assert api.names("rentalunit", ("_all", "text contains", "red houses")) == ["A red house"]
    assert api.names("rentalunit", ("Unit number", "greater than", "0"), ("archived?", "equals", "True")) == [
        "A red house"
    ]
    assert api.names("rentalunit", ("unit_number_number", "in", ["0", 2])) == ["Peppers", "Blue houses"]
    assert api.names("rentalunit", ("_id", "in", ["7", "0x0"])) == ["The cat in the hat"]
    assert api.names("rentalunit", ("Status", "is_empty")) == ["The cat in the hat"]
    assert api.names("rentalunit", ("Unit number", "equals")) == api.names("rentalunit")


def test_sorting_over_http(api: Bubble) -> None:
    for number, name in enumerate(["b", "a", "c", "a"]):
        api.create("rentalunit", **{"Unit name": name, "Unit number": number})
    named = {"constraints": json.dumps([{"key": "_id", "constraint_type": "not equal", "value": "7"}])}
    more = json.dumps([{"sort_field": "unitnumber", "descending": "true"}])

    def order(**parameters: str) -> str:
        results = api.search("rentalunit", **named, **parameters)["results"]
        return "".join(f"{thing['Unit name']}{thing['Unit number']}" for thing in results)

    assert order() == "b0a1c2a3"
    assert order(sort_field="unitname", additional_sort_fields=more) == "a3a1b0c2"
    assert order(sort_field="Created Date", descending="true") == "a3c2a1b0"
    assert order(sort_field="Unit number", descending="True", geo_reference="") == "a3c2a1b0"
    assert sorted(order(sort_field="_random_sorting", additional_sort_fields=more)) == sorted("b0a1c2a3")


def test_a_search_may_come_as_a_json_body(api: Bubble) -> None:
    body = {"constraints": [{"key": "Unit number", "constraint_type": "equals", "value": 7}], "limit": 5}
    assert api.get("/obj/rentalunit", json=body)["response"]["count"] == 1


# --- both settings of the names of keys --------------------------------------------------------------


@pytest.mark.settings(bubble={"field_names": "id"})
def test_ids_for_key_names(api: Bubble) -> None:
    identity = api.create("rentalunit", unit_name_text="A", archived__boolean=True)
    thing = api.thing("rentalunit", identity)
    assert thing["unit_name_text"] == "A"
    assert thing["archived__boolean"] is True
    assert thing["status_option_status"] == "Open"
    assert {"_id", "Created Date", "Modified Date", "Created By"} < set(thing)
    assert api.search("rentalunit", ("unitname", "equals", "A"))["count"] == 1
    response = api.request("POST", "/obj/rentalunit", json={"Unit name": "A"})
    assert response.json()["body"] == {"status": "ERROR", "message": "Unrecognized field: Unit name"}
    assert api.get("/meta")["app_data"]["use_captions_for_get"] is False


def body(status: int, code: str, message: str) -> dict[str, Any]:
    return {"statusCode": status, "body": {"status": code, "message": message}}


# --- what the API says of itself ---------------------------------------------------------------------


def test_meta(api: Bubble) -> None:
    meta = api.anonymous().get("/meta")
    assert meta["get"] == ["rentalunit", "user"]
    assert [workflow["endpoint"] for workflow in meta["post"]] == ["login", "signup"]
    unit = meta["types"]["rentalunit"]
    assert unit["display"] == "Rental Unit"
    fields = {field["id"]: (field["display"], field["type"]) for field in unit["fields"]}
    assert fields["unit_name_text"] == ("Unit name", "text")
    assert fields["related_list_custom_rentalunit"] == ("Related", "list.custom.rentalunit")
    assert fields["Created By"] == ("Creator", "user")
    assert fields["Created Date"] == ("Created Date", "date")
    assert fields["_id"] == ("unique ID", "text")
    assert meta["app_data"]["appname"] == "flatdata"
    assert meta["app_data"]["app_version"] == "live"
    assert Bubble(api.server, None, "/version-test/api/1.1").get("/meta")["app_data"]["app_version"] == "test"


def test_swagger(api: Bubble) -> None:
    swagger = api.anonymous().get("/meta/swagger.json")
    assert swagger["swagger"] == "2.0"
    assert swagger["basePath"] == "/api/1.1"
    assert set(swagger["paths"]["/obj/rentalunit/{UniqueID}"]) == {"get", "patch", "put", "delete"}
    assert set(swagger["paths"]["/obj/rentalunit"]) == {"get", "post"}
    assert "/obj/rentalunit/bulk" not in swagger["paths"]
    assert swagger["definitions"]["rentalunit"]["properties"]["Unit number"]["format"] == "float"
    assert "_id" in swagger["definitions"]["rentalunit"]["properties"]
    assert "_id" not in swagger["definitions"]["rentalunitBody"]["properties"]
    assert swagger["securityDefinitions"]["api_token"] == {
        "type": "apiKey",
        "name": "api_token",
        "in": "query",
    }
    references = re.findall(r'"#/definitions/(\w+)"', json.dumps(swagger))
    assert set(references) <= set(swagger["definitions"])
    test = Bubble(api.server, None, "/version-test/api/1.1").get("/meta/swagger.json")
    assert test["basePath"] == "/version-test/api/1.1"
