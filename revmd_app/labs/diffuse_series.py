"""The mean squared displacement while a simulation goes on: sums over all origins, for short lags and ever longer ones.

Each new frame is compared with the frames that lie one lag back, for every lag of a fixed ladder (all of the first
few, then about a tenth farther each time). That gives the average over all origins at the cost of one look a lag.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LONGEST = 24_000
"""Frames that are remembered, and so twice the longest lag."""


class Fit(NamedTuple):
    """A line through the MSD: D and its standard error (nm²/ps), the intercept (nm²) and the window (ps)."""

    coefficient: float
    error: float
    intercept: float
    window: tuple[float, float]


def ladder(longest: int = LONGEST // 2) -> np.ndarray:
    """Lags in frames: 1, 2, ... 20, then each about a tenth longer than the one before."""
    lags = list(range(1, 21))
    while lags[-1] * 1.1 < longest:
        lags.append(int(np.ceil(lags[-1] * 1.1)))
    return np.array(lags)


class Displacements:
    """Squared displacements of M molecules, summed over origins. `add` a frame (3, M), nm, every `interval` ps."""

    def __init__(self, n_molecules: int, interval: float):
        self.interval, self.lags = interval, ladder()
        self.frames: list[np.ndarray] = []
        self.n_frames = 0
        self._sums = np.zeros((len(self.lags), n_molecules))
        self._counts = np.zeros(len(self.lags))

    @property
    def time(self) -> float:
        """Length of the series, ps."""
        return max(self.n_frames - 1, 0) * self.interval

    def add(self, centres: np.ndarray) -> None:
        """The next frame of unwrapped centres."""
        self.frames.append(np.array(centres, float))
        self.n_frames += 1
        del self.frames[:-LONGEST]
        for k, lag in enumerate(self.lags[: np.searchsorted(self.lags, len(self.frames) - 1, side="right")]):
            away = self.frames[-1] - self.frames[-1 - lag]
            self._sums[k] += np.sum(away * away, axis=0)
            self._counts[k] += 1

    def own(self) -> tuple[np.ndarray, np.ndarray]:
        """(times (lags,) in ps, MSD of each molecule (lags, M) in nm²), for lags up to half the series."""
        known = (self._counts > 0) & (self.lags <= max(self.n_frames - 1, 0) / 2)
        return self.lags[known] * self.interval, self._sums[known] / self._counts[known, None]

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(times, MSD, its standard error over molecules), each (lags,)."""
        times, own = self.own()
        m = own.shape[1]
        error = own.std(axis=1, ddof=1) / np.sqrt(m) if m > 1 else np.full(len(times), np.inf)
        return times, own.mean(axis=1), error

    def fit(self) -> Fit | None:
        """D = slope / 6 of the weighted line from 1/20 to 1/5 of the series; None as long as three lags are not in it.

        Lag n of a walk of T frames has the variance n (2n² + 1)/(T - n + 1) times a constant (Qian, Sheetz and Elson,
        Biophys. J. 60, 910, 1991); its inverse weighs, and so do the steps of the ladder. The error is the scatter of
        what each molecule gives.
        """
        times, own = self.own()
        window = (self.time / 20, self.time / 5)
        inside = (times >= window[0] * 0.999) & (times <= window[1] * 1.001)
        if inside.sum() < 3:
            return None
        t, n = times[inside], times[inside] / self.interval
        weights = (self.n_frames - n + 1) / (n * (2 * n * n + 1)) * np.gradient(n)
        weights /= weights.sum()
        around = t - weights @ t
        slope = weights * around / (weights @ around**2)
        each = slope @ own[inside] / 6
        m = len(each)
        error = each.std(ddof=1) / np.sqrt(m) if m > 1 else np.inf
        intercept = weights @ own[inside].mean(axis=1) - 6 * each.mean() * (weights @ t)
        return Fit(float(each.mean()), float(error), float(intercept), window)
