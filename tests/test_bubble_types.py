from __future__ import annotations

import pytest
from bubble_samples import FIELDS, catalogue, source, thing, unit_type, units, users

from flatdata.dialects.bubble.types import field_id
from flatdata.query.bubble_values import FieldType, parse_type, squash


@pytest.mark.parametrize(
    ("caption", "name"),
    [
        ("Rental Unit", "rentalunit"),
        ("tbl.Contas Pagar", "tbl.contaspagar"),
        ("invoice-item", "invoice-item"),
        ("seda_registration", "seda_registration"),
        ("00.thing", "00.thing"),
        ("🎙️Msgs", "🎙️msgs"),
        ("  Two   Blanks ", "twoblanks"),
    ],
)
def test_a_type_name_is_the_caption_without_blanks_in_lower_case(caption: str, name: str) -> None:
    assert squash(caption) == name
    assert list(catalogue(source(1, "a", {"exposed": True, "display": caption})).types) == [name]


@pytest.mark.parametrize("name", ["rentalunit", "RentalUnit", "RENTALUNIT", "Rental Unit", " rental unit "])
def test_a_type_is_found_in_any_case(name: str) -> None:
    found = catalogue(units()).find(name)
    assert found is not None
    assert found.display == "Rental Unit"


def test_of_two_types_with_one_name_the_first_wins() -> None:
    first = source(1, "a", {"exposed": True, "display": "Rental Unit"})
    second = source(2, "b", {"exposed": True, "display": "rental unit"})
    found = catalogue(first, second)
    assert found.types["rentalunit"].source.slug == "a"
    assert [(problem.slug, problem.field) for problem in found.problems] == [("b", "bubble.display")]


def test_a_type_that_is_not_exposed_is_hidden_but_can_be_referred_to() -> None:
    found = catalogue(units(exposed=False))
    assert found.find("rentalunit") is None
    assert found.target(FieldType("custom", "rentalunit")) is not None


def test_without_a_caption_the_name_of_the_source_is_the_caption() -> None:
    assert list(catalogue(source(1, "a", {"exposed": True}, name="My Things")).types) == ["mythings"]


@pytest.mark.parametrize(
    ("caption", "kind", "identity"),
    [
        ("Name", "text", "name_text"),
        ("Unit name", "text", "unit_name_text"),
        ("Score", "number", "score_number"),
        ("Archived?", "boolean", "archived__boolean"),
        ("BA Ref #", "number", "ba_ref___number"),
        ("Photo", "image", "photo_image"),
        ("CV", "file", "cv_file"),
        ("Loc", "geographic_address", "loc_geographic_address"),
        ("Owner", "user", "owner_user"),
        ("Venue", "custom.venue", "venue_custom_venue"),
        ("Tags", "list.text", "tags_list_text"),
        ("Status", "option.statusset", "status_option_statusset"),
        ("Items", "list.custom.item", "items_list_custom_item"),
        ("X", "list.option.setname", "x_list_option_setname"),
    ],
)
def test_ids_of_fields(caption: str, kind: str, identity: str) -> None:
    field_type = parse_type(kind)
    assert field_type is not None
    assert field_id(caption, field_type) == identity
    assert str(field_type) == kind


@pytest.mark.parametrize(
    "kind",
    ["", "Text", "string", "list", "list.", "custom", "option.", "text.x", "list.list.text", "id", 5, None],
)
def test_a_type_that_does_not_exist_is_none(kind: object) -> None:
    assert parse_type(kind) is None


@pytest.mark.parametrize(
    ("key", "caption"),
    [
        ("Unit name", "Unit name"),
        ("unitname", "Unit name"),
        ("UNITNAME", "Unit name"),
        ("unit_name_text", "Unit name"),
        ("Created Date", "Created Date"),
        ("createddate", "Created Date"),
        ("ModifiedDate", "Modified Date"),
        ("created by", "Created By"),
        ("_id", "_id"),
        ("slug", "Slug"),
        ("nothing", None),
        ("", None),
    ],
)
def test_searches_name_fields_by_caption_squashed_caption_or_id(key: str, caption: str | None) -> None:
    found = unit_type(fields={"Unit name": "text"}).find(key)
    assert (found.caption if found else None) == caption


