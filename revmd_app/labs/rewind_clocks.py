"""Several clocks of one run: the exact engine, floating point beside it, and the exact run with one bit flipped.

All of them make the same steps with the same noise under the same controls, forwards and backwards. The exact one
remembers its controls (`engine.restart.Recorder`); what a rewind takes off its history is kept here as a future, so
that going forward again makes the same changes at the same steps. No Panel here, and no messages.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine import floating
from revmd_app.engine.floating import FloatState
from revmd_app.engine.lattice import VELOCITY_BITS, State, burnt_bits, scale
from revmd_app.engine.loops import FASTEST_MOVE, SimulationError
from revmd_app.engine.restart import Controls, Recorder
from revmd_app.engine.simulate import Tape, advance, rewind, tape_capacity
from revmd_app.labs import knobs
from revmd_app.systems.case import Case
from revmd_app.systems.crystal import CELLS

PRECISIONS = ("float32", "float64")
EXACT, FLIPPED = "exact", "flipped"
CLOCKS = (*PRECISIONS, EXACT, FLIPPED)
NEAR = 0.1
"""nm. An atom is where it was, and two atoms are together, within this distance."""
INTEGERS = ("position", "velocity", "image")
"""The (3, N) integers that make up a state."""


class Clocks:
    """One start, several ways of counting. `forward` and `backward` move all; `distance` says how far each is off."""

    def __init__(self, case: Case, controls: dict[str, float], key):
        self.case, self.key = case, key
        settings, potential = applied(case, case.settings, case.potential, controls)
        self._begin(Recorder(case.system, potential, settings, case.state, key))

    @classmethod
    def of_run(cls, case: Case, run: Recorder) -> Clocks:
        """The clocks at the start of a run that was saved; its changes lie ahead as the future."""
        clocks = cls.__new__(cls)
        clocks.case, clocks.key = case, run.key
        future = run.controls[1:]
        run.backward(run.step - run.start)
        del run.controls[1:]
        clocks._begin(run)
        clocks.future = future
        return clocks

    def _begin(self, run: Recorder) -> None:
        self.exact, self.start = run, run.state
        self.twin: Recorder | None = None
        self.flipped_at = 0
        self.future: list[Controls] = []
        self.pending: dict[str, float] | None = None
        self.moved = False
        self.lost: dict[str, int] = {}
        self.floats: dict[str, FloatState] = {
            p: floating.from_state(run.system, run.state, run.settings, p) for p in PRECISIONS
        }

    @property
    def step(self) -> int:
        """The step at which the exact clock stands."""
        return self.exact.step

    @property
    def system(self):
        """The atoms, their masses and the box."""
        return self.exact.system

    @property
    def world(self) -> tuple[Any, Any, Any]:
        """(system, potential, settings) that are in force."""
        return self.system, self.exact.potential, self.exact.settings

    # ------------------------------------------------------------------------------------------------------ controls

    def controls(self) -> dict[str, float]:
        """The controls with which the next step forwards would be made."""
        now = read(self.exact.settings, self.exact.potential)
        return now if self.pending is None else {**now, **self.pending}

    def turn(self, controls: dict[str, float]) -> None:
        """Go on with other controls from here; what lay ahead is another future then."""
        self.pending, self.future = dict(controls), []

    def changes(self) -> list[tuple[int, dict[str, float]]]:
        """(step, what was set) of every change of the controls, behind and ahead, in order."""
        log = [*self.exact.controls, *self.future]
        values = [read(c.settings, c.potential) for c in log]
        return [
            (int(log[i].since), {name: x for name, x in values[i].items() if x != values[i - 1][name]})
            for i in range(1, len(log))
            if values[i] != values[i - 1]
        ]

    def _take_up(self) -> int | None:
        """Make the changes that are due at this step; the step of the next one ahead, or None."""
        if self.pending is not None:
            self._set(*applied(self.case, self.exact.settings, self.exact.potential, self.pending))
            self.pending = None
        while self.future and self.future[0].since <= self.step:
            change = self.future.pop(0)
            self._set(change.settings, change.potential)
        return self.future[0].since if self.future else None

    def _set(self, settings, potential) -> None:
        self.exact.set(settings=settings, potential=potential)
        if self.twin is not None and FLIPPED not in self.lost:
            self.twin.set(settings=settings, potential=potential)

    # ---------------------------------------------------------------------------------------------------------- time

    def forward(self, n_steps: int) -> None:
        """Run all clocks on. Raises `SimulationError` when the exact run explodes; it stays at its last good state."""
        end = self.step + n_steps
        self.moved = True
        while self.step < end:
            following = self._take_up()
            n = (end if following is None else min(end, following)) - self.step
            world = self.world
            self.exact.forward(n)
            self._let_others(world, n, forwards=True)

    def backward(self, n_steps: int) -> None:
        """Run all clocks back, through every change of the controls. Raises `ValueError` before the start."""
        end = self.step - n_steps
        while self.step > end:
            log = self.exact.controls
            undone = [c for c in log[1:] if c.since == self.step]
            self.future = undone + self.future
            in_force = log[len(log) - 1 - len(undone)]
            n = self.step - max(end, in_force.since)
            self.exact.backward(n)
            self._let_others((self.system, in_force.potential, in_force.settings), n, forwards=False)

    def _let_others(self, world: tuple[Any, Any, Any], n: int, forwards: bool) -> None:
        """The same steps for those that may fail: who explodes is lost, and stays where it last was."""
        go = floating.advance if forwards else floating.rewind
        for name in PRECISIONS:
            if name not in self.lost:
                state, report = go(*world, self.floats[name], self.key, n)
                if report.exploded:
                    self.lost[name] = int(state.step)
                else:
                    self.floats[name] = state
        if self.twin is not None and FLIPPED not in self.lost:
            try:
                (self.twin.forward if forwards else self.twin.backward)(n)
            except SimulationError:
                self.lost[FLIPPED] = self.twin.step
            else:
                if fastest_move(self.twin) > FASTEST_MOVE:
                    self.lost[FLIPPED] = self.twin.step

    def compile(self, say=lambda words: None) -> None:
        """Make every program before the first step; `say` hears what is being made."""
        world, state = self.world, self.exact.state
        tape = Tape.empty(tape_capacity(self.exact.settings, 0), self.system.n_atoms)
        say("Compiling the exact engine, forwards …")
        advance(*world, state, self.key, 0, tape)
        say("Compiling the exact engine, backwards …")
        rewind(*world, state, tape, self.key, 0)
        for name in PRECISIONS:
            say(f"Compiling {name} beside it …")
            floating.advance(*world, self.floats[name], self.key, 0)
            floating.rewind(*world, self.floats[name], self.key, 0)

    # ------------------------------------------------------------------------------------------------------ one bit

    def flip(self, atom: int, component: int, bit: int) -> None:
        """Begin a second exact run here that differs in one bit of one position."""
        run = self.exact
        twin = Recorder(run.system, run.potential, run.settings, flipped(run.state, atom, component, bit), run.key)
        twin.controls, twin.words = list(run.controls), list(run.words)
        self.twin, self.flipped_at = twin, run.step
        self.lost.pop(FLIPPED, None)

    # ------------------------------------------------------------------------------------------------- what is seen

    def names(self) -> tuple[str, ...]:
        """The clocks that there are."""
        return CLOCKS if self.twin is not None else CLOCKS[:-1]

    def _integers(self, name: str) -> State:
        run = self.twin if name == FLIPPED else self.exact
        assert run is not None
        return run.state

    def positions(self, name: str) -> np.ndarray:
        """(3, N) positions of a clock in nm, float64, around the middle of the box."""
        if name in PRECISIONS:
            return np.asarray(self.floats[name].position, np.float64)
        return in_nm(self.system, self._integers(name).position)

    def off(self, name: str) -> np.ndarray:
        """(N,) distances (nm) of a clock's atoms from the start, minimum image. Integers are compared as integers."""
        if name in PRECISIONS:
            moved = self._nearest(self.positions(name) - in_nm(self.system, self.start.position))
        else:
            moved = in_nm(self.system, self._integers(name).position - self.start.position)
        return np.sqrt((moved * moved).sum(axis=0))

    def coordinates(self, name: str) -> np.ndarray:
        """(3, N) positions as the clock counts them: float64 nm, or integers."""
        return self.positions(name) if name in PRECISIONS else np.asarray(self._integers(name).position)

    def between(self, then: np.ndarray, name: str) -> float:
        """Root mean square distance (nm) of a clock from where it was then (`coordinates`), minimum image."""
        moved = self.coordinates(name) - then
        moved = self._nearest(moved) if name in PRECISIONS else in_nm(self.system, moved)
        return float(np.sqrt((moved * moved).sum(axis=0).mean()))

    def apart(self) -> np.ndarray:
        """(N,) distances (nm) between the atoms of the exact run and those of the run with the flipped bit."""
        assert self.twin is not None
        moved = in_nm(self.system, self.twin.state.position - self.exact.state.position)
        return np.sqrt((moved * moved).sum(axis=0))

    def _nearest(self, d: np.ndarray) -> np.ndarray:
        box = np.asarray(self.system.box)[:, None]
        return d - box * np.rint(d / box)

    def order(self, name: str) -> float:
        """How much of the start's order is left, from 1 (all) to about 0.

        A crystal: the height of its {111} Bragg peaks, |<exp(i k.x)>|² averaged over the four k. A liquid: the
        fraction of atoms within 0.1 nm of where they started.
        """
        if self.case.name != "argon_crystal":
            return float((self.off(name) < NEAR).mean())
        fraction = self.positions(name) / np.asarray(self.system.box)[:, None]
        k = 2 * np.pi * np.array(CELLS[self.system.n_atoms]) * np.array(BRAGG)
        return float((np.abs(np.exp(1j * (k @ fraction)).mean(axis=1)) ** 2).mean())

    def tape(self) -> tuple[float, float]:
        """(bits on the tape, bits that friction has burnt: gamma t / ln 2), both per degree of freedom."""
        return 16.0 * len(self.exact.words), float(burnt_bits(self.exact.state, self.exact.settings))

    def identical(self, name: str = EXACT) -> tuple[int, int]:
        """(integers that are those of the start, how many there are): positions, velocities, boundary crossings."""
        pairs = [(getattr(self._integers(name), field), getattr(self.start, field)) for field in INTEGERS]
        return sum(int(np.sum(np.asarray(a) == np.asarray(b))) for a, b in pairs), sum(a.size for a, _ in pairs)


