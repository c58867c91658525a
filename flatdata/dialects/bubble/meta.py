"""What the API says of itself: `/meta` and `/meta/swagger.json` (reference/bubble.md §13).

Both need no token, and hold what is exposed: types, fields and workflows. `types` is keyed by type name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flatdata.dialects.bubble.types import (
    BUILT_INS,
    CREATED_BY,
    CREATED_DATE,
    MODIFIED_DATE,
    SLUG,
    UNIQUE_ID,
    Catalogue,
    Names,
    ThingField,
    ThingType,
)
from flatdata.query.bubble_values import ID, FieldType
from flatdata.query.tree import Json

_SHOWN: Final = (CREATED_BY, CREATED_DATE, MODIFIED_DATE, SLUG, UNIQUE_ID)

# --- /meta ------------------------------------------------------------------------------------------------


def meta(
    catalogue: Catalogue, workflows: Iterable[str], app_name: str, version: str, names: Names, host: str
) -> dict[str, Json]:
    """The body of `/meta`."""
    return {
        "get": list(catalogue.types),
        "post": [_workflow(name) for name in workflows],
        "types": {name: _type(thing_type) for name, thing_type in catalogue.types.items()},
        "app_data": {
            "appname": app_name,
            "app_version": version,
            "use_captions_for_get": names == "display",
            "domain": host,
        },
    }


def _workflow(name: str) -> dict[str, Json]:
    texts = [("email", "text", False), ("password", "text", False), ("stay_logged_in", "boolean", True)]
    return {
        "endpoint": name,
        "method": "post",
        "auth_unecessary": True,
        "parameters": [
            {"key": key, "value": value, "optional": optional, "param_in": "body"}
            for key, value, optional in texts
        ],
        "return_btype": {"token": "text", "user_id": "text", "expires": "number"},
    }


def _type(thing_type: ThingType) -> dict[str, Json]:
    return {
        "display": thing_type.display,
        "fields": [
            {"id": field.id, "display": field.display, "type": _type_name(field.type)}
            for field in (*thing_type.fields, *_SHOWN)
        ],
    }


def _type_name(field_type: FieldType) -> str:
    return "text" if field_type.kind == ID else str(field_type)


# --- /meta/swagger.json -------------------------------------------------------------------------------------

_ERRORS: Final = {
    "400": ("Bad Request", ("status", "message")),
    "401": ("Unauthorized", ("message",)),
    "404": ("Not Found", ("message",)),
    "405": ("Method Not Allowed", ("message",)),
    "429": ("Too Many Requests", ("message",)),
    "500": ("Internal Server Error", ("code", "message")),
    "503": ("Service Unavailable", ("message",)),
}
"""The failures that every operation may answer with, and the texts in their bodies as Bubble declares
them."""

_LIST_PARAMETERS: Final[tuple[dict[str, Json], ...]] = (
    {
        "name": "limit",
        "type": "integer",
        "format": "int32",
        "default": 100,
        "description": "Things on a page",
    },
    {
        "name": "cursor",
        "type": "integer",
        "format": "int32",
        "default": 0,
        "description": "Rank of the first thing",
    },
    {"name": "sort_field", "type": "string", "description": "Field to sort by, or _random_sorting"},
    {"name": "descending", "type": "boolean", "description": "Whether to sort the other way round"},
    {"name": "constraints", "type": "string", "description": "JSON array of key, constraint_type and value"},
)


def swagger(
    catalogue: Catalogue,
    workflows: Iterable[str],
    app_name: str,
    base_path: str,
    names: Names,
    host: str,
    scheme: str,
) -> dict[str, Json]:
    """The body of `/meta/swagger.json`: Swagger 2.0, without bulk creation, as on the hosted service."""
    paths: dict[str, Json] = {}
    definitions: dict[str, Json] = {}
    for name, thing_type in catalogue.types.items():
        paths[f"/obj/{name}/{{UniqueID}}"] = _thing_operations(thing_type)
        paths[f"/obj/{name}"] = _list_operations(thing_type)
        definitions[name] = _definition(thing_type, names, with_built_ins=True)
        definitions[f"{name}Body"] = _definition(thing_type, names, with_built_ins=False)
    for name in workflows:
        paths[f"/wf/{name}"] = {"post": _workflow_operation(name)}
    return {
        "swagger": "2.0",
        "info": {
            "title": app_name,
            "version": "1.0.0",
            "contact": {"email": f"{app_name}-no-reply@localhost"},
        },
        "host": host,
        "basePath": base_path,
        "schemes": [scheme],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "tags": [{"name": "Workflow"}, {"name": "Data"}],
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {"api_token": {"type": "apiKey", "name": "api_token", "in": "query"}},
        "security": [{"api_token": []}],
    }


def _operation(
    tag: str, text: str, parameters: Iterable[Json], success: str, schema: Json = None
) -> dict[str, Json]:
    good: dict[str, Json] = {"description": "Successful operation"}
    if schema is not None:
        good["schema"] = schema
    responses = {success: good} | {
        status: {"description": name, "schema": _object({part: {"type": "string"} for part in parts})}
        for status, (name, parts) in _ERRORS.items()
    }
    return {"tags": [tag], "description": text, "parameters": list(parameters), "responses": responses}


def _object(properties: dict[str, Json]) -> dict[str, Json]:
    return {"type": "object", "properties": properties}


def _reference(name: str) -> dict[str, Json]:
    return {"$ref": f"#/definitions/{name}"}


def _thing_operations(thing_type: ThingType) -> dict[str, Json]:
    name = thing_type.name
    identity = {
        "name": "UniqueID",
        "in": "path",
        "required": True,
        "type": "string",
        "description": f"The unique id of the {name}",
    }
    body = _body_parameter(name)
    found = _object({"response": _reference(name)})
    return {
        "get": _operation("Data", f"Retrieve a thing of type {name} by unique ID", [identity], "200", found),
        "patch": _operation("Data", f"Modifies a thing of type {name} by unique ID", [identity, body], "204"),
        "put": _operation("Data", f"Replaces a thing of type {name} by unique ID", [identity, body], "204"),
        "delete": _operation("Data", f"Deletes a thing of type {name} by unique ID", [identity], "204"),
    }


def _list_operations(thing_type: ThingType) -> dict[str, Json]:
    name = thing_type.name
    page = _object(
        {
            "cursor": {"type": "integer"},
            "results": {"type": "array", "items": _reference(name)},
            "count": {"type": "integer"},
            "remaining": {"type": "integer"},
        }
    )
    made = _object({"status": {"type": "string"}, "id": {"type": "string"}})
    parameters = [{**parameter, "in": "query", "required": False} for parameter in _LIST_PARAMETERS]
    return {
        "get": _operation(
            "Data",
            f"Retrieve a list of things of type {name}",
            parameters,
            "200",
            _object({"response": page}),
        ),
        "post": _operation(
            "Data", f"Create a new thing of type {name}", [_body_parameter(name)], "201", made
        ),
    }


def _body_parameter(name: str) -> dict[str, Json]:
    return {
        "name": f"{name} request body",
        "in": "body",
        "required": True,
        "schema": _reference(f"{name}Body"),
    }


def _workflow_operation(name: str) -> dict[str, Json]:
    texts = {"type": "string"}
    body = {
        "name": "body",
        "in": "body",
        "required": True,
        "schema": _object({"email": texts, "password": texts, "stay_logged_in": {"type": "boolean"}}),
    }
    response = _object({"token": texts, "user_id": texts, "expires": {"type": "integer"}})
    answer = _object({"status": texts, "response": response})
    return _operation("Workflow", f"Runs the workflow {name}", [body], "200", answer)


# --- definitions --------------------------------------------------------------------------------------------

_SCHEMAS: Final[dict[str, dict[str, Json]]] = {
    "number": {"type": "number", "format": "float"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date-time"},
    "geographic_address": _object(
        {"address": {"type": "string"}, "lat": {"type": "number"}, "lng": {"type": "number"}}
    ),
}
"""How values of each kind look; those that are not listed are strings."""


def _definition(thing_type: ThingType, names: Names, *, with_built_ins: bool) -> dict[str, Json]:
    fields = (*thing_type.fields, *(BUILT_INS if with_built_ins else ()))
    properties = {field.key(names): _property(field) for field in fields}
    if thing_type.is_user and not with_built_ins:
        properties["password"] = {"type": "string", "description": "'password' of the new User"}
    return _object(properties)


def _property(field: ThingField) -> dict[str, Json]:
    text = f"'{field.caption}' field of the current Thing"
    if field.type.kind in ("user", "custom"):
        text += f" ('{field.type.target or field.type.kind}' represented by a unique ID)"
    schema = _SCHEMAS.get(field.type.kind, {"type": "string"})
    if field.type.many:
        return {"type": "array", "items": schema, "description": text}
    return {**schema, "description": text}
