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
    "system": "argon",
    "size": 108,
    "precision": "float64",
    "loss": "Potential energy",
    "equilibration": 20,
    "steps": 40,
    "every": 20,
    "truncate": [5, 40],
}
VALUES = {"sigma": 0.335, "epsilon": 0.9}


@pytest.fixture(scope="module")
def point():
    sweep = Sweep("gradients", SETTINGS, {name: [value] for name, value in VALUES.items()})
    return at_point(sweep.task, sweep.settings, VALUES), sweep.points()[0].seed


@pytest.fixture(scope="module")
def rows(point):
    return measure(*point)


def gradient(rows, method, parameter, truncate=None) -> float:
    (found,) = [
        row["gradient"]
        for row in rows
        if (row["method"], row["parameter"], row["truncate"]) == (method, parameter, truncate)
    ]
    return found


def start_of(point):
    """(case as equilibrated for the point, its potential, key of the run), by the same seed."""
    settings, seed = point
    on_start, on_run = jax.random.split(jax.random.key(seed))
    case = prepared("argon", 108, precision="float64")
    potential = at_parameters(case.potential, VALUES)
    return started(case, potential, settings, on_start), potential, on_run


def test_both_gradients_are_those_of_the_same_trajectory(point, rows):
    """Untruncated, the reversible one is what reverse-mode AD gives; reweighting is the covariance by its formula."""
    case, potential, key = start_of(point)
    sampled = {"n_steps": 40, "sample_every": 20, "key": key, "state": case.state}

    def loss(potential):
        energy = lambda snapshot: potential_energy(snapshot) / 108
        return jnp.mean(
            simulate(case.system, potential, case.settings, observe=energy, method="reverse_mode", **sampled)
        )

    value, exact = jax.value_and_grad(loss)(potential)
    assert rows[0]["loss"] == pytest.approx(float(value), rel=1e-9)
    see = lambda snapshot: (potential_energy(snapshot), jax.grad(lambda p: p.energy(snapshot))(potential))
    energies, slopes = simulate(case.system, potential, case.settings, observe=see, **sampled)
    beta = 1 / float(case.system.boltzmann * case.settings.temperature)
    for name in VALUES:
        assert gradient(rows, "reversible", name, 40) == pytest.approx(float(getattr(exact, name)), rel=1e-6)
        u, du = np.asarray(energies) / 108, np.asarray(getattr(slopes, name))
        by_hand = du.mean() / 108 - beta * np.cov(u, du)[0, 1]
        assert gradient(rows, "reweighting", name) == pytest.approx(by_hand, rel=1e-6)
    assert gradient(rows, "reversible", "sigma", 5) != pytest.approx(
        gradient(rows, "reversible", "sigma", 40), rel=1e-3
    )


def test_the_barostat_sets_the_box_that_the_run_then_has(point):
    settings = {**point[0], "barostat": 300, "pressure": 4000.0, "reweighting": False}
    squeezed = measure(settings, point[1])
    on_start, on_run = jax.random.split(jax.random.key(point[1]))
    case = prepared("argon", 108, precision="float64")
    potential = at_parameters(case.potential, VALUES)
    case = started(case, potential, settings, on_start)
    at_start = to_snapshot(case.system, case.state, case.settings)
    assert squeezed[0]["density"] == pytest.approx(float(density(at_start)), rel=1e-9)
    energy = lambda snapshot: potential_energy(snapshot) / 108
    series = simulate(
        case.system, potential, case.settings, observe=energy, n_steps=40, sample_every=20, key=on_run, state=case.state
    )
    assert squeezed[0]["loss"] == pytest.approx(float(jnp.mean(series)), rel=1e-9)


def test_a_point_that_explodes_says_so_in_its_row(point):
    settings, seed = point
    rest = {name: value for name, value in settings.items() if name != "parameters"}
    rows, seconds = work("gradients", {**rest, "time_step": 5.0}, VALUES, seed)
    (row,) = rows
    assert seconds > 0
    assert "exploded" in row["failed"] or "time step" in row["failed"]
