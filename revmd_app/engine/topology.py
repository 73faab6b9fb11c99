"""Columns of a bond or angle table: how values get from atoms to terms and back, without gathering or scattering.

Molecules repeat, so a column of atom indices is mostly a few runs (start, count, step): 0, 1, 2, … or 216, 218, 220, ….
A run is read by a strided slice and written by padding, which are elementwise, fast, and add in the same order on every
device. A column without such a pattern falls back on its indices.
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

Runs = tuple[tuple[int, int, int], ...]
MOST_RUNS = 8
"""Beyond so many runs a column counts as one without a pattern."""


class Column(eqx.Module):
    """One column of a table of atom indices; `runs` describes it where it has a pattern."""

    index: Int32[Array, " terms"]
    runs: Runs | None = eqx.field(static=True)

    def take(self, values: Array) -> Array:
        """(3, terms) from (3, N): each term's atom."""
        if self.runs is None:
            return values[:, self.index]
        pieces = [values[:, start : start + (count - 1) * step + 1 : step] for start, count, step in self.runs]
        return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces, axis=1)

    def put(self, contributions: Float[Array, "3 terms"], n_atoms: int) -> Float[Array, "3 atoms"]:
        """(3, N) from (3, terms): the sum of each atom's terms."""
        if self.runs is None:
            return jnp.zeros((3, n_atoms), contributions.dtype).at[:, self.index].add(contributions)
        zero, parts, first = jnp.zeros((), contributions.dtype), [], 0
        for start, count, step in self.runs:
            end = start + (count - 1) * step + 1
            where = ((0, 0, 0), (start, n_atoms - end, step - 1))
            parts.append(jax.lax.pad(contributions[:, first : first + count], zero, where))
            first += count
        return functools.reduce(jnp.add, parts)


def find_runs(column) -> Runs | None:
    """The runs (start, count, step), step > 0, of a column of indices; None when it has no short description."""
    column, first = np.asarray(column), 0
    runs: list[tuple[int, int, int]] = []
    while first < len(column):
        if len(runs) == MOST_RUNS:
            return None
        step = max(int(column[first + 1] - column[first]), 1) if first + 1 < len(column) else 1
        line = column[first] + step * np.arange(len(column) - first)
        broken = np.flatnonzero(column[first:] != line)
        count = int(broken[0]) if len(broken) else len(line)
        runs.append((int(column[first]), count, step))
        first += count
    return tuple(runs) or None


def expanded(runs: Runs) -> np.ndarray:
    """The column of indices that `find_runs` described."""
    return np.concatenate([start + step * np.arange(count) for start, count, step in runs])
