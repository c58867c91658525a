"""The files below `content/`: found and read, and put into their places.

New files come from the scratch folder (`flatdata.store.staging`), complete, by a rename. No step goes through
a link, and every one can be repeated: done again it changes nothing that was done already.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from flatdata.store.codec import DEFAULT_LIMITS
from flatdata.store.errors import EntryExists
from flatdata.store.flushing import flush_file_system
from flatdata.store.images import Image, image_of
from flatdata.store.paths import FILE, FOLDER_FORMS, InvalidSlug, Tree
from flatdata.store.staging import FILE_PART, FOLDER_PART, Scratch

SCRATCH_IN_CONTENT: Final = ".flatdata-scratch"
_LISTED: Final = 8
"""Files that are listed in the time that looking for one takes."""
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""What the system says where no such file is, or can be."""


class Found(NamedTuple):
    """A file as it is on the disk: its form, modification time (ns), size (bytes) and inode."""

    form: str
    mtime_ns: int
    size: int
    inode: int


class HalfDone(OSError):
    """The disk refused a step of a change, and then refused to take back the steps before it for good."""


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
        self.scratch = Scratch(str(state_dir / "scratch" if same else tree.root / SCRATCH_IN_CONTENT))
        self._guarded: set[str] = set()

    # --- looking --------------------------------------------------------------------------------------

    def find(
        self,
        slug: str,
        forms: tuple[str, ...] = (*FOLDER_FORMS, FILE),
        *,
        refuse_others: bool = False,
        may_lack_folder: bool = False,
    ) -> Found | None:
        """The file of an entry, in the first of `forms` that is there as a plain file; None if in none.

        Args:
            may_lack_folder: it has most likely no folder, which spares looking into it.

        Raises:
            EntryExists: with `refuse_others`, where something that is no plain file is in such a place.
        """
        if may_lack_folder and not self._has_folder(slug):
            forms = tuple(form for form in forms if form not in FOLDER_FORMS)
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

    def find_without_links(self, slug: str, forms: tuple[str, ...], plain: set[str]) -> Found | None:
        """The same; None as well where a link is on the way, for what is behind one is no content.

        `plain` holds folders that were just seen to have no link on their way, and is added to.
        """
        folder = self.tree.file(slug, forms[-1]).rpartition("/")[0]
        if folder not in plain:
            if self.tree.is_behind_link(folder):
                return None
            plain.add(folder)
        found = self.find(slug, forms)
        if found is not None and found.form in FOLDER_FORMS and os.path.islink(self.tree.folder(slug)):
            # The entry's own folder, which `folder` is not: a file beside it may be the entry all the same.
            return self.find(slug, tuple(form for form in forms if form not in FOLDER_FORMS))
        return found

    def _has_folder(self, slug: str) -> bool:
        try:
            os.lstat(self.tree.folder(slug))
        except OSError as error:
            if error.errno in _ABSENT:
                return False
            raise
        return True

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
        return image_of(self.raw(slug, form), form)

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
        return "".join(part for part, path in self.parts_of(slug).items() if os.path.lexists(path))

    def parts_of(self, slug: str) -> dict[str, str]:
        """Where the parts of the tree of an entry are, or would be."""
        return {FOLDER_PART: self.tree.folder(slug), FILE_PART: self.tree.file(slug, FILE)}

    def is_taken(self, slug: str) -> bool:
        """Whether a file, a link or a folder that is not empty stands where the entry `slug` would be."""
        folder = self.tree.folder(slug)
        if os.path.lexists(self.tree.file(slug, FILE)) or os.path.islink(folder):
            return True
        try:
            with os.scandir(folder) as names:
                return any(True for _ in names)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            return True

    def entry_files(self, slug: str) -> Iterator[tuple[str, str]]:
        """The files of a tree in which entries are, as slug and form."""
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

    # --- changing -------------------------------------------------------------------------------------

    def new_record(self) -> None:
        """Forget which folders were found to be inside the tree: another record is to be carried out."""
        self._guarded.clear()

    def _guard(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent not in self._guarded:
            self.tree.guard(path)
            self._guarded.add(parent)

    def place(self, key: str, path: str, *, in_new_folder: bool = False) -> None:
        """Rename the file staged under `key` to `path`, whatever is there. Raises OSError.

        Args:
            in_new_folder: its folder is most likely to be made first.
        """
        if in_new_folder:
            # A folder that can be made is no link, and holds nothing that has to be looked for.
            folder = path.rpartition("/")[0]
            self._guard(folder)
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.mkdir(folder)
                self._guarded.add(folder)
        self._guard(path)
        try:
            os.rename(self.scratch.path(key), path)
        except FileNotFoundError:
            self._make_parents(path)
            os.rename(self.scratch.path(key), path)

    def _make_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        try:
            os.mkdir(parent)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(parent, exist_ok=True)

    def rename_parts(self, sources: Mapping[str, str], targets: Mapping[str, str]) -> None:
        """Rename those parts of a tree that are there, all or none. Raises OSError, HalfDone."""
        done: list[tuple[str, str]] = []
        try:
            for part, source in sources.items():
                if os.path.lexists(source):
                    target = targets[part]
                    for path in (source, target):
                        if not path.startswith(self.scratch.folder):
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

    def put_back(self, kept: str, path: str) -> None:
        """Rename a file that was kept to where it was. Raises OSError."""
        if os.path.lexists(kept):
            self._make_parents(path)
            os.rename(kept, path)

    def flush(self) -> None:
        """Have all that was done to the files reach the disk. Raises OSError."""
        flush_file_system(self.tree.root)

    @staticmethod
    def unlink(path: str) -> None:
        """Remove a file, if it is there. Raises OSError."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)

    def prune(self, slug: str) -> None:
        """Remove the folders of `slug` and above it that are empty now, as far as the disk lets us."""
        while slug:
            try:
                os.rmdir(self.tree.folder(slug))
            except FileNotFoundError:
                pass
            except OSError:
                return
            slug = slug.rpartition("/")[0]
