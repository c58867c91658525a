"""Where rows come that are appended to a source: behind those that have an order.

Imports ask for it in every plan. The largest order of a source is looked for once, among all its rows (some
40 ms for fifty thousand), and kept up while records come; it is looked for again when the row that had it is
gone. A sorted structure of the index would know it, too, but each row that was written since would have to be
sorted into it first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flatdata.store.entry import Entry
from flatdata.store.paths import MANIFEST
from flatdata.store.sources import row_order
from flatdata.store.state import State


@dataclass(slots=True)
class Extent:
    """The largest order of the rows of a source, None if none has one, and how many have none."""

    largest: int | None = None
    unordered: int = 0

    def add(self, order: int | None) -> None:
        """Take in a row with this order."""
        if order is None:
            self.unordered += 1
        elif self.largest is None or order > self.largest:
            self.largest = order


class Orders:
    """The extents of the sources that were asked for, as of the present state.

    Args:
        state: what they follow; they change under its lock.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[str, Extent] = {}
        state.listeners.append(self._changed)
        state.load_listeners.append(self._loaded)

    def of(self, slug: str) -> Extent:
        """The extent of the rows directly below `slug`. Do not change it."""
        with self._state.lock:
            extent = self._known.get(slug)
            if extent is None:
                extent = Extent()
                for name in self._state.folders.get(slug, ()):
                    entry = self._state.entries.get(f"{slug}/{name}")
                    if entry is not None:
                        extent.add(_order(entry))
                self._known[slug] = extent
            return extent

    def _loaded(self, entries: Iterable[Entry]) -> None:
        self._known.clear()

    def _changed(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        if entry is None or not self._known or entry.form == MANIFEST:
            return
        parent = entry.parent
        extent = self._known.get(parent)
        if extent is None:
            return
        if old is not None:
            before = _order(old)
            if new is not None and before == _order(new):
                return
            if before is None:
                extent.unordered -= 1
            elif before == extent.largest:
                del self._known[parent]
                return
        if new is not None:
            extent.add(_order(new))


def _order(entry: Entry) -> int | None:
    # Most rows have no order, and their `_meta` need not be parsed.
    return row_order(entry) if b'"order"' in entry.meta_body else None
