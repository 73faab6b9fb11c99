"""Reaction field, bonds and angles: flexible water against OpenMM, and what each term promises by itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from potentials.reference import (
    OPENMM_FORMULAS,
    argon_box,
    evaluate,
    intramolecular,
    pair_force,
    relative,
    snapshot_of,
    virial,
    water_box,
)

from revmd_app.engine.system import make_system
from revmd_app.potentials import HarmonicAngle, HarmonicBond, LennardJones, ReactionField

RC = 0.6


@eqx.filter_jit
def energy_and_forces(potential, snapshot):
    return potential.energy(snapshot), potential.forces(snapshot)


@pytest.fixture(scope="module")
def water():
    return water_box()


def flexible_water(truncation):
    options = {"cutoff": RC, "truncation": truncation}
    return LennardJones.for_water(**options) + ReactionField(-0.834, **options) + HarmonicBond() + HarmonicAngle()


def openmm_bonded(system):
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    for i, j in np.asarray(system.bonds):
        bonds.addBond(int(i), int(j), 0.09572, 462750.4)
    for i, j, k in np.asarray(system.angles):
        angles.addAngle(int(i), int(j), int(k), 1.82421813418, 836.8)
    for force in (bonds, angles):
        force.setUsesPeriodicBoundaryConditions(True)
    return [bonds, angles]


def openmm_coulomb(system, truncation):
    """OpenMM's own reaction field (plain), or the force-shifted one written out with its two constants."""
    n = system.n_atoms
    charges = np.repeat([-0.834, 0.417], system.counts)
    if truncation == "plain":
        force = openmm.NonbondedForce()
        force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
        force.setCutoffDistance(RC)
        force.setReactionFieldDielectric(78.3)
        for q in charges:
            force.addParticle(q, 1.0, 0.0)
        for i, j in intramolecular(system.molecule):
            force.addException(i, j, 0.0, 1.0, 0.0)
        return force
    bare = "138.935458*(1/r + k*r^2 - c)"
    k, c = 77.3 / 157.6 / RC**3, 3 * 78.3 / 157.6 / RC
    two = pair_force(bare, {"k": k, "c": c}, 2, cutoff=RC, truncation="shifted")
    force = openmm.CustomNonbondedForce("q1*q2*(" + two.getEnergyFunction().replace(";", ");", 1))
    force.addPerParticleParameter("q")
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(RC)
    for i in range(n):
        force.addParticle([charges[i]])
    for i, j in intramolecular(system.molecule):
        force.addExclusion(i, j)
    return force


@pytest.mark.parametrize("truncation", ["plain", "shifted"])
def test_openmm_agrees_on_flexible_water(truncation, water):
    system, potential = water.system, flexible_water(truncation)
    positions, edges = np.asarray(water.positions), np.asarray(water.box)
    oxygen = {"members": list(range(system.counts[0])), "exclude": intramolecular(system.molecule)}
    lj = {"sigma": 0.315, "epsilon": 0.636}

    def forces():
        vdw = pair_force(
            OPENMM_FORMULAS["LennardJones"], lj, system.n_atoms, cutoff=RC, truncation=truncation, **oxygen
        )
        return [vdw, openmm_coulomb(system, truncation), *openmm_bonded(system)]

    total = 0.0
    # OpenMM's own Coulomb constant differs in its eighth digit from ours
    for term, force in zip(potential.terms(), forces(), strict=True):
        energy, vectors = evaluate([force], positions, edges)
        ours = energy_and_forces(term, water)
        assert float(ours[0]) == pytest.approx(energy, rel=1e-6)
        assert relative(ours[1], vectors) < 1e-6
        total += vectors
    single = eqx.filter_jit(lambda p, s: p.forces(s))(potential, water_box(precision="float32"))
    assert relative(single, total) < 1e-5
    if truncation == "shifted":
        ours = eqx.filter_jit(lambda p, s: p.virial(s))(potential, water)
        assert float(ours) == pytest.approx(virial(forces, positions, edges), rel=1e-6)


