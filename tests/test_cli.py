"""The command line, run as people and scripts run it: a process, its output, its exit code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import requests
from conftest import eventually, free_port

from flatdata import __version__
from flatdata.access.tokens import Tokens
from flatdata.cli import flatdata_commands
from flatdata.cli.development import development_tokens, examples
from flatdata.cli.documentation import commands_page, help_texts
from flatdata.settings import Settings
from flatdata.store.codec import load_yaml

DOCS = Path(__file__).parent.parent / "docs"
HELP_TEXTS = dict(help_texts(flatdata_commands, "flatdata"))

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `flatdata` with these words in an empty directory; `env` adds to the environment."""
    (tmp_path / "here").mkdir()

    def run(*words: str, cwd: Path = tmp_path / "here", **env: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("FLATDATA_")}
        return subprocess.run(
            [sys.executable, "-m", "flatdata", *words],
            cwd=cwd,
            env={**inherited, "COLUMNS": "100", **env},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def site(tmp_path: Path, run: Run) -> Path:
    """A new site, as `flatdata init` makes it."""
    root = tmp_path / "a site"
    assert run("init", str(root)).returncode == 0
    return root


def assert_failed(result: subprocess.CompletedProcess[str], status: int, words: str) -> None:
    """One line that says why, no trace, nothing on the output."""
    assert result.returncode == status
    assert result.stdout == ""
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1, result.stderr
    assert words in result.stderr


# --- help ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", HELP_TEXTS)
def test_every_command_explains_itself(run: Run, path: str) -> None:
    result = run(*path.split()[1:], "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip() == HELP_TEXTS[path].strip()
    assert re.search(r"\n\n  [A-Z][^\n]+", result.stdout)


def test_the_page_of_commands_is_up_to_date() -> None:
    # To write it anew: make docs
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == commands_page()


@pytest.mark.parametrize("words", [[], ["token"], ["source"], ["index"]])
def test_a_group_without_a_command_shows_its_help(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


def test_the_version_is_told(run: Run) -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"flatdata {__version__}\n")


# --- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["sevre"], "No such command 'sevre'"),
        (["--no-such-option"], "No such option"),
        (["token", "create"], "Missing argument"),
        (["token", "create", "entry", "--root", "SITE"], "'entry' is not one of 'entries', 'access'"),
        (["token", "create", "entries", "--admin", "--root", "SITE"], "the kind entries takes no --admin"),
        (["token", "create", "things", "--user", "x", "--root", "SITE"], "must be a JSON object"),
        (["token", "create", "things", "--user", "[1]", "--root", "SITE"], "must be a JSON object"),
        (["token", "create", "datasource", "--company-id", "0", "--root", "SITE"], "0 is not in the range"),
        (["serve", "--port", "65536", "--root", "SITE"], "65536 is not in the range"),
        (["serve", "--workers", "none", "--root", "SITE"], "not a valid integer"),
        (["source", "create", " ", "--root", "SITE"], "printable characters"),
        (["source", "create", "x", "--columns", "a,,b", "--root", "SITE"], "columns need names"),
        (["source", "create", "x", "--columns", "a,a", "--root", "SITE"], "columns need names"),
        (["source", "create", "x", "--columns", "_meta", "--root", "SITE"], "no column can be called _meta"),
    ],
)
def test_a_command_that_is_not_understood_says_so_in_one_line(
    run: Run, site: Path, words: list[str], reason: str
) -> None:
    result = run(*(str(site) if word == "SITE" else word for word in words))
    assert_failed(result, 2, reason)
    assert "--help)" in result.stderr


@pytest.mark.parametrize("command", [["serve"], ["check"], ["token", "list"], ["index", "status"]])
def test_a_directory_without_content_is_no_site(run: Run, command: list[str]) -> None:
    assert_failed(run(*command), 2, "it has no content/ (make a site with: flatdata init)")


@pytest.mark.parametrize(
    ("text", "env", "line"),
    [
        ("prot: 1\n", {}, "flatdata: prot: unknown setting; did you mean port?\n"),
        ("a: 1\na: 2\n", {}, "flatdata: flatdata.yaml:2: "),
        ("", {"FLATDATA_PORT": "x"}, "flatdata: FLATDATA_PORT: must be a whole number, not 'x'\n"),
    ],
)
def test_a_setting_that_cannot_be_used_keeps_the_server_from_starting(
    run: Run, site: Path, text: str, env: dict[str, str], line: str
) -> None:
    (site / "flatdata.yaml").write_text(text)
    assert_failed(run("serve", cwd=site, **env), 1, line)


