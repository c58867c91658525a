"""A site, opened: its settings, store, index, tokens and plugins, held together."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from flatdata.access.tokens import Tokens
from flatdata.errors import FlatdataError
from flatdata.index.index import Index
from flatdata.index.status import READY, REBUILD_REQUEST, KeeperStatus, StatusFile
from flatdata.index.supervisor import KeeperOptions, Supervisor, keeper_lock
from flatdata.plugins import Plugins
from flatdata.settings import Settings
from flatdata.spare_memory import SpareMemory
from flatdata.store.errors import NotASite
from flatdata.store.scan import Problem
from flatdata.store.sources import Sources
from flatdata.store.store import Store

KeeperMode = Literal["process", "inline", "off"]

_POLL_SECONDS: Final = 0.02
_RETRY_SECONDS: Final = 0.5

logger = logging.getLogger("flatdata.site")


class SiteBusy(FlatdataError):
    """The site's keeper is running in another process and cannot be waited for."""


class Site:
    """One site. Use `Site.open`.

    Attributes:
        root: the site's folder.
        settings, store, index, sources, tokens, plugins: its parts.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        if not (root / "content").is_dir():
            raise NotASite(root)
        self.root = root
        self.settings = settings
        self.store = Store(root, settings.log.segment_bytes)
        self.tokens = Tokens(root, self.store.state_dir, refresh_seconds=settings.tokens.refresh_seconds)
        self.plugins = Plugins(root)
        self.sources = Sources(self.store)
        self.index = Index(self.store.state, self.store.state_dir)
        self._status_file = StatusFile(self.store.state_dir)
        self._supervisor: Supervisor | None = None
        self._spare_memory = SpareMemory()
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._loading: threading.Thread | None = None
        self._closers: list[Callable[[], None]] = []

    @classmethod
    @contextlib.contextmanager
    def open(cls, root: Path, settings: Settings, keeper: KeeperMode = "process") -> Iterator[Site]:
        """Open the site at `root`, and close it at the end of the `with` block.

        Args:
            keeper: `process` starts one in the background if there is none, and the site may not be ready
                yet (`wait_ready`); `inline` brings the index in step with the files first, here, unless a
                keeper is running; `off` takes what the last keeper left.

        Raises:
            NotASite: without a `content/` folder.
        """
        site = cls(root.resolve(), settings)
        try:
            site.start(keeper)
            yield site
        finally:
            site.close()

    def start(self, keeper: KeeperMode) -> None:
        """Start loading; see `open`."""
        if keeper == "process":
            self._supervisor = Supervisor(self.root, self._keeper_options(), self._tick)
            self._supervisor.start()
            self._loading = threading.Thread(target=self._load_uncollected, name="loading", daemon=True)
            self._loading.start()
            return
        if keeper == "inline":
            self._keep_inline()
        self._load()
        self._open()

    def _keeper_options(self) -> KeeperOptions:
        log = self.settings.log
        return KeeperOptions(
            compare_seconds=self.settings.index.compare_seconds,
            checkpoint_seconds=log.checkpoint_seconds,
            keep_days=log.keep_days,
            segment_bytes=log.segment_bytes,
        )

    def _keep_inline(self) -> None:
        from flatdata.index.keeper import Keeper  # a process that serves is no keeper

        lock = keeper_lock(self.store.state_dir)
        if lock is None:
            return
        try:
            keeper = Keeper(self.root, segment_bytes=self.settings.log.segment_bytes)
            try:
                keeper.prepare(watch=False)
            finally:
                keeper.close()
        finally:
            os.close(lock)

    def _load_uncollected(self) -> None:
        # This process serves one site: what is loaded stays, and need not be looked at for garbage.
        gc.disable()
        try:
            self._load_when_ready()
        finally:
            gc.enable()

    def _load_when_ready(self) -> None:
        """Load what the last keeper left while this one compares the files, then follow what it found."""
        loaded = False
        while not self._closing.is_set() and not self.ready:
            try:
                loaded = loaded or self.store.load_catalogue() is not None
                while not self._keeper_is_ready():
                    if self._closing.wait(_POLL_SECONDS):
                        return
                if loaded:
                    self.store.look()
                    self.store.follow()
                else:
                    self._load()
            except (FlatdataError, OSError) as error:
                logger.warning("the site cannot be opened yet: %s", error)
                loaded = False
                self._closing.wait(_RETRY_SECONDS)
                continue
            gc.freeze()
            self._open()

    def _tick(self) -> None:
        # A worker that nobody asks anything must not fall behind the oldest record that is kept.
        if self.ready:
            self.store.look()
            self.store.follow()
            self._spare_memory.look(self.store.state.changed)

    def _keeper_is_ready(self) -> bool:
        status = self.status()
        return status.phase == READY and _is_alive(status.pid) and self._keeper_is_alive()

    def _keeper_is_alive(self) -> bool:
        lock = keeper_lock(self.store.state_dir)
        if lock is None:
            return True
        os.close(lock)
        return False

    def _load(self) -> None:
        """Fill the memory from the catalogue; where there is none (a full disk, say), from the files."""
        if self.store.load_catalogue() is None:
            self.store.load_files()

    def _open(self) -> None:
        self.store.record_listeners.append(self.plugins.changed)
        self._ready.set()

    @property
    def ready(self) -> bool:
        """Whether the content is loaded and in step with the files."""
        return self._ready.is_set()

    def wait_ready(self, seconds: float) -> bool:
        """Wait until the site is ready; False if it is not after `seconds`."""
        return self._ready.wait(seconds)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Have `closer` called when the site closes, the last one first."""
        self._closers.append(closer)

    def close(self) -> None:
        """Finish, write down what is pending, and let go of everything."""
        self._closing.set()
        for closer in reversed(self._closers):
            closer()
        if self._loading is not None:
            self._loading.join()
        if self._supervisor is not None:
            self._supervisor.stop()
        self.index.close()
        self.tokens.close()
        self.store.close()

    # --- what people ask --------------------------------------------------------------------------------

    def status(self) -> KeeperStatus:
        """What the keeper said last: phase, progress, number of entries, problems."""
        return self._status_file.read()

    def problems(self) -> list[Problem]:
        """What of the content is not served, and why."""
        return [Problem(p.path, p.reason, p.line) for p in self.status().problems]

    def health(self) -> dict[str, Any]:
        """The body of `GET /health`: status, numbers of entries, sources and problems, and progress."""
        status = self.status()
        if not self.ready:
            return {"status": status.phase, "done": status.done, "total": status.total}
        return {
            "status": "ok",
            "entries": len(self.store.state.entries) - len(self.store.manifests()),
            "sources": len(self.sources.all()),
            "problems": len(status.problems),
        }

    def rebuild_index(self, seconds: float = 600.0) -> None:
        """Make the index again from the files: by the running keeper if there is one, else here.

        Raises:
            SiteBusy: if the running keeper does not take the request within `seconds`.
        """
        lock = keeper_lock(self.store.state_dir)
        if lock is not None:
            os.close(lock)
            self._remove_index()
            self._keep_inline()
            return
        request = self.store.state_dir / REBUILD_REQUEST
        request.touch()
        end = time.monotonic() + seconds
        while request.exists():
            if time.monotonic() > end:
                raise SiteBusy("the running server did not take the request")
            time.sleep(_POLL_SECONDS)

    def _remove_index(self) -> None:
        folder = self.store.state_dir / "index"
        if folder.is_dir():
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()


def _is_alive(pid: int) -> bool:
    """Whether a process is there; what a keeper that was killed said last is not to be believed."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
