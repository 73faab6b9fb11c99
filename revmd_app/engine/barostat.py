"""A Monte Carlo barostat, to find the volume of a system at a given pressure. For preparation only: it is not
reversible.

Every so many steps the box tries a new volume V'. Molecules move with the box but keep their shape: each is shifted
with its centre. The trial is accepted with the probability min(1, exp(-w / k T)),

    w = E' - E + p (V' - V) - N k T ln(V'/V),      N the number of molecules

(Chow and Ferguson, Comput. Phys. Commun. 91, 283, 1995; Aqvist, Wennerstrom, Nervall, Bjelic and Brandsdal, Chem.
Phys. Lett. 384, 288, 2004). Velocities stay as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from revmd_app.engine import loops
from revmd_app.engine import neighbours as lists
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, from_physical, to_snapshot
from revmd_app.engine.loops import Report, Tape
from revmd_app.engine.simulate import strong, tape_capacity
from revmd_app.engine.system import System

ADAPT_EVERY = 10
"""Trials that run as one program; after each such round the largest step in volume may adapt."""
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


class _Round(NamedTuple):
    """What a round of trials carries."""

    system: System
    state: State
    volumes: Float[Array, " trials"]
    successes: Float[Array, ""]
    smallest_box: Float[Array, "3"]
    report: Report


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
    adapt: bool = True,
    on_round=None,
) -> ConstantPressure:
    """Run `n_trials` times `interval` steps, each followed by a trial change of volume.

    `pressure` is in kJ/mol/nm^3 (1 bar is 1/16.605 of it); the temperature is that of `settings`. `largest_step` (a
    fraction of the volume) adapts itself in the first half of the trials and then stays, so that the second half
    samples the ensemble exactly; without `adapt` it stays from the start. `on_round(system, state)` is called after
    every ten trials, to observe. Another box, parameter or setting compiles nothing again. Raises `ValueError` when the
    box shrinks below twice a cutoff, or for arguments out of range, and `SimulationError` when the run explodes.
    """
    if n_trials < 1 or interval < 1:
        raise ValueError(f"n_trials and interval must be at least 1, not {n_trials} and {interval}.")
    if not 0 < largest_step <= 0.3:
        raise ValueError(f"largest_step is a fraction of the volume in (0, 0.3], not {largest_step}.")
    potential.check(system)
    potential, settings, state = strong((potential, settings, state))
    rules = _Rules(system, potential, settings, interval)
    step = largest_step * float(np.prod(np.asarray(system.box)))
    volumes: list[float] = []
    accepted = 0
    while len(volumes) < n_trials:
        first, n = len(volumes), min(ADAPT_EVERY, n_trials - len(volumes))
        done = rules.round(system, potential, settings, state, key, pressure, step, first, n)
        done.report.check()
        potential.check(system.with_box(done.smallest_box))
        system, state = system.with_box(done.system.box), done.state
        volumes += np.asarray(done.volumes)[:n].tolist()
        accepted += int(done.successes)
        if adapt and n == ADAPT_EVERY and len(volumes) <= n_trials // 2:
            step = _adapted(step, float(done.successes) / ADAPT_EVERY, volumes[-1])
        if on_round is not None:
            on_round(system, state)
    return ConstantPressure(system, state, np.array(volumes), accepted / n_trials, step)


def _adapted(step, acceptance, volume):
    if acceptance < LOWEST:
        return step / 1.1
    return min(step * 1.1, 0.3 * volume) if acceptance > HIGHEST else step


class _Rules:
    """What stays the same from round to round, and decides what is compiled."""

    def __init__(self, system: System, potential, settings: Settings, interval: int):
        self.n_molecules, self.interval = system.n_molecules, interval
        self.plan = lists.make_plan(system, potential, settings)
        self.capacity = tape_capacity(settings, interval)

    def round(self, system, potential, settings, state, key, pressure, step, first, n) -> _Round:
        static = (self.n_molecules, self.capacity, self.plan)
        number = lambda x: jnp.asarray(x, jnp.float64)
        whole = lambda x: jnp.asarray(x, jnp.int64)
        return _round(
            *static,
            system,
            potential,
            settings,
            state,
            key,
            whole(self.interval),
            number(pressure),
            number(step),
            whole(first),
            whole(n),
        )


@eqx.filter_jit
def _round(n_molecules, capacity, plan, system, potential, settings, state, key, interval, pressure, step, first, n):
    """`n` (at most ADAPT_EVERY) stretches of `interval` steps, a trial after each."""
    double = Settings(settings.dt, settings.temperature, settings.friction, precision="float64")

    def one(k, done: _Round) -> _Round:
        trial = first + k
        world = loops.make_world(done.system, potential, settings, jax.random.fold_in(key, 2 * trial), plan)
        moving = loops.start_moving(world, done.state, Tape.empty(capacity, system.n_atoms))
        moving = loops.go_forward(world, moving, done.state.step + interval)
        draw = jax.random.fold_in(key, 2 * trial + 1)
        box, state, success = _try(n_molecules, done.system, potential, double, moving.state, draw, pressure, step)
        return _Round(
            system=eqx.tree_at(lambda s: s.box, done.system, box),
            state=state,
            volumes=done.volumes.at[k].set(jnp.prod(box)),
            successes=done.successes + success,
            smallest_box=jnp.minimum(done.smallest_box, box),
            report=_worse(done.report, loops.report(moving)),
        )

    no = jnp.asarray(False)
    clean = Report(jnp.asarray(0.0), no, no, no)
    begin = _Round(system, state, jnp.zeros(ADAPT_EVERY), jnp.asarray(0.0), system.box, clean)
    return jax.lax.fori_loop(0, n, one, begin)


def _worse(a: Report, b: Report) -> Report:
    """Everything that went wrong in either of two stretches; a NaN stays one."""
    return Report(
        jnp.maximum(a.fastest_move, b.fastest_move),
        a.list_overflowed | b.list_overflowed,
        a.tape_overflowed | b.tape_overflowed,
        a.tape_exhausted | b.tape_exhausted,
    )


def _try(n_molecules, system, potential, settings, state, key, pressure, step) -> tuple[Any, State, Bool[Array, ""]]:
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
    larger = eqx.tree_at(lambda s: s.box, system, system.box * jnp.cbrt(stretch))
    trial = from_physical(larger, positions, velocities, state.step)
    kt = system.boltzmann * settings.temperature
    energy = lambda system, state: potential.quick_energy(to_snapshot(system, state, settings))
    work = (
        energy(larger, trial)
        - energy(system, state)
        + pressure * volume * (stretch - 1)
        - n_molecules * kt * jnp.log(stretch)
    )
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
