"""From tickets to records: commits are planned, staged, accepted by the log, and carried out on the files.

All of it under the site's write lock, after what other processes wrote was followed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from flatdata.store.codec import CodecError
from flatdata.store.commits import BATCH, Ticket
from flatdata.store.disk import Disk, HalfDone
from flatdata.store.edits import Parsed, changed_on_disk, effects_of_edits
from flatdata.store.effects import carry_out, discard, is_transfer, release, stage
from flatdata.store.errors import EntryExists, StoreUnavailable
from flatdata.store.follower import Follower
from flatdata.store.log import ChangeLog, Effect, Record, encode_record
from flatdata.store.planning import View, slugs_of, slugs_read, work_out
from flatdata.store.recovery import FROM_DISK
from flatdata.store.state import Places

_REPLANS: Final = 5


class _Staged(NamedTuple):
    """A commit ready to be accepted: its record, what its plan gave back, and the key of its staged files."""

    ticket: Ticket
    record: Record
    result: Any
    key: str


class _Deferred(Exception):
    """This commit has to wait for the next batch."""


class Writer:
    """Writes batches of commits, and edits on disk.

    Args:
        follower: what this process knows; it takes each record that is written.
    """

    def __init__(self, log: ChangeLog, disk: Disk, follower: Follower) -> None:
        self._log = log
        self._disk = disk
        self._follower = follower
        self._state = follower.state
        self._last_id = 0

    # --- planning -------------------------------------------------------------------------------------

    def write(self, tickets: Iterable[Ticket]) -> None:
        """Write a batch. At least the first ticket is finished then; one that has to wait ends the batch."""
        view = View(self._state, time.time_ns(), self._last_id)
        staged: list[_Staged] = []
        touched = Places()
        for ticket in tickets:
            try:
                effects, result = self._plan(ticket, view, touched)
            except _Deferred:
                break
            except OSError as error:
                ticket.finish(error=StoreUnavailable(error))
                continue
            except Exception as error:
                ticket.finish(error=error)
                continue
            if not effects:
                ticket.finish(result)
                continue
            seq = self._state.seq + len(staged) + 1
            record = Record(seq, view.now_ns // 1_000_000, ticket.origin, effects, ticket.who, ticket.action)
            if self._stage(ticket, effects, str(seq)):
                staged.append(_Staged(ticket, record, result, str(seq)))
                touched.add(slugs_of(effects))
                if is_transfer(effects):
                    break
        self._last_id = view.last_id
        if staged:
            self._accept(staged)

    def _plan(self, ticket: Ticket, view: View, touched: Places) -> tuple[list[Effect], Any]:
        if touched and ticket.reads and touched.overlap(ticket.reads):
            raise _Deferred
        for _ in range(_REPLANS):
            changes, result = ticket.plan(view)
            effects = work_out(changes, view, self._disk)
            slugs = slugs_of(effects)
            # A transfer is alone in its batch: the disk is flushed before and after it.
            if touched and (len(slugs) > BATCH or is_transfer(effects) or touched.overlap(slugs)):
                raise _Deferred
            # Of the files that are copied too: a copy is dated anew, and would hide that they were edited.
            stale = self._changed_on_disk([*slugs, *slugs_read(effects, self._state)])
            if not stale:
                return effects, result
            if touched:
                raise _Deferred
            self.ingest(stale, {})
            if blocked := self._changed_on_disk([slug for slug in slugs if slug in stale]):
                raise EntryExists(blocked[0])
        raise EntryExists(stale[0])

    def _changed_on_disk(self, slugs: list[str]) -> list[str]:
        return changed_on_disk(slugs, self._state, self._disk)

    def _stage(self, ticket: Ticket, effects: list[Effect], key: str) -> bool:
        """Stage the files of a commit; where that fails, the ticket is finished."""
        try:
            stage(effects, key, self._disk)
        except OSError as error:
            ticket.finish(error=StoreUnavailable(error))
        except CodecError as error:
            ticket.finish(error=error)
        else:
            return True
        discard(effects, key, self._disk)
        return False

    # --- accepting ------------------------------------------------------------------------------------

    def _accept(self, staged: Sequence[_Staged]) -> None:
        lines = [encode_record(one.record) for one in staged]
        position = self._log.head()
        try:
            if is_transfer(staged[0].record.changes):
                self._disk.flush()
            self._log.append(lines)
        except OSError as error:
            self._refuse(staged, error)
            return
        done: list[Record] = []
        failure: OSError | None = None
        for one, line in zip(staged, lines, strict=True):
            try:
                carry_out(one.record.changes, one.key, self._disk)
            except OSError as error:
                failure = error
                break
            position += len(line)
            done.append(one.record)
        self._follower.publish(done, position)
        for one in staged[: len(done)]:
            release(one.record.changes, one.key, self._disk)
            one.ticket.finish(one.result)
        if failure is not None:
            self._give_up(staged[len(done) :], len(lines[len(done)]), failure)

    def _give_up(self, staged: Sequence[_Staged], length: int, error: OSError) -> None:
        """Take back the records beyond the head, the first of which could not be applied.

        What was done of that one is undone by now, and that is flushed. Where the disk does not even let its
        half be undone for good, it stays in the log: it is finished before the next change, as soon as the
        disk lets us.
        """
        position = self._log.head()
        if isinstance(error, HalfDone):
            staged[0].ticket.finish(error=StoreUnavailable(error))
            staged = staged[1:]
            position += length
        self._refuse(staged, error)
        self._log.truncate(position)

    def _refuse(self, staged: Iterable[_Staged], error: OSError) -> None:
        for one in staged:
            discard(one.record.changes, one.key, self._disk)
            one.ticket.finish(error=StoreUnavailable(error))

    # --- edits on disk --------------------------------------------------------------------------------

    def ingest(self, slugs: Iterable[str], parsed: Mapping[str, Parsed]) -> int:
        """Take in what is on the disk for `slugs`, as one record; gives how many entries changed.

        The record is not flushed: the files themselves are what was written. Raises OSError.
        """
        effects = effects_of_edits(slugs, parsed, self._state, self._disk)
        if not effects:
            return 0
        record = Record(
            self._state.seq + 1, time.time_ns() // 1_000_000, FROM_DISK, effects, action=FROM_DISK
        )
        position = self._log.head()
        line = encode_record(record)
        self._log.append([line], sync=False)
        self._follower.publish([record], position + len(line))
        return len(effects)
