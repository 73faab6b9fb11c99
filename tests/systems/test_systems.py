"""The shipped systems: density, geometry, order of the atoms, momentum, and what bad sizes get."""

import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine.lattice import to_snapshot
from revmd_app.observables import density, momentum, potential_energy, temperature
from revmd_app.systems import (
    CASES,
    argon,
    build,
    double_well,
    harmonic_oscillator,
    lennard_jones_fluid,
    muller_brown,
    water,
)
from revmd_app.systems.arrangement import fcc_sites, random_rotations
from revmd_app.systems.case import check_options

MINIMUM_DISTANCE = 0.25  # nm


def nearest(positions, box):
    d = positions[:, :, None] - positions[:, None, :]
    d -= box * np.rint(d / box)
    r = np.sqrt((d * d).sum(axis=0))
    np.fill_diagonal(r, np.inf)
    return r.min(axis=1)


@pytest.mark.parametrize("n", [4, 32, 108, 109, 200])
def test_fcc_sites(n):
    sites = fcc_sites(n, 2.0, seed=1)
    cells = next(k for k in range(1, 9) if 4 * k**3 >= n)
    assert sites.shape == (3, n)
    assert sites.min() >= 0
    assert sites.max() < 2.0
    assert nearest(sites, 2.0).min() > 0.999 * 2.0 / cells / np.sqrt(2)


def test_random_rotations_are_rotations_and_isotropic():
    r = random_rotations(4000, 0)
    np.testing.assert_allclose(np.einsum("nij,nkj->nik", r, r), np.broadcast_to(np.eye(3), r.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(r), 1.0)
    assert np.abs(r.mean(axis=0)).max() < 5 / np.sqrt(3 * 4000)


@pytest.mark.parametrize("n", [108, 150, 500])
def test_argon(n):
    case = argon(n, seed=3)
    case.potential.check(case.system)
    snapshot = case.snapshot()
    np.testing.assert_allclose(density(snapshot), 1.374, rtol=1e-6)
    assert nearest(np.asarray(snapshot.unwrapped), float(case.system.box[0])).min() > MINIMUM_DISTANCE
    assert abs(float(temperature(snapshot)) / 94.4 - 1) < 5 * np.sqrt(2 / (3 * n))
    assert case.reference["rdf"][("Ar", "Ar")].kind == "simulation"


@pytest.mark.parametrize("n", [64, 100])
def test_water(n):
    case = water(n)
    case.potential.check(case.system)
    snapshot = case.snapshot()
    np.testing.assert_allclose(density(snapshot), 0.997, rtol=1e-6)
    x = np.asarray(snapshot.unwrapped)
    oxygen, hydrogen = x[:, :n], x[:, n:].reshape(3, n, 2)
    arms = hydrogen - oxygen[:, :, None]
    length = np.linalg.norm(arms, axis=0)
    np.testing.assert_allclose(length, 0.09572, atol=1e-7)
    angle = np.arccos(np.sum(arms[:, :, 0] * arms[:, :, 1], axis=0) / length.prod(axis=1))
    np.testing.assert_allclose(np.degrees(angle), 104.52, atol=1e-2)
    assert nearest(oxygen, float(case.system.box[0])).min() > MINIMUM_DISTANCE
    np.testing.assert_array_equal(case.system.molecule[n:], np.repeat(np.arange(n), 2))
    np.testing.assert_array_equal(case.system.species_of_atoms[np.asarray(case.system.angles)[:, 1]], "O")
    np.testing.assert_array_equal(
        case.system.molecule[case.system.bonds[:, 0]], case.system.molecule[case.system.bonds[:, 1]]
    )
    assert len(case.system.bonds) == 2 * n
    assert len(np.unique(np.sort(np.asarray(case.system.bonds), axis=1), axis=0)) == 2 * n


def test_the_water_start_has_no_energy_in_bonds_and_angles():
    case = water(64)
    bond, angle = case.potential.terms()[-2:]
    snapshot = to_snapshot(case.system, case.state, type(case.settings)(precision="float64"))
    assert abs(float(bond.energy(snapshot))) < 1e-6
    assert abs(float(angle.energy(snapshot))) < 1e-6


@pytest.mark.parametrize("name", ["argon", "water", "lennard_jones_fluid"])
def test_the_centre_of_mass_rests(name):
    case = build(name, CASES[name].suggested[0], precision="float64", seed=5)
    size = float(jnp.sum(case.system.masses * jnp.abs(case.snapshot().velocity)))
    assert np.abs(momentum(case.snapshot())).max() < 1e-9 * size


def test_the_same_seed_gives_the_same_start():
    a, b, c = water(64, seed=1), water(64, seed=1), water(64, seed=2)
    np.testing.assert_array_equal(a.state.position, b.state.position)
    np.testing.assert_array_equal(a.state.velocity, b.state.velocity)
    assert not np.array_equal(a.state.position, c.state.position)
    assert not np.array_equal(a.state.velocity, c.state.velocity)


def test_reduced_units():
    case = lennard_jones_fluid(256, density=0.7, temperature=1.3)
    assert case.units == "reduced"
    assert case.system.boltzmann == 1.0
    np.testing.assert_allclose(256 / np.prod(case.system.box), 0.7)
    assert abs(float(temperature(case.snapshot())) / 1.3 - 1) < 0.25


def test_the_oscillators_start_in_equilibrium():
    case = harmonic_oscillator(4000, stiffness=3.0, temperature=2.0)
    x = np.asarray(case.snapshot().centred_positions)
    assert abs(np.mean(x**2) / (2.0 / 3.0) - 1) < 5 * np.sqrt(2 / (3 * 4000))


@pytest.mark.parametrize("builder", [double_well, muller_brown])
def test_landscapes_start_in_a_minimum(builder):
    case = builder(3)
    forces = case.potential.forces(case.snapshot())
    assert np.abs(forces).max() < 1e-4
    assert np.isfinite(float(potential_energy(case.snapshot())))


@pytest.mark.parametrize("name", list(CASES))
def test_the_menu(name):
    entry = CASES[name]
    case = build(name, entry.suggested[0])
    assert case.name == name
    assert case.title == entry.title
    assert case.limits.startswith("What this model")
    assert entry.smallest <= min(entry.suggested)
    assert max(entry.suggested) <= entry.largest
    assert set(entry.shipped) <= set(entry.suggested)
    for n in (entry.smallest - 1, entry.largest + 1):
        with pytest.raises(ValueError, match="must be a whole number"):
            build(name, n)


def test_bad_options_are_one_sentence():
    with pytest.raises(ValueError, match=r"atoms of argon must be a whole number from 108 to 4,000, not 110\.5"):
        check_options("argon", 110.5, 108, 4000, "atoms", density=1.0, temperature=1.0)
    with pytest.raises(ValueError, match="there is no system 'helium'"):
        build("helium", 108)
    with pytest.raises(ValueError, match="temperature of argon must be a positive"):
        argon(108, temperature=-1.0)
    with pytest.raises(ValueError, match="density of water must be a finite number above 0 and at most 3, not 0"):
        water(64, density=0.0)
    with pytest.raises(ValueError, match="stiffness"):
        harmonic_oscillator(3, stiffness=0.0)
    with pytest.raises(ValueError, match="barrier"):
        double_well(3, barrier=-1.0)
    with pytest.raises(ValueError, match="scale"):
        muller_brown(3, scale=0.0)
