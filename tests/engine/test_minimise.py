"""FIRE against known minima: a spring, the 13-atom Lennard-Jones icosahedron, the fcc crystal."""

import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.minimise import minimise
from revmd_app.engine.system import make_system
from revmd_app.potentials.external import HarmonicTrap
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems.arrangement import fcc_sites

SETTINGS = Settings(dt=0.01, temperature=1.0)


def atoms(positions, box):
    n = positions.shape[1]
    system = make_system("atoms", ("A",), (n,), (1.0,), box, boltzmann=1.0)
    return system, from_physical(system, positions, np.zeros((3, n)))


def test_springs_end_at_the_origin():
    system, state = atoms(np.random.default_rng(0).normal(0, 1, (3, 8)), 20.0)
    minimum = minimise(system, HarmonicTrap(k=3.0), SETTINGS, state, force_tolerance=1e-6, max_move=0.5)
    assert bool(minimum.converged)
    assert float(minimum.energy) < 1e-12
    np.testing.assert_allclose(to_snapshot(system, minimum.state, SETTINGS).unwrapped, 0.0, atol=1e-6)


def test_thirteen_lennard_jones_atoms_become_an_icosahedron():
    """Global minimum -44.326801 (Hoare and Pal 1971); a large cutoff leaves it alone to 1e-5."""
    golden = (1 + 5**0.5) / 2
    shell = [(0, s, t * golden) for s in (1, -1) for t in (1, -1)]
    shell = np.array([np.roll(v, k) for v in shell for k in range(3)])
    start = np.concatenate([np.zeros((1, 3)), shell * 1.1 / np.sqrt(1 + golden**2)]).T
    system, state = atoms(start + np.random.default_rng(1).normal(0, 0.05, start.shape), 40.0)
    potential = LennardJones(sigma=1.0, epsilon=1.0, cutoff=15.0, truncation="plain")
    minimum = minimise(system, potential, SETTINGS, state, force_tolerance=1e-5)
    assert bool(minimum.converged)
    assert abs(float(minimum.energy) - -44.326801) < 1e-5


@pytest.mark.parametrize("neighbours", ["dense", "list"])
def test_a_shaken_crystal_finds_its_lattice(neighbours):
    """-6.77336805 an atom: fcc at density 0.8442, plain cutoff 2.5 (LAMMPS, the log of its `melt` benchmark)."""
    n, box = 500, (500 / 0.8442) ** (1 / 3)
    sites = fcc_sites(n, box)
    system, state = atoms(sites + np.random.default_rng(2).uniform(-0.03, 0.03, sites.shape), box)
    potential = LennardJones(sigma=1.0, epsilon=1.0, cutoff=2.5, truncation="plain")
    settings = Settings(dt=0.01, temperature=1.0, neighbours=neighbours, skin=0.3)
    minimum = minimise(system, potential, settings, state, force_tolerance=1e-4)
    assert bool(minimum.converged)
    assert abs(float(minimum.energy) / n - -6.77336805) < 1e-6


def test_velocities_and_step_are_kept():
    system, state = atoms(np.random.default_rng(3).uniform(0, 1, (3, 4)), 20.0)
    moving = from_physical(system, to_snapshot(system, state, SETTINGS).unwrapped, np.ones((3, 4)), step=7)
    minimum = minimise(system, HarmonicTrap(k=1.0), SETTINGS, moving, max_iterations=3)
    np.testing.assert_array_equal(minimum.state.velocity, moving.velocity)
    assert int(minimum.state.step) == 7
    assert int(minimum.n_iterations) <= 3


def test_running_out_of_iterations_is_said():
    system, state = atoms(np.random.default_rng(4).normal(0, 1, (3, 4)), 20.0)
    assert not bool(minimise(system, HarmonicTrap(k=1.0), SETTINGS, state, max_iterations=2).converged)


def test_overlapping_atoms_come_apart():
    system, state = atoms(np.array([[0.0, 0.05], [0.0, 0.0], [0.0, 0.0]]), 20.0)
    potential = LennardJones(sigma=1.0, epsilon=1.0, cutoff=9.0, truncation="plain")
    minimum = minimise(system, potential, SETTINGS, state, force_tolerance=1e-6)
    distance = jnp.linalg.norm(jnp.diff(to_snapshot(system, minimum.state, SETTINGS).unwrapped, axis=1))
    assert abs(float(distance) - 2 ** (1 / 6)) < 1e-6


def test_bad_input_is_one_sentence():
    system, state = atoms(np.zeros((3, 1)), 20.0)
    with pytest.raises(ValueError, match="force_tolerance must be positive"):
        minimise(system, HarmonicTrap(k=1.0), SETTINGS, state, force_tolerance=0.0)
    with pytest.raises(ValueError, match="max_move must be positive"):
        minimise(system, HarmonicTrap(k=1.0), SETTINGS, state, max_move=-1.0)
