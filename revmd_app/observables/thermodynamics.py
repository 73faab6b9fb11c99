"""Energies, temperature, pressure and density of one snapshot, and Lennard-Jones tail corrections.

Each is a function of a `Snapshot` whose `potential` is set, and differentiable (offset, velocity, strain, parameters).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from revmd_app import units
from revmd_app.engine.lattice import Snapshot

Scalar = Float[Array, ""]


def volume(snapshot: Snapshot) -> Scalar:
    """Volume of the periodic cell, nm^3 (with the strain applied, where there is one)."""
    v = jnp.prod(snapshot.system.box)
    return v if snapshot.strain is None else v * jnp.linalg.det(jnp.eye(3) + snapshot.strain)


def potential_energy(snapshot: Snapshot) -> Scalar:
    """U, kJ/mol. Raises `ValueError` when the snapshot has no potential."""
    return _potential(snapshot).energy(snapshot)


def kinetic_energy(snapshot: Snapshot, dt: float | None = None) -> Scalar:
    """K = sum m v^2 / 2, kJ/mol, of the snapshot's velocities, or with `dt` (ps) of those half a kick later.

    The integrator kicks by a whole step before it drifts, so the velocities it carries belong to the middle of the
    last step. `v + dt F/(2m)` are those at the time of the positions; see `total_energy`.
    """
    v = snapshot.velocity.astype(jnp.float64)
    if dt is not None:
        v = v + dt / 2 * _potential(snapshot).forces(snapshot) / snapshot.system.masses
    return 0.5 * jnp.sum(snapshot.system.masses * v * v)


def total_energy(snapshot: Snapshot, dt: float | None = None) -> Scalar:
    """U + K, kJ/mol. Give `dt` (ps) to judge energy conservation: without it K lags by half a step and U + K
    oscillates in first order of dt; with it the error is of second order, as that of velocity Verlet."""
    return potential_energy(snapshot) + kinetic_energy(snapshot, dt)


def temperature(snapshot: Snapshot, species: str = "all") -> Scalar:
    """Kinetic temperature 2 K / (3 N k_B), K, of all atoms or of one species (its own 3 N degrees of freedom).

    The Langevin dynamics does not conserve momentum, so the centre of mass counts among the 3 N.
    """
    atoms = snapshot.system.atoms(species)
    v = snapshot.velocity[:, atoms].astype(jnp.float64)
    twice = jnp.sum(snapshot.system.masses[atoms] * v * v)
    return twice / (3 * (atoms.stop - atoms.start) * snapshot.system.boltzmann)


def virial_pressure(snapshot: Snapshot) -> Scalar:
    """(2 K + virial) / (3 V) in the system's own units: kJ/mol/nm^3, or reduced units for the toy systems."""
    virial = _potential(snapshot).virial(snapshot)
    return (2 * kinetic_energy(snapshot) + virial) / (3 * volume(snapshot))


def pressure(snapshot: Snapshot) -> Scalar:
    """`virial_pressure` in bar (atomic virial: bonds and angles contribute as any other force)."""
    return units.BAR_PER_PRESSURE_UNIT * virial_pressure(snapshot)


def density(snapshot: Snapshot) -> Scalar:
    """Mass density, g/cm^3."""
    return units.GRAM_PER_CM3 * jnp.sum(snapshot.system.masses) / volume(snapshot)


def number_density(snapshot: Snapshot, species: str = "all") -> Scalar:
    """Atoms of a species per nm^3."""
    atoms = snapshot.system.atoms(species)
    return (atoms.stop - atoms.start) / volume(snapshot)


def momentum(snapshot: Snapshot) -> Float[Array, "3"]:
    """Total momentum, u nm/ps."""
    return jnp.sum(snapshot.system.masses * snapshot.velocity.astype(jnp.float64), axis=1)


def lennard_jones_energy_tail(n_atoms, number_density, sigma, epsilon, cutoff) -> Scalar:
    """What pairs beyond a *plain* cutoff add to U (same unit as epsilon), with g = 1 there.

    U_tail = (8/3) pi N rho eps sigma^3 [ (sigma/rc)^9 / 3 - (sigma/rc)^3 ]
    (Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. 2017, eq. 2.144.) Not for a shifted or switched one.
    """
    s3 = jnp.asarray(sigma / cutoff) ** 3
    return 8 / 3 * jnp.pi * n_atoms * number_density * epsilon * sigma**3 * (s3**3 / 3 - s3)


def lennard_jones_pressure_tail(number_density, sigma, epsilon, cutoff) -> Scalar:
    """What pairs beyond a *plain* cutoff add to the virial pressure (epsilon's unit per volume), with g = 1 there.

    p_tail = (16/3) pi rho^2 eps sigma^3 [ (2/3) (sigma/rc)^9 - (sigma/rc)^3 ]
    (Allen and Tildesley, eq. 2.144.)
    """
    s3 = jnp.asarray(sigma / cutoff) ** 3
    return 16 / 3 * jnp.pi * number_density**2 * epsilon * sigma**3 * (2 / 3 * s3**3 - s3)


def _potential(snapshot):
    if snapshot.potential is None:
        raise ValueError("this snapshot has no potential: make it with to_snapshot(..., potential=...).")
    return snapshot.potential
