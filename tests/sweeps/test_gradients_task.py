"""The task "gradients": its rows against reverse-mode AD from the same start, and a point that explodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.simulate import simulate
from revmd_app.observables.thermodynamics import density, potential_energy
from revmd_app.sweeps import Sweep
from revmd_app.sweeps.gradients import at_parameters, measure, started
from revmd_app.sweeps.tasks import at_point
from revmd_app.sweeps.work import work
from revmd_app.systems.prepare import prepared

SETTINGS = {
    "system": "harmonic_oscillator",
    "size": 4,
    "precision": "float64",
    "loss": "Potential energy",
    "equilibration": 20,
    "steps": 40,
    "every": 20,
    "truncate": [5, 40],
}
STIFFNESS = 0.8


@pytest.fixture(scope="module")
def point():
    sweep = Sweep("gradients", SETTINGS, {"k": [STIFFNESS]})
    return at_point(sweep.task, sweep.settings, {"k": STIFFNESS}), sweep.points()[0].seed


@pytest.fixture(scope="module")
def rows(point):
    return measure(*point)


def gradient(rows, method, truncate=None) -> float:
    (found,) = [row["gradient"] for row in rows if (row["method"], row["truncate"]) == (method, truncate)]
    return found


def start_of(settings, seed, values):
    """(case as equilibrated for the point, its potential, key of the run), by the same seed."""
    on_start, on_run = jax.random.split(jax.random.key(seed))
    case = prepared(settings["system"], settings["size"], precision=settings["precision"])
    potential = at_parameters(case.potential, values)
    return started(case, potential, settings, on_start), potential, on_run


def test_both_gradients_are_those_of_the_same_trajectory(point, rows):
    """Untruncated, the reversible one is what reverse-mode AD gives; reweighting is the covariance by its formula."""
    case, potential, key = start_of(*point, {"k": STIFFNESS})

    def loss(potential):
        observe = lambda snapshot: (potential_energy(snapshot) / 4, jnp.sum(snapshot.centred_positions**2) / 2)
        run = {"n_steps": 40, "sample_every": 20, "key": key, "state": case.state, "method": "reverse_mode"}
        energy, slope = simulate(case.system, potential, case.settings, observe=observe, **run)
        return jnp.mean(energy), (energy, slope)

    (value, (u, du)), exact = jax.value_and_grad(loss, has_aux=True)(potential)
    assert rows[0]["loss"] == pytest.approx(float(value), rel=1e-9)
    assert gradient(rows, "reversible", 40) == pytest.approx(float(exact.k), rel=1e-6)
    assert gradient(rows, "reversible", 5) != pytest.approx(float(exact.k), rel=1e-3)
    beta = 1 / float(case.system.boltzmann * case.settings.temperature)
    by_hand = np.mean(du) / 4 - beta * np.cov(u, du)[0, 1]  # dU/dk = sum r^2 / 2
    assert gradient(rows, "reweighting") == pytest.approx(float(by_hand), rel=1e-6)


def test_the_barostat_sets_the_box_that_the_run_then_has():
    settings = {**SETTINGS, "system": "argon", "size": 216, "precision": "float32", "barostat": 600}
    sweep = Sweep("gradients", {**settings, "pressure": 4000.0, "reweighting": False}, {"sigma": [0.335]})
    squeezed, seed = at_point("gradients", sweep.settings, {"sigma": 0.335}), 7
    rows = measure(squeezed, seed)
    case, potential, key = start_of(squeezed, seed, {"sigma": 0.335})
    at_start = to_snapshot(case.system, case.state, case.settings)
    assert rows[0]["density"] == pytest.approx(float(density(at_start)), rel=1e-9)
    assert rows[0]["density"] > 1.01 * float(density(prepared("argon", 216).snapshot()))
    energy = lambda snapshot: potential_energy(snapshot) / 216
    run = {"n_steps": 40, "sample_every": 20, "key": key, "state": case.state}
    series = simulate(case.system, potential, case.settings, observe=energy, **run)
    assert rows[0]["loss"] == pytest.approx(float(jnp.mean(series)), rel=1e-5)


def test_a_point_that_explodes_says_so_in_its_row(point):
    settings, seed = point
    rest = {name: value for name, value in settings.items() if name != "parameters"}
    (row,), _ = work("gradients", {**rest, "time_step": 1000.0}, {"k": STIFFNESS}, seed)
    assert "explode" in row["failed"]
