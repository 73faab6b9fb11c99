"""Neighbour lists: built inside jit, valid by construction, and never silently too small.

The list of a block is a table [K, a] of atom indices, sorted down each column and padded with the atom itself. It is
compacted without sorting or scattering: the mask of near pairs is packed into 32-bit words, and the k-th neighbour is
found by counting bits. A list is valid while no atom has moved further than half the skin since it was built.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32

from revmd_app.engine.lattice import State
from revmd_app.engine.system import System
from revmd_app.potentials.kernels import Block, Neighbours

GATHERING = 4.0
"""What a pair of a list costs over a pair in the sum over all pairs (measured on one core): its atom is gathered."""

SAME_VOLUME = 0.08
"""Boxes whose volumes differ by less share a plan: capacity has room for much more (`Settings.capacity`)."""
PLANS_KEPT = 8

_PLANS: dict[tuple, tuple[tuple[float, Plan], ...]] = {}
"""Plans made in this process, with the volume (nm^3) that each was made for."""


class Plan(eqx.Module):
    """Which blocks get a list and how many columns each table has; all static. No blocks: sum over all pairs."""

    blocks: tuple[Block, ...] = eqx.field(static=True)
    capacities: tuple[int, ...] = eqx.field(static=True)
    skin: float = eqx.field(static=True)


class VerletList(eqx.Module):
    """The tables, where the atoms were when they were built, and whether a table was too small."""

    neighbours: Neighbours
    built_at: Int32[Array, "3 atoms"]
    overflowed: Bool[Array, ""]


def make_plan(system: System, potential, settings, capacity_box=None) -> Plan:
    """Decide on lists from the shapes and the density (`system.box` must be concrete, or pass `capacity_box`, nm)."""
    if capacity_box is None and isinstance(system.box, jax.core.Tracer):
        raise ValueError(
            "the box decides how long neighbour lists are and must be known when the program is compiled: make the "
            "system outside of jit."
        )
    box = np.asarray(system.box if capacity_box is None else capacity_box)
    blocks = tuple(potential.blocks(system))
    return _kept(blocks, settings, box) or _keep(blocks, settings, _new_plan(blocks, settings, box), box)


def _new_plan(all_blocks: tuple[Block, ...], settings, box: np.ndarray) -> Plan:
    use, volume, blocks = settings.neighbours, float(np.prod(box)), []
    for block in all_blocks:
        near = _expected(block, volume, settings)
        worth = GATHERING * near < block.b1 - block.b0 and 2 * (block.cutoff + settings.skin) < float(box.min())
        if use == "list" or (use == "auto" and worth):
            blocks += [block] if block.symmetric else [block, block.swapped]
    capacities = tuple(_capacity(b, volume, settings) for b in blocks)
    return Plan(blocks=tuple(blocks), capacities=capacities, skin=settings.skin)


def _kept(blocks: tuple[Block, ...], settings, box: np.ndarray) -> Plan | None:
    """A plan that was made before for a box of nearly this volume, so that a barostat's next box compiles nothing.

    The bits of a force do not depend on how long a list is, and one that is too short is an error still.
    """
    volume = float(np.prod(box))
    kept = _PLANS.get(_shape(blocks, settings), ())
    return next((plan for made_for, plan in kept if abs(volume / made_for - 1) < SAME_VOLUME), None)


def _keep(blocks: tuple[Block, ...], settings, plan: Plan, box: np.ndarray) -> Plan:
    shape = _shape(blocks, settings)
    _PLANS[shape] = (*_PLANS.get(shape, ())[-PLANS_KEPT + 1 :], (float(np.prod(box)), plan))
    return plan


def _shape(blocks: tuple[Block, ...], settings) -> tuple:
    return blocks, settings.neighbours, settings.skin, settings.capacity


def _expected(block: Block, volume: float, settings) -> float:
    """Neighbours of an atom at the block's mean density."""
    return (block.b1 - block.b0) * 4 / 3 * math.pi * (block.cutoff + settings.skin) ** 3 / volume


def _capacity(block: Block, volume: float, settings) -> int:
    wanted = settings.capacity * _expected(block, volume, settings) + 8
    return int(min(math.ceil(wanted / 8) * 8, math.ceil((block.b1 - block.b0) / 8) * 8))


