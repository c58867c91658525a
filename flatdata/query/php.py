"""The operators of Flextype's `where`, by PHP's comparisons.

Rules: reference/flextype §2.3. An operator that makes no sense for a value does not match, where Flextype
answers 500. A field that is absent or null never matches, whatever the operator. Operands come from a
query string (texts, or lists and maps of them) or from front matter (any JSON).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, Final

from flatdata.query.php_dates import newer, newer_hint, older, older_hint
from flatdata.query.php_index import (
    ANY_TEXT,
    ARRAYS,
    BOOLEANS,
    EXACT,
    KIND,
    NUMBERS,
    NUMERIC,
    SOME_TEXT,
    SOMETHING,
    SORT,
    TEXTS,
    exact_keys,
    negated,
)
from flatdata.query.php_patterns import MAX_PATTERN, php_pattern
from flatdata.query.php_values import (
    documented_equal,
    identical,
    is_number,
    loose_compare,
    loose_equal,
    members,
    number_of,
    numeric,
    text_of,
    truth,
)
from flatdata.query.tree import (
    ABSENT,
    Absent,
    AllHints,
    AnyHint,
    Containing,
    Hint,
    Json,
    Keyed,
    NoHint,
    Nothing,
    Operator,
    OrderIndex,
    Ranged,
)

__all__ = [
    "DOCUMENTED",
    "LIVE",
    "MAX_PATTERN",
    "SORT",
    "UNKNOWN",
    "loose_compare",
    "loose_equal",
    "text_of",
    "truth",
]

_SHORT: Final = 100
"""Characters of a text up to which hints for it are remembered."""

# --- equality ---------------------------------------------------------------------------------------


def _equal_hint(operand: Json) -> Hint:
    if isinstance(operand, list | dict):
        return Keyed(KIND, ARRAYS, exact=False)
    return Keyed(EXACT, exact_keys(operand), exact=isinstance(operand, bool | str))


def _documented_hint(operand: Json) -> Hint:
    if not isinstance(operand, str):
        return Keyed(EXACT, (operand,)) if is_number(operand) else _equal_hint(operand)
    keys: list[Hashable] = [operand]
    number = number_of(operand)
    if number is not None:
        keys.append(number)
    if operand in ("true", "false"):
        keys.append(BOOLEANS[operand == "true"])
    return Keyed(EXACT, tuple(keys))


def _in(value: Json, operand: Json) -> bool:
    return any(loose_equal(value, member) for member in members(operand))


def _in_hint(operand: Json) -> Hint:
    keys: dict[Hashable, None] = {}
    numbers: dict[int | float, None] = {}
    for member in members(operand):
        if not isinstance(member, str) and not is_number(member):
            return SOMETHING
        number = numeric(member)
        if number is None:
            keys[member] = None
        else:
            numbers[number] = None
        keys[BOOLEANS[truth(member)]] = None
    exact = Keyed(EXACT, tuple(keys))
    return AnyHint((exact, Keyed(NUMERIC, tuple(numbers)))) if numbers else exact


# --- order ------------------------------------------------------------------------------------------


def _less(value: Json, operand: Json) -> bool:
    return loose_compare(value, operand) < 0


def _at_most(value: Json, operand: Json) -> bool:
    return loose_compare(value, operand) <= 0


def _greater(value: Json, operand: Json) -> bool:
    return loose_compare(operand, value) < 0


def _at_least(value: Json, operand: Json) -> bool:
    return loose_compare(operand, value) <= 0


def _order_hint(test: Callable[[Json, Json], bool]) -> Callable[[Json], Hint]:
    """The hint of one of the four orderings, for texts and numbers; for others the evaluator decides."""
    below, open_end = test in (_less, _at_most), test in (_less, _greater)

    def side(index: OrderIndex, bound: Any) -> Ranged:
        if below:
            return Ranged(index, high=bound, high_open=open_end)
        return Ranged(index, low=bound, low_open=open_end)

    def made(operand: str | float) -> Hint:
        parts: list[Hint] = [side(TEXTS, text_of(operand))]
        number = numeric(operand)
        if number is not None:
            not_a_number = NoHint(Ranged(NUMBERS))
            parts = [side(NUMBERS, number), AllHints((*parts, not_a_number))]
        parts.append(Keyed(EXACT, tuple(key for b, key in BOOLEANS.items() if test(b, operand))))
        if not below:
            parts.append(Keyed(KIND, ARRAYS))
        return AnyHint(tuple(parts))

    remembered = lru_cache(maxsize=512)(made)

    def hint(operand: Json) -> Hint:
        if isinstance(operand, str):
            return remembered(operand) if len(operand) <= _SHORT else made(operand)
        return made(operand) if is_number(operand) else SOMETHING

    return hint


_at_least_hint: Final = _order_hint(_at_least)
_at_most_hint: Final = _order_hint(_at_most)


def _between(value: Json, operand: Json) -> bool:
    bounds = members(operand)
    return bool(bounds) and _at_least(value, bounds[0]) and _at_most(value, bounds[-1])


def _not_between(value: Json, operand: Json) -> bool:
    return bool(members(operand)) and not _between(value, operand)


def _between_hint(operand: Json) -> Hint:
    bounds = members(operand)
    return AllHints((_at_least_hint(bounds[0]), _at_most_hint(bounds[-1]))) if bounds else Nothing()


def _not_between_hint(operand: Json) -> Hint:
    return negated(_between_hint)(operand) if members(operand) else Nothing()


# --- texts ------------------------------------------------------------------------------------------


def _contains(value: Json, operand: Json) -> bool:
    return isinstance(value, str) and isinstance(operand, str) and operand in value


def _contains_hint(operand: Json) -> Hint:
    if not isinstance(operand, str):
        return Nothing()
    return Containing(operand) if operand else ANY_TEXT


def _lacks(value: Json, operand: Json) -> bool:
    return isinstance(value, str) and isinstance(operand, str) and operand not in value


def _lacks_hint(operand: Json) -> Hint:
    return SOME_TEXT if isinstance(operand, str) and operand else Nothing()


def _first_bytes(text: str, count: int) -> bytes:
    return text[:count].encode("utf-8", "surrogatepass")[:count]


def _starts_with(value: Json, operand: Json) -> bool:
    """Flextype's `strncmp` over as many bytes as the operand has characters: `FòX` starts `FòôBar`."""
    if not isinstance(value, str) or not isinstance(operand, str):
        return False
    return _first_bytes(value, len(operand)) == _first_bytes(operand, len(operand))


