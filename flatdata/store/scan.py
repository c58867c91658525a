"""What is on the disk: every entry file below `content/`, found by name and status, without reading it."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from stat import S_ISREG
from typing import Final

from flatdata.store.codec import CodecError
from flatdata.store.disk import Disk, Found
from flatdata.store.entry import Entry
from flatdata.store.images import Image
from flatdata.store.paths import (
    ENTRY_MD,
    ENTRY_YAML,
    FILE,
    MANIFEST,
    MAX_DEPTH,
    RESERVED_LAST,
    Tree,
    join,
    name_of,
    segment_problem,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something on the disk that is not served: where (relative to the site), which line, and why."""

    path: str
    reason: str
    line: int | None = None


_NAMED_FORMS: Final = {"entry.yaml": ENTRY_YAML, "entry.md": ENTRY_MD}
_MANIFEST_FILE: Final = "manifest.yaml"
_ORDINARY: Final = re.compile(r"(?!(?:entry|manifest)\.)[A-Za-z0-9_-]{1,200}\.yaml").fullmatch
"""Whether a file's name is of the kind that most have, with nothing in it to be checked."""
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Scan:
    """One walk over the content, or a part of it.

    Args:
        before: told of each folder's path just before the folder is listed.

    Attributes:
        found: each entry's file, by slug; where several forms are present, the one that is served.
        problems: what was passed over.
        unread: folders that could not be looked into, by slug.
        folders: how many folders were seen.
    """

    def __init__(self, tree: Tree, before: Callable[[str], None] | None = None) -> None:
        self._tree = tree
        self._before = before
        self.found: dict[str, Found] = {}
        self.unread: list[str] = []
        self.problems: list[Problem] = []
        self.folders = 0

    def walk(self, slug: str = "") -> Scan:
        """Look at everything in the folder of `slug`, at all depths.

        A missing folder is an empty one, and so is one behind a symbolic link.
        """
        if self._tree.is_behind_link(self._tree.folder(slug)):
            return self
        pending = [(slug, self._tree.folder(slug), slug.count("/") + 1 if slug else 0)]
        while pending:
            folder_slug, path, depth = pending.pop()
            for child_slug, child_path in self._look(folder_slug, path):
                if depth >= MAX_DEPTH:
                    self._report(child_path, f"it is deeper than {MAX_DEPTH} levels")
                else:
                    pending.append((child_slug, child_path, depth + 1))
        return self

    def _look(self, slug: str, path: str) -> list[tuple[str, str]]:
        """Take in the files of one folder; gives its subfolders."""
        if self._before is not None:
            self._before(path)
        try:
            # `content/` itself may have become a link since the tree was opened.
            descriptor = os.open(path, _FOLDER_FLAGS if slug else _FOLDER_FLAGS & ~os.O_NOFOLLOW)
            try:
                # Below an open folder the system has no path to go through for each file.
                with os.scandir(descriptor) as listing:
                    items = list(listing)
                self.folders += 1
                return self._take_all(slug, path, items)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.unread.append(slug)
            self._report(path, f"it cannot be read: {error.strerror}")
            return []

    def _take_all(self, slug: str, path: str, items: list[os.DirEntry[str]]) -> list[tuple[str, str]]:
        """Take in all `items` of a folder, which are taken out of the list; gives the subfolders."""
        subfolders: list[tuple[str, str]] = []
        prefix = f"{slug}/" if slug else ""
        may_hold_files = prefix.count("/") < MAX_DEPTH
        found = self.found
        # An item keeps all that was asked about it, 0.7 KB: of 50,000 none is kept longer than needed.
        items.reverse()
        while items:
            item = items.pop()
            name = item.name
            if may_hold_files and _ORDINARY(name) and item.is_file(follow_symlinks=False):
                # Most files come this way: without further calls, 50,000 of them take a third less.
                child = prefix + name[:-5]
                try:
                    status = item.stat(follow_symlinks=False)
                except OSError as error:
                    self._not_looked_at(f"{path}/{name}", error)
                    continue
                if child not in found and S_ISREG(status.st_mode):
                    found[child] = Found(FILE, status.st_mtime_ns, status.st_size, status.st_ino)
                else:
                    self._take_file(child, FILE, status, f"{path}/{name}")
            elif name[0] == ".":
                continue
            elif item.is_symlink():
                self._report(f"{path}/{name}", "it is a symbolic link")
            elif item.is_dir(follow_symlinks=False):
                if problem := segment_problem(name) or _not_normal(name):
                    self._report(f"{path}/{name}", problem)
                else:
                    subfolders.append((prefix + name, f"{path}/{name}"))
            elif name.endswith(".yaml") or name == "entry.md":
                self._take(slug, item, path)
        return subfolders

    def _take(self, slug: str, item: os.DirEntry[str], folder: str) -> None:
        """Take in a file whose name has to be looked at."""
        name, path = item.name, f"{folder}/{item.name}"
        if name == _MANIFEST_FILE:
            form, target = MANIFEST, join(slug, MANIFEST)
        elif name in _NAMED_FORMS:
            form, target = _NAMED_FORMS[name], slug
        else:
            form, target = FILE, join(slug, name[:-5])
            problem = segment_problem(name[:-5]) or _not_normal(name)
            if not problem and target.count("/") >= MAX_DEPTH:
                problem = f"it is deeper than {MAX_DEPTH} levels"
            if problem:
                self._report(path, problem)
                return
        if not target or (form == MANIFEST and not slug):
            self._report(path, "it belongs in a folder below content/")
            return
        if form in _NAMED_FORMS.values() and name_of(slug) in RESERVED_LAST:
            self._report(path, f"{name_of(slug)!r} is a reserved name")
            return
        try:
            status = item.stat(follow_symlinks=False)
        except OSError as error:
            self._not_looked_at(path, error)
        else:
            self._take_file(target, form, status, path)

    def _not_looked_at(self, path: str, error: OSError) -> None:
        """Report a file that the system tells nothing of, unless it is just gone."""
        if not isinstance(error, FileNotFoundError):
            self._report(path, f"it cannot be read: {error.strerror}")

    def _take_file(self, slug: str, form: str, status: os.stat_result, path: str) -> None:
        if not S_ISREG(status.st_mode):
            self._report(path, "it is not a plain file")
            return
        found = Found(form, status.st_mtime_ns, status.st_size, status.st_ino)
        if slug in self.found:
            self._choose(slug, found, path)
        else:
            self.found[slug] = found

    def _choose(self, slug: str, found: Found, path: str) -> None:
        """Of two files for one entry, have one served and the other reported."""
        other = self.found[slug]
        order = (ENTRY_YAML, ENTRY_MD, FILE)
        if order.index(found.form) < order.index(other.form):
            self.found[slug] = found
            loser = self._tree.file(slug, other.form)
        else:
            loser = path
        self._report(loser, f"another file for the entry {slug!r} is served instead")

    def _report(self, path: str, reason: str) -> None:
        relative = os.path.relpath(path, self._tree.root.parent)
        self.problems.append(Problem(relative.encode("utf-8", "replace").decode(), reason))


