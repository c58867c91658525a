"""The files of tokens: `tokens/<kind>/<name>/token.yaml`, read, written, renamed and deleted.

Nothing here is given a name by a client: every path is made of names found on the disk, or of hashes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from flatdata.access.token import (
    KINDS,
    Kind,
    Token,
    digest_of,
    field_problems,
    is_token_name,
    read_token,
    shown_name,
)
from flatdata.errors import FlatdataError
from flatdata.query.tree import Json
from flatdata.store.codec import CodecError, dump_yaml, load_yaml
from flatdata.store.scan import Problem

MAX_FILE_BYTES: Final = 64 * 1024
FILE_NAME: Final = "token.yaml"


class BrokenTokenFile(FlatdataError):
    """A token file that says nothing that can be used.

    Args:
        reason: for people.
        line: counted from 1, where it is known.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Place(NamedTuple):
    """Where a token is: its kind, and its folder."""

    kind: Kind
    folder: Path

    @property
    def digest(self) -> str:
        """The SHA-256 of the token."""
        return digest_of(self.folder.name)

    @property
    def file(self) -> Path:
        """The token's file."""
        return self.folder / FILE_NAME

    def read(self) -> Token:
        """The token as its file describes it. Raises BrokenTokenFile and FileNotFoundError."""
        return read_token(self.kind, self.folder.name, read_fields(self.file))

    def read_or_blank(self) -> Token:
        """The same, without attributes where the file is missing or broken."""
        try:
            return self.read()
        except (BrokenTokenFile, FileNotFoundError):
            return read_token(self.kind, self.folder.name, {})


def folders_in(path: Path) -> list[str]:
    """The names of the folders in a folder, hidden ones left out; none if it cannot be read."""
    try:
        with os.scandir(path) as items:
            return sorted(item.name for item in items if item.name[0] != "." and item.is_dir())
    except OSError:
        return []


def places(root: Path) -> Iterator[Place]:
    """Every token below `tokens/`, by kind and name."""
    for kind in KINDS:
        for name in folders_in(root / kind):
            if is_token_name(name):
                yield Place(kind, root / kind / name)


def read_fields(path: Path) -> dict[str, Json]:
    """The fields of a token file. Raises BrokenTokenFile, and FileNotFoundError where there is none."""
    try:
        # O_NONBLOCK: a FIFO of that name must not hold up the server.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BrokenTokenFile("not a file")
            data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError from None
    except IsADirectoryError as error:
        raise BrokenTokenFile("not a file") from error
    except OSError as error:
        raise BrokenTokenFile(f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise BrokenTokenFile(f"larger than {MAX_FILE_BYTES} bytes")
    try:
        fields = load_yaml(data)
    except CodecError as error:
        raise BrokenTokenFile(error.reason, error.line) from error
    if fields is None:
        raise BrokenTokenFile("empty; the token is refused")
    if not isinstance(fields, dict):
        raise BrokenTokenFile("must be a mapping")
    return fields


def write_token(folder: Path, fields: dict[str, Json]) -> None:
    """Make the folder of a token with its file, in one step. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{secrets.token_hex(8)}.new")
    scratch.mkdir()
    try:
        with open(scratch / FILE_NAME, "wb") as file:
            file.write(dump_yaml(fields))
            file.flush()
            os.fsync(file.fileno())
        os.rename(scratch, folder)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    _sync_folder(folder.parent)


def remove_token(folder: Path) -> None:
    """Take the folder of a token away in one step, then delete what was in it. Raises OSError."""
    if folder.is_symlink():
        folder.unlink()
        return
    aside = folder.with_name(f".{secrets.token_hex(8)}.revoked")
    os.rename(folder, aside)
    _sync_folder(folder.parent)
    shutil.rmtree(aside)


def hash_name(place: Place) -> Place | None:
    """Rename a folder named by its plain token to the token's hash.

    None if it is hashed already, or another folder has that name. Raises OSError.
    """
    target = place.folder.with_name(place.digest)
    if target == place.folder or target.exists():
        return None
    os.rename(place.folder, target)
    _sync_folder(target.parent)
    return Place(place.kind, target)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- what is wrong ------------------------------------------------------------------------------------


def token_problems(root: Path) -> Iterator[Problem]:
    """What is wrong below `tokens/`: broken, refused and plain tokens, ids given twice, unknown folders."""
    ids: dict[int, str] = {}
    for name in folders_in(root):
        if name not in KINDS:
            yield Problem(f"tokens/{name}", f"not a kind of token ({', '.join(KINDS)}); it is ignored")
    for kind in KINDS:
        for name in folders_in(root / kind):
            if not is_token_name(name):
                yield Problem(
                    f"tokens/{kind}/{name}", "not named by a SHA-256 or a plain token; it is ignored"
                )
                continue
            yield from _problems_at(Place(kind, root / kind / name), ids)


def _problems_at(place: Place, ids: dict[int, str]) -> Iterator[Problem]:
    shown = f"tokens/{place.kind}/{shown_name(place.folder.name)}"
    if place.folder.name != place.digest:
        beside = place.folder.with_name(place.digest).exists()
        hint = "its hashed folder is there too and is used" if beside else "run: flatdata token hash"
        yield Problem(shown, f"the folder's name is the token itself ({hint})")
    try:
        fields = read_fields(place.file)
    except FileNotFoundError:
        yield Problem(f"{shown}/{FILE_NAME}", "missing; the token is refused")
        return
    except BrokenTokenFile as error:
        yield Problem(f"{shown}/{FILE_NAME}", error.reason, error.line)
        return
    for reason in field_problems(fields):
        yield Problem(f"{shown}/{FILE_NAME}", reason)
    identity = read_token(place.kind, place.folder.name, fields).id
    if identity is not None and ids.setdefault(identity, shown) != shown:
        yield Problem(f"{shown}/{FILE_NAME}", f"id {identity} is also that of {ids[identity]}")
