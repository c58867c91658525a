"""What a PUT of the Appenate dialect changes: from a source, its rows and a request, without disk or HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from appenate_samples import GUID, LONG_AGO, REQUEST, Clock, ListedRows, a_row, a_source, sport, update

from flatdata.dialects.appenate.errors import Refused
from flatdata.dialects.appenate.request import Address, Header, Update
from flatdata.dialects.appenate.rows import place_of, vals_of
from flatdata.dialects.appenate.update import changes_of
from flatdata.store.changes import Delete, Put
from flatdata.store.entry import Entry
from flatdata.store.sources import Source

NOW = "2026-10-01T12:00:00.000Z"


@dataclass
class Outcome:
    """Changes, carried out on rows that were there before."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    meta: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)


def outcome(
    request: Update, rows: Sequence[Entry] = (), source: Source | None = None, siblings: Iterable[Source] = ()
) -> Outcome:
    """What is there after a request."""
    result = Outcome({row.name: row.fields for row in rows}, {row.name: row.meta for row in rows})
    for change in update(request, rows, source, siblings):
        name = change.slug.removeprefix("sports/")
        if name == "manifest":
            assert isinstance(change, Put)
            result.manifest = change.fields
            continue
        assert name not in result.touched
        result.touched.add(name)
        if isinstance(change, Put):
            result.rows[name], result.meta[name] = change.fields, change.meta or {}
        else:
            assert isinstance(change, Delete)
            del result.rows[name], result.meta[name]
    return result


def shown(result: Outcome, columns: Sequence[str] = ("Code", "Sport")) -> list[list[str]]:
    """The rows as a client sees them, in display order."""
    rows = [a_row(name, fields, **result.meta[name]) for name, fields in result.rows.items()]
    return [vals_of(row, columns) for row in sorted(rows, key=place_of)]


AH, CH, FB = sport(1, "AH", "Air Hockey", 0), sport(2, "CH", "Chess", 1), sport(3, "FB", "Football", 2)


# --- Rows --------------------------------------------------------------------------------------------


def test_rows_replace_everything_in_their_order() -> None:
    result = outcome(replace(REQUEST, rows=(("GO", "Go"), ("CH", "Chess"))), [AH, CH, FB])
    assert shown(result) == [["GO", "Go"], ["CH", "Chess"]]


def test_rows_whose_key_stays_keep_id_and_date_of_creation() -> None:
    result = outcome(replace(REQUEST, rows=(("FB", "Soccer"),)), [AH, CH, FB])
    assert result.rows == {"3": {"Code": "FB", "Sport": "Soccer"}}
    assert result.meta == {"3": {"created_at": LONG_AGO, "updated_at": NOW, "order": 0}}


def test_new_rows_are_dated_and_numbered() -> None:
    result = outcome(replace(REQUEST, rows=(("GO", "Go"),)))
    assert result.meta == {"101": {"created_at": NOW, "updated_at": NOW, "order": 0}}


def test_the_same_rows_again_change_nothing() -> None:
    assert (
        update(
            replace(REQUEST, rows=(("AH", "Air Hockey"), ("CH", "Chess"), ("FB", "Football"))), [AH, CH, FB]
        )
        == []
    )


def test_rows_that_stay_as_they_are_are_not_touched() -> None:
    rows = (("AH", "Air Hockey"), ("CH", "Chess!"), ("FB", "Football"))
    assert outcome(replace(REQUEST, rows=rows), [AH, CH, FB]).touched == {"2"}


def test_empty_rows_replace_everything_with_nothing() -> None:
    assert outcome(replace(REQUEST, rows=()), [AH, CH]).rows == {}


def test_rows_make_new_rows_and_deleted_rows_be_ignored() -> None:
    too_many = tuple(("k", "v") for _ in range(2_000))
    request = replace(REQUEST, rows=(("GO", "Go"),), new_rows=too_many, deleted_rows=(("x", "y"),))
    assert shown(outcome(request, [AH])) == [["GO", "Go"]]


def test_rows_take_away_columns_that_other_apis_added() -> None:
    row = a_row(1, {"Code": "AH", "Sport": "Air Hockey", "Players": 2}, order=0)
    assert outcome(replace(REQUEST, rows=(("AH", "Air Hockey"),)), [row]).rows == {
        "1": {"Code": "AH", "Sport": "Air Hockey"}
    }


def test_rows_replace_those_without_a_key_and_those_with_the_same() -> None:
    rows = [AH, sport(4, "AH", "again", 3), sport(5, "", "keyless", 4), a_row(6, {"Sport": "keyless"})]
    result = outcome(replace(REQUEST, rows=(("AH", "Air Hockey"),)), rows)
    assert result.rows == {"1": {"Code": "AH", "Sport": "Air Hockey"}}


# --- NewRows -----------------------------------------------------------------------------------------


