"""What Lab 3 (Gradients) knows: the loss, where its gradient is taken, who estimates it, and what has come back.

No widget and no Panel here; the child process (`gradients_worker.py`) does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import param

from revmd_app.gradients import ESTIMATORS
from revmd_app.gradients.losses import EXAMPLE, LOSSES, OWN, read_formula
from revmd_app.gradients.studies import default_grid
from revmd_app.labs import knobs
from revmd_app.labs.gradients_studies_model import RUN, SAME_RUN, SPECS, Study
from revmd_app.labs.knobs import Knob
from revmd_app.labs.model import LabModel, number
from revmd_app.labs.sentences import as_sentence
from revmd_app.systems import build

LIQUIDS: dict[str, tuple[str, int]] = {
    "Argon, 108 atoms": ("argon", 108),
    "Argon, 216 atoms": ("argon", 216),
    "Water, 64 molecules": ("water", 64),
    "Toy fluid, 108 atoms": ("lennard_jones_fluid", 108),
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
EFFORTS = ("quick", "usual")
USUAL_REPLICAS = {"water": 4}
"""Water has seven parameters and a short step: eight replicas of every estimator would take longer than a minute."""
OFF_BY = 1.03
"""σ starts this factor off its best value, so that there is a gradient to be seen."""


class GradientsModel(LabModel):
    """The settings of Lab 3, and its studies by key. `request(key)` describes one of them to the child process."""

    shared = (
        "study",
        "liquid",
        "loss",
        "own",
        "parameter",
        "n_steps",
        "sample_every",
        "replicas",
        "truncate",
        "estimators",
        "effort",
        "values",
    )

    study = param.Selector(default="compare", objects=list(SPECS), label="Study")
    liquid = param.Selector(default="Argon, 108 atoms", objects=list(LIQUIDS), label="System")
    loss = param.Selector(default="g(r) against the reference", objects=list(LOSSES), label="Loss L")
    own = param.String(default=EXAMPLE, label="L =")
    parameter = param.Selector(default=None, objects=[None], label="Gradient with respect to")
    estimators = param.ListSelector(default=list(ESTIMATORS), objects=list(ESTIMATORS), label="Estimators")
    n_steps = param.Selector(default=200, objects=list(LENGTHS), label="Steps a run")
    sample_every = param.Selector(default=10, objects=list(SAMPLINGS), label="Steps a sample")
    replicas = param.Selector(default=8, objects=list(REPLICAS), label="Replicas")
    truncate = param.Selector(default="no truncation", objects=list(TRUNCATIONS), label="Looks back")
    effort = param.Selector(default="usual", objects=list(EFFORTS), label="Size of the study")
    values = param.Dict(default={}, doc="Where the gradient is taken: the knobs' values by key.")
    guess_sign = param.Selector(default="?", objects=["?", "negative", "positive"], label="Guess: sign")
    guess_size = param.Selector(
        default="?", objects=["?", *(10.0**k for k in range(-3, 6))], label="Guess: order of magnitude"
    )

    case = param.Parameter(doc="The chosen system.")
    knobs = param.List(default=[], doc="The knobs of its potential.")

    def __init__(self, **params):
        super().__init__(**params)
        own = {key: Study(self, key) for key in SPECS if key not in SAME_RUN}
        self.studies: dict[str, Study] = {key: own[SAME_RUN.get(key, key)] for key in SPECS}
        self._choose()
        if "replicas" not in params:
            self._usual_replicas()

    @param.depends("liquid", watch=True)
    def _usual_replicas(self) -> None:
        self.replicas = USUAL_REPLICAS.get(self.case.name, self.param.replicas.default)

    @property
    def shown(self) -> Study:
        """The study that is in view."""
        return self.studies[self.study]

    @property
    def running(self) -> Study | None:
        """The study that is being computed."""
        return next((study for study in self.studies.values() if study.state == "running"), None)

    @param.depends("liquid", watch=True)
    def _choose(self) -> None:
        case = build(*LIQUIDS[self.liquid])
        found = knobs.knobs(case, case.potential)
        values = {k.key: k.value * (OFF_BY if k.key.endswith(".sigma") else 1.0) for k in found}
        with param.parameterized.batch_call_watchers(self):
            self.case, self.knobs, self.values = case, found, values
            self.param.parameter.objects = [self.label(k) for k in found]
            self.parameter = self.param.parameter.objects[0]
        for study in self.studies.values():
            study.forget()

    # --------------------------------------------------------------------------------------------- words and units

    def label(self, knob: Knob) -> str:
        """The knob's symbol, with its term where the symbol alone says too little."""
        return knob.parameter.label if knob.of_pair else f"{knob.parameter.label} ({knob.where})"

    @property
    def knob(self) -> Knob:
        """The knob of the chosen parameter."""
        return next(k for k in self.knobs if self.label(k) == self.parameter)

    @property
    def symbol(self) -> str:
        """The chosen parameter's symbol."""
        return self.knob.parameter.label

    def name_of(self, knob: Knob) -> str:
        """A knob's parameter as the estimators' table names it."""
        index, field = knob.key.split(".")
        terms = self.case.potential.terms()
        return field if len(terms) == 1 else f"{type(terms[int(index)]).__name__}.{field}"

    @property
    def parameter_name(self) -> str:
        """The chosen parameter as the estimators' table names it."""
        return self.name_of(self.knob)

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

    @property
    def time_unit(self) -> str:
        """The unit of time."""
        return "τ" if self.case.units == "reduced" else "ps"

    @property
    def is_own(self) -> bool:
        """Whether the loss is a typed formula."""
        return self.loss == OWN

    @property
    def loss_of(self) -> str:
        """Of what the loss is a function: "average", "series" or "snapshots". Raises `ValueError` for a bad formula."""
        return read_formula(self.own).loss_of if self.is_own else LOSSES[self.loss].loss_of

    @property
    def own_fault(self) -> str | None:
        """Why the typed formula cannot be used, or None."""
        try:
            if self.is_own:
                read_formula(self.own)
        except ValueError as error:
            return as_sentence(error)
        return None

    # ----------------------------------------------------------------------------------------------------- requests

    def request(self, key: str = "compare") -> dict[str, Any]:
        """A study as plain picklable values. Raises `ValueError`, one sentence, when it cannot be made."""
        self._check(key)
        request: dict[str, Any] = {
            "system": LIQUIDS[self.liquid],
            "loss": self.loss,
            "values": dict(self.values),
            "estimators": [name for name in ESTIMATORS if name in self.estimators],
            "n_steps": self.n_steps,
            "sample_every": self.sample_every,
            "replicas": self.replicas,
            "truncate": TRUNCATIONS[self.truncate],
        }
        if self.is_own:
            request["formula"] = self.own
        study = dict(SPECS[key].sizes.get(self.effort, {}))
        if key == "away":
            study["knob"] = self.knob.key
        if key == "grid":
            study["grid"] = self.grid()
        return {**request, "study": study} if study else request

    def _check(self, key: str) -> None:
        loss_of = self.loss_of
        if SPECS[key].task == "run":
            self._check_run()
        if key in ("grid", "away") and loss_of == "series":
            raise ValueError(
                "this study needs reweighting, which knows averages only, and this loss depends on the order of its "
                "samples in time: choose g(r), the energy or the pressure."
            )
        if key == "snapshots" and loss_of == "series":
            raise ValueError(
                "a loss of a whole series has no value for a single snapshot: choose g(r), the energy or the pressure."
            )

    def _check_run(self) -> None:
        if not self.estimators:
            raise ValueError("choose at least one estimator.")
        if self.n_steps < 2 * self.sample_every:
            raise ValueError(
                f"a run of {self.n_steps} steps sampled every {self.sample_every} has fewer than two samples: "
                "run longer or sample more often."
            )

    def grid(self) -> dict[str, list[float]]:
        """The parameter sets of the grid: values by knob key, of which every combination is run."""
        grid = {k: [float(x) for x in xs] for k, xs in default_grid(self.case, self.case.potential).items()}
        return {key: values[:: len(values) - 1] for key, values in grid.items()} if self.effort == "quick" else grid

    def begin(self, key: str | None = None) -> dict[str, Any] | None:
        """Start a study, in place of one that is still running: its request, or None (its message says why)."""
        study, before = self.studies[key or self.study], self.running
        request = study.begin()
        if request is not None and before is not None and before is not study:
            before.end("cancelled")
        return request

    # ----------------------------------------------------------------------------------------------------- settings

    @param.depends("liquid", "loss", "own", "values", "parameter", "effort", *RUN, watch=True)
    def _compare_with_computed(self) -> None:
        for study in getattr(self, "studies", {}).values():
            study.compare_with_computed()

    def turn(self, key: str, value: float) -> None:
        """Set one knob. Raises `ValueError` for a value outside its range."""
        meta = next(knob.parameter for knob in self.knobs if knob.key == key)
        low, high = meta.bounds
        room = 1e-9 * (high - low)
        self.values = {**self.values, key: number(value, meta.label, (low - room, high + room), meta.unit)}

    def configure(self, given: Mapping[str, Any]) -> None:
        """Make the settings of `given`. Raises `ValueError`, and changes nothing, when one of them cannot be made."""
        if isinstance(given.get("own"), str):
            read_formula(given["own"])
        super().configure(given)

    # ------------------------------------------------------------------------------------------------------ results

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What the comparison has found: one dictionary an estimator and parameter."""
        return self.studies["compare"].result.get("rows", [])

    def chosen_rows(self) -> list[dict[str, Any]]:
        """The rows of the chosen parameter, and those of estimators that refused, in the menu's order."""
        order = {name: i for i, name in enumerate(ESTIMATORS)}
        rows = [r for r in self.rows if r["refused"] or r["parameter"] == self.parameter_name]
        return sorted(rows, key=lambda row: order[row["estimator"]])
