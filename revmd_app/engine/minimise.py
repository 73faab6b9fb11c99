"""Energy minimisation by FIRE, to take the worst overlaps out of a start. For preparation only: it is not reversible.

FIRE is molecular dynamics with two brakes (Bitzek, Koskinen, Gaehler, Moseler and Gumbsch, Phys. Rev. Lett. 97,
170201, 2006): the velocity is turned towards the force, v <- (1 - alpha) v + alpha |v| F/|F|; and when the power P =
F . v turns negative (the way leads uphill) the atoms stop and the time step is halved. While P > 0 the step grows.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from revmd_app.engine import neighbours as lists
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, from_physical, to_snapshot
from revmd_app.engine.simulate import strong
from revmd_app.engine.system import System

# Bitzek's constants: they hardly ever need a change.
GROW, SHRINK, ALPHA, ALPHA_SHRINK, PATIENCE = 1.1, 0.5, 0.1, 0.99, 5


class Minimum(NamedTuple):
    """Where the minimisation ended: the state (with the velocities it came with), energy, largest force component."""

    state: State
    energy: Float[Array, ""]  # kJ/mol
    largest_force: Float[Array, ""]  # kJ/mol/nm
    n_iterations: Int[Array, ""]
    converged: Bool[Array, ""]


class _Carry(NamedTuple):
    positions: Float[Array, "3 atoms"]  # nm, unwrapped
    velocities: Float[Array, "3 atoms"]
    force: Float[Array, "3 atoms"]
    verlet: lists.VerletList
    dt: Float[Array, ""]
    alpha: Float[Array, ""]
    n_downhill: Int[Array, ""]
    iteration: Int[Array, ""]


def minimise(
    system: System,
    potential,
    settings: Settings,
    state: State,
    *,
    force_tolerance: float = 1.0,
    max_iterations: int = 2000,
    max_move: float = 0.01,
) -> Minimum:
    """Go downhill in energy until no force component exceeds `force_tolerance` (kJ/mol/nm), in float64.

    `max_move` (nm) bounds the move of a component in one iteration, so that overlapping atoms do not fly apart. The
    first time step is that of `settings`; it may grow tenfold. A minimisation that runs out of iterations says so in
    `converged`. Raises `ValueError` for a tolerance or a move that is not positive.
    """
    for name, value in (("force_tolerance", force_tolerance), ("max_move", max_move)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, not {value}.")
    potential.check(system)
    settings = Settings(
        dt=settings.dt,
        temperature=settings.temperature,
        friction=0.0,
        precision="float64",
        neighbours=settings.neighbours,
        skin=settings.skin,
        capacity=settings.capacity,
    )
    plan = lists.make_plan(system, potential, settings)
    potential, settings, state = strong((potential, settings, state))
    limits = (np.float64(force_tolerance), np.int64(max_iterations), np.float64(max_move))
    minimum, overflowed = _minimise(plan, system, potential, settings, state, *limits)
    if bool(overflowed):
        raise ValueError(
            "a neighbour list overflowed during the minimisation: the atoms are denser somewhere than the list allows; "
            "raise `Settings.capacity`, or use neighbours='dense'."
        )
    return minimum


@eqx.filter_jit
def _minimise(plan, system, potential, settings, state, tolerance, max_iterations, max_move):
    at = lambda positions: from_physical(system, positions, jnp.zeros_like(positions))

    def snapshot(positions, verlet):
        return to_snapshot(system, at(positions), settings, potential, verlet.neighbours if plan.blocks else None)

    def valid_list(verlet, positions):
        if not plan.blocks:
            return verlet
        state = at(positions)
        keep = lists.is_valid(plan, system, verlet, state.position)
        fresh = jax.lax.cond(keep, lambda: verlet, lambda: lists.build(plan, system, state))
        return eqx.tree_at(lambda v: v.overflowed, fresh, fresh.overflowed | verlet.overflowed)

    def goes_on(c: _Carry):
        return (c.iteration < max_iterations) & ~(jnp.max(jnp.abs(c.force)) <= tolerance)

    def iterate(c: _Carry) -> _Carry:
        power = jnp.vdot(c.force, c.velocities)
        downhill = power > 0
        turned = (1 - c.alpha) * c.velocities + c.alpha * c.force * (_norm(c.velocities) / _norm(c.force))
        grows = downhill & (c.n_downhill >= PATIENCE)
        dt = jnp.where(downhill, c.dt, SHRINK * c.dt)
        dt = jnp.where(grows, jnp.minimum(GROW * c.dt, 10 * settings.dt), dt)
        alpha = jnp.where(downhill, jnp.where(grows, ALPHA_SHRINK * c.alpha, c.alpha), ALPHA)
        velocities = jnp.where(downhill, turned, 0.0) + dt * c.force / system.masses
        move = dt * velocities
        move = move * jnp.minimum(1.0, max_move / jnp.maximum(jnp.max(jnp.abs(move)), 1e-300))
        positions = c.positions + move
        verlet = valid_list(c.verlet, positions)
        return _Carry(
            positions=positions,
            velocities=velocities,
            force=potential.forces(snapshot(positions, verlet)),
            verlet=verlet,
            dt=dt,
            alpha=alpha,
            n_downhill=jnp.where(downhill, c.n_downhill + 1, 0),
            iteration=c.iteration + 1,
        )

    start = to_snapshot(system, state, settings).unwrapped
    verlet = lists.build(plan, system, at(start))
    zero = jnp.asarray(0)
    first = _Carry(
        start,
        jnp.zeros_like(start),
        potential.forces(snapshot(start, verlet)),
        verlet,
        settings.dt,
        jnp.asarray(ALPHA),
        zero,
        zero,
    )
    last = jax.lax.while_loop(goes_on, iterate, first)
    largest = jnp.max(jnp.abs(last.force))
    end = at(last.positions)
    found = eqx.tree_at(lambda s: (s.position, s.image), state, (end.position, end.image))
    energy = potential.energy(snapshot(last.positions, last.verlet))
    minimum = Minimum(found, energy, largest, last.iteration, largest <= tolerance)
    return minimum, last.verlet.overflowed


def _norm(x):
    return jnp.sqrt(jnp.maximum(jnp.vdot(x, x), 1e-300))
