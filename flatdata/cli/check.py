"""`flatdata check`: what is wrong with the files of a site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flatdata.cli.failures import FAILED
from flatdata.cli.groups import root_option, settings_of
from flatdata.settings import FILE_NAME, Settings, SettingsError
from flatdata.store.manifest import ManifestProblem, Source
from flatdata.store.paths import MANIFEST
from flatdata.store.scan import Problem

if TYPE_CHECKING:
    from flatdata.access.privacy import Problem as DeclarationProblem


@click.command("check")
@root_option
def check_command(root: Path) -> None:
    """Look for problems in content, manifests, tokens, plugins and settings.

    Prints a line for each, 'path:line: reason', and exits with 1 if there is any. A problem never keeps the
    rest of the site from being served: a file that cannot be read is passed over until it is mended.
    """
    from flatdata.site import Site  # takes long to import

    settings, found = _settings_and_problems(root)
    with Site.open(root, settings, keeper="inline") as site:
        found.extend(site.problems())
        found.extend(map(_of_manifest, site.sources.problems()))
        found.extend(map(_of_declaration, _read_by_dialects(site.sources.all())))
        found.extend(site.tokens.problems())
        found.extend(site.plugins.problems)
    lines = sorted({_line(problem) for problem in found})
    for line in lines:
        click.echo(line)
    if lines:
        raise click.exceptions.Exit(FAILED)
    click.echo("no problems")


def _settings_and_problems(root: Path) -> tuple[Settings, list[Problem]]:
    """The settings, and what is wrong with them; the defaults where something is."""
    try:
        return settings_of(root), []
    except SettingsError as error:
        if error.name == FILE_NAME:
            return Settings(), [Problem(FILE_NAME, error.reason, error.line)]
        return Settings(), [Problem(FILE_NAME, str(error))]


def _read_by_dialects(sources: Sequence[Source]) -> Iterator[DeclarationProblem]:
    """What is wrong with those parts of manifests that one dialect reads."""
    from flatdata.access import ruleproblems  # these take long to import
    from flatdata.dialects.appenate import part
    from flatdata.dialects.bubble.types import read_catalogue
    from flatdata.dialects.fliplet import hookproblems
    from flatdata.index.terms import analyse

    yield from ruleproblems.problems(sources)
    yield from hookproblems.problems(sources)
    yield from read_catalogue(sources, analyse).problems
    yield from part.problems(sources)


def _of_declaration(problem: DeclarationProblem) -> Problem:
    return Problem(_manifest_path(problem.slug), f"{problem.field} {problem.reason}")


def _of_manifest(problem: ManifestProblem) -> Problem:
    return Problem(_manifest_path(problem.slug), f"{problem.field} must be {problem.expected}")


def _manifest_path(slug: str) -> str:
    return f"content/{slug}/{MANIFEST}.yaml"


def _line(problem: Problem) -> str:
    place = problem.path if problem.line is None else f"{problem.path}:{problem.line}"
    line = f"{place}: {problem.reason}"
    # Names and values in it are whatever somebody wrote into a file.
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
