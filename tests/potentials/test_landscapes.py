"""The toy landscapes: their published stationary points, and forces that follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from potentials.reference import snapshot_of

from revmd_app.engine.system import make_system
from revmd_app.potentials import DoubleWell2D, HarmonicTrap, MullerBrown

# Mueller and Brown 1979, table 2 and the literature since: (x, y, energy, number of directions down)
STATIONARY = [
    (-0.558, 1.442, -146.700, 0),
    (0.623, 0.028, -108.167, 0),
    (-0.050, 0.467, -80.768, 0),
    (-0.822, 0.624, -40.665, 1),
    (0.212, 0.293, -72.249, 1),
]


def surface(potential):
    return lambda q: potential.site_energy(q[0], q[1], jnp.zeros_like(q[0]))


def test_muller_brown_stationary_points():
    u = jax.jit(surface(MullerBrown(scale=1.0)))
    slope, curvature = jax.jit(jax.grad(u)), jax.jit(jax.hessian(u))
    for x, y, energy, downhill in STATIONARY:
        q = np.array([x, y])
        for _ in range(4):  # Newton, from the published three decimals
            q = q - np.linalg.solve(curvature(q), slope(q))
        np.testing.assert_allclose(q, [x, y], atol=6e-4)
        assert float(u(q)) == pytest.approx(energy, abs=1e-3)
        assert np.sum(np.linalg.eigvalsh(curvature(q)) < 0) == downhill


def test_muller_brown_scales():
    small, unit = MullerBrown(scale=0.1, length=0.5), MullerBrown(scale=1.0)
    expected = 0.1 * surface(unit)(jnp.array([0.2, 0.4]))
    assert float(surface(small)(jnp.array([0.1, 0.2]))) == pytest.approx(float(expected))
    with pytest.raises(ValueError, match="length of one unit of the surface must be a positive"):
        MullerBrown(length=0.0)


def test_double_well():
    u = surface(DoubleWell2D(barrier=5.0, half_distance=0.3, k=200.0))
    for x, y, energy in ((0.3, 0, 0), (-0.3, 0, 0), (0, 0, 5), (0.3, 0.1, 1.0)):
        assert float(u(jnp.array([x, y]))) == pytest.approx(energy, abs=1e-12)
    curvature = jax.hessian(u)(jnp.array([0.3, 0.0]))
    np.testing.assert_allclose(curvature, np.diag([8 * 5 / 0.09, 200.0]), rtol=1e-12)


def test_trap_about_the_centre_of_the_box():
    system = make_system("toy", ("A",), (2,), (1.0,), 4.0)
    snapshot = snapshot_of(system, np.array([[0.5, -0.25], [0.0, 1.0], [0.0, -0.5]]))
    trap = HarmonicTrap(k=10.0)
    assert float(trap.energy(snapshot)) == pytest.approx(5 * (0.25 + 0.0625 + 1 + 0.25), rel=1e-8)
    np.testing.assert_allclose(trap.forces(snapshot), [[-5, 2.5], [0, -10], [0, 5]], atol=1e-7)
