"""The neutral referee: central differences of whole simulations with common random numbers."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.gradients.automatic import too_many_parameters
from revmd_app.gradients.estimate import Estimator, Sample, rebuild


@dataclass
class FiniteDifference(Estimator):
    """(L(theta + h) - L(theta - h)) / 2h with the same noise on both sides, extrapolated from steps h and 2h.

    `relative_step` is h over |theta| (over 1 where theta is 0). Knows no difference between explicit and response part.
    Trajectories part exponentially, so long runs need a small h, and round-off forbids it: no step suits a chaotic run.
    """

    relative_step: float = 2e-5
    name = "finite_difference"

    def refusal(self, experiment, potential):
        return too_many_parameters(self.name, potential)

    def build(self, experiment, potential):
        make = rebuild(potential)

        def sample(leaves, state, key) -> Sample:
            loss = lambda leaves: experiment.value(experiment.series(make(leaves), state, key))
            steps = self.relative_step * jnp.where(leaves == 0, 1.0, jnp.abs(leaves))

            def slope(k):
                along = steps * (jnp.arange(leaves.size) == k)
                near, far = ((loss(leaves + m * along) - loss(leaves - m * along)) / (2 * m * steps[k]) for m in (1, 2))
                return (4 * near - far) / 3

            slopes = jax.lax.map(slope, jnp.arange(leaves.size))
            series = experiment.series(make(leaves), state, key)
            return Sample(experiment.value(series), jnp.full_like(slopes, jnp.nan), slopes, experiment.reported(series))

        return sample

    def combine(self, samples):
        return np.array([s.response for s in samples])

    def force_evaluations(self, experiment, n_parameters):
        return experiment.n_steps * (1 + 4 * n_parameters)
