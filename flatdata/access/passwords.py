"""Password hashes: argon2id, salted, in the usual text form (`$argon2id$v=19$...`)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher


@cache
def _hasher() -> PasswordHasher:
    """19 MiB, two passes: the least that OWASP's password storage cheat sheet advises for argon2id."""
    from argon2 import PasswordHasher  # many sites have no passwords

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def hash_password(password: str) -> str:
    """A new salted hash; takes some 20 ms and 19 MiB on purpose."""
    return _hasher().hash(password.encode("utf-8", "surrogatepass"))


def verify_password(hashed: object, password: str) -> bool:
    """Whether `hashed` is a hash of `password`; False for anything that is no hash."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if not isinstance(hashed, str):
        return False
    try:
        return _hasher().verify(hashed, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
