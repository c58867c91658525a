"""Fliplet's `where`: the operators of its filter engine, and the reading of a filter into a query tree.

The semantics are those observed of the engine that the service uses (reference: fliplet.md §3.2, cases in
tests/cases/sift.jsonl). Nothing of a filter is ever executed: `$where` is refused, patterns run in RE2.
Where the engine itself would fail while it filters (`$in: null`, `$exists` with no field to it) the filter
is refused as a whole when it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flatdata.query.filters import parse_filters
from flatdata.query.javascript import number_of, text_of, truthy
from flatdata.query.patterns import Pattern, PatternError, compile_pattern
from flatdata.query.siftoperators import ITSELF, OPERATORS, SUBQUERY, Listed, strict_key
from flatdata.query.siftvalues import Many, SiftError, comparable, equality_keys_for, plain_field, read_path
from flatdata.query.tree import ABSENT, Absent, All, AnyOf, Condition, Field, Json, Node, Not

__all__ = ["OPERATORS", "Many", "SiftError", "parse_condition", "parse_where", "plain_field", "read_path"]

MAX_DEPTH: Final = 32
"""How deeply a filter may be nested."""

MAX_CONDITIONS: Final = 2_000
"""How many conditions, and items of `$filters`, a filter may hold."""

MAX_PATTERNS: Final = 100
"""How many regular expressions a filter may hold."""


class _Reader:
    """One reading of a filter: counts what it meets, and turns operands into what operators take."""

    def __init__(self) -> None:
        self.conditions = 0
        self.patterns = 0

    def count(self, conditions: int = 1) -> None:
        self.conditions += conditions
        if self.conditions > MAX_CONDITIONS:
            raise SiftError(f"A filter may hold at most {MAX_CONDITIONS} conditions")

    # --- queries ------------------------------------------------------------------------------------

    def row(self, query: Json, read_field: Callable[[str], Field], depth: int) -> Node:
        """Read a query about a whole record."""
        if not isinstance(query, dict):
            raise SiftError("A filter must be an object")
        self.descend(depth)
        parts: list[Node] = []
        for key, operand in query.items():
            if key in LOGICAL:
                parts.append(self.logical(key, operand, lambda item: self.row(item, read_field, depth + 1)))
            elif key == "$filters":
                if isinstance(operand, list):
                    self.count(len(operand))
                parts.append(parse_filters(operand, read_field, self.pattern))
            elif key in ("$all", "$elemMatch"):
                items = self.items(key, operand) if key == "$all" else [operand]
                parts += [self.row(item, read_field, depth + 1) for item in items]
            elif key in OPERATORS:
                raise SiftError(f"{key} needs a field")
            elif key != "$options":
                self.known(key)
                parts.append(self.field(operand, key, read_field, depth + 1))
        return _all(parts)

    def field(self, query: Json, path: str, read_field: Callable[[str], Field], depth: int) -> Node:
        """Read a query about what stands under a path of a record.

        A path of one step has one value, so that its query can be taken apart for the index. With more
        steps there may be several values, and all of a query must hold for one of them.
        """
        if "." not in path:
            return self.value(query, read_field(path), lambda key: (f"{path}.{key}", read_field), depth)
        return self.member(query, path, read_field, depth)

    def value(self, query: Json, field: Field, below: _Below, depth: int) -> Node:
        """Read a query about one value, which `field` gives and whose members `below` addresses."""
        self.descend(depth)
        if not isinstance(query, dict):
            query = {"$eq": query}
        elif not query:
            self.count()
        parts: list[Node] = []
        for key, operand in query.items():
            if key in LOGICAL:
                parts.append(
                    self.logical(key, operand, lambda item: self.value(item, field, below, depth + 1))
                )
            elif key == "$all":
                parts += [self.value(item, field, below, depth + 1) for item in self.items(key, operand)]
            elif key in OPERATORS:
                self.count()
                ready = _OPERANDS.get(key, _as_is)(self, operand, query, depth)
                parts.append(Condition(field, OPERATORS[key], ready))
            elif key != "$options":
                self.known(key)
                path, read_field = below(key)
                parts.append(self.member(operand, path, read_field, depth + 1))
        return _all(parts)

    def member(self, query: Json, path: str, read_field: Callable[[str], Field], depth: int) -> Node:
        """Read a query about what stands under a path of several steps, or of a value."""
        return _about(read_field(path), self.value(query, ITSELF, _member, depth))

    def logical(self, key: str, operand: Json, read: Callable[[Json], Node]) -> Node:
        """Read `$and`, `$or`, `$nor` or `$not`, whose parts `read` reads."""
        if key == "$not":
            return Not(read(operand))
        parts = tuple(map(read, self.items(key, operand)))
        return All(parts) if key == "$and" else AnyOf(parts) if key == "$or" else Not(AnyOf(parts))

    # --- operands -------------------------------------------------------------------------------------

    def descend(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SiftError(f"A filter may be nested at most {MAX_DEPTH} levels deep")

    def known(self, key: str) -> None:
        if key in REFUSED:
            raise SiftError(REFUSED[key])
        if key.startswith("$"):
            raise SiftError(f"Unknown operation {key}")

    def items(self, key: str, operand: Json) -> list[Json]:
        if not isinstance(operand, list):
            raise SiftError(f"{key} needs an array")
        return operand

    def pattern(self, text: str, options: str) -> Pattern:
        self.patterns += 1
        if self.patterns > MAX_PATTERNS:
            raise SiftError(f"A filter may hold at most {MAX_PATTERNS} regular expressions")
        try:
            return compile_pattern(text, options)
        except PatternError as error:
            raise SiftError(error.message) from error


_Below = Callable[[str], tuple[str, Callable[[str], Field]]]


def _member(key: str) -> tuple[str, Callable[[str], Field]]:
    return key, plain_field


def _all(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _about(field: Field, node: Node) -> Node:
    """Bind a tree about a value to the field that has it; a lone condition needs no sub-query."""
    if isinstance(node, Condition) and node.field is ITSELF:
        return Condition(field, node.operator, node.operand)
    return Condition(field, SUBQUERY, node)


def _as_is(reader: _Reader, operand: Json, query: Json, depth: int) -> Json:
    return operand


def _bound(reader: _Reader, operand: Json, query: Json, depth: int) -> int | float | None:
    return comparable(operand)


def _needle(reader: _Reader, operand: Json, query: Json, depth: int) -> str:
    return text_of(operand)


def _folded_needle(reader: _Reader, operand: Json, query: Json, depth: int) -> str:
    return text_of(operand).lower()


def _wanted(reader: _Reader, operand: Json, query: Json, depth: int) -> bool:
    return truthy(operand)


def _elements(reader: _Reader, operand: Json, query: Json, depth: int) -> Node:
    return reader.value(operand, ITSELF, _member, depth + 1)


def _division(reader: _Reader, operand: Json, query: Json, depth: int) -> tuple[int | float, Json | Absent]:
    if not isinstance(operand, list):
        raise SiftError("$mod needs [divisor, remainder]")
    first, second, *_ = [*operand, ABSENT, ABSENT]
    return number_of(first), second


def _expression(reader: _Reader, operand: Json, query: Json, depth: int) -> Pattern | None:
    options = query.get("$options")
    if isinstance(operand, dict):
        return None  # what a JavaScript RegExp becomes in JSON: it matches nothing
    if isinstance(operand, list) or operand is None:
        raise SiftError("$regex needs a string")
    if not (options is None or isinstance(options, str)):
        raise SiftError("$options needs a string")
    return reader.pattern(text_of(operand), options or "")


def _items(reader: _Reader, operand: Json, query: Json, depth: int) -> Listed:
    if isinstance(operand, str):
        return Listed(operand, frozenset(), frozenset(), (), False)
    if not isinstance(operand, list):
        raise SiftError("$in and $nin need an array")
    plain = tuple(item for item in operand if not isinstance(item, dict))
    return Listed(
        text=None,
        loose=frozenset(key for item in plain for key in equality_keys_for(item)),
        strict=frozenset(strict_key(item) for item in plain if not isinstance(item, list)),
        nodes=tuple(
            reader.value(item, ITSELF, _member, depth + 1) for item in operand if isinstance(item, dict)
        ),
        matches_null=any(text_of(item) == "null" for item in plain),
    )


LOGICAL: Final = ("$and", "$or", "$nor", "$not")

REFUSED: Final = {
    "$where": "$where is refused: nothing that a client sends is executed",
    "$type": "$type is refused: JSON has no operand for it",
    "$filters": "$filters stands beside the columns of a filter, not inside one",
}

_OPERANDS: Final[dict[str, Callable[[_Reader, Json, Json, int], Any]]] = {
    "$gt": _bound,
    "$gte": _bound,
    "$lt": _bound,
    "$lte": _bound,
    "$in": _items,
    "$nin": _items,
    "$exists": _wanted,
    "$mod": _division,
    "$regex": _expression,
    "$like": _needle,
    "$iLike": _folded_needle,
    "$elemMatch": _elements,
}
"""What makes an operator's operand from JSON: (reader, operand, the object it stands in, depth)."""


def parse_where(where: Json, read_field: Callable[[str], Field]) -> Node:
    """Read a filter into a query tree whose fields `read_field` addresses by their (dotted) paths.

    `where` is the object of fliplet.md §3.2, `$filters` (§3.3) included. A field of a path without a dot
    must never read a `Many`. Raises `SiftError`.
    """
    return _Reader().row(where, read_field, 1)


def parse_condition(query: Json, field: Field) -> Node:
    """Read a query about one single-valued field: a plain value to equal, or an object of operators.

    Raises `SiftError`.
    """

    def below(key: str) -> tuple[str, Callable[[str], Field]]:
        return key, lambda path: Field("sift", f"{field.view}:{field.path}.{path}", _reads_below(field, path))

    return _Reader().value(query, field, below, 1)


def _reads_below(field: Field, path: str) -> Callable[[Any], Json | Absent | Many]:
    return lambda record: read_path(field.read(record), path)
