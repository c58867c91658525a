"""What the words of a site take in the memory of a process that reads them."""

from __future__ import annotations

import gc
import os
import tracemalloc
from array import array
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flatdata.index import terms as terms_module
from flatdata.index import words_view
from flatdata.index.committed import VERSION, Committed, CommittedFile
from flatdata.index.errors import BrokenWords
from flatdata.index.terms import LONGEST, SEPARATOR, WORD, analyse, beginnings_of, stem_of
from flatdata.index.whoosh_adapter import STEMS_OF_EXCEPTIONS, WhooshIndex, stem
from flatdata.index.words import Words
from flatdata.index.words_view import Held, _documents, lines_beginning
from flatdata.store.entry import Entry
from flatdata.store.state import State


def _index(folder: Path, count: int) -> WhooshIndex:
    index = WhooshIndex.create(folder)
    writer = index.writer()
    assert writer is not None
    with writer:
        for number in range(count):
            terms = {f"{number:08d}{SEPARATOR}title": 1, f"word{number % 50}{SEPARATOR}content": 2}
            writer.add(f"films/{number}", terms)
        writer.commit()
    return index


def test_segments_are_read_in_place(tmp_path: Path) -> None:
    index = _index(tmp_path / "words", 4_000)
    file_bytes = sum(path.stat().st_size for path in (tmp_path / "words").glob("*.seg"))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        _, segments = index.segments()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert segments[0].posting(f"word7{SEPARATOR}content")[0].tolist() == list(range(7, 4_000, 50))
    assert segments[0].slugs()[3_999] == "films/3999"
    assert held < file_bytes / 4
    for segment in segments:
        segment.close()
    index.close()


