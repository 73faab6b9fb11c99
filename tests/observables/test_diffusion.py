"""Centres of molecules, D with its error bar, the finite-size correction, and where water's O-H stretch lies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from observables.test_transport import langevin_particles

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.simulate import simulate
from revmd_app.observables.transport import (
    SQUARE_METRES_PER_SECOND,
    WAVENUMBERS_PER_THZ,
    MolecularCentres,
    mean_squared_displacement,
    self_diffusion,
    spectrum,
    squared_displacements,
    velocities,
    velocity_autocorrelation,
    yeh_hummer,
)
from revmd_app.potentials import HarmonicAngle, HarmonicBond
from revmd_app.systems.water import HYDROGEN, OXYGEN, water


@pytest.mark.parametrize("equal", [False, True])
def test_centres_of_molecules(equal):
    """By hand, for molecules that the boundary cuts, and for those that have crossed it."""
    case = water(64, precision="float64")
    system, box = case.system, float(case.system.box[0])
    rng = np.random.default_rng(1)
    o = rng.uniform(-2 * box, 2 * box, (3, 64))
    h = np.repeat(o, 2, axis=1) + rng.uniform(-0.1, 0.1, (3, 128))
    snapshot = to_snapshot(system, from_physical(system, np.concatenate([o, h], 1), np.zeros((3, 192))), case.settings)
    m_o, m_h = (1.0, 1.0) if equal else (OXYGEN, HYDROGEN)
    expected = (m_o * o + m_h * (h[:, ::2] + h[:, 1::2])) / (m_o + 2 * m_h)
    ours = MolecularCentres.of(system, "O", "H", equal=equal)(snapshot)
    np.testing.assert_allclose(ours, expected, atol=1e-8)
    np.testing.assert_allclose(MolecularCentres.of(system, "O")(snapshot), o, atol=1e-8)
    middle = (h[:, ::2] + h[:, 1::2]) / 2
    np.testing.assert_allclose(MolecularCentres.of(system, "H", equal=equal)(snapshot), middle, atol=1e-8)
    moved = eqx.tree_at(lambda s: s.image, snapshot, snapshot.image.at[:, 70].add(3))  # an atom of another image
    np.testing.assert_allclose(MolecularCentres.of(system, "O", "H", equal=equal)(moved), expected, atol=1e-8)
    assert MolecularCentres.of(system)(snapshot).shape == (3, 64)
    with pytest.raises(ValueError, match="no species 'Ne'"):
        MolecularCentres.of(system, "Ne")


def test_centres_carry_derivatives_through_a_simulation():
    """The centre of mass of a molecule that nothing pushes moves as v t: its derivative by each atom's start is m/M."""
    case = water(64, precision="float64")
    centres = MolecularCentres.of(case.system, "O", "H")
    positions, v = np.asarray(case.snapshot().unwrapped), np.asarray(case.snapshot().velocity)

    def last(x):
        options = {"observe": centres, "n_steps": 4, "sample_every": 2, "key": jax.random.key(0)}
        settings = Settings(dt=0.0005, friction=0.0, precision="float64")
        springs = HarmonicBond() + HarmonicAngle()
        return simulate(case.system, springs, settings, positions=x, velocities=jnp.asarray(v), **options)[-1, 0, 5]

    gradient = np.asarray(jax.grad(last)(jnp.asarray(positions)))
    mass = OXYGEN + 2 * HYDROGEN
    expected = np.zeros_like(gradient)
    expected[0, [5, 64 + 10, 64 + 11]] = np.array([OXYGEN, HYDROGEN, HYDROGEN]) / mass
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_each_atom_by_itself():
    x = np.cumsum(np.random.default_rng(0).normal(size=(40, 3, 6)), axis=0)
    own = squared_displacements(x, 20)
    for atom in (0, 5):
        np.testing.assert_allclose(own[:, atom], mean_squared_displacement(x[:, :, [atom]], 20, "direct"), atol=1e-9)


def test_error_bars_of_random_walks_are_right():
    """200 experiments of 12 walkers: the mean is D, and the error bars are as wide as the scatter."""
    rng = np.random.default_rng(5)
    d, interval = 0.4, 0.1
    found = []
    for _ in range(200):
        walk = np.cumsum(rng.normal(0, np.sqrt(2 * d * interval), (200, 3, 12)), axis=0)
        result = self_diffusion(walk, interval, 0.2, 2.0)
        found.append((float(result.coefficient), float(result.error)))
    values, errors = np.array(found).T
    assert abs(values.mean() - d) < 4 * values.std() / np.sqrt(200)
    assert abs(errors.mean() / values.std() - 1) < 0.15
    assert values.std() < 0.08 * d


