"""The same trajectory, differentiated by JAX itself: reverse mode, checkpoints, or forward mode.

Beside the integers, which have no derivative, the loop carries zero float offsets of positions and velocities whose
derivative is the trajectory's. Rounding counts as the identity, as in the reverse sweep, so every route
differentiates the same numbers and the comparison is of like with like. All pairs are summed here: a neighbour list
is rebuilt in loops that JAX cannot reverse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from revmd_app.engine import integrator as steps
from revmd_app.engine import loops as run
from revmd_app.engine.adjoint import Schedule, observed
from revmd_app.engine.lattice import VELOCITY_BITS, State, to_snapshot


class Shadow(NamedTuple):
    """The loop carry: integers without derivative, and zero floats that carry it (nm, nm/ps)."""

    state: State
    noise: Float[Array, "steps 3 atoms"]
    offset: Float[Array, "3 atoms"]
    velocity: Float[Array, "3 atoms"]


def without_value(x):
    """x - x, keeping the derivative: a zero that depends on x."""
    return x - jax.lax.stop_gradient(x)


def differentiable_series(
    world: run.World, state, offset, velocity, observe, potential, schedule: Schedule, checkpointed
):
    """The series of observables; `offset` and `velocity` are zeros that carry the derivative of the start."""
    noise = steps.noise_block(world.key, state.step // steps.NOISE_BLOCK, world.system.n_atoms)
    every, n_samples = schedule.sample_every, schedule.n_samples
    inner, outer = chunks(schedule) if checkpointed else (every, 1)
    keep = (lambda f: jax.checkpoint(f, prevent_cse=False)) if checkpointed else (lambda f: f)

    def some_steps(shadow, _):
        return jax.lax.scan(lambda s, _: (shadow_step(world, s), None), shadow, length=inner)[0], None

    def to_sample(shadow, _):
        shadow, _ = jax.lax.scan(keep(some_steps), shadow, length=every // inner)
        return shadow, observed(observe, shadow_view(world, shadow), potential)

    some_samples = keep(lambda shadow, _: jax.lax.scan(to_sample, shadow, length=outer))
    _, series = jax.lax.scan(some_samples, Shadow(state, noise, offset, velocity), length=n_samples // outer)
    return jax.tree.map(lambda x: x.reshape(n_samples, *x.shape[2:]), series)


def chunks(schedule: Schedule) -> tuple[int, int]:
    """(steps, samples) a checkpoint: the divisors that come nearest to the square root of the number of steps."""
    wanted = max(1, round(math.sqrt(schedule.n_samples * schedule.sample_every)))
    divisor = lambda n, limit: next(d for d in range(max(1, min(n, limit)), 0, -1) if n % d == 0)
    return divisor(schedule.sample_every, wanted), divisor(schedule.n_samples, wanted // schedule.sample_every)


def shadow_view(world: run.World, shadow: Shadow):
    """The snapshot of the integers, with the offsets that carry derivatives."""
    view = to_snapshot(world.system, shadow.state, jax.lax.stop_gradient(world.settings))
    values = (shadow.offset, view.velocity + shadow.velocity)
    return eqx.tree_at(lambda s: (s.offset, s.velocity), view, values, is_leaf=lambda x: x is None)


def shadow_step(world: run.World, shadow: Shadow) -> Shadow:
    """One step of the integers and, beside it, of the zeros that carry the derivative."""
    settings, system, state = world.settings, world.system, shadow.state
    fixed = jax.lax.stop_gradient(settings)
    dtype = settings.dtype
    c = steps.coefficients(system, fixed)
    s = steps.scales(state, fixed, state.step + 1)
    draw = lambda: steps.noise_block(world.key, state.step // steps.NOISE_BLOCK, system.n_atoms)
    noise = jax.lax.cond(state.step % steps.NOISE_BLOCK == 0, draw, lambda: shadow.noise)
    xi = noise[state.step % steps.NOISE_BLOCK]

    snapshot = eqx.tree_at(
        lambda v: v.offset, run.force_view(world, state.position, None), shadow.offset, is_leaf=lambda x: x is None
    )
    force = world.potential.forces(snapshot)
    kicked = state.velocity + steps.kick_increment(jax.lax.stop_gradient(force), c.kick, s)
    moved = steps.step_state(state, fixed, c, s, jax.lax.stop_gradient(force), xi)

    dt = fixed.dt.astype(dtype)
    a = jnp.exp(-settings.friction * fixed.dt)
    amplitude = steps.coefficients(system, settings).noise * (system.box[:, None] / 2.0**VELOCITY_BITS)
    physical = kicked.astype(jnp.float64) * (s.before * system.box[:, None] / 2.0**VELOCITY_BITS)
    after_kick = shadow.velocity + dt / system.masses.astype(dtype) * without_value(force)
    on_thermostat = without_value(a) * physical + without_value(amplitude) * xi
    after = (jax.lax.stop_gradient(a) * after_kick + on_thermostat).astype(dtype)
    return Shadow(moved, noise, shadow.offset + dt / 2 * (after_kick + after), after)
