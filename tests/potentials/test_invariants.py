"""What must not change when the world is moved, mirrored, turned or renumbered; examples by hypothesis."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from potentials.reference import argon_box, relative, snapshot_of, water_box

from revmd_app.engine.system import make_system
from revmd_app.potentials import HarmonicAngle, HarmonicBond, LennardJones, ReactionField

ARGON = argon_box(2)
WATER = water_box(27)
POTENTIALS = {
    "argon": (LennardJones(cutoff=0.56), ARGON),
    "water": (
        LennardJones.for_water(cutoff=0.46) + ReactionField(cutoff=0.46) + HarmonicBond() + HarmonicAngle(),
        WATER,
    ),
}
cases = pytest.mark.parametrize("case", POTENTIALS)


@eqx.filter_jit
def energy_forces_virial(potential, snapshot):
    return potential.energy(snapshot), potential.forces(snapshot), potential.stress_virial(snapshot)


@eqx.filter_jit
def product_with(potential, snapshot, w):
    return potential.force_vjp(snapshot, w)[0]


def on_lattice(snapshot, lattice):
    return eqx.tree_at(lambda s: s.lattice, snapshot, jnp.asarray(lattice, dtype=jnp.int32))


@cases
@given(shift=st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 3))
def test_translation_changes_no_bit(case, shift):
    """Also the periodic boundary: a shift carries atoms through it. Differences of integers are exact."""
    potential, snapshot = POTENTIALS[case]
    shifted = on_lattice(snapshot, snapshot.lattice + jnp.asarray(shift, dtype=jnp.int32)[:, None])
    for before, after in zip(
        energy_forces_virial(potential, snapshot), energy_forces_virial(potential, shifted), strict=True
    ):
        assert np.array_equal(np.asarray(before), np.asarray(after))


@cases
@given(axes=st.permutations([0, 1, 2]), signs=st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_the_48_symmetries_of_the_cube(case, axes, signs):
    """Rotations and mirrors that map the lattice onto itself turn the forces and the virial with them."""
    potential, snapshot = POTENTIALS[case]
    axes, signs = np.array(axes), np.array(signs)[:, None]
    turned = on_lattice(snapshot, snapshot.lattice[axes] * signs)
    energy, forces, virial = energy_forces_virial(potential, snapshot)
    new_energy, new_forces, new_virial = energy_forces_virial(potential, turned)
    assert float(new_energy) == pytest.approx(float(energy), rel=1e-12)
    assert relative(new_forces, forces[axes] * signs) < 1e-11
    assert relative(new_virial, virial[axes][:, axes] * signs * signs.T) < 1e-10


@given(seed=st.integers(0, 10**6))
def test_atoms_can_be_renumbered(seed):
    potential, snapshot = POTENTIALS["argon"]
    order = np.random.default_rng(seed).permutation(snapshot.system.n_atoms)
    energy, forces, _ = energy_forces_virial(potential, snapshot)
    new_energy, new_forces, _ = energy_forces_virial(potential, on_lattice(snapshot, snapshot.lattice[:, order]))
    assert float(new_energy) == pytest.approx(float(energy), rel=1e-12)
    assert relative(new_forces, forces[:, order]) < 1e-11


@given(seed=st.integers(0, 10**6))
def test_the_two_hydrogens_can_be_exchanged(seed):
    potential, snapshot = POTENTIALS["water"]
    n = snapshot.system.counts[0]
    order = np.arange(3 * n)
    for molecule in np.flatnonzero(np.random.default_rng(seed).integers(0, 2, n)):
        first = n + 2 * molecule
        order[[first, first + 1]] = first + 1, first
    energy, forces, _ = energy_forces_virial(potential, snapshot)
    new_energy, new_forces, _ = energy_forces_virial(potential, on_lattice(snapshot, snapshot.lattice[:, order]))
    assert float(new_energy) == pytest.approx(float(energy), rel=1e-12)
    assert relative(new_forces, forces[:, order]) < 1e-11


@cases
@given(seed=st.integers(0, 10**6))
def test_newtons_third_law(case, seed):
    """Forces sum to zero, and so does J^T w: a shift of all atoms changes no force."""
    potential, snapshot = POTENTIALS[case]
    rng = np.random.default_rng(seed)
    lattice = snapshot.lattice + jnp.asarray(rng.normal(size=snapshot.lattice.shape) * 2**32 * 0.004, dtype=jnp.int32)
    snapshot = on_lattice(snapshot, lattice)
    _, forces, _ = energy_forces_virial(potential, snapshot)
    assert float(jnp.max(jnp.abs(jnp.sum(forces, axis=1)))) < 1e-11 * float(jnp.max(jnp.abs(forces)))
    product = product_with(potential, snapshot, forces)
    assert float(jnp.max(jnp.abs(jnp.sum(product, axis=1)))) < 1e-11 * float(jnp.max(jnp.abs(product)))


@given(seed=st.integers(0, 10**6))
def test_a_free_molecule_can_be_turned_anyhow(seed):
    """Bond and angle energies are unchanged, and forces turn along, under any rotation (up to lattice rounding)."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    molecule = np.array([[0.0, 0.0, 0.0], [0.11, 0.02, -0.01], [-0.03, 0.09, 0.02]]).T
    system = make_system("one", ("A",), (3,), (1.0,), 4.0, [0, 0, 0], [[0, 1], [0, 2]], [[1, 0, 2]])
    potential = HarmonicBond() + HarmonicAngle()
    energy, forces, _ = energy_forces_virial(potential, snapshot_of(system, molecule))
    new_energy, new_forces, _ = energy_forces_virial(potential, snapshot_of(system, rotation @ molecule))
    assert float(new_energy) == pytest.approx(float(energy), rel=1e-6)
    assert relative(new_forces, rotation @ np.asarray(forces)) < 1e-6


def test_sums_are_associative():
    """Potentials add; the gradient of a sum has its structure."""
    potential, snapshot = POTENTIALS["water"]
    energy = eqx.filter_jit(lambda p: p.energy(snapshot))
    total = sum(float(energy(term)) for term in potential.terms())
    assert float(energy(potential)) == pytest.approx(total, rel=1e-12)
    gradient = eqx.filter_jit(jax.grad(energy))(potential)
    assert [type(term) for term in gradient.terms()] == [type(term) for term in potential.terms()]
