"""A data source and a client of `/api/v2/datasource` for tests, without the typing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

import requests

GUID = "0e4f2c1d-5b6a-4798-a0b1-c2d3e4f50617"
PATH = "/api/v2/datasource"
TIMEOUT = 120

MANIFEST = """id: {id}
name: {name}
columns: {columns}
updated_at: '2020-01-01T00:00:00.000Z'
appenate:
  guid: {guid}
  external_id: {external_id}
  company_id: {company_id}
"""


class RunningServer(Protocol):
    """What the fixture `server` gives."""

    url: str
    root: Path
    tokens: dict[str, str]
    session: requests.Session


def write_source(
    root: Path,
    slug: str = "sports",
    *,
    id: int = 3,
    name: str = "Sports",
    columns: Sequence[str] = ("Code", "Sport", "Info", "Pic"),
    guid: str = GUID,
    external_id: str = "SPORTS-001",
    company_id: int = 1,
) -> Path:
    """Write the manifest of a source that this API reaches; gives its folder."""
    folder = root / "content" / slug
    folder.mkdir(parents=True)
    text = MANIFEST.format(
        id=id,
        name=name,
        columns=f"[{', '.join(columns)}]" if columns else "null",
        guid=guid,
        external_id=external_id,
        company_id=company_id,
    )
    (folder / "manifest.yaml").write_text(text)
    return folder


def xml_rows(name: str, rows: Sequence[Sequence[str]]) -> str:
    """A collection of rows as an XML element."""
    vals = ("".join(f"<Val>{escape(val)}</Val>" for val in row) for row in rows)
    return f"<{name}>{''.join(f'<Row>{row}</Row>' for row in vals)}</{name}>"


class DataSource:
    """The source `SPORTS-001` of one server, as company 1 with its key."""

    def __init__(self, server: RunningServer) -> None:
        self.base = server.url
        self.url = server.url + PATH
        self.key = server.tokens["datasource"]
        self.who = {"CompanyId": 1, "IntegrationKey": self.key, "ExternalId": "SPORTS-001"}
        self.session = server.session

    def put(self, format: str = "json", **properties: Any) -> requests.Response:
        """A PUT in JSON, with credentials, id and name unless `properties` say otherwise."""
        body = {**self.who, "Name": "Sports", **properties}
        return self.session.put(f"{self.url}?format={format}", json=body, timeout=TIMEOUT)

    def put_xml(self, inner: str = "", format: str = "xml", **properties: Any) -> requests.Response:
        """The same in XML; `inner` is what follows the single values."""
        values = {**self.who, "Name": "Sports", **properties}
        singles = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())
        return self.send(f"<DataSource>{singles}{inner}</DataSource>", format=format)

    def send(
        self, body: str | bytes, content_type: str = "application/xml", format: str = "xml"
    ) -> requests.Response:
        """A PUT of a body as it is."""
        data = body.encode() if isinstance(body, str) else body
        headers = {"Content-Type": content_type} if content_type else {}
        return self.session.put(f"{self.url}?format={format}", data=data, headers=headers, timeout=TIMEOUT)

    def get(self, path: str = "", **query: Any) -> requests.Response:
        """A GET in JSON, with credentials and id unless `query` says otherwise."""
        return self.session.get(
            self.url + path, params={**self.who, "format": "json", **query}, timeout=TIMEOUT
        )

    def rows(self) -> list[list[str]]:
        """All rows, page by page."""
        rows: list[list[str]] = []
        for page in range(1_000):
            answer = self.get(ReturnRows="true", PageNo=page).json()["DataSource"]
            if not answer["Rows"]:
                assert len(rows) == answer["TotalRows"]
                return rows
            rows += answer["Rows"]
        raise AssertionError("the pages have no end")


def expected_failure(message: str, code: str = "ArgumentException") -> dict[str, Any]:
    """The JSON of a failure."""
    return {"ResponseStatus": {"ErrorCode": code, "Message": message, "Errors": []}}


def expected_xml_failure(message: str, code: str = "ArgumentException") -> str:
    """The XML of a failure."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<DataSourceResponse><ResponseStatus><ErrorCode>{code}</ErrorCode><Errors />"
        f"<Message>{escape(message)}</Message></ResponseStatus></DataSourceResponse>"
    )
