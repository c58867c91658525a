"""Records, and queries as requests ask them: every operator of every dialect, over the dialects' own fields.

Trees are made by the code that reads requests wherever there is such code, so that a property test of the
index sees the fields, operands and shapes that it is going to be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from hypothesis import strategies as st
from sift_strategies import queries as sift_queries
from sift_strategies import scalars as sift_scalars

from flatdata.dialects.bubble.types import BUILT_INS, COLUMN_VIEW, ThingField
from flatdata.dialects.flextype.fields import field_at
from flatdata.dialects.flextype.file_tests import BY_TIME
from flatdata.dialects.flextype.find_options import Find, parse_find
from flatdata.dialects.flextype.options import Where
from flatdata.dialects.flextype.render import Rendering
from flatdata.dialects.flextype.strtotime import calendar
from flatdata.dialects.fliplet.querybody import QueryBodyError, parse_query_body
from flatdata.index.terms import analyse
from flatdata.query import php, siftoperators
from flatdata.query.bubble import (
    VALUELESS,
    Circle,
    bound,
    operators,
    order_index,
    wanted,
    words_wanted,
)
from flatdata.query.bubble_values import ID, SCALARS, FieldType, read_value
from flatdata.query.bubble_words import IN_TEXTS, texts_of, word_search
from flatdata.query.filters import OTHER_CONDITIONS, VALUE_CONDITIONS
from flatdata.query.php_index import SORT
from flatdata.query.tree import ABSENT, All, AnyOf, Condition, Field, Node, Not, OrderBy

# --- records --------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    [
        *("", " ", "a", "A", "ab", "Ab c", "a,b", "10", "9", "1e1", " 7", "07", "7.0", "true", "ß", "日本"),
        *("x.y", "film noir", "The Films", "noir-film", "ÉTÉ", "x" * 70),
        *("2019-01-01", "2019-01-01T10:00:00.000Z", "14:30", "tomorrow", "yes", "no"),
    ]
)
WORDY = st.sampled_from(["film noir", "The Films", "noir-film", "a film", "filmography", "noirs"])
NEEDLES = st.sampled_from(["film", "films", "noir", "oir", "film noir", "noir-", "graphy", "the"])
"""What is looked for by the words of texts; shorter ones are not."""
VALUES: st.SearchStrategy[Any] = st.one_of(
    WORDY,
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([2**70, -(2**53) - 1, 2**53, 0.5, -0.0, 7.0, 1e300, 1577836800000]),
    TEXTS,
    st.text(alphabet="ab1 Ä", max_size=6),
    st.lists(st.sampled_from(["a", "film", 1, None, {"z": 1}]), max_size=2),
    st.fixed_dictionaries({"z": st.integers(0, 2) | TEXTS}),
    st.fixed_dictionaries(
        {"address": st.sampled_from(["a", "B"]), "lat": st.integers(0, 1), "lng": st.just(1)}
    ),
)
FIELD_NAMES = ("f", "g")
SPECIAL = {
    "content": st.sampled_from(["", "film noir", "a\nb"]),
    "visibility": st.sampled_from(["draft", "hidden", "odd", None]),
    "routable": st.sampled_from([True, False, "0", None]),
    "published_at": st.sampled_from(["2019-01-01 12:00", "tomorrow", "no date", None, 7]),
    "slug": st.sampled_from(["a", "B", None]),
}
"""Stored fields to which Flextype gives a meaning."""
COLUMNS = dict.fromkeys(FIELD_NAMES, VALUES)
PLAIN_RECORDS = st.fixed_dictionaries({}, optional=COLUMNS)
RECORDS = st.one_of(PLAIN_RECORDS, PLAIN_RECORDS, st.fixed_dictionaries({}, optional=COLUMNS | SPECIAL))
METAS = st.fixed_dictionaries(
    {},
    optional={
        "order": st.integers(0, 2),
        "created_at": st.sampled_from(["2019-01-01T10:00:00.000Z", "2024-02-29T00:00:00.000Z"]),
        "updated_at": st.sampled_from(["2019-01-01T10:00:00.000Z", "2024-02-29T00:00:00.000Z"]),
        "created_by": st.sampled_from(["a", "1"]),
        "slug": st.sampled_from(["a", "B"]),
    },
)
"""What is known of a row beside its columns."""

# --- Flextype -------------------------------------------------------------------------------------------

NOW = 1_700_000_000
CALENDAR = calendar(NOW, UTC)
RENDERINGS = {True: Rendering(True, UTC), False: Rendering(False, UTC)}
FIELDS = {name: field_at(name, RENDERINGS[True]) for name in FIELD_NAMES}
KEYS = st.one_of(
    st.sampled_from(FIELD_NAMES),
    st.sampled_from([*FIELD_NAMES, "f.z", "g.0", "content", "slug", "id", "routable", "visibility"]),
    st.sampled_from(["published_at", "created_at", "created_at.z", "modified_at"]),
)
OPERANDS = st.one_of(
    st.sampled_from(["", "a", "ab", "b", "10", "7", "7.0", "0", "true", "false", "é", "[", "^a", "Ä"]),
    st.sampled_from(["film", "oir", "x" * 20, "2019-01-01", "yesterday", "+1 day", "visible", "1600000005"]),
    VALUES.filter(lambda value: isinstance(value, str)),
    st.lists(st.sampled_from(["a", "7", "", "12", "true", "0", "film noir"]), max_size=3),
    st.dictionaries(st.sampled_from("01"), st.sampled_from(["a", "7"]), max_size=2),
)
TABLES = {True: php.DOCUMENTED, False: php.LIVE}
PHP_OPERATORS = sorted({*php.DOCUMENTED, *php.LIVE, "unknown"})


def _flextype_condition(documented: bool, where: Where) -> Condition:
    at = field_at(where.key, RENDERINGS[documented])
    return where.condition(at, TABLES[documented], CALENDAR)


def flextype_conditions(documented: bool, operator: str) -> st.SearchStrategy[Node]:
    """Conditions with one operator of one of the two tables."""
    return st.builds(
        _flextype_condition, st.just(documented), st.builds(Where, KEYS, st.just(operator), OPERANDS)
    )


PHP: st.SearchStrategy[Node] = st.builds(
    _flextype_condition, st.booleans(), st.builds(Where, KEYS, st.sampled_from(PHP_OPERATORS), OPERANDS)
)
FINDS: st.SearchStrategy[Find] = st.fixed_dictionaries(
    {},
    optional={
        "depth": st.sampled_from(["0", "1", "< 2", "<= 2", "> 1", ">= 0", [">= 1", "< 3"]]),
        "date": st.sampled_from(
            ["> 2020-09-13 12:26:45", "before 2020-09-13 12:27", "since yesterday", "!= 2020-09-13"]
        ),
        "size": st.sampled_from(["> 5", "<= 20", "== 6", ["> 0", "< 1k"]]),
        "exclude": st.sampled_from(["e1", "x", ["e2", "deep"]]),
        "path": st.sampled_from(["e0", "/e[0-3]/", ["e4", "/^e5$/"], "x"]),
        "contains": st.sampled_from(["a", "/^f:/m", ["film", "z"]]),
        "not_contains": st.sampled_from(["b", "/NULL/i"]),
        "sort_by": st.sampled_from(["mtime", "atime"]),
    },
).map(parse_find)
"""`options[find]`: which files are looked at."""

# --- Fliplet --------------------------------------------------------------------------------------------

PATHS = st.sampled_from([*FIELD_NAMES, *FIELD_NAMES, "f.z", "g.0", "f.length"])
DATES = st.sampled_from(["2019-01-01", "2019-01-01 10:00", "10:00", "2019-01-01T10:00:00Z", "2024-02-01"])
NUMBERS = st.sampled_from(["1", 1, 2.5, "10", "0", ""])


def _between(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"from": bounds, "to": bounds})


FILTER_VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys((">", ">=", "<", "<="), NUMBERS),
    "between": _between(NUMBERS),
    "datebetween": _between(DATES),
    **dict.fromkeys(("dateis", "datebefore", "dateafter"), DATES),
}
UNITS = st.sampled_from([None, "year", "quarter", "month", "week", "day", "hour", "minute"])


FILTER_CONDITIONS = [*VALUE_CONDITIONS, *OTHER_CONDITIONS]


@st.composite
def filter_items(draw: st.DrawFn, condition: str) -> dict[str, Any]:
    """An item of `$filters` with a condition."""
    item = {"column": draw(PATHS), "condition": condition}
    item["value"] = draw(FILTER_VALUES.get(condition, VALUES | st.lists(TEXTS, max_size=2)))
    if condition.startswith("date"):
        item |= {"unit": draw(UNITS), "timezone": draw(st.sampled_from([None, "America/New_York"]))}
    return item


def _filters(items: st.SearchStrategy[dict[str, Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(items, min_size=1, max_size=most).map(lambda items: {"$filters": items})


FILTERS = _filters(st.sampled_from(FILTER_CONDITIONS).flatmap(filter_items), 2)
SIFT_OPERANDS: Mapping[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("$in", "$nin"), st.lists(sift_scalars | VALUES, max_size=4) | st.just("x1a")),
    **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), sift_scalars),
    **dict.fromkeys(("$like", "$iLike"), TEXTS | st.sampled_from(["oir", "film", "a", "1"])),
    **dict.fromkeys(("$or", "$and", "$nor", "$all"), st.lists(sift_queries, min_size=1, max_size=2)),
    **dict.fromkeys(("$not", "$elemMatch", "z"), sift_queries),
    "$mod": st.sampled_from([[2, 0], [3, 1]]),
    "$regex": st.sampled_from(["^x|1", "ilm", "[0-9]"]),
    "$exists": st.booleans(),
    "$size": st.integers(0, 3),
}
"""Operands by operator, where not any value is one; `z` stands for a query about what lies inside."""
SIFT_OPERATORS = sorted({*siftoperators.OPERATORS, *SIFT_OPERANDS})


def sift_conditions(operator: str) -> st.SearchStrategy[Node]:
    """Conditions with one operator, on columns and on what is known of a row."""
    operands = SIFT_OPERANDS.get(operator, sift_scalars | VALUES)
    queries = st.builds(lambda operand: {operator: operand}, operands)
    return _understood(
        st.one_of(
            st.builds(lambda path, query: {"where": {path: query}}, PATHS, queries),
            st.builds(lambda path, query: {"where": {path: query}}, PATHS, queries),
            st.builds(lambda name, query: {name: query}, st.sampled_from(["id", "createdAt"]), queries),
        )
    )


def filter_conditions(condition: str) -> st.SearchStrategy[Node]:
    """Conditions of `$filters`."""
    return _understood(st.fixed_dictionaries({"where": _filters(filter_items(condition), 1)}))


WHERES = st.recursive(
    st.dictionaries(PATHS, sift_queries, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.builds(lambda query: {"$not": query}, inner),
        st.builds(
            lambda name, queries: {name: queries},
            st.sampled_from(["$or", "$and", "$nor"]),
            st.lists(inner, max_size=2),
        ),
    ),
    max_leaves=2,
)


def _fliplet_condition(body: dict[str, Any]) -> Node | None:
    """The tree of a query of Fliplet's, None if it is refused."""
    try:
        return parse_query_body(body, None).condition
    except QueryBodyError:
        return None


