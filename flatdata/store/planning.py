"""From the changes a caller asks for to the effects a record holds: checks, images, promotions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.codec import as_read_back, check_storable
from flatdata.store.disk import Disk
from flatdata.store.entry import Entry, encode_json
from flatdata.store.errors import EntryExists, EntryMissing
from flatdata.store.images import META_KEY
from flatdata.store.log import Effect, image_json
from flatdata.store.paths import (
    ENTRY_YAML,
    FILE,
    FOLDER_FORMS,
    MANIFEST,
    InvalidSlug,
    check_slug,
    is_within,
    join,
    name_of,
    parent_of,
)
from flatdata.store.state import State
from flatdata.turns import in_turns

_OF_ONE_ENTRY: Final = (Put, Delete)
_REMOVALS: Final = (Delete, DeleteTree)
_TRANSFERS: Final = (Move, Copy)


@dataclass(slots=True)
class View:
    """The content as a plan sees it, under the site's write lock."""

    state: State
    now_ns: int
    """The time of the commit; files and records are dated with it."""
    last_id: int = 0

    def get(self, slug: str) -> Entry | None:
        """The entry, or None."""
        return self.state.entries.get(slug)

    def exists(self, slug: str) -> bool:
        """Whether there is such an entry, or a folder with entries below."""
        return self.state.exists(slug)

    def children(self, slug: str) -> list[Entry]:
        """The entries directly below `slug`, ordered by slug."""
        return self.state.children(slug)

    def manifests(self) -> list[Entry]:
        """The manifests of all data sources."""
        return self.state.manifests()

    def next_id(self) -> int:
        """A row id that was never used in this site. An id that a refused commit drew is not used again."""
        self.last_id = max(self.last_id, self.state.high_water) + 1
        return self.last_id


Plan = Callable[[View], tuple[list[Change], Any]]
"""Looks at the content and says what to change and what to give back; raises to refuse. No side effects."""


def slugs_of(effects: Iterable[Effect]) -> list[str]:
    """Every slug that the effects touch."""
    return [slug for effect in effects for slug in (effect.slug, effect.to) if slug]


def slugs_read(effects: Iterable[Effect], state: State) -> list[str]:
    """Every entry whose file is read to carry out the effects: those below what is copied."""
    return [
        entry.slug
        for effect in effects
        if effect.op == "copy"
        for entry in state.below(effect.slug)
        if entry.slug != effect.slug
    ]


def work_out(changes: Sequence[Change], view: View, disk: Disk) -> list[Effect]:
    """The effects of `changes`, in order.

    Raises:
        InvalidSlug, EntryExists, EntryMissing, CodecError: naming what stands in the way; `EntryExists` also
            where two of the changes are not apart (see `flatdata.store.changes`).
    """
    changed = _changed(changes)
    parents = _parents_of_new(changes)
    effects: list[Effect] = []
    promoted: set[str] = set()
    ready: set[str] = set()
    for change in in_turns(changes):
        if isinstance(change, Put):
            parent = parent_of(change.slug)
            is_new = view.get(change.slug) is None
            # The way to a folder is looked at once: a thousand rows go to one.
            if parent not in ready:
                if is_new:
                    disk.tree.check_way(change.slug, view.state.folders.__contains__)
                    ready.add(parent)
                effects += _promotions(change.slug, view, changed, promoted)
            effects.append(_put(change, view, changed, parents))
            if is_new and effects[-1].form in FOLDER_FORMS:
                disk.tree.check_way(change.slug, view.state.folders.__contains__, itself=True)
        elif isinstance(change, Delete):
            effects.append(_delete(change, view))
        elif isinstance(change, DeleteTree):
            effects.append(_delete_tree(change, view, disk))
        else:
            _check_transfer(change, view, disk)
            effects += _promotions(change.new_slug, view, changed, promoted)
            effects.append(
                Effect(
                    "move" if isinstance(change, Move) else "copy",
                    change.slug,
                    to=change.new_slug,
                    mtime=view.now_ns,
                    parts=disk.parts(change.slug),
                )
            )
    return effects


def _changed(changes: Sequence[Change]) -> dict[str, Change]:
    """Every slug that a change names, and the change. Raises EntryExists where two are not apart."""
    changed: dict[str, Change] = {}
    trees: dict[str, Change] = {}
    for change in changes:
        if isinstance(change, _OF_ONE_ENTRY):
            if change.slug in changed:
                raise EntryExists(change.slug)
            changed[change.slug] = change
            continue
        slugs = {change.slug, change.new_slug} if isinstance(change, _TRANSFERS) else (change.slug,)
        for slug in slugs:
            if slug in changed:
                raise EntryExists(slug)
            changed[slug] = trees[slug] = change
    if trees and len(changes) > 1:
        for slug, change in changed.items():
            above = parent_of(slug)
            while above:
                if trees.get(above, change) is not change:
                    raise EntryExists(slug)
                above = parent_of(above)
    return changed


