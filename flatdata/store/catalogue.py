"""The catalogue: all entries as of a position of the log, in one file, so that a start parses no YAML.

It is a cache (`.flatdata/index/catalogue`): written whole to a temporary file and renamed, checked by a
checksum when read, and made again from the files when anything is wrong with it.

A line is `slug \\t form \\t mtime_ns \\t size \\t inode \\t seq \\t meta \\t body`; JSON and slugs hold
neither tabs nor line ends.
"""

from __future__ import annotations

import gc
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from flatdata.store.entry import Entry

VERSION: Final = 2
_FLUSH_LINES: Final = 2_000


class _Header(msgspec.Struct):
    version: int
    epoch: str
    position: int
    seq: int
    high_water: int
    count: int


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
    header = msgspec.json.encode(_Header(VERSION, epoch, position, seq, high_water, len(listed))) + b"\n"
    checksum = zlib.crc32(header)
    with open(temporary, "wb") as file:
        file.write(header)
        for start in range(0, len(listed), _FLUSH_LINES):
            chunk = b"".join(_line(entry, inodes) for entry in listed[start : start + _FLUSH_LINES])
            checksum = zlib.crc32(chunk, checksum)
            file.write(chunk)
        file.write(b"%08x\n" % checksum)
    os.replace(temporary, path)


def _line(entry: Entry, inodes: Mapping[str, int]) -> bytes:
    return b"%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n" % (
        entry.slug.encode(),
        entry.form.encode(),
        entry.mtime_ns,
        entry.size,
        inodes.get(entry.slug, 0),
        entry.seq,
        entry.meta_body,
        entry.body,
    )


def read_catalogue(path: Path) -> Catalogue | None:
    """The catalogue at `path`, or None if there is none or it cannot be trusted."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < 10 or b"%08x" % zlib.crc32(memoryview(data)[:-9]) != data[-9:-1]:
        return None
    lines = data[:-9].split(b"\n")
    lines.pop()
    collecting = gc.isenabled()
    gc.disable()
    try:
        header = msgspec.json.decode(lines[0], type=_Header)
        if header.version != VERSION or header.count != len(lines) - 1:
            return None
        entries, inodes = _entries(lines[1:])
    except (msgspec.DecodeError, ValueError, IndexError):
        return None
    finally:
        if collecting:
            gc.enable()
    return Catalogue(entries, inodes, header.epoch, header.position, header.seq, header.high_water)


def _entries(lines: list[bytes]) -> tuple[list[Entry], list[int]]:
    entries = []
    inodes = []
    forms: dict[bytes, str] = {}
    for line in lines:
        slug, form_text, mtime, size, inode, seq, meta_body, body = line.split(b"\t")
        form = forms.get(form_text)
        if form is None:
            form = forms[form_text] = form_text.decode()
        entries.append(
            Entry(
                slug.decode(),
                body,
                meta_body,
                form=form,
                mtime_ns=int(mtime),
                size=int(size),
                seq=int(seq),
            )
        )
        inodes.append(int(inode))
    return entries, inodes
