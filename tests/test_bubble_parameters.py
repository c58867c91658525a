"""The parameters of a Bubble search, and the order of what it finds."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import pytest
from bubble_samples import thing
from bubble_stored import found, things
from hypothesis import given
from hypothesis import strategies as st

from flatdata.dialects.bubble.errors import Refused
from flatdata.dialects.bubble.parameters import Search, parse_search, without_escapes
from flatdata.query.bubble import distance_km

# --- parameters --------------------------------------------------------------------------------------


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


# --- order -------------------------------------------------------------------------------------------


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


# --- the query string ---------------------------------------------------------------------------------

PIECES = (
    "%22",
    "%7B",
    "%7b",
    "%5D",
    "%20",
    "%25",
    "%26",
    "%3D",
    "%2B",
    "%C3%A9",
    "%E9",
    "%2",
    "%",
    *'25BC&=+x"',
)


@given(st.lists(st.sampled_from(PIECES), min_size=9, max_size=40).map("".join))
def test_a_query_means_the_same_without_the_escapes_of_json(query: str) -> None:
    def read(text: bytes) -> list[tuple[str, str]]:
        return parse_qsl(text.decode(), keep_blank_values=True, errors="replace")

    assert read(without_escapes(query.encode())) == read(query.encode())


def test_the_escapes_of_json_are_taken_out_of_a_query() -> None:
    query = quote('[{"key":"a b","constraint_type":"equals"}]')
    assert without_escapes(query.encode()) == unquote(query).encode()
