"""Each constraint type on each type of field, on things whose field is filled in, empty and missing."""

from __future__ import annotations

from typing import Any

import pytest
from bubble_samples import FIELDS, OTHER, TONY, UNIT, thing
from bubble_stored import NEW_YORK, NEWARK, STORED, found, reading, things

from flatdata.dialects.bubble.errors import Refused
from flatdata.dialects.bubble.parameters import Search
from flatdata.query.bubble import CONSTRAINT_TYPES

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


EMPTY = {caption: "e0x-" if caption == "Size" else "e0-" for caption in FIELDS}
OFFERED = {
    caption: {"equals", "not equal", "in", "not in", "is_empty", "is_not_empty"}
    | ({"contains", "not contains", "empty", "not empty"} if kind.startswith("list.") else set())
    | ({"greater than", "less than"} if kind in ("text", "number", "date") else set())
    | ({"text contains", "not text contains"} if kind == "text" else set())
    | ({"geographic_search"} if kind == "geographic_address" else set())
    for caption, kind in FIELDS.items()
}


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
