"""The command line: a thin shell over the library, one module for each command or group of commands.

Exit codes: 0 done; 1 it failed, or problems were found; 2 the command was not understood; 130 interrupted.
Errors are one line on the error output.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from flatdata import __version__
from flatdata.cli.failures import failure_line, failure_status
from flatdata.cli.groups import CommandsByName, show_help_without_command
from flatdata.errors import FlatdataError


class _Commands(CommandsByName):
    places = {  # noqa: RUF012 - never changed
        "init": ("flatdata.cli.init", "init_command"),
        "serve": ("flatdata.cli.serve", "serve_command"),
        "token": ("flatdata.cli.token", "token_commands"),
        "source": ("flatdata.cli.source", "source_commands"),
        "check": ("flatdata.cli.check", "check_command"),
        "index": ("flatdata.cli.index", "index_commands"),
    }


@click.group(
    "flatdata",
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="flatdata %(version)s")
@click.pass_context
def flatdata_commands(context: click.Context) -> None:
    """Serve a tree of YAML files through four HTTP APIs, live.

    A site is a directory with content/ in it. To begin:

    \b
      flatdata init my-site           make one with sample content
      cd my-site
      flatdata token create entries   make a token; it is printed once
      flatdata serve                  answer at http://127.0.0.1:8000

    Every command takes --help. Settings are explained in docs/settings.md.
    """
    show_help_without_command(context)
    if context.invoked_subcommand != "serve":
        # What is wrong with a site is the output of `check`; other commands have no log.
        logging.getLogger("flatdata").addHandler(logging.NullHandler())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command (by default that of the process) and exit with its status."""
    try:
        status = flatdata_commands.main(arguments, prog_name="flatdata", standalone_mode=False)
    except (click.ClickException, click.Abort, FlatdataError, OSError) as error:
        if line := failure_line(error):
            click.echo(line, err=True)
        sys.exit(failure_status(error))
    sys.exit(status if isinstance(status, int) else 0)
