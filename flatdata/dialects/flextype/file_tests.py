"""`options[find]` as conditions of a query: tests of an entry's path, its file's size and time, and its text.

All of them are decided by looking at the entry. The text of a file is read last, from the disk, and only for
entries that everything else let through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from flatdata.dialects.flextype.find_options import Find
from flatdata.query.php_dates import Calendar
from flatdata.query.tree import Condition, Field, Operator, OrderBy, OrderIndex
from flatdata.store.entry import Entry

VIEW: Final = "flextype-file"


class FileTest(NamedTuple):
    """The tests of one `options[find]`, with what they need to know."""

    find: Find
    collection: str
    calendar: Calendar


def file_conditions(
    find: Find, collection: str, calendar: Calendar, raw: Callable[[Entry], bytes]
) -> list[Condition]:
    """The conditions that entries of a collection must meet, the cheap ones first.

    Args:
        raw: gives the bytes of an entry's file.
    """
    conditions = []
    if find.dates or find.sizes or find.exclude or find.path:
        conditions.append(Condition(ENTRY, FILE_PASSES, FileTest(find, collection, calendar)))
    if find.contains or find.not_contains:
        text = Field(VIEW, "text", lambda entry: raw(entry).decode("utf-8", "replace"))
        conditions.append(Condition(text, TEXT_PASSES, find))
    return conditions


def _mtime(entry: Entry) -> int:
    return entry.mtime_ns // 1_000_000_000


def _file_passes(entry: Any, test: FileTest) -> bool:
    relative = entry.slug[len(test.collection) :].lstrip("/")
    return test.find.accepts_path(relative) and test.find.accepts_file(
        entry.size, _mtime(entry), test.calendar
    )


def _text_passes(text: Any, find: Find) -> bool:
    return find.accepts_text(text)


ENTRY: Final = Field(VIEW, "entry", lambda entry: entry)
FILE_PASSES: Final = Operator("flextype.file", _file_passes)
TEXT_PASSES: Final = Operator("flextype.text", _text_passes)

BY_TIME: Final = OrderBy(Field(VIEW, "mtime", _mtime), OrderIndex("flextype.mtime", lambda mtime: mtime))
"""The order of `options[find][sort_by]`. A file is replaced when it changes, so that its three times are as
good as one."""
