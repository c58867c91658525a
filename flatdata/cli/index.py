"""`flatdata index`: the index, which is a cache of the files."""

from __future__ import annotations

import os
from pathlib import Path

import click

from flatdata.cli.groups import root_option, settings_of, show_help_without_command


@click.group("index", invoke_without_command=True)
@click.pass_context
def index_commands(context: click.Context) -> None:
    """Look after the index, a cache of the files in .flatdata/."""
    show_help_without_command(context)


@index_commands.command()
@root_option
def status(root: Path) -> None:
    """Show what the index holds, and whether a server is following the files.

    \b
      keeper    the process that follows the files, if a server is running
      phase     what it does, or did last: starting, reading, ready
      files     read of those found
      entries   that are served
      words     entries whose words are in the index on disk; newer ones are searched directly
      problems  files that are not served (see: flatdata check)
    """
    from flatdata.site import Site  # takes long to import

    with Site.open(root, settings_of(root), keeper="off") as site:
        facts = site.status()
        running = _is_running(site.store.state_dir)
    for name, value in {
        "keeper": f"process {facts.pid}" if running else "none",
        "phase": facts.phase,
        "files": f"{facts.done} of {facts.total}",
        "entries": facts.entries,
        "words": facts.words_entries,
        "problems": len(facts.problems),
    }.items():
        click.echo(f"{name:10}{value}")


def _is_running(state_dir: Path) -> bool:
    from flatdata.index.supervisor import keeper_lock

    lock = keeper_lock(state_dir)
    if lock is None:
        return True
    os.close(lock)
    return False


@index_commands.command()
@root_option
def rebuild(root: Path) -> None:
    """Make the index again from the files.

    Needed when it was damaged: edits of files are noticed by themselves, with the server running or not.
    """
    from flatdata.site import Site  # takes long to import

    with Site.open(root, settings_of(root), keeper="off") as site:
        site.rebuild_index()
    click.echo("the index was made again")
