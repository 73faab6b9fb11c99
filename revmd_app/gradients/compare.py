"""The same loss by several estimators, side by side: one compiles while another runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import jax
import numpy as np
import pandas as pd

from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.automatic import Checkpointed, ForwardMode, ReverseMode
from revmd_app.gradients.estimate import Estimator, Experiment, GradientEstimate, Program, Refusal, Starts
from revmd_app.gradients.finite_difference import FiniteDifference
from revmd_app.gradients.path_reweighting import PathReweighting
from revmd_app.gradients.reversible import Reversible
from revmd_app.gradients.reweighting import Reweighting

ESTIMATORS: dict[str, type[Estimator]] = {
    estimator.name: estimator
    for estimator in (
        Reversible,
        ReverseMode,
        Checkpointed,
        ForwardMode,
        FiniteDifference,
        Reweighting,
        PathReweighting,
    )
}
COMPILERS = 2
"""Programs compiled at one time. XLA compiles outside of Python's lock, so replicas run meanwhile."""
PATIENCE = 0.25
"""Seconds between two looks whether the comparison is cancelled while everything still compiles."""


@dataclass
class Progress:
    """How far a comparison is: what is done, what comes next, the estimates so far and the refusals.

    `left` is the time that remains (s), from what has been measured; None before anything has been.
    """

    done: int
    total: int
    message: str
    estimates: dict[str, GradientEstimate] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    left: float | None = None

    @property
    def table(self) -> pd.DataFrame:
        """One row an estimator and parameter; a refused estimator has one row with its reason in `refused`."""
        rows = [row for estimate in self.estimates.values() for row in estimate.rows()]
        rows += [{"estimator": name, "refused": reason} for name, reason in self.refusals.items()]
        return pd.DataFrame(rows, columns=COLUMNS)

    def rows(self) -> list[dict]:
        """The table as plain dictionaries for a page, each with the gradient of every replica under "samples"."""
        rows = []
        for estimate in self.estimates.values():
            for i, row in enumerate(estimate.rows()):
                rows.append({**row, "samples": [float(x) for x in np.asarray(estimate.samples)[:, i]]})
        refused = [{"estimator": name, "parameter": None, "refused": why} for name, why in self.refusals.items()]
        return rows + refused


COLUMNS = [
    "estimator",
    "parameter",
    "value",
    "value_error",
    "gradient",
    "standard_error",
    "explicit",
    "explicit_error",
    "response",
    "response_error",
    "seconds",
    "compile_seconds",
    "peak_bytes",
    "force_evaluations",
    "replicas",
    "refused",
]


def make_estimators(estimators: Sequence[str | Estimator], truncate: int | None = None) -> list[Estimator]:
    """Estimators from their names (with `truncate` for the reversible one). Raises `ValueError` for an unknown name."""
    made: list[Estimator] = []
    for item in estimators:
        if isinstance(item, Estimator):
            made.append(item)
        elif item not in ESTIMATORS:
            raise ValueError(f"there is no estimator '{item}'; there are {', '.join(ESTIMATORS)}.")
        else:
            made.append(Reversible(truncate) if item == "reversible" else ESTIMATORS[item]())
    return made


