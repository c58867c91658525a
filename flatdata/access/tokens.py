"""The tokens of a site: who may call which API, as files that can lie in git (design.md §3).

A token is `tokens/<kind>/<name>/token.yaml`. `<name>` is the SHA-256 of the token in hex, or the token itself
where the folder was copied from a Flextype project. A token given by a client is hashed and looked up among
the names that were found on the disk; it never becomes part of a path, and it never appears in a log line.

What is in memory follows the files: a token's file is looked at again when it is used and was not looked at
for `refresh_seconds`; a token that is not known makes the folder of its kind be looked at.
"""

from __future__ import annotations

import hmac
import math
import os
import re
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from flatdata.access.calls import CallCounts
from flatdata.access.token import (
    FIELDS_BY_KIND,
    KINDS,
    Kind,
    Token,
    TokenError,
    digest_of,
    field_problems,
    is_token_name,
)
from flatdata.access.token_files import (
    BrokenTokenFile,
    Place,
    folders_in,
    hash_name,
    places,
    remove_token,
    token_problems,
    write_token,
)
from flatdata.query.tree import Json
from flatdata.store.scan import Problem

MAX_TOKEN_CHARACTERS: Final = 512
_SETTLED_NS: Final = 100_000_000
"""A time stamp younger than this may still be that of a later change: file systems count in steps of 4 ms."""
_MIN_ID: Final = 100_000
_MAX_ID: Final = 2**31 - 1

_Stamp = tuple[int, ...]


