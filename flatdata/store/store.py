"""The store: content that is read from memory, and changed through the log.

A commit goes like this, under the site's write lock (a file lock, so across processes):

1. what a dead writer left is finished or cut off, and what other processes wrote is followed;
2. the plan looks at the content and says what to change; files that were edited on disk behind our back
   are taken in first, and the plan is made again;
3. the new files are staged, complete, in the scratch folder;
4. one record is appended to the log and flushed: from here on the change is accepted;
5. the staged files are renamed into place;
6. the head of the log moves on, and the memory of this process takes the change.

Threads that commit at the same time share step 4 and its flush (group commit): one of them leads and takes
along all that wait, as long as their changes do not touch the same entries.

Locks, in the order they are taken: `_writer` (threads), the file lock (processes), `State.lock`. The queue of
commits (`flatdata.store.commits`) has one of its own that is held for moments, with nothing taken under it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from flatdata.store.codec import CodecError
from flatdata.store.commits import BATCH, CommitQueue, Ticket
from flatdata.store.disk import Disk, Found, Image, flush_file_system
from flatdata.store.entry import Entry
from flatdata.store.errors import EntryExists, StoreUnavailable
from flatdata.store.log import ChangeLog, Effect, Record, decode_line, encode_record, image_json
from flatdata.store.paths import Tree
from flatdata.store.planning import Plan, View, forms_to_check, slugs_of, stage, work_out
from flatdata.store.state import State, overlaps

_REPLANS: Final = 5
_MANY: Final = 100
"""Files from which on a folder is listed once, instead of looking for each."""
FROM_DISK: Final = "disk"
"""Origin of the records that take in what somebody did to the files."""

logger = logging.getLogger("flatdata.store")

RecordListener = Callable[[Record], None]
Parsed = tuple[Found, Image | CodecError]
"""A file as it was found, and what it said or why it could not be understood."""


class _Deferred(Exception):
    """This commit has to wait for the next batch."""


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
        self.log = ChangeLog(state_dir / "log", segment_bytes)
        self.state = State()
        self.position = 0
        """Up to where this process has followed the log. Changed under `State.lock`."""
        self.record_listeners: list[RecordListener] = []
        self._lock_fd = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._writer = threading.Lock()
        self._commits = CommitQueue(self._write_batch)
        self._last_id = 0
        self._untold: deque[Record] = deque()
        with self.locked():
            self.recover(opening=True)

    def close(self) -> None:
        """Let go of the files. Commits under way are finished first."""
        with self._writer:
            self.log.close()
            os.close(self._lock_fd)

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

    def follow(self) -> None:
        """Take over what other processes have published. Costs next to nothing if that is nothing."""
        if self.log.head() != self.position:
            self._follow()
            self._tell_listeners()

    def _follow(self) -> None:
        with self.state.lock:
            head = self.log.head()
            if head == self.position:
                return
            for record, position in self.log.read(self.position, head):
                self.state.apply(record)
                self.position = position
                self._note(record)

    def _note(self, record: Record) -> None:
        if self.record_listeners:
            self._untold.append(record)

    def _tell_listeners(self) -> None:
        """Tell listeners of the records applied since. Without locks: they may take their time."""
        while self._untold:
            with contextlib.suppress(IndexError):
                record = self._untold.popleft()
                for listener in self.record_listeners:
                    listener(record)

    # --- the write lock and recovery --------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the site's write lock. It dies with the process."""
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def recover(self, *, opening: bool = False) -> None:
        """Finish or cut off what a dead writer left beyond the head. Only under the write lock.

        After the machine itself went down, files may be older than the head says: everything since the
        last checkpoint is gone through again.
        """
        head = self.log.head()
        start = head
        if opening and not self.log.same_boot():
            start = min(self.checkpoint_position(), head) if head else self.log.start()
            start = max(start, self.log.start())
        last = start
        end = self.log.end()
        for line, position in self.log.lines(start, end):
            record = decode_line(line)
            if record is None:
                break
            if record.origin != FROM_DISK:
                for number, effect in enumerate(record.changes):
                    self._redo(effect, f"{record.seq}-{number}")
            last = position
        if last != end:
            self.log.publish(min(head, last))
            self.log.truncate(last)
        self.log.publish(last)
        self.log.mark_boot()
        self.disk.clear_scratch()

    def _redo(self, effect: Effect, key: str) -> None:
        self.disk.new_record()
        try:
            self.disk.redo(effect, key)
        except OSError as error:
            # Somebody put a link or a file in the way meanwhile: what is on the disk by hand stays.
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
                raise
            logger.warning("a change of %s is given up: %s", effect.slug, error.strerror)

    def checkpoint(self) -> None:
        """Flush the content's file system, so that a power loss cannot take back what the log has passed."""
        position = self.log.head()
        mark = self.state.high_water
        flush_file_system(self.tree.root)
        data = msgspec.json.encode({"position": position, "high_water": mark})
        temporary = self.state_dir / "checkpoint.new"
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.state_dir / "checkpoint")

    def _checkpoint_value(self, name: str) -> int:
        try:
            value = msgspec.json.decode((self.state_dir / "checkpoint").read_bytes())[name]
        except (OSError, msgspec.DecodeError, KeyError, TypeError):
            return 0
        return value if isinstance(value, int) else 0

    def checkpoint_position(self) -> int:
        """The position that the last checkpoint vouches for; 0 if there is none."""
        return self._checkpoint_value("position")

    def load(self, entries: Iterable[Entry], position: int, seq: int, high_water: int) -> None:
        """Fill the empty memory with entries as they were at a position of the log, and follow from there."""
        with self.state.lock:
            self.state.load(entries)
            self.state.seq = max(self.state.seq, seq)
            self.state.high_water = max(
                self.state.high_water, high_water, self._checkpoint_value("high_water")
            )
            self.position = position
        self.follow()

    # --- writing ------------------------------------------------------------------------------------

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
            StoreUnavailable: the disk refused; nothing changed. InvalidSlug, EntryExists, EntryMissing,
            CodecError: a change is impossible. Whatever the plan raises.
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
                return self._ingest(slugs, parsed or {})
        finally:
            self._tell_listeners()

    def _catch_up(self) -> None:
        if self.log.prepare() != self.log.head():
            self.recover()
            self.log.prepare()
        self._follow()

    def _write_batch(self, tickets: list[Ticket]) -> None:
        try:
            with self._writer, self.locked():
                self._catch_up()
                self._write(deque(tickets))
        finally:
            self._tell_listeners()

    def _write(self, waiting: deque[Ticket]) -> None:
        view = View(self.state, time.time_ns(), self._last_id)
        planned: list[tuple[Ticket, Record, Any, str]] = []
        touched: list[str] = []
        while waiting:
            ticket = waiting[0]
            try:
                effects, result = self._plan(ticket, view, touched)
            except _Deferred:
                break
            except Exception as error:
                ticket.finish(error=error)
                waiting.popleft()
                continue
            waiting.popleft()
            if not effects:
                ticket.finish(result)
                continue
            seq = self.state.seq + len(planned) + 1
            key = str(seq)
            try:
                stage(effects, key, self.disk)
            except OSError as error:
                self._discard(key, effects)
                ticket.finish(error=StoreUnavailable(error))
                continue
            except CodecError as error:
                self._discard(key, effects)
                ticket.finish(error=error)
                continue
            record = Record(
                seq,
                view.now_ns // 1_000_000,
                ticket.origin,
                effects,
                ticket.who,
                ticket.action,
            )
            planned.append((ticket, record, result, key))
            touched += slugs_of(effects)
        self._last_id = view.last_id
        if planned:
            self._accept(planned)

    def _plan(self, ticket: Ticket, view: View, touched: list[str]) -> tuple[list[Effect], Any]:
        if touched and ticket.reads and overlaps(ticket.reads, touched):
            raise _Deferred
        for _ in range(_REPLANS):
            changes, result = ticket.plan(view)
            effects = work_out(changes, view, self.disk)
            slugs = slugs_of(effects)
            if touched and (len(slugs) > BATCH or overlaps(slugs, touched)):
                raise _Deferred
            stale = self._stale(slugs)
            if not stale:
                return effects, result
            if touched:
                raise _Deferred
            self._ingest(stale, {})
            if blocked := self._stale(stale):
                raise EntryExists(blocked[0])
        raise EntryExists(stale[0])

    def _stale(self, slugs: list[str]) -> list[str]:
        """Those of `slugs` whose files are not what is known of them.

        Raises:
            EntryExists: where something that is no plain file stands in the place of one.
        """
        entries = self.state.entries
        fresh = self.disk.absent(slugs) if len(slugs) > _MANY else frozenset()
        stale = []
        for slug in slugs:
            entry = entries.get(slug)
            if slug in fresh:
                if entry is not None:
                    stale.append(slug)
                continue
            found = self.disk.find(slug, forms_to_check(slug), refuse_others=entry is None)
            known = None if entry is None else (entry.form, entry.mtime_ns, entry.size)
            if known != (None if found is None else found[:3]):
                stale.append(slug)
        return stale

    def _accept(self, planned: list[tuple[Ticket, Record, Any, str]]) -> None:
        lines = [encode_record(record) for _, record, _, _ in planned]
        start = self.log.head()
        try:
            self.log.append(lines)
        except OSError as error:
            for ticket, record, _, key in planned:
                self._discard(key, record.changes)
                ticket.finish(error=StoreUnavailable(error))
            return
        position = start
        applied: list[Record] = []
        for (_, record, _, key), line in zip(planned, lines, strict=True):
            try:
                self._apply(record, key)
            except OSError as error:
                self.log.truncate(position)
                for ticket, late, _, late_key in planned[len(applied) :]:
                    self._discard(late_key, late.changes)
                    ticket.finish(error=StoreUnavailable(error))
                break
            position += len(line)
            applied.append(record)
        self._publish(applied, position)
        for ticket, record, result, key in planned[: len(applied)]:
            if any(effect.op == "rmtree" for effect in record.changes):
                self._discard(key, record.changes)
            ticket.finish(result)

    def _apply(self, record: Record, key: str) -> None:
        done: list[tuple[Effect, str]] = []
        self.disk.new_record()
        try:
            for number, effect in enumerate(record.changes):
                done.append((effect, f"{key}-{number}"))
                self.disk.apply(effect, f"{key}-{number}")
        except OSError:
            for effect, effect_key in reversed(done[:-1]):
                self.disk.undo(effect, effect_key)
            raise

    def _publish(self, records: Iterable[Record], position: int) -> None:
        with self.state.lock:
            self.log.publish(position)
            for record in records:
                self.state.apply(record)
                self._note(record)
            self.position = position

    def _discard(self, key: str, effects: list[Effect]) -> None:
        for number in range(len(effects)):
            self.disk.discard(f"{key}-{number}")

    def _ingest(self, slugs: Iterable[str], parsed: Mapping[str, Parsed]) -> int:
        effects = [effect for slug in slugs if (effect := self._effect_of_disk(slug, parsed.get(slug)))]
        if not effects:
            return 0
        record = Record(self.state.seq + 1, time.time_ns() // 1_000_000, FROM_DISK, effects, action=FROM_DISK)
        start = self.log.head()
        line = encode_record(record)
        self.log.append([line], sync=False)
        self._publish([record], start + len(line))
        return len(effects)

    def _effect_of_disk(self, slug: str, parsed: Parsed | None) -> Effect | None:
        entry = self.state.entries.get(slug)
        found = self.disk.find(slug, forms_to_check(slug))
        image: Image | None = None
        if found is not None:
            image = self._image(slug, found, parsed)
        if found is None or image is None:
            if entry is None:
                return None
            return Effect("delete", slug, form=entry.form, mtime=entry.mtime_ns, **_old(entry))
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
            **_old(entry),
        )

    def _image(self, slug: str, found: Found, parsed: Parsed | None) -> Image | None:
        if parsed is not None and parsed[0] == found:
            return parsed[1] if isinstance(parsed[1], Image) else None
        try:
            return self.disk.read(slug, found.form)
        except (CodecError, OSError):
            return None


def _old(entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    return {"old": image_json(entry.body), "old_meta": image_json(entry.meta_body)}
