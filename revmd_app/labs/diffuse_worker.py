"""The simulation behind Lab 5, in its own process: oxygen moves among waters, and its displacements are summed up.

Posts "busy" (a text), "frame" (a dict) and "exploded" (a sentence). A frame holds plain arrays: positions (3, N) nm;
trail (M, points, 3) nm, unwrapped, the last point the present one; msd: times (ps), values and errors (nm²); fit:
a `diffuse_series.Fit` or None; history: rows (time, D, error) in ps and nm²/ps; temperature (K) of late.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.simulate import SimulationError, change_settings
from revmd_app.labs import knobs
from revmd_app.labs.diffuse_series import Displacements
from revmd_app.labs.diffuse_systems import liquid, potential_of
from revmd_app.labs.live import LiveSimulation
from revmd_app.labs.widgets import memory
from revmd_app.labs.widgets.jobs import Link
from revmd_app.observables.thermodynamics import temperature
from revmd_app.observables.transport import unwrapped_positions
from revmd_app.systems.oxygen_in_water import GAS

PICTURES_PER_SECOND = 20.0
SAMPLE = 25
"""Steps between two frames of the displacements: every number of steps a picture is a multiple of it."""
TRAIL, TRAIL_EVERY = 48, 4
"""Points of a trail, and frames from one to the next."""
HISTORY = 400
RECENT = 20
"""Pictures over which the temperature is averaged."""


def run(link: Link, request: dict[str, Any]) -> None:
    """Simulate until the page ends us."""
    Simulation(link).serve(request, PICTURES_PER_SECOND)


class Simulation(LiveSimulation):
    """One box of oxygen in water."""

    def follow(self, asked: dict[str, Any] | None) -> None:
        if asked is None:
            return
        before, self.asked = self.asked, asked
        if asked["size"] != before.get("size"):
            self.link.post("busy", "Preparing the liquid …")
            self.case = liquid(asked["size"])
            self.known.clear()
        again = asked["resets"] != before.get("resets")
        if again:
            self.state, self.settings, self.exploded = self.case.state, None, False
            self.key = jax.random.key(asked["resets"])
        self._build()
        if again or asked["epoch"] != before.get("epoch"):
            self._forget()
        if again and before:
            self.show()

    def _build(self) -> None:
        a = self.asked
        self.potential = knobs.turned(potential_of(self.case, a["force_field"]), a["values"])
        settings = eqx.tree_at(
            lambda s: (s.temperature, s.friction),
            self.case.settings,
            tuple(jnp.asarray(a[name], jnp.float64) for name in ("temperature", "friction")),
        )
        self.state = change_settings(self.state, self.settings or self.case.settings, settings)
        self.settings = settings

    def _forget(self) -> None:
        """Displacements under other controls say nothing about these."""
        n_gas = self.case.system.counts[-1] // 2
        self.moved = Displacements(n_gas, SAMPLE * float(self.case.settings.dt))
        self.history: deque = deque(maxlen=HISTORY)
        self.temperatures: deque = deque(maxlen=RECENT)

    def picture(self) -> None:
        structure = (self.asked["size"], jax.tree.structure(self.potential))
        compiled = structure not in self.known
        if compiled:
            self.link.post("busy", "Compiling the simulation for this force field …")
            self.known.add(structure)
        state = self.state
        try:
            for _ in range(self.asked["steps"] // SAMPLE):
                state = self.stepped(state, SAMPLE)
                self.moved.add(np.asarray(centres_of(self._seen(state))))
        except SimulationError as error:
            self.explode(error)
            return
        self.state = state
        self.show()
        if compiled:
            memory.give_back()

    def _seen(self, state):
        return to_snapshot(self.case.system, state, self.settings)

    def show(self) -> None:
        """Post the present state as a frame."""
        seen = jax.tree.map(np.asarray, measure(self._seen(self.state)))
        self.temperatures.append(float(seen["temperature"]))
        fit = self.moved.fit()
        if fit is not None:
            self._remember(fit)
        times, msd, error = self.moved.curve()
        frame = {
            "resets": self.asked["resets"],
            "epoch": self.asked["epoch"],
            "time": self.moved.time,
            "positions": seen["positions"],
            "trail": self._trail(seen["centres"]),
            "msd": {"times": times, "values": msd, "errors": error},
            "fit": fit,
            "history": list(self.history),
            "temperature": float(np.mean(self.temperatures)),
        }
        self.link.post("frame", frame)

    def _remember(self, fit) -> None:
        """A point of D against time, no closer than a hundredth of the run to the one before."""
        if not self.history or self.moved.time > 1.01 * self.history[-1][0]:
            self.history.append((self.moved.time, fit.coefficient, fit.error))

    def _trail(self, now) -> np.ndarray:
        """(M, points, 3): the last points of each centre, the oldest repeated while there are few."""
        points = [*self.moved.frames[-TRAIL * TRAIL_EVERY :: TRAIL_EVERY], now]
        points = [points[0]] * (TRAIL - len(points)) + points[-TRAIL:]
        return np.asarray(points, np.float32).transpose(2, 0, 1)


@eqx.filter_jit
def centres_of(snapshot):
    """(3, M) unwrapped midpoints of the O2 (nm)."""
    atoms = unwrapped_positions(snapshot, GAS)
    return atoms.reshape(3, -1, 2).mean(axis=2)


@eqx.filter_jit
def measure(snapshot) -> dict[str, Any]:
    """Positions (nm), centres of the O2 (nm), temperature (K)."""
    return {
        "positions": snapshot.positions.astype(jnp.float32),
        "centres": centres_of(snapshot),
        "temperature": temperature(snapshot),
    }
