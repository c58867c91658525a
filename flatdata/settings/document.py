"""The table of settings for people: as a page, and as a `flatdata.yaml` with every setting commented out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from flatdata.settings.table import GROUPS, ROWS, Row, SettingPath
from flatdata.store.codec import Json, dump_yaml

_PAGE_HEAD: Final = """# Settings

A site needs none. What is set is read from `flatdata.yaml` in the site, then from environment variables, then
from options of the command line; the later one wins, setting by setting. A setting that is unknown or of the
wrong type keeps flatdata from starting, with an error that names it.

In the environment a list is written with commas, a mapping as JSON, and an empty text means null where null
is allowed. Secrets are never settings: those that end in `_env` name the environment variable that holds one.

This page is made from the table in `flatdata/settings/table.py`.
"""

_FILE_HEAD: Final = """\
# Settings of this site. Every one is shown with its default; take away the '# ' before a name to change it.
# Each can be given in the environment too: flextype.behaviour is FLATDATA_FLEXTYPE__BEHAVIOUR.
"""


def settings_page() -> str:
    """The page `docs/settings.md`: one table for each group of settings."""
    return "\n".join([_PAGE_HEAD, *(line for group in GROUPS for line in _table(group))])


def _table(group: SettingPath) -> Iterator[str]:
    name = ".".join(group)
    yield f"## {name}\n\n{GROUPS[group]}.\n" if name else f"## {GROUPS[group]}\n"
    if rows := _rows_in(group):
        yield "| setting | default | may be | what it is | in the environment |"
        yield "|---|---|---|---|---|"
        for row in rows:
            default = _spelled(row.default)
            yield f"| `{row.name}` | `{default}` | {_range(row)} | {row.doc} | `{row.variable}` |"
        yield ""


def _rows_in(group: SettingPath) -> list[Row]:
    return [row for path, row in ROWS.items() if path[:-1] == group]


def _range(row: Row) -> str:
    if row.low is None or row.high is None:
        return row.shape.wanted
    return f"{row.shape.wanted}, {row.low:,} to {row.high:,}"


def settings_file() -> str:
    """A `flatdata.yaml` that sets nothing and shows everything."""
    return "\n".join([_FILE_HEAD, *_file_lines((), "")]).rstrip() + "\n"


def _file_lines(group: SettingPath, indent: str) -> Iterator[str]:
    for row in _rows_in(group):
        yield f"{indent}# {row.path[-1]}: {_spelled(row.default)}  # {row.doc}"
    if not group:
        yield ""
    for path, doc in GROUPS.items():
        if path and path[:-1] == group:
            yield f"{indent}{path[-1]}:  # {doc}"
            yield from _file_lines(path, indent + "  ")
            if not group:
                yield ""


def _spelled(value: Json) -> str:
    """A value as it is written in YAML, in one line."""
    if isinstance(value, list | tuple | dict):
        return msgspec.json.encode(value).decode().replace(",", ", ")
    return dump_yaml(value).decode().strip()
