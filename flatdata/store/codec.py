"""Between the bytes of a file and the mapping of an entry. Pure: knows no paths and no disk.

What this module offers is all the store needs; the parts lie beside it: `storable` (what can be kept, and
the limits), `yaml_reader`, `yaml_writer`, `yaml_scalars` and `front_matter`. They are imported when a text is
first read or written: a start that finds no file changed needs neither libyaml nor python-frontmatter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from flatdata.store.storable import DEFAULT_LIMITS, CodecError, Json, Limits, check_storable

__all__ = [
    "DEFAULT_LIMITS",
    "CodecError",
    "Json",
    "Limits",
    "as_read_back",
    "check_storable",
    "dump_entry",
    "dump_yaml",
    "load_entry",
    "load_yaml",
]


def load_yaml(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Json:
    """The value of one YAML document; see `flatdata.store.yaml_reader.load_yaml`. Raises `CodecError`."""
    from flatdata.store import yaml_reader

    return yaml_reader.load_yaml(data, limits)


def dump_yaml(value: Json, limits: Limits = DEFAULT_LIMITS, *, is_storable: bool = False) -> bytes:
    """A YAML document that says `value`; see `flatdata.store.yaml_writer.dump_yaml`. Raises `CodecError`."""
    from flatdata.store import yaml_writer

    return yaml_writer.dump_yaml(value, limits, is_storable=is_storable)


def load_entry(data: bytes, form: str, limits: Limits = DEFAULT_LIMITS) -> dict[str, Json]:
    """The mapping of a file of this form: `entry.yaml`, `entry.md`, `file` or `manifest`.

    An empty file is an empty mapping (with `content` '' in an `entry.md`). Raises `CodecError`, with the
    line where there is one, for a text that cannot be read and for one that is not a mapping.
    """
    return _FORMS[form].load(data, limits)


def dump_entry(
    fields: dict[str, Json], form: str, limits: Limits = DEFAULT_LIMITS, *, is_storable: bool = False
) -> bytes:
    """A file of this form; `load_entry` gives the same fields back (and `content` '' in an `entry.md`).

    Args:
        is_storable: `check_storable` let the fields pass already.

    Raises `CodecError` for fields that cannot be kept. A caller that must not fail halfway makes the
    bytes before it promises anything.
    """
    return _FORMS[form].dump(fields, limits, is_storable=is_storable)


def as_read_back(fields: dict[str, Json], form: str) -> dict[str, Json]:
    """The fields as `load_entry` gives them of what `dump_entry` makes of them in this form."""
    if form != "entry.md":
        return fields
    from flatdata.store import front_matter

    return front_matter.as_read_back(fields)


def _load_mapping(data: bytes, limits: Limits) -> dict[str, Json]:
    value = load_yaml(data, limits)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CodecError("the file is not a mapping", 1)
    return value


def _load_front_matter(data: bytes, limits: Limits) -> dict[str, Json]:
    from flatdata.store import front_matter

    return front_matter.load_front_matter(data, limits)


def _dump_front_matter(fields: dict[str, Json], limits: Limits, *, is_storable: bool) -> bytes:
    from flatdata.store import front_matter

    return front_matter.dump_front_matter(fields, limits, is_storable=is_storable)


class _Dump(Protocol):
    def __call__(self, fields: dict[str, Json], limits: Limits, /, *, is_storable: bool) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Form:
    load: Callable[[bytes, Limits], dict[str, Json]]
    dump: _Dump


_YAML: Final = _Form(_load_mapping, dump_yaml)

_FORMS: Final = {
    "entry.yaml": _YAML,
    "entry.md": _Form(_load_front_matter, _dump_front_matter),
    "file": _YAML,
    "manifest": _YAML,
}
