"""A Monte Carlo barostat, to find the volume of a system at a given pressure. For preparation only: it is not
reversible.

Every so many steps the box tries a new volume V'. Molecules move with the box but keep their shape: each is shifted
with its centre. The trial is accepted with the probability min(1, exp(-w / k T)),

    w = E' - E + p (V' - V) - N k T ln(V'/V),      N the number of molecules

(Chow and Ferguson, Comput. Phys. Commun. 91, 283, 1995; Aqvist, Wennerstrom, Nervall, Bjelic and Brandsdal, Chem.
Phys. Lett. 384, 288, 2004). Velocities stay as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, from_physical, to_snapshot
from revmd_app.engine.simulate import advance
from revmd_app.engine.system import System

ADAPT_EVERY = 10
LOWEST, HIGHEST = 0.25, 0.75
"""The step in volume shrinks when fewer than a quarter of the trials succeed, and grows when more than three quarters
do."""


class ConstantPressure(NamedTuple):
    """The end of a run at constant pressure: the system in its last box, its state, and what the volume did."""

    system: System
    state: State
    volumes: np.ndarray  # nm^3, one after each trial
    acceptance: float
    largest_step: float  # the largest change of volume tried in the end, nm^3


def at_constant_pressure(
    system: System,
    potential,
    settings: Settings,
    state: State,
    key,
    *,
    pressure: float,
    n_trials: int,
    interval: int = 30,
    largest_step: float = 0.01,
) -> ConstantPressure:
    """Run `n_trials` times `interval` steps, each followed by a trial change of volume.

    `pressure` is in kJ/mol/nm^3 (1 bar is 1/16.605 of it); the temperature is that of `settings`. `largest_step`
    adapts itself in the first half of the trials and then stays, so that the second half samples the ensemble
    exactly. Raises `ValueError` when the box shrinks below twice a cutoff, or for arguments out of range.
    """
    if n_trials < 1 or interval < 1:
        raise ValueError(f"n_trials and interval must be at least 1, not {n_trials} and {interval}.")
    if not 0 < largest_step <= 0.3:
        raise ValueError(f"largest_step is a fraction of the volume in (0, 0.3], not {largest_step}.")
    potential.check(system)
    n_molecules = system.n_molecules
    double = eqx.tree_at(
        lambda s: s.friction, Settings(settings.dt, settings.temperature, precision="float64"), settings.friction
    )
    step = largest_step * float(np.prod(np.asarray(system.box)))
    volumes, accepted, recent = [], 0, 0
    for trial in range(n_trials):
        state, _, report = advance(system, potential, settings, state, jax.random.fold_in(key, 2 * trial), interval)
        report.check()
        draw = jax.random.fold_in(key, 2 * trial + 1)
        box, state, success = _try(
            n_molecules, system, potential, double, state, draw, jnp.asarray(pressure), jnp.asarray(step)
        )
        system = system.with_box(box)
        potential.check(system)
        volumes.append(float(np.prod(np.asarray(box))))
        accepted, recent = accepted + bool(success), recent + bool(success)
        if (trial + 1) % ADAPT_EVERY == 0:
            if trial < n_trials // 2:
                step = _adapted(step, recent / ADAPT_EVERY, volumes[-1])
            recent = 0
    return ConstantPressure(system, state, np.array(volumes), accepted / n_trials, step)


def _adapted(step, acceptance, volume):
    if acceptance < LOWEST:
        return step / 1.1
    return min(step * 1.1, 0.3 * volume) if acceptance > HIGHEST else step


@eqx.filter_jit
def _try(n_molecules, system, potential, settings, state, key, pressure, step):
    """(box, state, success) after one trial of a volume within `step` (nm^3) of the present one.

    The width of the trial must not depend on the volume, or the way back would be likelier than the way there.
    """
    size, luck = jax.random.uniform(key, (2,), jnp.float64)
    volume = jnp.prod(system.box)
    possible = volume + step * (2 * size - 1) > 0
    stretch = jnp.where(possible, 1 + step / volume * (2 * size - 1), 1.0)  # V'/V
    snapshot = to_snapshot(system, state, settings, potential)
    velocities = snapshot.velocity
    positions = scaled_molecules(system, n_molecules, snapshot.unwrapped, jnp.cbrt(stretch))
    larger = system.with_box(system.box * jnp.cbrt(stretch))
    trial = from_physical(larger, positions, velocities, state.step)
    kt = system.boltzmann * settings.temperature
    change = potential.energy(to_snapshot(larger, trial, settings, potential)) - potential.energy(snapshot)
    work = change + pressure * volume * (stretch - 1) - n_molecules * kt * jnp.log(stretch)
    success = possible & (luck < jnp.exp(-jnp.maximum(work, 0.0) / kt))
    box = jnp.where(success, larger.box, system.box)
    state = jax.tree.map(lambda new, old: jnp.where(success, new, old), trial, state)
    return box, state, success


def scaled_molecules(system: System, n_molecules: int, positions, factor):
    """Positions (3, N), unwrapped, in a box `factor` times as wide: each molecule is shifted with its centre of mass.

    An atom far from its molecule's others (they are in different images) is brought next to them first.
    """
    first = jax.ops.segment_min(jnp.arange(system.n_atoms), system.molecule, n_molecules)
    box = system.box[:, None]
    anchor = positions[:, first][:, system.molecule]
    whole = positions - box * jnp.rint((positions - anchor) / box)
    sums = lambda x: jax.vmap(lambda row: jax.ops.segment_sum(row, system.molecule, n_molecules))(x)
    centre = sums(system.masses * whole) / sums(jnp.broadcast_to(system.masses, whole.shape))
    return whole + (factor - 1) * centre[:, system.molecule]
