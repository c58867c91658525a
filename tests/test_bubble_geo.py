"""Addresses and places: the gazetteer, and plugins that know better."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bubble_http import UNITS, admin, put_manifest
from conftest import Server

from flatdata.dialects.bubble.geo import Gazetteer, Geocoder, Place, load_gazetteer


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return load_gazetteer()


NEW_YORK = (40.71, -74.01)
LONDON = (51.51, -0.13)
PARIS = (48.85, 2.35)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("New York", NEW_YORK),
        ("new york", NEW_YORK),
        ("New York, NY", NEW_YORK),
        ("New York, NY 10001, USA", NEW_YORK),
        ("5th Avenue, New York", NEW_YORK),
        ("London", LONDON),
        ("London, UK", LONDON),
        ("10 Downing Street, London SW1A 2AA, UK", LONDON),
        ("Victoria, London", LONDON),
        ("London, Ontario, Canada", (42.98, -81.23)),
        ("Paris", PARIS),
        ("Paris, France", PARIS),
        ("Paris, Texas", (33.66, -95.56)),
        ("Paris, TX, USA", (33.66, -95.56)),
        ("München", (48.14, 11.58)),
        ("Muenchen", (48.14, 11.58)),
        ("Munich, Germany", (48.14, 11.58)),
        ("Sao Paulo", (-23.55, -46.64)),
        ("東京", (35.69, 139.69)),
        ("Germany", (52.52, 13.41)),
        ("Singapore", (1.29, 103.85)),
        ("1600 Amphitheatre Pkwy, Mountain View, CA 94043", (37.39, -122.08)),
    ],
)
def test_addresses_are_found_without_a_network(
    gazetteer: Gazetteer, address: str, place: tuple[float, float]
) -> None:
    found = gazetteer.find(address)
    assert found is not None
    assert (round(found.lat, 2), round(found.lng, 2)) == place


@pytest.mark.parametrize(
    "address", ["", ",", " , ,", "|", "Nowhereville", "12345", "|berlin|berlin|", "Berlin, Peru"]
)
def test_addresses_that_nobody_knows(gazetteer: Gazetteer, address: str) -> None:
    assert gazetteer.find(address) is None


def no_gazetteer() -> Gazetteer:
    raise AssertionError("the gazetteer must not be read")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("40.7, -74", Place(40.7, -74.0)),
        ("-90,180", Place(-90.0, 180.0)),
        ("91,0", None),
        ("", None),
        ("x" * 501, None),
    ],
)
def test_coordinates_need_no_gazetteer(address: str, place: Place | None) -> None:
    assert Geocoder(load=no_gazetteer)(address) == place


@pytest.mark.parametrize(
    "answer",
    [None, {}, "Berlin", {"lat": 91, "lng": 0}, {"lat": "1", "lng": 2}, {"lat": True, "lng": 1}, [1, 2]],
)
def test_what_a_plugin_answers_is_checked(answer: Any) -> None:
    geocode = Geocoder(lambda address: answer, lambda: Gazetteer([], [], []))
    assert geocode("Somewhere") is None


def test_a_plugin_comes_before_the_gazetteer(site_dir: Path, serve: Callable[..., Server]) -> None:
    put_manifest(site_dir, "units", UNITS)
    plugin = site_dir / "plugins" / "places" / "plugin.py"
    plugin.parent.mkdir()
    plugin.write_text(
        "from flatdata.plugins import hookimpl\n\n\n"
        "@hookimpl\n"
        "def flatdata_geocode(address):\n"
        "    if address == 'Our office':\n"
        "        return {'address': address, 'lat': 1.5, 'lng': 2.5}\n"
        "    if address == 'Broken':\n"
        "        raise RuntimeError('no')\n"
    )
    api = admin(serve(site_dir))
    identity = api.create("rentalunit", Address="Our office")
    assert api.thing("rentalunit", identity)["Address"] == {"address": "Our office", "lat": 1.5, "lng": 2.5}
    near = ("Address", "geographic_search", {"origin_address": "1.5, 2.5", "range": 1})
    assert api.search("rentalunit", near)["count"] == 1
    broken = api.request("POST", "/obj/rentalunit", json={"Address": "Broken"})
    assert broken.status_code == 400
