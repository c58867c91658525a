"""Filters of an aggregate pipeline (`$match`), compiled to predicates over documents.

The query language of the mingo library (reference: fliplet.md §3.6): values are compared strictly, a list
holds what one of its items holds, null finds missing fields. Nothing is executed: `$where` is refused,
patterns run in RE2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from flatdata.query.documents import NoValues, PipelineError, key_of, order_of, path_reader
from flatdata.query.expressions import Compiler, Expression
from flatdata.query.javascript import is_nan, is_number, number_of, truthy
from flatdata.query.patterns import PatternError, compile_pattern
from flatdata.query.tree import ABSENT, Absent, Json

Value = Json | Absent
Predicate = Callable[[Value], bool]
"""Tells whether a document, or a value of one, is wanted."""

MAX_PATTERNS: Final = 100
"""How many regular expressions a pipeline may hold."""


def compile_match(compiler: Compiler, query: Json, depth: int = 1) -> Predicate:
    """Compile a filter over documents. Raises `PipelineError`."""
    if not isinstance(query, dict):
        raise PipelineError("$match needs an object")
    compiler.count(depth)
    tests: list[Predicate] = []
    for name, operand in query.items():
        if name in COMBINED:
            tests.append(_combined(compiler, name, operand, depth))
        elif name == "$expr":
            tests.append(_is_true(compiler.expression(operand, depth + 1)))
        elif name.startswith("$"):
            raise PipelineError(f"Unknown top level operator {name}")
        else:
            compiler.reads.add(name)
            tests.append(_on_path(name, _compile_value(compiler, operand, depth + 1)))
    return lambda document: all(test(document) for test in tests)


def _is_true(expression: Expression) -> Predicate:
    return lambda document: truthy(expression(document))


def _on_path(path: str, test: Predicate) -> Predicate:
    read = path_reader(path, unwrap=True)
    return lambda document: test(read(document))


COMBINED: Final[dict[str, Callable[[list[Predicate], Value], bool]]] = {
    "$and": lambda tests, document: all(test(document) for test in tests),
    "$or": lambda tests, document: any(test(document) for test in tests),
    "$nor": lambda tests, document: not any(test(document) for test in tests),
}


def _combined(compiler: Compiler, name: str, operand: Json, depth: int) -> Predicate:
    if not isinstance(operand, list):
        raise PipelineError(f"{name} needs an array")
    combine, tests = COMBINED[name], [compile_match(compiler, item, depth + 1) for item in operand]
    return lambda document: combine(tests, document)


def _compile_value(compiler: Compiler, query: Json, depth: int) -> Predicate:
    """Compile what is asked of one value: operators, or something to equal."""
    compiler.count(depth)
    query = operators_of(query)
    tests: list[Predicate] = []
    for name, operand in query.items():
        if name == "$options":
            continue
        if name not in OPERATORS:
            raise PipelineError(f"Unknown operator {name}")
        tests.append(OPERATORS[name](compiler, operand, query, depth))
    return lambda value: all(test(value) for test in tests)


def operators_of(query: Json) -> dict[str, Json]:
    """Give what is asked of one value as an object of operators."""
    is_operators = isinstance(query, dict) and any(name.startswith("$") for name in query)
    return query if is_operators else {"$eq": query}


# --- operators ---------------------------------------------------------------------------------------------

Build = Callable[[Compiler, Json, dict[str, Json], int], Predicate]


def candidates_of(value: Value) -> list[Value]:
    """Give a value and, of a list, its items, and the items of those that are lists."""
    if not isinstance(value, list):
        return [value]
    return [value, *value, *(inner for item in value if isinstance(item, list) for inner in item)]


def items_of(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]


def _equals(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    wanted = key_of(operand)
    return lambda value: any(key_of(each) == wanted for each in candidates_of(value))


def _one_of(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    if not isinstance(operand, list):
        raise PipelineError("$in and $nin need an array")
    wanted = frozenset(map(key_of, operand))
    return lambda value: any(key_of(each) in wanted for each in items_of(value))


def _compares(test: Callable[[tuple[Any, ...], tuple[Any, ...]], bool]) -> Build:
    def build(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
        bound = order_of(operand)

        def predicate(value: Value) -> bool:
            keys = (order_of(each) for each in items_of(value) if each is not ABSENT)
            return any(key[0] == bound[0] and test(key, bound) for key in keys)

        return predicate

    return build


def _negated(build: Build) -> Build:
    def negate(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
        test = build(compiler, operand, query, depth)
        return lambda value: not test(value)

    return negate


def _not(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    test = _compile_value(compiler, operand, depth + 1)
    return lambda value: not test(value)


def _exists(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    wanted = truthy(operand)
    return lambda value: (value is not ABSENT and not isinstance(value, NoValues)) is wanted


def _size(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    return lambda value: isinstance(value, list) and is_number(operand) and len(value) == operand


def _all(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    if not isinstance(operand, list):
        raise PipelineError("$all needs an array")
    tests = [
        _element(compiler, item["$elemMatch"], query, depth)
        if isinstance(item, dict) and "$elemMatch" in item
        else _holds(item)
        for item in operand
    ]
    return lambda value: isinstance(value, list) and bool(tests) and all(test(value) for test in tests)


def _holds(item: Json) -> Predicate:
    wanted = key_of(item)
    return lambda value: wanted in map(key_of, items_of(value))


def _element(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    if not isinstance(operand, dict):
        raise PipelineError("$elemMatch needs an object")
    of_value = bool(operand) and all(name.startswith("$") and name not in COMBINED for name in operand)
    test = (_compile_value if of_value else compile_match)(compiler, operand, depth + 1)
    return lambda value: isinstance(value, list) and any(map(test, value))


def _remainder(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    if not (isinstance(operand, list) and len(operand) == 2 and all(map(is_number, operand)) and operand[0]):
        raise PipelineError("$mod needs [divisor, remainder]")
    divisor, remainder = operand

    def leaves(value: Value) -> bool:
        number = number_of(value)
        try:
            return not is_nan(number) and math.fmod(number, divisor) == remainder
        except (ArithmeticError, ValueError):
            return False

    return lambda value: any(map(leaves, items_of(value)))


def _regex(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    options = query.get("$options") or ""
    if not (isinstance(operand, str) and isinstance(options, str)):
        raise PipelineError("$regex needs a string")
    compiler.patterns += 1
    if compiler.patterns > MAX_PATTERNS:
        raise PipelineError(f"A pipeline may hold at most {MAX_PATTERNS} regular expressions")
    try:
        pattern = compile_pattern(operand, options)
    except PatternError as error:
        raise PipelineError(error.message) from error
    return lambda value: any(map(pattern.found_in, candidates_of(value)))


def _is_whole(value: Value, below: int) -> bool:
    return is_number(value) and abs(value) < below and value == value // 1


_TYPES: Final[dict[Any, Predicate]] = {
    "number": is_number,
    "double": is_number,
    "decimal": is_number,
    "int": lambda value: _is_whole(value, 2**31),
    "long": lambda value: _is_whole(value, 2**53),
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "bool": lambda value: isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "undefined": lambda value: value is None or value is ABSENT,
}


def _type(compiler: Compiler, operand: Json, query: dict[str, Json], depth: int) -> Predicate:
    names = operand if isinstance(operand, list) else [operand]
    unknown = [name for name in names if not (isinstance(name, str) and name in _TYPES)]
    if unknown:
        raise PipelineError(f"$type knows {' '.join(_TYPES)}")
    return lambda value: any(_TYPES[name](value) for name in names)


OPERATORS: Final[dict[str, Build]] = {
    "$eq": _equals,
    "$ne": _negated(_equals),
    "$gt": _compares(lambda a, b: a > b),
    "$gte": _compares(lambda a, b: a >= b),
    "$lt": _compares(lambda a, b: a < b),
    "$lte": _compares(lambda a, b: a <= b),
    "$in": _one_of,
    "$nin": _negated(_one_of),
    "$not": _not,
    "$exists": _exists,
    "$size": _size,
    "$all": _all,
    "$elemMatch": _element,
    "$mod": _remainder,
    "$regex": _regex,
    "$type": _type,
}
"""Each operator on a value, with what makes a predicate of its operand."""
