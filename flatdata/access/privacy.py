"""Privacy rules of Bubble types: who may find, see, create, modify and delete which things.

reference/bubble.md §12. A type has any number of rules; what a caller may do with a thing is the union of
what the rules grant whose condition holds for the caller and the thing. How rules are written is said in
`flatdata.access.privacy_rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flatdata.query.bubble_values import FieldType
from flatdata.query.evaluate import matches
from flatdata.query.tree import (
    EVERYTHING,
    NOTHING,
    All,
    AnyOf,
    Field,
    Node,
    Not,
)

ACTIONS: Final = ("create", "modify", "delete", "attached_files")
"""What a rule may let callers do to things, or (the last) to the private files attached to them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a declaration: where (a slug, may be empty), which part, and why."""

    slug: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A field that conditions can name."""

    caption: str
    type: FieldType
    source: Field


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an admin, whom rules do not concern; a logged-in user; or, with neither, a visitor.

    `user` is the record of the user, as the fields of subjects can read it.
    """

    admin: bool = False
    user_id: str = ""
    user: Any = None


VISITOR: Final = Caller()
ADMIN: Final = Caller(admin=True)

Compile = Callable[[Caller, bool], Node]
"""From a caller to the tree that says for which things a condition holds, or (True) for which it does not.

Both are false where the condition cannot be decided."""

# --- trees that stay simple -----------------------------------------------------------------------------


def all_of(*parts: Node) -> Node:
    """The conjunction, decided at once where it can be."""
    kept = tuple(part for part in parts if part != EVERYTHING)
    if NOTHING in kept:
        return NOTHING
    return kept[0] if len(kept) == 1 else All(kept)


def any_of(*parts: Node) -> Node:
    """The disjunction, decided at once where it can be."""
    kept = tuple(dict.fromkeys(part for part in parts if part != NOTHING))
    if EVERYTHING in kept:
        return EVERYTHING
    return kept[0] if len(kept) == 1 else AnyOf(kept)


def none_of(part: Node) -> Node:
    """The complement, decided at once where it can be."""
    if part == EVERYTHING:
        return NOTHING
    return EVERYTHING if part == NOTHING else Not(part)


def decided(value: bool) -> Node:
    """All things, or none."""
    return EVERYTHING if value else NOTHING


# --- rules and what they grant ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `view` None is all fields."""

    name: str
    when: Compile
    find: bool = False
    view: frozenset[str] | None = frozenset()
    not_constrainable: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()

    def shows(self, caption: str) -> bool:
        """Whether things of this rule show the field."""
        return self.view is None or caption in self.view


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a type."""

    rules: tuple[Rule, ...]

    def grants(self, caller: Caller) -> Grants:
        """What the rules mean for a caller."""
        if caller.admin:
            return Grants(((_ALL_RULE, EVERYTHING),))
        return Grants(tuple((rule, rule.when(caller, False)) for rule in self.rules))


@dataclass(frozen=True, slots=True)
class Grants:
    """What one caller may do with the things of a type: each rule with the things for which it holds."""

    rules: tuple[tuple[Rule, Node], ...]

    def findable(self) -> Node:
        """The things that appear in the caller's searches."""
        return any_of(*(node for rule, node in self.rules if rule.find))

    def showing(self, caption: str) -> Node:
        """The things of which the caller sees a field."""
        return any_of(*(node for rule, node in self.rules if rule.shows(caption)))

    def constrainable(self, caption: str) -> Node:
        """The things that the caller may filter and sort by a field."""
        return any_of(
            *(
                node
                for rule, node in self.rules
                if rule.shows(caption) and caption not in rule.not_constrainable
            )
        )

    def shows_all(self) -> bool:
        """Whether the caller sees, and may filter by, all fields of all things."""
        return any(
            node == EVERYTHING and rule.view is None and not rule.not_constrainable
            for rule, node in self.rules
        )

    def sees_all(self) -> bool:
        """Whether the caller sees all fields of all things."""
        return any(rule.view is None and node == EVERYTHING for rule, node in self.rules)

    def visible(self, record: Any) -> frozenset[str] | None:
        """The captions of the fields that the caller sees of a thing; None for all."""
        shown: set[str] = set()
        for rule, node in self.rules:
            if rule.view is not None and rule.view <= shown:
                continue
            if matches(node, record):
                if rule.view is None:
                    return None
                shown |= rule.view
        return frozenset(shown)

    def may_ever(self, action: str) -> bool:
        """Whether there could be a thing to which the caller may do one of `ACTIONS`."""
        return any(action in rule.actions and node != NOTHING for rule, node in self.rules)

    def may(self, action: str, record: Any) -> bool:
        """Whether the caller may do one of `ACTIONS` to a thing."""
        return any(action in rule.actions and matches(node, record) for rule, node in self.rules)


def for_everyone(caller: Caller, negated: bool) -> Node:
    """The condition that always holds."""
    return decided(not negated)


def for_users(caller: Caller, negated: bool) -> Node:
    """The condition `logged_in`."""
    return decided((caller.user is not None) != negated)


_ALL_RULE: Final = Rule("admin", for_everyone, find=True, view=None, actions=frozenset(ACTIONS))


def open_policy(*, public: bool) -> Policy:
    """The policy of a type without rules: everyone reads, only admins write (§12).

    A visitor who is not logged in is everyone only where the data source says it is `public`.
    """
    when = for_everyone if public else for_users
    files = frozenset({"attached_files"})
    return Policy((Rule("no rules", when, find=True, view=None, actions=files),))


def closed_policy() -> Policy:
    """The policy that grants nothing to anyone but admins."""
    return Policy(())
