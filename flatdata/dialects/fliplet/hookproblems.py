"""What is wrong with the hooks of a manifest: which are passed over, and what of the others does nothing.

Said by what reads hooks when they run, over a row without columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from flatdata.access.privacy import Problem
from flatdata.dialects.fliplet.courier import READERS, NotDelivered
from flatdata.dialects.fliplet.hooks import (
    EVENTS,
    HASH,
    OPERATIONS,
    SENT_EVENTS,
    SENT_TYPES,
    TEXT_OPERATIONS,
    Hook,
    InvalidHook,
    is_operation,
    read_hook,
)
from flatdata.dialects.fliplet.templates import TemplateError, render, render_all
from flatdata.dialects.fliplet.webcall import CallRefused
from flatdata.query.sift import parse_where, plain_field
from flatdata.query.siftvalues import SiftError
from flatdata.store.sources import Source

Json = Any
"""Any JSON value."""
Found = Iterator[tuple[str, str]]
"""Keys of a hook, each with what is wrong there."""

_NOT_RENDERED: Final = "cannot be rendered as a template"
_TYPES: Final = (OPERATIONS, *sorted(SENT_TYPES))


def problems(sources: Iterable[Source]) -> list[Problem]:
    """What is wrong with the hooks of some sources."""
    return [
        Problem(source.slug, f"hooks[{number}]{key}", reason)
        for source in sources
        for number, definition in enumerate(source.hooks)
        for key, reason in _of_definition(definition)
    ]


def _of_definition(definition: Json) -> Found:
    try:
        hook = read_hook(definition)
    except InvalidHook as error:
        yield f".{error.key}" if error.key else "", f"must be {error.expected}"
        return
    if hook.type not in _TYPES:
        yield ".type", f"must be one of {', '.join(_TYPES)}"
        return
    known = EVENTS if hook.type == OPERATIONS else SENT_EVENTS
    for event in sorted(hook.run_on - known):
        yield ".runOn", f"names {event!r}, at which hooks of type {hook.type} do not run"
    yield from _of_conditions(hook)
    yield from _of_operations(hook) if hook.type == OPERATIONS else _of_message(hook)


def _of_conditions(hook: Hook) -> Found:
    for number, condition in enumerate(hook.definition.get("conditions") or ()):
        try:
            parse_where(condition, plain_field)
        except SiftError as error:
            yield f".conditions[{number}]", f"cannot be understood: {error.message}"


def _of_operations(hook: Hook) -> Found:
    for column, operation in hook.operations.items():
        key = f".payload.{column}"
        if isinstance(operation, str):
            try:
                render(operation, {})
            except TemplateError:
                yield key, _NOT_RENDERED
        elif not isinstance(operation, list) or not all(map(is_operation, operation)):
            yield key, f"must be a list of {', '.join((*TEXT_OPERATIONS, HASH))}, or a template"


def _of_message(hook: Hook) -> Found:
    try:
        render_all(hook.payload, {})
    except TemplateError:
        yield ".payload", _NOT_RENDERED
    reader = READERS.get(hook.type)
    if reader is None:
        return
    try:
        reader(hook.payload)
    except (NotDelivered, CallRefused) as error:
        yield ".payload", f"cannot be sent: {error.reason}"
