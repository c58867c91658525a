"""Words anywhere in a thing (the key `_all`): the index of words finds what the things show."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bubble_http import Bubble, admin, put_manifest, put_row
from bubble_samples import catalogue, source
from conftest import Server
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_words import Site

from flatdata.access.privacy import ADMIN
from flatdata.dialects.bubble.constraints import Reading
from flatdata.dialects.bubble.parameters import parse_search
from flatdata.dialects.bubble.render import thing
from flatdata.dialects.bubble.search import run
from flatdata.index import index as index_module
from flatdata.index import words as words_module
from flatdata.index import words_writer as writer_module
from flatdata.index.terms import analyse
from flatdata.store.changes import Put

NOIR = {"address": "noir street", "lat": 1.0, "lng": 2.0}
FIELDS = {
    "Name": "text",
    "Tags": "list.text",
    "Status": "option.status",
    "States": "list.option.status",
    "Place": "geographic_address",
    "Places": "list.geographic_address",
    "Place.address": "text",
    "2024": "geographic_address",
    "5.": "geographic_address",
}
HOMES: dict[str, Any] = {
    "id": 1,
    "name": "Homes",
    "bubble": {"exposed": True, "display": "Home", "fields": FIELDS},
}
WITH_NOIR: dict[str, dict[str, Any]] = {
    "text": {"Place": "noir street"},
    "mapping": {"Place": NOIR},
    "texts": {"Places": ["rue verte", "noir street"]},
    "mappings": {"Places": [{"address": "rue verte"}, NOIR]},
    "mixed": {"Places": ["noir street", {"address": "rue verte"}]},
    "one": {"Places": NOIR},
    "tag": {"Tags": "noir"},
    "states": {"States": ["rouge", "noir"]},
    "dotted": {"Place.address": "noir"},
    "digits": {"2024": NOIR},
    "digits and a dot": {"5.": NOIR},
}
WITHOUT: dict[str, dict[str, Any]] = {
    "list in a text": {"Name": ["noir"]},
    "list in an option": {"Status": ["noir"]},
    "text in a list as an address": {"Place": ["noir street"]},
    "mapping in a list as an address": {"Place": [NOIR]},
    "list in a list": {"Place": [[{"address": "noir"}]]},
    "texts in a list in a list": {"Places": [["noir"]]},
    "list as address": {"Places": [{"address": ["noir"]}]},
    "mapping as address": {"Place": {"address": {"0": "noir"}}},
    "other key": {"Place": {"street": "noir", "address": "rue verte"}},
    "no key": {"Place": {"": "noir", "0": "noir"}},
    "elsewhere": {"": {"Place": {"address": "noir"}}, "7": {"Place": "noir"}},
}
PLAIN = 60


@pytest.fixture
def api(site_dir: Path, serve_with_words: Callable[[Path], Server]) -> Bubble:
    put_manifest(site_dir, "homes", HOMES)
    for name, columns in (WITH_NOIR | WITHOUT).items():
        put_row(site_dir, f"homes/{name.replace(' ', '-')}", **columns)
    for number in range(PLAIN):
        put_row(site_dir, f"homes/plain-{number}", Place={"address": f"rue {number}"})
    return admin(serve_with_words(site_dir))


def names(rows: dict[str, dict[str, Any]]) -> set[str]:
    return {name.replace(" ", "-") for name in rows}


def test_addresses_are_found_in_whatever_form_they_are_stored(api: Bubble) -> None:
    assert set(api.names("home", ("_all", "text contains", "noir"), limit=100)) == names(WITH_NOIR)


def test_what_is_no_address_is_not_found_as_one(api: Bubble) -> None:
    others = api.names("home", ("_all", "not text contains", "noir"), limit=100)
    assert set(others) == names(WITHOUT) | {f"plain-{number}" for number in range(PLAIN)}


def test_words_may_be_spread_over_the_addresses_of_a_list(api: Bubble) -> None:
    found = api.names("home", ("_all", "text contains", "verte noir"), limit=100)
    assert set(found) == {"texts", "mappings", "mixed"}


def test_addresses_are_ranked_as_by_reading_them(api: Bubble, monkeypatch: pytest.MonkeyPatch) -> None:
    sort = {"sort_field": "_relevance", "descending": "true", "limit": 100}
    ranked = api.names("home", ("_all", "text contains", "noir"), **sort)
    monkeypatch.setattr(index_module, "SMALL", 10_000)
    assert ranked == api.names("home", ("_all", "text contains", "noir"), **sort)
    assert set(ranked) == names(WITH_NOIR)


# --- everything at random ---------------------------------------------------------------------------------

TEXTS = st.sampled_from(["noir", "noir street", "rue noir, rue verte", "", "the", "7", "yes", "x" * 65])
SCALARS = TEXTS | st.sampled_from([None, True, 7, 7.5, 10**30])
ADDRESSES = st.dictionaries(
    st.sampled_from(["address", "lat", "lng", "street", "0", ""]),
    SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["0", "address"]), TEXTS),
    max_size=3,
)
VALUES = st.recursive(SCALARS | ADDRESSES, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
COLUMNS = st.sampled_from([*FIELDS, "", "7", "address"])
ROWS = st.lists(
    st.dictionaries(COLUMNS, VALUES | st.dictionaries(COLUMNS, VALUES, max_size=2), max_size=4),
    min_size=1,
    max_size=12,
)
EQUALLY_GOOD = [{"Place.address": "noir noir noir rues"}, {"Place.address": "noir rues rues rues"}]
"""Unless one of the words is rarer than the other."""
SOUGHT = st.sampled_from(["noir", "street noir", "verte rue", "7", "yes", "x" * 65])


def reading_of(captions: list[str]) -> Reading:
    """The type that has these fields."""
    fields = {caption: FIELDS[caption] for caption in captions}
    of = catalogue(source(1, "c", HOMES["bubble"] | {"fields": fields}))
    return Reading(of.types["home"], of, analyse, lambda address: None)


def shown_with(site: Site, captions: list[str], words: str) -> set[str]:
    """The things that show all the words to whoever gets them, by their fields' types."""
    found = set()
    for entry in site.store.children("c"):
        shown = thing(reading_of(captions).thing_type, entry, "display")
        values = [value for caption in captions if (value := shown.get(caption)) is not None]
        items = [item for value in values for item in (value if isinstance(value, list) else [value])]
        texts = [item.get("address", "") if isinstance(item, dict) else item for item in items]
        if set(analyse(words)) <= {stem for text in texts for stem in analyse(text)}:
            found.add(entry.name)
    return found


