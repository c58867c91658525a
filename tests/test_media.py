"""The folder of uploaded files: names and types, encryption at rest, what a refusing disk leaves."""

from __future__ import annotations

import base64
import io
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flatdata.store import media as media_module
from flatdata.store.errors import StoreUnavailable
from flatdata.store.media import Media, MediaRefused, Owner, safe_name, type_of
from flatdata.store.sealed import CHUNK, KeyUnusable, SealBroken, Sealer, key_name, parse_key, unseal

KEY = bytes(range(32))
OWNER = Owner(source_id=1, app_id=None, organization_id=1, user_id=None)


# --- names and types, pure ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("photo.jpg", "photo.jpg"), ("../../etc/passwd", "passwd"), ("C:\\x\\y.png", "y.png"), ("", "file"),
        ("..", "file"), (".htaccess", "file.htaccess"), ("a\r\nSet-Cookie: x.txt", "a_Set-Cookie_ x.txt"),
        ("a\x00.jpg", "a_.jpg"), ("\u202egpj.exe", "gpj.exe"), ("a/b\\", "file"),
        ("Ünï cödé.PNG", "Ünï cödé.PNG"),
        ("a" * 400 + ".jpg", "a" * 146 + ".jpg"), ("%2e%2e%2fx.txt", "_2e_2e_2fx.txt"),
        ("a\u0308.txt", "ä.txt"),
        (". .", "file"), ('"<>|.txt', "_.txt"),
    ],
)  # fmt: skip
def test_names_are_made_safe(given: str, safe: str) -> None:
    assert safe_name(given) == safe
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("a.jpg", "image/jpeg"), ("a.JPG", "image/jpeg"), ("a.svg", "application/octet-stream"),
        ("a.html", "application/octet-stream"), ("a.jpg.html", "application/octet-stream"),
        ("a", "application/octet-stream"), ("a.xml", "application/octet-stream"),
        ("a.pdf", "application/pdf"),
    ],
)  # fmt: skip
def test_types_follow_from_names(name: str, type: str) -> None:
    assert type_of(name) == type


# --- encryption, pure ---------------------------------------------------------------------------------


def sealed(content: bytes, key: bytes = KEY) -> bytes:
    file = io.BytesIO()
    sealer = Sealer(file, key)
    for start in range(0, len(content), 1000):
        sealer.write(content[start : start + 1000])
    sealer.finish()
    return file.getvalue()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17])
def test_what_is_sealed_is_read_back(size: int) -> None:
    content = os.urandom(size)
    data = sealed(content)
    assert b"".join(unseal(io.BytesIO(data), KEY)) == content
    assert size < 16 or content[:16] not in data
    assert sealed(content) != data


def test_a_sealed_file_that_was_changed_is_not_read() -> None:
    data = sealed(b"x" * (2 * CHUNK + 10))
    head, step = 40, CHUNK + 16
    chunks = [data[head + step * number : head + step * (number + 1)] for number in range(3)]
    wrong = {
        "flipped": data[:100] + bytes([data[100] ^ 1]) + data[101:],
        "cut within a chunk": data[:-1],
        "cut between chunks": data[: head + step],
        "swapped": data[:head] + chunks[1] + chunks[0] + chunks[2],
        "repeated": data[:head] + chunks[0] + chunks[0] + chunks[2],
        "longer": data + b"x",
        "other salt": data[:10] + bytes([data[10] ^ 1]) + data[11:],
        "no header": data[20:],
        "empty": b"",
    }
    for changed in wrong.values():
        with pytest.raises(SealBroken):
            b"".join(unseal(io.BytesIO(changed), KEY))
    with pytest.raises(SealBroken):
        b"".join(unseal(io.BytesIO(data), bytes(32)))


def test_keys_are_hex_or_base64() -> None:
    assert parse_key(KEY.hex()) == parse_key(base64.b64encode(KEY).decode() + "\n") == KEY
    for wrong in ("", "short", "zz" * 32, base64.b64encode(b"x" * 31).decode(), "ü" * 32):
        with pytest.raises(KeyUnusable):
            parse_key(wrong)
    assert key_name(KEY) != key_name(bytes(32))


