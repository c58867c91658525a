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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from flatdata.store.codec import DEFAULT_LIMITS, CodecError, dump_entry, load_entry
from flatdata.store.entry import decode_json, encode_json
from flatdata.store.errors import EntryExists
from flatdata.store.log import Effect, image_bytes
from flatdata.store.paths import FILE, FOLDER_FORMS, InvalidSlug, Tree

SCRATCH_IN_CONTENT: Final = ".flatdata-scratch"
_LISTED: Final = 8
"""Files that are listed in the time that looking for one takes."""
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""What the system says where no such file is, or can be."""
IN_THE_WAY: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
"""What the system says where something else is in the place of a file or a folder."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What the system says where the disk knows no hard links."""
_FLUSH_ONE_BY_ONE: Final = 100
_FOLDER_PART: Final = "d"
_FILE_PART: Final = "f"
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


class HalfDone(OSError):
    """The disk refused a step of a change, and then refused to take back the steps before it."""


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
            except OSError as error:
                if error.errno in _ABSENT:
                    continue
                raise
            if stat.S_ISREG(status.st_mode):
                return Found(form, status.st_mtime_ns, status.st_size, status.st_ino)
            if refuse_others:
                raise EntryExists(slug)
        return None

    def absent(self, slugs: Sequence[str], entries: int) -> frozenset[str]:
        """Those of `slugs` of which neither a file nor a folder is there.

        `entries` is how many the site has: where that is much more than `slugs`, each is looked for by
        itself, else the folders they are in are listed.
        """
        if len(slugs) * _LISTED < entries:
            places = ((slug, self.tree.folder(slug)) for slug in slugs)
            return frozenset(
                slug
                for slug, path in places
                if not os.path.lexists(path) and not os.path.lexists(f"{path}.yaml")
            )
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
        """The bytes of the file, up to a little more than any entry may have.

        Raises OSError; a link is not followed.
        """
        descriptor = os.open(
            self.tree.file(slug, form), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
        with os.fdopen(descriptor, "rb") as file:
            return file.read(DEFAULT_LIMITS.max_bytes + 1)

    def parts(self, slug: str) -> str:
        """What the tree of an entry consists of: `d` for its folder, `f` for a single file."""
        return "".join(
            part
            for part, path in (
                (_FOLDER_PART, self.tree.folder(slug)),
                (_FILE_PART, self.tree.file(slug, FILE)),
            )
            if os.path.lexists(path)
        )

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
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            descriptor = os.open(f"{self.scratch}/{key}", flags, 0o644)
        except FileNotFoundError:
            os.makedirs(self.scratch, exist_ok=True)
            descriptor = os.open(f"{self.scratch}/{key}", flags, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)

    def stage_copy(self, key: str, slug: str, mtime_ns: int) -> None:
        """Copy the tree of an entry into the scratch folder, flushed to the disk; files are dated `mtime_ns`.

        Raises OSError.
        """
        target = f"{self.scratch}/{key}"
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(target)
        os.makedirs(target)
        try:
            if os.path.isfile(self.tree.file(slug, FILE)):
                shutil.copyfile(self.tree.file(slug, FILE), f"{target}/file", follow_symlinks=False)
            if os.path.isdir(self.tree.folder(slug)):
                shutil.copytree(self.tree.folder(slug), f"{target}/folder", ignore=_not_copied)
        except shutil.Error as error:
            raise OSError(errno.EIO, "the tree cannot be copied whole") from error
        files = [os.path.join(folder, name) for folder, _, names in os.walk(target) for name in names]
        for path in files:
            os.utime(path, ns=(mtime_ns, mtime_ns))
        # The log has no images of what is copied: it has to be on the disk before the change is accepted.
        if len(files) > _FLUSH_ONE_BY_ONE:
            flush_file_system(Path(target))
        else:
            for path in files:
                _flush(path)

    def clear_scratch(self) -> None:
        """Remove what dead writers left. Only under the write lock."""
        os.makedirs(self.scratch, exist_ok=True)
        for name in os.listdir(self.scratch):
            self.discard(name)
        # A new folder: some file systems keep the files of a folder near it, and where tens of thousands were
        # made since, finding a free place takes several times as long.
        with contextlib.suppress(OSError):
            os.rmdir(self.scratch)
            os.mkdir(self.scratch)

    def discard(self, key: str) -> None:
        """Remove one thing from the scratch folder, as far as the disk lets us."""
        path = f"{self.scratch}/{key}"
        with contextlib.suppress(OSError):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    # --- applying -------------------------------------------------------------------------------------

    def apply(self, effect: Effect, key: str, *, keep: bool = False) -> None:
        """Carry out one effect whose files were staged under `key`: all of it or, with an OSError, nothing.

        Args:
            keep: keep a file that is replaced or removed until `release`, so that `undo` can bring it back.

        Raises:
            OSError; HalfDone, where what was done of it cannot be taken back.
        """
        if keep and effect.op in ("put", "delete") and image_bytes(effect.old):
            self._keep(key, self.tree.file(effect.slug, effect.old_form or effect.form))
        if effect.op == "put":
            path = self.tree.file(effect.slug, effect.form)
            self._place(key, path)
            if effect.old_form and effect.old_form != effect.form:
                self._unlink_or_take_back(self.tree.file(effect.slug, effect.old_form), path)
        elif effect.op == "delete":
            self._unlink(self.tree.file(effect.slug, effect.form))
            self._prune(effect.slug)
        elif effect.op == "rmtree":
            self._rename_parts(self._parts_of(effect.slug), self._staged(key))
            self._prune(effect.slug)
        elif effect.op == "move":
            self._rename_parts(self._parts_of(effect.slug), self._parts_of(effect.to))
            self._prune(effect.slug)
        else:
            self._rename_parts(self._staged(key), self._parts_of(effect.to))
            self.discard(key)

    def redo(self, effect: Effect, key: str, is_edited: Callable[[str], bool]) -> None:
        """Carry out one effect of a record that a dead writer may have left half done. Raises OSError.

        A file that is neither what it was before the change nor what the change makes of it was edited by
        hand since, and stays. A file with no text at all, or only NULs, is what a power loss left of it.

        Args:
            is_edited: tells whether an entry, or something below it, was edited by hand after the record.
        """
        if is_edited(effect.slug) or (effect.to and is_edited(effect.to)):
            if effect.op == "rmtree":
                self._remove_ours(effect, is_edited)
        elif effect.op == "put":
            self._redo_put(effect, key)
        elif effect.op == "delete":
            if self._is_ours(effect.slug, effect.form, effect):
                self.apply(effect, key)
        elif effect.op == "rmtree":
            self._redo_rmtree(effect, key, is_edited)
        elif effect.op == "move":
            self._rename_missing(effect, self._parts_of(effect.slug), self._parts_of(effect.to))
            self._prune(effect.slug)
        elif self.parts(effect.to) != effect.parts:
            self.stage_copy(key, effect.slug, effect.mtime)
            self._rename_missing(effect, self._staged(key), self._parts_of(effect.to))

    def _redo_put(self, effect: Effect, key: str) -> None:
        if not self._is_ours(effect.slug, effect.form, effect):
            return
        self.stage_file(key, render(effect), effect.mtime)
        self._place(key, self.tree.file(effect.slug, effect.form))
        old_form = effect.old_form
        if old_form and old_form != effect.form and self._is_ours(effect.slug, old_form, effect):
            self._unlink(self.tree.file(effect.slug, old_form))

    def _redo_rmtree(self, effect: Effect, key: str, is_edited: Callable[[str], bool]) -> None:
        aside = self._staged(key)
        if any(os.path.lexists(path) for path in aside.values()):
            # It was under way: what lies in a place that was emptied already came later.
            left = [
                part for part, path in aside.items() if not os.path.lexists(path) and part in effect.parts
            ]
            sources = self._parts_of(effect.slug)
            self._rename_parts({part: sources[part] for part in left}, aside)
        elif all(self._is_known(slug, form, effect) for slug, form in self._entry_files(effect.slug)):
            self.apply(effect, key)
        else:
            self._remove_ours(effect, is_edited)

    def _remove_ours(self, effect: Effect, is_edited: Callable[[str], bool]) -> None:
        """Remove of a tree what is still as it was when the tree was removed."""
        for slug, form in list(self._entry_files(effect.slug)):
            if not is_edited(slug) and self._is_known(slug, form, effect):
                self._unlink(self.tree.file(slug, form))
                self._prune(slug)

    def _is_known(self, slug: str, form: str, effect: Effect) -> bool:
        image = effect.images.get(slug)
        try:
            return image is not None and self.read(slug, form).body == bytes(image)
        except CodecError:
            return False
        except OSError as error:
            if error.errno in IN_THE_WAY:
                return False
            raise

    def _entry_files(self, slug: str) -> Iterator[tuple[str, str]]:
        """The entry files of a tree, as slug and form."""
        paths = [self.tree.file(slug, FILE)] if os.path.lexists(self.tree.file(slug, FILE)) else []
        for folder, _, names in os.walk(self.tree.folder(slug)):
            paths += [os.path.join(folder, name) for name in names]
        for path in paths:
            try:
                located = self.tree.locate(path)
            except InvalidSlug:
                continue
            if located is not None:
                yield located

    def _rename_missing(self, effect: Effect, sources: dict[str, str], targets: dict[str, str]) -> None:
        """Rename those parts of a tree that a dead writer left behind."""
        left = [part for part in effect.parts if not os.path.lexists(targets[part])]
        self._rename_parts({part: sources[part] for part in left}, targets)

    def undo(self, effect: Effect, key: str) -> None:
        """Put back what was before one effect that was applied with `keep`. Raises OSError."""
        if effect.op in ("put", "delete"):
            before = self.tree.file(effect.slug, effect.old_form or effect.form)
            after = self.tree.file(effect.slug, effect.form)
            if os.path.lexists(self._kept(key)):
                self._make_parents(before)
                os.rename(self._kept(key), before)
            if effect.op == "put" and (before != after or not image_bytes(effect.old)):
                self._unlink(after)
                self._prune(effect.slug)
        elif effect.op == "rmtree":
            self._rename_parts(self._staged(key), self._parts_of(effect.slug))
        elif effect.op == "move":
            self._rename_parts(self._parts_of(effect.to), self._parts_of(effect.slug))
            self._prune(effect.to)
        else:
            self._rename_parts(self._parts_of(effect.to), self._staged(key))
            self._prune(effect.to)

    def release(self, effect: Effect, key: str) -> None:
        """Let go of what was kept or set aside for `undo`, as far as the disk lets us."""
        if effect.op == "rmtree":
            self.discard(key)
        elif effect.op in ("put", "delete") and image_bytes(effect.old):
            with contextlib.suppress(OSError):
                os.unlink(self._kept(key))

    def _kept(self, key: str) -> str:
        return f"{self.scratch}/{key}-before"

    def _keep(self, key: str, path: str) -> None:
        kept = self._kept(key)
        self._unlink(kept)
        try:
            os.link(path, kept)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copy2(path, kept)

    def _is_ours(self, slug: str, form: str, effect: Effect) -> bool:
        try:
            raw = self.raw(slug, form)
        except FileNotFoundError:
            return not (effect.op == "put" and image_bytes(effect.old) and effect.old_form in ("", form))
        except OSError as error:
            if error.errno in IN_THE_WAY:
                return False
            raise
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
        parent = path.rpartition("/")[0]
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
        parent = path.rpartition("/")[0]
        try:
            os.mkdir(parent)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(parent, exist_ok=True)

    def _parts_of(self, slug: str) -> dict[str, str]:
        """Where the parts of a tree are in the content."""
        return {_FOLDER_PART: self.tree.folder(slug), _FILE_PART: self.tree.file(slug, FILE)}

    def _staged(self, key: str) -> dict[str, str]:
        """Where the parts of a tree are in the scratch folder, on their way into the content or out of it."""
        return {_FOLDER_PART: f"{self.scratch}/{key}/folder", _FILE_PART: f"{self.scratch}/{key}/file"}

    def _rename_parts(self, sources: dict[str, str], targets: dict[str, str]) -> None:
        """Rename those of `sources` that are there, all or none. Raises OSError, HalfDone."""
        done: list[tuple[str, str]] = []
        try:
            for part, source in sources.items():
                if os.path.lexists(source):
                    target = targets[part]
                    for path in (source, target):
                        if not path.startswith(self.scratch):
                            self._guard(path)
                    self._make_parents(target)
                    os.rename(source, target)
                    done.append((source, target))
        except OSError:
            try:
                for source, target in reversed(done):
                    os.rename(target, source)
            except OSError as error:
                raise HalfDone(error.errno, error.strerror) from error
            raise

    def _unlink_or_take_back(self, path: str, made: str) -> None:
        try:
            self._unlink(path)
        except OSError:
            try:
                os.unlink(made)
            except OSError as error:
                raise HalfDone(error.errno, error.strerror) from error
            raise

    @staticmethod
    def _unlink(path: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)

    def _prune(self, slug: str) -> None:
        """Remove the folders of `slug` and above it that are empty now, as far as the disk lets us."""
        while slug:
            try:
                os.rmdir(self.tree.folder(slug))
            except FileNotFoundError:
                pass
            except OSError:
                return
            slug = slug.rpartition("/")[0]


def render(effect: Effect) -> bytes:
    """The bytes of the file that a `put` makes."""
    return render_image(Image(image_bytes(effect.new), image_bytes(effect.new_meta)), effect.form)


def render_image(image: Image, form: str) -> bytes:
    """The bytes of a file in `form` that says `image`, which `check_storable` let pass when it was made."""
    fields = decode_json(image.body)
    if image.meta_body:
        fields[META_KEY] = decode_json(image.meta_body)
    return dump_entry(fields, form, is_storable=True)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """What a copy of a tree leaves out: hidden things, links, and whatever is neither file nor folder."""
    return {name for name in names if name[0] == "." or not _is_plain(os.path.join(folder, name))}


def _is_plain(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
