"""Plugins: what is loaded, what is passed over, and what a plugin that misbehaves cannot do."""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from flatdata import plugins as plugins_module
from flatdata.cli.documentation import plugins_page
from flatdata.plugins import HOOKS, MacroFailed, Plugins, hookimpl

ROOT = Path(__file__).parent.parent

MACRO = """
from flatdata.plugins import hookimpl

@hookimpl
def flatdata_macros():
    return {"NAME": lambda id, options: {"id": id, "options": options, "from": __name__}}
"""


def write_plugin(root: Path, name: str, text: str, file: str = "plugin.py") -> Path:
    path = root / "plugins" / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_site_needs_no_plugins(tmp_path: Path) -> None:
    plugins = Plugins(tmp_path)
    assert (plugins.names, plugins.problems, dict(plugins.macros)) == ([], [], {})
    assert plugins.geocode("Delft") is None
    assert not plugins.send_sms("+31", "hello")
    assert not plugins.send_push(None, {}, {})
    plugins.changed(object())


def test_a_macro_is_called_with_the_id_and_the_options(tmp_path: Path) -> None:
    write_plugin(tmp_path, "my-plugin", MACRO.replace("NAME", "fetchIt"))
    macro = Plugins(tmp_path).macros["fetchIt"]
    answer = macro("movies", {"filter": {"limit": "1"}})
    assert answer["id"] == "movies"
    assert answer["options"] == {"filter": {"limit": "1"}}


def test_plugins_of_one_name_in_two_sites_are_kept_apart(tmp_path: Path) -> None:
    for site in ("a", "b"):
        write_plugin(tmp_path / site, "same", MACRO.replace("NAME", f"fetch_{site}"))
    first, second = Plugins(tmp_path / "a"), Plugins(tmp_path / "b")
    assert (list(first.macros), list(second.macros)) == (["fetch_a"], ["fetch_b"])
    assert first.macros["fetch_a"]("", {})["from"] != second.macros["fetch_b"]("", {})["from"]


