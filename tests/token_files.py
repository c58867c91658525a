"""Token files written by hand, and a clock for the tests about them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

PLAIN = "0123456789abcdef0123456789abcdef"
OPEN = "state: enabled\nlimit_calls: 0\ncalls: 0\n"


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def write_token(root: Path, name: str, text: str, kind: str = "entries") -> Path:
    """Write a token file below `tokens/`; gives its path."""
    path = root / "tokens" / kind / name / "token.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def digest(token: str) -> str:
    """The name under which a token is kept without being told."""
    return sha256(token.encode()).hexdigest()
