"""The table of settings. Every setting is a field of a dataclass, with its default, its bounds and a line of
documentation; reading, checking and the documents are made from it. A setting is added by adding a field.
"""

# ruff: noqa: RUF009 - `_setting` and `_group` give `dataclasses.field`s, not defaults

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, Literal, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flatdata.errors import FlatdataError
from flatdata.settings.shapes import Shape, shape_of
from flatdata.store.storable import Json

PREFIX: Final = "FLATDATA_"
MIB: Final = 1024 * 1024
YEARS: Final = 36_500
"""A bound for days."""


class SettingsError(FlatdataError):
    """A setting that cannot be used.

    Args:
        name: as it was given: `flextype.behaviour`, `FLATDATA_PORT`, or the name of the file.
        reason: what is wrong with it, without the name.
        line: of `flatdata.yaml`, counted from 1, where that is what is wrong and the line is known.
    """

    def __init__(self, name: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
        self.line = line


# --- what a row of the table can say -----------------------------------------------------------------


def _setting(
    default: Json,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    name: str | None = None,
    check: Callable[[Any], str | None] | None = None,
    names_variable: bool = False,
) -> Any:
    """A row: its default, a line on what it is, bounds, and further checks (`check` gives a reason or None).

    `name` is for names that Python keeps to itself; `names_variable` marks a setting that holds the name of
    an environment variable, so that such a variable may begin with FLATDATA_.
    """
    row = {
        "doc": doc,
        "low": low,
        "high": high,
        "name": name,
        "check": check,
        "names_variable": names_variable,
    }
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=row)
    return field(default=default, metadata=row)


def _group(kind: type[Any], doc: str) -> Any:
    return field(default_factory=kind, metadata={"doc": doc, "name": None})


def _not_empty(value: str | None) -> str | None:
    return "must not be empty" if value == "" else None


def _is_timezone(value: str) -> str | None:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"unknown time zone {value!r} (examples: UTC, Europe/Berlin)"
    return None


# --- the table ---------------------------------------------------------------------------------------

Behaviour = Literal["documented", "live"]
_BEHAVIOUR: Final = "documented: as the API's documentation says; live: as the hosted service really answers"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The change log."""

    keep_days: int = _setting(90, "Days that records are kept; older versions are gone", low=1, high=YEARS)
    segment_bytes: int = _setting(
        64 * MIB, "Bytes after which a new file of the log is begun", low=64 * 1024, high=2**40
    )
    checkpoint_seconds: float = _setting(
        30.0, "Seconds between checkpoints; a start replays what came after the last one", low=0.1, high=3600
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The index."""

    compare_seconds: float = _setting(
        60.0,
        "Seconds between comparisons of all files with the index, which catch what watching missed",
        low=1,
        high=86_400,
    )


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Tokens."""

    refresh_seconds: float = _setting(
        0.25,
        "Seconds after which a token's file is looked at again; a revoked one works as long",
        low=0,
        high=60,
    )


@dataclass(frozen=True, slots=True)
class CorsSettings:
    """Headers that let browsers on other sites call the API."""

    enabled: bool = _setting(True, "Whether these headers are sent")
    origin: str = _setting("*", "Access-Control-Allow-Origin: one origin, or * for all", check=_not_empty)
    headers: tuple[str, ...] = _setting(
        ("X-Requested-With", "Content-Type", "Accept", "Origin", "Authorization"),
        "Access-Control-Allow-Headers",
    )
    methods: tuple[str, ...] = _setting(
        ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"), "Access-Control-Allow-Methods"
    )
    expose: tuple[str, ...] = _setting((), "Access-Control-Expose-Headers")
    credentials: bool = _setting(False, "Access-Control-Allow-Credentials; needs one origin, not *")

    def __post_init__(self) -> None:
        """Refuse what would let every site act for a signed-in visitor."""
        if self.credentials and self.origin == "*":
            raise SettingsError("flextype.cors.credentials", "must be false while origin is *")


@dataclass(frozen=True, slots=True)
class FlextypeSettings:
    """Entries at /api/entries."""

    enabled: bool = _setting(True, "Whether this API is served")
    behaviour: Behaviour = _setting("documented", _BEHAVIOUR)
    max_body_bytes: int = _setting(64 * MIB, "Largest request body in bytes", low=1024, high=2**40)
    timezone: str = _setting("UTC", "Time zone of dates that name none", check=_is_timezone)
    date_format: str = _setting(
        "d-m-Y H:i", "How dates are written into new entries, in PHP's letters", check=_not_empty
    )
    cors: CorsSettings = _group(CorsSettings, "Headers that let browsers on other sites call the API")
    registry: Mapping[str, Json] = _setting({}, "Values that entries may read with registry.get")


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server for hooks of type email."""

    host: str | None = _setting(None, "Name of the mail server; null: no mail is sent", check=_not_empty)
    port: int = _setting(587, "Port of the mail server", low=1, high=65_535)
    user: str | None = _setting(None, "Account on the mail server; null: no log-in")
    password_env: str = _setting(
        "FLATDATA_SMTP_PASSWORD", "Environment variable that holds the password", names_variable=True
    )
    sender: str | None = _setting(None, "Address that mail comes from", name="from", check=_not_empty)
    starttls: bool = _setting(True, "Whether the connection is encrypted before the log-in")


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """How many requests one token may send."""

    requests: int = _setting(
        0, "Requests in the time below; 0: no limit (the hosted service allows 200)", low=0, high=10**9
    )
    seconds: float = _setting(10.0, "The time in seconds", low=0.1, high=86_400)


