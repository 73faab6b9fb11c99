"""The sums over pairs: energies, forces and the products of the reverse pass, over all pairs or a neighbour list.

Everything goes through the radial force phi(r^2) = -u'(r)/r, so that F_i = sum_j phi d_ij with d_ij = r_i - r_j. The
reverse pass contracts forces with a vector w: with h = w . F and dw = w_i - w_j (the pair's two ends),

    dh/dx_i  = sum_j  phi dw + 2 phi'(r^2) (d . dw) d          dh/dtheta = sum_{i<j} dphi/dtheta (d . dw).

Two layouts, both with the atoms that receive the force in the fast axis, where XLA vectorises: *dense* reduces
(b, a) pair arrays over b; *list* walks down a [K, a] neighbour table. Forces over a list are added one neighbour after
the other, in the order of their index, and a padding entry adds exactly 0.0: any valid list gives the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

UNROLL = 4
"""Neighbours treated in one pass over the atoms; tables are padded to a multiple of 8."""


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

    @property
    def swapped(self) -> Block:
        return Block(self.b0, self.b1, self.a0, self.a1, self.cutoff)

    @property
    def a(self) -> slice:
        return slice(self.a0, self.a1)

    @property
    def b(self) -> slice:
        return slice(self.b0, self.b1)


class Neighbours(eqx.Module):
    """One [K, a] table of atom indices a block, each column sorted, padded with the atom itself."""

    blocks: tuple[Block, ...] = eqx.field(static=True)
    tables: tuple[jax.Array, ...]

    def table(self, block: Block):
        """The table of a block, or None when the list does not cover it."""
        return self.tables[self.blocks.index(block)] if block in self.blocks else None


def pair_energy(potential, snapshot):
    """Sum over the pairs of a block of the truncated energy (kJ/mol)."""
    block = potential.block(snapshot.system)
    weights = _weights(potential, snapshot)
    potential = potential._in(snapshot.dtype)
    table = _table(snapshot, block)
    if table is None:
        d, inside = _dense_vectors(snapshot, block)
        pair_weights = None if weights is None else weights[None, block.a] * weights[block.b, None]
    else:
        i = jnp.broadcast_to(jnp.arange(block.a0, block.a1), table.shape)
        d = snapshot.separations(i, table)
        inside = _dot(d, d) > 0
        pair_weights = None if weights is None else weights[i] * weights[table]
    r2 = _dot(d, d)
    inside = inside & (r2 < block.cutoff**2)
    u = potential.truncated_energy(jnp.sqrt(jnp.where(inside, r2, block.cutoff**2 / 4)))
    if pair_weights is not None:
        u = u * pair_weights
    return jnp.sum(jnp.where(inside, u, 0.0)) * (0.5 if block.symmetric else 1.0)


def pair_forces(potential, snapshot):
    """(3, N) forces of a pair potential (kJ/mol/nm)."""
    block = potential.block(snapshot.system)
    weights = _weights(potential, snapshot)
    potential = potential._in(snapshot.dtype)
    one_way = lambda block: _forces_on(potential, snapshot, block, weights)
    return _scatter(snapshot, block, one_way(block), None if block.symmetric else one_way(block.swapped))


def pair_force_vjp(potential, snapshot, w):
    """(J^T w, gradient of w . F in the parameters); see `Potential.force_vjp`."""
    block = potential.block(snapshot.system)
    weights = _weights(potential, snapshot)
    leaves, structure = jax.tree.flatten(eqx.filter(potential, eqx.is_inexact_array))
    potential = potential._in(snapshot.dtype)
    one_way = lambda block, grads: _products_on(potential, snapshot, block, weights, w, grads)
    on_a, gradient = one_way(block, True)
    on_b = None if block.symmetric else one_way(block.swapped, False)[0]
    share = 0.5 if block.symmetric else 1.0
    gradient = [(share * g).astype(leaf.dtype) for g, leaf in zip(gradient, leaves, strict=True)]
    return _scatter(snapshot, block, on_a, on_b), jax.tree.unflatten(structure, gradient)


def _weights(potential, snapshot):
    weights = potential.site_weights(snapshot.system)
    return None if weights is None else weights.astype(snapshot.dtype)


def _table(snapshot, block):
    return None if snapshot.neighbours is None else snapshot.neighbours.table(block)


def _scatter(snapshot, block, on_a, on_b):
    """Put the sums on the atoms of a (and of b) into a (3, N) array."""
    n = snapshot.system.n_atoms
    if block.symmetric and block.a1 - block.a0 == n:
        return on_a
    total = jnp.pad(on_a, ((0, 0), (block.a0, n - block.a1)))
    return total if on_b is None else total + jnp.pad(on_b, ((0, 0), (block.b0, n - block.b1)))


def _dot(d, e):
    return d[0] * e[0] + d[1] * e[1] + d[2] * e[2]


def _dense_vectors(snapshot, block):
    """Vectors r_a - r_b as (3, b, a), and which pairs are of different molecules."""
    molecule = snapshot.system.molecule
    different = molecule[None, block.a] != molecule[block.b, None]
    return -snapshot.all_separations(block.b, block.a), different


def _forces_on(potential, snapshot, block, weights):
    """Forces on the atoms of a from those of b."""
    table = _table(snapshot, block)
    if table is None:
        d, different = _dense_vectors(snapshot, block)
        phi = _phi(potential, d, different, block)
        if weights is not None:
            phi = phi * weights[block.b, None]
        force = jnp.sum(phi * d, axis=1)
    else:
        force = _list_forces(potential, snapshot, block, weights, table)
    return force if weights is None else force * weights[block.a]


def _phi(potential, d, allowed, block):
    r2 = _dot(d, d)
    inside = allowed & (r2 < block.cutoff**2)
    phi = potential.radial_force(jnp.where(inside, r2, block.cutoff**2 / 4))
    return jnp.where(inside, phi, 0.0)


def _list_forces(potential, snapshot, block, weights, table):
    here = jnp.arange(block.a0, block.a1)

    def add_neighbours(k, force):
        rows = jax.lax.dynamic_slice(table, (k * UNROLL, 0), (UNROLL, table.shape[1]))
        for row in rows:  # one after the other: the sum must not depend on how neighbours are grouped
            d = snapshot.separations(here, row) if snapshot.offset is not None else _columns(snapshot, block, row)
            phi = _phi(potential, d, _dot(d, d) > 0, block)
            if weights is not None:
                phi = phi * weights[row]
            force = [f + phi * x for f, x in zip(force, d, strict=True)]
        return force

    zero = jnp.zeros(table.shape[1], snapshot.dtype)
    passes = table.shape[0] // UNROLL
    if snapshot.offset is not None:  # somebody differentiates: a loop with a fixed length can be
        return jnp.stack(jax.lax.scan(lambda f, k: (add_neighbours(k, f), None), [zero] * 3, jnp.arange(passes))[0])
    return jnp.stack(jax.lax.fori_loop(0, passes, add_neighbours, [zero] * 3))


def _columns(snapshot, block, row):
    """Separations from the atoms of a to one neighbour each, with a read as a slice instead of gathered."""
    unit = snapshot.nm_per_bit
    lattice = snapshot.lattice
    return [(lattice[c, block.a] - lattice[c][row]).astype(snapshot.dtype) * unit[c] for c in range(3)]


def _products_on(potential, snapshot, block, weights, w, with_gradient):
    """(dh/dx on the atoms of a, [dh/dtheta] over all ordered pairs) for h = w . F."""
    table = _table(snapshot, block)
    if table is None:
        d, different = _dense_vectors(snapshot, block)
        dw = w[:, None, block.a] - w[:, block.b, None]
        factor = None if weights is None else weights[block.b, None]
        sums = _pair_products(potential, block, d, dw, different, factor, with_gradient)
        return _finish_products(potential, block, weights, sums, with_gradient)
    here = jnp.arange(block.a0, block.a1)
    rows_per_pass = 8

    def add_rows(k, sums):
        rows = jax.lax.dynamic_slice(table, (k * rows_per_pass, 0), (rows_per_pass, table.shape[1]))
        i = jnp.broadcast_to(here, rows.shape)
        d = snapshot.separations(i, rows)
        dw = w[:, None, block.a] - w[:, rows]
        factor = None if weights is None else weights[rows]
        return sums + _pair_products(potential, block, d, dw, _dot(d, d) > 0, factor, with_gradient)

    count = 3 + (_parameter_count(potential) if with_gradient else 0)
    zero = jnp.zeros((count, table.shape[1]), snapshot.dtype)
    sums = jax.lax.fori_loop(0, table.shape[0] // rows_per_pass, add_rows, zero)
    return _finish_products(potential, block, weights, sums, with_gradient)


def _parameter_count(potential):
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(potential, eqx.is_inexact_array)))


def _pair_products(potential, block, d, dw, allowed, factor, with_gradient):
    """Row sums over the first pair axis: three components of dh/dx, then one row a parameter."""
    r2 = _dot(d, d)
    inside = allowed & (r2 < block.cutoff**2)
    safe = jnp.where(inside, r2, block.cutoff**2 / 4)
    mask = jnp.where(inside, 1.0, 0.0).astype(r2.dtype)
    if factor is not None:
        mask = mask * factor
    along = _dot(d, dw)
    phi, slope = jax.jvp(potential.radial_force, (safe,), (jnp.ones_like(safe),))
    phi, slope = phi * mask, 2 * slope * along * mask
    rows = [jnp.sum(phi * dw[c] + slope * d[c], axis=0) for c in range(3)]
    if with_gradient:
        rows += _parameter_rows(potential, safe, along * mask)
    return jnp.stack(rows)


def _parameter_rows(potential, r2, cotangent):
    """Rows sum_j dphi/dtheta_k (d . dw), one a scalar parameter: each is a jvp, which XLA fuses with its sum."""
    leaves, structure = jax.tree.flatten(eqx.filter(potential, eqx.is_inexact_array))
    fixed = eqx.filter(potential, eqx.is_inexact_array, inverse=True)
    phi = lambda leaves: eqx.combine(jax.tree.unflatten(structure, leaves), fixed).radial_force(r2)
    rows = []
    for k, leaf in enumerate(leaves):
        for element in range(leaf.size):
            unit = jnp.zeros(leaf.size, leaf.dtype).at[element].set(1.0).reshape(leaf.shape)
            tangents = [unit if m == k else jnp.zeros_like(other) for m, other in enumerate(leaves)]
            rows.append(jnp.sum(jax.jvp(phi, (leaves,), (tangents,))[1] * cotangent, axis=0))
    return rows


def _finish_products(potential, block, weights, sums, with_gradient):
    if weights is not None:
        sums = sums * weights[block.a]
    if not with_gradient:
        return sums[:3], None
    totals = jnp.sum(sums[3:], axis=1)
    gradient, start = [], 0
    for leaf in jax.tree.leaves(eqx.filter(potential, eqx.is_inexact_array)):
        gradient.append(totals[start : start + leaf.size].reshape(leaf.shape))
        start += leaf.size
    return sums[:3], gradient
