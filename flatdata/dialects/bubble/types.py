"""The types a site exposes, as its manifests declare them (reference/bubble.md §1, §2).

A data source whose manifest has a `bubble:` part is a type; its rows are the things. The part holds:

```yaml
bubble:
  exposed: true                 # left out or false: the API does not know the type
  display: Rental Unit          # its caption; left out: the name of the source
  fields:                       # caption -> type, in order
    Unit name: text             # text number boolean date geographic_address file image user
    Status: option.status       # option.<set>  custom.<typename>  list.<any of them>
  defaults: {Unit number: 1}    # caption -> value, for fields that a create or a replace does not give
  option_sets:                  # sets belong to the whole site; of two by one name the first counts
    Status: [Open, Closed]      # caption -> display texts, in order
  signup: true                  # type `user` only: whether /wf/signup may add users
  privacy: [...]                # see flatdata.access.privacy_rules
```

The type called `user` is special: it has a field `email`, people log in as its things, and `user` is also the
type of fields that refer to it. A manifest edited by hand may hold anything: what cannot be used is left out
and listed in `Catalogue.problems`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal
from zlib import crc32

from flatdata.access.privacy import Policy, Problem, Subject, closed_policy, open_policy
from flatdata.access.privacy_rules import parse_policy
from flatdata.index.terms import has_own_path
from flatdata.query.bubble_values import ID, FieldType, parse_type, squash
from flatdata.query.bubble_words import Analyse
from flatdata.query.tree import ABSENT, Absent, Field, Json
from flatdata.store.entry import Entry, encode_json
from flatdata.store.sources import Source, Sources, row_created_at, row_updated_at

Names = Literal["display", "id"]
"""What fields are called in bodies: their captions, or their ids."""

USER: Final = "user"
EMAIL: Final = "email"

COLUMN_VIEW: Final = "bubble:column"
BUILT_IN_VIEW: Final = "bubble:built-in"


@dataclass(frozen=True, slots=True)
class ThingField:
    """A field of a type.

    `caption` is also the column it is stored in; `id` the id form; `display` what the editor would show;
    `source` the field of the query tree that reads it as it is stored.
    """

    caption: str
    id: str
    type: FieldType
    source: Field
    display: str = ""
    built_in: bool = False

    @property
    def subject(self) -> Subject:
        """The field as a privacy rule names it."""
        return Subject(self.caption, self.type, self.source)

    @property
    def own_words(self) -> bool:
        """Whether no other column leads to its path in the index of words."""
        return has_own_path(self.caption)

    def key(self, names: Names) -> str:
        """Its key in bodies. Built-in fields have the same in both modes."""
        return self.id if names == "id" else self.caption


def _created_by(entry: Entry) -> Json | Absent:
    return entry.meta.get("created_by", ABSENT)


def _slug(entry: Entry) -> Json | Absent:
    return entry.meta.get("slug", ABSENT)


def _built_in(key: str, kind: str, read: Callable[[Entry], Json | Absent], display: str = "") -> ThingField:
    return ThingField(key, key, FieldType(kind), Field(BUILT_IN_VIEW, key, read), display or key, True)


UNIQUE_ID: Final = _built_in("_id", ID, lambda entry: entry.name, "unique ID")
CREATED_DATE: Final = _built_in("Created Date", "date", row_created_at)
MODIFIED_DATE: Final = _built_in("Modified Date", "date", row_updated_at)
CREATED_BY: Final = _built_in("Created By", USER, _created_by, "Creator")
SLUG: Final = _built_in("Slug", ID, _slug)

BUILT_INS: Final = (MODIFIED_DATE, CREATED_DATE, CREATED_BY, SLUG, UNIQUE_ID)
"""The fields every type has, whatever its manifest says."""


@dataclass(frozen=True, slots=True)
class OptionSet:
    """A set of options: its caption and the display texts."""

    display: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class ThingType:
    """A type: its name in URLs, its caption, its source, and its fields in the order of the manifest."""

    name: str
    display: str
    source: Source
    fields: tuple[ThingField, ...]
    defaults: Mapping[str, Json]
    policy: Policy
    signup: bool = False

    @property
    def is_user(self) -> bool:
        """Whether its things are the people who log in."""
        return self.name == USER

    @cached_property
    def all_fields(self) -> tuple[ThingField, ...]:
        """Built-in and own fields."""
        return (*BUILT_INS, *self.fields)

    @cached_property
    def stamp(self) -> str:
        """Changes whenever the rendering of a thing of this type may change."""
        shape = [(field.caption, field.id, str(field.type)) for field in self.fields]
        return f"{crc32(encode_json(shape)):08x}"

    @cached_property
    def _by_caption(self) -> Mapping[str, ThingField]:
        return {field.caption: field for field in reversed(self.all_fields)}

    @cached_property
    def _by_other_names(self) -> Mapping[str, ThingField]:
        """Fields by squashed caption and, behind all of those, by id; the first one wins."""
        found = {squash(field.caption): field for field in reversed(self.all_fields)}
        for field in self.all_fields:
            found.setdefault(field.id, field)
        return found

    def find(self, key: str) -> ThingField | None:
        """The field that a search calls `key`: its caption, squashed caption, or id (§2)."""
        return self._by_caption.get(key) or self._by_other_names.get(squash(key))

    def writable(self, names: Names) -> Mapping[str, ThingField]:
        """The fields a body may set, by the key it has to use: exactly what a GET shows."""
        return {field.key(names): field for field in self.fields}

    def subject(self, caption: str) -> Subject | None:
        """The field with this caption, as a privacy rule names it."""
        return next((field.subject for field in self.all_fields if field.caption == caption), None)


# --- ids of fields ----------------------------------------------------------------------------------------


def field_id(caption: str, field_type: FieldType) -> str:
    """The id form of a field: `unit_name_text`, `archived__boolean`, `items_list_custom_item` (§2).

    Each character of the caption that is neither letter nor digit becomes an underscore.
    """
    slug = "".join(character if character.isalnum() else "_" for character in caption.lower())
    return f"{slug}_{_word(field_type)}"


def _word(field_type: FieldType) -> str:
    target = "".join(character if character.isalnum() else "_" for character in field_type.target)
    parts = ("list" if field_type.many else "", field_type.kind, target)
    return "_".join(part for part in parts if part)


def _column(caption: str) -> Field:
    return Field(COLUMN_VIEW, caption, lambda entry: entry.fields.get(caption, ABSENT))


def email_field() -> ThingField:
    """The field every user has. Its key is `email` in both modes."""
    return ThingField(EMAIL, EMAIL, FieldType("text"), _column(EMAIL), EMAIL)


# --- reading manifests --------------------------------------------------------------------------------------


class _Reader:
    """Makes one type of one manifest, and notes what is wrong with it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.part: Mapping[str, Json] = source.bubble or {}
        self.problems: list[Problem] = []

    def note(self, field: str, reason: str) -> None:
        self.problems.append(Problem(self.source.slug, f"bubble.{field}", reason))

    def display(self) -> str:
        display = self.part.get("display")
        if isinstance(display, str) and squash(display):
            return display
        if display is not None:
            self.note("display", "must be text that is not empty")
        return self.source.name

    def mapping(self, key: str) -> Mapping[str, Json]:
        value = self.part.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self.note(key, "must be a mapping")
        return {}

    def flag(self, key: str, missing: bool) -> bool:
        value = self.part.get(key, missing)
        if type(value) is bool:
            return value
        self.note(key, "must be true or false")
        return False

    def fields(self, is_user: bool) -> tuple[ThingField, ...]:
        found = [email_field()] if is_user else []
        taken = {field.caption for field in (*BUILT_INS, *found)}
        ids: set[str] = set()
        for caption, text in self.mapping("fields").items():
            if is_user and caption == EMAIL:
                continue
            field_type = parse_type(text)
            if caption in taken or not caption or caption == "_meta" or (is_user and caption == "password"):
                self.note(f"fields.{caption}", "is a name that fields cannot have")
            elif field_type is None:
                self.note(f"fields.{caption}", "has a type that does not exist")
            else:
                found.append(self._field(caption, field_type, ids))
        return tuple(found)

    def _field(self, caption: str, field_type: FieldType, ids: set[str]) -> ThingField:
        name = field_id(caption, field_type)
        number = 0
        while name in ids:  # two captions that differ in punctuation only
            number += 1
            name = field_id(f"{caption}{number}", field_type)
        ids.add(name)
        return ThingField(caption, name, field_type, _column(caption), caption)

    def defaults(self, fields: Iterable[ThingField]) -> dict[str, Json]:
        known = {field.caption for field in fields}
        given = self.mapping("defaults")
        for caption in given.keys() - known:
            self.note(f"defaults.{caption}", "is not a field")
        return {caption: value for caption, value in given.items() if caption in known}

    def option_sets(self) -> dict[str, OptionSet]:
        sets: dict[str, OptionSet] = {}
        for caption, options in self.mapping("option_sets").items():
            if isinstance(options, list) and all(isinstance(option, str) and option for option in options):
                sets.setdefault(squash(caption), OptionSet(caption, tuple(options)))
            else:
                self.note(f"option_sets.{caption}", "must be a list of texts")
        return sets


