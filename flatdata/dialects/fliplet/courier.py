"""Delivers one hook for one row: as a web request, as mail, or through a plugin (reference/fliplet.md §6)."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any, Final, Protocol

import msgspec

from flatdata.dialects.fliplet.hooks import Hook, Json
from flatdata.dialects.fliplet.templates import TemplateError, render_all
from flatdata.dialects.fliplet.webcall import Call, CallFailed, CallRefused, Resolver, resolve, send
from flatdata.errors import FlatdataError
from flatdata.settings import FlipletSettings, SmtpSettings

MAX_RECIPIENTS: Final = 50


class NotDelivered(FlatdataError):
    """A hook was not delivered; `again` says whether trying later makes sense."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


class Messengers(Protocol):
    """The plugins, as far as hooks go through them."""

    def send_sms(self, to: str, body: str) -> bool:
        """Hand over a text message; tells whether somebody took it."""

    def send_push(
        self, app_id: int | None, recipients: Mapping[str, Json], message: Mapping[str, Json]
    ) -> bool:
        """Hand over a push message; tells whether somebody took it."""


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers hooks with the site's settings and plugins."""

    settings: FlipletSettings
    messengers: Messengers
    resolver: Resolver = resolve
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def deliver(self, hook: Hook, columns: Mapping[str, Json]) -> None:
        """Render the hook over the columns of a row and send it, if its conditions hold for the row.

        Raises:
            NotDelivered: with the reason, which never holds an address or what was sent.
        """
        way = _WAYS.get(hook.type)
        if way is None:
            raise NotDelivered(f"hooks of type {hook.type!r} are unknown", again=False)
        if not hook.applies(columns):
            return
        try:
            way(self, hook, render_all(hook.payload, columns), columns)
        except TemplateError:
            raise NotDelivered("a template cannot be rendered", again=False) from None
        except CallRefused as error:
            raise NotDelivered(error.reason, again=False) from None
        except CallFailed as error:
            raise NotDelivered(error.reason, again=True) from None


# --- web ----------------------------------------------------------------------------------------------


def web_call(payload: Mapping[str, Json]) -> Call:
    """The request of a web hook whose templates are rendered. Raises `CallRefused`."""
    url, method, given = (
        payload.get("endpoint"),
        payload.get("method") or "POST",
        payload.get("headers") or {},
    )
    if not isinstance(url, str) or not isinstance(method, str) or not isinstance(given, dict):
        raise CallRefused("endpoint, method or headers are malformed")
    headers = {str(name): value for name, value in given.items() if isinstance(value, str)}
    body = payload.get("body")
    data = b"" if body is None else body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    if data and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    return Call(method.upper(), url, {"User-Agent": "flatdata", **headers}, data)


def _web(courier: Courier, hook: Hook, payload: Mapping[str, Json], columns: Mapping[str, Json]) -> None:
    settings = courier.settings
    status = send(
        web_call(payload),
        settings.hook_timeout_seconds,
        allow_private=settings.allow_private_hosts,
        resolver=courier.resolver,
    )
    if not 200 <= status < 300:
        raise NotDelivered(f"the answer was {status}", again=status in (408, 425, 429) or status >= 500)


# --- mail ---------------------------------------------------------------------------------------------


def recipients_of(payload: Mapping[str, Json]) -> list[dict[str, Json]]:
    """To whom an email hook goes. Raises `NotDelivered`."""
    recipients = payload.get("to")
    people = (
        [person for person in recipients if isinstance(person, dict)] if isinstance(recipients, list) else []
    )
    if not 0 < len(people) <= MAX_RECIPIENTS:
        raise NotDelivered("it has no recipients, or too many", again=False)
    return people


def message_of(payload: Mapping[str, Json], sender: str) -> EmailMessage:
    """The mail of an email hook whose templates are rendered. Raises `NotDelivered`."""
    message = EmailMessage()
    people = recipients_of(payload)
    lists: dict[str, list[Address]] = {"To": [], "Cc": [], "Bcc": []}
    try:
        for person in people:
            kind = str(person.get("type") or "to").capitalize()
            address = Address(_line(person.get("name")), addr_spec=_line(person.get("email")))
            lists[kind if kind in lists else "To"].append(address)
        for header, addresses in lists.items():
            if addresses:
                message[header] = addresses
        message["From"] = sender
        message["Subject"] = _line(payload.get("subject"))
    except (MessageError, ValueError, IndexError):
        raise NotDelivered("an address is malformed", again=False) from None
    html = payload.get("html")
    message.set_content(html if isinstance(html, str) else "", subtype="html")
    return message


def _line(value: Json) -> str:
    """A text without line breaks, which would begin another header."""
    return " ".join(value.split()) if isinstance(value, str) else ""


def _mail(courier: Courier, hook: Hook, payload: Mapping[str, Json], columns: Mapping[str, Json]) -> None:
    smtp = courier.settings.smtp
    if smtp.host is None:
        raise NotDelivered("no mail server is set (fliplet.smtp.host)", again=False)
    message = message_of(payload, smtp.sender or smtp.user or "flatdata@localhost")
    try:
        _submit(smtp, smtp.host, message, courier)
    except smtplib.SMTPRecipientsRefused:
        raise NotDelivered("the mail server refused the recipients", again=False) from None
    except (OSError, smtplib.SMTPException):
        raise NotDelivered("the mail server did not take it", again=True) from None


def _submit(smtp: SmtpSettings, host: str, message: EmailMessage, courier: Courier) -> None:
    timeout = courier.settings.hook_timeout_seconds
    with smtplib.SMTP(host, smtp.port, timeout=timeout) as server:
        if smtp.starttls:
            server.starttls(context=ssl.create_default_context())
        if smtp.user is not None:
            server.login(smtp.user, courier.environ.get(smtp.password_env, ""))
        server.send_message(message)


# --- plugins ------------------------------------------------------------------------------------------


def text_message_of(payload: Mapping[str, Json]) -> tuple[str, str]:
    """To whom an sms hook goes, and what it says. Raises `NotDelivered`."""
    to, body = payload.get("to"), payload.get("body")
    if not isinstance(to, str) or not isinstance(body, str):
        raise NotDelivered("to or body is no text", again=False)
    return to, body


def _sms(courier: Courier, hook: Hook, payload: Mapping[str, Json], columns: Mapping[str, Json]) -> None:
    to, body = text_message_of(payload)
    if not courier.messengers.send_sms(to, body):
        raise NotDelivered("no plugin took the text message", again=False)


def _push(courier: Courier, hook: Hook, payload: Mapping[str, Json], columns: Mapping[str, Json]) -> None:
    """`payload` holds title and body; the recipients are the hook's own `filter`."""
    app_id, recipients = hook.definition.get("appId"), hook.definition.get("filter")
    taken = courier.messengers.send_push(
        app_id if type(app_id) is int else None,
        render_all(recipients, columns) if isinstance(recipients, dict) else {},
        payload,
    )
    if not taken:
        raise NotDelivered("no plugin took the push message", again=False)


_Way = Callable[[Courier, Hook, Any, Mapping[str, Json]], None]
_WAYS: Final[Mapping[str, _Way]] = {"web": _web, "email": _mail, "sms": _sms, "push": _push}

READERS: Final[Mapping[str, Callable[[Mapping[str, Json]], object]]] = {
    "web": web_call,
    "email": recipients_of,
    "sms": text_message_of,
}
"""What reads a payload, its templates rendered or not. Raises `NotDelivered`, `CallRefused`."""
