"""The pages of `docs/` that are made from the code: `python -m flatdata.cli.documentation docs`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from flatdata.plugins import HOOKS
from flatdata.settings.document import settings_page

_WIDTH: Final = 98
"""What click leaves of the 100 columns that the commands allow themselves."""


def commands_page() -> str:
    """The page `docs/cli.md`: what every command says to --help."""
    from flatdata.cli import flatdata_commands

    pages = ["# The command line\n\nWhat every command says to `--help`. This page is made from the code.\n"]
    for path, text in help_texts(flatdata_commands, "flatdata"):
        pages.append(f"## {path}\n\n```\n{text}\n```\n")
    return "\n".join(pages)


def help_texts(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """The help of a command and, if it is a group, of all below it, each with the words that lead to it."""
    settings = {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            if (inner := command.get_command(context, word)) is not None:
                yield from help_texts(inner, word, context)


def plugins_page() -> str:
    """The page `docs/plugins.md`: how a plugin is written, and every hook."""
    return "\n".join([_PLUGINS_HEAD, *(_hook_section(hook) for hook in HOOKS)])


def _hook_section(hook: Callable[..., object]) -> str:
    name = hook.__name__
    return f"### {name}\n\n```python\n{name}{inspect.signature(hook)}\n```\n\n{inspect.getdoc(hook)}\n"


_PLUGINS_HEAD: Final = '''\
# Plugins

A plugin is a Python file `plugins/<name>/plugin.py` in the site, or an installed package with an entry point
in the group `flatdata`. It defines functions named after the hooks below, each marked with `hookimpl`; a
function may leave out arguments that it does not need.

```python
from flatdata.plugins import hookimpl


def fetch_weather(id, options):
    """Called by GET /api/entries?id=...&options[method]=fetchWeather"""
    return {"id": id, "weather": "fair", "place": options.get("place")}


@hookimpl
def flatdata_macros():
    return {"fetchWeather": fetch_weather}
```

Only what `flatdata_macros` gives can be reached over HTTP; the token of the request was checked before. A
file beside `plugin.py` is imported with `from . import other`.

Plugins are loaded when the server starts. One that cannot be loaded is passed over, and `flatdata check` says
why; one that raises in a call is logged with its name, as is a call that takes more than a second, for the
request waits for it.

## Hooks
'''

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "cli.md": commands_page,
    "plugins.md": plugins_page,
    "settings.md": settings_page,
}
"""What makes each page, by its name in `docs/`."""


def write_pages(folder: Path) -> None:
    """Write every page into a folder."""
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
