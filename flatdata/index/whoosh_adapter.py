"""Whoosh, as much of it as flatdata uses. The only module that imports it.

Which distribution: `whoosh3`, pinned exactly. The original is unmaintained and takes bit-flipped segments for
good ones; `whoosh-reloaded` has given up too; both get some numeric ranges wrong. Of whoosh3 only what was
measured to be right is used: no `Searcher.refresh()`, no `BufferedWriter`, no numeric fields, a fresh reader
for every commit. Whoosh does not flush to the disk, so anything may be torn after a power loss: the index is
a cache, and every failure here is a `BrokenWords`, upon which it is made again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
from array import array
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from pyroaring import BitMap
from whoosh.analysis import STOP_WORDS  # type: ignore[attr-defined]
from whoosh.codec.whoosh3 import W3LeafMatcher
from whoosh.fields import ID, KEYWORD, Schema
from whoosh.filedb.filestore import FileStorage
from whoosh.filedb.structfile import BufferFile
from whoosh.index import FileIndex, LockError
from whoosh.lang.porter2 import exceptional_forms as STEMS_OF_EXCEPTIONS
from whoosh.lang.porter2 import stem
from whoosh.matching.wrappers import FilterMatcher
from whoosh.query import Prefix  # type: ignore[attr-defined]
from whoosh.reading import SegmentReader
from whoosh.system import pack_uint
from whoosh.writing import MERGE_SMALL

from flatdata.index.errors import BrokenWords
from flatdata.index.posting_pool import PostingPool

__all__ = ["STEMS_OF_EXCEPTIONS", "STOP_WORDS", "Segment", "WhooshIndex", "WhooshWriter", "stem"]

_T = TypeVar("_T")
_MANY_SLUGS: Final = 50
_PEEKED: Final = 256
"""Bytes that hold the head of a block of postings."""


class _Terms(KEYWORD):
    """A field whose value is a mapping from term to frequency: analysed already."""

    def index(self, value: Any, **kwargs: Any) -> Generator[tuple[bytes, int, float, bytes], Any, None]:
        for term, count in value.items():
            yield term.encode(), count, float(count), pack_uint(count)


def _schema() -> Schema:
    return Schema(slug=ID(unique=True, sortable=True), terms=_Terms(scorable=True))


class _InPlace(BufferFile):
    """A part of a segment's file, read where it is mapped.

    Whoosh's own class copies all of it when it is opened, at every commit and by every reader: what a process
    knew of some 100,000 entries' words it then had in memory twice over.

    Args:
        data: what is read; closed with this.
    """

    def __init__(self, data: memoryview, name: str | None = None) -> None:
        self._buf: Any = data
        self._name = name
        self._at = 0
        self.onclose = None
        self.is_real = False
        self.is_closed = False

    @property
    def file(self) -> Any:  # type: ignore[override]
        """What Whoosh reads from. Kept, it would be a cycle, which keeps the file open where it is broken."""
        return self

    def subset(self, position: int, length: int, name: str | None = None) -> _InPlace:
        return _InPlace(self._buf[position : position + length], name or self._name)

    def read(self, size: int | None = -1) -> bytes:
        start = self._at
        stop = len(self._buf) if size is None or size < 0 else start + size
        found = bytes(self._buf[start:stop])
        self._at = start + len(found)
        return found

    def readline(self) -> bytes:
        rest = bytes(self._buf[self._at :])
        line = rest[: rest.find(b"\n") + 1] or rest
        self._at += len(line)
        return line

    def peek(self, size: int = 0) -> bytes:
        """Some of what comes next: `pickle` asks for it, instead of reading byte by byte."""
        return bytes(self._buf[self._at : self._at + _PEEKED])

    def seek(self, where: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            where += self._at
        elif whence == os.SEEK_END:
            where += len(self._buf)
        self._at = where
        return where

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        # What others still read of it keeps the memory mapped.
        with contextlib.suppress(BufferError):
            self._buf.release()
        self.is_closed = True


class _Storage(FileStorage):
    """The files of an index; segments are read in place."""

    def open_file(self, name: str, **kwargs: Any) -> Any:
        if not name.endswith(".seg"):
            return super().open_file(name, **kwargs)  # type: ignore[no-untyped-call]
        with open(os.path.join(self.folder, name), "rb") as file:
            return _InPlace(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), name)


def _storage(folder: Path) -> _Storage:
    return _Storage(str(folder))  # type: ignore[no-untyped-call]


class WhooshIndex:
    """The index files in one folder."""

    def __init__(self, folder: Path, index: Any) -> None:
        self._folder = folder
        self._index = index

    @classmethod
    def create(cls, folder: Path) -> WhooshIndex:
        """An empty index, in place of whatever was there. Raises BrokenWords."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, _guarded(lambda: FileIndex.create(_storage(folder), _schema())))  # type: ignore[no-untyped-call]

    @classmethod
    def open(cls, folder: Path) -> WhooshIndex:
        """The index that is there. Raises BrokenWords."""
        return cls(folder, _guarded(lambda: FileIndex(_storage(folder))))  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Let go of the files."""
        _guarded(self._index.close)

    def writer(self) -> WhooshWriter | None:
        """A writer, or None while another process writes. Raises BrokenWords."""
        try:
            writer = self._index.writer()
        except LockError:
            return None
        except Exception as error:
            raise BrokenWords(type(error).__name__) from error
        writer.pool = PostingPool(self._folder)
        return WhooshWriter(writer)

    def generation(self) -> int:
        """The number of the last commit. Raises BrokenWords."""
        return _guarded(lambda: int(self._index.latest_generation()))

    def segments(self) -> tuple[int | None, list[Segment]]:
        """The number of a commit (None for an empty index) and readers of its segments.

        Raises BrokenWords.
        """

        def read() -> tuple[int | None, list[Segment]]:
            reader = self._index.reader()
            leaves = [leaf for leaf, _ in reader.leaf_readers() if leaf.segment() is not None]
            return reader.generation(), [Segment(leaf) for leaf in leaves]

        return _guarded(read)


class WhooshWriter:
    """Changes that become visible together, when they are committed. All calls raise BrokenWords.

    While it lives nobody else can write: it is to be committed, or cancelled as the end of a `with` does.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if not self._writer.is_closed:
            # Whoosh lets go of its lock even if this fails, and what went wrong before says more.
            with contextlib.suppress(BrokenWords):
                self.cancel()

    def add(self, slug: str, terms: Mapping[str, int]) -> None:
        """Add a document: its terms, and how often each occurs."""
        _guarded(lambda: self._writer.add_document(slug=slug, terms=terms))

    def remove(self, slugs: Collection[str]) -> None:
        """Remove the documents of `slugs`, as far as they are there."""

        def remove() -> None:
            if len(slugs) > _MANY_SLUGS:
                self._remove_many(frozenset(slugs))
                return
            for slug in slugs:
                self._writer.delete_by_term("slug", slug)

        _guarded(remove)

    def _remove_many(self, slugs: frozenset[str]) -> None:
        """The same by going once through all slugs: a question for each takes half a millisecond."""
        with self._writer.reader() as reader:
            for leaf, base in reader.leaf_readers():
                if leaf.segment() is None:
                    # What an index without documents has.
                    continue
                column = leaf.column_reader("slug")
                for number in range(leaf.doc_count_all()):
                    if column[number] in slugs and not leaf.is_deleted(number):
                        self._writer.delete_document(base + number)

    def remove_below(self, slug: str) -> None:
        """Remove all documents below a slug."""
        _guarded(lambda: self._writer.delete_by_query(Prefix("slug", slug + "/")))

    def commit(self) -> None:
        """Make the changes visible."""
        _guarded(lambda: self._writer.commit(mergetype=_merge))

    def cancel(self) -> None:
        """Forget the changes."""
        _guarded(self._writer.cancel)


