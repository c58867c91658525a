"""What somebody does to the files while the server runs is what the next queries find."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Server, eventually, write
from flextype_api import Entries

from flatdata.index.keeper import Keeper

NEIGHBOURS = 60
"""So many that the collection is searched through its index."""


def fill(root: Path) -> None:
    for number in range(NEIGHBOURS):
        write(root, f"films/f{number:02d}.yaml", f"title: Film {number}\nyear: 1990\n")


@pytest.fixture
def films(site_dir: Path, serve: Callable[..., Server]) -> Server:
    """A server over a collection of films."""
    fill(site_dir)
    server = serve(site_dir)
    assert len(found(server, "year", 1990)) == NEIGHBOURS
    return server


def found(server: Server, key: str, value: object, folder: str = "films", limit: int = 10_000) -> list[str]:
    """The ids of the entries below `folder` whose field is equal to `value`, as many as `limit`."""
    answer = Entries(server).query(
        f"id={folder}&options[collection]=true&options[filter][where][0][key]={key}"
        f"&options[filter][where][0][operator]=eq&options[filter][where][0][value]={value}"
        f"&options[filter][limit]={limit}"
    )
    return sorted(answer.json()["data"]) if answer.status_code == 200 else []


def field(server: Server, slug: str, name: str) -> Any:
    """A field of one entry, None if there is no such entry."""
    answer = Entries(server).get(slug)
    return answer.json()["data"].get(name) if answer.status_code == 200 else None


# --- one file -------------------------------------------------------------------------------------------


def test_a_file_edited_in_place_is_found(films: Server) -> None:
    write(films.root, "films/f07.yaml", "title: Film 7\nyear: 2001\n")
    assert eventually(lambda: found(films, "year", 2001)) == ["films/f07"]
    assert len(found(films, "year", 1990)) == NEIGHBOURS - 1
    assert field(films, "films/f07", "year") == 2001


def test_a_file_saved_by_an_editor_is_found(films: Server) -> None:
    target = films.root / "content" / "films" / "f07.yaml"
    swap = target.with_name(".f07.yaml.swp")
    swap.write_text("swap")
    target.with_name("4913").write_text("")
    target.with_name("4913").unlink()
    shutil.copy(target, target.with_name("f07.yaml~"))
    temporary = target.with_name("f07.yaml.new")
    temporary.write_text("title: Film 7\nyear: 2002\n")
    os.replace(temporary, target)
    swap.unlink()
    assert eventually(lambda: found(films, "year", 2002)) == ["films/f07"]
    assert films.site is not None
    assert films.site.problems() == []


def test_a_file_that_is_written_bit_by_bit_is_found_when_it_is_whole(films: Server) -> None:
    with open(films.root / "content" / "films" / "f07.yaml", "w", encoding="utf-8") as file:
        for part in ("title: 'Fil", "m 7'\nyear", ": 2003", "\ntags: [a,", " b]\n"):
            file.write(part)
            file.flush()
    assert eventually(lambda: found(films, "year", 2003)) == ["films/f07"]
    eventually(lambda: field(films, "films/f07", "tags") == ["a", "b"])


def test_a_file_replaced_by_one_of_the_same_size_and_date_is_found(films: Server) -> None:
    target = films.root / "content" / "films" / "f07.yaml"
    other = films.root / "other.yaml"
    other.write_text(target.read_text().replace("1990", "2004"))
    shutil.copystat(target, other)
    os.replace(other, target)
    assert eventually(lambda: found(films, "year", 2004)) == ["films/f07"]


def test_a_new_file_is_found_and_a_deleted_one_is_not(films: Server) -> None:
    write(films.root, "films/new.yaml", "title: New\nyear: 2005\n")
    assert eventually(lambda: found(films, "year", 2005)) == ["films/new"]
    (films.root / "content" / "films" / "new.yaml").unlink()
    eventually(lambda: not found(films, "year", 2005))
    assert Entries(films).get("films/new").status_code == 404


def test_files_in_folders_made_at_the_same_moment_are_found(films: Server) -> None:
    for number in range(20):
        write(films.root, f"deep/{number}/a/b/c/entry.yaml", f"n: x{number}\n")
    for number in range(20):
        slug = f"deep/{number}/a/b/c"
        assert eventually(lambda slug=slug: field(films, slug, "n")) == f"x{number}"


def test_an_entry_with_a_body_is_found(films: Server) -> None:
    write(films.root, "films/story/entry.md", "---\ntitle: Story\nyear: 2006\n---\nOnce upon a time")
    assert eventually(lambda: found(films, "year", 2006)) == ["films/story"]
    assert "Once upon a time" in field(films, "films/story", "content")
    write(films.root, "films/story/entry.md", "---\nyear: 2007\n---\nThe end")
    assert eventually(lambda: found(films, "year", 2007)) == ["films/story"]
    assert "The end" in field(films, "films/story", "content")


# --- broken, doubled, changed in form -------------------------------------------------------------------


def reasons(server: Server) -> dict[str, str]:
    assert server.site is not None
    return {problem.path: problem.reason for problem in server.site.problems()}


def test_a_broken_file_is_left_out_until_it_is_repaired(films: Server) -> None:
    write(films.root, "films/f07.yaml", "title: 'Film 7\nyear: 2008\n")
    eventually(lambda: len(found(films, "year", 1990)) == NEIGHBOURS - 1)
    assert Entries(films).get("films/f07").status_code == 404
    assert "content/films/f07.yaml" in eventually(lambda: reasons(films))
    assert films.site is not None
    assert films.site.problems()[0].line is not None
    assert films.get("/health").json()["problems"] == 1
    write(films.root, "films/f07.yaml", "title: Film 7\nyear: 2008\n")
    assert eventually(lambda: found(films, "year", 2008)) == ["films/f07"]
    eventually(lambda: reasons(films) == {})
    assert films.get("/health").json()["problems"] == 0


def test_of_two_forms_the_folder_wins_and_the_other_is_reported(films: Server) -> None:
    write(films.root, "films/f07/entry.yaml", "title: Folder\nyear: 2009\n")
    assert eventually(lambda: found(films, "year", 2009)) == ["films/f07"]
    eventually(lambda: "films/f07" in reasons(films).get("content/films/f07.yaml", ""))
    (films.root / "content" / "films" / "f07" / "entry.yaml").unlink()
    eventually(lambda: len(found(films, "year", 1990)) == NEIGHBOURS)
    eventually(lambda: reasons(films) == {})


def test_a_file_turned_into_a_folder_and_back_is_the_same_entry(films: Server) -> None:
    single = films.root / "content" / "films" / "f07.yaml"
    folder = films.root / "content" / "films" / "f07"
    folder.mkdir()
    os.rename(single, folder / "entry.yaml")
    write(films.root, "films/f07/child.yaml", "n: 1\n")
    eventually(lambda: field(films, "films/f07/child", "n") == 1)
    eventually(lambda: field(films, "films/f07", "title") == "Film 7")
    write(films.root, "films/f07.yaml", "title: Single\nyear: 2010\n")
    shutil.rmtree(folder)
    assert eventually(lambda: found(films, "year", 2010)) == ["films/f07"]
    eventually(lambda: Entries(films).get("films/f07/child").status_code == 404)
    assert len(found(films, "year", 1990)) == NEIGHBOURS - 1


# --- many files -----------------------------------------------------------------------------------------


def test_a_folder_moved_inside_out_of_and_into_the_content_is_followed(films: Server) -> None:
    content, outside = films.root / "content", films.root / "outside"
    os.rename(content / "films", content / "movies")
    eventually(lambda: len(found(films, "year", 1990, "movies")) == NEIGHBOURS)
    eventually(lambda: found(films, "year", 1990) == [])
    write(films.root, "movies/f00.yaml", "title: Film 0\nyear: 2011\n")
    assert eventually(lambda: found(films, "year", 2011, "movies")) == ["movies/f00"]
    os.rename(content / "movies", outside)
    eventually(lambda: found(films, "year", 1990, "movies") == [])
    (outside / "f01.yaml").write_text("title: Film 1\nyear: 2012\n")
    os.rename(outside, content / "films")
    assert eventually(lambda: found(films, "year", 2012)) == ["films/f01"]
    eventually(lambda: len(found(films, "year", 1990)) == NEIGHBOURS - 2)


def moved(source: Path, target: Path) -> None:
    source.rename(target)


def copied(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    shutil.rmtree(source)


@pytest.mark.parametrize("put_away", [moved, copied])
@pytest.mark.parametrize("folder", ["films", "films/sub"])
def test_a_folder_replaced_by_a_link_to_itself_is_gone_until_it_is_back(
    films: Server, put_away: Callable[[Path, Path], None], folder: str
) -> None:
    write(films.root, "films/sub/a/entry.yaml", "n: 1\n")
    eventually(lambda: field(films, "films/sub/a", "n"))
    left = NEIGHBOURS if folder != "films" else 0
    place, elsewhere = films.root / "content" / folder, films.root / "elsewhere"
    put_away(place, elsewhere)
    place.symlink_to(elsewhere)
    eventually(lambda: len(found(films, "year", 1990)) == left)
    eventually(lambda: field(films, "films/sub/a", "n") is None)
    assert eventually(lambda: reasons(films)) == {f"content/{folder}": "it is a symbolic link"}
    place.unlink()
    put_away(elsewhere, place)
    eventually(lambda: len(found(films, "year", 1990)) == NEIGHBOURS)
    eventually(lambda: field(films, "films/sub/a", "n") == 1)
    eventually(lambda: reasons(films) == {})


def test_an_entry_whose_own_folder_becomes_a_link_is_gone(films: Server) -> None:
    write(films.root, "films/own/entry.yaml", "n: 1\n")
    eventually(lambda: field(films, "films/own", "n"))
    place, elsewhere = films.root / "content/films/own", films.root / "elsewhere"
    place.rename(elsewhere)
    (elsewhere / "entry.yaml").write_text("n: 2\nsecret: true\n")
    place.symlink_to(elsewhere)
    eventually(lambda: field(films, "films/own", "n") is None)
    write(films.root, "films/own.yaml", "n: 3\n")
    eventually(lambda: field(films, "films/own", "n") == 3)


def test_what_a_link_leads_to_is_not_taken_for_an_edit(site_dir: Path) -> None:
    fill(site_dir)
    keeper = Keeper(site_dir)
    keeper.prepare(watch=False)
    folder, elsewhere = site_dir / "content" / "films", site_dir / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    (elsewhere / "f07.yaml").write_text("title: Secret\n")
    # As a change and as one among all: the disk is looked at once more when they are recorded.
    assert keeper.store.ingest(["films/f07"]) == 1
    assert keeper.compare() == NEIGHBOURS - 1
    assert keeper.store.state.entries == {}
    assert not any(b"Secret" in path.read_bytes() for path in (site_dir / ".flatdata" / "log").iterdir())
    keeper.close()
    again = Keeper(site_dir)
    again.prepare(watch=False)
    assert again.store.state.entries == {}
    again.close()


@pytest.mark.parametrize("put_away", [moved, copied])
def test_content_that_becomes_a_link_as_a_whole_is_followed_on(
    films: Server, put_away: Callable[[Path, Path], None]
) -> None:
    content, elsewhere = films.root / "content", films.root / "elsewhere"
    put_away(content, elsewhere)
    content.symlink_to(elsewhere)
    write(films.root, "films/f07.yaml", "title: Film 7\nyear: 2018\n")
    assert eventually(lambda: found(films, "year", 2018)) == ["films/f07"]
    write(films.root, "films/new.yaml", "title: New\nyear: 2019\n")
    assert eventually(lambda: found(films, "year", 2019)) == ["films/new"]
    write(films.root, "songs/first.yaml", "n: 1\n")
    assert eventually(lambda: field(films, "songs/first", "n")) == 1
    eventually(lambda: len(found(films, "year", 1990)) == NEIGHBOURS - 1)


def test_a_folder_deleted_with_all_in_it_is_gone(films: Server) -> None:
    write(films.root, "films/sub/a/entry.yaml", "n: 1\n")
    eventually(lambda: field(films, "films/sub/a", "n"))
    shutil.rmtree(films.root / "content" / "films" / "sub")
    eventually(lambda: Entries(films).get("films/sub/a").status_code == 404)
    shutil.rmtree(films.root / "content" / "films")
    eventually(lambda: found(films, "year", 1990) == [])
    eventually(lambda: films.get("/health").json()["entries"] == 0)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "gc.auto=0")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


FILES = 3_000


@pytest.fixture
def branches(site_dir: Path) -> None:
    """A repository whose branch `two` changes, adds and removes thousands of films of the branch `one`."""
    content = site_dir / "content"
    git(content, "init", "-q", "-b", "one")
    for number in range(FILES):
        write(site_dir, f"films/f{number}.yaml", f"branch: one\nnumber: {number}\n")
    git(content, "add", ".")
    git(content, "commit", "-qm", "one")
    git(content, "checkout", "-qb", "two")
    for number in range(FILES):
        write(site_dir, f"films/f{number}.yaml", f"branch: two\nnumber: {number}\n")
    for number in range(100):
        (content / "films" / f"f{number}.yaml").unlink()
        write(site_dir, f"films/new{number}/entry.yaml", f"branch: two\nnumber: {FILES + number}\n")
    git(content, "add", ".")
    git(content, "commit", "-qm", "two")
    git(content, "checkout", "-q", "one")


@pytest.mark.usefixtures("branches")
def test_another_branch_is_checked_out(site_dir: Path, serve: Callable[..., Server]) -> None:
    server = serve(site_dir)
    assert len(found(server, "branch", "one")) == FILES
    git(site_dir / "content", "checkout", "-q", "two")
    eventually(lambda: not found(server, "branch", "one", limit=1))
    eventually(lambda: found(server, "number", FILES + 99, limit=1))
    eventually(lambda: len(found(server, "branch", "two")) == FILES)
    assert found(server, "number", 99) == []
    assert found(server, "number", FILES + 7) == ["films/new7"]
    git(site_dir / "content", "checkout", "-q", "one")
    eventually(lambda: not found(server, "branch", "two", limit=1))
    eventually(lambda: len(found(server, "branch", "one")) == FILES)


def test_the_whole_content_is_replaced_and_edits_are_still_seen(films: Server) -> None:
    shutil.rmtree(films.root / "content")
    eventually(lambda: found(films, "year", 1990) == [])
    fill(films.root)
    eventually(lambda: len(found(films, "year", 1990)) == NEIGHBOURS)
    write(films.root, "films/f07.yaml", "title: Film 7\nyear: 2013\n")
    assert eventually(lambda: found(films, "year", 2013)) == ["films/f07"]


def test_edits_and_requests_at_the_same_time_end_in_what_the_files_say(films: Server) -> None:
    entries = Entries(films)
    for number in range(30):
        write(films.root, f"films/f{number:02d}.yaml", f"title: By hand {number}\nyear: 2014\n")
        answer = entries.send("PATCH", id=f"films/f{number + 1:02d}", data={"year": 2015})
        assert answer.status_code == 200
    folder = films.root / "content" / "films"
    expected = {f"films/{path.stem}" for path in folder.iterdir() if "2015" in path.read_text()}
    eventually(lambda: set(found(films, "year", 2015)) == expected)
    assert len(expected) + len(found(films, "year", 2014)) == 31


# --- when the watcher fails -----------------------------------------------------------------------------


@pytest.fixture
def keeping(site_dir: Path) -> Iterator[Callable[..., Keeper]]:
    """A function that runs a keeper in a thread."""
    running: list[tuple[Keeper, threading.Event, threading.Thread]] = []

    def start(*, watch: bool = True, **options: Any) -> Keeper:
        keeper = Keeper(site_dir, **options)
        keeper.prepare(watch=watch)
        stop = threading.Event()
        thread = threading.Thread(target=keeper.run, args=(stop,))
        thread.start()
        running.append((keeper, stop, thread))
        return keeper

    yield start
    for keeper, stop, thread in running:
        stop.set()
        thread.join()
        keeper.close()


def test_edits_are_found_by_comparing_where_nobody_watches(
    site_dir: Path, keeping: Callable[..., Keeper]
) -> None:
    fill(site_dir)
    keeper = keeping(watch=False, compare_seconds=0.1)
    write(site_dir, "films/f07.yaml", "year: 2016\n")
    shutil.rmtree(site_dir / "content" / "films", ignore_errors=True)
    write(site_dir, "other/x.yaml", "n: 1\n")
    eventually(lambda: set(keeper.store.state.entries) == {"other/x"})


def test_everything_is_compared_when_the_system_lost_events(
    site_dir: Path, keeping: Callable[..., Keeper]
) -> None:
    fill(site_dir)
    keeper = keeping(compare_seconds=1_000)
    assert keeper._watcher is not None
    keeper._watcher._by_watch.clear()
    write(site_dir, "films/f07.yaml", "year: 2017\n")
    keeper._watcher.on_queue_overflow()

    def year() -> Any:
        entry = keeper.store.get("films/f07")
        return entry is not None and entry.fields["year"] == 2017

    eventually(year)
