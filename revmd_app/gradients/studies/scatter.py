"""The reversible gradient against that of reweighting, over a grid of parameters.

Both come from the same trajectories, so they differ by method alone: one follows the response through time and is cut
after so many steps, the other reads it off fluctuations. Where both are right, the points lie on the diagonal. Greener
shows this for water over 125 sets of sigma, epsilon and charge (figure 1C-E of the paper).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.backward import Backward, walk_work
from revmd_app.gradients.estimate import flat_leaves, standard_error
from revmd_app.gradients.studies.question import Clock, Question, Step, by_system, chosen, keys_of, repeated
from revmd_app.systems.case import Case

LIQUID = {"grid": None, "steps": 6000, "sample_every": 150, "truncate": 300, "repeats": 2}
WATER = {"grid": None, "steps": 2000, "sample_every": 100, "truncate": 200, "repeats": 2}
SPREADS = {"sigma": 0.03, "epsilon": 0.2, "charge": 0.06}
"""How far the grid goes to either side of a parameter, relative to it."""
EQUILIBRATION = 1500
"""Steps at every point before its run: the start belongs to other parameters."""
MAX_POINTS = 400
BOOTSTRAPS = 2000


def default_grid(case: Case, potential) -> dict[str, list[float]]:
    """{knob key: values}: the potential's sigma, epsilon and charge, as far as it has them, around their values.

    Five values each for two of them, three for three, 25 for one. Raises `ValueError` when it has none of them.
    """
    around = {}
    for number, term in enumerate(potential.terms()):
        for name in term.parameters:
            if name in SPREADS and f"{number}.{name}" not in around:
                around[f"{number}.{name}"] = (float(np.asarray(getattr(term, name))), SPREADS[name])
    if not around:
        first = next((f"0.{name}" for name in potential.terms()[0].parameters), None)
        if first is None:
            raise ValueError("this potential has no parameter that a grid could vary.")
        around[first] = (parameter_at(potential, first), 0.1)
    each = {1: 25, 2: 5}.get(len(around), 3)
    return {key: [x * (1 + s * t) for t in np.linspace(-1, 1, each)] for key, (x, s) in around.items()}


def parameter_at(potential, key: str) -> float:
    """The value of the parameter "<number of the term>.<field>". Raises `ValueError` when there is none."""
    return float(np.asarray(_where(potential, key)))


def with_parameters(potential, values: Mapping[str, float]):
    """The potential with other values of {"<number of the term>.<field>": value}."""
    for key, value in values.items():
        parameter_at(potential, key)
        potential = eqx.tree_at(lambda p, key=key: _where(p, key), potential, jnp.asarray(value, jnp.float64))
    return potential


def _where(potential, key: str):
    number, _, name = key.partition(".")
    terms = potential.terms()
    if not number.isdigit() or int(number) >= len(terms) or name not in terms[int(number)].parameters:
        raise ValueError(f"this potential has no parameter '{key}'.")
    term = terms[int(number)]
    return term.values[name] if hasattr(term, "values") else getattr(term, name)


def scatter(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Both gradients at every point of the grid, `repeats` runs each; the fits after every point."""
    question.must_be_static()
    options = chosen(by_system(question.case, WATER, LIQUID), given)
    grid = options["grid"] or default_grid(question.case, question.potential)
    sets = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if not 2 <= len(sets) <= MAX_POINTS:
        raise ValueError(f"a grid of {len(sets)} points is not useful: give it from 2 to {MAX_POINTS} points.")
    steps, every, cut, repeats = (options[name] for name in ("steps", "sample_every", "truncate", "repeats"))
    experiment = question.experiment(steps, every, EQUILIBRATION)
    leaves = [np.asarray(flat_leaves(with_parameters(question.potential, values))) for values in sets]
    walker = Backward(experiment, question.potential, reach=cut, lead=cut)
    clock = Clock(repeated(repeats * walk_work(experiment, cut, cut), len(sets)))
    points: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    result: dict[str, Any] = {"points": points, "points_total": len(sets), "truncate": cut, "fit": {}, "failed": failed}
    yield clock.step("compiling", result)
    for n in spread_out(len(sets)):
        try:
            points.append(measured(question, walker, sets[n], leaves[n], cut, keys_of(1000 + n, repeats)))
        except SimulationError as failure:
            failed.append({"values": sets[n], "why": str(failure)})
        clock.tick()
        result["fit"] = {name: fit(points, name) for name in question.names} if len(points) > 2 else {}
        yield clock.step(f"{clock.done} of {len(sets)} sets of parameters", dict(result))


def spread_out(n: int) -> list[int]:
    """0 .. n-1 in an order that soon covers the whole range: with a stride near the golden section."""
    stride = next(s for s in range(max(1, round(0.618 * n)), 2 * n + 1) if np.gcd(s, n) == 1)
    return [(i * stride) % n for i in range(n)]


def measured(question: Question, walker: Backward, values, leaves, cut: int, keys) -> dict[str, Any]:
    """One point: both gradients and the loss, each with the standard error of its repeats."""
    walks = [walker(leaves, key, [cut]) for key in keys]
    both = {
        "reversible": np.array([walk.truncated(0) for walk in walks]),
        "reweighting": np.array([walk.reweighted(question.beta) for walk in walks]),
    }
    losses = np.array([walk.value for walk in walks])
    point: dict[str, Any] = {"values": values, "loss": losses.mean(), "loss_error": standard_error(losses)}
    for method, each in both.items():
        point[method] = question.named(each.mean(axis=0))
        point[f"{method}_error"] = question.named(standard_error(each))
    return point


class Correlation(NamedTuple):
    """Pearson's r with a 95 % interval by bootstrap over the points, and the least-squares line y = slope x + ..."""

    pearson: float
    low: float
    high: float
    slope: float
    intercept: float
    points: int


def fit(points, name: str) -> dict[str, Any]:
    """The correlation of the reversible gradient (y) with that of reweighting (x) of one parameter."""
    x = np.array([point["reweighting"][name] for point in points])
    y = np.array([point["reversible"][name] for point in points])
    return correlation(x, y)._asdict()


def correlation(x, y, bootstraps: int = BOOTSTRAPS, seed: int = 0) -> Correlation:
    """How y goes with x. All NaN where one of them does not vary.

    Raises `ValueError` for fewer than three points.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) < 3 or x.shape != y.shape:
        raise ValueError(f"a correlation needs at least three pairs, not {len(x)} values and {len(y)}.")
    again = np.random.default_rng(seed).integers(0, len(x), (bootstraps, len(x)))
    r = float(_pearson(x[None], y[None])[0])
    resampled = _pearson(x[again], y[again])
    resampled = resampled[np.isfinite(resampled)]
    low, high = np.percentile(resampled, [2.5, 97.5]) if len(resampled) else (np.nan, np.nan)
    varies = float(np.var(x))
    slope = float(np.mean((x - x.mean()) * (y - y.mean())) / varies) if varies > 0 else float("nan")
    return Correlation(r, float(low), float(high), slope, float(y.mean() - slope * x.mean()), len(x))


def _pearson(x, y):
    """Along the last axis; NaN where one side does not vary."""
    dx, dy = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    size = np.sqrt(np.sum(dx * dx, axis=-1) * np.sum(dy * dy, axis=-1))
    return np.divide(np.sum(dx * dy, axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0)
