"""Each constraint type on each type of field, on things whose field is filled in, empty and missing."""

from __future__ import annotations

from typing import Any

import pytest
from bubble_samples import FIELDS, OTHER, PLACES, TONY, UNIT, catalogue, thing, units, users

from flatdata.access.privacy import ADMIN
from flatdata.dialects.bubble.constraints import Reading
from flatdata.dialects.bubble.errors import Refused
from flatdata.dialects.bubble.parameters import Search, parse_search
from flatdata.dialects.bubble.search import run
from flatdata.index.index import Result
from flatdata.index.terms import analyse
from flatdata.query.bubble import CONSTRAINT_TYPES, distance_km
from flatdata.query.evaluate import matches
from flatdata.query.tree import Query
from flatdata.store.entry import Entry

NEW_YORK = {"address": "New York", "lat": 40.7128, "lng": -74.006}
NEWARK = {"address": "Newark", "lat": 40.7357, "lng": -74.1724}
BERLIN = {"address": "Berlin", "lat": 52.52, "lng": 13.405}
SOMEWHERE = {"address": "somewhere"}

STORED: dict[str, dict[str, Any]] = {
    "Name": {
        "a": "The cat in the hat",
        "b": "Peppers",
        "c": "the Cat's pyjamas",
        "n": 12,
        "e": "",
        "0": None,
    },
    "Size": {"a": 3, "b": "10", "c": 3.0, "d": -1, "e": "", "0": None, "x": "five"},
    "Open": {"a": True, "b": "yes", "c": False, "d": "No", "e": "", "0": None},
    "Start": {"a": "2020-01-01", "b": "2020-06-01T12:00:00.000Z", "c": 1577836800000, "e": "", "0": None},
    "Where": {"a": NEW_YORK, "b": NEWARK, "c": BERLIN, "d": SOMEWHERE, "e": "", "0": None},
    "Photo": {"a": "//x/a.png", "b": "//x/b.png", "e": "", "0": None},
    "Plan": {"a": "//x/a.pdf", "b": "//x/b.pdf", "e": "", "0": None},
    "Owner": {"a": TONY, "b": 12, "e": "", "0": None},
    "Parent": {"a": UNIT, "b": OTHER, "e": "", "0": None},
    "Status": {"a": "Open", "b": "Closed", "e": "", "0": None},
    "Tags": {"a": ["x", "y"], "b": ["y"], "c": "x", "e": [], "0": None},
    "Sizes": {"a": [1, 2], "b": ["2", 3], "e": [], "0": None},
    "Days": {"a": ["2020-01-01"], "b": [0, "2020-01-01"], "e": [], "0": None},
    "Flags": {"a": [True], "b": [False, "yes"], "e": [], "0": None},
    "Places": {"a": [NEW_YORK, BERLIN], "b": [NEWARK], "e": [], "0": None},
    "Owners": {"a": [TONY], "b": [TONY, "u2"], "e": [], "0": None},
    "Units": {"a": [UNIT, OTHER], "b": [OTHER], "e": [], "0": None},
    "States": {"a": ["Open"], "b": ["Open", "Closed"], "e": [], "0": None},
    "Photos": {"a": ["//x/a.png"], "b": ["//x/b.png"], "e": [], "0": None},
}
"""What some things hold in each field, by a letter; `-` is a thing without the field."""

