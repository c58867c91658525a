"""Things in the content folder that no entry can be: they are reported, and their neighbours are served."""

from __future__ import annotations

import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Server, eventually, write
from flextype_api import Entries

from flatdata.index.keeper import Keeper
from flatdata.store import scan as scan_module
from flatdata.store.disk import Disk
from flatdata.store.scan import Scan

NEIGHBOURS = ("odd/good", "odd/other", "plain")


def neighbours(root: Path) -> None:
    for slug in NEIGHBOURS:
        write(root, f"{slug}.yaml", f"title: {slug}\n")


def content(root: Path) -> Path:
    return root / "content"


def link_to_file(root: Path) -> None:
    (content(root) / "odd" / "x.yaml").symlink_to(content(root) / "plain.yaml")


def link_to_folder(root: Path) -> None:
    (content(root) / "odd" / "x").symlink_to(content(root) / "odd")


def link_outside(root: Path) -> None:
    write(root, "../outside/secret/entry.yaml", "title: secret\n")
    (content(root) / "odd" / "x").symlink_to(root / "outside")


def link_to_itself(root: Path) -> None:
    (content(root) / "odd" / "x").symlink_to(content(root) / "odd" / "x")


def link_to_nothing(root: Path) -> None:
    (content(root) / "odd" / "x.yaml").symlink_to("nothing")


def fifo(root: Path) -> None:
    os.mkfifo(content(root) / "odd" / "x.yaml")


def fifo_as_entry(root: Path) -> None:
    (content(root) / "odd" / "x").mkdir()
    os.mkfifo(content(root) / "odd" / "x" / "entry.yaml")


def unix_socket(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(content(root) / "odd")
        listener.bind("x.yaml")
        os.chdir("/")


def folder_as_entry(root: Path) -> None:
    (content(root) / "odd" / "x" / "entry.yaml").mkdir(parents=True)


def folder_with_a_file_name(root: Path) -> None:
    write(root, "odd/x.yaml/entry.yaml", "title: x\n")


def bytes_as_file_name(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(content(root) / "odd") + b"/x\xff.yaml")).write_text("title: x\n")


def bytes_as_folder_name(root: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(content(root) / "odd") + b"/x\xff"))
    folder.mkdir()
    (folder / "entry.yaml").write_text("title: x\n")


def decomposed_file_name(root: Path) -> None:
    write(root, f"odd/x{unicodedata.normalize('NFD', 'é')}.yaml", "title: x\n")


def decomposed_folder_name(root: Path) -> None:
    write(root, f"odd/x{unicodedata.normalize('NFD', 'é')}/entry.yaml", "title: x\n")


def name_with_a_line_end(root: Path) -> None:
    write(root, "odd/x\ny.yaml", "title: x\n")


def name_with_a_turn_of_direction(root: Path) -> None:
    write(root, "odd/x\u202ey.yaml", "title: x\n")


def name_with_a_blank_at_its_end(root: Path) -> None:
    write(root, "odd/x .yaml", "title: x\n")


def forty_levels(root: Path) -> None:
    write(root, "odd/" + "x/" * 40 + "entry.yaml", "title: x\n")


def thirty_three_levels(root: Path) -> None:
    write(root, "odd/" + "x/" * 31 + "x.yaml", "title: x\n")


def both_forms(root: Path) -> None:
    write(root, "odd/good/entry.yaml", "title: odd/good\n")


def twenty_megabytes(root: Path) -> None:
    write(root, "odd/x.yaml", "title: " + "x" * (20 << 20))


def sparse_terabyte(root: Path) -> None:
    write(root, "odd/x.yaml", "title: x\n")
    os.truncate(content(root) / "odd" / "x.yaml", 1 << 40)


def conflict_markers(root: Path) -> None:
    write(root, "odd/x.yaml", "<<<<<<< HEAD\ntitle: a\n=======\ntitle: b\n>>>>>>> other\n")


def no_mapping(root: Path) -> None:
    write(root, "odd/x.yaml", "- a\n- b\n")


def nuls(root: Path) -> None:
    (content(root) / "odd" / "x.yaml").write_bytes(b"title: x\0\n")


def no_utf8(root: Path) -> None:
    (content(root) / "odd" / "x.yaml").write_bytes(b"title: \xff\xfe\n")


