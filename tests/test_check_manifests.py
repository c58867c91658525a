"""What `flatdata check` says of parts of manifests that one dialect reads: just what that dialect ignores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flatdata.dialects.appenate import part
from flatdata.dialects.appenate.access import reachable
from flatdata.dialects.appenate.part import company_of, external_id_of, guid_of, places_of
from flatdata.dialects.fliplet import hookproblems
from flatdata.dialects.fliplet.hooks import before_save, read_hooks
from flatdata.store.manifest import Source

GUID = "5b0c6a52-3f0e-4f57-9a43-7d1e8c2b6f90"


def source(slug: str = "sports", **manifest: Any) -> Source:
    return Source(slug, {"id": 1, "name": slug, **manifest})


# --- the part `appenate:` -------------------------------------------------------------------------------


def appenate(slug: str = "sports", columns: list[str] | None = None, **keys: Any) -> Source:
    """A source of company 1 with these keys in its part."""
    return source(slug, columns=columns, appenate={"company_id": 1, **keys})


def said(*sources: Source) -> list[tuple[str, str, str]]:
    return [(problem.slug, problem.field, problem.reason) for problem in part.problems(sources)]


def test_a_part_that_is_read_as_it_stands_has_no_problems() -> None:
    keys = {"guid": GUID, "external_id": "SPORTS-001", "display_at": {"Sport": "title", "Code": "None"}}
    well = appenate(columns=["Code", "Sport"], **keys)
    assert said(well, source("none"), source("null", appenate=None), appenate("twin", company_id=2)) == []
    assert guid_of(well) == GUID.replace("-", "")
    assert (external_id_of(well), company_of(well)) == ("SPORTS-001", 1)
    assert places_of(well) == {"Sport": "Title"}


@pytest.mark.parametrize(
    ("guid", "reason"),
    [
        ("SPORTS", "must be a GUID, not 'SPORTS'"),
        (f"{GUID}0", f"must be a GUID, not '{GUID}0'"),
        (12, "must be a GUID, not '12'"),
        (True, "must be text"),
        ([GUID], "must be text"),
    ],
)
def test_a_guid_that_cannot_be_read_is_none(guid: Any, reason: str) -> None:
    written = appenate(guid=guid)
    assert guid_of(written) is None
    assert said(written) == [("sports", "appenate.guid", reason)]


@pytest.mark.parametrize("external_id", [True, 1.5, ["X"], {"X": 1}])
def test_an_external_id_that_is_no_text_is_none(external_id: Any) -> None:
    written = appenate(external_id=external_id)
    assert external_id_of(written) is None
    assert said(written) == [("sports", "appenate.external_id", "must be text")]


def test_an_external_id_may_be_a_number_if_it_is_not_endless() -> None:
    short, endless = appenate(external_id=7), appenate(external_id=10**4400)
    assert (external_id_of(short), external_id_of(endless)) == ("7", None)
    assert said(short, endless) == [("sports", "appenate.external_id", "must be shorter")]


@pytest.mark.parametrize("company_id", ["one", "1.0", 1.0, True, [1], 10**18])
def test_a_company_that_is_no_integer_is_none_and_nobody_reaches_the_source(company_id: Any) -> None:
    written = appenate(company_id=company_id)
    assert list(reachable([written], 1)) == []
    [(_, field, reason)] = said(written)
    assert field == "appenate.company_id"
    assert reason.startswith("must be an integer")


@pytest.mark.parametrize("company_id", [1, "1", " 1 "])
def test_a_company_may_be_a_number_or_text(company_id: Any) -> None:
    written = appenate(company_id=company_id)
    assert list(reachable([written], 1)) == [written]
    assert said(written) == []


def test_places_that_apps_do_not_know_are_passed_over_one_by_one() -> None:
    places = {"Code": "Bottom", "Sport": "SubLeft", "Info": 1, "Gone": "Thumb"}
    written = appenate(columns=["Code", "Sport", "Info"], display_at=places)
    assert places_of(written) == {"Sport": "SubLeft", "Gone": "Thumb"}
    assert said(written) == [
        ("sports", "appenate.display_at.Code", "must be one of Title, SubLeft, Thumb, not 'Bottom'"),
        ("sports", "appenate.display_at.Info", "must be text"),
        ("sports", "appenate.display_at.Gone", "is not a column"),
    ]


def test_places_of_a_source_whose_columns_are_found_from_its_rows_are_not_judged() -> None:
    assert said(appenate(display_at={"Sport": "Title"})) == []


def test_places_that_are_no_mapping_are_none() -> None:
    written = appenate(display_at=["Title"])
    assert places_of(written) == {}
    assert said(written) == [("sports", "appenate.display_at", "must be a mapping")]


def test_of_two_sources_with_one_id_the_second_is_named() -> None:
    first = appenate("first", guid=GUID, external_id="X")
    second = appenate("second", guid=GUID.upper().replace("-", ""), external_id=" X ")
    other = appenate("other", guid=GUID, external_id="X", company_id=2)
    nobodys = appenate("nobodys", guid=GUID, external_id="X", company_id=None)
    reason = "is that of first, which is found first"
    assert said(first, other, nobodys, second) == [
        ("second", "appenate.guid", reason),
        ("second", "appenate.external_id", reason),
    ]


# --- hooks ----------------------------------------------------------------------------------------------


def hook(**keys: Any) -> dict[str, Any]:
    return {"type": "operations", "runOn": ["beforeSave"], "payload": {"Name": ["trim"]}, **keys}


MAIL = {
    "to": [{"email": "{{Email}}", "name": "{{[First Name]}}"}],
    "subject": "{{Title}}",
    "html": "{{{Text}}}",
}
WELL = [
    hook(),
    hook(
        runOn=["beforeSave", "beforeQuery", "insert", "update"], payload={"Name": ["hash", "lower", "upper"]}
    ),
    hook(payload={"Name": "{{First}} {{#if Last}}{{Last}}{{else}}?{{/if}}"}),
    hook(conditions=[{"Status": {"$in": ["open"]}}, {"$or": [{"Age": {"$gt": 1}}]}], triggers=["form"]),
    hook(type="web", runOn=["insert"], payload={"endpoint": "{{Url}}", "headers": {"X-Name": "{{Name}}"}}),
    hook(
        type="web", runOn=["insert"], payload={"endpoint": "https://a.example", "method": "PUT", "body": {}}
    ),
    hook(type="email", runOn=["update"], payload=MAIL),
    hook(type="sms", runOn=["insert"], payload={"to": "{{Phone}}", "body": "Hello"}),
    hook(type="push", runOn=["insert"], payload={"title": "a", "body": "b"}, appId=1, filter={}),
]
NO_HOOKS: list[tuple[Any, str]] = [
    (None, " must be a mapping"),
    ("web", " must be a mapping"),
    ({}, ".type must be a text that is not empty"),
    (hook(type=5), ".type must be a text that is not empty"),
    (hook(runOn="insert"), ".runOn must be a list of texts"),
    (hook(payload=[]), ".payload must be a mapping"),
    (hook(triggers=[5]), ".triggers must be a list of texts"),
    (hook(conditions=["x"]), ".conditions must be a list of mappings"),
]
DOING_NOTHING: list[tuple[dict[str, Any], str]] = [
    (hook(type="fax"), ".type must be one of operations, email, push, sms, web"),
    (
        hook(runOn=["beforeSave", "afterSave"]),
        ".runOn names 'afterSave', at which hooks of type operations do not run",
    ),
    (
        hook(type="web", payload={"endpoint": "https://a.example"}),
        ".runOn names 'beforeSave', at which hooks of type web do not run",
    ),
    (hook(conditions=[{}, {"a": {"$where": "1"}}]), ".conditions[1] cannot be understood: "),
    (
        hook(payload={"Name": ["trim", "reverse"]}),
        ".payload.Name must be a list of trim, lower, upper, hash, or a template",
    ),
    (hook(payload={"Name": [["trim"]]}), ".payload.Name must be a list of "),
    (hook(payload={"Name": 5}), ".payload.Name must be a list of "),
    (hook(payload={"Name": "{{First"}), ".payload.Name cannot be rendered as a template"),
    (
        hook(type="email", runOn=["insert"], payload={**MAIL, "subject": "{{#if}}"}),
        ".payload cannot be rendered as a template",
    ),
    (
        hook(type="email", runOn=["insert"], payload={**MAIL, "to": "a@b.example"}),
        ".payload cannot be sent: it has no recipients, or too many",
    ),
    (
        hook(type="web", runOn=["insert"], payload={"url": "https://a.example"}),
        ".payload cannot be sent: endpoint, method or headers are malformed",
    ),
    (
        hook(type="sms", runOn=["insert"], payload={"to": "1"}),
        ".payload cannot be sent: to or body is no text",
    ),
]


def said_of(*hooks: Any) -> list[str]:
    return [
        f"{problem.field} {problem.reason}" for problem in hookproblems.problems([source(hooks=list(hooks))])
    ]


@pytest.mark.parametrize("definition", WELL)
def test_a_hook_that_runs_as_it_stands_has_no_problems(definition: dict[str, Any]) -> None:
    assert said_of(definition) == []


@pytest.mark.parametrize(("definition", "words"), NO_HOOKS)
def test_a_malformed_hook_is_passed_over_and_named_by_its_place(definition: Any, words: str) -> None:
    assert said_of(WELL[0], definition) == [f"hooks[1]{words}"]
    assert len(read_hooks([WELL[0], definition])) == 1


@pytest.mark.parametrize(("definition", "words"), DOING_NOTHING)
def test_what_does_nothing_in_a_hook_is_named(definition: dict[str, Any], words: str) -> None:
    [line] = said_of(definition)
    assert line.startswith(f"hooks[0]{words}")


def test_operations_that_are_none_are_passed_over_when_a_row_is_saved() -> None:
    def saved(operations: Any) -> Mapping[str, Any]:
        [read] = read_hooks([hook(payload={"Name": operations})])
        return before_save([read], "insert", {"Name": " Ann "}, {}, str)

    for operations in (["reverse", "trim"], [["trim"], {}, None, 5, "trim"]):
        assert saved(operations) == {"Name": "Ann"}
    assert saved(5) == {"Name": " Ann "}