def test_new_rows_update_by_their_first_value_and_add_the_others_at_the_end() -> None:
    request = replace(REQUEST, new_rows=(("GO", "Go"), ("CH", "Chess!"), ("DA", "Darts")))
    result = outcome(request, [AH, CH, FB])
    assert shown(result) == [
        ["AH", "Air Hockey"],
        ["CH", "Chess!"],
        ["FB", "Football"],
        ["GO", "Go"],
        ["DA", "Darts"],
    ]
    assert result.touched == {"2", "101", "102"}
    assert result.meta["2"] == {"created_at": LONG_AGO, "updated_at": NOW, "order": 1}


def test_of_new_rows_with_one_key_the_last_counts() -> None:
    request = replace(REQUEST, new_rows=(("GO", "one"), ("DA", "Darts"), ("GO", "two")))
    assert shown(outcome(request)) == [["GO", "two"], ["DA", "Darts"]]


def test_new_rows_update_every_row_that_has_the_key() -> None:
    result = outcome(replace(REQUEST, new_rows=(("AH", "both"),)), [AH, sport(4, "AH", "again", 3)])
    assert shown(result) == [["AH", "both"], ["AH", "both"]]


def test_new_rows_keep_columns_that_other_apis_added() -> None:
    row = a_row(1, {"Code": "AH", "Sport": "Air Hockey", "Players": 2}, order=0, created_by="me")
    result = outcome(replace(REQUEST, new_rows=(("AH", "Hockey"),)), [row])
    assert result.rows == {"1": {"Code": "AH", "Sport": "Hockey", "Players": 2}}
    assert result.meta["1"]["created_by"] == "me"


def test_a_value_that_is_no_text_is_found_and_stays_while_its_text_does() -> None:
    row = a_row(1, {"Code": 7, "Sport": 1.5}, order=0)
    result = outcome(replace(REQUEST, new_rows=(("7", "1.5"),)), [row])
    assert result.rows == {"1": {"Code": 7, "Sport": 1.5}}
    changed = outcome(replace(REQUEST, new_rows=(("7", "2.5"),)), [row])
    assert changed.rows == {"1": {"Code": 7, "Sport": "2.5"}}


def test_new_rows_that_are_there_already_change_nothing() -> None:
    assert update(replace(REQUEST, new_rows=(("AH", "Air Hockey"),)), [AH]) == []


def test_new_rows_behind_rows_without_an_order_get_none() -> None:
    rows = [AH, a_row(7, {"Code": "BY", "Sport": "written by hand"})]
    result = outcome(replace(REQUEST, new_rows=(("GO", "Go"), ("DA", "Darts"))), rows)
    assert [row[0] for row in shown(result)] == ["AH", "BY", "GO", "DA"]
    assert "order" not in result.meta["101"]


def test_new_rows_fill_columns_that_a_row_lacks() -> None:
    result = outcome(replace(REQUEST, new_rows=(("AH", ""),)), [a_row(1, {"Code": "AH"}, order=0)])
    assert result.rows == {"1": {"Code": "AH", "Sport": ""}}


def test_many_rows_are_not_looked_at_for_a_few() -> None:
    rows = ListedRows(sport(number, f"k{number}", "x", number) for number in range(1, 5_001))
    request = replace(REQUEST, new_rows=(("k17", "y"), ("new", "z")), deleted_rows=(("k18",),))
    changes = changes_of(Clock(), a_source(), rows, [], request, max_rows=50_000)
    assert [change.slug for change in changes] == ["sports/18", "sports/17", "sports/101", "sports/manifest"]
    assert rows.touched == 2


# --- DeletedRows -------------------------------------------------------------------------------------


def test_deleted_rows_are_deleted_by_key() -> None:
    result = outcome(replace(REQUEST, deleted_rows=(("AH",), ("FB",))), [AH, CH, FB])
    assert shown(result) == [["CH", "Chess"]]


def test_keys_that_no_row_has_are_passed_over() -> None:
    assert update(replace(REQUEST, deleted_rows=(("XX",),)), [AH]) == []


def test_deleted_rows_come_before_new_rows() -> None:
    request = replace(REQUEST, new_rows=(("AH", "again"),), deleted_rows=(("AH",),))
    result = outcome(request, [AH, CH])
    assert shown(result) == [["CH", "Chess"], ["AH", "again"]]
    assert set(result.rows) == {"2", "101"}


def test_rows_in_excess_of_the_limit_can_still_be_deleted() -> None:
    rows = ListedRows(sport(number, f"k{number}", "x", number) for number in range(1, 8))
    request = replace(REQUEST, deleted_rows=(("k1",),))
    assert len(changes_of(Clock(), a_source(), rows, [], request, max_rows=3)) == 2


# --- Headers, Name and ids ---------------------------------------------------------------------------


