"""The evaluator's two ways to ask give the same answers."""

from __future__ import annotations

from operator import itemgetter

from hypothesis import example, given
from hypothesis import strategies as st

from flatdata.query.evaluate import matches, predicate
from flatdata.query.tree import EVERYTHING, NOTHING, All, AnyOf, Condition, Field, Node, Not, Operator

EQUAL = Operator("equal", lambda value, operand: value == operand)
FIELDS = [Field("test", name, itemgetter(name)) for name in "abc"]

conditions = st.builds(Condition, st.sampled_from(FIELDS), st.just(EQUAL), st.booleans())
trees = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=12,
)


@given(trees, st.fixed_dictionaries({name: st.booleans() for name in "abc"}))
@example(EVERYTHING, {})
@example(NOTHING, {})
def test_a_predicate_is_true_of_the_records_that_match(node: Node, record: dict[str, bool]) -> None:
    assert predicate(node)(record) is matches(node, record)
