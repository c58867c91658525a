"""Privacy rules as they are written in a manifest, below `bubble:` (reference/bubble.md §12).

```yaml
privacy:
- name: Owners                                  # for people
  when: {field: Created By, equals: {user: _id}}
  find: true                                    # appears in searches
  view: all                                     # or a list of captions
  create: true                                  # via the API; so modify, delete
  modify: true
  delete: true
  attached_files: true                          # may read files that were uploaded as private
- name: Everybody
  find: true
  view: [Unit name, Status]
  not_constrainable: [Status]                   # seen, but searches cannot filter by it through this rule
```

`when` is a condition; left out, the rule is for everyone. A condition is one of

* `logged_in` or `logged_out`;
* `{field: <caption>, <operator>: <operand>}`, about the thing;
* `{user: <caption>, <operator>: <operand>}`, about the current user;
* `{all: [...]}`, `{any: [...]}`, `{not: ...}` over conditions.

Operators are the constraint types of the API for the field's type (`equals`, `not equal`, `in`, `contains`,
`greater than`, ...); those without a value take `true`. An operand is a value of the field's type, or
`{user: <caption>}`: the value of the current user's field, `_id` being the user.

**When in doubt, no.** A comparison with a field that the current user has not filled in, or of a visitor
who is not logged in, does not hold, and neither does its `not`. (The hosted service lets empty equal empty
here, which makes a forgotten value a master key.) A rule that cannot be understood grants nothing; the
others stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flatdata.access.privacy import (
    ACTIONS,
    Caller,
    Compile,
    Policy,
    Problem,
    Rule,
    Subject,
    all_of,
    any_of,
    closed_policy,
    decided,
    for_everyone,
    for_users,
)
from flatdata.query.bubble import VALUELESS, bound, operators, wanted, words_wanted
from flatdata.query.bubble_values import FieldType, read_value
from flatdata.query.bubble_words import Analyse
from flatdata.query.tree import ABSENT, NOTHING, Condition, Json, Node, Not, Operator

_MAX_DEPTH: Final = 20


class _Mistake(Exception):
    """Something in a rule that cannot be understood."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Find = Callable[[str], Subject | None]
_KEYS: Final = frozenset({"name", "when", "find", "view", "not_constrainable", *ACTIONS})


def parse_policy(raw: Json, thing: Find, user: Find, analyse: Analyse) -> tuple[Policy, tuple[Problem, ...]]:
    """The policy that a manifest's `privacy` declares, and what is wrong with it.

    `thing` and `user` find the fields, by caption, of the type and of the type of users.
    """
    if not isinstance(raw, list):
        return closed_policy(), (Problem("", "privacy", "must be a list of rules"),)
    reader = _Reader(thing, user, analyse)
    rules: list[Rule] = []
    problems: list[Problem] = []
    for number, item in enumerate(raw):
        try:
            rules.append(reader.rule(item, number))
        except _Mistake as mistake:
            problems.append(Problem("", f"privacy[{number}]", mistake.reason))
    return Policy(tuple(rules)), tuple(problems)