def test_a_broken_segment_leaves_no_file_open(tmp_path: Path) -> None:
    _index(tmp_path / "words", 300).close()
    segment = next((tmp_path / "words").glob("*.seg"))
    half = segment.read_bytes()[: segment.stat().st_size // 2]
    segment.unlink()
    segment.write_bytes(half)
    gc.collect()
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(BrokenWords):
                WhooshIndex.open(tmp_path / "words").segments()
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()


def test_of_words_that_occur_once_no_frequencies_are_kept(tmp_path: Path) -> None:
    index = _index(tmp_path / "words", 500)
    _, segments = index.segments()
    held = Held(segments[0], {f"films/{number}": _numbered(number) for number in range(500)})
    seldom, twice = f"00000007{SEPARATOR}title", f"word7{SEPARATOR}content"
    assert _documents(segments[0], held, seldom).tolist() == [7]
    assert len(_documents(segments[0], held, twice)) == 10
    assert held.repeated.get(seldom) is None
    assert held.repeated.get(twice) == {2: array("I", range(7, 500, 50))}
    segments[0].close()
    index.close()


def _numbered(number: int) -> Entry:
    entry = Entry(f"films/{number}", b"{}", form="file", mtime_ns=0, size=2)
    entry.num = number
    return entry


def test_words_that_are_their_own_stems_are_held_once(tmp_path: Path) -> None:
    index = _index(tmp_path / "words", 2_000)
    _, segments = index.segments()
    lexicon_bytes = sum(len(term) + 1 for term in segments[0].lexicon())
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        held = Held(segments[0], {})
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # A number of eight bytes for each document, and the terms.
    assert taken < 2_000 * 8 + 2 * lexicon_bytes
    assert held.terms("00000007") == [f"00000007{SEPARATOR}title"]
    segments[0].close()
    index.close()


def test_terms_of_a_stem_are_those_of_its_words_and_its_own(tmp_path: Path) -> None:
    index = WhooshIndex.create(tmp_path / "words")
    writer = index.writer()
    assert writer is not None
    words = ["run", "running", "runs", "runner", "the", "rune", "zoo"]
    with writer:
        writer.add("a", {f"{word}{SEPARATOR}{path}": 1 for word in words for path in ("t", "u")})
        writer.commit()
    _, segments = index.segments()
    held = Held(segments[0], {})
    for stemmed in {found for word in words for found in analyse(word)} | {"the", "running", "no"}:
        wanted = {
            f"{word}{SEPARATOR}{path}" for word in words for path in ("t", "u") if stem_of(word) == stemmed
        }
        assert set(held.terms(stemmed)) == wanted
    segments[0].close()
    index.close()


def test_stems_are_worked_out_when_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stemmed: list[str] = []

    def noting(word: str) -> str | None:
        stemmed.append(word)
        return stem_of(word)

    monkeypatch.setattr(words_view, "stem_of", noting)
    index = WhooshIndex.create(tmp_path / "words")
    writer = index.writer()
    assert writer is not None
    with writer:
        for first in "abcdefghijklmnopqrstuvwxyz":
            words = [f"{first}{second}n{ending}" for second in "aeiou" for ending in ("", "s", "ning", "ity")]
            writer.add(first, {f"{word}{SEPARATOR}t": 1 for word in words})
        writer.commit()
    _, segments = index.segments()
    held = Held(segments[0], {})
    assert stemmed == []
    for _ in range(2):
        assert sorted(held.terms("run")) == [f"{word}{SEPARATOR}t" for word in ("run", "running", "runs")]
    assert sorted(stemmed) == ["run", "runity", "running", "runs"]
    segments[0].close()
    index.close()


def test_changes_that_words_are_behind_of_are_no_objects_of_their_own(tmp_path: Path) -> None:
    _index(tmp_path, 10).close()
    CommittedFile(tmp_path).write(Committed(VERSION, "", 1, 0, 0, 10))
    words = Words(tmp_path, State())
    words.refresh()
    entries = [
        Entry(f"c/{number}", b"{}", form="file", mtime_ns=0, size=2, seq=number)
        for number in range(1_000, 11_000)
    ]
    for entry in entries:
        entry.num = entry.seq
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for entry in entries:
            words.touched(entry)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(words.behind) == len(entries)
    assert taken < 24 * len(entries)
    words.close()


@given(st.text(min_size=1).filter(lambda text: "'" not in text), st.sampled_from("0123456789_éßя\x01"))
def test_words_without_an_english_ending_are_their_own_stems(text: str, last: str) -> None:
    word = (text + last).casefold()[:64]
    assert stem_of(word) == (stem(word) if word[-1:].isascii() else word)  # type: ignore[no-untyped-call]
    assert stem(word) == word or "a" <= word[-1:] <= "z"  # type: ignore[no-untyped-call]


ENDINGS = st.sampled_from(["y", "ness", "ization", "ational", "fulness", "ing", "ed", "ies", "e", "ll", "bl"])


@given(st.text("abyz", min_size=50, max_size=140), st.lists(ENDINGS, max_size=4).map("".join))
@example("a" * 130, "ing")
def test_very_long_words_are_stemmed_without_being_remembered(text: str, ending: str) -> None:
    word = text + ending
    remembered = terms_module._stem.cache_info().currsize
    assert stem_of(word) == str(stem(word))[:LONGEST]  # type: ignore[no-untyped-call]
    assert len(word) <= 2 * LONGEST or terms_module._stem.cache_info().currsize == remembered


_ENDINGS = (
    "ing ed s y er e l ness ational ation ator ly ion ied ies ying ization izer ency ancy able ably "
    "ability ibility alism alist ality fulness fully ous ously ousness ive iveness ivity ble bly ogy logy "
    "less lessly ful icate icity ical ative alize ement ment ent ism ate ity ll eed eedly ingly edly sses "
    "us ss ye yed rr bb"
)
WORD_ENDINGS = _ENDINGS.split()


def begins_as_it_should(word: str) -> bool:
    stemmed = stem_of(word)
    return stemmed is None or f"{word}{SEPARATOR}t".startswith(tuple(beginnings_of(stemmed)))


@settings(max_examples=500)
@given(
    st.one_of(st.text(min_size=1, max_size=8), st.text("aeiouybln", max_size=6)),
    st.lists(st.sampled_from(WORD_ENDINGS), max_size=3).map("".join),
)
def test_every_word_begins_as_its_stem_says(text: str, endings: str) -> None:
    for word in WORD.findall((text + endings).casefold()):
        assert begins_as_it_should(word[:LONGEST])


def test_words_of_few_letters_and_exceptions_begin_as_their_stems_say() -> None:
    starts = ["".join(letters) for count in range(4) for letters in product("aebly", repeat=count)]
    words = [start + ending for start in starts for ending in WORD_ENDINGS]
    assert [word for word in [*words, *STEMS_OF_EXCEPTIONS] if not begins_as_it_should(word)] == []


@given(st.sets(st.text("abc", max_size=4)), st.text("abc", min_size=1, max_size=3))
def test_lines_that_begin_with_a_text(lines: set[str], prefix: str) -> None:
    text = "\n" + "".join(f"{line}\n" for line in sorted(lines))
    assert list(lines_beginning(text, prefix)) == [line for line in sorted(lines) if line.startswith(prefix)]
