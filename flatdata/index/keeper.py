"""The keeper: one for each site, in a process of its own. It holds the files and the log together.

It reads the content on the first start, compares the files with what is known, follows what the watcher hints
at, and records every edit it finds as a change from disk; it writes the catalogue from which the next start
reads, flushes checkpoints, drops log segments nobody needs, and keeps Whoosh up to date.

Being a process of its own, nothing of this takes the interpreter from a request. The keeper is whoever holds
the lock `.flatdata/keeper.lock`; it dies with its holder, and the next supervisor starts another keeper
(`flatdata.index.supervisor`).
"""

from __future__ import annotations

import logging
import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flatdata.index.status import (
    COMPARING,
    READING,
    READY,
    REBUILD_REQUEST,
    STOPPED,
    KeeperStatus,
    ProblemReport,
    StatusFile,
)
from flatdata.index.watching import OVERFLOW, Hint, Watcher
from flatdata.store.catalogue import write_catalogue
from flatdata.store.codec import CodecError
from flatdata.store.disk import Found, Image
from flatdata.store.entry import Entry
from flatdata.store.paths import InvalidSlug, is_within, parent_of
from flatdata.store.planning import forms_to_check
from flatdata.store.scan import Problem, Scan, entry_of
from flatdata.store.store import Parsed, Store

if TYPE_CHECKING:
    from flatdata.index.words_writer import WordsWriter

_CHUNK: Final = 100
"""Files taken in under one hold of the write lock, as one record. More would keep writers waiting, and the
requests of processes that follow."""
_QUIET_SECONDS: Final = 0.005
_GATHER_SECONDS: Final = 0.05
_TICK_SECONDS: Final = 0.2
_MANY_HINTS: Final = 400
_MANY_OF: Final = 3
"""More changed paths than that, and than a third of all entries: comparing everything is cheaper."""
_CATALOGUE_SECONDS: Final = 10.0
_PARTIAL_COMPARE_SECONDS: Final = 2.0
_ODD_COMPARE_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 1.0

logger = logging.getLogger("flatdata.keeper")


