"""The access log: a line of JSON for each request, without what may hold tokens."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import requests
from conftest import Server, eventually

from flatdata.requests import LogWriter


def test_a_request_is_logged_under_the_id_its_answer_bears(process_server: Server) -> None:
    log = process_server.root / ".flatdata" / "serve.log"
    answer = requests.get(f"{process_server.url}/health?token=secret", timeout=10)
    wanted = answer.headers["X-Request-Id"]
    lines = eventually(lambda: [line for line in log.read_text().splitlines() if wanted in line])
    line = msgspec.json.decode(lines[0])
    assert (line["id"], line["method"], line["path"], line["status"]) == (wanted, "GET", "/health", 200)
    assert 0 <= line["ms"] < 10_000
    assert "secret" not in log.read_text()


def test_every_line_is_written_before_the_log_is_closed(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    log = LogWriter(descriptor)
    lines = [b"%d" % number for number in range(5_000)]
    for line in lines:
        log.write(line)
    log.close()
    os.close(descriptor)
    assert (tmp_path / "log").read_bytes().splitlines() == lines


def test_a_line_that_comes_while_others_are_written_is_not_lost_at_the_end() -> None:
    reading, writing = os.pipe()
    log = LogWriter(writing)
    long = b"x" * 1_000_000  # more than a pipe holds, so that the writer waits for us
    log.write(long)
    received = os.read(reading, 1)
    log.write(b"last")
    closing = threading.Thread(target=log.close)
    closing.start()
    while len(received) < len(long) + 1:
        received += os.read(reading, 65_536)
    closing.join()
    os.close(writing)
    with open(reading, "rb") as rest:
        received += rest.read()
    assert received.splitlines() == [long, b"last"]
