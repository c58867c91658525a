"""A source filled to its limit: 10,000 rows replaced, 40,000 more added in chunks, one more refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from appenate_api import DataSource, expected_failure, write_source

FIRST, ALL, CHUNK = 10_000, 50_000, 1_500
FLIPLET_TIMEOUT = 120


@pytest.fixture
def sports(site_dir: Path, serve: Any) -> tuple[DataSource, Any]:
    write_source(site_dir, columns=("Code", "Sport"))
    server = serve(site_dir)
    return DataSource(server), server


def test_fifty_thousand_rows_and_not_one_more(sports: tuple[DataSource, Any]) -> None:
    api, server = sports
    # Keys that sort otherwise than the rows do: order must come from the requests.
    rows = [[f"k{number * 7_919 % ALL}", f"row {number}"] for number in range(ALL)]
    assert api.put(Rows=rows[:FIRST]).status_code == 200
    for start in range(FIRST, ALL, CHUNK):
        assert api.put(NewRows=rows[start : start + CHUNK]).status_code == 200
    assert api.rows() == rows

    before = server.site.store.state.seq
    refused = api.put(NewRows=[["k0", "changed"], ["one more", "x"]])
    message = "The data source would have 50001 rows, the limit is 50000"
    assert (refused.status_code, refused.json()) == (400, expected_failure(message))
    assert server.site.store.state.seq == before
    assert api.rows() == rows

    assert api.put(DeletedRows=[row[:1] for row in rows[:500]]).status_code == 200
    assert api.put(NewRows=[["k0", "changed"], ["one more", "x"]]).status_code == 200
    assert api.get().json()["DataSource"]["TotalRows"] == ALL - 500 + 2
    expected = [*rows[500:], ["k0", "changed"], ["one more", "x"]]
    assert api.rows() == expected
    assert through_fliplet(server) == expected


def through_fliplet(server: Any) -> list[list[str]]:
    """The rows as the Fliplet dialect lists them."""
    response = requests.get(
        f"{server.url}/v1/data-sources/3/data",
        headers={"Auth-token": server.tokens["data-sources"]},
        timeout=FLIPLET_TIMEOUT,
    )
    assert response.status_code == 200
    return [[entry["data"]["Code"], entry["data"]["Sport"]] for entry in response.json()["entries"]]
