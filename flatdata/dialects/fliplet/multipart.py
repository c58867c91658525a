"""Multipart bodies: text parts become columns, files are streamed to the site's media (fliplet.md §8)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final, cast

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from flatdata.dialects.fliplet.api import Call
from flatdata.dialects.fliplet.body import MULTIPART, decode, is_true
from flatdata.dialects.fliplet.errors import bad_request, too_large
from flatdata.dialects.fliplet.files import contents_folder, naming, url_of
from flatdata.store.entry import encode_json
from flatdata.store.media import Media, MediaFile, Owner, Upload

Json = Any
"""Any JSON value."""

MAX_PARTS: Final = 1_000
MAX_TEXT: Final = 16 * 1024 * 1024
_SCHEMA: Final = "_flSchema"
_CONTROL: Final = frozenset({_SCHEMA, "folderId"})
"""Parts that say something about the upload and are no columns."""


def is_multipart(call: Call) -> bool:
    """Whether the request's body is one."""
    return call.request.mimetype == MULTIPART


@dataclass(slots=True)
class Form:
    """A body that was read: its columns, and the files, which become visible with `keep`.

    `lists` names the fields that were sent with `[]` and add to what the row has.
    """

    media: Media
    columns: dict[str, Json]
    uploads: list[tuple[str, Upload]]
    schema: Mapping[str, Json]
    kept: list[MediaFile] = field(default_factory=list)

    def keep(self, owner: Owner, base_url: str) -> dict[str, Json]:
        """Make the files visible; gives the columns, with addresses and ids of the files among them.

        A file in the part `photo` makes the columns `photo` (its address) and `photoMediaFileId`; parts
        called `photo[]` make lists of them.
        """
        columns = dict(self.columns)
        for name, upload in self.uploads:
            file = upload.keep(owner)
            self.kept.append(file)
            url = url_of(file, base_url)
            column = _column_of(name)
            for key, value in ((column, url), (f"{column}MediaFileId", file.id)):
                if column == name:
                    columns[key] = value
                else:
                    present = columns.get(key)
                    columns[key] = [*(present if isinstance(present, list) else []), value]
        return columns

    def added_to(self, columns: dict[str, Json], stored: Mapping[str, Json]) -> dict[str, Json]:
        """The columns of an update, where lists of files are added to those that the row has.

        The part `_flSchema` may say otherwise: `{"photo": {"append": false}}`.
        """
        merged = dict(columns)
        for column in {_column_of(name) for name, _ in self.uploads if _is_list(name)}:
            settings = self.schema.get(column)
            if isinstance(settings, dict) and "append" in settings and not is_true(settings["append"]):
                continue
            for key in (column, f"{column}MediaFileId"):
                if isinstance(stored.get(key), list):
                    merged[key] = [*stored[key], *columns[key]]
        return merged

    def drop_unused(self, row: Mapping[str, Json]) -> None:
        """Remove the files that the row, as it was written, does not name: rules or hooks took them out."""
        text = encode_json(row).decode()
        for file in self.kept:
            if not naming(row, file.id) and contents_folder(file) not in text:
                self.media.delete(file.id)

    def discard(self) -> None:
        """Remove every file, visible or not: the row was refused."""
        for file in self.kept:
            self.media.delete(file.id)
        for _, upload in self.uploads[len(self.kept) :]:
            upload.discard()


@contextlib.contextmanager
def reading(call: Call, *, encrypt: bool) -> Iterator[Form]:
    """Read the multipart body of a request; if the `with` block raises, its files are removed.

    Raises:
        Refused, MediaRefused, KeyUnusable, StoreUnavailable.
    """
    media = call.api.media
    uploads: list[Upload] = []
    form: Form | None = None

    def stream_factory(
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        uploads.append(media.upload(filename or "", encrypt=encrypt))
        return cast("IO[bytes]", uploads[-1])

    try:
        form = _form(call, media, stream_factory)
        yield form
    except BaseException:
        for upload in uploads:
            upload.discard()
        if form is not None:
            form.discard()
        raise


def _form(call: Call, media: Media, stream_factory: Any) -> Form:
    limit = call.api.settings.max_body_bytes
    request = call.request
    if (request.content_length or 0) > limit:
        raise too_large()
    parser = FormDataParser(stream_factory, MAX_TEXT, limit, silent=False, max_form_parts=MAX_PARTS)
    try:
        _, texts, files = parser.parse(
            request.stream, request.mimetype, request.content_length, request.mimetype_params
        )
    except RequestEntityTooLarge:
        raise too_large("The request is too large, or has too many parts") from None
    except (HTTPException, ValueError, OSError):
        raise bad_request("The multipart body is malformed") from None
    columns: dict[str, Json] = {}
    for name, values in texts.lists():
        if name not in _CONTROL:
            columns[_column_of(name)] = list(values) if _is_list(name) else values[-1]
    named = [(name, file) for name in files for file in files.getlist(name)]
    return Form(media, columns, list(_lasting(list(_chosen(named)))), _schema(texts.get(_SCHEMA)))


def _chosen(files: list[tuple[str, FileStorage]]) -> Iterator[tuple[str, Upload]]:
    """The files; a form field in which nobody chose one comes without name and content."""
    for name, file in files:
        upload = cast(Upload, file.stream)
        if not file.filename and upload.size == 0:
            upload.discard()
        elif name in _CONTROL:
            raise bad_request(f"{name} cannot be a file")
        else:
            yield name, upload


def _lasting(uploads: list[tuple[str, Upload]]) -> Iterator[tuple[str, Upload]]:
    """The files that end up in a column: of parts with one name the last, of `photo` and `photo[]` the list.

    The other way round, the file of a part `photo` behind parts `photo[]`, takes the place of the list.
    """
    names = {_column_of(name): name for name, _ in uploads}
    last = {name: upload for name, upload in uploads if not _is_list(name)}
    for name, upload in uploads:
        if names[_column_of(name)] == name and last.get(name, upload) is upload:
            yield name, upload
        else:
            upload.discard()


def _is_list(name: str) -> bool:
    return name.endswith("[]")


def _column_of(name: str) -> str:
    return name.removesuffix("[]")


def _schema(text: str | None) -> Mapping[str, Json]:
    value = {} if not text else decode(text.encode())
    if not isinstance(value, dict):
        raise bad_request(f"{_SCHEMA} must be an object")
    return value
