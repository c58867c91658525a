"""Who may do what to the rows of a data source: roles and rules (reference/fliplet.md §5).

A source whose `access_rules` is null is guarded by the roles alone: letters out of `crudq` that its
`permissions` give to tokens. A source with a list of rules is guarded by the rules alone, and the first one
that grants wins; an empty list grants nothing. Tokens with `admin` pass both. Everything here is a pure
function of the source, the actor and the request.

What a rule says wrongly never grants: an unknown or missing `allow`, a `type` that is no operation, an
empty condition, a template that finds nothing. A rule with a `script` never grants either, because nothing a
client wrote is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from flatdata.access.conditions import Json, Names, Test, names_user, read_tests, same
from flatdata.access.subjects import NO_SEARCH, Row, Subject, row
from flatdata.store.manifest import ROLE_LETTERS, Source

# --- what is asked ------------------------------------------------------------------------------------


class Operation(Enum):
    """What a request does: the letter and the types of rules that allow it, and the word in a denial."""

    READ = ("r", ("select",), "read")
    QUERY = ("q", ("select",), "read")
    COUNT = ("q", ("select", "count"), "read")
    INSERT = ("c", ("insert",), "write")
    UPDATE = ("u", ("update",), "update")
    DELETE = ("d", ("delete",), "delete")

    def __init__(self, letter: str, rule_types: tuple[str, ...], verb: str) -> None:
        self.letter = letter
        self.rule_types = rule_types
        self.verb = verb


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `token_id` is None without a token; `user` holds the attributes of the signed-in user."""

    token_id: int | str | None = None
    admin: bool = False
    app_id: int | None = None
    organization_id: int | None = None
    user: Mapping[str, Json] = field(default_factory=dict)
    session: Mapping[str, Json] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        """What templates can name."""
        return Names(self.user, self.session)


ANONYMOUS: Final = Actor()


# --- what is answered ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grant:
    """Allowed, for the columns that `allows` says."""

    include: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether every column is allowed."""
        return self.include is None and not self.exclude

    def allows(self, column: str) -> bool:
        """Whether the column may be seen and written: excluded ones never, of the others the included."""
        return column not in self.exclude and (self.include is None or column in self.include)

    def project(self, data: Mapping[str, Json]) -> dict[str, Json]:
        """The allowed columns of a row."""
        return {column: value for column, value in data.items() if self.allows(column)}

    def written(
        self, stored: Mapping[str, Json], submitted: Mapping[str, Json], *, extend: bool = True
    ) -> dict[str, Json]:
        """What a row becomes: `submitted` merged into it or, without `extend`, in its place.

        Columns that are not allowed stay as they are, silently (§5.3, "excluded field in a single write").
        """
        kept = stored if extend else {name: value for name, value in stored.items() if not self.allows(name)}
        return {**kept, **self.project(submitted)}


@dataclass(frozen=True, slots=True)
class Denial:
    """Refused; carries what the answer names."""

    verb: str
    source_id: int
    source_name: str


Decision = Grant | Denial

# --- rules --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requirement:
    """One item of `require`: a column that must be named, or tests that must pass."""

    column: str | None
    tests: tuple[Test, ...] = ()

    def met(self, subject: Subject, names: Names) -> bool:
        """Whether the subject meets it."""
        if self.column is not None:
            return subject.has(self.column)
        resolved = [test.resolved(names) for test in self.tests]
        return bool(resolved) and all(test is not None and subject.satisfies(test) for test in resolved)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that is well-formed, enabled, and about the operation and the actor at hand."""

    requirements: tuple[Requirement, ...]
    grant: Grant

    def met(self, subject: Subject, names: Names) -> bool:
        """Whether the subject meets all requirements."""
        return all(requirement.met(subject, names) for requirement in self.requirements)

    def still_owned(self, result: Mapping[str, Json], names: Names) -> bool:
        """Whether a row after its update meets the conditions that name the signed-in user."""
        subject = row(result)
        owned = (
            Requirement(None, tuple(test for test in requirement.tests if names_user(test.operand)))
            for requirement in self.requirements
            if requirement.column is None
        )
        return all(requirement.met(subject, names) for requirement in owned if requirement.tests)


