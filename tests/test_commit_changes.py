"""Commits of several changes: whatever their order, memory, files and log say the same of every entry."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_scenarios import assert_memory_is_what_files_say, known, lose_power

from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.errors import EntryExists, EntryMissing
from flatdata.store.paths import ENTRY_MD, ENTRY_YAML, FILE, MANIFEST, InvalidSlug, is_within, parent_of
from flatdata.store.store import Store

SLUGS = st.sampled_from(["a", "a/b", "a/b/c", "a/b/d", "a/e", "f", "f/b"])
ROWS = st.builds(
    Put,
    SLUGS,
    st.fixed_dictionaries({"n": st.integers(0, 3)}),
    st.sampled_from([None, None, {}, {"order": 1}]),
    st.sampled_from([None, None, FILE, FILE, ENTRY_YAML, ENTRY_MD]),
)
MANIFESTS = st.builds(Put, SLUGS.map("{}/manifest".format), st.fixed_dictionaries({"id": st.integers(1, 3)}))
TREES = st.one_of(st.builds(DeleteTree, SLUGS), st.builds(Move, SLUGS, SLUGS), st.builds(Copy, SLUGS, SLUGS))
CHANGES = st.one_of(ROWS, ROWS, st.builds(Delete, SLUGS), MANIFESTS, TREES)
COMMITS = st.lists(
    st.tuples(st.sampled_from([True, True, False]), st.lists(CHANGES, min_size=2, max_size=6)),
    min_size=2,
    max_size=8,
)
"""Commits as lists of changes; if True, without those changes for which a commit would be refused."""

Content = dict[str, tuple[dict[str, Any], dict[str, Any]]]


def commit(store: Store, *changes: Change) -> None:
    store.commit(lambda view: (list(changes), None), origin="test")


def files(store: Store) -> dict[str, Any]:
    """What is known of every entry, with what is known of its file."""
    return {
        slug: (entry.body, entry.meta_body, entry.form, entry.mtime_ns, entry.size)
        for slug, entry in store.state.entries.items()
    }


def read_anew(store: Store, folder: Path) -> Store:
    """A store that has nothing but the files."""
    folder.mkdir()
    (folder / "content").symlink_to(store.tree.root)
    other = Store(folder)
    other.load_files()
    return other


def replayed(store: Store) -> Store:
    """A store that has nothing but the log."""
    other = Store(store.root)
    other.load([], 0, 0, 0)
    return other


def assert_all_agree(store: Store, folder: Path) -> None:
    assert_memory_is_what_files_say(store)
    for other in (read_anew(store, folder), replayed(store)):
        assert files(other) == files(store)
        assert other.state.folders == store.state.folders
        other.close()
    shutil.rmtree(folder)


def assert_folders_lead_to(slug: str, store: Store) -> None:
    while slug := parent_of(slug):
        entry = store.get(slug)
        assert entry is None or entry.form != FILE


SINGLE_FILES: dict[str, tuple[list[Change], dict[str, str]]] = {
    "changed, and given a child": (
        [Put("a/b", {"n": 2}), Put("a/b/x", {"n": 3})],
        {"a/b": ENTRY_YAML, "a/b/x": ENTRY_YAML},
    ),
    "changed as a single file, and given a child": (
        [Put("a/b", {"n": 2}, form=FILE), Put("a/b/x", {"n": 3})],
        {"a/b": ENTRY_YAML, "a/b/x": ENTRY_YAML},
    ),
    "changed, and given a tree": (
        [Put("a/b", {"n": 2}), Move("c", "a/b/x")],
        {"a/b": ENTRY_YAML, "a/b/x": ENTRY_YAML},
    ),
    "changed, and made a source": (
        [Put("a/b", {"n": 2}), Put("a/b/manifest", {"id": 3}), Put("a/b/1", {"n": 3})],
        {"a/b": ENTRY_YAML, "a/b/manifest": MANIFEST, "a/b/1": FILE},
    ),
    "deleted, with something put below it": (
        [Delete("a/b"), Put("a/b/x", {"n": 3})],
        {"a/b/x": ENTRY_YAML},
    ),
}


@pytest.mark.parametrize("name", SINGLE_FILES)
def test_a_single_file_and_what_comes_below_it_may_change_in_any_order(name: str, tmp_path: Path) -> None:
    changes, expected = SINGLE_FILES[name]
    for number, ordered in enumerate(itertools.permutations(changes)):
        store = Store(tmp_path / str(number))
        commit(store, Put("a/b", {"n": 1}, form=FILE), Put("c", {"n": 1}))
        commit(store, *ordered)
        found = {slug: entry.form for slug, entry in store.state.entries.items() if slug != "c"}
        assert found == expected
        assert_all_agree(store, tmp_path / "other")
        store.close()


@pytest.mark.parametrize(
    "changes",
    [
        [Put("a/b", {}), Put("a/b", {})],
        [Put("a/b", {}), DeleteTree("a")],
        [Move("a", "x"), Delete("a/b")],
        [Copy("a", "x"), Put("x/new", {})],
        [Copy("a", "x"), Put("a/new", {})],
        [Move("a", "x"), Move("c", "x")],
        [DeleteTree("a"), Move("c", "a/new")],
    ],
)
def test_changes_that_are_not_apart_are_refused(changes: list[Change], tmp_path: Path) -> None:
    store = Store(tmp_path)
    commit(store, Put("a/b", {"n": 1}), Put("c", {"n": 1}))
    before = files(store)
    for ordered in itertools.permutations(changes):
        with pytest.raises(EntryExists):
            commit(store, *ordered)
    assert files(store) == before
    assert_memory_is_what_files_say(store)
    store.close()


@pytest.mark.parametrize(
    ("slug", "form"), [("a/b", MANIFEST), ("a/manifest", FILE), ("a/manifest", ENTRY_YAML)]
)
def test_a_manifest_has_the_name_of_one(slug: str, form: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    commit(store, Put("a/manifest", {"id": 1}))
    with pytest.raises(InvalidSlug):
        commit(store, Put(slug, {"id": 2}, form=form))
    assert_memory_is_what_files_say(store)
    store.close()


# --- what commits are to do -----------------------------------------------------------------------------


def places(change: Change) -> list[str]:
    return [change.slug, change.new_slug] if isinstance(change, Move | Copy) else [change.slug]


def are_apart(changes: list[Change]) -> bool:
    """Whether no two touch one entry, and nothing lies in a tree that another takes hold of."""
    return not any(
        place == other if isinstance(second, Put | Delete) else is_within(place, other)
        for first, second in itertools.permutations(changes, 2)
        for place in places(first)
        for other in places(second)
    )


def is_possible(change: Change, content: Content) -> bool:
    def exists(slug: str) -> bool:
        return any(is_within(other, slug) for other in content)

    if isinstance(change, Move | Copy):
        free = not exists(change.new_slug) and not is_within(change.new_slug, change.slug)
        return exists(change.slug) and free
    if isinstance(change, DeleteTree):
        return exists(change.slug)
    return isinstance(change, Put) or change.slug in content


def carry_out(change: Change, content: Content) -> None:
    if isinstance(change, Put):
        kept = content.get(change.slug, ({}, {}))[1]
        content[change.slug] = (change.fields, kept if change.meta is None else change.meta)
    elif isinstance(change, Delete):
        del content[change.slug]
    else:
        tree = {slug: said for slug, said in content.items() if is_within(slug, change.slug)}
        for slug, said in tree.items():
            if not isinstance(change, Copy):
                del content[slug]
            if not isinstance(change, DeleteTree):
                content[change.new_slug + slug[len(change.slug) :]] = said


def without_body(content: dict[str, Any]) -> Content:
    """Without the text below the front matter, which an `entry.md` always has."""
    return {
        slug: ({key: value for key, value in fields.items() if key != "content"}, meta)
        for slug, (fields, meta) in content.items()
    }


def is_accepted(changes: list[Change], content: Content) -> bool:
    return are_apart(changes) and all(is_possible(change, content) for change in changes)


def accepted_ones(changes: list[Change], content: Content) -> list[Change]:
    kept: list[Change] = []
    for change in changes:
        if is_accepted([*kept, change], content):
            kept.append(change)
    return kept


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(COMMITS)
def test_after_any_commits_memory_files_and_log_agree(commits: list[tuple[bool, list[Change]]]) -> None:
    root = Path(tempfile.mkdtemp())
    store = Store(root)
    content: Content = {}
    try:
        for is_cleaned, listed in commits:
            changes = accepted_ones(listed, content) if is_cleaned else listed
            expected = is_accepted(changes, content)
            try:
                commit(store, *changes)
                done = True
            except (EntryExists, EntryMissing):
                done = False
            assert done == expected
            for change in changes if done else ():
                carry_out(change, content)
                if not isinstance(change, Delete | DeleteTree):
                    assert_folders_lead_to(places(change)[-1], store)
            assert without_body(known(store)) == content
            assert_all_agree(store, root / "other")
    finally:
        store.close()
        shutil.rmtree(root)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(st.one_of(ROWS, ROWS, st.builds(Delete, SLUGS)), max_size=4), max_size=8))
def test_a_power_loss_that_took_nothing_changes_nothing(commits: list[list[Change]]) -> None:
    root = Path(tempfile.mkdtemp())
    store = Store(root)
    try:
        for listed in commits:
            commit(store, *accepted_ones(listed, known(store)))
        expected = known(store)
        store.close()
        lose_power(root)
        store = Store(root)
        store.load_files()
        assert known(store) == expected
        assert_memory_is_what_files_say(store)
    finally:
        store.close()
        shutil.rmtree(root)
