"""Simulations for people and for losses: `advance` and `rewind` move a state, `simulate` returns a series.

def loss(potential):
    series = simulate(system, potential, settings, observe=rdf, n_steps=2_000, sample_every=100, key=key, state=state)
    return jnp.sum((series.mean(0) - target) ** 2)

gradient = jax.grad(loss)(potential)  # reversible: exact, in constant memory
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app.checks import check_number, machine_memory, readable_bytes, whole_number
from revmd_app.engine import adjoint as sweeps
from revmd_app.engine import automatic, loops
from revmd_app.engine import neighbours as lists
from revmd_app.engine.adjoint import Schedule
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import SHIFT_BITS, State, burnt_bits, lattice_state
from revmd_app.engine.loops import SimulationError, Tape

__all__ = [
    "METHODS",
    "SimulationError",
    "Tape",
    "advance",
    "change_settings",
    "rewind",
    "simulate",
    "strong",
    "tape_capacity",
]

METHODS = ("reversible", "reverse_mode", "checkpointed", "forward_mode")


def _check_length(n_steps) -> None:
    if not isinstance(n_steps, jax.core.Tracer):
        advice = "`advance` and `rewind` each know their direction"
        whole_number("n_steps", n_steps, 0, 2**62, advice)


def _check_run(system, potential, settings: Settings, state: State | None, key) -> None:
    """Refuse what cannot be run, as far as it is not traced."""
    if not (isinstance(key, jax.Array) and (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32)):
        raise ValueError(f"key must be a random key of JAX, such as jax.random.key(0), not {type(key).__name__}.")
    settings.check()
    if not isinstance(system.box, jax.core.Tracer):
        potential.check(system)
    if state is not None and state.position.shape[-1] != system.n_atoms:
        raise ValueError(
            f"the state holds {state.position.shape[-1]:,} atoms and the system '{system.name}' {system.n_atoms:,}: "
            "take both from one case."
        )


def strong(tree):
    """The same numbers as arrays whose type is certain: a Python float or a weak type would compile another program."""

    def convert(x):
        weak = isinstance(x, float) or getattr(x, "weak_type", False)
        if isinstance(x, jax.core.Tracer):
            return x.astype(x.dtype) if weak else x
        return jnp.asarray(np.asarray(x)) if weak else x  # by way of NumPy: nothing to compile

    return jax.tree.map(convert, tree)


def _check_start(system, positions, velocities) -> None:
    for name, values in {"positions": positions, "velocities": velocities}.items():
        if jnp.shape(values) != (3, system.n_atoms):
            raise ValueError(f"{name} must have the shape (3, {system.n_atoms}), not {jnp.shape(values)}.")
        check_number(f"each of the {name}", values)


def _check_tape(events: int, n_atoms: int) -> None:
    size, there = 6 * events * n_atoms, machine_memory()
    if size > there:
        raise ValueError(
            f"the bits that friction burns in so many steps need a tape of {readable_bytes(size)}, and this machine "
            f"has {readable_bytes(there)}: run fewer steps at a time, or with less friction."
        )


def tape_capacity(settings: Settings, n_steps: int) -> int:
    """Events that n_steps can push, rounded up to a power of two (needs a concrete friction and time step)."""
    return _events(float(settings.friction) * float(settings.dt), n_steps)


def _events(friction_dt: float, n_steps: int) -> int:
    events = math.ceil(friction_dt / math.log(2) * n_steps / SHIFT_BITS) + 1
    return max(4, 1 << (events - 1).bit_length())


def advance(system, potential, settings, state, key, n_steps, tape=None):
    """Run `n_steps` forwards: (state, tape, report).

    `n_steps` is traced: any length runs in the same compiled program. The tape of this stretch is what `rewind` needs;
    pass an unfinished `tape` to go on writing it. Call `report.check()` to turn a failed run into an exception.
    """
    _check_length(n_steps)
    _check_run(system, potential, settings, state, key)
    if tape is None:
        events = tape_capacity(settings, int(n_steps))
        _check_tape(events, system.n_atoms)
        tape = Tape.empty(events, system.n_atoms)
    potential, settings, state = strong((potential, settings, state))
    plan = lists.make_plan(system, potential, settings)
    return _advance(plan, system, potential, settings, state, key, jnp.asarray(n_steps, jnp.int64), tape)


@eqx.filter_jit
def _advance(plan, system, potential, settings, state, key, n_steps, tape):
    world = loops.make_world(system, potential, settings, key, plan)
    moving = loops.go_forward(world, loops.start_moving(world, state, tape), state.step + n_steps)
    return moving.state, moving.tape, loops.report(moving)


def rewind(system, potential, settings, state, tape, key, n_steps):
    """Run `n_steps` backwards: (state, tape, report). The same integers come back that were there n_steps ago.

    `settings`, `potential` and `key` must be those of the forward run, and `tape` the one that it wrote.
    """
    _check_length(n_steps)
    _check_run(system, potential, settings, state, key)
    potential, settings, state = strong((potential, settings, state))
    plan = lists.make_plan(system, potential, settings)
    return _rewind(plan, system, potential, settings, state, key, jnp.asarray(n_steps, jnp.int64), tape)


@eqx.filter_jit
def _rewind(plan, system, potential, settings, state, key, n_steps, tape):
    world = loops.make_world(system, potential, settings, key, plan)
    moving, _ = loops.go_backward(world, loops.start_moving(world, state, tape), state.step - n_steps)
    return moving.state, moving.tape, loops.report(moving)


def change_settings(state: State, old: Settings, new: Settings) -> State:
    """The state from which to go on with other settings: friction's bits are counted anew from this step.

    Log the returned reference with its step; a rewind past it needs `old` and the former reference back.
    """
    bits = burnt_bits(state, old)
    return eqx.tree_at(lambda s: (s.reference_step, s.bits_at_reference), state, (state.step, bits))


class Differentiable(NamedTuple):
    """Everything a derivative of the series can be taken with respect to: float leaves only."""

    dynamics: Any  # the potential that moves the atoms
    observed: Any  # the potential as the observables see it
    observe: Any
    positions: Float[Array, "3 atoms"] | None
    velocities: Float[Array, "3 atoms"] | None
    temperature: Float[Array, ""]
    friction: Float[Array, ""]


class Fixed(NamedTuple):
    """The rest of what a run needs: integers, keys, arrays that nobody differentiates, and static structure."""

    arrays: Any
    static: Any
    settings: Settings
    key: Any
    state: State | None
    system: Any


def simulate(
    system,
    potential,
    settings: Settings,
    *,
    observe,
    n_steps: int,
    sample_every: int,
    key,
    state: State | None = None,
    positions=None,
    velocities=None,
    method: str = "reversible",
    truncate: int | None = None,
    observed_potential=None,
    friction_bound: float = 20.0,
    capacity_box=None,
):
    """Run `n_steps` and return `observe(snapshot)` of every `sample_every`-th step, stacked along a new first axis.

    `observe` maps a `Snapshot` to any pytree of arrays; `snapshot.potential` is set. Start from `state`, or from
    `positions` (nm) and `velocities` (nm/ps), both (3, N), which can then be differentiated. Derivatives can be
    taken in the float leaves of `potential` and of `observe` (if it is a pytree), in the start, and in
    `settings.temperature` and `settings.friction`. `method` says how: "reversible" runs time backwards (exact,
    constant memory); "reverse_mode" and "checkpointed" let JAX store the trajectory; "forward_mode" allows
    `jax.jvp`. `truncate` follows each sample's influence only so many steps back (reversible only; 0: only the
    explicit part). `observed_potential` is the potential that observables see (default: the same one), so that
    explicit and response part can be told apart. `friction_bound` (1/ps) sizes the tape when the friction is traced,
    `capacity_box` (3 edges, nm; the smallest to be expected) the neighbour lists when the box is.
    A run that explodes or overflows its neighbour list gives NaN.

    Raises `ValueError` for impossible schedules, methods or starts, and for a cutoff beyond half the box.
    """
    schedule = _schedule(system, settings, n_steps, sample_every, method, truncate, friction_bound)
    if (state is None) == (positions is None) or (positions is None) != (velocities is None):
        raise ValueError("start from a `state`, or from `positions` and `velocities` together.")
    _check_run(system, potential, settings, state, key)
    _check_tape(schedule.tape_capacity, system.n_atoms)
    if positions is not None:
        _check_start(system, positions, velocities)
    potential, settings, state, observe = strong((potential, settings, state, observe))
    seen = potential if observed_potential is None else strong(observed_potential)
    isarray = eqx.is_inexact_array
    parts = [eqx.partition(tree, isarray) for tree in (potential, seen, observe)]
    dynamics, observed, watching = (dynamic for dynamic, _ in parts)
    differentiable = Differentiable(
        dynamics, observed, watching, positions, velocities, settings.temperature, settings.friction
    )
    arrays, static = eqx.partition(tuple(rest for _, rest in parts), eqx.is_array)
    plan = lists.make_plan(system, potential, settings, capacity_box)
    fixed = Fixed(arrays, None, settings, key, state, system)
    if method == "reversible":
        return _run_reversible(plan, static, schedule, differentiable, fixed)
    dense = lists.Plan(blocks=(), capacities=(), skin=settings.skin)
    return _run_automatic(dense, static, schedule, method == "checkpointed", differentiable, fixed)


def _schedule(system, settings, n_steps, sample_every, method, truncate, friction_bound) -> Schedule:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not '{method}'.")
    for name, number in {"n_steps": n_steps, "sample_every": sample_every, "truncate": truncate or 0}.items():
        whole_number(name, number, 0, 2**62)
    if sample_every < 1 or n_steps < sample_every or n_steps % sample_every:
        raise ValueError(f"n_steps ({n_steps}) must be a positive multiple of sample_every ({sample_every}).")
    if truncate is not None and (truncate < 0 or method != "reversible"):
        raise ValueError("truncate is a number of steps >= 0, and only for the reversible method.")
    traced = any(isinstance(x, jax.core.Tracer) for x in (settings.friction, settings.dt))
    if traced:
        dt = 0.01 if isinstance(settings.dt, jax.core.Tracer) else float(settings.dt)
        capacity = _events(friction_bound * dt, n_steps)
    else:
        capacity = _events(float(settings.friction) * float(settings.dt), n_steps)
    return Schedule(n_steps // sample_every, sample_every, truncate, capacity)


def _unpack(plan, static, differentiable: Differentiable, fixed: Fixed):
    """(world, start, observe, observed potential, zeros that carry the derivative of the start)."""
    rest = eqx.combine(fixed.arrays, static)
    dynamics, seen, observe = (eqx.combine(d, r) for d, r in zip(differentiable[:3], rest, strict=True))
    settings = eqx.tree_at(
        lambda s: (s.temperature, s.friction), fixed.settings, (differentiable.temperature, differentiable.friction)
    )
    state = fixed.state
    if state is None:
        fix = jax.lax.stop_gradient
        state = lattice_state(fixed.system, fix(differentiable.positions), fix(differentiable.velocities), 0)
    world = loops.make_world(fixed.system, dynamics, settings, fixed.key, plan)
    return world, state, observe, seen


@eqx.filter_jit
def _run_reversible(plan, static, schedule: Schedule, differentiable: Differentiable, fixed: Fixed):
    """Compiled once for each shape of a run, also where nobody else compiles what calls `simulate`."""
    return _reversible(plan, static, schedule)(differentiable, fixed)


def _reversible(plan, static, schedule: Schedule):
    """The series with the reverse sweep as its derivative."""

    @jax.custom_vjp
    def series(differentiable, fixed):
        return forward(differentiable, fixed)[0]

    def forward(differentiable, fixed):
        world, state, observe, seen = _unpack(plan, static, differentiable, fixed)
        series, moving, kept = sweeps.forward_series(world, state, observe, seen, schedule)
        good = loops.trustworthy(moving)
        series = jax.tree.map(lambda x: jnp.where(good, x, jnp.nan) if eqx.is_inexact_array(x) else x, series)
        return series, (differentiable, fixed, moving.state, moving.tape, kept)

    def backward(residuals, cotangents):
        differentiable, fixed, state, tape, kept = residuals
        world, _, observe, seen = _unpack(plan, static, differentiable, fixed)
        moving = loops.start_moving(world, state, tape)
        adjoint, on_seen, on_observe = sweeps.reverse_sweep(world, moving, kept, observe, seen, cotangents, schedule)
        at_start = lambda x, like: None if like is None else jnp.sum(x, axis=0).astype(like.dtype)
        gradient = Differentiable(
            adjoint.dynamics,
            on_seen,
            on_observe,
            at_start(adjoint.lam, differentiable.positions),
            at_start(adjoint.mu, differentiable.velocities),
            jnp.sum(adjoint.temperature).astype(jnp.float64),
            jnp.sum(adjoint.friction).astype(jnp.float64),
        )
        return gradient, None

    series.defvjp(forward, backward)
    return series


@eqx.filter_jit
def _run_automatic(plan, static, schedule, checkpointed, differentiable: Differentiable, fixed: Fixed):
    world, state, observe, seen = _unpack(plan, static, differentiable, fixed)
    dtype = world.settings.dtype
    offset = velocity = jnp.zeros((3, world.system.n_atoms), dtype)
    if differentiable.positions is not None:
        offset = automatic.without_value(differentiable.positions).astype(dtype)
        velocity = automatic.without_value(differentiable.velocities).astype(dtype)
    return automatic.differentiable_series(world, state, offset, velocity, observe, seen, schedule, checkpointed)
