"""Hooks that call a web server after a write, and the addresses that are not called."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from fliplet_api import DataSources
from hook_samples import listening, web

from flatdata.dialects.fliplet import webcall
from flatdata.dialects.fliplet.webcall import Call, CallFailed, CallRefused, is_public, send


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


class Receiver:
    """An HTTP server that notes what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.got.append((self.command, self.path, dict(self.headers), body))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET = do_PUT = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.mark.settings(**{"fliplet.allow_private_hosts": True})
def test_a_web_hook_is_sent_after_the_write(api: DataSources, receiver: Receiver) -> None:
    source = api.create(hooks=[web(receiver.url)])
    api.insert(source, {"name": "Änna & Co", "n": 1})
    (method, path, headers, body) = eventually(lambda: receiver.got and receiver.got[0])
    assert (method, path) == ("POST", "/in?name=%C3%84nna%20&%20Co")
    assert headers["X-Key"] == "k-1"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"text": "Änna & Co", "fixed": 1}


@pytest.mark.settings(**{"fliplet.allow_private_hosts": True})
def test_which_writes_run_which_hooks(api: DataSources, receiver: Receiver) -> None:
    hooks = [
        web(f"{receiver.url}/i", ["insert"]),
        web(f"{receiver.url}/u", ["update"]),
        web(f"{receiver.url}/c", ["insert"], conditions=[{"kind": "special"}]),
        web(f"{receiver.url}/t", ["insert"], triggers=["form"]),
    ]
    source = api.create(hooks=hooks)
    base = f"/data-sources/{source}"

    def sent(count: int) -> list[str]:
        eventually(lambda: len(receiver.got) >= count)
        eventually(lambda: api.server.site and not pending(api))  # type: ignore[attr-defined]
        paths = sorted(path.split("?")[0].strip("/").split("/")[0] for _, path, _, _ in receiver.got)
        receiver.got.clear()
        return paths

    row = api.insert(source, {"name": "a"})
    assert sent(1) == ["i"]
    api.put(f"{base}/data/{row}", {"name": "b"})
    assert sent(1) == ["u"]
    api.insert(source, {"kind": "special"})
    assert sent(2) == ["c", "i"]
    api.post(f"{base}/commit", {"append": True, "entries": [{"data": {}}, {"id": row, "data": {}}]})
    entries = [{"data": {}}, {"id": row, "data": {}}]
    api.post(f"{base}/commit", {"append": True, "entries": entries, "runHooks": ["insert"]})
    assert sent(1) == ["i"]
    body = {"append": True, "entries": entries, "runHooks": ["insert", "update"], "source": "form"}
    api.post(f"{base}/commit", body)
    assert sent(3) == ["i", "t", "u"]
    api.post(f"{base}/data", {"append": True, "entries": [{}, {}]})
    assert sent(2) == ["i", "i"]
    api.post(f"{base}/data", {"append": True, "entries": [{}], "runHooks": False})
    api.post(f"{base}/data", {"entries": [{}]})
    api.post(f"{base}/data/query", {"type": "update", "data": {"x": 1}})
    assert sent(1) == ["u"]


def pending(api: DataSources) -> list[Path]:
    return list((api.server.root / ".flatdata" / "fliplet-hooks").glob("*.job"))


def test_a_private_address_is_not_called(api: DataSources, receiver: Receiver) -> None:
    source = api.create(hooks=[web(receiver.url), web("http://localhost:1"), web("http://[::1]:1")])
    api.insert(source, {"name": "x"})
    failed = api.server.root / ".flatdata" / "fliplet-hooks" / "failed"
    eventually(lambda: failed.exists() and len(list(failed.iterdir())) == 3 and not pending(api))
    assert receiver.got == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((address, True) for address in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946")),
        *((address, False) for address in (
            "127.0.0.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
            "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
            "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe", "nonsense",
        )),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://x/", "ftp://example.org/", "//example.org", "example.org", "http://",
        "http://user:pass@example.org/", "http://[::1", "http://example.org:99999/", "http://exa mple.org/",
        "", "http://\u0000/", "http://" + "a" * 300 + ".org/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_called(url: str) -> None:
    with pytest.raises((CallRefused, CallFailed)):
        send(Call("POST", url, {}), 1.0, resolver=lambda host, port: ["127.0.0.1"])


def test_a_name_with_one_private_address_is_not_called() -> None:
    with pytest.raises(CallRefused):
        send(
            Call("GET", "http://x.example/", {}),
            1.0,
            resolver=lambda host, port: ["93.184.216.34", "10.0.0.1"],
        )


def test_a_redirect_to_a_private_address_is_not_followed(receiver: Receiver) -> None:
    receiver.statuses = [302]
    port = receiver.server.server_port
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1", "127.0.0.1"]

    def public_once(address: str) -> bool:
        return address == "127.0.0.1" and len(asked) == 1

    original, webcall.is_public = webcall.is_public, public_once  # type: ignore[assignment]
    try:
        with pytest.raises(CallRefused):
            send(Call("POST", f"http://hook.example:{port}/", {}), 2.0, resolver=rebinding)
    finally:
        webcall.is_public = original
    assert len(receiver.got) == 1


def test_an_endless_answer_ends_in_time() -> None:
    class Endless(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            try:
                self.request.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    self.request.sendall(b"X: y\r\n"[:1])
                    time.sleep(0.05)
            except OSError:
                return

    with listening(Endless) as port:
        started = time.perf_counter()
        with pytest.raises(CallFailed):
            send(Call("GET", f"http://127.0.0.1:{port}/", {}), 0.3, allow_private=True)
        assert time.perf_counter() - started < 3


def test_headers_of_a_hook_cannot_smuggle(receiver: Receiver) -> None:
    call = Call("POST", receiver.url, {"X-Key": "a\r\nHost: evil"}, b"x")
    with pytest.raises(CallRefused):
        send(call, 1.0, allow_private=True)
    assert receiver.got == []
