"""Plugins: what they can do (hook specifications), how they are found, and how they are called.

A plugin is `plugins/<name>/plugin.py` in the site, or an installed package with an entry point in the group
`flatdata`. It marks functions that carry the name of a hook with `hookimpl`:

    from flatdata.plugins import hookimpl

    @hookimpl
    def flatdata_macros():
        return {"fetchWeather": lambda id, options: {"id": id, "weather": "fair"}}

A plugin that fails, at import or in a call, never takes the server or the other plugins with it: it is
logged with its name, and listed in `Plugins.problems` if it could not be loaded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pluggy

from flatdata.errors import FlatdataError
from flatdata.query.tree import Json
from flatdata.store.scan import Problem

PROJECT: Final = "flatdata"
ENTRY_POINT_GROUP: Final = "flatdata"
FILE_NAME: Final = "plugin.py"
SLOW_SECONDS: Final = 1.0
"""A call that takes longer is logged."""

Macro = Callable[[str, Mapping[str, Json]], Json]

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)

_log = logging.getLogger("flatdata.plugins")


# --- the hooks ----------------------------------------------------------------------------------------


@hookspec
def flatdata_macros() -> Mapping[str, Macro]:  # type: ignore[empty-body]
    """Functions for options[method], by name; each is called with the id and the options, and gives JSON."""


@hookspec
def flatdata_change(record: Any) -> None:
    """Called in every worker with each applied record of the change log; it must not write to the site."""


@hookspec(firstresult=True)
def flatdata_geocode(address: str) -> Mapping[str, Json] | None:
    """The place of a text address as {"address", "lat", "lng"}, None to leave it to others."""


@hookspec(firstresult=True)
def flatdata_send_sms(to: str, body: str) -> bool | None:
    """Send a text message; True once it is handed over, None to leave it to others."""


@hookspec(firstresult=True)
def flatdata_send_push(
    app_id: int | None, recipients: Mapping[str, Json], message: Mapping[str, Json]
) -> bool | None:
    """Push {"title", "body"} to the recipients of a hook's filter; True once it is handed over, else None."""


HOOKS: Final = (flatdata_macros, flatdata_change, flatdata_geocode, flatdata_send_sms, flatdata_send_push)
"""Every hook, for documentation and tests."""


class MacroFailed(FlatdataError):
    """A macro raised; what it raised is the cause, and was logged.

    Args:
        name: of the macro.
        plugin: whose macro it is.
    """

    def __init__(self, name: str, plugin: str) -> None:
        super().__init__(f"macro {name} of the plugin {plugin} failed")
        self.name = name
        self.plugin = plugin


# --- loading and calling ------------------------------------------------------------------------------


