"""Creating many things at once: a line of JSON for each, a line of JSON in answer (reference/bubble.md §10).

The lines that are accepted are created, as one record of the change log, even when others fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flatdata.dialects.bubble.bodies import Body, Reader, parse_object
from flatdata.dialects.bubble.errors import Refused, bad_request, not_json
from flatdata.dialects.bubble.types import Catalogue
from flatdata.dialects.bubble.values import Parser
from flatdata.dialects.bubble.write import Writer
from flatdata.query.tree import Json
from flatdata.store.entry import encode_json
from flatdata.turns import in_turns

MAX_LINES: Final = 1_000
MAX_SECONDS: Final = 240.0
"""After which lines that were not looked at are answered as errors."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The lines of the answer, joined, and its status: 400 if one of them failed."""

    status: int
    body: bytes


def create_lines(
    writer: Writer, catalogue: Catalogue, data: bytes, clock: Callable[[], float] = time.monotonic
) -> Answer:
    """Create a thing for each line. Raises `Refused` for the request as a whole."""
    lines = data.strip().split(b"\n")
    if not lines[0]:
        raise bad_request("There are no lines in the body")
    if len(lines) > MAX_LINES:
        raise bad_request(f"No more than {MAX_LINES} things can be created at once")
    deadline = clock() + MAX_SECONDS
    parser = writer.api.parser(catalogue)
    reader = Reader(writer.thing_type, writer.api.names, parser, creating=True)
    answers: list[str | Refused | None] = []
    bodies: list[Body] = []
    for line in in_turns(lines):
        if clock() > deadline:
            answers.append(Refused(400, "ERROR", "The request took too long; this thing was not created"))
            continue
        try:
            bodies.append(_read_line(line, reader, parser))
            answers.append(None)
        except Refused as refused:
            answers.append(refused)
    results = iter(writer.create_many(bodies, parser.uploads) if bodies else ())
    shown = [next(results) if answer is None else answer for answer in answers]
    failed = any(isinstance(result, Refused) for result in shown)
    return Answer(400 if failed else 200, b"\n".join(encode_json(_shown(result)) for result in shown))


def _read_line(line: bytes, reader: Reader, parser: Parser) -> Body:
    """The thing of one line. Files of a line that is refused are not kept."""
    if not line.strip():
        raise not_json("")
    count = len(parser.uploads)
    try:
        return reader.read(parse_object(line))
    except Refused:
        del parser.uploads[count:]
        raise


def _shown(result: str | Refused) -> Json:
    if isinstance(result, Refused):
        return {"status": "error", "message": result.message}
    return {"status": "success", "id": result}
