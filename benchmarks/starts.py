"""Starts, with an index and without, and an edit of thousands of files at once by git."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from itertools import cycle
from pathlib import Path
from statistics import median

from benchmarks import sites
from benchmarks.asking import Flextype
from benchmarks.bench import Bench
from benchmarks.load import LoadFailed, summary, timings
from benchmarks.questions import Question, Test, WrongAnswer
from benchmarks.report import Section, Table, Verdict, at_most, milliseconds, significant
from benchmarks.wire import Request
from flatdata.store.codec import dump_entry

CHANGED = 5_000
"""Files that a checkout changes, of 50,000."""
_FIRST_STARTS = 2
_ELSEWHERE = "Atlantis"
_VISIBLE_SECONDS = 120.0


def starts(bench: Bench) -> Section:
    """First starts, then starts with an index; the last server goes on running for the rest."""
    told, log = Section("starting"), bench.folder / "flatdata.log"
    first: list[sites.Start] = []
    for number in range(_FIRST_STARTS):
        bench.stop_server()
        if number:
            _forget(bench.site.root)
        server, start = sites.serve(bench.site, log)
        bench.use(server)
        first.append(start)
    settled = bench.server.wait_until_quiet()
    warm: list[sites.Start] = []
    for _ in range(bench.extent.rounds):
        bench.stop_server()
        server, start = sites.serve(bench.site, log)
        bench.use(server)
        warm.append(start)
    bench.server.wait_until_quiet()
    told.verdicts += _verdicts(bench.extent.size, first, warm)
    told.figures.append(
        Table(
            f"Starts with {bench.extent.size:,} files",
            ["", "median", "best", "worst", "times"],
            [_row("first start, no index", first), _row("start with an index", warm)],
            f"Until GET /health answers 200. After the last first start the word index was written in the "
            f"background for another {significant(settled)} s.",
        )
    )
    return told


def _forget(root: Path) -> None:
    """Remove all derived state, as after a clone."""
    shutil.rmtree(root / ".flatdata")
    (root / ".flatdata").mkdir()


def _verdicts(size: int, first: list[sites.Start], warm: list[sites.Start]) -> list[Verdict]:
    with_index = median(each.seconds for each in warm)
    without = median(each.seconds for each in first)
    before = sum(each.answers_before for each in first)
    return [
        at_most(f"start with {size:,} unchanged files", with_index, 1.2, "s"),
        at_most(f"first start, {size:,} files, no index", without, 15.0, "s"),
        Verdict(
            "`/health` during a first start",
            "answers with progress",
            f"{before} answers before it was ready, {'with' if _progress(first) else 'without'} progress",
            _progress(first) if before else None,
        ),
    ]


def _progress(first: list[sites.Start]) -> bool:
    return any(each.progress_seen for each in first)


def _row(title: str, starts_: list[sites.Start]) -> list[str]:
    seconds = [each.seconds for each in starts_]
    return [title, *(f"{significant(pick(seconds))} s" for pick in (median, min, max)), str(len(seconds))]


# --- git ----------------------------------------------------------------------------------------------------


def checkout(bench: Bench) -> Section:
    """Have git change thousands of files, and back, while the server runs and is read from."""
    told = Section("git checkout")
    if shutil.which("git") is None:
        told.notes.append("there is no git")
        return told
    changed = bench.extent.scaled(CHANGED)
    root = bench.site.root
    _commit_all(root)
    _branch(bench, changed)
    bench.server.wait_until_quiet()
    rows, waits = [], []
    for branch, visible in (("changed", True), ("plain", False)) * 2:
        git_seconds, after, reads = _switch(bench, branch, changed, visible)
        waits.append(git_seconds + after)
        worst = summary(reads)
        rows.append(
            [
                f"to {branch}",
                f"{significant(git_seconds)} s",
                f"{significant(after)} s",
                f"{worst.count:,}",
                milliseconds(worst.p99),
                milliseconds(worst.worst),
            ]
        )
    work = f"`git checkout` that changes {changed:,} of {bench.extent.size:,} files: all visible"
    told.verdicts.append(at_most(work, max(waits), 5.0, "s", detail="from its start, the slowest of four"))
    columns = ["", "git took", "then until all were visible", "reads meanwhile", "their p99", "the slowest"]
    told.figures.append(Table("git checkout", columns, rows, "Every read was answered with 200."))
    return told


def _git(root: Path, *arguments: str, text: str | None = None, index: Path | None = None) -> str:
    """Run git in a site. Raises subprocess.CalledProcessError."""
    identity = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com", "-c", "gc.auto=0")
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=root,
        input=text,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **({} if index is None else {"GIT_INDEX_FILE": str(index)})},
    )
    return done.stdout


def _commit_all(root: Path) -> None:
    _git(root, "init", "--quiet", "--initial-branch=plain")
    (root / ".git" / "info" / "exclude").write_text("/.flatdata/\n/tokens/\n")
    _git(root, "add", "content")
    _git(root, "commit", "--quiet", "-m", "all")


def _branch(bench: Bench, count: int) -> None:
    """A branch in which `count` films are from elsewhere, made without touching the files that are served."""
    root, scratch = bench.site.root, bench.folder / "scratch"
    scratch.mkdir()
    names = list(bench.films.by_name)[:: bench.extent.size // count][:count]
    for name in names:
        film = {**bench.films.by_name[name], "country": _ELSEWHERE}
        (scratch / f"{name}.yaml").write_bytes(dump_entry(film, "file"))
    paths = "".join(f"{scratch / name}.yaml\n" for name in names)
    hashes = _git(root, "hash-object", "-w", "--no-filters", "--stdin-paths", text=paths).split()
    index = scratch / "index"
    _git(root, "read-tree", "HEAD", index=index)
    lines = (
        f"100644 {hash_}\tcontent/films/{name}.yaml\n" for name, hash_ in zip(names, hashes, strict=True)
    )
    _git(root, "update-index", "--index-info", text="".join(lines), index=index)
    tree = _git(root, "write-tree", index=index).strip()
    commit = _git(root, "commit-tree", tree, "-p", "HEAD", "-m", "elsewhere").strip()
    _git(root, "branch", "changed", commit)


def _switch(bench: Bench, branch: str, count: int, visible: bool) -> tuple[float, float, list[float]]:
    """Seconds that git took, seconds until all was visible after that, and of each read meanwhile."""
    flextype = Flextype(bench.site.tokens)
    stop, reads, failures = threading.Event(), list[float](), list[Exception]()
    names = list(bench.films.by_name)[:200]
    encoded = [flextype.entry(name).encode(bench.server.address) for name in names]

    def read() -> None:
        try:
            reads.extend(timings(bench.server.address, cycle(encoded), 3600, stop=stop))
        except (LoadFailed, OSError) as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        begun = time.perf_counter()
        _git(bench.site.root, "checkout", "--quiet", branch)
        git_seconds = time.perf_counter() - begun
        _wait_for(bench, _last_of(flextype, count if visible else 1), 200 if visible else 404)
        after = time.perf_counter() - begun - git_seconds
    finally:
        stop.set()
        reader.join()
    if failures:
        raise WrongAnswer(f"a read failed during the checkout: {failures[0]}")
    return git_seconds, after, reads


def _last_of(flextype: Flextype, count: int) -> Request:
    """A question that is answered once there are `count` films from elsewhere."""
    return flextype.collection(
        Question(tests=(Test("country", "equal", _ELSEWHERE),), offset=count - 1, limit=1)
    )


def _wait_for(bench: Bench, request: Request, status: int) -> None:
    end = time.monotonic() + _VISIBLE_SECONDS
    while bench.server.ask(request).status != status:
        if time.monotonic() > end:
            raise WrongAnswer(f"not all changes were visible after {_VISIBLE_SECONDS:.0f} s")
        time.sleep(0.02)
