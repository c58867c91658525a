"""`entry.md`: front matter and a body that becomes the field `content`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdata.store.codec import CodecError, dump_entry, load_entry

# The first five were observed of Flextype 0.9.16 (reference/flextype.md §5).
DECODED = [
    ("just text, no front matter\n", {"content": "just text, no front matter"}),
    ("---\r\ntitle: CRLF\r\n---\r\nline\r\n", {"title": "CRLF", "content": "line"}),
    ("\n\n---\ntitle: a\n---\n\n\n   indented body  \n\n\n", {"title": "a", "content": "indented body"}),
    ("---\ntitle: a\nbody", {"content": "---\ntitle: a\nbody"}),
    ("", {"content": ""}),
    ("---\n---\nbody\n", {"content": "body"}),
    ("---\n---", {"content": ""}),
    ("---\n\n# nothing\n---\n", {"content": ""}),
    ("---\ntitle: a\n---", {"title": "a", "content": ""}),
    ("\ufeff---\ntitle: a\n---\nb", {"title": "a", "content": "b"}),
    ("---\ncontent: mine\ntitle: a\n---\nbody", {"content": "mine", "title": "a"}),
    ("---\ncontent: null\n---\nbody", {"content": None}),
    ("---\ntitle: a\n---\none\n---\ntwo\n---\n", {"title": "a", "content": "one\n---\ntwo\n---"}),
    ("---\ntitle: a\n---\n---\n", {"title": "a", "content": "---"}),
    ("text\n---\ntitle: a\n---\nmore", {"content": "text\n---\ntitle: a\n---\nmore"}),
    ("---- \na: b\n---\n", {"content": "---- \na: b\n---"}),
    ("---\na: |\n  ---\n  b\n---\nc", {"a": "---\nb\n", "content": "c"}),
    ("---  \ntitle: a\n---\nb", {"content": "---  \ntitle: a\n---\nb"}),
    ("---\ntitle: a\n---\n\u3000a paragraph\u00a0\n", {"title": "a", "content": "\u3000a paragraph\u00a0"}),
    ("\u3000a paragraph\n", {"content": "\u3000a paragraph"}),
    ("---\nself: 1\nhandler: 2\ntext: 3\n---\n", {"self": 1, "handler": 2, "text": 3, "content": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "fields"), DECODED)
def test_front_matter_and_body_are_told_apart(source: str, fields: dict[str, Any]) -> None:
    loaded = load_entry(source.encode(), "entry.md")
    assert loaded == fields
    assert list(loaded) == list(fields)
    assert load_entry(dump_entry(loaded, "entry.md"), "entry.md") == fields


def test_content_is_written_as_the_body() -> None:
    written = dump_entry({"content": "# Head\n\n---\n\ntext", "title": "a", "tags": ["b"]}, "entry.md")
    assert written.decode() == "---\ntitle: a\ntags:\n  - b\n---\n# Head\n\n---\n\ntext\n"


def test_content_alone_is_written_without_front_matter() -> None:
    assert dump_entry({"content": "text"}, "entry.md") == b"text\n"


def test_fields_without_content_are_written_without_a_body() -> None:
    assert dump_entry({"title": "a"}, "entry.md") == b"---\ntitle: a\n---\n"


@pytest.mark.parametrize(
    "content",
    [
        None,
        5,
        ["a"],
        {"a": 1},
        " leading",
        "trailing\n",
        "\u00a0",
        "a\r\nb",
        "a\rb",
        "a\x00b",
        "\ufeffa",
        "---\na: b\n---\nc",
        "---",
        "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> c",
    ],
)
def test_content_that_a_body_would_change_stays_in_the_front_matter(content: Any) -> None:
    for fields in ({"content": content}, {"title": "a", "content": content, "z": 1}):
        assert load_entry(dump_entry(fields, "entry.md"), "entry.md") == fields


body = st.text() | st.text(alphabet="-\n a\r\t\x00\x85\ufeff:<=>#", max_size=30) | st.lists(
    st.sampled_from(["---", "", " ", "a: b", "-", "<<<<<<< a", "=======", ">>>>>>> b", "text"]), max_size=8
).map("\n".join)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["title", "handler", "---", "self"]) | st.text(), body, max_size=3), body
)
@settings(max_examples=400)
def test_every_content_reads_back_the_same(fields: dict[str, Any], content: str) -> None:
    fields = {**fields, "content": content}
    assert load_entry(dump_entry(fields, "entry.md"), "entry.md") == fields


@given(body)
@settings(max_examples=400)
def test_what_is_read_from_any_text_reads_back_the_same(source: str) -> None:
    try:
        fields = load_entry(source.encode(), "entry.md")
    except CodecError:
        return
    assert load_entry(dump_entry(fields, "entry.md"), "entry.md") == fields


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("---\ntitle: a\ntitle: b\n---\n", 3),
        ("\n\n---\ntitle: a\nb: [\n---\nbody", 6),
        ("---\n- a\n---\n", 1),
        ("---\na: 1\n---\nbody\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> c\n", 5),
        ("---\na: 1\n---\nbody\n\x00", 5),
    ],
)
def test_faults_are_reported_with_the_line_of_the_file(source: str, line: int) -> None:
    with pytest.raises(CodecError) as caught:
        load_entry(source.encode(), "entry.md")
    assert caught.value.line == line


def test_a_body_in_another_encoding_is_refused_with_its_line() -> None:
    with pytest.raises(CodecError) as caught:
        load_entry(b"---\na: 1\n---\nbody\ncaf\xe9\n", "entry.md")
    assert caught.value.line == 5
