"""The same step in plain floating point, forwards, and its algebraic inverse backwards: what everybody else has.

With a = exp(-friction dt), c = sqrt(1 - a^2) sqrt(kT/m), and the forces and random numbers of the exact engine,

    forwards                                  backwards
    v' = v + F(x) dt/m                        x' = x - v dt/2
    x' = x + v' dt/2                          v' = (v - c xi_n) / a
    v  = a v' + c xi_n                        x  = x' - v' dt/2
    x  = x' + v dt/2                          v  = v' - F(x) dt/m

On paper the right column undoes the left one. In floating point every line rounds, the liquid's chaos multiplies the
error by e in a fraction of a picosecond, and once the velocities have lost step with the noise, dividing by a heats
them without limit. The inverse is the one of Greener, PNAS 122, e2426058122 (2025).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int64

from revmd_app.engine.integrator import NOISE_BLOCK, PRECISIONS, Settings, noise_block
from revmd_app.engine.lattice import VELOCITY_BITS, Snapshot, State, burnt_bits, scale
from revmd_app.engine.loops import FASTEST_MOVE, SimulationError
from revmd_app.engine.system import System


class FloatState(eqx.Module):
    """Positions (nm, in [-box/2, box/2]) and velocities (nm/ps) as floats of one precision, and the step number."""

    position: Float[Array, "3 atoms"]
    velocity: Float[Array, "3 atoms"]
    step: Int64[Array, ""]


class FloatReport(eqx.Module):
    """How a run went: the largest move of an atom in one step, as a fraction of the box."""

    fastest_move: Float[Array, ""]

    @property
    def exploded(self) -> bool:
        """Whether an atom moved further in a step than can be trusted (or nowhere: NaN)."""
        return not bool(self.fastest_move < FASTEST_MOVE)

    def check(self) -> FloatReport:
        """Raise `SimulationError` when the run exploded; return the report otherwise."""
        if self.exploded:
            raise SimulationError("the floating-point run exploded: an atom moved by more than 1/64 of the box.")
        return self


class FineSnapshot(Snapshot):
    """A snapshot whose lattice has 64 bits: separations of float64 positions, good to the last digit."""

    lattice: Int64[Array, "3 atoms"]

    @property
    def nm_per_bit(self) -> Float[Array, "3"]:
        """Edge of a lattice cell (nm)."""
        return (self.system.box / 2.0**64).astype(self.dtype)


class _Constants(NamedTuple):
    """What forces, noise and velocities are multiplied by, in the precision of the run."""

    kick: Float[Array, "3 atoms"]  # dt / m
    a: Float[Array, ""]
    noise: Float[Array, "3 atoms"]  # c
    half: Float[Array, ""]  # dt / 2
    box: Float[Array, "3 1"]


class _Carry(NamedTuple):
    state: FloatState
    noise: Float[Array, "steps 3 atoms"]
    fastest: Float[Array, ""]


def from_state(system: System, state: State, settings: Settings, precision: str) -> FloatState:
    """The exact state rounded to "float32" or "float64" numbers. Raises `ValueError` for another precision."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not '{precision}'.")
    return _rounded(system, state, settings, precision)


@eqx.filter_jit
def _rounded(system, state, settings, precision):
    box = system.box[:, None]
    unit = scale(burnt_bits(state, settings)) * box / 2.0**VELOCITY_BITS
    position = state.position.astype(jnp.float64) * (box / 2.0**64)
    velocity = state.velocity.astype(jnp.float64) * unit
    return FloatState(position.astype(precision), velocity.astype(precision), state.step)


def advance(system: System, potential, settings: Settings, state: FloatState, key, n_steps):
    """Run `n_steps` forwards: (state, report). `n_steps` is traced: any length runs in one compiled program.

    An explosion ends the run early; check the report. Raises `ValueError` for a negative number of steps.
    """
    return _run(system, potential, settings, state, key, _length(n_steps), forwards=True)


def rewind(system: System, potential, settings: Settings, state: FloatState, key, n_steps):
    """Run `n_steps` backwards by the algebraic inverse: (state, report). Nothing promises that the start comes back.

    An explosion ends the run early; check the report. Raises `ValueError` for a negative number of steps.
    """
    return _run(system, potential, settings, state, key, _length(n_steps), forwards=False)


