"""Slugs and the paths they stand for. The only place that joins paths below `content/`.

Layout (design: "On disk"): the entry `movies/platform` is `movies/platform/entry.yaml`, or `entry.md` in the
same folder, or the single file `movies/platform.yaml`; a data source's manifest is `<slug>/manifest.yaml`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Final

from flatdata.errors import FlatdataError

MAX_SEGMENT_BYTES: Final = 255
MAX_SLUG_BYTES: Final = 2_000
MAX_DEPTH: Final = 32

ENTRY_YAML: Final = "entry.yaml"
ENTRY_MD: Final = "entry.md"
FILE: Final = "file"
MANIFEST: Final = "manifest"
FOLDER_FORMS: Final = (ENTRY_YAML, ENTRY_MD)
"""Forms that live in a folder of their own, the first one winning over the second."""

RESERVED_LAST: Final = frozenset({"entry", "manifest"})
_RESERVED_ENDS: Final = tuple(RESERVED_LAST)
_DETOUR: Final = re.compile(r"/(?:/|\.{1,2}(?:/|$)|$)")
"""A part of a path that says the same as another path without it."""
_PLAIN_SLUG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9_-]{0,99}){0,9}")
"""Most slugs there are. The bounds on their segments and depth are well within those that slugs have."""
_BIDI: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class InvalidSlug(FlatdataError):
    """A slug that no entry can have."""

    def __init__(self, slug: str, reason: str) -> None:
        super().__init__(f"invalid id: {reason}")
        self.slug = slug
        self.reason = reason


def check_slug(slug: str) -> str:
    """Give the canonical form (Unicode NFC) of `slug`, which must name an entry.

    Raises:
        InvalidSlug: with the reason, for anything that is not one to 32 well-formed segments.
    """
    if not slug:
        raise InvalidSlug(slug, "it is empty")
    if _PLAIN_SLUG.fullmatch(slug) and not slug.endswith(_RESERVED_ENDS):
        return slug
    slug = unicodedata.normalize("NFC", slug)
    try:
        encoded = len(slug.encode())
    except UnicodeEncodeError:
        raise InvalidSlug(slug, "it is not valid Unicode") from None
    if encoded > MAX_SLUG_BYTES:
        raise InvalidSlug(slug, f"it is longer than {MAX_SLUG_BYTES} bytes")
    segments = slug.split("/")
    if len(segments) > MAX_DEPTH:
        raise InvalidSlug(slug, f"it is deeper than {MAX_DEPTH} levels")
    for segment in segments:
        if problem := segment_problem(segment):
            raise InvalidSlug(slug, problem)
    if segments[-1] in RESERVED_LAST:
        raise InvalidSlug(slug, f"{segments[-1]!r} is a reserved name")
    return slug


def segment_problem(segment: str) -> str | None:
    """Say what is wrong with one segment of a slug, or None."""
    if not segment:
        return "a segment is empty"
    if segment[0] == ".":
        return "a segment begins with a dot"
    if segment[-1] in ". " or segment[0] == " ":
        return "a segment ends with a dot or has blanks at an end"
    if segment.endswith(".yaml") or segment == ENTRY_MD:
        return "a segment is named like a file of entries"
    if segment.isascii() and segment.isprintable():
        if "/" in segment or "\\" in segment:
            return "a segment holds a slash"
        return (
            None
            if len(segment) <= MAX_SEGMENT_BYTES
            else f"a segment is longer than {MAX_SEGMENT_BYTES} bytes"
        )
    for character in segment:
        if (
            character in "/\\"
            or character in _BIDI
            or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        ):
            return "a segment holds a control character or a slash"
    if segment != segment.strip():
        return "a segment has blanks at an end"
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        return f"a segment is longer than {MAX_SEGMENT_BYTES} bytes"
    return None


def parent_of(slug: str) -> str:
    """The slug one level up; the empty slug for a top-level one."""
    return slug.rpartition("/")[0]


def name_of(slug: str) -> str:
    """The last segment."""
    return slug.rpartition("/")[2]


def join(parent: str, name: str) -> str:
    """The slug of `name` below `parent`."""
    return f"{parent}/{name}" if parent else name


def is_within(slug: str, ancestor: str) -> bool:
    """Whether `slug` is `ancestor` or lies below it."""
    return slug == ancestor or not ancestor or slug.startswith(ancestor + "/")


class Tree:
    """The folder of content files, and where each slug is in it.

    Args:
        root: the `content/` folder; symbolic links in it are resolved once, here.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._base = str(self.root)

    def folder(self, slug: str) -> str:
        """The path of the folder of `slug`, whether or not it exists."""
        return f"{self._base}/{slug}" if slug else self._base

    def file(self, slug: str, form: str) -> str:
        """The path of the file of the entry `slug` in `form`."""
        if form in (FILE, MANIFEST):
            return f"{self._base}/{slug}.yaml"
        return f"{self._base}/{slug}/{form}"

    def guard(self, path: str) -> None:
        """Make sure that writing to `path` stays inside the tree, whatever links lie on the way.

        Raises:
            OSError: ELOOP, if a folder on the way is a symbolic link.
        """
        if not path.startswith(f"{self._base}/"):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        end = path.find("/", len(self._base) + 1)
        while end >= 0:
            try:
                mode = os.lstat(path[:end]).st_mode
            except FileNotFoundError:
                return
            if stat.S_ISLNK(mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            end = path.find("/", end + 1)

    def is_behind_link(self, path: str) -> bool:
        """Whether something below `content/` is a symbolic link, or would be reached through one.

        `content/` itself may be one: where it leads is what the site is about.
        """
        end = len(self._base)
        while end < len(path):
            end = path.find("/", end + 1)
            end = end if end >= 0 else len(path)
            if os.path.islink(path[:end]):
                return True
        return False

    def check_way(self, slug: str, is_known: Callable[[str], bool], *, itself: bool = False) -> None:
        """Make sure that folders can be made for a new entry `slug`: those above it, `itself` its own, too.

        `is_known` tells which folders were seen to be such.

        Raises:
            InvalidSlug: if a link, or a file that is no entry, stands on the way.
        """
        parent = slug if itself else parent_of(slug)
        while parent and not is_known(parent):
            try:
                status = os.lstat(self.folder(parent))
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError:
                raise InvalidSlug(slug, "its folder cannot be reached") from None
            else:
                if not stat.S_ISDIR(status.st_mode):
                    raise InvalidSlug(slug, "something that is no folder is on its way")
            parent = parent_of(parent)

    def locate(self, path: str) -> tuple[str, str] | None:
        """The slug and form of the file at `path`, or None if no entry or manifest can be there.

        Raises:
            InvalidSlug: for a file that looks like an entry but whose name no slug can have.
        """
        relative = self._relative(path)
        if relative.startswith(".."):
            return None
        folder, _, name = relative.rpartition("/")
        if name.startswith(".") or "/." in f"/{folder}":
            return None
        if not folder and name in (*FOLDER_FORMS, "manifest.yaml"):
            raise InvalidSlug(name, "it belongs in a folder below content/")
        if name in FOLDER_FORMS:
            return self._checked(folder), name
        if name == "manifest.yaml":
            return join(self._checked(folder), MANIFEST), MANIFEST
        if name.endswith(".yaml"):
            return self._checked(relative[: -len(".yaml")]), FILE
        return None

    def locate_folder(self, path: str) -> tuple[str, ...]:
        """The slug of the folder at `path`, empty for the root; nothing if it is hidden or outside.

        Raises:
            InvalidSlug: for a folder that no entry can be in.
        """
        relative = self._relative(path)
        if relative == ".":
            return ("",)
        if "/." in f"/{relative}":
            return ()
        segments = relative.split("/")
        for segment in segments:
            if problem := segment_problem(segment):
                raise InvalidSlug(relative, problem)
        if len(segments) > MAX_DEPTH or not unicodedata.is_normalized("NFC", relative):
            raise InvalidSlug(relative, "no entry can be in it")
        return (relative,)

    def _relative(self, path: str) -> str:
        """`path` from here, as `os.path.relpath` says it, which takes 40 µs."""
        start = len(self._base) + 1
        is_below = path.startswith(self._base) and path[start - 1 : start] == "/"
        if is_below and path[start:] and not _DETOUR.search(path, start - 1):
            return path[start:]
        return os.path.relpath(path, self._base)

    @staticmethod
    def _checked(slug: str) -> str:
        checked = check_slug(slug)
        if checked != slug:
            raise InvalidSlug(slug, "its name on disk is not in Unicode normal form C")
        return slug