# --- the folder of files ------------------------------------------------------------------------------


def media(tmp_path: Path, key: bytes | None = None, max_bytes: int = 1000) -> Media:
    return Media(tmp_path / "media", max_bytes, lambda: key)


def test_a_file_that_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    files = media(tmp_path, max_bytes=10)
    upload = files.upload("a.txt", encrypt=False)
    upload.write(b"x" * 10)
    with pytest.raises(MediaRefused):
        upload.write(b"x")
    upload.discard()
    assert list((tmp_path / "media").iterdir()) == []


def test_what_killed_uploads_left_is_removed_with_the_next_after_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for name, hours in ((".new-old", 25), (".new-recent", 23), ("notes", 25)):
        (folder / name).write_bytes(b"x")
        written = time.time() - hours * 3_600
        os.utime(folder / name, (written, written))
    media(tmp_path).upload("a.txt", encrypt=False).keep(OWNER)
    assert {path.name for path in folder.iterdir()} == {".new-recent", "notes", "1", "1.yaml"}


@pytest.mark.parametrize("name", ["a.exe", "a.EXE", "a.jpg.sh", "x.php", "a.zip", "../a.bat"])
def test_types_that_are_not_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaRefused):
        media(tmp_path).upload(name, encrypt=False)


def test_descriptions_that_were_edited_point_nowhere_else(tmp_path: Path) -> None:
    files = media(tmp_path)
    upload = files.upload("a.txt", encrypt=False)
    upload.write(b"x")
    kept = upload.keep(OWNER)
    path = tmp_path / "media" / f"{kept.id}.yaml"
    good = path.read_text(encoding="utf-8")
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    for changed in (
        good.replace("name: a.txt", "name: ../../secret"), good.replace("id: 1", "id: 2"), "[]", "x: [", "",
        good + "more: 1\n", good.replace("size: 1", "size: x"), good.replace(": false", ": 0"),
    ):  # fmt: skip
        path.write_text(changed, encoding="utf-8")
        assert files.get(kept.id) is None, changed
    path.write_text(good, encoding="utf-8")
    content = tmp_path / "media" / "1" / "a.txt"
    content.unlink()
    content.symlink_to(tmp_path / "secret")
    found = files.get(kept.id)
    assert found is not None
    with pytest.raises(OSError, match=r"."):
        files.read(found)


@pytest.mark.parametrize("step", ["fsync", "rename", "describe"])
def test_a_file_that_the_disk_refuses_halfway_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    files = media(tmp_path)
    upload = files.upload("a.txt", encrypt=False)
    upload.write(b"x")
    calls = {"fsync": (os, "fsync"), "rename": (Path, "rename"), "describe": (media_module, "dump_yaml")}

    def refuse(*_: Any) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(*calls[step], refuse)
    with pytest.raises(StoreUnavailable):
        upload.keep(OWNER)
    assert list((tmp_path / "media").iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """The disk takes 1,000 bytes of a file and refuses what goes beyond."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("small_files")
def test_a_file_that_a_full_disk_refuses_leaves_nothing(tmp_path: Path) -> None:
    files = media(tmp_path, max_bytes=10_000)
    kept, discarded = files.upload("a.txt", encrypt=False), files.upload("b.txt", encrypt=False)
    for upload in (kept, discarded):
        upload.write(b"x" * 3_000)
    with pytest.raises(StoreUnavailable):
        kept.keep(OWNER)
    discarded.discard()
    assert list((tmp_path / "media").iterdir()) == []


def test_ids_are_not_given_twice(tmp_path: Path) -> None:
    first, second = media(tmp_path), media(tmp_path)
    ids = []
    for files in (first, second, first, second):
        upload = files.upload("a.txt", encrypt=False)
        ids.append(upload.keep(OWNER).id)
    assert ids == [1, 2, 3, 4]
