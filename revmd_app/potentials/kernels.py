"""The sums over pairs: energies, forces and the products of the reverse pass, over all pairs or a neighbour list."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp


class Block(NamedTuple):
    """Which pairs interact: atoms [a0, a1) with atoms [b0, b1), nearer than `cutoff` (nm), of different molecules."""

    a0: int
    a1: int
    b0: int
    b1: int
    cutoff: float

    @classmethod
    def of(cls, system, between, cutoff):
        a, b = (system.atoms(species) for species in between)
        return cls(a.start, a.stop, b.start, b.stop, float(cutoff))

    @property
    def symmetric(self) -> bool:
        return (self.a0, self.a1) == (self.b0, self.b1)


def pair_energy(potential, snapshot):
    """Sum over the pairs of a block of the truncated energy (kJ/mol)."""
    block = potential.block(snapshot.system)
    a, b = slice(block.a0, block.a1), slice(block.b0, block.b1)
    d = snapshot.all_separations(a, b)
    r2 = jnp.sum(d * d, axis=0)
    molecule = snapshot.system.molecule
    inside = (molecule[a, None] != molecule[None, b]) & (r2 < block.cutoff**2)
    u = potential._in(snapshot.dtype).squared_energy(jnp.where(inside, r2, block.cutoff**2 / 2))
    weights = potential.site_weights(snapshot.system)
    if weights is not None:
        weights = weights.astype(snapshot.dtype)
        u = u * weights[a, None] * weights[None, b]
    return jnp.sum(jnp.where(inside, u, 0.0)) * (0.5 if block.symmetric else 1.0)


def pair_forces(potential, snapshot):
    from revmd_app.potentials.base import Potential

    return Potential.forces(potential, snapshot)


def pair_force_vjp(potential, snapshot, w):
    from revmd_app.potentials.base import Potential

    return Potential.force_vjp(potential, snapshot, w)