def entry_of(slug: str, found: Found, image: Image) -> Entry:
    """The entry that a file is."""
    return Entry(
        slug,
        image.body,
        image.meta_body,
        form=found.form,
        mtime_ns=found.mtime_ns,
        size=found.size,
    )


def found_alone(path: str, form: str) -> Found | None:
    """The file of an entry in `form`, if nothing else is in its folder, which is at `path`.

    Raises OSError; a link is not followed.
    """
    descriptor = os.open(path, _FOLDER_FLAGS)
    try:
        if os.listdir(descriptor) != [form]:
            return None
        status = os.stat(form, dir_fd=descriptor, follow_symlinks=False)
    finally:
        os.close(descriptor)
    if not S_ISREG(status.st_mode):
        return None
    return Found(form, status.st_mtime_ns, status.st_size, status.st_ino)


def entries_on_disk(disk: Disk) -> Iterator[Entry]:
    """All entries whose files can be understood, read one by one."""
    for slug, found in Scan(disk.tree).walk().found.items():
        with contextlib.suppress(CodecError, OSError):
            yield entry_of(slug, found, disk.read(slug, found.form))


def _not_normal(name: str) -> str | None:
    if name.isascii():
        return None
    if not unicodedata.is_normalized("NFC", name):
        return "its name is not in Unicode normal form C"
    return None
