"""Hooks: operations on data, templates, and what is sent after a write (reference/fliplet.md §6)."""

from __future__ import annotations

import contextlib
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

from flatdata.access.passwords import hash_password, verify_password
from flatdata.dialects.fliplet import webcall
from flatdata.dialects.fliplet.courier import Courier, NotDelivered, message_of
from flatdata.dialects.fliplet.hooks import InvalidHook, Verification, before_query, before_save, read_hook
from flatdata.dialects.fliplet.outbox import Outbox
from flatdata.dialects.fliplet.templates import TemplateError, render
from flatdata.dialects.fliplet.webcall import Call, CallFailed, CallRefused, is_public, send
from flatdata.settings import FlipletSettings, SmtpSettings


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
    return {"type": type, "runOn": list(run_on), "payload": payload or {}, **more}


# --- templates ----------------------------------------------------------------------------------------

ROW = {"name": "Anna <b>", "n": 3.0, "First Name": "Jo", "list": ["x", "y"], "nested": {"k": 1}, "none": None}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{name}} {{{name}}}", "Anna &lt;b&gt; Anna <b>"),
        ("{{n}}{{none}}{{missing}}", "3"),
        ("{{[First Name]}} {{nested.k}}", "Jo 1"),
        ("{{#if name}}yes{{else}}no{{/if}}", "yes"),
        ("{{#each list}}{{this}},{{/each}}", "x,y,"),
        ("no template", "no template"),
        ("{{name.__class__}}{{name.upper}}{{list.append}}", ""),
    ],
)
def test_templates_read_columns(template: str, text: str) -> None:
    assert render(template, ROW) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{", "{{#if name}}", "{{/if}}", "{{>partial}}", "{{#list}}x{{/list}}", "{{^list}}x{{/list}}",
        "{{#if none}}{{else list}}x{{/if}}", "{{" * 5_000, "{{#if name}}" * 5_000, "{{" + "(" * 5_000 + "}}",
        "x{{name}}" * 20_000, "{{#if name}}" * 13 + "{{/if}}" * 13, "{{#* inline x}}{{/inline}}",
    ],
)  # fmt: skip
def test_templates_that_are_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, ROW)


def test_loops_in_templates_are_bounded() -> None:
    started = time.perf_counter()
    template = "{{#each a}}{{#each ../a}}{{#each ../../a}}x{{/each}}{{/each}}{{/each}}"
    with pytest.raises(TemplateError):
        render(template, {"a": list(range(1_000))})
    assert time.perf_counter() - started < 5


# --- operations, pure ---------------------------------------------------------------------------------


def test_operations_change_what_is_saved() -> None:
    hooks = [
        read_hook(
            hook(payload={"email": ["trim", "lower"], "code": ["upper"], "full": "{{first}} {{email}}"})
        )
    ]
    columns = {"email": "  A@Example.org ", "code": "x", "first": "Jo", "n": 5}
    assert before_save(hooks, "insert", columns, {}, str) == {
        "email": "a@example.org", "code": "X", "first": "Jo", "n": 5, "full": "Jo a@example.org",
    }  # fmt: skip
    assert columns["email"] == "  A@Example.org "


def test_operations_touch_submitted_columns_only() -> None:
    hooks = [read_hook(hook(payload={"password": ["hash"]}))]
    assert before_save(hooks, "update", {"n": 1}, {"password": "$argon2id$old"}, hash_password) == {"n": 1}
    for value in (None, "", [], {}):
        assert before_save(hooks, "update", {"password": value}, {}, hash_password) == {"password": value}
    saved = before_save(hooks, "update", {"password": "secret"}, {}, hash_password)
    assert verify_password(saved["password"], "secret")


def test_operations_by_event_condition_and_trigger() -> None:
    on_insert = [read_hook(hook(run_on=["insert"], payload={"a": ["upper"]}))]
    assert before_save(on_insert, "insert", {"a": "x"}, {}, str) == {"a": "X"}
    assert before_save(on_insert, "update", {"a": "x"}, {}, str) == {"a": "x"}
    conditions = [{"kind": {"$in": ["p"]}}]
    conditional = [read_hook(hook(payload={"a": ["upper"]}, conditions=conditions))]
    assert before_save(conditional, "insert", {"a": "x", "kind": "p"}, {}, str)["a"] == "X"
    assert before_save(conditional, "insert", {"a": "x", "kind": "q"}, {}, str)["a"] == "x"
    assert before_save(conditional, "update", {"a": "x"}, {"kind": "p"}, str)["a"] == "X"
    triggered = [read_hook(hook(payload={"a": ["upper"]}, triggers=["form"]))]
    assert before_save(triggered, "insert", {"a": "x"}, {}, str)["a"] == "x"
    assert before_save(triggered, "insert", {"a": "x"}, {}, str, "form")["a"] == "X"


