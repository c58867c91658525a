"""Uploaded files: `media/<id>/<name>`, with what is known of them in `media/<id>.yaml`.

A file is written as it arrives, into a hidden temporary file, and becomes visible when it is complete: its
content first, the YAML beside it last. Its name is made safe, its type follows from the name's ending and not
from what the client claims, and either is only ever used for downloads.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from flatdata.errors import FlatdataError
from flatdata.store.codec import CodecError, dump_yaml, load_yaml
from flatdata.store.dates import iso_ms
from flatdata.store.errors import StoreUnavailable
from flatdata.store.sealed import KeyUnusable, SealBroken, Sealer, key_name, unseal

__all__ = ["KeyUnusable", "Media", "MediaFile", "MediaRefused", "Owner", "SealBroken", "Upload", "safe_name"]

CHUNK: Final = 64 * 1024
BLOCKED: Final = frozenset(
    {
        "exe",
        "msi",
        "dll",
        "bat",
        "cmd",
        "sh",
        "bash",
        "jar",
        "bin",
        "sys",
        "js",
        "rb",
        "py",
        "php",
        "ts",
        "pl",
    }
    | {"cgi", "so", "drv", "vxd", "zip", "tar", "7z", "rar", "gz", "iso"}
)
"""Endings of files that are not taken (reference/fliplet.md §8)."""

_TYPES: Final = {
    "avif": "image/avif", "bmp": "image/bmp", "csv": "text/csv", "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "gif": "image/gif",
    "heic": "image/heic", "jpeg": "image/jpeg", "jpg": "image/jpeg", "json": "application/json",
    "m4a": "audio/mp4", "mov": "video/quicktime", "mp3": "audio/mpeg", "mp4": "video/mp4",
    "ogg": "audio/ogg", "pdf": "application/pdf", "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "tif": "image/tiff", "tiff": "image/tiff", "txt": "text/plain", "wav": "audio/wav", "webm": "video/webm",
    "webp": "image/webp", "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
"""Types by ending; what is not listed (HTML and SVG among it) is only bytes."""

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\<>:"|?*%;#&\']+')
_NAME_BYTES: Final = 150
_UNFINISHED: Final = ".new-"
"""What the names of files begin with that are still being written."""
_ABANDONED_SECONDS: Final = 86_400
_ENDING: Final = re.compile(r"\.([0-9A-Za-z]{1,10})$")


class MediaRefused(FlatdataError):
    """A file that is not taken: `reason` is `type` or `size`, `limit` the largest size in bytes."""

    def __init__(self, reason: str, limit: int = 0) -> None:
        super().__init__(f"the file's {reason} is not allowed")
        self.reason = reason
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose file it is: a data source, with its app and organisation, and the token that sent it."""

    source_id: int
    app_id: int | None
    organization_id: int | None
    user_id: int | None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """What is known of a file. `size` in bytes of plain content; `key` names the key of an encrypted one."""

    id: int
    name: str
    content_type: str
    size: int
    encrypted: bool
    key: str
    source_id: int
    app_id: int | None
    organization_id: int | None
    user_id: int | None
    created_at: str
    updated_at: str


def safe_name(name: str) -> str:
    """A file name that reads like the one a client gave: no folders, no control characters, never empty."""
    text = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    text = _UNSAFE.sub("_", text)
    text = "".join(
        character for character in text if unicodedata.category(character) not in ("Cf", "Cs", "Co")
    )
    ending = text[match.start() :] if (match := _ENDING.search(text)) else ""
    stem = text[: len(text) - len(ending)].strip(" .")
    stem = stem.encode()[: _NAME_BYTES - len(ending)].decode("utf-8", "ignore").strip(" .")
    return f"{stem or 'file'}{ending}"


def type_of(name: str) -> str:
    """The type that a name's ending stands for; `application/octet-stream` for those that are not listed."""
    ending = _ENDING.search(name)
    return _TYPES.get(ending[1].lower() if ending else "", "application/octet-stream")


