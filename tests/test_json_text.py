"""Reading JSON from outside: what is refused, and that reading never comes near the stack's end."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatdata.json_text import MAX_DEPTH, NotJson, parse_json

MORE = MAX_DEPTH + 1


class Waiting:
    """Garbage that is in a circle, so that only the garbage collector ends it."""

    def __init__(self) -> None:
        self.circle = self


@pytest.fixture
def collector() -> Iterator[None]:
    """The garbage collector, which the test sets; what other tests left is out of its way."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_finalizers_run_while_brackets_are_read(opening: bytes) -> None:
    ended: list[int] = []
    for allocations in range(1, 1_100):
        gc.collect()
        gc.set_threshold(0)
        weakref.finalize(Waiting(), ended.append, allocations)
        gc.set_threshold(allocations)
        with pytest.raises(NotJson):
            parse_json(opening * 1_100)
    gc.collect()
    assert ended == list(range(1, 1_100))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b"[" + b"[],{}," * 5_000 + b"1]",
        b'["' + b"[" * 5_000 + b'"]',
        b'["\\"' + b"[" * 5_000 + b'"]',
        b'["\\\\\\"' + b"{" * 5_000 + b'", "\\\\", [[]]]',
        '["\N{SNOWMAN}' + "[" * 5_000 + '"]',
    ],
)
def test_what_is_read(text: bytes | str) -> None:
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * MORE + b"]" * MORE,
        b'{"a":' * MORE + b"1" + b"}" * MORE,
        b'["' + b"]" * MORE + b'",' + b"[" * MORE + b"]" * MORE + b"]",
        b'["\\\\",' + b"[" * MORE + b"]" * MORE + b',"' + b"]" * MORE + b'"]',
        b"[" * MORE,
        b"",
        b"{",
        b"[1] 2",
        b"NaN",
        b'"\xff"',
        b'"\\ud800"',
        '"\ud800"',
        b"9" * 5_000,
    ],
)
def test_what_is_refused(text: bytes | str) -> None:
    with pytest.raises(NotJson):
        parse_json(text)


texts = st.text('[]{}"\\ a', max_size=5)
values = st.recursive(texts | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner))


@given(values, st.integers(MAX_DEPTH - 5, MAX_DEPTH))
def test_depth_is_counted_outside_of_texts(value: object, more: int) -> None:
    text = "[" * more + json.dumps([value, '[{"\\' * MAX_DEPTH]) + "]" * more
    depth = more + levels([value])
    if depth > MAX_DEPTH:
        with pytest.raises(NotJson):
            parse_json(text)
    else:
        assert parse_json(text) == json.loads(text)


def levels(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)
