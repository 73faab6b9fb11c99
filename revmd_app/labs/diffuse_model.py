"""What Lab 5 (Diffuse) knows: the box, its controls, how far the oxygen has come, and what training has found.

No widget and no Panel here. One child process (`diffuse_worker.py`) simulates, another (`diffuse_work.py`) trains and
studies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import param

from revmd_app.labs.diffuse_systems import FORCE_FIELDS, SIZES, knobs_of
from revmd_app.labs.knobs import Knob
from revmd_app.labs.model import LabModel
from revmd_app.labs.sentences import as_sentence
from revmd_app.observables.transport import yeh_hummer
from revmd_app.systems import build, force_fields
from revmd_app.systems.force_fields import force_field
from revmd_app.systems.oxygen_in_water import TARGET, TEMPERATURE, oxygen_potential

SPEEDS = (25, 50, 100, 200, 500)
"""Steps between two pictures."""
SI = 1000.0
"""10⁻⁹ m²/s in a nm²/ps."""
WATERS = ("thin lines", "glass", "hidden")
PANELS = {"train": "Train D to a target", "study": "Two estimators, longer and longer runs"}
EPOCHS = (5, 10, 20, 40)
ESTIMATORS = {"reversible": "reversible", "reweighting": "reweighting"}
"""Who gives the gradient of a training. Reweighting cannot, and says why."""
LENGTHS = {"0.4 ps": 400, "0.8 ps": 800, "1.6 ps": 1600}
"""Longest runs of the study, in steps."""
YOUNG = 5.0
"""ps. A diffusion coefficient from less is not worth a look."""


class Diffusion(NamedTuple):
    """D and its standard error in 10⁻⁹ m²/s."""

    value: float
    error: float


class Work(param.Parameterized):
    """A long calculation beside the simulation: `begin`, `take` what comes, `end`."""

    state = param.Selector(default="idle", objects=["idle", "running", "done", "cancelled", "failed"])
    message = param.String(default="")
    fraction = param.Number(default=0.0, bounds=(0.0, 1.0))
    result = param.Dict(default={})
    stale = param.Boolean(default=False)

    def __init__(self):
        super().__init__()
        self.computed: dict[str, Any] | None = None
        self._began = 0.0

    def begin(self, settings: dict[str, Any]) -> None:
        """Start with these settings."""
        self.computed, self._began = settings, time.monotonic()
        self.param.update(result={}, fraction=0.0, state="running", message="Starting …", stale=False)

    def take(self, progress: Mapping[str, Any]) -> None:
        """Keep the latest: "done", "total", "message", "left" (s) and, where there is one, the "result" so far."""
        found = {"result": progress["result"]} if progress.get("result") else {}
        left = progress.get("left")
        told = f" · about {readable_seconds(left)} left" if left is not None and left > 0.5 else ""
        message = progress["message"][:1].upper() + progress["message"][1:] + told
        self.param.update(fraction=min(1.0, progress["done"] / max(progress["total"], 1)), message=message, **found)

    def end(self, state: str, message: str = "") -> None:
        """It is over: "done", "cancelled" or "failed"."""
        took = readable_seconds(time.monotonic() - self._began)
        usual = {"done": f"Finished in {took}.", "cancelled": "Cancelled; nothing had come yet."}
        if self.result:
            usual["cancelled"] = "Cancelled; what came before stays."
        done = {"fraction": 1.0} if state == "done" else {}
        self.param.update(state=state, message=message or usual[state], **done)

    def compare(self, settings: dict[str, Any]) -> None:
        """Results of other settings must not pass for these."""
        self.stale = bool(self.result) and self.computed is not None and settings != self.computed


def readable_seconds(seconds: float) -> str:
    """ "8 s" or "3 min"."""
    return f"{max(1, math.ceil(seconds))} s" if seconds < 90 else f"{math.ceil(seconds / 60)} min"


class DiffuseModel(LabModel):
    """The state of Lab 5. `request` describes the simulation, `work_request` a training or the study."""

    shared: ClassVar[tuple[str, ...]] = (
        "size",
        "force_field",
        "values",
        "temperature",
        "friction",
        "steps_per_picture",
        "water",
        "corrected",
        "viscosity",
        "panel",
        "target",
        "epochs",
        "estimator",
        "longest",
        "parameter",
    )

    size = param.Selector(default=next(iter(SIZES)), objects=list(SIZES), label="System")
    force_field = param.Selector(default=next(iter(FORCE_FIELDS)), objects=list(FORCE_FIELDS), label="Force field")
    values = param.Dict(default={}, doc="The knobs' values by key.")
    temperature = param.Number(default=TEMPERATURE, bounds=(250.0, 400.0), label="Temperature")
    friction = param.Number(default=1.0, bounds=(0.0, 20.0), label="Friction")
    steps_per_picture = param.Selector(default=50, objects=list(SPEEDS), label="Speed")
    water = param.Selector(default="thin lines", objects=list(WATERS), label="Water drawn as")
    corrected = param.Boolean(default=False, label="Correct D for the finite box (Yeh and Hummer)")
    viscosity = param.Number(default=0.3, bounds=(0.1, 2.0), label="Viscosity of the model")
    panel = param.Selector(default="train", objects=list(PANELS), label="Below the plots")
    target = param.Number(default=TARGET * SI, bounds=(0.2, 10.0), label="Target D")
    epochs = param.Selector(default=10, objects=list(EPOCHS), label="Epochs")
    estimator = param.Selector(default="reversible", objects=list(ESTIMATORS), label="Gradient by")
    longest = param.Selector(default="0.8 ps", objects=list(LENGTHS), label="Longest run")
    parameter = param.Selector(default=None, objects=[None], label="Gradient with respect to")
    running = param.Boolean(default=True)

    knobs = param.List(default=[])
    case = param.Parameter(doc="The chosen box, on its lattice: what it is made of.")
    frame = param.Dict(default=None, allow_None=True, doc="The latest frame of the simulation.")
    message = param.String(default="")
    state = param.Selector(
        default="starting", objects=["starting", "compiling", "running", "paused", "exploded", "failed"]
    )

    def __init__(self, **params):
        super().__init__(**params)
        self.epoch, self.resets = 0, 1
        self.train, self.study = Work(), Work()
        self._choose_size()
        self._choose_force_field()

    @property
    def works(self) -> dict[str, Work]:
        """The long calculations by name."""
        return {"train": self.train, "study": self.study}

    @property
    def n_waters(self) -> int:
        """The number of waters."""
        return SIZES[self.size]

    @property
    def preset(self) -> str:
        """The chosen force field's name."""
        return FORCE_FIELDS[self.force_field]

    @property
    def formula(self) -> str:
        """u(r) of the van der Waals term, LaTeX."""
        return force_fields.FORMS[force_field(self.preset).form].formula

    @param.depends("size", watch=True)
    def _choose_size(self) -> None:
        with self._together():
            self.case = build("oxygen_in_water", self.n_waters)
            self._begin_again()

    @param.depends("force_field", watch=True)
    def _choose_force_field(self) -> None:
        """Another force field begins with its own values."""
        found = knobs_of(oxygen_potential(self.preset, 0.6))
        with self._together():
            self.knobs = found
            self.values = {knob.key: knob.value for knob in found}
            names = [self.name_of(knob) for knob in found]
            self.param.parameter.objects = names
            if self.parameter not in names:
                self.parameter = names[0]
            self._forget()

    @param.depends("values", "temperature", "friction", watch=True)
    def _changed(self) -> None:
        if not self._quiet:
            self._forget()

    @param.depends(
        *("size", "force_field", "values", "temperature", "friction", "target", "epochs", "estimator", "longest"),
        watch=True,
    )
    def _compare(self) -> None:
        for name, work in self.works.items():
            work.compare(self.settings(name))

    def _forget(self) -> None:
        """Displacements of before the change say nothing about after it."""
        self.epoch += 1

    def _begin_again(self) -> None:
        self.resets += 1
        self.epoch += 1
        self.frame = None
        if self.state in ("exploded", "failed"):
            self.param.update(message="", state="compiling")

    def restore(self) -> None:
        """The box and the controls as they were at the beginning; the force field stays."""
        with self._together():
            self._begin_again()
            self.param.update(temperature=TEMPERATURE, friction=1.0, running=True)
            self._choose_force_field()

    def turn(self, key: str, value: float) -> None:
        """Set one knob."""
        self.values = {**self.values, key: float(value)}

    def name_of(self, knob: Knob) -> str:
        """The knob's symbol, with "water" where the gas has such a one too."""
        plain = knob.parameter.label
        has_twin = any(other.parameter.label == f"{plain} gas" for other in self.knobs)
        return f"{plain} water" if has_twin else plain

    def leaf_of(self, knob: Knob) -> str:
        """The knob's parameter as estimators name it: "MixedPair.sigma"."""
        index, name = knob.key.split(".")
        return f"{('MixedPair', 'ReactionField')[int(index)]}.{name}"

    # ------------------------------------------------------------------------------------------------- the simulation

    def request(self) -> dict[str, Any]:
        """The simulation as plain picklable values."""
        return {
            "size": self.n_waters,
            "force_field": self.preset,
            "values": dict(self.values),
            "temperature": self.temperature,
            "friction": self.friction,
            "steps": self.steps_per_picture,
            "running": self.running,
            "epoch": self.epoch,
            "resets": self.resets,
        }

    def take(self, frame: dict[str, Any]) -> bool:
        """Keep a frame; False when it belongs to another start."""
        if frame["resets"] != self.resets:
            return False
        self.frame = frame
        return True

    @property
    def stale(self) -> bool:
        """Whether what is shown was measured before the last change."""
        return self.frame is not None and self.frame["epoch"] != self.epoch

    @property
    def correction(self) -> float:
        """What Yeh and Hummer's correction adds to D, 10⁻⁹ m²/s; 0 when it is not asked for."""
        if not self.corrected:
            return 0.0
        return SI * float(yeh_hummer(0.0, self.temperature, self.viscosity, float(self.case.system.box[0])))

    def diffusion(self) -> Diffusion | None:
        """D of the run so far, corrected if asked for; None while it is too short."""
        fit = self.frame["fit"] if self.frame else None
        if fit is None:
            return None
        return Diffusion(SI * fit.coefficient + self.correction, SI * fit.error)

    def history(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(length of the run in ps, D, its error), 10⁻⁹ m²/s."""
        rows = np.array(self.frame["history"] if self.frame else [], float).reshape(-1, 3)
        return rows[:, 0], SI * rows[:, 1] + self.correction, SI * rows[:, 2]

    # ---------------------------------------------------------------------------------------------- training and study

    def settings(self, name: str) -> dict[str, Any]:
        """The settings on which a training's or the study's results rest."""
        more = {"train": ("target", "epochs", "estimator"), "study": ("values", "friction", "longest")}[name]
        return {key: getattr(self, key) for key in ("size", "force_field", "temperature", *more)}

    def work_request(self, name: str) -> dict[str, Any]:
        """A training or the study as plain picklable values."""
        request = self.request() | {"target": self.target / SI, "epochs": self.epochs}
        return request | {"estimator": ESTIMATORS[self.estimator], "longest": LENGTHS[self.longest]}

    def begin(self, name: str) -> dict[str, Any]:
        """Start one of the two, in place of one that is still running."""
        for other in self.works.values():
            if other.state == "running":
                other.end("cancelled")
        self.works[name].begin(self.settings(name))
        return self.work_request(name)

    def receive_work(self, name: str, messages: Mapping[str, Any]) -> None:
        """What its child process has sent."""
        work = self.works[name]
        if work.state != "running":
            return
        if "progress" in messages:
            work.take(messages["progress"])
        if "error" in messages:
            work.end("failed", as_sentence(ValueError(messages["error"])))
        elif "done" in messages:
            work.end("done")

    def trained(self) -> dict[str, float]:
        """The knobs as the last epoch left them; empty before there is one."""
        rows = self.train.result.get("epochs", [])
        last = rows[-1]["parameters"] if rows else {}
        return {knob.key: last[self.leaf_of(knob)] for knob in self.knobs if self.leaf_of(knob) in last}

    def use_trained(self) -> None:
        """Let the simulation above have the trained parameters."""
        found = self.trained()
        if found:
            self.values = {**self.values, **found}
