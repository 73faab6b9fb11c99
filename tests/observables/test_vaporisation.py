"""The energy of the gas against closed forms and our own simulation of molecules alone; ΔH_vap and its gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from revmd_app.engine.integrator import Settings
from revmd_app.engine.simulate import simulate
from revmd_app.observables.statistics import mean_with_error
from revmd_app.observables.vaporisation import (
    enthalpy_of_vaporisation,
    gas_energy,
    gas_energy_of_all,
    spring_energy,
)
from revmd_app.potentials import HarmonicAngle, HarmonicBond, HarmonicTrap, LennardJones
from revmd_app.systems import prepared
from revmd_app.systems.water import water

KT = 0.00831446261815324 * 298.15


def test_stiff_springs_hold_half_kt_each():
    potential = HarmonicBond(k=1e9) + HarmonicAngle(k=1e6)
    assert abs(gas_energy(potential, 298.15) / (1.5 * KT) - 1) < 1e-5


@pytest.mark.parametrize(("k", "r0"), [(462750.4, 0.09572), (773838.6, 0.09400608), (2e4, 0.1)])
def test_a_bond_against_its_closed_form(k, r0):
    """Gaussian moments with s² = kT/k: <U> = (kT/2) (r0² + 3 s²) / (r0² + s²), where r0 is many s."""
    s2 = KT / k
    np.testing.assert_allclose(
        spring_energy(HarmonicBond(k=k, r0=r0), KT), KT / 2 * (r0**2 + 3 * s2) / (r0**2 + s2), rtol=1e-12
    )


@pytest.mark.parametrize(("k", "theta0"), [(836.8, 1.8242), (1003.4, 1.9889), (200.0, 1.6)])
def test_an_angle_against_its_closed_form(k, theta0):
    """sin(θ0 + x) averaged over a Gaussian of variance s² = kT/k: <U> = (kT/2) (1 - s²), whatever θ0."""
    np.testing.assert_allclose(spring_energy(HarmonicAngle(k=k, theta0=theta0), KT), KT / 2 * (1 - KT / k), rtol=1e-12)


@pytest.mark.parametrize(
    ("spring", "measure", "largest"),
    [(HarmonicBond(k=200.0, r0=0.1), lambda r: r * r, 2.0), (HarmonicAngle(k=3.0, theta0=2.6), np.sin, np.pi)],
)
def test_soft_springs_feel_the_ends_of_their_coordinate(spring, measure, largest):
    """Where no Gaussian formula holds: SciPy's adaptive quadrature, and finite differences for the slope."""

    def expected(k, q0):
        u = lambda q: 0.5 * k * (q - q0) ** 2
        weight = lambda q: measure(q) * np.exp(-u(q) / KT)
        options = {"epsabs": 0, "epsrel": 1e-12, "limit": 400}
        return quad(lambda q: u(q) * weight(q), 0, largest, **options)[0] / quad(weight, 0, largest, **options)[0]

    k, q0 = map(float, spring.constants())
    np.testing.assert_allclose(spring_energy(spring, KT), expected(k, q0), rtol=1e-9)
    gradient = eqx.filter_grad(spring_energy)(spring, KT)
    h = 1e-4
    slopes = [
        (expected(k * (1 + h), q0) - expected(k * (1 - h), q0)) / (2 * h * k),
        (expected(k, q0 * (1 + h)) - expected(k, q0 * (1 - h))) / (2 * h * q0),
    ]
    np.testing.assert_allclose(gradient.constants(), slopes, rtol=1e-5)


def test_molecules_alone_in_our_own_simulation():
    """64 molecules that do not see one another, with springs so soft that kT/2 would be wrong by 5 % and by 6 %."""
    case = water(64, precision="float64", seed=2)
    bond, angle = HarmonicBond(k=1e4, r0=0.1), HarmonicAngle(k=40.0, theta0=1.9)
    settings = Settings(dt=0.0005, temperature=298.15, friction=20.0, precision="float64")
    series = simulate(
        case.system,
        bond + angle,
        settings,
        observe=lambda s: jnp.stack([bond.energy(s) / 128, angle.energy(s) / 64]),
        n_steps=120_000,
        sample_every=100,
        key=jax.random.key(4),
        state=case.state,
    )
    for samples, spring, apart in zip(np.asarray(series)[100:].T, (bond, angle), (0.04, -0.04), strict=True):
        mean = mean_with_error(samples)
        expected = float(spring_energy(spring, KT))
        assert mean.standard_error < 0.01 * expected
        assert abs(mean.value - expected) < 4 * mean.standard_error
        assert (expected / (KT / 2) - 1) / apart > 1  # which a harmonic guess would miss


def test_enthalpy_of_vaporisation_of_water():
    """U_gas - U/N + RT by hand, and the range of flexible TIP3P with a reaction field."""
    case = prepared("water", 64, precision="float64")
    snapshot = case.snapshot()
    value = float(enthalpy_of_vaporisation(snapshot, 298.15))
    by_hand = gas_energy(case.potential, 298.15) - case.potential.energy(snapshot) / 64 + KT
    np.testing.assert_allclose(value, by_hand, rtol=1e-12)
    np.testing.assert_allclose(
        gas_energy_of_all(case.potential, case.system, 298.15), 64 * gas_energy(case.potential, 298.15)
    )
    np.testing.assert_allclose(enthalpy_of_vaporisation(snapshot, 298.15, 32) - KT, 2 * (value - KT), rtol=1e-12)
    assert 40 < value < 48


def test_the_gradient_knows_of_the_gas():
    """Finite differences in the springs: the derivative holds that of the gas, which a constant 3.69 would miss."""
    case = prepared("water", 64, precision="float64")
    snapshot = case.snapshot()
    value = eqx.filter_jit(lambda p: enthalpy_of_vaporisation(eqx.tree_at(lambda s: s.potential, snapshot, p), 298.15))
    gradient = eqx.filter_grad(value)(case.potential)
    for i, name in ((0, "sigma"), (1, "charge"), (2, "k"), (2, "r0"), (3, "k"), (3, "theta0")):
        leaf = lambda p, i=i, name=name: getattr(p.parts[i], name)
        x = float(leaf(case.potential))
        at = lambda y, leaf=leaf: float(value(eqx.tree_at(leaf, case.potential, jnp.asarray(y))))
        h = 1e-4 * abs(x)
        np.testing.assert_allclose(leaf(gradient), (at(x + h) - at(x - h)) / (2 * h), rtol=1e-5)
    alone = eqx.filter_grad(gas_energy)(case.potential, 298.15)
    assert float(alone.parts[2].k) != 0


def test_bad_input_is_one_sentence():
    case = water(64)
    with pytest.raises(ValueError, match="needs a HarmonicBond; the potential has LennardJones"):
        gas_energy(LennardJones(), 300.0)
    with pytest.raises(ValueError, match="gas-phase energy of HarmonicTrap is not known"):
        enthalpy_of_vaporisation(case.snapshot(case.potential + HarmonicTrap()), 300.0)
    with pytest.raises(ValueError, match="has no potential"):
        enthalpy_of_vaporisation(eqx.tree_at(lambda s: s.potential, case.snapshot(), None), 300.0)
