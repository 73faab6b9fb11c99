"""What Lab 3 (Gradients) knows: the loss, where its gradient is taken, who estimates it, and what has come back.

No widget and no Panel here; the child process (`gradients_worker.py`) does the work.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import param

from revmd_app.gradients import ESTIMATORS
from revmd_app.labs import knobs
from revmd_app.labs.knobs import Knob
from revmd_app.labs.sentences import as_sentence
from revmd_app.systems import build

LIQUIDS: dict[str, tuple[str, int]] = {
    "Argon, 108 atoms": ("argon", 108),
    "Argon, 216 atoms": ("argon", 216),
    "Water, 64 molecules": ("water", 64),
    "Toy fluid, 108 atoms": ("lennard_jones_fluid", 108),
}


class Loss(NamedTuple):
    """One loss that the lab offers: what it is, its unit, and of what it is a function."""

    formula: str
    unit: dict[str, str]  # by the system's units
    loss_of: str


LOSSES: dict[str, Loss] = {
    "g(r) against the reference": Loss("L = ∫ (⟨g⟩ − g_ref)² dr / r_max", {"md": "", "reduced": ""}, "average"),
    "g(r), loss of each snapshot (biased)": Loss(
        "L = ⟨ ∫ (g − g_ref)² dr ⟩ / r_max", {"md": "", "reduced": ""}, "snapshots"
    ),
    "Potential energy": Loss("L = ⟨U⟩ / molecules", {"md": "kJ/mol", "reduced": "ε₀"}, "average"),
    "Pressure": Loss("L = ⟨p⟩", {"md": "bar", "reduced": "ε₀/σ₀³"}, "average"),
    "Velocity autocorrelation": Loss("L = Σ C(t)² / C(0)² over lags", {"md": "", "reduced": ""}, "series"),
    "Diffusion coefficient": Loss("L = (1/3) ∫ C(t) dt", {"md": "nm²/ps", "reduced": "σ₀²/τ"}, "series"),
}

NAMES = {
    "reversible": "Reversible",
    "reverse_mode": "Reverse mode",
    "checkpointed": "Checkpointed",
    "forward_mode": "Forward mode",
    "finite_difference": "Finite difference",
    "reweighting": "Reweighting",
    "path_reweighting": "Path reweighting",
}
LENGTHS = (50, 100, 200, 500, 1000, 2000)
SAMPLINGS = (5, 10, 20, 50)
REPLICAS = (2, 4, 8, 16, 32)
TRUNCATIONS = {"no truncation": None, "25 steps": 25, "50 steps": 50, "100 steps": 100, "200 steps": 200}
OFF_BY = 1.03
"""σ starts this factor off its best value, so that there is a gradient to be seen."""


class GradientsModel(param.Parameterized):
    """The state of Lab 3. `request()` describes a comparison; `take` keeps what it has found so far."""

    liquid = param.Selector(default="Argon, 108 atoms", objects=list(LIQUIDS), label="System")
    loss = param.Selector(default="g(r) against the reference", objects=list(LOSSES), label="Loss L")
    parameter = param.Selector(default=None, objects=[None], label="Gradient with respect to")
    estimators = param.ListSelector(
        default=["reversible", "finite_difference", "reweighting"], objects=list(ESTIMATORS)
    )
    n_steps = param.Selector(default=200, objects=list(LENGTHS), label="Steps a run")
    sample_every = param.Selector(default=10, objects=list(SAMPLINGS), label="Steps a sample")
    replicas = param.Selector(default=8, objects=list(REPLICAS), label="Replicas")
    truncate = param.Selector(default="no truncation", objects=list(TRUNCATIONS), label="Looks back")
    values = param.Dict(default={}, doc="Where the gradient is taken: the knobs' values by key.")

    case = param.Parameter(doc="The chosen system.")
    knobs = param.List(default=[], doc="The knobs of its potential.")
    state = param.Selector(default="idle", objects=["idle", "running", "done", "cancelled", "failed"])
    message = param.String(default="", doc="What is being done, or why it ended.")
    rows = param.List(default=[], doc="One dictionary an estimator and parameter.")
    fraction = param.Number(default=0.0, bounds=(0.0, 1.0), doc="How much of the comparison is done.")
    stale = param.Boolean(default=False, doc="Whether the settings have changed since the results were computed.")

    def __init__(self, **params):
        super().__init__(**params)
        self._clock: list[float] = []  # when each turn ended; the first entry is the start
        self._computed: dict[str, Any] | None = None
        self._choose()

    @param.depends("liquid", watch=True)
    def _choose(self) -> None:
        case = build(*LIQUIDS[self.liquid])
        found = knobs.knobs(case, case.potential)
        values = {k.key: k.value * (OFF_BY if k.key.endswith(".sigma") else 1.0) for k in found}
        with param.parameterized.batch_call_watchers(self):
            self.case, self.knobs, self.values = case, found, values
            self.param.parameter.objects = [self.label(k) for k in found]
            self.parameter = self.param.parameter.objects[0]
            self.rows, self.fraction = [], 0.0
            self._computed = None

    def label(self, knob: Knob) -> str:
        """The knob's symbol, with its term where the symbol alone says too little."""
        return knob.parameter.label if knob.of_pair else f"{knob.parameter.label} ({knob.where})"

    @property
    def knob(self) -> Knob:
        """The knob of the chosen parameter."""
        return next(k for k in self.knobs if self.label(k) == self.parameter)

    @property
    def parameter_name(self) -> str:
        """The chosen parameter as the estimators' table names it."""
        number, field = self.knob.key.split(".")
        terms = self.case.potential.terms()
        return field if len(terms) == 1 else f"{type(terms[int(number)]).__name__}.{field}"

    @property
    def unit(self) -> str:
        """The unit of the loss."""
        return LOSSES[self.loss].unit[self.case.units]

    @property
    def gradient_unit(self) -> str:
        """The unit of dL/dθ."""
        below = self.knob.parameter.unit
        if not below:
            return self.unit
        below = f"({below})" if "/" in below or " " in below else below
        return f"{self.unit or '1'}/{below}"

    def request(self) -> dict[str, Any]:
        """A comparison as plain picklable values. Raises `ValueError` when it cannot be made."""
        if not self.estimators:
            raise ValueError("choose at least one estimator.")
        if self.n_steps < 2 * self.sample_every:
            raise ValueError(
                f"a run of {self.n_steps} steps sampled every {self.sample_every} has fewer than two samples: "
                "run longer or sample more often."
            )
        return {
            "system": LIQUIDS[self.liquid],
            "loss": self.loss,
            "loss_of": LOSSES[self.loss].loss_of,
            "values": dict(self.values),
            "estimators": [name for name in ESTIMATORS if name in self.estimators],
            "n_steps": self.n_steps,
            "sample_every": self.sample_every,
            "replicas": self.replicas,
            "truncate": TRUNCATIONS[self.truncate],
        }

    def begin(self) -> dict[str, Any] | None:
        """Start a comparison: its request, or None when it cannot be made (the message says why)."""
        try:
            request = self.request()
        except ValueError as error:
            self.message, self.state = as_sentence(error), "failed"
            return None
        self._computed, self._clock = request, [time.monotonic()]
        self.param.update(rows=[], fraction=0.0, state="running", message="Starting …", stale=False)
        return request

    def take(self, progress: dict[str, Any]) -> None:
        """Keep the latest progress: "rows", "done", "total", "message"."""
        self.param.update(
            rows=progress["rows"],
            fraction=progress["done"] / max(progress["total"], 1),
            message=f"{progress['message']}{self._remaining(progress)}",
        )

    def _remaining(self, progress) -> str:
        """The time left. The first turn of an estimator compiles and takes far longer than the others."""
        done, total = progress["done"], progress["total"]
        self._clock += [time.monotonic()] * (done + 1 - len(self._clock))
        n = len(self._computed["estimators"]) if self._computed else 1
        if not 0 < done < total:
            return ""
        first = (self._clock[min(done, n)] - self._clock[0]) / min(done, n)
        later = (self._clock[done] - self._clock[n]) / (done - n) if done > n else 0.05 * first
        seconds = max(0, n - done) * first + (total - max(done, n)) * later
        return (
            f" · about {math.ceil(seconds)} s left" if seconds < 90 else f" · about {math.ceil(seconds / 60)} min left"
        )

    def end(self, state: str, message: str = "") -> None:
        """The comparison is over: "done", "cancelled" or "failed"."""
        seconds = time.monotonic() - self._clock[0]
        words = (
            message
            or {"done": f"Finished in {seconds:.0f} s.", "cancelled": "Cancelled; what came before stays."}[state]
        )
        self.param.update(state=state, message=words, **({"fraction": 1.0} if state == "done" else {}))

    @param.depends(
        "liquid", "loss", "values", "n_steps", "sample_every", "replicas", "truncate", "estimators", watch=True
    )
    def _compare_with_computed(self) -> None:
        """Results of other settings must not pass for these."""
        if self._computed is None:
            self.stale = False
            return
        try:
            self.stale = bool(self.rows) and self.request() != self._computed
        except ValueError:
            self.stale = bool(self.rows)

    def turn(self, key: str, value: float) -> None:
        """Set one knob."""
        self.values = {**self.values, key: float(value)}

    def chosen_rows(self) -> list[dict[str, Any]]:
        """The rows of the chosen parameter, and those of estimators that refused, in the menu's order."""
        order = {name: i for i, name in enumerate(ESTIMATORS)}
        rows = [r for r in self.rows if r["refused"] or r["parameter"] == self.parameter_name]
        return sorted(rows, key=lambda row: order[row["estimator"]])