def build(plan: Plan, system: System, state: State) -> VerletList:
    """Tables for the current positions."""
    lattice = (state.position >> 32).astype(jnp.int32)
    made = [_table(block, k, plan.skin, system, lattice) for block, k in zip(plan.blocks, plan.capacities, strict=True)]
    tables, longest = tuple(table for table, _ in made), tuple(count for _, count in made)
    full = [count > capacity for count, capacity in zip(longest, plan.capacities, strict=True)]
    overflowed = jnp.any(jnp.array(full)) if made else jnp.asarray(False)
    return VerletList(Neighbours(blocks=plan.blocks, tables=tables, longest=longest), lattice, overflowed)


def is_valid(plan: Plan, system: System, verlet: VerletList, position) -> Bool[Array, ""]:
    """True while no atom has moved more than half the skin (without blocks: always)."""
    if not plan.blocks:
        return jnp.asarray(True)
    moved = ((position >> 32).astype(jnp.int32) - verlet.built_at).astype(jnp.float32)
    moved = moved * (system.box / 2.0**32).astype(jnp.float32)[:, None]
    return jnp.max(jnp.sum(moved * moved, axis=0)) < (0.499 * plan.skin) ** 2


def _table(block: Block, capacity: int, skin: float, system: System, lattice):
    words = _near_words(block, skin, system, lattice)
    counts = jax.lax.population_count(words).astype(jnp.int32)
    ends = jnp.cumsum(counts, axis=0)  # (words, a): neighbours up to and including each word
    total = ends[-1]
    here = jnp.arange(block.a0, block.a1, dtype=jnp.int32)

    def kth(k):
        word = jnp.sum(ends <= k, axis=0)  # the word that holds neighbour k
        column = jnp.arange(total.shape[0])
        inside = jnp.minimum(word, words.shape[0] - 1)
        before = ends[inside, column] - counts[inside, column]
        bit = _select_bit(words[inside, column], k - before)
        return jnp.where(k < total, block.b0 + 32 * word.astype(jnp.int32) + bit, here)

    return jax.lax.map(kth, jnp.arange(capacity, dtype=jnp.int32)), jnp.max(total)


def _near_words(block: Block, skin: float, system: System, lattice):
    """(words, a) uint32: bit m of word n says whether atom b0 + 32 n + m is near. Pairs of one molecule are left
    out."""
    n_b = block.b1 - block.b0
    n_words = -(-n_b // 32)
    unit = (system.box / 2.0**32).astype(jnp.float32)
    limit = jnp.float32((block.cutoff + skin) ** 2)
    ours, theirs = lattice[:, block.a], jnp.pad(lattice[:, block.b], ((0, 0), (0, 32 * n_words - n_b)))
    our_molecule = system.molecule[block.a]
    their_molecule = jnp.pad(system.molecule[block.b], (0, 32 * n_words - n_b), constant_values=-1)

    def word(n):
        them = jax.lax.dynamic_slice(theirs, (0, 32 * n), (3, 32))
        molecules = jax.lax.dynamic_slice(their_molecule, (32 * n,), (32,))
        d = [(ours[c][None] - them[c][:, None]).astype(jnp.float32) * unit[c] for c in range(3)]
        inside = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < limit) & (our_molecule[None] != molecules[:, None])
        inside = inside & (molecules >= 0)[:, None]
        bits = jnp.where(inside, jnp.uint32(1) << jnp.arange(32, dtype=jnp.uint32)[:, None], jnp.uint32(0))
        return jnp.sum(bits, axis=0, dtype=jnp.uint32)

    return jax.lax.map(word, jnp.arange(n_words))


def _select_bit(word, rank):
    """Position of the set bit of this rank (0: the lowest) in each 32-bit word, by bisection on bit counts."""
    position = jnp.zeros(word.shape, jnp.int32)
    for width in (16, 8, 4, 2, 1):
        low = (word >> position.astype(jnp.uint32)) & jnp.uint32((1 << width) - 1)
        count = jax.lax.population_count(low).astype(jnp.int32)
        beyond = rank >= count
        rank = jnp.where(beyond, rank - count, rank)
        position = jnp.where(beyond, position + width, position)
    return position
