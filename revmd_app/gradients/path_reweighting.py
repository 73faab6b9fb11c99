"""Reweighting of whole paths: the score of the Langevin noise. Works for dynamics; its variance grows with time.

Given the start, the positions determine the velocities (v_n = 2 (x_n - x_{n-1})/dt - v'_n), and step n is Gaussian
in x_n around x_{n-1} + (dt/2)(1 + a) v'_n, with v' the velocity after the kick. At a fixed path the parameters enter
through

    D_n = dv'_n/dtheta = -D_{n-1} + dt dF(x_{n-1})/dtheta / m        dv_n/dtheta = -D_n
    S   = d ln p(path)/dtheta = sum_n xi_n (1 + a) D_n / (sqrt(1 - a^2) sqrt(kT/m))

and dE[L]/dtheta = E[explicit] + cov(L, S), over replicas. Exact for the discrete dynamics, with no derivative of a
force in the positions. Source of the idea: Warren & Allen, Phys. Rev. Lett. 109, 250601 (2012); the discrete score
is derived here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine import integrator as steps
from revmd_app.engine import loops
from revmd_app.engine.adjoint import observed
from revmd_app.engine.automatic import Shadow, shadow_view, without_value
from revmd_app.engine.neighbours import Plan
from revmd_app.gradients.automatic import too_many_parameters
from revmd_app.gradients.estimate import Estimator, rebuild


class PathSample(NamedTuple):
    """One replica: its loss, the explicit part of the gradient, the score (both (P,)), and the report."""

    value: jax.Array
    explicit: jax.Array
    score: jax.Array
    reported: Any = None


@dataclass
class PathReweighting(Estimator):
    """dE[L]/dtheta = E[explicit] + cov(L, score) over replicas, with the unbiased R/(R-1)."""

    name = "path_reweighting"

    def refusal(self, experiment, potential):
        if float(experiment.settings.friction) == 0:
            return "path_reweighting uses the probability of the thermostat's noise, and with friction 0 there is none."
        return too_many_parameters(self.name, potential)

    def build(self, experiment, potential):
        make = rebuild(potential)

        def sample(leaves, state, key) -> PathSample:
            def run(both):
                series, log_probability = scored_series(experiment, make(both[0]), make(both[1]), state, key)
                value = experiment.value(series)
                return (value, log_probability), (value, experiment.reported(series))

            n = leaves.size
            directions = jnp.eye(n, dtype=leaves.dtype)
            both = jnp.stack([leaves, leaves])
            # one tangent a parameter, through dynamics and observables at once
            push = lambda e: jax.jvp(run, (both,), (jnp.stack([e, e]),), has_aux=True)
            _, (explicit, score), (value, reported) = jax.vmap(push, out_axes=(None, 0, None))(directions)
            return PathSample(value, explicit, score, reported)

        return sample

    def combine(self, samples):
        values = np.array([s.value for s in samples])
        n = len(samples)
        around = (values - values.mean()) * (n / (n - 1) if n > 1 else np.nan)
        return np.array([s.explicit for s in samples]) + around[:, None] * np.array([s.score for s in samples])

    def force_evaluations(self, experiment, n_parameters):
        return experiment.n_steps * (1 + n_parameters)


def scored_series(experiment, dynamics, seen, state, key):
    """(series, zero whose derivative is the score): a forward run whose path does not depend on the parameters."""
    system = experiment.system
    world = loops.make_world(system, dynamics, experiment.settings, key, Plan((), (), experiment.settings.skin))
    noise = steps.noise_block(key, state.step // steps.NOISE_BLOCK, system.n_atoms)
    zero = jnp.zeros((3, system.n_atoms), experiment.settings.dtype)

    def to_sample(carry, _):
        carry, _ = jax.lax.scan(lambda c, _: (scored_step(world, c), None), carry, length=experiment.sample_every)
        return carry, observed(experiment.observe, shadow_view(world, carry[0]), seen)

    start = (Shadow(state, noise, zero, zero), jnp.zeros((), jnp.float64))
    (_, score), series = jax.lax.scan(to_sample, start, length=experiment.n_steps // experiment.sample_every)
    return series, score


def scored_step(world: loops.World, carry):
    """One step; `shadow.velocity` carries dv_n/dtheta = -D_n at the fixed path, and the score is summed."""
    shadow, score = carry
    settings, system, state = world.settings, world.system, shadow.state
    dtype, c = settings.dtype, world.constants
    s = steps.scales(state, settings, state.step + 1)
    draw = lambda: steps.noise_block(world.key, state.step // steps.NOISE_BLOCK, system.n_atoms)
    noise = jax.lax.cond(state.step % steps.NOISE_BLOCK == 0, draw, lambda: shadow.noise)
    xi = noise[state.step % steps.NOISE_BLOCK]
    force = world.potential.forces(loops.force_view(world, state.position, None))
    a = jnp.exp(-settings.friction * settings.dt)
    amplitude = jnp.sqrt(-jnp.expm1(-2 * settings.friction * settings.dt)) * jnp.sqrt(
        system.boltzmann * settings.temperature / system.masses
    )
    on_kicked = shadow.velocity + ((settings.dt / system.masses) * without_value(force)).astype(dtype)
    score = score + jnp.sum(xi * ((1 + a) / amplitude) * on_kicked)
    moved = steps.step_state(state, settings, c, s, jax.lax.stop_gradient(force), xi)
    return Shadow(moved, noise, shadow.offset, -on_kicked), score
