"""Query strings with brackets, parsed as PHP does."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.dialects.flextype.querystring import (
    MAX_DEPTH,
    MAX_VARIABLES,
    QueryTooLarge,
    as_list,
    parse_query,
    with_lists,
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", {}),
        ("&&", {}),
        ("id=movies&token=abc", {"id": "movies", "token": "abc"}),
        ("id", {"id": ""}),
        ("id=", {"id": ""}),
        ("=1", {}),
        ("a=1&a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=Cathy+Yan", {"a": "Cathy Yan"}),
        ("a=%43athy%20Yan%2B", {"a": "Cathy Yan+"}),
        ("a=F%C3%B2", {"a": "Fò"}),
        ("a=100%&b=%zz", {"a": "100%", "b": "%zz"}),
        ("a=;b=2", {"a": ";b=2"}),
        ("a[b][c]=1&a[b][d]=2&a[e]=3", {"a": {"b": {"c": "1", "d": "2"}, "e": "3"}}),
        ("a%5Bb%5D%5Bc%5D=1", {"a": {"b": {"c": "1"}}}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[5]=1&a[]=2", {"a": {"5": "1", "6": "2"}}),
        ("a[x]=1&a[]=2", {"a": {"x": "1", "0": "2"}}),
        ("a[05]=1&a[]=2", {"a": {"05": "1", "0": "2"}}),
        ("a[-3]=1&a[]=2", {"a": {"-3": "1", "0": "2"}}),
        ("a[][k]=1&a[][k]=2", {"a": {"0": {"k": "1"}, "1": {"k": "2"}}}),
        ("a[9223372036854775807]=1&a[]=2", {"a": {"9223372036854775807": "1"}}),
        ("a[9223372036854775807]=1&a[][b]=2", {"a": {"9223372036854775807": "1"}}),
        ("a[9223372036854775808]=1&a[]=2", {"a": {"9223372036854775808": "1", "0": "2"}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=2&a=1", {"a": "1"}),
        ("a[b]=1&a[b][c]=2", {"a": {"b": {"c": "2"}}}),
        ("a[]=1&a=x&a[]=2", {"a": {"0": "2"}}),
        ("b=1&a=2&b=3", {"b": "3", "a": "2"}),
        ("a.b=1&c%20d=2", {"a_b": "1", "c_d": "2"}),
        ("a[b.c d]=1", {"a": {"b.c d": "1"}}),
        ("%20%20a=1", {"a": "1"}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b][c=1", {"a": {"b": "1"}}),
        ("a]=1", {"a]": "1"}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a[b]c[d]=1", {"a": {"b": "1"}}),
        ("a[b[c]=1", {"a": {"b[c": "1"}}),
        ("a[ ]=1", {"a": {"0": "1"}}),
        ("a[ b]=1", {"a": {" b": "1"}}),
        ("a[]]=1", {"a": {"0": "1"}}),
        ("[a]=1", {}),
        ("a[]b", {"a": {"0": ""}}),
        ("a%00b=1%00", {"a": "1\0"}),
        ("__proto__[x]=1&__class__=2", {"__proto__": {"x": "1"}, "__class__": "2"}),
    ],
)
def test_variables(raw: str, expected: dict[str, Any]) -> None:
    parsed = parse_query(raw)
    assert parsed == expected
    assert list(parsed) == list(expected)
    assert parse_query(raw.encode()) == expected


def test_the_condition_of_the_documentation() -> None:
    raw = (
        "id=movies&options[collection]=true&options[filter][where][0][key]=director"
        "&options[filter][where][9][operator]=eq&options[filter][where][0][value]=Cathy+Yan&token=6f04"
    )
    assert parse_query(raw) == {
        "id": "movies",
        "options": {
            "collection": "true",
            "filter": {"where": {"0": {"key": "director", "value": "Cathy Yan"}, "9": {"operator": "eq"}}},
        },
        "token": "6f04",
    }


@pytest.mark.parametrize("raw", [b"a=%ff%fe", b"a=\xff\xfe", "a=\xff\xfe", b"a=%ed%a0%80"])
def test_what_is_not_utf8_becomes_replacement_characters(raw: bytes | str) -> None:
    assert set(parse_query(raw)["a"]) == {"\ufffd"}


def test_wsgi_text_stands_for_bytes() -> None:
    assert parse_query("a=Fò".encode().decode("latin-1")) == {"a": "Fò"}
    assert parse_query("a=€") == {"a": "€"}


def test_as_many_variables_as_php_takes() -> None:
    taken = "&".join(f"a[]={i}" for i in range(MAX_VARIABLES))
    assert len(parse_query(taken)["a"]) == MAX_VARIABLES
    with pytest.raises(QueryTooLarge) as caught:
        parse_query(taken + "&b=1")
    assert caught.value.limit == MAX_VARIABLES


def test_as_deep_as_php_goes() -> None:
    value = parse_query("a" + "[b]" * MAX_DEPTH + "=1")
    for _ in range(MAX_DEPTH):
        value = next(iter(value.values()))
    assert value == {"b": "1"}
    for deeper in ("[b]", "[]", "[b"):
        with pytest.raises(QueryTooLarge) as caught:
            parse_query("a" + "[b]" * MAX_DEPTH + deeper + "=1")
        assert caught.value.limit == MAX_DEPTH


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ({"0": "a", "1": "b"}, ["a", "b"]),
        ({"1": "b", "0": "a"}, {"1": "b", "0": "a"}),
        ({"0": "a", "2": "b"}, {"0": "a", "2": "b"}),
        ({"00": "a"}, {"00": "a"}),
        ({"a": {"0": {"b": {"0": "c"}}}}, {"a": [{"b": ["c"]}]}),
        ({}, {}),
        (None, None),
    ],
)
def test_lists_among_the_maps(value: Any, expected: Any) -> None:
    assert with_lists(value) == expected


def test_values_of_an_array() -> None:
    assert as_list({"x": "a", "y": "b"}) == ["a", "b"]
    assert as_list(["a"]) == ["a"]
    assert as_list("a") == ["a"]
    assert as_list(None) == []


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]. \0"), min_size=1, max_size=6)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.dictionaries(names, texts, max_size=5))
def test_what_was_encoded_is_read_back(variables: dict[str, str]) -> None:
    assert parse_query(urlencode(variables)) == variables


@given(st.lists(st.text("ab0[]. =&%+5d\0\xff", max_size=12), max_size=6))
def test_any_text_is_read(pieces: list[str]) -> None:
    raw = "&".join(pieces)
    assert parse_query(raw) == parse_query(raw.encode("latin-1"))
    for text in (quote(raw), raw):
        assert all(isinstance(key, str) and key for key in parse_query(text))