def broken_front_matter(root: Path) -> None:
    write(root, "odd/x/entry.md", "---\ntitle: [\n---\nbody\n")


def broken_meta(root: Path) -> None:
    write(root, "odd/x.yaml", "title: x\n_meta: 7\n")


def broken_manifest(root: Path) -> None:
    write(root, "odd/manifest.yaml", "id: [1\n")


def manifest_at_the_top(root: Path) -> None:
    write(root, "manifest.yaml", "id: 1\n")


def entry_at_the_top(root: Path) -> None:
    write(root, "entry.yaml", "title: x\n")


ODDITIES: dict[Callable[[Path], None], str] = {
    link_to_file: "a symbolic link",
    link_to_folder: "a symbolic link",
    link_outside: "a symbolic link",
    link_to_itself: "a symbolic link",
    link_to_nothing: "a symbolic link",
    fifo: "not a plain file",
    fifo_as_entry: "not a plain file",
    unix_socket: "not a plain file",
    folder_as_entry: "named like a file of entries",
    folder_with_a_file_name: "named like a file of entries",
    bytes_as_file_name: "control character",
    bytes_as_folder_name: "control character",
    decomposed_file_name: "normal form C",
    decomposed_folder_name: "normal form C",
    name_with_a_line_end: "control character",
    name_with_a_turn_of_direction: "control character",
    name_with_a_blank_at_its_end: "blanks at an end",
    forty_levels: "deeper than 32 levels",
    thirty_three_levels: "deeper than 32 levels",
    both_forms: "'odd/good'",
    twenty_megabytes: "",
    sparse_terabyte: "",
    conflict_markers: "",
    no_mapping: "not a mapping",
    nuls: "",
    no_utf8: "",
    broken_front_matter: "",
    broken_meta: "_meta must be a mapping",
    broken_manifest: "",
    manifest_at_the_top: "a folder below content/",
    entry_at_the_top: "a folder below content/",
}
"""What is odd, and what is to be said of it."""


def assert_reported_and_neighbours_served(server: Server, oddity: Callable[[Path], None]) -> None:
    assert server.site is not None
    (problem,) = server.site.problems()
    assert problem.path.startswith("content/")
    assert problem.reason
    assert ODDITIES[oddity] in problem.reason
    assert "\n" not in problem.reason
    assert server.get("/health").json()["problems"] == 1
    entries = Entries(server)
    for slug in NEIGHBOURS:
        assert entries.get(slug).json()["data"]["title"] == slug
    listed = entries.query("id=odd&options[collection]=true").json()["data"]
    assert sorted(listed) == ["odd/good", "odd/other"]


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.__name__)
def test_what_is_there_at_the_start_is_reported(
    oddity: Callable[[Path], None], site_dir: Path, serve: Callable[..., Server]
) -> None:
    neighbours(site_dir)
    oddity(site_dir)
    assert_reported_and_neighbours_served(serve(site_dir), oddity)


def test_what_comes_while_the_server_runs_is_reported_one_after_the_other(
    site_dir: Path, serve: Callable[..., Server]
) -> None:
    neighbours(site_dir)
    server = serve(site_dir)
    site = server.site
    assert site is not None
    for oddity in ODDITIES:
        odd = content(site_dir)
        before = {path: path.lstat().st_mtime_ns for path in all_paths(odd)}
        oddity(site_dir)
        eventually(lambda: len(site.problems()) == 1)
        assert_reported_and_neighbours_served(server, oddity)
        for path in sorted(all_paths(odd) - set(before), key=lambda path: -len(path.parts)):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        eventually(lambda: site.problems() == [])


def all_paths(folder: Path) -> set[Path]:
    return {Path(parent, name) for parent, folders, names in os.walk(folder) for name in (*folders, *names)}


def test_an_empty_file_is_an_empty_entry(site_dir: Path, serve: Callable[..., Server]) -> None:
    neighbours(site_dir)
    write(site_dir, "odd/empty.yaml", "")
    write(site_dir, "odd/blank/entry.yaml", "\n# nothing\n")
    write(site_dir, "odd/body/entry.md", "")
    server = serve(site_dir)
    assert server.site is not None
    assert server.site.problems() == []
    entries = Entries(server)
    for name in ("empty", "blank", "body"):
        assert entries.get(f"odd/{name}").status_code == 200


