"""The attributes of a data source as clients name them: read from bodies, written into answers.

Reading gives keys of the manifest (`accessRules` is `access_rules` there). Keys that a client cannot set are
passed over, because some clients send back the whole object they were given (reference/fliplet.md §10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flatdata.dialects.fliplet.errors import bad_request
from flatdata.dialects.fliplet.hooks import read_hook
from flatdata.store.sources import Source

Json = Any
"""Any JSON value."""

MAX_NAME: Final = 255
MAX_COLUMNS: Final = 10_000

# --- reading ------------------------------------------------------------------------------------------


def read_name(value: Json) -> str:
    """A name of a data source. Raises `Refused`."""
    if not isinstance(value, str) or not value.strip():
        raise bad_request("A data source needs a name")
    if len(value) > MAX_NAME:
        raise bad_request(f"The name is longer than {MAX_NAME} characters")
    return value


def read_columns(value: Json) -> list[str]:
    """Names of columns, each once. Raises `Refused`."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise bad_request("columns must be a list of names")
    if len(value) > MAX_COLUMNS:
        raise bad_request(f"A data source may have at most {MAX_COLUMNS} columns")
    return list(dict.fromkeys(value))


def _columns_or_null(value: Json) -> list[str] | None:
    return None if value is None else read_columns(value)


def _flag(value: Json) -> bool:
    if value is None or type(value) is bool:
        return value is True
    raise bad_request("public and encrypted must be true or false")


def _type(value: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise bad_request("type must be a text")


def _hooks(value: Json) -> list[Json]:
    hooks = [] if value is None else value
    if not isinstance(hooks, list):
        raise bad_request("hooks must be a list")
    for hook in hooks:
        read_hook(hook)
    return hooks


def _definition(value: Json) -> dict[str, Json]:
    if value is None or isinstance(value, dict):
        return value or {}
    raise bad_request("definition must be an object")


def _rules(value: Json) -> list[Json] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(rule, dict) for rule in value):
        raise bad_request("accessRules must be a list of rules")
    if any(rule.get("script") is not None for rule in value):
        raise bad_request("Rules with a script are not supported: nothing a client sends is executed")
    return value


def _any(value: Json) -> Json:
    return value


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that clients may set: its key in the manifest, and what reads it (raises `Refused`)."""

    key: str
    read: Callable[[Json], Json]


ATTRIBUTES: Final[Mapping[str, Attribute]] = {
    "name": Attribute("name", read_name),
    "columns": Attribute("columns", _columns_or_null),
    "type": Attribute("type", _type),
    "public": Attribute("public", _flag),
    "encrypted": Attribute("encrypted", _flag),
    "hooks": Attribute("hooks", _hooks),
    "definition": Attribute("definition", _definition),
    "accessRules": Attribute("access_rules", _rules),
    "bundle": Attribute("bundle", _any),
    "appCapabilities": Attribute("app_capabilities", _any),
}


def read_attributes(body: Mapping[str, Json]) -> dict[str, Json]:
    """The keys of the manifest that a body sets. Raises `Refused`, `InvalidHook`."""
    return {
        attribute.key: attribute.read(body[name]) for name, attribute in ATTRIBUTES.items() if name in body
    }


# --- writing ------------------------------------------------------------------------------------------


def shown(source: Source, *, manages: bool) -> dict[str, Json]:
    """A data source as lists and single reads show it: the keys of the samples.

    Hooks hold addresses and credentials of other services, so that only those who manage the source see them.
    """
    return {
        "id": source.id,
        "name": source.name,
        "appCapabilities": source.manifest.get("app_capabilities"),
        "hooks": source.hooks if manages else [],
        "encrypted": source.encrypted,
        "columns": None if source.columns is None else list(source.columns),
        "type": source.type,
        "public": True if source.public else None,
        "createdAt": source.created_at,
        "updatedAt": source.updated_at,
        "appId": source.app_id,
        "organizationId": source.organization_id,
    }


def shown_besides(source: Source, *, manages: bool) -> dict[str, Json]:
    """What the hosted service shows besides, and clients may ask for by `attributes`."""
    return {
        "definition": dict(source.definition),
        "bundle": source.manifest.get("bundle"),
        "accessRules": source.access_rules if manages else None,
        "deletedAt": source.deleted_at,
    }


def shown_after_change(source: Source) -> dict[str, Json]:
    """A data source in the answer to its creation or change, where `public` is never null."""
    return {**shown(source, manages=True), "public": source.public}
