"""Any sequence of writes, edits on disk and restarts, against a plain dict that does the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatdata.index.index import Index
from flatdata.index.keeper import Keeper
from flatdata.query.tree import Query, Scope
from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.codec import dump_entry
from flatdata.store.errors import EntryExists, EntryMissing
from flatdata.store.paths import is_within

NAMES = ("a", "b", "c")
SLUGS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
FIELDS = st.dictionaries(
    st.sampled_from(["x", "y"]), st.none() | st.integers() | st.text(max_size=5), max_size=2
)
STEPS = st.one_of(
    st.tuples(st.just("put"), SLUGS, FIELDS),
    st.tuples(st.just("delete"), SLUGS),
    st.tuples(st.just("delete tree"), SLUGS),
    st.tuples(st.just("move"), SLUGS, SLUGS),
    st.tuples(st.just("copy"), SLUGS, SLUGS),
    st.tuples(st.just("edit"), SLUGS, FIELDS),
    st.tuples(st.just("remove file"), SLUGS),
    st.tuples(st.just("restart"), st.booleans()),
)
Model = dict[str, dict[str, Any]]


def _exists(model: Model, slug: str) -> bool:
    return any(is_within(other, slug) for other in model)


def _apply_to_model(model: Model, step: tuple[Any, ...]) -> bool:
    """Do the step; False if it has to be refused."""
    kind, slug = step[0], step[1]
    if kind in ("put", "edit"):
        model[slug] = step[2]
    elif kind in ("delete", "remove file"):
        if slug not in model:
            return kind == "remove file"
        del model[slug]
    elif kind == "delete tree":
        if not _exists(model, slug):
            return False
        for other in [other for other in model if is_within(other, slug)]:
            del model[other]
    else:
        target = step[2]
        if not _exists(model, slug) or _exists(model, target) or is_within(target, slug):
            return False
        tree = {other: model[other] for other in model if is_within(other, slug)}
        for other, fields in tree.items():
            if kind == "move":
                del model[other]
            model[target + other[len(slug) :]] = fields
    return True


def _change(step: tuple[Any, ...]) -> Change:
    kinds = {"put": Put, "delete": Delete, "delete tree": DeleteTree, "move": Move, "copy": Copy}
    change: Change = kinds[step[0]](*step[1:])
    return change


def _edit_on_disk(keeper: Keeper, step: tuple[Any, ...]) -> None:
    slug = step[1]
    entry = keeper.store.get(slug)
    form = entry.form if entry is not None else "entry.yaml"
    path = Path(keeper.store.tree.file(slug, form))
    if step[0] == "edit":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dump_entry(step[2], form))
    else:
        path.unlink(missing_ok=True)


def _check(keeper: Keeper, index: Index, model: Model) -> None:
    entries = keeper.store.state.entries
    assert {slug: entry.fields for slug, entry in entries.items()} == model
    found = index.search(Query(Scope("", max_depth=None)))
    assert [entry.slug for entry in found.entries] == sorted(model)
    for slug in (*NAMES, *(f"{a}/{b}" for a in NAMES for b in NAMES)):
        assert keeper.store.exists(slug) == _exists(model, slug)
        children = [entry.slug for entry in keeper.store.children(slug)]
        assert children == sorted(
            o for o in model if o.startswith(slug + "/") and "/" not in o[len(slug) + 1 :]
        )


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=25))
def test_any_sequence_of_writes_edits_and_restarts_is_like_a_dict(steps: list[tuple[Any, ...]]) -> None:
    root = Path(tempfile.mkdtemp())
    keeper = Keeper(root)
    keeper.prepare(watch=False)
    index = Index(keeper.store.state, keeper.store.state_dir)
    model: Model = {}
    try:
        for step in steps:
            if step[0] == "restart":
                index.close()
                keeper.close()
                if step[1]:
                    shutil.rmtree(root / ".flatdata" / "index")
                keeper = Keeper(root)
                keeper.prepare(watch=False)
                index = Index(keeper.store.state, keeper.store.state_dir)
            elif step[0] in ("edit", "remove file"):
                _apply_to_model(model, step)
                _edit_on_disk(keeper, step)
                keeper.compare()
            else:
                change = _change(step)
                try:
                    keeper.store.commit(lambda view, c=change: ([c], None), origin="test")  # type: ignore[misc]
                    done = True
                except (EntryExists, EntryMissing):
                    done = False
                assert done == _apply_to_model(model, step)
            _check(keeper, index, model)
    finally:
        index.close()
        keeper.close()
        shutil.rmtree(root)
