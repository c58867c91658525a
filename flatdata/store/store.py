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
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from flatdata.store.catalogue import Catalogue, read_catalogue
from flatdata.store.codec import CodecError
from flatdata.store.commits import BATCH, CommitQueue, Ticket
from flatdata.store.disk import Disk, Found, HalfDone, Image, flush_file_system
from flatdata.store.entry import Entry
from flatdata.store.errors import CorruptLog, EntryExists, StoreUnavailable
from flatdata.store.log import ChangeLog, Effect, Record, decode_line, encode_record, image_json
from flatdata.store.paths import Tree, name_of
from flatdata.store.planning import Plan, View, forms_to_check, slugs_of, slugs_read, stage, work_out
from flatdata.store.recovery import FROM_DISK, redo
from flatdata.store.scan import entries_on_disk
from flatdata.store.state import LARGEST_NUMBER, State, overlaps, row_number

_REPLANS: Final = 5
_MANY: Final = 100
"""Files from which on a folder is listed once, instead of looking for each."""

RecordListener = Callable[[Record], None]
Parsed = tuple[Found, Image | CodecError]
"""A file as it was found, and what it said or why it could not be understood."""


_Planned = tuple[Ticket, Record, Any, str]
"""A commit ready to be accepted: its record, what its plan gave back, and the key of its staged files."""


