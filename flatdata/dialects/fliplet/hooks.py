"""Hooks of a data source: what they are, and those that work on the data itself (reference/fliplet.md §6).

Hooks of type `operations` change columns before they are saved, and the values of a `where` before they are
compared. Hooks of the other types are sent after the write, by `flatdata.dialects.fliplet.outbox`.

A column with the operation `hash` holds a salted password hash, which nothing compares equal to: a condition
`column = text` on it is taken out of the `where` and becomes a `Verification` of the rows that the rest of it
finds. Such columns never leave the server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flatdata.access.passwords import hash_password, verify_password
from flatdata.dialects.fliplet.templates import TemplateError, render
from flatdata.errors import FlatdataError
from flatdata.query.evaluate import matches
from flatdata.query.sift import parse_where, plain_field
from flatdata.query.siftvalues import SiftError

Json = Any
"""Any JSON value."""

BEFORE_SAVE: Final = "beforeSave"
BEFORE_QUERY: Final = "beforeQuery"
INSERT: Final = "insert"
UPDATE: Final = "update"
OPERATIONS: Final = "operations"
HASH: Final = "hash"
EVENTS: Final = frozenset({INSERT, UPDATE, BEFORE_SAVE, BEFORE_QUERY})
SENT_EVENTS: Final = frozenset({INSERT, UPDATE})
"""At what hooks are sent; the others are for operations."""
SENT_TYPES: Final = frozenset({"email", "sms", "push", "web"})
MAX_HASHES: Final = 2_000
"""Passwords that one request may have hashed; each takes some 20 ms."""
MAX_CANDIDATES: Final = 50
"""Rows whose password hash one query may verify."""

_log = logging.getLogger("flatdata.fliplet.hooks")


class InvalidHook(FlatdataError):
    """A hook is not well-formed: its `key`, or all of it if that is empty, should be `expected`."""

    def __init__(self, key: str, expected: str) -> None:
        self.key = key
        self.expected = expected
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        """The same in words."""
        place = f"{self.key} of a hook" if self.key else "a hook"
        return f"{place} must be {self.expected}"


class TooManyHashes(FlatdataError):
    """A request asks for more password hashes than one may."""


# --- what a hook is -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hook:
    """One well-formed hook. `definition` is the whole of it as stored."""

    type: str
    run_on: frozenset[str]
    payload: Mapping[str, Json]
    triggers: frozenset[str]
    definition: Mapping[str, Json]

    def runs(self, event: str, trigger: str | None) -> bool:
        """Whether it runs on an event of a write that names `trigger` as its source."""
        return event in self.run_on and (not self.triggers or trigger in self.triggers)

    def applies(self, columns: Mapping[str, Json]) -> bool:
        """Whether all its conditions hold for a row; one that cannot be understood does not."""
        conditions = self.definition.get("conditions") or ()
        try:
            return all(matches(parse_where(condition, plain_field), columns) for condition in conditions)
        except SiftError as error:
            _log.warning("a condition of a hook cannot be understood: %s", error.message)
            return False

    @property
    def operations(self) -> Mapping[str, Json]:
        """For each column its operations, or a template; empty for hooks of other types."""
        return self.payload if self.type == OPERATIONS else {}


def _is_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_SHAPE: Final[Mapping[str, tuple[Callable[[Json], bool], bool, str]]] = {
    "type": (lambda value: isinstance(value, str) and value != "", True, "a text that is not empty"),
    "runOn": (_is_texts, True, "a list of texts"),
    "payload": (lambda value: isinstance(value, dict), True, "a mapping"),
    "triggers": (_is_texts, False, "a list of texts"),
    "conditions": (
        lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        False,
        "a list of mappings",
    ),
}
"""Keys of a hook: what they may hold, whether they must be there, and what to say otherwise."""


def read_hook(definition: Json) -> Hook:
    """The hook that a definition describes. Raises `InvalidHook`."""
    if not isinstance(definition, dict):
        raise InvalidHook("", "a mapping")
    for key, (accepts, required, expected) in _SHAPE.items():
        value = definition.get(key)
        if (value is None and required) or (value is not None and not accepts(value)):
            raise InvalidHook(key, expected)
    return Hook(
        type=definition["type"],
        run_on=frozenset(definition["runOn"]),
        payload=definition["payload"],
        triggers=frozenset(definition.get("triggers") or ()),
        definition=definition,
    )


def read_hooks(definitions: Iterable[Json]) -> tuple[Hook, ...]:
    """The hooks of a source; what is not one is passed over (and reported when it is stored)."""
    hooks: list[Hook] = []
    for definition in definitions:
        try:
            hooks.append(read_hook(definition))
        except InvalidHook as error:
            _log.warning("a hook is ignored: %s", error.reason)
    return tuple(hooks)


def hashed_columns(hooks: Iterable[Hook]) -> frozenset[str]:
    """The columns that hold password hashes."""
    return frozenset(
        column
        for hook in hooks
        if hook.run_on & {BEFORE_SAVE, INSERT, UPDATE}
        for column, operations in hook.operations.items()
        if isinstance(operations, list) and HASH in operations
    )


# --- before a row is saved ----------------------------------------------------------------------------

TEXT_OPERATIONS: Final[Mapping[str, Callable[[str], str]]] = {
    "trim": str.strip,
    "lower": str.lower,
    "upper": str.upper,
}
"""What an operation makes of a text. `hash` is none of them: its result differs each time."""


def is_operation(name: Json) -> bool:
    """Whether an item of a list of operations is one; others are passed over."""
    return isinstance(name, str) and (name == HASH or name in TEXT_OPERATIONS)


class Hasher:
    """Hashes the passwords of one request, each text once, up to `MAX_HASHES`."""

    def __init__(self) -> None:
        self._left = MAX_HASHES

    def __call__(self, text: str) -> str:
        """A new salted hash. Raises `TooManyHashes`."""
        if self._left == 0:
            raise TooManyHashes(f"more than {MAX_HASHES}")
        self._left -= 1
        return hash_password(text)


def _as_text(value: Json) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if type(value) in (int, float) else None


def _operate(value: Json, operations: Collection[Json], hasher: Callable[[str], str]) -> Json:
    for name in filter(is_operation, operations):
        if name == HASH:
            text = _as_text(value)
            value = hasher(text) if text else value
        elif isinstance(value, str):
            value = TEXT_OPERATIONS[name](value)
    return value


def _rendered(template: str, columns: Mapping[str, Json], column: str) -> str | None:
    try:
        return render(template, columns)
    except TemplateError:
        _log.warning("the template of an operation on column %r cannot be rendered", column)
        return None


def before_save(
    hooks: Iterable[Hook],
    event: str,
    submitted: Mapping[str, Json],
    stored: Mapping[str, Json],
    hasher: Callable[[str], str],
    trigger: str | None = None,
) -> dict[str, Json]:
    """What is saved instead of the columns `submitted`, in a write that is `event` (insert or update).

    Operations work on submitted columns only, so that a stored hash is never hashed again. A template sets
    its column, from the row as it will be. Raises `TooManyHashes`.
    """
    columns = dict(submitted)
    for hook in hooks:
        if not (hook.runs(BEFORE_SAVE, trigger) or hook.runs(event, trigger)):
            continue
        if not hook.operations or not hook.applies({**stored, **columns}):
            continue
        for column, operation in hook.operations.items():
            if isinstance(operation, list) and column in columns:
                columns[column] = _operate(columns[column], operation, hasher)
            elif isinstance(operation, str):
                text = _rendered(operation, {**stored, **columns}, column)
                if text is not None:
                    columns[column] = text
    return columns


# --- before a query -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verification:
    """A row is found only if its column holds a hash of this text."""

    column: str
    text: str

    def holds(self, columns: Mapping[str, Json]) -> bool:
        """Whether it does; takes some 20 ms for a hash, none for anything else."""
        return verify_password(columns.get(self.column), self.text)


def before_query(
    hooks: Iterable[Hook], where: Mapping[str, Json]
) -> tuple[dict[str, Json], tuple[Verification, ...]]:
    """The `where` to search with, and what to verify on the rows it finds.

    Texts compared with a column pass its operations first. Conditions on hashed columns count at the top
    level and for equality only (`{password: "..."}` or `{password: {$eq: "..."}}`); everything else sees no
    such column.
    """
    prepared = dict(where)
    verifications: list[Verification] = []
    for hook in hooks:
        if not hook.runs(BEFORE_QUERY, None):
            continue
        for column, operation in hook.operations.items():
            if isinstance(operation, list):
                texts = [name for name in operation if name != HASH]
                prepared = _normalised(prepared, column, texts)
                if HASH in operation:
                    prepared, found = _verifications(prepared, column)
                    verifications += found
            elif isinstance(operation, str):
                plain = {
                    name: value for name, value in prepared.items() if not isinstance(value, dict | list)
                }
                if text := _rendered(operation, plain, column):
                    prepared[column] = text
    return prepared, tuple(verifications)


def _verifications(where: dict[str, Json], column: str) -> tuple[dict[str, Json], list[Verification]]:
    rest = dict(where)
    condition = rest.get(column)
    found: list[Verification] = []
    if isinstance(condition, dict) and set(condition) == {"$eq"}:
        condition = condition["$eq"]
    if (text := _as_text(condition)) is not None:
        del rest[column]
        found.append(Verification(column, text))
    filters = rest.get("$filters")
    if isinstance(filters, list):
        matching = [item for item in filters if _is_equality(item, column)]
        found += [Verification(column, _as_text(item["value"]) or "") for item in matching]
        rest["$filters"] = [item for item in filters if not _is_equality(item, column)]
    return rest, found


def _is_equality(item: Json, column: str) -> bool:
    return (
        isinstance(item, dict)
        and item.get("column") == column
        and item.get("condition") == "=="
        and _as_text(item.get("value")) is not None
    )


def _normalised(where: Json, column: str, operations: Collection[Json], depth: int = 32) -> Any:
    """A `where` in which every text that is compared with `column` has passed the operations."""
    if not isinstance(where, dict) or depth == 0:
        return where
    result: dict[str, Json] = {}
    for key, value in where.items():
        if key == column:
            result[key] = _operands(value, operations)
        elif key in ("$and", "$or", "$nor") and isinstance(value, list):
            result[key] = [_normalised(part, column, operations, depth - 1) for part in value]
        elif key == "$not":
            result[key] = _normalised(value, column, operations, depth - 1)
        elif key == "$filters" and isinstance(value, list):
            result[key] = [_filter_item(item, column, operations) for item in value]
        else:
            result[key] = value
    return result


def _operands(value: Json, operations: Collection[Json]) -> Json:
    if isinstance(value, dict):
        compared = ("$eq", "$ne", "$in", "$nin", "$not")
        return {key: _operands(item, operations) if key in compared else item for key, item in value.items()}
    if isinstance(value, list):
        return [_operate(item, operations, str) for item in value]
    return _operate(value, operations, str)


def _filter_item(item: Json, column: str, operations: Collection[Json]) -> Json:
    if not isinstance(item, dict) or item.get("column") != column or "value" not in item:
        return item
    return {**item, "value": _operands(item["value"], operations)}
