"""The pages that people write say what the code does: modes, limits, keys, floors, libraries, links.

The pages that are made from the code are held to it in `test_settings`, `test_cli` and `test_plugins`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Server, eventually

from flatdata import json_text
from flatdata.access.privacy import ACTIONS
from flatdata.access.token import FIELDS_BY_KIND
from flatdata.app import DIALECTS
from flatdata.dialects.appenate.request import PAGE_SIZE, SEARCH_PAGE_SIZE
from flatdata.dialects.appenate.update import LIMITS as APPENATE_LIMITS
from flatdata.dialects.bubble import bulk, constraints, parameters, search, values
from flatdata.dialects.flextype import options
from flatdata.dialects.fliplet import attributes, hooks, join, multipart, templates
from flatdata.query import patterns, php, pipeline, sift
from flatdata.query.bubble_values import ID, SCALARS
from flatdata.settings import GROUPS, ROWS
from flatdata.store import paths, storable
from flatdata.store.manifest import MANIFEST_FIELDS

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "flatdata"
DOCS = REPOSITORY / "docs"
PAGES = [
    *sorted(DOCS.glob("*.md")),
    *(REPOSITORY / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
]

MODE_WORDS = frozenset({"behaviour", "live", "documented", "missing_status"})
"""Attributes by which the code asks for the mode."""


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return prose(DOCS / name)


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = heading.partition(" ")[0]
    start = f"\n{heading}\n"
    assert text.count(start) == 1, f"{heading} is there {text.count(start)} times"
    rest = text.partition(start)[2]
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> Iterator[list[list[str]]]:
    """The tables of a text: rows of cells, without headings."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in block.splitlines()
        ]
        yield rows[2:]


def table(text: str, heading: str) -> list[list[str]]:
    """The first table below a heading."""
    return next(tables(section(text, heading)))


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# --- documented and live -------------------------------------------------------------------------------


def modules_that_ask(dialect: str) -> set[str]:
    """The files of a dialect that ask for the mode."""
    found = set()
    for path in (PACKAGE / "dialects" / dialect).glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Attribute) and node.attr in MODE_WORDS for node in ast.walk(tree)):
            found.add(path.name)
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_with_two_modes_says_where_they_differ(dialect: str) -> None:
    text = section(page("behaviour.md"), f"## {dialect.capitalize()}")
    assert f"`{dialect}.behaviour`" in text
    assert (dialect, "behaviour") in ROWS
    assert len(next(tables(text))) >= 2
    in_the_code = text.partition("In the code:")[2]
    named = {name for name in quoted(in_the_code) if name.endswith(".py")}
    assert named == modules_that_ask(dialect), "what asks for the mode and what the page names differ"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_says_what_it_does_differently_on_purpose(dialect: str) -> None:
    text = section(page("behaviour.md"), "## What differs from the hosted services on purpose")
    assert re.search(rf"^### {dialect.capitalize()}: `/", text, re.MULTILINE)


LIMITS = {
    "bytes of one file of content": storable.DEFAULT_LIMITS.max_bytes,
    "levels of nesting in one file": storable.DEFAULT_LIMITS.max_depth,
    "levels of nesting in JSON that is sent, whatever it is for": json_text.MAX_DEPTH,
    "values in one file": storable.DEFAULT_LIMITS.max_nodes,
    "values that aliases may add to one file": storable.DEFAULT_LIMITS.max_alias_nodes,
    "digits of an integer": storable.MAX_DIGITS,
    "levels of an id": paths.MAX_DEPTH,
    "bytes of an id": paths.MAX_SLUG_BYTES,
    "bytes of one segment of an id": paths.MAX_SEGMENT_BYTES,
    "Flextype: conditions of a `where`": options.MAX_CONDITIONS,
    "Flextype: characters of a regular expression": php.MAX_PATTERN,
    "Fliplet: conditions of a `where`": sift.MAX_CONDITIONS,
    "Fliplet: levels of a `where`": sift.MAX_DEPTH,
    "Fliplet: characters of a regular expression": patterns.MAX_PATTERN,
    "Fliplet: joins of a query": join.MAX_JOINS,
    "Fliplet: rows that joins may add to an answer": join.MAX_JOINED,
    "Fliplet: stages of a pipeline": pipeline.MAX_STAGES,
    "Fliplet: columns of a source": attributes.MAX_COLUMNS,
    "Fliplet: parts of a multipart body": multipart.MAX_PARTS,
    "Fliplet: password hashes of one request": hooks.MAX_HASHES,
    "Fliplet: blocks and `else if` of a template in a hook": templates.MAX_BLOCKS,
    "Fliplet: parentheses in one tag of a template in a hook": templates.MAX_BLOCKS,
    "Bubble: things on a page": parameters.MAX_LIMIT,
    "Bubble: things that `cursor` reaches": search.MAX_REACH,
    "Bubble: constraints of a search": parameters.MAX_CONSTRAINTS,
    "Bubble: values of an `in`": constraints.MAX_VALUES,
    "Bubble: lines of a bulk request": bulk.MAX_LINES,
    "Bubble: seconds of a bulk request": int(bulk.MAX_SECONDS),
    "Bubble: characters of a text": values.MAX_TEXT,
    "Appenate: `Rows` of a request": APPENATE_LIMITS["Rows"],
    "Appenate: `NewRows` of a request": APPENATE_LIMITS["NewRows"],
    "Appenate: `DeletedRows` of a request": APPENATE_LIMITS["DeletedRows"],
    "Appenate: rows of a page": PAGE_SIZE,
    "Appenate: sources of a page of `/search`": SEARCH_PAGE_SIZE,
}