def test_other_files_and_hidden_ones_are_nobodys_business(
    site_dir: Path, serve: Callable[..., Server]
) -> None:
    neighbours(site_dir)
    for name in (
        "notes.txt",
        "picture.png",
        ".hidden.yaml",
        ".git/config.yaml",
        "x.yml",
        "y.yaml~",
        "odd/.z.yaml",
    ):
        write(site_dir, name, "a: [")
    (content(site_dir) / ".link").symlink_to("/etc")
    server = serve(site_dir)
    assert server.site is not None
    assert server.site.problems() == []
    assert server.get("/health").json()["entries"] == len(NEIGHBOURS)


def test_nothing_behind_a_link_is_read_or_written(site_dir: Path, serve: Callable[..., Server]) -> None:
    neighbours(site_dir)
    link_outside(site_dir)
    server = serve(site_dir)
    entries = Entries(server)
    before = (site_dir / "outside" / "secret" / "entry.yaml").read_bytes()
    for send in (
        lambda: entries.send("POST", id="odd/x/secret", data={"title": "mine"}),
        lambda: entries.send("POST", id="odd/x/new", data={"title": "mine"}),
        lambda: entries.send("PATCH", id="odd/x/secret", data={"title": "mine"}),
        lambda: entries.send("DELETE", id="odd/x/secret"),
        lambda: entries.send("PUT", id="odd/good", new_id="odd/x/good"),
        lambda: entries.send("PUT", "/copy", id="odd/good", new_id="odd/x/good"),
    ):
        answer = send()
        assert 400 <= answer.status_code < 500
        assert "secret" not in answer.text
    assert entries.get("odd/x/secret").status_code == 404
    assert (site_dir / "outside" / "secret" / "entry.yaml").read_bytes() == before
    assert [path.name for path in (site_dir / "outside").rglob("*")] == ["secret", "entry.yaml"]


def test_an_unreadable_folder_keeps_what_is_known_of_it(
    site_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours(site_dir)
    keeper = Keeper(site_dir)
    keeper.prepare(watch=False)
    real = {"open": os.open, "lstat": os.lstat}

    def refuse(name: str, path: str, *rest: int) -> object:
        if "/odd" in str(path) and (name == "open" or "/odd/" in str(path)):
            raise PermissionError(13, "Permission denied", path)
        return real[name](path, *rest)

    with monkeypatch.context() as patch:
        for name in real:
            patch.setattr(scan_module.os, name, lambda path, *rest, name=name: refuse(name, path, *rest))
        write(site_dir, "plain.yaml", "title: changed\n")
        assert keeper.compare() == 1
        assert set(keeper.store.state.entries) == set(NEIGHBOURS)
        assert [problem.path for problem in keeper._files.problems()] == ["content/odd"]
    assert keeper.compare() == 0
    assert keeper._files.problems() == []
    keeper.close()


def test_an_unreadable_file_is_tried_again(site_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    neighbours(site_dir)
    keeper = Keeper(site_dir)
    real = Disk.raw

    def refuse(disk: Disk, slug: str, form: str) -> bytes:
        if slug == "odd/good":
            raise PermissionError(13, "Permission denied")
        return real(disk, slug, form)

    with monkeypatch.context() as patch:
        patch.setattr(Disk, "raw", refuse)
        keeper.prepare(watch=False)
        assert set(keeper.store.state.entries) == set(NEIGHBOURS) - {"odd/good"}
        (problem,) = keeper._files.problems()
        assert (problem.path, problem.reason) == (
            "content/odd/good.yaml",
            "it cannot be read: Permission denied",
        )
    assert keeper.compare() == 1
    assert set(keeper.store.state.entries) == set(NEIGHBOURS)
    assert keeper._files.problems() == []
    keeper.close()


def test_many_oddities_are_reported_without_delay(site_dir: Path) -> None:
    folder = content(site_dir)
    for number in range(5_000):
        (folder / f"x{number}.yaml").symlink_to("nothing")
    keeper = Keeper(site_dir)
    keeper.prepare(watch=False)
    assert len(Scan(keeper.store.tree).walk().problems) == 5_000
    assert keeper.compare() == 0
    keeper.close()
