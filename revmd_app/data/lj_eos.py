"""Equation of state of the Lennard-Jones fluid: Kolafa and Nezbeda, Fluid Phase Equilibria 100, 1 (1994).

This is the published reference for liquid argon in this package, chosen because it is a fit to simulations of exactly
the model that Rahman's argon is (the full Lennard-Jones potential), for 0.7 < T* < 20 (fluid region), and because
pressure and energy follow from one free energy. All in reduced units: T* = k T / eps, rho* = N sigma^3 / V.

The residual Helmholtz energy per particle is that of hard spheres of a temperature-dependent diameter, a
second-virial correction, and a polynomial (their eq. 30 and tables 1-3):

    A = T [ beta A_HS(eta) + rho exp(-gamma rho^2) dB2(T) ] + sum_ij C_ij T^(i/2) rho^j,    eta = pi rho d(T)^3 / 6

and p = rho T + rho^2 dA/drho, U = A - T dA/dT, taken here by automatic differentiation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import revmd_app.engine.lattice  # noqa: F401  (switches on 64 bits)

_GAMMA = 1.92907278
# exponent i of T^(i/2) -> coefficient
_DIAMETER = {-2: 0.011117524, -1: -0.076383859, 0: 1.080142248, 1: 0.000693129}
_DIAMETER_LOG = -0.063920968
_SECOND_VIRIAL = {
    -7: -0.58544978,
    -6: 0.43102052,
    -5: 0.87361369,
    -4: -4.13749995,
    -3: 2.90616279,
    -2: -7.02181962,
    0: 0.02459877,
}
# (i, j) of T^(i/2) rho^j -> coefficient
_POLYNOMIAL = {
    (0, 2): 2.01546797,
    (0, 3): -28.17881636,
    (0, 4): 28.28313847,
    (0, 5): -10.42402873,
    (-1, 2): -19.58371655,
    (-1, 3): 75.62340289,
    (-1, 4): -120.70586598,
    (-1, 5): 93.92740328,
    (-1, 6): -27.37737354,
    (-2, 2): 29.34470520,
    (-2, 3): -112.35356937,
    (-2, 4): 170.64908980,
    (-2, 5): -123.06669187,
    (-2, 6): 34.42288969,
    (-4, 2): -13.37031968,
    (-4, 3): 65.38059570,
    (-4, 4): -115.09233113,
    (-4, 5): 88.91973082,
    (-4, 6): -25.62099890,
}

# T*, rho*, U* per particle, p*, D*: NVE simulations of 500 atoms with tail corrections (NIST Standard Reference
# Simulation Website, "Lennard-Jones fluid properties, molecular dynamics").
NIST_POINTS = (
    (0.851, 0.776, -5.517, 0.030, 0.061),
    (0.853, 0.780, -5.533, 0.072, 0.063),
    (0.852, 0.820, -5.803, 0.573, 0.048),
    (0.851, 0.840, -5.909, 0.910, 0.042),
    (0.849, 0.860, -6.027, 1.282, 0.035),
)


def residual_free_energy(temperature, density) -> Float[Array, ""]:
    """Helmholtz energy per particle beyond the ideal gas, in eps."""
    t, rho = jnp.asarray(temperature, jnp.float64), jnp.asarray(density, jnp.float64)
    root = jnp.sqrt(t)
    diameter = sum(c * root**i for i, c in _DIAMETER.items()) + _DIAMETER_LOG * jnp.log(t)
    eta = jnp.pi / 6 * rho * diameter**3
    hard_spheres = 5 / 3 * jnp.log(1 - eta) + eta * (34 - 33 * eta + 4 * eta**2) / (6 * (1 - eta) ** 2)
    virial = sum(c * root**i for i, c in _SECOND_VIRIAL.items()) * rho * jnp.exp(-_GAMMA * rho**2)
    return t * (hard_spheres + virial) + sum(c * root**i * rho**j for (i, j), c in _POLYNOMIAL.items())


def pressure(temperature, density) -> Float[Array, ""]:
    """p* of the full Lennard-Jones fluid at T* and rho*."""
    slope = jax.grad(residual_free_energy, argnums=1)(jnp.float64(temperature), jnp.float64(density))
    return density * temperature + density**2 * slope


def energy(temperature, density) -> Float[Array, ""]:
    """Potential energy per particle U* of the full Lennard-Jones fluid at T* and rho*."""
    t, rho = jnp.float64(temperature), jnp.float64(density)
    value, slope = jax.value_and_grad(residual_free_energy)(t, rho)
    return value - t * slope
