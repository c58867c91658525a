"""What a PUT of the Appenate dialect refuses, and rows that somebody else wrote, without disk or HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from appenate_samples import REQUEST, Clock, ListedRows, a_row, a_source, keys, sport, update

from flatdata.dialects.appenate.errors import Refused
from flatdata.dialects.appenate.request import Header, Update
from flatdata.dialects.appenate.rows import IS_ONE_OF, as_text, place_of
from flatdata.dialects.appenate.update import changes_of
from flatdata.query.tree import ABSENT, Keyed
from flatdata.store.changes import Change

# --- refusals ----------------------------------------------------------------------------------------


def many(count: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"k{number}", "v") for number in range(count))


@pytest.mark.parametrize(
    "request_at_limit",
    [
        replace(REQUEST, rows=many(10_000)),
        replace(REQUEST, new_rows=many(1_500)),
        replace(REQUEST, deleted_rows=keys(500)),
    ],
)
def test_as_many_rows_as_the_limit_allows(request_at_limit: Update) -> None:
    update(request_at_limit)


@pytest.mark.parametrize(
    ("request_beyond", "message"),
    [
        (replace(REQUEST, rows=many(10_001)), "Rows: 10001 rows, the limit is 10000 in a request"),
        (replace(REQUEST, new_rows=many(1_501)), "NewRows: 1501 rows, the limit is 1500 in a request"),
        (replace(REQUEST, deleted_rows=keys(501)), "DeletedRows: 501 rows, the limit is 500 in a request"),
    ],
)
def test_one_row_beyond_the_limit(request_beyond: Update, message: str) -> None:
    with pytest.raises(Refused) as caught:
        update(request_beyond)
    assert caught.value.message == message


def test_limit_in_all_counts_updates_and_deletions() -> None:
    rows = [sport(number, f"k{number}", "x", number) for number in range(1, 6)]

    def changes(**collections: Any) -> list[Change]:
        request = replace(REQUEST, **collections)
        return changes_of(Clock(), a_source(), ListedRows(rows), [], request, max_rows=6)

    assert len(changes(new_rows=(("k1", "y"), ("new", "z")))) == 3
    assert len(changes(new_rows=(("a", "y"), ("b", "z")), deleted_rows=(("k1",),))) == 4
    with pytest.raises(Refused, match="The data source would have 7 rows, the limit is 6"):
        changes(new_rows=(("a", "y"), ("b", "z")))
    with pytest.raises(Refused, match="The data source would have 7 rows, the limit is 6"):
        changes(rows=many(7))


@pytest.mark.parametrize("name", ["rows", "new_rows"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((), r"\[1\]: at least 2 Vals are needed, there are 0"),
        (("a",), r"\[1\]: at least 2 Vals are needed, there are 1"),
        (("a", "b", "c"), r"\[1\]: 3 Vals, but there are 2 Headers"),
        (("", "b"), r"\[1\]: the key \(first Val\) is empty"),
    ],
)
def test_rows_with_the_wrong_values(name: str, bad: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refused, match=message):
        update(replace(REQUEST, **{name: (("ok", "ok"), bad)}))


@pytest.mark.parametrize("name", ["rows", "new_rows"])
def test_rows_have_as_many_values_as_the_headers_of_the_request(name: str) -> None:
    headers = (Header("Code"), Header("Sport"), Header("Info"))
    with pytest.raises(Refused, match="2 Vals, but there are 3 Headers"):
        update(replace(REQUEST, headers=headers, **{name: (("a", "b"),)}))


def test_rows_of_a_source_without_columns_have_as_many_values_as_the_first() -> None:
    with pytest.raises(Refused, match=r"Rows\[1\]: 2 Vals, but there are 3 Headers"):
        update(replace(REQUEST, rows=(("a", "b", "c"), ("d", "e"))), source=a_source(None))


def test_rows_with_one_key_twice() -> None:
    with pytest.raises(Refused, match=r"Rows\[2\]: the key 'a' is that of Rows\[0\] already"):
        update(replace(REQUEST, rows=(("a", "1"), ("b", "2"), ("a", "3"))))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((), r"DeletedRows\[0\]: exactly 1 Val is needed, there are 0"),
        (("a", "b"), r"DeletedRows\[0\]: exactly 1 Val is needed, there are 2"),
        (("",), r"DeletedRows\[0\]: the key is empty"),
    ],
)
def test_deleted_rows_with_the_wrong_values(bad: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refused, match=message):
        update(replace(REQUEST, deleted_rows=(bad,)))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Code"], "Headers: at least 2 are needed, there is 1"),
        (["Code", "Code"], r"Headers\[1\]: the name 'Code' is that of Headers\[0\] already"),
        (["Code", "_meta"], r"Headers\[1\]: the name _meta is reserved"),
    ],
)
def test_headers_that_cannot_be_columns(names: list[str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        update(replace(REQUEST, headers=tuple(Header(name) for name in names)))


# --- rows as this API sees them ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (None, ""),
        (ABSENT, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
        (10**30, "1" + "0" * 30),
        (["a", 1], '["a",1]'),
        ({"b": None}, '{"b":null}'),
    ],
)
def test_values_as_texts(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_display_order_is_order_then_id_as_a_number() -> None:
    rows = [
        a_row("x9", {}),
        a_row(10, {}),
        a_row(9, {}),
        a_row(1, {}, order=5),
        a_row(2, {}, order=5),
        a_row(3, {}, order=-1),
    ]
    assert [row.name for row in sorted(rows, key=place_of)] == ["3", "1", "2", "9", "10", "x9"]


def test_the_index_holds_the_operator_to_its_definition() -> None:
    hint = IS_ONE_OF.hint(frozenset({"7", "a"}))
    assert isinstance(hint, Keyed)
    for value in ("7", 7, "a", "b", "", None, ABSENT, 7.0, ["7"]):
        found = bool(set(hint.index.keys(value)) & set(hint.keys))
        assert found is IS_ONE_OF.matches(value, frozenset({"7", "a"}))
