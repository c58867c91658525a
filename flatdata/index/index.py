"""The index: answers queries over the entries in memory.

Every entry has a number in this process. Collections get their structures when a query first needs them;
these take over what changed since when a query asks for them again, so a write costs the same whatever was
asked before, and answers are of the moment.

A query plans under the state's lock, which takes microseconds; entries that the structures cannot decide
are handed to the evaluator afterwards, without the lock: they are immutable, so a slow query holds up nobody.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pyroaring import BitMap

from flatdata.index.collection import Collection, Key, NotBuilt
from flatdata.index.grouping import Group, Grouping, grouped
from flatdata.index.ordering import Ordering
from flatdata.index.planner import Plan, compile_tree
from flatdata.index.ranking import Measured, Ranking
from flatdata.index.words import Words
from flatdata.query.evaluate import predicate
from flatdata.query.tree import Field, KeyIndex, Node, Query, Relevance, Scope
from flatdata.store.entry import Entry
from flatdata.store.paths import MANIFEST, join
from flatdata.store.state import State
from flatdata.turns import in_turns

__all__ = ["SMALL", "Group", "Index", "Result"]

SMALL: Final = 48
"""A collection of fewer entries is gone through one by one: structures would cost more than they save."""


_SPARE: Final = 4
"""For so many candidates of a page one more is looked at first, for those that turn out not to match."""
_T = TypeVar("_T")


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
        self._free = array("I")
        self._next_num = 0
        with state.lock:
            self._loaded(state.entries.values())
            state.load_listeners.append(self._loaded)
            state.listeners.append(self._changed)

    def _loaded(self, entries: Iterable[Entry]) -> None:
        """Begin anew with these entries. Under the state's lock."""
        # Numbers go on where they were: queries under way still hold the old ones.
        del self._free[:]
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
        if self._is_large(query.scope):
            return self._search_collection(query, query.scope.slug)
        found = list(self._matching(query, query.scope))
        if query.relevance is not None:
            return self._rank_some(query, query.relevance, found)
        return self._search_some(query, found)

    def _matching(self, query: Query, scope: Scope) -> Iterator[Entry]:
        is_wanted = predicate(query.where)
        for slug in self._folders(scope):
            if len(self._state.folders.get(slug, ())) >= SMALL:
                yield from self._search_collection(Query(Scope(slug), query.where, total=False), slug).entries
            else:
                yield from filter(is_wanted, in_turns(self._state.children(slug)))
        if scope.min_depth <= 0:
            own = self._state.entries.get(scope.slug)
            if own is not None and own.form != MANIFEST and is_wanted(own):
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
        if query.relevance is not None:
            return self._rank_collection(query, query.relevance, collection, plan)
        ordering = Ordering(collection, query.order)
        if not query.total and query.limit is not None:
            first = self._first(query, collection, plan, ordering)
            if first is not None:
                return first
        # Who only counts needs no order, into which what was written since would have to be put.
        needed = ordering.keys if query.limit != 0 else []
        return self._with_wanted(
            query.where, collection, plan, needed, lambda wanted: _page(query, ordering, wanted)
        )

    # --- ranking --------------------------------------------------------------------------------------

    def _rank_collection(
        self, query: Query, relevance: Relevance, collection: Collection, plan: Plan
    ) -> Result:
        ranking = Ranking(relevance)
        first = None if query.limit is None else query.offset + query.limit
        measured = self._with_wanted(
            query.where,
            collection,
            plan,
            ranking.needs(),
            lambda wanted: ranking.measure(collection, self._words, wanted, first).hold(
                first, descending=relevance.descending
            ),
        )
        return _ranked(query, relevance, measured)

    def _rank_some(self, query: Query, relevance: Relevance, found: list[Entry]) -> Result:
        """The same for entries that were gathered one by one: the documents are all of the scope."""
        members = list(self._matching(Query(query.scope), query.scope))
        return _ranked(query, relevance, Ranking(relevance).count(members, found))

    # --- finding --------------------------------------------------------------------------------------

    def _with_wanted(
        self, where: Node, collection: Collection, plan: Plan, others: list[Key], act: Callable[[BitMap], _T]
    ) -> _T:
        """What `act` makes of the matching members, under the lock, with all structures at hand."""
        verdicts: dict[Entry, bool] = {}
        is_wanted = predicate(where)
        missing = collection.crowded
        while True:
            if missing:
                collection.build([*_needs(plan), *others])
            self._words.refresh()
            try:
                with self._state.lock:
                    plan.bind(collection)
                    sets = plan.resolve(self._words, collection.members)
                    if sets.sure is sets.possible or len(sets.sure) == len(sets.possible):
                        return act(sets.sure)
                    undecided = [collection.entries[num] for num in (sets.possible - sets.sure).to_array()]
                    unknown = [entry for entry in undecided if entry not in verdicts]
                    if not unknown:
                        found = BitMap([entry.num for entry in undecided if verdicts[entry]])
                        return act(sets.sure | found)
            except NotBuilt:
                missing = True
                continue
            # Without the lock: this may take long, and what changes meanwhile is asked about once more.
            for entry in in_turns(unknown):
                verdicts[entry] = is_wanted(entry)

    def _first(
        self, query: Query, collection: Collection, plan: Plan, ordering: Ordering, spare: int | None = None
    ) -> Result | None:
        """The page, where looking at a few more candidates than it holds is enough; without a total."""
        needed = query.offset + (query.limit or 0)
        looked_at = needed + (needed // _SPARE + 1 if spare is None else spare)
        if collection.crowded:
            collection.build([*_needs(plan), *ordering.keys])
        self._words.refresh()
        try:
            with self._state.lock:
                plan.bind(collection)
                sets = plan.resolve(self._words, collection.members)
                if len(sets.sure) == len(sets.possible):
                    return _page(query, ordering, sets.sure)
                candidates = ordering.page(sets.possible, 0, looked_at)
                undecided = sets.possible - sets.sure
                whole = len(sets.possible) <= looked_at
                unsure = [entry.num in undecided for entry in candidates]
        except NotBuilt:
            collection.build([*_needs(plan), *ordering.keys])
            return self._first(query, collection, plan, ordering, spare)
        found: list[Entry] = []
        is_wanted = predicate(query.where)
        for entry, is_unsure in zip(candidates, unsure, strict=True):
            if not is_unsure or is_wanted(entry):
                found.append(entry)
                if len(found) >= needed:
                    break
        if len(found) < needed and not whole:
            return None if spare else self._first(query, collection, plan, ordering, needed + 64)
        return Result(found[query.offset : needed], -1)

    # --- grouping -------------------------------------------------------------------------------------

    def groups(
        self,
        query: Query,
        field: Field,
        index: KeyIndex,
        *,
        offset: int = 0,
        limit: int | None = None,
        members: bool = True,
    ) -> list[Group]:
        """The entries that `query` finds, in groups by the key that `index` has for their values.

        Args:
            query: scope, conditions and order; its page and total are not looked at.
            field: whose value decides.
            index: yields exactly one key for each value, `ABSENT` included.
            offset: so many groups are passed over.
            limit: and at most so many come after them; None is all.
            members: whether the groups' entries are wanted, in the query's order.

        Returns:
            The groups in order of first appearance under the query's order.
        """
        stop = None if limit is None else offset + limit
        scope = query.scope
        if not self._is_large(scope):
            found = self.search(Query(scope, query.where, query.order, total=False)).entries
            return grouped(found, field, index, offset, stop, members)
        collection = self._collection(scope.slug)
        ordering = Ordering(collection, query.order)
        grouping = Grouping(collection, ordering, field, index, members=members)
        gathered = self._with_wanted(
            query.where,
            collection,
            compile_tree(query.where),
            [*ordering.keys, (field, index)],
            lambda wanted: grouping.gather(wanted, offset, stop),
        )
        return gathered.groups()

    def _is_large(self, scope: Scope) -> bool:
        """Whether a scope is one collection that is worth structures."""
        if scope.min_depth != 1 or scope.max_depth != 1:
            return False
        return len(self._state.folders.get(scope.slug, ())) >= SMALL


def _needs(plan: Plan) -> list[Key]:
    keys: list[Key] = []
    plan.keys(keys)
    return keys


def _ranked(query: Query, relevance: Relevance, measured: Measured) -> Result:
    page = measured.page(query.order, query.offset, query.limit, descending=relevance.descending)
    return Result(page, len(measured))


def _page(query: Query, ordering: Ordering, wanted: BitMap) -> Result:
    total = len(wanted)
    limit = total if query.limit is None else query.limit
    return Result(ordering.page(wanted, query.offset, limit), total)


def _slug(entry: Entry) -> str:
    return entry.slug