def _texts(value: Json) -> list[str]:
    return [value] if isinstance(value, str) else [each for each in _list(value) if isinstance(each, str)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _signed_in(operand: Json, actor: Actor) -> bool:
    return operand is True and bool(actor.user)


def _is_user(operand: Json, actor: Actor) -> bool:
    tests = read_tests(operand)
    if tests is None or not actor.user:
        return False
    resolved = [test.resolved(actor.names) for test in tests]
    return all(test is not None and test.holds(actor.user.get(test.column)) for test in resolved)


def _has_token(operand: Json, actor: Actor) -> bool:
    return actor.token_id is not None and any(same(actor.token_id, token) for token in _list(operand))


def _in_source(operand: Json, actor: Actor) -> bool:
    wanted = operand if isinstance(operand, list) else [operand]
    return any(same(actor.user.get("dataSourceId"), source) for source in wanted)


ALLOW: Final[Mapping[str, Callable[[Json, Actor], bool]]] = {
    "loggedIn": _signed_in,
    "user": _is_user,
    "tokens": _has_token,
    "dataSourceId": _in_source,
}
"""The keys of an `allow` mapping; all that are given must hold, and an unknown one never does."""


def _allows(allow: Json, actor: Actor) -> bool:
    if allow == "all":
        return True
    if allow == "loggedIn":
        return bool(actor.user)
    if not isinstance(allow, dict) or not allow:
        return False
    return all(key in ALLOW and ALLOW[key](operand, actor) for key, operand in allow.items())


def _in_app(rule: Mapping[str, Json], actor: Actor) -> bool:
    apps = rule.get("appId")
    if apps is None or apps == []:
        return True
    return actor.app_id is not None and any(
        same(actor.app_id, app) for app in (apps if isinstance(apps, list) else [apps])
    )


def _requirements(value: Json) -> tuple[Requirement, ...] | None:
    if value is None:
        return ()
    if not isinstance(value, list):
        return None
    found: list[Requirement] = []
    for item in value:
        tests = None if isinstance(item, str) else read_tests(item)
        if tests is None and not (isinstance(item, str) and item):
            return None
        found.append(Requirement(item if tests is None else None, tests or ()))
    return tuple(found)


def _columns_grant(rule: Mapping[str, Json]) -> Grant | None:
    include, exclude = rule.get("include"), rule.get("exclude")
    if not all(part is None or isinstance(part, list) for part in (include, exclude)):
        return None
    return Grant(frozenset(_texts(include)) if include else None, frozenset(_texts(exclude)))


def types_of(rule: Mapping[str, Json]) -> set[str]:
    """The types that a rule names, those that are none included."""
    return set(_texts(rule.get("type")))


def applicable(rule: Mapping[str, Json], operation: Operation, actor: Actor) -> Rule | None:
    """The rule as it bears on an operation of an actor, None if it cannot grant it whatever is asked."""
    if rule.get("enabled", True) is not True or rule.get("script") is not None:
        return None
    if not types_of(rule) & set(operation.rule_types):
        return None
    if not _in_app(rule, actor) or not _allows(rule.get("allow"), actor):
        return None
    requirements, grant = _requirements(rule.get("require")), _columns_grant(rule)
    return None if requirements is None or grant is None else Rule(requirements, grant)


# --- deciding -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that may grant one operation to one actor on one source; decides row by row.

    `fixed` is the decision where it does not depend on what is asked, else None.
    """

    denial: Denial
    names: Names
    rules: tuple[Rule, ...]
    fixed: Decision | None

    def decide(self, subject: Subject) -> Decision:
        """Whether the operation is allowed for this subject, by the first rule that grants."""
        if self.fixed is not None:
            return self.fixed
        return next((rule.grant for rule in self.rules if rule.met(subject, self.names)), self.denial)

    def decide_update(
        self, submitted: Mapping[str, Json], stored: Mapping[str, Json], *, extend: bool = True
    ) -> Decision:
        """Whether a stored row may be changed to what `Grant.written` makes of it.

        Required columns must be submitted, conditions hold for the stored row (§5.4). Those that name the
        signed-in user must hold afterwards too: nobody can hand a row to somebody else, or take it over.
        """
        if self.fixed is not None:
            return self.fixed
        subject = Row(submitted.keys(), stored)
        for rule in self.rules:
            if rule.met(subject, self.names):
                result = rule.grant.written(stored, submitted, extend=extend)
                if rule.still_owned(result, self.names):
                    return rule.grant
        return self.denial


def policy(source: Source, operation: Operation, actor: Actor) -> Policy:
    """What decides about `operation` of `actor` on the rows of `source`."""
    denial = Denial(operation.verb, source.id, source.name)
    rules: tuple[Rule, ...] = ()
    fixed: Decision | None = None
    if actor.admin:
        fixed = Grant()
    elif source.access_rules is None:
        fixed = Grant() if operation.letter in _letters(source, actor, operation) else denial
    elif _is_elsewhere(source, actor):
        fixed = denial
    else:
        found = (applicable(rule, operation, actor) for rule in source.access_rules)
        rules = tuple(rule for rule in found if rule is not None)
        if not rules:
            fixed = denial
        elif not rules[0].requirements:
            fixed = rules[0].grant
    return Policy(denial, actor.names, rules, fixed)


def _is_elsewhere(source: Source, actor: Actor) -> bool:
    """Whether the token belongs to another organisation: "all" in a rule means all of the source's own."""
    return None not in (source.organization_id, actor.organization_id) and (
        source.organization_id != actor.organization_id
    )


def _letters(source: Source, actor: Actor, operation: Operation) -> str:
    own = "" if actor.token_id is None else source.permissions.get(str(actor.token_id), "")
    return own + operation.letter if source.public and operation.verb == "read" else own


def decide(source: Source, operation: Operation, actor: Actor, subject: Subject = NO_SEARCH) -> Decision:
    """Whether `actor` may carry out one `operation` on `source`; for many rows use `policy` once."""
    return policy(source, operation, actor).decide(subject)


def may_manage(source: Source, actor: Actor) -> bool:
    """Whether `actor` may change the source itself: its attributes, rules, hooks, versions, existence.

    That takes an admin token or the whole role, as the creator has it; rules speak of rows only.
    """
    if actor.admin:
        return True
    if actor.token_id is None:
        return False
    return set(ROLE_LETTERS) <= set(source.permissions.get(str(actor.token_id), ""))


def may_see(source: Source, actor: Actor) -> bool:
    """Whether `actor` may know the source: it may manage it, has any letter, or something may be granted."""
    if may_manage(source, actor) or source.public:
        return True
    if source.access_rules is None:
        return actor.token_id is not None and bool(source.permissions.get(str(actor.token_id), ""))
    return any(not isinstance(policy(source, operation, actor).fixed, Denial) for operation in Operation)


def known_columns(source: Source, actor: Actor) -> list[str] | None:
    """The declared columns that `actor` may see or write in some row; None if none are declared."""
    if source.columns is None:
        return None
    policies = [policy(source, operation, actor) for operation in Operation]
    grants = [each.fixed for each in policies if isinstance(each.fixed, Grant)]
    grants += [rule.grant for each in policies for rule in each.rules]
    return [column for column in source.columns if any(grant.allows(column) for grant in grants)]
