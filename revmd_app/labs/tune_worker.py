"""The simulation behind Lab 1, in its own process: a few steps, a picture, and again, while the controls change."""

from __future__ import annotations

from collections import deque
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.lattice import Snapshot, to_snapshot
from revmd_app.engine.simulate import SimulationError, change_settings
from revmd_app.labs import knobs
from revmd_app.labs.live import LiveSimulation
from revmd_app.labs.widgets import memory
from revmd_app.labs.widgets.jobs import Link
from revmd_app.observables.structure import bin_centres, rdf_histogram
from revmd_app.observables.thermodynamics import kinetic_energy, potential_energy, virial_pressure
from revmd_app.systems.prepare import prepared
from revmd_app.units import BAR_PER_PRESSURE_UNIT

PICTURES_PER_SECOND = 25.0
BINS = 160
MOST_PROGRAMS = 12
"""Forms and cutoffs whose programs are kept."""
RECENT = 64
"""Points of the series that go with each frame, so that the page may miss some frames."""


def run(link: Link, request: dict[str, Any]) -> None:
    """Simulate until the page ends us. Posts "busy" (a text), "frame" (a dict) and "exploded" (a sentence)."""
    Simulation(link).serve(request, PICTURES_PER_SECOND)


class Simulation(LiveSimulation):
    """One liquid under the page's controls."""

    def __init__(self, link: Link):
        super().__init__(link)
        self.single = 0

    @property
    def moving(self) -> bool:
        return not self.exploded and (self.asked["running"] or self.single > 0)

    def follow(self, asked: dict[str, Any] | None) -> None:
        if asked is None:
            return
        before, self.asked = self.asked, asked
        self.single += asked["steps_asked"] - before.get("steps_asked", asked["steps_asked"])
        if asked["system"] != before.get("system"):
            self.link.post("busy", "Preparing the liquid …")
            if before:
                self._forget_programs()
            self.case = prepared(*asked["system"])
            self.pairs = rdf_pairs(self.case.system)
            self.r_max = float(np.min(np.asarray(self.case.system.box))) / 2
        again = asked["resets"] != before.get("resets")
        if again:
            self._begin()
        self._build()
        if again or asked["epoch"] != before.get("epoch"):
            self.mean, self.n = None, 0
        if again and before:
            self.show()

    def _begin(self) -> None:
        self.state, self.settings, self.exploded, self.time = self.case.state, None, False, 0.0
        self.recent: deque = deque(maxlen=RECENT)
        self.key = jax.random.key(0)

    def _build(self) -> None:
        a = self.asked
        pair = knobs.make_pair(self.case, a["form"], a["formula"], a["cutoff"], a["truncation"])
        self.potential = knobs.turned(knobs.with_pair(self.case.potential, pair), a["values"])
        settings = eqx.tree_at(
            lambda s: (s.dt, s.temperature, s.friction),
            self.case.settings,
            tuple(jnp.asarray(a[name], jnp.float64) for name in ("dt", "temperature", "friction")),
        )
        self.state = change_settings(self.state, self.settings or self.case.settings, settings)
        self.settings = settings

    def picture(self) -> None:
        self.single = max(0, self.single - 1)
        compiled = self._warn_of_compilation()
        steps = self.asked["steps"]
        try:
            state = self.stepped(self.state, steps)
        except SimulationError as error:
            self.explode(error)
            return
        self.time += steps * self.asked["dt"]
        self.show(state)
        if compiled:
            memory.give_back()

    def _warn_of_compilation(self) -> bool:
        """A program is compiled anew for another form, cutoff or system: say so, it takes seconds."""
        structure = (self.asked["system"], jax.tree.structure(self.potential))
        if structure in self.known:
            return False
        if len(self.known) >= MOST_PROGRAMS:
            self._forget_programs()
        self.known.add(structure)
        self.link.post("busy", "Compiling the simulation for this potential …")
        return True

    def _forget_programs(self) -> None:
        """Programs of a system that is left would fill the memory; those that come back are read from the cache."""
        self.known.clear()
        jax.clear_caches()

    def show(self, state=None) -> None:
        """Measure a state (by default the current one) and post it as a frame, unless it is not finite."""
        state = self.state if state is None else state
        snapshot = to_snapshot(self.case.system, state, self.settings, self.potential)
        seen = jax.tree.map(np.asarray, measure(snapshot, self.pairs, self.r_max))
        if not np.isfinite(seen["row"]).all():
            self.explode("The simulation exploded: an energy is no longer finite.")
            return
        self.state = state
        self.n += 1
        seen["mean"] = self._average(seen["rdf"])
        self.recent.append((self.time, *self._in_units(seen["row"])))
        self.link.post("frame", self._frame(seen))

    def _average(self, rdf) -> np.ndarray:
        """A running mean that forgets what is older than the memory asked for."""
        between = self.asked["steps"] * self.asked["dt"]
        weight = max(1 / self.n, min(1.0, between / self.asked["memory"]))
        mean = rdf if self.mean is None else self.mean + weight * (rdf - self.mean)
        self.mean = mean
        return mean

    def _in_units(self, row):
        kinetic_temperature, pressure, potential, total = (float(x) for x in row)
        bar = 1.0 if self.case.units == "reduced" else BAR_PER_PRESSURE_UNIT
        n = self.case.system.n_molecules
        return kinetic_temperature, pressure * bar, potential / n, total / n

    def _frame(self, seen) -> dict[str, Any]:
        asked = self.asked
        return {
            "resets": asked["resets"],
            "epoch": asked["epoch"],
            "n": self.n,
            "time": self.time,
            "positions": seen["positions"],
            "kinetic": seen["kinetic"],
            "r": bin_centres(self.r_max, BINS),
            "rdf": {name: np.asarray(g) for name, g in zip(rdf_names(self.pairs), seen["mean"], strict=True)},
            "series": list(self.recent),
        }


def rdf_pairs(system) -> tuple[tuple[str, str], ...]:
    """The pairs of species between which g(r) is measured."""
    species = system.species
    return tuple((a, b) for i, a in enumerate(species) for b in species[i:])


def rdf_names(pairs) -> list[str]:
    """("O", "H") -> "O–H"."""
    return [f"{a}–{b}" for a, b in pairs]


@eqx.filter_jit
def measure(snapshot: Snapshot, pairs, r_max: float) -> dict[str, Any]:
    """Positions (nm), kinetic energies (kT), g(r) by pair, and (temperature, pressure, potential and total energy)."""
    system = snapshot.system
    kinetic = 0.5 * system.masses * jnp.sum(snapshot.velocity.astype(jnp.float64) ** 2, axis=0)
    k, u = kinetic_energy(snapshot), potential_energy(snapshot)
    temperature = 2 * k / (3 * system.n_atoms * system.boltzmann)
    row = jnp.stack([temperature, virial_pressure(snapshot), u, u + k])
    return {
        "positions": snapshot.positions.astype(jnp.float32),
        "kinetic": (kinetic / (system.boltzmann * temperature)).astype(jnp.float32),
        "rdf": jnp.stack([rdf_histogram(snapshot, a, b, r_max=r_max, n_bins=BINS) for a, b in pairs]),
        "row": row,
    }
