"""The loss over two parameters: one short simulation at each point of a grid, all with the same noise.

    training = Training(configuration("water", "lab"))
    sigma = ("LennardJones.sigma", [0.30, 0.31, 0.32])
    epsilon = ("LennardJones.epsilon", [0.5, 0.6, 0.7])
    for point in surface(training, sigma, epsilon):
        print(point.x, point.y, point.loss)

Every point begins with the same liquid, is prepared at its own parameters as an epoch is, and costs what an epoch costs
without its gradient. The noise is that of a training's first epoch at every point, so at the start values the surface
has the loss with which a training of the same seed begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.estimate import Experiment, flat_leaves, rebuild, standard_error
from revmd_app.training.fit import SMALLEST_BOX, Training

Axis = tuple[str, Sequence[float]]
"""A parameter's name, as `Training.names` has it, and its values in its own unit."""


class Point(NamedTuple):
    """One point of the grid: where in the two axes it lies, its parameters, and the loss there.

    `error` is the standard error over replicas, NaN with one. A simulation that fails has the loss NaN, and `fault`
    says why.
    """

    column: int
    row: int
    x: float
    y: float
    loss: float
    error: float
    fault: str = ""


class Landscape:
    """The loss of a training as a function of its parameters. Compiles once; holds no progress."""

    def __init__(self, training: Training):
        self.training = training
        case, run = training.case, training.configuration.run
        self._experiment = Experiment(
            system=case.system,
            settings=case.settings,
            state=case.state,
            observe=training.loss.observe,
            loss=training.loss.loss,
            n_steps=run.steps,
            sample_every=run.sample_every,
            loss_of=training.loss.loss_of,
            equilibration_steps=0,
            capacity_box=tuple(float(SMALLEST_BOX * edge) for edge in np.asarray(case.system.box)),
        )
        self._make = rebuild(case.potential)
        self._begin = training.begin().starts[0]
        self._program = jax.jit(self._value)

    def _value(self, box, leaves, state, key):
        here = replace(self._experiment, system=self._experiment.system.with_box(box), compiled={})
        return here.value(here.series(self._make(leaves), state, key))

    def loss(self, parameters) -> tuple[float, float]:
        """(loss, its standard error over replicas) at physical parameters (P,), in the order of the training's names.

        Raises `SimulationError` for a simulation that fails, `ValueError` for parameters that mean nothing.
        """
        training = self.training
        scaled = np.asarray(parameters, np.float64) / training.scale
        potential = training.potential(scaled)
        losses = []
        for replica in range(training.configuration.run.replicas):
            first_epoch = jax.random.fold_in(jax.random.key(training.configuration.run.seed), 0)
            on_preparation, on_run = jax.random.split(jax.random.fold_in(first_epoch, replica))
            begin = training.prepare(potential, self._begin, on_preparation, True)
            value = float(self._program(begin.box, flat_leaves(potential), begin.state, on_run))
            if not np.isfinite(value):
                raise SimulationError("the loss is not finite: the simulation exploded or became too dense.")
            losses.append(value)
        return float(np.mean(losses)), float(standard_error(np.array(losses)))


def surface(training: Training, across: Axis, upwards: Axis, others: Sequence[float] | None = None) -> Iterator[Point]:
    """The loss at every pair of values, row by row; a point is computed when it is asked for.

    `others` (P,) are the parameters that are not varied; by default they are the start values. A point whose
    simulation fails is a point with a fault, and the next one follows. Raises `ValueError` for a name that is no
    parameter, for one name twice, or for an axis without values.
    """
    columns = [_column(training, name) for name, _ in (across, upwards)]
    if columns[0] == columns[1]:
        raise ValueError(f"a surface needs two different parameters, not {across[0]} twice.")
    if not (len(across[1]) and len(upwards[1])):
        raise ValueError("a surface needs at least one value of each parameter.")
    base = np.array(training.start if others is None else others, np.float64)
    return _points(Landscape(training), base, columns, across[1], upwards[1])


def _points(landscape: Landscape, base: np.ndarray, columns, xs, ys) -> Iterator[Point]:
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            parameters = base.copy()
            parameters[columns] = x, y
            try:
                loss, error = landscape.loss(parameters)
                yield Point(column, row, float(x), float(y), loss, error)
            except (SimulationError, ValueError) as fault:
                yield Point(column, row, float(x), float(y), np.nan, np.nan, str(fault))


def _column(training: Training, name: str) -> int:
    if name not in training.names:
        raise ValueError(f"there is no parameter '{name}'; there are {', '.join(training.names)}.")
    return training.names.index(name)


def grid(points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(xs (n,), ys (m,), losses (m, n)) of the points of a surface; NaN where none has come yet."""
    xs, ys = sorted({p.x for p in points}), sorted({p.y for p in points})
    losses = np.full((len(ys), len(xs)), np.nan)
    for point in points:
        losses[ys.index(point.y), xs.index(point.x)] = point.loss
    return np.array(xs), np.array(ys), losses
