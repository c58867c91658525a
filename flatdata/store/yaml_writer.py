"""Writes JSON values as YAML for people who read diffs: one value a line, block style, no line folded.

Scalars are spelled so that readers of YAML 1.1 and 1.2 alike get back what was written
(`flatdata.store.yaml_scalars`). An emitter of our own takes a quarter of the time of PyYAML's
(reference/measurements.md §2.1).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flatdata.store.storable import DEFAULT_LIMITS, CodecError, Json, Limits, check_storable
from flatdata.store.yaml_scalars import is_printable, is_surely_plain, spell_scalar, spell_text

_INDENT: Final = "  "
_LONGEST_IMPLICIT_KEY: Final = 1000
"""YAML looks for the colon of `key:` within 1024 characters only; longer keys are written `? key`."""


def dump_yaml(value: Json, limits: Limits = DEFAULT_LIMITS, *, is_storable: bool = False) -> bytes:
    """The value as a YAML document in UTF-8, ending with a line feed; `load_yaml` gives it back.

    Args:
        is_storable: `check_storable` let the value pass already.

    Raises `CodecError` for what `check_storable` refuses and for a text larger than `limits.max_bytes`,
    which could not be read again.
    """
    if not is_storable:
        check_storable(value, limits)
    lines: list[str] = []
    if isinstance(value, dict) and value:
        _add_mapping(value, "", "", lines)
    elif isinstance(value, list) and value:
        _add_sequence(value, "", "", lines)
    else:
        lines.append(_inline(value, "") + "\n")
    text = "".join(lines).encode()
    if len(text) > limits.max_bytes:
        raise CodecError(f"larger than {limits.max_bytes} bytes")
    return text


def _add_mapping(mapping: dict[str, Json], indent: str, lead: str, lines: list[str]) -> None:
    """Add a mapping with entries; `lead` stands before the first instead of `indent`, as in `- a: 1`."""
    for key, value in mapping.items():
        head = lead + (_spell_short_key(key) if len(key) <= 64 else _spell_key(key, indent))
        lead = indent
        # Classes are compared before anything is called, and most texts need one look: this runs for every
        # field of every file that is written.
        kind = value.__class__
        if kind is str:
            lines.append(f"{head} {value if is_surely_plain(value) else _inline(value, indent)}\n")
        elif kind is int:
            lines.append(f"{head} {value}\n")
        elif isinstance(value, (dict, list)) and value:
            lines.append(f"{head}\n")
            inner = indent + _INDENT
            if isinstance(value, dict):
                _add_mapping(value, inner, inner, lines)
            else:
                _add_sequence(value, inner, inner, lines)
        else:
            lines.append(f"{head} {_inline(value, indent)}\n")


def _add_sequence(sequence: list[Json], indent: str, lead: str, lines: list[str]) -> None:
    """Add a sequence with items; `lead` stands before the first instead of `indent`, as in `- - 1`."""
    inner = indent + _INDENT
    for value in sequence:
        head = f"{lead}- "
        lead = indent
        if value.__class__ is str and is_surely_plain(value):
            lines.append(f"{head}{value}\n")
        elif isinstance(value, dict) and value:
            _add_mapping(value, inner, head, lines)
        elif isinstance(value, list) and value:
            _add_sequence(value, inner, head, lines)
        else:
            lines.append(f"{head}{_inline(value, indent)}\n")


def _inline(value: Json, indent: str) -> str:
    """What follows `key: ` or `- `: a scalar or an empty collection, without the last line feed.

    `indent` is that of the line it stands on.
    """
    if isinstance(value, str):
        if "\n" in value and _fits_block(value):
            return _spell_block(value, indent + _INDENT)
        return spell_text(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return spell_scalar(value)


def _spell_key(key: str, indent: str) -> str:
    spelled = spell_text(key)
    return f"{spelled}:" if len(spelled) <= _LONGEST_IMPLICIT_KEY else f"? {spelled}\n{indent}:"


@lru_cache(maxsize=4096)
def _spell_short_key(key: str) -> str:
    return f"{spell_text(key)}:"


def _fits_block(text: str) -> bool:
    """Whether a literal block gives exactly this text back, in every reader.

    Its first line with text shows how far the block is indented, so that must not begin with a blank;
    and editors remove blanks from lines that hold nothing else.
    """
    first = text.lstrip("\n")[:1]
    if not first or first in " \t":
        return False
    return is_printable(text) and not any(line.isspace() for line in text.split("\n"))


def _spell_block(text: str, indent: str) -> str:
    """A literal block: `|-` without a final line feed, `|` with one, `|+` with more."""
    body, keep = text, "-"
    if text.endswith("\n"):
        body = text[:-1]
        keep = "+" if body.endswith("\n") else ""
    return f"|{keep}\n" + "\n".join(indent + line if line else "" for line in body.split("\n"))