@dataclass(frozen=True)
class Catalogue:
    """All types of a site as of one version of its manifests.

    `types` are the exposed ones by name, in the order in which they win; `hidden` those that are not exposed:
    the API does not serve them, but fields may refer to them.
    """

    types: Mapping[str, ThingType]
    hidden: Mapping[str, ThingType]
    option_sets: Mapping[str, OptionSet]
    problems: tuple[Problem, ...]

    def find(self, name: str) -> ThingType | None:
        """The exposed type that a URL calls `name`, in any case."""
        return self.types.get(squash(name))

    def any_type(self, name: str) -> ThingType | None:
        """The type of this name, exposed or not."""
        return self.types.get(name) or self.hidden.get(name)

    def target(self, field_type: FieldType) -> ThingType | None:
        """The type that a reference refers to."""
        return self.any_type(USER if field_type.kind == USER else field_type.target)

    @property
    def users(self) -> ThingType | None:
        """The type of the people who log in."""
        return self.any_type(USER)


def read_catalogue(sources: Iterable[Source], analyse: Analyse) -> Catalogue:
    """The types of `sources`, which come in the order in which they win: by id."""
    readers = [_Reader(source) for source in sources if source.bubble is not None]
    shells: list[tuple[_Reader, str, tuple[ThingField, ...]]] = []
    option_sets: dict[str, OptionSet] = {}
    problems: list[Problem] = []
    for reader in readers:
        display = reader.display()
        shells.append((reader, display, reader.fields(squash(display) == USER)))
        for name, options in reader.option_sets().items():
            option_sets.setdefault(name, options)
    subjects = _user_subjects(shells)
    exposed: dict[str, ThingType] = {}
    hidden: dict[str, ThingType] = {}
    for reader, display, fields in shells:
        thing_type = _make_type(reader, display, fields, subjects, analyse)
        known = exposed if reader.flag("exposed", missing=False) else hidden
        if known.setdefault(thing_type.name, thing_type) is not thing_type:
            reader.note("display", f"squashes to {thing_type.name!r} like that of another type, which wins")
        problems += reader.problems
    return Catalogue(exposed, hidden, option_sets, tuple(problems))