def test_conditions_pass_the_operations_before_a_query() -> None:
    hooks = [read_hook(hook(run_on=["beforeQuery"], payload={"email": ["trim", "lower"], "p": ["hash"]}))]
    where = {
        "email": " A ", "p": "secret", "$or": [{"email": {"$in": ["B ", 5]}}, {"n": " X "}],
        "$filters": [{"column": "email", "condition": "==", "value": "C"}],
    }  # fmt: skip
    prepared, verifications = before_query(hooks, where)
    assert prepared == {
        "email": "a", "$or": [{"email": {"$in": ["b", 5]}}, {"n": " X "}],
        "$filters": [{"column": "email", "condition": "==", "value": "c"}],
    }  # fmt: skip
    assert verifications == (Verification("p", "secret"),)
    assert verifications[0].holds({"p": hash_password("secret")})
    assert not verifications[0].holds({"p": "secret"})


@pytest.mark.parametrize(
    "definition",
    [
        None, "x", [], {}, hook(type=""), hook(type=5), {"type": "web", "payload": {}},
        {"type": "web", "runOn": "insert", "payload": {}},
        {"type": "web", "runOn": ["insert"], "payload": []},
        hook(triggers="x"), hook(triggers=[5]), hook(conditions={}), hook(conditions=["x"]),
    ],
)  # fmt: skip
def test_hooks_that_are_none(definition: Any) -> None:
    with pytest.raises(InvalidHook):
        read_hook(definition)


# --- operations, over HTTP ----------------------------------------------------------------------------


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


@pytest.fixture
def users(api: DataSources) -> int:
    operations = {"password": ["hash"], "email": ["trim", "lower"]}
    return api.create("Users", hooks=[hook(run_on=["beforeSave", "beforeQuery"], payload=operations)])


def test_a_password_is_hashed_found_and_never_shown(api: DataSources, users: int, site_dir: Path) -> None:
    made = api.put(f"/data-sources/{users}/data", {"email": " Anna@Example.org", "password": "secret"})
    row = made.json()["id"]
    assert made.json()["data"] == {"email": "anna@example.org"}
    api.insert(users, {"email": "bert@example.org", "password": "secret"})
    stored = (site_dir / "content" / "users" / f"{row}.yaml").read_text(encoding="utf-8")
    assert "$argon2id$" in stored
    assert "secret" not in stored
    found = api.query(users, where={"email": "ANNA@example.org ", "password": "secret"})
    assert [(entry["id"], entry["data"]) for entry in found] == [(row, {"email": "anna@example.org"})]
    assert len(api.query(users, where={"password": "secret"})) == 2
    assert len(api.query(users, where={"password": {"$eq": "secret"}}, limit=1, offset=1)) == 1
    filters = [{"column": "password", "condition": "==", "value": "secret"}]
    assert len(api.query(users, where={"$filters": filters})) == 2
    for where in (
        {"password": "wrong"},
        {"password": {"$regex": "^\\$argon2"}},
        {"password": {"$like": "$argon2id"}},
        {"password": {"$exists": True}},
        {"$or": [{"password": {"$gte": "$"}}, {"password": "secret"}]},
    ):
        assert api.query(users, where=where) == [], where
    for path in ("data", f"data/{row}", "versions"):
        assert "argon2" not in api.get(f"/data-sources/{users}/{path}").text
    answer = api.get(f"/data-sources/{users}/indexes/password")
    assert (answer.status_code, "argon2" in answer.text) == (400, False)


def test_a_hash_survives_what_clients_send_back(api: DataSources, users: int) -> None:
    row = api.insert(users, {"email": "a@example.org", "password": "secret"})
    api.put(f"/data-sources/{users}/data/{row}", {"email": "b@example.org"})
    rows = api.rows(users)
    api.post(f"/data-sources/{users}/commit", {"entries": rows})
    assert len(api.query(users, where={"email": "b@example.org", "password": "secret"})) == 1
    api.put(f"/data-sources/{users}/data/{row}", {"password": "changed"})
    assert api.query(users, where={"password": "secret"}) == []
    assert len(api.query(users, where={"password": "changed"})) == 1


def test_too_many_rows_to_verify(api: DataSources, users: int) -> None:
    source = api.create("Many", hooks=[hook(run_on=["beforeQuery", "beforeSave"], payload={"p": ["hash"]})])
    api.fill(source, [{"n": number} for number in range(60)])
    answer = api.post(f"/data-sources/{source}/data/query", {"where": {"p": "x"}})
    assert answer.status_code == 400
    assert api.query(source, where={"p": "x", "n": 5}) == []


def test_wrong_hooks_are_refused(api: DataSources) -> None:
    answer = api.post("/data-sources?organizationId=1", {"name": "x", "hooks": [{"type": "web"}]})
    assert answer.status_code == 400
    assert "runOn" in answer.json()["message"]


# --- web hooks ----------------------------------------------------------------------------------------


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


def web(url: str, run_on: Any = ("insert", "update"), **more: Any) -> Any:
    payload = {
        "method": "POST", "endpoint": f"{url}/in?name={{{{{{name}}}}}}", "headers": {"X-Key": "k-{{n}}"},
        "body": {"text": "{{{name}}}", "fixed": 1},
    }  # fmt: skip
    return hook("web", run_on, payload, **more)


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


# --- the outbox ---------------------------------------------------------------------------------------


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


# --- mail and plugins ---------------------------------------------------------------------------------


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
