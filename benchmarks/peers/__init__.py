"""Other servers over the same films, as far as they can be installed from package registries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.peers.datasette import Datasette
from benchmarks.peers.jsonserver import JsonServer
from benchmarks.peers.peer import CannotInstall, Peer
from benchmarks.peers.pocketbase import PocketBase

PEERS: Final[Mapping[str, Callable[[Path], Peer]]] = {
    "PocketBase": PocketBase,
    "Datasette": Datasette,
    "json-server": JsonServer,
}
"""Each is made with the folder that it is installed in. Making it installs it, or raises CannotInstall."""

__all__ = ["PEERS", "CannotInstall", "Peer"]
