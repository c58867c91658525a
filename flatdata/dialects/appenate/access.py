"""Which sources a request may reach: those of its company, with a token for that company."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from flatdata.access.token import Token
from flatdata.dialects.appenate.errors import Problem, Refused
from flatdata.dialects.appenate.part import company_of, external_id_of, guid_of
from flatdata.dialects.appenate.request import Address, Credentials
from flatdata.store.sources import Source


class TokenCheck(Protocol):
    """The part of the site's tokens that is needed here."""

    def check(self, kind: str, token: object) -> Token | None:
        """The token if it may be used now."""

    def count_call(self, token: Token) -> bool:
        """Count a call; False if the token is used up."""


def admit(tokens: TokenCheck, credentials: Credentials, problem: Problem) -> Token:
    """The token of a request, one call counted; refused with `problem` if it may not be used.

    An integration key is a token of kind `datasource`. One that names no company was made by the owner of the
    site for every company; which sources a company has is up to their manifests.

    Raises `Refused`, the same for an unknown key and for one of another company.
    """
    token = tokens.check("datasource", credentials.integration_key)
    if (
        token is None
        or token.company_id not in (None, credentials.company_id)
        or not tokens.count_call(token)
    ):
        raise Refused("CompanyId or IntegrationKey is wrong", problem)
    return token


def is_reachable(source: Source, company_id: int) -> bool:
    """Whether a source is one of this company's."""
    return company_of(source) == company_id


def reachable(sources: Iterable[Source], company_id: int) -> Iterator[Source]:
    """The sources of a company, in the order given."""
    return (source for source in sources if is_reachable(source, company_id))


def find(sources: Iterable[Source], company_id: int, address: Address) -> Source:
    """The source of a company that an address means; of several with one external id, the first.

    Raises `Refused`, the same for a source that does not exist and for one of another company.
    """
    for source in reachable(sources, company_id):
        if address.guid is not None:
            if guid_of(source) == address.guid:
                return source
        elif external_id_of(source) == address.external_id:
            return source
    raise Refused(f"There is no data source with this {'ExternalId' if address.guid is None else 'Id'}")
