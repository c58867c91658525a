"""Through long sequences of whatever happens to a site, each query of each dialect finds in every worker what
going through the files finds.

    FLATDATA_TEST_SEEDS=100-199 pytest -x tests/test_queries_through_changes.py

is a long run: each seed has other questions, records, changes and sequences. A sequence that fails is made as
short as it gets, and printed.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from query_strategies import BY_OPERATOR, BY_WORDS, FIELDS, FINDS, METAS, ORDERS, RECORDS
from served_site import VARIANTS, Question, ServedSite

from flatdata.dialects.flextype.find_options import Find
from flatdata.query import php
from flatdata.query.php_index import SORT
from flatdata.query.tree import EVERYTHING, All, AnyOf, Condition, Node, Not, OrderBy
from flatdata.store.changes import Change, Copy, Delete, DeleteTree, Move, Put
from flatdata.store.paths import ENTRY_MD, ENTRY_YAML, FILE
from flatdata.store.state import Places

FIRST_SEED, _, LAST_SEED = os.environ.get("FLATDATA_TEST_SEEDS", "1-2").partition("-")
SEEDS = range(int(FIRST_SEED), int(LAST_SEED or FIRST_SEED) + 1)
SEQUENCES = 12
"""For each seed, two for each of the `VARIANTS`."""
STEPS = 80
SHRINKING_SECONDS = 60.0

Step = tuple[str, tuple[Any, ...]]
"""The name of a method of `ServedSite`, and what it is called with."""
Make = Callable[["Pool", random.Random], Any]


# --- what sequences are made of -----------------------------------------------------------------------------


def drawn(strategy: st.SearchStrategy[Any], count: int, number: int) -> list[Any]:
    """Values of a strategy, the same ones for the same number."""
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count + 1,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    # The first is the simplest there is.
    return found[1:] or found


class Pool:
    """What Hypothesis draws for one seed, to choose from."""

    def __init__(self, number: int) -> None:
        self.conditions = [drawn(strategy, 3, number) for strategy in BY_OPERATOR.values()]
        self.by_words = [drawn(strategy, 8, number) for strategy in BY_WORDS]
        self.orders = drawn(ORDERS, 80, number)
        self.finds = drawn(FINDS, 80, number)
        self.records = drawn(st.tuples(RECORDS, METAS), 250, number)


SLUGS = [
    *(f"c/e{number}" for number in range(9)),
    *(f"s/{number}" for number in range(1, 9)),
    *("c", "c/e0/x", "c/e1/x", "deep/er/x", "deep/er/y"),
]
PLACES = [*SLUGS, "deep", "deep/er", "away", "s"]


def slug(pool: Pool, choose: random.Random) -> str:
    return choose.choice(SLUGS)


def place(pool: Pool, choose: random.Random) -> str:
    """An entry or, less often, a folder."""
    return choose.choice(SLUGS if choose.random() < 0.7 else PLACES)


def fields(pool: Pool, choose: random.Random) -> dict[str, Any]:
    record: dict[str, Any] = choose.choice(pool.records)[0]
    return record


def put(pool: Pool, choose: random.Random) -> Change:
    fields, meta = choose.choice(pool.records)
    return Put(slug(pool, choose), fields, choose.choice([None, meta]))


def one(pool: Pool, choose: random.Random) -> list[Change]:
    """A commit of one change."""
    kinds: list[Callable[[], Change]] = [
        lambda: put(pool, choose),
        lambda: Delete(slug(pool, choose)),
        lambda: DeleteTree(place(pool, choose)),
        lambda: Move(place(pool, choose), place(pool, choose)),
        lambda: Copy(place(pool, choose), place(pool, choose)),
    ]
    return [choose.choices(kinds, (10, 3, 1, 2, 2))[0]()]


def about(pool: Pool, choose: random.Random) -> tuple[str, list[Change]]:
    """An entry, and a commit of one change to it."""
    slug = choose.choice(SLUGS)
    changes = [
        Put(slug, fields(pool, choose)),
        Delete(slug),
        Move(slug, place(pool, choose)),
        Copy(slug, place(pool, choose)),
    ]
    return slug, [choose.choice(changes)]


def many(pool: Pool, choose: random.Random) -> list[Change]:
    """A commit of many rows, none of which lies in another."""
    changes: dict[str, Change] = {}
    for _ in range(choose.randint(2, 12)):
        change = put(pool, choose) if choose.random() < 0.8 else Delete(slug(pool, choose))
        if not Places(changes).overlap([change.slug]):
            changes[change.slug] = change
    return list(changes.values())


def commit(pool: Pool, choose: random.Random) -> list[Change]:
    return (one if choose.random() < 0.6 else many)(pool, choose)


def node(pool: Pool, choose: random.Random, depth: int = 0) -> Node:
    """A tree of conditions, each operator of each dialect as likely as the others, words more often."""
    kind = choose.random()
    if depth > 2 or kind < 0.6:
        conditions = pool.conditions if choose.random() < 0.75 else pool.by_words
        condition: Node = choose.choice(choose.choice(conditions))
        return condition
    if kind < 0.7:
        return Not(node(pool, choose, depth + 1))
    parts = tuple(node(pool, choose, depth + 1) for _ in range(choose.randint(0, 3)))
    return (All if kind < 0.85 else AnyOf)(parts)


def question(pool: Pool, choose: random.Random) -> Question:
    return Question(
        where=node(pool, choose) if choose.random() < 0.95 else EVERYTHING,
        find=choose.choice(pool.finds) if choose.random() < 0.2 else Find(),
        order=choose.choice(pool.orders) if choose.random() < 0.5 else (),
        slug=choose.choice(["c", "c", "c", "s", "s", "s", "c/e0", ""]),
        offset=choose.choice([0, 0, 0, 1, 3]),
        limit=choose.choice([None, None, 0, 2, 5]),
    )


def among(*values: Any) -> Make:
    return lambda pool, choose: choose.choice(values)


FORM, WORKER, YES_OR_NO = among(FILE, ENTRY_YAML, ENTRY_MD), among(0, 1), among(True, False)
BROKEN = among(b"a: [", b"", b"- 1", b"f: a\nf: b\n", b"\xff")
KINDS: dict[str, tuple[int, tuple[Make, ...]]] = {
    "commit": (18, (WORKER, commit)),
    "commit_through_both": (6, (WORKER, commit, commit)),
    "commit_over_edit": (5, (WORKER, slug, fields, FORM)),
    "edit_file": (8, (slug, fields, FORM, YES_OR_NO)),
    "add_file": (1, (slug, fields, FORM, YES_OR_NO)),
    "break_file": (2, (slug, BROKEN, YES_OR_NO)),
    "remove_file": (3, (slug, YES_OR_NO)),
    "rename_file": (3, (slug, slug, YES_OR_NO)),
    "change_form": (2, (slug, YES_OR_NO)),
    "remove_folder": (1, (place, YES_OR_NO)),
    "rename_folder": (2, (place, place, YES_OR_NO)),
    "write_words": (7, (YES_OR_NO,)),
    "read_words": (3, (WORKER,)),
    "write_catalogue": (2, ()),
    "ask_for_rebuild": (1, ()),
    "lose_index": (1, ()),
    "restart_worker": (3, (WORKER,)),
    "restart_keeper": (2, (YES_OR_NO,)),
    "lose_state": (1, (WORKER, among("write", "looks", "nothing"), commit)),
    "ask": (15, (question,)),
    "ask_while_it_changes": (9, (WORKER, WORKER, question, commit, YES_OR_NO, YES_OR_NO)),
}
"""Steps: how likely each is, and what it is called with."""


class Story(NamedTuple):
    """A site and what happens to it."""

    variant: str
    records: list[tuple[dict[str, Any], dict[str, Any]]]
    steps: Sequence[Step]


def story(pool: Pool, number: int, place_in_seed: int) -> Story:
    choose = random.Random(f"{number} {place_in_seed}")
    weights = [weight for weight, _ in KINDS.values()]
    steps: list[Step] = []
    for name in choose.choices(list(KINDS), weights, k=STEPS):
        arguments = [make(pool, choose) for make in KINDS[name][1]]
        if name == "commit_over_edit":
            arguments[1], changes = about(pool, choose)
            arguments.append(changes)
        steps.append((name, tuple(arguments)))
    records = choose.choices(pool.records, k=choose.randint(0, 9))
    return Story(list(VARIANTS)[place_in_seed % len(VARIANTS)], records, steps)


# --- what becomes of them -----------------------------------------------------------------------------------


def play(told: Story) -> None:
    """Go through a story, looking after each step whether everything is found."""
    root = Path(tempfile.mkdtemp())
    try:
        site = ServedSite(root, told.variant, told.records)
        try:
            site.check()
            for name, arguments in told.steps:
                getattr(site, name)(*arguments)
                site.check()
        finally:
            site.close()
    finally:
        shutil.rmtree(root)


def fails(told: Story) -> bool:
    try:
        play(told)
    except Exception:  # whatever goes wrong, it is looked at when it goes wrong for good
        return True
    return False


def shortened(told: Story) -> Story:
    """The story without what it fails without."""
    end = time.monotonic() + SHRINKING_SECONDS
    for part in ("steps", "records"):
        size = len(getattr(told, part))
        while size and time.monotonic() < end:
            at = 0
            while at < len(getattr(told, part)) and time.monotonic() < end:
                kept = getattr(told, part)
                shorter = told._replace(**{part: [*kept[:at], *kept[at + size :]]})
                if fails(shorter):
                    told = shorter
                else:
                    at += size
            size //= 2
    return told


@pytest.mark.parametrize("number", SEEDS)
def test_queries_through_changes_find_what_the_files_say(number: int) -> None:
    pool = Pool(number)
    for place_in_seed in range(SEQUENCES):
        told = story(pool, number, place_in_seed)
        try:
            play(told)
        except Exception:
            told = shortened(told)
            print(told.variant, told.records, *told.steps, sep="\n")
            play(told)
            raise


# --- what such sequences found ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [{"f": 1}, {"content": "body", "f": 1}, {"content": " kept as it is ", "f": 1}]
)
def test_an_entry_with_a_body_is_in_memory_what_its_file_says(fields: dict[str, Any]) -> None:
    play(
        Story(
            "no structures",
            [],
            [("add_file", ("c/e0", {}, ENTRY_MD, True)), ("commit", (0, [Put("c/e0", fields)]))],
        )
    )


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_descending_page_of_some_entries_begins_behind_all_others(offset: int) -> None:
    order = (OrderBy(FIELDS["f"], SORT, True),)
    where = Condition(FIELDS["f"], php.DOCUMENTED["gte"], "2")
    asked = Question(where, Find(), order, "c", offset, None)
    records = [({"f": number}, {}) for number in (2, 0, 3, 3, 1)]
    play(Story("structures for the smallest", records, [("ask", (asked,))]))