CASES: dict[str, list[tuple[str, Any, str]]] = {
    "Name": [
        ("equals", "Peppers", "b"),
        ("equals", "peppers", ""),
        ("equals", "12", "n"),
        ("equals", "", "e0-"),
        ("equals", None, "e0-"),
        ("not equal", "Peppers", "acne0-"),
        ("in", ["Peppers", "12"], "bn"),
        ("in", [], ""),
        ("not in", ["Peppers", "12"], "ace0-"),
        ("text contains", "cat hat", "a"),
        ("text contains", "hat cat", "a"),
        ("text contains", "the hat cat", "a"),
        ("text contains", "CATS", "ac"),
        ("text contains", "pepper", "b"),
        ("text contains", "pepp", ""),
        ("text contains", "12", "n"),
        ("text contains", "the", ""),
        ("text contains", "", ""),
        ("not text contains", "cat", "bne0-"),
        ("not text contains", "the", "abcne0-"),
        ("greater than", "Peppers", "ac"),
        ("greater than", "the cat in the hat", "c"),
        ("greater than", "", "abcn"),
        ("less than", "", ""),
        ("less than", "Q", "bn"),
    ],
    "Size": [
        ("equals", 3, "ac"),
        ("equals", "3", "ac"),
        ("equals", 10, "b"),
        ("not equal", "3", "bde0x-"),
        ("in", [3, "10"], "abc"),
        ("not in", [3, "10"], "de0x-"),
        ("greater than", "3", "b"),
        ("greater than", 2.5, "abc"),
        ("less than", 3, "d"),
        ("less than", 10**30, "abcd"),
    ],
    "Open": [
        ("equals", True, "ab"),
        ("equals", "True", "ab"),
        ("equals", "yes", "ab"),
        ("equals", "false", "cde0-"),
        ("not equal", True, "cde0-"),
        ("not equal", False, "ab"),
        ("in", [True, False], "abcde0-"),
        ("in", ["no"], "cde0-"),
        ("not in", [False], "ab"),
    ],
    "Start": [
        ("equals", "2020-01-01T00:00:00.000Z", "ac"),
        ("equals", 1577836800000, "ac"),
        ("equals", "1577836800000", "ac"),
        ("equals", "01/01/2020", "ac"),
        ("not equal", "2020-01-01", "be0-"),
        ("in", ["2020-01-01"], "ac"),
        ("not in", ["2020-01-01"], "be0-"),
        ("greater than", "2020-01-02T00:00:00.000000Z", "b"),
        ("less than", "2020-06-01T12:00:00.001Z", "abc"),
    ],
    "Where": [
        ("equals", "Berlin", "c"),
        ("equals", NEW_YORK, "a"),
        ("equals", {"lat": 52.52, "lng": 13.405}, "c"),
        ("equals", {"address": "Berlin", "lat": 0, "lng": 0}, ""),
        ("not equal", "Berlin", "abde0-"),
        ("in", ["Berlin", NEWARK], "bc"),
        ("not in", ["Berlin", NEWARK], "ade0-"),
        ("geographic_search", {"origin_address": "New York", "range": 10}, "ab"),
        ("geographic_search", {"origin_address": "New York", "range": "10", "unit": "miles"}, "ab"),
        ("geographic_search", {"origin_address": "New York", "range": 10, "unit": "km"}, "a"),
        ("geographic_search", {"origin_address": "New York", "range": 0}, "a"),
        ("geographic_search", {"origin_address": "Berlin", "range": 20_000, "unit": "km"}, "abc"),
    ],
    "Photo": [
        ("equals", "//x/a.png", "a"),
        ("not equal", "//x/a.png", "be0-"),
        ("in", ["//x/a.png", "z"], "a"),
        ("not in", ["//x/a.png"], "be0-"),
    ],
    "Plan": [
        ("equals", "//x/a.pdf", "a"),
        ("not equal", "//x/a.pdf", "be0-"),
        ("in", ["//x/a.pdf"], "a"),
        ("not in", ["//x/a.pdf"], "be0-"),
    ],
    "Owner": [
        ("equals", TONY, "a"),
        ("equals", "12", "b"),
        ("equals", "", "e0-"),
        ("not equal", TONY, "be0-"),
        ("in", [TONY, "12"], "ab"),
        ("not in", [TONY], "be0-"),
    ],
    "Parent": [
        ("equals", UNIT, "a"),
        ("not equal", UNIT, "be0-"),
        ("in", [UNIT, OTHER], "ab"),
        ("in", ["gone"], ""),
        ("not in", [UNIT], "be0-"),
    ],
    "Status": [
        ("equals", "Open", "a"),
        ("not equal", "Open", "be0-"),
        ("in", ["Open", "Closed"], "ab"),
        ("not in", ["Open"], "be0-"),
    ],
    "Tags": [
        ("equals", ["x", "y"], "a"),
        ("equals", ["y", "x"], ""),
        ("equals", ["x"], "c"),
        ("equals", [], "e0-"),
        ("not equal", ["y"], "ace0-"),
        ("in", [["y"], ["x"]], "bc"),
        ("not in", [["y"]], "ace0-"),
        ("contains", "x", "ac"),
        ("contains", "z", ""),
        ("not contains", "x", "be0-"),
    ],
    "Sizes": [
        ("equals", [1, "2"], "a"),
        ("not equal", [1, 2], "be0-"),
        ("in", [[2, 3]], "b"),
        ("not in", [[2, 3]], "ae0-"),
        ("contains", 2, "ab"),
        ("contains", "3", "b"),
        ("not contains", 1, "be0-"),
    ],
    "Days": [
        ("equals", ["2020-01-01"], "a"),
        ("not equal", ["2020-01-01"], "be0-"),
        ("in", [["2020-01-01"]], "a"),
        ("not in", [["2020-01-01"]], "be0-"),
        ("contains", 0, "b"),
        ("not contains", "1970-01-01", "ae0-"),
    ],
    "Flags": [
        ("equals", [True], "a"),
        ("not equal", [True], "be0-"),
        ("in", [[False, True]], "b"),
        ("not in", [[True]], "be0-"),
        ("contains", "no", "b"),
        ("not contains", False, "ae0-"),
    ],
    "Places": [
        ("equals", [NEWARK], "b"),
        ("not equal", [NEWARK], "ae0-"),
        ("in", [[NEWARK]], "b"),
        ("not in", [[NEWARK]], "ae0-"),
        ("contains", "Berlin", "a"),
        ("contains", NEWARK, "b"),
        ("contains", {"address": "New York", "lat": 52.52, "lng": 13.405}, ""),
        ("not contains", "Berlin", "be0-"),
    ],
    "Owners": [
        ("equals", [TONY], "a"),
        ("not equal", [TONY], "be0-"),
        ("in", [[TONY]], "a"),
        ("not in", [[TONY]], "be0-"),
        ("contains", TONY, "ab"),
        ("not contains", "u2", "ae0-"),
    ],
    "Units": [
        ("equals", [OTHER], "b"),
        ("not equal", [OTHER], "ae0-"),
        ("in", [[OTHER]], "b"),
        ("not in", [[OTHER]], "ae0-"),
        ("contains", OTHER, "ab"),
        ("not contains", UNIT, "be0-"),
    ],
    "States": [
        ("equals", ["Open"], "a"),
        ("not equal", ["Open"], "be0-"),
        ("in", [["Open"]], "a"),
        ("not in", [["Open"]], "be0-"),
        ("contains", "Closed", "b"),
        ("not contains", "Closed", "ae0-"),
    ],
    "Photos": [
        ("equals", ["//x/a.png"], "a"),
        ("not equal", ["//x/a.png"], "be0-"),
        ("in", [["//x/b.png"]], "b"),
        ("not in", [["//x/b.png"]], "ae0-"),
        ("contains", "//x/b.png", "b"),
        ("not contains", "//x/b.png", "ae0-"),
    ],
}
"""For each field: constraint type, value, and the things that are found."""

