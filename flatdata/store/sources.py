"""Data sources: collections whose folder has a `manifest.yaml`, and the rows below them.

The model that the row dialects (Fliplet, Bubble, Appenate) and the command line share: design.md §3.
`Sources` finds them; the functions that change something only *make* changes for the plan of a
`store.commit`, they write nothing.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flatdata.errors import FlatdataError
from flatdata.store.changes import Change, Put
from flatdata.store.dates import iso_ms
from flatdata.store.entry import Entry
from flatdata.store.manifest import ROLE_LETTERS, Json, ManifestProblem, Source, source_of
from flatdata.store.paths import FILE, MANIFEST, join, segment_problem

__all__ = [
    "META",
    "ROLE_LETTERS",
    "ManifestProblem",
    "ReservedColumn",
    "Source",
    "Sources",
    "View",
    "added_columns",
    "changed_row",
    "iso_ms",
    "new_row",
    "new_source",
    "parse_row_id",
    "row_created_at",
    "row_created_by",
    "row_id",
    "row_order",
    "row_updated_at",
    "slug_from",
    "source_at",
    "source_of",
    "update_manifest",
]

META: Final = "_meta"


class ReservedColumn(FlatdataError):
    """A column has a name that the row format keeps for itself (`_meta`)."""

    def __init__(self, column: str) -> None:
        super().__init__(f"column name {column!r} is reserved")
        self.column = column


# --- what the store gives ---------------------------------------------------------------------------


class ManifestStore(Protocol):
    """The part of the store that `Sources` reads."""

    @property
    def manifest_version(self) -> int:
        """Grows with each change of any manifest."""

    def manifests(self) -> Sequence[Entry]:
        """All manifests, as entries with the slug `<source>/manifest`."""


class View(Protocol):
    """The part of a plan's view that is needed to make changes."""

    @property
    def now_ns(self) -> int:
        """The time of the commit in nanoseconds since 1970."""

    def get(self, slug: str) -> Entry | None:
        """The entry at a slug."""

    def exists(self, slug: str) -> bool:
        """Whether there is an entry, or a folder with entries below."""

    def children(self, slug: str) -> Sequence[Entry]:
        """The entries directly below, no manifests."""

    def manifests(self) -> Sequence[Entry]:
        """All manifests."""

    def next_id(self) -> int:
        """An integer no row of this site ever had."""


# --- finding sources ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """All lookups for one version of the manifests."""

    version: int
    live: tuple[Source, ...]
    trash: tuple[Source, ...]
    ids: Mapping[int, Source]
    names: Mapping[str, Source]
    slugs: Mapping[str, Source]
    problems: tuple[ManifestProblem, ...]


def _catalogue(version: int, sources: Iterable[Source]) -> _Catalogue:
    ids: dict[int, Source] = {}
    problems: list[ManifestProblem] = []
    for source in sorted(sources, key=lambda each: each.slug):
        problems.extend(source.problems())
        if not source.id:
            continue
        if ids.setdefault(source.id, source) is not source:
            problems.append(ManifestProblem(source.slug, "id", f"unlike that of {ids[source.id].slug}"))
    ordered = [ids[identity] for identity in sorted(ids)]
    live = tuple(source for source in ordered if source.deleted_at is None)
    names: dict[str, Source] = {}
    for source in live:
        names.setdefault(source.name, source)
    return _Catalogue(
        version=version,
        live=live,
        trash=tuple(source for source in ordered if source.deleted_at is not None),
        ids=ids,
        names=names,
        slugs={source.slug: source for source in live},
        problems=tuple(problems),
    )


