"""Queries over HTTP: what a body asks for and how it is answered (reference/fliplet.md §3).

What each operator means is tested in tests of the query engine; here everything that a query can be made of
is asked once, on few rows and on enough for the index to have its say.
"""

from __future__ import annotations

from typing import Any

import pytest
from fliplet_api import DataSources

PEOPLE = [
    {"Name": "Anna", "Age": 30, "City": "Berlin", "Tags": ["a", "b"], "Boss": None},
    {"Name": "Bert", "Age": "9", "City": "Paris", "Boss": {"Name": "Anna"}},
    {"Name": "Cleo", "Age": 100, "City": "Berlin", "Tags": ["b"], "Boss": {"Name": "Bert"}},
    {"Name": "Dora", "City": "Rome"},
]


@pytest.fixture
def api(server: Any) -> DataSources:
    return DataSources(server)


@pytest.fixture(params=[4, 200])
def people(request: pytest.FixtureRequest, api: DataSources) -> int:
    source = api.create("People", columns=["Name", "Age", "City", "Tags", "Boss", "Filler"])
    api.fill(source, [*PEOPLE, *({"Filler": number} for number in range(request.param - len(PEOPLE)))])
    return source


def names(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["data"].get("Name") for row in rows]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"City": "Berlin"}, ["Anna", "Cleo"]),
        ({"Age": {"$gte": 30}}, ["Anna", "Cleo"]),
        ({"Age": {"$lt": 10}}, ["Bert"]),
        ({"Tags": "a"}, ["Anna"]),
        ({"Boss.Name": "Anna"}, ["Bert"]),
        ({"Name": {"$in": ["Anna", "Dora"]}}, ["Anna", "Dora"]),
        ({"$or": [{"Name": "Bert"}, {"Age": 100}]}, ["Bert", "Cleo"]),
        ({"Name": {"$iLike": "R"}}, ["Bert", "Dora"]),
        ({"Name": {"$regex": "^[A-B]"}}, ["Anna", "Bert"]),
        ({"Name": {"$exists": True}, "Age": {"$exists": False}}, ["Dora"]),
        ({"$filters": [{"column": "City", "condition": "==", "value": "berlin"}]}, ["Anna", "Cleo"]),
        ({"$filters": [{"column": "Age", "condition": "between", "value": {"from": 9, "to": 30}}]},
            ["Anna", "Bert"]),
        ({"Name": "nobody"}, []),
    ],
)  # fmt: skip
def test_filters(api: DataSources, people: int, where: Any, found: list[str]) -> None:
    assert names(api.query(people, where=where)) == found
    assert names(api.query(people, type="select", where=where)) == found


def test_filters_on_the_row_itself(api: DataSources, people: int) -> None:
    row = api.rows(people)[1]
    assert names(api.query(people, id=row["id"])) == ["Bert"]
    assert names(api.query(people, dataSourceEntryId={"$in": [row["id"]]})) == ["Bert"]
    assert api.query(people, createdAt={"$gt": row["createdAt"]}) == []
    assert len(api.query(people, updatedAt={"$gte": row["createdAt"]})) == len(api.rows(people))
    assert api.query(people, where={"id": row["id"]}) == []