def _stamp(path: Path) -> _Stamp | None:
    """What changes when a file or folder does; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _if_settled(stamp: _Stamp | None) -> _Stamp | None:
    """The stamp to compare with later; None, unlike any stamp, while it may not tell changes apart yet."""
    return stamp if stamp is not None and stamp[0] < time.time_ns() - _SETTLED_NS else None


class _Card:
    """What is known of one folder: where it is, and its file as last read."""

    __slots__ = ("checked", "place", "stamp", "token")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.token: Token | None = None
        self.stamp: _Stamp | None = None
        self.checked = -math.inf


class _Drawer:
    """The tokens of one kind. Lookups take no lock; the lock is for listing the folder again."""

    def __init__(self, folder: Path, kind: Kind, refresh_seconds: float, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._kind = kind
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._cards: dict[str, _Card] = {}
        self._stamp: _Stamp | None = None

    def find(self, digest: str) -> Token | None:
        """The token whose SHA-256 is `digest`, as its file is now (give or take `refresh_seconds`)."""
        card = self._cards.get(digest)
        token = self._current(card) if card is not None else None
        if token is None:
            # Looked up again even if nothing changed: another thread may have listed the folder just now.
            self._look_again()
            card = self._cards.get(digest)
            token = self._current(card) if card is not None else None
        return token

    def _current(self, card: _Card) -> Token | None:
        now = self._clock()
        if now - card.checked < self._refresh_seconds:
            return card.token
        stamp = _stamp(card.place.file)
        if stamp is None or stamp != card.stamp:
            try:
                card.token = card.place.read()
            except (BrokenTokenFile, FileNotFoundError):
                card.token = None
            card.stamp = _if_settled(stamp)
        card.checked = now
        return card.token

    def _look_again(self) -> None:
        """List the folder if it changed since."""
        stamp = _stamp(self._folder)
        if stamp == self._stamp:
            return
        with self._lock:
            known = {card.place.folder.name: card for card in self._cards.values()}
            # A hashed folder beside a plain one of the same token comes later, being longer, and wins.
            names = sorted(filter(is_token_name, folders_in(self._folder)), key=len)
            self._cards = {
                digest_of(name): known.get(name) or _Card(Place(self._kind, self._folder / name))
                for name in names
            }
            self._stamp = _if_settled(stamp)


class Tokens:
    """The tokens of a site.

    Threads may share it. Processes share the counts of calls through a file in `state_dir`.

    Args:
        root: the site; tokens are in `tokens/` below it.
        state_dir: `.flatdata/`, for the counts.
        refresh_seconds: how long a token's file is not looked at again.
        clock: seconds, growing.
    """

    def __init__(
        self,
        root: Path,
        state_dir: Path,
        *,
        refresh_seconds: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = root / "tokens"
        self._drawers: dict[str, _Drawer] = {
            kind: _Drawer(self.folder / kind, kind, refresh_seconds, clock) for kind in KINDS
        }
        self._counts = CallCounts(state_dir / "token-calls", clock)

    # --- for requests ---------------------------------------------------------------------------------

    def check(self, kind: str, token: object) -> Token | None:
        """The token, if it may be used now: None if it is unknown, disabled, used up, broken or no text.

        Never raises for any JSON value. Counts nothing (`count_call` does).
        """
        drawer = self._drawers.get(kind)
        # Printable: no control characters, no lone surrogates.
        if drawer is None or not isinstance(token, str) or not token.isprintable():
            return None
        if not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            return None
        digest = sha256(token.encode()).hexdigest()
        found = drawer.find(digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            return None
        if found.allowance == math.inf:
            return found
        if found.allowance <= 0:
            return None
        counted = self._counts.get(found.counter)
        return replace(found, calls=found.calls + counted) if counted < found.allowance else None

    def count_call(self, token: Token) -> bool:
        """Count one call of a checked token; False if others used up its limit in the meantime: refuse it.

        Call it once for an authorised request, before its effects. Exact over all processes for a token with
        a limit; for one without, the last second may be lost when the process is killed.
        """
        if token.allowance == math.inf:
            self._counts.add(token.counter)
            return True
        return self._counts.take(token.counter, token.allowance)

    def close(self) -> None:
        """Write the counts that are pending."""
        self._counts.close()

    # --- for people -----------------------------------------------------------------------------------

    def list(self) -> tuple[Token, ...]:
        """All tokens whose file can be read, by kind and name, with the calls counted so far."""
        found = []
        for place in places(self.folder):
            try:
                token = place.read()
            except (BrokenTokenFile, FileNotFoundError):
                continue
            found.append(replace(token, calls=token.calls + self._counts.get(token.counter)))
        return tuple(found)

    def create(self, kind: Kind, title: str = "", **attributes: Json) -> str:
        """Make a token and give it; only its hash is kept.

        `attributes` are `state`, `limit_calls`, `created_by`, and those of `FIELDS_BY_KIND` but `id`, which
        is drawn. Tokens for data sources get an `eu--` in front, as their clients expect.

        Raises:
            TokenError: for an attribute that the kind has not, or of the wrong type.
            OSError: if it cannot be written.
        """
        own = FIELDS_BY_KIND[kind]
        for name in attributes:
            if name == "id" or name not in ("state", "limit_calls", "created_by", *own):
                raise TokenError(f"a token of kind {kind} has no {name}")
        token = ("eu--" if kind == "data-sources" else "") + secrets.token_hex(16)
        fields = _new_fields(title, attributes)
        if "id" in own:
            fields["id"] = self._new_id()
        fields |= {name: attributes[name] for name in own if attributes.get(name) is not None}
        for reason in field_problems(fields):
            raise TokenError(reason)
        write_token(self.folder / kind / sha256(token.encode()).hexdigest(), fields)
        return token

    def _new_id(self) -> int:
        """An id no token has.

        Drawn at random, not counted up: ids are written into rules and permissions, so the id of a revoked
        token, or one given on two branches of a repository, must not come to mean another token.
        """
        taken = {token.id for token in self.list()}
        while (drawn := _MIN_ID + secrets.randbelow(_MAX_ID - _MIN_ID)) in taken:
            pass
        return drawn

    def revoke(self, which: str) -> tuple[Token, ...]:
        """Delete a token, given itself or the first six or more digits of its SHA-256 (as `list` shows).

        Gives what was deleted: several where kinds share the token. Raises TokenError if none matches, or a
        prefix matches more than one; OSError if it cannot be deleted.
        """
        whole = sha256(which.encode("utf-8", "surrogatepass")).hexdigest()
        known = list(places(self.folder))
        chosen = [place for place in known if place.digest == whole]
        if not chosen and re.fullmatch(r"[0-9a-f]{6,64}", which):
            chosen = [place for place in known if place.digest.startswith(which)]
        if not chosen:
            raise TokenError("no such token")
        if len({place.digest for place in chosen}) > 1:
            raise TokenError("several tokens begin so; give more digits")
        revoked = tuple(place.read_or_blank() for place in chosen)
        for place in chosen:
            remove_token(place.folder)
        return revoked

    def hash_plain(self) -> tuple[Token, ...]:
        """Rename the folders named by a plain token to its hash; gives those that were renamed.

        One whose hash is already there stays, and `problems` keeps naming it. Raises OSError.
        """
        renamed = [hash_name(place) for place in places(self.folder)]
        return tuple(place.read_or_blank() for place in renamed if place is not None)

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the token files: broken, refused and plain ones, ids given twice."""
        return tuple(token_problems(self.folder))


def _new_fields(title: str, attributes: Mapping[str, Json]) -> dict[str, Json]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    creator = attributes.get("created_by", "")
    return {
        "title": title,
        "state": attributes.get("state", "enabled"),
        "limit_calls": attributes.get("limit_calls", 0),
        "calls": 0,
        "uuid": str(uuid.uuid4()),
        "created_by": creator,
        "created_at": now,
        "updated_by": creator,
        "updated_at": now,
    }
