"""The loops over time, forwards and backwards.

Both directions share one structure: an outer loop over stretches, an inner loop over plain steps. A stretch ends where
something other than a plain step is due: new random numbers, a 16-bit shift, a neighbour list that has become invalid,
or the target. All targets are traced, so one compiled program serves every length.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int64, UInt16, UInt64

from revmd_app.engine import neighbours as lists
from revmd_app.engine.integrator import (
    NOISE_BLOCK,
    Coefficients,
    Settings,
    coefficients,
    drift_backward,
    drift_forward,
    drift_increment,
    isolated,
    kick_increment,
    noise_block,
    noise_increment,
    scales,
    shift_is_due,
    shift_left,
    shift_right,
)
from revmd_app.engine.lattice import Snapshot, State, to_snapshot
from revmd_app.engine.system import System

FASTEST_MOVE = 2.0**-6
"""A move of more than this fraction of the box in one step is an explosion."""


class Tape(eqx.Module):
    """The bits that friction has pushed out of the velocities, newest last: two bytes a component every 16 bits."""

    words: UInt16[Array, "events 3 atoms"]
    count: Int64[Array, ""]

    @classmethod
    def empty(cls, capacity: int, n_atoms: int) -> Tape:
        return cls(jnp.zeros((capacity, 3, n_atoms), jnp.uint16), jnp.asarray(0, jnp.int64))


class Report(eqx.Module):
    """How a run went. `check()` raises when it cannot be trusted."""

    fastest_move: Float[Array, ""]  # largest move in one step, as a fraction of the box
    list_overflowed: Bool[Array, ""]
    tape_overflowed: Bool[Array, ""]
    tape_exhausted: Bool[Array, ""]  # a rewind wanted more bits than the tape held

    def check(self) -> Report:
        """Raise `SimulationError` with what went wrong and what to do; return the report otherwise."""
        if bool(jnp.any(self.list_overflowed)):
            raise SimulationError(
                "a neighbour list overflowed: the atoms are denser somewhere than the list allows; raise "
                "`Settings.capacity`, or use neighbours='dense'."
            )
        if bool(jnp.any(self.tape_overflowed)):
            raise SimulationError("the tape is full: raise `tape_capacity`, or run fewer steps at a time.")
        if bool(jnp.any(self.tape_exhausted)):
            raise SimulationError(
                "the tape ran out: it is not the tape of these steps; rewind with the one that the forward run gave."
            )
        if not bool(jnp.all(self.fastest_move < FASTEST_MOVE)):
            raise SimulationError(
                "the simulation exploded: an atom moved by more than 1/64 of the box in one step; use a smaller time "
                "step, a lower temperature or a softer potential, and start again from the last good state."
            )
        return self


class SimulationError(RuntimeError):
    """A run that cannot be trusted, with the reason in one sentence."""


class World(NamedTuple):
    """What stays the same while time runs."""

    system: System
    potential: Any
    settings: Settings
    plan: lists.Plan
    key: Any
    constants: Coefficients


class Moving(NamedTuple):
    """What a loop carries in either direction."""

    state: State
    tape: Tape
    noise: Float[Array, "steps 3 atoms"]
    noise_block: Int64[Array, ""]
    verlet: lists.VerletList
    fastest: UInt64[Array, "3 atoms"]  # largest move of each component so far, box/2^64
    overflowed: Bool[Array, ""]


def make_world(system: System, potential, settings: Settings, key, plan=None) -> World:
    """Bind a system, potential and settings; `plan` (for traced boxes) is otherwise made from the concrete box."""
    plan = lists.make_plan(system, potential, settings) if plan is None else plan
    return World(system, potential, settings, plan, key, coefficients(system, settings))


def start_moving(world: World, state: State, tape: Tape) -> Moving:
    """The loop's first carry: no random numbers yet, a fresh neighbour list."""
    n = world.system.n_atoms
    verlet = lists.build(world.plan, world.system, state)
    return Moving(
        state=state,
        tape=tape,
        noise=jnp.zeros((NOISE_BLOCK, 3, n), jnp.float32),
        noise_block=jnp.asarray(-1, jnp.int64),
        verlet=verlet,
        fastest=jnp.zeros((3, n), jnp.uint64),
        overflowed=verlet.overflowed,
    )


