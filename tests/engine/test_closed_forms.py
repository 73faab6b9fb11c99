"""Dynamics with answers on paper: the discrete oscillator, the free Brownian particle, thermal averages of a spring."""

from __future__ import annotations

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import textbook
from engine.liquids import KEY

from revmd_app.engine.integrator import NOISE_BLOCK, Settings, noise_block
from revmd_app.engine.lattice import from_physical
from revmd_app.engine.simulate import METHODS, advance, simulate
from revmd_app.engine.system import make_system
from revmd_app.potentials import HarmonicTrap

K, DT, N_STEPS = 1.7, 0.05, 200
METHODS_BACK = [method for method in METHODS if method != "forward_mode"]


def particles(n, box):
    """n particles of mass 1 that do not meet, with kT = temperature."""
    return make_system("particles", ("A",), (n,), (1.0,), box, boltzmann=1.0, periodic=False)


ONE, FREE = particles(1, 4.5), particles(500, 400.0)

# ----------------------------------------------------------------------------------------------- discrete oscillator


def oscillator(k, method="reversible"):
    """x after 50, 100, 150 and 200 steps from x = 1 at rest.

    Velocities live half a step before positions: v(-dt/2) = v(0) - F(0) dt/(2m) = k dt/2 for the oscillator that is at
    rest at x = 1. Then x_n is velocity Verlet's, x_n = cos(n W dt) with cos(W dt) = 1 - k dt^2/2.
    """
    start = {"positions": jnp.ones((3, 1)), "velocities": jnp.full((3, 1), 0.5 * k * DT)}
    settings = Settings(DT, 1.0, 0.0, precision="float64")
    x = lambda snapshot: snapshot.unwrapped[0, 0]
    return simulate(
        ONE, HarmonicTrap(k), settings, observe=x, n_steps=N_STEPS, sample_every=50, key=KEY, method=method, **start
    )


def test_oscillator_is_the_discrete_cosine():
    angle = np.arccos(1 - K * DT**2 / 2)
    np.testing.assert_allclose(oscillator(K), np.cos(angle * np.arange(50, 201, 50)), atol=1e-8)
    np.testing.assert_allclose(oscillator(K)[-1], 0.8895924598, atol=1e-8)


@pytest.mark.parametrize("method", METHODS_BACK)
def test_oscillator_derivative_is_exact(method):
    """dx_n/dk = -n dt^2 sin(n W dt) / (2 sin(W dt)) = -1.75250726 after 200 steps."""
    slope = jax.jit(jax.grad(lambda k: oscillator(k, method)[-1]))(K)
    angle = np.arccos(1 - K * DT**2 / 2)
    expected = -N_STEPS * DT**2 * np.sin(N_STEPS * angle) / (2 * np.sin(angle))
    np.testing.assert_allclose(expected, -1.75250726, atol=1e-8)
    np.testing.assert_allclose(slope, expected, rtol=1e-7)


# ---------------------------------------------------------------------------------------------- free Brownian particle

FREE_STEPS, FREE_EVERY, FREE_DT, FREE_FRICTION, FREE_T = 80, 20, 0.1, 0.7, 1.3


def displacement(temperature, friction):
    """(4, 3, 500) displacements of free particles that start at rest, at the resolution of 400/2^32."""
    settings = eqx.tree_at(
        lambda s: (s.temperature, s.friction), Settings(FREE_DT, 1.0, 1.0, precision="float64"), (temperature, friction)
    )
    start = {"positions": jnp.zeros((3, 500)), "velocities": jnp.zeros((3, 500))}
    return simulate(
        FREE, HarmonicTrap(0.0), settings, observe=lambda s: s.unwrapped, n_steps=FREE_STEPS,
        sample_every=FREE_EVERY, key=KEY, **start,
    )  # fmt: skip


def velocity_sums(friction, n_steps):
    """c_j with x_n = sum_j c_j xi_j for sqrt(kT/m) = 1: xi_j acts on v from step j on, x on half of both ends."""
    a = np.exp(-friction * FREE_DT)
    later = n_steps - np.arange(1, n_steps + 1)
    geometric = (1 - a**later) / (1 - a)  # sum of a^0 .. a^(later - 1): full weights of the velocities before the last
    return FREE_DT * np.sqrt(1 - a * a) * (geometric + 0.5 * a**later) if n_steps else np.zeros(0)


