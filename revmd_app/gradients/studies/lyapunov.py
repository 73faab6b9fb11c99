"""How fast two trajectories part: the largest Lyapunov exponent, by Benettin's method.

A second trajectory starts a tiny way off, feels the same noise, and is pulled back to that distance after every
stretch; the mean logarithm of how far it had got, by time, is the exponent (Benettin, Galgani & Strelcyn, Phys. Rev. A
14, 2338 (1976)). Nothing here knows of the adjoint: the reverse sweep's growth must come out the same.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine import loops
from revmd_app.engine.lattice import VELOCITY_BITS, State, burnt_bits, scale
from revmd_app.engine.neighbours import make_plan
from revmd_app.gradients.estimate import standard_error

DISTANCE = 2.0**-13
"""How far the second trajectory starts, as a fraction of the box: far above the lattice's and float32's resolution,
far below the distance between atoms."""


class Exponent(NamedTuple):
    """The exponent (1/ps) with its standard error over trajectories, and the growth itself.

    `log_growth[t]` is the mean log of the distance that would have been reached by `time[t]` (ps).
    """

    slope: float
    error: float
    time: np.ndarray
    log_growth: np.ndarray


class TwoTrajectories:
    """The compiled method: `stretches` stretches of `stretch_steps` steps, of which the first half is left out."""

    def __init__(self, system, potential, settings, state: State, stretch_steps: int, stretches: int):
        self.system, self.settings, self.state = system, settings, state
        self.stretch_steps, self.stretches = stretch_steps, stretches
        self.plan = make_plan(system, potential, settings)
        self._program = jax.jit(self._run)

    def logs(self, potential, key) -> np.ndarray:
        """(stretches,) the logarithm of the growth in each stretch, for one trajectory and its noise."""
        return np.asarray(self._program(potential, key))

    def exponent(self, logs) -> Exponent:
        """The exponent of several trajectories' logs (runs, stretches)."""
        logs = np.asarray(logs, np.float64)
        period = self.stretch_steps * float(self.settings.dt)
        aligned = logs[:, self.stretches // 2 :]  # by then the difference points the way it grows
        each = aligned.mean(axis=1) / period
        error = float(standard_error(each)) if len(each) > 1 else float("nan")
        growth = np.concatenate([[0.0], np.cumsum(logs.mean(axis=0))])
        return Exponent(float(each.mean()), error, period * np.arange(len(growth)), growth)

    def _run(self, potential, key):
        world = loops.make_world(self.system, potential, self.settings, key, self.plan)
        draws = jax.random.normal(jax.random.fold_in(key, 2**31 - 1), (2, 3, self.system.n_atoms))
        difference = self._scaled(draws[0], draws[1])[0]

        def stretch(carry, _):
            state, difference = carry
            ends = [self._advance(world, start) for start in (state, self._displaced(state, *difference))]
            difference, size = self._scaled(*self._between(*ends))
            return (ends[0], difference), jnp.log(size / DISTANCE)

        _, logs = jax.lax.scan(stretch, (self.state, difference), length=self.stretches)
        return logs

    def _advance(self, world, state: State) -> State:
        tape = loops.Tape.empty(1, self.system.n_atoms)  # nobody goes back
        return loops.go_forward(world, loops.start_moving(world, state, tape), state.step + self.stretch_steps).state

    def _scaled(self, dx, dv):
        """((dx, dv) at the starting distance, the distance they had); dv counts by what it moves in 0.1 ps or so."""
        reach = 25 * self.settings.dt
        size = jnp.sqrt(jnp.sum(dx**2) + jnp.sum((dv * reach) ** 2))
        factor = DISTANCE / jnp.where(size > 0, size, 1.0)
        return (dx * factor, dv * factor), size

    def _displaced(self, state: State, dx, dv) -> State:
        """The state moved by dx (boxes) and dv (boxes a ps)."""
        unit = scale(burnt_bits(state, self.settings)) / 2.0**VELOCITY_BITS
        position = state.position + jnp.rint(dx * 2.0**64).astype(jnp.int64)
        velocity = state.velocity + jnp.rint(dv / unit).astype(jnp.int64)
        return State(position, velocity, state.image, state.step, state.reference_step, state.bits_at_reference)

    def _between(self, first: State, second: State):
        """(dx, dv) from the first state to the second, in boxes and boxes a ps."""
        unit = scale(burnt_bits(first, self.settings)) / 2.0**VELOCITY_BITS
        dx = (second.position - first.position).astype(jnp.float64) / 2.0**64
        return dx, (second.velocity - first.velocity).astype(jnp.float64) * unit
