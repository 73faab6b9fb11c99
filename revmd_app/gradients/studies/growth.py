"""The gradient against backward time: how |dL/dv| grows, and where what is gathered turns from signal into noise.

In a chaotic system every cotangent grows on its way back, in the end as exp(lambda t) with the largest Lyapunov
exponent lambda. The response gathered from steps long before a sample is then noise: it averages to what it should,
and no affordable number of trajectories averages it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from revmd_app.gradients.backward import Backward, Walk, walk_work
from revmd_app.gradients.estimate import standard_error
from revmd_app.gradients.studies.lyapunov import TwoTrajectories
from revmd_app.gradients.studies.question import Clock, Question, Step, by_system, chosen, keys_of, repeated

EDGES = 40
PAPER_STEPS = 200
"""Greener cuts every sample's influence after 200 steps."""
WATER = {"steps": 1000, "starts": 6, "replicas": 8}
LIQUID = {"steps": 2000, "starts": 6, "replicas": 8}


class Line(NamedTuple):
    """A straight line through log |dL/dv| against backward time."""

    slope: float
    error: float
    intercept: float
    first: int
    last: int


def growth(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Walk back from several samples of several runs; then follow two trajectories that part, as a check."""
    options = chosen(by_system(question.case, WATER, LIQUID), given)
    steps, starts, replicas = options["steps"], options["starts"], options["replicas"]
    every = max(1, steps // 4)
    experiment = question.experiment(starts * every, every)
    walker = Backward(experiment, question.potential, reach=steps, lead=steps)
    edges = np.unique(np.round(np.linspace(0, steps, EDGES + 1)).astype(np.int64))
    stretch = max(1, steps // EDGES)
    walking, parting = walk_work(experiment, steps, steps), 4 * EDGES * stretch
    clock, walks = Clock(repeated(walking, replicas) + repeated(parting, replicas)), []
    result: dict[str, Any] = {}
    yield clock.step("compiling the walk back", result)
    for n, key in enumerate(keys_of(11, replicas)):
        walks.append(walker(question.leaves, key, edges))
        clock.tick()
        result = described(question, edges, walks)
        yield clock.step(f"walk back {n + 1} of {replicas}", result)
    case = question.case
    pair = TwoTrajectories(case.system, question.potential, case.settings, case.state, stretch, 2 * EDGES)
    logs: list[np.ndarray] = []
    for n, key in enumerate(keys_of(12, replicas)):
        logs.append(pair.logs(question.potential, key))
        clock.tick()
        exponent = pair.exponent(logs)
        found = {
            "slope": exponent.slope,
            "error": exponent.error,
            "how": "two trajectories (Benettin)",
            "time": exponent.time.tolist(),
            "log_growth": exponent.log_growth.tolist(),
        }
        result = {**result, "lyapunov": found}
        yield clock.step(f"two trajectories part, {n + 1} of {replicas}", result)


def described(question: Question, edges, walks: list[Walk]) -> dict[str, Any]:
    """What the walks so far say, as plain numbers."""
    times = question.time(edges)
    curves = np.concatenate([nonzero(walk.log_mu) for walk in walks])
    mu, spread = curves.mean(axis=0), np.std(curves, axis=0, ddof=min(1, len(curves) - 1))
    lam = np.concatenate([nonzero(walk.log_lam) for walk in walks]).mean(axis=0)
    line = fitted(np.asarray(times), np.array([walk.log_mu.mean(axis=0) for walk in walks]))
    gathered = np.array([[walk.truncated(k) for k in range(len(edges))] for walk in walks])  # (runs, edges, P)
    mean, error = gathered.mean(axis=0), standard_error(gathered)
    spread_of = np.std(gathered, axis=0, ddof=1) if len(walks) > 1 else np.full(mean.shape, np.nan)
    by_name = lambda x: {name: x[:, i].tolist() for i, name in enumerate(question.names)}
    return {
        "steps": edges.tolist(),
        "time": times,
        "parameters": list(question.names),
        "mu": np.exp(mu).tolist(),
        "mu_low": np.exp(mu - spread).tolist(),
        "mu_high": np.exp(mu + spread).tolist(),
        "lam": np.exp(lam).tolist(),
        "curves": np.exp(curves[:16]).tolist(),
        "gradient": by_name(mean),
        "gradient_error": by_name(error),
        "gradient_spread": by_name(spread_of),
        "fit": None
        if line is None
        else {
            "slope": line.slope,
            "error": line.error,
            "from": times[line.first],
            "to": times[line.last],
            "intercept": line.intercept,
        },
        "lyapunov": None,
        "marker": {name: marker(edges, times, mean[:, i], spread_of[:, i]) for i, name in enumerate(question.names)},
        "paper_steps": PAPER_STEPS,
    }


def nonzero(logs) -> np.ndarray:
    """Logarithms with NaN where a norm is zero (of dL/dv at a sample that depends on positions alone)."""
    return np.where(np.isfinite(logs), logs, np.nan)


def fitted(times, logs) -> Line | None:
    """The exponential part: a line through the second half of the mean log |dL/dv| of each run (runs, edges).

    The error is that of the mean over runs. None when there is nothing to fit: too short, or a norm of zero.
    """
    first, last = len(times) // 2, len(times) - 1
    part = logs[:, first:]
    if last - first < 3 or not np.all(np.isfinite(part)):
        return None
    slopes, intercepts = np.polynomial.polynomial.polyfit(times[first:], part.T, 1)[::-1]
    error = float(standard_error(slopes)) if len(slopes) > 1 else float("nan")
    return Line(float(slopes.mean()), error, float(intercepts.mean()), first, last)


def marker(edges, times, mean, spread) -> dict[str, Any]:
    """Where to cut: the last edge before the spread over runs exceeds the mean, for then a run's gradient is noise."""
    if not np.all(np.isfinite(spread)):
        return {"steps": None, "time": None, "why": "one run has no spread: take more replicas"}
    loud = np.flatnonzero(spread[1:] > np.abs(mean[1:])) + 1
    if len(loud) == 0:
        return {"steps": None, "time": None, "why": "the spread stays below the mean as far back as this goes"}
    at = int(loud[0]) - 1
    if at == 0:
        return {"steps": None, "time": None, "why": "the spread over runs exceeds the mean from the start"}
    why = "farther back the spread over runs exceeds the mean: the gradient of one run is mostly noise"
    return {"steps": int(edges[at]), "time": times[at], "why": why}