class _Clock:
    """When each of the things was done last that are done every so often."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._done: dict[str, float] = {}

    def is_due(self, task: str, seconds: float) -> bool:
        return time.monotonic() - self._done.get(task, self._begun) > seconds

    def restart(self, task: str) -> None:
        self._done[task] = time.monotonic()


class Keeper:
    """The work of the keeper, step by step.

    Args:
        root: the site's folder.
        compare_seconds: how often the files are compared even if nothing hints at a change.
        checkpoint_seconds: how often what was written is flushed for good.
        keep_days: how long log records are kept (0 for ever).
        segment_bytes: size at which a segment of the log is closed.
        progress: told of (files read, files in all) while the content is read for the first time.
    """

    def __init__(
        self,
        root: Path,
        *,
        compare_seconds: float = 60.0,
        checkpoint_seconds: float = 30.0,
        keep_days: float = 0,
        segment_bytes: int = 64 << 20,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.store = Store(root, segment_bytes)
        self._compare_seconds = compare_seconds
        self._checkpoint_seconds = checkpoint_seconds
        self._keep_days = keep_days
        self._progress = progress
        self.store.catalogue_path.parent.mkdir(exist_ok=True)
        self._inodes: dict[str, tuple[int, int]] = {}
        self._broken: dict[str, tuple[Found, Problem]] = {}
        self._passed_over: set[Problem] = set()
        self._status_file = StatusFile(self.store.state_dir)
        self.status = KeeperStatus(pid=os.getpid())
        self._untold = False
        self._lost = False
        """Whether changes may have been missed."""
        self._odd = False
        """Whether something was seen that only a comparison of everything can place."""
        self._compare_took = 0.0
        self._clock = _Clock()
        self._watcher: Watcher | None = None
        self._words: WordsWriter | None = None
        self._catalogue_position = -1
        self._checkpoint_position = -1
        self._checkpointing: threading.Thread | None = None

    # --- starting -------------------------------------------------------------------------------------

    def prepare(self, *, watch: bool = True) -> None:
        """Bring what is known in step with the files; when this returns, the site can be served."""
        self._tell(COMPARING)
        if not self._load():
            self._read_everything()
        if watch:
            self._watcher = Watcher(self.store.tree.root)
        self.compare()
        if self.store.log.head() != self._catalogue_position:
            self._write_catalogue()
        self._tell(READY)

    def _load(self) -> bool:
        catalogue = self.store.load_catalogue()
        if catalogue is None:
            return False
        for entry, inode in zip(catalogue.entries, catalogue.inodes, strict=True):
            self._inodes[entry.slug] = (entry.mtime_ns, inode)
        self._catalogue_position = catalogue.position
        return True

    def _read_everything(self) -> None:
        """Fill the memory from the files, without a record in the log: they are what it starts from.

        Nobody knows what changed since anybody looked, so all that was learned before is void.
        """
        self._tell(READING)
        high_water = self.store.high_water_since_checkpoint()
        self.store.begin_epoch()
        position = self.store.log.head()
        seq = self.store.log.last_seq(position)
        scan = Scan(self.store.tree).walk()
        self.status.done, self.status.total = 0, len(scan.found)
        entries: list[Entry] = []
        told = time.monotonic()
        for slug, found in scan.found.items():
            image = self._read(slug, found)
            if isinstance(image, Image):
                entries.append(entry_of(slug, found, image))
                self._inodes[slug] = (found.mtime_ns, found.inode)
            self.status.done += 1
            if time.monotonic() - told > _TICK_SECONDS:
                told = time.monotonic()
                self._tell(READING)
        self.store.load(entries, position, seq, high_water)

    def _tell(self, phase: str) -> None:
        status = self.status
        status.phase = phase
        status.sources = len(self.store.manifests())
        status.entries = len(self.store.state.entries) - status.sources
        problems = [
            *sorted(self._passed_over, key=_path_of),
            *(problem for _, problem in self._broken.values()),
        ]
        status.problems = [ProblemReport(p.path, p.reason, p.line) for p in problems]
        if self._words is not None:
            status.words_seq, status.words_entries = self._words.committed()
        try:
            self._status_file.write(status)
            self._untold = False
        except OSError as error:
            logger.warning("the status cannot be written: %s", error.strerror)
            self._untold = True
        if self._progress is not None and phase == READING:
            self._progress(status.done, status.total)

    # --- comparing ------------------------------------------------------------------------------------

    def compare(self, slug: str = "") -> int:
        """Compare the files at and below `slug` with what is known; take in the differences.

        Gives the number of entries that changed.
        """
        self.store.follow()
        # Folders are watched just before they are listed: what happens later is hinted at.
        scan = Scan(self.store.tree, self._watcher.watch if self._watcher is not None else None).walk(slug)
        if slug and (found := self._find(slug)) is not None:
            scan.found[slug] = found
        self._report_passed_over(slug, scan.problems)
        changed = [known for known, found in scan.found.items() if self._differs(known, found)]
        with self.store.state.lock:
            if slug:
                known_slugs = [entry.slug for entry in self.store.state.below(slug)]
            else:
                known_slugs = list(self.store.state.entries)
        gone = [known for known in known_slugs if known not in scan.found]
        # Of a folder that cannot be read, what is known of it stays.
        changed += [each for each in gone if not any(is_within(each, folder) for folder in scan.unread)]
        for known in [known for known in self._broken if known not in scan.found and is_within(known, slug)]:
            del self._broken[known]
        return self.take_in(changed)

    def _find(self, slug: str, plain: set[str] | None = None) -> Found | None:
        """The file of an entry; none where a link is on its way, or where it cannot be looked at.

        `plain` holds folders that were just seen to have no link on their way, and is added to.
        """
        forms = forms_to_check(slug)
        folder = os.path.dirname(self.store.tree.file(slug, forms[-1]))
        if plain is None or folder not in plain:
            if os.path.realpath(folder) != folder:
                return None
            if plain is not None:
                plain.add(folder)
        return self.store.disk.find(slug, forms)

    def _report_passed_over(self, slug: str, problems: list[Problem]) -> None:
        """Note what was passed over below `slug`, in place of what was before."""
        for problem in problems:
            if problem not in self._passed_over:
                logger.warning("%s: %s", problem.path, problem.reason)
        tree = self.store.tree
        below = os.path.relpath(tree.folder(slug), tree.root.parent) + "/"
        others = {problem for problem in self._passed_over if not problem.path.startswith(below)}
        self._passed_over = others.union(problems)

    def _differs(self, slug: str, found: Found) -> bool:
        entry = self.store.state.entries.get(slug)
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
                if self._words is not None:
                    self._words.give_way()
                changed += self.store.ingest(stale, parsed)
                self._odd = self._odd or self._are_contested(stale)
        return changed

    def _are_contested(self, slugs: Iterable[str]) -> bool:
        """Whether there is, or was reported, more than one file for an entry."""
        tree = self.store.tree
        reported = {problem.path for problem in self._passed_over}
        for slug in slugs:
            paths = [tree.file(slug, form) for form in forms_to_check(slug)]
            if sum(os.path.lexists(path) for path in paths) > 1:
                return True
            if reported and any(os.path.relpath(path, tree.root.parent) in reported for path in paths):
                return True
        return False

    def _read(self, slug: str, found: Found) -> Image | CodecError | None:
        """What a file says, why it cannot be understood, or None if the disk does not let us know.

        The latter two are remembered and told; what cannot be read is tried again at the next comparison.
        """
        line: int | None = None
        problem: CodecError | None = None
        try:
            image = self.store.disk.read(slug, found.form)
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
        path = os.path.relpath(self.store.tree.file(slug, found.form), self.store.tree.root.parent)
        broken = (found, Problem(path, reason, line))
        if self._broken.get(slug) != broken:
            logger.warning("%s:%s: %s", path, line if line is not None else "?", reason)
        self._broken[slug] = broken
        return problem

    # --- running --------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Keep the site in step until `stop` is set; call `prepare` first."""
        from flatdata.index.words_writer import WordsWriter  # Whoosh is not needed to open a site

        self._words = WordsWriter(self.store.state_dir / "index" / "words", self.store)
        self._words.start()
        self._clock = _Clock()
        if not self.store.checkpoint_position():
            # Nothing vouches for the files yet: after a power loss all of the log would be gone through.
            self._start_checkpoint()
        while not stop.is_set() and not self.store.log.is_deleted():
            try:
                self._step()
            except OSError as error:
                # The disk is full or the like: what was hinted at meanwhile is found by comparing.
                logger.warning("the files cannot be followed: %s", error.strerror)
                self._lost = True
                stop.wait(_PAUSE_SECONDS)

    def _step(self) -> None:
        hints = self._gather()
        self.store.follow()
        if hints:
            self._follow_hints(hints)
            self._tell(READY)
        if self._watcher is not None and self._watcher.is_stale():
            self._watcher.close()
            self._watcher = Watcher(self.store.tree.root)
            self._lost = True
        if self._rebuild_requested():
            self.rebuild()
            self._clock.restart("compare")
        if self._lost or self._clock.is_due("compare", self._seconds_between_comparisons()):
            self._lost = self._odd = False
            began = time.monotonic()
            self.compare()
            self._compare_took = time.monotonic() - began
            self._tell(READY)
            self._clock.restart("compare")
        if (
            self._clock.is_due("catalogue", _CATALOGUE_SECONDS)
            and self.store.position != self._catalogue_position
        ):
            self._write_catalogue()
            self._clock.restart("catalogue")
            self._untold = True
        if self._clock.is_due("checkpoint", self._checkpoint_seconds):
            self._start_checkpoint()
            self._clock.restart("checkpoint")
        if self._untold:
            self._tell(READY)

    def _seconds_between_comparisons(self) -> float:
        if self._odd:
            # Whoever makes odd files all the time does not make us compare all the time.
            return max(_ODD_COMPARE_SECONDS, 3 * self._compare_took)
        if self._watcher is None or self._watcher.partial:
            return min(_PARTIAL_COMPARE_SECONDS, self._compare_seconds)
        return self._compare_seconds

    def _gather(self) -> list[Hint]:
        """Wait for hints, then until there has been a moment of quiet."""
        if self._watcher is None:
            time.sleep(_TICK_SECONDS)
            return []
        hints: list[Hint] = []
        try:
            hints.append(self._watcher.hints.get(timeout=_TICK_SECONDS))
            end = time.monotonic() + _GATHER_SECONDS
            while time.monotonic() < end:
                hints.append(self._watcher.hints.get(timeout=_QUIET_SECONDS))
        except queue.Empty:
            pass
        return hints

    def _follow_hints(self, hints: list[Hint]) -> None:
        paths = set(hints)
        if (OVERFLOW, True) in paths:
            logger.warning("the system lost file events; comparing everything")
        many = max(_MANY_HINTS, len(self.store.state.entries) // _MANY_OF)
        if len(paths) > many or (OVERFLOW, True) in paths:
            self.compare()
            return
        folders: set[str] = set()
        slugs: list[str] = []
        for path, is_folder in paths:
            try:
                if is_folder:
                    folders.update(self.store.tree.locate_folder(path))
                elif located := self.store.tree.locate(path):
                    slugs.append(located[0])
            except InvalidSlug:
                self._odd = True
        for slug in _outermost(folders):
            self.compare(slug)
        self.take_in(slugs)
        self._odd = self._odd or any(self._is_odd(path) for path, is_folder in paths if not is_folder)

    def _is_odd(self, path: str) -> bool:
        """Whether a path is no plain file that serves, or was reported as such."""
        tree = self.store.tree
        if any(problem.path == os.path.relpath(path, tree.root.parent) for problem in self._passed_over):
            return True
        try:
            is_plain = stat.S_ISREG(os.lstat(path).st_mode)
            located = tree.locate(path)
        except (OSError, InvalidSlug):
            return False
        if located is None:
            return os.path.islink(path) and not os.path.basename(path).startswith(".")
        entry = self.store.get(located[0])
        return not is_plain or (entry is not None and entry.form != located[1])

    def _rebuild_requested(self) -> bool:
        try:
            os.unlink(self.store.state_dir / REBUILD_REQUEST)
        except FileNotFoundError:
            return False
        return True

    def rebuild(self) -> int:
        """Read every file again, whatever its date; gives how many entries turned out different."""
        self._inodes.clear()
        self._broken.clear()
        scan = Scan(self.store.tree).walk()
        self.store.follow()
        changed = 0
        listed = list(scan.found)
        for start in range(0, len(listed), _CHUNK):
            parsed = {
                slug: (scan.found[slug], image)
                for slug in listed[start : start + _CHUNK]
                if (image := self._read(slug, scan.found[slug])) is not None
            }
            changed += self.store.ingest(parsed, parsed)
        changed += self.compare()
        self._write_catalogue()
        if self._words is not None:
            self._words.rebuild()
        self._tell(READY)
        return changed

    # --- keeping --------------------------------------------------------------------------------------

    def _write_catalogue(self) -> None:
        state = self.store.state
        with state.lock:
            entries = list(state.entries.values())
            epoch, position = self.store.log.epoch(), self.store.position
            seq, high_water = state.seq, state.high_water
        inodes = {slug: inode for slug, (_, inode) in self._inodes.items()}
        try:
            write_catalogue(
                self.store.catalogue_path,
                entries,
                inodes,
                epoch=epoch,
                position=position,
                seq=seq,
                high_water=high_water,
            )
        except OSError as error:
            logger.warning("the catalogue cannot be written: %s", error.strerror)
            return
        self._catalogue_position = position
        self._inodes = {e.slug: self._inodes[e.slug] for e in entries if e.slug in self._inodes}

    def _start_checkpoint(self) -> None:
        """Flush in a thread of its own: a busy disk may take seconds, and edits must not wait for it."""
        head = self.store.log.head()
        busy = self._checkpointing is not None and self._checkpointing.is_alive()
        if head == self._checkpoint_position or busy:
            return
        self._checkpoint_position = head
        self._checkpointing = threading.Thread(target=self._checkpoint, name="checkpoint", daemon=True)
        self._checkpointing.start()

    def _checkpoint(self) -> None:
        try:
            self.store.checkpoint()
            self._drop_old_records()
        except OSError as error:
            logger.warning("the checkpoint failed: %s", error.strerror)

    def _drop_old_records(self) -> None:
        if not self._keep_days:
            return
        horizon_ms = (time.time() - self._keep_days * 86_400) * 1_000
        limit = min(self._catalogue_position, self.store.checkpoint_position())
        self.store.log.drop_older(horizon_ms, limit)

    def close(self) -> None:
        """Write down what the next start needs, and let go."""
        if self._watcher is not None:
            self._watcher.close()
        if self._words is not None:
            self._words.stop()
        if self._checkpointing is not None:
            self._checkpointing.join(10)
        if not self.store.log.is_deleted():
            self.store.follow()
            if self.store.position != self._catalogue_position:
                self._write_catalogue()
            if self.store.log.head() != self._checkpoint_position:
                self._checkpoint()
            self._tell(STOPPED)
        self.store.close()


def _outermost(folders: Iterable[str]) -> list[str]:
    """Those of some folders that lie in none of the others."""
    known = set(folders)
    return sorted(slug for slug in known if known.isdisjoint(_above(slug)))


def _above(slug: str) -> Iterator[str]:
    """Every folder that a folder lies in, the root included."""
    while slug:
        slug = parent_of(slug)
        yield slug


def _path_of(problem: Problem) -> str:
    return problem.path
