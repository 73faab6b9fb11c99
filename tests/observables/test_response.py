"""Compressibility and dielectric constant against ideal gases of particles and of dipoles; dipoles by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app import units
from revmd_app.engine.barostat import at_constant_pressure
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.system import make_system
from revmd_app.observables.response import (
    density_at_constant_pressure,
    dielectric_constant,
    dipole_moment,
    isothermal_compressibility,
)
from revmd_app.observables.statistics import jackknife
from revmd_app.potentials import LennardJones
from revmd_app.systems.water import water

KT = units.BOLTZMANN * 298.15
DEBYE = 0.0208194  # e nm


def test_compressibility_of_an_ideal_gas():
    """κ = 1/p: its volumes are Gamma distributed. With the right error bar in 100 experiments."""
    bar = 50.0
    kt_over_p = KT / (bar / units.BAR_PER_PRESSURE_UNIT)
    rng = np.random.default_rng(0)
    found = [isothermal_compressibility(rng.gamma(101, kt_over_p, 800), 298.15) for _ in range(100)]
    values, errors = np.array(found).T
    assert abs(values.mean() * bar - 1) < 4 * values.std() / 10 * bar
    assert values.std() * bar < 0.07
    assert abs(errors.mean() / values.std() - 1) < 0.2


def test_compressibility_from_our_barostat():
    """15 atoms that do not interact, at 1,000 bar."""
    pressure, n = 1000 / units.BAR_PER_PRESSURE_UNIT, 15
    system = make_system("gas", ("A",), (n,), (18.0,), (16 * KT / pressure) ** (1 / 3))
    positions = np.random.default_rng(0).uniform(0, 0.8, (3, n))
    run = at_constant_pressure(
        system,
        LennardJones(epsilon=0.0, cutoff=0.1),
        Settings(dt=0.002, temperature=298.15, friction=1.0),
        from_physical(system, positions, np.zeros((3, n))),
        jax.random.key(0),
        pressure=pressure,
        n_trials=1500,
        interval=1,
        largest_step=0.3,
    )
    kappa = isothermal_compressibility(run.volumes[100:], 298.15)
    assert abs(kappa.value - 1e-3) < 4 * kappa.standard_error
    assert kappa.standard_error < 0.4e-3
    density = density_at_constant_pressure(system, run.volumes[100:])
    expected = n * 18.0 * units.GRAM_PER_CM3 * pressure / (n * KT)  # <1/V> = p / (N kT)
    assert abs(density.value - expected) < 4 * density.standard_error


def test_dipole_of_molecules_by_hand():
    """Molecules across the boundary count as whole ones; TIP3P's geometry has 2.347 D."""
    case = water(64, precision="float64", seed=5)
    snapshot = case.snapshot()
    x, box = np.asarray(snapshot.positions), np.asarray(case.system.box)[:, None]
    o, h = x[:, :64], x[:, 64:].reshape(3, 64, 2)
    arms = h - o[:, :, None]
    arms -= box[:, :, None] * np.rint(arms / box[:, :, None])
    each = 0.417 * arms.sum(axis=2)
    np.testing.assert_allclose(dipole_moment(snapshot), each.sum(axis=1), atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(each, axis=0) / DEBYE, 2.347, atol=2e-3)


def test_gradient_of_a_dipole():
    """dM/dx is the charge of each atom; dM/dq is M/q."""
    case = water(64, precision="float64", seed=5)
    snapshot = case.snapshot()
    at = lambda x: eqx.tree_at(lambda s: s.offset, snapshot, x, is_leaf=lambda leaf: leaf is None)
    gradient = jax.grad(lambda x: dipole_moment(at(x))[1])(jnp.zeros((3, 192)))
    np.testing.assert_allclose(gradient[1], np.repeat([-0.834, 0.417], [64, 128]), atol=1e-12)
    np.testing.assert_allclose(gradient[jnp.array([0, 2])], 0.0, atol=1e-12)
    field = eqx.filter_grad(lambda f: dipole_moment(eqx.tree_at(lambda s: s.potential, snapshot, f))[0])
    np.testing.assert_allclose(field(case.potential.parts[1]).charge, dipole_moment(snapshot)[0] / -0.834, rtol=1e-9)


@pytest.mark.parametrize("epsilon_rf", [1.0, 78.3, np.inf])
def test_independent_dipoles(epsilon_rf):
    """N dipoles μ with <M²> = N μ²: Debye's gas. In SI, and through Neumann's formula as he prints it."""
    n, mu, volume = 40, 0.2 * DEBYE, 4.0
    rng = np.random.default_rng(1)
    u = rng.normal(size=(20_000, n, 3))
    dipoles = mu * (u / np.linalg.norm(u, axis=2, keepdims=True)).sum(axis=1)
    found = dielectric_constant(dipoles, volume, 298.15, epsilon_rf)
    coulomb_metres = mu * 1.602176634e-19 * 1e-9
    y = n * coulomb_metres**2 / (3 * 8.8541878128e-12 * volume * 1e-27 * 1.380649e-23 * 298.15)
    if np.isinf(epsilon_rf):
        assert abs(found.value - (1 + y)) < 4 * found.standard_error
    else:
        left = (found.value - 1) * (2 * epsilon_rf + 1) / (2 * epsilon_rf + found.value)
        assert abs(left / y - 1) < 4 * found.standard_error / (found.value - 1)
    assert found.standard_error < 0.02 * (found.value - 1)
    changing = dielectric_constant(dipoles, np.full(20_000, volume), 298.15, epsilon_rf)
    np.testing.assert_allclose(changing, found)


def test_jackknife_of_a_mean_is_the_standard_error():
    x = np.random.default_rng(2).normal(size=1000)
    value, error = jackknife(x, np.mean, 1000 // 2)
    pairs = x.reshape(500, 2).mean(axis=1)
    np.testing.assert_allclose(value, x.mean())
    np.testing.assert_allclose(error, pairs.std(ddof=1) / np.sqrt(500), rtol=1e-9)


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="at least 10 samples"):
        isothermal_compressibility(np.ones(5), 300.0)
    with pytest.raises(ValueError, match="make between 2 and 10 blocks, not 30"):
        isothermal_compressibility(np.ones(20), 300.0, n_blocks=30)
    with pytest.raises(ValueError, match=r"shape \(samples, 3\)"):
        dielectric_constant(np.ones((3, 100)), 1.0, 300.0)
    case = water(64)
    with pytest.raises(ValueError, match="needs charges"):
        dipole_moment(case.snapshot(LennardJones()))
    system = make_system("gas", ("A",), (1,), (1.0,), 4.0)
    bare = to_snapshot(system, from_physical(system, np.zeros((3, 1)), np.zeros((3, 1))), Settings())
    with pytest.raises(ValueError, match="needs charges"):
        dipole_moment(bare)
