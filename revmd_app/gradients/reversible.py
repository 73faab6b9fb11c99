"""The gradient through the trajectory by running time backwards: exact, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from revmd_app.gradients.estimate import Estimator, Sample, rebuild


def pathwise_sample(experiment, potential, method: str, truncate=None):
    """f(leaves, state, key) -> Sample: reverse-mode AD through `simulate`, explicit and response part apart."""
    make = rebuild(potential)

    def sample(leaves, state, key) -> Sample:
        def loss(dynamics, seen):
            series = experiment.series(
                make(dynamics), state, key, observed_potential=make(seen), method=method, truncate=truncate
            )
            return experiment.value(series), experiment.reported(series)

        differentiate = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        (value, reported), (response, explicit) = differentiate(leaves, leaves)
        return Sample(value, explicit, response, reported)

    return sample


@dataclass
class Reversible(Estimator):
    """dL/dtheta by the reverse sweep (Greener, PNAS 2025), optionally truncated to so many steps before each sample.

    Exact for any loss of the series. Its size grows with the trajectory's Lyapunov exponent: truncation trades that
    variance for a bias.
    """

    truncate: int | None = None
    name = "reversible"

    def build(self, experiment, potential):
        return pathwise_sample(experiment, potential, "reversible", self.truncate)

    def force_evaluations(self, experiment, n_parameters):
        n = experiment.n_steps
        back = n if self.truncate is None else min(n, self.truncate * n // experiment.sample_every)
        return n + 2 * back
