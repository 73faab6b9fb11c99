"""The comparison behind Lab 3, in its own process: estimators run in turns, each result goes to the page at once."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.gradients import Experiment, compare_iter
from revmd_app.labs import knobs
from revmd_app.labs.widgets.jobs import Link
from revmd_app.observables.structure import RadialDistributionFunction
from revmd_app.observables.thermodynamics import potential_energy, pressure, virial_pressure
from revmd_app.observables.transport import green_kubo_diffusion, velocities, velocity_autocorrelation
from revmd_app.systems.case import Case
from revmd_app.systems.prepare import prepared

BINS = 80
EQUILIBRATION = 500


def run(link: Link, request: dict[str, Any]) -> None:
    """Compare, and post "progress" (rows, done, total, message) after each replica of each estimator."""
    link.post("progress", {"rows": [], "done": 0, "total": 1, "message": "preparing the liquid"})
    case = prepared(*request["system"])
    potential = knobs.turned(case.potential, request["values"])
    experiment = make_experiment(case, request)
    steps = compare_iter(
        experiment,
        potential,
        request["estimators"],
        jax.random.key(1),
        replicas=request["replicas"],
        truncate=request["truncate"],
        cancelled=link.cancelled,
    )
    for progress in steps:
        link.post(
            "progress",
            {
                "rows": rows_of(progress),
                "done": progress.done,
                "total": progress.total,
                "message": progress.message.replace("_", " "),
            },
        )


def rows_of(progress) -> list[dict[str, Any]]:
    """The progress as plain dictionaries; each has the gradient of every replica under "samples"."""
    rows = []
    for estimate in progress.estimates.values():
        for i, row in enumerate(estimate.rows()):
            rows.append({**row, "samples": [float(x) for x in np.asarray(estimate.samples)[:, i]]})
    rows += [{"estimator": name, "parameter": None, "refused": why} for name, why in progress.refusals.items()]
    return rows


def make_experiment(case: Case, request: dict[str, Any]) -> Experiment:
    """The experiment that a request describes."""
    observe, loss = LOSSES[request["loss"]](case, request)
    return Experiment(
        system=case.system,
        settings=case.settings,
        state=case.state,
        observe=observe,
        loss=loss,
        n_steps=request["n_steps"],
        sample_every=request["sample_every"],
        loss_of=request["loss_of"],
        equilibration_steps=EQUILIBRATION,
    )


def _structure(case: Case, request):
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


def _energy(case: Case, request):
    n = case.system.n_molecules
    return lambda snapshot: potential_energy(snapshot) / n, lambda u: u


def _pressure(case: Case, request):
    return (virial_pressure if case.units == "reduced" else pressure), lambda p: p


def _moving(case: Case, request):
    interval = request["sample_every"] * float(case.settings.dt)
    lags = max(2, math.ceil(request["n_steps"] // request["sample_every"] / 2))
    return (lambda snapshot: velocities(snapshot, case.system.species[0])), interval, lags


def _vacf(case: Case, request):
    observe, _, lags = _moving(case, request)

    def loss(series):
        c = velocity_autocorrelation(series, lags)
        return jnp.sum((c / c[0]) ** 2)

    return observe, loss


def _diffusion(case: Case, request):
    observe, interval, lags = _moving(case, request)
    return observe, lambda series: green_kubo_diffusion(velocity_autocorrelation(series, lags), interval)[-1]


LOSSES = {
    "g(r) against the reference": _structure,
    "g(r), loss of each snapshot (biased)": _structure,
    "Potential energy": _energy,
    "Pressure": _pressure,
    "Velocity autocorrelation": _vacf,
    "Diffusion coefficient": _diffusion,
}
