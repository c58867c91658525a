"""What an access rule may say about a user, a row or a filter: reference/fliplet.md §5.2.

Three operators and plain values, with templates that read the signed-in user. Everything here fails closed:
an operand that is empty, of another type or taken from an attribute the user does not have never holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

Json = Any
"""Any JSON value."""

_TEMPLATE: Final = re.compile(r"\{\{\s*(user|session)\.(?:\[([^\]{}]+)\]|([^\s\[\]{}]+))\s*\}\}")


class _Unresolved:
    """The type of `UNRESOLVED`."""


UNRESOLVED: Final = _Unresolved()
"""What a template gives that names something the actor does not have."""

# --- templates ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Names:
    """What templates can name: the attributes of the signed-in user and of the session."""

    user: Mapping[str, Json]
    session: Mapping[str, Json]

    def look_up(self, scope: str, name: str) -> Json | _Unresolved:
        """The attribute, or `UNRESOLVED`. `{{user.[ID]}}` is the id of the user's row."""
        attributes = self.user if scope == "user" else self.session
        value = attributes.get(name, attributes.get("id") if name == "ID" else None)
        return UNRESOLVED if value is None or value == "" else value


def resolve(operand: Json, names: Names) -> Json | _Unresolved:
    """An operand with its templates filled in; one that is the whole text keeps the attribute's type."""
    if not isinstance(operand, str):
        return operand
    whole = _TEMPLATE.fullmatch(operand.strip())
    if whole:
        return names.look_up(whole[1], whole[2] or whole[3])
    values = [names.look_up(match[1], match[2] or match[3]) for match in _TEMPLATE.finditer(operand)]
    if any(isinstance(value, _Unresolved | list | dict) for value in values):
        return UNRESOLVED
    texts = iter(values)
    return _TEMPLATE.sub(lambda _: as_text(next(texts)), operand)


def names_user(operand: Json) -> bool:
    """Whether an operand holds a template of the signed-in user."""
    return isinstance(operand, str) and any(match[1] == "user" for match in _TEMPLATE.finditer(operand))


def without_templates(operand: str) -> str:
    """An operand without what is read as a template: what looks like one in the rest is plain text."""
    return _TEMPLATE.sub("", operand)


# --- operators ----------------------------------------------------------------------------------------


def as_text(value: Json) -> str:
    """A scalar as text: strings as they are, others as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _elements(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def same(value: Json, operand: Json) -> bool:
    """Equality of native values, where true is not 1 and "1" is not 1."""
    if isinstance(value, bool) or isinstance(operand, bool):
        return value is operand
    return type(value) in (int, float, str) and type(operand) in (int, float, str) and bool(value == operand)


def _literal(value: Json, operand: Json) -> bool:
    return any(same(element, wanted) for element in _elements(value) for wanted in _elements(operand))


def _texts(value: Json) -> list[str]:
    return [element.casefold() for element in _elements(value) if isinstance(element, str)]


def _operands(operand: Json) -> list[str]:
    return [
        as_text(wanted).casefold() for wanted in _elements(operand) if not isinstance(wanted, dict | list)
    ]


def _equals(value: Json, operand: Json) -> bool:
    """Whole texts, whatever their case; also an element of a list. Never a native number or boolean."""
    wanted = _operands(operand)
    return any(text in wanted for text in _texts(value))


def _contains(value: Json, operand: Json) -> bool:
    """Part of a text, whatever its case; also of an element of a list. The empty text is in nothing."""
    return any(wanted and wanted in text for text in _texts(value) for wanted in _operands(operand))


def _differs(value: Json, operand: Json) -> bool:
    """Not equal; a missing value differs from everything."""
    return not _literal(value, operand) and not _equals(value, operand)


OPERATORS: Final[Mapping[str, Callable[[Json, Json], bool]]] = {
    "equals": _equals,
    "notequals": _differs,
    "contains": _contains,
}
"""`operator(value, operand)`, for the value of a column (None where there is none)."""


@dataclass(frozen=True, slots=True)
class Test:
    """`column operator operand`; the operator `literal` is a plain value in the rule."""

    column: str
    operator: str
    operand: Json

    def resolved(self, names: Names) -> Test | None:
        """The test with its templates filled in, None if one has nothing to give."""
        operand = resolve(self.operand, names)
        if isinstance(operand, _Unresolved) or operand == []:
            return None
        return Test(self.column, self.operator, operand)

    def holds(self, value: Json) -> bool:
        """Whether a value (None where there is none) passes. Templates must be filled in."""
        if self.operator == "literal":
            return _literal(value, self.operand)
        return OPERATORS[self.operator](value, self.operand)


def read_tests(value: Json) -> tuple[Test, ...] | None:
    """The tests in a mapping of columns to plain values or operators, None if it is malformed or empty."""
    if not isinstance(value, dict) or not value:
        return None
    tests: list[Test] = []
    for column, condition in value.items():
        if isinstance(condition, dict):
            if not condition or any(_bad_operand(name, operand) for name, operand in condition.items()):
                return None
            tests.extend(Test(column, name, operand) for name, operand in condition.items())
        elif condition is None or isinstance(condition, list):
            return None
        else:
            tests.append(Test(column, "literal", condition))
    return tuple(tests)


def _bad_operand(name: str, operand: Json) -> bool:
    return name not in OPERATORS or operand is None or isinstance(operand, dict | list)
