"""The endpoints: what each request does, once it is clear who sends it (reference/bubble.md §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge

from flatdata.access.privacy import Grants
from flatdata.answers import Answer
from flatdata.dialects.bubble import errors
from flatdata.dialects.bubble.bodies import parse_object, read_body
from flatdata.dialects.bubble.bulk import create_lines
from flatdata.dialects.bubble.constraints import Reading
from flatdata.dialects.bubble.context import Api, Visit
from flatdata.dialects.bubble.errors import MethodNotAllowed
from flatdata.dialects.bubble.meta import meta, swagger
from flatdata.dialects.bubble.parameters import parse_search, without_escapes
from flatdata.dialects.bubble.render import list_body, thing_bytes
from flatdata.dialects.bubble.search import run
from flatdata.dialects.bubble.things import find_thing
from flatdata.dialects.bubble.types import Catalogue, ThingType
from flatdata.dialects.bubble.workflows import available, run_workflow
from flatdata.dialects.bubble.write import Writer
from flatdata.query.tree import Json
from flatdata.store.entry import encode_json

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was let in: who sent it, and to which types."""

    api: Api
    visit: Visit
    catalogue: Catalogue
    request: Request

    def type(self, name: str) -> tuple[ThingType, Grants]:
        """The exposed type of this name, and what the caller may do with its things. Raises `Refused`."""
        thing_type = self.catalogue.find(name)
        if thing_type is None:
            raise errors.type_not_found(name)
        return thing_type, thing_type.policy.grants(self.visit.caller)

    def body(self) -> bytes:
        """The bytes of the body. Raises RequestEntityTooLarge."""
        data = self.request.get_data(cache=False)
        if len(data) > self.api.settings.max_body_bytes:
            raise RequestEntityTooLarge
        return data

    def parameters(self) -> Mapping[str, Json]:
        """The parameters of a search: of the query string, and of a JSON body if there is one."""
        request = self.request
        inside = parse_object(self.body()) if request.mimetype == JSON else {}
        # Reading `args` takes escapes apart one by one, of which JSON in a query has dozens.
        request.query_string = without_escapes(request.query_string)
        return {**inside, **request.args.to_dict()}


# --- answers ------------------------------------------------------------------------------------------------


def json_response(body: bytes, status: int = 200) -> Response:
    """An answer with a JSON body, and the usual words for its status: clients show them (§5.4)."""
    return Answer(body, f"{status} {HTTPStatus(status).phrase}", content_type=JSON)