class _Turns:
    """Which estimator runs its next replica: of those that are compiled, the one that has had the fewest."""

    def __init__(self, experiment, potential, chosen: Sequence[Estimator], key, replicas: int, pool):
        self.replicas = replicas
        self.starts = Starts(experiment, potential, key)
        self.compiling: dict[str, Future[Program]] = {
            e.name: pool.submit(e.compile, experiment, potential) for e in chosen
        }
        self.running = {
            e.name: e.progressively(experiment, potential, key, replicas, starts=self.starts) for e in chosen
        }
        self.had = dict.fromkeys(self.running, 0)
        self.seconds: dict[str, list[float]] = {name: [] for name in self.running}

    def next(self, patience: float) -> str | None:
        """The estimator whose turn it is; None when none is compiled within `patience` seconds."""
        waiting = [self.compiling[name] for name in self.running]
        if not any(future.done() for future in waiting):
            wait(waiting, timeout=patience, return_when=FIRST_COMPLETED)
        ready = [name for name in self.running if self.compiling[name].done()]
        return min(ready, key=lambda name: self.had[name], default=None)

    def run(self, name: str) -> GradientEstimate:
        """One replica. Raises `SimulationError` or `Refusal`, and what the compiler raised."""
        self.compiling[name].result()
        began = time.perf_counter()
        estimate = next(self.running[name])
        self.seconds[name].append(time.perf_counter() - began)
        self.had[name] += 1
        if self.had[name] == self.replicas:
            del self.running[name]
        return estimate

    def left(self) -> float | None:
        """Seconds that remain, from the compilations and replicas so far; None before the first replica."""
        ran = [x for each in self.seconds.values() for x in each]
        if not ran:
            return None
        compiled = [f.result().compile_seconds for f in self.compiling.values() if f.done() and not f.exception()]
        missing = sum(not future.done() for future in self.compiling.values())
        compiling = missing / COMPILERS * sum(compiled) / max(len(compiled), 1)
        usual = lambda name: float(np.median(self.seconds[name] or ran))
        running = sum((self.replicas - self.had[name]) * usual(name) for name in self.running)
        return max(compiling, running)


def compare_iter(
    experiment: Experiment,
    potential,
    estimators: Sequence[str | Estimator],
    key: jax.Array,
    replicas: int = 4,
    truncate: int | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Run the estimators in turns, one replica each, so that all fill in together; yields the progress after each.

    Every estimator sees the same starts and the same noise. Programs compile in threads of their own, so the first
    ones run while the others compile. `cancelled()` is asked between replicas.
    """
    chosen = make_estimators(estimators, truncate)
    if replicas < 1:
        raise ValueError(f"a comparison needs at least one replica, not {replicas}.")
    progress = Progress(0, replicas * len(chosen), "compiling")
    for estimator in chosen:
        reason = estimator.refusal(experiment, potential)
        if reason:
            progress.refusals[estimator.name] = reason
            progress.done += replicas
    with_answer = [estimator for estimator in chosen if estimator.name not in progress.refusals]
    pool = ThreadPoolExecutor(COMPILERS, thread_name_prefix="compile")
    try:
        turns = _Turns(experiment, potential, with_answer, key, replicas, pool)
        while turns.running:
            yield progress
            if cancelled():
                return
            _advance(turns, progress)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    progress.message, progress.left = "done", 0.0
    progress.done = progress.total
    yield progress


def _advance(turns: _Turns, progress: Progress) -> None:
    """Run one replica of whoever is ready."""
    name = turns.next(PATIENCE)
    still = [n for n, future in turns.compiling.items() if not future.done()]
    if name is None:
        progress.message = f"compiling {', '.join(still)}"
        return
    had = turns.had[name]
    try:
        progress.estimates[name] = turns.run(name)
        progress.done += 1
    except (SimulationError, Refusal) as failure:
        progress.refusals[name] = str(failure)
        progress.estimates.pop(name, None)
        progress.done += turns.replicas - had
        del turns.running[name]
    progress.left = turns.left()
    progress.message = f"{name}: replica {had + 1} of {turns.replicas}" + (
        f"; compiling {', '.join(still)}" if still else ""
    )


def compare(experiment, potential, estimators, key, replicas: int = 4, truncate: int | None = None) -> pd.DataFrame:
    """Value, gradient, standard error, seconds, peak bytes and force evaluations of each estimator, as a table."""
    *_, last = compare_iter(experiment, potential, estimators, key, replicas, truncate)
    return last.table


def plain(x):
    """A value for a message: numbers as floats and never NaN (None instead), arrays as lists, dictionaries by key."""
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [plain(value) for value in x]
    if isinstance(x, np.ndarray | jax.Array):
        return plain(np.asarray(x).tolist())
    if isinstance(x, np.generic):
        return plain(x.item())
    return None if isinstance(x, float) and not math.isfinite(x) else x
