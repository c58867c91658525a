"""Every command of the README runs on the sample site as written, and prints what the README says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from conftest import Server

REPOSITORY = Path(__file__).parent.parent
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
VARIABLES = {
    "ENTRIES_TOKEN": "entries",
    "ACCESS_TOKEN": "access",
    "DATA_SOURCES_TOKEN": "data-sources",
    "THINGS_TOKEN": "things",
    "DATASOURCE_TOKEN": "datasource",
}


def _steps() -> list[tuple[str, str]]:
    """The commands of the README, each with what it prints."""
    steps: list[tuple[str, str]] = []
    for block in CONSOLE.findall((REPOSITORY / "README.md").read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], ""))
            else:
                command, printed = steps[-1]
                steps[-1] = (command, printed + line + "\n")
    return steps


def test_every_command_prints_what_the_readme_says(site_dir: Path, serve: Callable[..., Server]) -> None:
    for folder in ("content", "plugins"):
        shutil.rmtree(site_dir / folder)
        shutil.copytree(REPOSITORY / folder, site_dir / folder)
    shutil.copy(REPOSITORY / "flatdata.yaml", site_dir)
    server = serve(site_dir)
    exports = "".join(f"export {name}={server.tokens[kind]}\n" for name, kind in VARIABLES.items())
    (site_dir / ".flatdata" / "development-tokens.env").write_text(exports, encoding="utf-8")
    environment = {**os.environ, **{name: server.tokens[kind] for name, kind in VARIABLES.items()}}
    steps = _steps()
    assert len(steps) > 12
    for command, expected in steps:
        asked = command.replace("http://127.0.0.1:8000", server.url)
        done = subprocess.run(
            ["bash", "-c", asked], cwd=site_dir, env=environment, capture_output=True, text=True, timeout=60
        )
        pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
        assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), (command, done.stdout, done.stderr)
