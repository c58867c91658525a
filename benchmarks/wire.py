"""Requests as bytes, and a client that costs as little as Python can: one socket, kept alive, no library.

Both load generators share the machine with the server, so requests are encoded before the clock starts.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

Json = Any
"""Any JSON value."""
Address = tuple[str, int]
"""Host and port."""

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `path` is encoded and holds the query string."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, address: Address) -> bytes:
        """The bytes on the wire, for a server at `address`."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {address[0]}:{address[1]}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + self.body


def get(
    path: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Request:
    """A GET of a path that needs no encoding, with a query that is encoded here."""
    full = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
    return Request("GET", full, headers=headers or {})


def send_json(method: str, path: str, value: Json, headers: Mapping[str, str] | None = None) -> Request:
    """A request with a JSON body."""
    given = {"Content-Type": "application/json", **(headers or {})}
    return Request(method, path, msgspec.json.encode(value), given)


class Answer(NamedTuple):
    """Status and body of a response."""

    status: int
    body: bytes

    @property
    def json(self) -> Json:
        """The body as a value. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)


class Connection:
    """One kept-alive connection to a server. Every call raises OSError when the server goes away."""

    def __init__(self, address: Address, timeout: float = 120.0) -> None:
        self.address = address
        self._socket = socket.create_connection(address, timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the answer."""
        return self.send_bytes(request.encode(self.address))

    def send_bytes(self, data: bytes) -> Answer:
        """The same for a request that is encoded already."""
        self._socket.sendall(data)
        return self._receive()

    def _receive(self) -> Answer:
        buffer = self._read()
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            buffer += self._read()
        status = int(buffer[9:12])
        head = buffer[:end].lower()
        rest = buffer[end + 4 :]
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            stop = head.find(b"\r\n", at + 2)
            length = int(head[at + 17 : stop if stop >= 0 else None])
            return Answer(status, self._exactly(rest, length))
        if b"\r\ntransfer-encoding: chunked" in head:
            return Answer(status, self._chunked(rest))
        return Answer(status, b"")

    def _read(self) -> bytes:
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionError(f"{self.address[0]}:{self.address[1]} closed the connection")
        return data

    def _exactly(self, begun: bytes, length: int) -> bytes:
        missing = length - len(begun)
        if missing <= 0:
            return begun
        parts = [begun]
        while missing > 0:
            parts.append(self._read())
            missing -= len(parts[-1])
        return b"".join(parts)

    def _chunked(self, buffer: bytes) -> bytes:
        parts: list[bytes] = []
        while True:
            while (end := buffer.find(b"\r\n")) < 0:
                buffer += self._read()
            size = int(buffer[:end].partition(b";")[0], 16)
            buffer = self._exactly(buffer[end + 2 :], size + 2)
            if not size:
                return b"".join(parts)
            parts.append(buffer[:size])
            buffer = buffer[size + 2 :]


def ask(address: Address, request: Request, timeout: float = 120.0) -> Answer:
    """Send one request over a connection of its own."""
    with Connection(address, timeout) as connection:
        return connection.send(request)