def _merge(writer: Any, segments: list[Any]) -> list[Any]:
    """Which segments stay as they are; the others are dropped, or written once more without what was deleted.

    Whoosh's own policy looks at how many documents a segment was made with: one whose documents are all gone
    would stay, and be held in memory by every reader.
    """
    kept = []
    for segment in segments:
        alive, made = segment.doc_count(), segment.doc_count_all()
        if alive and 2 * alive <= made:
            reader = SegmentReader(writer.storage, writer.schema, segment)
            writer.add_reader(reader)
            reader.close()
        elif alive:
            kept.append(segment)
    return MERGE_SMALL(writer, kept)  # type: ignore[no-any-return, no-untyped-call]


class Segment:
    """One segment: immutable but for its deletions. All calls raise BrokenWords."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.name = str(reader.segment().segment_id())
        self.deleted = BitMap(reader.deleted_docs_set)

    def slugs(self) -> list[str]:
        """The slug of each document, by its number; of deleted ones too."""

        def read() -> list[str]:
            column = self._reader.column_reader("slug")
            return [column[number] for number in range(self._reader.doc_count_all())]

        return _guarded(read)

    def lexicon(self) -> list[str]:
        """All terms."""
        return _guarded(lambda: [term.decode() for term in self._reader.lexicon("terms")])

    def posting(self, term: str) -> tuple[array[int], dict[int, array[int]]]:
        """The numbers of the documents with a term, and of those with it more than once, by how often.

        Those of `deleted` documents may be among them. Both come at once: most of the time goes into taking
        the blocks apart, and a search that ranks needs both.
        """

        def read() -> tuple[array[int], dict[int, array[int]]]:
            found = array("I")
            repeated: dict[int, array[int]] = {}
            for numbers, counts in self._blocks(term):
                begin = len(found)
                found.extend(numbers)
                for number, count in zip(found[begin:], counts, strict=True) if counts is not None else ():
                    if count > 1:
                        repeated.setdefault(int(count), array("I")).append(number)
            return found, repeated

        return _guarded(read)

    def _blocks(self, term: str) -> Iterator[tuple[Iterable[int], Iterable[float] | None]]:
        """Numbers of documents with a term, and how often each has it; None is once.

        Whoosh decodes postings in blocks of 128, and gives them out one by one at some 2 µs each; taking the
        blocks, and adding up the differences that they hold, is ten times as fast. Deleted documents are
        among them, or not.
        """
        if ("terms", term) not in self._reader:
            return
        matcher = self._reader.postings("terms", term)
        if isinstance(matcher, FilterMatcher):
            # It passes over deleted documents, one by one; who asks does so, too.
            matcher = matcher.child
        while matcher.is_active():
            if isinstance(matcher, W3LeafMatcher):
                matcher._read_data()  # type: ignore[no-untyped-call]
                data: Any = matcher._data
                counts = None
                if matcher.block_max_weight() > 1:  # type: ignore[no-untyped-call]
                    matcher._read_weights()  # type: ignore[no-untyped-call]
                    counts = matcher._weights
                yield accumulate(data[0]), counts
                matcher._next_block()  # type: ignore[no-untyped-call]
            else:
                yield (matcher.id(),), (matcher.weight(),)
                matcher.next()

    def close(self) -> None:
        """Let go of the files."""
        _guarded(self._reader.close)


def _guarded(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except Exception as error:
        # Whoosh raises whatever its parts do on damaged files.
        raise BrokenWords(type(error).__name__) from error
