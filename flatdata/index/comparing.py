"""Comparing the files with what is known of them, and taking the differences in as changes from disk.

What the memory does not have is known here: the inodes of files, which ones cannot be understood, and what
was passed over. Only the keeper compares, in one thread.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from flatdata.store.codec import CodecError
from flatdata.store.disk import Found
from flatdata.store.edits import Parsed, forms_to_check
from flatdata.store.entry import Entry
from flatdata.store.images import Image
from flatdata.store.paths import FOLDER_FORMS, InvalidSlug, Tree, is_within
from flatdata.store.scan import Problem, Scan, entry_of, found_alone
from flatdata.store.store import Store

if TYPE_CHECKING:
    from flatdata.index.watching import Hint

_CHUNK: Final = 100
"""Files taken in under one hold of the write lock, as one record. More would keep writers waiting, and the
requests of processes that follow."""

logger = logging.getLogger("flatdata.keeper")


class Comparison:
    """The files of a store, compared with its memory.

    Args:
        store: what is compared, and takes in the differences.
        before_recording: called when something is about to be taken in.

    Attributes:
        odd: whether something was seen that only a comparison of everything can place. Set here, and taken
            back by whoever has everything compared.
        watch: called with each folder just before it is listed.
    """

    def __init__(self, store: Store, before_recording: Callable[[], None]) -> None:
        self._store = store
        self._before_recording = before_recording
        self._inodes: dict[str, tuple[int, int]] = {}
        self._broken: dict[str, tuple[Found, Problem]] = {}
        self._passed_over: set[Problem] = set()
        self._reported: frozenset[str] = frozenset()
        """The paths, from the site's folder, of what was passed over, and of the folders that it is in."""
        self.odd = False
        self.watch: Callable[[str], None] | None = None

    # --- what is known ------------------------------------------------------------------------------------

    def know(self, entries: Iterable[Entry], inodes: Iterable[int]) -> None:
        """Take over the inode of the file of each entry."""
        for entry, inode in zip(entries, inodes, strict=True):
            self._inodes[entry.slug] = (entry.mtime_ns, inode)

    def inodes_of(self, entries: Iterable[Entry]) -> dict[str, int]:
        """The inodes of the files of `entries`, where they are known; all others are forgotten."""
        known = self._inodes
        self._inodes = {entry.slug: known[entry.slug] for entry in entries if entry.slug in known}
        return {slug: inode for slug, (_, inode) in self._inodes.items()}

    def problems(self) -> list[Problem]:
        """The files that are not served: first those that were passed over, by their paths."""
        passed_over = sorted(self._passed_over, key=lambda problem: problem.path)
        return [*passed_over, *(problem for _, problem in self._broken.values())]

    # --- all files ----------------------------------------------------------------------------------------

    def read_all(self, progress: Callable[[int, int], None]) -> list[Entry]:
        """Every file as an entry; `progress` is told of (files looked at, files in all) after each."""
        entries: list[Entry] = []
        found_in_all = Scan(self._store.tree).walk().found
        progress(0, len(found_in_all))
        for number, (slug, found) in enumerate(found_in_all.items(), start=1):
            image = self._read(slug, found)
            if isinstance(image, Image):
                entries.append(entry_of(slug, found, image))
                self._inodes[slug] = (found.mtime_ns, found.inode)
            progress(number, len(found_in_all))
        return entries

    def read_again(self) -> int:
        """Read every file, whatever its date, and record what changed; gives the number of such entries."""
        self._inodes.clear()
        self._broken.clear()
        scan = Scan(self._store.tree).walk()
        self._store.follow()
        changed = 0
        listed = list(scan.found)
        for start in range(0, len(listed), _CHUNK):
            parsed = {
                slug: (scan.found[slug], image)
                for slug in listed[start : start + _CHUNK]
                if (image := self._read(slug, scan.found[slug])) is not None
            }
            changed += self._store.ingest(parsed, parsed)
        return changed + self.compare()

    def compare(self, slug: str = "") -> int:
        """Compare the files at and below `slug` with what is known; take in the differences.

        Gives the number of entries that changed.
        """
        self._store.follow()
        # Folders are watched just before they are listed: what happens later is hinted at.
        scan = Scan(self._store.tree, self.watch).walk(slug)
        if slug and (found := self._find(slug)) is not None:
            scan.found[slug] = found
        self._report_passed_over(slug, scan.problems)
        changed = [known for known, found in scan.found.items() if self._differs(known, found)]
        with self._store.state.lock:
            if slug:
                known_slugs = [entry.slug for entry in self._store.state.below(slug)]
            else:
                known_slugs = list(self._store.state.entries)
        gone = [known for known in known_slugs if known not in scan.found]
        # Of a folder that cannot be read, what is known of it stays.
        changed += [each for each in gone if not any(is_within(each, folder) for folder in scan.unread)]
        for known in [known for known in self._broken if known not in scan.found and is_within(known, slug)]:
            del self._broken[known]
        return self.take_in(changed)

    def _report_passed_over(self, slug: str, problems: list[Problem]) -> None:
        """Note what was passed over below `slug`, in place of what was before."""
        for problem in problems:
            if problem not in self._passed_over:
                logger.warning("%s: %s", problem.path, problem.reason)
        tree = self._store.tree
        below = os.path.relpath(tree.folder(slug), tree.root.parent) + "/"
        others = {problem for problem in self._passed_over if not problem.path.startswith(below)}
        passed_over = others.union(problems)
        if passed_over != self._passed_over:
            self._passed_over = passed_over
            self._reported = frozenset(path for problem in passed_over for path in _way(problem.path))

    # --- some files ---------------------------------------------------------------------------------------

    def take_in(self, slugs: Iterable[str]) -> int:
        """Read the files of `slugs` and record those that changed; gives how many did."""
        listed = list(dict.fromkeys(slugs))
        changed = 0
        plain: set[str] = set()
        for start in range(0, len(listed), _CHUNK):
            parsed: dict[str, Parsed] = {}
            stale: list[str] = []
            plain.clear()
            for slug in listed[start : start + _CHUNK]:
                found = self._find(slug, plain)
                if found is None:
                    self._broken.pop(slug, None)
                    self._inodes.pop(slug, None)
                    stale.append(slug)
                elif self._differs(slug, found):
                    image = self._read(slug, found)
                    if image is None:
                        continue
                    parsed[slug] = (found, image)
                    self._inodes[slug] = (found.mtime_ns, found.inode)
                    stale.append(slug)
            if stale:
                self._before_recording()
                changed += self._store.ingest(stale, parsed)
                self.odd = self.odd or self._are_contested(stale)
        return changed

    def _find(self, slug: str, plain: set[str] | None = None) -> Found | None:
        """The file of an entry; none where a link is on its way. `plain` is as the disk has it."""
        known = set() if plain is None else plain
        return self._store.disk.find_without_links(slug, forms_to_check(slug), known)

    def _differs(self, slug: str, found: Found) -> bool:
        entry = self._store.state.entries.get(slug)
        if entry is None:
            return slug not in self._broken or self._broken[slug][0] != found
        if entry.mtime_ns != found.mtime_ns or entry.size != found.size or entry.form != found.form:
            return True
        seen = self._inodes.get(slug)
        if seen is not None and seen[1] == found.inode and seen[0] == found.mtime_ns:
            return False
        if seen is not None and seen[1] and seen[0] == found.mtime_ns:
            return True
        self._inodes[slug] = (found.mtime_ns, found.inode)
        return False

    def _read(self, slug: str, found: Found) -> Image | CodecError | None:
        """What a file says, why it cannot be understood, or None if the disk does not let us know.

        The latter two are remembered and told; what cannot be read is tried again at the next comparison.
        """
        line: int | None = None
        problem: CodecError | None = None
        try:
            image = self._store.disk.read(slug, found.form)
        except CodecError as error:
            reason, line, problem = error.reason, error.line, error
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
            found = found._replace(mtime_ns=-1)
        else:
            self._broken.pop(slug, None)
            return image
        path = os.path.relpath(self._store.tree.file(slug, found.form), self._store.tree.root.parent)
        broken = (found, Problem(path, reason, line))
        if self._broken.get(slug) != broken:
            logger.warning("%s:%s: %s", path, line if line is not None else "?", reason)
        self._broken[slug] = broken
        return problem

    # --- echoes -------------------------------------------------------------------------------------------

    def without_echoes(self, hints: Iterable[Hint]) -> list[Hint]:
        """Those hints at which something else may be found than what is known.

        Most hints are echoes of commits: what is at such a path is what the log told. A look at it shows that
        in a fraction of the time of a comparison. A new folder is watched from just before the look.
        """
        plain: set[str] = set()
        return [hint for hint in hints if not self._is_echo(*hint, plain)]

    def _is_echo(self, path: str, is_folder: bool, plain: set[str]) -> bool:
        tree = self._store.tree
        if self._reported and _relative(path, tree) in self._reported:
            return False
        try:
            if is_folder:
                folder = tree.locate_folder(path)
                return bool(folder) and self._is_known_folder(folder[0], path, plain)
            located = tree.locate(path)
            return located is not None and self._is_known_file(*located, path)
        except (InvalidSlug, OSError):
            return False

    def _is_known_folder(self, slug: str, path: str, plain: set[str]) -> bool:
        """Whether nothing but the file of a known entry is in a folder, or where it was is nothing any more.

        `plain` is as in `_find`.
        """
        state, tree = self._store.state, self._store.tree
        if slug in state.folders or any(is_within(broken, slug) for broken in self._broken):
            return False
        entry = state.entries.get(slug)
        if entry is None:
            return not os.path.lexists(path) and self._is_gone(slug)
        if entry.form not in FOLDER_FORMS:
            return False
        parent = os.path.dirname(path)
        if parent not in plain:
            if tree.is_behind_link(parent):
                return False
            plain.add(parent)
        if self.watch is not None:
            self.watch(path)
        found = found_alone(path, entry.form)
        return found is not None and not self._differs(slug, found)

    def _is_known_file(self, slug: str, form: str, path: str) -> bool:
        """Whether a file is the known one of its entry, or is gone together with its entry."""
        if slug in self._broken:
            return False
        entry = self._store.state.entries.get(slug)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return entry is None and self._is_gone(slug)
        if entry is None or not stat.S_ISREG(status.st_mode):
            return False
        return not self._differs(slug, Found(form, status.st_mtime_ns, status.st_size, status.st_ino))

    def _is_gone(self, slug: str) -> bool:
        """Whether no file is left for an entry: another one may have stood behind that which is gone."""
        return self._store.disk.find(slug, forms_to_check(slug)) is None

    # --- odd files ----------------------------------------------------------------------------------------

    def _are_contested(self, slugs: Iterable[str]) -> bool:
        """Whether there is, or was reported, more than one file for an entry."""
        tree = self._store.tree
        reported = {problem.path for problem in self._passed_over}
        for slug in slugs:
            paths = [tree.file(slug, form) for form in forms_to_check(slug)]
            if sum(os.path.lexists(path) for path in paths) > 1:
                return True
            if reported and any(os.path.relpath(path, tree.root.parent) in reported for path in paths):
                return True
        return False

    def is_odd(self, path: str) -> bool:
        """Whether a path is no plain file that serves, or was reported as such."""
        tree = self._store.tree
        if self._passed_over:
            relative = _relative(path, tree)
            if any(problem.path == relative for problem in self._passed_over):
                return True
        try:
            is_plain = stat.S_ISREG(os.lstat(path).st_mode)
            located = tree.locate(path)
        except (OSError, InvalidSlug):
            return False
        if located is None:
            return os.path.islink(path) and not os.path.basename(path).startswith(".")
        entry = self._store.get(located[0])
        return not is_plain or (entry is not None and entry.form != located[1])


def _relative(path: str, tree: Tree) -> str:
    """The path of something below `content/` from the site's folder."""
    return os.path.join(tree.root.name, path[len(str(tree.root)) + 1 :])


def _way(path: str) -> Iterator[str]:
    """A relative path, and those of all folders that it leads through."""
    while path:
        yield path
        path = os.path.dirname(path)
