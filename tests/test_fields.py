"""A field read alone is the field of the whole entry, whatever its name, and however often it was read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatdata.store import entry as entry_module
from flatdata.store.entry import Entry, FieldReader, encode_json, field_reader

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
NAMES = TEXTS | st.sampled_from(
    ["", "a.b", 'a"b', "a\\b", "\u200b", "value", "class", "__init__", "名", "🙂"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def an_entry(fields: dict[str, Any]) -> Entry:
    return Entry("a", encode_json(fields), form="file", mtime_ns=0, size=0)


@settings(max_examples=200)
@given(NAMES, st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=6), VALUES)
def test_a_field_read_alone_is_the_field_of_the_whole(
    name: str, found: list[dict[str, Any]], value: Any
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_module, "_READ_WHOLE", 1)
        read = FieldReader(name)
        for fields in (*found, {**found[0], name: value}, {name: value, "z": 1}):
            entry = an_entry(fields)
            assert read(entry, "nothing") == entry.fields.get(name, "nothing")
            entry.held = entry.fields
            assert read(entry, "nothing") == entry.fields.get(name, "nothing")


def test_after_some_reads_the_rest_of_an_entry_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    read = field_reader("only this")
    assert field_reader("only this") is read
    entries = [an_entry({"only this": number, "other": "x" * 100}) for number in range(100)]
    assert [read(entry, None) for entry in entries] == list(range(100))
    monkeypatch.setattr(entry_module, "decode_json", None)
    assert [read(entry, None) for entry in entries] == list(range(100))
