"""The store: content that is read from memory, and changed through the log.

A commit goes like this, under the site's write lock (a file lock, so across processes):

1. what a dead writer left is finished or cut off (`recovery`), and what other processes wrote is followed
   (`follower`);
2. the plan looks at the content and says what to change (`planning`); files that were edited on disk behind
   our back are taken in first (`edits`), and the plan is made again;
3. the new files are staged, complete, in the scratch folder (`staging`);
4. one record is appended to the log and flushed: from here on the change is accepted;
5. the staged files are renamed into place (`effects`);
6. the head of the log moves on, and the memory of this process takes the change.

Steps 2 to 6 are in `flatdata.store.writer`.

Threads that commit at the same time share step 4 and its flush (group commit): one of them leads and takes
along all that wait, as long as their changes do not touch the same entries. A move or a copy of a tree
is written alone, with the disk flushed before and after it (`effects`).

Locks, in the order they are taken: `_writer` (threads), the file lock (processes), `State.lock`. The queue of
commits (`flatdata.store.commits`) has one of its own that is held for moments, with nothing taken under it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from flatdata.store.catalogue import Catalogue
from flatdata.store.checkpoint import CheckpointFile
from flatdata.store.commits import CommitQueue, Ticket
from flatdata.store.disk import Disk
from flatdata.store.edits import Parsed
from flatdata.store.entry import Entry
from flatdata.store.flushing import flush_file_system
from flatdata.store.follower import Follower
from flatdata.store.log import ChangeLog
from flatdata.store.orders import Orders
from flatdata.store.paths import Tree
from flatdata.store.planning import Plan
from flatdata.store.recovery import recover
from flatdata.store.scan import entries_on_disk
from flatdata.store.write_lock import WriteLock
from flatdata.store.writer import Writer


class Store:
    """The content of one site.

    Args:
        root: the site's folder, with `content/` in it.
        segment_bytes: size at which a segment of the log is closed.
    """

    def __init__(self, root: Path, segment_bytes: int = 64 << 20) -> None:
        state_dir = root / ".flatdata"
        (root / "content").mkdir(parents=True, exist_ok=True)
        state_dir.mkdir(exist_ok=True)
        self.root = root
        self.state_dir = state_dir
        self.tree = Tree(root / "content")
        self.disk = Disk(self.tree, state_dir)
        self.catalogue_path = state_dir / "index" / "catalogue"
        self.log = ChangeLog(state_dir / "log", segment_bytes)
        self._checkpoint = CheckpointFile(state_dir / "checkpoint", self.log)
        self._follower = Follower(self.log, self.catalogue_path, self._checkpoint)
        self.state = self._follower.state
        self.orders = Orders(self.state)
        """Where appended rows come."""
        self.record_listeners = self._follower.listeners
        """Told of each record, in order."""
        self._lock = WriteLock(state_dir / "lock")
        self._writer = threading.Lock()
        self._writing = Writer(self.log, self.disk, self._follower)
        self._commits = CommitQueue(self._write_batch)
        with self.locked():
            recover(self.log, self.disk, self._start_of_recovery())

    def _start_of_recovery(self) -> int:
        """From where on the files may be older than the log says: everything since the last checkpoint, after
        the machine itself went down.
        """
        head = self.log.head()
        if self.log.same_boot():
            return head
        start = min(self.checkpoint_position(), head) if head else self.log.start()
        return max(start, self.log.start())

    def close(self) -> None:
        """Let go of the files. Commits under way are finished first."""
        with self._writer:
            self.log.close()
            self._lock.close()

    # --- reading ------------------------------------------------------------------------------------

    def get(self, slug: str) -> Entry | None:
        """The entry (or, for `<source>/manifest`, the manifest), or None."""
        return self.state.entries.get(slug)

    def children(self, slug: str) -> list[Entry]:
        """The entries directly below `slug`, ordered by slug; manifests are not among them."""
        return self.state.children(slug)

    def exists(self, slug: str) -> bool:
        """Whether there is such an entry, or a folder with entries below."""
        return self.state.exists(slug)

    def manifests(self) -> list[Entry]:
        """The manifests of all data sources."""
        return self.state.manifests()

    @property
    def manifest_version(self) -> int:
        """A number that grows with every change of a manifest."""
        return self.state.manifest_version

    def raw(self, entry: Entry) -> bytes:
        """The bytes of an entry's file; empty if it has gone meanwhile."""
        try:
            return self.disk.raw(entry.slug, entry.form)
        except OSError:
            return b""

    # --- following ------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """Up to where this process has followed the log. Changed under `State.lock`."""
        return self._follower.position

    def follow(self) -> None:
        """Take over what other processes have published. Costs next to nothing if that is nothing.

        Raises:
            CorruptLog: if the log does not say, and the keeper has not written down yet what is there now.
        """
        if self.log.head() != self._follower.position:
            self._follower.catch_up()
            self._follower.tell_listeners()

    def look(self) -> None:
        """Notice that `.flatdata/` was deleted, or that the keeper began anew; to be called every so often.

        Raises:
            OSError: if what was deleted cannot be made again.
        """
        if self.log.is_deleted():
            with self._writer, self.locked():
                self.log.prepare()
        self._follower.begin_anew()

    def load(self, entries: Iterable[Entry], position: int, seq: int, high_water: int) -> None:
        """Fill the memory with entries as they were at a position of the log, and follow from there.

        Raises:
            CorruptLog: if the log does not say what came after.
        """
        self._follower.load(entries, position, seq, high_water)

    def load_catalogue(self) -> Catalogue | None:
        """Fill the memory from the catalogue; None if there is none that the log goes on from."""
        return self._follower.load_catalogue()

    def load_files(self) -> None:
        """Fill the memory from the files: slow, but it needs nothing else. Broken ones are passed over."""
        position = self.log.head()
        high_water = self.high_water_since_checkpoint()
        self.load(entries_on_disk(self.disk), position, self.log.last_seq(position), high_water)

    # --- checkpoints ----------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Flush the content's file system, so that a power loss cannot take back what the log has passed."""
        position = self.log.head()
        mark = self.state.high_water
        flush_file_system(self.tree.root)
        self._checkpoint.write(position, mark)

    def checkpoint_position(self) -> int:
        """The position that the last checkpoint vouches for; 0 if there is none."""
        return self._checkpoint.position()

    def high_water_since_checkpoint(self) -> int:
        """The largest integer that named a row since the last checkpoint, as far as the log says."""
        return self._checkpoint.high_water_since()

    def begin_epoch(self) -> None:
        """Declare void what anybody learned from the log so far. Raises OSError."""
        with self._writer, self.locked():
            self.log.begin_epoch()

    # --- writing --------------------------------------------------------------------------------------

    def commit(
        self, plan: Plan, *, origin: str, who: str = "", action: str = "", reads: Iterable[str] = ()
    ) -> Any:
        """Carry out what `plan` says, as one record; gives the second item of what it returned.

        Args:
            reads: what the plan looks at beyond the entries it changes (a source whose rows must stay
                unique, say): it then sees every change in or below these that comes before its own.

        When this returns, the change is on the disk (flushed), in the files, and visible to whoever asks
        next in any process.

        Raises:
            StoreUnavailable: the disk refused; nothing changed (or, if the disk did not even let a half be
            taken back for good, the change is finished as soon as it does). InvalidSlug, EntryExists,
            EntryMissing, CodecError: a change is impossible. Whatever the plan raises.
        """
        return self._commits.submit(Ticket(plan, origin, who, action, tuple(reads)))

    def ingest(self, slugs: Iterable[str], parsed: Mapping[str, Parsed] | None = None) -> int:
        """Take in what is on the disk for `slugs`, as one record of origin `disk`; gives how many changed.

        `parsed` holds files that were read before; they are used where the file is still the same. A file
        that cannot be understood counts as gone.
        """
        try:
            with self._writer, self.locked():
                self._catch_up()
                return self._writing.ingest(slugs, parsed or {})
        finally:
            self._follower.tell_listeners()

    def _write_batch(self, tickets: list[Ticket]) -> None:
        try:
            with self._writer, self.locked():
                self._catch_up()
                self._writing.write(tickets)
        finally:
            self._follower.tell_listeners()

    def _catch_up(self) -> None:
        """Finish or cut off what a dead writer left, and follow the others. Only under the write lock."""
        if self.log.prepare() != self.log.head():
            recover(self.log, self.disk, self.log.head())
            self.log.prepare()
        self._follower.begin_anew()
        self._follower.catch_up()

    def locked(self) -> AbstractContextManager[None]:
        """Hold the site's write lock. It dies with the process."""
        return self._lock.held()
