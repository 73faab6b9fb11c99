"""One run, and from each of its samples a walk back in time, with what the adjoint has gathered recorded on the way.

The gradient that is cut k steps before each sample (Greener's truncation) is what the walk has gathered after k steps.
So one walk to the longest of them gives every truncation length at once, and shows how |dL/dv| and |dL/dx| grow on
the way. The same samples give the reweighting estimate, so that the two gradients differ by method alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine import adjoint as sweeps
from revmd_app.engine import loops
from revmd_app.engine.adjoint import Adjoint, observed
from revmd_app.engine.neighbours import make_plan
from revmd_app.engine.simulate import SimulationError, tape_capacity
from revmd_app.gradients.estimate import Experiment, flat_leaves, rebuild

isarray = eqx.is_inexact_array


class Walk(NamedTuple):
    """What one run gives. `edges` are numbers of steps back, increasing.

    `gathered[s, k]` is the response part of dL/dtheta that sample s contributes within edges[k] steps; the sum over s
    is the gradient truncated there. `log_mu` and `log_lam` are log |dL/dv| and log |dL/dx| of each sample's share in
    L at the edges (-inf where it is zero). `influence` is (dL/dO) . O of each sample times their number, whose
    covariance with `energy_slope` (dU/dtheta) is what reweighting needs.
    """

    value: Any
    explicit: Any  # (P,)
    gathered: Any  # (samples, edges, P)
    log_mu: Any  # (samples, edges)
    log_lam: Any  # (samples, edges)
    influence: Any  # (samples,)
    energy_slope: Any  # (samples, P)

    def truncated(self, edge: int) -> np.ndarray:
        """(P,) the explicit part and the response within edges[edge] steps before each sample."""
        return self.explicit + self.gathered[:, edge].sum(axis=0)

    def reweighted(self, beta: float) -> np.ndarray:
        """(P,) by reweighting of the same samples: explicit part - beta cov(influence, dU/dtheta)."""
        n = len(self.influence)
        if n < 2:
            raise ValueError(f"reweighting needs at least two samples for a covariance, not {n}: sample more often.")
        around = self.influence - self.influence.mean()
        return self.explicit - beta * around @ self.energy_slope / (n - 1)


class Backward:
    """The compiled walk of an experiment; parameters, noise, start and edges are its arguments, and never recompile."""

    def __init__(self, experiment: Experiment, potential, reach: int, lead: int = 0):
        """`reach` is how many steps a walk may have; a run makes `lead` steps before it counts its samples.

        With a lead as long as the reach every walk is whole; with none the first ones end at the start, as those of a
        truncated `simulate` do.
        """
        self.experiment = experiment
        self.make = rebuild(potential)
        self.reach, self.lead = reach, lead
        self.plan = make_plan(experiment.system, potential, experiment.settings)
        self.capacity = tape_capacity(experiment.settings, experiment.n_steps + lead)
        self._program = jax.jit(self._run)

    def __call__(self, leaves, key, edges, start=None) -> Walk:
        """One run at the flat parameters (P,); `edges` (steps back) must increase and not exceed the reach.

        `start` is a (box (3,) in nm, state) to begin with in place of the experiment's. Raises `SimulationError` when
        the run cannot be trusted.
        """
        edges = np.asarray(edges, np.int64)
        if edges[-1] > self.reach or np.any(np.diff(edges) < 0) or edges[0] < 0:
            raise ValueError(f"edges must increase from 0 or more to at most {self.reach} steps, not {edges.tolist()}.")
        box, state = (self.experiment.system.box, self.experiment.state) if start is None else start
        walk = jax.tree.map(np.asarray, self._program(jnp.asarray(leaves), jnp.asarray(box), state, key, edges))
        if not np.isfinite(walk.value):
            raise SimulationError(
                "the run exploded, or the loss has no value there: use a smaller time step or milder parameters."
            )
        return walk

    def _run(self, leaves, box, state, key, edges) -> Walk:
        experiment, potential = self.experiment, self.make(leaves)
        system = experiment.system.with_box(box)
        world = loops.make_world(system, potential, experiment.settings, key, self.plan)
        moving = self._start(world, state)
        floor = moving.state.step
        moving = loops.go_forward(world, moving, floor + self.lead)
        moving, (series, slope, kept) = self._forward(world, moving)
        value, cotangents = jax.value_and_grad(experiment.value)(series)
        walk = lambda _, sample: (None, self._back(world, moving.tape, floor, edges, *sample))
        _, (explicit, gathered, log_mu, log_lam) = jax.lax.scan(walk, None, (cotangents, kept))
        return Walk(
            value=jnp.where(loops.trustworthy(moving), value, jnp.nan),
            explicit=explicit.sum(axis=0),
            gathered=gathered,
            log_mu=log_mu,
            log_lam=log_lam,
            influence=influence(experiment, series, cotangents),
            energy_slope=slope,
        )

    def _start(self, world, state):
        """The run's first carry: equilibrated, with an empty tape that is long enough for the way back."""
        n = world.system.n_atoms
        burning = loops.start_moving(world, state, loops.Tape.empty(1, n))
        burning = loops.go_forward(world, burning, state.step + self.experiment.equilibration_steps)
        fresh = loops.start_moving(world, burning.state, loops.Tape.empty(self.capacity, n))
        return fresh._replace(fastest=burning.fastest)

    def _forward(self, world, moving):
        """(final carry, (series of observables, of dU/dtheta (samples, P), states at the samples))."""
        experiment = self.experiment

        def to_sample(moving, _):
            moving = loops.go_forward(world, moving, moving.state.step + experiment.sample_every)
            moving = loops.with_valid_list(world, moving)
            view = loops.view(world, moving)
            seen = observed(experiment.observe, view, world.potential)
            slope = eqx.filter_grad(lambda potential: potential.energy(view))(world.potential)
            return moving, (seen, flat_leaves(slope), (moving.state, moving.tape.count))

        return jax.lax.scan(to_sample, moving, length=experiment.n_steps // experiment.sample_every)

    def _back(self, world, tape, floor, edges, cotangent, kept):
        """From one sample back: (explicit (P,), gathered (edges, P), log |mu| (edges,), log |lam| (edges,))."""
        state, count = kept
        moving = loops.start_moving(world, state, loops.Tape(tape.words, count))
        (lam, mu), direct = sweeps.pull_back(
            self.experiment.observe, loops.view(world, moving), world.potential, cotangent
        )
        adjoint = fresh_adjoint(world, lam, mu)

        def to_edge(carry, edge):
            moving, adjoint, log_scale, gathered = carry
            adjoint, log_scale = rescaled(adjoint, log_scale)
            target = jnp.maximum(state.step - edge, floor)
            moving, adjoint = loops.go_backward(world, moving, target, adjoint, on_step)
            gathered = gathered + jnp.exp(log_scale) * flat_leaves(adjoint.dynamics)
            adjoint = adjoint._replace(dynamics=jax.tree.map(jnp.zeros_like, adjoint.dynamics))
            norms = [log_scale + jnp.log(jnp.linalg.norm(x.astype(jnp.float64))) for x in (adjoint.mu, adjoint.lam)]
            return (moving, adjoint, log_scale, gathered), (gathered, *norms)

        on_step = lambda earlier, later, adjoint: sweeps.adjoint_step(world, earlier, later, adjoint)
        nothing = jnp.zeros_like(flat_leaves(world.potential))
        start = (moving, adjoint, jnp.asarray(0.0), nothing)
        _, (gathered, log_mu, log_lam) = jax.lax.scan(to_edge, start, edges)
        return flat_leaves(direct[0]), gathered, log_mu, log_lam


def walk_work(experiment: Experiment, reach: int, lead: int) -> float:
    """Force evaluations (or products that cost as much) of one run and the walks back from its samples."""
    samples = experiment.n_steps // experiment.sample_every
    return experiment.equilibration_steps + lead + experiment.n_steps + 3 * samples * reach


def fresh_adjoint(world, lam, mu) -> Adjoint:
    """The adjoint of one sample with nothing gathered yet; lam and mu are (3, N)."""
    dtype, shape = world.settings.dtype, lam.shape
    return Adjoint(
        lam=lam.astype(dtype)[None],
        mu=mu.astype(dtype)[None],
        dynamics=jax.tree.map(jnp.zeros_like, eqx.filter(world.potential, isarray)),
        temperature=jnp.zeros(shape, dtype),
        friction=jnp.zeros(shape, dtype),
    )


def rescaled(adjoint: Adjoint, log_scale):
    """The adjoint with (lam, mu) of norm 1 and the log of what they were divided by: it grows beyond any float."""
    size = jnp.sqrt(jnp.sum(adjoint.lam.astype(jnp.float64) ** 2) + jnp.sum(adjoint.mu.astype(jnp.float64) ** 2))
    size = jnp.where(size > 0, size, 1.0)
    shrink = lambda x: (x / size).astype(x.dtype)
    return adjoint._replace(lam=shrink(adjoint.lam), mu=shrink(adjoint.mu)), log_scale + jnp.log(size)


def influence(experiment: Experiment, series, cotangents):
    """(samples,) what each sample says about L: L(O_t) for losses of snapshots, N (dL/dO_t) . O_t for others."""
    if experiment.loss_of == "snapshots":
        return jax.vmap(experiment.loss)(series)
    n = jax.tree.leaves(series)[0].shape[0]
    products = jax.tree.map(lambda c, o: jnp.sum((c * o).reshape(n, -1), axis=1), cotangents, series)
    return n * sum(x.astype(jnp.float64) for x in jax.tree.leaves(products))
