"""Radial distribution functions g(r): a smooth one that can be differentiated, and the plain histogram.

Both are one formula with two kernels. Every pair distance d adds a weight w_k(d) to bin k, and

    g_k = V / N_pairs * sum_pairs w_k(d) / integral w_k(r) A(r) dr,       A(r) = 4 pi r^2,

so the denominator is what an ideal gas of the same pairs gives *in the same bin with the same kernel*: g is exactly 1
on average for independent atoms, at every bin and for every kernel. N_pairs counts the pairs that exist, N(N-1)/2 for
one species and N_a N_b for two, less the pairs within a molecule: the convention of the N-1 *other* atoms. (The
convention with N^2/2 differs by 1/N and tends to 1 - 1/N.) Beyond half a box edge A(r) is reduced to the part of
the sphere inside the cell.

The plain histogram puts weight 1 in the bin of d. The smooth one spreads d over four bins with the cubic B-spline
(Hockney and Eastwood, Computer Simulation Using Particles, 1988): twice continuously differentiable, its weights
add to 1, its standard deviation is bin/sqrt(3). A Gaussian of any width may follow.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app.engine.lattice import Snapshot
from revmd_app.observables.thermodynamics import volume

PAIRS_AT_ONCE = 1 << 18
"""Pairs whose distances exist at one time: bounds the memory of large systems."""

# Weights of the bins that a distance touches, as polynomials in its position u in [0, 1) within a bin:
# row j holds the coefficients of u^0, u^1, ... for the j-th bin touched.
_KERNELS = {
    "histogram": np.array([[1.0]]),
    "cubic": np.array([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]) / 6,
}


class RadialDistributionFunction(eqx.Module):
    """The smooth g(r) between species a and b: `rdf(snapshot)` is a (bins,) array on the grid `rdf.r` (nm).

    `r_max` (nm) may be at most half the shortest box edge. `n_bins` bins of equal width have their centres at `r`.
    `smoothing` (nm) is the standard deviation of a Gaussian on top of the B-spline's own bin/sqrt(3). Pairs within a
    molecule do not count. Differentiable in the positions (`snapshot.offset`), the strain, and the box.
    Raises `ValueError` for an unknown species or an r_max that is too large.
    """

    a: str = eqx.field(static=True, default="all")
    b: str = eqx.field(static=True, default="all")
    r_max: float = eqx.field(static=True, kw_only=True)
    n_bins: int = eqx.field(static=True, kw_only=True, default=200)
    smoothing: float = eqx.field(static=True, kw_only=True, default=0.0)

    def __check_init__(self):
        _check_grid(self.r_max, self.n_bins)
        if self.smoothing < 0:
            raise ValueError(f"the smoothing is a width in nm and cannot be negative, as {self.smoothing} is.")

    @property
    def r(self) -> np.ndarray:
        """(bins,) centres of the bins, nm."""
        return bin_centres(self.r_max, self.n_bins)

    def __call__(self, snapshot: Snapshot) -> Float[Array, " bins"]:
        _check(snapshot, self.a, self.b, self.r_max)
        return _rdf(snapshot, self.a, self.b, self.r_max, self.n_bins, "cubic", self.smoothing, PAIRS_AT_ONCE)


def rdf_histogram(snapshot: Snapshot, a: str = "all", b: str = "all", *, r_max: float, n_bins: int = 200):
    """The plain histogram g(r), (bins,), on `bin_centres(r_max, n_bins)`: fast, and without a gradient.

    Same arguments, normalisation and errors as `RadialDistributionFunction`.
    """
    _check_grid(r_max, n_bins)
    _check(snapshot, a, b, r_max)
    return jax.lax.stop_gradient(_rdf(snapshot, a, b, r_max, n_bins, "histogram", 0.0, PAIRS_AT_ONCE))


def bin_centres(r_max: float, n_bins: int) -> np.ndarray:
    """(n_bins,) centres (nm) of n_bins equal bins on [0, r_max]."""
    return (np.arange(n_bins) + 0.5) * (r_max / n_bins)


def coordination_number(r, g, number_density, up_to):
    """Mean number of neighbours within `up_to` (nm): the integral of 4 pi r^2 rho g, with rho of species b in nm^-3."""
    shells = 4 * np.pi * r**2 * (r[1] - r[0])
    return number_density * jnp.sum(jnp.where(jnp.asarray(r) < up_to, jnp.asarray(g) * shells, 0.0))


def _check_grid(r_max, n_bins):
    if not r_max > 0:
        raise ValueError(f"r_max must be a positive distance, not {r_max}.")
    if n_bins < 2:
        raise ValueError(f"a radial distribution function needs at least 2 bins, not {n_bins}.")


def _check(snapshot, a, b, r_max):
    for species in (a, b):
        snapshot.system.atoms(species)
    box = snapshot.system.box
    if isinstance(box, jax.core.Tracer):
        return  # the same sentence was, or will be, met outside jit
    half = float(np.min(np.asarray(box))) / 2
    if r_max > half * (1 + 1e-9):
        raise ValueError(
            f"r_max {r_max:.4g} exceeds half the box ({half:.4g}): beyond it a shell is not whole; "
            f"use r_max <= {half:.4g} or a larger box."
        )


@eqx.filter_jit
def _rdf(snapshot, a, b, r_max, n_bins, kernel, smoothing, pairs_at_once):
    width, kernel = r_max / n_bins, _KERNELS[kernel]
    smooth, n_grid = _smoothing_matrix(n_bins, width, smoothing, len(kernel))
    counts, n_pairs = _spread_pairs(snapshot, a, b, width, n_grid, kernel, pairs_at_once)
    expected = _ideal_gas(snapshot, width, n_grid, kernel)
    return (volume(snapshot) / n_pairs) * (smooth @ counts) / (smooth @ expected)


def _smoothing_matrix(n_bins, width, smoothing, touched) -> tuple[np.ndarray, int]:
    """(n_bins, n_grid) normalised Gaussian weights; the grid runs past r_max as far as the kernels reach."""
    reach = int(np.ceil(4 * smoothing / width))
    n_grid = n_bins + reach + touched
    k, grid = np.arange(n_bins)[:, None], np.arange(n_grid)[None, :]
    if reach == 0:
        return (k == grid).astype(float), n_grid
    weights = np.exp(-0.5 * ((k - grid) * width / smoothing) ** 2) * (np.abs(k - grid) <= reach)
    return weights / weights.sum(axis=1, keepdims=True), n_grid


def _spread(distance, weight, width, n_grid, kernel):
    """(n_grid,) sum over distances of the kernel's weights; `weight` is 0 for a distance that does not count.

    The bins that a distance touches get polynomials of its position u within its bin, so it is enough to sum the
    powers of u by bin and combine the sums afterwards. All powers of one distance are added in one go: a row of four
    neighbouring numbers costs a scatter hardly more than one number.
    """
    touched, powers = kernel.shape
    left = (touched - 1) // 2  # bins touched to the left of the one that holds u
    position = distance / width - (0.5 if touched > 1 else 0.0)
    bin_index = jnp.floor(jax.lax.stop_gradient(position))
    u = position - bin_index
    index = jnp.where(weight, jnp.clip(bin_index, -1, n_grid) + 1, n_grid + 1).astype(jnp.int32).ravel()
    rows = jnp.stack([u.ravel() ** power for power in range(powers)], axis=-1)
    moments = jnp.zeros((n_grid + 2, powers), u.dtype).at[index].add(rows, mode="drop")
    by_bin = jnp.asarray(kernel) @ moments.T.astype(jnp.float64)  # (touched, 1 + n_grid + 1)
    by_bin = jnp.pad(by_bin[:, : n_grid + 1], ((0, 0), (touched, touched)))
    start = touched + 1 + left
    return sum(by_bin[j, start - j : start - j + n_grid] for j in range(touched))


def _spread_pairs(snapshot, a, b, width, n_grid, kernel, pairs_at_once):
    """The kernel's weights summed over the pairs of different molecules, (n_grid,), and the number of those pairs."""
    block, n_blocks = _pair_blocks(snapshot.system, a, b, pairs_at_once)
    molecule = snapshot.system.molecule

    def of_block(index):
        i, j, valid = block(index)
        valid = valid & (molecule[i] != molecule[j])
        vectors = snapshot.separations(i, j)
        r2 = jnp.sum(vectors * vectors, axis=0)
        distance = jnp.sqrt(jnp.where(valid, r2, 1.0))
        return _spread(distance, valid, width, n_grid, kernel), jnp.sum(valid)

    if n_blocks == 1:
        return of_block(0)
    total = (jnp.zeros(n_grid), jnp.asarray(0))
    add = lambda sums, index: (jax.tree.map(jnp.add, sums, jax.checkpoint(of_block)(index)), None)
    return jax.lax.scan(add, total, jnp.arange(n_blocks))[0]


