"""Files encrypted at rest: AES-256-GCM in chunks, so that neither writing nor reading holds a file in memory.

Layout: `FLATSEAL`, a salt of 32 random bytes, then chunks of 64 KiB of plain text, each with its tag of 16
bytes. The key of a file is derived (HKDF-SHA-256) from the site's key and the salt, and is used for no other
file; so the nonce is just the chunk's number, and its last byte says whether the chunk is the last one. A
file that was cut, or whose chunks were swapped or changed, is not readable any more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from flatdata.errors import FlatdataError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"FLATSEAL"
CHUNK: Final = 64 * 1024
KEY_BYTES: Final = 32
_SALT: Final = 32
_TAG: Final = 16


class KeyUnusable(FlatdataError):
    """There is no key for files that are to be encrypted or read, or it is not the one they need."""


class SealBroken(FlatdataError):
    """An encrypted file was changed or cut."""


def parse_key(text: str) -> bytes:
    """A key written as 32 bytes in hex or base64. Raises `KeyUnusable`."""
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise KeyUnusable("the key is neither hex nor base64") from None
    if len(key) != KEY_BYTES:
        raise KeyUnusable(f"the key is not {KEY_BYTES} bytes long")
    return key


def key_name(key: bytes) -> str:
    """A short name by which a key is recognised and that does not give it away."""
    return hashlib.sha256(_derived(key, b"", b"flatdata key name")).hexdigest()[:16]


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    # Imported where it is used: many sites encrypt nothing.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=purpose).derive(key)


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derived(key, salt, b"flatdata media"))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class Sealer:
    """Writes one encrypted file. `finish` writes the last chunk; without it the file is not readable."""

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        salt = os.urandom(_SALT)
        self._file = file
        self._cipher = _cipher(key, salt)
        self._number = 0
        self._buffer = bytearray()
        file.write(MAGIC + salt)

    def write(self, data: bytes) -> None:
        """Add plain text. Raises OSError."""
        self._buffer += data
        while len(self._buffer) > CHUNK:
            self._seal(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]

    def finish(self) -> None:
        """Write what is left. Raises OSError."""
        self._seal(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


def unseal(file: BinaryIO, key: bytes) -> Iterator[bytes]:
    """The plain text of an encrypted file, chunk by chunk; each is checked before it is given out.

    Raises:
        SealBroken: where the file is not what was written, or was written with another key.
    """
    from cryptography.exceptions import InvalidTag

    header = file.read(len(MAGIC) + _SALT)
    if len(header) != len(MAGIC) + _SALT or not header.startswith(MAGIC):
        raise SealBroken("the header is damaged")
    cipher = _cipher(key, header[len(MAGIC) :])
    number = 0
    chunk = file.read(CHUNK + _TAG)
    while True:
        following = file.read(CHUNK + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, not following), chunk, None)
        except InvalidTag:
            raise SealBroken(f"chunk {number} is damaged") from None
        if not following:
            return
        chunk, number = following, number + 1
