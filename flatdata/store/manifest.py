"""A data source as its manifest describes it (design.md §3).

A manifest can be edited by hand, so nothing here trusts its shape: a value of the wrong type is reported as a
`ManifestProblem` and replaced by the strictest meaning it could have had (nobody may read, keep encrypted).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

from flatdata.store.dates import iso_ms
from flatdata.store.entry import Entry

Json = Any
"""Any JSON value."""

ROLE_LETTERS: Final = "crudq"


@dataclass(frozen=True, slots=True)
class ManifestProblem:
    """What is wrong with a manifest: `field` of the source at `slug` should be `expected`."""

    slug: str
    field: str
    expected: str


def _is_rule_list(value: Json) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(rule, dict) for rule in value))


def _is_roles(value: Json) -> bool:
    return isinstance(value, dict) and all(
        isinstance(letters, str) and set(letters) <= set(ROLE_LETTERS) for letters in value.values()
    )


def _is_text_list(value: Json) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value))


def _is_count(value: Json) -> bool:
    return type(value) is int and value > 0


@dataclass(frozen=True, slots=True)
class ManifestField:
    """One key of a manifest: what it may hold, what it means when left out and when it is wrong."""

    accepts: Callable[[Json], bool]
    expected: str
    missing: Json
    wrong: Json


def _optional(accepts: Callable[[Json], bool], expected: str) -> ManifestField:
    return ManifestField(lambda value: value is None or accepts(value), f"{expected} or null", None, None)


def _text(value: Json) -> bool:
    return isinstance(value, str)


def _mapping(value: Json) -> bool:
    return isinstance(value, dict)


MANIFEST_FIELDS: Final[Mapping[str, ManifestField]] = {
    "id": ManifestField(_is_count, "a positive integer", 0, 0),
    "name": ManifestField(_text, "text", "", ""),
    "columns": ManifestField(_is_text_list, "a list of texts or null", None, None),
    "type": _optional(_text, "text"),
    "public": ManifestField(
        lambda value: value is None or type(value) is bool, "true or false", False, False
    ),
    "encrypted": ManifestField(lambda value: type(value) is bool, "true or false", False, True),
    "hooks": ManifestField(lambda value: isinstance(value, list), "a list", [], []),
    "definition": ManifestField(_mapping, "a mapping", {}, {}),
    "access_rules": ManifestField(_is_rule_list, "a list of rules or null", None, []),
    "permissions": ManifestField(_is_roles, f"a mapping to letters out of {ROLE_LETTERS}", {}, {}),
    "app_id": _optional(_is_count, "a positive integer"),
    "organization_id": _optional(_is_count, "a positive integer"),
    "created_at": _optional(_text, "a date as text"),
    "updated_at": _optional(_text, "a date as text"),
    "deleted_at": _optional(_text, "a date as text"),
    "bubble": _optional(_mapping, "a mapping"),
    "appenate": _optional(_mapping, "a mapping"),
}
"""Every key flatdata reads in a manifest; others are kept and ignored."""


@dataclass(frozen=True)
class Source:
    """A data source: its place and its manifest, with a typed property for each key of the manifest.

    `manifest` is the mapping as stored, other people's keys included; it is never changed in place.
    `mtime_ns` is the modification time of its file.
    """

    slug: str
    manifest: Mapping[str, Json]
    mtime_ns: int = 0

    def _value(self, name: str) -> Any:
        rule = MANIFEST_FIELDS[name]
        value = self.manifest.get(name, rule.missing)
        return value if rule.accepts(value) else rule.wrong

    @cached_property
    def id(self) -> int:
        """Unique in the site; 0 if the manifest has none, which keeps the source from being served."""
        return cast(int, self._value("id"))

    @cached_property
    def name(self) -> str:
        """The name people gave it, else the last segment of its slug."""
        return cast(str, self._value("name")) or self.slug.rpartition("/")[2]

    @cached_property
    def columns(self) -> tuple[str, ...] | None:
        """The declared columns in order, None until declared or data arrives."""
        columns = self._value("columns")
        return None if columns is None else tuple(columns)

    @cached_property
    def type(self) -> str | None:
        """Free text that hides the source from ordinary lists (Fliplet), or None."""
        return cast("str | None", self._value("type"))

    @cached_property
    def public(self) -> bool:
        """Whether it can be read without a token."""
        return bool(self._value("public"))

    @cached_property
    def encrypted(self) -> bool:
        """Whether its files are encrypted on disk."""
        return cast(bool, self._value("encrypted"))

    @cached_property
    def hooks(self) -> list[Json]:
        """Hook definitions as stored; each may have any shape."""
        return cast("list[Json]", self._value("hooks"))

    @cached_property
    def definition(self) -> Mapping[str, Json]:
        """Views and other settings (Fliplet)."""
        return cast("Mapping[str, Json]", self._value("definition"))

    @cached_property
    def access_rules(self) -> list[dict[str, Json]] | None:
        """Rules in order; None leaves only the roles, an empty list denies."""
        return cast("list[dict[str, Json]] | None", self._value("access_rules"))

    @cached_property
    def permissions(self) -> Mapping[str, str]:
        """Token id (as text) to letters out of `crudq`."""
        return {str(token): letters for token, letters in self._value("permissions").items()}

    @cached_property
    def app_id(self) -> int | None:
        """The app it belongs to."""
        return cast("int | None", self._value("app_id"))

    @cached_property
    def organization_id(self) -> int | None:
        """The organisation it belongs to."""
        return cast("int | None", self._value("organization_id"))

    @cached_property
    def created_at(self) -> str:
        """ISO 8601, UTC; the date of the file where the manifest does not say."""
        return cast("str | None", self._value("created_at")) or iso_ms(self.mtime_ns)

    @cached_property
    def updated_at(self) -> str:
        """ISO 8601, UTC; as `created_at` where the manifest does not say."""
        return cast("str | None", self._value("updated_at")) or self.created_at

    @cached_property
    def deleted_at(self) -> str | None:
        """When it was put in the trash; None for a live source."""
        return cast("str | None", self._value("deleted_at"))

    @cached_property
    def bubble(self) -> Mapping[str, Json] | None:
        """The part for Bubble, None if it has none."""
        return cast("Mapping[str, Json] | None", self._value("bubble"))

    @cached_property
    def appenate(self) -> Mapping[str, Json] | None:
        """The part for Appenate, None if it has none."""
        return cast("Mapping[str, Json] | None", self._value("appenate"))

    def problems(self) -> tuple[ManifestProblem, ...]:
        """What the manifest holds that it should not, empty if it is well-formed."""
        return tuple(
            ManifestProblem(self.slug, name, rule.expected)
            for name, rule in MANIFEST_FIELDS.items()
            if not rule.accepts(self.manifest.get(name, rule.missing))
        )


def source_of(manifest: Entry) -> Source:
    """The source that a manifest entry (`<source>/manifest`) describes."""
    return Source(manifest.parent, manifest.fields, manifest.mtime_ns)