def _understood(bodies: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Node]:
    return bodies.map(_fliplet_condition).filter(lambda node: node is not None)  # type: ignore[return-value]


FLIPLET: st.SearchStrategy[Node] = st.one_of(
    _understood(st.fixed_dictionaries({"where": WHERES})),
    _understood(st.fixed_dictionaries({"where": FILTERS})),
    _understood(
        st.fixed_dictionaries(
            {}, optional={"id": sift_queries, "createdAt": sift_queries, "updatedAt": sift_queries}
        )
    ),
)

# --- Bubble ---------------------------------------------------------------------------------------------

BUBBLE_TYPES = [FieldType(kind, many=many) for kind in SCALARS for many in (False, True) if kind != ID]


def _column(name: str) -> Field:
    return Field(COLUMN_VIEW, name, lambda entry: entry.fields.get(name, ABSENT))


def bubble_field(name: str, field_type: FieldType) -> ThingField:
    """A field of a type of Bubble's."""
    return ThingField(name, name, field_type, _column(name))


BUBBLE_FIELDS: st.SearchStrategy[ThingField] = st.one_of(
    st.builds(bubble_field, st.sampled_from(FIELD_NAMES), st.sampled_from(BUBBLE_TYPES)),
    st.builds(bubble_field, st.sampled_from(FIELD_NAMES), st.sampled_from(BUBBLE_TYPES)),
    st.sampled_from(BUILT_INS),
)
BUBBLE_TEXTS = st.sampled_from(["a", "ab c", "the", "9", "film", "films noir", "x" * 70])


