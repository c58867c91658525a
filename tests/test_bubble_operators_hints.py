"""Index hints of the Bubble operators: they never miss a match, and decide rightly wherever they decide."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdata.index.terms import analyse, path_below, strings_of
from flatdata.query.bubble import (
    GEOGRAPHIC,
    Circle,
    bound,
    item_keys,
    key_index,
    operators,
    order_index,
    wanted,
)
from flatdata.query.bubble_values import SCALARS, FieldType, read_value
from flatdata.query.bubble_words import texts_of, word_search
from flatdata.query.tree import (
    ABSENT,
    AllHints,
    AnyHint,
    Hint,
    Keyed,
    NoHint,
    Nothing,
    Operator,
    Ranged,
    Words,
)

KINDS = [kind for kind in SCALARS if kind not in ("file", "image", "user", "custom", "option")] + ["user"]
TYPES = [
    FieldType(kind, many=many) for kind in KINDS for many in (False, True) if not (many and kind == "id")
]

TRICKY_TEXTS = [
    *(
        "",
        " ",
        "a",
        "A",
        "ab",
        "the",
        "cats",
        "The cat's hat",
        "5",
        "5.0",
        "-1",
        "1e3",
        "yes",
        "NO",
        "True",
        "ß",
        "ss",
    ),
    *("2020-01-01", "2020-01-01T00:00:00.000Z", "1577836800000", "Wed Jan 13 2016", "x" * 70, "x" * 70 + "y"),
]
texts = st.sampled_from(TRICKY_TEXTS) | st.text("abc Aß12", max_size=8)
numbers = (
    st.sampled_from([0, 1, -1, 1.0, 1.5, 10**30, 10**400, 1577836800000, -(10**15), 0.0, -0.0])
    | st.integers()
)
degrees = st.sampled_from([0, 1, 1.0, 45.5, -90, 90, 180, -180, 91, "1", None, True])
addresses = st.fixed_dictionaries(
    {},
    optional={
        "address": texts | st.integers() | st.lists(texts, max_size=2),
        "lat": degrees,
        "lng": degrees,
        "other": texts,
    },
)
scalars = st.none() | st.booleans() | numbers | texts | addresses
values = st.just(ABSENT) | scalars | st.lists(scalars | st.lists(texts | addresses, max_size=2), max_size=4)


def said(hint: Hint, value: Any) -> bool | None:
    """What a hint says of one value: it matches, it does not, or (None) the evaluator has to decide."""
    if isinstance(hint, Nothing):
        return False
    if isinstance(hint, Keyed):
        return (hint.exact or None) if set(hint.index.keys(value)) & set(hint.keys) else False
    if isinstance(hint, Ranged):
        return (hint.exact or None) if in_range(hint, hint.index.key(value)) else False
    if isinstance(hint, Words):
        if hint.odd is not None and set(hint.odd.index.keys(value)) & set(hint.odd.keys):
            return None
        return (hint.exact or None) if set(cut(hint.stems)) <= stems_in(value, hint.key) else False
    if isinstance(hint, NoHint):
        inner = said(hint.hint, value)
        return None if inner is None else not inner
    assert isinstance(hint, AnyHint | AllHints)
    answers = [said(part, value) for part in hint.hints]
    decisive = isinstance(hint, AnyHint)
    return decisive if decisive in answers else None if None in answers else not decisive


def cut(stems: tuple[str, ...]) -> list[str]:
    """Stems as the index of words has them: long ones are cut."""
    return [stem[:64] for stem in stems]


def stems_in(value: Any, key: str = "") -> set[str]:
    """What the index of words has at the path of a field with this value, or at a key inside it."""
    found = () if value is ABSENT else strings_of(value, "field")
    path = path_below("field", key)
    return {stem for at, text, _ in found if at == path for stem in cut(tuple(analyse(text)))}


def in_range(hint: Ranged, key: Any) -> bool:
    if key is None:
        return False
    if hint.low is not None and (key <= hint.low if hint.low_open else key < hint.low):
        return False
    return hint.high is None or not (key >= hint.high if hint.high_open else key > hint.high)


def operand(operator: Operator, field_type: FieldType, value: Any, others: list[Any]) -> Any:
    """An operand for an operator, made of stored values."""
    read = read_value(field_type, value)
    if operator.name.endswith("text contains"):
        return tuple(dict.fromkeys(analyse(read if isinstance(read, str) else "cat 5")))
    if operator.name == "geographic_search":
        place = read if isinstance(read, dict) and "lat" in read else {"lat": 1.0, "lng": 2.0}
        return Circle(place["lat"], place["lng"], 100.0)
    if operator.name in ("greater than", "less than"):
        return bound(field_type, read) if read is not ABSENT else None
    if operator.name in ("in", "not in"):
        return tuple(wanted(field_type, read_value(field_type, item)) for item in [value, *others])
    if operator.name in ("contains", "not contains"):
        return item_keys(field_type, read[0]) if read is not ABSENT else wanted(field_type.item, ABSENT)
    return wanted(field_type, read)


@settings(max_examples=60)
@pytest.mark.parametrize("field_type", TYPES, ids=str)
@given(value=values, source=values, others=st.lists(values, max_size=2))
def test_hints_hold_what_matches(field_type: FieldType, value: Any, source: Any, others: list[Any]) -> None:
    for operator in operators(field_type, analyse).values():
        asked = operand(operator, field_type, source, others)
        if asked is None and operator.name in ("greater than", "less than"):
            continue
        matched = operator.matches(value, asked)
        hinted = said(operator.hint(asked), value)
        assert hinted is None or hinted == matched, (operator.name, asked)


@settings(max_examples=300)
@pytest.mark.parametrize("field_type", [each for each in TYPES if texts_of(each) is not None], ids=str)
@given(value=values, text=texts, exact=st.booleans())
def test_word_hints_hold_what_matches(field_type: FieldType, value: Any, text: str, exact: bool) -> None:
    where = texts_of(field_type)
    assert where is not None
    operator = word_search(analyse, where, exact=exact)
    stems = tuple(dict.fromkeys(analyse(text)))
    hinted = said(operator.hint(stems), value)
    assert hinted is None or hinted == operator.matches(value, stems)


@settings(max_examples=60)
@pytest.mark.parametrize("field_type", TYPES, ids=str)
@given(first=values, second=values)
def test_each_negation_is_the_complement(field_type: FieldType, first: Any, second: Any) -> None:
    table = operators(field_type, analyse)
    pairs = {"not equal": "equals", "is_not_empty": "is_empty"} | {
        name: name.removeprefix("not ") for name in table if name.startswith("not ") and name != "not equal"
    }
    for name, other in pairs.items():
        asked = operand(table[name], field_type, second, [])
        assert table[name].matches(first, asked) is not table[other].matches(first, asked)


@settings(max_examples=60)
@pytest.mark.parametrize("field_type", [kind for kind in TYPES if not kind.many], ids=str)
@given(stored=st.lists(values, min_size=2, max_size=6))
def test_every_value_has_a_place_in_the_order(field_type: FieldType, stored: list[Any]) -> None:
    keys = sorted(order_index(field_type).key(value) for value in stored)
    empty = [key for key in keys if key == (1,)]
    assert keys[len(keys) - len(empty) :] == empty


@settings(max_examples=60)
@pytest.mark.parametrize("field_type", TYPES, ids=str)
@given(value=values)
def test_keys_can_be_kept_in_a_dictionary(field_type: FieldType, value: Any) -> None:
    assert len({*key_index(field_type).keys(value)}) >= 1


@settings(max_examples=500)
@given(
    lat=st.floats(-90, 90),
    lng=st.floats(-180, 180),
    radius=st.floats(0, 25_000),
    place=st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
)
def test_the_box_around_a_circle_holds_it(
    lat: float, lng: float, radius: float, place: tuple[float, float]
) -> None:
    value = {"lat": place[0], "lng": place[1]}
    if GEOGRAPHIC.matches(value, Circle(lat, lng, radius)):
        assert said(GEOGRAPHIC.hint(Circle(lat, lng, radius)), value) is None
    near = {
        "lat": max(-90.0, min(90.0, lat + place[0] / 1000)),
        "lng": max(-180.0, min(180.0, lng + place[1] / 1000)),
    }
    if GEOGRAPHIC.matches(near, Circle(lat, lng, radius / 100)):
        assert said(GEOGRAPHIC.hint(Circle(lat, lng, radius / 100)), near) is None


def test_simple_constraints_need_no_second_look() -> None:
    for kind in ("text", "number", "boolean", "date", "user", "option"):
        field_type = FieldType(kind)
        value = {"number": 1, "boolean": True, "date": 0}.get(kind, "x")
        for name in ("equals", "not equal", "in", "not in", "is_empty", "is_not_empty"):
            operator = operators(field_type, analyse)[name]
            assert said(operator.hint(operand(operator, field_type, value, [])), value) is not None
    words = operators(FieldType("text"), analyse)["text contains"]
    assert said(words.hint(("cat",)), "cats") is True
