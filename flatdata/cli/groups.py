"""What the commands share: the option that names the site, and groups that teach when called bare."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from flatdata.cli.failures import MISUSED
from flatdata.settings import Settings, load_settings
from flatdata.store.storable import Json

_Command = TypeVar("_Command", bound=Callable[..., Any])


class CommandsByName(click.Group):
    """A group whose commands are imported when they are asked for: no command waits for the others' parts.

    Subclasses name them.
    """

    places: Mapping[str, tuple[str, str]]
    """Where each command is: a module, and its name there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in order."""
        return sorted(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None if there is none."""
        if cmd_name not in self.places:
            return None
        module, name = self.places[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


def show_help_without_command(context: click.Context) -> None:
    """End a group that was called without one of its commands by showing them."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(MISUSED)


def _is_site(context: click.Context, option: click.Parameter, root: Path) -> Path:
    if not (root / "content").is_dir():
        hint = "make a site with: flatdata init"
        raise click.BadParameter(f"{root} is no site, it has no content/ ({hint})", context, option)
    return root


def root_option(command: _Command) -> _Command:
    """Give a command the option --root, a path that has `content/` in it."""
    return click.option(
        "--root",
        type=click.Path(path_type=Path),
        default=".",
        envvar="FLATDATA_ROOT",
        show_envvar=True,
        metavar="DIR",
        callback=_is_site,
        help="The site: a directory with content/ in it. Default: the current one.",
    )(command)


def settings_of(root: Path, options: Mapping[str, Json] | None = None) -> Settings:
    """The settings of a site; options that were not given (None) change nothing. Raises SettingsError."""
    given = {name: value for name, value in (options or {}).items() if value is not None}
    return load_settings(root, os.environ, given)
