"""Stages of a pipeline that make one document of each: with paths set, kept or dropped, or a part of it.

Each function reads what was sent for a stage and gives what it does to a document, which stays as it is. All
raise `PipelineError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flatdata.query.documents import Document, PipelineError, drop, path_tree, pick, put
from flatdata.query.expressions import Compiler, Expression
from flatdata.query.tree import ABSENT, Json

Reshape = Callable[[Document], Document]


def add_fields(compiler: Compiler, operand: Json, depth: int) -> Reshape:
    """Read what sets paths to what expressions give."""
    if not isinstance(operand, dict):
        raise PipelineError("$addFields needs an object")
    return _assign(_expressions(compiler, operand, depth))


def _expressions(compiler: Compiler, source: dict[str, Json], depth: int) -> dict[str, Expression]:
    path_tree(source)
    return {path: compiler.expression(value, depth) for path, value in source.items()}


def _assign(expressions: dict[str, Expression]) -> Reshape:
    assignments = [(path.split("."), expression) for path, expression in expressions.items()]

    def reshape(document: Document) -> Document:
        made: Document = document
        for steps, expression in assignments:
            made = put(made, steps, expression(document))
        return made

    return reshape


def unset(compiler: Compiler, operand: Json, depth: int) -> Reshape:
    """Read the paths that are taken out."""
    paths = operand if isinstance(operand, list) else [operand]
    if not all(isinstance(path, str) for path in paths):
        raise PipelineError("$unset needs paths")
    for _ in paths:
        compiler.count(depth)
    tree = path_tree(paths)
    return lambda document: drop(document, tree)


def project(compiler: Compiler, operand: Json, depth: int) -> Reshape:
    """Read a projection: paths to keep, or paths to drop, and paths to set to what expressions give.

    `_id` stays unless it is dropped. Nested objects without operators are paths, as in the database whose
    language this is.
    """
    if not isinstance(operand, dict):
        raise PipelineError("$project needs an object")
    flat = dict(_flattened(compiler, operand, "", depth))
    kept = [path for path, value in flat.items() if _flag(value) is True]
    dropped = [path for path, value in flat.items() if _flag(value) is False]
    computed = {path: value for path, value in flat.items() if _flag(value) is None}
    if (kept or computed) and any(path != "_id" for path in dropped):
        raise PipelineError("Projection cannot have a mix of inclusion and exclusion.")
    path_tree(flat)
    if not (kept or computed):
        without = path_tree(dropped)
        compiler.reads.add("")
        return lambda document: drop(document, without)
    keep = path_tree([*kept] if "_id" in flat else ["_id", *kept])
    compiler.reads.update(kept)
    assign = _assign_onto(_expressions(compiler, computed, depth))
    return lambda document: assign(document, _object(pick(document, keep)))


def _flattened(
    compiler: Compiler, source: dict[str, Json], above: str, depth: int
) -> Iterable[tuple[str, Json]]:
    compiler.count(depth)
    for name, value in source.items():
        if name.startswith("$"):
            raise PipelineError(f"Unknown expression {name}")
        path = f"{above}{name}"
        nested = isinstance(value, dict) and value and not any(key.startswith("$") for key in value)
        if nested:
            yield from _flattened(compiler, value, f"{path}.", depth + 1)
        else:
            yield path, value


def _flag(value: Json) -> bool | None:
    """Give True for a path to keep, False for one to drop, None for an expression."""
    return bool(value) if isinstance(value, bool | int | float) else None


def _object(value: Json) -> Document:
    return value if isinstance(value, dict) else {}


def _assign_onto(expressions: dict[str, Expression]) -> Callable[[Document, Document], Document]:
    assignments = [(path.split("."), expression) for path, expression in expressions.items()]

    def assign(document: Document, made: Document) -> Document:
        for steps, expression in assignments:
            value = expression(document)
            if value is not ABSENT:
                made = put(made, steps, value)
        return made

    return assign


def replace_root(compiler: Compiler, operand: Json, depth: int) -> Reshape:
    """Read the expression that gives the new document: `{newRoot: <expression>}`."""
    if not (isinstance(operand, dict) and set(operand) == {"newRoot"}):
        raise PipelineError("$replaceRoot needs a newRoot")
    return replace_with(compiler, operand["newRoot"], depth)


def replace_with(compiler: Compiler, operand: Json, depth: int) -> Reshape:
    """Read the expression that gives the new document."""
    expression = compiler.expression(operand, depth)

    def reshape(document: Document) -> Document:
        made = expression(document)
        if not isinstance(made, dict):
            raise PipelineError("$replaceRoot expression must return an object")
        return made

    return reshape
