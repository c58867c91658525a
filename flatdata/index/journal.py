"""The last changes of a collection, for structures to take over when they are asked for.

A plain data structure: who calls holds the lock.
"""

from __future__ import annotations

from flatdata.store.entry import Entry

Change = tuple[Entry | None, Entry | None]
"""What an entry was before and is after; None is an entry that was not, or is not, there."""


class Journal:
    """Changes by their positions in the order in which they came."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self.begin = 0
        """The position of the first change that is still known."""
        self.end = 0
        """The position of the next change."""
        self.weight = 0
        """Bytes of the entries that are in memory only because changes know them, about."""

    def __len__(self) -> int:
        return len(self._changes)

    def append(self, old: Entry | None, new: Entry | None) -> None:
        """Note that `old` became `new`."""
        self._changes.append((old, new))
        self.end += 1
        self.weight += _weight(old)

    def since(self, position: int, limit: int) -> list[Change]:
        """At most `limit` changes from a position on."""
        start = position - self.begin
        return self._changes[start : start + limit]

    def forget(self, begin: int) -> None:
        """Forget all changes before a position."""
        self.weight -= sum(_weight(old) for old, _ in self._changes[: begin - self.begin])
        del self._changes[: begin - self.begin]
        self.begin = begin


def _weight(old: Entry | None) -> int:
    return 0 if old is None else old.size
