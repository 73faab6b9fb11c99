"""The losses that the laboratory offers: what is observed, what is made of it, and of what the loss is a function.

Each is built for a case (a system with its reference data) and becomes part of an `Experiment`. A loss of averages can
be treated by every estimator; a loss of a series in time (a correlation, a diffusion coefficient) not by reweighting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from revmd_app.gradients import own_loss
from revmd_app.gradients.estimate import Experiment
from revmd_app.gradients.own_loss import EXAMPLE as EXAMPLE
from revmd_app.gradients.own_loss import OwnFormula as OwnFormula
from revmd_app.gradients.own_loss import read_formula as read_formula
from revmd_app.gradients.recording import Recording
from revmd_app.observables.structure import RadialDistributionFunction
from revmd_app.observables.thermodynamics import potential_energy, pressure, virial_pressure
from revmd_app.observables.transport import (
    einstein_diffusion,
    green_kubo_diffusion,
    mean_squared_displacement,
    unwrapped_positions,
    velocities,
    velocity_autocorrelation,
)
from revmd_app.systems.case import Case

BINS = 80
EQUILIBRATION = 500
OWN = "Your own formula"

Built = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""(observe(snapshot), loss(what was observed))."""


class Loss(NamedTuple):
    """A loss: its formula in words, its unit by the system's units, of what it is a function, and how it is built."""

    formula: str
    unit: dict[str, str]
    loss_of: str
    build: Callable[[Case, Recording], Built]


def make_experiment(
    case: Case,
    loss: str,
    n_steps: int,
    sample_every: int,
    formula: str = "",
    equilibration_steps: int = EQUILIBRATION,
) -> Experiment:
    """The experiment of a loss of the menu; `formula` is read for your own one.

    Raises `ValueError` for a loss that is not on the menu, a formula that cannot be used, or a run too short for it.
    """
    recording = Recording(n_steps, sample_every, float(case.settings.dt))
    if loss == OWN:
        own = read_formula(formula)
        loss_of, (observe, function) = own.loss_of, own_loss.build(own, case, recording)
    elif loss in LOSSES:
        loss_of, (observe, function) = LOSSES[loss].loss_of, LOSSES[loss].build(case, recording)
    else:
        raise ValueError(f"there is no loss '{loss}'; there are {', '.join(LOSSES)}.")
    return Experiment(
        system=case.system,
        settings=case.settings,
        state=case.state,
        observe=observe,
        loss=function,
        n_steps=n_steps,
        sample_every=sample_every,
        loss_of=loss_of,
        equilibration_steps=equilibration_steps,
    )


def _structure(case: Case, recording: Recording) -> Built:
    first = case.system.species[0]
    half = float(np.min(np.asarray(case.system.box))) / 2
    rdf = RadialDistributionFunction(first, first, r_max=half, n_bins=BINS)
    known = case.reference.get("rdf", {}).get((first, first))
    if known is None:  # a system without data is compared with an ideal gas
        return rdf, lambda g: jnp.sum((g - 1) ** 2) / BINS
    on_grid = np.asarray(known.on(rdf.r))
    comparable = np.isfinite(on_grid)
    target = np.where(comparable, on_grid, 0.0)
    return rdf, lambda g: jnp.sum(comparable * (g - target) ** 2) / BINS


def _energy(case: Case, recording: Recording) -> Built:
    n = case.system.n_molecules
    return lambda snapshot: potential_energy(snapshot) / n, lambda u: u


def _pressure(case: Case, recording: Recording) -> Built:
    return (virial_pressure if case.units == "reduced" else pressure), lambda p: p


def _displacement(case: Case, recording: Recording) -> Built:
    lags = recording.lags()
    return _places(case), lambda series: mean_squared_displacement(series, lags)[-1]


def _einstein(case: Case, recording: Recording) -> Built:
    lags, interval = recording.lags(5), recording.interval
    last = (lags - 1) * interval

    def loss(series):
        msd = mean_squared_displacement(series, lags)
        return einstein_diffusion(msd, interval, 0.499 * last, 1.001 * last).coefficient

    return _places(case), loss


def _vacf(case: Case, recording: Recording) -> Built:
    lags = recording.lags()

    def loss(series):
        c = velocity_autocorrelation(series, lags)
        return jnp.sum((c / c[0]) ** 2)

    return _speeds(case), loss


def _green_kubo(case: Case, recording: Recording) -> Built:
    lags, interval = recording.lags(), recording.interval
    return _speeds(case), lambda series: green_kubo_diffusion(velocity_autocorrelation(series, lags), interval)[-1]


def _places(case: Case):
    return lambda snapshot: unwrapped_positions(snapshot, case.system.species[0])


def _speeds(case: Case):
    return lambda snapshot: velocities(snapshot, case.system.species[0])


def _own(case: Case, recording: Recording) -> Built:
    return own_loss.build(read_formula(EXAMPLE), case, recording)


_PURE = {"md": "", "reduced": ""}
_DIFFUSION = {"md": "nm²/ps", "reduced": "σ₀²/τ"}

LOSSES: dict[str, Loss] = {
    "g(r) against the reference": Loss("L = ∫ (⟨g⟩ − g_ref)² dr / r_max", _PURE, "average", _structure),
    "g(r), loss of each snapshot (biased)": Loss("L = ⟨ ∫ (g − g_ref)² dr ⟩ / r_max", _PURE, "snapshots", _structure),
    "Potential energy": Loss("L = ⟨U⟩ / molecules", {"md": "kJ/mol", "reduced": "ε₀"}, "average", _energy),
    "Pressure": Loss("L = ⟨p⟩", {"md": "bar", "reduced": "ε₀/σ₀³"}, "average", _pressure),
    "Mean squared displacement": Loss(
        "L = ⟨|r(t) − r(0)|²⟩ at the longest lag, half the run",
        {"md": "nm²", "reduced": "σ₀²"},
        "series",
        _displacement,
    ),
    "Diffusion from the MSD": Loss("L = slope of MSD(t) / 6, second half of the lags", _DIFFUSION, "series", _einstein),
    "Velocity autocorrelation": Loss("L = Σ C(t)² / C(0)² over lags", _PURE, "series", _vacf),
    "Diffusion coefficient": Loss("L = (1/3) ∫ C(t) dt", _DIFFUSION, "series", _green_kubo),
    OWN: Loss("L = what you type, of averages and of dynamics", _PURE, "average", _own),
}
"""The menu, in its order."""