def report(moving: Moving) -> Report:
    """Summarise the flags of a loop."""
    tape = moving.tape
    return Report(
        fastest_move=jnp.max(moving.fastest).astype(jnp.float64) / 2.0**64,
        list_overflowed=moving.overflowed,
        tape_overflowed=tape.count > tape.words.shape[0],
        tape_exhausted=tape.count < 0,
    )


def trustworthy(moving: Moving) -> Bool[Array, ""]:
    """Whether nothing exploded or overflowed."""
    flags = report(moving)
    return ~flags.list_overflowed & ~flags.tape_overflowed & (flags.fastest_move < FASTEST_MOVE)


def view(world: World, moving: Moving, offset=None) -> Snapshot:
    """The snapshot of the current state, with the neighbour list (which must be valid)."""
    listed = moving.verlet.neighbours if world.plan.blocks else None
    return to_snapshot(world.system, moving.state, world.settings, world.potential, listed, offset)


def force_view(world: World, position, verlet) -> Snapshot:
    """A snapshot that is good for forces only: no velocities."""
    # a barrier, or XLA repeats the 64-bit shift for every pair
    lattice = jax.lax.optimization_barrier((position >> 32).astype(jnp.int32))
    return Snapshot(
        system=world.system,
        lattice=lattice,
        image=jnp.zeros_like(lattice),
        velocity=jnp.zeros((3, 0), world.settings.dtype),
        step=jnp.asarray(0),
        time=jnp.asarray(0.0),
        potential=world.potential,
        neighbours=verlet.neighbours if world.plan.blocks else None,
    )


def forces(world: World, position, verlet) -> Float[Array, "3 atoms"]:
    """Forces at lattice positions, in an island of their own: the same bits in every program."""
    snapshot = force_view(world, position, verlet)
    arrays, rest = eqx.partition((world.potential, snapshot), eqx.is_array)

    def compute(arrays):
        potential, snapshot = eqx.combine(arrays, rest)
        return potential.forces(snapshot)

    return isolated(compute, arrays)


def with_valid_list(world: World, moving: Moving, position=None) -> Moving:
    """Rebuild the neighbour list where it has become invalid for these positions."""
    if not world.plan.blocks:
        return moving
    position = moving.state.position if position is None else position
    state = eqx.tree_at(lambda s: s.position, moving.state, position)
    verlet = jax.lax.cond(
        lists.is_valid(world.plan, world.system, moving.verlet, position),
        lambda: moving.verlet,
        lambda: lists.build(world.plan, world.system, state),
    )
    return moving._replace(verlet=verlet, overflowed=moving.overflowed | verlet.overflowed)


def with_noise(world: World, moving: Moving, block) -> Moving:
    """Draw the random numbers of a block of steps, unless they are there already or friction is zero."""
    n = world.system.n_atoms
    draw = lambda: isolated(lambda key, block: noise_block(key, block, n), world.key, block)
    needed = (block != moving.noise_block) & (world.settings.friction > 0)
    return moving._replace(noise=jax.lax.cond(needed, draw, lambda: moving.noise), noise_block=block)


# ---------------------------------------------------------------------------------------------------------- forwards


def step_forward(world: World, moving: Moving) -> Moving:
    """One step on a valid list, without the shift that may be due after it."""
    state, c = moving.state, world.constants
    s = scales(state, world.settings, state.step + 1)
    kicked = state.velocity + kick_increment(forces(world, state.position, moving.verlet), c.kick, s)
    thermalised = kicked + noise_increment(moving.noise[state.step % NOISE_BLOCK], c.noise, s)
    move = drift_increment(kicked, thermalised, c.drift, s)
    position, image = drift_forward(state.position, state.image, move)
    moved = eqx.tree_at(
        lambda s: (s.position, s.velocity, s.image, s.step), state, (position, thermalised, image, state.step + 1)
    )
    return moving._replace(state=moved, fastest=jnp.maximum(moving.fastest, jnp.abs(move).astype(jnp.uint64)))


def go_forward(world: World, moving: Moving, target) -> Moving:
    """Step until step number `target`."""

    def stretch(moving: Moving) -> Moving:
        block = moving.state.step // NOISE_BLOCK
        moving = with_valid_list(world, with_noise(world, moving, block))
        stop = jnp.minimum(target, (block + 1) * NOISE_BLOCK)

        def goes_on(carry):
            moving, shift_due = carry
            valid = lists.is_valid(world.plan, world.system, moving.verlet, moving.state.position)
            return (moving.state.step < stop) & ~shift_due & valid

        def plain_step(carry):
            moving = step_forward(world, carry[0])
            return moving, shift_is_due(moving.state, world.settings, moving.state.step)

        moving, shift_due = jax.lax.while_loop(goes_on, plain_step, (moving, jnp.asarray(False)))
        return jax.lax.cond(shift_due, push_bits, lambda m: m, moving)

    return jax.lax.while_loop(lambda moving: moving.state.step < target, stretch, moving)


