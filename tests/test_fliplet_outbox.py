"""What hooks send after a write: kept until it is delivered, tried again, by mail and by plugins."""

from __future__ import annotations

import socketserver
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from hook_samples import hook, listening

from flatdata.dialects.fliplet.courier import Courier, NotDelivered, message_of
from flatdata.dialects.fliplet.hooks import read_hook
from flatdata.dialects.fliplet.outbox import Outbox
from flatdata.settings import FlipletSettings, SmtpSettings

# --- the outbox --------------------------------------------------------------------------------------


def test_a_failed_delivery_is_tried_again_with_growing_waits(tmp_path: Path) -> None:
    attempts: list[float] = []

    def deliver(found: Any, columns: Any) -> None:
        attempts.append(time.monotonic())
        if len(attempts) < 3:
            raise NotDelivered("no answer", again=True)

    outbox = Outbox(tmp_path / "box", deliver, 5, retry_seconds=(0.05, 0.2), poll_seconds=0.01)
    outbox.post(1, read_hook(hook("web", ["insert"])), [b'{"a":1}'])
    eventually(lambda: len(attempts) == 3 and outbox.pending() == 0)
    outbox.close()
    assert attempts[2] - attempts[1] > attempts[1] - attempts[0]
    assert not (tmp_path / "box" / "failed").exists()


def test_a_hook_that_is_never_delivered_is_logged_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def deliver(found: Any, columns: Any) -> None:
        raise NotDelivered("no answer", again=True)

    outbox = Outbox(tmp_path / "box", deliver, 2, retry_seconds=(0.01,), poll_seconds=0.01)
    outbox.post(7, read_hook(hook("sms", ["insert"])), [b'{"a":1}'])
    failed = tmp_path / "box" / "failed"
    eventually(lambda: failed.exists() and outbox.pending() == 0)
    outbox.close()
    (kept,) = failed.iterdir()
    assert b'{"a":1}' in kept.read_bytes()
    assert "sms hook of data source 7 not delivered, attempt 2 of 2: no answer" in caplog.text


def test_jobs_survive_a_restart_and_rows_are_sent_once(tmp_path: Path) -> None:
    first: list[Any] = []
    second: list[Any] = []
    gate = threading.Event()

    def stop_after_two(found: Any, columns: Any) -> None:
        first.append(columns["n"])
        if len(first) == 2:
            gate.set()
            outbox._closed.set()

    outbox = Outbox(tmp_path / "box", stop_after_two, 3, poll_seconds=0.01)
    outbox.post(1, read_hook(hook("web", ["insert"])), [b'{"n":%d}' % n for n in range(5)])
    assert gate.wait(5)
    outbox.close()
    again = Outbox(tmp_path / "box", lambda found, columns: second.append(columns["n"]), 3, poll_seconds=0.01)
    again.start_if_pending()
    eventually(lambda: again.pending() == 0)
    again.close()
    assert first + second == [0, 1, 2, 3, 4]


def test_files_that_are_no_jobs_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    (folder / "000000000000001-001-x.job").write_bytes(b"not json\n{}\n")
    (folder / "000000000000002-001-y.job").write_bytes(b'{"source_id":1,"hook":{}}\nnot json\n{}\n')
    (folder / "nonsense.job").write_bytes(b"")
    sent: list[Any] = []
    outbox = Outbox(folder, lambda found, columns: sent.append(columns), 3, poll_seconds=0.01)
    outbox.post(1, read_hook(hook("web", ["insert"])), [b'{"a":1}'])
    eventually(lambda: sent == [{"a": 1}])
    outbox.close()


# --- mail and plugins --------------------------------------------------------------------------------


class NoPlugins:
    """Plugins that take nothing, or note what they get."""

    def __init__(self, takes: bool = False) -> None:
        self.takes = takes
        self.got: list[Any] = []

    def send_sms(self, to: str, body: str) -> bool:
        self.got.append((to, body))
        return self.takes

    def send_push(self, app_id: int | None, recipients: Any, message: Any) -> bool:
        self.got.append((app_id, recipients, message))
        return self.takes


def test_sms_and_push_go_to_plugins() -> None:
    plugins = NoPlugins(takes=True)
    courier = Courier(FlipletSettings(), plugins)
    courier.deliver(read_hook(hook("sms", ["insert"], {"to": "{{phone}}", "body": "Hi"})), {"phone": "123"})
    push = hook("push", ["insert"], {"title": "{{n}}"}, appId=5, filter={"match": {"a": "{{n}}"}})
    courier.deliver(read_hook(push), {"n": "x"})
    assert plugins.got == [("123", "Hi"), (5, {"match": {"a": "x"}}, {"title": "x"})]
    for kind in ("sms", "push"):
        with pytest.raises(NotDelivered):
            Courier(FlipletSettings(), NoPlugins()).deliver(
                read_hook(hook(kind, ["insert"], {"to": "1", "body": "x"})), {}
            )


def test_a_mail_hook_without_a_mail_server_is_not_delivered() -> None:
    mail = read_hook(hook("email", ["insert"], {"to": [{"email": "a@example.org"}]}))
    with pytest.raises(NotDelivered, match=r"fliplet\.smtp\.host") as caught:
        Courier(FlipletSettings(), NoPlugins()).deliver(mail, {})
    assert not caught.value.again


def test_a_mail_hook_is_a_message() -> None:
    payload = {
        "to": [
            {"type": "to", "email": "a@example.org", "name": "Anna, Ä"},
            {"type": "cc", "email": "b@example.org"},
        ],
        "subject": "Hello\r\nBcc: evil@example.org",
        "html": "<p>Ünï</p>",
    }
    message = message_of(payload, "site@example.org")
    assert message["Subject"] == "Hello Bcc: evil@example.org"
    assert [str(address.addr_spec) for address in message["To"].addresses] == ["a@example.org"]
    assert [str(address.addr_spec) for address in message["Cc"].addresses] == ["b@example.org"]
    assert "Bcc" not in message
    assert message.get_content_type() == "text/html"
    assert message.get_content().strip() == "<p>Ünï</p>"
    for wrong in ([], None, [{"email": "no address"}], [{"email": ""}], [{"email": "a@b\r\nX: y"}], ["x"]):
        with pytest.raises(NotDelivered):
            message_of({"to": wrong}, "site@example.org")


def test_mail_is_handed_to_the_server() -> None:
    lines: list[bytes] = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 x\r\n")
            data = False
            for line in self.rfile:
                lines.append(line)
                if data:
                    if line == b".\r\n":
                        data = False
                        self.wfile.write(b"250 ok\r\n")
                elif line.upper().startswith(b"DATA"):
                    data = True
                    self.wfile.write(b"354 go\r\n")
                elif line.upper().startswith(b"QUIT"):
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    with listening(Smtp) as port:
        smtp = SmtpSettings(host="127.0.0.1", port=port, sender="s@example.org", starttls=False)
        payload = {"to": [{"email": "{{{mail}}}"}], "subject": "Hi {{n}}", "html": "x"}
        Courier(FlipletSettings(smtp=smtp), NoPlugins()).deliver(
            read_hook(hook("email", ["insert"], payload)), {"mail": "a@example.org", "n": 1}
        )
    assert any(line.lower().startswith(b"rcpt to:<a@example.org>") for line in lines)
    assert b"Subject: Hi 1\r\n" in lines