@dataclass(frozen=True, slots=True)
class FlipletSettings:
    """Data sources at /v1/data-sources."""

    enabled: bool = _setting(True, "Whether this API is served")
    behaviour: Behaviour = _setting("documented", _BEHAVIOUR)
    max_body_bytes: int = _setting(
        256 * MIB,
        "Largest JSON or form body in bytes (bulk imports come in one request)",
        low=1024,
        high=2**40,
    )
    organization_id: int = _setting(
        1, "Id of the organization of tokens that name none", low=1, high=2**31 - 1
    )
    organization_name: str = _setting("flatdata", "Name of the organization, as clients see it")
    allow_private_hosts: bool = _setting(False, "Whether web hooks may call private and loopback addresses")
    hook_timeout_seconds: float = _setting(10.0, "Seconds a web hook may take", low=0.1, high=600)
    hook_attempts: int = _setting(5, "How often delivery of a hook is tried", low=1, high=100)
    media_max_bytes: int = _setting(
        128 * MIB,
        "Largest uploaded file in bytes (the whole request stays below max_body_bytes)",
        low=1024,
        high=2**40,
    )
    encrypt_media: bool = _setting(False, "Whether all uploaded files are encrypted on disk")
    encryption_key_env: str = _setting(
        "FLATDATA_ENCRYPTION_KEY",
        "Environment variable that holds the key: 32 bytes in base64 or hex",
        names_variable=True,
    )
    versions_keep_days: int = _setting(
        90, "Days that versions are offered; not longer than log.keep_days", low=1, high=YEARS
    )
    smtp: SmtpSettings = _group(SmtpSettings, "The mail server for hooks of type email")
    rate_limit: RateLimitSettings = _group(RateLimitSettings, "How many requests one token may send")


