"""What every study starts from and what it yields: a question about one gradient, and steps towards its answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from revmd_app.gradients.estimate import Experiment, flat_leaves, parameter_names
from revmd_app.gradients.losses import EQUILIBRATION, LOSSES, OWN, make_experiment, read_formula
from revmd_app.gradients.reweighting import IN_TIME, NO_BATH
from revmd_app.systems.case import Case


class Question(NamedTuple):
    """dL/dtheta of which loss, for which system, at which parameters."""

    case: Case
    potential: Any
    loss: str
    formula: str = ""

    def experiment(self, n_steps: int, sample_every: int, equilibration_steps: int = EQUILIBRATION) -> Experiment:
        """The experiment of so many steps. Raises `ValueError` when it cannot be made."""
        if sample_every < 1 or n_steps < sample_every or n_steps % sample_every:
            raise ValueError(
                f"{n_steps} steps cannot be sampled every {sample_every}: take a positive multiple of {sample_every}."
            )
        return make_experiment(self.case, self.loss, n_steps, sample_every, self.formula, equilibration_steps)

    @property
    def loss_of(self) -> str:
        """Of what the loss is a function: see `Experiment`."""
        if self.loss == OWN:
            return read_formula(self.formula).loss_of
        if self.loss not in LOSSES:
            raise ValueError(f"there is no loss '{self.loss}'; there are {', '.join(LOSSES)}.")
        return LOSSES[self.loss].loss_of

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of the flat leaves."""
        return parameter_names(self.potential)

    @property
    def leaves(self) -> np.ndarray:
        """(P,) the parameters' values."""
        return np.asarray(flat_leaves(self.potential))

    @property
    def beta(self) -> float:
        """1 / kT."""
        return 1 / float(self.case.system.boltzmann * self.case.settings.temperature)

    def must_be_static(self) -> None:
        """Raise `ValueError` when reweighting cannot treat the loss."""
        if self.loss_of == "series":
            raise ValueError(IN_TIME)
        if float(self.case.settings.friction) == 0:
            raise ValueError(NO_BATH)

    def time(self, steps) -> list[float]:
        """Numbers of steps as times (ps)."""
        return [float(n) * float(self.case.settings.dt) for n in steps]

    def named(self, vector) -> dict[str, float]:
        """A (P,) vector by the parameters' names."""
        return {name: float(x) for name, x in zip(self.names, np.asarray(vector), strict=True)}


@dataclass
class Step:
    """How far a study is, and all that it has found so far. `left` (s) is measured; None before anything is."""

    done: int
    total: int
    message: str
    left: float | None = None
    result: dict[str, Any] = field(default_factory=dict)


class Part(NamedTuple):
    """One part of a study: its work in force evaluations, and whether something is compiled before it."""

    work: float
    compiles: bool = False


class Clock:
    """Which parts of a study are done, and how long the rest will take at the pace of those that are."""

    def __init__(self, parts: Sequence[Part]):
        self.parts = tuple(parts)
        self._ends = [time.perf_counter()]

    @property
    def done(self) -> int:
        return len(self._ends) - 1

    def tick(self) -> None:
        """One more part is done."""
        self._ends.append(time.perf_counter())

    def left(self) -> float | None:
        """Seconds to go. None as long as every part that is done has compiled: that tells nothing of a pace."""
        took = np.diff(self._ends)
        ended, ahead = self.parts[: self.done], self.parts[self.done :]
        plain = [(part.work, t) for part, t in zip(ended, took, strict=True) if not part.compiles]
        if not ahead:
            return 0.0
        if not plain:
            return None
        pace = sum(t for _, t in plain) / sum(work for work, _ in plain)
        compiling = [max(0.0, t - pace * part.work) for part, t in zip(ended, took, strict=True) if part.compiles]
        each = float(np.mean(compiling)) if compiling else 0.0
        return float(sum(pace * part.work + each * part.compiles for part in ahead))

    def step(self, message: str, result: dict[str, Any]) -> Step:
        """The state of the study for whoever watches it."""
        return Step(self.done, len(self.parts), message, self.left(), result)


def repeated(work: float, n: int) -> list[Part]:
    """n parts of the same work, of which the first compiles."""
    return [Part(work, n == 0) for n in range(n)]


def chosen(defaults: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The defaults with what is given in their place. Raises `ValueError` for an unknown name or a number below 1."""
    for name, value in (given or {}).items():
        if name not in defaults:
            raise ValueError(f"this study has no setting '{name}'; it has {', '.join(defaults)}.")
        if isinstance(defaults[name], int) and not (isinstance(value, int) and value >= 1):
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return {**defaults, **(given or {})}


def keys_of(seed: int, n: int) -> jax.Array:
    """n independent keys."""
    return jax.random.split(jax.random.key(seed), n)


def by_system(case: Case, slow: Mapping[str, Any], quick: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for water, whose steps are short and dear, or for simple liquids."""
    return dict(slow if case.name == "water" else quick)
