"""Expressions of an aggregate pipeline, compiled to closures: field paths, literals, a table of operators.

Semantics of the mingo library (reference: fliplet.md §3.6), with two differences that keep dirty data from
spoiling a whole answer: arithmetic takes text that is a number for that number and gives null where an
operand is none, where mingo would join texts or fail.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from flatdata.query.accumulators import ACCUMULATORS, LIST_ACCUMULATORS, normal
from flatdata.query.documents import PipelineError, key_of, order_of, path_reader
from flatdata.query.javascript import as_float, is_nan, is_number, leading_number, number_of, text_of, truthy
from flatdata.query.tree import ABSENT, Absent, Json

Value = Json | Absent
Expression = Callable[[Value], Value]
"""Gives the value of an expression for one document."""

MAX_DEPTH: Final = 32
"""How deeply expressions, filters and stages may be nested."""

MAX_NODES: Final = 1_000
"""How many operators, paths and members a pipeline may hold."""

MAX_TEXT: Final = 1_000_000
"""How long a text may become by joining."""


@dataclass(slots=True)
class Compiler:
    """One reading of a pipeline; counts what it meets."""

    nodes: int = 0
    patterns: int = 0
    reads: set[str] = field(default_factory=set)
    """The paths of documents that are looked at; an empty one stands for the whole document."""

    def count(self, depth: int) -> None:
        """Take note of one more part. Raises `PipelineError` beyond the bounds."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise PipelineError(f"A pipeline may hold at most {MAX_NODES} parts")
        if depth > MAX_DEPTH:
            raise PipelineError(f"A pipeline may be nested at most {MAX_DEPTH} levels deep")

    def expression(self, source: Json, depth: int = 1) -> Expression:
        """Compile an expression. Raises `PipelineError`."""
        self.count(depth)
        if isinstance(source, str):
            return self._path(source) if source.startswith("$") else lambda document: source
        if isinstance(source, list):
            items = [self.expression(item, depth + 1) for item in source]
            return lambda document: [_or_null(item(document)) for item in items]
        if not isinstance(source, dict):
            return lambda document: source
        operator = next((name for name in source if name.startswith("$")), None)
        if operator is None:
            members = {name: self.expression(part, depth + 1) for name, part in source.items()}
            return lambda document: _object(members, document)
        if len(source) > 1:
            raise PipelineError(f"{operator} must stand alone in its object")
        return self._operator(operator, source[operator], depth)

    def _path(self, source: str) -> Expression:
        """Compile `$data.Name`, `$$ROOT`, `$$CURRENT.Name` or `$$REMOVE`."""
        path = source[1:]
        if source.startswith("$$"):
            variable, _, path = source.partition(".")
            if variable == "$$REMOVE":
                return lambda document: ABSENT
            if variable not in ("$$ROOT", "$$CURRENT"):
                raise PipelineError(f"Unknown variable {variable}")
            if not path:
                self.reads.add("")
                return lambda document: document
        self.reads.add(path)
        return path_reader(path)

    def _operator(self, name: str, operand: Json, depth: int) -> Expression:
        if name in SPECIAL:
            return SPECIAL[name](self, operand, depth + 1)
        if name in FUNCTIONS:
            function, fewest, most = FUNCTIONS[name]
            sources = operand if isinstance(operand, list) and most != 1 else [operand]
            if most == 1 and isinstance(operand, list) and len(operand) == 1:
                sources = operand
            if not fewest <= len(sources) <= most:
                raise PipelineError(f"{name} takes another number of operands")
            parts = [self.expression(each, depth + 1) for each in sources]
            return lambda document: function(*(part(document) for part in parts))
        if name in LIST_ACCUMULATORS:
            accumulate, whole = ACCUMULATORS[name], self.expression(operand, depth + 1)
            return lambda document: accumulate(_items(whole(document)))
        raise PipelineError(f"Unknown expression {name}")


def _or_null(value: Value) -> Json:
    return None if value is ABSENT else value