EMPTY = {caption: "e0x-" if caption == "Size" else "e0-" for caption in FIELDS}
OFFERED = {
    caption: {"equals", "not equal", "in", "not in", "is_empty", "is_not_empty"}
    | ({"contains", "not contains", "empty", "not empty"} if kind.startswith("list.") else set())
    | ({"greater than", "less than"} if kind in ("text", "number", "date") else set())
    | ({"text contains", "not text contains"} if kind == "text" else set())
    | ({"geographic_search"} if kind == "geographic_address" else set())
    for caption, kind in FIELDS.items()
}
"""What can be asked of each field (reference/bubble.md §7)."""


def things(caption: str) -> list[Entry]:
    rows = [thing({caption: value}, f"units/{letter}") for letter, value in STORED[caption].items()]
    return [*rows, thing({}, "units/-")]


def reading(live: bool = False) -> Reading:
    of = catalogue(units(), users())
    known = {UNIT, OTHER, TONY}
    exists = (lambda kind, identity: identity in known) if live else None
    return Reading(of.types["rentalunit"], of, analyse, PLACES.get, exists)


def found(entries: list[Entry], search: Search, live: bool = False) -> list[str]:
    """The names of the things that a search finds, by the evaluator alone."""
    how = reading(live)

    def index(query: Query) -> Result:
        kept = [entry for entry in entries if matches(query.where, entry)]
        for order in reversed(query.order):
            kept.sort(key=lambda e: order.index.key(order.field.read(e)), reverse=order.descending)
        stop = None if query.limit is None else query.offset + query.limit
        return Result(kept[query.offset : stop], len(kept))

    page = run(search, how, how.thing_type.policy.grants(ADMIN), index)
    return [entry.name for entry in page.entries]


