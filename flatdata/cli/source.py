"""`flatdata source`: data sources, made without an API."""

from __future__ import annotations

import uuid
from pathlib import Path

import click

from flatdata.cli.groups import root_option, settings_of, show_help_without_command
from flatdata.query.tree import Json
from flatdata.settings import Settings
from flatdata.store.changes import Change
from flatdata.store.manifest import Source, source_of
from flatdata.store.planning import View
from flatdata.store.sources import META, new_source

MAX_NAME_CHARACTERS = 255


@click.group("source", invoke_without_command=True)
@click.pass_context
def source_commands(context: click.Context) -> None:
    """Make data sources: collections with a manifest.yaml, whose entries are rows."""
    show_help_without_command(context)


def _columns(context: click.Context, option: click.Parameter, text: str | None) -> list[str] | None:
    if text is None:
        return None
    columns = [column.strip() for column in text.split(",")]
    if "" in columns or len(set(columns)) < len(columns):
        raise click.BadParameter("columns need names, each of its own", context, option)
    if META in columns or not all(column.isprintable() for column in columns):
        raise click.BadParameter(
            f"no column can be called {META} or hold control characters", context, option
        )
    return columns


def _name(context: click.Context, argument: click.Parameter, name: str) -> str:
    if not name.strip() or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise click.BadParameter(
            f"must be 1 to {MAX_NAME_CHARACTERS} printable characters", context, argument
        )
    return name


@source_commands.command()
@click.argument("name", callback=_name)
@root_option
@click.option(
    "--columns",
    callback=_columns,
    metavar="A,B,...",
    help="Its columns, in order. Default: found from the rows.",
)
@click.option(
    "--external-id", metavar="ID", help="Make it reachable by PUT /api/v2/datasource under this ExternalId."
)
@click.option(
    "--company-id", type=click.IntRange(min=1), metavar="N", help="The same, for this company. Default: 1."
)
@click.option(
    "--bubble", is_flag=True, help="Expose it as a type at /api/1.1/obj, its columns as fields of type text."
)
def create(
    name: str,
    root: Path,
    columns: list[str] | None,
    external_id: str | None,
    company_id: int | None,
    bubble: bool,
) -> None:
    """Make an empty data source called NAME.

    Its folder below content/ is named after it; rows are the files beside the manifest.yaml. A running
    server serves it at once. More of its manifest (rules, hooks, types of fields) is edited in the file.

    \b
    Example:
      flatdata source create "Favourite sports" --columns code,sport --external-id SPORTS-001
    """
    from flatdata.site import Site  # takes long to import

    settings = settings_of(root)
    fields = manifest_fields(name, settings, columns, external_id, company_id, bubble)

    def plan(view: View) -> tuple[list[Change], Source]:
        _refuse_taken(view, fields)
        return new_source(view, name, **fields)

    with Site.open(root, settings, keeper="inline") as site:
        made: Source = site.store.commit(plan, origin="cli")
    click.echo(f"made the data source {made.id} ({made.name}) in content/{made.slug}/manifest.yaml")
    if made.appenate is not None:
        click.echo(f"its Id is {made.appenate['guid']}, its CompanyId {made.appenate['company_id']}")


def manifest_fields(
    name: str,
    settings: Settings,
    columns: list[str] | None,
    external_id: str | None,
    company_id: int | None,
    bubble: bool,
) -> dict[str, Json]:
    """What the options say, as keys of a manifest."""
    fields: dict[str, Json] = {"columns": columns, "organization_id": settings.fliplet.organization_id}
    if bubble:
        fields["bubble"] = {
            "exposed": True,
            "display": name,
            "fields": dict.fromkeys(columns or [], "text"),
            "defaults": {},
            "privacy": [],
        }
    if external_id is not None or company_id is not None:
        fields["appenate"] = {
            "guid": str(uuid.uuid4()),
            "external_id": external_id,
            "company_id": company_id or 1,
            "display_at": {},
        }
    return fields


def _refuse_taken(view: View, fields: dict[str, Json]) -> None:
    """An ExternalId names one source of a company."""
    wanted = fields.get("appenate")
    if wanted is None or wanted["external_id"] is None:
        return
    for manifest in view.manifests():
        other = source_of(manifest).appenate or {}
        if all(other.get(key) == wanted[key] for key in ("external_id", "company_id")):
            raise click.ClickException(
                f"content/{manifest.parent} has the ExternalId {wanted['external_id']} already"
            )