def _object(members: dict[str, Expression], document: Value) -> Json:
    made = {name: member(document) for name, member in members.items()}
    return {name: value for name, value in made.items() if value is not ABSENT}


def _items(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]


# --- operators that see their operand before it is compiled ---------------------------------------------


def _cond(compiler: Compiler, operand: Json, depth: int) -> Expression:
    if isinstance(operand, dict) and set(operand) == {"if", "then", "else"}:
        operand = [operand["if"], operand["then"], operand["else"]]
    if not (isinstance(operand, list) and len(operand) == 3):
        raise PipelineError("$cond takes if, then and else")
    condition, then, otherwise = (compiler.expression(part, depth) for part in operand)
    return lambda document: (then if truthy(condition(document)) else otherwise)(document)


def _switch(compiler: Compiler, operand: Json, depth: int) -> Expression:
    branches = operand.get("branches") if isinstance(operand, dict) else None
    if not (isinstance(branches, list) and all(map(_is_branch, branches))):
        raise PipelineError("$switch takes branches of case and then")
    compiled = [tuple(compiler.expression(b[part], depth) for part in ("case", "then")) for b in branches]
    default = compiler.expression(operand.get("default"), depth)

    def choose(document: Value) -> Value:
        chosen = next((then for case, then in compiled if truthy(case(document))), default)
        return chosen(document)

    return choose


def _is_branch(branch: Json) -> bool:
    return isinstance(branch, dict) and set(branch) == {"case", "then"}


def _literal(compiler: Compiler, operand: Json, depth: int) -> Expression:
    return lambda document: operand


SPECIAL: Final[dict[str, Callable[[Compiler, Json, int], Expression]]] = {
    "$cond": _cond,
    "$switch": _switch,
    "$literal": _literal,
}

# --- arithmetic -------------------------------------------------------------------------------------------


def _arithmetic(operation: Callable[..., int | float]) -> Callable[..., Json]:
    """Make a function of numbers one of values: null where an operand is no number, or where it fails."""

    def apply(*operands: Value) -> Json:
        if any(value is None or value is ABSENT or isinstance(value, list | dict) for value in operands):
            return None
        numbers = [normal(number_of(value)) for value in operands]
        try:
            result = normal(operation(*numbers))
        except (ArithmeticError, ValueError):
            return None
        return None if is_nan(result) else result

    return apply


def _add(*numbers: int | float) -> int | float:
    total: int | float = 0
    for number in numbers:
        total = normal(total + number)
    return total


def _multiply(*numbers: int | float) -> int | float:
    product: int | float = 1
    for number in numbers:
        product = normal(product * number)
    return product


def _power(base: int | float, exponent: int | float) -> int | float:
    return math.pow(base, exponent)


def _truncate(number: int | float, places: int | float = 0) -> int | float:
    scale = 10.0 ** max(-20, min(100, int(places)))
    return math.trunc(number * scale) / scale if math.isfinite(number * scale) else number


def _round(number: int | float, places: int | float = 0) -> int | float:
    """Round half to even, as the database whose language this is."""
    return round(as_float(number), max(-20, min(100, int(places))))


# --- values ---------------------------------------------------------------------------------------------


def _compared(
    test: Callable[[tuple[object, ...], tuple[object, ...]], bool],
) -> Callable[[Value, Value], bool]:
    """Compare values of one kind; of a list on the left, one item is enough."""

    def compare(left: Value, right: Value) -> bool:
        bound = order_of(right)
        keys = (order_of(item) for item in _items(left) if item is not ABSENT and right is not ABSENT)
        return any(key[0] == bound[0] and test(key, bound) for key in keys)

    return compare


def _equal(left: Value, right: Value) -> bool:
    """Tell whether the values are the same JSON, or the left one is a list that holds the right one."""
    wanted = key_of(right)
    return key_of(left) == wanted or (isinstance(left, list) and wanted in map(key_of, left))


def _cmp(left: Value, right: Value) -> int:
    one, other = order_of(left), order_of(right)
    return (one > other) - (one < other)


