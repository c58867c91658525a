"""The form `entry.md`: front matter in YAML between two lines `---`, and a body that is the field `content`.

The text is taken apart and put together by python-frontmatter, the YAML in it by our own codec. The rules
are Flextype's (reference/flextype.md §5), so that its entries can be copied over, but for three: front matter
must begin in the first line with text (Flextype silently drops what stands before it), and may be empty, and
further lines `---` stay as they are (Flextype adds blank lines around them at each reading).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Final

import frontmatter
from frontmatter.default_handlers import BaseHandler

from flatdata.store.storable import DEFAULT_LIMITS, CodecError, Json, Limits
from flatdata.store.yaml_reader import line_at, load_yaml, refuse_conflict, to_utf8
from flatdata.store.yaml_scalars import is_printable
from flatdata.store.yaml_writer import dump_yaml

_CONTENT: Final = "content"
_BLANKS: Final = " \t\n\v\r"
"""What a body is trimmed of, which is what PHP's `trim` takes: a no-break or ideographic space, with which a
paragraph may begin, is text."""


class _Handler(BaseHandler):
    """Teaches python-frontmatter our fences and our YAML."""

    FM_BOUNDARY = re.compile(r"^---$", re.MULTILINE)

    def __init__(self, limits: Limits, lines_before: int = 0, *, is_storable: bool = False) -> None:
        super().__init__()
        self._is_storable = is_storable
        self._limits = limits
        self._lines_before = lines_before

    def split(self, text: str) -> tuple[str, str]:
        """The YAML and the body; `ValueError`, as the library expects, where there is no front matter."""
        if not self.detect(text):
            raise ValueError("no front matter")
        return super().split(text)

    def load(self, fm: str) -> dict[str, Json]:
        try:
            fields = load_yaml(fm.encode(), self._limits)
        except CodecError as error:
            line = None if error.line is None else error.line + self._lines_before
            raise CodecError(error.reason, line) from error
        if fields is None:
            return {}
        if not isinstance(fields, dict):
            raise CodecError("the front matter is not a mapping", self._lines_before + 1)
        return fields

    def export(self, metadata: dict[str, object], **kwargs: object) -> str:
        return dump_yaml(metadata, self._limits, is_storable=self._is_storable).decode()

    def format(self, post: frontmatter.Post, **kwargs: object) -> str:
        """As Flextype writes it, without the blank line that the library puts before the body."""
        return f"---\n{self.export(post.metadata)}---\n{post.content}"


def load_front_matter(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, Json]:
    """The fields of an `entry.md`, in the order of the front matter, `content` last if it is the body.

    `content` is always there, '' if nothing else; in the front matter it wins over the body. The body is
    trimmed at both ends; without front matter it is the whole text. Raises `CodecError` like `load_yaml`.
    """
    raw = to_utf8(data, limits).removeprefix(BOM_UTF8)
    refuse_conflict(raw)
    if b"\x00" in raw:
        raise CodecError("control characters are not allowed", line_at(raw, raw.index(b"\x00")))
    try:
        text = raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise CodecError("invalid UTF-8", line_at(raw, error.start)) from error
    lines_before = text.count("\n", 0, len(text) - len(text.lstrip(_BLANKS)))
    handler = _Handler(limits, lines_before)
    # Not the library's `parse`, which trims every blank that Unicode has.
    text = text.strip(_BLANKS)
    try:
        matter, body = handler.split(text)
    except ValueError:
        return {_CONTENT: text}
    fields = handler.load(matter)
    fields.setdefault(_CONTENT, body.strip(_BLANKS))
    return fields


def dump_front_matter(
    fields: dict[str, Json], limits: Limits = DEFAULT_LIMITS, *, is_storable: bool = False
) -> bytes:
    """An `entry.md` of these fields; `load_front_matter` gives them back, with `content` '' if it is missing.

    `content` becomes the body where a body keeps it unchanged, else it stays in the front matter. Raises
    `CodecError` like `dump_yaml`.
    """
    content = fields.get(_CONTENT, "")
    as_body = _survives_as_body(content, alone=fields.keys() <= {_CONTENT})
    body = f"{content}\n" if as_body and content else ""
    rest = {key: value for key, value in fields.items() if key != _CONTENT} if as_body else fields
    if rest or not as_body:
        post = frontmatter.Post(body, _Handler(limits, is_storable=is_storable))
        post.metadata = rest  # not as keyword arguments: a field may be called "handler"
        body = frontmatter.dumps(post)
    data = body.encode()
    if len(data) > limits.max_bytes:
        raise CodecError(f"larger than {limits.max_bytes} bytes")
    return data


def as_read_back(fields: dict[str, Json]) -> dict[str, Json]:
    """The fields as `load_front_matter` gives them of what `dump_front_matter` makes of them."""
    if _CONTENT in fields and not _survives_as_body(fields[_CONTENT], alone=len(fields) == 1):
        return fields
    rest = {key: value for key, value in fields.items() if key != _CONTENT}
    return {**rest, _CONTENT: fields.get(_CONTENT, "")}


def _survives_as_body(content: Json, alone: bool) -> bool:
    """Whether this value of `content` reads back unchanged from a body, `alone` in the file or not."""
    if not isinstance(content, str) or content != content.strip(_BLANKS) or not is_printable(content):
        return False
    try:
        refuse_conflict(content.encode())
    except (CodecError, UnicodeEncodeError):
        return False
    return not (alone and _Handler.FM_BOUNDARY.match(content))
