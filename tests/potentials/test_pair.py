"""The radial forms against OpenMM, ASE, closed forms, finite differences and plain automatic differentiation."""

import ase
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.calculators.lj import LennardJones as AseLennardJones
from potentials.reference import OPENMM_FORMULAS, argon_box, evaluate, fcc, pair_force, relative, snapshot_of, virial

from revmd_app.engine.system import make_system
from revmd_app.potentials import (
    PAIR_FORMS,
    Buckingham,
    Buffered147,
    LennardJones,
    Mie,
    PairPotential,
    SoftCoreLennardJones,
    WeeksChandlerAndersen,
    check_radial,
)

FORMS = sorted(PAIR_FORMS.values(), key=lambda form: form.__name__)
NAMES = [form.__name__ for form in FORMS]


@pytest.fixture(scope="module")
def box():
    return argon_box()


@eqx.filter_jit
def energy_forces_virial(potential, snapshot):
    return potential.energy(snapshot), potential.forces(snapshot), potential.virial(snapshot)


def values(potential):
    return {name: float(getattr(potential, name)) for name in potential.parameters}


@pytest.mark.parametrize("truncation", ["plain", "shifted", "switched"])
@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_openmm_agrees(form, truncation, box):
    """Energy, forces and (where the energy is continuous) virial."""
    potential = form(truncation=truncation)
    assert values(potential).keys() == dict.fromkeys(potential.parameters).keys()
    positions, edges = np.asarray(box.positions), np.asarray(box.box)

    def forces():
        options = {"cutoff": potential.cutoff, "truncation": truncation, "switch_start": potential.switch_start}
        return [pair_force(OPENMM_FORMULAS[form.__name__], values(potential), positions.shape[1], **options)]

    energy, force = evaluate(forces(), positions, edges)
    our_energy, our_force, our_virial = energy_forces_virial(potential, box)
    assert abs(float(our_energy) / energy - 1) < 1e-6
    assert relative(our_force, force) < 1e-6
    if truncation != "plain":
        assert abs(float(our_virial) / virial(forces, positions, edges) - 1) < 1e-6


def test_ase_agrees(box):
    """ASE's Lennard-Jones moves every pair's energy by its value at the cutoff; its forces and stress are plain."""
    potential = LennardJones(truncation="plain")
    calculator = AseLennardJones(sigma=3.4, epsilon=0.996, rc=8.5)
    n = box.system.n_atoms
    atoms = ase.Atoms("Ar" * n, np.asarray(box.positions).T * 10, cell=np.asarray(box.box) * 10, pbc=True)
    atoms.calc = calculator
    d = np.asarray(box.all_separations(slice(0, n), slice(0, n)))
    pairs = np.sum(np.sum(d * d, axis=0)[np.triu_indices(n, 1)] < 0.85**2)
    shift = float(potential.pair_energy(jnp.asarray(0.85)))
    assert float(potential.energy(box)) == pytest.approx(atoms.get_potential_energy() + pairs * shift, rel=1e-10)
    assert relative(potential.forces(box), atoms.get_forces().T * 10) < 1e-10
    stress = -np.asarray(potential.stress_virial(box)) / np.prod(np.asarray(box.box)) / 1000
    assert relative(stress, atoms.get_stress(voigt=False)) < 1e-10


def test_fcc_lattice_energy():
    """The perfect lattice at rho* = 0.8442, truncated at 2.5: -6.7733681 an atom, the start of LAMMPS' melt example."""
    edge = (108 / 0.8442) ** (1 / 3)
    system = make_system("lj", ("A",), (108,), (1.0,), edge)
    potential = LennardJones(1.0, 1.0, cutoff=2.5, truncation="plain")
    assert float(potential.energy(snapshot_of(system, fcc(3, edge)))) / 108 == pytest.approx(-6.7733681, abs=5e-8)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "WeeksChandlerAndersen"])
def test_argon_well(name):
    """Every form's defaults have -0.996 kJ/mol at 2^(1/6) σ; their minimum is there too, but for the 14-7."""
    form = FORMS[NAMES.index(name)]
    potential = form(alpha=0.0) if form is SoftCoreLennardJones else form()
    r = jnp.asarray(0.34 * 2 ** (1 / 6))
    assert float(potential.pair_energy(r)) == pytest.approx(-0.996, rel=1e-6)
    slope, curvature = jax.grad(potential.pair_energy)(r), jax.grad(jax.grad(potential.pair_energy))(r)
    displacement = abs(float(slope / curvature / r))
    assert displacement < (0.005 if form is Buffered147 else 1e-6)


