"""What a gradient costs against the length of the trajectory: memory as XLA reserves it, and time.

Reverse-mode AD keeps every step, so its memory climbs through what a free Binder session has (1 to 2 GB); it is not
run beyond half a gigabyte, only what it would need is told. Checkpoints climb with the square root. Running time
backwards needs the same memory for any length.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

from revmd_app.gradients.compare import COMPILERS
from revmd_app.gradients.estimate import rebuild, reserved_bytes
from revmd_app.gradients.reversible import pathwise_sample
from revmd_app.gradients.studies.question import Clock, Part, Question, Step, chosen

METHODS = ("forward", "reversible", "checkpointed", "reverse_mode")
FIXED = {"lengths": [10, 100, 1000, 10_000, 100_000], "seconds": 4.0, "samples": 10}
LIMITS = [1e9, 2e9]
"""Bytes that a free Binder session may use: at least, at most."""
RUN_UP_TO = 5e8
"""Bytes beyond which nothing is run here: a lab must not exhaust the machine that serves it."""
WORTH_COMPILING = 2e10
"""Beyond so many predicted bytes XLA is not even asked: the need is read off the straight line."""


def cost(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Compile every method at every length and time it where that takes at most `seconds`.

    Every run takes the same number of `samples`, so that what grows with the length is the method's own need.
    """
    options = chosen(FIXED, given)
    samples = options["samples"]
    lengths = sorted({int(n) for n in options["lengths"]})
    if not lengths or lengths[0] < samples or any(n % samples for n in lengths):
        raise ValueError(f"lengths must be multiples of {samples} steps: every run takes {samples} samples.")
    parts = [(method, n) for n in lengths for method in METHODS]
    clock = Clock([Part(1.0, n == 0) for n in range(len(parts))])
    rows: list[dict[str, Any]] = []
    yield clock.step("compiling", described(question, rows, samples))
    state = question.experiment(samples, 1).start(question.potential, jax.random.key(31))
    pool = ThreadPoolExecutor(COMPILERS, thread_name_prefix="compile")
    try:
        ahead: dict[tuple[str, int], Future] = {}
        for i, (method, n) in enumerate(parts):
            for part in parts[
                i : i + COMPILERS + 1
            ]:  # XLA compiles outside of Python's lock, so the next ones may begin
                if part not in ahead and not beyond(rows, *part):
                    ahead[part] = pool.submit(compiled, question, *part, samples, state)
            rows.append(measured(question, method, n, ahead.get((method, n)), state, options["seconds"], rows))
            clock.tick()
            yield clock.step(f"{method.replace('_', ' ')}, {n:,} steps", described(question, rows, samples))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def beyond(rows, method: str, n: int) -> bool:
    """Whether a program would need so much that XLA is not asked."""
    expected = extrapolated([row for row in rows if row["method"] == method], "bytes", n)
    return expected is not None and expected > WORTH_COMPILING


def measured(question: Question, method: str, n: int, program, state, seconds: float, rows) -> dict[str, Any]:
    """One row: bytes from XLA (or from the line through shorter ones), seconds of a run where one is affordable."""
    row: dict[str, Any] = {"method": method, "n_steps": n, "extrapolated": False, "seconds": None, "why": None}
    shorter = [r for r in rows if r["method"] == method]
    if program is None:
        expected = extrapolated(shorter, "bytes", n)
        why = "not compiled: its need is read off the straight line through the shorter ones"
        return {**row, "bytes": expected, "extrapolated": True, "timed": False, "why": why}
    program = program.result()
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


def compiled(question: Question, method: str, n: int, samples: int, state):
    """The program of one run of n steps: the loss alone for "forward", loss and gradient otherwise."""
    experiment = question.experiment(n, n // samples, 0)
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


def described(question: Question, rows, samples: int) -> dict[str, Any]:
    """What has been found so far."""
    of = {method: [row for row in rows if row["method"] == method] for method in METHODS}
    return {
        "rows": list(rows),
        "limits": LIMITS,
        "crossing": {method: crossing(found, LIMITS[0]) for method, found in of.items()},
        "samples": samples,
        "atoms": question.case.system.n_atoms,
    }
