"""The gradient of a loss of a trajectory: the reverse sweep with the adjoint.

With lam = dL/dx, mu = dL/dv after step n and J = dF/dx, g = dF/dtheta at the positions before it, the exact adjoint
of the Langevin-middle step is (Greener, PNAS 122, e2426058122 (2025), in the compact form with two vectors)

    w = a mu + (dt/2)(1 + a) lam        lam += dt J^T (w/m)        mu = w        dL/dtheta += dt (w/m) . g

The sweep un-steps the integers, so it needs no stored trajectory: one force evaluation and one product a step. Rounding
to integers counts as the identity (straight-through).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from revmd_app.engine import loops as run
from revmd_app.engine.integrator import NOISE_BLOCK, scales
from revmd_app.engine.lattice import VELOCITY_BITS, Snapshot, State

isarray = eqx.is_inexact_array


class Schedule(NamedTuple):
    """When to sample, and how far back each sample's influence is followed (None: to the start)."""

    n_samples: int
    sample_every: int
    truncate: int | None
    tape_capacity: int

    @property
    def windows(self) -> int:
        """How many samples' adjoints are alive at once."""
        return 1 if self.truncate is None else max(1, math.ceil(self.truncate / self.sample_every))

    @property
    def stores_samples(self) -> bool:
        """Whether the sweep jumps from sample to sample, over steps that nobody needs."""
        return self.truncate is not None and self.truncate < self.sample_every


class Adjoint(NamedTuple):
    """What the sweep carries: one (lam, mu) a window, and the gradients so far."""

    lam: Float[Array, "windows 3 atoms"]
    mu: Float[Array, "windows 3 atoms"]
    dynamics: Any
    temperature: Float[Array, "3 atoms"]
    friction: Float[Array, "3 atoms"]


def observed(observe, snapshot: Snapshot, potential):
    """The observables of a snapshot whose potential is the one observables see."""
    return observe(eqx.tree_at(lambda s: s.potential, snapshot, potential, is_leaf=lambda x: x is None))


# ------------------------------------------------------------------------------------------------ the reversible sweep


def forward_series(world: run.World, state: State, observe, potential, schedule: Schedule):
    """(series, final loop carry, states at the samples or None) of a forward run."""
    tape = run.Tape.empty(schedule.tape_capacity, world.system.n_atoms)

    def to_sample(moving, _):
        moving = run.go_forward(world, moving, moving.state.step + schedule.sample_every)
        moving = run.with_valid_list(world, moving)
        kept = (moving.state, moving.tape.count) if schedule.stores_samples else None
        return moving, (observed(observe, run.view(world, moving), potential), kept)

    moving, (series, kept) = jax.lax.scan(to_sample, run.start_moving(world, state, tape), length=schedule.n_samples)
    return series, moving, kept


def reverse_sweep(world: run.World, moving: run.Moving, kept, observe, potential, cotangents, schedule: Schedule):
    """(adjoint at the start, gradient in the observed potential, gradient in `observe`)."""
    every, windows = schedule.sample_every, schedule.windows
    differentiable = (eqx.filter(potential, isarray), eqx.filter(observe, isarray))
    zeros = jax.tree.map(jnp.zeros_like, differentiable)
    shape, dtype = (windows, *moving.state.position.shape), world.settings.dtype
    adjoint = Adjoint(
        lam=jnp.zeros(shape, dtype),
        mu=jnp.zeros(shape, dtype),
        dynamics=jax.tree.map(jnp.zeros_like, eqx.filter(world.potential, isarray)),
        temperature=jnp.zeros(shape[1:], dtype),
        friction=jnp.zeros(shape[1:], dtype),
    )
    on_step = lambda earlier, later, adjoint: adjoint_step(world, earlier, later, adjoint)
    start = moving.state.step - schedule.n_samples * every

    def from_sample(carry, sample):
        moving, adjoint, explicit = carry
        index, cotangent, stored = sample
        if schedule.stores_samples:
            moving = moving._replace(state=stored[0], tape=run.Tape(moving.tape.words, stored[1]))
        moving = run.with_valid_list(world, moving)
        (lam, mu), direct = pull_back(observe, run.view(world, moving), potential, cotangent)
        explicit = jax.tree.map(jnp.add, explicit, direct)
        adjoint = inject(adjoint, lam, mu, index % windows, schedule)
        here = moving.state.step
        if schedule.truncate is None:
            moving, adjoint = run.go_backward(world, moving, here - every, adjoint, on_step)
        elif schedule.stores_samples:
            target = jnp.maximum(here - schedule.truncate, start)
            moving, adjoint = run.go_backward(world, moving, target, adjoint, on_step)
            adjoint = inject(adjoint, 0.0, 0.0, 0, schedule)  # no sample reaches the start
        else:
            rest = schedule.truncate % every
            if rest:  # the oldest window dies between two samples
                moving, adjoint = run.go_backward(world, moving, here - rest, adjoint, on_step)
                adjoint = inject(adjoint, 0.0, 0.0, (index - 1) % windows, schedule)
            moving, adjoint = run.go_backward(world, moving, here - every, adjoint, on_step)
        return (moving, adjoint, explicit), None

    order = jnp.arange(schedule.n_samples)
    carry, _ = jax.lax.scan(from_sample, (moving, adjoint, zeros), (order, cotangents, kept), reverse=True)
    return carry[1], *carry[2]


