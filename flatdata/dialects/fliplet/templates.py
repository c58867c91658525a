"""Handlebars templates in hooks, rendered over the columns of a row (reference/fliplet.md §6).

The library reads values out of JSON and nothing else: no attributes, no calls, no files. What it leaves
open is bounded here, because whoever may store a hook writes the template and whoever may store a row writes
the values: length of template and result, depth, and the number of rounds of `{{#each}}`. Blocks other than
`if`, `unless`, `each` and `with` are refused, since a block over a column would loop without being counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import re2

from flatdata.errors import FlatdataError

if TYPE_CHECKING:
    from pydantic_handlebars import HandlebarsEnvironment, HelperOptions

MAX_TEMPLATE: Final = 128 * 1024
MAX_RESULT: Final = 1024 * 1024
MAX_WORK: Final = 200_000
"""Tags that one rendering may pass, loops counted; some half a second."""
MAX_DEPTH: Final = 12
MAX_BLOCKS: Final = 100
"""The library reads what is in a block, and what comes after each `{{else if}}`, by calling itself again."""

# In RE2, because templates come from clients and this would backtrack over a long run of braces.
_BLOCK: Final = re2.compile(r"\{\{[~{&\s]*(?:[#^][>*\s]*([^\s}~]*)|else\s+([^\s}~]+))")
_TAG: Final = re2.compile(r"""\{\{(?:"[^"]*"|'[^']*'|[^}"'])*""")
_BLOCKS: Final = frozenset({"", "if", "unless", "each", "with"})


class TemplateError(FlatdataError):
    """A template that cannot be rendered; the reason is for the site's log, not for clients."""


def _bound_loops(env: HandlebarsEnvironment, most: int) -> None:
    """Let all `{{#each}}` of one rendering together make `most` rounds."""
    rounds = 0

    def each(*args: object, options: HelperOptions) -> str:
        nonlocal rounds
        context, items = args[0], args[-1]
        if not isinstance(items, dict | list) or not items:
            return options.inverse(context)
        rounds += len(items)
        if rounds > most:
            raise TemplateError(f"more than {most} rounds of each")
        last = len(items) - 1
        pairs = items.items() if isinstance(items, dict) else enumerate(items)
        parts = [
            options.fn(
                item,
                data={"key": key, "index": index, "first": index == 0, "last": index == last},
                block_params=[item, key],
            )
            for index, (key, item) in enumerate(pairs)
        ]
        return "".join(parts)

    env.register_helper("each", each)
    env.unregister_helper("log")


def render(template: str, columns: Mapping[str, Any]) -> str:
    """The template with the columns filled in: `{{Field}}` escaped for HTML, `{{{Field}}}` as it is.

    Missing columns and null give nothing; a name with spaces is written `{{[First Name]}}`.

    Raises:
        TemplateError: for a template that is malformed, too long, or does too much.
    """
    if len(template) > MAX_TEMPLATE:
        raise TemplateError(f"longer than {MAX_TEMPLATE} characters")
    if "{{" not in template:
        return template
    for number, block in enumerate(_BLOCK.finditer(template), 1):
        if (block[1] or block[2] or "") not in _BLOCKS:
            raise TemplateError("only the blocks if, unless, each and with are allowed")
        if number > MAX_BLOCKS:
            raise TemplateError(f"more than {MAX_BLOCKS} blocks and branches")
    if any(tag[0].count("(") > MAX_BLOCKS for tag in _TAG.finditer(template)):
        raise TemplateError(f"more than {MAX_BLOCKS} parentheses in one tag")
    from pydantic_handlebars import HandlebarsEnvironment, HandlebarsError  # many sites have no hooks

    env = HandlebarsEnvironment(auto_escape=True, max_depth=MAX_DEPTH, max_output_size=MAX_RESULT)
    _bound_loops(env, MAX_WORK // template.count("{{"))
    try:
        return env.render(template, {name: _as_script(value) for name, value in columns.items()})
    except (HandlebarsError, RecursionError) as error:
        raise TemplateError("malformed, or does too much") from error


def render_all(value: Any, columns: Mapping[str, Any], depth: int = 8) -> Any:
    """Every text in a JSON value rendered; keys stay as they are. Raises `TemplateError`."""
    if isinstance(value, str):
        return render(value, columns)
    if depth == 0 and isinstance(value, dict | list):
        raise TemplateError("nested too deeply")
    if isinstance(value, dict):
        return {key: render_all(item, columns, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [render_all(item, columns, depth - 1) for item in value]
    return value


def _as_script(value: Any) -> Any:
    """Whole floats as integers, as JavaScript shows them: 3.0 is "3"."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value
