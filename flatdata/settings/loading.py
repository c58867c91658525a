"""Reads settings: defaults, then `flatdata.yaml`, then the environment, then options; the last one wins."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_type_hints

from flatdata.settings.table import GROUPS, PREFIX, ROWS, Row, SettingPath, Settings, SettingsError
from flatdata.store.codec import CodecError, Json, load_yaml

FILE_NAME: Final = "flatdata.yaml"
RESERVED_VARIABLES: Final = frozenset({"FLATDATA_ROOT", "FLATDATA_OPTIONS"})
"""Variables that begin like settings and are none: where the site is, and what `serve` tells its workers."""

_BY_VARIABLE: Final = {row.variable: row for row in ROWS.values()}


def load_settings(root: Path, environ: Mapping[str, str], overrides: Mapping[str, Json]) -> Settings:
    """The settings of the site at `root`: defaults, `flatdata.yaml`, the environment, then `overrides`.

    `overrides` are keyed by name, nested or with dots (`{"flextype.behaviour": "live"}`), and hold values as
    YAML would. A mapping setting (`flextype.registry`) is replaced whole by the later source.

    Raises:
        SettingsError: naming the setting, for one that is unknown, ill-typed or out of bounds.
    """
    values = {path: row.default for path, row in ROWS.items()}
    values.update(_from_mapping(_read_file(root / FILE_NAME), ()))
    given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    for name in given.keys() & _BY_VARIABLE.keys():
        row = _BY_VARIABLE[name]
        values[row.path] = _accept(row, row.shape.parse(given[name]), name)
    values.update(_from_mapping(_without_dots(overrides), ()))
    _refuse_unknown_variables(given, values)
    return _build(Settings, (), values)  # type: ignore[no-any-return]


def _read_file(path: Path) -> Mapping[str, Json]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(FILE_NAME, f"cannot be read: {error.strerror}") from error
    try:
        tree = load_yaml(data)
    except CodecError as error:
        raise SettingsError(FILE_NAME, error.reason, error.line) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(FILE_NAME, "must be a mapping of settings")
    return tree


def _without_dots(overrides: Mapping[str, Json]) -> dict[str, Json]:
    tree: dict[str, Json] = {}
    for name, value in overrides.items():
        *groups, last = name.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return tree


def _from_mapping(tree: Mapping[str, Json], prefix: SettingPath) -> Iterator[tuple[SettingPath, Json]]:
    for key, value in tree.items():
        path = (*prefix, str(key))
        name = ".".join(path)
        if (row := ROWS.get(path)) is not None:
            yield path, _accept(row, value, name)
        elif path not in GROUPS:
            raise SettingsError(name, _unknown(name, [row.name for row in ROWS.values()]))
        elif isinstance(value, dict):
            yield from _from_mapping(value, path)
        elif value is not None:  # a heading above nothing but comments is null
            raise SettingsError(name, f"must be a mapping, not {value!r}")


def _accept(row: Row, value: Json, name: str) -> Any:
    if not row.shape.accepts(value):
        raise SettingsError(name, f"must be {row.shape.wanted}, not {value!r}")
    if row.low is not None and row.high is not None and not row.low <= value <= row.high:
        raise SettingsError(name, f"must lie between {row.low:,} and {row.high:,}, not {value!r}")
    if row.check is not None and (reason := row.check(value)) is not None:
        raise SettingsError(name, reason)
    return row.shape.convert(value)


def _refuse_unknown_variables(given: Mapping[str, str], values: Mapping[SettingPath, Json]) -> None:
    named = {values[row.path] for row in ROWS.values() if row.names_variable}
    for name in sorted(given.keys() - _BY_VARIABLE.keys() - RESERVED_VARIABLES - named):
        raise SettingsError(name, _unknown(name, list(_BY_VARIABLE)))


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown setting; did you mean {near[0]}?" if near else "unknown setting"


def _build(kind: type[Any], prefix: SettingPath, values: Mapping[SettingPath, Json]) -> Any:
    hints = get_type_hints(kind)
    arguments = {}
    for each in fields(kind):
        path = (*prefix, each.metadata["name"] or each.name)
        inner = hints[each.name]
        arguments[each.name] = _build(inner, path, values) if is_dataclass(inner) else values[path]  # type: ignore[arg-type]
    return kind(**arguments)


def plain_settings(settings: Settings) -> dict[str, Json]:
    """The settings as nested mappings of JSON values: `overrides` that give the same settings again."""

    def plain(value: Any) -> Json:
        if is_dataclass(value):
            return {
                each.metadata["name"] or each.name: plain(getattr(value, each.name)) for each in fields(value)
            }
        return list(value) if isinstance(value, tuple) else value

    return plain(settings)  # type: ignore[no-any-return]