def test_headers_with_rows_make_new_columns() -> None:
    headers = (Header("Id"), Header("Label", "Title"), Header("Picture", "Thumb"))
    result = outcome(
        replace(REQUEST, headers=headers, rows=(("AH", "Air Hockey", "http://x/a.png"),)), [AH, CH]
    )
    assert result.rows == {"1": {"Id": "AH", "Label": "Air Hockey", "Picture": "http://x/a.png"}}
    assert result.manifest["columns"] == ["Id", "Label", "Picture"]
    assert result.manifest["appenate"]["display_at"] == {"Label": "Title", "Picture": "Thumb"}


def test_headers_alone_rename_by_position_and_keep_the_values() -> None:
    row = a_row(1, {"Code": "AH", "Sport": "Air Hockey", "Players": 2}, order=0)
    result = outcome(replace(REQUEST, headers=(Header("Sport"), Header("Label"))), [row])
    assert result.rows == {"1": {"Sport": "AH", "Label": "Air Hockey", "Players": 2}}


def test_one_header_more_is_an_empty_column_in_the_rows_that_are_there() -> None:
    result = outcome(replace(REQUEST, headers=(Header("Code"), Header("Sport"), Header("Info"))), [AH])
    assert result.rows == {"1": {"Code": "AH", "Sport": "Air Hockey", "Info": ""}}


def test_headers_and_new_rows_and_deleted_rows_together() -> None:
    headers = (Header("Key"), Header("Label"), Header("Info"))
    request = replace(
        REQUEST, headers=headers, new_rows=(("CH", "Chess", "new"), ("GO", "Go", "")), deleted_rows=(("AH",),)
    )
    result = outcome(request, [AH, CH, FB])
    assert shown(result, ["Key", "Label", "Info"]) == [
        ["CH", "Chess", "new"],
        ["FB", "Football", ""],
        ["GO", "Go", ""],
    ]


def test_headers_that_are_the_same_touch_no_row() -> None:
    result = outcome(replace(REQUEST, headers=(Header("Code"), Header("Sport", "Title"))), [AH, CH])
    assert result.touched == set()
    assert result.manifest["appenate"]["display_at"] == {"Sport": "Title"}


def test_fewer_headers_than_the_rows_have_values_are_refused_unless_rows_replace_them() -> None:
    source = a_source(("Code", "Sport", "Info"))
    row = a_row(1, {"Code": "AH", "Sport": "Air Hockey", "Info": "x"}, order=0)
    headers = (Header("Code"), Header("Sport"))
    with pytest.raises(Refused, match="the rows have 3 Vals, there are 2 Headers"):
        update(replace(REQUEST, headers=headers), [row], source)
    result = outcome(replace(REQUEST, headers=headers, rows=(("AH", "Air Hockey"),)), [row], source)
    assert result.rows == {"1": {"Code": "AH", "Sport": "Air Hockey"}}
    assert outcome(replace(REQUEST, headers=headers), [], source).manifest["columns"] == ["Code", "Sport"]


def test_a_source_that_never_had_columns_gets_some() -> None:
    result = outcome(replace(REQUEST, rows=(("AH", "Air Hockey", "x"),)), source=a_source(None))
    assert result.rows == {"101": {"Column 1": "AH", "Column 2": "Air Hockey", "Column 3": "x"}}
    assert result.manifest["columns"] == ["Column 1", "Column 2", "Column 3"]


def test_columns_that_nobody_declared_are_those_of_the_rows() -> None:
    result = outcome(replace(REQUEST, new_rows=(("CH", "Chess!"),)), [AH, CH], a_source(None))
    assert shown(result) == [["AH", "Air Hockey"], ["CH", "Chess!"]]
    assert result.manifest["columns"] == ["Code", "Sport"]


def test_name_overwrites_and_the_rest_of_the_manifest_stays() -> None:
    result = outcome(replace(REQUEST, name="Favorite Sports"), [AH])
    assert result.manifest == {**a_source().manifest, "name": "Favorite Sports", "updated_at": NOW}
    assert result.touched == set()


def test_external_id_is_set_on_a_source_addressed_by_id() -> None:
    result = outcome(replace(REQUEST, address=Address(GUID, "SPORTS-002")))
    assert result.manifest["appenate"] == {"guid": GUID, "external_id": "SPORTS-002", "company_id": 1}


def test_a_request_that_says_nothing_new_changes_nothing() -> None:
    assert update(replace(REQUEST, name="Sports", address=Address(GUID, "SPORTS-001")), [AH]) == []


def test_every_request_that_changes_something_dates_the_manifest() -> None:
    assert outcome(replace(REQUEST, deleted_rows=(("AH",),)), [AH]).manifest["updated_at"] == NOW


def test_external_id_of_another_source_of_the_company_is_refused() -> None:
    ours = replace(a_source(), slug="other")
    request = replace(REQUEST, address=Address(GUID, "SPORTS-001"))
    with pytest.raises(Refused, match="The ExternalId 'SPORTS-001' is that of another data source"):
        update(request, siblings=[ours])
    theirs = Source("other", {**ours.manifest, "appenate": {"external_id": "SPORTS-001", "company_id": 2}})
    assert update(request, siblings=[theirs]) == []
