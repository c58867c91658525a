"""What the `require` of an access rule looks at: a row or a search (reference/fliplet.md §5.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from flatdata.access.conditions import Json, Test, same
from flatdata.query.javascript import loosely_equal


class Subject(Protocol):
    """What a rule's `require` looks at."""

    def has(self, column: str) -> bool:
        """Whether the request names the column."""

    def satisfies(self, test: Test) -> bool:
        """Whether the request, or the row it is about, passes a test whose templates are filled in."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as a subject: `keys` for required columns, `values` for conditions (§5.4, all but searches)."""

    keys: Collection[str]
    values: Mapping[str, Json]

    def has(self, column: str) -> bool:
        """Whether the column is given; null is a value."""
        return column in self.keys

    def satisfies(self, test: Test) -> bool:
        """Whether the row's value passes."""
        return test.holds(self.values.get(test.column))


def row(data: Mapping[str, Json]) -> Row:
    """The subject of a request about one row, submitted or stored."""
    return Row(data.keys(), data)


@dataclass(frozen=True, slots=True)
class Search:
    """A `where` as a subject: it passes a condition only if it asks for nothing else (§5.4, searches).

    Only the top level counts, because only there each part holds for every row that is found.
    """

    where: Mapping[str, Json]

    def has(self, column: str) -> bool:
        """Whether the filter names the column in a part that is active."""
        if column in self.where and column != "$filters" and self.where[column] != {}:
            return True
        return any(item["column"] == column and "value" in item for item in self._filters())

    def satisfies(self, test: Test) -> bool:
        """Whether every row that is found passes."""
        found = [*self._plain(test.column), *self._operands(test.column, ("$eq", "=="))]
        if test.operator == "contains":
            found += self._operands(test.column, ("$like", "$iLike", "contains"))
        if test.operator != "notequals":
            return any(map(test.holds, found))
        # A filter for 1 or true finds rows with the text 1, too.
        if any(test.holds(value) and not loosely_equal(value, test.operand) for value in found):
            return True
        return any(same(value, test.operand) for value in self._operands(test.column, ("$ne", "!=")))

    def _plain(self, column: str) -> list[Json]:
        value = self.where.get(column)
        return [value] if type(value) in (str, int, float, bool) else []

    def _operands(self, column: str, operators: Collection[str]) -> list[Json]:
        value = self.where.get(column)
        found = (
            [operand for name, operand in value.items() if name in operators]
            if isinstance(value, dict)
            else []
        )
        for item in self._filters():
            if item["column"] == column and item.get("condition") in operators:
                found.append(item.get("value"))
        return [each for each in found if type(each) in (str, int, float, bool)]

    def _filters(self) -> Iterable[Mapping[str, Json]]:
        items = self.where.get("$filters")
        return (
            item
            for item in (items if isinstance(items, list) else ())
            if isinstance(item, dict)
            and isinstance(item.get("column"), str)
            and item.get("condition") != "none"
        )


NO_SEARCH: Final = Search({})
"""Reading everything."""
