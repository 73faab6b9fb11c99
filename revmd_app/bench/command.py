"""The command `revmd bench`: what is to be measured, in what order, and what is written when it ends or is ended."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from revmd_app.bench import report
from revmd_app.bench.contest import Plan, WorkerError, hold
from revmd_app.bench.records import Contest, Results, begin, usable_cores
from revmd_app.bench.studies import LENGTHS, first_steps, grow

SYSTEMS = {
    "argon-216": ("argon", 216, 75),
    "argon-1000": ("argon", 1000, 100),
    "argon-4000": ("argon", 4000, 130),
    "water-216": ("water", 216, 130),
}
"""Name and size of each system, and the seconds it takes on an idle two-core machine (for the time that is left)."""
QUICK = ("argon", 108, 60)
ON_ALL_CORES = ("argon-4000", "water-216")
SECONDS = {"start": 60, "growth": 45, "all cores": 45, "app": 150}
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    p = argparse.ArgumentParser(
        prog="revmd bench",
        description="Measure the engine next to jax.grad, checkpointing, jax-md and OpenMM, and the app in a browser.",
    )
    p.add_argument("what", nargs="*", help="'app', or systems: " + ", ".join(SYSTEMS) + " (default: all systems)")
    p.add_argument("--all", action="store_true", help="everything: systems, memory, start-up, all cores, and the app")
    p.add_argument("--quick", action="store_true", help="108 argon atoms and short rounds: to see that it works")
    p.add_argument("--rounds", type=_positive, help="interleaved rounds, of which the median is taken (default 9)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write every number to a file")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="write a page with tables, method and caveats")
    p.add_argument("--plot", type=Path, metavar="FILE", help="write a picture (PNG or SVG; needs matplotlib)")
    p.add_argument("--from", dest="source", type=Path, metavar="JSON", help="measure nothing: report a file of --json")
    p.add_argument(
        "--jax-md-python", default=sys.executable, metavar="PYTHON", help="an interpreter that has jax-md, if not this"
    )
    p.add_argument("--openmm-platform", default="CPU", choices=("CPU", "Reference"), help="of OpenMM (default CPU)")
    return p


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 up is wanted, not '{text}'")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for and print it; write the files that are asked for. Ctrl-C keeps what is there."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(arguments)
    _check(options)
    status = 0
    if options.source is not None:
        results = Results.load(options.source)
    else:
        results = begin(" ".join(["revmd bench", *(_shown(a) for a in arguments)]))
        try:
            measure(options, results)
            results.complete = True
        except KeyboardInterrupt:
            print("\nrevmd bench: interrupted; what was measured is kept.", file=sys.stderr)
            status = INTERRUPTED
    report.show(results)
    _write(options, results)
    return status


def _shown(argument: str) -> str:
    """An argument for the record, without the folders of this machine."""
    name, equals, value = argument.rpartition("=")
    return name + equals + (Path(value).name if Path(value).is_absolute() else value)


def _check(options) -> None:
    unknown = [name for name in options.what if name not in (*SYSTEMS, "app")]
    if unknown:
        raise ValueError(f"there is no '{unknown[0]}' to measure: choose from {', '.join(SYSTEMS)} and app.")
    if shutil.which(options.jax_md_python) is None:
        raise ValueError(f"--jax-md-python: there is no interpreter '{options.jax_md_python}'.")
    for path in (options.json, options.markdown, options.plot):
        if path is not None and path.is_dir():
            raise ValueError(f"'{path}' is a folder: name a file to write.")


def _write(options, results: Results) -> None:
    if options.json is not None:
        results.save(options.json)
    if options.plot is not None:
        from revmd_app.bench.plot import draw

        draw(results, options.plot)
    if options.markdown is not None:
        picture = None if options.plot is None else os.path.relpath(options.plot, options.markdown.parent)
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(report.page(results, picture), encoding="utf-8")


class Progress:
    """Says on standard error what is going on, how long it has taken, and about how long it will."""

    def __init__(self, stages: dict[str, float]):
        self.left = dict(stages)
        self.began = time.monotonic()
        self.stage = ""
        self.stage_began = self.began
        self._last = ""

    def enter(self, stage: str) -> None:
        """Begin a stage."""
        self.stage, self.stage_began = stage, time.monotonic()

    def leave(self) -> None:
        """End a stage."""
        self.left.pop(self.stage, None)

    def __call__(self, what: str) -> None:
        gone = int(time.monotonic() - self.began)
        in_stage = min(time.monotonic() - self.stage_began, self.left.get(self.stage, 0.0))
        minutes = max(1, round((sum(self.left.values()) - in_stage) / 60))
        line = f"[{gone // 60:d}:{gone % 60:02d}, about {minutes} min left] {self.stage}: {what}"
        if sys.stderr.isatty():
            print("\r" + line.ljust(len(self._last)), end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)
        self._last = line

    def close(self) -> None:
        """Leave the last line of a terminal."""
        if sys.stderr.isatty() and self._last:
            print(file=sys.stderr)


def measure(options, results: Results) -> None:
    """Fill the results."""
    chosen = [name for name in options.what if name != "app"]
    app = options.all or "app" in options.what
    if options.all or not options.what:
        chosen = list(SYSTEMS)
    systems = {"argon-108": QUICK} if options.quick and chosen else {name: SYSTEMS[name] for name in chosen}
    extended = options.all or options.quick
    stages = {name: float(seconds) for name, (_, _, seconds) in systems.items()}
    if extended and systems:
        stages |= {"memory": SECONDS["growth"], "start-up": SECONDS["start"]}
    if options.all and usable_cores() > 1:
        stages |= {f"{name}, all cores": SECONDS["all cores"] for name in ON_ALL_CORES if name in systems}
    stages |= {"app": SECONDS["app"]} if app else {}
    progress = Progress(stages)
    peers = {"jax_md_python": options.jax_md_python, "openmm_platform": options.openmm_platform}
    plan = Plan(rounds=options.rounds or 9, **peers)
    if options.quick:
        plan = dataclasses.replace(plan, rounds=options.rounds or 3, gradient_steps=20, turn=0.05)
    try:
        with tempfile.TemporaryDirectory(prefix="revmd-bench-") as folder:
            _measure_systems(systems, stages, plan, results, progress, Path(folder), options.quick)
        if app:
            from revmd_app.bench.laboratory import measure_app

            with _stage("app", progress, results):
                results.app = measure_app(progress, quick=options.quick)
    finally:
        progress.close()


@contextlib.contextmanager
def _stage(name: str, progress: Progress, results: Results) -> Iterator[None]:
    """A part that may fail without taking the others with it: the reason is kept in `Results.problems`."""
    progress.enter(name)
    try:
        yield
    except (WorkerError, ValueError, OSError) as error:
        results.problems.append(f"{name}: {error}")
        progress(f"failed: {error}")
    progress.leave()


def _measure_systems(systems, stages, plan, results, progress, folder: Path, quick: bool) -> None:
    problems = {}
    for name, (kind, n, _) in systems.items():
        with _stage(name, progress, results):
            progress("preparing the liquid")
            problems[name] = _problem(kind, n, folder)
            _contest(results, name, problems[name], plan, progress)
    first = next(iter(problems), None)
    if "memory" in stages and first:
        with _stage("memory", progress, results):
            lengths = {method: steps[: 2 if quick else None] for method, steps in LENGTHS.items()}
            grow(problems[first], lengths, results.growth, progress)
    if "start-up" in stages and first:
        with _stage("start-up", progress, results):
            first_steps(results.contests[0], problems[first], results.starts, progress, plan.jax_md_python)
    for stage in [stage for stage in stages if stage.endswith("all cores")]:
        name = stage.partition(",")[0]
        everything = dataclasses.replace(plan, single=False, gradients=False, rounds=min(plan.rounds, 5))
        with _stage(stage, progress, results):
            if name in problems:
                _contest(results, name, problems[name], everything, progress)


def _contest(results: Results, name: str, problem: Path, plan: Plan, progress: Progress) -> None:
    from revmd_app.bench.peers.turns import Problem

    loaded = Problem.load(problem)
    contest = Contest(name.replace("-", " "), loaded.n_atoms, 1 if plan.single else usable_cores(), loaded.meta)
    results.contests.append(contest)
    hold(contest, problem, plan, progress)


def _problem(kind: str, n: int, folder: Path) -> Path:
    """The file that describes a liquid to every contender, written by a process of its own. (It may equilibrate.)"""
    path = folder / f"{kind}-{n}.npz"
    command = [sys.executable, "-m", "revmd_app.bench.peers.problem", kind, str(n), str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    if done.returncode:
        raise ValueError(f"{kind} {n} could not be prepared: {done.stderr.strip().splitlines()[-1]}")
    return path