def _pair_blocks(system, a, b, pairs_at_once):
    """A function from a block's index to its pairs (i, j, valid), and the number of blocks; each pair occurs once.

    One species: atom i with atom i + k (mod N) for k = 1 .. N/2. Two species: rows of a with all of b.
    """
    first, second = system.atoms(a), system.atoms(b)
    if first != second:
        n_rows, n_columns = first.stop - first.start, second.stop - second.start
        rows = min(n_rows, max(1, pairs_at_once // n_columns))

        def rectangle(index):
            i = index * rows + jnp.arange(rows)[:, None]
            valid = (i < n_rows) & jnp.ones((1, n_columns), bool)
            return first.start + jnp.minimum(i, n_rows - 1), second.start + jnp.arange(n_columns)[None, :], valid

        return rectangle, -(-n_rows // rows)

    n = first.stop - first.start
    shifts = min(max(n // 2, 1), max(1, pairs_at_once // n))

    def shifted(index):
        k = 1 + index * shifts + jnp.arange(shifts)[:, None]
        i = jnp.arange(n)[None, :]
        valid = (2 * k < n) | ((2 * k == n) & (i < n // 2))
        return first.start + i, first.start + (i + k) % n, valid

    return shifted, -(-max(n // 2, 1) // shifts)


def _ideal_gas(snapshot, width, n_grid, kernel):
    """(n_grid,) integral of each bin's weight times the area of the sphere inside the cell, nm^3."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    cells = np.arange(2 * n_grid + 6) * (width / 2)  # half bins: the kernels' pieces meet at bin edges or centres
    r = (cells[:, None] + (nodes + 1) * (width / 4)).ravel()
    w = np.tile(weights * (width / 4), len(cells))
    matrix = np.zeros((n_grid, len(r)))
    touched, powers = kernel.shape
    position = r / width - (0.5 if touched > 1 else 0.0)
    bin_index = np.floor(position).astype(int)
    u = position - bin_index
    for j in range(touched):
        k = bin_index - (touched - 1) // 2 + j
        inside = (k >= 0) & (k < n_grid)
        matrix[k[inside], np.arange(len(r))[inside]] += (w * sum(kernel[j, p] * u**p for p in range(powers)))[inside]
    return jnp.asarray(matrix) @ _area(r, snapshot.system.box)


def _area(r, box):
    """Area (nm^2) of the sphere of radius r about an atom that lies within the periodic cell."""
    caps = sum(4 * jnp.pi * r * jnp.maximum(r - edge / 2, 0.0) for edge in box)
    return jnp.maximum(4 * jnp.pi * r**2 - caps, 0.0)
