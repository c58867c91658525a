"""`flatdata init`: a new site."""

from __future__ import annotations

from pathlib import Path

import click

from flatdata.cli.sample import GIT_IGNORE, SAMPLE_FILES
from flatdata.settings import FILE_NAME
from flatdata.settings.document import settings_file


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=".", metavar="[DIR]")
def init_command(directory: Path) -> None:
    """Make a new site in DIR (default: the current directory).

    It gets a little sample content to play with, a flatdata.yaml that shows every setting, and a .gitignore
    if there is none. A directory that holds a content/ or a flatdata.yaml is left as it is.
    """
    for name in ("content", FILE_NAME):
        if (directory / name).exists():
            raise click.ClickException(f"{directory / name} is already there; nothing was written")
    files = {**SAMPLE_FILES, FILE_NAME: settings_file()}
    if (directory / GIT_IGNORE).exists():
        del files[GIT_IGNORE]
        click.echo(f"Your {GIT_IGNORE} stays as it is; it should name .flatdata/", err=True)
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    click.echo(f"Made a site of {len(files)} files in {directory.resolve()}. Next:")
    for line in ([] if directory == Path() else [f"cd {directory}"]) + [
        "flatdata token create entries",
        "flatdata serve",
    ]:
        click.echo(f"  {line}")