def _read(draw: st.DrawFn, field_type: FieldType) -> Any:
    return read_value(field_type, draw(VALUES))


def _bubble_operand(draw: st.DrawFn, field_type: FieldType, name: str) -> Any:
    """An operand as `constraints` makes it of a request."""
    if name in VALUELESS:
        return None
    if name in ("in", "not in"):
        values = draw(st.lists(VALUES, max_size=3))
        return tuple(wanted(field_type, read_value(field_type, raw)) for raw in values)
    if name == "geographic_search":
        radius = draw(st.sampled_from([0.0, 200.0, 30_000.0]))
        return Circle(draw(st.sampled_from([0.0, 45.0])), 1.0, radius)
    if name.endswith("text contains"):
        return words_wanted(analyse, draw(BUBBLE_TEXTS))
    if name.endswith("contains"):
        return wanted(field_type.item, _read(draw, field_type.item))
    if name in ("greater than", "less than"):
        read = VALUES.map(lambda raw: read_value(field_type, raw))
        return bound(field_type, draw(read.filter(lambda value: value is not ABSENT)))
    return wanted(field_type, _read(draw, field_type))


@st.composite
def bubble_conditions(draw: st.DrawFn, field: ThingField, name: str) -> Node:
    """A constraint of a type on a field, with an operand as a request would have it."""
    if name == ANYWHERE:
        stems = words_wanted(analyse, draw(BUBBLE_TEXTS))
        texts = texts_of(field.type)
        assert texts is not None
        return Condition(field.source, word_search(analyse, texts, exact=field.own_words), stems)
    operator = operators(field.type, analyse, field.own_words)[name]
    return Condition(field.source, operator, _bubble_operand(draw, field.type, name))


