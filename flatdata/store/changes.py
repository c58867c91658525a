"""What a caller asks the store to change. All changes of one commit are applied, or none.

The changes of one commit are **apart**: no two name the same slug, and what lies in a tree that one of them
deletes, moves or copies, or in the place where it goes, is named by no other. So their order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Put:
    """Create or replace one entry.

    `fields` is the whole new mapping; `meta` the row's `_meta` (None keeps what is there, `{}` removes it).
    `form` None keeps the form of an existing entry; a new one takes the folder form, or the single-file
    form where its collection is a data source. In place of the single-file form, the folder form is taken
    where the same commit makes something below the entry.
    """

    slug: str
    fields: dict[str, Any]
    meta: dict[str, Any] | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one entry. What lies below it stays."""

    slug: str


@dataclass(frozen=True, slots=True)
class DeleteTree:
    """Remove an entry, its folder and everything in it."""

    slug: str


@dataclass(frozen=True, slots=True)
class Move:
    """Rename an entry with everything below it. The target must be free; its parents are made."""

    slug: str
    new_slug: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy an entry with everything below it. The target must be free; its parents are made."""

    slug: str
    new_slug: str


Change = Put | Delete | DeleteTree | Move | Copy