def _parents_of_new(changes: Sequence[Change]) -> set[str]:
    """What lies above anything that the changes make."""
    parents: set[str] = set()
    for change in changes if len(changes) > 1 else ():
        if not isinstance(change, _REMOVALS):
            above = parent_of(change.slug if isinstance(change, Put) else change.new_slug)
            while above and above not in parents:
                parents.add(above)
                above = parent_of(above)
    return parents


def _put(change: Put, view: View, changed: Mapping[str, Change], parents: Set[str]) -> Effect:
    before = view.get(change.slug)
    form = change.form or (before.form if before else _form_of_new(change.slug, view, changed))
    if form == FILE and change.slug in parents:
        form = ENTRY_YAML
    if change.form and (form == MANIFEST) != (name_of(change.slug) == MANIFEST):
        raise InvalidSlug(change.slug, "manifests, and nothing else, are named 'manifest'")
    if before is None:
        _check_new(change.slug, form)
    if META_KEY in change.fields:
        raise InvalidSlug(change.slug, f"{META_KEY} is a reserved field")
    check_storable(change.fields)
    if change.meta is None:
        meta_body = before.meta_body if before else b""
    else:
        check_storable(change.meta)
        meta_body = encode_json(change.meta) if change.meta else b""
    effect = Effect(
        "put",
        change.slug,
        form=form,
        mtime=view.now_ns,
        new=image_json(encode_json(as_read_back(change.fields, form))),
        new_meta=image_json(meta_body),
    )
    if before is not None:
        effect.old = image_json(before.body)
        effect.old_meta = image_json(before.meta_body)
        effect.old_form = before.form
    return effect


def _form_of_new(slug: str, view: View, changed: Mapping[str, Change]) -> str:
    parent, _, name = slug.rpartition("/")
    if name == MANIFEST:
        return MANIFEST
    manifest = join(parent, MANIFEST)
    change = changed.get(manifest)
    is_row = isinstance(change, Put) if change is not None else view.get(manifest) is not None
    return FILE if is_row else ENTRY_YAML


def _check_new(slug: str, form: str) -> None:
    if form == MANIFEST:
        check_slug(parent_of(slug))
    elif check_slug(slug) != slug:
        raise InvalidSlug(slug, "it is not in Unicode normal form C")
    elif form == FILE and len(name_of(slug).encode()) > 250:
        raise InvalidSlug(slug, "its last segment is longer than 250 bytes")


def _delete(change: Delete, view: View) -> Effect:
    entry = view.get(change.slug)
    if entry is None:
        raise EntryMissing(change.slug)
    return Effect(
        "delete",
        change.slug,
        form=entry.form,
        mtime=entry.mtime_ns,
        old=image_json(entry.body),
        old_meta=image_json(entry.meta_body),
    )


def _delete_tree(change: DeleteTree, view: View, disk: Disk) -> Effect:
    check_slug(change.slug)
    if not view.exists(change.slug):
        raise EntryMissing(change.slug)
    below = list(view.state.below(change.slug))
    return Effect(
        "rmtree",
        change.slug,
        images={entry.slug: msgspec.Raw(entry.body) for entry in below},
        image_metas={entry.slug: msgspec.Raw(entry.meta_body) for entry in below if entry.meta_body},
        parts=disk.parts(change.slug),
    )


def _check_transfer(change: Move | Copy, view: View, disk: Disk) -> None:
    source, target = change.slug, change.new_slug
    check_slug(source)
    if check_slug(target) != target:
        raise InvalidSlug(target, "it is not in Unicode normal form C")
    if not view.exists(source):
        raise EntryMissing(source)
    disk.tree.check_way(target, view.state.folders.__contains__)
    if view.exists(target) or is_within(target, source) or disk.is_taken(target):
        raise EntryExists(target)
    for entry in view.state.below(source):
        moved = target + entry.slug[len(source) :]
        if entry.form != MANIFEST:
            _check_new(moved, entry.form)


def _promotions(slug: str, view: View, changed: Mapping[str, Change], promoted: set[str]) -> list[Effect]:
    """A single-file entry that is to have children becomes a folder first.

    One that the commit changes itself is left to that change: a `Put` takes the folder form, and what is
    deleted needs none.
    """
    effects = []
    parent = parent_of(slug)
    while parent and parent not in promoted:
        entry = view.get(parent)
        if entry is not None and entry.form == FILE and parent not in changed:
            effects.append(
                Effect(
                    "put",
                    parent,
                    form=ENTRY_YAML,
                    old_form=FILE,
                    mtime=entry.mtime_ns,
                    new=image_json(entry.body),
                    new_meta=image_json(entry.meta_body),
                    old=image_json(entry.body),
                    old_meta=image_json(entry.meta_body),
                )
            )
            promoted.add(parent)
        parent = parent_of(parent)
    return effects