class Upload:
    """One file on its way in: a binary stream to write to, then `keep` or `discard`."""

    def __init__(self, media: Media, name: str, key: bytes | None) -> None:
        self.name = safe_name(name)
        self.size = 0
        self._media = media
        self._key = key
        self._path = media.folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
        self._file: BinaryIO = open(self._path, "xb")  # noqa: SIM115 - closed by keep or discard
        self._sealer = None if key is None else Sealer(self._file, key)

    def write(self, data: bytes) -> int:
        """Add content. Raises `MediaRefused` when it becomes too large, `StoreUnavailable`."""
        self.size += len(data)
        if self.size > self._media.max_bytes:
            raise MediaRefused("size", self._media.max_bytes)
        try:
            if self._sealer is None:
                self._file.write(data)
            else:
                self._sealer.write(data)
        except OSError as error:
            raise StoreUnavailable(error) from None
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Nothing: form parsers go back to the start when a part is complete."""
        return 0

    def keep(self, owner: Owner) -> MediaFile:
        """Make the file visible under a new id. Raises `StoreUnavailable`; then nothing is left of it."""
        now = iso_ms(time.time_ns())
        identity = 0
        try:
            if self._sealer is not None:
                self._sealer.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            identity = self._media.new_folder()
            self._path.rename(self._media.folder / str(identity) / self.name)
            file = MediaFile(
                id=identity,
                name=self.name,
                content_type=type_of(self.name),
                size=self.size,
                encrypted=self._key is not None,
                key="" if self._key is None else key_name(self._key),
                created_at=now,
                updated_at=now,
                **asdict(owner),
            )
            self._media.describe(file)
        except OSError as error:
            self.discard()
            if identity:
                self._media.delete(identity)
            raise StoreUnavailable(error) from None
        return file

    def discard(self) -> None:
        """Forget the file, as far as the disk lets us."""
        with contextlib.suppress(OSError):
            self._file.close()  # which writes what was refused before, once more
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Media:
    """The uploaded files of one site.

    Args:
        folder: `media/`, made when the first file comes.
        max_bytes: the largest file.
        key: gives the site's key, None if there is none; raises `KeyUnusable`.
    """

    def __init__(self, folder: Path, max_bytes: int, key: Callable[[], bytes | None]) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._key = key
        self._lock = threading.Lock()
        self._last_id = 0

    # --- writing ----------------------------------------------------------------------------------------

    def upload(self, name: str, *, encrypt: bool) -> Upload:
        """Begin to take a file.

        Raises:
            MediaRefused: for its type. KeyUnusable: to encrypt it without a key. StoreUnavailable.
        """
        ending = _ENDING.search(safe_name(name))
        if ending and ending[1].lower() in BLOCKED:
            raise MediaRefused("type")
        key = self._key() if encrypt else None
        if encrypt and key is None:
            raise KeyUnusable("there is no key")
        try:
            self.folder.mkdir(exist_ok=True)
            return Upload(self, name, key)
        except OSError as error:
            raise StoreUnavailable(error) from None

    def new_folder(self) -> int:
        """Make the folder of a new file; gives its id. Raises OSError."""
        with self._lock:
            if self._last_id == 0:
                self._last_id = max((int(name) for name in self._ids()), default=0)
                self._remove_abandoned()
            while True:
                self._last_id += 1
                try:
                    (self.folder / str(self._last_id)).mkdir()
                except FileExistsError:
                    continue  # another process took it
                return self._last_id

    def _remove_abandoned(self) -> None:
        """Remove what is left of uploads whose process was killed: nobody would ever finish them."""
        newest = time.time() - _ABANDONED_SECONDS
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < newest:
                    path.unlink()

    def _ids(self) -> Iterator[str]:
        for name in os.listdir(self.folder):
            identity = name.removesuffix(".yaml")
            if identity.isascii() and identity.isdigit():
                yield identity

    def describe(self, file: MediaFile) -> None:
        """Write what is known of a file. Raises OSError."""
        temporary = self.folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
        try:
            with open(temporary, "xb") as target:
                target.write(dump_yaml(asdict(file)))
                target.flush()
                os.fsync(target.fileno())
            temporary.rename(self.folder / f"{file.id}.yaml")
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def delete(self, identity: int) -> None:
        """Remove a file, as far as the disk lets us."""
        with contextlib.suppress(OSError):
            (self.folder / f"{identity}.yaml").unlink(missing_ok=True)
            shutil.rmtree(self.folder / str(identity), ignore_errors=True)

    # --- reading ----------------------------------------------------------------------------------------

    def get(self, identity: int) -> MediaFile | None:
        """What is known of a file; None if there is none, or if its YAML cannot be understood."""
        try:
            fields = load_yaml((self.folder / f"{identity}.yaml").read_bytes())
            file = MediaFile(**fields) if isinstance(fields, dict) else None
        except (OSError, CodecError, TypeError):
            return None
        return file if file is not None and _is_well_formed(file, identity) else None

    def all(self) -> Iterator[MediaFile]:
        """What is known of each file, by id."""
        try:
            identities = sorted({int(name) for name in self._ids()})
        except FileNotFoundError:
            return
        for identity in identities:
            if (file := self.get(identity)) is not None:
                yield file

    def read(self, file: MediaFile) -> Iterator[bytes]:
        """The content of a file, in chunks; the first one is read (and checked) before this returns.

        Raises:
            FileNotFoundError: it is not there, or not a plain file. KeyUnusable: it is encrypted with another
            key. SealBroken: it was damaged; this may also come in the middle.
        """
        chunks = self._chunks(file)
        first = next(chunks, b"")

        def all_chunks() -> Iterator[bytes]:
            yield first
            yield from chunks

        return all_chunks()

    def _chunks(self, file: MediaFile) -> Iterator[bytes]:
        with self._open(file) as content:
            if file.encrypted:
                key = self._key()
                if key is None or key_name(key) != file.key:
                    raise KeyUnusable("the file is encrypted with another key")
                yield from unseal(content, key)
                return
            while chunk := content.read(CHUNK):
                yield chunk

    def _open(self, file: MediaFile) -> BinaryIO:
        folder = self.folder / str(file.id)
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise FileNotFoundError(file.id)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        content = os.fdopen(os.open(folder / file.name, flags), "rb")
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            content.close()
            raise FileNotFoundError(file.id)
        return content


_FIELD_TYPES: Final[dict[str, tuple[type[Any], ...]]] = {
    "id": (int,),
    "name": (str,),
    "content_type": (str,),
    "size": (int,),
    "encrypted": (bool,),
    "key": (str,),
    "source_id": (int,),
    "app_id": (int, type(None)),
    "organization_id": (int, type(None)),
    "user_id": (int, type(None)),
    "created_at": (str,),
    "updated_at": (str,),
}


def _is_well_formed(file: MediaFile, identity: int) -> bool:
    """Whether a description, which somebody may have edited, is one of this file and names no other place."""
    values = asdict(file)
    return (
        all(type(values[name]) in types for name, types in _FIELD_TYPES.items())
        and file.id == identity
        and file.name == safe_name(file.name)
    )