def asked(caption: str, name: str, *value: Any, live: bool = False) -> set[str]:
    constraint = {"key": caption, "constraint_type": name, **({"value": value[0]} if value else {})}
    return set(found(things(caption), Search(constraints=(constraint,)), live))


@pytest.mark.parametrize(
    ("caption", "name", "value", "letters"),
    [(caption, *case) for caption, cases in CASES.items() for case in cases],
)
def test_constraint(caption: str, name: str, value: Any, letters: str) -> None:
    assert asked(caption, name, value) == set(letters)


@pytest.mark.parametrize("caption", FIELDS)
def test_empty_and_not_empty(caption: str) -> None:
    empty = set(EMPTY[caption])
    everything = {*STORED[caption], "-"}
    names = [("is_empty", "is_not_empty")]
    if FIELDS[caption].startswith("list."):
        names.append(("empty", "not empty"))
    for is_empty, is_not_empty in names:
        assert asked(caption, is_empty) == empty
        assert asked(caption, is_empty, "") == empty
        assert asked(caption, is_not_empty) == everything - empty


@pytest.mark.parametrize("caption", FIELDS)
def test_each_constraint_type_is_tried_or_not_offered(caption: str) -> None:
    tried = {name for name, _, _ in CASES[caption]} | {"is_empty", "is_not_empty"}
    if FIELDS[caption].startswith("list."):
        tried |= {"empty", "not empty"}
    assert tried == OFFERED[caption]