ANYWHERE = "_all"
"""What the key `_all` asks of each field with texts."""


def constraint_types(field: ThingField) -> list[str]:
    """The constraint types that a field can be asked."""
    anywhere = [] if texts_of(field.type) is None else [ANYWHERE]
    return [*anywhere, *sorted(operators(field.type, analyse, field.own_words))]


BUBBLE: st.SearchStrategy[Node] = BUBBLE_FIELDS.flatmap(
    lambda field: st.sampled_from(constraint_types(field)).flatmap(
        lambda name: bubble_conditions(field, name)
    )
)

# --- all of them ----------------------------------------------------------------------------------------

CONDITIONS: st.SearchStrategy[Node] = st.one_of(PHP, FLIPLET, BUBBLE)
BY_OPERATOR: dict[str, st.SearchStrategy[Node]] = {
    **{f"flextype {name}": flextype_conditions(True, name) for name in sorted(php.DOCUMENTED)},
    **{f"flextype live {name}": flextype_conditions(False, name) for name in sorted(php.LIVE)},
    **{f"fliplet {name}": sift_conditions(name) for name in SIFT_OPERATORS},
    **{f"fliplet filter {name}": filter_conditions(name) for name in FILTER_CONDITIONS},
    **{
        f"bubble {field.type} {field.caption} {name}": bubble_conditions(field, name)
        for field in (*(bubble_field("f", each) for each in BUBBLE_TYPES), *BUILT_INS)
        for name in constraint_types(field)
    },
}
"""Conditions by dialect and operator: every one of them."""
BY_WORDS: list[st.SearchStrategy[Node]] = [
    *(
        st.builds(
            _flextype_condition, st.booleans(), st.builds(Where, st.sampled_from("f"), st.just(name), NEEDLES)
        )
        for name in ("contains", "ncontains", "ends_with")
    ),
    *(
        _understood(st.builds(lambda needle, name=name: {"where": {"f": {name: needle}}}, NEEDLES))
        for name in ("$like", "$iLike")
    ),
    *(
        st.builds(
            lambda needle, operator=operator: Condition(
                _column("f"), operator, words_wanted(analyse, needle)
            ),
            NEEDLES,
        )
        for operator in (
            operators(FieldType("text"), analyse)["text contains"],
            operators(FieldType("text"), analyse)["not text contains"],
            word_search(analyse, IN_TEXTS),
        )
    ),
]
"""Conditions that the index of words answers."""
TREES: st.SearchStrategy[Node] = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=5,
)


def _bubble_order(field: ThingField, descending: bool) -> OrderBy:
    return OrderBy(field.source, order_index(field.type), descending)


def _fliplet_order(pair: list[str]) -> OrderBy:
    return parse_query_body({"order": [pair]}, None).order[0]


ORDERS: st.SearchStrategy[tuple[OrderBy, ...]] = st.lists(
    st.one_of(
        st.builds(
            lambda key, documented, descending: OrderBy(
                field_at(key, RENDERINGS[documented]), SORT, descending
            ),
            KEYS,
            st.booleans(),
            st.booleans(),
        ),
        st.builds(_bubble_order, BUBBLE_FIELDS.filter(lambda field: not field.type.many), st.booleans()),
        st.tuples(
            st.sampled_from(["data.f", "data.g", "id", "order", "createdAt", "updatedAt"]),
            st.sampled_from(["ASC", "DESC"]),
        ).map(lambda pair: _fliplet_order(list(pair))),
        st.just(BY_TIME),
    ),
    max_size=2,
).map(tuple)
