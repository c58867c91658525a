"""A site with an index of words, and a process beside it that writes into its content."""

from __future__ import annotations

from pathlib import Path

from conftest import eventually

from flatdata.index.index import Index
from flatdata.index.keeper import Keeper
from flatdata.index.terms import analyse, has_own_path
from flatdata.index.words_writer import WordsWriter
from flatdata.query import php
from flatdata.query.bubble_words import IN_TEXT, IN_TEXTS, word_search
from flatdata.query.evaluate import matches
from flatdata.query.tree import ABSENT, Condition, Field, Node, Query, Scope
from flatdata.store.changes import Change
from flatdata.store.store import Store

COLLECTIONS = ("c", "d")


class Site:
    """A keeper with its words, and a process that serves: each with a memory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.open()

    def open(self) -> None:
        self.keeper = Keeper(self.root)
        self.keeper.prepare(watch=False)
        self.writer = WordsWriter(self.keeper.store.state_dir / "index" / "words", self.keeper.store)
        self.writer.start()
        self.open_reader()

    def open_reader(self) -> None:
        self.store = Store(self.root)
        assert self.store.load_catalogue() is not None
        self.index = Index(self.store.state, self.store.state_dir)

    def close_reader(self) -> None:
        self.index.close()
        self.store.close()

    def close(self) -> None:
        self.close_reader()
        self.writer.stop()
        self.keeper.close()

    def commit(self, *changes: Change) -> None:
        self.store.commit(lambda view: (list(changes), None), origin="test")

    def catch_up(self) -> None:
        """Wait until all words are in the index, and the reader has them."""
        self.keeper.store.follow()
        self.store.follow()
        eventually(lambda: self.writer.committed()[0] == self.store.state.seq and self.is_current())

    def is_current(self) -> bool:
        words = self.index._words
        words.refresh()
        return words._view is not None and not words._dirty

    def find(self, where: Node, collection: str = "c") -> list[str]:
        return [entry.slug for entry in self.index.search(Query(Scope(collection), where)).entries]

    def check(self, *queries: Node) -> None:
        self.store.follow()
        for collection in COLLECTIONS:
            children = self.store.children(collection)
            for where in queries:
                assert self.find(where, collection) == [
                    entry.slug for entry in children if matches(where, entry)
                ]


def field(name: str) -> Field:
    """A column of a row."""
    return Field("data", name, lambda entry: entry.fields.get(name, ABSENT))


def contains(needle: str, name: str = "t") -> Node:
    """Whether a column holds a text."""
    return Condition(field(name), php.DOCUMENTED["contains"], needle)


def has_words(text: str, name: str = "t", many: bool = False) -> Node:
    """Whether a column holds all words of a text."""
    return Condition(
        field(name),
        word_search(analyse, IN_TEXTS if many else IN_TEXT, exact=has_own_path(name)),
        tuple(analyse(text)),
    )