@pytest.mark.parametrize(
    ("caption", "name"),
    [
        (caption, name)
        for caption in FIELDS
        for name in (*CONSTRAINT_TYPES, "contain", "Equals", "")
        if name not in OFFERED[caption]
    ],
)
def test_constraint_types_that_the_field_does_not_have(caption: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(caption, name, "x")
    field = reading().thing_type.find(caption)
    assert field is not None
    message = f"Constraint type not found {name} for field {field.id} and type rentalunit"
    assert (refused.value.http, refused.value.code, refused.value.message) == (404, "NOT_FOUND", message)


@pytest.mark.parametrize(("caption", "name"), [(c, n) for c in FIELDS for n in sorted(OFFERED[c])])
def test_a_constraint_without_a_value_is_ignored(caption: str, name: str) -> None:
    if name in ("is_empty", "is_not_empty", "empty", "not empty"):
        assert asked(caption, name) != {*STORED[caption], "-"}
    else:
        assert asked(caption, name) == {*STORED[caption], "-"}


@pytest.mark.parametrize(
    ("caption", "name", "value"),
    [
        ("Name", "equals", 5),
        ("Name", "text contains", 5),
        ("Name", "text contains", None),
        ("Name", "text contains", "x " * 501),
        ("Name", "greater than", None),
        ("Name", "in", "Peppers"),
        ("Name", "in", None),
        ("Name", "in", [5]),
        ("Size", "equals", ""),
        ("Size", "equals", "five"),
        ("Size", "equals", True),
        ("Size", "greater than", None),
        ("Size", "in", ["x"]),
        ("Size", "equals", [3]),
        ("Open", "equals", "maybe"),
        ("Open", "equals", 1),
        ("Start", "equals", "soon"),
        ("Start", "greater than", ""),
        ("Start", "less than", {}),
        ("Where", "equals", 5),
        ("Where", "equals", {"nothing": 1}),
        ("Where", "geographic_search", "New York"),
        ("Where", "geographic_search", {}),
        ("Where", "geographic_search", {"origin_address": "New York"}),
        ("Where", "geographic_search", {"range": 10}),
        ("Where", "geographic_search", {"origin_address": 5, "range": 10}),
        ("Where", "geographic_search", {"origin_address": "New York", "range": "far"}),
        ("Where", "geographic_search", {"origin_address": "New York", "range": -1}),
        ("Where", "geographic_search", {"origin_address": "New York", "range": 1, "unit": "ells"}),
        ("Where", "geographic_search", {"origin_address": "New York", "range": 1, "unit": ["km"]}),
        ("Where", "geographic_search", {"origin_address": "Atlantis", "range": 1}),
        ("Owner", "equals", 12),
        ("Owner", "equals", {}),
        ("Status", "equals", "open"),
        ("Status", "in", ["Open", "x"]),
        ("Tags", "equals", "x"),
        ("Tags", "contains", ["x"]),
        ("Tags", "in", ["x"]),
        ("Sizes", "contains", "x"),
        ("Photo", "equals", {}),
    ],
)
def test_values_of_the_wrong_type(caption: str, name: str, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        asked(caption, name, value)
    assert (refused.value.http, refused.value.code) == (400, "INVALID_DATA")


def test_live_mode_refuses_to_compare_with_a_thing_that_does_not_exist() -> None:
    with pytest.raises(Refused) as refused:
        asked("Parent", "equals", "gone", live=True)
    assert (refused.value.http, refused.value.code) == (400, "MISSING_DATA")
    assert refused.value.message == "object with this id does not exist: gone"
    assert asked("Parent", "in", ["gone"], live=True) == set()
    assert asked("Parent", "equals", UNIT, live=True) == {"a"}


def test_ids_and_dates_that_every_thing_has() -> None:
    entries = [thing({}, f"units/{name}", created_at=f"2020-01-0{name}T00:00:00.000Z") for name in "123"]

    def ask(key: str, name: str, value: Any) -> list[str]:
        return found(entries, Search(constraints=({"key": key, "constraint_type": name, "value": value},)))

    assert ask("_id", "equals", "2") == ["2"]
    assert ask("_id", "in", ["1", "3", "x"]) == ["1", "3"]
    assert ask("_id", "in", ["0x0"]) == []
    assert ask("createddate", "greater than", "2020-01-01T12:00:00Z") == ["2", "3"]
    assert ask("Modified Date", "less than", 0) == []
    with pytest.raises(Refused, match="Constraint type not found text contains for field _id"):
        ask("_id", "text contains", "2")


def test_constraints_on_unknown_fields_are_refused() -> None:
    with pytest.raises(Refused) as refused:
        found([], Search(constraints=({"key": "z", "constraint_type": "in"},)))
    assert (refused.value.http, refused.value.code) == (400, "ERROR")
    assert refused.value.message == "Unrecognized field: z"


def test_all_searches_every_text_of_a_thing() -> None:
    rows: dict[str, dict[str, Any]] = {
        "name": {"Name": "red houses"},
        "tags": {"Tags": ["a house", "red"]},
        "place": {"Where": {"address": "Red Square"}, "Name": "house"},
        "places": {"Places": [{"address": "red"}, {"address": "house"}]},
        "option": {"Status": "Open", "Name": "red"},
        "file": {"Plan": "red house"},
        "undeclared": {"Nothing": "red house"},
    }
    entries = [thing(row, f"units/{name}") for name, row in rows.items()]

    def ask(name: str, value: Any) -> set[str]:
        return set(
            found(entries, Search(constraints=({"key": "_all", "constraint_type": name, "value": value},)))
        )

    assert ask("text contains", "the red house") == {"name", "tags", "place", "places"}
    assert ask("text contains", "open") == {"option"}
    assert ask("not text contains", "red") == {"file", "undeclared"}
    assert ask("text contains", "the") == set()
    assert ask("not text contains", "the") == set(rows)
    with pytest.raises(Refused, match="Constraint type not found equals for field _all and type rentalunit"):
        ask("equals", "red")
    with pytest.raises(Refused, match="Expected a string"):
        ask("text contains", 5)


@pytest.mark.parametrize(
    "forms",
    [
        "run runs running",
        "stop stops stopped stopping",
        "plan plans planned planning",
        "control controls controlled controlling",
        "operate operates operated operating operation",
        "size sizes sized sizing",
        "tie ties tied tying",
        "study studies studied studying",
        "pepper peppers peppered",
    ],
)
def test_the_forms_of_a_word_are_found_by_each_other(forms: str) -> None:
    things = [thing({"Name": f"They are {form}!"}, f"units/{form}") for form in forms.split()]
    for form in forms.split():
        constraint = {"key": "Name", "constraint_type": "text contains", "value": form.upper()}
        names = found([*things, thing({"Name": "another"}, "units/-")], Search(constraints=(constraint,)))
        assert names == forms.split()


# --- parameters -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "search"),
    [
        ({}, Search()),
        ({"cursor": "", "limit": "", "constraints": "", "sort_field": ""}, Search()),
        ({"cursor": "5", "limit": "10"}, Search(cursor=5, limit=10)),
        ({"cursor": 5, "limit": 0}, Search(cursor=5, limit=0)),
        ({"limit": "101"}, Search(limit=100)),
        ({"limit": "2147483647"}, Search(limit=100)),
        ({"constraints": "[]"}, Search()),
        ({"exclude_remaining": "true"}, Search(count_remaining=False)),
        ({"exclude_remaining": "False"}, Search()),
        ({"geo_reference": ""}, Search()),
        (
            {"sort_field": "_random_sorting", "additional_sort_fields": '[{"sort_field":"x"}]'},
            Search(random=True),
        ),
        *(
            ({"sort_field": "_random_sorting", "additional_sort_fields": junk}, Search(random=True))
            for junk in ("[1]", '[{"x":1}]', "x", {"x": 1}, '[{"sort_field":"x","descending":"maybe"}]')
        ),
        ({"descending": "True"}, Search()),
    ],
)
def test_parameters_of_a_search(parameters: dict[str, Any], search: Search) -> None:
    assert parse_search(parameters) == search


def test_sort_parameters() -> None:
    more = '[{"sort_field":"unitname","descending":"false"},{"sort_field":"x","descending":true}]'
    search = parse_search({"sort_field": "a", "descending": "True", "additional_sort_fields": more})
    assert [(sort.key, sort.descending) for sort in search.sorts] == [
        ("a", True),
        ("unitname", False),
        ("x", True),
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        {"cursor": "-1"},
        {"cursor": "1.5"},
        {"cursor": "x"},
        {"cursor": "9" * 30},
        {"limit": "-1"},
        {"limit": "１"},
        {"limit": [1]},
        {"constraints": "["},
        {"constraints": "{}"},
        {"constraints": "[1]"},
        {"constraints": '[{"key":"a"}]'},
        {"constraints": '[{"key":1,"constraint_type":"equals"}]'},
        {"constraints": "[" * 100_000},
        {"constraints": '["\\ud800"]'},
        {"constraints": [{"key": "a", "constraint_type": "equals"}] * 501},
        {"descending": "maybe", "sort_field": "a"},
        {"exclude_remaining": "maybe"},
        {"sort_field": ["a"]},
        {"sort_field": "a", "additional_sort_fields": "x"},
        {"sort_field": "a", "additional_sort_fields": "[{}]"},
        {"sort_field": "a", "additional_sort_fields": [{"sort_field": "x"}] * 11},
        {"geo_reference": 5},
    ],
)
def test_parameters_that_cannot_be_used(parameters: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        parse_search(parameters)
    assert (refused.value.http, refused.value.code) == (400, "INVALID_DATA")


# --- order ------------------------------------------------------------------------------------------------


def ordered(caption: str, **parameters: Any) -> str:
    search = parse_search({"sort_field": caption, **parameters})
    return "".join(found(things(caption), search))


@pytest.mark.parametrize(
    ("caption", "parameters", "letters"),
    [
        ("Name", {}, "nbace0-"),
        ("Name", {"descending": "true"}, "e0-cabn"),
        ("Size", {}, "dacbe0x-"),
        ("Size", {"descending": True}, "e0x-bacd"),
        ("Open", {}, "cde0-ab"),
        ("Start", {}, "acbe0-"),
        ("Owner", {}, "bae0-"),
        ("Status", {}, "bae0-"),
        ("Where", {"geo_reference": "Berlin"}, "cabde0-"),
        ("Where", {"geo_reference": "New York", "descending": "true"}, "de0-cba"),
        ("_id", {}, "-0abcen"),
    ],
)
def test_order(caption: str, parameters: dict[str, Any], letters: str) -> None:
    if caption == "_id":
        assert "".join(found(things("Name"), parse_search({"sort_field": "_id"}))) == letters
    else:
        assert ordered(caption, **parameters) == letters


@pytest.mark.parametrize(
    ("caption", "parameters"),
    [("Tags", {}), ("Where", {}), ("Where", {"geo_reference": "Atlantis"}), ("Nothing", {})],
)
def test_orders_that_there_are_none(caption: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        found([], parse_search({"sort_field": caption, **parameters}))
    assert refused.value.http == 400


def test_random_order_holds_all_things_and_is_paged() -> None:
    entries = [thing({}, f"units/{number}") for number in range(200)]
    first = found(entries, parse_search({"sort_field": "_random_sorting"}))
    second = found(entries, parse_search({"sort_field": "_random_sorting"}))
    assert len(set(first)) == 100
    assert first != second


def test_the_default_order_is_that_of_creation() -> None:
    days = {"a": 3, "b": 1, "c": 2}
    entries = [
        thing({}, f"units/{name}", created_at=f"2020-01-0{day}T00:00:00Z") for name, day in days.items()
    ]
    assert found(entries, Search()) == ["b", "c", "a"]


def test_pages_end_at_fifty_thousand() -> None:
    entries = [thing({}, f"units/{number}") for number in range(3)]
    assert found(entries, Search(cursor=50_000)) == []
    assert found(entries, Search(cursor=10**18)) == []


def test_great_circle_distances() -> None:
    assert distance_km(0, 0, 0, 0) == 0
    assert distance_km(52.52, 13.405, 48.8566, 2.3522) == pytest.approx(877.5, abs=1)
    assert distance_km(0, 179, 0, -179) == pytest.approx(222.4, abs=0.1)
    assert distance_km(90, 0, -90, 123) == pytest.approx(20_015, abs=1)
