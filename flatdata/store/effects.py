"""The effects of a record on the files: staged, carried out, and taken back where one of them fails.

**Staging** puts the new files, complete, into the scratch folder: nothing has changed, nothing is promised.
**Carrying out** renames them into place, all or none: until the last effect is done, the files that were
replaced are kept, and trees that were deleted lie in the scratch folder.

**Transfers**, moves and copies of trees, say nothing of what the trees hold: after a power loss they cannot
be carried out again over files of just any age. So the disk is flushed before the record of one is appended
and, once it was carried out, before anything follows it in the log (`flatdata.store.recovery`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flatdata.store.disk import Disk, HalfDone
from flatdata.store.images import image_after, render
from flatdata.store.log import Effect, image_bytes
from flatdata.store.paths import ENTRY_YAML, FILE, FOLDER_FORMS
from flatdata.turns import in_turns

_TRANSFERS: Final = frozenset({"move", "copy"})


def is_transfer(effects: Sequence[Effect]) -> bool:
    """Whether a tree is moved or copied by any of the effects."""
    return not _TRANSFERS.isdisjoint([effect.op for effect in effects])


def stage(effects: Sequence[Effect], key: str, disk: Disk) -> None:
    """Write the files of the effects into the scratch folder, and note their sizes and dates.

    `key` is another one for each record.

    Raises:
        OSError; CodecError, for what no file can say. `discard` then removes what was written.
    """
    for number, effect in enumerate(in_turns(effects)):
        if effect.op == "put":
            data = _bytes_of(effect, disk)
            effect.size = len(data)
            effect.mtime = disk.scratch.stage_file(f"{key}-{number}", data, effect.mtime)
        elif effect.op == "copy":
            disk.scratch.stage_copy(f"{key}-{number}", disk.parts_of(effect.slug), effect.mtime)


def _bytes_of(effect: Effect, disk: Disk) -> bytes:
    """The file of a `put`. One that only gets another place keeps its text, with comments and all."""
    moves = bool(effect.old_form) and effect.form != effect.old_form
    if moves and {effect.form, effect.old_form} == {ENTRY_YAML, FILE}:
        unchanged = (effect.new, effect.new_meta) == (effect.old, effect.old_meta)
        if unchanged:
            return disk.raw(effect.slug, effect.old_form)
    return render(image_after(effect), effect.form)


def discard(effects: Sequence[Effect], key: str, disk: Disk) -> None:
    """Remove what was staged and kept for effects that are not to be, as far as the disk lets us."""
    for number, effect in enumerate(effects):
        disk.scratch.discard(f"{key}-{number}")
        _release(effect, f"{key}-{number}", disk)


def release(effects: Sequence[Effect], key: str, disk: Disk) -> None:
    """Let go of what was kept and set aside while effects were carried out, as far as the disk lets us."""
    kept = _last_kept(effects)
    for number, effect in enumerate(effects):
        if effect.op == "rmtree" or number <= kept:
            _release(effect, f"{key}-{number}", disk)


def _release(effect: Effect, key: str, disk: Disk) -> None:
    if effect.op == "rmtree":
        disk.scratch.discard(key)
    elif effect.op in ("put", "delete") and image_bytes(effect.old):
        disk.scratch.let_go(key)


def _last_kept(effects: Sequence[Effect]) -> int:
    """Number of the last effect that something can fail after, so that it may have to be taken back."""
    return len(effects) - (1 if is_transfer(effects) else 2)


def carry_out(effects: Sequence[Effect], key: str, disk: Disk) -> None:
    """Carry out the effects of a record that was staged under `key`: all of them, or none.

    What was taken back is on the disk for good when this ends, and so is a transfer that was carried out.

    Raises:
        OSError: and nothing has changed. HalfDone: some of it has, and could not be taken back for good; the
            record has to stay in the log.
    """
    done: list[tuple[Effect, str]] = []
    kept = _last_kept(effects)
    disk.new_record()
    try:
        for number, effect in enumerate(in_turns(effects)):
            apply(effect, f"{key}-{number}", disk, keep=number <= kept)
            done.append((effect, f"{key}-{number}"))
        if is_transfer(effects):
            disk.flush()
    except OSError as error:
        try:
            for effect, effect_key in reversed(done):
                _undo(effect, effect_key, disk)
            # Even where no effect was done: the one that failed may have taken back a part of its own. Once
            # the record is cut off, nothing else would mend what a power loss leaves of either.
            disk.flush()
        except OSError as second:
            raise HalfDone(second.errno, second.strerror) from error
        raise


def apply(effect: Effect, key: str, disk: Disk, *, keep: bool = False) -> None:
    """Carry out one effect whose files were staged under `key`: all of it or, with an OSError, nothing.

    Args:
        keep: keep a file that is replaced or removed, so that it can be brought back.

    Raises:
        OSError; HalfDone, where what was done of it cannot be taken back.
    """
    if keep and effect.op in ("put", "delete") and image_bytes(effect.old):
        disk.scratch.keep(key, disk.tree.file(effect.slug, effect.old_form or effect.form))
    if effect.op == "put":
        path = disk.tree.file(effect.slug, effect.form)
        disk.place(key, path, in_new_folder=effect.form in FOLDER_FORMS and not image_bytes(effect.old))
        if effect.old_form and effect.old_form != effect.form:
            _unlink_or_take_back(disk.tree.file(effect.slug, effect.old_form), path)
    elif effect.op == "delete":
        disk.unlink(disk.tree.file(effect.slug, effect.form))
        disk.prune(effect.slug)
    elif effect.op == "rmtree":
        disk.rename_parts(disk.parts_of(effect.slug), disk.scratch.parts(key))
        disk.prune(effect.slug)
    elif effect.op == "move":
        disk.rename_parts(disk.parts_of(effect.slug), disk.parts_of(effect.to))
        disk.prune(effect.slug)
    else:
        disk.rename_parts(disk.scratch.parts(key), disk.parts_of(effect.to))
        disk.scratch.discard(key)


def _unlink_or_take_back(path: str, made: str) -> None:
    try:
        Disk.unlink(path)
    except OSError:
        try:
            Disk.unlink(made)
        except OSError as error:
            raise HalfDone(error.errno, error.strerror) from error
        raise


def _undo(effect: Effect, key: str, disk: Disk) -> None:
    """Put back what was before one effect that was applied with `keep`. Raises OSError."""
    if effect.op in ("put", "delete"):
        before = disk.tree.file(effect.slug, effect.old_form or effect.form)
        after = disk.tree.file(effect.slug, effect.form)
        disk.put_back(disk.scratch.kept(key), before)
        if effect.op == "put" and (before != after or not image_bytes(effect.old)):
            disk.unlink(after)
            disk.prune(effect.slug)
    elif effect.op == "rmtree":
        disk.rename_parts(disk.scratch.parts(key), disk.parts_of(effect.slug))
    elif effect.op == "move":
        disk.rename_parts(disk.parts_of(effect.to), disk.parts_of(effect.slug))
        disk.prune(effect.to)
    else:
        disk.rename_parts(disk.parts_of(effect.to), disk.scratch.parts(key))
        disk.prune(effect.to)
