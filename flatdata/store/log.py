"""The change log: every accepted change, in order, durable before it is acknowledged.

Records are lines `<crc32 in 8 hex digits> <JSON>\\n` in segment files of `.flatdata/log/`. A **position** is
a byte offset over all segments; a segment's name is the position of its first byte: positions only grow.

`head` is a memory-mapped file that holds the position up to which records are *published*: durable, applied
to the files, and visible to readers in every process. A writer holds the site's write lock from `append` to
`publish`. What lies beyond the head without a living writer is what a dead one left: whole records are
accepted changes to finish, a torn tail is cut off (`recover` in `flatdata.store.store`).

The interface is narrow on purpose (append, read from a position, look at the head): another log can take
its place.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from flatdata.store.errors import CorruptLog

_HEAD: Final = struct.Struct("<8sQ36s")
_HEAD_MAGIC: Final = b"flatlog1"
_POSITION: Final = struct.Struct("<Q")
_READ_BYTES: Final = 1 << 20


ImageJson = msgspec.Raw | msgspec.UnsetType
"""The JSON of one side of a change; unset where there is none."""


def image_json(data: bytes) -> ImageJson:
    """Wrap compact JSON for a record; empty bytes are no image."""
    return msgspec.Raw(data) if data else msgspec.UNSET


def image_bytes(image: ImageJson) -> bytes:
    """The compact JSON of an image; empty bytes if there is none."""
    return b"" if isinstance(image, msgspec.UnsetType) else bytes(image)


class Effect(msgspec.Struct, omit_defaults=True):
    """One change as it was carried out, with the images before and after.

    `op` is `put`, `delete`, `rmtree`, `move` or `copy`. Images are compact JSON; `mtime` (ns) and `size`
    (bytes) are those of the file after the change.
    """

    op: str
    slug: str
    to: str = ""
    form: str = ""
    old_form: str = ""
    mtime: int = 0
    size: int = 0
    new: ImageJson = msgspec.UNSET
    new_meta: ImageJson = msgspec.UNSET
    old: ImageJson = msgspec.UNSET
    old_meta: ImageJson = msgspec.UNSET
    images: dict[str, msgspec.Raw] = {}
    """For `rmtree`: what was below, slug by slug."""


class Record(msgspec.Struct, omit_defaults=True):
    """One accepted commit: number, time (ms since 1970), who did it through what, and its effects."""

    seq: int
    ts_ms: int
    origin: str
    changes: list[Effect]
    who: str = ""
    action: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


def encode_record(record: Record) -> bytes:
    """The line of a record, newline included."""
    payload = _encode(record)
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def decode_line(line: bytes) -> Record | None:
    """The record in a line without its newline, or None if the line is torn."""
    if len(line) < 10 or line[8:9] != b" ":
        return None
    payload = line[9:]
    try:
        if int(line[:8], 16) != zlib.crc32(payload):
            return None
        return _decode(payload)
    except (ValueError, msgspec.DecodeError):
        return None


def boot_id() -> str:
    """An identifier of this run of the machine: after a power loss it differs."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:36]
    except OSError:
        return ""


