"""What one YAML scalar means, and how text is spelled so that every reader takes it for that text.

Reading follows the core schema of YAML 1.2, less what JSON cannot hold: `.inf`, `.nan` and floats too
large stay text. Writing is warier: other programs read our files by YAML 1.1 (PyYAML, Ruby, Go in part)
or by rules of their own (Symfony, as Flextype uses it), so text is left plain only where all of them read
it as text. reference/measurements.md §2.2 and §2.3 list where they differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from flatdata.store.storable import INTEGER_BOUND, MAX_DIGITS, CodecError, Json

_TAG_PREFIX: Final = "tag:yaml.org,2002:"  # what `!!` stands for
MAPPING_TAG: Final = f"{_TAG_PREFIX}map"
SEQUENCE_TAG: Final = f"{_TAG_PREFIX}seq"

# --- reading --------------------------------------------------------------------------------------

_WORDS: Final[dict[str, Json]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_START: Final = frozenset("+-.0123456789")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_BASED_INTEGER: Final = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TOO_LONG: Final = f"an integer has more than {MAX_DIGITS} digits"


def resolve_plain(text: str) -> Json:
    """The value of an untagged plain scalar: null, a boolean, a number or the text itself.

    Raises `CodecError` for an integer of more than 4300 digits.
    """
    value = _WORDS.get(text, text)
    if value is not text or text[0] not in _NUMBER_START:
        return value
    if _INTEGER.fullmatch(text):
        return _decimal(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    if _BASED_INTEGER.fullmatch(text):
        return _based(text)
    return text


def resolve_tagged(tag: str, text: str) -> Json:
    """The value of a scalar with an explicit standard tag, such as Symfony's `!!float 7`.

    Raises `CodecError` for a tag that is not one of those for scalars, and where text and tag disagree.
    """
    resolve = _TAGGED.get(tag)
    if resolve is None:
        raise CodecError("this tag is not supported here")
    return resolve(text)


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text):
        return _decimal(text)
    if _BASED_INTEGER.fullmatch(text):
        return _based(text)
    raise CodecError("this is not an integer")


def _decimal(text: str) -> int:
    if len(text) > MAX_DIGITS and len(text.lstrip("+-")) > MAX_DIGITS:
        raise CodecError(_TOO_LONG)
    return int(text)


def _based(text: str) -> int:
    value = int(text, 0)
    if value >= INTEGER_BOUND:
        raise CodecError(_TOO_LONG)
    return value


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise CodecError("this is not a number")
    number = float(text)
    if not math.isfinite(number):
        raise CodecError("this number is not finite")
    return number


def _boolean(text: str) -> bool:
    value = _WORDS.get(text)
    if not isinstance(value, bool):
        raise CodecError("this is not a boolean")
    return value


def _null(text: str) -> None:
    if _WORDS.get(text, text) is not None:
        raise CodecError("this is not null")


_TAGGED: Final[dict[str, Callable[[str], Json]]] = {
    f"{_TAG_PREFIX}str": str,
    f"{_TAG_PREFIX}int": _integer,
    f"{_TAG_PREFIX}float": _float,
    f"{_TAG_PREFIX}bool": _boolean,
    f"{_TAG_PREFIX}null": _null,
}

# --- writing --------------------------------------------------------------------------------------

_PLAIN_START: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/($")
_MEANINGS: Final = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_OTHER_MEANING: Final = frozenset(_MEANINGS)
_LONGEST_MEANING: Final = max(map(len, _OTHER_MEANING))
is_surely_plain: Final = re.compile(
    rf"(?!(?i:{'|'.join(_MEANINGS)})\Z)"
    r"[A-Za-z_/($](?:[\x20-\x22\x24-\x39\x3b-\x7e]*[\x21\x22\x24-\x39\x3b-\x7e])?"
).fullmatch
"""Whether a text is like most there are, and plain by one look: ASCII on one line, without `:` and `#`,
beginning with no digit, ending with no blank, and with no other meaning. Others may be plain, too."""
# Covers, for all dialects at once: decimal, octal, hexadecimal, binary, `1_000`, `1,000`, exponents,
# sexagesimal, times, dates. It also quotes some text that nobody would misread ("3D"), which is harmless.
_NUMBER_LIKE: Final = re.compile(r"[0-9][0-9a-fA-FoOxXtTzZ_.,:+\- ]*")

# Characters that a YAML text cannot hold unescaped, or that some readers fold into a line break
# (NEL, LS, PS) or drop (the byte order mark).
_UNPRINTABLE: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff"
_NEEDS_ESCAPE: Final = re.compile(rf"[\t\n{_UNPRINTABLE}]")
_NEEDS_ESCAPE_IN_BLOCK: Final = re.compile(rf"[{_UNPRINTABLE}]")
_ESCAPED: Final = re.compile(rf'["\\\t\n{_UNPRINTABLE}]')
_SHORT_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def is_printable(text: str) -> bool:
    """Whether the text may stand in a file as it is: no control characters but tab and line feed."""
    return not _NEEDS_ESCAPE_IN_BLOCK.search(text)


def spell_text(text: str) -> str:
    """The text as a scalar on one line: plain where that is safe, else in single or double quotes."""
    if not text:
        return "''"
    if is_surely_plain(text):
        return text
    if "0" <= text[0] <= "9" and _NUMBER_LIKE.fullmatch(text):
        return f"'{text}'"
    if not (text.isascii() and text.isprintable()) and _NEEDS_ESCAPE.search(text):
        return f'"{_ESCAPED.sub(_escape, text)}"'
    if _is_plain(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def spell_scalar(value: Json) -> str:
    """A scalar other than text, as YAML 1.1 and 1.2 both read it."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return _spell_float(value)
    return str(value)


def _is_plain(text: str) -> bool:
    """Whether a text that is not like a number, and needs no escapes, is read as that text."""
    first, last = text[0], text[-1]
    if first not in _PLAIN_START and (first.isascii() or first.isspace()):
        return False
    if last == ":" or last.isspace() or ": " in text or " #" in text:
        return False
    return len(text) > _LONGEST_MEANING or text.lower() not in _OTHER_MEANING


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _spell_float(value: float) -> str:
    """The shortest text that reads back as the same float. YAML 1.1 needs a point: `1.0e+16`."""
    text = repr(value)
    if "." in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{mantissa}.0e{exponent}"
