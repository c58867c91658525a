"""Made-up films in any number, always the same for the same seed: the data that everything is measured on.

`python -m benchmarks.films 50000 FOLDER` writes a site with that many films.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flatdata.store.codec import dump_entry


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words("Ada Bruno Carla Dmitri Elsa Farid Greta Hugo Ines Jonas Karla Luca Mira Noor Otto Petra")
_LAST = _words(
    "Abel Bergman Costa Duarte Engel Fiore Gruber Haas Ito Jansen Kessler Lindt Moreau Novak Okafor"
)
_GENRES = _words("action comedy drama horror thriller western romance mystery fantasy documentary")
_COUNTRIES = _words("Chile France Germany India Italy Japan Kenya Mexico Norway Poland Spain Turkey")
_SYLLABLES = _words(
    "ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu"
)


def vocabulary(seed: int = 7, size: int = 4_000) -> list[str]:
    """Words of two to four syllables, the frequent ones first."""
    source = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < size:
        words["".join(source.choice(_SYLLABLES) for _ in range(source.randint(2, 4)))] = None
    return list(words)


def films(count: int, seed: int = 1) -> Iterator[tuple[str, dict[str, Any]]]:
    """`count` films of ten fields, with their names; about 450 bytes each."""
    source = random.Random(seed)
    words = vocabulary()
    for number in range(count):
        title = " ".join(words[int(source.paretovariate(0.6)) % len(words)] for _ in range(3)).title()
        text = " ".join(words[int(source.paretovariate(0.5)) % len(words)] for _ in range(40))
        yield (
            f"film-{number:06d}",
            {
                "title": title,
                "director": f"{source.choice(_FIRST)} {source.choice(_LAST)} {source.randint(1, 20)}",
                "year": source.randint(1920, 2026),
                "rating": round(source.uniform(1, 10), 1),
                "runtime": source.randint(60, 240),
                "genre": ", ".join(source.sample(_GENRES, 2)),
                "country": source.choice(_COUNTRIES),
                "awarded": source.random() < 0.1,
                "tags": source.sample(words[:200], 3),
                "content": text,
            },
        )


def write_site(root: Path, count: int, seed: int = 1) -> None:
    """Write a site whose collection `films` has `count` films, one file each."""
    folder = root / "content" / "films"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "entry.yaml").write_text("title: Films\n", encoding="utf-8")
    for name, film in films(count, seed):
        (folder / f"{name}.yaml").write_bytes(dump_entry(film, "file"))


if __name__ == "__main__":
    write_site(Path(sys.argv[2]), int(sys.argv[1]))
