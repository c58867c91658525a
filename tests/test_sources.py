"""The data source model: manifests, finding sources, making rows (flatdata.store.sources)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.store.changes import Put
from flatdata.store.entry import Entry, encode_json
from flatdata.store.manifest import Source
from flatdata.store.paths import check_slug
from flatdata.store.sources import (
    ReservedColumn,
    Sources,
    added_columns,
    changed_row,
    iso_ms,
    new_row,
    new_source,
    parse_row_id,
    row_created_at,
    row_id,
    row_order,
    slug_from,
    source_at,
    update_manifest,
)
from flatdata.store.store import Store

NS = 1_479_378_758_411_000_000


def entry(slug: str, fields: dict[str, Any], meta: dict[str, Any] | None = None, form: str = "file") -> Entry:
    return Entry(
        slug, encode_json(fields), encode_json(meta) if meta else b"", form=form, mtime_ns=NS, size=1
    )  # fmt: skip


class Manifests:
    """A store of manifests that counts how often it is read."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = list(entries)
        self.manifest_version = 1
        self.read = 0

    def manifests(self) -> list[Entry]:
        self.read += 1
        return self.entries


def manifest(slug: str, **fields: Any) -> Entry:
    return entry(f"{slug}/manifest", fields, form="manifest")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = Store(tmp_path)
    store.load((), 0, 0, 0)
    yield store
    store.close()


# --- finding ------------------------------------------------------------------------------------------


def test_sources_are_found_by_id_name_and_slug() -> None:
    sources = Sources(Manifests(manifest("b", id=2, name="Two"), manifest("a", id=1, name="One")))
    assert [source.id for source in sources.all()] == [1, 2]
    assert sources.by_id(2) is sources.by_name("Two") is sources.by_slug("b")
    assert sources.by_id(3) is sources.by_name("two") is sources.by_slug("c") is None


def test_lookups_read_nothing_while_no_manifest_changes() -> None:
    store = Manifests(manifest("a", id=1, name="One"), manifest("b", id=2, name="Two"))
    sources = Sources(store)
    first = sources.by_id(1)
    for _ in range(100):
        sources.by_name("One")
    assert store.read == 1
    store.entries[1] = manifest("b", id=2, name="Renamed")
    store.manifest_version += 1
    assert sources.by_name("Renamed") is not None
    assert sources.by_id(1) is first
    assert store.read == 2


def test_deleted_sources_are_in_the_trash_only() -> None:
    gone = manifest("a", id=1, name="Gone", deleted_at="2024-01-01T00:00:00.000Z")
    sources = Sources(Manifests(gone, manifest("b", id=2, name="There")))
    assert [source.id for source in sources.all()] == [2]
    assert [source.id for source in sources.trash()] == [1]
    assert sources.by_id(1) is sources.by_name("Gone") is sources.by_slug("a") is None
    assert sources.in_trash(1) is not None
    assert sources.in_trash(2) is None


def test_the_lowest_id_of_one_name_and_the_first_slug_of_one_id_win() -> None:
    sources = Sources(
        Manifests(
            manifest("c", id=2, name="Same"), manifest("b", id=1, name="Same"), manifest("a", id=2, name="x")
        )
    )
    found = sources.by_name("Same")
    assert found is not None
    assert found.id == 1
    by_id = sources.by_id(2)
    assert by_id is not None
    assert by_id.slug == "a"
    assert [(problem.slug, problem.field) for problem in sources.problems()] == [("c", "id")]


WRONG: dict[str, list[Any]] = {
    "id": [None, 0, -1, "1", 1.5, True, [1]],
    "name": [5, None, []],
    "columns": ["a", [1], {}],
    "type": [5, []],
    "public": ["yes", 1, {}],
    "encrypted": ["yes", None, 0],
    "hooks": [{}, None, "x"],
    "definition": [[], None],
    "access_rules": ["all", {}, [5]],
    "permissions": [[], {"7": "x"}, {"7": 5}, None],
    "app_id": ["1", 0],
    "organization_id": [1.5],
    "created_at": [5],
    "bubble": [[], True],
    "appenate": ["x"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]])
def test_values_of_the_wrong_type_are_problems_and_mean_the_strictest(field: str, value: Any) -> None:
    source = Source("people", {"id": 1, "name": "People", field: value})
    assert [(problem.slug, problem.field) for problem in source.problems()] == [("people", field)]
    strictest = {"id": 0, "name": "people", "public": False, "encrypted": True, "hooks": [], "definition": {},
                 "access_rules": [], "permissions": {}, "created_at": "1970-01-01T00:00:00.000Z"}  # fmt: skip
    assert getattr(source, field) == strictest.get(field)


