from __future__ import annotations

import base64
from typing import Any

import pytest
from bubble_samples import OTHER, TONY, UNIT, parser, thing, unit_type

from flatdata.dialects.bubble import render
from flatdata.dialects.bubble.bodies import defaults
from flatdata.dialects.bubble.errors import Refused
from flatdata.query.bubble_dates import read_date, show_date

NEW_YORK = {"address": "New York", "lat": 40.7128, "lng": -74.006}


def parsed(caption: str, value: Any, **settings: Any) -> Any:
    field = unit_type().find(caption)
    assert field is not None
    return parser(**settings).parse(field, caption, value)


@pytest.mark.parametrize(
    ("caption", "sent", "stored"),
    [
        ("Name", "Unit A", "Unit A"),
        ("Name", "  blanks stay ", "  blanks stay "),
        ("Name", "", None),
        ("Name", None, None),
        ("Size", 5, 5),
        ("Size", -0.5, -0.5),
        ("Size", "5", 5),
        ("Size", " 5.25 ", 5.25),
        ("Size", "1e3", 1000.0),
        ("Size", 12345678901234567890123, 12345678901234567890123),
        ("Size", None, None),
        ("Open", True, True),
        ("Open", False, False),
        ("Open", "true", True),
        ("Open", "No", False),
        ("Open", None, None),
        ("Start", "2016-11-11T19:14:46.517Z", "2016-11-11T19:14:46.517Z"),
        ("Start", 1453398788637, "2016-01-21T17:53:08.637Z"),
        ("Start", "1453398788637", "2016-01-21T17:53:08.637Z"),
        ("Start", "Wed Jan 13 2016", "2016-01-13T00:00:00.000Z"),
        ("Start", None, None),
        ("Where", "New York", NEW_YORK),
        ("Where", {"address": "New York"}, NEW_YORK),
        ("Where", {"lat": 1, "lng": 2.5}, {"lat": 1, "lng": 2.5}),
        ("Where", {"address": "Here", "lat": "1", "lng": "-2"}, {"address": "Here", "lat": 1, "lng": -2}),
        ("Where", "", None),
        ("Where", None, None),
        ("Photo", "//s3.amazonaws.com/a.png", "//s3.amazonaws.com/a.png"),
        ("Plan", "", None),
        ("Owner", TONY, TONY),
        ("Owner", "", None),
        ("Parent", UNIT, UNIT),
        ("Parent", None, None),
        ("Status", "Open", "Open"),
        ("Status", None, None),
        ("Tags", ["a", "b"], ["a", "b"]),
        ("Tags", [], None),
        ("Tags", None, None),
        ("Sizes", [1, "2"], [1, 2]),
        ("Days", ["2016-01-13", 0], ["2016-01-13T00:00:00.000Z", "1970-01-01T00:00:00.000Z"]),
        ("Flags", [True, "no"], [True, False]),
        ("Places", ["New York"], [NEW_YORK]),
        ("Units", [UNIT, OTHER], [UNIT, OTHER]),
        ("Owners", [TONY], [TONY]),
        ("States", ["Closed"], ["Closed"]),
    ],
)
def test_values_are_stored(caption: str, sent: Any, stored: Any) -> None:
    value = parsed(caption, sent)
    assert value == stored
    assert type(value) is type(stored)


NO_REFERENCE = "object with this id does not exist"


