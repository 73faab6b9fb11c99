"""One atom of Lab 1 and its surroundings: what links the picture of the atoms with g(r).

g(r) is the histogram of distances between atoms. So: choose an atom, and its own distances stand as ticks below the
curve and add up, picture by picture, to its own g(r); choose a distance, and the atoms that far from it light up.
No widget here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import param

from revmd_app.labs import knobs
from revmd_app.labs.tune_model import TuneModel

WIDTH = 0.025
"""Half the width of the shell that lights up, as a part of the range of g(r)."""
NEAREST = 402
"""Neighbours whose energy is added up: as many as `TuneModel.curves` has points, so that nothing is compiled anew."""


class About(NamedTuple):
    """What is said of the chosen atom: speed (m/s, or reduced), kinetic energy (kT), energy with its neighbours."""

    speed: float
    kinetic: float
    nearest: float
    bound: float | None  # None where it is not the sum over one pair potential


class ChosenAtom(param.Parameterized):
    """The chosen atom, the chosen distance, and what the frames say of them."""

    atom = param.Integer(default=None, allow_None=True, doc="Index of the chosen atom.")
    distance = param.Number(default=None, allow_None=True, doc="The chosen distance, in the system's unit.")
    pair = param.String(default="", doc="The pair of species of the g(r) shown, such as O–H.")

    def __init__(self, model: TuneModel, **params):
        super().__init__(**params)
        self.model = model
        self._forget()

    @param.depends("atom", "pair", watch=True)
    def _forget(self) -> None:
        """The atom's own average begins anew."""
        self._counts: np.ndarray | None = None
        self._frames = 0
        self._last = (-1, -1)

    def release(self) -> None:
        """Choose nothing."""
        self.param.update(atom=None, distance=None)

    def pick_distance(self, r: float) -> None:
        """Choose a distance; and, where none of the pair shown is chosen, an atom in the middle of the cell."""
        frame = self.model.frame
        if not 0 < r <= self.model.rdf_range or frame is None:
            return
        if self.atom is None or not self.partners.any():
            box = np.asarray(self.model.case.system.box)[:, None]
            away = np.sum((frame["positions"] / box - 0.5) ** 2, axis=0)
            first = self._species == self.pair.split("–")[0]
            self.atom = int(np.argmin(np.where(first, away, np.inf)))
        self.distance = float(r)

    @property
    def _species(self) -> np.ndarray:
        return np.asarray(self.model.case.system.species_of_atoms)

    @property
    def species(self) -> str:
        """The species of the chosen atom."""
        return str(self._species[self.atom])

    @property
    def partners(self) -> np.ndarray:
        """(N,) which atoms count as the other end of the pair shown: those of other molecules, as in g(r)."""
        ends = self.pair.split("–")
        if self.atom is None or self.species not in ends:
            return np.zeros(len(self._species), bool)
        other = ends[1 - ends.index(self.species)]
        molecule = np.asarray(self.model.case.system.molecule)
        return (self._species == other) & (molecule != molecule[self.atom])

    def distances(self) -> np.ndarray:
        """(N,) distances from the chosen atom in the latest frame, the nearest image of each atom."""
        box = np.asarray(self.model.case.system.box)[:, None]
        positions = np.asarray(self._frame["positions"], np.float64)
        away = positions - positions[:, [self.atom]]
        return np.sqrt(np.sum((away - box * np.round(away / box)) ** 2, axis=0))

    @property
    def _frame(self) -> dict[str, Any]:
        if self.model.frame is None:
            raise ValueError("there is no picture yet: wait for the first one.")
        return self.model.frame

    @property
    def ready(self) -> bool:
        """Whether there is an atom to speak of."""
        return self.atom is not None and self.model.frame is not None and self.atom < len(self._species)

    def rug(self) -> np.ndarray:
        """The distances that the chosen atom adds to g(r) now."""
        d = self.distances()[self.partners]
        return d[d <= self.model.rdf_range]

    @property
    def half_width(self) -> float:
        """Half the width of the shell about the chosen distance."""
        return WIDTH * self.model.rdf_range

    def lit(self) -> np.ndarray:
        """Indices of the atoms at the chosen distance."""
        if self.distance is None:
            return np.zeros(0, dtype=int)
        return np.flatnonzero(self.partners & (np.abs(self.distances() - self.distance) <= self.half_width))

    def take(self) -> None:
        """Count the latest frame's distances into the atom's own g(r), which begins anew when the averages do."""
        frame = self.model.frame or {}
        now = (frame["epoch"], frame["n"]) if self.ready else self._last
        if now == self._last:
            return
        if now[0] != self._last[0]:
            self._counts, self._frames = None, 0
        edges = np.linspace(0, self.model.rdf_range, len(frame["r"]) + 1)
        counts = np.histogram(self.rug(), edges)[0]
        self._counts = counts if self._counts is None else self._counts + counts
        self._frames += 1
        self._last = now

    def own(self) -> tuple[np.ndarray, np.ndarray]:
        """(r, g) of the chosen atom alone, averaged since it was chosen, in bins twice as wide as those of g(r)."""
        n = int(self.partners.sum())
        if self._counts is None or n == 0:
            return np.zeros(0), np.zeros(0)
        counts = self._counts[: len(self._counts) // 2 * 2].reshape(-1, 2).sum(axis=1)
        edges = np.linspace(0, self.model.rdf_range * 2 * len(counts) / len(self._counts), len(counts) + 1)
        volume = float(np.prod(np.asarray(self.model.case.system.box)))
        shells = 4 / 3 * np.pi * np.diff(edges**3)
        return (edges[1:] + edges[:-1]) / 2, counts * volume / (self._frames * n * shells)

    def about(self) -> About:
        """What the latest frame says of the chosen atom."""
        system, frame = self.model.case.system, self._frame
        kinetic = float(frame["kinetic"][self.atom])
        temperature = frame["series"][-1][1]
        mass = float(np.asarray(system.masses)[self.atom])
        speed = np.sqrt(2 * kinetic * float(system.boltzmann) * temperature / mass)
        metres = 1.0 if self.model.case.units == "reduced" else 1000.0  # 1 nm/ps = 1,000 m/s
        d = self.distances()[self.partners]
        return About(speed * metres, kinetic, float(d.min()) if len(d) else np.nan, self._bound())

    def _bound(self) -> float | None:
        """The sum of u(r) over the atom's pairs, where the potential is nothing else."""
        if len(self.model.potential.terms()) > 1:
            return None
        d = np.sort(np.delete(self.distances(), self.atom))[:NEAREST]
        r = np.concatenate([d, np.full(NEAREST - len(d), 10 * self.model.cutoff)])
        u = np.asarray(knobs.curve(self.model.pair, r)[0])
        return float(np.sum(u[: len(d)]))
