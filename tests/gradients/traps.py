"""Particles in a quadratic well (or on a quadratic hill): every average, response and exponent is known."""

from __future__ import annotations

import dataclasses

import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical
from revmd_app.potentials import HarmonicTrap
from revmd_app.systems import build


class Hill(HarmonicTrap):
    """The well upside down: u = -k r^2 / 2."""

    def site_energy(self, x, y, z):
        return -super().site_energy(x, y, z)


def trap(n_atoms: int = 64):
    """The harmonic oscillator of the menu: k = m = kT = 1, friction 1, dt 0.05."""
    return build("harmonic_oscillator", n_atoms)


def hill(curvature: float = 1.0, friction: float = 0.5, dt: float = 0.02):
    """(case, potential, exact exponent): particles that run down u = -curvature x^2 / 2, all but without noise.

    One step is (x, v) -> M (x, v); the exponent is the log of M's largest eigenvalue over dt.
    """
    case = trap(4)
    x = 1e-5 * np.random.default_rng(1).normal(size=(3, 4))
    settings = Settings(dt=dt, temperature=1e-18, friction=friction, precision="float64")
    case = dataclasses.replace(case, settings=settings, state=from_physical(case.system, x, 0 * x))
    a = np.exp(-friction * dt)
    kick = np.array([[1, 0], [dt * curvature, 1]])
    drift, bath = np.array([[1, dt / 2], [0, 1]]), np.array([[1, 0], [0, a]])
    largest = np.max(np.abs(np.linalg.eigvals(drift @ bath @ drift @ kick)))
    return case, Hill(curvature), float(np.log(largest) / dt)
