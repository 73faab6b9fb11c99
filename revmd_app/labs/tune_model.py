"""What Lab 1 (Tune) knows: the chosen system and potential, the controls, and what the simulation has shown so far.

No widget and no Panel here. The view turns the knobs and draws; the child process (`tune_worker.py`) simulates.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, ClassVar, NamedTuple

import numpy as np
import param

from revmd_app.labs import knobs
from revmd_app.labs.model import LabModel
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.tune_liquids import LIQUIDS, Liquid
from revmd_app.potentials.expression import Expression, check_radial
from revmd_app.systems import build, store
from revmd_app.systems.case import Case

TRUNCATIONS = {"force-shifted": "shifted", "switched": "switched", "plain (jumps)": "plain"}
SPEEDS = (5, 10, 20, 50, 100, 200)
"""Steps between two pictures."""
DRAWN_AS = ("Spheres", "Ball and stick", "Points")
COLOURS = ("by element", "by kinetic energy")
MEMORIES = {"last 2 ps (or τ)": 2.0, "last 10 ps (or τ)": 10.0, "last 50 ps (or τ)": 50.0, "everything": np.inf}
HISTORY = 600
"""Points of the time series that are kept."""
GESTURE = 1.0
"""Seconds without a change after which the next one begins a new gesture, with a new ghost."""
YOUNG = 40
"""Pictures in an average below which it is still shown as young."""

START_FORMULA = "4*epsilon*((sigma/r)**12 - (sigma/r)**6)"


def ready(name: str, n: int) -> Case:
    """A system, equilibrated if that is stored; otherwise its lattice start (the child process equilibrates it)."""
    case = build(name, n)
    state = store.load(case)
    return case if state is None else case.with_state(state)


class Series(NamedTuple):
    """Time (ps) and the quantities followed along it."""

    time: np.ndarray
    values: dict[str, np.ndarray]


class TuneModel(LabModel):
    """The state of Lab 1. Change a parameter and the derived ones follow; `take` adds what the simulation sends."""

    shared: ClassVar[tuple[str, ...]] = (
        "liquid",
        "form",
        "formula",
        "cutoff",
        "truncation",
        "values",
        "temperature",
        "friction",
        "time_step",
        "steps_per_picture",
        "memory",
        "rdf_pair",
        "drawn_as",
        "colour",
    )

    liquid = param.Selector(default="Argon, 108 atoms", objects=list(LIQUIDS), label="System")
    form = param.Selector(default="Lennard-Jones", objects=list(knobs.FORMS), label="Pair potential u(r)")
    formula = param.String(
        default=START_FORMULA, label="u(r) =", doc="Any names but r and the functions become sliders."
    )
    truncation = param.Selector(default="force-shifted", objects=list(TRUNCATIONS), label="At the cutoff")
    cutoff = param.Number(default=0.85, bounds=(0.1, 10.0), label="Cutoff")
    temperature = param.Number(default=94.4, bounds=(0.01, 1000.0), label="Temperature")
    friction = param.Number(default=1.0, bounds=(0.0, 20.0), label="Friction")
    time_step = param.Number(default=4.0, bounds=(0.05, 200.0), label="Time step")
    steps_per_picture = param.Selector(default=10, objects=list(SPEEDS), label="Speed")
    memory = param.Selector(default="last 10 ps (or τ)", objects=list(MEMORIES), label="Average g(r) over")
    rdf_pair = param.Selector(default=None, objects=[None], label="Pair of species of g(r)")
    drawn_as = param.Selector(default="Spheres", objects=list(DRAWN_AS), label="Draw as")
    colour = param.Selector(default="by element", objects=list(COLOURS), label="Colour")
    values = param.Dict(default={}, doc="The knobs' values by key.")
    running = param.Boolean(default=True)

    case = param.Parameter(doc="The chosen system, ready to run.")
    potential = param.Parameter(doc="The potential that the simulation shall use.")
    previous = param.Parameter(doc="The pair form as it was before the knob now being turned.")
    knobs = param.List(default=[], doc="The knobs of the potential as they were when it was made.")
    message = param.String(default="", doc="Why the last change could not be made; empty when all is well.")
    state = param.Selector(
        default="starting", objects=["starting", "compiling", "running", "paused", "exploded", "failed"]
    )

    def __init__(self, **params):
        super().__init__(**params)
        self.epoch = 0  # counts changes that make earlier averages stale
        self.resets = 0
        self.steps_asked = 0
        self.frame: dict[str, Any] | None = None
        self._history: deque = deque(maxlen=HISTORY)
        self.old_rdf: dict[str, np.ndarray] | None = None
        self._last_change = 0.0
        self._accepted = (self.form, self.formula)
        self._choose_liquid()

    @property
    def choice(self) -> Liquid:
        """The entry of `LIQUIDS` that is chosen."""
        return LIQUIDS[self.liquid]

    @property
    def units(self) -> dict[str, str]:
        """Names of the units in which the chosen system is shown."""
        if self.case.units == "reduced":
            return {
                "length": "σ₀",
                "energy": "ε₀",
                "force": "ε₀/σ₀",
                "time": "τ",
                "temperature": "ε₀/k",
                "pressure": "ε₀/σ₀³",
                "small time": "τ/1000",
                "rate": "1/τ",
            }
        return {
            "length": "nm",
            "energy": "kJ/mol",
            "force": "kJ/mol/nm",
            "time": "ps",
            "temperature": "K",
            "pressure": "bar",
            "small time": "fs",
            "rate": "1/ps",
        }

    @property
    def obstacle(self) -> str | None:
        """Why a typed formula cannot be simulated as it is, or None. (The other forms' bounds see to that.)"""
        return check_radial(self.pair) if isinstance(self.pair, Expression) else None

    @property
    def pair(self):
        """The pair form in use."""
        return knobs.pair_term(self.potential)

    @param.depends("liquid", watch=True)
    def _choose_liquid(self) -> None:
        """Another system begins with its own settings; the form stays."""
        case = ready(self.choice.name, self.choice.n)
        pair = knobs.pair_term(case.potential)
        with self._together():
            self.case = case
            self.param.rdf_pair.objects = self.rdf_names
            self.rdf_pair = self.rdf_names[0]
            self.cutoff = float(pair.cutoff)
            self.temperature = float(case.settings.temperature)
            self.friction = float(case.settings.friction)
            self.time_step = 1000 * float(case.settings.dt)
            self.steps_per_picture = self.choice.steps
            self._begin_again()
            self._use(*self._accepted)

    @param.depends("form", "formula", watch=True)
    def _choose_form(self) -> None:
        """Another form starts from its own values; a formula that cannot be used leaves everything as it was."""
        if self._quiet or (self.form, self.formula) == self._accepted:
            return
        try:
            self._use(self.form, self.formula)
        except ValueError as error:
            self.message = as_sentence(error)

    def _use(self, form: str, formula: str) -> None:
        """Take a form with its start values. Raises `ValueError`, and changes nothing, when it cannot be used."""
        potential = self._potential_of(form, formula)
        with self._together():
            self.previous = self.pair if self.potential is not None and self.frame is not None else None
            self.potential = potential
            self.knobs = knobs.knobs(self.case, potential)
            self.values = {knob.key: knob.value for knob in self.knobs}
            self.form, self.formula = form, formula
            self._accepted = (form, formula)
            self._forget()

    def put(self, name: str, value: Any) -> None:
        """Make one setting of a configuration; a formula means the typed form."""
        if name == "formula":
            self._use(knobs.TYPED, value)
        elif name == "form":
            self._use(value, self.formula)
        elif name == "cutoff":
            knobs.make_pair(self.case, *self._accepted, value).check(self.case.system)
            self.cutoff = value
        else:
            super().put(name, value)

    def _potential_of(self, form: str, formula: str):
        pair = knobs.make_pair(self.case, form, formula, self.cutoff, TRUNCATIONS[self.truncation])
        potential = knobs.with_pair(self.case.potential, pair)
        potential.check(self.case.system)
        return potential

    @param.depends("cutoff", "truncation", watch=True)
    def _cut(self) -> None:
        if self._quiet:
            return
        try:
            self._replace(knobs.turned(self._potential_of(*self._accepted), self.values))
        except ValueError as error:
            self.message = as_sentence(error)

    @param.depends("values", watch=True)
    def _turn(self) -> None:
        if not self._quiet:
            self._replace(knobs.turned(self.potential, self.values))

    def _replace(self, potential) -> None:
        """The ghost is the curve before the knob began to move, not the one of a moment ago."""
        now = time.monotonic()
        with self._together():
            if now - self._last_change > GESTURE:
                self.previous = self.pair
            self.potential = potential
            self._forget()
        self._last_change = now

    @param.depends("temperature", "friction", "time_step", "memory", watch=True)
    def _forget(self) -> None:
        """Averages of before the change say nothing about after it."""
        if self.frame is not None and self.frame["n"] >= YOUNG:
            self.old_rdf = self.frame["rdf"]
        self.epoch += 1
        if self.state not in ("exploded", "failed"):
            self.message = f"Held: this u(r) cannot be simulated as it is: {self.obstacle}" if self.obstacle else ""

    def forget(self) -> None:
        """Begin the averages anew."""
        self._forget()
        self.param.trigger("potential")

    def _begin_again(self) -> None:
        self.resets += 1
        self.frame = self.old_rdf = None
        self._history.clear()
        if self.state in ("exploded", "failed"):
            self.message, self.state = "", "compiling"

    def turn(self, key: str, value: float) -> None:
        """Set one knob."""
        self.values = {**self.values, key: float(value)}

    def restore(self) -> None:
        """The potential's start values, and the atoms where they were at the beginning."""
        with self._together():
            self._begin_again()
            self._use(*self._accepted)
            self.temperature = float(self.case.settings.temperature)
            self.friction = float(self.case.settings.friction)
            self.time_step = 1000 * float(self.case.settings.dt)
            self.running = True

    def step_once(self) -> None:
        """Ask for one picture while paused."""
        self.running = False
        self.steps_asked += 1

    def request(self) -> dict[str, Any]:
        """Everything that the child needs to know, as plain picklable values."""
        return {
            "system": (self.choice.name, self.choice.n),
            "form": self._accepted[0],
            "formula": self._accepted[1],
            "cutoff": self.cutoff,
            "truncation": TRUNCATIONS[self.truncation],
            "values": dict(self.values),
            "temperature": self.temperature,
            "friction": self.friction,
            "dt": self.time_step / 1000,
            "steps": self.steps_per_picture,
            "memory": MEMORIES[self.memory],
            "running": self.running and self.obstacle is None,
            "epoch": self.epoch,
            "resets": self.resets,
            "steps_asked": self.steps_asked,
        }

    def curves(self, points: int = 400) -> dict[str, np.ndarray]:
        """r, u, force, and where there was another form before, u_before and force_before; all (points,)."""
        far = max(self.cutoff * 1.15, self.choice.cutoff[0] * 1.6)
        r = np.linspace(self.choice.r_from, far, points)
        r = np.sort(np.append(r, [self.cutoff - 1e-6, self.cutoff + 1e-6]))
        u, force = (np.asarray(a) for a in knobs.curve(self.pair, r))
        curves = {"r": r, "u": u, "force": force, "bare": np.asarray(knobs.bare_curve(self.pair, r))}
        if self.previous is not None:
            curves["u_before"], curves["force_before"] = (np.asarray(a) for a in knobs.curve(self.previous, r))
        return curves

    def take(self, frame: dict[str, Any]) -> bool:
        """Keep a frame that the simulation sent; False when it belongs to a system or start that is no longer shown."""
        if frame["resets"] != self.resets:
            return False
        self.frame = frame
        last = self._history[-1][0] if self._history else -np.inf
        for row in frame["series"]:
            if row[0] > last:
                self._history.append(row)
        return True

    @property
    def young(self) -> bool:
        """Whether the averages rest on few pictures, or are older than the last change."""
        return self.frame is None or self.frame["epoch"] != self.epoch or self.frame["n"] < YOUNG

    @property
    def rdf_names(self) -> list[str]:
        """The pairs of species between which g(r) is measured, as they are written in a frame."""
        species = self.case.system.species
        return [f"{a}–{b}" for i, a in enumerate(species) for b in species[i:]]

    @property
    def rdf_range(self) -> float:
        """How far g(r) reaches: half the shortest edge of the box."""
        return float(np.min(np.asarray(self.case.system.box))) / 2

    def reference(self, name: str):
        """The `ReferenceCurve` of a pair of species, or None when nothing is known."""
        return self.case.reference.get("rdf", {}).get(tuple(name.split("–")))

    @property
    def counted(self) -> str:
        """What the energies are divided by."""
        return "molecule" if self.case.system.n_molecules < self.case.system.n_atoms else "atom"

    def series(self) -> Series:
        """What has been followed so far: temperature, pressure, potential and total energy per molecule."""
        rows = np.array(self._history, dtype=float).reshape(-1, 1 + len(FOLLOWED))
        return Series(rows[:, 0], {name: rows[:, 1 + i] for i, name in enumerate(FOLLOWED)})


FOLLOWED = ("temperature", "pressure", "potential", "total")
