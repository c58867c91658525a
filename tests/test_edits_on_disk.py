"""What somebody does to the files, with an editor, a shell or git, is what the next answer says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Server, eventually, write

FILES = 3_000


def entry(server: Server, slug: str) -> dict[str, object] | None:
    """The entry as the API gives it, None if there is none."""
    answer = server.get(f"/api/entries?id={slug}&token={server.tokens['entries']}")
    assert answer.status_code in (200, 404), answer.text
    found: dict[str, object] | None = answer.json()["data"] if answer.status_code == 200 else None
    return found


def titles(server: Server, where: str) -> int:
    """How many films of the collection have exactly this title."""
    query = "&".join(
        [
            "id=films",
            "options[collection]=true",
            "options[filter][where][0][key]=title",
            "options[filter][where][0][operator]=eq",
            f"options[filter][where][0][value]={where}",
            f"token={server.tokens['entries']}",
        ]
    )
    answer = server.get(f"/api/entries?{query}")
    return len(answer.json()["data"]) if answer.status_code == 200 else 0


def test_an_edit_in_place(server: Server) -> None:
    path = write(server.root, "a/entry.yaml", "title: One\n")
    eventually(lambda: entry(server, "a"))
    path.write_text("title: Two\n", encoding="utf-8")
    eventually(lambda: (entry(server, "a") or {}).get("title") == "Two")


def test_an_edit_by_temporary_file_and_rename(server: Server) -> None:
    path = write(server.root, "a.yaml", "title: One\n")
    eventually(lambda: entry(server, "a"))
    temporary = path.with_name(".a.yaml.swp")
    temporary.write_text("title: Two\n", encoding="utf-8")
    os.replace(temporary, path)
    eventually(lambda: (entry(server, "a") or {}).get("title") == "Two")


def test_an_edit_that_keeps_size_and_date(server: Server) -> None:
    path = write(server.root, "a.yaml", "title: One\n")
    eventually(lambda: entry(server, "a"))
    status = path.stat()
    other = path.with_name(".other")
    other.write_text("title: Two\n", encoding="utf-8")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)
    eventually(lambda: (entry(server, "a") or {}).get("title") == "Two")


def test_a_tree_moved_inside_out_and_in_again(server: Server, tmp_path: Path) -> None:
    for number in range(60):
        write(server.root, f"old/deep/e{number}/entry.yaml", f"n: {number}\n")
    eventually(lambda: entry(server, "old/deep/e59"))
    content = server.root / "content"
    (content / "new").mkdir()
    os.rename(content / "old" / "deep", content / "new" / "place")
    eventually(lambda: entry(server, "new/place/e7") and not entry(server, "old/deep/e7"))
    os.rename(content / "new" / "place", tmp_path / "outside")
    eventually(lambda: not entry(server, "new/place/e59"))
    os.rename(tmp_path / "outside", content / "back")
    eventually(lambda: (entry(server, "back/e59") or {}).get("n") == 59)


def test_a_tree_removed(server: Server) -> None:
    for number in range(60):
        write(server.root, f"films/e{number}/entry.yaml", "title: Same\n")
    eventually(lambda: titles(server, "Same") == 60)
    shutil.rmtree(server.root / "content" / "films")
    eventually(lambda: titles(server, "Same") == 0)
    assert entry(server, "films/e3") is None


def test_a_broken_file_disappears_alone_and_comes_back_repaired(server: Server) -> None:
    path = write(server.root, "films/a.yaml", "title: A\n")
    write(server.root, "films/b.yaml", "title: B\n")
    eventually(lambda: entry(server, "films/a") and entry(server, "films/b"))
    path.write_text("title: A\nbroken: [\n", encoding="utf-8")
    eventually(lambda: not entry(server, "films/a"))
    assert entry(server, "films/b")
    assert server.site is not None
    problem = eventually(server.site.problems)[0]
    assert problem.path == "content/films/a.yaml"
    assert problem.line is not None
    assert eventually(lambda: server.get("/health").json()["problems"]) == 1
    path.write_text("title: Repaired\n", encoding="utf-8")
    eventually(lambda: (entry(server, "films/a") or {}).get("title") == "Repaired")
    eventually(lambda: server.get("/health").json()["problems"] == 0)


def test_the_folder_form_wins_over_the_single_file(server: Server) -> None:
    write(server.root, "films/a.yaml", "title: File\n")
    eventually(lambda: (entry(server, "films/a") or {}).get("title") == "File")
    folder = write(server.root, "films/a/entry.md", "---\ntitle: Folder\n---\nText\n")
    eventually(lambda: (entry(server, "films/a") or {}).get("content") == "Text")
    folder.unlink()
    eventually(lambda: (entry(server, "films/a") or {}).get("title") == "File")


@pytest.fixture
def branches(site_dir: Path) -> None:
    """A repository whose branch `other` changes, adds and removes thousands of films."""
    content = site_dir / "content"
    for number in range(FILES):
        write(site_dir, f"films/f{number:04d}.yaml", "title: Main\n")

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(content), *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("config", "user.email", "test@example.org")
    git("config", "user.name", "test")
    git("add", ".")
    git("commit", "-qm", "Main")
    git("checkout", "-q", "-b", "other")
    for number in range(0, FILES, 2):
        write(site_dir, f"films/f{number:04d}.yaml", "title: Other\n")
    for number in range(1, 400, 2):
        (content / "films" / f"f{number:04d}.yaml").unlink()
    for number in range(300):
        write(site_dir, f"films/new{number:04d}/entry.yaml", "title: New\n")
    git("add", "-A")
    git("commit", "-qm", "Other")
    git("checkout", "-q", "main")


@pytest.mark.usefixtures("branches")
def test_checking_out_another_branch(server: Server) -> None:
    content = server.root / "content"
    assert titles(server, "Main") == FILES
    subprocess.run(["git", "-C", str(content), "checkout", "-q", "other"], check=True)
    eventually(lambda: titles(server, "Other") == FILES // 2 and titles(server, "New") == 300)
    eventually(lambda: titles(server, "Main") == FILES // 2 - 200)
    subprocess.run(["git", "-C", str(content), "checkout", "-q", "main"], check=True)
    eventually(lambda: titles(server, "Main") == FILES)
    assert titles(server, "Other") == titles(server, "New") == 0
