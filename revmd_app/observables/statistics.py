"""Error bars for correlated samples: the integrated autocorrelation time, block averages, and the jackknife.

Successive samples of a simulation are not independent. With tau the integrated autocorrelation time (in samples),

    tau = 1 + 2 sum_{t>=1} rho(t),        standard error of the mean = sqrt(variance * tau / n),

so n samples are worth n / tau independent ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Mean(NamedTuple):
    """A mean with its error bar: `n_effective` = n / tau independent samples."""

    value: float
    standard_error: float
    n_effective: float
    autocorrelation_time: float  # in samples


def mean_with_error(samples) -> Mean:
    """The mean of a (n,) correlated series with an error bar that knows of the correlation.

    Raises `ValueError` for fewer than 10 samples or a value that is not finite.
    """
    x = _checked(samples)
    tau = autocorrelation_time(x)
    n_effective = len(x) / tau
    error = np.sqrt(np.var(x) / max(n_effective - 1, 1e-12)) if np.ptp(x) > 0 else 0.0
    return Mean(float(x.mean()), float(error), float(n_effective), float(tau))


def autocorrelation_time(samples, c: float = 5.0) -> float:
    """The integrated autocorrelation time of a (n,) series, in samples: 1 for white noise.

    The sum is cut at the first window M with M >= c tau(M) (A. Sokal, in Functional Integration, 1997): wide enough
    to miss little, narrow enough to keep the noise of the tail out. Trust it when n is above some 50 tau. Never less
    than 1: samples that alternate about their mean get no credit for it.
    """
    x = _checked(samples)
    rho = autocorrelation(x)
    tau = 2 * np.cumsum(rho) - 1
    window = np.arange(len(tau)) >= c * tau
    return float(max(tau[np.argmax(window)] if window.any() else tau[-1], 1.0))


def autocorrelation(samples) -> np.ndarray:
    """(n,) normalised autocorrelation rho(t) of a (n,) series, by FFT; 1 at t = 0."""
    x = _checked(samples)
    x = x - x.mean()
    n = 1 << (2 * len(x) - 1).bit_length()
    transformed = np.fft.rfft(x, n)
    sums = np.fft.irfft(transformed * transformed.conj(), n)[: len(x)]
    return sums / sums[0] if sums[0] > 0 else (np.arange(len(x)) == 0).astype(float)


def block_errors(samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Block lengths, the standard error from blocks of that length, and the uncertainty of that error.

    The error grows with the block length until blocks are independent and then levels off (Flyvbjerg and Petersen, J.
    Chem. Phys. 91, 461, 1989). Lengths double from 1; each has at least 4 blocks.
    """
    x = _checked(samples)
    lengths, errors, uncertainties = [], [], []
    length = 1
    while len(x) // length >= 4:
        n = len(x) // length
        means = x[: n * length].reshape(n, length).mean(axis=1)
        error = np.std(means, ddof=1) / np.sqrt(n)
        lengths.append(length)
        errors.append(error)
        uncertainties.append(error / np.sqrt(2 * (n - 1)))
        length *= 2
    return np.array(lengths), np.array(errors), np.array(uncertainties)


def jackknife(samples, statistic: Callable[[np.ndarray], float], n_blocks: int = 10) -> tuple[float, float]:
    """(value, standard error) of a nonlinear function of averages, for a correlated series (n,).

    The value is that of all samples. For the error each of `n_blocks` blocks is left out in turn: the scatter of what
    remains, times (B - 1)/sqrt(B). Right where blocks are longer than the correlation (R. G. Miller, Biometrika 61, 1,
    1974). Raises `ValueError` for fewer than two blocks or blocks of fewer than two samples.
    """
    x = _checked(samples)
    if not 2 <= n_blocks <= len(x) // 2:
        raise ValueError(f"{len(x)} samples make between 2 and {len(x) // 2} blocks, not {n_blocks}.")
    blocks = np.array_split(np.arange(len(x)), n_blocks)
    without = np.array([statistic(np.delete(x, block)) for block in blocks])
    error = np.sqrt((n_blocks - 1) / n_blocks * np.sum((without - without.mean()) ** 2))
    return float(statistic(x)), float(error)


def _checked(samples) -> np.ndarray:
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim != 1 or len(x) < 10:
        raise ValueError(f"an error bar needs a one-dimensional series of at least 10 samples, not shape {x.shape}.")
    if not np.isfinite(x).all():
        raise ValueError("there is a NaN or an infinity among the samples.")
    return x