def test_the_limits_are_those_of_the_code() -> None:
    written = dict(table(page("behaviour.md"), "## Limits"))
    assert written == {what: f"{number:,}" for what, number in LIMITS.items()}


def test_limits_named_in_passing_are_those_of_the_code() -> None:
    text = page("behaviour.md")
    assert f"verified on up to {hooks.MAX_CANDIDATES} rows" in text
    lists = next(row for row in table(text, "## Bubble") if row[0].startswith("entries in a list"))
    assert lists[1] == f"{values.MAX_LIST:,}"
    assert lists[2].startswith(f"{values.MAX_LIST_LIVE};")


# --- formats ----------------------------------------------------------------------------------------------


def test_every_key_of_a_manifest_is_explained() -> None:
    keys = [quoted(row[0])[0] for row in table(page("formats.md"), "## Data sources")]
    assert keys == list(MANIFEST_FIELDS)


def test_every_kind_of_token_is_explained_with_its_fields() -> None:
    rows = {quoted(row[0])[0]: quoted(row[2]) for row in table(page("formats.md"), "## Tokens")}
    assert rows == {kind: list(fields) for kind, fields in FIELDS_BY_KIND.items()}


def test_every_type_of_field_and_every_permission_is_explained() -> None:
    text = section(page("formats.md"), "### The part `bubble:`")
    kinds = {name.partition(".")[0] for name in quoted(text)}
    assert kinds >= SCALARS.keys() - {ID}
    assert set(quoted(text)) >= set(ACTIONS)


def test_every_file_in_the_state_folder_is_explained(server: Server) -> None:
    server.get("/v1/user", headers={"Auth-token": server.tokens["data-sources"]}).raise_for_status()
    eventually(lambda: (server.root / ".flatdata" / "index" / "words" / "committed.json").is_file())
    explained = {
        name.partition("/")[0] for row in table(page("formats.md"), "## .flatdata") for name in quoted(row[0])
    }
    found = {path.name for path in (server.root / ".flatdata").iterdir()}
    # A file that is just being written has another name until it is whole.
    found = {name for name in found if not name.endswith(".new")}
    assert {"log", "index", "lock", "keeper.json", "token-calls"} <= found
    assert found <= explained


# --- floors -----------------------------------------------------------------------------------------------


def unit_of(module: str) -> str:
    """The part of the package that a module belongs to: `store/`, `dialects/bubble/`, `site.py`."""
    parts = module.split(".")[1:]
    depth = 2 if parts[0] == "dialects" else 1
    name = "/".join(parts[:depth])
    return f"{name}/" if (PACKAGE / name).is_dir() else f"{name}.py"


def imports() -> Iterator[tuple[str, str]]:
    """Every import in the package: the module that has it, and what it imports, both with dots."""
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module} has a relative import"
                yield module, node.module or ""
                # `from flatdata.store import disk` is an import of flatdata.store.disk
                if node.module == "flatdata":
                    yield from ((module, f"flatdata.{alias.name}") for alias in node.names)


def floors() -> dict[str, int]:
    """The number of the floor that each unit stands on, from the page; 0 is at the bottom."""
    rows = table(page("architecture.md"), "## Floors")
    return {unit: floor for floor, row in enumerate(reversed(rows)) for unit in quoted(row[0])}


ROOT_MODULES = frozenset({"flatdata", "flatdata.__init__", "flatdata.__main__", "flatdata.dialects.__init__"})
"""The version, and the door of `python -m flatdata`: on no floor."""


def test_every_part_of_the_package_stands_on_a_floor() -> None:
    modules = {".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    assert {unit_of(module) for module in modules - ROOT_MODULES} == floors().keys()


def test_a_floor_imports_only_what_stands_below_it() -> None:
    floor_of = floors()
    wrong = []
    for module, imported in imports():
        if (
            module in ROOT_MODULES
            or not imported.startswith("flatdata.")
            or imported == "flatdata.__version__"
        ):
            continue
        unit, other = unit_of(module), unit_of(imported)
        if unit != other and floor_of[other] >= floor_of[unit]:
            wrong.append(f"{module} imports {imported}")
    assert not wrong


def test_libraries_are_imported_only_where_the_page_says() -> None:
    rows = list(tables(section(page("architecture.md"), "## Floors")))[1]
    allowed = {library: quoted(row[1]) for row in rows for library in quoted(row[0])}
    wrong, used = [], set()
    for module, imported in imports():
        library = imported.partition(".")[0]
        if (
            library in sys.stdlib_module_names
            or library in ("flatdata", "msgspec")
            or library.startswith("_")
        ):
            continue
        used.add(library)
        place = "/".join(module.split(".")[1:]) + ".py"
        if not any(
            place == where or (where.endswith("/") and place.startswith(where)) for where in allowed[library]
        ):
            wrong.append(f"{module} imports {imported}")
    assert not wrong
    assert used == allowed.keys()


# --- names and links ----------------------------------------------------------------------------------------

SETTING = re.compile(rf"^(?:{'|'.join(group[0] for group in GROUPS if group)})(?:\.[a-z_]+)+$")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    known = {".".join(row) for row in ROWS} | {".".join(group) for group in GROUPS}
    known |= {path.name for path in PACKAGE.rglob("*.py")}  # index.py and the like are files
    named = {name.partition(":")[0] for name in quoted(prose(path))}
    assert {name for name in named if SETTING.match(name)} <= known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(path)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", prose(linked), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings
            }


@pytest.mark.parametrize("name", ["architecture.md", "behaviour.md", "formats.md"])
def test_every_file_that_is_named_exists(name: str) -> None:
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    tails = files | {file.rpartition("/")[2] for file in files}
    for named in quoted(page(name)):
        if named.endswith(".py") and not named.startswith(("tests/", "plugins/")):
            assert named in tails, named
