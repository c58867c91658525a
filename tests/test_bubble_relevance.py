"""`sort_field=_relevance`: the things that words are found in, in the order of how well they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bubble_samples import TONY, catalogue, thing, units, users

from flatdata.access.privacy import ADMIN, Caller
from flatdata.dialects.bubble.constraints import Reading
from flatdata.dialects.bubble.errors import Refused
from flatdata.dialects.bubble.parameters import parse_search
from flatdata.dialects.bubble.search import run
from flatdata.index.index import Index
from flatdata.index.terms import analyse
from flatdata.store.state import State

ROWS: dict[str, dict[str, Any]] = {
    "once": {"Name": "a red house with a garden and a long long description of it"},
    "twice": {"Name": "a red house, red as the roof"},
    "tags": {"Name": "house", "Tags": ["red", "red door", "red"]},
    "other": {"Name": "a blue house"},
    "same": {"Name": "a red house, red as the roof"},
}


def found(
    tmp_path: Path,
    constraints: list[dict[str, Any]],
    caller: Caller = ADMIN,
    privacy: Any = None,
    **more: Any,
) -> list[str]:
    state = State()
    for day, (name, row) in enumerate(ROWS.items(), start=1):
        created = f"2020-01-{28 - day:02d}T00:00:00.000Z"
        state.put(thing(row, f"units/{name}", created_at=created, created_by=TONY))
    of = catalogue(units(privacy=privacy) if privacy else units(), users())
    reading = Reading(of.types["rentalunit"], of, analyse, lambda address: None)
    parameters = {"constraints": constraints, "sort_field": "_relevance", "descending": "true", **more}
    index = Index(state, tmp_path)
    try:
        grants = reading.thing_type.policy.grants(caller)
        return [each.name for each in run(parse_search(parameters), reading, grants, index.search).entries]
    finally:
        index.close()


def words(text: str, key: str = "_all", kind: str = "text contains") -> dict[str, Any]:
    return {"key": key, "constraint_type": kind, "value": text}


def test_things_come_by_how_well_they_fit_and_then_by_creation(tmp_path: Path) -> None:
    assert found(tmp_path, [words("red house")]) == ["tags", "same", "twice", "once"]
    assert found(tmp_path, [words("red", "Name")]) == ["same", "twice", "once"]


def test_ascending_the_worst_come_first_as_with_other_fields(tmp_path: Path) -> None:
    assert found(tmp_path, [words("red house")], descending="") == ["once", "same", "twice", "tags"]


def test_equally_good_things_are_sorted_by_the_other_fields(tmp_path: Path) -> None:
    by_id = [{"sort_field": "_id", "descending": True}]
    assert found(tmp_path, [words("red", "Name")], additional_sort_fields=by_id) == ["twice", "same", "once"]


def test_pages_go_on_where_the_last_one_ended(tmp_path: Path) -> None:
    pages = [found(tmp_path, [words("red house")], cursor=cursor, limit=1) for cursor in range(5)]
    assert pages == [["tags"], ["same"], ["twice"], ["once"], []]


@pytest.mark.parametrize(
    "constraints",
    [[], [words("red", kind="not text contains")], [words("a red house", "Name", "equals")]],
)
def test_without_words_there_is_no_relevance(tmp_path: Path, constraints: list[dict[str, Any]]) -> None:
    with pytest.raises(Refused) as refused:
        found(tmp_path, constraints)
    assert (refused.value.http, refused.value.code) == (400, "ERROR")
    assert refused.value.message == "Unrecognized field: _relevance"


def test_words_in_fields_that_are_hidden_on_some_things_find_but_do_not_count(tmp_path: Path) -> None:
    own = {"field": "Created By", "equals": {"user": "_id"}}
    everyone = {"find": True, "view": ["Name", "Created By"]}
    some_tags = [everyone, {"when": own, "view": ["Tags"]}]
    tony = Caller(user_id=TONY, user=thing({}, f"users/{TONY}"))
    assert found(tmp_path, [words("red")], tony, [everyone]) == ["same", "twice", "once"]
    assert found(tmp_path, [words("red")], tony, some_tags) == ["same", "twice", "once", "tags"]
    all_tags = [everyone, {"view": ["Tags"]}]
    assert found(tmp_path, [words("red")], tony, all_tags) == ["tags", "same", "twice", "once"]
