"""The chosen atom: its distances, its own g(r), and the shell that lights up, against plain loops over pairs."""

import numpy as np
import pytest

from revmd_app.labs.tune_atom import ChosenAtom
from revmd_app.labs.tune_model import TuneModel

N_BINS = 160


def frame(model, positions, n=1, kinetic=None):
    """What the simulation would send."""
    names = model.rdf_names
    return {
        "resets": model.resets,
        "epoch": model.epoch,
        "n": n,
        "time": 0.0,
        "positions": positions,
        "kinetic": np.full(positions.shape[1], 1.5) if kinetic is None else kinetic,
        "r": (np.arange(N_BINS) + 0.5) * model.rdf_range / N_BINS,
        "rdf": {name: np.zeros(N_BINS) for name in names},
        "series": [(0.0, 100.0, 0.0, 0.0, 0.0)],
    }


@pytest.fixture
def argon():
    model = TuneModel()
    model.take(frame(model, np.asarray(model.case.snapshot().positions)))
    return ChosenAtom(model, atom=7, pair="Ar–Ar")


@pytest.fixture
def water():
    model = TuneModel(liquid="Water, 64 molecules")
    model.take(frame(model, np.asarray(model.case.snapshot().positions)))
    return ChosenAtom(model, atom=3, pair="O–H")


def by_hand(model, i, j):
    """The distance of two atoms: the smallest over the 27 nearest images."""
    x, box = np.asarray(model.frame["positions"]), np.asarray(model.case.system.box)
    shifts = [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]
    return min(np.linalg.norm(np.mod(x[:, j], box) - np.mod(x[:, i], box) + np.array(s) * box) for s in shifts)


def test_distances_are_those_of_the_nearest_images(argon):
    d = argon.distances()
    for j in (0, 1, 50, 107):
        assert d[j] == pytest.approx(by_hand(argon.model, 7, j) if j != 7 else 0, abs=1e-9)


def test_the_shell_that_lights_up_holds_the_atoms_at_that_distance(argon):
    argon.distance = 0.37
    lit = set(argon.lit())
    for j in range(108):
        near = j != 7 and abs(by_hand(argon.model, 7, j) - 0.37) <= argon.half_width
        assert (j in lit) == near


def test_the_mean_over_all_atoms_of_their_own_g_is_the_liquids(argon):
    mean = 0
    for i in range(108):
        one = ChosenAtom(argon.model, atom=i, pair="Ar–Ar")
        one.take()
        r, g = one.own()
        mean = mean + g / 108
    x, box = np.asarray(argon.model.frame["positions"]), np.asarray(argon.model.case.system.box)
    cell = np.mod(x, box[:, None])
    nearest = np.full((108, 108), np.inf)
    for shift in np.ndindex(3, 3, 3):
        moved = cell + ((np.array(shift) - 1) * box)[:, None]
        nearest = np.minimum(nearest, np.linalg.norm(cell[:, :, None] - moved[:, None, :], axis=0))
    edges = np.linspace(0, argon.model.rdf_range, N_BINS // 2 + 1)
    pairs = nearest[np.triu_indices(108, 1)]
    expected = np.histogram(pairs, edges)[0] * np.prod(box) / (54 * 107 * 4 / 3 * np.pi * np.diff(edges**3))
    np.testing.assert_allclose(r, (edges[1:] + edges[:-1]) / 2)
    np.testing.assert_allclose(mean, expected, rtol=1e-10)


def test_an_atoms_partners_are_the_other_species_in_other_molecules(water):
    molecule = np.asarray(water.model.case.system.molecule)
    species = water.model.case.system.species_of_atoms
    assert water.species == "O"
    assert water.partners.sum() == 126
    assert set(np.asarray(species)[water.partners]) == {"H"}
    assert molecule[3] not in molecule[water.partners]
    water.pair = "H–H"
    assert not water.partners.any()
    assert len(water.rug()) == 0
    assert len(water.own()[0]) == 0


def test_a_distance_chosen_first_chooses_an_atom_too(water):
    water.release()
    water.pick_distance(0.18)
    assert water.species == "O"
    assert water.distance == 0.18
    water.pair = "H–H"
    water.pick_distance(0.24)
    assert water.species == "H"


@pytest.mark.parametrize("r", [-0.1, 0.0, 99.0])
def test_a_distance_beyond_the_curve_is_none(argon, r):
    argon.pick_distance(r)
    assert argon.distance is None


def test_speed_and_energy(argon):
    about = argon.about()
    mass, kT = 39.948, 0.00831446 * 100
    assert about.kinetic == 1.5
    assert about.speed == pytest.approx(1000 * np.sqrt(3 * kT / mass), rel=1e-3)
    values, rc = argon.model.values, argon.model.cutoff
    sigma, epsilon = values["0.sigma"], values["0.epsilon"]
    u = lambda r: 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)
    slope = (u(rc + 1e-6) - u(rc - 1e-6)) / 2e-6
    d = np.delete(argon.distances(), 7)
    d = d[d < rc]
    assert about.bound == pytest.approx(np.sum(u(d) - u(rc) - (d - rc) * slope), rel=1e-4)
    assert about.nearest == pytest.approx(d.min())


def test_no_bond_energy_where_charges_act_as_well(water):
    assert water.about().bound is None


def test_its_own_average_begins_anew_with_the_averages(argon):
    argon.take()
    argon.take()
    assert argon._frames == 1  # the same frame counts once
    argon.model.take(frame(argon.model, argon.model.frame["positions"], n=2))
    argon.take()
    assert argon._frames == 2
    argon.model.turn("0.sigma", 0.35)
    argon.model.take(frame(argon.model, argon.model.frame["positions"]))
    argon.take()
    assert argon._frames == 1
