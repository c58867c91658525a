"""The documentation's examples, request by request, against a real server, whole bodies compared."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from flextype_api import NOT_FOUND, Entries, RunningServer, write_entry

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MTIME = 1_587_118_658
CONTENT = (
    "The Platform (Spanish: El hoyo, transl. The Hole) is a Spanish science fiction horror-thriller film, "
    "directed by Galder Gaztelu-Urrutia and released in 2019."
)
NEW_CONTENT = (
    "A vertical prison with one cell per level. Two people per cell. One only food platform and two minutes "
    "per day to feed from up to down. An endless nightmare trapped in The Hole."
)
PLUGIN = """
from flatdata.plugins import hookimpl

def fetch_from_other_db(id, options):
    if options.get("fail"):
        raise RuntimeError("secret of the database")
    return {"id": id, "options": options} if id != "nothing" else None

@hookimpl
def flatdata_macros():
    return {"fetchFromOtherDB": fetch_from_other_db, "other": lambda id, options: {"no": object()}}
"""


@pytest.fixture
def site_dir(site_dir: Path) -> Path:
    """A site with the catalogue of the documentation."""
    films = {
        "movies": "title: Movies\n",
        "movies/birds-of-prey": (
            "title: Birds of Prey\ndirector: Cathy Yan\nyear: 2020\ngenre: action, drama\n"
        ),
        "movies/dead-pigs": "title: Dead Pigs\ndirector: Cathy Yan\nyear: 2018\ngenre: comedy, drama\n",
        "movies/aurora": "title: Aurora\ndirector: Somebody Else\nyear: 2020\ngenre: drama\n",
    }
    for id, text in films.items():
        os.utime(write_entry(site_dir, id, text, "entry.yaml"), (MTIME, MTIME))
    plugin = site_dir / "plugins" / "other" / "plugin.py"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.write_text(PLUGIN)
    return site_dir


@pytest.fixture
def entries(server: RunningServer) -> Entries:
    return Entries(server)


def film(id: str, **fields: Any) -> dict[str, Any]:
    dates = {"published_at": MTIME, "modified_at": MTIME, "created_at": MTIME}
    return {
        **fields,
        "content": "",
        "slug": id,
        **dates,
        "routable": True,
        "visibility": "visible",
        "id": id,
    }


BIRDS = film(
    "movies/birds-of-prey", title="Birds of Prey", director="Cathy Yan", year=2020, genre="action, drama"
)
PIGS = film("movies/dead-pigs", title="Dead Pigs", director="Cathy Yan", year=2018, genre="comedy, drama")
AURORA = film("movies/aurora", title="Aurora", director="Somebody Else", year=2020, genre="drama")
ALL = {each["id"]: each for each in (AURORA, BIRDS, PIGS)}


def test_fetch_movies_entry(entries: Entries) -> None:
    answer = entries.query("id=movies")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.text == (
        '{"data":{"title":"Movies","content":"","slug":"movies","published_at":1587118658,'
        '"modified_at":1587118658,"created_at":1587118658,"routable":true,"visibility":"visible","id":"movies"}}'
    )


def test_fetch_movies_collection(entries: Entries) -> None:
    answer = entries.query("id=movies&options[collection]=true").json()
    assert answer == {"data": ALL}
    assert list(answer["data"]) == sorted(ALL)


def test_where_director_is_equal_as_the_example_is_written(entries: Entries) -> None:
    # The example gives the operator the index 9: both conditions are incomplete, and are passed over.
    query = (
        "id=movies&options[collection]=true&options[filter][where][0][key]=director"
        "&options[filter][where][9][operator]=eq&options[filter][where][0][value]=Cathy+Yan"
    )
    assert entries.query(query).json() == {"data": ALL}


def test_where_director_is_equal_as_the_example_is_meant(entries: Entries) -> None:
    query = (
        "id=movies&options[collection]=true&options[filter][where][0][key]=director"
        "&options[filter][where][0][operator]=eq&options[filter][where][0][value]=Cathy+Yan"
    )
    assert entries.query(query).json() == {"data": {"movies/birds-of-prey": BIRDS, "movies/dead-pigs": PIGS}}


def test_three_conditions_as_the_example_is_written(entries: Entries) -> None:
    # The last duplicate wins: year contains "drama", which no number does.
    query = (
        "id=movies&options[collection]=true&options[filter][where][0][key]=director"
        "&options[filter][where][0][operator]=eq&options[filter][where][0][value]=Cathy+Yan"
        "&options[filter][where][1][key]=year&options[filter][where][1][operator]=eq"
        "&options[filter][where][1][value]=2020&options[filter][where][2][key]=genre"
        "&options[filter][where][1][operator]=contains&options[filter][where][1][value]=drama"
    )
    answer = entries.query(query)
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_three_conditions_as_the_example_is_meant(entries: Entries) -> None:
    query = (
        "id=movies&options[collection]=true&options[filter][where][0][key]=director"
        "&options[filter][where][0][operator]=eq&options[filter][where][0][value]=Cathy+Yan"
        "&options[filter][where][1][key]=year&options[filter][where][1][operator]=eq"
        "&options[filter][where][1][value]=2020&options[filter][where][2][key]=genre"
        "&options[filter][where][2][operator]=contains&options[filter][where][2][value]=drama"
    )
    assert entries.query(query).json() == {"data": {"movies/birds-of-prey": BIRDS}}


# --- options[method] ----------------------------------------------------------------------------------


def test_a_registered_macro_is_called_with_id_and_options(entries: Entries) -> None:
    answer = entries.query("id=movies&options[method]=fetchFromOtherDB&options[foo][bar]=1")
    expected = {"id": "movies", "options": {"method": "fetchFromOtherDB", "foo": {"bar": "1"}}}
    assert (answer.status_code, answer.json()) == (200, {"data": expected})


def test_a_macro_that_finds_nothing_is_a_404(entries: Entries) -> None:
    answer = entries.query("id=nothing&options[method]=fetchFromOtherDB")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    "query", ["options[method]=fetchFromOtherDB&options[fail]=1", "options[method]=other"]
)
def test_a_macro_that_fails_gives_nothing_away(entries: Entries, query: str) -> None:
    answer = entries.query(f"id=movies&{query}")
    assert answer.status_code == 500
    assert answer.text == '{"http_status_code":500,"message":"Internal Error"}'


@pytest.mark.parametrize("name", ["fetch", "Fetch", "delete", "__class__", "render", ""])
def test_other_methods_are_the_default_fetch(entries: Entries, name: str) -> None:
    assert entries.query(f"id=movies/aurora&options[method]={name}").json() == {"data": AURORA}


@pytest.mark.parametrize("name", ["fetchFoo", "prefetch", "fetch__init__"])
def test_unregistered_fetch_methods_do_not_exist(entries: Entries, name: str) -> None:
    answer = entries.query(f"id=movies/aurora&options[method]={name}")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


# --- the life of the entry movies/platform ------------------------------------------------------------


def test_platform_is_created_updated_moved_copied_and_deleted(entries: Entries) -> None:
    started = int(time.time())
    created = entries.send("POST", id="movies/platform", data={"title": "Platform", "content": CONTENT})
    assert created.status_code == 200
    assert created.headers["Content-Type"] == "application/json;charset=UTF-8"
    data = created.json()["data"]
    minute = data["published_at"]
    assert minute % 60 == 0
    assert started - 60 < minute <= time.time()
    assert started <= data["modified_at"] <= time.time()
    assert UUID4.fullmatch(data["uuid"])
    expected = {
        "title": "Platform",
        "published_at": minute,
        "published_by": "",
        "created_at": minute,
        "created_by": "",
        "routable": True,
        "visibility": "visible",
        "uuid": data["uuid"],
        "content": CONTENT,
        "slug": "movies/platform",
        "modified_at": data["modified_at"],
        "id": "movies/platform",
    }
    assert list(created.json()) == ["data"]
    assert list(data.items()) == list(expected.items())
    assert entries.get("movies/platform").content == created.content

    updated = entries.send("PATCH", id="movies/platform", data={"content": NEW_CONTENT})
    assert updated.status_code == 200
    expected |= {"content": NEW_CONTENT, "modified_at": updated.json()["data"]["modified_at"]}
    assert updated.json() == {"data": expected}
    assert entries.get("movies/platform").content == updated.content

    moved = entries.send("PUT", id="movies/platform", new_id="movies/the-platform")
    assert moved.status_code == 200
    expected |= {"slug": "movies/the-platform", "id": "movies/the-platform"}
    assert moved.json() == {"data": expected}
    assert entries.get("movies/platform").status_code == 404

    moved = entries.send("PUT", id="movies/the-platform", new_id="movies/2019/the-platform")
    expected |= {"slug": "movies/2019/the-platform", "id": "movies/2019/the-platform"}
    assert (moved.status_code, moved.json()) == (200, {"data": expected})
    assert entries.get("movies/2019/the-platform").content == moved.content

    copied = entries.send("PUT", "/copy", id="movies/2019/the-platform", new_id="movies/horror/the-platform")
    assert copied.status_code == 200
    modified = copied.json()["data"]["modified_at"]
    copy = expected | {"slug": "movies/horror/the-platform", "id": "movies/horror/the-platform"}
    assert copied.json() == {"data": copy | {"modified_at": modified}}
    assert entries.get("movies/2019/the-platform").json() == {"data": expected}

    deleted = entries.send("DELETE", id="movies/horror/the-platform")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert "Content-Type" not in deleted.headers
    assert entries.get("movies/horror/the-platform").json() == NOT_FOUND
    assert entries.send("DELETE", id="movies/horror/the-platform").json() == NOT_FOUND


# --- headers ------------------------------------------------------------------------------------------

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "X-Requested-With, Content-Type, Accept, Origin, Authorization",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, PATCH, OPTIONS",
    "Access-Control-Allow-Expose": "",
    "Access-Control-Allow-Credentials": "",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("OPTIONS", ""),
        ("OPTIONS", "/copy"),
        ("OPTIONS", "/any/path"),
        ("GET", "/copy"),
        ("GET", "/"),
        ("TRACE", ""),
        ("DELETE", "/x"),
    ],
)
def test_every_answer_has_the_cors_headers(entries: Entries, method: str, path: str) -> None:
    answer = entries.session.request(method, entries.url + path, timeout=30)
    assert {name: answer.headers.get(name) for name in CORS} == CORS
    assert "Set-Cookie" not in answer.headers


@pytest.mark.settings(
    **{
        "flextype.cors.origin": "https://a.example",
        "flextype.cors.credentials": True,
        "flextype.cors.expose": ["X-Request-Id"],
        "flextype.cors.headers": ["Accept"],
        "flextype.cors.methods": ["GET"],
    }
)
def test_cors_headers_follow_the_settings(entries: Entries) -> None:
    headers = entries.query("id=movies").headers
    assert headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Access-Control-Expose-Headers"] == "X-Request-Id"
    assert headers["Access-Control-Allow-Headers"] == "Accept"
    assert headers["Access-Control-Allow-Methods"] == "GET"


@pytest.mark.settings(**{"flextype.cors.enabled": False})
def test_cors_headers_can_be_switched_off(entries: Entries) -> None:
    headers = entries.query("id=movies").headers
    assert not any(name.startswith("Access-Control") for name in headers)


@pytest.mark.parametrize("path", ["", "/copy", "/", "/a/b"])
def test_options_is_empty(entries: Entries, path: str) -> None:
    answer = entries.session.options(entries.url + path, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/", "OPTIONS"),
        ("POST", "/movies", "OPTIONS"),
        ("PUT", "/copy/", "OPTIONS"),
        ("GET", "//", "OPTIONS"),
        ("PATCH", "//x/..//", "OPTIONS"),
        ("GET", "/copy", "PUT, OPTIONS"),
        ("DELETE", "/copy", "PUT, OPTIONS"),
        ("TRACE", "", "GET, POST, PATCH, PUT, DELETE, OPTIONS"),
        ("FOO", "", "GET, POST, PATCH, PUT, DELETE, OPTIONS"),
    ],
)
def test_other_methods_and_paths_are_not_allowed(
    entries: Entries, method: str, path: str, allowed: str
) -> None:
    answer = entries.session.request(method, entries.url + path, timeout=30)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert answer.json() == {"message": f"Method not allowed. Must be one of: {allowed}"}


def test_head_is_a_get_without_a_body(entries: Entries) -> None:
    query = {"id": "movies", "token": entries.tokens["token"]}
    answer = entries.session.head(entries.url, params=query, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(entries.get("movies").content))


# --- bodies -------------------------------------------------------------------------------------------


def test_forms_work_for_every_method(entries: Entries) -> None:
    form = {"id": "forms/a", "data[title]": "T", "data[tags][]": "x", **entries.tokens}
    created = entries.session.post(entries.url, data=form, timeout=30).json()["data"]
    assert (created["title"], created["tags"]) == ("T", ["x"])
    form = {"id": "forms/a", "data[title]": "U + ü", **entries.tokens}
    assert entries.session.patch(entries.url, data=form, timeout=30).json()["data"]["title"] == "U + ü"
    form = {"id": "forms/a", "new_id": "forms/b", **entries.tokens}
    assert entries.session.put(entries.url, data=form, timeout=30).status_code == 200
    assert (
        entries.session.delete(entries.url, data={"id": "forms/b", **entries.tokens}, timeout=30).status_code
        == 204
    )


def test_multipart_works_for_post_alone(entries: Entries) -> None:
    parts = {"id": "multi", "data[title]": "T", **entries.tokens}
    files = {name: (None, value) for name, value in parts.items()}
    assert entries.session.post(entries.url, files=files, timeout=30).json()["data"]["title"] == "T"
    assert entries.session.patch(entries.url, files=files, timeout=30).status_code == 400


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.api+json"])
def test_json_goes_by_several_names(entries: Entries, kind: str) -> None:
    body = f'{{"id": "k", "data": [], "token": "{entries.tokens["token"]}", ' + (
        f'"access_token": "{entries.tokens["access_token"]}"}}'
    )
    answer = entries.session.post(entries.url, data=body, headers={"Content-Type": kind}, timeout=30)
    assert answer.status_code == 200


def test_a_post_may_stand_for_another_method(entries: Entries) -> None:
    body = {"id": "movies/aurora", "data": {"title": "A"}, **entries.tokens}
    header = {"X-Http-Method-Override": "PATCH"}
    answer = entries.session.post(entries.url, json=body, headers=header, timeout=30)
    assert answer.json()["data"]["title"] == "A"
    assert entries.send("POST", id="movies/aurora", _METHOD="delete").status_code == 204
    copied = entries.send("POST", "/copy", id="movies/dead-pigs", new_id="pigs", _METHOD="PUT")
    assert copied.status_code == 200
    assert entries.send("POST", id="pigs", _METHOD="FOO").status_code == 405
