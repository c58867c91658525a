"""What a large import takes in memory while it is written: a fixed number of times what it says."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import msgspec
from werkzeug.test import Client

from flatdata.access.tokens import Tokens
from flatdata.app import create_app
from flatdata.settings import load_settings
from flatdata.site import Site
from flatdata.store.changes import Put

ROWS = 1_000


def test_an_import_holds_its_rows_once_until_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    (tmp_path / ".flatdata").mkdir()
    tokens = Tokens(tmp_path, tmp_path / ".flatdata")
    headers = {"Auth-token": tokens.create("data-sources", admin=True, organization_id=1)}
    tokens.close()
    rows = [{f"column {place}": number for place in range(30)} for number in range(ROWS)]
    body = msgspec.json.encode({"append": True, "entries": rows})
    with Site.open(tmp_path, load_settings(tmp_path, {}, {}), "inline") as site:
        client = Client(create_app(site, None))
        manifest = {"id": 1, "name": "s", "organization_id": 1, "columns": list(rows[0])}
        site.store.commit(lambda view: ([Put("s/manifest", manifest)], None), origin="test")

        def write() -> None:
            answer = client.post("/v1/data-sources/1/data", data=body, headers=headers)
            assert answer.status_code in (200, 201), answer.text

        write()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            write()
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    # A mapping of thirty columns takes 1.2 KB; its JSON 0.45, as an image, as a record and as a body.
    assert peak / ROWS < 5_400
