"""What the commands share: the option that names the site, and groups that teach when called bare."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from flatdata.cli.failures import MISUSED
from flatdata.query.tree import Json
from flatdata.settings import Settings, load_settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


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
