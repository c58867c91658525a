"""The Fliplet Data Sources API at `/v1/data-sources`, and what its clients call beside it.

Which file does what: `routes` finds the endpoint of a request, `caller` says who sends it, `api` is what all
endpoints work with; `sources`, `rows`, `bulk`, `commit`, `search`, `versioning`, `files` and `identity` are
the endpoints; `body`, `multipart` and `attributes` read requests, `querybody`, `fields` and `join` queries;
`write` and `render` are the parts of writes and answers; `hooks`, `templates`, `outbox`, `courier` and
`webcall` are about hooks; `errors` and `limits` refuse.
"""

from flatdata.dialects.fliplet.routes import create_blueprint

__all__ = ["create_blueprint"]
