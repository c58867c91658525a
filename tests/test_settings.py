"""Settings: where they come from, which one wins, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.settings import (
    GROUPS,
    RESERVED_VARIABLES,
    ROWS,
    CorsSettings,
    FlextypeSettings,
    Row,
    Settings,
    SettingsError,
    load_settings,
    plain_settings,
)
from flatdata.settings.document import settings_file, settings_page

DOCS = Path(__file__).parent.parent / "docs"
NOWHERE = Path("/nonexistent")


def load(
    root: Path, text: str = "", environ: dict[str, str] | None = None, options: dict[str, Any] | None = None
) -> Settings:
    (root / "flatdata.yaml").write_text(text, encoding="utf-8")
    return load_settings(root, environ or {}, options or {})


def refused(
    root: Path, text: str = "", environ: dict[str, str] | None = None, options: dict[str, Any] | None = None
) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load(root, text, environ, options)
    return caught.value


def test_a_site_needs_no_settings() -> None:
    settings = load_settings(NOWHERE, {}, {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)


def test_the_later_source_wins_setting_by_setting(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "port: 1\nworkers: 2\nflextype:\n  behaviour: live\n  timezone: Europe/Berlin\n",
        {"FLATDATA_WORKERS": "3", "FLATDATA_FLEXTYPE__TIMEZONE": "Asia/Tokyo"},
        {"flextype.timezone": "UTC", "bubble": {"app_name": "x"}},
    )
    assert (settings.port, settings.workers) == (1, 3)
    assert (settings.flextype.behaviour, settings.flextype.timezone) == ("live", "UTC")
    assert settings.bubble.app_name == "x"
    assert settings.fliplet == Settings().fliplet


def test_a_heading_with_nothing_below_sets_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, "flextype:\n  # behaviour: live\nlog:\n") == Settings()


def test_a_mapping_setting_is_replaced_whole(tmp_path: Path) -> None:
    settings = load(
        tmp_path, "flextype:\n  registry: {a: 1, b: 2}\n", {"FLATDATA_FLEXTYPE__REGISTRY": '{"c": [3]}'}
    )
    assert settings.flextype.registry == {"c": [3]}


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("FLATDATA_PORT", "0", {"port": 0}),
        ("FLATDATA_HOST", "::1", {"host": "::1"}),
        ("FLATDATA_FLIPLET__ENABLED", "off", {"fliplet": {"enabled": False}}),
        ("FLATDATA_FLIPLET__SMTP__STARTTLS", "TRUE", {"fliplet": {"smtp": {"starttls": True}}}),
        ("FLATDATA_FLIPLET__SMTP__FROM", "a@b.example", {"fliplet": {"smtp": {"from": "a@b.example"}}}),
        ("FLATDATA_FLIPLET__SMTP__HOST", "", {"fliplet": {"smtp": {"host": None}}}),
        ("FLATDATA_INDEX__COMPARE_SECONDS", "2.5", {"index": {"compare_seconds": 2.5}}),
        ("FLATDATA_FLEXTYPE__CORS__EXPOSE", "A, B", {"flextype": {"cors": {"expose": ["A", "B"]}}}),
        ("FLATDATA_FLEXTYPE__CORS__EXPOSE", '["A,B"]', {"flextype": {"cors": {"expose": ["A,B"]}}}),
    ],
)
def test_a_variable_is_read_by_the_type_of_its_setting(
    variable: str, text: str, expected: dict[str, Any]
) -> None:
    assert load_settings(NOWHERE, {variable: text}, {}) == load_settings(NOWHERE, {}, expected)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_every_setting_can_be_given_everywhere(row: Row, tmp_path: Path) -> None:
    value = list(row.default) if isinstance(row.default, tuple) else row.default
    text = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
    nested: Any = value
    for word in reversed(row.path):
        nested = {word: nested}
    assert load_settings(NOWHERE, {row.variable: text}, {}) == Settings()
    assert load_settings(NOWHERE, {}, {row.name: value}) == Settings()
    assert load(tmp_path, msgspec.json.encode(nested).decode()) == Settings()


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("prot: 1", "prot", "unknown setting; did you mean port?"),
        ("flextype: {behavior: live}", "flextype.behavior", "did you mean flextype.behaviour?"),
        ("1: 2", "1", "unknown setting"),
        ("port: '8000'", "port", "must be a whole number, not '8000'"),
        ("port: true", "port", "must be a whole number"),
        ("port: 65536", "port", "must lie between 0 and 65,535, not 65536"),
        ("port: null", "port", "must be a whole number, not None"),
        ("port: {a: 1}", "port", "must be a whole number"),
        ("workers: 0", "workers", "must lie between 1 and 256"),
        ("host: ''", "host", "must not be empty"),
        ("host: 5", "host", "must be text"),
        ("index: {compare_seconds: .nan}", "index.compare_seconds", "must"),
        ("index: {compare_seconds: soon}", "index.compare_seconds", "must be a number"),
        ("flextype: live", "flextype", "must be a mapping"),
        ("flextype: {behaviour: Live}", "flextype.behaviour", "must be documented or live"),
        ("flextype: {behaviour: [live]}", "flextype.behaviour", "must be documented or live"),
        ("flextype: {timezone: Mars/Olympus}", "flextype.timezone", "unknown time zone"),
        ("flextype: {timezone: ../../etc/passwd}", "flextype.timezone", "unknown time zone"),
        ("flextype: {cors: {methods: GET}}", "flextype.cors.methods", "must be a list of texts"),
        ("flextype: {cors: {methods: [1]}}", "flextype.cors.methods", "must be a list of texts"),
        ("flextype: {registry: []}", "flextype.registry", "must be a mapping"),
        ("flextype: {cors: {credentials: true}}", "flextype.cors.credentials", "origin is *"),
        ("fliplet: {enabled: 'yes'}", "fliplet.enabled", "must be true or false"),
        ("- port", "flatdata.yaml", "must be a mapping"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, text: str, name: str, words: str) -> None:
    error = refused(tmp_path, text)
    assert error.name == name
    assert words in error.reason


def test_a_file_that_cannot_be_parsed_is_an_error_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "port: 1\nport: 2\n")
    assert (error.name, error.line) == ("flatdata.yaml", 2)


def test_a_variable_that_cannot_be_used_is_named_as_it_was_given(tmp_path: Path) -> None:
    error = refused(tmp_path, environ={"FLATDATA_PORT": "eighty"})
    assert (error.name, error.reason) == ("FLATDATA_PORT", "must be a whole number, not 'eighty'")
    error = refused(tmp_path, environ={"FLATDATA_FLEXTYPE_BEHAVIOUR": "live"})
    assert error.name == "FLATDATA_FLEXTYPE_BEHAVIOUR"
    assert "did you mean FLATDATA_FLEXTYPE__BEHAVIOUR?" in error.reason


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(SettingsError, match="no_such"):
        load_settings(NOWHERE, {}, {"log.no_such": 1})


def test_variables_that_are_no_settings_pass(tmp_path: Path) -> None:
    others = dict.fromkeys([*RESERVED_VARIABLES, "PORT", "flatdata_port"], "x")
    secrets = {"FLATDATA_SMTP_PASSWORD": "s", "FLATDATA_MY_KEY": "k"}
    text = "fliplet: {encryption_key_env: FLATDATA_MY_KEY}"
    settings = load(tmp_path, text, others | secrets)
    assert settings.fliplet.encryption_key_env == "FLATDATA_MY_KEY"
    assert refused(tmp_path, environ=secrets).name == "FLATDATA_MY_KEY"


def test_credentials_are_allowed_for_one_origin(tmp_path: Path) -> None:
    settings = load(tmp_path, "flextype: {cors: {credentials: true, origin: 'https://a.example'}}")
    assert settings.flextype.cors.credentials


def test_settings_survive_being_told_to_another_process() -> None:
    cors = CorsSettings(credentials=True, origin="https://a.example", expose=("X-A",))
    settings = replace(Settings(), port=0, flextype=FlextypeSettings(cors=cors, registry={"a": {"b": [1]}}))
    told = msgspec.json.decode(msgspec.json.encode(plain_settings(settings)))
    assert load_settings(NOWHERE, {"FLATDATA_PORT": "9"}, told) == settings


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def attempt(environ: dict[str, str], options: dict[str, Any]) -> Settings | SettingsError:
    try:
        return load_settings(NOWHERE, environ, options)
    except SettingsError as error:
        return error


@given(st.sampled_from([*ROWS, *GROUPS]).filter(bool), JSON)
def test_any_value_is_taken_or_refused_by_name(path: tuple[str, ...], value: Any) -> None:
    name = ".".join(path)
    outcome = attempt({}, {name: value})
    if isinstance(outcome, SettingsError):
        assert outcome.name.startswith(name)
        assert outcome.reason
    else:
        assert load_settings(NOWHERE, {}, plain_settings(outcome)) == outcome


@given(st.sampled_from(list(ROWS.values())), st.text(max_size=8))
def test_any_text_of_a_variable_is_taken_or_refused_by_name(row: Row, text: str) -> None:
    outcome = attempt({row.variable: text}, {})
    assert isinstance(outcome, Settings) or outcome.name in (row.variable, "flextype.cors.credentials")


# --- documents ----------------------------------------------------------------------------------------


def test_the_page_of_settings_is_up_to_date() -> None:
    # To write it anew: make docs
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_every_setting_is_explained_in_one_line() -> None:
    for row in ROWS.values():
        assert row.doc.strip() == row.doc
        assert row.doc
        assert "\n" not in row.doc
        assert f"`{row.name}`" in settings_page()


def test_the_file_of_a_new_site_sets_nothing_and_shows_everything(tmp_path: Path) -> None:
    assert load(tmp_path, settings_file()) == Settings()
    shown = re.sub(r"^( *)# (\w+:)", r"\1\2", settings_file(), flags=re.MULTILINE)
    assert load(tmp_path, shown) == Settings()
    assert shown.count(":  # ") + shown.count("  # ") >= len(ROWS)
    assert "encryption_key_env: FLATDATA_ENCRYPTION_KEY" in shown
