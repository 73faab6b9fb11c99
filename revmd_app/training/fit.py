"""The loop of epochs: prepare the liquid at the current parameters, run it, take the gradient, make a step of Adam.

    training = Training(configuration("water", "lab"))
    progress = training.begin()
    while progress.epoch < 40:
        progress, record = training.epoch(progress)

An epoch is a function of the configuration and of `Progress` alone, noise included: whoever has both repeats it bit for
bit. Parameters are divided by their start values, so that one learning rate suits them all (Greener, PNAS 122,
e2426058122, 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from revmd_app import units
from revmd_app.engine.barostat import at_constant_pressure
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, to_snapshot
from revmd_app.engine.minimise import minimise
from revmd_app.engine.simulate import SimulationError, advance
from revmd_app.engine.system import System
from revmd_app.gradients.compare import ESTIMATORS
from revmd_app.gradients.estimate import (
    Experiment,
    Refusal,
    flat_leaves,
    parameter_names,
    rebuild,
    standard_error,
)
from revmd_app.systems.case import Case, maxwell_boltzmann, start
from revmd_app.systems.force_fields import water_potential
from revmd_app.systems.oxygen_in_water import oxygen_potential
from revmd_app.systems.prepare import prepared
from revmd_app.training import REPLICAS_AT_ONCE
from revmd_app.training.configuration import FULL, Configuration
from revmd_app.training.losses import Composite, composite

FORCE_TOLERANCE = 1000.0
"""kJ/mol/nm, at which a minimisation before an equilibration may end (Greener 2025)."""
SMALLEST_BOX = 0.96
"""The edge for which neighbour lists are sized, relative to that of the prepared liquid: 13 % more density."""
SPRINGS = ("HarmonicBond", "HarmonicAngle")


class Diverged(RuntimeError):
    """A training run cannot go on; the message is the sentence that says why."""


class Begin(NamedTuple):
    """Where a replica's next epoch starts."""

    box: jax.Array  # (3,) nm
    state: State


@dataclass(frozen=True)
class Progress:
    """Everything that the next epoch depends on, besides the configuration.

    `epoch` epochs are done; `scaled` (P,) are the parameters over their start values; `starts` has one entry a replica.
    """

    epoch: int
    scaled: np.ndarray
    optimiser: Any
    starts: tuple[Begin, ...]


@dataclass(frozen=True)
class Record:
    """What an epoch measured at its parameters, before the step that it led to.

    `terms` maps a target's name to (observable, target, contribution to the loss) for numbers, and to (None, None,
    contribution) for curves; `curves` has g(r) by name, over `grid` (nm). Gradients are in the physical parameters;
    the errors are standard errors over replicas (NaN with one). `clamped` says which elements the clamp changed.
    """

    epoch: int
    loss: float
    loss_error: float
    terms: dict[str, tuple[float | None, float | None, float]]
    term_errors: dict[str, float]
    names: tuple[str, ...]
    parameters: np.ndarray
    gradient: np.ndarray
    gradient_error: np.ndarray
    clamped: np.ndarray
    density: float
    temperature: float
    grid: np.ndarray
    curves: dict[str, np.ndarray]

    def row(self) -> dict[str, Any]:
        """The metrics of the epoch as plain numbers, in a fixed order; without the curves."""
        row: dict[str, Any] = {"epoch": self.epoch, "loss": self.loss, "loss_error": self.loss_error}
        for name, (value, _, part) in self.terms.items():
            row[f"loss {name}"] = part
            if value is not None:
                row[name] = value
                row[f"{name}_error"] = self.term_errors[name]
        row |= {"density": self.density, "temperature": self.temperature}
        for prefix, values in (
            ("parameter", self.parameters),
            ("gradient", self.gradient),
            ("gradient_error", self.gradient_error),
            ("clamped", self.clamped),
        ):
            row |= {f"{prefix} {name}": _plain(value) for name, value in zip(self.names, values, strict=True)}
        return row