def test_the_site_can_be_named_by_option_variable_or_directory(run: Run, site: Path) -> None:
    assert run("token", "create", "entries", "--root", str(site)).returncode == 0
    assert run("token", "create", "entries", FLATDATA_ROOT=str(site)).returncode == 0
    assert run("token", "create", "entries", cwd=site).returncode == 0
    assert len(run("token", "list", cwd=site).stdout.splitlines()) == 3


# --- init ---------------------------------------------------------------------------------------------


def test_a_new_site_has_no_problems_and_sample_content(run: Run, site: Path) -> None:
    assert (site / "content/plants/tomato/entry.yaml").is_file()
    assert ".flatdata/" in (site / ".gitignore").read_text().splitlines()
    result = run("check", cwd=site)
    assert (result.returncode, result.stdout, result.stderr) == (0, "no problems\n", "")


def test_the_current_directory_becomes_a_site(run: Run, tmp_path: Path) -> None:
    result = run("init")
    assert result.returncode == 0
    assert (tmp_path / "here" / "content").is_dir()
    assert "flatdata serve" in result.stdout


@pytest.mark.parametrize("taken", ["content", "flatdata.yaml"])
def test_a_directory_that_is_a_site_already_is_left_alone(run: Run, tmp_path: Path, taken: str) -> None:
    (tmp_path / "here" / taken).mkdir()
    assert_failed(run("init"), 1, f"{taken} is already there; nothing was written")
    assert [path.name for path in (tmp_path / "here").iterdir()] == [taken]


def test_a_gitignore_that_is_there_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "here" / ".gitignore").write_text("mine\n")
    result = run("init")
    assert result.returncode == 0
    assert "it should name .flatdata/" in result.stderr
    assert (tmp_path / "here" / ".gitignore").read_text() == "mine\n"


def test_a_file_is_no_directory_for_a_site(run: Run, tmp_path: Path) -> None:
    (tmp_path / "here" / "file").write_text("")
    assert_failed(run("init", "file"), 2, "is a file")


# --- tokens -------------------------------------------------------------------------------------------


def test_a_new_token_is_alone_on_the_output_and_works(run: Run, site: Path) -> None:
    user = '{"Email": "a@b.example"}'
    words = ["token", "create", "data-sources", "--title", "agent", "--user", user, "--app-id", "7"]
    result = run(*words, "--limit-calls", "9", cwd=site)
    assert (result.returncode, result.stderr) == (0, "")
    token = Tokens(site, site / ".flatdata").check("data-sources", result.stdout.removesuffix("\n"))
    assert token is not None
    assert (token.title, token.limit_calls, token.user) == ("agent", 9, {"Email": "a@b.example"})
    assert (token.app_id, token.organization_id, token.admin) == (7, 1, False)


def test_tokens_are_listed_without_giving_them_away(run: Run, site: Path) -> None:
    tokens = Tokens(site, site / ".flatdata")
    plain = "0123456789abcdef" * 2
    (site / "tokens/entries" / plain).mkdir(parents=True)
    (site / "tokens/entries" / plain / "token.yaml").write_text('title: "two\\nlines"\nlimit_calls: 5\n')
    made = tokens.create("things", "the app", admin=True)
    result = run("token", "list", cwd=site)
    first, second = result.stdout.splitlines()
    assert re.fullmatch(r"entries +[0-9a-f]{12}  - +0 calls of 5  - +two lines +plain", first)
    digits = sha256(made.encode()).hexdigest()[:12]
    assert re.fullmatch(rf"things +{digits}  enabled  0 calls +\d+  the app +admin", second)
    assert made not in result.stdout
    assert plain not in result.stdout
    assert run("token", "revoke", digits, cwd=site).stdout == f"revoked things {digits} the app\n"
    assert_failed(run("token", "revoke", digits, cwd=site), 1, "no such token")


