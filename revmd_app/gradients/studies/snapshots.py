"""The loss of each snapshot against the loss of the average: what is trained when single snapshots are compared.

For a quadratic loss the mean over snapshots of L(O) is L(mean of O) plus the variance of O: exactly, for any finite set
of samples. So its minimum is not where the averages agree with the experiment, and its gradient has a part that only
makes the observable fluctuate less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.estimate import rebuild, standard_error
from revmd_app.gradients.studies.question import Clock, Question, Step, by_system, chosen, keys_of, repeated

LIQUID = {"steps": 2000, "sample_every": 50, "truncate": 200, "replicas": 8}
WATER = {"steps": 1600, "sample_every": 50, "truncate": 200, "replicas": 8}
SETTLED = 1e-6
"""Relative difference below which the identity counts as exact: float32 observables have no more digits."""


class Answers(NamedTuple):
    """Of one run: the values of the three losses, and their gradients (3, P)."""

    values: Any  # loss of the average, mean loss of the snapshots, variance term
    gradients: Any
    against: Any  # (counts, 2) average and snapshots over the first so many samples


def snapshots(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Both losses and their gradients from the same runs, and the variance that lies between them."""
    if question.loss_of == "series":
        raise ValueError("this loss is of a series in time: a single snapshot of it has no loss of its own.")
    options = chosen(by_system(question.case, WATER, LIQUID), given)
    steps, every, cut, replicas = (options[name] for name in ("steps", "sample_every", "truncate", "replicas"))
    experiment = dataclasses.replace(question.experiment(steps, every), loss_of="series", compiled={})
    n = steps // every
    if n < 2:
        raise ValueError("a variance needs at least two samples: run longer or sample more often.")
    counts = sorted({min(n, 2**k) for k in range(n.bit_length() + 1)})
    program = jax.jit(answers(experiment, question.potential, experiment.loss, cut, counts))
    windows = max(1, -(-cut // every))
    work = experiment.equilibration_steps + steps + steps * (1 + 2 * 3 * windows)
    clock, found = Clock(repeated(work, replicas)), []
    yield clock.step("compiling", {})
    for replica, key in enumerate(keys_of(61, replicas)):
        on_start, on_run = jax.random.split(key)
        state = experiment.start(question.potential, on_start)
        answer = jax.tree.map(np.asarray, program(question.leaves, state, on_run))
        if not np.all(np.isfinite(answer.values)):
            raise SimulationError("the run exploded, or the loss has no value there: use milder parameters.")
        found.append(answer)
        clock.tick()
        yield clock.step(f"run {replica + 1} of {replicas}", described(question, found, counts, n))


def answers(experiment, potential, loss, cut: int, counts):
    """f(leaves, state, key) -> Answers: one run, and its reverse sweep for three losses at once."""
    make = rebuild(potential)

    def three(series):
        average, each = of_average(loss, series), jnp.mean(jax.vmap(loss)(series))
        return jnp.stack([average, each, variance_term(loss, series)])

    def first(series, count):
        few = jax.tree.map(lambda x: x[:count], series)
        return jnp.stack([of_average(loss, few), jnp.mean(jax.vmap(loss)(few))])

    def run(leaves, state, key) -> Answers:
        series, pull = jax.vjp(lambda x: experiment.series(make(x), state, key, truncate=cut), leaves)
        values, back = jax.vjp(three, series)
        gradients = jax.vmap(lambda seed: pull(back(seed)[0])[0])(jnp.eye(3))
        return Answers(values, gradients, jnp.stack([first(series, count) for count in counts]))

    return run


def of_average(loss, series):
    """The loss of the mean over the samples."""
    return loss(jax.tree.map(lambda x: jnp.mean(x, axis=0), series))


def variance_term(loss, series):
    """Half the mean of (O - mean) . H (O - mean), with H the Hessian of the loss at the mean: for a quadratic loss with
    weights w this is sum w Var(O), and all that lies between the two losses."""
    mean = jax.tree.map(lambda x: jnp.mean(x, axis=0), series)
    curved = lambda d: jax.jvp(jax.grad(loss), (mean,), (d,))[1]

    def of_sample(sample):
        away = jax.tree.map(jnp.subtract, sample, mean)
        return 0.5 * sum(jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, (away, curved(away))), strict=True))

    return jnp.mean(jax.vmap(of_sample)(series))


def described(question: Question, found: list[Answers], counts, n: int) -> dict[str, Any]:
    """What the runs so far say, as plain numbers."""
    values, gradients = (np.array(x) for x in ([a.values for a in found], [a.gradients for a in found]))
    difference, variance = values[:, 1] - values[:, 0], values[:, 2]
    rows = [
        row(question, "average", values[:, 0], gradients[:, 0]),
        row(question, "snapshots", values[:, 1], gradients[:, 1]),
        row(question, "bias", difference, gradients[:, 1] - gradients[:, 0]),
        row(question, "variance", variance, gradients[:, 2]),
    ]
    gap, term = float(difference.mean()), float(variance.mean())
    scale = max(abs(gap), abs(term))
    relative = abs(gap - term) / scale if scale > 0 else 0.0
    settled = SETTLED * max(1.0, float(np.abs(values[:, :2]).max()) / scale) if scale > 0 else 0.0
    exact = relative <= settled
    return {
        "rows": rows,
        "identity": {"difference": gap, "variance": term, "relative": relative},
        "exact": exact,
        "samples": n,
        "against": against(np.array([a.against for a in found]), counts),
        "sentence": sentence(gap, float(np.abs(values[:, :2]).max()), exact),
    }


def row(question: Question, of: str, values, gradients) -> dict[str, Any]:
    """One row from (runs,) values and (runs, P) gradients."""
    return {
        "of": of,
        "value": values.mean(),
        "value_error": standard_error(values),
        "gradient": question.named(gradients.mean(axis=0)),
        "gradient_error": question.named(standard_error(gradients)),
    }


def against(few: np.ndarray, counts) -> list[dict[str, Any]]:
    """Both losses over the first so many samples of each run, (runs, counts, 2)."""
    mean, error = few.mean(axis=0), standard_error(few)
    return [
        {
            "samples": count,
            "average": mean[k, 0],
            "snapshots": mean[k, 1],
            "average_error": error[k, 0],
            "snapshots_error": error[k, 1],
        }
        for k, count in enumerate(counts)
    ]


def sentence(gap: float, size: float, exact: bool) -> str:
    """What the numbers say."""
    if abs(gap) <= SETTLED * size:
        return "This loss is linear in what it averages: both ways are the same, and neither is biased."
    if exact:
        return "The loss of each snapshot exceeds that of the average by exactly the variance, as it must."
    return "The loss is not quadratic: half its curvature times the variance gives the gap to second order only."
