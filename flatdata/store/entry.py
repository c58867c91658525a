"""An entry as the server holds it: immutable, with its JSON serialised once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from flatdata.store.paths import name_of, parent_of

decode_json: Final = msgspec.json.Decoder().decode
"""Parse JSON; integers of any size survive."""
encode_json: Final = msgspec.json.Encoder().encode
"""Serialise a JSON value, compactly."""


class Entry:
    """One file of content: its slug, what it says, and what is known of the file.

    `body` is the stored mapping as compact JSON without the reserved key `_meta`; `meta_body` is that of
    `_meta`, or empty. Neither changes during the life of the object: a changed entry is another object.
    """

    __slots__ = ("body", "form", "held", "meta_body", "mtime_ns", "num", "rendered", "seq", "size", "slug")

    def __init__(
        self,
        slug: str,
        body: bytes,
        meta_body: bytes = b"",
        *,
        form: str,
        mtime_ns: int,
        size: int,
        seq: int = 0,
    ) -> None:
        self.slug = slug
        self.body = body
        self.meta_body = meta_body
        self.form = form
        self.mtime_ns = mtime_ns
        self.size = size
        self.seq = seq
        self.num = -1
        """Its number in this process's index; -1 before it is indexed."""
        self.held: dict[str, Any] | None = None
        """The parsed mapping, while somebody reads it many times in a row (`flatdata.index`)."""
        self.rendered: dict[str, bytes] | None = None
        """What dialects made of it, by a name of theirs. They may drop it at any time."""

    @property
    def fields(self) -> dict[str, Any]:
        """The stored mapping, parsed anew. Do not change it."""
        # Read once: another thread may let go of it between a test and a second look.
        held = self.held
        return held if held is not None else decode_json(self.body)

    @property
    def meta(self) -> dict[str, Any]:
        """The `_meta` mapping of a row; `{}` if there is none."""
        return decode_json(self.meta_body) if self.meta_body else {}

    @property
    def parent(self) -> str:
        """The slug of the collection it is in."""
        return parent_of(self.slug)

    @property
    def name(self) -> str:
        """The last segment of its slug."""
        return name_of(self.slug)

    def __repr__(self) -> str:
        return f"Entry({self.slug!r})"


_READ_WHOLE: Final = 20
"""Entries read whole for one field, before it pays to make a parser of that field alone."""
_MOST_READERS: Final = 500
_LONGEST_KEPT: Final = 200
"""Characters of names whose readers are kept: clients choose the names, and must not fill the memory."""
_UNSPEAKABLE: Final = frozenset('"\\')
"""Characters of names that `msgspec` takes for no field."""


class FieldReader:
    """Reads one field of entries; once it has read some, without making values of the others.

    That takes a quarter of the time. Use `field_reader`, which gives everybody the same one for a name.
    """

    __slots__ = ("_decode", "_left", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._decode: Any = None
        self._left = _READ_WHOLE if name.isprintable() and not _UNSPEAKABLE & set(name) else -1

    def __call__(self, entry: Entry, default: Any) -> Any:
        """The value of the field in an entry, `default` if it has none. Do not change it."""
        held = entry.held
        if held is None:
            if self._decode is not None:
                value = self._decode(entry.body).value
                return default if value is msgspec.UNSET else value
            held = decode_json(entry.body)
            if self._left >= 0:
                self._left -= 1
                if self._left < 0:
                    self._prepare()
        return held.get(self._name, default)

    def _prepare(self) -> None:
        field = ("value", Any, msgspec.UNSET)
        struct = msgspec.defstruct("Field", [field], rename={"value": self._name}, gc=False)
        self._decode = msgspec.json.Decoder(struct).decode


_known_reader: Final = lru_cache(_MOST_READERS)(FieldReader)


def field_reader(name: str) -> FieldReader:
    """The reader of a field, by its name: the same one for everybody, unless the name is very long."""
    return _known_reader(name) if len(name) <= _LONGEST_KEPT else FieldReader(name)