def test_plain_tokens_are_reported_and_hashed(run: Run, site: Path) -> None:
    plain = "0123456789abcdef" * 2
    folder = site / "tokens/entries" / plain
    folder.mkdir(parents=True)
    (folder / "token.yaml").write_text("state: enabled\nlimit_calls: 0\ncalls: 0\n")
    found = run("check", cwd=site)
    assert found.returncode == 1
    assert "run: flatdata token hash" in found.stdout
    assert plain not in found.stdout
    hashed = sha256(plain.encode()).hexdigest()
    assert run("token", "hash", cwd=site).stdout == f"hashed entries {hashed[:12]}\n"
    assert (folder.with_name(hashed) / "token.yaml").is_file()
    assert run("check", cwd=site).returncode == 0


def test_a_plain_token_whose_hash_is_there_is_left_and_named(run: Run, site: Path) -> None:
    plain = "0123456789abcdef" * 2
    for name in (plain, sha256(plain.encode()).hexdigest()):
        (site / "tokens/entries" / name).mkdir(parents=True)
        (site / "tokens/entries" / name / "token.yaml").write_text("limit_calls: 0\n")
    assert_failed(run("token", "hash", cwd=site), 1, "tokens/entries/0123... stays")


# --- sources ------------------------------------------------------------------------------------------


def test_a_data_source_is_made_for_all_apis(run: Run, site: Path) -> None:
    words = ["source", "create", "Favourite sports", "--columns", "code, sport", "--bubble"]
    result = run(*words, "--external-id", "SPORTS-001", "--company-id", "7", cwd=site)
    assert (result.returncode, result.stderr) == (0, "")
    manifest = load_yaml((site / "content/favourite-sports/manifest.yaml").read_bytes())
    place, appenate = result.stdout.splitlines()
    assert place.startswith(f"made the data source {manifest['id']} (Favourite sports) in content/favourite-")
    assert appenate == f"its Id is {manifest['appenate']['guid']}, its CompanyId 7"
    assert (manifest["name"], manifest["columns"]) == ("Favourite sports", ["code", "sport"])
    assert manifest["id"] not in (None, 1)
    assert manifest["bubble"]["fields"] == {"code": "text", "sport": "text"}
    assert manifest["appenate"]["external_id"] == "SPORTS-001"
    assert run("check", cwd=site).returncode == 0


def test_two_sources_of_one_name_get_places_of_their_own(run: Run, site: Path) -> None:
    for _ in range(2):
        assert run("source", "create", "Twins", cwd=site).returncode == 0
    manifests = [load_yaml(path.read_bytes()) for path in site.glob("content/twins*/manifest.yaml")]
    assert len({manifest["id"] for manifest in manifests}) == 2
    assert all("appenate" not in manifest and "bubble" not in manifest for manifest in manifests)


def test_an_external_id_names_one_source_of_a_company(run: Run, site: Path) -> None:
    assert run("source", "create", "One", "--external-id", "X", cwd=site).returncode == 0
    assert_failed(run("source", "create", "Two", "--external-id", "X", cwd=site), 1, "has the ExternalId X")
    other = run("source", "create", "Three", "--external-id", "X", "--company-id", "2", cwd=site)
    assert other.returncode == 0
    assert not (site / "content/two").exists()


# --- check --------------------------------------------------------------------------------------------