class _Checkpoint(msgspec.Struct):
    """What `.flatdata/checkpoint` holds."""

    epoch: str = ""
    position: int = 0
    high_water: int = 0


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
        self.catalogue_path = state_dir / "index" / "catalogue"
        self.log = ChangeLog(state_dir / "log", segment_bytes)
        self.state = State()
        self.position = 0
        """Up to where this process has followed the log. Changed under `State.lock`."""
        self.record_listeners: list[RecordListener] = []
        """Told of each record, in order."""
        self._lock_fd = self._open_lock()
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
        """Take over what other processes have published. Costs next to nothing if that is nothing.

        Raises:
            CorruptLog: if the log does not say, and the keeper has not written down yet what is there now.
        """
        if self.log.head() != self.position:
            self._follow()
            self._tell_listeners()

    def _follow(self) -> None:
        with self.state.lock:
            try:
                self._replay()
            except CorruptLog:
                if self.load_catalogue() is None:
                    raise

    def _replay(self) -> None:
        head = self.log.head()
        if head == self.position:
            return
        if head < self.position:
            raise CorruptLog(str(self.state_dir), head)
        for record, position in self.log.read(self.position, head):
            self.state.apply(record)
            self.position = position
            self._note(record)

    def look(self) -> None:
        """Notice that `.flatdata/` was deleted, or that the keeper began anew; to be called every so often.

        Raises:
            OSError: if what was deleted cannot be made again.
        """
        if self.log.is_deleted():
            with self._writer, self.locked():
                self.log.prepare()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Where what is known is of another epoch, take over what the keeper wrote down in this one."""
        if self.log.epoch() != self.state.epoch:
            with self.state.lock:
                self.load_catalogue()

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
            while not os.fstat(self._lock_fd).st_nlink:
                # Somebody deleted the file: who comes next will lock another one, and so have we to.
                deleted, self._lock_fd = self._lock_fd, self._open_lock()
                os.close(deleted)
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _open_lock(self) -> int:
        self.state_dir.mkdir(exist_ok=True)
        return os.open(self.state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

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
        end = self.log.end()
        last = redo(self.log, self.disk, start, end)
        if last != end:
            self.log.publish(min(head, last))
            self.log.truncate(last)
        self.log.publish(last)
        self.log.mark_boot()
        self.disk.clear_scratch()

    def checkpoint(self) -> None:
        """Flush the content's file system, so that a power loss cannot take back what the log has passed."""
        position = self.log.head()
        mark = self.state.high_water
        flush_file_system(self.tree.root)
        data = msgspec.json.encode({"epoch": self.log.epoch(), "position": position, "high_water": mark})
        temporary = self.state_dir / "checkpoint.new"
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.state_dir / "checkpoint")

    def _checkpoint(self) -> _Checkpoint:
        try:
            data = (self.state_dir / "checkpoint").read_bytes()
            return msgspec.json.decode(data, type=_Checkpoint)
        except (OSError, msgspec.DecodeError):
            return _Checkpoint()

    def checkpoint_position(self) -> int:
        """The position that the last checkpoint vouches for; 0 if there is none."""
        checkpoint = self._checkpoint()
        return checkpoint.position if checkpoint.epoch == self.log.epoch() else 0

    def begin_epoch(self) -> None:
        """Declare void what anybody learned from the log so far. Raises OSError."""
        with self._writer, self.locked():
            self.log.begin_epoch()

    # --- filling the memory -----------------------------------------------------------------------------

    def load(self, entries: Iterable[Entry], position: int, seq: int, high_water: int) -> None:
        """Fill the memory with entries as they were at a position of the log, and follow from there.

        Raises:
            CorruptLog: if the log does not say what came after.
        """
        with self.state.lock:
            self.state.load(entries, seq, self.log.epoch())
            self.state.high_water = max(self.state.high_water, high_water, self._checkpoint().high_water)
            self.position = position
            self._replay()

    def load_catalogue(self) -> Catalogue | None:
        """Fill the memory from the catalogue; None if there is none that the log goes on from."""
        catalogue = read_catalogue(self.catalogue_path)
        if catalogue is None or catalogue.epoch != self.log.epoch():
            return None
        if not self.log.start() <= catalogue.position <= self.log.head():
            return None
        try:
            self.load(catalogue.entries, catalogue.position, catalogue.seq, catalogue.high_water)
        except CorruptLog:
            return None
        return catalogue

    def load_files(self) -> None:
        """Fill the memory from the files: slow, but it needs nothing else. Broken ones are passed over."""
        position = self.log.head()
        high_water = self.high_water_since_checkpoint()
        self.load(entries_on_disk(self.disk), position, self.log.last_seq(position), high_water)

    def high_water_since_checkpoint(self) -> int:
        """The largest integer that named a row since the last checkpoint, as far as the log says."""
        start, stop = max(self.log.start(), self.checkpoint_position()), self.log.head()
        numbers = [
            row_number(name_of(effect.slug), effect.form)
            for line, _ in self.log.lines(start, stop)
            if (record := decode_line(line)) is not None
            for effect in record.changes
        ]
        return max((number for number in numbers if number < LARGEST_NUMBER), default=0)

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
            StoreUnavailable: the disk refused; nothing changed (or, if the disk did not even let a half be
            taken back, the change is finished as soon as it does). InvalidSlug, EntryExists, EntryMissing,
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
        self._begin_anew()
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
        planned: list[_Planned] = []
        touched: list[str] = []
        while waiting:
            ticket = waiting[0]
            try:
                effects, result = self._plan(ticket, view, touched)
            except _Deferred:
                break
            except OSError as error:
                ticket.finish(error=StoreUnavailable(error))
                waiting.popleft()
                continue
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
            # Of the files that are copied too: a copy is dated anew, and would hide that they were edited.
            stale = self._stale([*slugs, *slugs_read(effects, self.state)])
            if not stale:
                return effects, result
            if touched:
                raise _Deferred
            self._ingest(stale, {})
            if blocked := self._stale([slug for slug in slugs if slug in stale]):
                raise EntryExists(blocked[0])
        raise EntryExists(stale[0])

    def _stale(self, slugs: list[str]) -> list[str]:
        """Those of `slugs` whose files are not what is known of them.

        Raises:
            EntryExists: where something that is no plain file stands in the place of one.
        """
        entries = self.state.entries
        fresh = self.disk.absent(slugs, len(entries)) if len(slugs) > _MANY else frozenset()
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

    def _accept(self, planned: list[_Planned]) -> None:
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
        failure: OSError | None = None
        for (_, record, _, key), line in zip(planned, lines, strict=True):
            try:
                self._apply(record, key)
            except OSError as error:
                failure = error
                break
            position += len(line)
            applied.append(record)
        self._publish(applied, position)
        for ticket, record, result, key in planned[: len(applied)]:
            for number, effect in enumerate(record.changes):
                if effect.op == "rmtree" or number + 1 < len(record.changes):
                    self.disk.release(effect, f"{key}-{number}")
            ticket.finish(result)
        if failure is not None:
            self._give_up(planned[len(applied) :], len(lines[len(applied)]), failure)

    def _give_up(self, planned: list[_Planned], length: int, error: OSError) -> None:
        """Take back the records beyond the head, the first of which could not be applied.

        Where the disk does not even let its half be undone, it stays in the log: it is finished before the
        next change, as soon as the disk lets us.
        """
        position = self.log.head()
        if isinstance(error, HalfDone):
            planned[0][0].finish(error=StoreUnavailable(error))
            planned = planned[1:]
            position += length
        for ticket, record, _, key in planned:
            self._discard(key, record.changes)
            ticket.finish(error=StoreUnavailable(error))
        self.log.truncate(position)

    def _apply(self, record: Record, key: str) -> None:
        done: list[tuple[Effect, str]] = []
        self.disk.new_record()
        try:
            for number, effect in enumerate(record.changes):
                self.disk.apply(effect, f"{key}-{number}", keep=number + 1 < len(record.changes))
                done.append((effect, f"{key}-{number}"))
        except OSError as error:
            try:
                for effect, effect_key in reversed(done):
                    self.disk.undo(effect, effect_key)
            except OSError as second:
                raise HalfDone(second.errno, second.strerror) from error
            raise

    def _publish(self, records: Sequence[Record], position: int) -> None:
        with self.state.lock:
            self.log.publish(position)
            for record in records:
                self.state.apply(record)
                self._note(record)
            self.position = position

    def _discard(self, key: str, effects: list[Effect]) -> None:
        for number, effect in enumerate(effects):
            self.disk.discard(f"{key}-{number}")
            self.disk.release(effect, f"{key}-{number}")

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
