"""Mixing rules and springs of several kinds of molecules: against OpenMM, automatic differentiation and themselves."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from potentials.reference import OPENMM_FORMULAS, evaluate, intramolecular, relative, snapshot_of
from potentials.test_adjoints import by_automatic_differentiation, forces_and_products, moved

from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.simulate import advance
from revmd_app.engine.system import make_system
from revmd_app.gradients.estimate import parameter_names
from revmd_app.potentials import Expression, HarmonicBond, LennardJones, ReactionField
from revmd_app.potentials.bonded import bonds_between
from revmd_app.potentials.mixing import MixedPair, own_names
from revmd_app.potentials.pair import Buckingham, Buffered147, DoubleExponential, SoftCoreLennardJones
from revmd_app.systems import prepared
from revmd_app.systems.case import start
from revmd_app.systems.oxygen_in_water import BOND_LENGTH, BOND_STIFFNESS, GAS, oxygen_in_water

CUTOFF = 0.62
FORMS = (LennardJones, DoubleExponential, Buckingham, SoftCoreLennardJones, Buffered147)
GUESTS = {"Buckingham": {"A": 414735.6, "B": 36.147, "C": 0.0029159}}
LIKE_OXYGEN = {"sigma": 0.3297, "epsilon": 0.438}
MEANS = {"epsilon": "sqrt({0}1*{0}2)"}


def mixture(form, **options) -> MixedPair:
    return MixedPair(form.for_water(cutoff=CUTOFF, **options), GUESTS.get(form.__name__, LIKE_OXYGEN), GAS)


@pytest.fixture(scope="module")
def box():
    """A snapshot of 60 waters and 4 O2, shaken off their lattice."""
    case = oxygen_in_water(60, precision="float64")
    snapshot = to_snapshot(case.system, case.state, case.settings)
    shake = 0.006 * np.random.default_rng(4).normal(size=snapshot.lattice.shape)
    return case.with_state(start(case.system, np.asarray(snapshot.unwrapped) + shake, 0 * shake)).snapshot()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_openmm_agrees_on_every_form(form, box):
    """A CustomNonbondedForce with a parameter a site, mixed there as a force field's author would."""
    potential = mixture(form, truncation="plain")
    names, system = own_names(form), box.system
    shared = {n: float(getattr(potential, n)) for n in form.parameters if n not in names}
    force = openmm_mixture(OPENMM_FORMULAS[form.__name__], names, shared, potential, system)
    energy, forces = evaluate([force], np.asarray(box.positions), np.asarray(box.box))
    ours = eqx.filter_jit(lambda p, s: (p.energy(s), p.forces(s)))(potential, box)
    assert float(ours[0]) == pytest.approx(energy, rel=1e-6)
    assert relative(ours[1], forces) < 1e-6


def openmm_mixture(formula, names, shared, potential, system):
    mixed = "".join(f"; {n}={MEANS.get(n, '({0}1+{0}2)/2').format(n)}" for n in names)
    constants = "".join(f"; {n}={x!r}" for n, x in shared.items())
    force = openmm.CustomNonbondedForce(formula + mixed + constants)
    for name in names:
        force.addPerParticleParameter(name)
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(CUTOFF)
    of = {"O": lambda n: float(getattr(potential, n)), GAS: lambda n: float(getattr(potential, "gas_" + n))}
    for species in system.species_of_atoms:
        force.addParticle([of.get(species, of["O"])(n) for n in names])
    sites = [i for i, species in enumerate(system.species_of_atoms) if species != "H"]
    force.addInteractionGroup(sites, sites)
    for i, j in intramolecular(system.molecule):
        force.addExclusion(i, j)
    return force