class Training:
    """A configured training run: the system, the start parameters, the compiled programs. Holds no progress.

    `names` (P,) and `start` (P,) are the parameters' names and physical start values; `trained` (P,) says which of them
    change. Raises `ValueError` for a configuration that fits no system, `Refusal` for an estimator that cannot treat
    the loss.
    """

    def __init__(self, run: Configuration):
        self.configuration = run
        self.case = training_case(run)
        self.loss: Composite = composite(self.case, run)
        self.names = parameter_names(self.case.potential)
        self.start = np.asarray(flat_leaves(self.case.potential))
        self.scale = np.where(self.start == 0, 1.0, self.start)
        self.trained = np.array([_is_trained(name, run.optimiser.train) for name in self.names])
        self.estimator = _estimator(run)
        self._make = rebuild(self.case.potential)
        box = np.asarray(self.case.system.box)
        self._experiment = Experiment(
            system=self.case.system,
            settings=self.case.settings,
            state=self.case.state,
            observe=self.loss.observe,
            loss=self.loss.loss,
            n_steps=run.run.steps,
            sample_every=run.run.sample_every,
            loss_of=self.loss.loss_of,
            equilibration_steps=0,
            report=self.loss.report,
            capacity_box=tuple(float(edge) for edge in SMALLEST_BOX * box),
        )
        reason = self.estimator.refusal(self._experiment, self.case.potential)
        if reason:
            raise Refusal(reason)
        self._optimiser = _optimiser(run)
        self._program = jax.jit(self._sample)

    def begin(self) -> Progress:
        """The progress before the first epoch: start parameters, and the prepared liquid for every replica."""
        scaled = np.where(self.start == 0, 0.0, self.start / self.scale)
        first = Begin(jnp.asarray(self.case.system.box), self.case.state)
        starts = (first,) * self.configuration.run.replicas
        return Progress(0, scaled, self._optimiser.init(jnp.asarray(scaled)), starts)

    def potential(self, scaled):
        """The potential with these parameters (over their start values). Raises `ValueError` beyond their range."""
        potential = self._make(jnp.asarray(np.asarray(scaled) * self.scale))
        for term in potential.terms():
            term.check_parameters()
        return potential

    def epoch(self, progress: Progress) -> tuple[Progress, Record]:
        """One epoch. Raises `Diverged` when the simulation or the loss has no sensible value any more."""
        try:
            return self._epoch(progress)
        except (SimulationError, ValueError) as error:
            raise Diverged(f"epoch {progress.epoch + 1} cannot be finished: {error}") from error

    def _epoch(self, progress: Progress) -> tuple[Progress, Record]:
        potential = self.potential(progress.scaled)
        replicas = range(self.configuration.run.replicas)
        run = lambda replica: self._replica(potential, progress, replica)
        with ThreadPoolExecutor(max_workers=min(len(replicas), REPLICAS_AT_ONCE)) as pool:
            ends, samples = zip(*pool.map(run, replicas), strict=True)
        record = self._record(progress, ends, samples)
        clamp = self.configuration.gradient.clamp
        on_scaled = np.clip(np.where(self.trained, record.gradient * self.scale, 0.0), -clamp, clamp)
        updates, optimiser = self._optimiser.update(jnp.asarray(on_scaled), progress.optimiser)
        scaled = np.where(self.trained, progress.scaled + np.asarray(updates), progress.scaled)
        self.potential(scaled)
        starts = tuple(ends) if self.configuration.preparation.start == "last" else progress.starts
        return Progress(progress.epoch + 1, scaled, optimiser, starts), record

    def _replica(self, potential, progress: Progress, replica: int):
        """(where the liquid stood when the run began, the sample of the run)."""
        key = jax.random.fold_in(jax.random.key(self.configuration.run.seed), progress.epoch)
        on_preparation, on_run = jax.random.split(jax.random.fold_in(key, replica))
        fresh = progress.epoch == 0 or self.configuration.preparation.start == "prepared"
        begin = self.prepare(potential, progress.starts[replica], on_preparation, fresh)
        leaves = flat_leaves(potential)
        sample = jax.tree.map(np.asarray, self._program(begin.box, leaves, begin.state, on_run))
        if not (np.isfinite(sample.value) and np.all(np.isfinite(self.estimator.combine([sample, sample])))):
            raise SimulationError(
                "the loss or its gradient is not finite: the simulation exploded, or the liquid became too dense for "
                "its neighbour lists; use a smaller learning rate, a smaller time step or a shorter truncation."
            )
        return begin, sample

    def prepare(self, potential, begin: Begin, key, fresh: bool) -> Begin:
        """The liquid at these parameters: minimised and given new velocities if `fresh`, then equilibrated at the
        pressure (the box moves) or the volume; the box stays as it is then."""
        run = self.configuration.preparation
        system, state = self.case.system.with_box(begin.box), begin.state
        if fresh:
            system, state = self._relaxed(potential, system, state, key)
        n_steps = run.first_steps if fresh and run.start == "last" else run.steps
        if n_steps == 0:
            return Begin(system.box, state)
        settings = self.case.settings
        if run.barostat:
            moved = at_constant_pressure(
                system,
                potential,
                settings,
                state,
                key,
                pressure=self.configuration.system.pressure / units.BAR_PER_PRESSURE_UNIT,
                n_trials=max(1, n_steps // run.interval),
                interval=run.interval,
            )
            return Begin(moved.system.box, moved.state)
        state, _, report = advance(system, potential, settings, state, key, n_steps)
        report.check()
        return Begin(system.box, state)

    def _relaxed(self, potential, system: System, state: State, key) -> tuple[System, State]:
        """Without the worst overlaps, at rest in step 0, with fresh thermal velocities."""
        settings = self.case.settings
        minimum = minimise(system, potential, settings, state, force_tolerance=FORCE_TOLERANCE)
        positions = to_snapshot(system, minimum.state, settings).unwrapped
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        return system, start(system, positions, maxwell_boltzmann(system, self.configuration.system.temperature, seed))

    def _sample(self, box, leaves, state, key):
        """One replica's sample; the box, the parameters, the start and the noise are arguments of one program."""
        here = replace(self._experiment, system=self._experiment.system.with_box(box), compiled={})
        return self.estimator.build(here, self.case.potential)(leaves, state, key)

    def _record(self, progress: Progress, ends: Sequence[Begin], samples) -> Record:
        gradients = self.estimator.combine(list(samples))
        losses = np.array([float(s.value) for s in samples])
        reports = [s.reported for s in samples]
        mean = lambda name: np.mean([r[name] for r in reports], axis=0)
        terms: dict[str, tuple[float | None, float | None, float]] = {}
        errors, curves, grid = {}, {}, np.zeros(0)
        for name, term in self.loss.terms.items():
            part = term.target.weight * float(np.mean([r["deviation"][name] for r in reports]))
            if term.target.grid is None:
                terms[name] = (float(mean(name)), float(term.target.values), part)
                errors[name] = float(standard_error([r[name] for r in reports]))
            else:
                terms[name] = (None, None, part)
                curves[name], grid = mean(name), term.axis
        mass = float(np.sum(np.asarray(self.case.system.masses)))
        volumes = [float(np.prod(np.asarray(end.box))) for end in ends]
        on_scaled = gradients.mean(axis=0) * self.scale
        return Record(
            epoch=progress.epoch + 1,
            loss=float(losses.mean()),
            loss_error=float(standard_error(losses)),
            terms=terms,
            term_errors=errors,
            names=self.names,
            parameters=progress.scaled * self.scale,
            gradient=gradients.mean(axis=0),
            gradient_error=standard_error(gradients),
            clamped=self.trained & (np.abs(on_scaled) > self.configuration.gradient.clamp),
            density=float(units.GRAM_PER_CM3 * mass * np.mean(1 / np.array(volumes))),
            temperature=float(mean("temperature")),
            grid=grid,
            curves=curves,
        )


def _plain(value) -> float | int:
    return int(value) if isinstance(value, bool | np.bool_) else float(value)


def training_case(run: Configuration) -> Case:
    """The prepared liquid with the potential and the settings of a training run.

    The liquid is the one of the start force field, equilibrated once and kept in the user's cache.
    Raises `ValueError` when the cutoff does not fit the box.
    """
    s = run.system
    if run.task == "oxygen":
        case = prepared("oxygen_in_water", s.molecules, n_oxygen=s.gas_molecules)
        potential = oxygen_potential(s.force_field, s.cutoff, s.truncation)
    else:
        case = prepared("water", s.molecules)
        potential = water_potential(s.force_field, s.cutoff, s.truncation)
    settings = Settings(
        dt=s.dt,
        temperature=s.temperature,
        friction=s.friction,
        precision=s.precision,
        neighbours=case.settings.neighbours,
    )
    potential.check(case.system)
    return replace(case, potential=potential, settings=settings)


def _estimator(run: Configuration):
    kind: Any = ESTIMATORS[run.gradient.estimator]
    if run.gradient.estimator == "reversible" and run.gradient.truncate != FULL:
        return kind(truncate=run.gradient.truncate)
    return kind()


def _optimiser(run: Configuration) -> optax.GradientTransformation:
    o = run.optimiser
    rate = o.learning_rate
    if o.schedule == "cosine":
        rate = optax.cosine_decay_schedule(o.learning_rate, o.epochs, alpha=o.final)
    return optax.adam(rate, b1=o.b1, b2=o.b2)


def _is_trained(name: str, which: str) -> bool:
    return which == "all" or not name.startswith(SPRINGS)
