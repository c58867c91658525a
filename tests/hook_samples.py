"""Hooks as clients write them, and a server for what they send."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def listening(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A TCP server with this handler; gives its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as tcp:
        tcp.daemon_threads = True
        thread = threading.Thread(target=tcp.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield tcp.server_address[1]
        finally:
            tcp.shutdown()
            thread.join()


def hook(type: str = "operations", run_on: Any = ("beforeSave",), payload: Any = None, **more: Any) -> Any:
    """A hook of a data source."""
    return {"type": type, "runOn": list(run_on), "payload": payload or {}, **more}


def web(url: str, run_on: Any = ("insert", "update"), **more: Any) -> Any:
    """A hook that calls `url` after a write."""
    payload = {
        "method": "POST", "endpoint": f"{url}/in?name={{{{{{name}}}}}}", "headers": {"X-Key": "k-{{n}}"},
        "body": {"text": "{{{name}}}", "fixed": 1},
    }  # fmt: skip
    return hook("web", run_on, payload, **more)