def _concat(*parts: Value) -> Json:
    if any(part is None or part is ABSENT for part in parts):
        return None
    return _bounded("".join(map(text_of, parts)))


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise PipelineError(f"A text may have at most {MAX_TEXT} characters")
    return text


def _cased(change: Callable[[str], str]) -> Callable[[Value], str]:
    return lambda value: "" if value is None or value is ABSENT else _bounded(change(text_of(value)))


def _size(value: Value) -> Value:
    return len(value) if isinstance(value, list) else ABSENT


def _convert_to_number(value: Value) -> Json:
    """Give the number that text begins with, numbers as they are, null for anything else."""
    if is_number(value):
        return value
    number = leading_number(text_of(value)) if isinstance(value, str) else math.nan
    return None if is_nan(number) else normal(number)


def _element(items: Value, place: Value) -> Value:
    if not isinstance(items, list) or not is_number(place):
        return None
    index = int(place) if math.isfinite(as_float(place)) else len(items)
    return items[index] if -len(items) <= index < len(items) else ABSENT


def _in(value: Value, items: Value) -> bool:
    return isinstance(items, list) and value is not ABSENT and key_of(value) in map(key_of, items)


def _text(value: Value) -> Json:
    return None if value is None or value is ABSENT else text_of(value)


def _substring(text: Value, start: Value, length: Value) -> str:
    if not isinstance(text, str) or not (is_number(start) and is_number(length)) or start < 0:
        return ""
    first = int(min(start, len(text)))
    return text[first:] if length < 0 else text[first : first + int(min(length, len(text)))]


_MANY: Final = 1_000

FUNCTIONS: Final[dict[str, tuple[Callable[..., Value], int, int]]] = {
    "$add": (_arithmetic(_add), 1, _MANY),
    "$subtract": (_arithmetic(lambda a, b: a - b), 2, 2),
    "$multiply": (_arithmetic(_multiply), 1, _MANY),
    "$divide": (_arithmetic(lambda a, b: a / b), 2, 2),
    "$mod": (_arithmetic(lambda a, b: math.fmod(a, b)), 2, 2),
    "$pow": (_arithmetic(_power), 2, 2),
    "$abs": (_arithmetic(abs), 1, 1),
    "$ceil": (_arithmetic(math.ceil), 1, 1),
    "$floor": (_arithmetic(math.floor), 1, 1),
    "$sqrt": (_arithmetic(math.sqrt), 1, 1),
    "$trunc": (_arithmetic(_truncate), 1, 2),
    "$round": (_arithmetic(_round), 1, 2),
    "$eq": (_equal, 2, 2),
    "$ne": (lambda a, b: not _equal(a, b), 2, 2),
    "$gt": (_compared(lambda a, b: a > b), 2, 2),
    "$gte": (_compared(lambda a, b: a >= b), 2, 2),
    "$lt": (_compared(lambda a, b: a < b), 2, 2),
    "$lte": (_compared(lambda a, b: a <= b), 2, 2),
    "$cmp": (_cmp, 2, 2),
    "$and": (lambda *values: all(map(truthy, values)), 0, _MANY),
    "$or": (lambda *values: any(map(truthy, values)), 0, _MANY),
    "$not": (lambda value: not truthy(value), 1, 1),
    "$ifNull": (lambda value, other: other if value is None or value is ABSENT else value, 2, 2),
    "$concat": (_concat, 0, _MANY),
    "$toLower": (_cased(str.lower), 1, 1),
    "$toUpper": (_cased(str.upper), 1, 1),
    "$substr": (_substring, 3, 3),
    "$toString": (_text, 1, 1),
    "$size": (_size, 1, 1),
    "$isArray": (lambda value: isinstance(value, list), 1, 1),
    "$arrayElemAt": (_element, 2, 2),
    "$in": (_in, 2, 2),
    "$convertToNumber": (_convert_to_number, 1, 1),
}
"""Each operator with its function of values, and the fewest and the most operands that it takes."""
