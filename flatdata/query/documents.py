"""What an aggregate pipeline does with documents: paths, equality, order, weight. Pure, and shares nothing.

Documents are never changed in place. What a stage makes shares its parts with what it was made from, so a
small document may stand for a huge one once it is written out: `weigh` counts what would be written.
Paths follow the mingo library, which Fliplet's service uses (reference: fliplet.md §3.6).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final

from flatdata.errors import FlatdataError
from flatdata.query.tree import ABSENT, Absent, Json

Document = dict[str, Json]


class PipelineError(FlatdataError):
    """A pipeline that is not understood or is refused; `message` says why, in words for the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# --- reading ------------------------------------------------------------------------------------------


class NoValues(list[Json]):
    """The empty list that a walk over lists made itself: nothing stands under the path."""


def resolve(value: Json | Absent, path: str, unwrap: bool = False) -> Json | Absent:
    """Give what stands under a dotted path; a list on the way gives the list of what its items have there.

    `unwrap` takes a single value out of the list that the walk itself made, as filters want it, and gives
    `NoValues` for an empty one.
    """
    found, levels = _resolve(value, path.split("."), inside=False)
    if unwrap and levels and found == []:
        return NoValues()
    while unwrap and levels and isinstance(found, list) and len(found) == 1:
        found, levels = found[0], levels - 1
    return found


def path_reader(path: str, unwrap: bool = False) -> Callable[[Json | Absent], Json | Absent]:
    """Give what `resolve` does for one path, ready for many documents."""
    steps = path.split(".")

    def read(document: Json | Absent) -> Json | Absent:
        value = document
        for step in steps:
            if value.__class__ is not dict:
                return resolve(document, path, unwrap)
            value = value.get(step, ABSENT)
            if value is ABSENT:
                return ABSENT
        return value

    return read


def _resolve(value: Json | Absent, steps: list[str], inside: bool) -> tuple[Json | Absent, int]:
    """Give what is found, and how many lists around it the walk itself has made."""
    for position, step in enumerate(steps):
        if isinstance(value, list) and not (step.isascii() and step.isdigit()):
            if position == 0 and inside:
                return value, 0
            rest = steps[position:]
            found = [_resolve(item, rest, inside=True) for item in value]
            levels = 1 + max((below for _, below in found), default=0)
            return [item for item, _ in found if item is not ABSENT], levels
        value = _member(value, step)
        if value is ABSENT:
            break
    return value, 0


def _member(value: Json | Absent, step: str) -> Json | Absent:
    if isinstance(value, dict):
        return value.get(step, ABSENT)
    if isinstance(value, list) and len(step) < 10 and int(step) < len(value):
        return value[int(step)]
    return ABSENT


# --- changing, by making anew -----------------------------------------------------------------------------

Tree = dict[str, Any]
"""Paths taken apart: a name leads to a further tree, or to the leaf `True`."""


def path_tree(paths: Iterable[str]) -> Tree:
    """Gather dotted paths into a tree. A path and one below it are refused: which of them counts?"""
    tree: Tree = {}
    for path in paths:
        *above, last = path.split(".")
        at = tree
        for step in above:
            at = at.setdefault(step, {})
            if at is True:
                raise PipelineError(f"Two paths contradict each other at {path}")
        if last in at:
            raise PipelineError(f"Two paths contradict each other at {path}")
        at[last] = True
    return tree


def pick(value: Json, tree: Tree) -> Json | Absent:
    """Give the parts of a document that a tree names, `ABSENT` where it has none of them."""
    if isinstance(value, list):
        found = [pick(item, tree) for item in value]
        return [item for item in found if item is not ABSENT]
    if not isinstance(value, dict):
        return ABSENT
    picked: Document = {}
    for name, below in tree.items():
        part = value.get(name, ABSENT)
        if below is not True and part is not ABSENT:
            part = pick(part, below)
        if part is not ABSENT:
            picked[name] = part
    return picked or ABSENT


def drop(value: Json, tree: Tree) -> Json:
    """Give a document without the parts that a tree names."""
    if isinstance(value, list):
        return [drop(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: drop(part, tree[name]) if name in tree else part
        for name, part in value.items()
        if tree.get(name) is not True
    }


def put(value: Json | Absent, steps: list[str], new: Json | Absent) -> Json:
    """Give a document with `new` under a path, or without that path where `new` is `ABSENT`.

    A list on the way gets it in each of its items; what is no object on the way becomes one.
    """
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        if step.isascii() and step.isdigit():
            return _put_item(value, steps, new)
        return [put(item, steps, new) for item in value]
    if new is ABSENT and not isinstance(value, dict):
        return value
    made: Document = dict(value) if isinstance(value, dict) else {}
    if not rest:
        if new is ABSENT:
            made.pop(step, None)
        else:
            made[step] = new
    elif new is not ABSENT or step in made:
        made[step] = put(made.get(step, ABSENT), rest, new)
    return made


def _put_item(items: list[Json], steps: list[str], new: Json | Absent) -> list[Json]:
    place, rest = int(steps[0][:10]), steps[1:]
    if place >= len(items):
        return items
    changed = put(items[place], rest, new) if rest else (None if new is ABSENT else new)
    return [*items[:place], changed, *items[place + 1 :]]


# --- equality and order -------------------------------------------------------------------------------------


def key_of(value: Json | Absent) -> Hashable:
    """Give a key that two values share when they are the same JSON; null and missing are the same."""
    kind = type(value)
    if kind is str or kind is int or kind is float:
        return value
    if value is None or value is ABSENT:
        return None
    if isinstance(value, bool):
        return (value,)
    if isinstance(value, list):
        return ("list", tuple(map(key_of, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, key_of(part)) for name, part in value.items()))
    return value if isinstance(value, str | int | float) else None


_RANKS: Final[Mapping[type, int]] = {str: 2, dict: 3, list: 4, bool: 5}


def order_of(value: Json | Absent) -> tuple[Any, ...]:
    """Give a sort key: missing and null first, then numbers, text, objects, lists, booleans."""
    if value is None or value is ABSENT:
        return (0,)
    if isinstance(value, dict):
        return (3, tuple((name, order_of(part)) for name, part in sorted(value.items())))
    if isinstance(value, list):
        return (4, tuple(map(order_of, value)))
    if isinstance(value, float) and math.isnan(value):
        return (1, -math.inf)
    return (_RANKS.get(type(value), 1), value)


# --- weight -------------------------------------------------------------------------------------------------

_CHARACTERS: Final = 8
"""So many characters weigh as much as one value."""
_MAX_LEVELS: Final = 100
"""What is stored may have 64, and stages add up to 32. Comparing values takes two calls a level."""


def weigh(values: Iterable[Json | Absent], limit: float) -> int:
    """Count the values that writing `values` out would write, text by its length; stops beyond `limit`.

    Raises:
        PipelineError: if one of them is nested too deeply to be compared with others.
    """
    return _weigh(values, 0, limit, 0)


def _weigh(values: Iterable[Any], total: int, limit: float, level: int) -> int:
    """`total` and what `values` weigh, which are so many levels deep."""
    if level > _MAX_LEVELS:
        raise PipelineError("The pipeline, or what it makes, is nested too deeply")
    for value in values:
        total += 1
        kind = type(value)
        if kind is str:
            total += len(value) // _CHARACTERS
        elif kind is dict:
            total = _weigh(value.values(), total, limit, level + 1)
        elif kind is list:
            total = _weigh(value, total, limit, level + 1)
        if total > limit:
            break
    return total
