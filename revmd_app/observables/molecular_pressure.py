"""The pressure of a molecular liquid from the forces between its molecules, and the density that follows from it.

The atomic virial holds the springs inside the molecules, whose fluctuations are thousands of bar and whose average a
time step of 1 fs distorts. Scaling the box and the *centres* of the molecules, which keep their shape, leaves them out:

    P = N k T / V - (1/3V) dU/ds,      N molecules; s: box and centres become (1 + s) times as large

(G. Ciccotti and J. P. Ryckaert, Comput. Phys. Rep. 4, 346, 1986). Both have the same mean in equilibrium.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from revmd_app import units
from revmd_app._types import Scalar
from revmd_app.engine.barostat import scaled_molecules
from revmd_app.engine.lattice import Snapshot
from revmd_app.observables.thermodynamics import density, volume


def molecular_virial(snapshot: Snapshot, n_molecules: int) -> Scalar:
    """-dU/ds (kJ/mol) when box and molecular centres grow by the factor 1 + s and no molecule changes its shape.

    Carries derivatives. Raises `ValueError` when the snapshot has no potential.
    """
    if snapshot.potential is None:
        raise ValueError("this snapshot has no potential: make it with to_snapshot(..., potential=...).")
    inside = scaled_molecules(snapshot.system, n_molecules, snapshot.unwrapped, 0.0).astype(snapshot.dtype)
    at_rest = jnp.zeros_like(inside) if snapshot.offset is None else snapshot.offset
    strain = jnp.zeros((3, 3), snapshot.dtype) if snapshot.strain is None else snapshot.strain
    deformed = lambda s: (at_rest - s * inside, strain + s * jnp.eye(3, dtype=snapshot.dtype))

    def energy(s):
        where = lambda x: (x.offset, x.strain)
        there = eqx.tree_at(where, snapshot, deformed(s), is_leaf=lambda x: x is None)
        return snapshot.potential.energy(there)

    return -jax.grad(energy)(jnp.zeros((), snapshot.dtype))


def molecular_pressure(snapshot: Snapshot, n_molecules: int, temperature) -> Scalar:
    """The pressure (bar) as one snapshot has it, at a temperature (K) that is imposed, not read from velocities."""
    ideal = n_molecules * snapshot.system.boltzmann * temperature
    return units.BAR_PER_PRESSURE_UNIT * (ideal + molecular_virial(snapshot, n_molecules) / 3) / volume(snapshot)


def density_at_pressure(snapshot: Snapshot, n_molecules: int, temperature, pressure, compressibility) -> Scalar:
    """The density (g/cm³) that the liquid would have at `pressure` (bar), as one snapshot in a fixed box has it.

        ρ (1 - κ (P - pressure)),      κ the isothermal compressibility (1/bar)

    To first order in P - pressure its mean does not depend on the box, and its derivative with respect to a parameter
    is dρ/dθ at constant pressure = -κ ρ (dP/dθ) at constant volume: a density that can be trained in a frozen box.
    """
    excess = molecular_pressure(snapshot, n_molecules, temperature) - pressure
    return density(snapshot) * (1 - compressibility * excess)
