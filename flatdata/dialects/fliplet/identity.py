"""Who the token is: what clients ask before anything else (reference/fliplet.md §1.3)."""

from __future__ import annotations

from typing import Any

from flask import Response

from flatdata.access.rules import may_see
from flatdata.dialects.fliplet.api import Call, answer

Json = Any
"""Any JSON value."""


def get_user(call: Call) -> Response:
    """`GET /v1/user`: the token as a user, by the attributes of its signed-in user where it has some."""
    token = call.caller.known()
    user = {
        name.lower().replace(" ", ""): value for name, value in token.user.items() if isinstance(value, str)
    }
    first, last = user.get("firstname", ""), user.get("lastname", "")
    full = user.get("fullname") or f"{first} {last}".strip() or token.title or f"Token {token.id}"
    return answer(
        {
            "user": {
                "id": token.id,
                "email": user.get("email") or f"token-{token.id}@localhost",
                "fullName": full,
                "firstName": first or full,
                "lastName": last,
                "auth_token": call.caller.secret,
            }
        }
    )


def list_organizations(call: Call) -> Response:
    """`GET /v1/organizations`: the token's own."""
    token, settings = call.caller.known(), call.api.settings
    identity = token.organization_id or settings.organization_id
    return answer({"organizations": [{"id": identity, "name": settings.organization_name}]})


def list_apps(call: Call) -> Response:
    """`GET /v1/apps`: the token's own, with the sources of it that the token may see."""
    token = call.caller.known()
    if token.app_id is None:
        return answer({"apps": []})
    sources = [
        {"id": source.id, "name": source.name}
        for source in call.api.site.sources.all()
        if source.app_id == token.app_id and may_see(source, call.caller.actor)
    ]
    app = {
        "id": token.app_id,
        "name": token.title or f"App {token.app_id}",
        "organizationId": token.organization_id or call.api.settings.organization_id,
        "dataSourcesInUse": sources,
    }
    return answer({"apps": [app]})
