"""The index: answers queries over the entries in memory.

Every entry has a number in this process. Collections get their structures when a query first needs them;
each change of an entry brings them up to date before anybody can ask again.

A query plans under the state's lock, which takes microseconds; entries that the structures cannot decide
are handed to the evaluator afterwards, without the lock: they are immutable, so a slow query holds up nobody.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from pyroaring import BitMap

from flatdata.index.collection import BY_SLUG, Collection, Key, NotBuilt
from flatdata.index.planner import Plan, compile_tree
from flatdata.index.structures import SortedList
from flatdata.index.words import Words
from flatdata.query.evaluate import matches
from flatdata.query.tree import OrderBy, Query, Scope
from flatdata.store.entry import Entry
from flatdata.store.paths import MANIFEST, join
from flatdata.store.state import State

SMALL: Final = 48
"""A collection of fewer entries is gone through one by one: structures would cost more than they save."""


@dataclass(frozen=True, slots=True)
class Result:
    """A page of entries, and how many match in all (-1 where the query did not ask for it)."""

    entries: list[Entry]
    total: int


class Index:
    """The index over a state. It listens to the state's changes from its construction on."""

    def __init__(self, state: State, state_dir: Path) -> None:
        self._state = state
        self._words = Words(state_dir / "index" / "words", state)
        self._collections: dict[str, Collection] = {}
        self._free: list[int] = []
        self._next_num = 0
        with state.lock:
            self._loaded(state.entries.values())
            state.load_listeners.append(self._loaded)
            state.listeners.append(self._changed)

    def _loaded(self, entries: Iterable[Entry]) -> None:
        """Begin anew with these entries. Under the state's lock."""
        # Numbers go on where they were: queries under way still hold the old ones.
        self._free.clear()
        self._collections.clear()
        self._words.forget()
        for entry in entries:
            if entry.form != MANIFEST:
                entry.num = self._number()

    def _number(self) -> int:
        if self._free:
            return self._free.pop()
        self._next_num += 1
        return self._next_num - 1

    def _changed(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        if entry is None or entry.form == MANIFEST:
            return
        if new is not None:
            new.num = old.num if old is not None else self._number()
            self._words.touched(new)
        collection = self._collections.get(entry.parent)
        if collection is not None:
            collection.change(old, new)
            if not collection.members:
                del self._collections[entry.parent]
        if new is None and old is not None:
            self._free.append(old.num)

    def close(self) -> None:
        """Let go of the word index's files."""
        self._words.close()

    def _collection(self, slug: str) -> Collection:
        collection = self._collections.get(slug)
        if collection is None:
            with self._state.lock:
                collection = self._collections.get(slug)
                if collection is None:
                    collection = Collection(self._state.lock, self._state.children(slug))
                    self._collections[slug] = collection
        return collection

    # --- searching ------------------------------------------------------------------------------------

    def search(self, query: Query) -> Result:
        """The entries that `query` asks for, as they are now.

        Entries come in the wanted order, ties and unordered ones by slug. The total is exact.
        """
        scope = query.scope
        if scope.min_depth == scope.max_depth == 1:
            size = len(self._state.folders.get(scope.slug, ()))
            if size >= SMALL:
                return self._search_collection(query, scope.slug)
        return self._search_some(query, list(self._matching(query, scope)))

    def _matching(self, query: Query, scope: Scope) -> Iterator[Entry]:
        for slug in self._folders(scope):
            if len(self._state.folders.get(slug, ())) >= SMALL:
                yield from self._search_collection(Query(Scope(slug), query.where, total=False), slug).entries
            else:
                yield from (entry for entry in self._state.children(slug) if matches(query.where, entry))
        if scope.min_depth <= 0:
            own = self._state.entries.get(scope.slug)
            if own is not None and own.form != MANIFEST and matches(query.where, own):
                yield own

    def _folders(self, scope: Scope) -> Iterator[str]:
        """The folders whose direct children lie in the scope."""
        pending = [(scope.slug, 1)]
        while pending:
            slug, depth = pending.pop()
            if scope.max_depth is not None and depth > scope.max_depth:
                continue
            if depth >= scope.min_depth:
                yield slug
            with self._state.lock:
                names = list(self._state.folders.get(slug, ()))
                below = [join(slug, name) for name in names if join(slug, name) in self._state.folders]
            pending += [(child, depth + 1) for child in below]

    def _search_some(self, query: Query, found: list[Entry]) -> Result:
        """Order and page entries that were gathered one by one."""
        found.sort(key=_slug)
        for order in reversed(query.order):
            found.sort(key=lambda entry: order.index.key(order.field.read(entry)), reverse=order.descending)
        stop = None if query.limit is None else query.offset + query.limit
        return Result(found[query.offset : stop], len(found))

    def _search_collection(self, query: Query, slug: str) -> Result:
        collection = self._collection(slug)
        plan = compile_tree(query.where)
        order: list[Key] = [(step.field, step.index) for step in query.order] or [BY_SLUG]
        verdicts: dict[Entry, bool] = {}
        first_page = not query.total and query.limit is not None
        while True:
            collection.build([*plan.keys(), *order])
            self._words.refresh()
            try:
                if first_page:
                    found_first = self._first(query, collection, plan, order)
                    if found_first is not None:
                        return found_first
                    first_page = False
                with self._state.lock:
                    sets = plan.resolve(collection, self._words, collection.members)
                    if len(sets.sure) == len(sets.possible):
                        return self._page(query, collection, order, sets.sure)
                    undecided = [collection.entries[num] for num in sets.possible - sets.sure]
                    unknown = [entry for entry in undecided if entry not in verdicts]
                    if not unknown:
                        found = BitMap([entry.num for entry in undecided if verdicts[entry]])
                        return self._page(query, collection, order, sets.sure | found)
            except NotBuilt:
                continue
            # Without the lock: this may take long, and what changes meanwhile is asked about once more.
            for entry in unknown:
                verdicts[entry] = matches(query.where, entry)

    def _first(self, query: Query, collection: Collection, plan: Plan, order: list[Key]) -> Result | None:
        """The page, where looking at a few more candidates than it holds is enough; without a total."""
        needed = query.offset + (query.limit or 0)
        looked_at = 2 * needed + 64
        with self._state.lock:
            sets = plan.resolve(collection, self._words, collection.members)
            if len(sets.sure) == len(sets.possible):
                return self._page(query, collection, order, sets.sure)
            head = Query(query.scope, order=query.order, limit=looked_at)
            candidates = self._page(head, collection, order, sets.possible).entries
            undecided = sets.possible - sets.sure
            whole = len(sets.possible) <= looked_at
            unsure = [entry.num in undecided for entry in candidates]
        found: list[Entry] = []
        for entry, is_unsure in zip(candidates, unsure, strict=True):
            if not is_unsure or matches(query.where, entry):
                found.append(entry)
                if len(found) >= needed:
                    break
        if len(found) < needed and not whole:
            return None
        return Result(found[query.offset : needed], -1)

    def _page(self, query: Query, collection: Collection, order: list[Key], wanted: BitMap) -> Result:
        lists = [collection.sorted(key) for key in order]
        total = len(wanted)
        offset = query.offset
        limit = max(0, total - offset if query.limit is None else min(query.limit, total - offset))
        if not limit:
            return Result([], total)
        entries = collection.entries
        descending = bool(query.order) and query.order[0].descending
        if len(lists) == 1 and total == len(lists[0]):
            return Result([entries[num] for num in lists[0].page(offset, limit, descending)], total)
        if not query.order and offset + limit <= 64 and total <= 4_096:
            first = heapq.nsmallest(offset + limit, [entries[num] for num in wanted], key=_slug)
            return Result(first[offset:], total)
        ordered = _in_order(query.order, lists, wanted, entries, descending, offset + limit)
        return Result(list(islice(ordered, offset, offset + limit)), total)


def _in_order(
    order: tuple[OrderBy, ...],
    lists: list[SortedList],
    wanted: BitMap,
    entries: dict[int, Entry],
    descending: bool,
    needed: int,
) -> Iterator[Entry]:
    for group in lists[0].groups(wanted, descending, needed):
        if len(group) == 1:
            yield entries[group[0]]
            continue
        tied = sorted((entries[num] for num in group), key=_slug)
        for step, listed in reversed(list(zip(order[1:], lists[1:], strict=True))):
            tied.sort(key=lambda entry, of=listed.key_of: of(entry.num), reverse=step.descending)  # type: ignore[misc]
        yield from tied


def _slug(entry: Entry) -> str:
    return entry.slug