class Sources:
    """Finds data sources; each lookup is one dictionary access while no manifest changed.

    A source without a usable id, or with the id of another one (a folder copied by hand: the first slug keeps
    it), is not served but listed in `problems`. Threads may share one instance: a catalogue is built under a
    lock, never changed, and replaced in one assignment, so a reader sees the old or the new one whole.
    """

    def __init__(self, store: ManifestStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._current: _Catalogue | None = None
        self._parsed: dict[str, tuple[Entry, Source]] = {}

    def _latest(self) -> _Catalogue:
        current, version = self._current, self._store.manifest_version
        if current is not None and current.version == version:
            return current
        with self._lock:
            # The version is read before the manifests: a change in between makes the next call build again.
            version = self._store.manifest_version
            if self._current is None or self._current.version != version:
                self._current = _catalogue(version, self._read())
            return self._current

    def _read(self) -> list[Source]:
        manifests = {entry.slug: entry for entry in self._store.manifests()}
        known = self._parsed
        self._parsed = {
            slug: known[slug] if slug in known and known[slug][0] is entry else (entry, source_of(entry))
            for slug, entry in manifests.items()
        }
        return [source for _, source in self._parsed.values()]

    @property
    def version(self) -> int:
        """Grows with each change of any manifest: a key for caches made from sources."""
        return self._latest().version

    def all(self) -> tuple[Source, ...]:
        """The live sources, by id."""
        return self._latest().live

    def trash(self) -> tuple[Source, ...]:
        """The deleted sources, by id."""
        return self._latest().trash

    def by_id(self, identity: int) -> Source | None:
        """The live source with this id."""
        source = self._latest().ids.get(identity)
        return source if source is not None and source.deleted_at is None else None

    def in_trash(self, identity: int) -> Source | None:
        """The deleted source with this id."""
        source = self._latest().ids.get(identity)
        return source if source is not None and source.deleted_at is not None else None

    def by_name(self, name: str) -> Source | None:
        """The live source with exactly this name; of several, the one with the lowest id."""
        return self._latest().names.get(name)

    def by_slug(self, slug: str) -> Source | None:
        """The live source at this place."""
        return self._latest().slugs.get(slug)

    def problems(self) -> tuple[ManifestProblem, ...]:
        """What is wrong with the manifests, by slug."""
        return self._latest().problems


def source_at(view: View, slug: str) -> Source | None:
    """The source at a slug as a plan sees it, live or deleted; None if it has no manifest (any more)."""
    manifest = view.get(join(slug, MANIFEST))
    return None if manifest is None else source_of(manifest)


# --- changing sources ---------------------------------------------------------------------------------

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f/\\<>:"|?*]+|\s+')
_DEVICE = re.compile(r"(?:entry|manifest|con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
_SLUG_BYTES = 200


def slug_from(name: str) -> str:
    """A path segment that reads like `name`: lower case, Unicode kept, never empty, reserved or refused."""
    text = _FORBIDDEN.sub("-", unicodedata.normalize("NFC", name.lower()))
    text = "".join(
        character for character in text if unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
    text = text.encode("utf-8")[:_SLUG_BYTES].decode("utf-8", "ignore").strip(" .-_~")
    if _DEVICE.fullmatch(text) or text.endswith(".yaml"):
        text = f"{text}-source"
    return "source" if segment_problem(text) else text


def new_source(view: View, name: str, **fields: Json) -> tuple[list[Change], Source]:
    """The changes that create a data source called `name`, and the source they make.

    `fields` are keys of the manifest (`columns=[...]`, `permissions={...}`, ...). The id is new in the site,
    and the slug made from the name, with the id behind it where that place is taken.
    """
    taken = {source_of(manifest).id for manifest in view.manifests()}
    identity = view.next_id()
    while identity in taken:
        identity = view.next_id()
    slug = slug_from(name)
    if view.exists(slug):
        slug = f"{slug}-{identity}"
    now = iso_ms(view.now_ns)
    manifest: dict[str, Json] = {
        "id": identity,
        "name": name,
        "columns": None,
        "type": None,
        "public": False,
        "encrypted": False,
        "hooks": [],
        "definition": {},
        "access_rules": None,
        "permissions": {},
        "app_id": None,
        "organization_id": None,
        "created_at": now,
        "updated_at": now,
    }
    manifest.update(fields)
    source = Source(slug, manifest)
    return [Put(slug=join(slug, MANIFEST), fields=manifest, form=MANIFEST)], source


def update_manifest(source: Source, **fields: Json) -> Put:
    """The change that sets keys of a manifest and leaves the others, unknown ones too, as they are."""
    return Put(slug=join(source.slug, MANIFEST), fields={**source.manifest, **fields}, form=MANIFEST)


def added_columns(source: Source, rows: Iterable[Mapping[str, Json]]) -> tuple[str, ...]:
    """The keys of `rows` that `source` does not declare yet, in the order they first appear."""
    seen = dict.fromkeys(source.columns or ())
    declared = len(seen)
    for row in rows:
        for key in row:
            seen.setdefault(key)
    return tuple(seen)[declared:]


# --- rows ---------------------------------------------------------------------------------------------

_INTEGER = re.compile(r"[1-9][0-9]{0,18}|0")


def parse_row_id(text: str) -> int | str:
    """A row id as dialects show it: an integer whenever the file name is one."""
    return int(text) if _INTEGER.fullmatch(text) else text


def row_id(entry: Entry) -> int | str:
    """The id of a row: the name of its file."""
    return parse_row_id(entry.name)


def row_created_at(entry: Entry) -> str:
    """When the row was made, ISO 8601; the file's modification time if the row does not say."""
    stamp = entry.meta.get("created_at")
    return stamp if isinstance(stamp, str) else iso_ms(entry.mtime_ns)


def row_updated_at(entry: Entry) -> str:
    """When the row last changed, ISO 8601; the file's modification time if the row does not say."""
    stamp = entry.meta.get("updated_at")
    return stamp if isinstance(stamp, str) else iso_ms(entry.mtime_ns)


def row_order(entry: Entry) -> int | None:
    """The position somebody gave the row, or None."""
    order = entry.meta.get("order")
    return order if type(order) is int else None


def row_created_by(entry: Entry) -> Json:
    """Who made the row, as the dialect recorded it, or None."""
    return entry.meta.get("created_by")


def _checked(columns: Mapping[str, Json]) -> dict[str, Json]:
    if META in columns:
        raise ReservedColumn(META)
    return dict(columns)


def new_row(
    view: View,
    source: Source,
    columns: Mapping[str, Json],
    *,
    name: str | None = None,
    order: int | None = None,
    created_by: Json = None,
) -> Put:
    """The change that adds a row, dated with the commit's time, with a new integer id unless it has a `name`.

    Raises `ReservedColumn`.
    """
    now = iso_ms(view.now_ns)
    meta: dict[str, Json] = {"created_at": now, "updated_at": now}
    if created_by is not None:
        meta["created_by"] = created_by
    if order is not None:
        meta["order"] = order
    segment = str(view.next_id()) if name is None else name
    return Put(join(source.slug, segment), _checked(columns), meta, FILE)


def changed_row(view: View, entry: Entry, columns: Mapping[str, Json], **meta: Json) -> Put:
    """The change that replaces a row's columns and dates it anew; `meta` sets further keys such as `order`.

    Keeps what else the row's `_meta` holds; a row that never said when it was made gets its file's time.
    Raises `ReservedColumn`.
    """
    kept = {"created_at": row_created_at(entry), **entry.meta, "updated_at": iso_ms(view.now_ns), **meta}
    return Put(slug=entry.slug, fields=_checked(columns), meta=kept)
