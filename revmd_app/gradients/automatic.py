"""JAX's own differentiation of the same steps: reverse mode, with and without checkpoints, and forward mode."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from revmd_app.gradients.estimate import Estimator, Sample, flat_leaves, rebuild
from revmd_app.gradients.reversible import pathwise_sample

MANY_PARAMETERS = 64
"""Beyond this, methods whose cost grows with the number of parameters are refused."""


@dataclass
class ReverseMode(Estimator):
    """Reverse-mode AD of the whole trajectory: exact, and stores every step."""

    name = "reverse_mode"

    def build(self, experiment, potential):
        return pathwise_sample(experiment, potential, "reverse_mode")

    def force_evaluations(self, experiment, n_parameters):
        return 2 * experiment.n_steps


@dataclass
class Checkpointed(Estimator):
    """Reverse-mode AD with checkpoints every sqrt(n) steps: the memory of sqrt(n) steps for one more forward run."""

    name = "checkpointed"

    def build(self, experiment, potential):
        return pathwise_sample(experiment, potential, "checkpointed")

    def force_evaluations(self, experiment, n_parameters):
        return 3 * experiment.n_steps


@dataclass
class ForwardMode(Estimator):
    """Forward-mode AD: exact, no memory, one tangent a parameter. The right tool for up to three parameters."""

    name = "forward_mode"

    def refusal(self, experiment, potential):
        return too_many_parameters(self.name, potential)

    def build(self, experiment, potential):
        make = rebuild(potential)

        def sample(leaves, state, key) -> Sample:
            n = leaves.size

            def loss(both):
                series = experiment.series(
                    make(both[:n]), state, key, observed_potential=make(both[n:]), method="forward_mode"
                )
                value = experiment.value(series)
                return value, (value, experiment.reported(series))

            both = jnp.concatenate([leaves, leaves])
            gradient, (value, reported) = jax.jacfwd(loss, has_aux=True)(both)
            return Sample(value, gradient[n:], gradient[:n], reported)

        return sample

    def force_evaluations(self, experiment, n_parameters):
        return experiment.n_steps * (1 + 2 * n_parameters)


def too_many_parameters(name: str, potential) -> str | None:
    """The sentence that refuses a potential with too many parameters, or None."""
    n = flat_leaves(potential).size
    if n <= MANY_PARAMETERS:
        return None
    return (
        f"{name} costs at least one run a parameter, and this potential has {n}; use the reversible estimator instead."
    )
