"""The Appenate Data Source API at `/api/v2/datasource`.

Which file does what: `body` and `request` turn what was sent into typed values, `access` says which source a
request may reach, `update` works out the changes of a PUT, `rows` finds rows and puts them in order, `read`
makes the answers of a GET, `response` and `formats` write them as XML or JSON, `routes` is the HTTP side.
"""

from flatdata.dialects.appenate.routes import create_blueprint

__all__ = ["create_blueprint"]
