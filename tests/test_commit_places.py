"""Where commits put entries: beside what nobody noticed yet, behind no link, and apart from each other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.store import writer as writer_module
from flatdata.store.changes import Change, Put
from flatdata.store.commits import Ticket
from flatdata.store.errors import EntryExists, StoreUnavailable
from flatdata.store.paths import InvalidSlug, is_within
from flatdata.store.planning import View
from flatdata.store.state import Places
from flatdata.store.store import Store

SLUGS = st.lists(st.sampled_from("ab"), max_size=4).map("/".join)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with one entry, which nobody else looks after."""
    opened = Store(tmp_path)
    opened.load_files()
    create(opened, "films/platform")
    yield opened
    opened.close()


def create(store: Store, slug: str) -> None:
    def plan(view: View) -> tuple[list[Change], None]:
        if view.get(slug) is not None:
            raise EntryExists(slug)
        return [Put(slug, {"title": "made"})], None

    store.commit(plan, origin="test")


@pytest.mark.parametrize("file", ["new/entry.yaml", "new/entry.md", "new.yaml"])
def test_an_entry_that_somebody_just_made_by_hand_is_not_written_over(store: Store, file: str) -> None:
    path = store.root / "content" / "films" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("---\ntitle: by hand\n---\n" if file.endswith(".md") else "title: by hand\n")
    with pytest.raises(EntryExists):
        create(store, "films/new")
    assert "by hand" in path.read_text()


def test_an_entry_goes_into_a_folder_that_is_there_already(store: Store) -> None:
    folder = store.root / "content" / "films" / "new"
    folder.mkdir()
    (folder / "poster.txt").write_text("kept")
    create(store, "films/new")
    assert sorted(path.name for path in folder.iterdir()) == ["entry.yaml", "poster.txt"]


def test_folders_that_are_missing_on_the_way_are_made(store: Store) -> None:
    create(store, "books/of/2020/first")
    assert (store.root / "content/books/of/2020/first/entry.yaml").is_file()


@pytest.mark.parametrize(("replaced", "refusal"), [("films", StoreUnavailable), ("films/new", InvalidSlug)])
def test_nothing_is_made_behind_a_link_that_somebody_put_in_the_way(
    store: Store, tmp_path: Path, replaced: str, refusal: type[Exception]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = store.root / "content" / replaced
    if link.exists():
        shutil.rmtree(link)
    link.symlink_to(outside)
    with pytest.raises(refusal):
        create(store, "films/new")
    assert list(outside.iterdir()) == []
    assert store.get("films/new") is None


def test_an_entry_whose_folder_was_replaced_by_a_link_is_not_read_through_it(store: Store) -> None:
    create(store, "films/new")
    folder, elsewhere = store.root / "content" / "films", store.root / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    (elsewhere / "new" / "entry.yaml").write_text("title: from elsewhere\n")
    seen = []

    def change(view: View) -> tuple[list[Put], None]:
        entry = view.get("films/new")
        seen.append(entry)
        return ([Put("films/new", {"n": 1})] if entry else []), None

    store.commit(change, origin="test")
    assert [entry is None for entry in seen] == [False, True]
    assert store.get("films/new") is None
    assert (elsewhere / "new" / "entry.yaml").read_text() == "title: from elsewhere\n"


def test_nothing_is_made_behind_a_link_that_came_between_two_commits_of_a_batch(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    films = store.root / "content" / "films"
    carry_out = writer_module.carry_out
    carried_out = []

    def carrying_out(effects: Any, key: str, disk: Any) -> None:
        if carried_out:
            films.rename(store.root / "content" / "away")
            films.symlink_to(outside)
        carried_out.append(key)
        carry_out(effects, key, disk)

    monkeypatch.setattr(writer_module, "carry_out", carrying_out)
    tickets = [
        Ticket(lambda view, slug=slug: ([Put(slug, {})], None), "test", "", "", ())  # type: ignore[misc]
        for slug in ("films/first", "films/second")
    ]
    store._write_batch(tickets)
    assert tickets[0].error is None
    assert isinstance(tickets[1].error, StoreUnavailable)
    assert list(outside.iterdir()) == []


@given(st.lists(st.lists(SLUGS, max_size=3), max_size=3), st.lists(SLUGS, max_size=3))
def test_places_overlap_where_a_slug_is_holds_or_lies_in_another(
    taken: list[list[str]], slugs: list[str]
) -> None:
    places = Places()
    for some in taken:
        places.add(some)
    expected = any(
        is_within(slug, other) or is_within(other, slug) for some in taken for other in some for slug in slugs
    )
    assert places.overlap(slugs) == expected
    assert bool(places) == any(taken)
