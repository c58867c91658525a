"""The queue of commits: threads that commit at the same time are written together (group commit).

One of them leads: it takes along all that wait, and when its own commit is done leaves the lead to whoever
waits longest. The others sleep until their commits are done.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from flatdata.store.errors import StoreUnavailable
from flatdata.store.planning import Plan

BATCH: Final = 64
"""Commits that share one flush at the most."""


class Ticket:
    """One commit on its way: the plan, who asks for it, and how it ended."""

    __slots__ = ("_wake", "action", "done", "error", "origin", "plan", "reads", "result", "who")

    def __init__(self, plan: Plan, origin: str, who: str, action: str, reads: tuple[str, ...]) -> None:
        self.plan = plan
        self.reads = reads
        self.origin = origin
        self.who = who
        self.action = action
        self.done = False
        self.error: BaseException | None = None
        self.result: Any = None
        self._wake = threading.Lock()
        self._wake.acquire()

    def finish(self, result: Any = None, error: BaseException | None = None) -> None:
        """Note how the commit ended."""
        self.result = result
        self.error = error
        self.done = True

    def wait(self) -> None:
        """Sleep until the commit is done, or it is this thread's turn to lead."""
        self._wake.acquire()

    def wake(self) -> None:
        """End the sleep of the thread that made the commit."""
        self._wake.release()


class CommitQueue:
    """Commits that wait, and the lead.

    Args:
        write: writes a batch; it finishes at least the first of its tickets, and may leave later ones for
            another batch.
    """

    def __init__(self, write: Callable[[list[Ticket]], None]) -> None:
        self._write = write
        self._mutex = threading.Lock()
        self._led = False
        self._waiting: deque[Ticket] = deque()

    def submit(self, ticket: Ticket) -> Any:
        """See a commit through; gives its result or raises its error."""
        with self._mutex:
            self._waiting.append(ticket)
            leads = not self._led
            self._led = True
        if not leads:
            ticket.wait()
        if not ticket.done:
            self._lead(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def _lead(self, own: Ticket) -> None:
        try:
            while not own.done:
                self._write_batch(own)
        finally:
            with self._mutex:
                if self._waiting:
                    self._waiting[0].wake()
                else:
                    self._led = False

    def _write_batch(self, own: Ticket) -> None:
        with self._mutex:
            tickets = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
        try:
            self._write(tickets)
        except OSError as error:
            _fail(tickets, StoreUnavailable(error))
        except Exception as error:
            _fail(tickets, error)
            raise
        except BaseException:
            # It is this thread that is to end, nobody else's.
            _fail(tickets, StoreUnavailable(InterruptedError(errno.EINTR, os.strerror(errno.EINTR))))
            raise
        finally:
            with self._mutex:
                self._waiting.extendleft(ticket for ticket in reversed(tickets) if not ticket.done)
            for ticket in tickets:
                if ticket.done and ticket is not own:
                    ticket.wake()


def _fail(tickets: list[Ticket], error: BaseException) -> None:
    for ticket in tickets:
        if not ticket.done:
            ticket.finish(error=error)
