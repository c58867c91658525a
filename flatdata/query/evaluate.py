"""The evaluator: whether a record satisfies a condition, with no index. The definition of every query."""

from __future__ import annotations

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