def test_free_particles_follow_their_noise():
    """x_n = sum_j c_j xi_j exactly, so position, d/dT and d/dfriction are known for every particle."""
    xi = np.asarray(textbook.noises(KEY, FREE_STEPS, 500))
    c = velocity_sums(FREE_FRICTION, FREE_STEPS)
    expected = np.sqrt(FREE_T) * np.einsum("j,jcn->cn", c, xi)
    x = displacement(FREE_T, FREE_FRICTION)
    np.testing.assert_allclose(x[-1], expected, rtol=0, atol=2 * 400 / 2.0**32)

    h = 1e-4
    rate = (velocity_sums(FREE_FRICTION + h, FREE_STEPS) - velocity_sums(FREE_FRICTION - h, FREE_STEPS)) / (2 * h)
    by_friction = np.sqrt(FREE_T) * np.einsum("j,jcn->cn", rate, xi)
    msd = lambda temperature, friction: jnp.mean(displacement(temperature, friction)[-1] ** 2)
    slopes = jax.jit(jax.grad(msd, argnums=(0, 1)))(FREE_T, FREE_FRICTION)
    np.testing.assert_allclose(slopes[0], np.mean(expected**2) / FREE_T, rtol=1e-9)
    np.testing.assert_allclose(slopes[1], np.mean(2 * expected * by_friction), rtol=1e-6)


def test_mean_squared_displacement_of_free_particles():
    """<x_n^2> = (kT/m) sum_j c_j^2, at four times to 5 standard errors; it ends at 2 kT/(m friction) t."""
    x = np.asarray(displacement(FREE_T, FREE_FRICTION))
    for sample, n_steps in zip(x, range(FREE_EVERY, FREE_STEPS + 1, FREE_EVERY), strict=True):
        expected = FREE_T * np.sum(velocity_sums(FREE_FRICTION, n_steps) ** 2)
        assert abs(np.mean(sample**2) - expected) < 5 * expected * np.sqrt(2 / sample.size)
    growth = np.sum(velocity_sums(FREE_FRICTION, 4001) ** 2) - np.sum(velocity_sums(FREE_FRICTION, 4000) ** 2)
    a = np.exp(-FREE_FRICTION * FREE_DT)
    np.testing.assert_allclose(growth, FREE_DT**2 * (1 + a) / (1 - a), rtol=1e-9)  # 2 dt / friction as dt -> 0


# -------------------------------------------------------------------------------------------------- thermal averages


@cache
def trapped():
    """(20, 3, 1000) positions of particles on springs, two correlation times apart, started far from equilibrium."""
    n, spring, temperature = 1000, 4.0, 0.8
    system, settings = particles(n, 100.0), Settings(0.2, temperature, 3.0, precision="float64")
    state, frames = from_physical(system, np.full((3, n), 0.7), np.zeros((3, n))), []
    for frame in range(22):
        state, _, report = advance(system, HarmonicTrap(spring), settings, state, KEY, 15)
        report.check()
        if frame >= 2:
            frames.append(np.asarray(state.position).astype(np.float64) / 2.0**64 * 100.0)
    return np.array(frames), temperature / spring


def test_a_spring_holds_kt_over_k():
    """<x^2> = kT/k: for a harmonic force the Langevin-middle scheme samples positions exactly, at any time step."""
    x, expected = trapped()
    each = np.mean(x**2, axis=0).ravel()  # one mean a particle and direction: all independent
    error = np.std(each, ddof=1) / np.sqrt(each.size)
    assert error < 0.01 * expected
    assert abs(each.mean() - expected) < 5 * error


def test_a_springs_positions_are_normal():
    """<x> = 0 and <x^4> = 3 <x^2>^2, each within 5 standard errors."""
    x, expected = trapped()
    for power, moment in ((1, 0.0), (3, 0.0), (4, 3 * expected**2)):
        each = np.mean(x**power, axis=0).ravel()
        assert abs(each.mean() - moment) < 5 * np.std(each, ddof=1) / np.sqrt(each.size)


# ---------------------------------------------------------------------------------------------------- random numbers


def test_random_numbers_are_standard_normal_and_independent():
    """Mean 0, variance 1, no correlation between components, atoms, steps, blocks or keys: 5 standard errors each."""
    block = lambda key, b: np.asarray(noise_block(key, jnp.asarray(b), 200)).astype(np.float64)
    first, second, other = block(KEY, 0), block(KEY, 1), block(jax.random.key(8), 0)
    assert first.shape == (NOISE_BLOCK, 3, 200)
    limit = 5 / np.sqrt(first.size)
    assert abs(first.mean()) < limit
    assert abs(np.mean(first**2) - 1) < limit * np.sqrt(2)
    assert abs(np.mean(first**4) - 3) < limit * np.sqrt(96)
    shifted = (np.roll(first, 1, axis=axis) for axis in range(3))
    for partner in (second, other, *shifted):
        assert abs(np.mean(first * partner)) < limit
    assert np.array_equal(first, block(KEY, 0))
