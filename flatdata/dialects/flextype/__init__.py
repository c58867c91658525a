"""The Flextype Entries API at `/api/entries`, as documented for 0.9.13 to 0.9.16.

Which file does what: `routes` says who may send which request; `params`, `querystring` and `options` parse
it; `read` and `file_tests` turn a read into queries; `render`, `fields` and `special_fields` say what an
entry shows; `write` makes the plans of writes; `errors` holds the bodies of refusals.
"""

from flatdata.dialects.flextype.routes import create_blueprint

__all__ = ["create_blueprint"]
