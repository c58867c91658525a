"""What a new segment of the word index is going to hold, gathered by term until it is written.

Whoosh's own pool keeps a tuple of five objects for each posting, some 250 bytes, up to a bound; then it sorts
and pickles them one by one to the disk, and takes them back one by one. Documents come in the order of their
numbers, so here a posting is eight bytes in the array of its term, only the terms are sorted, and an array is
written to the disk as it is, where all of them get too large.
"""

from __future__ import annotations

import contextlib
import struct
from array import array
from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

_MOST_BYTES: Final = 64 << 20
_TERM_BYTES: Final = 160
"""What a term takes with one document, without its text: its places in a table, and the number."""
_ARRAY_BYTES: Final = 96
"""What an array takes that is empty."""
_KIND: Final = (1 << 32) - 1
_RUN_HEAD: Final = struct.Struct("=III")
"""Bytes of the field's name, of the term, and of its postings, which follow."""

Posting = tuple[str, bytes, int, float, bytes]
"""Field, term, number of the document, weight and value, as Whoosh has them."""


class PostingPool:
    """Takes postings in the order of documents, and gives them in the order of fields and terms.

    Args:
        folder: where files without a name are made, if it gets too large for the memory.
        most_bytes: from how many bytes on that is, roughly.
    """

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes = 0
        self._fields: dict[str, dict[bytes, int | array[int]]] = {}
        """A document is its number, and behind it that of its kind; several of a term are in an array."""
        self._kinds: dict[tuple[float, bytes], int] = {}
        """The different weights and values, of which there are few."""
        self._runs: list[BinaryIO] = []
        self._files = contextlib.ExitStack()

    def add(self, posting: Posting) -> None:
        """Take a posting. Raises OSError."""
        field, term, document, weight, value = posting
        packed = document << 32 | self._kinds.setdefault((weight, value), len(self._kinds))
        terms = self._fields.get(field)
        if terms is None:
            terms = self._fields[field] = {}
        found = terms.get(term)
        if found is None:
            terms[term] = packed
            self._bytes += _TERM_BYTES + len(term)
            if self._bytes > self._most_bytes:
                self._write_run()
        elif isinstance(found, int):
            terms[term] = array("Q", (found, packed))
            self._bytes += _ARRAY_BYTES
        else:
            found.append(packed)
            self._bytes += found.itemsize

    def iter_postings(self) -> Iterator[Posting]:
        """All postings, which are taken out meanwhile. Raises OSError."""
        runs: list[Iterator[tuple[str, bytes, int, int | array[int]]]]
        runs = [_read_run(run, number) for number, run in enumerate(self._runs)]
        kinds = list(self._kinds)
        for field, term, _, postings in merge(*runs, self._take_out(len(runs))):
            for packed in (postings,) if isinstance(postings, int) else postings:
                weight, value = kinds[packed & _KIND]
                yield field, term, packed >> 32, weight, value

    def _take_out(self, number: int) -> Iterator[tuple[str, bytes, int, int | array[int]]]:
        """What is in memory, in order, as run `number`."""
        for field in sorted(self._fields):
            terms = self._fields[field]
            for term in sorted(terms):
                yield field, term, number, terms.pop(term)
        self._fields = {}
        self._bytes = 0

    def _write_run(self) -> None:
        run = self._files.enter_context(TemporaryFile(dir=self._folder))  # noqa: SIM115 - `cleanup` closes it
        self._runs.append(run)
        for name, term, _, postings in self._take_out(0):
            field = name.encode()
            data = (array("Q", (postings,)) if isinstance(postings, int) else postings).tobytes()
            run.write(_RUN_HEAD.pack(len(field), len(term), len(data)) + field + term + data)

    def cleanup(self) -> None:
        """Let go of everything."""
        self._fields = {}
        self._runs = []
        # Where the disk is full it refuses what was not written yet once more; nobody needs it now.
        with contextlib.suppress(OSError):
            self._files.close()


def _read_run(run: BinaryIO, number: int) -> Iterator[tuple[str, bytes, int, int | array[int]]]:
    run.seek(0)
    while head := run.read(_RUN_HEAD.size):
        field, term, length = _RUN_HEAD.unpack(head)
        name, text = run.read(field).decode(), run.read(term)
        postings = array("Q")
        postings.frombytes(run.read(length))
        yield name, text, number, postings
