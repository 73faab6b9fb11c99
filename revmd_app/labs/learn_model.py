"""What Lab 4 (Learn) knows: the training that is asked for, how far it is, and every epoch that has come back.

No widget and no Panel here; the child process (`learn_worker.py`) does the work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import param

from revmd_app.labs.learn_quantities import ESTIMATORS, FORMS, Quantity, quantities
from revmd_app.labs.model import LabModel
from revmd_app.labs.sentences import as_sentence

SIZES = {"64 molecules": 64, "216 molecules": 216}
TRUNCATIONS = {"50 steps": 50, "100 steps": 100, "200 steps": 200}
REPLICAS = (1, 2, 4)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02)
TARGETS = {"w_oo": "rdf_OO", "w_oh": "rdf_OH", "w_hh": "rdf_HH", "w_enthalpy": "enthalpy", "w_density": "density"}
"""The weights: each of which term of the loss."""
VIEWS = ("training", "surface", "replay")
HALVES = {"± 2 %": 0.02, "± 5 %": 0.05, "± 10 %": 0.10, "± 20 %": 0.20, "± 30 %": 0.30}
"""How far a loss surface reaches to either side of the start."""
GRIDS = {"4 × 4": 4, "5 × 5": 5, "6 × 6": 6, "8 × 8": 8}
SURFACE = ("across", "across_half", "upwards", "upwards_half", "grid")
"""The settings of a loss surface."""
WORKER = "revmd_app.labs.learn_worker:train"

Weight = lambda label, usual: param.Number(
    default=usual, bounds=(0.0, 100.0), label=label, doc="Weight in the loss; 0 leaves this target out."
)


class LearnModel(LabModel):
    """The settings of Lab 4, the tracks of its trainings, and the loss surface.

    A track is what one estimator's training has given so far: {"records": [one dictionary an epoch], "fault": why it
    ended, or ""}. `request()` describes the training to the child process, `controls()` what it should do next.
    """

    shared = (
        "view",
        "form",
        "molecules",
        "estimators",
        "truncate",
        *TARGETS,
        "replicas",
        "rate",
        "epochs",
        "seed",
        *SURFACE,
    )

    view = param.Selector(default="training", objects=list(VIEWS), label="View")
    form = param.Selector(default="Lennard-Jones", objects=list(FORMS), label="Form of the force field")
    molecules = param.Selector(default="64 molecules", objects=list(SIZES), label="Size")
    estimators = param.ListSelector(default=list(ESTIMATORS), objects=list(ESTIMATORS), label="Gradient by")
    truncate = param.Selector(default="200 steps", objects=list(TRUNCATIONS), label="Looks back")
    w_oo = Weight("g(r) O–O", 1.0)
    w_oh = Weight("g(r) O–H", 1.0)
    w_hh = Weight("g(r) H–H", 1.0)
    w_enthalpy = Weight("ΔH_vap", 1.0)
    w_density = Weight("density at 1 bar", 0.0)
    replicas = param.Selector(default=1, objects=list(REPLICAS), label="Replicas")
    rate = param.Selector(default=0.002, objects=list(RATES), label="Learning rate")
    epochs = param.Integer(default=40, bounds=(1, 1000), label="Epochs")
    seed = param.Integer(default=1, bounds=(0, 99999), label="Seed")
    across = param.Selector(default=None, objects=[None], label="Across")
    across_half = param.Selector(default="± 5 %", objects=list(HALVES), label="Reach")
    upwards = param.Selector(default=None, objects=[None], label="Upwards")
    upwards_half = param.Selector(default="± 20 %", objects=list(HALVES), label="Reach")
    grid = param.Selector(default="5 × 5", objects=list(GRIDS), label="Points")

    state = param.Selector(default="idle", objects=["idle", "preview", "running", "paused", "done", "failed"])
    message = param.String(default="", doc="What is being done, or why it ended.")
    fraction = param.Number(default=0.0, bounds=(0.0, 1.0), doc="How much of it is done.")
    tracks = param.Dict(default={}, doc="By estimator: its epochs so far.")
    stale = param.Boolean(default=False, doc="Whether the settings have changed since this training began.")
    surface = param.Dict(default={}, doc='The loss surface: "x", "y" (name, values), "points", "total", "fault".')
    surface_state = param.Selector(default="idle", objects=["idle", "running", "done", "cancelled", "failed"])

    def __init__(self, **params):
        super().__init__(**params)
        self.began: dict[str, Any] | None = None  # the request of the present child process
        self.began_form: str | None = None  # the form of what is shown
        self._surfaces = 0
        self._choose_form()

    # ----------------------------------------------------------------------------------------------------- settings

    @property
    def quantities(self) -> list[Quantity]:
        """The parameters of the chosen form."""
        return quantities(FORMS[self.form])

    @property
    def shown_quantities(self) -> list[Quantity]:
        """The parameters of what is shown: of the training that has begun, else of the chosen form."""
        return self.quantities if self.began_form is None else quantities(self.began_form)

    @property
    def trained(self) -> bool:
        """Whether there is more than the start to be seen, or soon will be."""
        longest = max((len(track["records"]) for track in self.tracks.values()), default=0)
        return longest > 1 or self.state in ("running", "paused", "done")

    @param.depends("form", watch=True)
    def _choose_form(self) -> None:
        labels = [quantity.label for quantity in self.quantities]
        with param.parameterized.batch_call_watchers(self):
            for name, place in (("across", 0), ("upwards", 1)):
                self.param[name].objects = labels
                if getattr(self, name) not in labels:
                    setattr(self, name, labels[place])

    def weights(self) -> dict[str, float]:
        """The weight of each target, by the name of its term."""
        return {term: float(getattr(self, name)) for name, term in TARGETS.items()}

    def request(self) -> dict[str, Any]:
        """The training as plain picklable values. Raises `ValueError`, one sentence, when it cannot be made."""
        if not self.estimators:
            raise ValueError("choose at least one way to the gradient: reversible or reweighting.")
        if not any(self.weights().values()):
            raise ValueError("every weight is 0: there is nothing to learn from; give one target a weight above 0.")
        return {
            "form": FORMS[self.form],
            "molecules": SIZES[self.molecules],
            "estimators": [name for name in ESTIMATORS if name in self.estimators],
            "truncate": TRUNCATIONS[self.truncate],
            "weights": self.weights(),
            "replicas": self.replicas,
            "rate": self.rate,
            "seed": self.seed,
        }

    @param.depends(
        "form", "molecules", "estimators", "truncate", *TARGETS, "replicas", "rate", "seed", watch=True
    )  # not `epochs`: it may be raised while a training goes on
    def _compare_with_begun(self) -> None:
        self.stale = self.began is not None and self._asked() != self.began

    def _asked(self) -> dict[str, Any] | None:
        try:
            return self.request()
        except ValueError:
            return None

    # ------------------------------------------------------------------------------------------------- what is done

    def preview(self) -> dict[str, Any] | None:
        """Begin anew with the start values only: the child's request, or None when it cannot be made."""
        return self._begin("preview", "Simulating water with the start values …")

    def start(self) -> dict[str, Any] | None:
        """Train: a request for a new child process, or None when the present one is to go on (or nothing can be)."""
        if self.can_go_on and self._asked() == self.began:
            self.go_on()
            return None
        return self._begin("running", "Starting …")

    @property
    def can_go_on(self) -> bool:
        """Whether there is a child process with a training that has not gone astray."""
        return self.began is not None and any(not track["fault"] for track in self.tracks.values())

    @param.depends("epochs", watch=True)
    def _end_early(self) -> None:
        if self.state == "running" and self.done_epochs() >= self.epochs:
            self.param.update(state="done", message=f"Stopped after {self.done_epochs()} epochs.")

    def go_on(self) -> None:
        """Train on with the present child; a training that has reached its end gets as many epochs again."""
        if self.done_epochs() >= self.epochs:
            self.epochs = min(2 * self.epochs, self.param.epochs.bounds[1])
        self.param.update(state="running", message="Training …")

    def pause(self) -> None:
        """Stop after the present epoch; nothing is lost."""
        self.param.update(state="paused", message="Paused: what has been learned stays. Continue when you like.")

    def forget_child(self) -> None:
        """The child process is gone without a training: what it showed stays, and the next one begins anew."""
        self.began = None

    def fail(self, words: str) -> None:
        """The child process has ended with a sentence; what came before stays."""
        self.began = None
        if self.surface_state == "running":
            self.surface_state = "cancelled"
        self.param.update(state="failed", message=words)

    def _begin(self, state: str, message: str) -> dict[str, Any] | None:
        try:
            request = self.request()
        except ValueError as error:
            self.param.update(state="failed", message=as_sentence(error))
            return None
        self.began, self.began_form = request, request["form"]
        tracks = {name: {"records": [], "fault": ""} for name in request["estimators"]}
        idle = {"surface": {}, "surface_state": "idle"}
        self.param.update(tracks=tracks, state=state, message=message, fraction=0.0, stale=False, **idle)
        return request

    def controls(self) -> dict[str, Any]:
        """What the child process is to do: train up to so many epochs, and compute which surface."""
        until = {"running": self.epochs, "preview": 1}.get(self.state, 0)
        asked = self.surface if self.surface_state == "running" else None
        plan = {key: asked[key] for key in ("number", "x", "y")} if asked else None
        return {"until": until, "preview": self.state == "preview", "surface": plan}

    # -------------------------------------------------------------------------------------------------- what came

    def done_epochs(self) -> int:
        """Epochs that every track still alive has done."""
        alive = [len(track["records"]) for track in self.tracks.values() if not track["fault"]]
        return min(alive, default=0)

    def take(self, messages: Mapping[str, Any]) -> None:
        """Keep what the child has sent: records, faults, the progress and the points of a surface."""
        tracks = {name: {**track, "records": list(track["records"])} for name, track in self.tracks.items()}
        changed = False
        for kind, payload in messages.items():
            what, _, name = kind.partition(" ")
            name = name.partition(" ")[0]
            if what == "record" and name in tracks:
                tracks[name]["records"].append(payload)
                changed = True
            elif what == "fault" and name in tracks:
                tracks[name]["fault"] = payload
                changed = True
        if changed:
            self.tracks = tracks
        if "surface" in messages:
            self._take_surface(messages["surface"])
        if changed or "progress" in messages:
            self._tell(messages.get("progress"))

    def _tell(self, progress: Mapping[str, Any] | None) -> None:
        """State, fraction and message from what has come."""
        faults = {name: track["fault"] for name, track in self.tracks.items() if track["fault"]}
        if faults and (len(faults) == len(self.tracks) or self.state == "preview"):
            self.param.update(state="failed", message=self.fault_words())
            return
        done = self.done_epochs()
        if self.state == "preview":
            if any(track["records"] for track in self.tracks.values()):
                self.param.update(state="idle", message="", fraction=0.0)
            elif progress:
                self.message = progress["message"]
            return
        records = sum(len(track["records"]) for name, track in self.tracks.items() if name not in faults)
        total = self.epochs * max(len(self.tracks) - len(faults), 1)
        self.fraction = min(1.0, records / total)
        if self.state == "running" and done >= self.epochs:
            self.param.update(state="done", message=f"Finished {done} epochs. {self.fault_words()}".strip())
        elif self.state == "running" and progress:
            left = time_left(progress.get("seconds"), total - records)
            self.message = f"{progress['message']}{left} {self.fault_words()}".strip()

    def fault_words(self) -> str:
        """Why trainings ended before their time, in sentences; empty when none did."""
        faults = {name: track["fault"] for name, track in self.tracks.items() if track["fault"]}
        if len(faults) > 1 and len(set(faults.values())) == 1:
            return f"Both trainings stopped: {next(iter(faults.values()))}"
        return " ".join(f"{ESTIMATORS[name]} training stopped: {fault}" for name, fault in faults.items())

    # ---------------------------------------------------------------------------------------------------- the surface

    def begin_surface(self) -> bool:
        """Ask for the loss over the two chosen parameters. False, with a sentence, when it cannot be."""
        if self.across == self.upwards:
            self.refuse_surface("choose two different parameters.")
            return False
        self._surfaces += 1
        n = GRIDS[self.grid]
        x, y = (
            self._range(getattr(self, name), HALVES[getattr(self, f"{name}_half")], n) for name in ("across", "upwards")
        )
        plan = {"number": self._surfaces, "x": x, "y": y, "points": [], "total": n * n, "fault": ""}
        plan["chosen"] = self._chosen_for_surface()
        self.param.update(surface=plan, surface_state="running")
        return True

    def _chosen_for_surface(self) -> tuple:
        return tuple(getattr(self, name) for name in SURFACE)

    @property
    def surface_is_other(self) -> bool:
        """Whether what is shown was computed for another choice than the present one."""
        return "chosen" in self.surface and self.surface["chosen"] != self._chosen_for_surface()

    def refuse_surface(self, words: str) -> None:
        """Say why there is no surface; one that was computed stays."""
        self.param.update(surface={**self.surface, "fault": as_sentence(ValueError(words))}, surface_state="failed")

    @param.depends(*SURFACE, watch=True)
    def _answer_refusal(self) -> None:
        """Another choice: what was said of the last one no longer holds."""
        if self.surface_state == "failed":
            points, total = len(self.surface.get("points", [])), self.surface.get("total", 0)
            self.surface_state = "idle" if not points else "done" if points >= total else "cancelled"

    def _range(self, label: str, half: float, n: int) -> tuple[str, list[float]]:
        """(the parameter's name, n values about its start)."""
        quantity = next(q for q in self.quantities if q.label == label)
        return quantity.name, [quantity.start * (1 + half * (2 * i / (n - 1) - 1)) for i in range(n)]

    def cancel_surface(self) -> None:
        """End it; the points that have come stay."""
        if self.surface_state == "running":
            self.surface_state = "cancelled"

    def _take_surface(self, found: Mapping[str, Any]) -> None:
        if self.surface_state != "running" or found.get("number") != self.surface.get("number"):
            return
        self.surface = {**self.surface, "points": found["points"], "seconds": found.get("seconds")}
        if found.get("fault"):
            self.param.update(surface={**self.surface, "fault": found["fault"]}, surface_state="failed")
        elif len(found["points"]) >= self.surface["total"]:
            self.surface_state = "done"

    def quantity_named(self, name: str) -> Quantity:
        """The parameter of that name."""
        return next(quantity for quantity in self.quantities if quantity.name == name)


def time_left(seconds: float | None, steps: int) -> str:
    """ " · about 40 s left", from the seconds that one step takes."""
    if not seconds or steps <= 0:
        return ""
    left = seconds * steps
    told = f"{math.ceil(left)} s" if left < 90 else f"{math.ceil(left / 60)} min"
    return f" · about {told} left"
