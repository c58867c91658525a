"""Index hints of the PHP operators: never miss a match, and decide rightly wherever they decide."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdata.dialects.flextype.strtotime import calendar
from flatdata.query.php import DOCUMENTED, LIVE
from flatdata.query.php_dates import Moment
from flatdata.query.php_index import EXACT, KIND, NUMBERS, SORT, TEXTS
from flatdata.query.php_values import loose_compare, number_of, text_of
from flatdata.query.tree import (
    ABSENT,
    AllHints,
    AnyHint,
    Containing,
    Everything,
    Hint,
    Keyed,
    NoHint,
    Nothing,
    Operator,
    Ranged,
)

TRICKY_TEXTS = [
    *("", "0", "1", "-1", "00", "1.0", "1 ", " 1", "1e0", "10", "9", "9a", "1a", "1e400", "-1e400", "0x1"),
    *("true", "false", "True", "null", "a", "A", "ab", "abc", "é", "aé", "Fò", "FòôBar", "FòX", "ß", "ς"),
    *("\uffff", "\U0010ffff", "\ud7ff", "-", "+", ".", "/", "\0", "[", "^a", "a/b", "a|é", "1.0E+25"),
    *("2020-02-07", "@0", "@1", "@-5", "now", "tomorrow", "10:00", "garbage", "march", "9007199254740993"),
]
TRICKY_NUMBERS = [0, 1, -1, 9, 10, 2**53, 2**53 + 1, 2**63, 10**30, 10**450, 0.0, -0.0, 1.0, 0.1, 1e25, 1e-7]

texts = st.sampled_from(TRICKY_TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.sampled_from(TRICKY_NUMBERS) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
fields = st.just(ABSENT) | values
operands = texts | st.lists(texts, max_size=4) | st.dictionaries(texts, texts, max_size=3) | values
moments = st.builds(
    lambda now, zone, text: calendar(now, zone).moment(text),
    st.integers(-(10**9), 10**10),
    st.sampled_from([UTC, ZoneInfo("Europe/Berlin")]),
    texts,
)


def said(hint: Hint, value: Any) -> bool | None:
    """What a hint says of one value: it matches, it does not, or (None) the evaluator has to decide."""
    if isinstance(hint, Nothing):
        return False
    if isinstance(hint, Everything):
        return hint.exact or None
    if isinstance(hint, Keyed):
        return (hint.exact or None) if set(hint.index.keys(value)) & set(hint.keys) else False
    if isinstance(hint, Ranged):
        return (hint.exact or None) if _in_range(hint, hint.index.key(value)) else False
    if isinstance(hint, Containing):
        return None if _holds(value, hint.needle.casefold()) else False
    if isinstance(hint, NoHint):
        inner = said(hint.hint, value)
        return None if inner is None else not inner
    answers = [said(part, value) for part in hint.hints]
    decisive = isinstance(hint, AnyHint)
    assert isinstance(hint, AnyHint | AllHints)
    return decisive if decisive in answers else None if None in answers else not decisive


def _in_range(hint: Ranged, key: Any) -> bool:
    if key is None:
        return False
    above = hint.low is None or key > hint.low or (key == hint.low and not hint.low_open)
    return above and (hint.high is None or key < hint.high or (key == hint.high and not hint.high_open))


def _holds(value: Any, needle: str) -> bool:
    if isinstance(value, str):
        return needle in value.casefold()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds(item, needle) for item in inner)


def check(operator: Operator, value: Any, operand: Any) -> None:
    """A hint may leave a value undecided, but must not be wrong about it."""
    assert said(operator.hint(operand), value) in (None, operator.matches(value, operand))


UNDATED = sorted(
    {operator.name: operator for table in (DOCUMENTED, LIVE) for operator in table.values()}.items()
)


@pytest.mark.parametrize("operator", [operator for _, operator in UNDATED], ids=[name for name, _ in UNDATED])
@settings(max_examples=250)
@given(value=fields, operand=operands)
def test_hint_is_never_wrong(operator: Operator, value: Any, operand: Any) -> None:
    check(operator, value, operand)


@pytest.mark.parametrize("operator", [operator for _, operator in UNDATED], ids=[name for name, _ in UNDATED])
def test_hint_is_never_wrong_about_tricky_values(operator: Operator) -> None:
    population: list[Any] = [
        ABSENT,
        None,
        True,
        False,
        [],
        {},
        ["a"],
        {"a": "a"},
        *TRICKY_NUMBERS,
        *TRICKY_TEXTS,
    ]
    for operand in (*TRICKY_TEXTS, *TRICKY_NUMBERS, True, None, ["1", "a"], {"x": "9", "y": "1a"}):
        hint = operator.hint(operand)
        for value in population:
            assert said(hint, value) in (None, operator.matches(value, operand)), (value, operand)


@pytest.mark.parametrize("name", ["newer", "older"])
@settings(max_examples=300)
@given(value=fields, moment=moments)
def test_hint_of_a_dated_operator_is_never_wrong(name: str, value: Any, moment: Moment) -> None:
    check(LIVE[name], value, moment)


@pytest.mark.parametrize("name", ["newer", "older"])
def test_hint_of_a_dated_operator_is_never_wrong_about_tricky_values(name: str) -> None:
    now = calendar(1_700_000_000, UTC)
    for text in TRICKY_TEXTS:
        moment = now.moment(text)
        for value in TRICKY_TEXTS:
            check(LIVE[name], value, moment)


EXACT_FOR_TEXTS = {
    "eq", "neq", "in", "nin", "lt", "lte", "gt", "gte", "between", "nbetween",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EXACT_FOR_TEXTS))
@pytest.mark.parametrize("operators", [DOCUMENTED, LIVE], ids=["documented", "live"])
@given(value=values, operand=texts)
def test_equality_and_order_are_decided_by_the_index(
    operators: Any, name: str, value: Any, operand: str
) -> None:
    assert said(operators[name].hint(operand), value) is operators[name].matches(value, operand)


@given(value=values, prefix=st.text("abcXYZ019", min_size=1, max_size=3))
def test_an_ascii_prefix_is_decided_by_the_index(value: Any, prefix: str) -> None:
    operator = LIVE["starts_with"]
    assert said(operator.hint(prefix), value) is operator.matches(value, prefix)


@given(left=values, right=values)
def test_equal_keys_mean_equal_values(left: Any, right: Any) -> None:
    shared = set(EXACT.keys(left)) & set(EXACT.keys(right))
    kinds = set(KIND.keys(left)) & set(KIND.keys(right))
    assert bool(shared) <= (left == right and bool(kinds))


@given(population=st.lists(fields, max_size=12))
def test_keys_of_each_order_are_comparable(population: list[Any]) -> None:
    assert all(SORT.key(value) is not None for value in population)
    for index in (SORT, NUMBERS, TEXTS):
        sorted(key for value in population if (key := index.key(value)) is not None)


# --- the order of sort_by ---------------------------------------------------------------------------


def php_order(left: Any, right: Any) -> int:
    """The comparison that Flextype's sort makes of two values."""
    return loose_compare(text_of(left).lower(), text_of(right).lower())


