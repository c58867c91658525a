"""What somebody did to the files behind our back: noticed, and made into the effects of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flatdata.store.codec import CodecError
from flatdata.store.disk import Disk, Found
from flatdata.store.entry import Entry
from flatdata.store.images import Image
from flatdata.store.log import Effect, image_json
from flatdata.store.paths import FILE, FOLDER_FORMS, MANIFEST, name_of
from flatdata.store.state import State

_MANY: Final = 100
"""Files from which on a folder is listed once, instead of looking for each."""

Parsed = tuple[Found, Image | CodecError]
"""A file as it was found, and what it said or why it could not be understood."""


def forms_to_check(slug: str) -> tuple[str, ...]:
    """The forms in which the file of `slug` may lie."""
    return (MANIFEST,) if name_of(slug) == MANIFEST else (*FOLDER_FORMS, FILE)


def changed_on_disk(slugs: Sequence[str], state: State, disk: Disk) -> list[str]:
    """Those of `slugs` whose files are not what is known of them.

    Raises:
        EntryExists: where something that is no plain file stands in the place of one.
        OSError: where the disk does not let us look.
    """
    entries = state.entries
    fresh = disk.absent(slugs, len(entries)) if len(slugs) > _MANY else frozenset()
    changed = []
    for slug in slugs:
        entry = entries.get(slug)
        if slug in fresh:
            if entry is not None:
                changed.append(slug)
            continue
        found = disk.find(
            slug,
            forms_to_check(slug),
            refuse_others=entry is None,
            may_lack_folder=entry is None and slug not in state.folders,
        )
        if not _is_known(entry, found) and found is not None:
            # Looked for a second time, for most are as they are known to be.
            found = disk.find_without_links(slug, forms_to_check(slug), set())
        if not _is_known(entry, found):
            changed.append(slug)
    return changed


def effects_of_edits(
    slugs: Iterable[str], parsed: Mapping[str, Parsed], state: State, disk: Disk
) -> list[Effect]:
    """The effects that make of what is known of `slugs` what is on the disk.

    `parsed` holds files that were read before; they are used where the file is still the same. A file that
    cannot be understood counts as gone, and so does one behind a symbolic link.
    """
    plain: set[str] = set()
    effects = (_effect(slug, parsed.get(slug), state.entries.get(slug), disk, plain) for slug in slugs)
    return [effect for effect in effects if effect is not None]


def _is_known(entry: Entry | None, found: Found | None) -> bool:
    known = None if entry is None else (entry.form, entry.mtime_ns, entry.size)
    return known == (None if found is None else found[:3])


def _effect(
    slug: str, parsed: Parsed | None, entry: Entry | None, disk: Disk, plain: set[str]
) -> Effect | None:
    found = disk.find_without_links(slug, forms_to_check(slug), plain)
    image = None if found is None else _image(slug, found, parsed, disk)
    if found is None or image is None:
        if entry is None:
            return None
        return Effect("delete", slug, form=entry.form, mtime=entry.mtime_ns, **_before(entry))
    known = (entry.form, entry.mtime_ns, entry.size, entry.body, entry.meta_body) if entry else None
    if known == (found.form, found.mtime_ns, found.size, image.body, image.meta_body):
        return None
    return Effect(
        "put",
        slug,
        form=found.form,
        old_form=entry.form if entry else "",
        mtime=found.mtime_ns,
        size=found.size,
        new=image_json(image.body),
        new_meta=image_json(image.meta_body),
        **_before(entry),
    )


def _image(slug: str, found: Found, parsed: Parsed | None, disk: Disk) -> Image | None:
    if parsed is not None and parsed[0] == found:
        return parsed[1] if isinstance(parsed[1], Image) else None
    try:
        return disk.read(slug, found.form)
    except (CodecError, OSError):
        return None


def _before(entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    return {"old": image_json(entry.body), "old_meta": image_json(entry.meta_body)}