@pytest.mark.parametrize(
    ("caption", "sent", "reason"),
    [
        ("Name", 5, "Expected a string, but got a number (original data: 5)"),
        ("Name", True, "Expected a string, but got a boolean (original data: true)"),
        ("Name", ["a"], 'Expected a string, but got a list (original data: ["a"])'),
        ("Name", {}, "Expected a string, but got an object (original data: {})"),
        ("Size", "", 'Expected a number, but got a string (original data: "")'),
        ("Size", "five", 'Expected a number, but got a string (original data: "five")'),
        ("Size", True, "Expected a number, but got a boolean (original data: true)"),
        ("Size", "0x10", 'Expected a number, but got a string (original data: "0x10")'),
        ("Size", "1e999", 'Expected a number, but got a string (original data: "1e999")'),
        ("Size", "９", 'Expected a number, but got a string (original data: "９")'),
        ("Open", 1, "Expected a boolean, but got a number (original data: 1)"),
        ("Open", "", 'Expected a boolean, but got a string (original data: "")'),
        ("Start", "", 'Expected a date, but got a string (original data: "")'),
        ("Start", "soon", 'Expected a date, but got a string (original data: "soon")'),
        ("Start", True, "Expected a date, but got a boolean (original data: true)"),
        ("Start", 1e300, "Expected a date, but got a number (original data: 1e300)"),
        ("Where", 5, "Expected a geographic address, but got a number (original data: 5)"),
        ("Where", "Atlantis", "could not resolve this address"),
        ("Where", {}, "Expected a geographic address, but got an object (original data: {})"),
        ("Photo", 5, "Expected a string, but got a number (original data: 5)"),
        ("Photo", "a\nb", "this is not a URL"),
        ("Owner", UNIT, NO_REFERENCE),
        ("Owner", 5, "Expected a string, but got a number (original data: 5)"),
        ("Parent", "nope", NO_REFERENCE),
        ("Parent", "../users/1", NO_REFERENCE),
        ("Status", "open", "could not parse this as a Status"),
        ("Status", "", "could not parse this as a Status"),
        ("Status", 1, "could not parse this as a Status"),
        ("Tags", "a", 'Expected a list, but got a string (original data: "a")'),
        ("Tags", ["a", None], "a list cannot hold empty entries"),
        ("Tags", ["a", ""], "a list cannot hold empty entries"),
        ("Sizes", [1, "x"], 'Expected a number, but got a string (original data: "x")'),
        ("Units", [UNIT, TONY], NO_REFERENCE),
        ("States", ["Open", "x"], "could not parse this as a Status"),
    ],
)
def test_values_of_the_wrong_type_are_refused(caption: str, sent: Any, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(caption, sent)
    assert refused.value.http == 400
    assert refused.value.code == "INVALID_DATA"
    assert refused.value.message == f"Invalid data for field {caption}: {reason}"


@pytest.mark.parametrize(
    "place",
    [{"lat": 91, "lng": 0}, {"lat": 0, "lng": 181}, {"lat": 1}, {"lat": "x", "lng": 1}, {"address": 5}],
)
def test_places_that_are_none_are_refused(place: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="Expected a geographic address"):
        parsed("Where", place)


@pytest.mark.parametrize(("limit", "live"), [(10_000, False), (200, True)])
def test_lists_have_a_limit(limit: int, live: bool) -> None:
    settings = {"max_list": 200} if live else {}
    assert len(parsed("Tags", ["a"] * limit, **settings)) == limit
    with pytest.raises(Refused) as refused:
        parsed("Tags", ["a"] * (limit + 1), **settings)
    assert refused.value.code == "LIST_TOO_LONG"
    message = f"Invalid data for field Tags: array length exceeds the limit of {limit} entries."
    assert refused.value.message == message


def test_a_file_comes_as_base64() -> None:
    reading = parser()
    field = unit_type().find("Photo")
    assert field is not None
    content = base64.b64encode(b"picture").decode()
    token = reading.parse(field, "Photo", {"filename": "a.png", "contents": content})
    (upload,) = reading.uploads
    assert token == upload.token
    assert (upload.name, upload.content, upload.private) == ("a.png", b"picture", False)


@pytest.mark.parametrize(
    "file",
    [
        {"filename": "a.png"},
        {"contents": "AAAA"},
        {"filename": "", "contents": "AAAA"},
        {"filename": "a.png", "contents": "no base64!"},
        {"filename": "a.png", "contents": "AAA"},
        {"filename": "a.png", "contents": 5},
        {"filename": ["a"], "contents": "AAAA"},
        {"filename": "a.png", "contents": "AAAA", "private": True},
        {"filename": "a.png", "contents": "AAAA", "private": True, "attach_to": "nope"},
        {"filename": "a.png", "contents": "AAAA", "private": "maybe"},
    ],
)
def test_files_that_cannot_be_understood_are_refused(file: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="Invalid data for field Photo"):
        parsed("Photo", file)


def test_a_private_file_belongs_to_a_thing() -> None:
    reading = parser()
    field = unit_type().find("Plan")
    assert field is not None
    reading.parse(field, "Plan", {"filename": "a", "contents": "", "private": True, "attach_to": UNIT})
    assert reading.uploads[0].attach_to == UNIT


# --- dates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("Wed Jan 13 2016", "2016-01-13T00:00:00.000Z"),
        ("01/13/2016", "2016-01-13T00:00:00.000Z"),
        ("Wed Jan 13 2016 16:45:09 GMT-0500 (EST)", "2016-01-13T21:45:09.000Z"),
        ("Wed, 13 Jan 2016 16:45:09 GMT", "2016-01-13T16:45:09.000Z"),
        ("January 13, 2016 4:05 PM", "2016-01-13T16:05:00.000Z"),
        ("2016-01-13", "2016-01-13T00:00:00.000Z"),
        ("2016-01-13T16:45Z", "2016-01-13T16:45:00.000Z"),
        ("2026-01-02T03:04:05.678000Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"),
        ("2016-11-11T19:14:46.517Z", "2016-11-11T19:14:46.517Z"),
        ("1453398788637", "2016-01-21T17:53:08.637Z"),
        (1453398788637, "2016-01-21T17:53:08.637Z"),
        (1453398788637.9, "2016-01-21T17:53:08.637Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_dates_in_every_form(sent: Any, read: str) -> None:
    ms = read_date(sent)
    assert ms is not None
    assert show_date(ms) == read


@pytest.mark.parametrize(
    "sent",
    [
        None,
        True,
        [],
        {},
        "",
        "x",
        "2016-13-01",
        "+1000000-01-01",
        1e16,
        float("nan"),
        float("inf"),
        "1" * 101,
    ],
)
def test_what_is_no_date(sent: Any) -> None:
    assert read_date(sent) is None


# --- reading what is stored -------------------------------------------------------------------------------


def test_a_thing_shows_what_its_row_holds_and_leaves_out_what_is_empty() -> None:
    row = {
        "Name": "",
        "Size": "5",
        "Open": "yes",
        "Start": "2016-01-13",
        "Where": "somewhere",
        "Owner": 12,
        "Status": None,
        "Tags": [],
        "Sizes": [1, "x", "2"],
        "Days": ["2016-01-13"],
        "Units": UNIT,
        "undeclared": 1,
    }
    assert render.thing(unit_type(), thing(row, created_by="x"), "display") == {
        "Modified Date": "2020-09-13T12:26:40.123Z",
        "Created Date": "2020-09-13T12:26:40.123Z",
        "Created By": "x",
        "Size": 5,
        "Open": True,
        "Start": "2016-01-13T00:00:00.000Z",
        "Where": {"address": "somewhere"},
        "Owner": "12",
        "Sizes": [1, 2],
        "Days": ["2016-01-13T00:00:00.000Z"],
        "Units": [UNIT],
        "_id": UNIT,
    }


def test_ids_for_key_names() -> None:
    shown = render.thing(unit_type(), thing({"Name": "A", "Owners": [TONY]}), "id")
    assert shown["name_text"] == "A"
    assert shown["owners_list_user"] == [TONY]
    assert shown["Created Date"] == "2020-09-13T12:26:40.123Z"


def test_hidden_fields_are_left_out_built_in_ones_too() -> None:
    shown = render.thing(
        unit_type(), thing({"Name": "A", "Size": 5}), "display", frozenset({"Size", "Owner"})
    )
    assert shown == {"Size": 5, "_id": UNIT}


@pytest.mark.parametrize(
    ("caption", "stored"),
    [
        ("Name", ["a"]),
        ("Name", {"a": 1}),
        ("Size", "five"),
        ("Size", True),
        ("Open", 1),
        ("Open", "maybe"),
        ("Start", "soon"),
        ("Where", {"lat": 1}),
        ("Where", 5),
        ("Photo", {"url": "x"}),
        ("Owner", 1.5),
        ("Status", False),
        ("Tags", [None, ""]),
        ("Sizes", ["x"]),
    ],
)
def test_what_cannot_be_read_as_its_type_is_empty(caption: str, stored: Any) -> None:
    assert caption not in render.thing(unit_type(), thing({caption: stored}), "display")


def test_numbers_and_booleans_in_a_text_field_are_shown_as_text() -> None:
    for stored, shown in ((12, "12"), (1.5, "1.5"), (2.0, "2"), (True, "yes")):
        assert render.thing(unit_type(), thing({"Name": stored}), "display")["Name"] == shown


def test_rendered_bytes_are_kept_until_the_type_looks_different() -> None:
    entry = thing({"Name": "A"})
    first = render.thing_bytes(unit_type(), entry, "display")
    assert render.thing_bytes(unit_type(), entry, "display") is first
    assert render.thing_bytes(unit_type(), entry, "display", frozenset()) == b'{"_id":"%s"}' % UNIT.encode()
    render.thing_bytes(unit_type(fields={"Size": "number"}), entry, "display")
    assert entry.rendered is not None
    assert len(entry.rendered) == 1


def test_defaults_that_do_not_fit_their_field_are_none() -> None:
    found = unit_type(defaults={"Size": "x", "Name": "new", "Start": "2016-01-13", "Tags": ["a"]})
    assert defaults(found) == {"Name": "new", "Start": "2016-01-13T00:00:00.000Z", "Tags": ["a"]}
