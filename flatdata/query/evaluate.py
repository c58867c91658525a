"""The evaluator: whether a record satisfies a condition, with no index. The definition of every query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flatdata.query.tree import All, AnyOf, Condition, Node


def matches(node: Node, record: Any) -> bool:
    """Tell whether `record` satisfies `node`. Total: operators never raise."""
    if isinstance(node, Condition):
        return node.operator.matches(node.field.read(record), node.operand)
    if isinstance(node, All):
        return all(matches(part, record) for part in node.parts)
    if isinstance(node, AnyOf):
        return any(matches(part, record) for part in node.parts)
    return not matches(node.part, record)


def predicate(node: Node) -> Callable[[Any], bool]:
    """`matches` for a node that many records are held against: a third of its time for each.

    Making it takes as long as `matches` for one record.
    """
    if isinstance(node, Condition):
        read, test, operand = node.field.read, node.operator.matches, node.operand
        return lambda record: test(read(record), operand)
    if isinstance(node, All | AnyOf):
        if len(node.parts) == 1:
            return predicate(node.parts[0])
        parts = [predicate(part) for part in node.parts]
        if isinstance(node, All):
            return lambda record: all(part(record) for part in parts)
        return lambda record: any(part(record) for part in parts)
    refused = predicate(node.part)
    return lambda record: not refused(record)