def test_what_a_manifest_leaves_out() -> None:
    source = Source("shop/people", {"id": 1}, NS)
    assert source.problems() == ()
    assert (source.name, source.columns, source.public, source.access_rules) == ("people", None, False, None)
    assert source.created_at == source.updated_at == "2016-11-17T10:32:38.411Z"


# --- slugs and dates ----------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_every_name_makes_a_slug(name: str) -> None:
    slug = slug_from(name)
    assert check_slug(slug) == slug
    assert "/" not in slug
    assert slug_from(name) == slug


def test_slugs_read_like_names() -> None:
    assert slug_from("Foo bar") == "foo-bar"
    assert slug_from("Ünï Cödé 日本") == "ünï-cödé-日本"
    assert slug_from("../../etc/passwd") == "etc-passwd"
    assert slug_from("manifest") == "manifest-source"


@given(st.integers(-(2**70), 2**70))
def test_every_time_has_a_date(ns: int) -> None:
    assert len(iso_ms(ns)) == 24


def test_dates_are_cut_to_milliseconds() -> None:
    assert iso_ms(NS) == "2016-11-17T10:32:38.411Z"
    assert iso_ms(NS + 999_999) == "2016-11-17T10:32:38.411Z"


# --- rows ---------------------------------------------------------------------------------------------


def test_what_a_row_does_not_say_comes_from_its_file() -> None:
    bare = entry("people/7", {"a": 1})
    assert (row_id(bare), row_created_at(bare), row_order(bare)) == (7, "2016-11-17T10:32:38.411Z", None)
    wrong = entry("people/alpha", {}, {"created_at": 5, "order": "x"})
    assert row_created_at(wrong) == row_created_at(bare)
    assert (row_id(wrong), row_order(wrong)) == ("alpha", None)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("7", 7),
        ("0", 0),
        ("007", "007"),
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("٣", "٣"),
        ("9" * 20, "9" * 20),
        ("a", "a"),
    ],
)
def test_a_name_is_a_number_only_if_it_is_written_like_one(name: str, id: Any) -> None:
    assert parse_row_id(name) == id


def test_new_columns_come_behind_those_that_are_declared() -> None:
    source = Source("people", {"id": 1, "columns": ["b", "a"]})
    assert added_columns(source, [{"a": 1, "c": 2}, {"d": 1, "c": 2}]) == ("c", "d")
    assert added_columns(source, []) == ()


# --- in a store ---------------------------------------------------------------------------------------


def make(store: Any, name: str, **fields: Any) -> Source:
    made: Source = store.commit(lambda view: new_source(view, name, **fields), origin="test")
    return made


def test_a_source_and_its_rows_are_made_changed_and_found(store: Any) -> None:
    source = make(store, "My people", columns=["a"])
    sources = Sources(store)
    assert sources.by_name("My people") == Source(source.slug, source.manifest, sources.all()[0].mtime_ns)
    assert source.slug == "my-people"

    def insert(view: Any) -> Any:
        put = new_row(view, source, {"a": 1, "b": None}, order=3, created_by=7)
        return [put], put.slug

    slug = store.commit(insert, origin="test")
    row = store.get(slug)
    assert row.form == "file"
    assert row.fields == {"a": 1, "b": None}
    assert (row_order(row), row.meta["created_by"], row.meta["created_at"]) == (3, 7, row.meta["updated_at"])

    def change(view: Any) -> Any:
        return [changed_row(view, view.get(slug), {"a": 2}, order=4)], None

    store.commit(change, origin="test")
    changed = store.get(slug)
    assert (changed.fields, row_order(changed)) == ({"a": 2}, 4)
    assert changed.meta["created_at"] == row.meta["created_at"]
    assert changed.meta["created_by"] == 7

    def rename(view: Any) -> Any:
        return [update_manifest(source_at(view, source.slug), name="Renamed")], None

    store.commit(rename, origin="test")
    renamed = sources.by_name("Renamed")
    assert renamed is not None
    assert renamed.columns == ("a",)


def test_ids_of_sources_and_rows_are_never_given_twice(store: Any) -> None:
    first = make(store, "One")

    def insert(view: Any) -> Any:
        puts = [new_row(view, first, {"n": number}) for number in range(3)]
        return puts, [put.slug for put in puts]

    slugs = store.commit(insert, origin="test") + store.commit(insert, origin="test")
    assert len(set(slugs)) == 6
    store.commit(lambda view: ([Put("taken/manifest", {"id": 8}, form="manifest")], None), origin="test")
    assert make(store, "Two").id not in (first.id, 8)


def test_a_column_of_the_reserved_name_is_refused(store: Any) -> None:
    source = make(store, "One")
    with pytest.raises(ReservedColumn):
        store.commit(lambda view: ([new_row(view, source, {"_meta": 1})], None), origin="test")
    assert store.children("one") == []