def _user_subjects(shells: Iterable[tuple[_Reader, str, tuple[ThingField, ...]]]) -> Mapping[str, Subject]:
    """The fields of the current user, as rules of all types may name them."""
    for _, display, fields in shells:
        if squash(display) == USER:
            return {field.caption: field.subject for field in (*BUILT_INS, *fields)}
    return {}


def _make_type(
    reader: _Reader,
    display: str,
    fields: tuple[ThingField, ...],
    users: Mapping[str, Subject],
    analyse: Analyse,
) -> ThingType:
    source = reader.source
    thing_type = ThingType(
        name=squash(display),
        display=display,
        source=source,
        fields=fields,
        defaults=reader.defaults(fields),
        policy=closed_policy(),
        signup=squash(display) == USER and reader.flag("signup", missing=True),
    )
    rules = reader.part.get("privacy")
    if rules is None or rules == []:
        policy = open_policy(public=source.public)
    else:
        policy, problems = parse_policy(rules, thing_type.subject, users.get, analyse)
        reader.problems += [
            Problem(source.slug, f"bubble.{problem.field}", problem.reason) for problem in problems
        ]
    return replace(thing_type, policy=policy)


class Types:
    """The catalogue of a site, made again when a manifest changed. Threads may share one instance."""

    def __init__(self, sources: Sources, analyse: Analyse) -> None:
        self._sources = sources
        self._analyse = analyse
        self._lock = threading.Lock()
        self._version = -1
        self._catalogue = Catalogue({}, {}, {}, ())

    def current(self) -> Catalogue:
        """The types as the manifests declare them now."""
        version = self._sources.version
        if version == self._version:
            return self._catalogue
        with self._lock:
            if version != self._version:
                self._catalogue = read_catalogue(self._sources.all(), self._analyse)
                self._version = version
            return self._catalogue
