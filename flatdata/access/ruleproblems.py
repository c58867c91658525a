"""What is wrong with the access rules of a manifest: which grant nothing, and what of others is passed over.

What `flatdata.access.rules` makes of a rule is the measure: whatever is named here grants nothing, never
holds, is not read, or comes behind a rule that decides first. Rules that are switched off are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from flatdata.access.conditions import OPERATORS, Json, without_templates
from flatdata.access.privacy import Problem
from flatdata.access.rules import ALLOW, ANONYMOUS, Operation, applicable, types_of
from flatdata.store.sources import Source

Found = Iterator[tuple[str, str]]
"""Keys of a rule, each with what is wrong there."""

Columns = Collection[str]
"""The declared columns; empty where none are, and any name may be one."""

TYPES: Final = tuple(dict.fromkeys(name for operation in Operation for name in operation.rule_types))

_A_VALUE: Final = "must be a text, a number, true or false"


def problems(sources: Iterable[Source]) -> list[Problem]:
    """What is wrong with the access rules of some sources."""
    return [
        Problem(source.slug, f"access_rules[{number}]{key}", reason)
        for source in sources
        for number, key, reason in _of_rules(source.access_rules or [], source.columns or ())
    ]


def _of_rules(rules: Sequence[Mapping[str, Json]], columns: Columns) -> Iterator[tuple[int, str, str]]:
    open_to_all: dict[Operation, int] = {}
    for number, rule in enumerate(rules):
        if rule.get("enabled") is False:
            continue
        for key, reason in _of_rule(rule, columns):
            yield number, key, reason
        about = {each for each in Operation if types_of(rule) & set(each.rule_types)}
        if about and about <= open_to_all.keys():
            first = ", ".join(f"access_rules[{each}]" for each in sorted({open_to_all[one] for one in about}))
            yield number, "", f"never decides: everybody is granted the same before, by {first}"
        for operation in about:
            granting = applicable(rule, operation, ANONYMOUS)
            if granting is not None and not granting.requirements:
                open_to_all.setdefault(operation, number)


def _of_rule(rule: Mapping[str, Json], columns: Columns) -> Found:
    for key in rule:
        if key not in _KEYS:
            yield f".{key}", f"is not read: a rule has {', '.join(_KEYS)}"
    for key, of_value in _KEYS.items():
        if key in rule or key in ("type", "allow"):
            for below, reason in of_value(rule.get(key), columns):
                yield f".{key}{below}", reason


# --- keys of a rule -------------------------------------------------------------------------------------


def _of_type(value: Json, columns: Columns) -> Found:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        yield "", f"must be one or a list of {', '.join(TYPES)}"
        return
    for name in names:
        if name not in TYPES:
            yield "", f"names {name!r}, which is none of {', '.join(TYPES)}"


def _of_enabled(value: Json, columns: Columns) -> Found:
    if value is not True:
        yield "", "must be true or false"


def _of_apps(value: Json, columns: Columns) -> Found:
    if not (value is None or value == [] or _are_ids(value if isinstance(value, list) else [value])):
        yield "", "must be the id of an app, or a list of them"


def _of_require(value: Json, columns: Columns) -> Found:
    if value is None:
        return
    if not isinstance(value, list):
        yield "", "must be a list of columns and conditions"
        return
    for number, item in enumerate(value):
        if isinstance(item, str) and item:
            names = [item]
        else:
            names = list(item) if isinstance(item, dict) else []
            yield from _under(f"[{number}]", _of_conditions(item))
        yield from _under(f"[{number}]", _unknown(names, columns))


def _of_columns(value: Json, columns: Columns) -> Found:
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        yield "", "must be a list of columns"
        return
    yield from _unknown(value, columns)


def _of_script(value: Json, columns: Columns) -> Found:
    if value is not None:
        yield "", "is not run, and its rule grants nothing"


def _of_name(value: Json, columns: Columns) -> Found:
    yield from ()


def _unknown(names: Iterable[str], columns: Columns) -> Found:
    for name in names:
        if columns and name not in columns and name.partition(".")[0] not in columns:
            yield "", f"names {name!r}, which is not a column"


def _under(place: str, found: Found) -> Found:
    for key, reason in found:
        yield place + key, reason


def _are_ids(values: Sequence[Json], kinds: tuple[type, ...] = (int, float)) -> bool:
    return bool(values) and all(type(each) in kinds for each in values)


# --- who is allowed -------------------------------------------------------------------------------------


def _of_allow(value: Json, columns: Columns) -> Found:
    if value in ("all", "loggedIn"):
        return
    if not isinstance(value, dict) or not value:
        yield "", f"must be all, loggedIn, or a mapping of {', '.join(ALLOW)}"
        return
    for key, operand in value.items():
        if key not in ALLOW:
            yield f".{key}", f"is none of {', '.join(ALLOW)}"
        else:
            yield from _under(f".{key}", _ALLOWED[key](operand))


def _of_signed_in(operand: Json) -> Found:
    if operand is not True:
        yield "", "must be true"


def _of_tokens(operand: Json) -> Found:
    if not isinstance(operand, list) or not _are_ids(operand):
        yield "", "must be a list of ids of tokens, which are numbers"


def _of_source(operand: Json) -> Found:
    if not _are_ids(operand if isinstance(operand, list) else [operand], (int, float, str)):
        yield "", "must be the id of a data source, or a list of them"


# --- conditions -----------------------------------------------------------------------------------------


def _of_conditions(value: Json) -> Found:
    if not isinstance(value, dict) or not value:
        yield "", "must be a mapping of columns to conditions"
        return
    for column, condition in value.items():
        yield from _under(f".{column}", _of_condition(condition))


def _of_condition(condition: Json) -> Found:
    if not isinstance(condition, dict):
        yield from _of_operand(condition)
        return
    if not condition:
        yield "", f"must have one of {', '.join(OPERATORS)}"
    for name, operand in condition.items():
        if name not in OPERATORS:
            yield f".{name}", f"is none of {', '.join(OPERATORS)}"
        elif name == "contains" and operand == "":
            yield f".{name}", "must not be empty: the empty text is in nothing"
        else:
            yield from _under(f".{name}", _of_operand(operand))


def _of_operand(operand: Json) -> Found:
    if operand is None or isinstance(operand, dict | list):
        yield "", _A_VALUE
    elif isinstance(operand, str) and "{{" in without_templates(operand):
        yield "", "has a template that is none: they are {{user.[Column]}} and {{session.uuid}}"


# --- the tables -----------------------------------------------------------------------------------------

_ALLOWED: Final[Mapping[str, Callable[[Json], Found]]] = {
    "loggedIn": _of_signed_in,
    "user": _of_conditions,
    "tokens": _of_tokens,
    "dataSourceId": _of_source,
}

_KEYS: Final[Mapping[str, Callable[[Json, Columns], Found]]] = {
    "type": _of_type,
    "allow": _of_allow,
    "enabled": _of_enabled,
    "appId": _of_apps,
    "require": _of_require,
    "include": _of_columns,
    "exclude": _of_columns,
    "script": _of_script,
    "name": _of_name,
}
