"""Oxygen in water: its composition, geometry and springs, and what it refuses."""

import numpy as np
import pytest

from revmd_app.observables import temperature
from revmd_app.potentials.mixing import MixedPair
from revmd_app.systems import prepared
from revmd_app.systems.force_fields import PRESETS
from revmd_app.systems.oxygen_in_water import GAS, oxygen_in_water, oxygen_potential, usual_oxygen


@pytest.mark.parametrize(("n", "n_gas", "edge"), [(60, 4, 1.2452), (208, 8, 1.8678), (885, 10, 3.0)])
def test_the_sizes_that_are_offered(n, n_gas, edge):
    case = oxygen_in_water(n)
    system = case.system
    assert system.counts == (n, 2 * n, 2 * n_gas)
    assert float(system.box[0]) == pytest.approx(edge, abs=1e-4)
    assert case.potential.terms()[0].host.cutoff == pytest.approx(min(1.0, 0.499 * edge), abs=1e-4)
    assert float(system.masses[-1]) == 15.99943
    assert system.n_molecules == n + n_gas
    assert (float(case.settings.dt), float(case.settings.temperature), float(case.settings.friction)) == (
        0.001,
        295.15,
        1.0,
    )


def test_the_start_has_no_energy_in_its_springs():
    case = oxygen_in_water(60, precision="float64")
    snapshot = case.snapshot()
    for spring in case.potential.terms()[2:]:
        assert abs(float(spring.energy(snapshot))) < 1e-6
    gas = np.asarray(snapshot.unwrapped)[:, case.system.atoms(GAS)].reshape(3, -1, 2)
    np.testing.assert_allclose(np.linalg.norm(gas[:, :, 0] - gas[:, :, 1], axis=0), 0.12074, atol=1e-7)
    hydrogens = np.asarray(case.system.molecule)[case.system.atoms("H")]
    np.testing.assert_array_equal(hydrogens, np.repeat(np.arange(60), 2))


def test_oxygen_keeps_its_bond_in_the_liquid():
    """In the shipped states no O2 has come apart, and its mean length is the spring's, a percent for heat."""
    case = prepared("oxygen_in_water", 208, precision="float64")
    gas = np.asarray(case.snapshot().unwrapped)[:, case.system.atoms(GAS)].reshape(3, -1, 2)
    length = np.linalg.norm(gas[:, :, 0] - gas[:, :, 1], axis=0)
    assert np.abs(length - 0.12074).max() < 5 * np.sqrt(8.314e-3 * 295 / 686343)
    assert abs(float(temperature(case.snapshot())) - 295.15) < 5 * 295.15 * np.sqrt(2 / (3 * case.system.n_atoms))


@pytest.mark.parametrize("name", [name for name, field in PRESETS.items() if field.gas])
def test_every_preset_with_gas_makes_a_potential(name):
    field = PRESETS[name]
    pair = oxygen_potential(name, 0.6).terms()[0]
    assert isinstance(pair, MixedPair)
    for key in pair.guest:
        assert float(pair.guest[key]) == field.gas[key.removeprefix("gas_")]
    for key in field.vdw:
        assert float(getattr(pair, key)) == field.vdw[key]


def test_usual_oxygen():
    assert [usual_oxygen(n) for n in (60, 208, 885)] == [4, 8, 10]


def test_recipes_tell_force_fields_apart():
    own = PRESETS["lennard_jones_diffusion"]._replace(charge=-0.8)
    recipes = [
        oxygen_in_water(60, force_field=field).recipe
        for field in ("lennard_jones_diffusion_start", "lennard_jones_diffusion", own)
    ]
    assert len({str(recipe) for recipe in recipes}) == 3


def test_bad_options_are_one_sentence():
    with pytest.raises(ValueError, match="number of waters of oxygen_in_water must be a whole number from 60"):
        oxygen_in_water(12)
    with pytest.raises(ValueError, match="number of O2 must be a whole number from 1 to 15"):
        oxygen_in_water(60, 16)
    with pytest.raises(ValueError, match="'lennard_jones' has no parameters for the gas; these have: lennard_jones_di"):
        oxygen_in_water(60, force_field="lennard_jones")
    with pytest.raises(ValueError, match="there is no force field 'tip9p'"):
        oxygen_in_water(60, force_field="tip9p")
    with pytest.raises(ValueError, match="edge of the box must be a positive number"):
        oxygen_in_water(60, edge=0.0)
    with pytest.raises(ValueError, match="exceeds half the box"):
        oxygen_in_water(60, cutoff=0.9)
    with pytest.raises(ValueError, match="truncation must be one of"):
        oxygen_in_water(60, truncation="cut")