def test_order(api: DataSources, people: int) -> None:
    asked = {"where": {"Name": {"$exists": True}}}
    assert names(api.query(people, **asked)) == ["Anna", "Bert", "Cleo", "Dora"]
    assert names(api.query(people, **asked, order=[["data.Age", "ASC"]])) == ["Bert", "Anna", "Cleo", "Dora"]
    assert names(api.query(people, **asked, order=[["data.Name", "desc"]])) == [
        "Dora",
        "Cleo",
        "Bert",
        "Anna",
    ]
    by_two = [["data.City", "ASC"], ["id", "DESC"]]
    assert names(api.query(people, **asked, order=by_two)) == ["Cleo", "Anna", "Bert", "Dora"]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["createdAt", "DESC"], "Invalid order column name: c"),
        ([["Name", "ASC"]], "Invalid order column name: Name"),
        ([["data.Na'me", "ASC"]], "Invalid order column name: data.Na'me"),
        ([["data.Nothing", "ASC"]], "Column 'Nothing' does not exists"),
    ],
)
def test_orders_that_are_refused(api: DataSources, people: int, order: Any, message: str) -> None:
    answer = api.post(f"/data-sources/{people}/data/query", {"order": order})
    assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_limit_offset_and_pagination(api: DataSources, people: int) -> None:
    asked = {"where": {"Name": {"$exists": True}}}
    assert names(api.query(people, **asked, limit=2)) == ["Anna", "Bert"]
    assert names(api.query(people, **asked, limit=2, offset=3)) == ["Dora"]
    assert names(api.query(people, **asked, limit=0, offset=1)) == ["Bert", "Cleo", "Dora"]
    assert api.query(people, **asked, offset=10**9) == []
    body = {**asked, "limit": 1, "offset": 2, "includePagination": True}
    answer = api.post(f"/data-sources/{people}/data/query", body).json()
    assert (set(answer), names(answer["entries"])) == ({"entries", "pagination"}, ["Cleo"])
    assert answer["pagination"] == {"total": 4, "limit": 1, "offset": 2}
    counted = api.post(f"/data-sources/{people}/data/query", {**asked, "countOnly": True}).json()
    assert counted == {"count": 4, "dataSourceId": people}


def test_attributes_and_distinct(api: DataSources, people: int) -> None:
    asked = {"where": {"Name": {"$exists": True}}}
    rows = api.query(people, **asked, attributes=["Name", "data.City"])
    assert rows[0]["data"] == {"Name": "Anna", "City": "Berlin"}
    assert set(rows[0]) == {"id", "data", "createdAt", "updatedAt", "dataSourceId"}
    assert [row["data"] for row in api.query(people, **asked, attributes=[])] == [{}] * 4
    assert names(api.query(people, **asked, distinct="City")) == ["Anna", "Bert", "Dora"]


def test_joins(api: DataSources, people: int) -> None:
    cities = api.create("Cities")
    api.fill(
        cities, [{"City": "Berlin", "Size": 3}, {"City": "Berlin", "Size": "4"}, {"City": "Rome", "Size": 1}]
    )
    asked = {"where": {"Name": {"$exists": True}}}

    def joined(**options: Any) -> list[dict[str, Any]]:
        join = {"C": {"dataSourceId": cities, "on": {"data.City": "data.City"}, **options}}
        return api.query(people, **asked, join=join)

    found = joined()
    assert [len(row["joins"]["C"]) for row in found] == [2, 0, 2, 1]
    assert found[3]["joins"]["C"][0]["data"] == {"City": "Rome", "Size": 1}
    assert [row["joins"]["C"] for row in joined(has=True)] == [True, False, True, True]
    assert [row["joins"]["C"] for row in joined(count=True)] == [2, 0, 2, 1]
    assert [row["joins"]["C"] for row in joined(sum="Size")] == [7, 0, 7, 1]
    assert names(joined(required=True)) == ["Anna", "Cleo", "Dora"]
    limited = joined(limit=1, order=["data.Size", "DESC"], attributes=["Size"])
    assert limited[0]["joins"]["C"][0]["data"] == {"Size": "4"}
    assert [len(row["joins"]["C"]) for row in joined(where={"Size": 3})] == [1, 0, 1, 0]
    outer = api.query(people, **asked, join={"C": {"dataSourceName": "Cities"}})
    assert len(outer) == 7
    missing = api.post(f"/data-sources/{people}/data/query", {"join": {"C": {"dataSourceId": 999, "on": {}}}})
    assert missing.status_code == 404


def test_aggregates(api: DataSources, people: int) -> None:
    pipeline = [
        {"$match": {"data.City": {"$exists": True}}},
        {"$group": {"_id": "$data.City", "count": {"$sum": 1},
                    "age": {"$avg": {"$convertToNumber": "$data.Age"}}}},
        {"$sort": {"count": -1, "_id": 1}},
        {"$limit": 2},
    ]  # fmt: skip
    assert api.query(people, aggregate=pipeline) == [
        {"_id": "Berlin", "count": 2, "age": 65}, {"_id": "Paris", "count": 1, "age": 9},
    ]  # fmt: skip
    counted = api.query(people, where={"City": "Berlin"}, aggregate=[{"$count": "n"}])
    assert counted == [{"n": 2}]


