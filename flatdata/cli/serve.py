"""`flatdata serve`: the server."""

from __future__ import annotations

from pathlib import Path

import click

from flatdata.cli.groups import root_option, settings_of


@click.command("serve")
@root_option
@click.option(
    "--host", metavar="ADDRESS", help="Address to listen on. Default: 127.0.0.1, this machine only."
)
@click.option("--port", type=click.IntRange(0, 65_535), metavar="N", help="Port to listen on. Default: 8000.")
@click.option("--workers", type=click.IntRange(1, 256), metavar="N", help="Processes that serve. Default: 1.")
@click.option(
    "--dev-tokens", is_flag=True, help="Where there are no tokens, make some for development and print them."
)
def serve_command(
    root: Path, host: str | None, port: int | None, workers: int | None, dev_tokens: bool
) -> None:
    """Serve the site until Ctrl-C or SIGTERM.

    Files may be edited while it runs: what you save is what the next request gets. GET /health answers 200
    once the site is open. Requests in flight are finished before it stops.

    Options win over FLATDATA_* variables, and those over flatdata.yaml.
    """
    from flatdata.server import run  # the server's libraries take long to import

    settings = settings_of(root, {"host": host, "port": port, "workers": workers})
    if dev_tokens:
        from flatdata.cli.development import development_tokens, examples

        click.echo(examples(root, settings, development_tokens(root)))
    run(settings, root)
