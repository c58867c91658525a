"""What the codec writes it reads back unchanged, and so do other readers of YAML."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdata.store.codec import CodecError, check_storable, dump_entry, dump_yaml, load_entry, load_yaml

WORDS = """
y Y n N yes Yes YES no NO on On OFF off true True TRUE false null Null NULL ~ = << <<: - -- --- ... ? : :: -a
?a 0 1 -1 +1 00 01 08 010 0o14 0O14 0x1F 0X1f 0b1 0b11 1_000 1,000 _1 1_ 1. .5 -.5 +.5 . .. 1.5 1e3 1E3 1e+3
1.0e+16 1e400 .inf -.inf +.Inf .NAN .nan inf nan 12:30 12:30:45 190:20:30.15 -1:2 2020-01-01 2020-1-1 20:03:20
2020-01-01T10:00:00Z 2001-12-14t21:59:43.10-05:00 12e03 0.1.2 1.2.3 1479xF 0e4f2c1d 5m #a &a *a !a !!str %a @a
`a |a >a 'a "a {a} [a] ,a a: a:b a#b a, a] a} a- \\a a\\b it's 'quoted' "quoted" http://x.example/?q=1#top
C:\\dir {{x}} <<<<<<<
"""
AMBIGUOUS = [
    *WORDS.split(),
    "",
    " ",
    " a",
    "a ",
    "a\t",
    "\ta",
    "a\tb",
    "a: b",
    "a : b",
    "a #b",
    "a\u00a0",
    "\u3000a",
    "2001-12-14 21:59:43.10 -5",
    "a\nb",
    "a\nb\n",
    "a\nb\n\n",
    "\n",
    "\n\n",
    "\na",
    " a\nb",
    "\n a\nb",
    "\ta\nb",
    "a\n b\n\tc\n",
    "a  \nb",
    "a\n  \nb",
    "a\n\n\nb",
    "a\r\nb",
    "a\rb",
    "--- a\n--- b\n",
    "# a\n# b",
    "- a\n- b\n",
    "%a\n%b",
    "\x00",
    "\x07\x1b\x7f\x80\x85\x9f",
    "a\u2028b\u2029c",
    "\ufeffa",
    "\ufffe\uffff",
    "a\x85\nb",
    "Zażółć gęślą jaźń",
    "日本語",
    "👩‍👩‍👧 🎬",
    "\U0010ffff",
    "x" * 5000,
    "x y " * 2000,
    "1" * 400,
]

text = (
    st.text()
    | st.text(alphabet="aN1e0xo_:.-+ #'\"\\\n\t\r,[]{}&*!|>%@`?~<=\x00\x85\u2028\ufeff")
    | st.sampled_from(AMBIGUOUS)
)
ascii_text = st.text(alphabet=st.characters(max_codepoint=126), max_size=40)
numbers = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**18, max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
)
scalars = numbers | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Equal, with equal types, order of keys and sign of zero."""
    return repr(left) == repr(right)


@given(values)
@settings(max_examples=300)
def test_every_json_value_reads_back_the_same(value: Any) -> None:
    check_storable(value)
    assert same(load_yaml(dump_yaml(value)), value)


@given(values)
@settings(max_examples=200)
def test_a_yaml_1_1_reader_reads_the_same(value: Any) -> None:
    assert same(yaml.load(dump_yaml(value), yaml.CSafeLoader), value)


@given(values)
@settings(max_examples=50)
def test_the_pure_python_reader_reads_the_same(value: Any) -> None:
    assert same(yaml.safe_load(dump_yaml(value)), value)


@given(
    st.dictionaries(ascii_text, numbers | ascii_text | st.lists(numbers | ascii_text, max_size=4), max_size=4)
)
@settings(max_examples=200)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert same(load_yaml(json.dumps(value).encode()), value)


@pytest.mark.parametrize("word", AMBIGUOUS)
def test_text_that_looks_like_something_else_stays_text(word: str) -> None:
    value = {word: word, "list": [word, [word], {word: {word: [word]}}]}
    written = dump_yaml(value)
    assert same(load_yaml(written), value)
    assert same(yaml.load(written, yaml.CSafeLoader), value)
    assert same(load_yaml(dump_yaml(word)), word)
    assert same(yaml.load(dump_yaml(word), yaml.CSafeLoader), word)


@pytest.mark.parametrize(
    "number",
    [
        0,
        -1,
        2**63,
        2**64,
        -(2**70),
        10**4299,
        0.0,
        -0.0,
        1.0,
        1e16,
        1e-7,
        1.5e300,
        5e-324,
        1.7976931348623157e308,
        0.1,
    ],
)
def test_numbers_survive_in_both_versions_of_yaml(number: float) -> None:
    written = dump_yaml([number])
    assert same(load_yaml(written), [number])
    assert same(yaml.load(written, yaml.CSafeLoader), [number])


def test_the_written_form_is_for_people() -> None:
    value = {
        "title": "Platform 7",
        "link": "https://a.example/b?c=d#e",
        "year": 1982,
        "rating": 8.0,
        "released": "1982-06-25",
        "published": True,
        "sequel": None,
        "answer": "no",
        "genres": ["horror", "12:30", []],
        "cast": [{"name": "Kurt", "roles": {}}, [1, [2, 3]], {"deep": {"er": ["x"]}}],
        "plot": "First line.\n\n  Indented: line #2\n",
        "kept": ["a\nb\n\n", "a\nb"],
        "odd": "bell\x07 and\ttab",
        "it's": "it's: fine",
        "long": "word " * 40 + "end",
    }
    assert dump_yaml(value).decode() == (
        "title: Platform 7\n"
        "link: https://a.example/b?c=d#e\n"
        "year: 1982\n"
        "rating: 8.0\n"
        "released: '1982-06-25'\n"
        "published: true\n"
        "sequel: null\n"
        "answer: 'no'\n"
        "genres:\n"
        "  - horror\n"
        "  - '12:30'\n"
        "  - []\n"
        "cast:\n"
        "  - name: Kurt\n"
        "    roles: {}\n"
        "  - - 1\n"
        "    - - 2\n"
        "      - 3\n"
        "  - deep:\n"
        "      er:\n"
        "        - x\n"
        "plot: |\n"
        "  First line.\n"
        "\n"
        "    Indented: line #2\n"
        "kept:\n"
        "  - |+\n"
        "    a\n"
        "    b\n"
        "\n"
        "  - |-\n"
        "    a\n"
        "    b\n"
        'odd: "bell\\u0007 and\\ttab"\n'
        "it's: 'it''s: fine'\n"
        "long: " + "word " * 40 + "end\n"
    )


@pytest.mark.parametrize("length", [63, 64, 65, 998, 999, 1000, 1001, 1023, 1024, 1025, 20_000])
def test_keys_of_any_length_survive(length: int) -> None:
    for key in ("k" * length, "ł" * length, ": " * length, "\n" * length):
        value = {"a": 1, key: {"b": [1]}, "c": [{key: ["x"]}, {key: "line\nline\n", "d": {key: {}}}]}
        assert same(load_yaml(dump_yaml(value)), value)
        assert same(yaml.load(dump_yaml(value), yaml.CSafeLoader), value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("# only a comment\n", None),
        ("---\n", None),
        ("True", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("NO", "NO"),
        ("on", "on"),
        ("y", "y"),
        ("0777", 777),
        ("010", 10),
        ("0o14", 12),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("-3", -3),
        ("+3", 3),
        ("-0", 0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1.50", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("1e3", 1000.0),
        ("-0.0", -0.0),
        (".inf", ".inf"),
        ("-.Inf", "-.Inf"),
        (".nan", ".nan"),
        ("1e400", "1e400"),
        ("-1e400", "-1e400"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("2020-01-02", "2020-01-02"),
        ("2020-01-02 03:04:05", "2020-01-02 03:04:05"),
        ("=", "="),
        ("+", "+"),
        ("-", [None]),
        (".", "."),
        ("'5'", "5"),
        ('"\\u0000\\x85\\u2028"', "\x00\x85\u2028"),
        ("!!float 7", 7.0),
        ("!!int '0x10'", 16),
        ("!!str 12", "12"),
        ("!!str", ""),
        ("!!bool 'true'", True),
        ("!!null ''", None),
        ("!!map {a: !!seq [1]}", {"a": [1]}),
        ("!<tag:yaml.org,2002:str> 1", "1"),
        ("%YAML 1.2\n---\na", "a"),
        ("a:\n    -\n        b: {  }\n    -\n        b: { e: 1 }\n", {"a": [{"b": {}}, {"b": {"e": 1}}]}),
        ("{a: 1, b: [x, {c: d}]}", {"a": 1, "b": ["x", {"c": "d"}]}),
        ("a: |\n  one\n  two\nb: >\n  one\n  two\n", {"a": "one\ntwo\n", "b": "one two\n"}),
        ("1: a\ntrue: b\n~: c\n", {"1": "a", "true": "b", "~": "c"}),
        ("2020-01-01: d\n1.0: e\n? \n: f\n", {"2020-01-01": "d", "1.0": "e", "": "f"}),
        ("<<: {a: 1}\nb: 2\n", {"<<": {"a": 1}, "b": 2}),
        ("a: &x [1, {b: c}]\nd: *x\n", {"a": [1, {"b": "c"}], "d": [1, {"b": "c"}]}),
        ("- &x 1\n- &x 2\n- *x\n", [1, 2, 2]),
        ("&k key: *k\n", {"key": "key"}),
        ("a: &n null\nb: *n\n", {"a": None, "b": None}),
        ("a: 1\r\nb: |\r\n  x\r\n  y\r\n", {"a": 1, "b": "x\ny\n"}),
        ("\ufeffa: 1\n", {"a": 1}),
    ],
)  # fmt: skip
def test_scalars_and_structures_are_read_as_yaml_1_2(source: str, value: Any) -> None:
    assert same(load_yaml(source.encode()), value)


def test_an_alias_is_a_copy() -> None:
    value = load_yaml(b"a: &x {b: []}\nc: *x\n")
    value["a"]["b"].append(1)
    assert value["c"] == {"b": []}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", ["entry.yaml", "entry.md"])
def test_encodings_are_recognised_by_their_mark(encoding: str, form: str) -> None:
    source = "---\ntitle: Zażółć 🎬\ncontent: ''\n" + ("---\n" if form == "entry.md" else "")
    assert load_entry(source.encode(encoding), form) == {"title": "Zażółć 🎬", "content": ""}


@pytest.mark.parametrize("form", ["entry.yaml", "file", "manifest"])
@pytest.mark.parametrize("source", [b"", b"\n", b"# nothing yet\n", b"---\n", b"{}\n", b"null\n"])
def test_a_file_without_fields_is_an_empty_mapping(form: str, source: bytes) -> None:
    assert load_entry(source, form) == {}
    assert load_entry(dump_entry({}, form), form) == {}


@pytest.mark.parametrize("source", [b"- a\n", b"text\n", b"5\n", b"[]\n"])
def test_a_file_that_is_not_a_mapping_is_refused(source: bytes) -> None:
    with pytest.raises(CodecError):
        load_entry(source, "entry.yaml")
    with pytest.raises(CodecError):
        load_entry(b"---\n" + source + b"---\nbody\n", "entry.md")