def _length(n_steps) -> Int64[Array, ""]:
    if not isinstance(n_steps, jax.core.Tracer) and n_steps < 0:
        raise ValueError(f"n_steps must not be negative ({n_steps}): `advance` and `rewind` each know their direction.")
    return jnp.asarray(n_steps, jnp.int64)


@eqx.filter_jit
def _run(system, potential, settings, state, key, n_steps, *, forwards: bool):
    dtype = state.position.dtype
    c = _constants(system, settings, dtype)
    sign = 1 if forwards else -1
    target = state.step + sign * n_steps
    step = _forward if forwards else _backward

    def goes_on(carry: _Carry):
        return (sign * (target - carry.state.step) > 0) & (carry.fastest < FASTEST_MOVE)

    def stretch(carry: _Carry):
        """All steps that share a block of random numbers."""
        first = carry.state.step - (0 if forwards else 1)  # the step whose noise is due
        block = first // NOISE_BLOCK
        noise = noise_block(key, block, system.n_atoms).astype(dtype)
        same = lambda carry: goes_on(carry) & ((carry.state.step - (not forwards)) // NOISE_BLOCK == block)
        return jax.lax.while_loop(same, lambda carry: step(system, potential, c, carry), carry._replace(noise=noise))

    nothing = jnp.zeros((NOISE_BLOCK, 3, system.n_atoms), dtype)
    done = jax.lax.while_loop(goes_on, stretch, _Carry(state, nothing, jnp.asarray(0.0)))
    return done.state, FloatReport(done.fastest)


def _constants(system: System, settings: Settings, dtype) -> _Constants:
    friction_dt = settings.friction * settings.dt
    thermal = jnp.sqrt(-jnp.expm1(-2 * friction_dt) * system.boltzmann * settings.temperature / system.masses)
    shape = (3, system.n_atoms)
    return _Constants(
        kick=jnp.broadcast_to(settings.dt / system.masses, shape).astype(dtype),
        a=jnp.exp(-friction_dt).astype(dtype),
        noise=jnp.broadcast_to(thermal, shape).astype(dtype),
        half=(settings.dt / 2).astype(dtype),
        box=system.box[:, None].astype(dtype),
    )


def _forward(system, potential, c: _Constants, carry: _Carry) -> _Carry:
    """One step, line by line as in the left column above."""
    state = carry.state
    x = state.position
    v = state.velocity + _forces(system, potential, x) * c.kick
    first = c.half * v
    v = c.a * v + c.noise * carry.noise[state.step % NOISE_BLOCK]
    x = x + first + c.half * v
    return _after(carry, c, FloatState(_wrapped(x, c.box), v, state.step + 1), first + c.half * v)


def _backward(system, potential, c: _Constants, carry: _Carry) -> _Carry:
    """One step undone, line by line as in the right column above."""
    state = carry.state
    v = state.velocity
    x = state.position - c.half * v
    kicked = (v - c.noise * carry.noise[(state.step - 1) % NOISE_BLOCK]) / c.a
    x = _wrapped(x - c.half * kicked, c.box)
    v = kicked - _forces(system, potential, x) * c.kick
    return _after(carry, c, FloatState(x, v, state.step - 1), c.half * (state.velocity + kicked))


def _after(carry: _Carry, c: _Constants, state: FloatState, move) -> _Carry:
    fastest = jnp.max(jnp.abs(move / c.box)).astype(jnp.float64)
    return carry._replace(state=state, fastest=jnp.maximum(carry.fastest, fastest))


def _wrapped(x, box):
    return x - box * jnp.rint(x / box)


def _forces(system: System, potential, x) -> Float[Array, "3 atoms"]:
    """The potential's own forces; the lattice only serves to find the minimum image, and is finer than the floats."""
    dtype = x.dtype
    fraction = x.astype(jnp.float64) / system.box[:, None]
    fine = jnp.rint(fraction * 2.0**62).astype(jnp.int64) << 2
    single = dtype == jnp.float32
    lattice = jax.lax.optimization_barrier((fine >> 32).astype(jnp.int32) if single else fine)
    kind = Snapshot if single else FineSnapshot
    snapshot = kind(
        system=system,
        lattice=lattice,
        image=jnp.zeros(lattice.shape, jnp.int32),
        velocity=jnp.zeros((3, 0), dtype),
        step=jnp.asarray(0),
        time=jnp.asarray(0.0),
        potential=potential,
    )
    return potential.forces(snapshot)
