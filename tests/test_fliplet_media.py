"""Files over HTTP: uploads, rights, encryption at rest (reference/fliplet.md §8)."""

from __future__ import annotations

import base64
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from fliplet_api import DataSources, denial, new_token

KEY = bytes(range(32))


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


def upload(api: DataSources, source: int, name: str, content: bytes = b"content") -> Any:
    answer = api.put(f"/data-sources/{source}/data", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def test_files_are_downloads_whatever_they_are(api: DataSources) -> None:
    source = api.create()
    for name, type in (("x.svg", "application/octet-stream"), ("x.html", "application/octet-stream"),
                       ("photo.jpg", "image/jpeg")):  # fmt: skip
        data = upload(api, source, name, b"<script>alert(1)</script>")
        answer = api.server.session.get(data["file"], headers={"Auth-token": api.token}, timeout=10)
        assert answer.content == b"<script>alert(1)</script>"
        assert answer.headers["Content-Type"] == type
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_what_is_known_of_a_file(api: DataSources) -> None:
    source = api.create()
    data = upload(api, source, "Ünï cödé & co.jpg", b"12345")
    answer = api.get(f"/media/files/{data['fileMediaFileId']}")
    file = answer.json()["file"]
    assert (file["id"], file["name"], file["size"]) == (1, "Ünï cödé _ co.jpg", 5)
    assert (file["contentType"], file["isEncrypted"], file["organizationId"]) == ("image/jpeg", False, 1)
    assert file["url"] == data["file"]
    assert api.get("/media").json() == {"folders": [], "files": [file]}
    assert api.get("/media/files/1/contents").content == b"12345"
    for path in ("2", "0", "x", "-1", "9" * 30, "..%2f1"):
        assert api.get(f"/media/files/{path}").status_code in (400, 404)
        assert api.get(f"/media/files/{path}/contents").status_code in (400, 404)


def test_a_file_is_read_with_the_rights_of_its_source(api: DataSources, server: Any) -> None:
    client = DataSources(server, new_token(server, organization_id=1)[0])
    source = client.create("Mine")
    file = upload(client, source, "a.txt")["fileMediaFileId"]
    path = f"/media/files/{file}/contents"
    other = DataSources(server, new_token(server, organization_id=1)[0])
    assert client.get(path).status_code == 200
    assert other.get(path).status_code == 404
    assert DataSources(server, "").get(path).status_code == 401
    assert other.get("/media").json()["files"] == []
    client.put(f"/data-sources/{source}", {"public": True})
    assert DataSources(server, "").get(path).content == b"content"
    client.put(f"/data-sources/{source}", {"public": False, "accessRules": []})
    assert client.get(path).status_code == 404
    assert api.get(path).status_code == 200


def test_a_file_of_a_row_that_may_not_be_read(api: DataSources, server: Any) -> None:
    user = {"Email": "anna@example.org"}
    anna = DataSources(server, new_token(server, organization_id=1, user=user)[0])
    rules = [{"type": "select", "allow": "loggedIn", "require": [{"Email": {"equals": "{{user.[Email]}}"}}]}]
    source = api.create("Own", accessRules=rules)
    files = []
    for email in ("anna@example.org", "bert@example.org"):
        answer = api.put(f"/data-sources/{source}/data", data={"Email": email}, files={"f": ("a.txt", b"x")})
        files.append(answer.json()["data"]["fMediaFileId"])
    assert [anna.get(f"/media/files/{file}/contents").status_code for file in files] == [200, 404]
    hidden = [{"type": "select", "allow": "all", "exclude": ["f"]}]
    api.put(f"/data-sources/{source}", {"accessRules": hidden})
    assert anna.get(f"/media/files/{files[0]}/contents").status_code == 404


def test_lists_of_files(api: DataSources) -> None:
    source = api.create()
    parts = [("Receipt[]", ("a.jpg", b"a")), ("Receipt[]", ("b.jpg", b"b")), ("one", ("c.jpg", b"c"))]
    made = api.put(f"/data-sources/{source}/data", data={"Tag[]": ["x", "y"], "n": "1"}, files=parts).json()
    data = made["data"]
    assert data["Tag"] == ["x", "y"]
    assert data["ReceiptMediaFileId"] == [1, 2]
    assert [url.rsplit("/", 1)[1] for url in data["Receipt"]] == ["a.jpg", "b.jpg"]
    assert data["oneMediaFileId"] == 3
    path = f"/data-sources/{source}/data/{made['id']}"
    more = [("Receipt[]", ("d.jpg", b"d"))]
    assert api.put(path, files=more).json()["data"]["ReceiptMediaFileId"] == [1, 2, 4]
    schema = {"_flSchema": '{"Receipt": {"append": false}}'}
    changed = api.put(path, data=schema, files=more).json()["data"]
    assert changed["ReceiptMediaFileId"] == [5]
    assert "_flSchema" not in changed


@pytest.mark.settings(**{"fliplet.media_max_bytes": 5000})
def test_uploads_that_are_refused_leave_nothing(api: DataSources, server: Any, site_dir: Path) -> None:
    source = api.create("Full")
    base = f"/data-sources/{source}/data"
    assert api.put(base, files={"f": ("a.jpg", b"x" * 5001)}).status_code == 422
    assert api.put(base, files=[("a", ("a.jpg", b"x")), ("b", ("b.exe", b"x"))]).status_code == 422
    assert api.put(base, files={"_flSchema": ("a.jpg", b"x")}).status_code == 400
    assert api.put(base, data={"_flSchema": "["}, files={"f": ("a.jpg", b"x")}).status_code == 400
    assert api.put(base, data={"_meta": "x"}, files={"f": ("a.jpg", b"x")}).status_code == 400
    assert api.put(f"{base}/999", files={"f": ("a.jpg", b"x")}).status_code == 404
    stranger = DataSources(server, new_token(server, organization_id=1)[0])
    answer = stranger.put(base, files={"f": ("a.jpg", b"x")})
    assert (answer.status_code, answer.json()) == (400, denial("Full", source, "write"))
    assert api.rows(source) == []
    assert [path.name for path in (site_dir / "media").rglob("*") if path.is_file()] == []


def stored_files(site_dir: Path) -> list[str]:
    """The names of all files in `media/`, with the folder of those that are in one."""
    folder = site_dir / "media"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_of_parts_with_one_name_only_the_file_that_the_row_names_is_kept(
    api: DataSources, site_dir: Path
) -> None:
    source = api.create()
    path = f"/data-sources/{source}/data"
    twice = [("f", ("a.jpg", b"a")), ("g", ("g.jpg", b"g")), ("f", ("b.jpg", b"b"))]
    made = api.put(path, data={"n": "1"}, files=twice).json()
    assert sorted(made["data"]) == ["f", "fMediaFileId", "g", "gMediaFileId", "n"]
    assert (made["data"]["fMediaFileId"], made["data"]["gMediaFileId"]) == (1, 2)
    left = ["1.yaml", "1/b.jpg", "2.yaml", "2/g.jpg"]
    assert stored_files(site_dir) == sorted(left)
    list_last = [("h", ("a.jpg", b"a")), ("h[]", ("c.jpg", b"c")), ("h[]", ("d.jpg", b"d"))]
    changed = api.put(f"{path}/{made['id']}", files=list_last).json()["data"]
    for identity, name in zip(changed["hMediaFileId"], ("c.jpg", "d.jpg"), strict=True):
        left += [f"{identity}.yaml", f"{identity}/{name}"]
    assert stored_files(site_dir) == sorted(left)
    list_first = [("h[]", ("c.jpg", b"c")), ("h", ("e.jpg", b"e"))]
    changed = api.put(f"{path}/{made['id']}", files=list_first).json()["data"]
    left += [f"{changed['hMediaFileId']}.yaml", f"{changed['hMediaFileId']}/e.jpg"]
    assert stored_files(site_dir) == sorted(left)
    assert api.put(f"{path}/999", files=twice).status_code == 404
    assert api.put(path, data={"_meta": "x"}, files=twice).status_code == 400
    assert stored_files(site_dir) == sorted(left)


def test_a_file_that_rules_keep_out_of_the_row_is_not_kept(
    api: DataSources, server: Any, site_dir: Path
) -> None:
    types = ["select", "insert", "update"]
    rules = [{"type": types, "allow": "all", "exclude": ["f", "fMediaFileId", "gMediaFileId"]}]
    source = api.create(accessRules=rules)
    client = DataSources(server, new_token(server, organization_id=1)[0])
    files = [("f", ("a.jpg", b"a")), ("g", ("b.jpg", b"b"))]
    made = client.put(f"/data-sources/{source}/data", data={"n": "1"}, files=files).json()
    assert sorted(made["data"]) == ["g", "n"]
    kept = made["data"]["g"].split("/")[-3]
    assert stored_files(site_dir) == sorted([f"{kept}.yaml", f"{kept}/b.jpg"])
    changed = client.put(f"/data-sources/{source}/data/{made['id']}", files=files[:1])
    assert changed.json()["data"] == made["data"]
    assert stored_files(site_dir) == sorted([f"{kept}.yaml", f"{kept}/b.jpg"])


def test_malformed_forms(api: DataSources) -> None:
    source = api.create()
    path = f"/data-sources/{source}/data"
    headers = {"Auth-token": api.token}
    for type, body in (
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nhello"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n--x--"),
        ("multipart/form-data; boundary=" + "y" * 300, b"--y"),
    ):
        answer = api.request("PUT", path, data=body, headers={**headers, "Content-Type": type})
        assert answer.status_code == 400, (type, body, answer.text)
    many = [(f"f{number}", (None, "x")) for number in range(1_100)]
    assert api.request("PUT", path, files=many).status_code == 413
    assert api.rows(source) == []


