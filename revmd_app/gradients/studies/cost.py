"""What a gradient costs against the length of the trajectory: memory as XLA reserves it, and time.

Reverse-mode AD keeps every step, so its memory climbs through what a free Binder session has (1 to 2 GB); it is not
run beyond half a gigabyte, only what it would need is told. Checkpoints climb with the square root. Running time
backwards needs the same memory for any length.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from revmd_app.gradients.estimate import rebuild, reserved_bytes
from revmd_app.gradients.reversible import pathwise_sample
from revmd_app.gradients.studies.question import Clock, Part, Question, Step, chosen

METHODS = ("forward", "reversible", "checkpointed", "reverse_mode")
FIXED = {"lengths": [10, 100, 1000, 10_000, 100_000], "seconds": 4.0, "sample_every": 10}
LIMITS = [1e9, 2e9]
"""Bytes that a free Binder session may use: at least, at most."""
RUN_UP_TO = 5e8
"""Bytes beyond which nothing is run here: a lab must not exhaust the machine that serves it."""
WORTH_COMPILING = 1e11
"""Beyond so many predicted bytes XLA is not even asked: the need is read off the straight line."""


def cost(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Compile every method at every length and time it where that takes at most `seconds`."""
    options = chosen(FIXED, given)
    every = options["sample_every"]
    lengths = sorted({int(n) for n in options["lengths"]})
    if not lengths or lengths[0] < every or any(n % every for n in lengths):
        raise ValueError(f"lengths must be multiples of {every} steps, which is how often samples are taken.")
    parts = [(method, n) for n in lengths for method in METHODS]
    clock = Clock([Part(n * (1 if method == "forward" else 4), True) for method, n in parts])
    rows: list[dict[str, Any]] = []
    yield clock.step("compiling", described(question, rows, every))
    state = question.experiment(every, every).start(question.potential, jax.random.key(31))
    for method, n in parts:
        rows.append(measured(question, method, n, every, state, options["seconds"], rows))
        clock.tick()
        yield clock.step(f"{method.replace('_', ' ')}, {n:,} steps", described(question, rows, every))


def measured(question: Question, method: str, n: int, every: int, state, seconds: float, rows) -> dict[str, Any]:
    """One row: bytes from XLA (or from the line through shorter ones), seconds of a run where one is affordable."""
    row: dict[str, Any] = {"method": method, "n_steps": n, "extrapolated": False, "seconds": None, "why": None}
    shorter = [r for r in rows if r["method"] == method]
    expected = extrapolated(shorter, "bytes", n)
    if expected is not None and expected > WORTH_COMPILING:
        why = "not compiled: its need is read off the straight line through the shorter ones"
        return {**row, "bytes": expected, "extrapolated": True, "timed": False, "why": why}
    program = compiled(question, method, n, every, state)
    need = reserved_bytes(program)
    guess = extrapolated([r for r in shorter if r["seconds"] is not None], "seconds", n)
    if need > RUN_UP_TO:
        row["why"] = f"not run: it needs {need / 1e9:.2g} GB, and nothing beyond {RUN_UP_TO / 1e9:g} GB is run here"
    elif any(r["seconds"] is None for r in shorter):
        row["why"] = "not run: a shorter one took too long already"
    elif guess is not None and guess > seconds:
        row["why"] = f"not run: it would take about {guess:.0f} s"
    else:
        row["seconds"] = timed(program, question, state, once=n >= 10_000)
    return {**row, "bytes": need, "timed": row["seconds"] is not None}


def compiled(question: Question, method: str, n: int, every: int, state):
    """The program of one run of n steps: the loss alone for "forward", loss and gradient otherwise."""
    experiment = question.experiment(n, every, 0)
    make = rebuild(question.potential)
    if method == "forward":
        function = lambda leaves, state, key: experiment.value(experiment.series(make(leaves), state, key))
    else:
        function = pathwise_sample(experiment, question.potential, method)
    return jax.jit(function).lower(jnp.asarray(question.leaves), state, jax.random.key(0)).compile()


def timed(program, question: Question, state, once: bool) -> float:
    """Seconds of a run: the best of three, or the only one of a long run."""
    took = []
    for _ in range(1 if once else 3):
        began = time.perf_counter()
        jax.block_until_ready(program(jnp.asarray(question.leaves), state, jax.random.key(32)))
        took.append(time.perf_counter() - began)
    return min(took)


def extrapolated(rows, column: str, n: int) -> float | None:
    """A column at n steps, on the straight line through the two longest rows; None with fewer than two."""
    if len(rows) < 2:
        return None
    (n1, y1), (n2, y2) = ((row["n_steps"], row[column]) for row in rows[-2:])
    return y2 + (n - n2) * (y2 - y1) / (n2 - n1)


def crossing(rows, limit: float) -> int | None:
    """The number of steps at which a method needs `limit` bytes: on the line between the rows around it, None when it
    stays below."""
    for before, after in itertools.pairwise(rows):
        if before["bytes"] < limit <= after["bytes"]:
            share = (limit - before["bytes"]) / (after["bytes"] - before["bytes"])
            return round(before["n_steps"] + share * (after["n_steps"] - before["n_steps"]))
    return None


def described(question: Question, rows, every: int) -> dict[str, Any]:
    """What has been found so far."""
    of = {method: [row for row in rows if row["method"] == method] for method in METHODS}
    return {
        "rows": list(rows),
        "limits": LIMITS,
        "crossing": {method: crossing(found, LIMITS[0]) for method, found in of.items()},
        "sample_every": every,
        "atoms": question.case.system.n_atoms,
    }
