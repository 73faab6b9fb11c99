"""Integrator settings and the exact Langevin-middle step, forward and backward."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

PRECISIONS = ("float32", "float64")


def _traced(default):
    return eqx.field(converter=lambda x: jnp.asarray(x, dtype=jnp.float64), default=default)


class Settings(eqx.Module):
    """Langevin dynamics (friction 0: NVE) in the Langevin-middle splitting of one force evaluation a step.

    `dt` in ps, `temperature` in K, `friction` in 1/ps: traced, so that changing them never recompiles. `precision` is
    that of the forces ("float32" or "float64"); the state is exact in both. `neighbours` is "dense" (all pairs),
    "list", or "auto" (a list where it pays). `skin` (nm) and `capacity` (a factor on the expected number) shape the list.
    """

    dt: Float[Array, ""] = _traced(0.002)
    temperature: Float[Array, ""] = _traced(300.0)
    friction: Float[Array, ""] = _traced(1.0)
    precision: str = eqx.field(static=True, kw_only=True, default="float32")
    neighbours: str = eqx.field(static=True, kw_only=True, default="auto")
    skin: float = eqx.field(static=True, kw_only=True, default=0.12)
    capacity: float = eqx.field(static=True, kw_only=True, default=1.35)

    def __check_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not '{self.precision}'.")
        if self.neighbours not in ("auto", "dense", "list"):
            raise ValueError(f"neighbours must be auto, dense or list, not '{self.neighbours}'.")

    @property
    def dtype(self):
        return jnp.float32 if self.precision == "float32" else jnp.float64
