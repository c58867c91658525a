"""Every hint of the Fliplet operators holds all records that match, and only those in its exact parts.

Hints are read here by a small interpreter of their own, over postings made by calling the index kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sift_strategies import documents, filter_items, wheres

from flatdata.query.evaluate import matches
from flatdata.query.sift import parse_where, plain_field
from flatdata.query.tree import (
    All,
    AllHints,
    AnyHint,
    AnyOf,
    Condition,
    Containing,
    Everything,
    Field,
    Hint,
    Keyed,
    Node,
    NoHint,
    Nothing,
    Ranged,
)

Found = tuple[frozenset[int], frozenset[int]]
"""Positions of records that surely match, and of those that may."""


def strings_in(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


def lookup(hint: Hint, field: Field, records: list[Any]) -> Found:
    everyone = frozenset(range(len(records)))
    values = [field.read(record) for record in records]
    if isinstance(hint, Keyed):
        wanted = set(hint.keys)
        found = frozenset(
            n for n, value in enumerate(values) if not wanted.isdisjoint(hint.index.keys(value))
        )
        return (found if hint.exact else frozenset()), found
    if isinstance(hint, Ranged):
        keys = {n: key for n, value in enumerate(values) if (key := hint.index.key(value)) is not None}
        found = frozenset(n for n, key in keys.items() if lies_within(key, hint))
        return (found if hint.exact else frozenset()), found
    if isinstance(hint, Containing):
        found = frozenset(
            n for n, v in enumerate(values) if any(hint.needle in s.casefold() for s in strings_in(v))
        )
        certain = frozenset[int]()
        if hint.plain is not None and re.fullmatch(r"\w+", hint.needle):
            certain = lookup(hint.plain, field, records)[0] & found
        return certain, found
    if isinstance(hint, Everything):
        return (everyone if hint.exact else frozenset()), everyone
    if isinstance(hint, Nothing):
        return frozenset(), frozenset()
    if isinstance(hint, NoHint):
        certain, possible = lookup(hint.hint, field, records)
        return everyone - possible, everyone - certain
    assert isinstance(hint, AnyHint | AllHints)
    parts = [lookup(part, field, records) for part in hint.hints]
    return combine(parts, everyone, union=isinstance(hint, AnyHint))


def lies_within(key: Any, hint: Ranged) -> bool:
    above = hint.low is None or (key > hint.low if hint.low_open else key >= hint.low)
    return above and (hint.high is None or (key < hint.high if hint.high_open else key <= hint.high))


def combine(parts: list[Found], everyone: frozenset[int], union: bool) -> Found:
    if union:
        return frozenset().union(*(p[0] for p in parts)), frozenset().union(*(p[1] for p in parts))
    return everyone.intersection(*(p[0] for p in parts)), everyone.intersection(*(p[1] for p in parts))


def plan(node: Node, records: list[Any]) -> Found:
    """Find candidates for a tree as the index does: each condition by its hint."""
    everyone = frozenset(range(len(records)))
    if isinstance(node, Condition):
        return lookup(node.operator.hint(node.operand), node.field, records)
    if isinstance(node, All | AnyOf):
        return combine([plan(part, records) for part in node.parts], everyone, union=isinstance(node, AnyOf))
    certain, possible = plan(node.part, records)
    return everyone - possible, everyone - certain


def assert_hints_hold(node: Node, records: list[Any]) -> None:
    certain, possible = plan(node, records)
    found = {n for n, record in enumerate(records) if matches(node, record)}
    assert certain <= found <= possible


@settings(max_examples=400)
@given(wheres, st.lists(documents, min_size=1, max_size=8))
def test_hints_of_where_hold_what_matches(where: Any, records: list[Any]) -> None:
    assert_hints_hold(parse_where(where, plain_field), records)


@settings(max_examples=300)
@given(st.lists(filter_items, min_size=1, max_size=2), st.lists(documents, min_size=1, max_size=8))
def test_hints_of_filters_hold_what_matches(items: Any, records: list[Any]) -> None:
    assert_hints_hold(parse_where({"$filters": items}, plain_field), records)


def test_simple_conditions_need_no_second_look() -> None:
    records = [{"a": value} for value in ("x", "y", 1, "1", True, None, 20, "30 kg")] + [{}]
    for where in (
        {"a": "x"},
        {"a": 1},
        {"a": None},
        {"a": {"$in": ["x", 1]}},
        {"a": {"$gt": 10}},
        {"a": {"$ne": 1}},
        {"a": {"$nin": ["x", 1]}},
        {"a": {"$iLike": "X"}},
        {"$filters": [{"column": "a", "condition": "contains", "value": "kg"}]},
        {"$filters": [{"column": "a", "condition": "notcontain", "value": "kg"}]},
    ):
        node = parse_where(where, plain_field)
        certain, possible = plan(node, records)
        assert certain == possible == {n for n, record in enumerate(records) if matches(node, record)}


def test_hints_hold_where_a_path_goes_on_behind_a_null_in_a_list() -> None:
    values = [
        None,
        [],
        [None],
        [None, None],
        [None, {"b": 1}],
        [{"b": None}],
        [[None]],
        [[], [None]],
        {"b": 1},
    ]
    records = [{"a": value} for value in values] + [{}]
    operands: dict[str, list[Any]] = {
        "$eq": [None, "null", 1],
        "$ne": [None, "null", 1],
        "$in": [[None], ["null"], [1]],
        "$nin": [[None], ["null"], [1]],
        "$exists": [True, False],
        "$like": ["null", "1"],
        "$gte": [0],
        "$mod": [[2, 0]],
        "$match": [None],
    }
    for path in ("a.b", "a.b.c", "a.0", "a.0.b"):
        for query in ({name: operand} for name, each in operands.items() for operand in each):
            for where in (
                {path: query},
                {path: {"$not": query}},
                {path: {"c": query}},
                {path: {**query, "$ne": 2}},
            ):
                assert_hints_hold(parse_where(where, plain_field), records)
        for condition in ("==", "!=", "contains", "notcontain", "oneof", "empty", "notempty", ">="):
            item = {"column": path, "condition": condition, "value": "1"}
            assert_hints_hold(parse_where({"$filters": [item]}, plain_field), records)