def test_a_plugin_imports_what_lies_beside_it(tmp_path: Path) -> None:
    write_plugin(tmp_path, "p", "WORD = 'beside'", "words.py")
    write_plugin(tmp_path, "p", "from .words import WORD\n" + MACRO.replace("NAME", "fetchWord"))
    plugins = Plugins(tmp_path)
    assert plugins.problems == []
    assert list(plugins.macros) == ["fetchWord"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("\nraise RuntimeError('no\\nway')", 2, "RuntimeError: no way"),
        ("x = 1\nimport no_such_module_at_all", 2, "ModuleNotFoundError"),
        ("def f(:\n", 1, "SyntaxError"),
        ("import sys\nsys.exit(3)", 2, "SystemExit"),
        ("class Odd(Exception): pass\nraise Odd", 2, "Odd"),
        (MACRO.replace("flatdata_macros", "flatdata_makros"), None, "no such hook: flatdata_makros"),
        (MACRO.replace("flatdata_macros()", "flatdata_macros(surprise)"), None, "surprise"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_reported_and_passed_over(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    write_plugin(tmp_path, "bad", text)
    write_plugin(tmp_path, "good", MACRO.replace("NAME", "fetchIt"))
    modules = {name for name in sys.modules if name.startswith("flatdata_plugin_")}
    plugins = Plugins(tmp_path)
    assert plugins.names == ["good"]
    [problem] = plugins.problems
    assert (problem.path, problem.line) == ("plugins/bad/plugin.py", line)
    assert words in problem.reason
    assert "\n" not in problem.reason
    assert list(plugins.macros) == ["fetchIt"]
    assert len({name for name in sys.modules if name.startswith("flatdata_plugin_")} - modules) <= 2


def test_a_folder_without_a_plugin_is_reported_and_hidden_ones_are_not_looked_at(tmp_path: Path) -> None:
    for name in ("empty", ".git", "__pycache__"):
        (tmp_path / "plugins" / name).mkdir(parents=True)
    (tmp_path / "plugins" / "README.md").write_text("about plugins")
    [problem] = Plugins(tmp_path).problems
    assert problem.path == "plugins/empty/plugin.py"
    assert "there is no plugin.py" in problem.reason


@pytest.mark.parametrize(
    "given", ["[]", "5", "None", "1 / 0", "{1: print}", "{'fetchX': 'text'}", "{'fetch': print}"]
)
def test_what_is_no_macro_is_reported(tmp_path: Path, given: str) -> None:
    text = f"from flatdata.plugins import hookimpl\n\n@hookimpl\ndef flatdata_macros():\n    return {given}\n"
    write_plugin(tmp_path, "odd", text)
    plugins = Plugins(tmp_path)
    assert dict(plugins.macros) == {}
    assert [problem.path for problem in plugins.problems] == ["plugins/odd/plugin.py"]


def test_of_two_macros_of_one_name_the_first_stays(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_plugin(tmp_path, name, MACRO.replace("NAME", "fetchIt").replace("__name__", f"{name!r}"))
    plugins = Plugins(tmp_path)
    assert plugins.macros["fetchIt"]("", {})["from"] == "a"
    [problem] = plugins.problems
    assert (problem.path, problem.reason) == (
        "plugins/b/plugin.py",
        "the macro fetchIt is already that of a",
    )


def test_a_macro_that_raises_is_named_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_plugin(tmp_path, "p", MACRO.replace("NAME", "fetchIt").replace('{"id": id,', '{"id": 1 / 0,'))
    with pytest.raises(MacroFailed) as caught:
        Plugins(tmp_path).macros["fetchIt"]("a", {})
    assert (caught.value.name, caught.value.plugin) == ("fetchIt", "p")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "plugin p failed in the macro fetchIt" in caplog.text


# --- plugins that are installed, and what they listen to ----------------------------------------------


def install(monkeypatch: pytest.MonkeyPatch, **installed: Any) -> None:
    """Pretend that packages with these entry points are installed."""

    class EntryPoint:
        def __init__(self, name: str, plugin: Any) -> None:
            self.name = name
            self.value = f"{name}_package"
            self._plugin = plugin

        def load(self) -> Any:
            if isinstance(self._plugin, Exception):
                raise self._plugin
            return self._plugin

    def entry_points(*, group: str) -> list[EntryPoint]:
        assert group == "flatdata"
        return [EntryPoint(name, plugin) for name, plugin in installed.items()]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def plugin_with(**hooks: Any) -> Any:
    plugin = types.SimpleNamespace()
    for name, function in hooks.items():
        setattr(plugin, name, hookimpl(function))
    return plugin


def test_installed_plugins_are_loaded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plugin(tmp_path, "own", MACRO.replace("NAME", "fetchOwn"))
    install(
        monkeypatch,
        installed=plugin_with(flatdata_macros=lambda: {"fetchInstalled": lambda id, options: 1}),
        broken=ImportError("it needs another package"),
        own=plugin_with(flatdata_macros=lambda: {}),
    )
    plugins = Plugins(tmp_path)
    assert plugins.names == ["own", "installed"]
    assert sorted(plugins.macros) == ["fetchInstalled", "fetchOwn"]
    assert [problem.path for problem in plugins.problems] == [
        "entry point broken_package",
        "entry point own_package",
    ]


def test_every_listener_hears_of_a_change_whatever_the_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []

    def fail(record: Any) -> None:
        raise ValueError(record)

    install(
        monkeypatch,
        first=plugin_with(flatdata_change=lambda record: heard.append(("first", record))),
        failing=plugin_with(flatdata_change=fail),
        deaf=plugin_with(flatdata_change=lambda: heard.append(("deaf", None))),
    )
    Plugins(tmp_path).changed("record 1")
    assert heard == [("first", "record 1"), ("deaf", None)]
    assert "plugin failing failed in flatdata_change" in caplog.text


def test_the_first_plugin_that_knows_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise OSError("no network")

    place = {"address": "Delft", "lat": 52.01, "lng": 4.36}
    install(
        monkeypatch,
        failing=plugin_with(flatdata_geocode=lambda address: 1 / 0),
        ignorant=plugin_with(flatdata_geocode=lambda address: None),
        knowing=plugin_with(
            flatdata_geocode=lambda address: place if address == "Delft" else None,
            flatdata_send_sms=lambda to, body: True,
            flatdata_send_push=lambda app_id, recipients, message: "maybe",
        ),
        late=plugin_with(flatdata_geocode=lambda address: pytest.fail("asked in vain")),
    )
    plugins = Plugins(tmp_path)
    assert plugins.geocode("Delft") == place
    assert plugins.send_sms("+31", "hello") is True
    assert plugins.send_push(1, {}, {}) is False


def test_a_slow_plugin_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = iter(range(0, 1000, 3))
    install(
        monkeypatch,
        slow=plugin_with(
            flatdata_change=lambda record: None,
            flatdata_macros=lambda: {"fetchSlowly": lambda id, options: {}},
        ),
    )
    plugins = Plugins(tmp_path)
    monkeypatch.setattr(plugins_module.time, "monotonic", lambda: next(now))
    with caplog.at_level(logging.WARNING):
        plugins.changed("record")
        plugins.macros["fetchSlowly"]("", {})
    assert "plugin slow took 3.0 s in flatdata_change" in caplog.text
    assert "plugin slow took 3.0 s in the macro fetchSlowly" in caplog.text


# --- documents ----------------------------------------------------------------------------------------


def test_every_hook_is_documented_with_its_signature() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert page == plugins_page()  # to write it anew: make docs
    for hook in HOOKS:
        assert f"{hook.__name__}{inspect.signature(hook)}" in page
        assert "\n" not in (hook.__doc__ or "\n")


def test_all_hooks_are_in_the_table() -> None:
    names = {name for name in vars(plugins_module) if name.startswith("flatdata_")}
    assert names == {hook.__name__ for hook in HOOKS}


def test_the_example_on_the_page_works(tmp_path: Path) -> None:
    [_, example, *_] = plugins_page().split("```python\n")
    write_plugin(tmp_path, "example", example.split("```")[0])
    plugins = Plugins(tmp_path)
    assert plugins.macros["fetchWeather"]("a", {"place": "Delft"}) == {
        "id": "a",
        "weather": "fair",
        "place": "Delft",
    }