def push_bits(moving: Moving) -> Moving:
    """Shift the velocities right and keep what falls off on the tape."""
    velocity, words = shift_right(moving.state.velocity)
    tape = Tape(
        jax.lax.dynamic_update_index_in_dim(moving.tape.words, words, moving.tape.count, 0), moving.tape.count + 1
    )
    return moving._replace(state=eqx.tree_at(lambda s: s.velocity, moving.state, velocity), tape=tape)


# --------------------------------------------------------------------------------------------------------- backwards


class Undone(NamedTuple):
    """A step with its drift and noise undone: the positions before it, and its velocities after the kick."""

    position: Int64[Array, "3 atoms"]
    image: Array
    kicked: Int64[Array, "3 atoms"]


def undo_drift(world: World, moving: Moving, s) -> Undone:
    """Undo the drift and the noise of the step that led to the current state (whose shift is already undone)."""
    state, c = moving.state, world.constants
    kicked = state.velocity - noise_increment(moving.noise[(state.step - 1) % NOISE_BLOCK], c.noise, s)
    move = drift_increment(kicked, state.velocity, c.drift, s)
    position, image = drift_backward(state.position, state.image, move)
    return Undone(position, image, kicked)


def step_backward(world: World, moving: Moving) -> Moving:
    """Undo one step on a list that is valid for the positions before it."""
    state = moving.state
    s = scales(state, world.settings, state.step)
    undone = undo_drift(world, moving, s)
    velocity = undone.kicked - kick_increment(forces(world, undone.position, moving.verlet), world.constants.kick, s)
    before = eqx.tree_at(
        lambda s: (s.position, s.velocity, s.image, s.step),
        state,
        (undone.position, velocity, undone.image, state.step - 1),
    )
    return moving._replace(state=before)


def go_backward(world: World, moving: Moving, target, extra=None, on_step=None):
    """Undo steps until step number `target`.

    `on_step(before, after, extra)` is called with the loop's carry after the step and before it (in time), and may
    accumulate into `extra`: the adjoint rides on it.
    """
    on_step = (lambda earlier, later, extra: extra) if on_step is None else on_step

    def stretch(carry):
        moving, extra = carry
        due = shift_is_due(moving.state, world.settings, moving.state.step)
        moving = jax.lax.cond(due, pull_bits, lambda m: m, moving)
        block = (moving.state.step - 1) // NOISE_BLOCK
        moving = with_noise(world, moving, block)
        stop = jnp.maximum(target, block * NOISE_BLOCK)
        if world.plan.blocks:
            s = scales(moving.state, world.settings, moving.state.step)
            moving = with_valid_list(world, moving, undo_drift(world, moving, s).position)

        def goes_on(carry):
            moving, _, shift_due = carry
            more = (moving.state.step > stop) & ~shift_due
            if not world.plan.blocks:
                return more
            s = scales(moving.state, world.settings, moving.state.step)
            earlier = undo_drift(world, moving, s).position
            return more & lists.is_valid(world.plan, world.system, moving.verlet, earlier)

        def plain_step(carry):
            later, extra, _ = carry
            earlier = step_backward(world, later)
            extra = on_step(earlier, later, extra)
            return earlier, extra, shift_is_due(earlier.state, world.settings, earlier.state.step)

        moving, extra, _ = jax.lax.while_loop(goes_on, plain_step, (moving, extra, jnp.asarray(False)))
        return moving, extra

    return jax.lax.while_loop(lambda carry: carry[0].state.step > target, stretch, (moving, extra))


def pull_bits(moving: Moving) -> Moving:
    """Shift the velocities left and put the tape's newest bits back."""
    count = moving.tape.count - 1
    words = jax.lax.dynamic_index_in_dim(moving.tape.words, count, 0, keepdims=False)
    velocity = shift_left(moving.state.velocity, words)
    tape = Tape(moving.tape.words, count)
    return moving._replace(state=eqx.tree_at(lambda s: s.velocity, moving.state, velocity), tape=tape)
