"""The files below `content/`: read, written and moved, one entry or one tree at a time.

Writes happen in two phases. **Staging** puts the new files, complete, into a scratch folder on the same file
system: whatever can fail for want of space fails there, before anything is promised. **Applying** renames
them into place. Every applying step can be repeated: done again after a crash it changes nothing that was
done already, and nothing that somebody edited by hand since.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from flatdata.store.codec import CodecError, dump_entry, load_entry
from flatdata.store.entry import decode_json, encode_json
from flatdata.store.errors import EntryExists
from flatdata.store.log import Effect, image_bytes
from flatdata.store.paths import FILE, FOLDER_FORMS, Tree

SCRATCH_IN_CONTENT: Final = ".flatdata-scratch"
META_KEY: Final = "_meta"


class Found(NamedTuple):
    """A file as it is on the disk: its form, modification time (ns), size (bytes) and inode."""

    form: str
    mtime_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class Image:
    """What a file says: the compact JSON of its mapping and of its `_meta`."""

    body: bytes
    meta_body: bytes = b""


def split_meta(fields: dict[str, object]) -> Image:
    """The image of a file's mapping. A `_meta` that is not a mapping is a mistake.

    Raises:
        CodecError: naming it.
    """
    if META_KEY not in fields:
        return Image(encode_json(fields))
    meta = fields.pop(META_KEY)
    if meta is not None and not isinstance(meta, dict):
        raise CodecError(f"{META_KEY} must be a mapping", None)
    return Image(encode_json(fields), encode_json(meta) if meta else b"")


class Disk:
    """The content files of one site.

    Args:
        tree: where each slug is.
        state_dir: `.flatdata/`; the scratch folder lies in it, or hidden inside the content folder where
            that is on another file system.
    """

    def __init__(self, tree: Tree, state_dir: Path) -> None:
        self.tree = tree
        same = os.stat(tree.root).st_dev == os.stat(state_dir).st_dev
        self.scratch = str(state_dir / "scratch" if same else tree.root / SCRATCH_IN_CONTENT)
        os.makedirs(self.scratch, exist_ok=True)
        self._guarded: set[str] = set()

    # --- looking --------------------------------------------------------------------------------------

    def find(
        self, slug: str, forms: tuple[str, ...] = (*FOLDER_FORMS, FILE), *, refuse_others: bool = False
    ) -> Found | None:
        """The file of an entry, in the first of `forms` that is there as a plain file; None if in none.

        Raises:
            EntryExists: with `refuse_others`, where something that is no plain file is in such a place.
        """
        for form in forms:
            try:
                status = os.lstat(self.tree.file(slug, form))
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISREG(status.st_mode):
                return Found(form, status.st_mtime_ns, status.st_size, status.st_ino)
            if refuse_others:
                raise EntryExists(slug)
        return None

    def absent(self, slugs: Iterable[str]) -> frozenset[str]:
        """Those of `slugs` of which neither a file nor a folder is there; one listing for each folder."""
        listings: dict[str, frozenset[str]] = {}
        absent = []
        for slug in slugs:
            parent, _, name = slug.rpartition("/")
            listing = listings.get(parent)
            if listing is None:
                try:
                    listing = frozenset(os.listdir(self.tree.folder(parent)))
                except (FileNotFoundError, NotADirectoryError):
                    listing = frozenset()
                listings[parent] = listing
            if name not in listing and f"{name}.yaml" not in listing:
                absent.append(slug)
        return frozenset(absent)

    def read(self, slug: str, form: str) -> Image:
        """What the file of an entry says.

        Raises:
            CodecError: if it cannot be understood. OSError: if it cannot be read.
        """
        return split_meta(load_entry(self.raw(slug, form), form))

    def raw(self, slug: str, form: str) -> bytes:
        """The bytes of the file. Raises OSError; a link is not followed."""
        descriptor = os.open(
            self.tree.file(slug, form), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def is_taken(self, slug: str) -> bool:
        """Whether a file or a folder that is not empty stands where the entry `slug` would be."""
        if os.path.lexists(self.tree.file(slug, FILE)):
            return True
        folder = self.tree.folder(slug)
        try:
            with os.scandir(folder) as names:
                return any(True for _ in names)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            return True

    # --- staging --------------------------------------------------------------------------------------

    def stage_file(self, key: str, data: bytes, mtime_ns: int) -> int:
        """Write a file into the scratch folder, dated `mtime_ns`; gives the date (ns) that the disk keeps.

        Raises OSError.
        """
        path = f"{self.scratch}/{key}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)

    def stage_copy(self, key: str, slug: str, mtime_ns: int) -> None:
        """Copy the tree of an entry into the scratch folder; its entry files are dated `mtime_ns`."""
        target = f"{self.scratch}/{key}"
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(target)
        os.makedirs(target)
        if os.path.isfile(self.tree.file(slug, FILE)):
            shutil.copyfile(self.tree.file(slug, FILE), f"{target}/file", follow_symlinks=False)
        if os.path.isdir(self.tree.folder(slug)):
            shutil.copytree(self.tree.folder(slug), f"{target}/folder", symlinks=True, ignore=_hidden_or_link)
        for folder, _, names in os.walk(target):
            for name in names:
                os.utime(os.path.join(folder, name), ns=(mtime_ns, mtime_ns))

    def clear_scratch(self) -> None:
        """Remove what dead writers left. Only under the write lock."""
        for name in os.listdir(self.scratch):
            self.discard(name)

    def discard(self, key: str) -> None:
        """Remove one thing from the scratch folder, as far as the disk lets us."""
        path = f"{self.scratch}/{key}"
        with contextlib.suppress(OSError):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    # --- applying -------------------------------------------------------------------------------------

    def apply(self, effect: Effect, key: str) -> None:
        """Carry out one effect whose files were staged under `key`. Raises OSError."""
        if effect.op == "put":
            self._place(key, self.tree.file(effect.slug, effect.form))
            if effect.old_form and effect.old_form != effect.form:
                self._unlink(self.tree.file(effect.slug, effect.old_form))
        elif effect.op == "delete":
            self._unlink(self.tree.file(effect.slug, effect.form))
            self._prune(effect.slug)
        elif effect.op == "rmtree":
            self._set_aside(effect.slug, key)
        elif effect.op == "move":
            self._rename_tree(effect.slug, effect.to)
            self._prune(effect.slug)
        else:
            self._place_copy(key, effect.to)

    def redo(self, effect: Effect, key: str) -> None:
        """Carry out one effect of a record that a dead writer may have left half done. Raises OSError.

        A file that is neither what it was before the change nor what the change makes of it was edited by
        hand since, and stays. A file with no text at all, or only NULs, is what a power loss left of it.
        """
        if effect.op == "put":
            if self._is_ours(effect.slug, effect.form, effect):
                self.stage_file(key, render(effect), effect.mtime)
                self.apply(effect, key)
        elif effect.op == "delete":
            if self._is_ours(effect.slug, effect.form, effect):
                self.apply(effect, key)
        elif effect.op == "rmtree":
            if not os.path.lexists(f"{self.scratch}/{key}"):
                self.apply(effect, key)
        elif effect.op == "move":
            if self._has_tree(effect.slug) and not self._has_tree(effect.to):
                self.apply(effect, key)
        elif not self._has_tree(effect.to):
            self.stage_copy(key, effect.slug, effect.mtime)
            self.apply(effect, key)

    def undo(self, effect: Effect, key: str) -> None:
        """Put back what was before one effect, since a later one of its record failed. Raises OSError."""
        if effect.op == "put" and not image_bytes(effect.old):
            self._unlink(self.tree.file(effect.slug, effect.form))
            self._prune(effect.slug)
        elif effect.op in ("put", "delete"):
            form = effect.old_form or effect.form
            data = render(effect, before=True)
            self.stage_file(key, data, effect.mtime)
            self._place(key, self.tree.file(effect.slug, form))
            if effect.op == "put" and form != effect.form:
                self._unlink(self.tree.file(effect.slug, effect.form))
        elif effect.op == "rmtree":
            self._take_back(effect.slug, key)
        elif effect.op == "move":
            self._rename_tree(effect.to, effect.slug)
            self._prune(effect.to)
        else:
            self._set_aside(effect.to, key)

    def _is_ours(self, slug: str, form: str, effect: Effect) -> bool:
        try:
            raw = self.raw(slug, form)
        except FileNotFoundError:
            return not (effect.op == "put" and image_bytes(effect.old) and effect.old_form in ("", form))
        except OSError:
            return False
        if not raw.strip(b"\0"):
            return True
        try:
            image = split_meta(load_entry(raw, form))
        except CodecError:
            return False
        images = [(image_bytes(effect.old), image_bytes(effect.old_meta))]
        if effect.op == "put":
            images.append((image_bytes(effect.new), image_bytes(effect.new_meta)))
        return (image.body, image.meta_body) in images

    def new_record(self) -> None:
        """Forget which folders were found to be inside the tree: another record is going to be applied."""
        self._guarded.clear()

    def _guard(self, path: str) -> None:
        parent = os.path.dirname(path)
        if parent not in self._guarded:
            self.tree.guard(path)
            self._guarded.add(parent)

    def _place(self, key: str, path: str) -> None:
        self._guard(path)
        try:
            os.rename(f"{self.scratch}/{key}", path)
        except FileNotFoundError:
            self._make_parents(path)
            os.rename(f"{self.scratch}/{key}", path)

    def _make_parents(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def _place_copy(self, key: str, slug: str) -> None:
        staged = f"{self.scratch}/{key}"
        for name, target in (("folder", self.tree.folder(slug)), ("file", self.tree.file(slug, FILE))):
            if os.path.lexists(f"{staged}/{name}"):
                self._guard(target)
                self._make_parents(target)
                os.rename(f"{staged}/{name}", target)
        self.discard(key)

    def _set_aside(self, slug: str, key: str) -> None:
        """Rename a tree into the scratch folder, where it is deleted later: gone in one step."""
        aside = f"{self.scratch}/{key}"
        os.makedirs(aside, exist_ok=True)
        for name, source in (("folder", self.tree.folder(slug)), ("file", self.tree.file(slug, FILE))):
            self._guard(source)
            with contextlib.suppress(FileNotFoundError):
                os.rename(source, f"{aside}/{name}")
        self._prune(slug)

    def _take_back(self, slug: str, key: str) -> None:
        aside = f"{self.scratch}/{key}"
        for name, target in (("folder", self.tree.folder(slug)), ("file", self.tree.file(slug, FILE))):
            if os.path.lexists(f"{aside}/{name}"):
                self._make_parents(target)
                os.rename(f"{aside}/{name}", target)

    def _rename_tree(self, slug: str, to: str) -> None:
        for source, target in (
            (self.tree.folder(slug), self.tree.folder(to)),
            (self.tree.file(slug, FILE), self.tree.file(to, FILE)),
        ):
            if not os.path.lexists(source):
                continue
            self._guard(source)
            self._guard(target)
            self._make_parents(target)
            os.rename(source, target)

    def _has_tree(self, slug: str) -> bool:
        return os.path.lexists(self.tree.folder(slug)) or os.path.lexists(self.tree.file(slug, FILE))

    @staticmethod
    def _unlink(path: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)

    def _prune(self, slug: str) -> None:
        """Remove the folders of `slug` and above it that are empty now."""
        while slug:
            try:
                os.rmdir(self.tree.folder(slug))
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
                return
            slug = slug.rpartition("/")[0]


def render(effect: Effect, *, before: bool = False) -> bytes:
    """The bytes of the file that a `put` makes (or, with `before`, that was there)."""
    image = (
        Image(image_bytes(effect.old), image_bytes(effect.old_meta))
        if before
        else Image(image_bytes(effect.new), image_bytes(effect.new_meta))
    )
    form = (effect.old_form or effect.form) if before else effect.form
    return render_image(image, form)


def render_image(image: Image, form: str) -> bytes:
    """The bytes of a file in `form` that says `image`."""
    fields = decode_json(image.body)
    if image.meta_body:
        fields[META_KEY] = decode_json(image.meta_body)
    return dump_entry(fields, form)


def _hidden_or_link(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.startswith(".") or os.path.islink(os.path.join(folder, name))}


def flush_file_system(folder: Path) -> None:
    """Have everything written to the file system of `folder` reach the disk. Raises OSError."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
