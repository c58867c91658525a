"""Settings of a site: one declarative table (`table`), and how it is read (`loading`).

They come from `flatdata.yaml`, then from `FLATDATA_*` environment variables, then from options of the command
line; the later source wins, setting by setting. `flextype.behaviour` in the file is
`FLATDATA_FLEXTYPE__BEHAVIOUR` in the environment. An unknown or ill-typed setting is a `SettingsError`.
"""

from __future__ import annotations

from flatdata.settings.loading import FILE_NAME, RESERVED_VARIABLES, load_settings, plain_settings
from flatdata.settings.table import (
    GROUPS,
    PREFIX,
    ROWS,
    AppenateSettings,
    Behaviour,
    BubbleSettings,
    CorsSettings,
    FlextypeSettings,
    FlipletSettings,
    IndexSettings,
    LogSettings,
    RateLimitSettings,
    Row,
    Settings,
    SettingsError,
    SmtpSettings,
    TokenSettings,
)

__all__ = [
    "FILE_NAME",
    "GROUPS",
    "PREFIX",
    "RESERVED_VARIABLES",
    "ROWS",
    "AppenateSettings",
    "Behaviour",
    "BubbleSettings",
    "CorsSettings",
    "FlextypeSettings",
    "FlipletSettings",
    "IndexSettings",
    "LogSettings",
    "RateLimitSettings",
    "Row",
    "Settings",
    "SettingsError",
    "SmtpSettings",
    "TokenSettings",
    "load_settings",
    "plain_settings",
]
