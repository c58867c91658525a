"""The body of a Fliplet query: every key of the reference §3.1, order and its errors (§3.4), views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.dialects.fliplet.fields import META_FIELDS, data_field, visible_fields
from flatdata.dialects.fliplet.places import DEFAULT_ORDER
from flatdata.dialects.fliplet.querybody import (
    QueryBody,
    QueryBodyError,
    pagination_of,
    parse_query_body,
)
from flatdata.dialects.fliplet.queryparts import order_key
from flatdata.dialects.fliplet.views import view_filter
from flatdata.query.evaluate import matches
from flatdata.query.tree import ABSENT, EVERYTHING, OrderBy
from flatdata.store.entry import Entry

MTIME = 1_700_000_000_123_456_789


def row(name: str = "1", fields: dict[str, Any] | None = None, **meta: Any) -> Entry:
    meta_body = msgspec.json.encode(meta) if meta else b""
    return Entry(
        f"people/{name}", msgspec.json.encode(fields or {}), meta_body, form="file", mtime_ns=MTIME, size=1
    )


def parse(columns: list[str] | None = None, **body: Any) -> QueryBody:
    return parse_query_body(body, columns)


def refusal(columns: list[str] | None = None, **body: Any) -> str:
    with pytest.raises(QueryBodyError) as caught:
        parse_query_body(body, columns)
    return caught.value.message


# --- fields -------------------------------------------------------------------------------------------


def test_fields_of_columns() -> None:
    entry = row(fields={"a": {"b": 1}, "First Name": "J", "l": [{"x": 1}]})
    assert data_field("First Name").read(entry) == "J"
    assert data_field("zz").read(entry) is ABSENT
    assert data_field("a.b").read(entry) == 1
    assert data_field("l.x").read(entry) == 1
    assert (data_field("a").view, data_field("a.b").view) == ("data", "fliplet")


def test_fields_of_the_row_itself() -> None:
    full = row("12", created_at="2020-01-01T00:00:00.000Z", updated_at="2021-01-01T00:00:00.000Z", order=3)
    assert {name: field.read(full) for name, field in META_FIELDS.items()} == {
        "id": 12,
        "order": 3,
        "createdAt": "2020-01-01T00:00:00.000Z",
        "updatedAt": "2021-01-01T00:00:00.000Z",
        "deletedAt": None,
    }
    by_hand = row("1700000000000x12", created_at=5, order="7")
    assert {name: field.read(by_hand) for name, field in META_FIELDS.items()} == {
        "id": "1700000000000x12",
        "order": None,
        "createdAt": "2023-11-14T22:13:20.123Z",
        "updatedAt": "2023-11-14T22:13:20.123Z",
        "deletedAt": None,
    }


def test_hidden_columns_read_as_missing_ones() -> None:
    read_field = visible_fields(lambda column: column != "Secret")
    entry = row(fields={"Secret": {"a": "x"}, "Name": "n"})
    assert read_field("Secret").read(entry) is ABSENT
    assert read_field("Secret.a").read(entry) is ABSENT
    assert read_field("Name").read(entry) == "n"
    assert read_field("Secret") != data_field("Secret")
    query = parse_query_body(
        {"where": {"Secret": {"$exists": True}}, "order": [["data.Secret"]]}, None, read_field
    )
    assert not matches(query.condition, entry)
    assert query.order[0].field.read(entry) is ABSENT


# --- the keys -----------------------------------------------------------------------------------------


def test_an_empty_query_asks_for_every_row_in_the_default_order() -> None:
    query = parse()
    assert query.type == "select"
    assert query.where == query.metadata == EVERYTHING
    assert query.where_json == {}
    assert query.order == DEFAULT_ORDER
    assert (query.limit, query.offset, query.attributes, query.distinct) == (None, None, None, None)
    assert (query.include_pagination, query.count_only, query.aggregate, query.joins) == (
        False,
        False,
        None,
        (),
    )
    assert matches(query.condition, row())


def test_where_is_about_columns_and_other_keys_about_the_row() -> None:
    query = parse(where={"id": 5, "Name": "Ann"}, id={"$in": [1, 2]}, createdAt={"$gt": "2020-06-01"})
    entry = row("1", {"id": 5, "Name": "Ann"}, created_at="2020-07-01T00:00:00.000Z")
    assert matches(query.where, entry)
    assert matches(query.metadata, entry)
    assert not matches(
        query.condition, row("3", {"id": 5, "Name": "Ann"}, created_at="2020-07-01T00:00:00.000Z")
    )
    assert not matches(
        query.condition, row("1", {"id": 5, "Name": "Ann"}, created_at="2020-05-01T00:00:00.000Z")
    )
    assert matches(parse(dataSourceEntryId="1").condition, entry)
    assert not matches(parse(updatedAt={"$lt": "2020-01-01"}).condition, entry)


def test_columns_take_no_prefix_in_where() -> None:
    assert not matches(parse(where={"data.Age": 5}).condition, row(fields={"Age": 5}))


def test_attributes() -> None:
    assert parse(attributes=["Name", "data.Age"]).attributes == ("Name", "data.Age")
    assert parse(attributes=[]).attributes == ()
    assert refusal(attributes="Name") == "attributes must be an array of names"
    assert refusal(attributes=[5]) == "attributes must be an array of names"


@pytest.mark.parametrize(
    ("sent", "limit"), [(5, 5), (5.9, 5), ("7", 7), (0, None), (None, None), (10**18, 10**18), (0.5, None)]
)
def test_limit(sent: Any, limit: int | None) -> None:
    assert parse(limit=sent).limit == limit


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("sent", [-1, "abc", "", True, [1], {}, float("nan"), float("inf"), "-3", "1e999"])
def test_limit_and_offset_are_refused(name: str, sent: Any) -> None:
    assert refusal(**{name: sent}).startswith(f"Invalid {name}: ")


def test_offset_and_pagination() -> None:
    assert pagination_of(parse(limit=20, offset=0), 57) == {"total": 57, "limit": 20, "offset": 0}
    assert pagination_of(parse(limit=0), 57) == {"total": 57}
    assert parse(includePagination=True).include_pagination
    assert not parse(includePagination="true").include_pagination
    assert not parse(includePagination=1).include_pagination


def test_types() -> None:
    assert parse(type="select").type == "select"
    assert parse(type="update", data={"a": 1}).data == {"a": 1}
    assert parse(type="delete", data={"a": 1}).data == {}
    assert refusal(type="drop") == "Invalid query type: drop"
    assert refusal(type={"a": 1}) == "Invalid query type: [object Object]"
    assert refusal(type="update") == "An update needs data, an object of columns"


def test_distinct_count_and_views() -> None:
    assert parse(distinct="Email").distinct == "Email"
    assert refusal(distinct=["Email"]) == "distinct must be the name of a column"
    assert parse(countOnly=True).count_only
    assert parse(views=["a", "b"], view="c").views == ("c", "a", "b")
    assert parse(_tags="x", anything={"else": 1}) == parse()


def test_filters_and_pipelines_that_are_not_understood() -> None:
    assert refusal(where={"a": {"$foo": 1}}) == "Unknown operation $foo"
    assert refusal(where="x") == "A filter must be an object"
    assert refusal(id={"$foo": 1}) == "Unknown operation $foo"
    assert refusal(aggregate=[{"$foo": 1}]) == "Unknown stage $foo"
    assert refusal(aggregate={}) == "A pipeline must be an array of stages"
    with pytest.raises(QueryBodyError, match="A query must be an object"):
        parse_query_body([], None)


def test_aggregate_is_ready_to_run() -> None:
    query = parse(aggregate=[{"$group": {"_id": "$data.k", "n": {"$sum": 1}}}])
    assert query.aggregate is not None
    assert query.aggregate.run([{"data": {"k": 1}}, {"data": {"k": 1}}]) == [{"_id": 1, "n": 2}]


# --- order --------------------------------------------------------------------------------------------


def names_of(order: tuple[OrderBy, ...]) -> list[tuple[str, bool]]:
    return [(part.field.path, part.descending) for part in order]


def test_order() -> None:
    query = parse(order=[["createdAt", "DESC"], ["data.First Name", "asc"], ["id"], ["data.x-y_z 1", None]])
    assert names_of(query.order) == [
        ("createdAt", True),
        ("First Name", False),
        ("id", False),
        ("x-y_z 1", False),
    ]
    assert parse(order=[]).order == parse(order=None).order == DEFAULT_ORDER
    assert parse(["Age"], order=[["data.Age"]]).order[0].field.view == "data"


ORDER_ERRORS = [
    (["createdAt", "DESC"], "Invalid order column name: c"),
    ("createdAt", "Invalid order column name: c"),
    ([["Age", "ASC"]], "Invalid order column name: Age"),
    ([["data.a.b"]], "Invalid order column name: data.a.b"),
    ([["data.a'; --"]], "Invalid order column name: data.a'; --"),
    ([["data."]], "Invalid order column name: data."),
    ([[]], "Invalid order column name: undefined"),
    ([5], "Invalid order column name: undefined"),
    ([[None]], "Invalid order column name: null"),
    ([{"a": 1}], "Invalid order column name: undefined"),
    ([["data.Age", "UP"]], "Invalid order direction: UP"),
    ([["id", 1]], "Invalid order direction: 1"),
]


@pytest.mark.parametrize(("order", "message"), ORDER_ERRORS)
def test_order_errors(order: Any, message: str) -> None:
    assert refusal(order=order) == message


def test_only_declared_columns_order_where_any_are_declared() -> None:
    assert refusal(["Age"], order=[["data.Size"]]) == "Column 'Size' does not exists"
    assert names_of(parse([], order=[["data.Size"]]).order) == [("Size", False)]
    assert names_of(parse(["Age"], order=[["updatedAt"]]).order) == [("updatedAt", False)]
    assert "at most" in refusal(order=[["id"]] * 33)


def test_numbers_come_before_text_and_missing_values_last() -> None:
    values = ["b", None, "10", 9, "A", "a", ABSENT, "", "-1.5", True, [1], 10**30, " 7 ", "1e2", float("nan")]
    assert sorted(values, key=order_key) == [
        *("-1.5", " 7 ", 9, "10", "1e2", 10**30),
        *("", [1], "A", "a", "b", values[-1], True, None, ABSENT),
    ]


def in_order(rows: Iterable[Entry], order: Sequence[OrderBy]) -> list[str]:
    found = sorted(rows, key=lambda entry: entry.slug)
    for part in reversed(order):
        key, read = part.index.key, part.field.read
        found.sort(key=lambda entry, key=key, read=read: key(read(entry)), reverse=part.descending)  # type: ignore[misc]
    return [entry.name for entry in found]


def test_default_order_puts_rows_without_order_last_and_new_rows_first() -> None:
    rows = [row("1"), row("2", order=5), row("3"), row("10"), row("4", order=2)]
    assert in_order(rows, DEFAULT_ORDER) == ["4", "2", "10", "3", "1"]


orders = st.none() | st.integers(-2, 2) | st.sampled_from([2**63, -(2**63), 2**64 - 1, -256, 255, 10**40])
names = st.sampled_from(
    [
        *("1", "2", "01", "0", "255", "256", "-1", "-2", "1.5", "-1.5", "-0.0", "5e-324", "1e999", "-1e999"),
        *("a", "A", "ab", "aé", "a\U0001f600", "a\ufff0"),
    ]
)


@given(st.lists(st.tuples(names | st.text("ab-é\U0001f600", min_size=1), orders)))
def test_default_order_is_by_order_then_by_id_descending(named: list[tuple[str, int | None]]) -> None:
    rows = [row(name, order=order) if order is not None else row(name) for name, order in dict(named).items()]
    steps = parse(order=[["order"], ["id", "DESC"]]).order
    assert in_order(rows, DEFAULT_ORDER) == in_order(rows, steps)


# --- views --------------------------------------------------------------------------------------------

DEFINITION = {
    "views": [
        {"name": "mine", "filter": {"Email": "session.Email"}},
        {"name": "open", "filter": {"Status": "open"}},
        {"name": "broken", "filter": 5},
    ]
}


def in_views(names: list[str], fields: dict[str, Any], session: dict[str, Any]) -> bool:
    return matches(view_filter(DEFINITION, names, {"session": session}), row(fields=fields))


def test_views_filter_by_literals_and_by_the_session() -> None:
    assert in_views(["mine"], {"Email": "a@b.example"}, {"Email": "a@b.example"})
    assert not in_views(["mine"], {"Email": "x"}, {"Email": "a@b.example"})
    assert in_views(["mine", "open"], {"Email": "x", "Status": "open"}, {"Email": "a@b.example"})


def test_a_view_that_asks_for_what_the_session_lacks_finds_nothing() -> None:
    assert not in_views(["mine"], {}, {})
    assert not in_views(["mine"], {"Email": None}, {"Email": None})


def test_unknown_views_are_passed_over() -> None:
    assert in_views(["other"], {}, {})
    assert in_views(["other", "open"], {"Status": "open"}, {})
    assert not in_views(["other", "open"], {}, {})
    assert not in_views(["broken"], {}, {})
    assert view_filter(None, ["open"], {}) == EVERYTHING
    assert view_filter({"views": 5}, ["open"], {}) == EVERYTHING
