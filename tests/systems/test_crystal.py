"""Crystals of argon: perfect, of the right density, and melting when heated."""

import jax
import numpy as np
import pytest

from revmd_app.engine.restart import Recorder
from revmd_app.observables import density
from revmd_app.systems.crystal import CELLS, argon_crystal


def distances(case):
    """(N, N) minimum-image distances (nm)."""
    x, box = np.asarray(case.snapshot().unwrapped), np.asarray(case.system.box)[:, None, None]
    d = x[:, :, None] - x[:, None, :]
    d -= box * np.rint(d / box)
    return np.sqrt((d * d).sum(axis=0))


@pytest.mark.parametrize("n", list(CELLS))
def test_every_atom_sees_the_shells_of_a_face_centred_cubic_lattice(n):
    """12, 6, 24 neighbours at 1/sqrt(2), 1, sqrt(3/2) edges of the cell: textbook fcc, nothing vacant."""
    case = argon_crystal(n)
    case.potential.check(case.system)
    cell = float(case.system.box[0]) / CELLS[n][0]
    np.testing.assert_allclose(density(case.snapshot()), 1.623, rtol=1e-6)
    np.testing.assert_allclose(cell, 0.5468, atol=2e-4)  # nm: argon at its triple point
    r = distances(case) / cell
    for neighbours, radius in ((12, 0.5**0.5), (6, 1.0), (24, 1.5**0.5)):
        assert ((np.abs(r - radius) < 1e-6).sum(axis=1) == neighbours).all()


def test_no_force_acts_on_a_perfect_crystal():
    case = argon_crystal(216, precision="float64")
    assert np.abs(case.potential.forces(case.snapshot())).max() < 1e-6


def test_sizes_that_are_no_whole_cells_are_refused():
    with pytest.raises(ValueError, match="takes 108, 216, 256, 500 atoms, not 200"):
        argon_crystal(200)
    with pytest.raises(ValueError, match="must be a whole number from 108 to 500"):
        argon_crystal(4000)
    with pytest.raises(ValueError, match="temperature of argon_crystal must be a positive number"):
        argon_crystal(108, temperature=0.0)


def test_it_is_solid_when_cold_and_melts_when_hot():
    """Lindemann's rule: a solid's atoms stay within a tenth of the neighbour distance; a liquid's wander off."""
    moved = {}
    for temperature in (20.0, 300.0):
        case = argon_crystal(108, temperature=temperature)
        run = Recorder(case.system, case.potential, case.settings, case.state, jax.random.key(3))
        run.forward(1500)
        d = (np.asarray(run.state.position) - np.asarray(case.state.position)).astype(float) / 2.0**64
        moved[temperature] = float(np.sqrt(((d * np.asarray(case.system.box)[:, None]) ** 2).sum(axis=0).mean()))
    assert moved[20.0] < 0.1 * 0.387
    assert moved[300.0] > 0.5 * 0.387