def test_langevin_particles_diffuse_as_they_must():
    dt, friction, kt_over_m = 0.02, 1.3, 0.7
    x, _ = langevin_particles(n_atoms=200, dt=dt, friction=friction, kt_over_m=kt_over_m)
    result = self_diffusion(x, dt, 3.0, 8.0)
    assert abs(result.coefficient - kt_over_m / friction) < 4 * result.error
    assert result.error < 0.05 * kt_over_m / friction
    assert abs(result.intercept / (-6 * kt_over_m / friction**2) - 1) < 0.5
    assert len(result.msd) == len(result.msd_error) == len(result.lags)
    assert result.lags[-1] == pytest.approx(8.0)
    assert self_diffusion(x, dt).window == pytest.approx((2999 * dt / 20, 2999 * dt / 5))


def test_gradient_of_self_diffusion_and_of_its_error():
    rng = np.random.default_rng(3)
    x, direction = np.cumsum(rng.normal(size=(30, 3, 4)), axis=0), rng.normal(size=(30, 3, 4))
    for field in ("coefficient", "error"):
        loss = lambda series, field=field: getattr(self_diffusion(series, 0.1, 0.2, 1.0), field)
        h = 1e-6
        numeric = (loss(x + h * direction) - loss(x - h * direction)) / (2 * h)
        np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(jnp.asarray(x)), direction), numeric, rtol=1e-6)


def test_the_slope_alone_can_be_learnt_from_one_molecule():
    x = np.cumsum(np.random.default_rng(3).normal(size=(30, 3, 1)), axis=0)
    result = self_diffusion(x, 0.1, 0.2, 1.0)
    assert np.isinf(result.error)
    assert np.isfinite(jax.grad(lambda s: self_diffusion(s, 0.1, 0.2, 1.0).coefficient)(jnp.asarray(x))).all()


def test_finite_size_correction_in_si():
    """SPC/E-like water at 298.15 K in a box of 2 nm: kT, η and L in SI by hand."""
    correction = 2.837297 * 1.380649e-23 * 298.15 / (6 * np.pi * 0.729e-3 * 2e-9)  # m²/s
    ours = yeh_hummer(2e-3, 298.15, 0.729, 2.0) * SQUARE_METRES_PER_SECOND
    np.testing.assert_allclose(ours, 2e-9 + correction, rtol=1e-8)
    assert 0.1e-9 < correction < 0.5e-9


def test_the_stretch_of_water_lies_where_its_spring_says():
    """Molecules alone: the band of the hydrogens' spectrum is at sqrt(k/μ)/(2πc) within the split of its two modes.

    The symmetric and the antisymmetric stretch have 1/μ = 1/m_H + (1 ± cos θ)/m_O; their mean is the bond's own.
    """
    case = water(64, precision="float64", seed=3)
    springs = HarmonicBond() + HarmonicAngle()
    settings = Settings(dt=0.00025, temperature=298.15, friction=0.0, precision="float64")
    series = simulate(
        case.system,
        springs,
        settings,
        observe=lambda s: velocities(s, "H"),
        n_steps=16_000,
        sample_every=4,
        key=jax.random.key(0),
        state=case.state,
    )
    frequency, density = spectrum(velocity_autocorrelation(series, 2000), 0.001)
    wavenumber, density = frequency * WAVENUMBERS_PER_THZ, np.asarray(density)
    band = (wavenumber > 3300) & (wavenumber < 4200)
    centre = np.sum((wavenumber * density)[band]) / np.sum(density[band])
    mu = OXYGEN * HYDROGEN / (OXYGEN + HYDROGEN) * 1.66053906660e-27  # kg
    k = float(springs.parts[0].k) * 1e3 / 6.02214076e23 / 1e-18  # N/m
    expected = np.sqrt(k / mu) / (2 * np.pi * 2.99792458e10)  # 3,709 /cm
    assert abs(centre / expected - 1) < 0.005
    outside = (wavenumber > 2900) & ~band  # Amber's stiff angle puts the bend at 2,350
    assert density[outside].max() < 0.02 * density[band].max()


def test_bad_windows_are_one_sentence():
    x = np.zeros((50, 3, 2))
    with pytest.raises(ValueError, match=r"at least two lags within 0\.1 to 0\.15 ps"):
        self_diffusion(x, 0.1, 0.1, 0.15)
    with pytest.raises(ValueError, match="no lag beyond half the series"):
        self_diffusion(x, 0.1, 0.1, 4.0)
    with pytest.raises(ValueError, match="shape"):
        self_diffusion(x[0], 0.1)