def test_reaction_field_constants():
    """At rc = 1 nm: k_rf = 0.4904822 nm^-3, c_rf = 1.4904822 nm^-1; the energy ends at 0, the force nearly so."""
    field = ReactionField(cutoff=1.0, truncation="plain")
    assert field.constants() == pytest.approx((0.4904822, 1.4904822), abs=5e-8)
    energy, slope = jax.value_and_grad(field.pair_energy)(jnp.asarray(1.0))
    coulomb = 138.935458 * 0.834**2
    assert abs(float(energy)) < 1e-12 * coulomb
    assert -float(slope) == pytest.approx(3 / 157.6 * coulomb, rel=1e-10)


def test_charges_follow_the_pattern(water):
    charges = np.asarray(ReactionField(-0.8).charges(water.system))
    np.testing.assert_allclose(charges[[0, 63, 64, -1]], [-0.8, -0.8, 0.4, 0.4])
    assert abs(charges.sum()) < 1e-10
    assert ReactionField(pattern={"O": 1, "H": -0.5}).pattern == ReactionField().pattern


def test_reaction_field_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="a dielectric constant, must be at least 1"):
        ReactionField(epsilon_rf=0.5)
    with pytest.raises(ValueError, match="no species 'O'"):
        ReactionField(cutoff=0.8).check(argon_box().system)


def molecule_at(angle, r=0.1, precision="float64"):
    """One bent molecule, apex first in space but last in the table's middle column, in a wide box."""
    positions = np.array([[0.0, 0, 0], [r, 0, 0], [r * np.cos(angle), r * np.sin(angle), 0]]).T
    system = make_system(
        "one", ("A",), (3,), (1.0,), 10.0, molecule=[0, 0, 0], bonds=[[0, 1], [0, 2]], angles=[[1, 0, 2]]
    )
    return snapshot_of(system, positions, precision)


@pytest.mark.parametrize("angle", [0.3, 1.2, 2.0, 3.0, 3.1415])
def test_angle_is_the_angle(angle):
    energy = HarmonicAngle(k=2.0, theta0=1.0).energy(molecule_at(angle))
    assert float(energy) == pytest.approx((angle - 1.0) ** 2, rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("angle", [0.0, np.pi])
def test_no_nan_in_line(angle, precision):
    """A linear molecule has an angle but no plane: energy right, force and products finite, by hand and by AD."""
    snapshot = molecule_at(angle, precision=precision)
    term = HarmonicAngle(k=2.0, theta0=1.0)
    w = jnp.ones((3, 3), snapshot.dtype).at[0].set(2.0)
    every = eqx.filter_jit(lambda s: (term.energy(s), term.forces(s), term.force_vjp(s, w), term.stress_virial(s)))
    energy, *derivatives = every(snapshot)
    assert float(energy) == pytest.approx((angle - 1.0) ** 2, rel=1e-4)
    assert all(np.all(np.isfinite(np.asarray(array))) for array in jax.tree.leaves(derivatives))


def test_coincident_atoms_give_no_nan():
    snapshot = molecule_at(1.0, r=0.0)
    for term in (HarmonicBond(), HarmonicAngle()):
        both = eqx.filter_jit(lambda s, term=term: (term.forces(s), term.stress_virial(s)))(snapshot)
        assert all(np.all(np.isfinite(np.asarray(array))) for array in both)


def test_bond_across_the_boundary():
    """The minimum image is taken: a bond through the wall of the box is as long as any other."""
    system = make_system("two", ("A",), (2,), (1.0,), 2.0, molecule=[0, 0], bonds=[[0, 1]])
    snapshot = snapshot_of(system, np.array([[0.05, 1.92], [0, 0], [0, 0]]))
    bond = HarmonicBond(k=100.0, r0=0.1)
    assert float(bond.energy(snapshot)) == pytest.approx(50 * 0.03**2, rel=1e-6)
    np.testing.assert_allclose(bond.forces(snapshot)[0], [-3.0, 3.0], rtol=1e-6)


def test_a_system_without_bonds_costs_and_gives_nothing():
    snapshot = argon_box(2)
    for term in (HarmonicBond(), HarmonicAngle()):
        assert float(term.energy(snapshot)) == 0
        assert not np.any(np.asarray(term.forces(snapshot)))
