"""Functions of a *series* of samples: mean squared displacement, velocity autocorrelation, diffusion, spectrum.

A series is what `simulate` returns for `observe=unwrapped_positions`, `observe=MolecularCentres.of(system, ...)` or
`observe=velocities`: (frames, 3, N), one frame every `interval` ps. Everything here is JAX in float64 and
differentiable. Averages run over atoms (or molecules) and over all time origins.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from revmd_app import units
from revmd_app._types import Scalar
from revmd_app.engine.lattice import Snapshot
from revmd_app.engine.system import System

SQUARE_METRES_PER_SECOND = 1e-6
"""1 nm²/ps in m²/s."""
WAVENUMBERS_PER_THZ = 33.35640951981521
"""1 THz (1/ps) in 1/cm: divided by the speed of light."""
MPA_SECONDS = 1.66053906660e-3
"""The viscosity 1 u/(nm ps) in mPa s."""
EWALD_OF_THE_CUBE = 2.837297
"""The constant of a cubic lattice of point forces (Yeh and Hummer 2004)."""


def unwrapped_positions(snapshot: Snapshot, species: str = "all") -> Float[Array, "3 atoms"]:
    """Positions (nm) that do not jump at the boundary, of one species: the sample for an MSD."""
    return snapshot.unwrapped[:, snapshot.system.atoms(species)]


def velocities(snapshot: Snapshot, species: str = "all") -> Float[Array, "3 atoms"]:
    """Velocities (nm/ps) of one species: the sample for a VACF."""
    return snapshot.velocity[:, snapshot.system.atoms(species)]


class MolecularCentres(eqx.Module):
    """The sample for the diffusion of molecules: `centres(snapshot)` is (3, molecules), nm, without jumps.

    Centres of mass of the atoms of some species, `MolecularCentres.of(system, "O", "H")`, or with `equal=True` their
    midpoints. Atoms that left the box on different sides are brought together first. Carries derivatives.
    """

    molecule: Int32[Array, " chosen"]  # 0, 1, 2, ... in the order in which the molecules first occur
    first: Int32[Array, " molecules"]  # each molecule's first atom, among those chosen
    species: tuple[str, ...] = eqx.field(static=True)
    equal: bool = eqx.field(static=True, default=False)

    @classmethod
    def of(cls, system: System, *species: str, equal: bool = False) -> MolecularCentres:
        """The centres of the molecules that the atoms of these species (default: all) belong to.

        Needs a concrete topology. Raises `ValueError` for a species that the system does not have.
        """
        species = species or ("all",)
        numbers = np.concatenate([np.asarray(system.molecule)[system.atoms(name)] for name in species])
        _, first, molecule = np.unique(numbers, return_index=True, return_inverse=True)
        return cls(jnp.asarray(molecule, jnp.int32), jnp.asarray(first, jnp.int32), species, equal)

    def __call__(self, snapshot: Snapshot) -> Float[Array, "3 molecules"]:
        system, n = snapshot.system, len(self.first)
        unwrapped = snapshot.unwrapped
        x = jnp.concatenate([unwrapped[:, system.atoms(name)] for name in self.species], axis=1)
        masses = jnp.concatenate([system.masses[system.atoms(name)] for name in self.species])
        weights = jnp.ones_like(masses) if self.equal else masses
        anchor = x[:, self.first][:, self.molecule]
        box = system.box[:, None]
        whole = x - box * jnp.rint((x - anchor) / box)
        total = lambda values: jax.ops.segment_sum(values, self.molecule, n)
        return (total((weights * whole).T) / total(weights)[:, None]).T


def lag_times(n_lags: int, interval: float) -> np.ndarray:
    """(n_lags,) the times 0, interval, 2 interval, ... in ps."""
    return np.arange(n_lags) * interval


def mean_squared_displacement(positions, n_lags: int | None = None, method: str = "fft") -> Float[Array, " lags"]:
    """<|r(t + lag) - r(t)|^2> in nm^2 at lags 0 .. n_lags - 1 frames, from unwrapped positions (frames, 3, N).

    `n_lags` defaults to half the frames: at longer lags few origins are left. `method` "fft" costs T log T a
    coordinate, "direct" T n_lags; they agree to round-off. Raises `ValueError` for a series that is too short.
    """
    x = _series(positions)
    n_lags = _lags(x, n_lags)
    if method == "direct":
        squared = [jnp.sum((x[lag:] - x[: len(x) - lag]) ** 2, axis=1).mean() for lag in range(n_lags)]
        return jnp.stack(squared)
    if method != "fft":
        raise ValueError(f"method must be fft or direct, not '{method}'.")
    return squared_displacements(x, n_lags).mean(axis=1)


def squared_displacements(positions, n_lags: int | None = None) -> Float[Array, "lags atoms"]:
    """The mean squared displacement of each atom by itself, over all origins: nm², (lags, N)."""
    x = _series(positions)
    n_lags = _lags(x, n_lags)
    x = x - x.mean(axis=0)  # a common shift does nothing but keep the difference below well conditioned
    n_frames = len(x)
    squares = jnp.sum(x * x, axis=1)
    # sum over origins of r(t)^2 + r(t+lag)^2, from running sums
    running = jnp.concatenate([jnp.zeros((1, squares.shape[1])), jnp.cumsum(squares, axis=0)])
    lags = jnp.arange(n_lags)
    ends = running[n_frames - lags] + running[-1] - running[lags]
    return (ends - 2 * _correlations(x, n_lags)) / (n_frames - lags)[:, None]


def velocity_autocorrelation(series, n_lags: int | None = None, method: str = "fft") -> Float[Array, " lags"]:
    """<v(t) . v(t + lag)> in nm^2/ps^2 at lags 0 .. n_lags - 1 frames, from velocities (frames, 3, N); lag 0 is <v^2>.

    Arguments and errors as for `mean_squared_displacement`.
    """
    v = _series(series)
    n_lags = _lags(v, n_lags)
    if method == "direct":
        return jnp.stack([jnp.sum(v[lag:] * v[: len(v) - lag], axis=1).mean() for lag in range(n_lags)])
    if method != "fft":
        raise ValueError(f"method must be fft or direct, not '{method}'.")
    return _correlation_sums(v, n_lags) / (len(v) - jnp.arange(n_lags))


class Diffusion(NamedTuple):
    """A diffusion coefficient in nm^2/ps (1 nm^2/ps = 1e-6 m^2/s) and the intercept of the line (nm^2)."""

    coefficient: Float[Array, ""]
    intercept: Float[Array, ""]


def einstein_diffusion(msd, interval: float, fit_from: float, fit_to: float) -> Diffusion:
    """D = slope / 6 of the least-squares line through the MSD at lags (ps) from `fit_from` to `fit_to`.

    The window must lie beyond the ballistic part; its end should be at most a fifth or so of the series. Raises
    `ValueError` when fewer than two lags lie in it.
    """
    times = lag_times(len(msd), interval)
    window = (times >= fit_from) & (times <= fit_to)
    if window.sum() < 2:
        raise ValueError(
            f"the fit needs at least two lags between {fit_from:g} and {fit_to:g} ps; the MSD has {len(msd)} lags "
            f"up to {times[-1]:g} ps."
        )
    t = times[window]
    y = jnp.asarray(msd)[window]
    slope = jnp.sum((t - t.mean()) * y) / np.sum((t - t.mean()) ** 2)
    return Diffusion(slope / 6, y.mean() - slope * t.mean())


class SelfDiffusion(NamedTuple):
    """A self-diffusion coefficient with its error bar (nm²/ps; 1 nm²/ps = 1e-6 m²/s), and the curve it came from."""

    coefficient: Scalar
    error: Scalar  # standard error; infinite for one molecule
    intercept: Scalar  # of the line, nm²
    msd: Float[Array, " lags"]  # nm²
    msd_error: Float[Array, " lags"]
    lags: np.ndarray  # ps
    window: tuple[float, float]  # ps, of the fit


def self_diffusion(
    centres, interval: float, fit_from: float | None = None, fit_to: float | None = None
) -> SelfDiffusion:
    """D = slope / 6 of the mean squared displacement over many lags and all origins, with an error bar.

    `centres` is (frames, 3, M), unwrapped (nm), one frame every `interval` ps. The line, with an intercept for the
    ballistic start, runs over lags from `fit_from` to `fit_to` ps: by default from 1/20 to 1/5 of the series, longer
    lags being too noisy to add anything. Lag n of a random walk of T frames has the variance n (2n² + 1) / (T - n + 1)
    times a constant (Qian, Sheetz and Elson, Biophys. J. 60, 910, 1991), whose inverse weighs the lags.

    D is the mean of what each molecule's own curve gives, so the error bar is their scatter over sqrt(M): the
    molecules are taken as independent. Differentiable in the centres. Raises `ValueError` for a window that holds
    fewer than two lags or ends beyond half the series.
    """
    x = _series(centres)
    length = (len(x) - 1) * interval
    fit_from = length / 20 if fit_from is None else fit_from
    fit_to = length / 5 if fit_to is None else fit_to
    n = np.arange(len(x) // 2 + 1)
    chosen = (n >= 1) & (n * interval >= fit_from * (1 - 1e-9)) & (n * interval <= fit_to * (1 + 1e-9))
    if chosen.sum() < 2 or fit_to > length / 2 * (1 + 1e-9):
        raise ValueError(
            f"the fit needs at least two lags within {fit_from:.3g} to {fit_to:.3g} ps and no lag beyond half the "
            f"series ({length / 2:.3g} ps); there is a frame every {interval:.3g} ps: run longer or sample more often."
        )
    last = np.flatnonzero(chosen)[-1] + 1
    slope, intercept = _line_weights(n[chosen], len(x), interval)
    own = squared_displacements(x, int(last))  # (lags, M)
    msd, msd_error = _over_molecules(own)
    coefficient, error = _over_molecules(jnp.asarray(slope / 6) @ own[chosen[:last]])
    window = (float(fit_from), float(fit_to))
    return SelfDiffusion(
        coefficient, error, intercept @ msd[chosen[:last]], msd, msd_error, lag_times(int(last), interval), window
    )


def _line_weights(n, n_frames, interval) -> tuple[np.ndarray, np.ndarray]:
    """What to multiply values at lags n by to get the slope and the intercept of the weighted line."""
    w = (n_frames - n + 1) / (n * (2.0 * n * n + 1))
    w = w / w.sum()
    t = n * interval
    centred = t - w @ t
    slope = w * centred / (w @ centred**2)
    return slope, w - slope * (w @ t)


def _over_molecules(values):
    """The mean over the last axis and its standard error; infinite where there is no scatter to look at.

    The scatter's derivative at 0 is taken as 0: molecules that all agree (lag 0) have none.
    """
    m = values.shape[-1]
    mean = values.mean(axis=-1)
    if m < 2:
        return mean, jnp.full_like(mean, jnp.inf)
    variance = jnp.sum((values - mean[..., None]) ** 2, axis=-1) / (m - 1) / m
    positive = variance > 0
    return mean, jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)


def finite_size_correction(kt, viscosity, edge):
    """What periodic images take from D in a cubic box: ξ kT / (6π η L), in any one system of units.

    Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004); ξ = 2.837297. Add it to D. It is hydrodynamics without
    friction: a thermostat whose friction acts on a diffusing molecule screens the flow, and the correction with it.
    """
    return EWALD_OF_THE_CUBE * kt / (6 * jnp.pi * viscosity * edge)


def yeh_hummer(diffusion, temperature, viscosity, edge):
    """D (nm²/ps) of the infinite liquid from D in a cubic box of `edge` nm at a temperature (K).

    `viscosity` in mPa s, of the model itself where it is known: TIP3P's is a third of real water's, 0.89 at 298 K.
    """
    return diffusion + finite_size_correction(units.BOLTZMANN * temperature, viscosity / MPA_SECONDS, edge)


def green_kubo_diffusion(vacf, interval: float) -> Float[Array, " lags"]:
    """D(t) = (1/3) integral_0^t <v(0) . v(s)> ds in nm^2/ps by the trapezoidal rule: read D where it has levelled
    off."""
    vacf = jnp.asarray(vacf)
    steps = (vacf[1:] + vacf[:-1]) * (interval / 2)
    return jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)]) / 3


def spectrum(vacf, interval: float) -> tuple[np.ndarray, Float[Array, " frequencies"]]:
    """The vibrational density of states: frequencies (1/ps = THz; times `WAVENUMBERS_PER_THZ`: 1/cm) and the transform

        S(f) = 4 integral_0^T C(t)/C(0) w(t) cos(2 pi f t) dt       (ps),

    with a Hann window w that falls to zero at the last lag. For C(0) = 3 k T / m the integral of S over f is 1.
    """
    vacf = jnp.asarray(vacf)
    n = len(vacf)
    window = 0.5 * (1 + np.cos(np.pi * np.arange(n) / n))
    weighted = vacf / vacf[0] * window
    even = jnp.concatenate([weighted, jnp.zeros(1), weighted[1:][::-1]])  # C(-t) = C(t); w(T) = 0
    return np.fft.rfftfreq(2 * n, interval), 2 * interval * jnp.fft.rfft(even).real


def _series(series):
    x = jnp.asarray(series, jnp.float64)
    if x.ndim != 3 or x.shape[1] != 3:
        raise ValueError(f"a series has the shape (frames, 3, atoms), not {x.shape}.")
    return x


def _lags(x, n_lags) -> int:
    n_lags = max(len(x) // 2, 1) if n_lags is None else n_lags
    if not 1 <= n_lags <= len(x):
        raise ValueError(f"{n_lags} lags cannot be taken from {len(x)} frames: give between 1 and {len(x)}.")
    return n_lags


def _correlation_sums(x, n_lags):
    """(n_lags,) mean over atoms of sum_t x(t) . x(t + lag)."""
    return _correlations(x, n_lags, jnp.mean)


def _correlations(x, n_lags, over_atoms=lambda power, axis: power):
    """sum_t x(t) . x(t + lag) of each atom, (lags, N): a product in Fourier space (Wiener and Khinchin), with the
    series padded by zeros so that it does not meet its own end. `over_atoms` may reduce the atoms before the way
    back."""
    n = 1 << (2 * len(x) - 1).bit_length()
    transformed = jnp.fft.rfft(x, n, axis=0)
    power = jnp.sum(transformed.real**2 + transformed.imag**2, axis=1)
    return jnp.fft.irfft(over_atoms(power, axis=1), n, axis=0)[:n_lags]
