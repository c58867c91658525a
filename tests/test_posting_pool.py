"""What is gathered for a new segment comes out in order, whether the memory was enough or not."""

from __future__ import annotations

import gc
import tracemalloc
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.index import whoosh_adapter
from flatdata.index.posting_pool import Posting, PostingPool
from flatdata.index.whoosh_adapter import WhooshIndex

LITTLE = 1_000
"""Bytes that a handful of terms take."""
DOCUMENTS = st.lists(
    st.dictionaries(
        st.tuples(st.sampled_from(["slug", "terms", "größe"]), st.binary(max_size=2)), st.integers(1, 3)
    )
)


def postings_of(documents: list[dict[tuple[str, bytes], int]]) -> list[Posting]:
    return [
        (field, term, number, float(count), bytes([count]))
        for number, document in enumerate(documents)
        for (field, term), count in document.items()
    ]


@given(DOCUMENTS, st.sampled_from([0, LITTLE, 1 << 30]))
def test_postings_come_out_in_the_order_of_fields_terms_and_documents(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[dict[tuple[str, bytes], int]],
    most_bytes: int,
) -> None:
    pool = PostingPool(tmp_path_factory.getbasetemp(), most_bytes)
    added = postings_of(documents)
    for posting in added:
        pool.add(posting)
    assert list(pool.iter_postings()) == sorted(added)
    pool.cleanup()


def test_a_posting_of_a_word_that_is_known_takes_eight_bytes(tmp_path: Path) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        pool = PostingPool(tmp_path)
        for number in range(5_000):
            for word in range(20):
                pool.add(("terms", b"word%d" % word, number, 1.0, b"\x01"))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < 12 * 20 * 5_000


def test_what_is_too_large_for_the_memory_goes_to_files_that_leave_nothing(tmp_path: Path) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        pool = PostingPool(tmp_path, 100_000)
        for number in range(5_000):
            pool.add(("slug", b"films/%d" % number, number, 1.0, b""))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < 500_000
    assert len(list(pool.iter_postings())) == 5_000
    pool.cleanup()
    assert list(tmp_path.iterdir()) == []


def found(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """For each term of the index in a folder the documents that have it, and how often each does."""
    index = WhooshIndex.open(folder)
    result: dict[str, list[tuple[str, int]]] = {}
    for segment in index.segments()[1]:
        slugs = segment.slugs()
        for term in segment.lexicon():
            documents, repeated = segment.posting(term)
            often = {number: count for count, numbers in repeated.items() for number in numbers}
            alive = [number for number in documents if number not in segment.deleted]
            result.setdefault(term, []).extend((slugs[number], often.get(number, 1)) for number in alive)
        segment.close()
    index.close()
    return {term: sorted(documents) for term, documents in result.items() if documents}


@pytest.mark.parametrize("most_bytes", [LITTLE, 1 << 30])
def test_an_index_holds_what_was_added_through_commits_removals_and_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    monkeypatch.setattr(whoosh_adapter, "PostingPool", partial(PostingPool, most_bytes=most_bytes))
    index = WhooshIndex.create(tmp_path / "words")
    expected: dict[str, dict[str, int]] = {}
    for batch in range(6):
        writer = index.writer()
        assert writer is not None
        with writer:
            # Two of three: the segments they are in are written once more without them.
            gone = [slug for slug in expected if int(slug[6:]) % 3]
            writer.remove(gone)
            for slug in gone:
                del expected[slug]
            for number in range(40 * batch, 40 * batch + 40):
                terms = {f"n{number}": 1, f"m{number % 7}": 1 + number % 3, "all": 2}
                writer.add(f"films/{number}", terms)
                expected[f"films/{number}"] = terms
            writer.commit()
    index.close()
    wanted: dict[str, list[tuple[str, int]]] = {}
    for slug, terms in sorted(expected.items()):
        for term, count in terms.items():
            wanted.setdefault(term, []).append((slug, count))
    assert found(tmp_path / "words") == wanted
    suffixes = [path.suffix for path in (tmp_path / "words").iterdir()]
    assert set(suffixes) == {"", ".seg", ".toc"}
    assert suffixes.count(".seg") < 6
