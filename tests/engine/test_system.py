"""What a system refuses, in one sentence."""

import numpy as np
import pytest

from revmd_app.engine.system import make_system

GOOD = {"name": "pair", "species": ("A", "B"), "counts": (2, 1), "species_masses": (1.0, 2.0), "box": 3.0}


def test_a_good_system_is_made():
    system = make_system(**GOOD, bonds=[[0, 2]], angles=[[0, 2, 1]])
    assert system.n_atoms == 3
    assert system.bond_columns[0].runs == ((0, 1, 1),)
    np.testing.assert_array_equal(system.masses, [1, 1, 2])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"species": ("A", "A")}, "each species is named once"),
        ({"counts": (0, 0)}, "at least one atom"),
        ({"box": np.inf}, "box edges must be positive"),
        ({"box": (1.0, -1.0, 1.0)}, "box edges must be positive"),
        ({"species_masses": (1.0, np.nan)}, "every mass must be positive"),
        ({"species_masses": (1.0,)}, "2 species need 2 counts and masses"),
        ({"molecule": [0, 0]}, "one number an atom, 3 in all"),
        ({"bonds": [[0, 3]]}, "may name atoms 0 to 2, and names 0 and 3"),
        ({"bonds": [[-1, 1]]}, "may name atoms 0 to 2"),
        ({"angles": [[0, 1]]}, "needs 3 atoms a row"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_system(**{**GOOD, **change})