@dataclass(frozen=True, slots=True)
class _Reader:
    thing: Find
    user: Find
    analyse: Analyse

    # --- rules

    def rule(self, raw: Json, number: int) -> Rule:
        if not isinstance(raw, dict):
            raise _Mistake("must be a mapping")
        if unknown := sorted(str(key) for key in raw.keys() - _KEYS):
            raise _Mistake(f"has unknown keys: {', '.join(unknown)}")
        flags = {key: raw.get(key, False) for key in ("find", *ACTIONS)}
        for key, value in flags.items():
            if type(value) is not bool:
                raise _Mistake(f"{key} must be true or false")
        return Rule(
            name=str(raw.get("name") or f"rule {number + 1}"),
            when=self.condition(raw["when"], 0) if "when" in raw else for_everyone,
            find=flags["find"],
            view=None if raw.get("view") == "all" else self.captions(raw.get("view"), "view"),
            not_constrainable=self.captions(raw.get("not_constrainable"), "not_constrainable"),
            actions=frozenset(action for action in ACTIONS if flags[action]),
        )

    def captions(self, raw: Json, key: str) -> frozenset[str]:
        if raw is None:
            return frozenset()
        if not isinstance(raw, list):
            raise _Mistake(f"{key} must be a list of captions{' or all' if key == 'view' else ''}")
        return frozenset(self.thing_field(caption).caption for caption in raw)

    def thing_field(self, caption: Json) -> Subject:
        subject = self.thing(caption) if isinstance(caption, str) else None
        if subject is None:
            raise _Mistake(f"there is no field {caption!r}")
        return subject

    def user_field(self, caption: Json) -> Subject:
        subject = self.user(caption) if isinstance(caption, str) else None
        if subject is None:
            raise _Mistake(f"users have no field {caption!r}")
        return subject

    # --- conditions

    def condition(self, raw: Json, depth: int) -> Compile:
        if depth > _MAX_DEPTH:
            raise _Mistake("a condition is nested too deeply")
        if raw == "logged_in":
            return for_users
        if raw == "logged_out":
            return lambda caller, negated: for_users(caller, not negated)
        if not isinstance(raw, dict):
            raise _Mistake("a condition must be a mapping, logged_in or logged_out")
        if len(raw) == 1 and (key := next(iter(raw))) in ("all", "any", "not"):
            return self.compound(key, raw[key], depth)
        return self.comparison(raw)

    def compound(self, key: str, raw: Json, depth: int) -> Compile:
        if key == "not":
            part = self.condition(raw, depth + 1)
            return lambda caller, negated: part(caller, not negated)
        if not isinstance(raw, list) or not raw:
            raise _Mistake(f"{key} must be a list of conditions")
        parts = tuple(self.condition(item, depth + 1) for item in raw)
        conjunction = key == "all"

        def compile_parts(caller: Caller, negated: bool) -> Node:
            nodes = [part(caller, negated) for part in parts]
            return all_of(*nodes) if conjunction != negated else any_of(*nodes)

        return compile_parts

    def comparison(self, raw: Mapping[str, Json]) -> Compile:
        sides = [key for key in ("field", "user") if key in raw]
        if len(sides) != 1 or len(raw) != 2:
            raise _Mistake("a comparison has one of field and user, and one operator")
        side = sides[0]
        subject = (self.thing_field if side == "field" else self.user_field)(raw[side])
        name = next(key for key in raw if key != side)
        operator = operators(subject.type, self.analyse, "." not in subject.caption).get(name)
        if operator is None or name == "geographic_search":
            raise _Mistake(f"there is no operator {name!r} for {subject.caption!r} of type {subject.type}")
        operand = self.operand(subject, name, raw[name])
        return (
            _about_thing(subject, operator, operand)
            if side == "field"
            else _about_user(subject, operator, operand)
        )

    # --- operands

    def operand(self, subject: Subject, name: str, raw: Json) -> Operand:
        if name in VALUELESS:
            if raw is not True:
                raise _Mistake(f"{name} takes true")
            return lambda caller: None
        if isinstance(raw, dict) and raw.keys() == {"user"}:
            return self.operand_of_user(subject, name, self.user_field(raw["user"]))
        operand = self.fixed(subject.type, name, raw)
        if operand is UNDECIDED:
            raise _Mistake(f"{raw!r} is not what {name} of {subject.caption!r} compares with")
        return lambda caller: operand

    def operand_of_user(self, subject: Subject, name: str, source: Subject) -> Operand:
        if _family(source.type) != _family(subject.type) or not _fits(name, subject.type, source.type):
            raise _Mistake(f"{source.caption!r} of users cannot be compared with {subject.caption!r}")

        def of_caller(caller: Caller) -> Any:
            if caller.user is None:
                return UNDECIDED
            value = read_value(source.type, source.source.read(caller.user))
            return UNDECIDED if value is ABSENT else self.made(subject.type, name, value)

        return of_caller

    def fixed(self, field_type: FieldType, name: str, raw: Json) -> Any:
        """The operand of a value in a rule, `UNDECIDED` if it is none."""
        if name in ("in", "not in"):
            if not isinstance(raw, list) or not raw:
                return UNDECIDED
            values = [read_value(field_type, item) for item in raw]
            return UNDECIDED if ABSENT in values else self.made(field_type, name, values)
        value = read_value(field_type.item if name.endswith("contains") else field_type, raw)
        return UNDECIDED if value is ABSENT else self.made(field_type, name, value)

    def made(self, field_type: FieldType, name: str, value: Any) -> Any:
        """The operand of a value that was read."""
        if name in ("in", "not in"):
            values = value if isinstance(value, list) else [value]
            return tuple(wanted(field_type, item) for item in values)
        if name.startswith(("greater", "less")):
            return bound(field_type, value)
        if name in ("text contains", "not text contains"):
            return words_wanted(self.analyse, value)
        return wanted(field_type.item if name.endswith("contains") else field_type, value)


class _Undecided:
    """The type of `UNDECIDED`."""


UNDECIDED: Final = _Undecided()
"""The operand of a comparison that cannot be made."""

Operand = Callable[[Caller], Any]
"""The operand of a comparison for a caller, or `UNDECIDED`."""


def _family(field_type: FieldType) -> str:
    """Kinds that can be compared with each other: what is stored as text is."""
    return (
        field_type.kind if field_type.kind in ("number", "boolean", "date", "geographic_address") else "text"
    )


def _fits(name: str, field_type: FieldType, other: FieldType) -> bool:
    """Whether an operator can compare a field with one of another type of the same family."""
    if name in ("equals", "not equal"):
        return field_type.many == other.many
    if name in ("in", "not in"):
        return not field_type.many
    return not other.many


def _about_thing(subject: Subject, operator: Operator, operand: Operand) -> Compile:
    def compile_comparison(caller: Caller, negated: bool) -> Node:
        value = operand(caller)
        if value is UNDECIDED:
            return NOTHING
        condition = Condition(subject.source, operator, value)
        return Not(condition) if negated else condition

    return compile_comparison


def _about_user(subject: Subject, operator: Operator, operand: Operand) -> Compile:
    def decide(caller: Caller, negated: bool) -> Node:
        value = operand(caller)
        if caller.user is None or value is UNDECIDED:
            return NOTHING
        return decided(operator.matches(subject.source.read(caller.user), value) != negated)

    return decide