def test_aggregates_run_over_the_page_that_is_asked_for(api: DataSources, people: int) -> None:
    total = len(api.rows(people))
    count = {"$group": {"_id": "$data.City", "n": {"$count": {}}}}
    by_city = api.query(people, aggregate=[count])
    assert by_city[0] == {"_id": "Berlin", "n": 2}
    assert sum(group["n"] for group in by_city) == total
    first_two = [{"_id": "Berlin", "n": 1}, {"_id": "Paris", "n": 1}]
    assert api.query(people, aggregate=[count], limit=2) == first_two
    assert api.query(people, aggregate=[count], where={"Name": "Cleo"}) == [{"_id": "Berlin", "n": 1}]
    rest = {"Name": {"$exists": True}}
    assert api.query(people, aggregate=[{"$count": "n"}], where=rest, offset=1) == [{"n": 3}]
    newest = api.query(people, order=[["data.Name", "DESC"]], where=rest, aggregate=[{"$limit": 1}])
    assert newest == [{**api.query(people, where={"Name": "Dora"})[0], "deletedAt": None, "order": 3}]


def test_the_total_beside_an_aggregate_is_that_of_the_rows(api: DataSources, people: int) -> None:
    body = {
        "where": {"City": "Berlin"},
        "aggregate": [{"$match": {"data.Name": "Anna"}}, {"$count": "n"}],
        "includePagination": True,
    }
    answer = api.post(f"/data-sources/{people}/data/query", body).json()
    assert answer == {"entries": [{"n": 1}], "pagination": {"total": 2}}


def test_views(api: DataSources, people: int) -> None:
    views = [
        {"name": "berlin", "filter": {"City": "Berlin"}},
        {"name": "mine", "filter": {"Name": "user.Name"}},
    ]
    api.put(f"/data-sources/{people}", {"definition": {"views": views}})
    assert names(api.query(people, views=["berlin"])) == ["Anna", "Cleo"]
    assert names(api.query(people, views=["berlin"], where={"Age": 100})) == ["Cleo"]
    assert api.query(people, view="mine") == []
    assert len(api.query(people, views=["unknown"])) == len(api.rows(people))


def test_queries_that_write(api: DataSources, people: int) -> None:
    total = len(api.rows(people))
    updated = api.query(people, type="update", where={"City": "Berlin"}, data={"City": "Bonn", "New": [1]})
    assert names(updated) == ["Anna", "Cleo"]
    assert updated[0]["data"]["New"] == [1]
    assert updated[0]["data"]["Age"] == 30
    assert names(api.query(people, where={"City": "Bonn"})) == ["Anna", "Cleo"]
    columns = api.get(f"/data-sources/{people}").json()["dataSource"]["columns"]
    assert columns[-1] == "New"
    body = {"type": "delete", "where": {"City": "Bonn"}}
    answer = api.post(f"/data-sources/{people}/data/query", body).json()
    assert answer == {"entries": [], "deleted": [row["id"] for row in updated], "deletedCount": 2}
    assert len(api.rows(people)) == total - 2


def test_a_query_by_get_reads_all_rows(api: DataSources, people: int) -> None:
    answer = api.get(f"/data-sources/{people}/data/query?appId=1")
    assert answer.json()["entries"] == api.rows(people)


def test_indexes(api: DataSources, people: int) -> None:
    answer = api.get(f"/data-sources/{people}/indexes/City,Boss.Name,Tags,Age")
    assert answer.json() == {
        "indexes": {
            "City": ["Berlin", "Paris", "Rome"],
            "Boss.Name": ["Anna", "Bert"],
            "Tags": ["a", "b"],
            "Age": ["100", "30", "9"],
        }
    }
    assert api.get(f"/data-sources/{people}/indexes/Nothing").status_code == 400
    assert api.get(f"/data-sources/{people}/indexes/,").status_code == 400
