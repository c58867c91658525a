"""Entries of the recorded cases of Flextype, and what a fetch finds among them."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import yaml

from flatdata.dialects.flextype.fields import read_path
from flatdata.dialects.flextype.options import Filter, Options
from flatdata.dialects.flextype.strtotime import calendar, strtotime
from flatdata.query.evaluate import matches
from flatdata.query.php import LIVE, SORT
from flatdata.query.tree import Field

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "flextype.json").read_text("utf-8"))
MTIME = 1_600_000_000
CALENDAR = calendar(1_700_000_000, UTC)


def shown(slug: str, text: str) -> dict[str, Any]:
    """A recorded file with the fields that an answer adds to it."""
    _, front, body = text.split("---\n", 2)
    fields: dict[str, Any] = {"content": body.strip(), **yaml.safe_load(front)}
    published = fields.get("published_at")
    return {
        **fields,
        "id": slug,
        "slug": slug.rpartition("/")[2],
        "published_at": MTIME if published is None else strtotime(published, MTIME, UTC),
        "visibility": "draft" if fields.get("visibility") == "draft" else "visible",
    }


ENTRIES = {slug: shown(slug, text) for slug, text in CASES["fixtures"].items()}


def depth_of(slug: str) -> int:
    """How far below `movies` an entry is."""
    return slug.count("/")


def found(options: Options) -> list[str]:
    """The recorded entries that the options select, in order; groups are left to their own test."""
    find, filtering = options.find, options.filter or Filter()
    slugs = [
        slug
        for slug in sorted(ENTRIES)
        if find.min_depth <= depth_of(slug) <= (9 if find.max_depth is None else find.max_depth)
        and find.accepts_path(slug.removeprefix("movies").strip("/"))
        and find.accepts_file(len(CASES["fixtures"][slug].encode()), MTIME, CALENDAR)
        and find.accepts_text(CASES["fixtures"][slug])
    ]
    for where in filtering.where:
        at = Field("", where.key, lambda entry, key=where.key: read_path(entry, key))
        condition = where.condition(at, LIVE, CALENDAR)
        slugs = [slug for slug in slugs if matches(condition, ENTRIES[slug])]
    if filtering.sort:
        key, descending = filtering.sort
        slugs.sort(key=lambda slug: SORT.key(read_path(ENTRIES[slug], key)), reverse=descending)
    return slugs
