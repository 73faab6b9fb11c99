"""Cut earlier: less noise, more bias. The gradient against how far back each sample's influence is followed.

The paper's figure S1 asks this question with one run for each length; here one walk back gives every length, so that
all are cut from the same trajectories. The reference is a gradient that no truncation touches: reweighting of long
runs where the loss is one of averages, finite differences of whole runs where it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.backward import Backward, walk_work
from revmd_app.gradients.estimate import rebuild, standard_error
from revmd_app.gradients.studies.question import Clock, Question, Step, by_system, chosen, keys_of, repeated

LENGTHS = [0, 10, 25, 50, 100, 200, 300, 500, 750, 1000]
LIQUID = {"lengths": LENGTHS, "steps": 1500, "sample_every": 75, "replicas": 8, "reference": 10}
WATER = {"lengths": [*LENGTHS[:-2], 600], "steps": 1000, "sample_every": 100, "replicas": 8, "reference": 10}
DIFFERENCE = 0.02
"""Relative step of the finite differences of whole runs: large, for their noise does not cancel."""


def truncation(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """The reference first, then one walk back a replica. `reference` is how many times longer the reference runs."""
    options = chosen(by_system(question.case, WATER, LIQUID), given)
    lengths = sorted({int(n) for n in options["lengths"]})
    if not lengths or lengths[0] < 0:
        raise ValueError("truncation lengths are numbers of steps, 0 or more: give at least one.")
    steps, every, replicas = options["steps"], options["sample_every"], options["replicas"]
    experiment = question.experiment(steps, every)
    reference = reference_of(question, experiment, options["reference"])
    walking = walk_work(experiment, lengths[-1], lengths[-1])
    clock = Clock(repeated(reference_work(question, experiment), options["reference"]) + repeated(walking, replicas))
    result: dict[str, Any] = {"rows": [], "reference": None, "best": {}}
    yield clock.step("compiling the reference", result)
    known = None
    for n, known in enumerate(reference):
        clock.tick()
        result = {**result, "reference": known}
        yield clock.step(f"reference, run {n + 1} of {options['reference']}", result)
    walker = Backward(experiment, question.potential, reach=lengths[-1], lead=lengths[-1])
    each = []
    for n, key in enumerate(keys_of(21, replicas)):
        walk = walker(question.leaves, key, lengths)
        each.append([walk.truncated(k) for k in range(len(lengths))])
        clock.tick()
        rows = tabulated(question, lengths, np.array(each), known)
        result = {**result, "rows": rows, "best": best(question, rows)}
        yield clock.step(f"walk back {n + 1} of {replicas}", result)


def tabulated(question: Question, lengths, each: np.ndarray, reference) -> list[dict[str, Any]]:
    """One row a length from (runs, lengths, P) gradients."""
    mean, error = each.mean(axis=0), standard_error(each)
    spread = np.std(each, axis=0, ddof=1) if len(each) > 1 else np.full(mean.shape, np.nan)
    true = np.array([reference["gradient"][name] for name in question.names])
    true_error = np.array([reference["error"][name] for name in question.names])
    return [
        {
            "truncate": n,
            "time": question.time([n])[0],
            "mean": question.named(mean[k]),
            "error": question.named(error[k]),
            "spread": question.named(spread[k]),
            "bias": question.named(mean[k] - true),
            "bias_error": question.named(np.hypot(error[k], true_error)),
        }
        for k, n in enumerate(lengths)
    ]


def best(question: Question, rows) -> dict[str, int | None]:
    """The length of least root mean square error of one run: bias (what of it exceeds its own error) and spread."""

    def squared(row, name):
        return max(row["bias"][name] ** 2 - row["bias_error"][name] ** 2, 0.0) + row["spread"][name] ** 2

    found: dict[str, int | None] = {}
    for name in question.names:
        errors = [squared(row, name) for row in rows]
        found[name] = rows[int(np.argmin(errors))]["truncate"] if np.all(np.isfinite(errors)) else None
    return found


LONGER = 8
"""How many times longer than the experiment a run of the reference by reweighting is."""


def can_reweight(question: Question) -> bool:
    """Whether reweighting can treat the loss: one of averages, in a canonical ensemble."""
    return question.loss_of != "series" and float(question.case.settings.friction) > 0


def reference_of(question: Question, experiment, runs: int) -> Iterator[dict[str, Any]]:
    """The reference after each of its runs: {"gradient", "error", "how"}."""
    return (by_reweighting if can_reweight(question) else by_differences)(question, experiment, runs)


def reference_work(question: Question, experiment) -> float:
    """Force evaluations of one run of the reference."""
    run = experiment.equilibration_steps + experiment.n_steps * (LONGER if can_reweight(question) else 1)
    return run if can_reweight(question) else 2 * len(question.names) * run


def by_reweighting(question: Question, experiment, runs: int) -> Iterator[dict[str, Any]]:
    """Reweighting of `runs` runs, `LONGER` times as long as the experiment and sampled five times as often."""
    every = max(1, experiment.sample_every // 5)
    n_steps = LONGER * experiment.n_steps // every * every
    walker = Backward(question.experiment(n_steps, every), question.potential, reach=0)
    each = []
    for key in keys_of(22, runs):
        each.append(walker(question.leaves, key, [0]).reweighted(question.beta))
        samples = len(each) * n_steps // every
        yield _reference(question, each, f"reweighting of {samples:,} samples")


def by_differences(question: Question, experiment, runs: int) -> Iterator[dict[str, Any]]:
    """Central differences of whole runs, `DIFFERENCE` to either side of each parameter, with a common noise."""
    make, leaves = rebuild(question.potential), question.leaves
    program = jax.jit(lambda leaves, state, key: experiment.value(experiment.series(make(leaves), state, key)))
    steps = DIFFERENCE * np.where(leaves == 0, 1.0, np.abs(leaves))
    each = []
    for key in keys_of(23, runs):
        on_start, on_run = jax.random.split(key)
        slopes = np.empty(len(leaves))
        for i, h in enumerate(steps):
            sides = [leaves + side * h * (np.arange(len(leaves)) == i) for side in (1, -1)]
            values = [float(program(x, experiment.start(make(x), on_start), on_run)) for x in sides]
            slopes[i] = (values[0] - values[1]) / (2 * h)
        if not np.all(np.isfinite(slopes)):
            raise SimulationError("a run of the finite differences exploded: use milder parameters.")
        each.append(slopes)
        yield _reference(question, each, f"finite differences of {2 * len(each)} whole runs a parameter")


def _reference(question: Question, each, how: str) -> dict[str, Any]:
    return {
        "gradient": question.named(np.mean(each, axis=0)),
        "error": question.named(standard_error(each)),
        "how": how,
    }
