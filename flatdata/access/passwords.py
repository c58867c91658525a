"""Password hashes: argon2id, salted, in the usual text form (`$argon2id$v=19$...`)."""

from __future__ import annotations

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""19 MiB, two passes: the least that OWASP's password storage cheat sheet advises for argon2id."""


def hash_password(password: str) -> str:
    """A new salted hash; takes some 20 ms and 19 MiB on purpose."""
    return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def verify_password(hashed: object, password: str) -> bool:
    """Whether `hashed` is a hash of `password`; False for anything that is no hash."""
    if not isinstance(hashed, str):
        return False
    try:
        return _HASHER.verify(hashed, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
