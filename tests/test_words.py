"""The word index against the evaluator, at random: through changes, commits, moves and restarts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from words_site import COLLECTIONS, Site, contains, field, has_words

from flatdata.dialects.fliplet.fields import data_field
from flatdata.query import php
from flatdata.query.sift import parse_where
from flatdata.query.tree import Condition, Node, Not, Query, Scope
from flatdata.store.changes import Copy, Delete, DeleteTree, Move, Put
from flatdata.store.codec import dump_entry
from flatdata.store.errors import EntryExists, EntryMissing

pytestmark = pytest.mark.usefixtures("index_at_once")

FIELDS = ("t", "u", "k\nl", "m\x1fn", "2024")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


TEXTS = st.sampled_from(
    [
        *(
            "film noir",
            "Noir-Film",
            "the films",
            "xnoirx",
            "ÉTÉ été",
            "straße",
            "STRASSE",
            "a b",
            "",
            " ",
            "a",
        ),
        *(
            "x" * 63,
            "x" * 64,
            "x" * 65 + " noir",
            "run running runs",
            "日本語 テキスト",
            "İstanbul",
            "ΟΔΟΣ οδος",
        ),
        *("noir_film", "film.noir", "line\nend", "tab\tend", "sep\x1ft", "10 films", "e\u0301te\u0301"),
    ]
)


VALUES: st.SearchStrategy[Any] = st.one_of(
    TEXTS,
    st.lists(TEXTS | st.integers(0, 20), max_size=3),
    st.dictionaries(st.sampled_from(["z", "0", "t"]), TEXTS, max_size=2),
    st.integers(0, 20),
    st.none(),
)
RECORDS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3)
NEEDLES = st.one_of(
    st.sampled_from(
        ["noir", "film", "oir", "m n", "-", "été", "te", "ss", "ß", "x" * 20, "x" * 65, "d\ne", "ΟΣ", "σ"]
    ),
    TEXTS,
    st.text(alphabet="film nor10", min_size=1, max_size=4),
)
STORED = st.sampled_from(FIELDS)


QUERIES: st.SearchStrategy[Node] = st.one_of(
    st.builds(contains, NEEDLES, STORED),
    st.builds(lambda needle, name: Not(contains(needle, name)), NEEDLES, STORED),
    st.builds(
        lambda needle, name: Condition(field(name), php.DOCUMENTED["ends_with"], needle), NEEDLES, STORED
    ),
    st.builds(has_words, NEEDLES, STORED, st.booleans()),
    st.builds(lambda needle, name: Not(has_words(needle, name)), NEEDLES, STORED),
    st.builds(
        lambda needle, path, operator: parse_where({path: {operator: needle}}, data_field),
        NEEDLES,
        st.sampled_from([*FIELDS, "t.z", "t.0", "u.length"]),
        st.sampled_from(["$like", "$iLike"]),
    ),
)
SLUGS = st.builds(
    lambda folder, number: f"{folder}/e{number}", st.sampled_from(COLLECTIONS), st.integers(0, 4)
)
TREES = st.sampled_from([*COLLECTIONS, "away"])
STEPS = st.one_of(
    st.builds(Put, SLUGS, RECORDS),
    st.builds(Put, SLUGS, RECORDS),
    st.builds(Delete, SLUGS),
    st.builds(Move, SLUGS | TREES, SLUGS | TREES),
    st.builds(Copy, SLUGS | TREES, SLUGS | TREES),
    st.builds(DeleteTree, TREES),
    st.tuples(st.just("edit"), SLUGS, RECORDS),
    st.sampled_from(["catch up", "catch up", "restart", "restart the reader", "idle reader"]),
)


def take(site: Site, step: Any) -> None:
    if step == "catch up":
        site.catch_up()
    elif step == "restart":
        site.close()
        site.open()
    elif step == "restart the reader":
        site.close_reader()
        site.open_reader()
    elif step == "idle reader":
        # It looks at the words without having followed what they are about.
        for number in range(2):
            site.keeper.store.commit(
                lambda view, n=number: ([Put(f"c/idle{n}", {"t": "noir"})], None), origin="x"
            )  # type: ignore[misc]
            eventually(lambda: site.writer.committed()[0] == site.keeper.store.state.seq)
            site.index.search(Query(Scope("c"), contains("noir")))
    elif isinstance(step, tuple):
        path = Path(site.store.tree.file(step[1], "entry.yaml"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dump_entry(step[2], "entry.yaml"))
        site.keeper.compare()
    else:
        try:
            site.commit(step)
        except (EntryExists, EntryMissing):
            return


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(RECORDS, max_size=8), st.lists(STEPS, max_size=10), st.lists(QUERIES, min_size=3, max_size=6))
@example([{"k\nl": "film noir"}], ["catch up"], [contains("noir", "k\nl")])
@example([{"t": "film", "2024": {"t": "noir"}}], ["catch up"], [has_words("noir"), Not(has_words("noir"))])
@example([], ["idle reader", Put("c/e0", {"t": "x"}), "catch up"], [contains("noir")])
def test_the_word_index_finds_what_the_evaluator_finds(
    records: list[dict[str, Any]], steps: list[Any], queries: list[Node]
) -> None:
    site = Site(Path(tempfile.mkdtemp()))
    try:
        if records:
            site.commit(*(Put(f"{COLLECTIONS[n % 2]}/e{n // 2}", fields) for n, fields in enumerate(records)))
        for step in [*steps, "catch up"]:
            site.check(*queries)
            take(site, step)
            site.check(*queries)
    finally:
        site.close()
        shutil.rmtree(site.root)