def _starts_hint(operand: Json) -> Hint:
    if not isinstance(operand, str):
        return Nothing()
    cut = _first_bytes(operand, len(operand))
    start = cut.decode("utf-8", "ignore")
    if not start:
        return SOME_TEXT if operand else ANY_TEXT
    whole = len(start.encode()) == len(cut)
    texts = Ranged(TEXTS, start, _after(start), high_open=True, exact=whole)
    return AllHints((texts, ANY_TEXT))


def _after(prefix: str) -> str | None:
    """The smallest text above all that begin with `prefix`, or None where there is none."""
    while prefix:
        last = ord(prefix[-1])
        prefix = prefix[:-1]
        if last < 0x10FFFF:
            return prefix + chr(last + 1)
    return None


def _ends_with(value: Json, operand: Json) -> bool:
    """Whether as many last characters as the operand has are the operand: "" ends nothing but ""."""
    if not isinstance(value, str) or not isinstance(operand, str):
        return False
    return value.endswith(operand) if operand else not value


def _ends_hint(operand: Json) -> Hint:
    if not isinstance(operand, str):
        return Nothing()
    return Containing(operand) if operand else Keyed(EXACT, ("",))


def _regexp(value: Json, operand: Json) -> bool:
    if not isinstance(value, str) or not isinstance(operand, str):
        return False
    pattern = php_pattern(operand)
    return pattern is not None and pattern.search(value) is not None


def _regexp_hint(operand: Json) -> Hint:
    return SOME_TEXT if isinstance(operand, str) and php_pattern(operand) is not None else Nothing()


def _not_regexp(value: Json, operand: Json) -> bool:
    return isinstance(value, str) and isinstance(operand, str) and not _regexp(value, operand)


def _not_regexp_hint(operand: Json) -> Hint:
    if not isinstance(operand, str):
        return Nothing()
    return ANY_TEXT if php_pattern(operand) is None else SOME_TEXT


# --- the tables -------------------------------------------------------------------------------------


def _row(
    names: str, test: Callable[[Json, Any], bool], hint: Callable[[Any], Hint], mode: str = ""
) -> dict[str, Operator]:
    """One operator under its name and aliases; absent and null are kept from its test."""

    def matches(value: Json | Absent, operand: Any) -> bool:
        return value is not None and value is not ABSENT and test(value, operand)

    name, *aliases = names.split()
    operator = Operator(f"php.{name}{mode}", matches, hint)
    return dict.fromkeys((name, *aliases), operator)


def _opposite(test: Callable[[Json, Any], bool]) -> Callable[[Json, Any], bool]:
    return lambda value, operand: not test(value, operand)


_SHARED: Final[Mapping[str, Operator]] = {
    **_row("in", _in, _in_hint),
    **_row("nin", _opposite(_in), negated(_in_hint)),
    **_row("lt <", _less, _order_hint(_less)),
    **_row("lte <=", _at_most, _at_most_hint),
    **_row("gt >", _greater, _order_hint(_greater)),
    **_row("gte >=", _at_least, _at_least_hint),
    **_row("between", _between, _between_hint),
    **_row("nbetween", _not_between, _not_between_hint),
    **_row("contains like", _contains, _contains_hint),
    **_row("ncontains nlike", _lacks, _lacks_hint),
    **_row("starts_with", _starts_with, _starts_hint),
    **_row("ends_with", _ends_with, _ends_hint),
    **_row("newer", newer, newer_hint),
    **_row("older", older, older_hint),
    **_row("regexp", _regexp, _regexp_hint),
    **_row("nregexp", _not_regexp, _not_regexp_hint),
}
DOCUMENTED: Final[Mapping[str, Operator]] = {
    **_row("eq =", documented_equal, _documented_hint, "-documented"),
    **_row("neq != <>", _opposite(documented_equal), negated(_documented_hint), "-documented"),
    **_SHARED,
}
"""Every operator by lower-case name and alias, with the equality of the documentation."""
LIVE: Final[Mapping[str, Operator]] = {
    **_row("eq =", identical, _equal_hint, "-live"),
    **_row("neq != <>", _opposite(identical), negated(_equal_hint), "-live"),
    **_SHARED,
}
"""The same with the equality of Flextype 0.9.13 to 0.9.16: strict, so that `'2020'` is never 2020."""
UNKNOWN: Final = Operator("php.unknown", lambda value, operand: False, lambda operand: Nothing())
"""What a name in neither table stands for: it matches nothing."""
