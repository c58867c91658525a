"""Bubble's Data API at `/api/1.1/obj`.

Which file does what: `types` reads the types out of the manifests; `parameters` and `constraints` turn a
search into typed values, `search` into a query, `render` makes the answers; `values` and `bodies` read what
clients write, `plans` works out the changes, `write` and `bulk` carry them out; `files` keeps what comes
inside bodies; `workflows` logs people in; `meta` describes the API; `geo` finds places; `errors` holds
every refusal; `context` is what the endpoints share, `routes` the HTTP side."""

from flatdata.dialects.bubble.routes import create_blueprint

__all__ = ["create_blueprint"]
