"""The platform's own kind of client against a real server: npm's `@servicestack/client`, run with node.

The package is installed once, into pytest's cache.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from appenate_api import DataSource, write_source

PACKAGE = "@servicestack/client@2.1.13"

ENVIRONMENT = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
"""With node and npm from the test requirements before those of the machine, if it has any."""

SCRIPT = """
import { JsonServiceClient } from '@servicestack/client'

const { base, path, body } = JSON.parse(process.argv[2])
try {
  const answer = await new JsonServiceClient(base).putToUrl(path, body)
  console.log(JSON.stringify({ answer }))
} catch (error) {
  console.log(JSON.stringify({ refused: error.responseStatus }))
}
"""


@pytest.fixture(scope="session")
def node_folder(pytestconfig: pytest.Config) -> Path:
    """A folder from which node finds the client."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("node")
    with open(folder / "lock", "w") as lock:
        # Tests may run in several processes, and one of them is to install it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules" / "@servicestack" / "client" / "package.json").is_file():
            options = ["--prefix", str(folder), "--no-save", "--no-audit", "--no-fund"]
            command = ["npm", "install", *options, PACKAGE]
            subprocess.run(command, check=True, capture_output=True, timeout=300, env=ENVIRONMENT)
    return folder


@pytest.fixture
def sports(site_dir: Path, serve: Any) -> DataSource:
    write_source(site_dir)
    return DataSource(serve(site_dir))


def run_client(folder: Path, server: DataSource, body: dict[str, Any], query: str = "?format=json") -> Any:
    request = {"base": server.base, "path": f"/api/v2/datasource{query}", "body": body}
    ran = subprocess.run(
        ["node", "--input-type=module", "-", json.dumps(request)],
        input=SCRIPT,
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_client_takes_the_empty_answer_of_a_success(node_folder: Path, sports: DataSource) -> None:
    rows = [["AH", "Air Hockey", "", ""], ["CH", "Chess", "", ""]]
    assert run_client(node_folder, sports, {**sports.who, "Name": "Sports", "Rows": rows}) == {"answer": None}
    assert sports.rows() == rows


def test_the_client_reads_code_and_message_of_a_failure(node_folder: Path, sports: DataSource) -> None:
    assert run_client(node_folder, sports, {"CompanyId": 1}) == {
        "refused": {"errorCode": "ArgumentException", "message": "Missing parameters", "errors": []}
    }
    without_name = {**sports.who, "Name": "Sports", "NewRows": [["AH"]]}
    assert run_client(node_folder, sports, without_name, query="") == {
        "refused": {
            "errorCode": "ArgumentException",
            "message": "NewRows[0]: at least 2 Vals are needed, there are 1",
            "errors": [],
        }
    }