def test_an_empty_file_field_is_no_file(api: DataSources) -> None:
    source = api.create()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\n\r\n--x--\r\n'
    )
    headers = {"Auth-token": api.token, "Content-Type": "multipart/form-data; boundary=x"}
    answer = api.request("PUT", f"/data-sources/{source}/data", data=body, headers=headers)
    assert answer.json()["data"] == {"a": "1"}


def test_encrypted_files(site_dir: Path, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLATDATA_ENCRYPTION_KEY", KEY.hex())
    api = DataSources(serve(site_dir))
    source = api.create("Secret", encrypted=True)
    content = os.urandom(200_000)
    data = upload(api, source, "a.pdf", content)
    assert data["fileMediaFileId"] == 1
    stored = (site_dir / "media" / "1" / "a.pdf").read_bytes()
    assert len(stored) > len(content)
    assert content[:64] not in stored
    assert api.get("/media/files/1").json()["file"]["isEncrypted"] is True
    answer = api.get("/media/files/1/contents")
    assert (answer.content, answer.headers["Content-Length"]) == (content, "200000")
    plain = upload(api, api.create("Open"), "b.pdf", b"plain")
    assert (site_dir / "media" / str(plain["fileMediaFileId"]) / "b.pdf").read_bytes() == b"plain"
    monkeypatch.setenv("FLATDATA_ENCRYPTION_KEY", bytes(32).hex())
    assert api.get("/media/files/1/contents").status_code == 503
    (site_dir / "media" / "1" / "a.pdf").write_bytes(stored[:100])
    monkeypatch.setenv("FLATDATA_ENCRYPTION_KEY", KEY.hex())
    assert api.get("/media/files/1/contents").status_code == 500
    for wrong in ("", "nonsense"):
        monkeypatch.setenv("FLATDATA_ENCRYPTION_KEY", wrong)
        assert api.put(f"/data-sources/{source}/data", files={"f": ("a.pdf", b"x")}).status_code == 503
    assert len(api.rows(source)) == 1


@pytest.mark.settings(**{"fliplet.encrypt_media": True})
def test_a_site_that_encrypts_all_files(
    api: DataSources, monkeypatch: pytest.MonkeyPatch, site_dir: Path
) -> None:
    monkeypatch.setenv("FLATDATA_ENCRYPTION_KEY", base64.b64encode(KEY).decode())
    upload(api, api.create(), "a.txt", b"plain text")
    assert b"plain text" not in (site_dir / "media" / "1" / "a.txt").read_bytes()
    assert api.get("/media/files/1/contents").content == b"plain text"


def test_a_large_file_is_never_held_whole(api: DataSources) -> None:
    source = api.create()
    upload(api, source, "warm.mp4", b"x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = 100 * 1024 * 1024

    def body() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\n\r\n'
        for _ in range(size // 65536):
            yield bytes(65536)
        yield b"\r\n--x--\r\n"

    class Body:
        def __len__(self) -> int:
            return sum(len(part) for part in (b'--x\r\nContent-Disposition: form-data; name="f"; '
                       b'filename="a.mp4"\r\n\r\n', b"\r\n--x--\r\n")) + size  # fmt: skip

        def __iter__(self) -> Any:
            return body()

    headers = {"Auth-token": api.token, "Content-Type": "multipart/form-data; boundary=x"}
    answer = api.request("PUT", f"/data-sources/{source}/data", data=Body(), headers=headers, timeout=120)
    assert answer.status_code == 201, answer.text
    got = 0
    url = answer.json()["data"]["f"]
    with api.server.session.get(url, headers={"Auth-token": api.token}, stream=True, timeout=60) as contents:
        for chunk in contents.iter_content(65536):
            got += len(chunk)
    assert got == size
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40 * 1024  # KiB


def test_purging_a_source_removes_its_files(api: DataSources, site_dir: Path) -> None:
    source = api.create()
    upload(api, source, "a.txt")
    api.delete(f"/data-sources/{source}")
    assert api.get("/media/files/1").status_code == 404
    api.delete(f"/data-sources/deleted/{source}")
    eventually(lambda: list((site_dir / "media").iterdir()) == [])