def numeric_field(value: Any) -> bool:
    return number_of(text_of(value).lower()) is not None


@given(left=fields, right=fields)
def test_sort_agrees_with_php_except_between_numbers_and_texts(left: Any, right: Any) -> None:
    if numeric_field(left) is numeric_field(right) and not huge(left) and not huge(right):
        a, b = SORT.key(left), SORT.key(right)
        assert (a > b) - (a < b) == php_order(left, right)


def huge(value: Any) -> bool:
    """Beyond what is written as digits: exact in `SORT`, an infinity as text."""
    return isinstance(value, int) and abs(value) >= 10**400


def test_sort_of_a_mixture() -> None:
    mixture = ["zoo", "1a", 10, "9", True, None, ABSENT, False, "", 7.0, "(500)", "Abc", [1]]
    ordered = sorted(mixture, key=SORT.key)
    assert ordered == [None, ABSENT, False, "", "(500)", True, 7.0, "9", 10, "1a", "Abc", [1], "zoo"]


@given(value=fields)
def test_absent_and_null_are_in_no_index_but_sort(value: Any) -> None:
    for nothing in (ABSENT, None):
        assert not EXACT.keys(nothing)
        assert not KIND.keys(nothing)
        assert NUMBERS.key(nothing) is None
        assert TEXTS.key(nothing) is None
    assert SORT.key(None) == SORT.key(ABSENT) == SORT.key("") <= SORT.key(value)
