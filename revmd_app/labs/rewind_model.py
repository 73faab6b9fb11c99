"""What Lab 2 (Rewind) knows: the system, its controls, where in time it wants to be, and what came back.

No widget and no Panel here; the child process (`rewind_worker.py`) computes.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
import param

from revmd_app.labs.model import LabModel
from revmd_app.labs.rewind_systems import SYSTEMS, Choice

CONTROLS = ("temperature", "friction", "time_step", "sigma", "epsilon")
"""What can be changed during a run; the child calls the time step dt and counts it in ps."""
UNITS = {"temperature": "K", "friction": "1/ps", "time_step": "fs", "sigma": "nm", "epsilon": "kJ/mol"}
SYMBOLS = {"temperature": "T", "friction": "γ", "time_step": "Δt", "sigma": "σ", "epsilon": "ε"}
SPEEDS = {"5 steps a picture": 5, "20 steps a picture": 20, "100 steps a picture": 100, "as fast as possible": 0}
LENGTHS = (500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
VIEWS = ("three clocks", "exact and flipped")
POINTS = 200
"""Points of a curve over the whole run."""
LARGEST_FILE = 50_000_000


class Growth(NamedTuple):
    """A straight line through ln(difference) against time: its slope (1/ps), where it holds, and its value there."""

    rate: float
    time: np.ndarray
    difference: np.ndarray


class RewindModel(LabModel):
    """The state of Lab 2. `request()` is the wish that the child follows; `take` keeps what it shows."""

    shared: ClassVar[tuple[str, ...]] = (
        "system",
        "length",
        *CONTROLS,
        "flip_atom",
        "flip_component",
        "flip_bit",
        "seed",
    )

    system = param.Selector(default="Argon crystal, 216 atoms", objects=list(SYSTEMS), label="System")
    length = param.Selector(default=20_000, objects=list(LENGTHS), label="Length of the run (steps)")
    temperature = param.Number(default=300.0, bounds=(1.0, 1000.0), label="Temperature")
    friction = param.Number(default=1.0, bounds=(0.0, 10.0), label="Friction")
    time_step = param.Number(default=4.0, bounds=(0.05, 20.0), label="Time step")
    sigma = param.Number(default=0.34, bounds=(0.2, 0.5), label="σ")
    epsilon = param.Number(default=1.0, bounds=(0.05, 5.0), label="ε")
    flip_atom = param.Integer(default=1, bounds=(1, 500), label="Atom")
    flip_component = param.Selector(default="x", objects=["x", "y", "z"], label="Component")
    flip_bit = param.Integer(default=32, bounds=(0, 63), label="Bit")
    seed = param.Integer(default=0, bounds=(0, 1_000_000), label="Seed of the noise")
    speed = param.Selector(default="20 steps a picture", objects=list(SPEEDS), label="Speed of play")
    view = param.Selector(default="three clocks", objects=list(VIEWS), label="Show")

    frame = param.Dict(default=None, allow_None=True, doc="What the child showed last.")
    goal = param.Integer(default=0, bounds=(0, None), doc="The step at which the time slider stands.")
    moving = param.Boolean(default=False, doc="Whether the clocks are under way.")
    busy = param.String(default="", doc="What is being prepared; empty when nothing is.")
    message = param.String(default="", doc="What went wrong; empty when all is well.")
    file_id = param.Integer(default=0, doc="How many restart files have been opened.")

    def __init__(self, **params):
        super().__init__(**params)
        self.restarts, self.touched, self.route_id = 1, 0, 0
        self.route: list[dict[str, Any]] = []
        self.fast = True
        self.file: tuple[str, bytes] | None = None
        self.saved: dict[str, Any] | None = None
        self._usual_controls()

    # ------------------------------------------------------------------------------------------------------ controls

    @property
    def choice(self) -> Choice:
        """The chosen system."""
        return SYSTEMS[self.system]

    @property
    def every(self) -> int:
        """Steps between two points of a curve."""
        return max(5, self.length // POINTS)

    def bounds(self, name: str) -> tuple[float, float]:
        """How far a control may go for the chosen system."""
        return (0.0, 10.0) if name == "friction" else getattr(self.choice, name)

    def controls(self) -> dict[str, float]:
        """The controls as the child knows them."""
        values = {name: float(getattr(self, name)) for name in CONTROLS}
        return {**{n: x for n, x in values.items() if n != "time_step"}, "dt": values["time_step"] / 1000}

    @param.depends("system", watch=True)
    def _usual_controls(self) -> None:
        """Another system begins with its own settings."""
        if self._quiet:
            return
        self._show_controls(self.choice.defaults)
        self.param.flip_atom.bounds = (1, self.choice.n * (3 if self.choice.name == "water" else 1))
        self.flip_atom = 1
        self.length = self.choice.length
        self.restart()

    def _show_controls(self, values: dict[str, float]) -> None:
        """Let the controls show what is in force, without a change being made of it."""
        known = {**values, "time_step": 1000 * values["dt"]}
        with self._together():
            self.param.update({name: float(f"{known[name]:.12g}") for name in CONTROLS})

    @param.depends(*CONTROLS, watch=True)
    def _touch(self) -> None:
        if not self._quiet:
            self.touched += 1
            self.message = ""

    @param.depends("length", "seed", watch=True)
    def _again(self) -> None:
        if not self._quiet:
            self.restart()

    # ---------------------------------------------------------------------------------------------------------- time

    @property
    def step(self) -> int:
        """The step at which the clocks stand."""
        return self.frame["step"] if self.frame else 0

    def travel(self, *route: dict[str, Any], fast: bool = True) -> None:
        """Go along a route: legs {"to": step} and flips {"flip": (atom, component, bit)}."""
        self.route, self.fast, self.route_id = list(route), fast, self.route_id + 1
        goals = [leg["to"] for leg in route if "to" in leg]
        self.param.update(moving=bool(goals), message="", goal=goals[0] if goals else self.step)

    def seek(self, step: int) -> None:
        """Go to a step, as fast as possible."""
        self.travel({"to": int(min(max(step, 0), self.length))})

    def play(self) -> None:
        """Run forwards to the end, at the chosen speed."""
        self.travel({"to": self.length}, fast=False)

    def play_back(self) -> None:
        """Run backwards to the start, at the chosen speed."""
        self.travel({"to": 0}, fast=False)

    def halt(self) -> None:
        """Stay here."""
        self.travel()

    def restart(self) -> None:
        """A new start with the controls as they are."""
        self.restarts += 1
        self.file = None
        self.param.update(frame=None, view=VIEWS[0])
        self.travel()

    @property
    def flip(self) -> tuple[int, int, int]:
        """(atom from 0, component, bit) of the bit to be flipped."""
        return self.flip_atom - 1, "xyz".index(self.flip_component), self.flip_bit

    def there_and_back(self) -> None:
        """A new start, the whole run, and the way back."""
        self.restart()
        self.travel({"to": self.length}, {"to": 0})

    def flip_and_back(self) -> None:
        """Flip one bit at the turning point and go back; from the start, the way out comes first."""
        if self.frame is None or self.step == 0:
            self.restart()
            self.travel({"to": self.length}, {"flip": self.flip}, {"to": 0})
        else:
            self.travel({"flip": self.flip}, {"to": 0})
        self.view = VIEWS[1]

    def flip_size(self) -> float:
        """How far (nm) the chosen bit moves its atom."""
        box = self.frame["box"] if self.frame else None
        edge = float(box["xyz".index(self.flip_component)]) if box is not None else 1.64
        return edge * 2.0 ** (self.flip_bit - 64)

    # --------------------------------------------------------------------------------------------- child and the page

    def open(self, name: str, content: bytes) -> None:
        """Hand a restart file to the child. Raises `ValueError` when it is too large to be one."""
        if len(content) > LARGEST_FILE:
            raise ValueError(f"'{name}' has {len(content) / 1e6:.0f} MB; a restart file has at most 50 MB.")
        self.file = (name, content)
        self.file_id += 1

    def request(self) -> dict[str, Any]:
        """The wish that the child follows, as plain picklable values."""
        name, content = self.file or ("", None)
        return {
            "system": self.system,
            "controls": self.controls(),
            "seed": self.seed,
            "touched": self.touched,
            "restarts": self.restarts,
            "length": self.length,
            "every": self.every,
            "pace": 0 if self.fast else SPEEDS[self.speed],
            "route": self.route,
            "route_id": self.route_id,
            "file": content,
            "file_id": self.file_id,
            "file_name": name,
        }

    def take(self, frame: dict[str, Any]) -> bool:
        """Keep a frame; False when it belongs to a start that is no longer shown."""
        if frame["restarts"] != self.restarts:
            return False
        if frame["touched"] == self.touched:
            self._show_controls(frame["controls"])
        current = frame["route_id"] == self.route_id
        with param.parameterized.batch_call_watchers(self):
            self.frame, self.busy = frame, ""
            if current:
                self.moving = frame["moving"]
                self.goal = min(frame["goal"] if frame["moving"] else frame["step"], self.length)
        return True

    def opened(self, told: dict[str, Any]) -> None:
        """The child has taken up a file: show its system, and let all clocks come forward to its step."""
        with self._together():
            self.system = told["system"]
            self.length = next((n for n in LENGTHS if n >= told["step"]), LENGTHS[-1])
        self.file = None
        self.seek(told["step"])

    # ------------------------------------------------------------------------------------------------ what it all means

    def curve(self, row: str, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(steps, way out, way back) of "off" (nm) or "order" of a clock; NaN where it has not been."""
        if self.frame is None:
            none = np.zeros(0)
            return none, none, none
        out, back = np.asarray(self.frame["series"][f"{row} {name}"], float)
        return np.arange(len(out)) * self.frame["every"], out, back

    def markers(self) -> list[tuple[int, str]]:
        """(step, words) of every change of the controls."""
        changes = self.frame["changes"] if self.frame else []
        found = []
        for step, values in changes:
            shown = {("time_step" if n == "dt" else n): (1000 * x if n == "dt" else x) for n, x in values.items()}
            words = ", ".join(f"{SYMBOLS[n]} {x:.4g} {UNITS[n]}" for n, x in shown.items())
            found.append((step, words))
        return found

    def growth(self) -> Growth | None:
        """The exponential growth of the flipped bit, from ten times its size to 0.02 nm; None with too few points."""
        if self.frame is None or not len(self.frame["spread"]):
            return None
        time, difference = self.frame["spread"][:, 1], self.frame["spread"][:, 2]
        grown = (difference > 10 * difference[0]) & (difference < 0.02)
        full = np.flatnonzero(difference >= 0.02)
        grown[full[0] if len(full) else len(grown) :] = False
        if grown.sum() < 5:
            return None
        rate, level = np.polyfit(time[grown], np.log(difference[grown]), 1)
        return Growth(float(rate), time[grown], np.exp(level + rate * time[grown]))

    def verdict(self) -> tuple[str, str]:
        """(tone, words): what can be said of the way back; words only after all integers were compared."""
        frame = self.frame
        if frame is None or not frame["moved"] or frame["identical"] is None:
            return "", ""
        same, all_of = frame["identical"]
        if same != all_of:
            return "bad", f"{all_of - same:,} of {all_of:,} integers differ from the start."
        words = f"Back at the start, bit for bit: all {all_of:,} integers are the same."
        if frame["identical flipped"] is not None:
            same, all_of = frame["identical flipped"]
            words += f" With one bit flipped {all_of - same:,} of them differ."
        elif "flipped" in frame["lost"]:
            words += f" With one bit flipped it blew up at step {frame['lost']['flipped']:,}."
        return "done", words