BRAGG = ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1))
"""Miller indices of the first Bragg peaks of an fcc crystal."""


def applied(case: Case, settings, potential, controls: dict[str, float]) -> tuple[Any, Any]:
    """(settings, potential) with these controls: temperature K, friction 1/ps, dt ps, sigma nm, epsilon kJ/mol."""
    traced = tuple(jnp.asarray(controls[name], jnp.float64) for name in ("dt", "temperature", "friction"))
    settings = eqx.tree_at(lambda s: (s.dt, s.temperature, s.friction), settings, traced)
    number = knobs.pair_index(case.potential)
    turned = {f"{number}.{name}": controls[name] for name in ("sigma", "epsilon")}
    return settings, knobs.turned(potential, turned)


def read(settings, potential) -> dict[str, float]:
    """The controls that settings and a potential hold; the inverse of `applied`."""
    pair = knobs.pair_term(potential)
    return {
        "temperature": float(settings.temperature),
        "friction": float(settings.friction),
        "dt": float(settings.dt),
        "sigma": float(pair.sigma),
        "epsilon": float(pair.epsilon),
    }


def fastest_move(run: Recorder) -> float:
    """How far the fastest atom goes in a step, as a fraction of the box. (A rewind needs no such check of its own: it
    ends where it began. A run with a flipped bit is on nobody's way back, and friction undone heats it.)"""
    fastest = float(np.abs(np.asarray(run.state.velocity, np.float64)).max())
    scaled = fastest * float(scale(burnt_bits(run.state, run.settings))) / 2.0**VELOCITY_BITS
    return scaled * float(run.settings.dt)


def in_nm(system, integers) -> np.ndarray:
    """(3, N) float64 nm of lattice positions, or of their (wrapped) differences."""
    return np.asarray(integers).astype(np.float64) * (np.asarray(system.box)[:, None] / 2.0**64)


def flipped(state: State, atom: int, component: int, bit: int) -> State:
    """The state with one bit of one position component the other way round."""
    position = np.array(state.position)
    position.view(np.uint64)[component, atom] ^= np.uint64(1) << np.uint64(bit)
    return eqx.tree_at(lambda s: s.position, state, jnp.asarray(position))


def bit_size(box: float, bit: int) -> float:
    """How far (nm) the atom goes when this bit of its position flips, in a box of this edge (nm)."""
    return float(box) * 2.0 ** (bit - 64)


def key_of(seed: int):
    """The random key of a run."""
    return jax.random.key(seed)
