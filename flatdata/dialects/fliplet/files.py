"""The endpoints of uploaded files (reference/fliplet.md §8). A file is read with the rights of its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from flask import Response

from flatdata.access.rules import Grant, Operation
from flatdata.access.subjects import row as subject_of
from flatdata.dialects.fliplet.api import CORS, Call, answer, read_id
from flatdata.dialects.fliplet.errors import Refused, missing_token, not_found
from flatdata.store.media import MediaFile, SealBroken
from flatdata.store.sources import Source

Json = Any
"""Any JSON value."""

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Whatever was uploaded, a browser neither runs nor shows it as a page of this site."""


def _readable(call: Call, file: MediaFile) -> bool:
    """Whether the caller may read a row of the source that names the file, or any row of it."""
    source = call.api.site.sources.by_id(file.source_id)
    if source is None:
        return False
    reads = call.policy(Operation.READ, source)
    if reads.fixed is not None and (not isinstance(reads.fixed, Grant) or reads.fixed.whole):
        return isinstance(reads.fixed, Grant)
    for entry in call.api.site.store.children(source.slug):
        columns = entry.fields
        if names := naming(columns, file.id):
            decision = reads.decide(subject_of(columns))
            if isinstance(decision, Grant) and any(map(decision.allows, names)):
                return True
    return False


def naming(columns: Mapping[str, Json], identity: int) -> list[str]:
    """The columns of a row that hold the file: those beside `<column>MediaFileId`."""
    ending = "MediaFileId"
    return [
        name.removesuffix(ending)
        for name, value in columns.items()
        if name.endswith(ending) and (value == identity or (isinstance(value, list) and identity in value))
    ]


def _file(call: Call) -> MediaFile:
    """The file that the path names. Raises `Refused`; a file that may not be read is not there."""
    file = call.api.media.get(read_id(call.names[0]))
    if file is not None and _readable(call, file):
        return file
    raise missing_token() if call.caller.token is None else not_found("File")


def contents_folder(file: MediaFile) -> str:
    """The part of a file's address between the host and the file's name."""
    return f"v1/media/files/{file.id}/contents/"


def url_of(file: MediaFile, base_url: str) -> str:
    """Where a file is read, below the address of this server."""
    return f"{base_url}{contents_folder(file)}{quote(file.name)}"


def _described(call: Call, file: MediaFile) -> dict[str, Json]:
    return {
        "id": file.id,
        "name": file.name,
        "contentType": file.content_type,
        "path": f"{file.id}/{file.name}",
        "url": url_of(file, call.request.host_url),
        "thumbnail": None,
        "size": file.size,
        "isEncrypted": file.encrypted,
        "versions": None,
        "isOrganizationMedia": file.app_id is None,
        "createdAt": file.created_at,
        "updatedAt": file.updated_at,
        "appId": file.app_id,
        "dataSourceEntryId": None,
        "dataTrackingId": None,
        "mediaFolderId": None,
        "userId": file.user_id,
        "organizationId": file.organization_id,
    }


def get_file(call: Call) -> Response:
    """`GET /v1/media/files/<id>`: what is known of a file."""
    return answer({"file": _described(call, _file(call))})


def get_contents(call: Call) -> Response:
    """`GET /v1/media/files/<id>/contents`: the file itself, as a download."""
    file = _file(call)
    try:
        chunks = call.api.media.read(file)
    except FileNotFoundError:
        raise not_found("File") from None
    except SealBroken:
        raise Refused(500, {"error": "damaged", "message": "The file is damaged"}) from None
    disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    own = {"Content-Disposition": disposition, "Content-Length": str(file.size)}
    headers = {**_HEADERS, **own, **dict(CORS)}
    return Response(chunks, 200, headers, content_type=file.content_type)


def list_files(call: Call) -> Response:
    """`GET /v1/media`: the files that the caller may read, of one app with `appId`; there are no folders."""
    call.caller.known()
    args = call.request.args
    app_id = read_id(args["appId"], "appId") if args.get("appId") else None
    files = [
        _described(call, file)
        for file in call.api.media.all()
        if (app_id is None or file.app_id == app_id) and _readable(call, file)
    ]
    return answer({"folders": [], "files": [] if args.get("folderId") else files})


def forget_files(call: Call, source: Source) -> None:
    """Remove the files of a source that was deleted for good."""
    for file in call.api.media.all():
        if file.source_id == source.id:
            call.api.media.delete(file.id)
