"""What the value of a setting may be: for each type of the table, what it accepts and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

from flatdata.json_text import NotJson, parse_json
from flatdata.store.storable import Json


@dataclass(frozen=True, slots=True)
class Shape:
    """How the values of one type are read.

    `wanted` says for people what it accepts; `accepts` decides that for a value from YAML; `convert` makes
    the Python value of an accepted one; `parse` makes a YAML value of the text of an environment variable,
    and gives back the text itself where it makes none, for `accepts` to refuse.
    """

    wanted: str
    accepts: Callable[[Json], bool]
    convert: Callable[[Json], Any]
    parse: Callable[[str], Json]


def _same(value: Json) -> Json:
    return value


_WORDS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _parse_bool(text: str) -> Json:
    return _WORDS.get(text.strip().lower(), text)


def _parse_int(text: str) -> Json:
    try:
        return int(text)
    except ValueError:
        return text


def _parse_float(text: str) -> Json:
    try:
        return float(text)
    except ValueError:
        return text


def _parse_json(text: str) -> Json:
    try:
        value: Json = parse_json(text)
    except NotJson:
        return text
    return value


def _parse_list(text: str) -> Json:
    if text.lstrip().startswith("["):
        return _parse_json(text)
    return [item.strip() for item in text.split(",") if item.strip()]


def _is_number(value: Json) -> bool:
    return type(value) in (int, float)


def _is_text_list(value: Json) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


_SHAPES: Final[Mapping[Any, Shape]] = {
    bool: Shape("true or false", lambda value: type(value) is bool, _same, _parse_bool),
    int: Shape("a whole number", lambda value: type(value) is int, _same, _parse_int),
    float: Shape("a number", _is_number, float, _parse_float),
    str: Shape("text", lambda value: isinstance(value, str), _same, _same),
    str | None: Shape(
        "text or null",
        lambda value: value is None or isinstance(value, str),
        _same,
        lambda text: text or None,
    ),
    tuple[str, ...]: Shape("a list of texts", _is_text_list, tuple, _parse_list),
    Mapping[str, Json]: Shape("a mapping", lambda value: isinstance(value, dict), _same, _parse_json),
}


def shape_of(hint: Any) -> Shape:
    """The shape of a type as the table of settings names it. Raises KeyError for a type it does not know."""
    if get_origin(hint) is Literal:
        words = get_args(hint)
        return Shape(" or ".join(words), lambda value: value in words, _same, _same)
    return _SHAPES[hint]