@pytest.mark.parametrize("form", [LennardJones, Buckingham], ids=lambda form: form.__name__)
def test_products_equal_automatic_differentiation(form, box):
    """J^T w and the gradient in every parameter, the guest's through the derivative of the mixing rule."""
    potential = mixture(form)
    w = jnp.asarray(np.random.default_rng(5).normal(size=box.lattice.shape))
    forces, on_positions, on_parameters = by_automatic_differentiation(potential, box, w)
    written, products = forces_and_products(potential, box, w)
    assert relative(written, forces) < 1e-11
    assert relative(products[0], on_positions) < 1e-11
    assert jax.tree.structure(products[1]) == jax.tree.structure(on_parameters)
    for value, expected in zip(jax.tree.leaves(products[1]), jax.tree.leaves(on_parameters), strict=True):
        assert value.dtype == jnp.float64
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def test_parameter_gradient_by_finite_differences(box):
    """Of w . F in each of the four parameters of a Lennard-Jones mixture."""
    potential = mixture(LennardJones)
    w = jnp.asarray(np.random.default_rng(6).normal(size=box.lattice.shape))
    work = eqx.filter_jit(lambda p: jnp.vdot(w, p.forces(box)))
    _, gradient = potential.force_vjp(box, w)
    leaves, structure = jax.tree.flatten(potential)
    for k, found in enumerate(jax.tree.leaves(gradient)):
        h = 1e-6 * float(leaves[k])
        sides = [jax.tree.unflatten(structure, [x + s * h * (m == k) for m, x in enumerate(leaves)]) for s in (1, -1)]
        assert float(found) == pytest.approx(float(work(sides[0]) - work(sides[1])) / (2 * h), rel=1e-5)


def test_forces_are_the_slope_of_the_energy_and_add_to_nothing(box):
    """Newton's third law: block by block, what a kind feels of another it gives back."""
    potential = mixture(LennardJones)
    direction = jnp.asarray(np.random.default_rng(7).normal(size=box.lattice.shape))
    energy = eqx.filter_jit(lambda h: potential.energy(moved(box, h * direction)))
    forces = potential.forces(box)
    slope = -float(energy(2e-6) - energy(-2e-6)) / 4e-6
    assert float(jnp.vdot(forces, direction)) == pytest.approx(slope, rel=2e-6)
    for block in potential.blocks_of_pairs():
        on_all = block.forces(box)
        assert float(jnp.abs(jnp.sum(on_all, axis=1)).max()) < 1e-10 * float(jnp.abs(on_all).max())


@pytest.mark.parametrize("form", [SoftCoreLennardJones], ids=lambda form: form.__name__)
def test_equal_kinds_are_one_kind(form):
    """With the host's parameters on both, the mixture is the plain form among all sites of a box of one species."""
    kinds = make_system("two", ("O", GAS), (40, 24), (16.0, 16.0), 1.25)
    one = make_system("one", ("O",), (64,), (16.0,), 1.25)
    sites = np.stack(np.meshgrid(*[np.arange(4)] * 3)).reshape(3, -1) * 0.31
    sites = sites + 0.03 * np.random.default_rng(8).normal(size=sites.shape)
    plain = form.for_water(cutoff=CUTOFF)
    same = MixedPair(plain, {name: float(getattr(plain, name)) for name in own_names(form)}, GAS)
    two, single = snapshot_of(kinds, sites), snapshot_of(one, sites)
    both = eqx.filter_jit(lambda potential, snapshot: (potential.energy(snapshot), potential.forces(snapshot)))
    ours, expected = both(same, two), both(plain, single)
    assert float(ours[0]) == pytest.approx(float(expected[0]), rel=1e-12)
    assert relative(ours[1], expected[1]) < 1e-11


def test_a_neighbour_list_changes_no_bit():
    """Ten steps with a table for each block, against ten steps over all pairs."""
    case = prepared("oxygen_in_water", 60)
    blocks = mixture(LennardJones).blocks(case.system)
    assert [(b.a0, b.b0) for b in blocks] == [(0, 0), (0, 180), (180, 180)]
    states = []
    for neighbours in ("dense", "list"):
        settings = replace(case.settings, neighbours=neighbours)
        state, _, report = advance(case.system, case.potential, settings, case.state, jax.random.key(1), 10)
        report.check()
        states.append(state)
    np.testing.assert_array_equal(states[0].position, states[1].position)
    np.testing.assert_array_equal(states[0].velocity, states[1].velocity)


