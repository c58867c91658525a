"""Query strings and form bodies with brackets, parsed as PHP's `parse_str` does (reference/flextype §2.3).

`a[b][c]=1` nests, `a[]=1` appends, `+` is a space, the last of duplicates wins, a variable that is given
both ways keeps the later one. Only the part before the first `[` is a name, in which dots and spaces become
underscores; a bracket that is never closed does too, and what follows a closing bracket is dropped.

PHP drops what exceeds its bounds with a warning in its log; here the request is refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from flatdata.errors import FlatdataError
from flatdata.query.php_values import members
from flatdata.query.tree import Json

MAX_VARIABLES: Final = 1000
"""PHP's `max_input_vars`."""
MAX_DEPTH: Final = 64
"""PHP's `max_input_nesting_level`: brackets of one name."""

_KNOWN_BYTES: Final = 200
_MAX_INDEX: Final = 2**63 - 1
_DIGITS: Final = frozenset("0123456789")
_BLANKS: Final = " \t\n\r\v\f"


class QueryTooLarge(FlatdataError):
    """There are more variables, or deeper ones, than are taken in. `what` exceeds `limit`."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"more than {limit} {what}")
        self.what = what
        self.limit = limit


class _Array(dict[str, Any]):
    """A PHP array: insertion-ordered, and it knows the index that `[]` takes next."""

    next_index = 0

    def put(self, key: str | None, value: Any) -> None:
        """Set `key`, which keeps its place, or append. Where no index is left nothing happens."""
        if key is None:
            key = str(self.next_index)
            if self.next_index > _MAX_INDEX:
                return
        self[key] = value
        if key[:1] in _DIGITS and (index := _index(key)) is not None:
            self.next_index = max(self.next_index, index + 1)

    def below(self, key: str | None) -> _Array:
        """The array at `key`, made there if something else or nothing is."""
        found = None if key is None else self.get(key)
        if not isinstance(found, _Array):
            found = _Array()
            self.put(key, found)
        return found


def parse_query(raw: bytes | str) -> dict[str, Json]:
    """The variables of a query string or a form body: texts, and maps of them with text keys.

    Args:
        raw: as received, percent-encoded. A `str` is WSGI's: each character stands for one byte. Bytes
            that are not UTF-8 once decoded become U+FFFD.

    Raises:
        QueryTooLarge
    """
    data = raw if isinstance(raw, bytes) else _wsgi_bytes(raw)
    pieces = [piece for piece in data.split(b"&") if piece]
    if len(pieces) > MAX_VARIABLES:
        raise QueryTooLarge("variables", MAX_VARIABLES)
    variables = _Array()
    for piece in pieces:
        name, _, value = piece.partition(b"=")
        path = _known_path(name) if len(name) <= _KNOWN_BYTES else _path(_decoded(name))
        if path:
            _store(variables, path, _decoded(value))
    return {key: item if item.__class__ is str else _plain(item) for key, item in variables.items()}


def with_lists(value: Json) -> Json:
    """The same value with every map whose keys are 0, 1, ... in order as a list, as PHP writes JSON."""
    if not isinstance(value, dict):
        return value
    inner = {key: with_lists(item) for key, item in value.items()}
    in_order = all(key == str(i) for i, key in enumerate(inner))
    return list(inner.values()) if inner and in_order else inner


def as_list(value: Json) -> list[Json]:
    """The values of a list or map, whatever its keys; anything else is a list of one, null of none."""
    return members(value)


def _wsgi_bytes(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _decoded(part: bytes) -> str:
    if b"%" not in part and b"+" not in part:
        return part.decode("utf-8", "replace")
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", "replace")


@lru_cache(maxsize=2048)
def _known_path(name: bytes) -> list[str | None]:
    """The path of a name: clients send few different ones, and send them all the time."""
    return _path(_decoded(name))


def _path(name: str) -> list[str | None]:
    """The keys that a name leads through, None for `[]`; nothing if PHP ignores the variable."""
    name = name.lstrip(" ").partition("\0")[0]
    head, bracket, rest = name.partition("[")
    path: list[str | None] = [head.replace(" ", "_").replace(".", "_")]
    if not head:
        return []
    while bracket:
        if len(path) > MAX_DEPTH:
            raise QueryTooLarge("levels of nesting", MAX_DEPTH)
        inside, closed, behind = rest.partition("]")
        appends = rest[:1] == "]" or (rest[:1] in _BLANKS and rest[1:2] == "]")
        if not closed:
            if len(path) == 1:
                path = [f"{path[0]}_{rest}"]
            break
        path.append(None if appends else inside)
        bracket, rest = behind[:1] if behind[:1] == "[" else "", behind[1:]
    return path


def _store(variables: _Array, path: list[str | None], value: str) -> None:
    array = variables
    for key in path[:-1]:
        array = array.below(key)
    array.put(path[-1], value)


def _index(key: str) -> int | None:
    """The integer that PHP makes of a key: decimal, without sign or zeros in front, within 64 bits."""
    if not key.isascii() or not key.isdigit() or len(key) > 19 or (key[0] == "0" and key != "0"):
        return None
    return int(key) if int(key) <= _MAX_INDEX else None


def _plain(value: Any) -> Any:
    if value.__class__ is str:
        return value
    return {key: item if item.__class__ is str else _plain(item) for key, item in value.items()}