def test_every_kind_of_problem_is_found_with_its_place(run: Run, site: Path) -> None:
    (site / "content/plants/broken").mkdir()
    (site / "content/plants/broken/entry.yaml").write_text("title: a\ntags: [\n")
    (site / "content/plants/tomato.yaml").write_text("title: the other tomato\n")
    (site / "content/beds/manifest.yaml").write_text("id: one\nname: Beds\n")
    (site / "content/tools").mkdir()
    (site / "content/tools/manifest.yaml").write_text(
        "id: 77\nname: Tools\nbubble:\n  exposed: true\n  fields: {a: nonsense}\n"
        'appenate: {guid: none, company_id: 1, display_at: {"a\\nb": Left}}\n'
        "hooks:\n- {type: web, runOn: insert, payload: {}}\n"
        "access_rules:\n- {type: read, allow: all}\n"
    )
    (site / "plugins/bad").mkdir(parents=True)
    (site / "plugins/bad/plugin.py").write_text("\nimport no_such_module\n")
    (site / "tokens/entries" / ("b" * 64)).mkdir(parents=True)
    (site / "flatdata.yaml").write_text("port: 1\npord: 2\n")
    result = run("check", cwd=site)
    assert (result.returncode, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert lines == sorted(lines)
    for start in (
        "content/beds/manifest.yaml: id must be a positive integer",
        "content/plants/broken/entry.yaml:",
        "content/tools/manifest.yaml: bubble.fields",
        "content/tools/manifest.yaml: appenate.guid must be a GUID, not 'none'",
        "content/tools/manifest.yaml: appenate.display_at.a\\nb must be one of Title",
        "content/tools/manifest.yaml: hooks[0].runOn must be a list of texts",
        "content/tools/manifest.yaml: access_rules[0].type names 'read', which is none of select, count",
        "content/plants/tomato",
        "flatdata.yaml: pord: unknown setting",
        "plugins/bad/plugin.py:2: not loaded: ModuleNotFoundError",
        f"tokens/entries/{'b' * 64}/token.yaml: missing",
    ):
        assert any(line.startswith(start) for line in lines), (start, lines)


# --- index --------------------------------------------------------------------------------------------


def test_the_index_can_be_looked_at_and_made_again(run: Run, site: Path) -> None:
    rebuilt = run("index", "rebuild", cwd=site)
    assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
    status = run("index", "status", cwd=site)
    facts = dict(line.split(maxsplit=1) for line in status.stdout.splitlines())
    assert facts["keeper"] == "none"
    assert facts["files"] == "9 of 9"
    assert facts["problems"] == "0"


# --- development tokens -------------------------------------------------------------------------------


def test_development_tokens_are_made_once_and_kept_where_only_the_owner_reads(site: Path) -> None:
    made = development_tokens(site)
    path = site / ".flatdata" / "development-tokens.env"
    assert path.stat().st_mode & 0o777 == 0o600
    assert development_tokens(site) == made
    tokens = Tokens(site, site / ".flatdata")
    kinds = [tokens.check(kind, made[name]) for kind, name in (
        ("entries", "ENTRIES_TOKEN"),
        ("access", "ACCESS_TOKEN"),
        ("data-sources", "DATA_SOURCES_TOKEN"),
        ("things", "THINGS_TOKEN"),
        ("datasource", "DATASOURCE_TOKEN"),
    )]  # fmt: skip
    assert [token is not None and token.admin for token in kinds] == [False, False, True, True, False]
    sourced = subprocess.run(
        ["sh", "-c", f". '{path}' && echo $ENTRIES_TOKEN"], capture_output=True, text=True, check=True
    )
    assert sourced.stdout == made["ENTRIES_TOKEN"] + "\n"


def test_what_a_developer_is_told_can_be_pasted(site: Path) -> None:
    made = development_tokens(site)
    told = examples(site, Settings(host="0.0.0.0", port=8123), made)
    url = f"http://127.0.0.1:8123/api/entries?id=beds&token={made['ENTRIES_TOKEN']}"
    assert f"curl '{url}'" in told or f"curl '{url.replace('beds', 'plants')}'" in told
    assert all(token in told for token in made.values())
    assert ".flatdata/development-tokens.env" in told


@pytest.fixture
def serve_for_development(site: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`flatdata serve --dev-tokens` on a new site, and its address."""
    port = free_port()
    command = [sys.executable, "-m", "flatdata", "serve", "--dev-tokens", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=site, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        yield server, f"http://127.0.0.1:{port}"
        server.kill()


def is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def test_a_developer_can_serve_paste_and_stop(
    site: Path, serve_for_development: tuple[subprocess.Popen[str], str]
) -> None:
    server, url = serve_for_development
    assert server.stdout is not None
    told = next(line for line in server.stdout if line.strip().startswith("curl"))
    eventually(lambda: is_up(url))
    answer = requests.get(shlex.split(told)[1], timeout=30)
    assert answer.status_code == 200
    assert "title" in answer.json()["data"]
    server.terminate()
    _, log = server.communicate(timeout=30)
    assert server.returncode == 0
    for token in development_tokens(site).values():
        assert token not in log


def test_a_site_with_tokens_of_its_own_gets_none_for_development(site: Path) -> None:
    Tokens(site, site / ".flatdata").create("entries")
    assert development_tokens(site) == {}
    assert "flatdata token create entries" in examples(site, Settings(), {})
    assert len(list(site.glob("tokens/*/*"))) == 1


def test_a_revoked_development_token_is_not_shown(site: Path) -> None:
    made = development_tokens(site)
    Tokens(site, site / ".flatdata").revoke(made["THINGS_TOKEN"])
    assert "THINGS_TOKEN" not in development_tokens(site)
