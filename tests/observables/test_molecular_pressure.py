"""The molecular pressure: against the work of stretching, against the atomic one in equilibrium, and the density."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine.barostat import scaled_molecules
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.observables.molecular_pressure import density_at_pressure, molecular_pressure, molecular_virial
from revmd_app.observables.thermodynamics import density, pressure
from revmd_app.systems import prepared

N, T = 64, 295.15
DOUBLE = Settings(dt=0.001, temperature=T, friction=1.0, precision="float64")


@pytest.fixture(scope="module")
def water():
    return prepared("water", N)


def stretched(case, factor):
    """The same molecules with their centres and the box `factor` times as far apart."""
    snapshot = to_snapshot(case.system, case.state, DOUBLE, case.potential)
    positions = scaled_molecules(case.system, N, snapshot.unwrapped, factor)
    system = case.system.with_box(case.system.box * factor)
    state = from_physical(system, positions, snapshot.velocity, case.state.step)
    return to_snapshot(system, state, DOUBLE, case.potential)


def test_it_is_the_work_of_stretching(water):
    """-dU/ds by differences of boxes that are really stretched, as the barostat does it.

    Positions are whole numbers of lattice cells, hence wide steps, and Richardson's extrapolation of them.
    """
    energy = lambda s: float(water.potential.energy(stretched(water, 1 + s)))
    slope = lambda h: -(energy(h) - energy(-h)) / (2 * h)
    np.testing.assert_allclose(
        molecular_virial(stretched(water, 1.0), N), (4 * slope(2e-4) - slope(4e-4)) / 3, atol=0.05
    )


def test_stiff_bonds_do_not_count(water):
    """Springs a hundred times as stiff, and bent: the atomic virial is beside itself, the molecular one the same."""
    snapshot = stretched(water, 1.0)
    springs = [number for number, term in enumerate(water.potential.terms()) if "k" in term.parameters]
    stiff = lambda p: tuple(p.terms()[number].k for number in springs)
    other = eqx.tree_at(stiff, water.potential, tuple(100 * k for k in stiff(water.potential)))
    changed = eqx.tree_at(lambda s: s.potential, snapshot, other)
    before, after = molecular_pressure(snapshot, N, T), molecular_pressure(changed, N, T)
    np.testing.assert_allclose(after, before, atol=0.05)
    assert abs(pressure(changed) - pressure(snapshot)) > 1e4


def test_both_pressures_agree_for_atoms_that_are_their_own_molecules():
    argon = prepared("argon", 108)
    snapshot = argon.snapshot()
    kinetic = snapshot.system.masses * jnp.sum(snapshot.velocity**2, axis=0)
    own = float(jnp.sum(kinetic) / (3 * 108 * snapshot.system.boltzmann))
    np.testing.assert_allclose(molecular_pressure(snapshot, 108, own), pressure(snapshot), rtol=1e-4, atol=0.2)


def test_the_density_at_a_pressure(water):
    """At its own pressure a snapshot has its own density; 100 bar less expand it by κ · 100."""
    snapshot = stretched(water, 1.0)
    own = molecular_pressure(snapshot, N, T)
    np.testing.assert_allclose(density_at_pressure(snapshot, N, T, own, 4.5e-5), density(snapshot), rtol=1e-12)
    thinner = density_at_pressure(snapshot, N, T, own - 100.0, 4.5e-5)
    np.testing.assert_allclose(thinner, density(snapshot) * (1 - 4.5e-3), rtol=1e-9)


def test_its_gradient_is_that_of_finite_differences(water):
    """In the sites' size, where positions stay: what the explicit part of a gradient needs."""
    snapshot = stretched(water, 1.0)
    with_sigma = lambda sigma: eqx.tree_at(lambda p: p.parts[0].sigma, water.potential, sigma)
    value = lambda sigma: density_at_pressure(
        eqx.tree_at(lambda s: s.potential, snapshot, with_sigma(sigma)), N, T, 1.0, 4.5e-5
    )
    sigma, h = jnp.asarray(water.potential.parts[0].sigma, jnp.float64), 1e-6
    numeric = (value(sigma + h) - value(sigma - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(value)(sigma), numeric, rtol=1e-5)
    assert numeric < 0  # larger molecules: a thinner liquid


def test_it_needs_a_potential(water):
    snapshot = eqx.tree_at(lambda s: s.potential, water.snapshot(), None, is_leaf=lambda x: x is water.potential)
    with pytest.raises(ValueError, match="no potential"):
        molecular_virial(snapshot, N)
