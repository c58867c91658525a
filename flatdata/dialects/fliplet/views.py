"""Views: named filters that the definition of a data source holds (reference/fliplet.md §2.4, §3.1).

`{"views": [{"name": "mine", "filter": {"Email": "session.Email"}}]}`. A text that begins with `session.` or
`user.` stands for what the context has there; a view that asks for what is not there finds nothing, so that
nobody sees everybody's rows by not being signed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flatdata.dialects.fliplet.fields import ReadField, data_field
from flatdata.query.javascript import text_of
from flatdata.query.sift import parse_where
from flatdata.query.tree import ABSENT, EVERYTHING, NOTHING, Absent, AnyOf, Json, Node

CONTEXTS: Final = ("session", "user")


class _Unknown(Exception):
    """The context lacks something that a view asks for."""


def view_filter(
    definition: Json,
    names: Iterable[str],
    context: Mapping[str, Json],
    read_field: ReadField = data_field,
) -> Node:
    """Give the filter of the named views, each row of one of them is in; unknown names are passed over.

    With no known name every row is in. `context` has the keys `session` and `user`. Raises `SiftError` for
    a filter that is not understood.
    """
    wanted = frozenset(names)
    views = definition.get("views") if isinstance(definition, dict) else None
    listed = [view for view in views if isinstance(view, dict)] if isinstance(views, list) else []
    known = [view.get("filter") for view in listed if text_of(view.get("name")) in wanted]
    if not known:
        return EVERYTHING
    return AnyOf(tuple(_node(filter_, context, read_field) for filter_ in known if isinstance(filter_, dict)))


def _node(filter_: Json, context: Mapping[str, Json], read_field: ReadField) -> Node:
    try:
        return parse_where(_filled(filter_, context), read_field)
    except _Unknown:
        return NOTHING


def _filled(value: Json, context: Mapping[str, Json]) -> Json:
    """Give a filter with the paths into the context replaced by what stands there."""
    if isinstance(value, dict):
        return {name: _filled(part, context) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(item, context) for item in value]
    head, dot, path = value.partition(".") if isinstance(value, str) else ("", "", "")
    if not dot or head not in CONTEXTS:
        return value
    found: Json | Absent = context.get(head)
    for step in path.split("."):
        found = found.get(step, ABSENT) if isinstance(found, dict) else ABSENT
    if found is ABSENT or found is None or isinstance(found, dict):
        raise _Unknown
    return found
