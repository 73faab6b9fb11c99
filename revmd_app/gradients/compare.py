"""The same loss by several estimators, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import jax
import pandas as pd

from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.automatic import Checkpointed, ForwardMode, ReverseMode
from revmd_app.gradients.estimate import Estimator, Experiment, GradientEstimate, Refusal
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


@dataclass
class Progress:
    """How far a comparison is: what is done, what comes next, the estimates so far and the refusals."""

    done: int
    total: int
    message: str
    estimates: dict[str, GradientEstimate] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row an estimator and parameter; a refused estimator has one row with its reason in `refused`."""
        rows = [row for estimate in self.estimates.values() for row in estimate.rows()]
        rows += [{"estimator": name, "refused": reason} for name, reason in self.refusals.items()]
        return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    "estimator",
    "parameter",
    "value",
    "value_error",
    "gradient",
    "standard_error",
    "explicit",
    "response",
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

    Every estimator sees the same starts and the same noise. `cancelled()` is asked between replicas.
    """
    chosen = make_estimators(estimators, truncate)
    progress = Progress(0, replicas * len(chosen), "starting")
    turns: dict[str, Iterator[GradientEstimate]] = {}
    for estimator in chosen:
        reason = estimator.refusal(experiment, potential)
        if reason:
            progress.refusals[estimator.name] = reason
            progress.done += replicas
        else:
            turns[estimator.name] = estimator.progressively(experiment, potential, key, replicas)
    for replica in range(replicas):
        for name in list(turns):
            progress.message = f"{name}: " + ("compiling" if replica == 0 else f"replica {replica + 1} of {replicas}")
            yield progress
            if cancelled():
                return
            try:
                progress.estimates[name] = next(turns[name])
            except (SimulationError, Refusal) as failure:
                progress.refusals[name] = str(failure)
                progress.estimates.pop(name, None)
                del turns[name]
            progress.done += 1
    progress.message = "done"
    progress.done = progress.total
    yield progress


def compare(experiment, potential, estimators, key, replicas: int = 4, truncate: int | None = None) -> pd.DataFrame:
    """Value, gradient, standard error, seconds, peak bytes and force evaluations of each estimator, as a table."""
    *_, last = compare_iter(experiment, potential, estimators, key, replicas, truncate)
    return last.table
