"""The change log: every accepted change, in order, durable before it is acknowledged.

Records are lines `<crc32 in 8 hex digits> <JSON>\\n` in segment files of `.flatdata/log/`. A **position** is
a byte offset over all segments; a segment's name is the position of its first byte: positions only grow.

`head` is a memory-mapped file that holds the position up to which records are *published*: durable, applied
to the files, and visible to readers in every process. A writer holds the site's write lock from `append` to
`publish`. What lies beyond the head without a living writer is what a dead one left: whole records are
accepted changes to finish, a torn tail is cut off (`flatdata.store.recovery`).

The head also holds the **epoch**, a random name: what was learned from the log in another epoch (a catalogue,
words, the memory of a process) has to be learned anew.

The interface is narrow on purpose (append, read from a position, look at the head): another log can take
its place.
"""

from __future__ import annotations

import fcntl
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

_HEAD: Final = struct.Struct("=8sQ36s16s")
_HEAD_MAGIC: Final = b"flatlog2"
_BOOT: Final = slice(16, 52)
_EPOCH: Final = slice(52, 68)
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
    image_metas: dict[str, msgspec.Raw] = {}
    """For `rmtree`: the `_meta` of those that had any."""
    parts: str = ""
    """For trees: what they consist of, see `flatdata.store.disk.Disk.parts`."""


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


def _new_epoch() -> bytes:
    return os.urandom(8).hex().encode("ascii")


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
        self._heads: list[tuple[BinaryIO, mmap.mmap, memoryview]] = []
        self._open_head(0)
        self._fd = -1
        self._base = 0
        self._end = 0

    def _open_head(self, position: int) -> None:
        """Map the head; one that is missing or damaged is made, with `position` in it, in a new epoch."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "head", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        found = os.pread(descriptor, _HEAD.size, 0)
        if len(found) < _HEAD.size or not found.startswith(_HEAD_MAGIC):
            os.pwrite(descriptor, _HEAD.pack(_HEAD_MAGIC, position, b"", _new_epoch()), 0)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        mapped = mmap.mmap(descriptor, _HEAD.size)
        # One aligned machine word: another process reads the old position or the new one, never half of each.
        self._position = memoryview(mapped)[8:16].cast("Q")
        self._head = mapped
        self._heads.append((file, mapped, self._position))

    def close(self) -> None:
        """Let go of the files."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        for file, mapped, position in self._heads:
            position.release()
            mapped.close()
            file.close()

    # --- the head -----------------------------------------------------------------------------------

    def head(self) -> int:
        """The position up to which records are published. Costs well under a microsecond."""
        return self._position[0]

    def publish(self, position: int) -> None:
        """Make everything before `position` visible to readers. Only under the write lock."""
        self._position[0] = position

    def same_boot(self) -> bool:
        """Whether the head was last written during this run of the machine."""
        return self._head[_BOOT].rstrip(b"\0").decode("ascii", "replace") == boot_id()

    def mark_boot(self) -> None:
        """Remember that the head is written during this run of the machine."""
        self._head[_BOOT] = boot_id().encode("ascii").ljust(36, b"\0")

    def epoch(self) -> str:
        """The name of the epoch."""
        return self._head[_EPOCH].decode("ascii", "replace")

    def begin_epoch(self) -> None:
        """Declare void what anybody learned so far. Only under the write lock."""
        self._head[_EPOCH] = _new_epoch()

    def is_deleted(self) -> bool:
        """Whether somebody deleted the head behind our back."""
        return not os.fstat(self._heads[-1][0].fileno()).st_nlink

    # --- segments -----------------------------------------------------------------------------------

    def segments(self) -> list[int]:
        """The first positions of the segments, ascending."""
        try:
            names = [name for name in os.listdir(self._folder) if name.endswith(".log")]
        except FileNotFoundError:
            return []
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
        if self._fd < 0 or self._base != base or not os.fstat(self._fd).st_nlink:
            self._open_segment(base)

    def _open_segment(self, base: int) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._segment_path(base), flags, 0o644)
        self._base = base
        self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prepare(self) -> int:
        """Get ready to append; gives the position at which the next record will lie.

        What was deleted behind our back is made anew, from the present position on.
        """
        if self.is_deleted():
            # Other threads may be looking at the old head: it stays mapped.
            self._open_head(self.head())
        head = self.head()
        if self._is_open_at(head):
            self._end = head
        else:
            self._open_for_append()
            self._end = self._base + os.fstat(self._fd).st_size
        # A full segment is closed at the head only: what a dead writer left beyond it has to be finished or
        # cut off first. One that ends before the head was damaged: what follows goes into another.
        if self._end < head or (self._end == head and self._end - self._base >= self._segment_bytes):
            # Its last records may not have been flushed: without them those of the next one would be lost.
            os.fdatasync(self._fd)
            self._open_segment(head)
            self._end = head
        return self._end

    def _is_open_at(self, position: int) -> bool:
        if self._fd < 0:
            return False
        status = os.fstat(self._fd)
        return bool(status.st_nlink) and self._base + status.st_size == position

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
        position = max(position, self.head())
        for base in self.segments():
            if base > position:
                os.unlink(self._segment_path(base))
        self._open_for_append()
        if position - self._base < os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, position - self._base)
        os.fdatasync(self._fd)

    def last_seq(self, position: int) -> int:
        """Number of the last record before `position`, 0 if there is none."""
        for base in reversed(self.segments()):
            last = b""
            for line, _ in self.lines(base, position):
                last = line
            if (record := decode_line(last)) is not None:
                return record.seq
        return 0

    def drop_older(self, horizon_ms: float, limit: int) -> int:
        """Delete segments that end before the position `limit` and whose records are all older than
        `horizon_ms` (ms since 1970); gives how many.
        """
        dropped = 0
        for base, following in pairwise(self.segments()):
            line, _ = next(self.lines(following, self.head()), (b"", 0))
            record = decode_line(line)
            if following > limit or record is None or record.ts_ms >= horizon_ms:
                break
            os.unlink(self._segment_path(base))
            dropped += 1
        return dropped

    # --- reading --------------------------------------------------------------------------------------

    def read(self, start: int, stop: int) -> Iterator[tuple[Record, int]]:
        """The records in [start, stop), each with the position after it.

        Raises:
            CorruptLog: for an unreadable record, or where the log does not reach from `start` to `stop`.
        """
        reached = start
        for line, position in self.lines(start, stop):
            record = decode_line(line)
            if record is None:
                raise CorruptLog(str(self._folder), reached)
            yield record, position
            reached = position
        if reached < stop:
            raise CorruptLog(str(self._folder), reached)

    def lines(self, start: int, stop: int) -> Iterator[tuple[bytes, int]]:
        """The whole lines in [start, stop) without their newlines, each with the position after it.

        They end early where a line is torn.

        Raises:
            CorruptLog: if the log does not reach back to `start` any more.
        """
        position = start
        if position >= stop:
            return
        bases = [base for base in self.segments() if base < stop]
        if not bases or bases[0] > position:
            raise CorruptLog(str(self._folder), position)
        for base, following in zip(bases, [*bases[1:], stop], strict=True):
            if following <= position:
                continue
            with self._opened(base) as file:
                file.seek(position - base)
                while position < following:
                    line = file.readline()
                    if not line.endswith(b"\n") or position + len(line) > following:
                        return
                    position += len(line)
                    yield line[:-1], position

    def _opened(self, base: int) -> BinaryIO:
        try:
            return open(self._segment_path(base), "rb", buffering=_READ_BYTES)
        except FileNotFoundError:
            raise CorruptLog(str(self._folder), base) from None