class Plugins:
    """The plugins of a site, loaded once, when this is made.

    Threads may share it; nothing changes after loading. Plugins are called on the caller's thread.

    Args:
        root: the site; its plugins are in `plugins/` below it.

    Attributes:
        names: of the plugins that were loaded.
        problems: why others were not, or which of their macros are not.
        macros: by name; a call raises `MacroFailed` where the plugin's function raises.
    """

    def __init__(self, root: Path) -> None:
        self.names: list[str] = []
        self.problems: list[Problem] = []
        self._shown: dict[str, str] = {}
        self._callers: dict[str, list[tuple[str, Callable[..., Any]]]] = {hook.__name__: [] for hook in HOOKS}
        for name, path in _plugin_folders(root / "plugins"):
            self._load(name, f"plugins/{name}/{FILE_NAME}", path, partial(_import_file, path))
        for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            self._load(entry_point.name, f"entry point {entry_point.value}", None, entry_point.load)
        self.macros: Mapping[str, Macro] = dict(self._collect_macros())

    # --- what the server calls --------------------------------------------------------------------------

    def changed(self, record: Any) -> None:
        """Tell every listener of a record of the change log. Never raises."""
        for plugin, call in self._callers["flatdata_change"]:
            self._isolated(plugin, "flatdata_change", call, record=record)

    def geocode(self, address: str) -> Mapping[str, Json] | None:
        """The place of a text address by the first plugin that knows it; None if none does. Never raises."""
        found = self._first("flatdata_geocode", address=address)
        return found if isinstance(found, Mapping) else None

    def send_sms(self, to: str, body: str) -> bool:
        """Hand a text message to the first plugin that takes it; tells whether one did. Never raises."""
        return self._first("flatdata_send_sms", to=to, body=body) is True

    def send_push(
        self, app_id: int | None, recipients: Mapping[str, Json], message: Mapping[str, Json]
    ) -> bool:
        """Hand a push message to the first plugin that takes it; tells whether one did. Never raises."""
        sent = self._first("flatdata_send_push", app_id=app_id, recipients=recipients, message=message)
        return sent is True

    # --- loading ----------------------------------------------------------------------------------------

    def _load(self, name: str, shown: str, path: Path | None, load: Callable[[], Any]) -> None:
        # Each has a manager of its own: a call reaches one plugin, and failing there concerns no other.
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(sys.modules[__name__])
        try:
            plugin = load()
            manager.register(plugin, name)
        except (Exception, SystemExit) as error:  # a plugin may raise anything, and must not stop the server
            self._report(shown, f"not loaded: {_in_one_line(error)}", _line_of(error, path))
            return
        callers = manager.get_hookcallers(plugin) or []
        if unknown := sorted(caller.name for caller in callers if not caller.has_spec()):
            self._report(shown, f"not loaded: no such hook: {', '.join(unknown)}")
        elif name in self._shown:
            self._report(shown, f"not loaded: {self._shown[name]} has the name {name} already")
        else:
            self.names.append(name)
            self._shown[name] = shown
            for caller in callers:
                self._callers[caller.name].append((name, caller))

    def _report(self, shown: str, reason: str, line: int | None = None) -> None:
        _log.warning("plugin %s: %s", shown, reason)
        self.problems.append(Problem(shown, reason, line))

    def _collect_macros(self) -> Iterator[tuple[str, Macro]]:
        owners: dict[str, str] = {}
        for plugin, call in self._callers["flatdata_macros"]:
            results = self._isolated(plugin, "flatdata_macros", call)
            given = results[0] if results else None
            if not isinstance(given, Mapping):
                self._report(self._shown[plugin], "flatdata_macros did not give a mapping")
                continue
            for name, function in given.items():
                if not isinstance(name, str) or not callable(function) or name == "fetch":
                    self._report(self._shown[plugin], f"{name!r} is no name or function of a macro")
                elif name in owners:
                    self._report(self._shown[plugin], f"the macro {name} is already that of {owners[name]}")
                else:
                    owners[name] = plugin
                    yield name, _guarded(name, plugin, function)

    # --- calling ----------------------------------------------------------------------------------------

    def _first(self, hook: str, **arguments: Any) -> Any:
        for plugin, call in self._callers[hook]:
            if (result := self._isolated(plugin, hook, call, **arguments)) is not None:
                return result
        return None

    def _isolated(self, plugin: str, hook: str, call: Callable[..., Any], **arguments: Any) -> Any:
        started = time.monotonic()
        try:
            return call(**arguments)
        except Exception:  # a plugin may raise anything
            _log.exception("plugin %s failed in %s", plugin, hook)
            return None
        finally:
            _log_slow(plugin, hook, started)


def _guarded(name: str, plugin: str, function: Macro) -> Macro:
    def macro(id: str, options: Mapping[str, Json]) -> Json:
        started = time.monotonic()
        try:
            return function(id, options)
        except Exception as error:  # a plugin may raise anything
            _log.exception("plugin %s failed in the macro %s", plugin, name)
            raise MacroFailed(name, plugin) from error
        finally:
            _log_slow(plugin, f"the macro {name}", started)

    return macro


def _log_slow(plugin: str, what: str, started: float) -> None:
    if (seconds := time.monotonic() - started) > SLOW_SECONDS:
        _log.warning("plugin %s took %.1f s in %s", plugin, seconds, what)


# --- files ----------------------------------------------------------------------------------------------


def _plugin_folders(folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        names = sorted(item.name for item in folder.iterdir() if item.is_dir())
    except OSError:
        return
    for name in names:
        if not name.startswith((".", "__")):
            yield name, folder / name / FILE_NAME


def _import_file(path: Path) -> Any:
    """The module of a plugin's file, under a name of its own; it may import what is beside it (`from .x`)."""
    place = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = f"flatdata_plugin_{place}"
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no {FILE_NAME}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and relative imports look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _in_one_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}"
    return " ".join(f"{type(error).__name__}: {error}".split())


def _line_of(error: BaseException, path: Path | None) -> int | None:
    """The line of the plugin's file that an error came from."""
    if path is None:
        return None
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return lines[-1] if lines else None
