"""Flask as every request goes through it, without what no view here uses.

Of a read, two thirds of the time were Flask's and Werkzeug's. What is left out here is looked for each time
and never there: signals nobody receives, hooks nobody registered, sessions. What is kept for later requests
follows from the request line alone: the rule that a path matches, the host that a header names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, request_finished, request_started, request_tearing_down
from flask.ctx import RequestContext
from flask.globals import request_ctx
from flask.sessions import NullSession, SessionInterface
from flask.signals import appcontext_tearing_down
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule
from werkzeug.sansio.utils import get_host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Request

_RULES_KEPT: Final = 1_024
_HOSTS_KEPT: Final = 256
_LONGEST_KEPT: Final = 200
"""Characters of paths and hosts that are kept: clients must not fill the memory with long ones."""
_NO_SESSION: Final = NullSession()

_known_host = lru_cache(_HOSTS_KEPT)(get_host)


def _host_of(request: Request) -> str:
    """The host that a request names, checked for its characters; "" for one that is none."""
    named = request.environ.get("HTTP_HOST")
    look_up = _known_host if len(named or "") <= _LONGEST_KEPT else get_host
    return look_up(request.scheme, named, request.server)


class NoSessions(SessionInterface):
    """No dialect keeps anything in a cookie of its own."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """The empty session of every request."""
        return _NO_SESSION


class Context(RequestContext):
    """The context of one request, which looks its rule up among those that were matched before."""

    app: Application

    def match_request(self) -> None:
        """Find the rule for the request's path and method."""
        request = self.request
        try:
            rule, arguments = self.app.matched(request.path, request.method)
        except HTTPException:
            # Refused in Werkzeug's way, which names the real host where it leads to another path.
            super().match_request()
        else:
            request.url_rule, request.view_args = rule, dict(arguments)

    @property
    def has_followers(self) -> bool:
        """Whether the view asked for something to be done with its answer (`flask.after_this_request`)."""
        return bool(self._after_request_functions)


class Application(Flask):
    """Flask for views and hooks that are plain functions, and rules that depend on path and method alone.

    Hooks that somebody registers are called as ever: then Flask's own way is taken.
    """

    session_interface = NoSessions()

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.url_map.merge_slashes = False
        self._known_match = lru_cache(_RULES_KEPT)(self._match)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself: Flask looks into each at each request, whether it is a coroutine."""
        return func

    def request_context(self, environ: WSGIEnvironment) -> Context:
        """The context of the request that `environ` tells of."""
        return Context(self, environ)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What builds addresses during a request; nothing does outside of one."""
        if request is None:
            return None
        request.host = host = _host_of(request)
        return MapAdapter(
            self.url_map, host, request.root_path, "", request.scheme, request.path, request.method
        )

    def matched(self, path: str, method: str) -> tuple[Rule, Mapping[str, Any]]:
        """The rule for a path and a method, and what the path names. Raises HTTPException."""
        return (self._known_match if len(path) <= _LONGEST_KEPT else self._match)(path, method)

    def _match(self, path: str, method: str) -> tuple[Rule, Mapping[str, Any]]:
        return self.url_map.bind("localhost", path_info=path, default_method=method).match(return_rule=True)

    def full_dispatch_request(self) -> Response:
        """The response to the request of the current context."""
        if self._has_hooks():
            return super().full_dispatch_request()
        try:
            answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        response = answer if isinstance(answer, Response) else self.make_response(answer)
        context: Context = request_ctx._get_current_object()  # type: ignore[attr-defined]
        return self.process_response(response) if context.has_followers else response

    def dispatch_request(self) -> Any:
        """What the view of the request's rule gives."""
        request = request_ctx.request
        rule = request.url_rule
        if rule is None:
            self.raise_routing_exception(request)
        if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
            return self.make_default_options_response()
        return self.view_functions[rule.endpoint](**(request.view_args or {}))

    def _has_hooks(self) -> bool:
        return bool(
            self.before_request_funcs
            or self.after_request_funcs
            or self.url_value_preprocessors
            or request_started.receivers
            or request_finished.receivers
        )

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Call what was registered for the end of a request."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(exc)

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Call what was registered for the end of an application context."""
        if self.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(exc)
