"""`flatdata token`: who may call the APIs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flatdata.access.token import FIELDS_BY_KIND, KINDS, Kind, Token, shown_name
from flatdata.access.tokens import Tokens
from flatdata.cli.development import STATE_FOLDER
from flatdata.cli.groups import root_option, show_help_without_command
from flatdata.json_text import NotJson, parse_json
from flatdata.query.tree import Json

_DEFAULTS: dict[Kind, dict[str, Json]] = {
    "data-sources": {"organization_id": 1},
    "datasource": {"company_id": 1},
}


@click.group("token", invoke_without_command=True)
@click.pass_context
def token_commands(context: click.Context) -> None:
    """Make, list and revoke the tokens that let clients in.

    A token is kept as tokens/KIND/SHA-256/token.yaml: its hash, not itself, so the files can lie in git. A
    running server notices every change within half a second. To suspend a token set its state to 'disabled'.
    """
    show_help_without_command(context)


def _mapping(context: click.Context, option: click.Parameter, text: str | None) -> dict[str, Json] | None:
    if text is None:
        return None
    try:
        value = parse_json(text)
    except NotJson:
        value = None
    if not isinstance(value, dict):
        raise click.BadParameter(
            'must be a JSON object, such as \'{"Email": "a@b.example"}\'', context, option
        )
    return value


def _number(name: str, what: str) -> Callable[[Any], Any]:
    return click.option(name, type=click.IntRange(min=1), metavar="N", help=what)


@token_commands.command()
@click.argument("kind", type=click.Choice(KINDS))
@root_option
@click.option("--title", default="", metavar="TEXT", help="What it is for.")
@click.option(
    "--limit-calls",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Calls it is good for; 0: no limit.",
)
@click.option("--admin", is_flag=True, help="It may do everything its API can (data-sources, things).")
@click.option(
    "--user",
    callback=_mapping,
    metavar="JSON",
    help="Attributes of the user it stands for (data-sources, things).",
)
@_number("--app-id", "The app it belongs to (data-sources).")
@_number("--organization-id", "The organization it belongs to (data-sources). Default: 1.")
@_number("--company-id", "The company it belongs to (datasource). Default: 1.")
def create(kind: Kind, root: Path, title: str, limit_calls: int, admin: bool, **given: Json) -> None:
    """Make a token of a KIND and print it, once, alone on the output.

    \b
    KIND is the API that it opens:
      entries       reading /api/entries
      access        writing /api/entries, together with one of the kind entries
      data-sources  /v1/data-sources
      things        /api/1.1/obj
      datasource    /api/v2/datasource, where it is called the integration key

    \b
    Examples:
      flatdata token create entries --title "the website"
      flatdata token create data-sources --admin
      TOKEN=$(flatdata token create things --user '{"email": "a@b.example"}')
    """
    attributes = {name: value for name, value in given.items() if value is not None}
    if admin:
        attributes["admin"] = True
    for name in attributes:
        if name not in FIELDS_BY_KIND[kind]:
            raise click.UsageError(f"a token of the kind {kind} takes no --{name.replace('_', '-')}")
    attributes = {**_DEFAULTS.get(kind, {}), **attributes}
    click.echo(_tokens(root).create(kind, title, limit_calls=limit_calls, **attributes))


def _tokens(root: Path) -> Tokens:
    return Tokens(root, root / STATE_FOLDER)


@token_commands.command("list")
@root_option
def list_tokens(root: Path) -> None:
    """List the tokens.

    Shows their kind, the first digits of the SHA-256, state, calls, id, title and rights. Tokens themselves
    are not shown; nobody has them but who was given one.
    """
    tokens = _tokens(root)
    rows = [_cells(each) for each in tokens.list()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    broken = [problem for problem in tokens.problems() if problem.path.endswith(".yaml")]
    if broken:
        click.echo(f"{len(broken)} problems in token files (see: flatdata check)", err=True)


def _cells(each: Token) -> tuple[str, ...]:
    limit = "" if type(each.limit_calls) is int and each.limit_calls == 0 else f" of {each.limit_calls}"
    rights = [
        *(["admin"] if each.admin else []),
        *(
            f"{name} {value}"
            for name, value in (
                ("app", each.app_id),
                ("organization", each.organization_id),
                ("company", each.company_id),
            )
            if value is not None
        ),
        *(["plain"] if each.is_plain else []),
    ]
    return (
        each.kind,
        each.digest[:12],
        _in_one_line(each.state or "-"),
        f"{each.calls} calls{limit}",
        "-" if each.id is None else str(each.id),
        _in_one_line(each.title or "-"),
        ", ".join(rights),
    )


def _in_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


@token_commands.command()
@click.argument("which", metavar="TOKEN")
@root_option
def revoke(which: str, root: Path) -> None:
    """Delete a token.

    TOKEN is the token itself or the first six or more digits of its SHA-256, as 'list' shows them. A running
    server refuses it within half a second.
    """
    for each in _tokens(root).revoke(which):
        click.echo(f"revoked {each.kind} {each.digest[:12]} {_in_one_line(each.title)}".rstrip())


@token_commands.command("hash")
@root_option
def hash_tokens(root: Path) -> None:
    """Rename folders named by a plain token to its hash.

    Such folders come from a Flextype project. The tokens work on as before; only who reads the files cannot
    use them any more. What git remembers of the old names it keeps: a token that was ever pushed is better
    revoked.
    """
    tokens = _tokens(root)
    for each in tokens.hash_plain():
        click.echo(f"hashed {each.kind} {each.digest[:12]} {_in_one_line(each.title)}".rstrip())
    for left in tokens.list():
        if left.is_plain:
            raise click.ClickException(
                f"tokens/{left.kind}/{shown_name(left.name)} stays: its hash is there too"
            )
