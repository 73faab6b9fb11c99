"""When a run is sampled, and which lags in time its samples offer."""

from __future__ import annotations

import math
from typing import NamedTuple


class Recording(NamedTuple):
    """`n_steps` steps of `dt` (ps), a sample after every `sample_every` of them."""

    n_steps: int
    sample_every: int
    dt: float

    @property
    def n_samples(self) -> int:
        return self.n_steps // self.sample_every

    @property
    def interval(self) -> float:
        """Time between two samples, ps."""
        return self.sample_every * self.dt

    def lags(self, at_least: int = 2) -> int:
        """How many lags half the run offers, lag 0 included. Raises `ValueError` for a run with too few samples."""
        if self.n_samples < at_least:
            raise ValueError(
                f"this loss needs at least {at_least} samples, and {self.n_steps} steps sampled every "
                f"{self.sample_every} give {self.n_samples}: run longer or sample more often."
            )
        return max(2, math.ceil(self.n_samples / 2))

    def lag(self, time: float) -> int:
        """The lag that is nearest to a time (ps). Raises `ValueError` for one that the run does not have."""
        lag = round(time / self.interval)
        if not (time >= 0 and lag < self.n_samples):
            longest = (self.n_samples - 1) * self.interval
            raise ValueError(
                f"the lag {time:g} ps is not in this run, whose longest is {longest:.4g} ps "
                f"({self.n_samples} samples): use a shorter lag or run longer."
            )
        return lag
