"""Files that came inside bodies: kept in the site's `media/`, read at `/fileupload/<number>/<name>`.

Who may read a file follows from its name on disk, which no client chooses: `<random>.<name>` is for
everyone who knows it (and it cannot be guessed), `<random>.for.<thing>.<name>` for those who may see the
attached files of that thing (reference/bubble.md §9, §12).
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.bubble.errors import Refused, invalid
from flatdata.dialects.bubble.types import ThingType
from flatdata.dialects.bubble.values import Upload
from flatdata.store.media import KeyUnusable, Media, MediaFile, MediaRefused, Owner, safe_name

PATH: Final = "/fileupload"
_PRIVATE: Final = re.compile(r"[0-9a-f]{32}\.for\.([^.]+)\.")


@dataclass(frozen=True)
class Files:
    """The files of one site's things. `encrypt_all` says that all are encrypted, not only those of sources
    that ask for it."""

    media: Media
    encrypt_all: bool = False

    @contextlib.contextmanager
    def kept(self, uploads: Sequence[Upload], thing_type: ThingType) -> Iterator[dict[str, str]]:
        """Keep files; gives the URL of each by its token. They are dropped if the block raises.

        Raises `Refused` for a file that is not taken, `StoreUnavailable`.
        """
        done: list[MediaFile] = []
        urls: dict[str, str] = {}
        try:
            for upload in uploads:
                file = self._keep(upload, thing_type)
                done.append(file)
                urls[upload.token] = f"{PATH}/{file.id}/{file.name}"
            yield urls
        except BaseException:
            for file in done:
                self.media.delete(file.id)
            raise

    def _keep(self, upload: Upload, thing_type: ThingType) -> MediaFile:
        source = thing_type.source
        mark = f"for.{upload.attach_to}." if upload.private else ""
        name = f"{secrets.token_hex(16)}.{mark}{safe_name(upload.name)}"
        try:
            incoming = self.media.upload(name, encrypt=self.encrypt_all or source.encrypted)
            try:
                incoming.write(upload.content)
            except BaseException:
                incoming.discard()
                raise
            return incoming.keep(Owner(source.id, source.app_id, source.organization_id, None))
        except MediaRefused as refused:
            raise invalid(upload.name, f"a file of this {refused.reason} is not allowed") from None
        except KeyUnusable:
            raise Refused(503, "ERROR", "Files cannot be encrypted here") from None

    def find(self, identity: int, name: str) -> MediaFile | None:
        """The file at a URL."""
        file = self.media.get(identity)
        if file is None or not hmac.compare_digest(file.name.encode(), name.encode("utf-8", "replace")):
            return None
        return file


def attached_to(file: MediaFile) -> str | None:
    """The id of the thing whose attached files this private one is among; None for one that is not
    private."""
    match = _PRIVATE.match(file.name)
    return match[1] if match else None
