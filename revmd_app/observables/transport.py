"""Functions of a *series* of samples: mean squared displacement, velocity autocorrelation, diffusion, spectrum.

A series is what `simulate` returns for `observe=unwrapped_positions` or `observe=velocities`: (frames, 3, N), one
frame every `interval` ps. Everything here is JAX in float64 and differentiable. Averages run over atoms and over all
time origins.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app.engine.lattice import Snapshot


def unwrapped_positions(snapshot: Snapshot, species: str = "all") -> Float[Array, "3 atoms"]:
    """Positions (nm) that do not jump at the boundary, of one species: the sample for an MSD."""
    return snapshot.unwrapped[:, snapshot.system.atoms(species)]


def velocities(snapshot: Snapshot, species: str = "all") -> Float[Array, "3 atoms"]:
    """Velocities (nm/ps) of one species: the sample for a VACF."""
    return snapshot.velocity[:, snapshot.system.atoms(species)]


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
    x = x - x.mean(axis=0)  # a common shift does nothing but keep the difference below well conditioned
    n_frames = len(x)
    squares = jnp.sum(x * x, axis=1)
    # sum over origins of r(t)^2 + r(t+lag)^2, from running sums
    running = jnp.concatenate([jnp.zeros((1, squares.shape[1])), jnp.cumsum(squares, axis=0)])
    lags = jnp.arange(n_lags)
    ends = (running[n_frames - lags] + running[-1] - running[lags]).mean(axis=1)
    return (ends - 2 * _correlation_sums(x, n_lags)) / (n_frames - lags)


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


def green_kubo_diffusion(vacf, interval: float) -> Float[Array, " lags"]:
    """D(t) = (1/3) integral_0^t <v(0) . v(s)> ds in nm^2/ps by the trapezoidal rule: read D where it has levelled
    off."""
    vacf = jnp.asarray(vacf)
    steps = (vacf[1:] + vacf[:-1]) * (interval / 2)
    return jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)]) / 3


def spectrum(vacf, interval: float) -> tuple[np.ndarray, Float[Array, " frequencies"]]:
    """The vibrational density of states: frequencies (1/ps = THz; times 33.356 for 1/cm) and the cosine transform

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
    """(n_lags,) mean over atoms of sum_t x(t) . x(t + lag): a product in Fourier space (Wiener and Khinchin), with
    the series padded by zeros so that it does not meet its own end."""
    n = 1 << (2 * len(x) - 1).bit_length()
    transformed = jnp.fft.rfft(x, n, axis=0)
    power = jnp.sum(transformed.real**2 + transformed.imag**2, axis=1).mean(axis=1)
    return jnp.fft.irfft(power, n)[:n_lags]