def test_of_two_fields_with_one_squashed_caption_the_first_is_found() -> None:
    found = unit_type(fields={"Unit Name": "text", "unitname": "number"})
    first, exact = found.find("UnitName"), found.find("unitname")
    assert first is not None
    assert first.caption == "Unit Name"
    assert exact is not None
    assert exact.caption == "unitname"


def test_two_captions_with_one_id_get_different_ids() -> None:
    fields = unit_type(fields={"A b": "text", "A-b": "text"}).fields
    assert [field.id for field in fields] == ["a_b_text", "a_b1_text"]


def test_bodies_use_captions_or_ids_and_built_ins_cannot_be_written() -> None:
    found = unit_type(fields={"Unit name": "text"})
    assert list(found.writable("display")) == ["Unit name"]
    assert list(found.writable("id")) == ["unit_name_text"]


def test_users_have_an_email_field_of_the_same_key_in_both_modes() -> None:
    found = catalogue(users()).types["user"]
    assert found.is_user
    assert "email" in found.writable("display")
    assert "email" in found.writable("id")


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"fields": ["Name"]}, "bubble.fields"),
        ({"fields": {"Name": "string"}}, "bubble.fields.Name"),
        ({"fields": {"_id": "text"}}, "bubble.fields._id"),
        ({"fields": {"Created Date": "date"}}, "bubble.fields.Created Date"),
        ({"fields": {"_meta": "text"}}, "bubble.fields._meta"),
        ({"fields": {"": "text"}}, "bubble.fields."),
        ({"defaults": {"Nothing": 1}}, "bubble.defaults.Nothing"),
        ({"display": ""}, "bubble.display"),
        ({"display": 5}, "bubble.display"),
        ({"exposed": "yes"}, "bubble.exposed"),
        ({"option_sets": {"A": "B"}}, "bubble.option_sets.A"),
        ({"option_sets": []}, "bubble.option_sets"),
        ({"privacy": {"find": True}}, "bubble.privacy"),
        ({"privacy": [{"find": "yes"}]}, "bubble.privacy[0]"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_named(part: dict[str, object], field: str) -> None:
    assert field in [problem.field for problem in catalogue(units(**part)).problems]


def test_a_field_of_each_type_is_understood() -> None:
    found = unit_type()
    assert [field.caption for field in found.fields] == list(FIELDS)
    assert [str(field.type) for field in found.fields] == list(FIELDS.values())


def test_built_in_fields_are_read_from_what_the_row_says_of_itself() -> None:
    entry = thing({}, created_at="2020-01-01T00:00:00.000Z", created_by="x")
    found = unit_type()
    values = {field.caption: field.source.read(entry) for field in found.all_fields if field.built_in}
    assert values["Created Date"] == "2020-01-01T00:00:00.000Z"
    assert values["Modified Date"] == "2020-09-13T12:26:40.123Z"
    assert values["Created By"] == "x"
    assert values["_id"] == entry.name


def test_option_sets_belong_to_the_site_and_the_first_of_a_name_counts() -> None:
    found = catalogue(
        source(1, "a", {"option_sets": {"My Days": ["Mon", "Tue"]}}),
        source(2, "b", {"option_sets": {"mydays": ["Sun"], "Other": ["x"]}}),
    )
    assert found.option_sets["mydays"].options == ("Mon", "Tue")
    assert found.option_sets["mydays"].display == "My Days"
    assert found.option_sets["other"].options == ("x",)


def test_the_stamp_follows_the_fields() -> None:
    assert unit_type().stamp == unit_type().stamp
    assert unit_type().stamp != unit_type(fields={"Name": "text"}).stamp
