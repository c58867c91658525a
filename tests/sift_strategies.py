"""Records, filters and `$filters` items for property tests of the Fliplet operators."""

from __future__ import annotations

from hypothesis import strategies as st

scalars = st.one_of(
    st.sampled_from(
        [
            *(
                None,
                True,
                False,
                0,
                1,
                2,
                1.0,
                -1,
                2.5,
                10,
                10**30,
                float("inf"),
                "",
                "0",
                "1",
                "01",
                " 1 ",
                "1e3",
            ),
            *(
                "x",
                "X",
                "xy",
                "a,b",
                "null",
                "true",
                "[object Object]",
                "10 dollars",
                "$10",
                "1,000",
                "Straße",
            ),
            *(
                "2018-03-20",
                "2018-03-21T10:00:00.000Z",
                "03-21-2018",
                "14:30",
                "Ελλάς",
                "STRASSE",
                "infinity",
            ),
        ]
    ),
    st.integers(-3, 3),
    st.text(max_size=3),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(st.none() | inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=6,
)
documents = st.dictionaries(st.sampled_from("abc"), values, max_size=3)
fields = st.sampled_from(["a", "b", "a.b", "a.0", "a.b.c", "a.length"])

plain_operators = [
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$like",
    "$iLike",
    "$exists",
    "$match",
    "$size",
]
leaf_queries = st.one_of(
    values.filter(lambda value: not isinstance(value, dict)),
    st.builds(lambda name, operand: {name: operand}, st.sampled_from(plain_operators), scalars | values),
    st.builds(
        lambda name, items: {name: items}, st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=4)
    ),
    st.builds(lambda items: {"$in": items}, st.lists(values, max_size=2).filter(lambda v: "$" not in str(v))),
    st.sampled_from([{"$mod": [2, 0]}, {"$regex": "^x|1"}, {"$regex": "S", "$options": "i"}, {"$in": "x1a"}]),
)
queries = st.recursive(
    leaf_queries,
    lambda inner: st.one_of(
        st.builds(lambda q: {"$not": q}, inner),
        st.builds(
            lambda k, q: {k: q}, st.sampled_from(["$or", "$and", "$nor", "$all"]), st.lists(inner, max_size=2)
        ),
        st.builds(lambda q: {"$elemMatch": q}, inner),
        st.builds(lambda k, q: {k: q}, st.sampled_from(["b", "b.c", "0"]), inner),
        st.builds(
            lambda p, q: {**p, **q} if isinstance(p, dict) and isinstance(q, dict) else q, inner, inner
        ),
    ),
    max_leaves=4,
)
wheres = st.recursive(
    st.dictionaries(fields, queries, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.builds(lambda q: {"$not": q}, inner),
        st.builds(lambda k, q: {k: q}, st.sampled_from(["$or", "$and", "$nor"]), st.lists(inner, max_size=2)),
    ),
    max_leaves=3,
)
conditions = st.sampled_from(["==", "!=", ">", ">=", "<", "<=", "contains", "notcontain", "oneof", "notin"])
dates = st.sampled_from(["2018-03-20", "2018-03-21 10:00", "10:00", "2018-03-21T10:00:00Z", "2018-01-01"])
filter_items = st.one_of(
    st.builds(
        lambda column, condition, value: {"column": column, "condition": condition, "value": value},
        fields,
        conditions,
        st.sampled_from(["1", 1, 2.5, "10", "0"]),
    ),
    st.builds(
        lambda column, condition, value: {"column": column, "condition": condition, "value": value},
        fields,
        st.sampled_from(["==", "!=", "contains", "oneof", "notoneof"]),
        scalars,
    ),
    st.builds(
        lambda column, condition: {"column": column, "condition": condition},
        fields,
        st.sampled_from(["empty", "notempty"]),
    ),
    st.builds(
        lambda column, low, high: {
            "column": column,
            "condition": "between",
            "value": {"from": low, "to": high},
        },
        fields,
        st.sampled_from(["", 0, "1"]),
        st.sampled_from(["", 2, "10"]),
    ),
    st.builds(
        lambda column, condition, value, unit: {
            "column": column,
            "condition": condition,
            "value": value,
            "unit": unit,
        },
        fields,
        st.sampled_from(["dateis", "datebefore", "dateafter"]),
        dates,
        st.sampled_from([None, "year", "month", "week", "day", "hour"]),
    ),
)
