"""What is measured beside the contest: how memory grows with the length of a run, and the time to the first step."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from revmd_app.bench.contest import JAX_MD, MODULES, OPENMM, OURS, Say, Worker, WorkerError
from revmd_app.bench.records import Contest, Growth, Start

LENGTHS = {
    "reversible": (1_000, 10_000, 100_000),
    "checkpointed": (200, 2_000, 20_000),
    "reverse_mode": (20, 200, 2_000),
}
"""Steps for which the gradient's program is compiled, not run, and asked what it will reserve."""
JAX_MD_WAY = "sparse list"


def grow(problem: Path, lengths: dict[str, tuple[int, ...]], found: list[Growth], say: Say) -> None:
    """Bytes that the gradient by each method reserves, against the length of the run, added to `found`."""
    with Worker(OURS, problem, single=True) as worker:
        for method, steps in lengths.items():
            for n in steps:
                say(f"memory of {n:,} steps, {method}")
                known = worker.ask("prepare", program=f"gradient {method}", steps=n)
                found.append(Growth(method, n, known["bytes"]))


def first_steps(
    contest: Contest, problem: Path, found: list[Start], say: Say, jax_md_python: str = sys.executable
) -> None:
    """Seconds from the start of a process to its first step, with an empty and with a filled compile cache, added to
    `found`."""
    for contender in MODULES:
        say(f"first step of {contender}")
        row = contest.row(contender, "forward shifted")
        if row is None or row.status != "measured":
            continue
        way = row.note.split(" (")[0] if contender == JAX_MD else "only"
        python = jax_md_python if contender == JAX_MD else sys.executable
        with tempfile.TemporaryDirectory(prefix="revmd-bench-") as cache:
            repeats = 1 if contender == OPENMM else 2
            seconds = [_to_first_step(contender, problem, way, python, Path(cache)) for _ in range(repeats)]
        cold, warm = seconds[0], seconds[-1] if repeats > 1 else None
        if cold is not None:
            found.append(Start(contender, contest.system, cold, warm))


def _to_first_step(contender: str, problem: Path, way: str, python: str, cache: Path) -> float | None:
    began = time.perf_counter()
    try:
        with Worker(contender, problem, single=True, python=python, cache=cache) as worker:
            worker.ask("prepare", program=f"start {way}", steps=1)
            return time.perf_counter() - began
    except WorkerError:
        return None  # the contest has told why this one fails
