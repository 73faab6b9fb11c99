"""What the viewer is told: whole molecules in the cell, and a PDB file that another program reads alike."""

import io

import ase.io
import numpy as np

from revmd_app.labs.tune_model import COLOURS, DRAWN_AS
from revmd_app.labs.widgets import viewer
from revmd_app.labs.widgets.molecule import draw, place
from revmd_app.labs.widgets.viewer import REPRESENTATIONS

BOX = np.array([2.0, 2.5, 3.0])


def water_across_the_boundary():
    species = np.array(["O", "O", "H", "H", "H", "H"])
    molecule = np.array([0, 1, 0, 0, 1, 1])
    positions = np.array([
        [1.99, 0.5, 0.02, 1.93, 0.58, 0.42], [2.49, 0.5, 0.05, 2.47, 0.52, 0.55], [0.01, 1.0, 2.98, 0.06, 1.03, 1.02],
    ])  # fmt: skip
    return species, molecule, positions


def test_molecules_are_whole_and_begin_in_the_cell():
    _, molecule, positions = water_across_the_boundary()
    placed = place(positions, molecule, BOX)
    away = np.linalg.norm(placed - placed[:, [0, 1, 0, 0, 1, 1]], axis=0)
    assert away.max() < 0.12
    assert ((placed[:, :2] >= 0) & (placed[:, :2] < BOX[:, None])).all()
    shift = (placed - positions) / BOX[:, None]
    np.testing.assert_allclose(shift, np.round(shift), atol=1e-12)


def test_ase_reads_the_same_atoms():
    species, molecule, positions = water_across_the_boundary()
    picture = draw(species, molecule, positions, BOX)
    atoms = ase.io.read(io.StringIO(picture.pdb), format="proteindatabank")
    assert list(atoms.symbols) == ["O", "H", "H", "O", "H", "H"]
    np.testing.assert_allclose(atoms.cell.lengths(), 10 * BOX)
    expected = 10 * place(positions, molecule, BOX)[:, picture.order].T
    np.testing.assert_allclose(atoms.positions, expected, atol=1e-3)
    assert list(atoms.arrays["residuenumbers"]) == [1, 1, 1, 2, 2, 2]
    assert set(atoms.arrays["residuenames"]) == {"HOH"}


def test_the_viewer_draws_everything_that_lab_1_offers():
    assert list(REPRESENTATIONS) == list(DRAWN_AS)
    assert list(viewer.COLOURS) == list(COLOURS)
