"""One HTTP request to an address that somebody else chose: no private hosts, bounded in time and size.

The name is resolved here, every address it has is checked, and the connection goes to the address that was
checked: what the name says a moment later does not matter. Redirects are followed by hand, so each is
checked in the same way.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

from flatdata.errors import FlatdataError

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
MAX_REDIRECTS: Final = 3
MAX_RESPONSE: Final = 64 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_URL_CHARACTERS: Final = "%/:?#[]@!$&'()*+,;=~"


class CallRefused(FlatdataError):
    """The request was not sent, and never will be: `reason` says why, without the address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CallFailed(FlatdataError):
    """The request was sent, or could not be, and may work later."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Call:
    """A request to send."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


Resolver = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises `CallFailed`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CallFailed("the host name cannot be resolved") from None
    return [str(address[4][0]) for address in found]


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, seen through every way to wrap one in IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if not all(is_public(str(wrapped)) for wrapped in inner if wrapped is not None):
            return False
    return ip.is_global and not ip.is_multicast


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, whatever the host's name is."""

    def __init__(self, host: str, port: int, address: str, timeout: float, secure: bool) -> None:
        super().__init__(host, port, timeout=timeout)
        self._address = address
        self._secure = secure

    def connect(self) -> None:
        """Connect to the address, and check the certificate against the name."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def send(call: Call, timeout: float, *, allow_private: bool = False, resolver: Resolver = resolve) -> int:
    """Send a request and give the status of the answer, redirects followed.

    `timeout` is in seconds, for each request with its answer as a whole.

    Raises:
        CallRefused: an address that must not be called. CallFailed: no whole answer in time.
    """
    for _ in range(MAX_REDIRECTS + 1):
        status, location = _once(call, timeout, allow_private, resolver)
        if status not in _REDIRECTS or not location:
            return status
        call = _redirected(call, status, location)
    raise CallRefused(f"more than {MAX_REDIRECTS} redirects")


def _redirected(call: Call, status: int, location: str) -> Call:
    try:
        url = urljoin(call.url, location)
    except ValueError:
        raise CallRefused("a redirect to a malformed address") from None
    keeps_body = status in (307, 308) or call.method == "GET"
    same_host = urlsplit(url).netloc == urlsplit(call.url).netloc
    # Headers of the hook may hold credentials: they go to the host they were written for.
    headers = call.headers if same_host and keeps_body else {}
    return Call(call.method if keeps_body else "GET", url, headers, call.body if keeps_body else b"")


def _once(call: Call, timeout: float, allow_private: bool, resolver: Resolver) -> tuple[int, str | None]:
    host, port, target, secure = _split(call.url)
    if call.method not in METHODS:
        raise CallRefused("the method is not allowed")
    addresses = resolver(host, port)
    if not addresses or not (allow_private or all(map(is_public, addresses))):
        raise CallRefused("the host is not on the public internet")
    connection = _Pinned(host, port, addresses[0], timeout, secure)
    late = threading.Event()
    deadline = threading.Timer(timeout, _cut, (connection, late))
    deadline.daemon = True
    deadline.start()
    try:
        connection.request(call.method, target, call.body or None, dict(call.headers))
        response = connection.getresponse()
        response.read(MAX_RESPONSE)
        if late.is_set():
            raise CallFailed("no answer in time")
        return response.status, response.getheader("Location")
    except (OSError, http.client.HTTPException):
        raise CallFailed("no answer") from None
    except ValueError:
        raise CallRefused("a header or the address is malformed") from None
    finally:
        deadline.cancel()
        connection.close()


def _cut(connection: Any, late: threading.Event) -> None:
    """End a connection from another thread: whoever waits for it gets an error, or an end too early."""
    late.set()
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _split(url: str) -> tuple[str, int, str, bool]:
    """Host, port, target and whether it is https. Raises `CallRefused`."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        raise CallRefused("the address is malformed") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise CallRefused("the address is no http or https address")
    secure = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    return host, port or (443 if secure else 80), quote((parts.path or "/") + query, _URL_CHARACTERS), secure
