"""What a ready-made system is: atoms, potential, settings, a start, reference data, and the limits of the model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, from_physical, to_snapshot
from revmd_app.engine.system import System
from revmd_app.potentials.base import Potential


@dataclass(frozen=True)
class Case:
    """A system ready to run.

    `state` is the start that the builder made: a lattice with Maxwell-Boltzmann velocities, or the equilibrated
    liquid when it comes from `prepared`. `units` is "md" (nm, ps, u, kJ/mol, K, e) or "reduced" (Lennard-Jones units).
    `recipe` holds what made the case (name, size, options, seed), so that a cached state can be found again.
    `reference` maps names to published data, each with its citation. `limits` is the page for teachers: what this
    model cannot show.
    """

    name: str
    title: str
    system: System
    potential: Potential
    settings: Settings
    state: State
    limits: str
    units: str = "md"
    reference: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    equilibrated: bool = False

    def snapshot(self, potential: Potential | None = None):
        """The start as forces and observables see it."""
        return to_snapshot(self.system, self.state, self.settings, self.potential if potential is None else potential)

    def with_state(self, state: State, equilibrated: bool = True, system: System | None = None) -> Case:
        """The same case from another start."""
        return replace(self, state=state, equilibrated=equilibrated, system=self.system if system is None else system)


def maxwell_boltzmann(system: System, temperature: float, key) -> jax.Array:
    """(3, N) velocities (nm/ps) drawn at a temperature (K), with the centre of mass at rest.

    Each component is normal with variance k_B T / m. Taking the centre of mass away leaves 3N - 3 of the 3N degrees
    of freedom, so the velocities are scaled by sqrt(N / (N - 1)) to keep the mean kinetic temperature.
    """
    n = system.n_atoms
    width = jnp.sqrt(system.boltzmann * temperature / system.masses)
    velocities = at_rest(system, width * jax.random.normal(key, (3, n), jnp.float64))
    return velocities * np.sqrt(n / (n - 1)) if n > 1 else velocities


def at_rest(system: System, velocities) -> jax.Array:
    """The same velocities (3, N) less that of the centre of mass; a single atom keeps its own."""
    if system.n_atoms == 1:
        return velocities
    drift = jnp.sum(system.masses * velocities, axis=1, keepdims=True) / jnp.sum(system.masses)
    return velocities - drift


def start(system: System, positions, temperature: float, seed: int, remove_drift: bool = True) -> State:
    """A state at positions (nm, (3, N)) with velocities drawn at a temperature (K) from a seed."""
    key = jax.random.key(seed)
    if remove_drift:
        velocities = maxwell_boltzmann(system, temperature, key)
    else:
        width = jnp.sqrt(system.boltzmann * temperature / system.masses)
        velocities = width * jax.random.normal(key, (3, system.n_atoms), jnp.float64)
    return from_physical(system, positions, velocities)


def check_options(name, n, smallest, largest, what, *, density, temperature):
    """Raise `ValueError` in one sentence when a size, density or temperature is out of range."""
    if isinstance(n, bool) or int(n) != n or not smallest <= n <= largest:
        raise ValueError(f"{name} takes a whole number of {what} from {smallest} to {largest:,}, not {n}.")
    if not (np.isfinite(density) and density > 0):
        raise ValueError(f"the density of {name} must be positive, not {density}.")
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"the temperature of {name} must be positive, not {temperature}.")
