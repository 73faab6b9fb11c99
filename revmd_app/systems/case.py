"""What a ready-made system is: atoms, potential, settings, a start, reference data, and the limits of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import equinox as eqx
import numpy as np

from revmd_app.checks import check_number, machine_memory, readable_bytes, whole_number
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, lattice_state, to_snapshot
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


def maxwell_boltzmann(system: System, temperature: float, seed: int) -> np.ndarray:
    """(3, N) velocities (nm/ps) drawn at a temperature (K), with the centre of mass at rest.

    Each component is normal with variance k_B T / m. Taking the centre of mass away leaves 3N - 3 of the 3N degrees
    of freedom, so the velocities are scaled by sqrt(N / (N - 1)) to keep the mean kinetic temperature.
    """
    n = system.n_atoms
    velocities = at_rest(system, thermal_velocities(system, temperature, seed))
    return velocities * np.sqrt(n / (n - 1)) if n > 1 else velocities


def thermal_velocities(system: System, temperature: float, seed: int) -> np.ndarray:
    """(3, N) velocities (nm/ps) of independent particles at a temperature (K).

    They have a random stream of their own: builders draw positions from the seed itself.
    """
    width = np.sqrt(system.boltzmann * temperature / np.asarray(system.masses))
    return width * np.random.default_rng([seed, 1]).normal(size=(3, system.n_atoms))


def at_rest(system: System, velocities) -> np.ndarray:
    """The same velocities (3, N) less that of the centre of mass; a single atom keeps its own."""
    velocities, masses = np.asarray(velocities, np.float64), np.asarray(system.masses)
    if system.n_atoms == 1:
        return velocities
    return velocities - np.average(velocities, axis=1, weights=masses)[:, None]


def start(system: System, positions, velocities) -> State:
    """A state at step 0 from positions (nm) and velocities (nm/ps), both (3, N) and finite."""
    return _lattice_state(system, np.array(positions, np.float64), np.array(velocities, np.float64))


@eqx.filter_jit
def _lattice_state(system, positions, velocities):
    return lattice_state(system, positions, velocities, 0)


def check_options(name, n, smallest, largest, what, *, temperature, density=1.0, densest=math.inf, seed=0):
    """Raise `ValueError` in one sentence when a size, density, temperature or seed is out of range."""
    advice = _why_not_more(int(n), largest) if isinstance(n, int | np.integer) and n > largest else ""
    whole_number(f"the number of {what} of {name}", n, smallest, largest, advice)
    whole_number("the seed", seed, 0, 2**62)
    check_number(f"the density of {name}", density, above=0.0, at_most=densest)
    check_number(f"the temperature of {name}", temperature, above=0.0)


def _why_not_more(n: int, largest: int) -> str:
    """Building a neighbour list looks at every pair, a bit each: n^2 / 8 bytes."""
    return (
        f"a list of who is near whom looks at every pair, which takes {readable_bytes(n * n / 8)} for {n:,} "
        f"(this machine has {readable_bytes(machine_memory())}) and {(n / largest) ** 2:,.0f} times as long as for "
        f"{largest:,}"
    )