def no_content() -> Response:
    """An answer without a body."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


# --- the endpoints ----------------------------------------------------------------------------------------


def list_things(call: Call, type_name: str) -> Response:
    """`GET /obj/<type>`: a page of the things that match."""
    thing_type, grants = call.type(type_name)
    api = call.api
    search = parse_search(call.parameters())
    exists = (lambda kind, identity: api.exists(call.catalogue, kind, identity)) if api.live else None
    reading = Reading(thing_type, call.catalogue, api.analyse, api.geocode, exists)
    page = run(search, reading, grants, api.index)
    visible = (lambda entry: None) if grants.sees_all() else grants.visible
    things = [thing_bytes(thing_type, entry, api.names, visible(entry)) for entry in page.entries]
    remaining = None if page.total is None else max(0, page.total - search.cursor - len(things))
    return json_response(list_body(things, search.cursor, remaining))


def create_thing(call: Call, type_name: str) -> Response:
    """`POST /obj/<type>`."""
    thing_type, grants = call.type(type_name)
    if not grants.may_ever("create"):
        raise errors.denied("create")
    parser = call.api.parser(call.catalogue)
    body = read_body(parse_object(call.body()), thing_type, call.api.names, parser, creating=True)
    identity = Writer(call.api, call.visit, thing_type, grants).create(body, parser.uploads)
    return json_response(encode_json({"status": "success", "id": identity}), 201)


def create_things(call: Call, type_name: str) -> Response:
    """`POST /obj/<type>/bulk`."""
    thing_type, grants = call.type(type_name)
    if call.request.mimetype != "text/plain":
        raise errors.bad_request(errors.BULK_CONTENT_TYPE)
    if not grants.may_ever("create"):
        raise errors.denied("create")
    answer = create_lines(Writer(call.api, call.visit, thing_type, grants), call.catalogue, call.body())
    return Response(answer.body, answer.status, content_type="text/plain")


def get_thing(call: Call, type_name: str, identity: str) -> Response:
    """`GET /obj/<type>/<id>`: of a thing the caller may not see, only the id."""
    thing_type, grants = call.type(type_name)
    entry = find_thing(call.api.store.get, thing_type, identity)
    if entry is None:
        raise errors.missing_thing(thing_type.name, identity, call.api.missing_status)
    shown = thing_bytes(thing_type, entry, call.api.names, grants.visible(entry))
    return json_response(b'{"response":' + shown + b"}")


def modify_thing(call: Call, type_name: str, identity: str) -> Response:
    """`PATCH /obj/<type>/<id>`: the fields that are given."""
    return _change(call, type_name, identity, replacing=False)


def replace_thing(call: Call, type_name: str, identity: str) -> Response:
    """`PUT /obj/<type>/<id>`: the whole thing."""
    return _change(call, type_name, identity, replacing=True)


def _change(call: Call, type_name: str, identity: str, *, replacing: bool) -> Response:
    thing_type, grants = call.type(type_name)
    before = find_thing(call.api.store.get, thing_type, identity)
    if before is None:
        raise errors.missing_thing(thing_type.name, identity, call.api.missing_status)
    if not grants.may("modify", before):
        raise errors.denied("modify")
    parser = call.api.parser(call.catalogue)
    body = read_body(parse_object(call.body()), thing_type, call.api.names, parser, creating=False)
    writer = Writer(call.api, call.visit, thing_type, grants)
    writer.change(identity, body, parser.uploads, replacing=replacing)
    return no_content()


def delete_thing(call: Call, type_name: str, identity: str) -> Response:
    """`DELETE /obj/<type>/<id>`."""
    thing_type, grants = call.type(type_name)
    Writer(call.api, call.visit, thing_type, grants).delete(identity)
    if thing_type.is_user:
        call.api.sessions.end_all(identity)
    return no_content()


def show_meta(call: Call) -> Response:
    """`GET /meta`."""
    api, host = call.api, call.request.host
    body = meta(
        call.catalogue,
        available(call.catalogue),
        api.settings.app_name,
        call.visit.version,
        api.names,
        host,
    )
    return json_response(encode_json(body))


def show_swagger(call: Call) -> Response:
    """`GET /meta/swagger.json`."""
    api = call.api
    prefix = "" if call.visit.version == "live" else f"/version-{call.visit.version}"
    body = swagger(
        call.catalogue,
        available(call.catalogue),
        api.settings.app_name,
        f"{prefix}/api/1.1",
        api.names,
        call.request.host,
        call.request.scheme,
    )
    return json_response(encode_json(body))


def workflow(call: Call, name: str) -> Response:
    """`POST /wf/<name>`: parameters in a JSON object or a form, never in the URL."""
    form = call.request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data")
    parameters = call.request.form.to_dict() if form else parse_object(call.body())
    address = call.request.remote_addr or ""
    return json_response(
        encode_json(run_workflow(name.lower(), call.api, call.catalogue, call.visit, parameters, address))
    )


# --- which is which -----------------------------------------------------------------------------------------

Endpoint = Callable[..., Response]
_LIST: Final[Mapping[str, Endpoint]] = {"GET": list_things, "POST": create_thing}
_THING: Final[Mapping[str, Endpoint]] = {
    "GET": get_thing,
    "PATCH": modify_thing,
    "PUT": replace_thing,
    "DELETE": delete_thing,
}


def route(segments: tuple[str, ...], method: str) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint of a path below `/api/1.1`, and its arguments. Raises `Refused`."""
    endpoints: Mapping[str, Endpoint]
    arguments: tuple[str, ...]
    match segments:
        case ("obj", name):
            endpoints, arguments = _LIST, (name,)
        case ("obj", name, "bulk") if method == "POST":
            endpoints, arguments = {"POST": create_things}, (name,)
        case ("obj", name, identity):
            endpoints, arguments = _THING, (name, identity)
        case ("meta",):
            endpoints, arguments = {"GET": show_meta}, ()
        case ("meta", "swagger.json"):
            endpoints, arguments = {"GET": show_swagger}, ()
        case ("wf", name):
            endpoints, arguments = {"POST": workflow}, (name,)
        case _:
            raise errors.path_not_found()
    endpoint = endpoints.get("GET" if method == "HEAD" else method)
    if endpoint is None:
        raise MethodNotAllowed(method, tuple(endpoints))
    return endpoint, arguments
