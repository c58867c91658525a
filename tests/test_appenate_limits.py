"""The limits of the Data Source API, each at and one past it, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from appenate_api import (
    DataSource,
    RunningServer,
    expected_failure,
    expected_xml_failure,
    write_source,
    xml_rows,
)


@pytest.fixture
def sports(site_dir: Path, server: RunningServer) -> DataSource:
    return DataSource(server)


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    write_source(root, columns=("Code", "Sport"))
    (root / "tokens").mkdir()
    return root


def many(count: int, value: str = "x") -> list[list[str]]:
    return [[f"k{number}", value] for number in range(count)]


def keys(count: int) -> list[list[str]]:
    return [[f"k{number}"] for number in range(count)]


def test_rows_at_the_limit_and_one_past_it(sports: DataSource) -> None:
    assert sports.put(Rows=many(10_000)).status_code == 200
    assert sports.get().json()["DataSource"]["TotalRows"] == 10_000
    response = sports.put(Rows=many(10_001, "y"))
    message = "Rows: 10001 rows, the limit is 10000 in a request"
    assert (response.status_code, response.json()) == (400, expected_failure(message))
    assert sports.get(ReturnRows="true", PageSize=1).json()["DataSource"]["Rows"] == [["k0", "x"]]


def test_new_rows_at_the_limit_and_one_past_it(sports: DataSource) -> None:
    assert sports.put(NewRows=many(1_500)).status_code == 200
    response = sports.put_xml(xml_rows("NewRows", many(1_501, "y")))
    message = "NewRows: 1501 rows, the limit is 1500 in a request"
    assert (response.status_code, response.text) == (400, expected_xml_failure(message))
    assert sports.rows() == many(1_500)


def test_deleted_rows_at_the_limit_and_one_past_it(sports: DataSource) -> None:
    sports.put(Rows=many(1_100))
    assert sports.put(DeletedRows=keys(500)).status_code == 200
    response = sports.put(DeletedRows=[[f"k{number}"] for number in range(500, 1_001)])
    message = "DeletedRows: 501 rows, the limit is 500 in a request"
    assert (response.status_code, response.json()) == (400, expected_failure(message))
    assert sports.rows() == many(1_100)[500:]


@pytest.mark.settings(appenate={"max_rows": 5})
@pytest.mark.parametrize("collection", ["Rows", "NewRows"])
def test_rows_in_all_at_the_limit_and_one_past_it(sports: DataSource, collection: str) -> None:
    assert sports.put(**{collection: many(5)}).status_code == 200
    response = sports.put(**{collection: [*many(5, "y"), ["more", "z"]]})
    message = "The data source would have 6 rows, the limit is 5"
    assert (response.status_code, response.json()) == (400, expected_failure(message))
    assert sports.rows() == many(5)
    assert sports.put(NewRows=many(5, "y")).status_code == 200
    assert sports.put(NewRows=[["more", "z"]], DeletedRows=[["k0"]]).status_code == 200
    assert sports.rows() == [*many(5, "y")[1:], ["more", "z"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", "b"], ["c"]], "{}[1]: at least 2 Vals are needed, there are 1"),
        ([["a", "b"], []], "{}[1]: at least 2 Vals are needed, there are 0"),
        ([["a", "b", "c"]], "{}[0]: 3 Vals, but there are 2 Headers"),
        ([["", "b"]], "{}[0]: the key (first Val) is empty"),
    ],
)
@pytest.mark.parametrize("collection", ["Rows", "NewRows"])
def test_number_of_values_of_a_row(
    sports: DataSource, collection: str, rows: list[list[str]], message: str
) -> None:
    sports.put(Rows=many(2))
    response = sports.put(**{collection: rows})
    assert (response.status_code, response.json()) == (400, expected_failure(message.format(collection)))
    assert sports.rows() == many(2)


@pytest.mark.parametrize(
    ("headers", "rows", "message"),
    [
        (["A", "B", "C"], [["a", "b"]], "Rows[0]: 2 Vals, but there are 3 Headers"),
        (["A"], [["a", "b"]], "Headers: at least 2 are needed, there is 1"),
        (["A", "A"], [["a", "b"]], "Headers[1]: the name 'A' is that of Headers[0] already"),
        (["A", "_meta"], [["a", "b"]], "Headers[1]: the name _meta is reserved"),
    ],
)
def test_headers_match_the_rows(
    sports: DataSource, headers: list[str], rows: list[list[str]], message: str
) -> None:
    response = sports.put(Headers=[{"Name": name} for name in headers], Rows=rows)
    assert (response.status_code, response.json()) == (400, expected_failure(message))


@pytest.mark.parametrize("row", [[], ["k0", "k1"]])
def test_deleted_rows_have_one_value(sports: DataSource, row: list[str]) -> None:
    sports.put(Rows=many(2))
    response = sports.put(DeletedRows=[row])
    message = f"DeletedRows[0]: exactly 1 Val is needed, there are {len(row)}"
    assert (response.status_code, response.json()) == (400, expected_failure(message))
    assert sports.rows() == many(2)


@pytest.mark.settings(appenate={"max_body_bytes": 2048})
@pytest.mark.parametrize("chunked", [False, True])
def test_body_beyond_the_limit(sports: DataSource, chunked: bool) -> None:
    data: Any = b"<DataSource>" + b" " * 4_000 + b"</DataSource>"
    response = sports.send(iter([data]) if chunked else data)  # type: ignore[arg-type]
    assert (response.status_code, response.text) == (400, expected_xml_failure("The body is too large"))
