"""The sums over pairs: energies, forces and the products of the reverse pass, over all pairs or a neighbour list.

Everything goes through the radial force phi(r^2) = -u'(r)/r, so that F_i = sum_j phi d_ij with d_ij = r_i - r_j. The
reverse pass contracts forces with a vector w: with h = w . F and dw = w_i - w_j (the pair's two ends),

    dh/dx_i  = sum_j  phi dw + 2 phi'(r^2) (d . dw) d          dh/dtheta = sum_{i<j} dphi/dtheta (d . dw).

Two layouts share one loop: pass after pass, every atom that receives a force meets one more atom. In the *dense*
layout it is the same one for all (an index), in the *list* layout each has its own (a row of the [K, a] neighbour
table). All arithmetic is elementwise over the receiving atoms, where XLA vectorises; a reduction over a pair axis
would not. Forces are added one neighbour after the other in the order of their index, and what is not in range adds
exactly 0.0: any valid list gives the same bits. Where somebody else differentiates (`snapshot.offset` is set), pair
arrays are formed and summed instead, which JAX can differentiate at leisure.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32


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
    """One [K, a] table of atom indices a block, each column sorted, padded with the atom itself.

    `longest` says how many rows of each table are in use.
    """

    blocks: tuple[Block, ...] = eqx.field(static=True)
    tables: tuple[Int32[Array, "_ _"], ...]
    longest: tuple[Int32[Array, ""], ...]


class Rows(NamedTuple):
    """Whom the atoms of a block meet: the same atom (dense) or one each (list)."""

    layout: str
    block: Block
    table: Int32[Array, "rows a"] | None
    n_rows: int | Int32[Array, ""]

    @classmethod
    def of(cls, snapshot, block: Block) -> Rows:
        """The rows of the neighbour list if it covers the block, otherwise all atoms of b."""
        listed = snapshot.neighbours
        if listed is None or block not in listed.blocks:
            return cls("dense", block, None, block.b1 - block.b0)
        at = listed.blocks.index(block)
        return cls("list", block, listed.tables[at], listed.longest[at])

    def met(self, k):
        """Indices of the atoms met in pass k: a scalar (dense) or one for each atom of a (list)."""
        return self.block.b0 + k if self.table is None else _row(self.table, k)

    def allowed(self, snapshot, k, r2):
        """Which of the pairs of pass k may interact: not an atom with itself, nor two of one molecule, nor padding."""
        if self.table is not None:
            return r2 > 0  # padding is the atom itself; molecules were left out when the list was built
        molecule = snapshot.system.molecule
        return molecule[self.block.a] != _pick(molecule, self.met(k))


def _row(table, k):
    return jax.lax.dynamic_index_in_dim(table, k, 0, keepdims=False)


def _pick(values, index):
    """values[..., index] for indices known to be in range: no clamping, no wrapping."""
    return values.at[..., index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def pair_energy(potential, snapshot):
    """Sum over the pairs of a block of the truncated energy (kJ/mol)."""
    block = potential.block(snapshot.system)
    d, allowed, weights = _pair_arrays(potential, snapshot, block)
    potential = potential._in(snapshot.dtype)
    r2, inside = _in_range(d, allowed, block)
    u = potential.truncated_energy(jnp.sqrt(r2))
    u = jnp.where(inside, u if weights is None else u * weights, 0.0)
    return jnp.sum(u) * (0.5 if block.symmetric else 1.0)


def pair_forces(potential, snapshot):
    """(3, N) forces of a pair potential (kJ/mol/nm)."""
    block = potential.block(snapshot.system)
    sums = _forces_on if snapshot.offset is None and snapshot.strain is None else _forces_on_from_arrays
    on_a = sums(potential, snapshot, block)
    return _scatter(snapshot, block, on_a, None if block.symmetric else sums(potential, snapshot, block.swapped))


def pair_force_vjp(potential, snapshot, w):
    """(J^T w, gradient of w . F in the parameters); see `Potential.force_vjp`."""
    block = potential.block(snapshot.system)
    leaves, structure = jax.tree.flatten(eqx.filter(potential, eqx.is_inexact_array))
    on_a, gradient = _products_on(potential, snapshot, block, w, leaves)
    on_b = None if block.symmetric else _products_on(potential, snapshot, block.swapped, w, [])[0]
    share = 0.5 if block.symmetric else 1.0
    gradient = [(share * g).astype(leaf.dtype) for g, leaf in zip(gradient, leaves, strict=True)]
    return _scatter(snapshot, block, on_a, on_b), jax.tree.unflatten(structure, gradient)


def _scatter(snapshot, block, on_a, on_b):
    """Put the sums on the atoms of a (and of b) into a (3, N) array."""
    n = snapshot.system.n_atoms
    if block.symmetric and block.a1 - block.a0 == n:
        return on_a
    total = jnp.pad(on_a, ((0, 0), (block.a0, n - block.a1)))
    return total if on_b is None else total + jnp.pad(on_b, ((0, 0), (block.b0, n - block.b1)))


def _dot(d, e):
    return d[0] * e[0] + d[1] * e[1] + d[2] * e[2]


def _in_range(d, allowed, block):
    """(r^2, with a harmless value where a pair is out of range; which pairs are in range)."""
    r2 = _dot(d, d)
    inside = allowed & (r2 < block.cutoff**2)
    return jnp.where(inside, r2, block.cutoff**2 / 4), inside


def _site_weights(potential, snapshot):
    weights = potential.site_weights(snapshot.system)
    return None if weights is None else weights.astype(snapshot.dtype)


# ------------------------------------------------------------------------------------------------------- loop layout


def _separation(snapshot, block, met):
    """Components of r_a - r_met for the atoms of a."""
    unit, lattice = snapshot.nm_per_bit, snapshot.lattice
    return [(lattice[c, block.a] - _pick(lattice[c], met)).astype(snapshot.dtype) * unit[c] for c in range(3)]


def _passes(rows: Rows, terms, n_sums: int, dtype):
    """(n_sums, a): the sum over all rows k of the n_sums arrays `terms(k)`.

    XLA's CPU back end gives every loop one result, so each sum would compute the pair's terms anew: two sums travel
    as one complex number and share them. The loop is never unrolled: copies of one line may be rounded differently
    (one with a fused multiply-add, another without), and a neighbour's place in a list depends on when the list was
    built. Larger passes are also cut up among threads by XLA, which costs more than it saves.
    """

    def meet(k, sums):
        new = list(terms(k))
        new += [jnp.zeros_like(new[0])] * (n_sums % 2)
        return [s + jax.lax.complex(x, y) for s, x, y in zip(sums, new[::2], new[1::2], strict=True)]

    zero = jnp.zeros(rows.block.a1 - rows.block.a0, jnp.result_type(dtype, jnp.complex64))
    sums = jax.lax.fori_loop(0, rows.n_rows, meet, [zero] * ((n_sums + 1) // 2))
    return jnp.stack([part for s in sums for part in (s.real, s.imag)][:n_sums])


def _forces_on(potential, snapshot, block):
    """Forces on the atoms of a from those of b."""
    weights = _site_weights(potential, snapshot)
    potential = potential._in(snapshot.dtype)
    rows = Rows.of(snapshot, block)

    def terms(k):
        met = rows.met(k)
        d = _separation(snapshot, block, met)
        r2, inside = _in_range(d, rows.allowed(snapshot, k, _dot(d, d)), block)
        phi = jnp.where(inside, potential.radial_force(r2), 0.0)
        if weights is not None:
            phi = phi * _pick(weights, met)
        return [phi * x for x in d]

    force = _passes(rows, terms, 3, snapshot.dtype)
    return force if weights is None else force * weights[block.a]


def quick_pair_energy(potential, snapshot):
    """`pair_energy` as a loop over rows: no array of pairs is made, and no derivative can be taken."""
    block = potential.block(snapshot.system)
    weights = _site_weights(potential, snapshot)
    potential = potential._in(snapshot.dtype)
    rows = Rows.of(snapshot, block)

    def terms(k):
        met = rows.met(k)
        d = _separation(snapshot, block, met)
        r2, inside = _in_range(d, rows.allowed(snapshot, k, _dot(d, d)), block)
        u = jnp.where(inside, potential.truncated_energy(jnp.sqrt(r2)), 0.0)
        return [u if weights is None else u * _pick(weights, met)]

    on_a = _passes(rows, terms, 1, snapshot.dtype)[0]
    on_a = on_a if weights is None else on_a * weights[block.a]
    return jnp.sum(on_a) * (0.5 if block.symmetric else 1.0)


def _products_on(potential, snapshot, block, w, leaves):
    """(dh/dx on the atoms of a, [dh/dtheta] over all ordered pairs, one an entry of `leaves`) for h = w . F."""
    weights = _site_weights(potential, snapshot)
    potential = potential._in(snapshot.dtype)
    w = w.astype(snapshot.dtype)
    rows = Rows.of(snapshot, block)

    def terms(k):
        met = rows.met(k)
        d = _separation(snapshot, block, met)
        dw = [w[c, block.a] - _pick(w[c], met) for c in range(3)]
        allowed = rows.allowed(snapshot, k, _dot(d, d))
        factor = None if weights is None else _pick(weights, met)
        return _product_terms(potential, block, d, dw, allowed, factor, leaves)

    sums = _passes(rows, terms, 3 + sum(leaf.size for leaf in leaves), snapshot.dtype)
    if weights is not None:
        sums = sums * weights[block.a]
    return sums[:3], _split(jnp.sum(sums[3:], axis=1), leaves)


def _product_terms(potential, block, d, dw, allowed, factor, leaves):
    """What each pair adds to the three components of dh/dx and to every dh/dtheta."""
    r2, inside = _in_range(d, allowed, block)
    phi, slope = jax.jvp(potential.radial_force, (r2,), (jnp.ones_like(r2),))
    along = jnp.where(inside, _dot(d, dw), 0.0)
    phi = jnp.where(inside, phi, 0.0)
    if factor is not None:
        phi, along = phi * factor, along * factor
    slope = 2 * slope * along
    terms = [phi * dw[c] + slope * d[c] for c in range(3)]
    return terms + [along * rate for rate in _parameter_rates(potential, r2, leaves)]


def _parameter_rates(potential, r2, leaves):
    """dphi/dtheta for each scalar parameter: one jvp each, which fuses with the sum that follows."""
    if not leaves:
        return []
    values, structure = jax.tree.flatten(eqx.filter(potential, eqx.is_inexact_array))
    fixed = eqx.filter(potential, eqx.is_inexact_array, inverse=True)
    phi = lambda values: eqx.combine(jax.tree.unflatten(structure, values), fixed).radial_force(r2)
    rates = []
    for k, leaf in enumerate(values):
        for element in range(leaf.size):
            unit = jnp.zeros(leaf.size, leaf.dtype).at[element].set(1.0).reshape(leaf.shape)
            tangents = [unit if m == k else jnp.zeros_like(other) for m, other in enumerate(values)]
            rates.append(jax.jvp(phi, (values,), (tangents,))[1])
    return rates


def _split(totals, leaves):
    """A flat vector as arrays of the shapes of `leaves`."""
    parts, start = [], 0
    for leaf in leaves:
        parts.append(totals[start : start + leaf.size].reshape(leaf.shape))
        start += leaf.size
    return parts


# ------------------------------------------------------------------------------------------------------ array layout


def _pair_arrays(potential, snapshot, block):
    """(r_a - r_b as (3, rows, a), which pairs may interact, products of site weights or None)."""
    weights = _site_weights(potential, snapshot)
    rows = Rows.of(snapshot, block)
    if rows.table is None:
        molecule = snapshot.system.molecule
        d = -snapshot.all_separations(block.b, block.a)
        allowed = molecule[None, block.a] != molecule[block.b, None]
        return d, allowed, None if weights is None else weights[None, block.a] * weights[block.b, None]
    here = jnp.broadcast_to(jnp.arange(block.a0, block.a1), rows.table.shape)
    d = snapshot.separations(here, rows.table)
    pair_weights = None if weights is None else weights[here] * _pick(weights, rows.table)
    return d, rows.table != here, pair_weights


def _forces_on_from_arrays(potential, snapshot, block):
    d, allowed, weights = _pair_arrays(potential, snapshot, block)
    r2, inside = _in_range(d, allowed, block)
    phi = jnp.where(inside, potential._in(snapshot.dtype).radial_force(r2), 0.0)
    return jnp.sum((phi if weights is None else phi * weights) * d, axis=1)
