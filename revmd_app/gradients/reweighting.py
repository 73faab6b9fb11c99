"""Ensemble reweighting: the derivative of an average from fluctuations, without a derivative of the trajectory.

In the canonical ensemble d<O>/dtheta = <dO/dtheta> - beta cov(O, dU/dtheta). Sources: Norgaard, Ferkinghoff-Borg &
Lindorff-Larsen, Biophys. J. 94, 182 (2008); Thaler & Zavadlav, Nat. Commun. 12, 6884 (2021) (DiffTRe).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from revmd_app.gradients.estimate import Estimator, Sample, rebuild

IN_TIME = (
    "reweighting knows averages over the ensemble only: this loss depends on the order of its samples in time (as a "
    "VACF or a diffusion coefficient does), and the Boltzmann weight of a configuration says nothing about dynamics."
)
NO_BATH = (
    "reweighting needs a canonical ensemble: with friction 0 the run keeps its energy instead of a temperature; use a "
    "friction above 0."
)


@dataclass
class Reweighting(Estimator):
    """d<O>/dtheta = <dO/dtheta> - beta cov(O, dU/dtheta) over one run's samples, with the unbiased N/(N-1).

    Treats losses of averages ("average") and averages of losses
    ("snapshots"). Noisy when few samples are independent: the
    covariance is of an extensive energy.
    """

    name = "reweighting"

    def refusal(self, experiment, potential):
        if experiment.loss_of == "series":
            return IN_TIME
        if float(experiment.settings.friction) == 0:
            return NO_BATH
        if experiment.n_steps // experiment.sample_every < 2:
            return "reweighting needs at least two samples for a covariance: sample more often or run longer."
        return None

    def build(self, experiment, potential):
        make = rebuild(potential)
        per_snapshot = experiment.loss_of == "snapshots"

        def observe(snapshot):
            observed = experiment.observe(snapshot)
            weighed = experiment.loss(observed) if per_snapshot else observed
            return weighed, snapshot.potential.energy(snapshot), jax.lax.stop_gradient(observed)

        def sample(leaves, state, key) -> Sample:
            run = lambda seen: experiment.series(
                make(leaves), state, key, observe=observe, observed_potential=make(seen), truncate=0
            )
            (observed, energy, seen), pull = jax.vjp(run, leaves)
            beta = 1 / (experiment.system.boltzmann * experiment.settings.temperature)

            def loss(observed, energy):
                average = weighted_average(observed, -beta * without_value(energy))
                return average if per_snapshot else experiment.loss(average)

            value, (on_observed, on_energy) = jax.value_and_grad(loss, argnums=(0, 1))(observed, energy)
            zero = jax.tree.map(jnp.zeros_like, (on_observed, on_energy, seen))
            (explicit,) = pull((on_observed, *zero[1:]))
            (response,) = pull((zero[0], on_energy, zero[2]))
            return Sample(value, explicit, response, experiment.reported(seen))

        return sample

    def force_evaluations(self, experiment, n_parameters):
        return experiment.n_steps + experiment.n_steps // experiment.sample_every


def without_value(x):
    """x - x, keeping the derivative."""
    return x - jax.lax.stop_gradient(x)


def weighted_average(samples, log_weights):
    """sum_t w_t O_t with w = softmax(log weights), over the first axis of every leaf.

    The derivative in the log weights is the covariance with N/(N-1), so that with equal weights it is unbiased.
    """
    n = log_weights.shape[0]
    unbiased = log_weights + without_value(log_weights) / (n - 1)
    weights = jax.nn.softmax(unbiased)
    return jax.tree.map(lambda x: jnp.tensordot(weights.astype(x.dtype), x, axes=1), samples)


def effective_sample_size(log_weights) -> jax.Array:
    """exp(entropy) of the normalised weights: how many samples still count when reused at other parameters."""
    log_w = jax.nn.log_softmax(log_weights)
    return jnp.exp(-jnp.sum(jnp.where(jnp.isfinite(log_w), jnp.exp(log_w) * log_w, 0.0)))
