"""Shortcodes in texts: `[registry_get name="site.title" default="Home"]`.

A shortcode is replaced by what its handler gives; one of an unknown name stays as it is. Text between
`[raw]` and `[/raw]` is passed through without the two marks. Texts come from clients: the work grows with the
length of the text, never faster: the patterns cannot backtrack, and a shortcode has 16 attributes at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

Handler = Callable[[Mapping[str, str]], str]
"""Makes the replacement of one shortcode from its attributes."""

_ATTRIBUTE: Final = r"""[a-z_]++\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'\[\]]++)"""
_SHORTCODE: Final = re.compile(rf"\[([a-z_]++)((?:\s++{_ATTRIBUTE}){{0,16}}+)\s*+/?+\]")
_PAIR: Final = re.compile(r"""([a-z_]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'\[\]]++))""")
_RAW_END: Final = "[/raw]"


def expand_shortcodes(text: str, handlers: Mapping[str, Handler]) -> str:
    """Give `text` with every known shortcode replaced. What a handler gives is not looked at again."""
    out: list[str] = []
    position = 0
    raw_may_end = True
    while (found := _SHORTCODE.search(text, position)) is not None:
        name, attributes = found.group(1), found.group(2)
        out.append(text[position : found.start()])
        position = found.end()
        if name == "raw" and raw_may_end:
            end = text.find(_RAW_END, position)
            raw_may_end = end >= 0
            if raw_may_end:
                out.append(text[position:end])
                position = end + len(_RAW_END)
                continue
        handler = handlers.get(name)
        out.append(handler(_attributes(attributes)) if handler else found.group(0))
    out.append(text[position:])
    return "".join(out)


def _attributes(text: str) -> dict[str, str]:
    return {name: double or single or bare for name, double, single, bare in _PAIR.findall(text)}
