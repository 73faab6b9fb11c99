"""The Monte Carlo barostat against the ideal gas, and its moves against what they must leave alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine import neighbours as lists
from revmd_app.engine.barostat import at_constant_pressure, scaled_molecules
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.system import make_system
from revmd_app.observables.statistics import mean_with_error
from revmd_app.potentials.base import Potential
from revmd_app.potentials.bonded import HarmonicBond
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems import prepared
from revmd_app.systems.force_fields import water_potential


class Nothing(Potential):
    """Atoms that do not interact."""

    def energy(self, snapshot):
        return 0.0 * jnp.sum(snapshot.centred_positions)


@pytest.mark.slow
def test_ideal_gas_volume():
    """p(V) ~ V^N exp(-p V / k T): <V> = (N + 1) k T / p and var V = (N + 1) (k T / p)^2."""
    n, kt, pressure = 15, 2.0, 0.5
    system = make_system("gas", ("A",), (n,), (1.0,), 4.0, boltzmann=1.0)
    rng = np.random.default_rng(0)
    state = from_physical(system, rng.uniform(0, 4, (3, n)), rng.normal(size=(3, n)))
    run = at_constant_pressure(
        system,
        Nothing(),
        Settings(dt=0.002, temperature=kt, friction=1.0),
        state,
        jax.random.key(0),
        pressure=pressure,
        n_trials=3000,
        interval=1,
        largest_step=0.3,
    )
    volumes = run.volumes[200:]
    mean = mean_with_error(volumes)
    expected = (n + 1) * kt / pressure
    assert abs(mean.value - expected) < 4 * mean.standard_error
    assert mean.standard_error < 0.04 * expected
    squared = mean_with_error((volumes - expected) ** 2)
    assert abs(squared.value - (n + 1) * (kt / pressure) ** 2) < 4 * squared.standard_error
    assert 0.2 < run.acceptance < 0.95
    np.testing.assert_allclose(np.prod(run.system.box), run.volumes[-1])


@pytest.mark.slow
def test_dimers_count_as_molecules():
    """N in the acceptance is the number of molecules: 8 dimers of 16 atoms have <V> = 9 k T / p."""
    n, kt, pressure = 8, 2.0, 0.5
    molecule = np.repeat(np.arange(n), 2)
    bonds = np.arange(2 * n).reshape(n, 2)
    system = make_system("dimers", ("A",), (2 * n,), (1.0,), 5.0, molecule=molecule, bonds=bonds, boltzmann=1.0)
    rng = np.random.default_rng(1)
    positions = np.repeat(rng.uniform(0, 5, (3, n)), 2, axis=1) + np.tile([[0.0, 0.3], [0, 0], [0, 0]], (1, n))
    run = at_constant_pressure(
        system,
        HarmonicBond(k=100.0, r0=0.3),
        Settings(dt=0.002, temperature=kt, friction=1.0),
        from_physical(system, positions, rng.normal(size=(3, 2 * n))),
        jax.random.key(1),
        pressure=pressure,
        n_trials=2000,
        interval=1,
        largest_step=0.3,
    )
    mean = mean_with_error(run.volumes[200:])
    assert abs(mean.value - (n + 1) * kt / pressure) < 4 * mean.standard_error


def test_molecules_keep_their_shape():
    n = 5
    molecule = np.concatenate([np.arange(n), np.repeat(np.arange(n), 2)])
    system = make_system("water", ("O", "H"), (n, 2 * n), (16.0, 1.0), 3.0, molecule=molecule)
    rng = np.random.default_rng(2)
    oxygen = rng.uniform(0, 3, (3, n))
    hydrogen = np.repeat(oxygen, 2, axis=1) + rng.normal(0, 0.1, (3, 2 * n)) + 3.0 * rng.integers(-1, 2, (3, 2 * n))
    positions = np.concatenate([oxygen, hydrogen], axis=1)
    scaled = np.asarray(scaled_molecules(system, n, jnp.asarray(positions), 1.1))
    masses = np.asarray(system.masses)
    for m in range(n):
        own = molecule == m
        before = positions[:, own] - positions[:, own][:, :1]
        before -= 3.0 * np.rint(before / 3.0)  # whole again
        np.testing.assert_allclose(scaled[:, own] - scaled[:, own][:, :1], before, atol=1e-12)
        centre = np.average(positions[:, own][:, :1] + before, axis=1, weights=masses[own])
        np.testing.assert_allclose(np.average(scaled[:, own], axis=1, weights=masses[own]), 1.1 * centre, atol=1e-12)


@pytest.mark.parametrize("neighbours", ["dense", "list"])
def test_the_energy_in_a_loop_is_the_energy(neighbours):
    """Of water: one species, all with charges, springs; from all pairs and from a list."""
    case = prepared("water", 64)
    potential = water_potential("lennard_jones", 0.6)
    settings = Settings(precision="float64", neighbours=neighbours)

    @eqx.filter_jit
    def both(potential):
        plan = lists.make_plan(case.system, potential, settings)
        listed = lists.build(plan, case.system, case.state).neighbours if plan.blocks else None
        snapshot = to_snapshot(case.system, case.state, settings, potential, listed)
        return potential.energy(snapshot), potential.quick_energy(snapshot)

    assert both(potential)[1] == pytest.approx(float(both(potential)[0]), rel=1e-12)


def test_rounds_are_told_and_the_largest_step_stays_when_told_to():
    """23 trials are rounds of 10, 10 and 3; the volumes are those of the boxes that were told."""
    n = 6
    system = make_system("gas", ("A",), (n,), (1.0,), 4.0, boltzmann=1.0)
    rng = np.random.default_rng(3)
    state = from_physical(system, rng.uniform(0, 4, (3, n)), rng.normal(size=(3, n)))
    boxes = []

    def on_round(system, state):
        boxes.append(float(np.prod(np.asarray(system.box))))

    settings = Settings(dt=0.002, temperature=2.0, friction=1.0)
    options = {"pressure": 0.5, "interval": 1, "largest_step": 0.2, "adapt": False, "on_round": on_round}
    run = at_constant_pressure(system, Nothing(), settings, state, jax.random.key(0), n_trials=23, **options)
    assert len(run.volumes) == 23
    np.testing.assert_allclose(boxes, run.volumes[[9, 19, 22]])
    assert run.largest_step == pytest.approx(0.2 * 64)
    assert int(run.state.step) == 23


def test_bad_input_is_one_sentence():
    system = make_system("gas", ("A",), (2,), (1.0,), 4.0, boltzmann=1.0)
    state = from_physical(system, np.array([[0.0, 1.5], [0, 0], [0, 0]]), np.zeros((3, 2)))
    options = {"pressure": 1.0, "n_trials": 5}
    run = lambda potential, **more: at_constant_pressure(
        system, potential, Settings(), state, jax.random.key(0), **(options | more)
    )
    with pytest.raises(ValueError, match="at least 1"):
        run(Nothing(), n_trials=0)
    with pytest.raises(ValueError, match="fraction of the volume"):
        run(Nothing(), largest_step=0.5)
    with pytest.raises(ValueError, match="exceeds half the box"):
        run(LennardJones(sigma=1.0, epsilon=1.0, cutoff=3.0))
