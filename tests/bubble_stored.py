"""Things whose fields are filled in, empty and missing, and what a Bubble search finds among them."""

from __future__ import annotations

from typing import Any

from bubble_samples import OTHER, PLACES, TONY, UNIT, catalogue, thing, units, users

from flatdata.access.privacy import ADMIN
from flatdata.dialects.bubble.constraints import Reading
from flatdata.dialects.bubble.parameters import Search
from flatdata.dialects.bubble.search import run
from flatdata.index.index import Result
from flatdata.index.terms import analyse
from flatdata.query.evaluate import matches
from flatdata.query.tree import Query
from flatdata.store.entry import Entry

NEW_YORK = {"address": "New York", "lat": 40.7128, "lng": -74.006}
NEWARK = {"address": "Newark", "lat": 40.7357, "lng": -74.1724}
BERLIN = {"address": "Berlin", "lat": 52.52, "lng": 13.405}
SOMEWHERE = {"address": "somewhere"}

STORED: dict[str, dict[str, Any]] = {
    "Name": {
        "a": "The cat in the hat",
        "b": "Peppers",
        "c": "the Cat's pyjamas",
        "n": 12,
        "e": "",
        "0": None,
    },
    "Size": {"a": 3, "b": "10", "c": 3.0, "d": -1, "e": "", "0": None, "x": "five"},
    "Open": {"a": True, "b": "yes", "c": False, "d": "No", "e": "", "0": None},
    "Start": {"a": "2020-01-01", "b": "2020-06-01T12:00:00.000Z", "c": 1577836800000, "e": "", "0": None},
    "Where": {"a": NEW_YORK, "b": NEWARK, "c": BERLIN, "d": SOMEWHERE, "e": "", "0": None},
    "Photo": {"a": "//x/a.png", "b": "//x/b.png", "e": "", "0": None},
    "Plan": {"a": "//x/a.pdf", "b": "//x/b.pdf", "e": "", "0": None},
    "Owner": {"a": TONY, "b": 12, "e": "", "0": None},
    "Parent": {"a": UNIT, "b": OTHER, "e": "", "0": None},
    "Status": {"a": "Open", "b": "Closed", "e": "", "0": None},
    "Tags": {"a": ["x", "y"], "b": ["y"], "c": "x", "e": [], "0": None},
    "Sizes": {"a": [1, 2], "b": ["2", 3], "e": [], "0": None},
    "Days": {"a": ["2020-01-01"], "b": [0, "2020-01-01"], "e": [], "0": None},
    "Flags": {"a": [True], "b": [False, "yes"], "e": [], "0": None},
    "Places": {"a": [NEW_YORK, BERLIN], "b": [NEWARK], "e": [], "0": None},
    "Owners": {"a": [TONY], "b": [TONY, "u2"], "e": [], "0": None},
    "Units": {"a": [UNIT, OTHER], "b": [OTHER], "e": [], "0": None},
    "States": {"a": ["Open"], "b": ["Open", "Closed"], "e": [], "0": None},
    "Photos": {"a": ["//x/a.png"], "b": ["//x/b.png"], "e": [], "0": None},
}


def things(caption: str) -> list[Entry]:
    """The things of `STORED` with a field, and one without it."""
    rows = [thing({caption: value}, f"units/{letter}") for letter, value in STORED[caption].items()]
    return [*rows, thing({}, "units/-")]


def reading(live: bool = False) -> Reading:
    """How the parameters of a search of rental units are read."""
    of = catalogue(units(), users())
    known = {UNIT, OTHER, TONY}
    exists = (lambda kind, identity: identity in known) if live else None
    return Reading(of.types["rentalunit"], of, analyse, PLACES.get, exists)


def found(entries: list[Entry], search: Search, live: bool = False) -> list[str]:
    """The names of the things that a search finds, by the evaluator alone."""
    how = reading(live)

    def index(query: Query) -> Result:
        kept = [entry for entry in entries if matches(query.where, entry)]
        for order in reversed(query.order):
            kept.sort(key=lambda e: order.index.key(order.field.read(e)), reverse=order.descending)
        stop = None if query.limit is None else query.offset + query.limit
        return Result(kept[query.offset : stop], len(kept))

    page = run(search, how, how.thing_type.policy.grants(ADMIN), index)
    return [entry.name for entry in page.entries]
