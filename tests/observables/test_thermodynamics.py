"""Temperature, pressure, energies and density against hand formulas, and their gradients against finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app import units
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.system import make_system
from revmd_app.observables import thermodynamics as thermo
from revmd_app.potentials.external import HarmonicTrap
from revmd_app.potentials.pair import LennardJones

SETTINGS = Settings(precision="float64")


def snapshot_of(positions, velocities, potential, box=3.0, masses=(39.948,)):
    n = positions.shape[1]
    system = make_system("test", ("A",), (n,), masses, box)
    return to_snapshot(system, from_physical(system, positions, velocities), SETTINGS, potential)


def random_gas(n=12, seed=0):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3)).reshape(3, -1)[:, :n] * 0.42
    return grid + rng.normal(0, 0.01, (3, n)), rng.normal(0, 0.3, (3, n))


def with_leaf(snapshot, name, value):
    return eqx.tree_at(lambda s: getattr(s, name), snapshot, value, is_leaf=lambda x: x is None)


def test_kinetic_energy_and_temperature():
    positions, velocities = random_gas()
    s = snapshot_of(positions, velocities, LennardJones())
    kinetic = 0.5 * 39.948 * np.sum(velocities**2)
    np.testing.assert_allclose(thermo.kinetic_energy(s), kinetic, rtol=1e-9)
    np.testing.assert_allclose(thermo.temperature(s), 2 * kinetic / (3 * 12 * 0.00831446261815324), rtol=1e-9)
    np.testing.assert_allclose(thermo.temperature(s, "A"), thermo.temperature(s))
    np.testing.assert_allclose(thermo.momentum(s), 39.948 * velocities.sum(axis=1), rtol=1e-8)


def test_ideal_gas_pressure():
    """p V = N k T, in bar."""
    positions, velocities = random_gas()
    s = snapshot_of(positions * 3, velocities, LennardJones(epsilon=0.0), box=6.0)
    expected = 12 * 0.00831446261815324 * thermo.temperature(s) / 216.0 * 16.6053906717
    np.testing.assert_allclose(thermo.pressure(s), expected, rtol=1e-9)


def test_virial_of_one_pair():
    """A pair at r on the x axis: W = r F(r) = 24 eps [2 (s/r)^12 - (s/r)^6]."""
    r, sigma, epsilon = 0.36, 0.34, 0.9
    s = snapshot_of(
        np.array([[1.0, 1.0 + r], [1.0, 1.0], [1.0, 1.0]]),
        np.zeros((3, 2)),
        LennardJones(sigma=sigma, epsilon=epsilon, cutoff=1.4, truncation="plain"),
    )
    s6 = (sigma / r) ** 6
    np.testing.assert_allclose(thermo.virial_pressure(s), 24 * epsilon * (2 * s6**2 - s6) / (3 * 27.0), rtol=1e-7)
    np.testing.assert_allclose(thermo.potential_energy(s), 4 * epsilon * (s6**2 - s6), rtol=1e-7)


def test_pressure_is_minus_the_free_energy_slope():
    """At fixed scaled positions -dU/dV is the virial part of p: finite difference in the box."""
    positions, _ = random_gas()
    potential = LennardJones(cutoff=1.2)
    energy = lambda f: float(
        snapshot_of(positions * f, 0 * positions, potential, box=3.0 * f).potential.energy(
            snapshot_of(positions * f, 0 * positions, potential, box=3.0 * f)
        )
    )
    h = 1e-5
    slope = (energy(1 + h) - energy(1 - h)) / (27.0 * ((1 + h) ** 3 - (1 - h) ** 3))
    np.testing.assert_allclose(
        thermo.virial_pressure(snapshot_of(positions, 0 * positions, potential)), -slope, rtol=1e-6
    )


def test_density():
    positions, velocities = random_gas()
    s = snapshot_of(positions, velocities, LennardJones())
    grams, cm3 = 12 * 39.948 / 6.02214076e23, 27e-21
    np.testing.assert_allclose(thermo.density(s), grams / cm3, rtol=1e-9)
    np.testing.assert_allclose(thermo.number_density(s), 12 / 27.0, rtol=1e-12)


def test_kinetic_energy_half_a_kick_later():
    k, dt = 7.0, 0.1
    x, v = np.array([[0.2], [0.0], [0.1]]), np.array([[1.0], [-2.0], [0.5]])
    s = snapshot_of(x, v, HarmonicTrap(k=k), masses=(2.0,))
    expected = np.sum((v - dt / 2 * k * x / 2.0) ** 2)
    np.testing.assert_allclose(thermo.kinetic_energy(s, dt), expected, rtol=1e-8)
    np.testing.assert_allclose(thermo.total_energy(s, dt), expected + 0.5 * k * np.sum(x**2), rtol=1e-8)


@pytest.mark.parametrize("observable", ["potential_energy", "virial_pressure", "temperature", "total_energy"])
@pytest.mark.parametrize("through", ["offset", "velocity", "strain"])
def test_gradients(observable, through):
    positions, velocities = random_gas()
    s = snapshot_of(positions, velocities, LennardJones(cutoff=1.2))
    start = s.velocity if through == "velocity" else jnp.zeros((3, 3) if through == "strain" else positions.shape)
    function = jax.jit(lambda value: getattr(thermo, observable)(with_leaf(s, through, value)))
    direction = jnp.asarray(np.random.default_rng(5).normal(size=start.shape)) * (0.1 if through == "strain" else 1.0)
    h = 1e-6
    numeric = (function(start + h * direction) - function(start - h * direction)) / (2 * h)
    exact = jnp.vdot(jax.grad(function)(start), direction)
    np.testing.assert_allclose(exact, numeric, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("truncate_at", [2.5, 4.0])
def test_tail_corrections_are_the_integrals(truncate_at):
    """By quadrature of 2 pi N rho r^2 u and -(2/3) pi rho^2 r^3 u' from the cutoff outwards."""
    from scipy.integrate import quad

    n, rho = 100, 0.8
    u = lambda r: 4 * (r**-12 - r**-6)
    slope = lambda r: 4 * (-12 * r**-13 + 6 * r**-7)
    energy = 2 * np.pi * n * rho * quad(lambda r: r * r * u(r), truncate_at, np.inf)[0]
    pressure = -2 / 3 * np.pi * rho**2 * quad(lambda r: r**3 * slope(r), truncate_at, np.inf)[0]
    np.testing.assert_allclose(thermo.lennard_jones_energy_tail(n, rho, 1.0, 1.0, truncate_at), energy, rtol=1e-8)
    np.testing.assert_allclose(thermo.lennard_jones_pressure_tail(rho, 1.0, 1.0, truncate_at), pressure, rtol=1e-8)


def test_units_are_what_they_say():
    np.testing.assert_allclose(units.BAR_PER_PRESSURE_UNIT, 1e3 / 6.02214076e23 / 1e-27 / 1e5, rtol=1e-9)
    np.testing.assert_allclose(units.GRAM_PER_CM3, 1.66053906660e-24 / 1e-21, rtol=1e-9)


def test_no_potential_is_one_sentence():
    positions, velocities = random_gas()
    with pytest.raises(ValueError, match="has no potential"):
        thermo.pressure(snapshot_of(positions, velocities, None))
