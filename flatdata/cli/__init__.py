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
from flatdata.cli.check import check_command
from flatdata.cli.failures import failure_line, failure_status
from flatdata.cli.groups import show_help_without_command
from flatdata.cli.index import index_commands
from flatdata.cli.init import init_command
from flatdata.cli.serve import serve_command
from flatdata.cli.source import source_commands
from flatdata.cli.token import token_commands
from flatdata.errors import FlatdataError


@click.group(
    "flatdata",
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


for _command in (
    init_command,
    serve_command,
    token_commands,
    source_commands,
    check_command,
    index_commands,
):
    flatdata_commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command (by default that of the process) and exit with its status."""
    try:
        status = flatdata_commands.main(arguments, prog_name="flatdata", standalone_mode=False)
    except (click.ClickException, click.Abort, FlatdataError, OSError) as error:
        if line := failure_line(error):
            click.echo(line, err=True)
        sys.exit(failure_status(error))
    sys.exit(status if isinstance(status, int) else 0)
