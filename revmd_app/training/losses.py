"""Losses for training: measured values with uncertainties and weights, and the sum of their squared deviations.

    L = sum_t w_t mean_k ((O_tk - target_tk) / u_tk)^2

over the targets t and, for a curve, its points k. L = w where a curve is off by one uncertainty everywhere. O_t is the
average over a run, or (`of="snapshots"`) that of one snapshot, and L then the mean over snapshots, which adds the
thermal variance of O_t to the loss: E[(O - t)^2] = (E[O] - t)^2 + Var(O). A diffusion coefficient is a property of the
whole series either way. Greener (PNAS 122, e2426058122, 2025) takes snapshots, and |.| in place of the square for g(r).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.observables.molecular_pressure import density_at_pressure
from revmd_app.observables.structure import RadialDistributionFunction
from revmd_app.observables.thermodynamics import temperature
from revmd_app.observables.transport import (
    MolecularCentres,
    mean_squared_displacement,
)
from revmd_app.observables.vaporisation import enthalpy_of_vaporisation
from revmd_app.potentials.base import Sum
from revmd_app.systems.case import Case
from revmd_app.systems.oxygen_in_water import GAS
from revmd_app.training.configuration import Configuration

PAIRS = {"rdf_OO": ("O", "O"), "rdf_OH": ("O", "H"), "rdf_HH": ("H", "H")}
INTERMOLECULAR = {"rdf_OO": 0.261, "rdf_OH": 0.162, "rdf_HH": 0.222}
"""nm: from here outwards a g(r) is compared, which leaves out the intramolecular peaks."""
HEAT = "Greener 2025: 44.12 kJ/mol at 295.15 K, and 2.8 for the freedom of bonds and angle"
DENSITY = "0.99777 g/cm³ at 295.15 K: M. Tanaka et al., Metrologia 38, 301 (2001)"
LAGS_FROM, LAGS_TO = 0.1, 0.5
"""The window of lags, as fractions of the run, over which MSD/(6 lag) is averaged."""

LEAST_FRAMES = 10


@dataclass(frozen=True)
class Target:
    """A measured number or curve: (K,) `values` at `grid` (nm; None for a number), each with its uncertainty."""

    name: str
    title: str
    unit: str
    values: np.ndarray
    uncertainty: np.ndarray
    weight: float
    source: str
    grid: np.ndarray | None = None

    def __post_init__(self):
        if not (np.all(np.isfinite(self.values)) and np.all(np.asarray(self.uncertainty) > 0)):
            raise ValueError(f"the target '{self.name}' needs finite values, each with an uncertainty above 0.")


@dataclass(frozen=True)
class Term:
    """A target and what is compared with it.

    `observe(snapshot)` is sampled along the run. `of_series(series)` makes the observable of the whole series; without
    it the observable is an average over the samples. `select` are the indices of a curve at which it is compared, and
    `axis` is where the whole curve is given (nm).
    """

    target: Target
    observe: Callable[[Any], Any]
    of_series: Callable[[Any], Any] | None = None
    select: np.ndarray | None = None
    axis: np.ndarray = field(default_factory=lambda: np.zeros(0))
    absolute: bool = False

    def deviation(self, observable):
        """mean_k |(O_k - target_k)/u_k|^2, or ^1 where `absolute`; without the weight."""
        compared = observable if self.select is None else observable[self.select]
        x = (compared - self.target.values) / self.target.uncertainty
        return jnp.mean(jnp.abs(x) if self.absolute else x * x)


class Composite:
    """Several terms as the `observe`, `loss`, `loss_of` and `report` of an `Experiment`.

    Terms with the weight 0 are observed and reported only. Raises `ValueError` for two terms of one name.
    """

    def __init__(self, terms: Sequence[Term], of: str = "average"):
        self.terms = {term.target.name: term for term in terms}
        if len(self.terms) < len(terms):
            raise ValueError("each target needs a name of its own.")
        self._of = of
        in_time = any(term.of_series is not None and term.target.weight for term in terms)
        self.loss_of = "series" if in_time else of

    def observe(self, snapshot) -> dict[str, Any]:
        """What is sampled: every term's observable, and the temperature (K)."""
        seen = {name: term.observe(snapshot) for name, term in self.terms.items()}
        return seen | {"temperature": jax.lax.stop_gradient(temperature(snapshot))}

    def loss(self, x):
        """L of averages, of one sample, or of a series, as `loss_of` says."""
        total = jnp.zeros(())
        for name, term in self.terms.items():
            if term.target.weight:
                total = total + term.target.weight * self._deviation(term, x[name])
        return total

    def _deviation(self, term: Term, x):
        if self.loss_of != "series":
            return term.deviation(x)
        if term.of_series is not None:
            return term.deviation(term.of_series(x))
        if self._of == "snapshots":
            return jnp.mean(jax.vmap(term.deviation)(x))
        return term.deviation(jnp.mean(x, axis=0))

    def report(self, series) -> dict[str, Any]:
        """Each term's observable of the whole series, and under "deviation" what it adds to L for a weight of 1."""
        values = {name: self._value(name, series[name]) for name in [*self.terms, "temperature"]}
        each = self._of == "snapshots"
        deviation = {
            name: jnp.mean(jax.vmap(term.deviation)(series[name]))
            if each and term.of_series is None
            else term.deviation(values[name])
            for name, term in self.terms.items()
        }
        return {**values, "deviation": deviation}

    def _value(self, name: str, series):
        term = self.terms.get(name)
        if term is not None and term.of_series is not None:
            return term.of_series(series)
        return jnp.mean(series, axis=0)