def test_what_cannot_be_mixed_is_one_sentence():
    plain = LennardJones.for_water(cutoff=CUTOFF)
    with pytest.raises(ValueError, match="needs sigma, epsilon, not sigma"):
        MixedPair(plain, {"sigma": 0.3}, GAS)
    with pytest.raises(ValueError, match="gas_epsilon of a mixture must be a positive number"):
        MixedPair(plain, {"sigma": 0.3, "epsilon": 0.0}, GAS)
    with pytest.raises(ValueError, match="sigma of LennardJones must be a positive number"):
        MixedPair(plain, {"sigma": -0.3, "epsilon": 1.0}, GAS)
    with pytest.raises(ValueError, match="acts between one species and itself"):
        MixedPair(plain, LIKE_OXYGEN, "O")
    with pytest.raises(ValueError, match="known for the radial forms, not for Expression"):
        MixedPair(Expression("e/r", {"e": 1.0}), {}, GAS)
    with pytest.raises(ValueError, match="has no species 'O2'"):
        MixedPair(plain, LIKE_OXYGEN, GAS).check(make_system("w", ("O",), (2,), (16.0,), 3.0))


def test_parameters_have_names_labels_and_bounds():
    potential = mixture(DoubleExponential)
    assert set(parameter_names(potential)) == set(potential.parameters)
    assert potential.parameters["gas_sigma"].label == "σ gas"
    assert potential.parameters["gas_sigma"].bounds == DoubleExponential.parameters["sigma"].bounds
    assert float(potential.gas_sigma) == 0.3297
    assert float(potential.alpha) == 16.766
    with pytest.raises(AttributeError, match="no attribute 'gas_alpha'"):
        _ = potential.gas_alpha


# --------------------------------------------------------------------------------------------------- bonds of a kind


def test_each_molecule_has_its_own_spring(box):
    """Energy and forces of both springs against OpenMM's HarmonicBondForce with two kinds of bonds."""
    water = HarmonicBond(between=("O", "H"))
    oxygen = HarmonicBond(k=BOND_STIFFNESS, r0=BOND_LENGTH, between=(GAS, GAS))
    force = openmm.HarmonicBondForce()
    force.setUsesPeriodicBoundaryConditions(True)
    species = box.system.species_of_atoms
    for i, j in np.asarray(box.system.bonds):
        constants = (BOND_LENGTH, BOND_STIFFNESS) if species[i] == GAS else (0.09572, 462750.4)
        force.addBond(int(i), int(j), *constants)
    energy, forces = evaluate([force], np.asarray(box.positions), np.asarray(box.box))
    both = water + oxygen
    assert float(both.energy(box)) == pytest.approx(energy, rel=1e-9)
    assert relative(both.forces(box), forces) < 1e-9
    assert "HarmonicBond(O2-O2).k" in parameter_names(both)
    w = jnp.asarray(np.random.default_rng(9).normal(size=box.lattice.shape))
    _, on_positions, on_parameters = by_automatic_differentiation(both, box, w)
    _, products = forces_and_products(both, box, w)
    assert relative(products[0], on_positions) < 1e-11
    for value, expected in zip(jax.tree.leaves(products[1]), jax.tree.leaves(on_parameters), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_bonds_of_a_kind_are_read_by_slices(box):
    columns = [bonds_between(box.system, pair) for pair in (("O", "H"), ("H", "O"), (GAS, GAS))]
    assert [tuple(column.runs for column in pair) for pair in columns] == [
        (((0, 60, 1), (0, 60, 1)), ((60, 60, 2), (61, 60, 2))),
        (((0, 60, 1), (0, 60, 1)), ((60, 60, 2), (61, 60, 2))),
        (((180, 4, 2),), ((181, 4, 2),)),
    ]


def test_bonds_that_there_are_not(box):
    with pytest.raises(ValueError, match="has no bond between O and O2"):
        HarmonicBond(between=("O", GAS)).check(box.system)
    with pytest.raises(ValueError, match="has no species 'N'"):
        HarmonicBond(between=("N", "N")).check(box.system)
    bonds = np.random.default_rng(0).permutation(60).reshape(30, 2)
    tangled = make_system("tangled", ("A",), (60,), (1.0,), 3.0, molecule=np.zeros(60), bonds=bonds)
    with pytest.raises(ValueError, match="table of bonds has a pattern"):
        HarmonicBond(between=("A", "A")).check(tangled)


def test_reaction_field_leaves_the_gas_alone(box):
    field = ReactionField(cutoff=CUTOFF)
    assert float(jnp.abs(field.charges(box.system)[180:]).max()) == 0
    assert float(jnp.abs(field.forces(box)[:, 180:]).max()) == 0