class ChangeLog:
    """The log of one site, opened for reading and (under the write lock) appending.

    Args:
        folder: `.flatdata/log`, created if missing.
        segment_bytes: a segment that has grown past this is closed and another begun.
    """

    def __init__(self, folder: Path, segment_bytes: int = 64 << 20) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._head_file = self._open_head()
        self._head = mmap.mmap(self._head_file.fileno(), _HEAD.size)
        self._fd = -1
        self._base = 0
        self._end = 0

    def _open_head(self) -> BinaryIO:
        path = self._folder / "head"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        if os.fstat(descriptor).st_size < _HEAD.size:
            os.pwrite(descriptor, _HEAD.pack(_HEAD_MAGIC, 0, b""), 0)
        return file

    def close(self) -> None:
        """Let go of the files."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._head.close()
        self._head_file.close()

    # --- the head -----------------------------------------------------------------------------------

    def head(self) -> int:
        """The position up to which records are published. Costs well under a microsecond."""
        position: int = _POSITION.unpack_from(self._head, 8)[0]
        return position

    def publish(self, position: int) -> None:
        """Make everything before `position` visible to readers. Only under the write lock."""
        _POSITION.pack_into(self._head, 8, position)

    def same_boot(self) -> bool:
        """Whether the head was last written during this run of the machine."""
        return self._head[16:52].rstrip(b"\0").decode("ascii", "replace") == boot_id()

    def mark_boot(self) -> None:
        """Remember that the head is written during this run of the machine."""
        self._head[16:52] = boot_id().encode("ascii").ljust(36, b"\0")

    # --- segments -----------------------------------------------------------------------------------

    def segments(self) -> list[int]:
        """The first positions of the segments, ascending."""
        names = [name for name in os.listdir(self._folder) if name.endswith(".log")]
        return sorted(int(name[:-4]) for name in names if name[:-4].isdigit())

    def _segment_path(self, base: int) -> str:
        return str(self._folder / f"{base:020d}.log")

    def start(self) -> int:
        """The position of the oldest record that is kept."""
        segments = self.segments()
        return segments[0] if segments else self.head()

    def end(self) -> int:
        """The position after the last byte in the files: the head, or beyond it after a crash."""
        segments = self.segments()
        if not segments:
            return self.head()
        return segments[-1] + os.path.getsize(self._segment_path(segments[-1]))

    # --- writing, under the write lock ----------------------------------------------------------------

    def _open_for_append(self) -> None:
        segments = self.segments()
        base = segments[-1] if segments else self.head()
        if self._fd >= 0 and self._base == base:
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._base = base
        self._fd = os.open(
            self._segment_path(base), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prepare(self) -> int:
        """Get ready to append; gives the position at which the next record will lie."""
        if self._fd < 0 or self._base + os.fstat(self._fd).st_size != self.head():
            self._open_for_append()
        self._end = self._base + os.fstat(self._fd).st_size
        if self._end - self._base >= self._segment_bytes:
            os.close(self._fd)
            self._base = self._end
            self._fd = os.open(
                self._segment_path(self._base), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
            self._sync_folder()
        return self._end

    def append(self, lines: Sequence[bytes], *, sync: bool = True) -> int:
        """Write lines at the end and flush them to the disk; gives the position after them.

        Raises:
            OSError: if the disk refuses; the log is then as it was before.
        """
        data = lines[0] if len(lines) == 1 else b"".join(lines)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
            if sync:
                os.fdatasync(self._fd)
        except OSError:
            self.truncate(self._end)
            raise
        self._end += len(data)
        return self._end

    def truncate(self, position: int) -> None:
        """Drop everything from `position` on (never below the head)."""
        self._open_for_append()
        os.ftruncate(self._fd, max(position, self.head()) - self._base)
        os.fdatasync(self._fd)

    def drop_older(self, horizon_ms: float, limit: int) -> int:
        """Delete segments that end before the position `limit` and whose records are all older than
        `horizon_ms` (ms since 1970); gives how many.
        """
        dropped = 0
        for base, following in pairwise(self.segments()):
            if following > limit:
                break
            first = next(self.read(following, following + (1 << 40)), None)
            if first is None or first[0].ts_ms >= horizon_ms:
                break
            os.unlink(self._segment_path(base))
            dropped += 1
        return dropped

    # --- reading --------------------------------------------------------------------------------------

    def read(self, start: int, stop: int) -> Iterator[tuple[Record, int]]:
        """The records in [start, stop), each with the position after it.

        Raises:
            CorruptLog: for an unreadable record.
        """
        for line, position in self.lines(start, stop):
            record = decode_line(line)
            if record is None:
                raise CorruptLog(str(self._folder), position - len(line) - 1)
            yield record, position

    def lines(self, start: int, stop: int) -> Iterator[tuple[bytes, int]]:
        """The whole lines in [start, stop) without their newlines, each with the position after it.

        Raises:
            CorruptLog: if the log does not reach back to `start` any more.
        """
        position = start
        bases = [base for base in self.segments() if base < stop]
        if position >= stop:
            return
        if not bases or bases[0] > position:
            raise CorruptLog(str(self._folder), position)
        for base, following in zip(bases, [*bases[1:], stop], strict=True):
            if following <= position:
                continue
            with open(self._segment_path(base), "rb", buffering=_READ_BYTES) as file:
                file.seek(position - base)
                while position < following:
                    line = file.readline()
                    if not line.endswith(b"\n") or position + len(line) > following:
                        return
                    position += len(line)
                    yield line[:-1], position