@dataclass(frozen=True, slots=True)
class BubbleSettings:
    """Things at /api/1.1/obj."""

    enabled: bool = _setting(True, "Whether this API is served")
    behaviour: Behaviour = _setting("documented", _BEHAVIOUR)
    max_body_bytes: int = _setting(64 * MIB, "Largest request body in bytes", low=1024, high=2**40)
    field_names: Literal["display", "id"] = _setting(
        "display", "Keys of fields: display: their captions; id: captions squashed, with the type behind"
    )
    app_name: str = _setting("flatdata", "Name of the app in /meta", check=_not_empty)
    token_days: float = _setting(1.0, "Days until a log-in ends", low=0.001, high=YEARS)
    stay_logged_in_days: float = _setting(365.0, "The same for log-ins that stay", low=0.001, high=YEARS)
    idle_days: float = _setting(
        30.0, "Days without a request after which a log-in ends", low=0.001, high=YEARS
    )
    login_attempts: int = _setting(
        10, "Failed log-ins for one account or address in the time below", low=1, high=10**6
    )
    login_window_seconds: float = _setting(300.0, "The time in seconds", low=1, high=86_400)


@dataclass(frozen=True, slots=True)
class AppenateSettings:
    """Data sources at /api/v2/datasource."""

    enabled: bool = _setting(True, "Whether this API is served")
    behaviour: Behaviour = _setting("documented", _BEHAVIOUR)
    max_body_bytes: int = _setting(64 * MIB, "Largest request body in bytes", low=1024, high=2**40)
    max_rows: int = _setting(50_000, "Most rows that a source may have", low=1, high=10**9)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a site."""

    host: str = _setting("127.0.0.1", "Address to listen on", check=_not_empty)
    port: int = _setting(8000, "Port to listen on; 0: any free one", low=0, high=65_535)
    workers: int = _setting(1, "Processes that serve the site", low=1, high=256)
    max_body_bytes: int = _setting(
        256 * MIB,
        "Largest request body in bytes; each API has a bound of its own below this one",
        low=1024,
        high=2**40,
    )
    log: LogSettings = _group(LogSettings, "The change log, from which versions are cut")
    index: IndexSettings = _group(IndexSettings, "How the index is kept in step with the files")
    tokens: TokenSettings = _group(TokenSettings, "How changes of tokens are noticed")
    flextype: FlextypeSettings = _group(FlextypeSettings, "Entries at /api/entries")
    fliplet: FlipletSettings = _group(FlipletSettings, "Data sources at /v1/data-sources")
    bubble: BubbleSettings = _group(BubbleSettings, "Things at /api/1.1/obj")
    appenate: AppenateSettings = _group(AppenateSettings, "Data sources at /api/v2/datasource")


# --- the table as data --------------------------------------------------------------------------------

SettingPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: where it is, what it may hold, and what it is for."""

    path: SettingPath
    shape: Shape
    default: Json
    doc: str
    low: float | None
    high: float | None
    check: Callable[[Any], str | None] | None
    names_variable: bool

    @property
    def name(self) -> str:
        """As in `flatdata.yaml`, with dots: `flextype.behaviour`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """As in the environment: `FLATDATA_FLEXTYPE__BEHAVIOUR`."""
        return PREFIX + "__".join(self.path).upper()


def _rows(kind: type[Any], prefix: SettingPath) -> Iterator[Row]:
    hints = get_type_hints(kind)
    default = kind()
    for each in fields(kind):
        path = (*prefix, each.metadata["name"] or each.name)
        if is_dataclass(hints[each.name]):
            yield from _rows(hints[each.name], path)
            continue
        facts = {key: value for key, value in each.metadata.items() if key != "name"}
        yield Row(path=path, shape=shape_of(hints[each.name]), default=getattr(default, each.name), **facts)


def _groups(kind: type[Any], prefix: SettingPath, doc: str) -> Iterator[tuple[SettingPath, str]]:
    yield prefix, doc
    hints = get_type_hints(kind)
    for each in fields(kind):
        if is_dataclass(hints[each.name]):
            yield from _groups(hints[each.name], (*prefix, each.name), each.metadata["doc"])


ROWS: Final[Mapping[SettingPath, Row]] = {row.path: row for row in _rows(Settings, ())}
"""Every setting, in the order of the table."""

GROUPS: Final[Mapping[SettingPath, str]] = dict(_groups(Settings, (), "The site"))
"""Every mapping of settings, with what it is about."""
