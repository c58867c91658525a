"""Tokens for development: made where a site has none, kept readable in `.flatdata/`, which git ignores."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from shlex import quote as quote_word
from typing import Final, NamedTuple
from urllib.parse import quote

from flatdata.access.token import Kind
from flatdata.access.token_files import places
from flatdata.access.tokens import Tokens
from flatdata.query.tree import Json
from flatdata.settings import Settings

STATE_FOLDER: Final = ".flatdata"
FILE_NAME: Final = "development-tokens.env"
_LINE: Final = re.compile(r"export ([A-Z_]+)=([0-9A-Za-z-]+)")


class _Wanted(NamedTuple):
    kind: Kind
    attributes: Mapping[str, Json]


_WANTED: Final[Mapping[str, _Wanted]] = {
    "ENTRIES_TOKEN": _Wanted("entries", {}),
    "ACCESS_TOKEN": _Wanted("access", {}),
    "DATA_SOURCES_TOKEN": _Wanted("data-sources", {"admin": True, "organization_id": 1}),
    "THINGS_TOKEN": _Wanted("things", {"admin": True}),
    "DATASOURCE_TOKEN": _Wanted("datasource", {"company_id": 1}),
}
"""Each by the name of its variable in the file."""


def development_tokens(root: Path) -> dict[str, str]:
    """The development tokens of a site by the names of their variables, made first if it has no token at all.

    Empty if the site has tokens of its own. Raises OSError.
    """
    path = root / STATE_FOLDER / FILE_NAME
    tokens = Tokens(root, root / STATE_FOLDER)
    if not any(places(tokens.folder)):
        made = {
            name: tokens.create(wanted.kind, "development", **wanted.attributes)
            for name, wanted in _WANTED.items()
        }
        _write_secret(path, "".join(f"export {name}={token}\n" for name, token in made.items()))
    kept = _read(path)
    valid = {name: token for name, token in kept.items() if tokens.check(_WANTED[name].kind, token)}
    tokens.close()
    return valid


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return {}
    return {
        match[1]: match[2]
        for match in map(_LINE.fullmatch, text.splitlines())
        if match and match[1] in _WANTED
    }


def examples(root: Path, settings: Settings, tokens: Mapping[str, str]) -> str:
    """What to tell a developer: the tokens, where they are, and a first request to paste."""
    if "ENTRIES_TOKEN" not in tokens:
        return "This site has tokens of its own. To make another: flatdata token create entries"
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port or 'PORT'}"
    request = f"{address}/api/entries?id={quote(_first_entry(root))}&token={tokens['ENTRIES_TOKEN']}"
    return "\n".join(
        [
            "Tokens for development:",
            *(f"  {name}={token}" for name, token in tokens.items()),
            f"Their files are {root / 'tokens'}/<kind>/<SHA-256>/token.yaml. To have them in a shell:",
            f"  . {quote_word(str(root / STATE_FOLDER / FILE_NAME))}",
            "To try the first:",
            f"  curl '{request}'",
        ]
    )


def _first_entry(root: Path) -> str:
    """The id of a top-level entry to ask for, as far as the names of files tell."""
    for item in sorted((root / "content").iterdir()):
        if item.name.startswith("."):
            continue
        if item.suffix == ".yaml" or any((item / name).is_file() for name in ("entry.yaml", "entry.md")):
            return item.stem if item.suffix == ".yaml" else item.name
    return "ID"