def composite(case: Case, run: Configuration) -> Composite:
    """The loss of a training run: g_OO, g_OH, g_HH, the enthalpy of vaporisation, with a gas its diffusion, and the
    density where it has a weight (its virial would make every epoch dearer)."""
    terms = [*(_rdf_term(case, run, name) for name in PAIRS), _enthalpy_term(case, run)]
    if run.loss.density:
        terms.append(_density_term(run))
    if run.task == "oxygen":
        terms.append(_diffusion_term(case, run))
    return Composite(terms, run.loss.of)


def _rdf_term(case: Case, run: Configuration, name: str) -> Term:
    loss, pair = run.loss, PAIRS[name]
    rdf = RadialDistributionFunction(*pair, r_max=loss.r_max, n_bins=loss.bins)
    curve = case.reference["rdf"][pair]
    known = np.asarray(curve.on(rdf.r))
    select = np.flatnonzero(np.isfinite(known) & (rdf.r >= INTERMOLECULAR[name]))
    target = Target(
        name=name,
        title=f"g_{pair[0]}{pair[1]}",
        unit="",
        values=known[select],
        uncertainty=np.maximum(curve.uncertainty(rdf.r[select]), loss.rdf_uncertainty),
        weight=getattr(loss, name),
        source=curve.citation,
        grid=rdf.r[select],
    )
    return Term(target, rdf, select=select, axis=rdf.r, absolute=loss.norm == "absolute")


def _number(run: Configuration, key: str, title: str, unit: str, source: str, name: str = "") -> Target:
    """The target that the configuration has under `key`: a number."""
    loss = run.loss
    value, uncertainty = (np.asarray(getattr(loss, f"{key}_{what}")) for what in ("target", "uncertainty"))
    return Target(name or key, title, unit, value, uncertainty, getattr(loss, key), source)


def _enthalpy_term(case: Case, run: Configuration) -> Term:
    n = run.system.molecules
    seen = _solvent_alone if run.task == "oxygen" else lambda snapshot: snapshot
    target = _number(run, "enthalpy", "ΔH_vap", "kJ/mol", HEAT)
    return Term(target, lambda snapshot: enthalpy_of_vaporisation(seen(snapshot), run.system.temperature, n))


def _density_term(run: Configuration) -> Term:
    system = run.system
    at = (system.molecules, system.temperature, system.pressure, run.loss.compressibility)
    target = _number(run, "density", "density", "g/cm³", DENSITY, name="density_at_pressure")
    return Term(target, lambda snapshot: density_at_pressure(snapshot, *at))


def _solvent_alone(snapshot):
    """The snapshot with the terms of water only: dissolved gas is neither counted nor divided by."""
    mixed, *others = snapshot.potential.terms()
    own = Sum((mixed.host, *(term for term in others if getattr(term, "between", None) != (GAS, GAS))))
    return eqx.tree_at(lambda s: s.potential, snapshot, own, is_leaf=lambda x: x is snapshot.potential)


def _diffusion_term(case: Case, run: Configuration) -> Term:
    """D = <MSD(lag) / (6 lag)> of the molecules' midpoints, over many lags and all origins.

    Not the slope of a line: a sweep that is cut a fraction of a picosecond before each sample sees the same change of
    the MSD at every lag, and that of a slope, whose weights add to zero, as none. The price is the intercept of the
    MSD, which makes D some per cent too large at lags of a few picoseconds.
    """
    schedule = run.run
    interval = schedule.sample_every * run.system.dt
    frames = schedule.steps // schedule.sample_every
    first, last = max(1, round(LAGS_FROM * frames)), int(LAGS_TO * frames)
    if frames < LEAST_FRAMES:
        raise ValueError(
            f"a diffusion coefficient needs at least {LEAST_FRAMES} samples a run, and run.steps/run.sample_every is "
            f"{frames}: sample more often."
        )
    lags = np.arange(first, last + 1)

    def of_series(centres):
        msd = mean_squared_displacement(centres, last + 1)
        return jnp.mean(msd[lags] / (6 * interval * lags))

    target = _number(run, "diffusion", "D of O₂", "nm²/ps", "Greener 2025: 2.0e-9 m²/s")
    return Term(target, MolecularCentres.of(case.system, GAS, equal=True), of_series)