def searches(site: Site, captions: list[str], words: str) -> list[list[str]]:
    """What is found with the words, without them, and by how well it fits, where a type has these fields."""
    reading = reading_of(captions)
    grants = reading.thing_type.policy.grants(ADMIN)

    def found(kind: str, **more: Any) -> list[str]:
        constraint = {"key": "_all", "constraint_type": kind, "value": words}
        search = parse_search({"constraints": [constraint], **more})
        return [entry.name for entry in run(search, reading, grants, site.index.search).entries]

    return [
        found("text contains"),
        found("not text contains"),
        found("text contains", sort_field="_relevance", descending="true"),
    ]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    rows=ROWS,
    captions=st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=5, unique=True),
    sought=st.lists(SOUGHT, min_size=1, max_size=3, unique=True),
)
@example([*WITH_NOIR.values(), *WITHOUT.values()], list(FIELDS), ["noir", "verte noir"])
@example([*WITH_NOIR.values(), *WITHOUT.values()], ["Name", "Place", "Places"], ["noir", "verte noir"])
@example([{"Name": True}, {"Status": True}, {"Tags": True}], ["Name", "Status", "Tags"], ["yes"])
@example([{"Name": 7.5}, {"Status": 7.5}, {"States": [7, 7.5]}], ["Name", "Status", "States"], ["7"])
@example([*EQUALLY_GOOD, {"Place": {"address": "noir"}}], ["Place.address"], ["noir rues"])
@example([*EQUALLY_GOOD, {"Place": {"address": "rues"}}], ["Place.address"], ["noir rues"])
@example(
    [{"Places": [[{"address": "noir " * 5}], "noir rue"]}, {"Places": "noir noir"}], ["Places"], ["noir"]
)
def test_the_index_finds_anywhere_what_the_things_show(
    rows: list[dict[str, Any]], captions: list[str], sought: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_module, "_REFRESH_SECONDS", 0.0)
        patch.setattr(writer_module, "_COMMIT_SECONDS", 0.002)
        site = Site(Path(tempfile.mkdtemp()))
        try:
            site.commit(*(Put(f"c/e{number:02d}", fields) for number, fields in enumerate(rows)))
            site.catch_up()
            for words in sought:
                patch.setattr(index_module, "SMALL", 10_000)
                expected = searches(site, captions, words)
                assert set(expected[0]) == shown_with(site, captions, words)
                patch.setattr(index_module, "SMALL", 0)
                assert searches(site, captions, words) == expected
        finally:
            site.close()
            shutil.rmtree(site.root)
