"""The catalogue: all entries as of a position of the log, in one file, so that a start parses no YAML.

It is a cache (`.flatdata/index/catalogue`): written whole to a temporary file and renamed, checked by
checksums when read, and made again from the files when anything is wrong with it.

A line of JSON, with its checksum before it, says what the file is; blocks of up to a thousand entries follow.
After a head, a block has its numbers in columns, as this machine writes them, then the slugs, a line each,
then every `_meta` and body one after the other. Blocks are read one at a time, so that a start needs no
memory beyond the entries themselves.
"""

from __future__ import annotations

import gc
import os
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from flatdata.store.entry import Entry
from flatdata.store.paths import ENTRY_MD, ENTRY_YAML, FILE, MANIFEST

VERSION: Final = 3
_BLOCK: Final = 1_000
_BLOCK_HEAD: Final = struct.Struct("=IIII")
"""Entries, bytes of slugs, bytes in all, CRC-32 of those bytes; the CRC-32 of these four follows."""
_CHECKSUM: Final = struct.Struct("=I")
_COLUMNS: Final = "qIQqqIIB"
"""The columns of a block: mtime (s, and ns beyond), inode, size, seq, bytes of `_meta` and body, form."""
_SECOND: Final = 1_000_000_000
_LONGEST_HEADER: Final = 1_000
_ROW_BYTES: Final = sum(array(code).itemsize for code in _COLUMNS)
_FORMS: Final = (ENTRY_YAML, ENTRY_MD, FILE, MANIFEST)
_FORM_NUMBERS: Final = {form: number for number, form in enumerate(_FORMS)}


class _Header(msgspec.Struct):
    version: int
    byte_order: str
    epoch: str
    position: int
    seq: int
    high_water: int
    count: int


class _Damaged(Exception):
    """The file is not as it was written."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a catalogue file holds."""

    entries: list[Entry]
    inodes: list[int]
    """The inode of each entry's file, in the same order; 0 where it was not known."""
    epoch: str
    """The epoch of the log that `position` is a place in."""
    position: int
    seq: int
    high_water: int


def write_catalogue(
    path: Path,
    entries: Iterable[Entry],
    inodes: Mapping[str, int],
    *,
    epoch: str,
    position: int,
    seq: int,
    high_water: int,
) -> None:
    """Replace the catalogue at `path`. Raises OSError; the old one is then still there."""
    listed = list(entries)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    header = _Header(VERSION, sys.byteorder, epoch, position, seq, high_water, len(listed))
    with open(temporary, "wb") as file:
        line = msgspec.json.encode(header)
        file.write(b"%08x %s\n" % (zlib.crc32(line), line))
        for start in range(0, len(listed), _BLOCK):
            file.write(_block(listed[start : start + _BLOCK], inodes))
    os.replace(temporary, path)


def _block(entries: list[Entry], inodes: Mapping[str, int]) -> bytes:
    rows = [
        (
            *divmod(entry.mtime_ns, _SECOND),
            inodes.get(entry.slug, 0),
            entry.size,
            entry.seq,
            len(entry.meta_body),
            len(entry.body),
            _FORM_NUMBERS[entry.form],
        )
        for entry in entries
    ]
    columns = zip(_COLUMNS, zip(*rows, strict=True), strict=True)
    slugs = "\n".join(entry.slug for entry in entries).encode()
    bodies = [part for entry in entries for part in (entry.meta_body, entry.body)]
    data = b"".join([*(array(code, values).tobytes() for code, values in columns), slugs, *bodies])
    head = _BLOCK_HEAD.pack(len(entries), len(slugs), len(data), zlib.crc32(data))
    return head + _CHECKSUM.pack(zlib.crc32(head)) + data


def read_catalogue(path: Path) -> Catalogue | None:
    """The catalogue at `path`, or None if there is none or it cannot be trusted."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with open(path, "rb") as file:
            header = _read_header(file)
            if (header.version, header.byte_order) != (VERSION, sys.byteorder):
                return None
            entries: list[Entry] = []
            inodes: list[int] = []
            while len(entries) < header.count:
                _read_block(file, entries, inodes)
            if len(entries) != header.count or file.read(1):
                return None
    except (OSError, msgspec.DecodeError, _Damaged):
        return None
    finally:
        if collecting:
            gc.enable()
    return Catalogue(entries, inodes, header.epoch, header.position, header.seq, header.high_water)


def _read_header(file: BinaryIO) -> _Header:
    line = file.readline(_LONGEST_HEADER)
    if line[:8] != b"%08x" % zlib.crc32(line[9:-1]):
        raise _Damaged
    return msgspec.json.decode(line[9:], type=_Header)


def _read_block(file: BinaryIO, entries: list[Entry], inodes: list[int]) -> None:
    """Read the next block into the two lists. Raises OSError, _Damaged."""
    head = file.read(_BLOCK_HEAD.size)
    if file.read(_CHECKSUM.size) != _CHECKSUM.pack(zlib.crc32(head)) or len(head) < _BLOCK_HEAD.size:
        raise _Damaged
    count, slugs_bytes, length, checksum = _BLOCK_HEAD.unpack(head)
    data = file.read(length)
    if not count or len(data) < length or zlib.crc32(data) != checksum:
        raise _Damaged
    at = count * _ROW_BYTES
    seconds, nanoseconds, block_inodes, sizes, seqs, meta_lengths, body_lengths, forms = _columns(data, count)
    slugs = data[at : at + slugs_bytes].decode().split("\n")
    at += slugs_bytes
    for slug, form, second, nanosecond, size, seq, meta_length, body_length in zip(
        slugs, forms, seconds, nanoseconds, sizes, seqs, meta_lengths, body_lengths, strict=True
    ):
        middle = at + meta_length
        end = middle + body_length
        entries.append(
            Entry(
                slug,
                data[middle:end],
                data[at:middle],
                form=_FORMS[form],
                mtime_ns=second * _SECOND + nanosecond,
                size=size,
                seq=seq,
            )
        )
        at = end
    inodes += block_inodes


def _columns(data: bytes, count: int) -> list[array[int]]:
    columns = []
    at = 0
    for code in _COLUMNS:
        column: array[int] = array(code)
        end = at + count * column.itemsize
        column.frombytes(data[at:end])
        columns.append(column)
        at = end
    return columns
