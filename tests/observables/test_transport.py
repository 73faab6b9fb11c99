"""MSD, VACF, diffusion and spectrum against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.observables.transport import (
    einstein_diffusion,
    green_kubo_diffusion,
    lag_times,
    mean_squared_displacement,
    spectrum,
    velocity_autocorrelation,
)


def langevin_particles(n_atoms=400, n_frames=3000, dt=0.02, friction=1.3, kt_over_m=0.7, seed=0):
    """Exact trajectories of free Langevin particles (joint Gaussian of position and velocity; Chandrasekhar 1943)."""
    rng = np.random.default_rng(seed)
    a = np.exp(-friction * dt)
    var_v = kt_over_m * (1 - a * a)
    var_x = kt_over_m / friction**2 * (2 * friction * dt - 3 + 4 * a - a * a)
    cov = kt_over_m / friction * (1 - a) ** 2
    correlated = cov / var_v
    v = rng.normal(0, np.sqrt(kt_over_m), (3, n_atoms))
    x = np.zeros((3, n_atoms))
    xs, vs = np.empty((n_frames, 3, n_atoms)), np.empty((n_frames, 3, n_atoms))
    for k in range(n_frames):
        xs[k], vs[k] = x, v
        xi = rng.normal(0, np.sqrt(var_v), x.shape)
        eta = rng.normal(0, np.sqrt(var_x - cov**2 / var_v), x.shape)
        x = x + v * (1 - a) / friction + correlated * xi + eta
        v = a * v + xi
    return xs, vs


def test_ballistic_motion():
    v = np.random.default_rng(0).normal(size=(3, 7))
    t = np.arange(40) * 0.1
    x = t[:, None, None] * v + 100.0
    expected = (np.arange(20) * 0.1) ** 2 * np.mean(np.sum(v**2, axis=0))
    for method in ("fft", "direct"):
        np.testing.assert_allclose(mean_squared_displacement(x, method=method), expected, atol=1e-9)


def test_fft_equals_direct():
    series = np.cumsum(np.random.default_rng(1).normal(size=(19, 3, 5)), axis=0)
    for function in (mean_squared_displacement, velocity_autocorrelation):
        np.testing.assert_allclose(function(series, 19), function(series, 19, method="direct"), rtol=1e-9, atol=1e-9)


def test_free_langevin_particles():
    dt, friction, kt_over_m = 0.02, 1.3, 0.7
    x, v = langevin_particles(dt=dt, friction=friction, kt_over_m=kt_over_m)
    n_lags = 250
    t = lag_times(n_lags, dt)
    msd = mean_squared_displacement(x, n_lags)
    expected = 6 * kt_over_m / friction**2 * (friction * t - 1 + np.exp(-friction * t))
    np.testing.assert_allclose(msd[1:], expected[1:], rtol=0.03)
    vacf = velocity_autocorrelation(v, n_lags)
    np.testing.assert_allclose(vacf, 3 * kt_over_m * np.exp(-friction * t), atol=0.03 * 3 * kt_over_m)
    d = kt_over_m / friction
    assert abs(einstein_diffusion(msd, dt, 2.5, 5.0).coefficient / d - 1) < 0.05
    assert abs(green_kubo_diffusion(vacf, dt)[-1] / (d * (1 - np.exp(-friction * t[-1]))) - 1) < 0.05


def test_einstein_line_is_exact_on_a_line():
    msd = 0.3 + 6 * 0.05 * np.arange(100) * 0.1
    d = einstein_diffusion(msd, 0.1, 1.0, 5.0)
    assert abs(d.coefficient - 0.05) < 1e-12
    assert abs(d.intercept - 0.3) < 1e-12


def test_harmonic_oscillator():
    """v = A cos(2 pi f t + phase): its VACF is <A^2>/2 cos(2 pi f t), and its spectrum peaks at f with unit area."""
    f, dt, n = 2.5, 0.01, 8000
    rng = np.random.default_rng(2)
    amplitude, phase = rng.normal(size=(3, 30)), rng.uniform(0, 2 * np.pi, (3, 30))
    t = np.arange(n) * dt
    v = amplitude * np.cos(2 * np.pi * f * t[:, None, None] + phase)
    vacf = velocity_autocorrelation(v, 2000)
    expected = np.mean(np.sum(amplitude**2, axis=0)) / 2 * np.cos(2 * np.pi * f * lag_times(2000, dt))
    np.testing.assert_allclose(vacf, expected, atol=0.01 * expected[0])
    frequency, density = spectrum(vacf, dt)
    assert abs(frequency[np.argmax(density)] - f) < 0.03
    assert abs(np.sum(density) * frequency[1] - 1) < 0.01


@pytest.mark.parametrize("method", ["fft", "direct"])
def test_gradients_against_finite_differences(method):
    rng = np.random.default_rng(3)
    x = np.cumsum(rng.normal(size=(20, 3, 4)), axis=0)
    direction = rng.normal(size=x.shape)

    def loss(series):
        msd = mean_squared_displacement(series, 6, method)
        vacf = velocity_autocorrelation(series, 6, method)
        return einstein_diffusion(msd, 0.1, 0.1, 0.5).coefficient + green_kubo_diffusion(vacf, 0.1)[-1]

    h = 1e-5
    numeric = (loss(x + h * direction) - loss(x - h * direction)) / (2 * h)
    assert abs(jnp.vdot(jax.grad(loss)(jnp.asarray(x)), direction) / numeric - 1) < 1e-6


def test_bad_input_is_one_sentence():
    series = np.zeros((10, 3, 2))
    with pytest.raises(ValueError, match="shape"):
        mean_squared_displacement(np.zeros((10, 2, 3)))
    with pytest.raises(ValueError, match="11 lags cannot be taken from 10 frames"):
        velocity_autocorrelation(series, 11)
    with pytest.raises(ValueError, match="fft or direct"):
        mean_squared_displacement(series, method="slow")
    with pytest.raises(ValueError, match="at least two lags"):
        einstein_diffusion(np.zeros(10), 0.1, 5.0, 6.0)
