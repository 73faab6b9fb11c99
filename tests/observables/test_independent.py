"""Other programs on the same frames: MDTraj's g(r), and OpenMM's energies of the water of `docs/validation.md`."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import mdtraj
import numpy as np
import openmm
import pytest

from revmd_app.bench import validation_water
from revmd_app.engine.barostat import scaled_molecules
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.simulate import simulate
from revmd_app.observables.structure import RadialDistributionFunction, bin_centres, rdf_histogram
from revmd_app.systems import prepared


@cache
def frames():
    """(case, positions (20, 3, N)) of 216 waters, 25 fs apart, as MDTraj keeps them: in single precision."""
    case = prepared("water", 216)
    options = {"n_steps": 1000, "sample_every": 50, "key": jax.random.key(3), "state": case.state}
    positions = simulate(case.system, case.potential, case.settings, observe=lambda s: s.positions, **options)
    return case, np.asarray(positions, np.float32)


def as_mdtraj(system, positions) -> mdtraj.Trajectory:
    """The same atoms for MDTraj: one residue a molecule, atoms in our order."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    residues = [topology.add_residue("HOH", chain) for _ in range(system.n_molecules)]
    for name, molecule in zip(system.species_of_atoms, np.asarray(system.molecule), strict=True):
        topology.add_atom(name, mdtraj.element.get_by_symbol(str(name)), residues[molecule])
    n = len(positions)
    edges = np.tile(np.asarray(system.box), (n, 1))
    return mdtraj.Trajectory(
        positions.transpose(0, 2, 1), topology, unitcell_lengths=edges, unitcell_angles=np.full((n, 3), 90.0)
    )


def between_molecules(system, a, b) -> np.ndarray:
    """(pairs, 2) atoms of different molecules: MDTraj would count those within a molecule as well."""
    numbers, molecule = np.arange(system.n_atoms), np.asarray(system.molecule)
    i, j = np.meshgrid(numbers[system.atoms(a)], numbers[system.atoms(b)], indexing="ij")
    wanted = (molecule[i] != molecule[j]) & ((i < j) if a == b else True)
    return np.stack([i[wanted], j[wanted]], axis=1)


@pytest.mark.parametrize("pair", [("O", "O"), ("O", "H"), ("H", "H")])
def test_rdf_of_water_equals_that_of_mdtraj(pair):
    """To 1e-3: a pair on the edge between two bins may fall on either side in single precision."""
    case, positions = frames()
    r_max, n_bins = 0.92, 92
    atoms = between_molecules(case.system, *pair)
    r, theirs = mdtraj.compute_rdf(as_mdtraj(case.system, positions), atoms, r_range=(0, r_max), n_bins=n_bins)
    double = replace(case.settings, precision="float64")
    snapshots = [
        to_snapshot(case.system, from_physical(case.system, x.astype(float), np.zeros(x.shape)), double)
        for x in positions
    ]
    ours = np.mean([rdf_histogram(s, *pair, r_max=r_max, n_bins=n_bins) for s in snapshots], axis=0)
    np.testing.assert_allclose(r, bin_centres(r_max, n_bins), rtol=1e-6)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert theirs.max() > 1.2
    smooth = RadialDistributionFunction(*pair, r_max=r_max, n_bins=n_bins)
    blurred = np.mean([smooth(s) for s in snapshots], axis=0)
    assert np.abs(blurred - theirs)[n_bins // 2 :].max() < 0.06  # the spline averages over neighbouring bins


def test_water_at_constant_pressure_has_one_hamiltonian_in_both_codes():
    """Energy, forces and the change of energy with volume, which is all that the two barostats see."""
    case = validation_water.liquid(216)
    case = replace(case, settings=replace(case.settings, precision="float64"))
    system = case.system
    made = validation_water.openmm_system(case)
    context = openmm.Context(made, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    start = case.snapshot()
    both = eqx.filter_jit(lambda snapshot: (case.potential.energy(snapshot), case.potential.forces(snapshot)))
    energies = []
    for factor in (1.0, 1.004, 0.996):
        box = factor * np.asarray(system.box)
        positions = np.asarray(scaled_molecules(system, system.n_molecules, start.unwrapped, factor))
        context.setPeriodicBoxVectors(*(openmm.Vec3(*map(float, row)) for row in np.diag(box)))
        context.setPositions(positions.T)
        state = context.getState(getEnergy=True, getForces=True)
        wider = system.with_box(box)
        snapshot = to_snapshot(wider, from_physical(wider, positions, 0 * positions), case.settings)
        energy, forces = both(snapshot)
        energies.append((state.getPotentialEnergy()._value, float(energy)))
        theirs = np.array(state.getForces(asNumpy=True)._value).T
        np.testing.assert_allclose(forces, theirs, atol=1e-5 * np.abs(theirs).max())
    theirs, ours = np.array(energies).T
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_allclose(ours[1:] - ours[0], theirs[1:] - theirs[0], atol=2e-3)
    assert abs(ours[1] - ours[2]) > 1.0