@pytest.mark.parametrize("name", ["LennardJones", "Morse", "Mie", "Buckingham"])
def test_argon_curvature(name):
    """u'' = 72/2^(1/3) ε/σ² = 57.146 ε/σ² at the minimum; Morse and Buckingham share it by construction."""
    potential = next(form for form in FORMS if form.__name__ == name)()
    curvature = jax.grad(jax.grad(potential.pair_energy))(jnp.asarray(0.34 * 2 ** (1 / 6)))
    assert float(curvature) * 0.34**2 / 0.996 == pytest.approx(57.146, abs=1e-3)


def test_wca_ends_smoothly():
    potential = WeeksChandlerAndersen(cutoff=0.8)
    end = 0.34 * 2 ** (1 / 6)
    r = jnp.asarray([end - 1e-7, end + 1e-7, 0.5, 0.79])
    u = potential.pair_energy(r)
    assert 0 <= u[0] < 1e-9
    assert np.all(np.asarray(u[1:]) == 0)
    slope = jax.vmap(jax.grad(potential.truncated_energy))(r)
    np.testing.assert_allclose(slope, 0, atol=2e-3)
    assert np.all(np.isfinite(np.asarray(jax.vmap(jax.grad(jax.grad(potential.truncated_energy)))(r))))


def test_buffered_14_7_second_derivative():
    """-u'' at r = 0.33 nm, σ = 0.31, ε = 0.6: -984.2475, where published code has a sum for a product and finds 0."""
    potential = Buffered147(0.31, 0.6, 0.07, 0.12)
    r = jnp.asarray(0.33)
    slope = jax.grad(potential.pair_energy)
    h = 1e-5
    by_difference = -(slope(r + h) - slope(r - h)) / (2 * h)
    assert float(-jax.grad(slope)(r)) == pytest.approx(-984.2475, abs=1e-4)
    assert float(by_difference) == pytest.approx(-984.2475, abs=1e-3)


def test_buckingham_barrier_holds_within_its_bounds():
    """The catastrophe stays behind 400 kJ/mol at every corner of the bounds, and is reported where it does not."""
    bounds = [p.bounds for p in Buckingham.parameters.values()]
    r = jnp.linspace(0.03, 0.6, 3000)
    for corner in np.array(np.meshgrid(*bounds)).reshape(3, -1).T:
        u = np.asarray(Buckingham(*corner).pair_energy(r))
        assert u.max() - u[u.argmax() :].min() > 400
        assert check_radial(Buckingham(*corner)) is None
    assert "collapse" in check_radial(Buckingham(2e4, 38.0, 6e-3))


@pytest.mark.parametrize(
    "form", [form for form in FORMS if "pair_radial_force" in vars(form)], ids=lambda f: f.__name__
)
def test_closed_radial_force_is_the_derivative(form):
    """The hand-written -u'/r, and its derivatives in r² and in every parameter, against those of u(r)."""
    potential = form()
    r2 = jnp.linspace(0.28, 0.8, 60) ** 2

    def derived(p):
        return PairPotential.pair_radial_force(p, r2)

    assert relative(potential.pair_radial_force(r2), derived(potential)) < 1e-12
    by_hand = jax.jit(jax.jacfwd(lambda p: p.pair_radial_force(r2)))(potential)
    by_rule = jax.jit(jax.jacfwd(derived))(potential)
    for a, b in zip(jax.tree.leaves(by_hand), jax.tree.leaves(by_rule), strict=True):
        assert relative(a, b) < 1e-10


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_parameter_gradients_match_finite_differences(form, box):
    potential = form()
    energy = eqx.filter_jit(lambda p: p.energy(box))
    gradient = eqx.filter_jit(jax.grad(energy))(potential)
    for name in potential.parameters:
        value = float(getattr(potential, name))
        h = 1e-5 * value
        lower, upper = (energy(form(**{**values(potential), name: value + s * h})) for s in (-1, 1))
        expected = float(upper - lower) / (2 * h)
        assert float(getattr(gradient, name)) == pytest.approx(expected, rel=1e-6)


def test_bounds_contain_the_starts():
    for form in FORMS:
        for start in (form(), form.for_water()):
            for name, meta in form.parameters.items():
                assert meta.bounds[0] <= float(getattr(start, name)) <= meta.bounds[1], (form, name)


def test_every_form_is_usable():
    for form in FORMS:
        assert check_radial(form()) is None
        assert check_radial(form.for_water()) is None


def test_mie_12_6_is_lennard_jones():
    r = jnp.linspace(0.25, 0.8, 50)
    assert relative(Mie().pair_energy(r), LennardJones().pair_energy(r)) < 1e-12


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"truncation must be one of plain, shifted, switched, not 'cut'"):
        LennardJones(truncation="cut")
    with pytest.raises(ValueError, match="half the box"):
        LennardJones(cutoff=0.9).check(argon_box().system)
    with pytest.raises(ValueError, match="no species 'O'"):
        LennardJones.for_water(cutoff=0.5).check(argon_box().system)
