"""Hostile YAML is an error, quickly, and never the end of the process; what cannot be kept is refused."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdata.store.codec import (
    DEFAULT_LIMITS,
    CodecError,
    Limits,
    check_storable,
    dump_entry,
    dump_yaml,
    load_entry,
    load_yaml,
)

CONFLICT = "{0}<<<<<<< HEAD\na: {1}x\n=======\na: y\n>>>>>>> branch\n{2}"


def refused(source: str | bytes, limits: Limits = DEFAULT_LIMITS) -> CodecError:
    """The error that reading this raises."""
    with pytest.raises(CodecError) as caught:
        load_yaml(source.encode() if isinstance(source, str) else source, limits)
    return caught.value


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("a: !!python/object/apply:os.system ['id']\n", 1),
        ("a: 1\nb: !thing 2\n", 2),
        ("a: 1\nb: !thing {}\n", 2),
        ("a: ! 5\n", 1),
        ("a: !!binary aGk=\n", 1),
        ("a: !!timestamp 2020-01-01\n", 1),
        ("a: !!set {b}\n", 1),
        ("a: !!omap []\n", 1),
        ("a: !!map []\n", 1),
        ("a: !!seq {}\n", 1),
        ("a: !!str []\n", 1),
        ("a: !!map text\n", 1),
        ("!thing a: 1\n", 1),
        ("%TAG !! tag:other.example,2020:\n---\na: !!str b\n", 3),
        ("a: !!int b\n", 1),
        ("a: !!int 1.5\n", 1),
        ("a: !!float b\n", 1),
        ("a: !!float .inf\n", 1),
        ("a: !!float 1e400\n", 1),
        ("a: !!bool yes\n", 1),
        ("a: !!null b\n", 1),
        ("a: !!null true\n", 1),
        ("\na: 1\nb: 2\na: 3\n", 4),
        ("a: {b: 1, b: 2}\n", 1),
        ("1: a\n'1': b\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: 1\n...\nb: 2\n", 3),
        ("a: &x [*x]\n", 1),
        ("&x a: &y\n  b:\n    - c: *y\n", 3),
        ("&root\na: *root\n", 2),
        ("a: *nothing\n", 1),
        ("? [a]\n: b\n", 1),
        ("? {a: b}\n: c\n", 1),
        ("a: &x b\n*x : c\n", 2),
        ("a:\n\tb: 1\n", 2),
        ("\ta: 1\n", 1),
        ("a: 1\nb: c: d\n", 2),
        ("a: 1\nb: @at\n", 2),
        ("a: 1\nb: %percent\n", 2),
        ("a: [1, 2\n", 2),
        ("a: 'open\n", 2),
        ("a: }\n", 1),
        ("a: 1\nb: \x00\n", 2),
        ("a: 1\nb: \x07\n", 2),
        ('a: "\\ud800"\n', 1),
        ('a: "\\q"\n', 1),
        ("%YAML 9.9\n---\na: 1\n", 1),
        ("a: 1\nb: " + "9" * 4301 + "\n", 2),
        ("a: 0x" + "F" * 10_000 + "\n", 1),
        (CONFLICT.format("", "", ""), 1),
        (CONFLICT.format("title: 1\n", "", "b: 2\n"), 2),
        (CONFLICT.format('a: "quoted\n', "", '"\n'), 2),
        (CONFLICT.format("b: 1\n", "", "").replace("\n", "\r\n"), 2),
    ],
)
def test_bad_documents_are_refused_with_their_line(source: str, line: int) -> None:
    error = refused(source)
    assert error.line == line
    assert error.reason


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (b"a: 1\nb: caf\xe9\n", 2),
        (b"a: \xed\xa0\x80\n", 1),
        (b"a: \xc0\x80\n", 1),
        (b"a: !%ED%A0%80 b\n", None),
        (b"a: !<%C0%80> b\n", None),
        (b"a: !%ff b\n", 1),
        (b"\xff\xfea", None),
        (b"\xfe\xff\xd8\x00\x00a", None),
        (b"\xff\xfe\x00\x00a\x00\x00\x00", 1),
        (b"\x89PNG\r\n\x1a\n", 1),
    ],
)
def test_bytes_that_are_not_text_are_refused(source: bytes, line: int | None) -> None:
    assert refused(source).line == line


def test_text_about_conflict_markers_is_kept() -> None:
    fields = {"content": "How to:\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> branch\nEnd", "title": "x"}
    for form in ("entry.yaml", "entry.md"):
        assert load_entry(dump_entry(fields, form), form) == fields
    assert load_entry(b"Title\n=======\n<<<<<<< is not a conflict\n", "entry.md")["content"]


@pytest.mark.parametrize("size", [65, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("unit", ["[", "{a: ", "[{a: ", "- "])
def test_deep_nesting_is_refused(unit: str, size: int) -> None:
    assert refused(unit * size).reason == "nested more than 64 deep"


@pytest.mark.parametrize("unit", ["{", "? ", "{? "])
def test_deep_nesting_in_keys_is_refused(unit: str) -> None:
    assert refused(unit * 100_000).reason == "a key that is an alias or a collection"


def test_deep_nesting_by_indentation_is_refused() -> None:
    error = refused("".join(" " * depth + "a:\n" for depth in range(1000)))
    assert error.reason == "nested more than 64 deep"
    assert error.line == 65


def test_nesting_up_to_the_limit_is_read_and_written() -> None:
    value: Any = "x"
    for _ in range(32):
        value = [{"k": value}]
    assert load_yaml(dump_yaml(value)) == value
    assert load_yaml(b"[" * 64 + b"]" * 64)
    for dump in (dump_yaml, check_storable):
        with pytest.raises(CodecError):
            dump([value])
    with pytest.raises(CodecError):
        load_yaml(b"[" * 65 + b"]" * 65)


def test_alias_bombs_are_refused_quickly() -> None:
    started = time.perf_counter()
    lists = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    merges = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 26)
    )
    wide = "a: &a [" + "1, " * 9000 + "]\nb: [" + "*a, " * 9000 + "]\n"
    for source in (lists, merges, wide):
        assert refused(source).reason == "aliases make more than 10000 values"
    assert time.perf_counter() - started < 2


def test_aliases_cannot_exceed_the_depth_limit() -> None:
    chain = "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
    assert refused(chain).reason == "nested more than 64 deep"


def test_limits_are_the_callers() -> None:
    assert refused("a: 123\n", Limits(max_bytes=6)).line is None
    assert refused("a: [[]]\n", Limits(max_depth=2)).line == 1
    assert refused("- 1\n- 2\n- 3\n", Limits(max_nodes=3)).line == 3
    assert refused("- &a 1\n- *a\n- *a\n", Limits(max_alias_nodes=1)).line == 3
    assert load_yaml(b"- 1\n- 2\n", Limits(max_nodes=3)) == [1, 2]
    with pytest.raises(CodecError):
        load_entry(b"x" * 11, "entry.md", Limits(max_bytes=10))


LARGE = {
    "plain": b"a: " + b"x" * 4_000_000,
    "quoted": b'a: "' + b"x\\n" * 1_000_000 + b'"',
    "block": b"a: |\n" + b"  x\n" * 500_000,
    "blank block": b"a: |\n" + b"\n" * 4_000_000,
    "blank lines": b"a: x" + b"\n" * 4_000_000,
    "one comment": b"#" * 4_000_000,
    "comments": b"# x\n" * 1_000_000,
    "blanks": b" " * 4_000_000,
    "directives": b"%TAG !a! b\n" * 300_000,
    "directives after carriage returns": b"\r".join(b"%%TAG !a%d! b" % n for n in range(300_000)),
    "openings": b"<<<<<<< a\n" * 400_000,
    "openings and middles": b"<<<<<<< a\n=======\n" * 200_000,
    "anchor": b"a: &" + b"a" * 2_000_000,
    "tag": b"a: !" + b"a" * 2_000_000,
    "key": b"? " + b"a" * 2_000_000,
    "lists": b"[" + b"[]," * 200_000,
}


@pytest.mark.parametrize("name", LARGE)
def test_large_documents_take_time_in_proportion(name: str) -> None:
    for form in ("entry.yaml", "entry.md"):
        started = time.perf_counter()
        with suppress(CodecError):
            load_entry(LARGE[name], form)
        assert time.perf_counter() - started < 10


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_a_value_or_an_error(source: bytes) -> None:
    for form in ("entry.yaml", "entry.md"):
        try:
            fields = load_entry(source, form)
        except CodecError:
            continue
        check_storable(fields)


@given(st.text(alphabet="ab1:-?[]{},&*!|>'\"%#~ \n\t.", max_size=60))
@settings(max_examples=600)
def test_any_yaml_like_text_is_a_storable_value_or_an_error(source: str) -> None:
    try:
        value = load_yaml(source.encode())
    except CodecError:
        return
    assert load_yaml(dump_yaml(value)) == value


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        "a\udfffb",
        "\ud83d\ude00",
        {"\ud800": 1},
        {1: "a"},
        {None: "a"},
        {True: "a"},
        {"a": {2.5: 1}},
        float("nan"),
        float("inf"),
        [float("-inf")],
        [10**4300],
        [-(10**4300)],
        (1, 2),
        {1, 2},
        b"bytes",
        object(),
        CYCLE,
    ],
)
def test_what_cannot_be_kept_is_refused(value: Any) -> None:
    for put in (check_storable, dump_yaml):
        with pytest.raises(CodecError):
            put({"field": [value]})
    for form in ("entry.yaml", "entry.md", "file", "manifest"):
        for field in ("field", "content"):
            with pytest.raises(CodecError):
                dump_entry({field: value}, form)


def test_too_many_values_are_refused_before_they_take_memory() -> None:
    shared: list[Any] = ["x"]
    for _ in range(60):
        shared = [shared, shared]
    with pytest.raises(CodecError):
        check_storable(shared)
    with pytest.raises(CodecError):
        check_storable([1, 2, 3], Limits(max_nodes=3))
    check_storable([1, 2], Limits(max_nodes=3))


def test_a_text_too_large_to_be_read_is_not_written() -> None:
    limits = Limits(max_bytes=20)
    assert dump_yaml({"a": "x" * 16}, limits) == b"a: " + b"x" * 16 + b"\n"
    with pytest.raises(CodecError):
        dump_yaml({"a": "x" * 17}, limits)
    with pytest.raises(CodecError):
        dump_entry({"content": "x" * 21}, "entry.md", limits)
    with pytest.raises(CodecError):
        dump_entry({"a": "x", "content": "x" * 12}, "entry.md", limits)