def inject(adjoint: Adjoint, lam, mu, window, schedule: Schedule) -> Adjoint:
    """Add a sample's cotangents; with truncation they replace those of the sample whose window this was."""
    if schedule.truncate is None:
        return adjoint._replace(lam=adjoint.lam + lam, mu=adjoint.mu + mu)
    return adjoint._replace(lam=adjoint.lam.at[window].set(lam), mu=adjoint.mu.at[window].set(mu))


def pull_back(observe, snapshot: Snapshot, potential, cotangent):
    """((dL/dx, dL/dv), (gradient in the potential, gradient in observe)) of one sample at a fixed trajectory."""
    leaves, fixed = eqx.partition((potential, observe), isarray)

    def sample(offset, velocity, leaves):
        potential, observe = eqx.combine(leaves, fixed)
        moved = eqx.tree_at(lambda s: (s.offset, s.velocity), snapshot, (offset, velocity), is_leaf=lambda x: x is None)
        return observed(observe, moved, potential)

    offset = jnp.zeros(snapshot.lattice.shape, snapshot.dtype)
    _, pull = jax.vjp(sample, offset, snapshot.velocity, leaves)
    lam, mu, direct = pull(cotangent)
    return (lam, mu), direct


def adjoint_step(world: run.World, earlier: run.Moving, later: run.Moving, adjoint: Adjoint) -> Adjoint:
    """Carry the adjoint over one step, from after it to before it."""
    settings, masses = world.settings, world.system.masses
    dtype = settings.dtype
    dt, a = settings.dt.astype(dtype), jnp.exp(-settings.friction * settings.dt).astype(dtype)
    w = a * adjoint.mu + (dt / 2) * (1 + a) * adjoint.lam
    snapshot = run.force_view(world, earlier.state.position, later.verlet)
    # a barrier, or XLA repeats this for every pair
    impulse = jax.lax.optimization_barrier((settings.dt / masses).astype(dtype) * w)
    product = lambda w: world.potential.force_vjp(snapshot, w)
    if impulse.shape[0] == 1:
        kick, gradient = product(impulse[0])
        kick = kick[None]
    else:
        kick, gradient = jax.vmap(product)(impulse)
        gradient = jax.tree.map(lambda g: jnp.sum(g, axis=0), gradient)
    on_noise, on_velocity = thermostat_terms(world, later, jnp.sum(adjoint.mu + dt / 2 * adjoint.lam, axis=0))
    return Adjoint(
        lam=adjoint.lam + kick,
        mu=w,
        dynamics=jax.tree.map(jnp.add, adjoint.dynamics, gradient),
        temperature=adjoint.temperature + on_noise,
        friction=adjoint.friction + on_velocity,
    )


def thermostat_terms(world: run.World, later: run.Moving, q):
    """(q . dv/dT, q . dv/dfriction) a component, where q is the adjoint of the velocity after the thermostat.

    v = a v' + sqrt(1 - a^2) sqrt(kT/m) xi. The derivative of the noise's amplitude in the friction diverges at
    friction 0, where it is left out.
    """
    settings, state = world.settings, later.state
    dtype = settings.dtype
    s = scales(state, settings, state.step)
    xi = later.noise[(state.step - 1) % NOISE_BLOCK].astype(dtype)
    xi = jnp.where(settings.friction > 0, xi, 0.0)
    after = (state.velocity.astype(jnp.float64) * (s.after * world.system.box[:, None] / 2.0**VELOCITY_BITS)).astype(
        dtype
    )
    lost = -jnp.expm1(-2 * settings.friction * settings.dt)
    safe = jnp.where(lost > 0, lost, 1.0)
    thermal = jnp.sqrt(world.system.boltzmann * settings.temperature / world.system.masses)
    random = (jnp.sqrt(lost) * thermal).astype(dtype) * xi
    # a v' = v - random, so da/dfriction v' = -dt (v - random); dsqrt(1-a^2)/dfriction = dt a^2 / sqrt(1-a^2)
    growth = (settings.dt * (1 - lost) / safe).astype(dtype)
    dt = settings.dt.astype(dtype)
    on_friction = q * (-dt * (after - random) + growth * random)
    return q * random * (0.5 / settings.temperature).astype(dtype), on_friction
