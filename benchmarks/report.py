"""What a run found, as values, and RESULTS.md made from them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line that has something to reach; `reached` is None where nothing was measured, or nothing set."""

    work: str
    target: str
    measured: str
    reached: bool | None = None

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return {True: "reached", False: "**missed**", None: "—"}[self.reached]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures under a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(slots=True)
class Section:
    """What one part of a run found."""

    title: str
    verdicts: list[Verdict] = field(default_factory=list)
    ratios: list[Table] = field(default_factory=list)
    figures: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# --- words for numbers ----------------------------------------------------------------------------------


def milliseconds(value: float) -> str:
    """Three digits and the unit."""
    return f"{significant(value)} ms"


def times(value: float) -> str:
    """A factor."""
    return f"{significant(value)} ×"


def per_second(value: float) -> str:
    """A rate."""
    return f"{significant(value)}/s"


def significant(value: float) -> str:
    """Three digits that mean something, thousands set off."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def at_most(work: str, value: float, limit: float, unit: str = "ms", *, detail: str = "") -> Verdict:
    """A verdict on a figure that is to be small."""
    measured = f"{significant(value)} {unit}{f' ({detail})' if detail else ''}"
    return Verdict(work, f"at most {significant(limit)} {unit}", measured, value <= limit)


def at_least(work: str, value: float, limit: float, unit: str = "/s", *, detail: str = "") -> Verdict:
    """A verdict on a figure that is to be large."""
    measured = f"{significant(value)} {unit}{f' ({detail})' if detail else ''}"
    return Verdict(work, f"at least {significant(limit)} {unit}", measured, value >= limit)


# --- the page -------------------------------------------------------------------------------------------


def page(size: int, sections: Sequence[Section], machine: Mapping[str, str], about: str) -> str:
    """RESULTS.md: targets and ratios first, then all figures, then where they were taken."""
    parts = [f"# Results at {size:,} films", about, "## Targets"]
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    rows = [[each.work, each.target, each.measured, each.word] for each in verdicts]
    parts.append(_table(["work", "to reach", "measured", ""], rows))
    notes = [f"- {section.title}: {note}" for section in sections for note in section.notes]
    if notes:
        parts += ["## What to know about this run", "\n".join(notes)]
    for heading, tables in (
        ("Ratios", [table for section in sections for table in section.ratios]),
        ("Figures", [table for section in sections for table in section.figures]),
    ):
        if tables:
            parts.append(f"## {heading}")
        for table in tables:
            parts += [f"### {table.title}", *([table.note] if table.note else [])]
            parts.append(_table(table.columns, table.rows))
    parts += ["## Where", _table(["", ""], [[name, value] for name, value in machine.items()])]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


# --- where it was measured --------------------------------------------------------------------------------


def machine(folder: Path) -> dict[str, str]:
    """The machine, the date, the commit and the versions; `folder` is where the sites lie."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    libraries = ("flask", "granian", "msgspec", "pyroaring", "whoosh3", "watchdog")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{int(memory.split()[1]) / 1e6:.0f} GB",
        "file system": _output("df", "--output=fstype", str(folder)).split()[-1],
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in libraries),
        "wrk": _output("wrk", "-v").split("Copyright")[0].strip().splitlines()[0],
        "load average at the start": ", ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine()
    )


def _commit() -> str:
    commit = _output("git", "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "status", "--porcelain", "--untracked-files=no")
    return f"{commit} with uncommitted changes" if changed else commit


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return (done.stdout or done.stderr).strip()
