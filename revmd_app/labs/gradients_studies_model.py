"""The studies of Lab 3: what each asks for, on which settings it rests, how far it is, and what it has found.

No widget and no Panel here; the child process (`gradients_worker.py`) does the work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import param

from revmd_app.labs.sentences import as_sentence

if TYPE_CHECKING:
    from revmd_app.labs.gradients_model import GradientsModel

WORKER = "revmd_app.labs.gradients_worker"
POINT = ("liquid", "loss", "own", "values")
"""The settings that say of what, and where, a gradient is taken."""
RUN = ("n_steps", "sample_every", "replicas", "truncate", "estimators")
"""The settings that only the comparison uses: the other studies choose lengths that suit their question."""


class Spec(NamedTuple):
    """One study of the bar: its title, its task, and the settings on which its results rest."""

    title: str
    task: str
    uses: tuple[str, ...]
    sizes: Mapping[str, Mapping[str, Any]]  # by effort: what the request's "study" overrides


SPECS: dict[str, Spec] = {
    "compare": Spec("Compare", "run", (*POINT, *RUN), {}),
    "cost": Spec(
        "Cost",
        "cost",
        ("liquid", "loss", "own", "effort"),
        {"quick": {"lengths": [50, 100, 200], "seconds": 0.5}},
    ),
    "growth": Spec("Growth", "growth", (*POINT, "effort"), {"quick": {"steps": 400, "starts": 2, "replicas": 2}}),
    "parts": Spec("Two parts", "run", (*POINT, *RUN), {}),
    "grid": Spec("Grid", "scatter", (*POINT, "effort"), {}),
    "away": Spec("Far away", "away", (*POINT, "parameter", "effort"), {"quick": {"steps": 1600, "replicas": 2}}),
    "snapshots": Spec("Average or snapshot", "snapshots", (*POINT, "effort"), {"quick": {"replicas": 2}}),
    "truncation": Spec("Truncation", "truncation", (*POINT, "effort"), {"quick": {"replicas": 3}}),
}
SAME_RUN = {"parts": "compare"}
"""Two views of one run share its results."""


class Study(param.Parameterized):
    """The state of one study. `begin()` gives its request, `take` keeps what has come so far, `end` closes it."""

    state = param.Selector(default="idle", objects=["idle", "running", "done", "cancelled", "failed"])
    message = param.String(default="", doc="What is being done, or why it ended.")
    fraction = param.Number(default=0.0, bounds=(0.0, 1.0), doc="How much of it is done.")
    result = param.Dict(default={}, doc="What has been found so far.")
    stale = param.Boolean(default=False, doc="Whether the settings have changed since the results were computed.")

    def __init__(self, bench: GradientsModel, key: str):
        super().__init__()
        self.bench, self.key, self.spec = bench, key, SPECS[key]
        self._computed: dict[str, Any] | None = None
        self._began = 0.0

    @property
    def task(self) -> str:
        """The function in the child process, as a job names it."""
        return f"{WORKER}:{self.spec.task}"

    def begin(self) -> dict[str, Any] | None:
        """Start: the request, or None when it cannot be made (the message says why)."""
        try:
            request = self.bench.request(self.key)
        except ValueError as error:
            self.param.update(message=as_sentence(error), state="failed", fraction=0.0)
            return None
        self._computed, self._began = self.settings(), time.monotonic()
        self.param.update(result={}, fraction=0.0, state="running", message="Starting …", stale=False)
        return request

    def take(self, progress: Mapping[str, Any]) -> None:
        """Keep the latest progress: "done", "total", "message", "left" and the results so far."""
        found = progress.get("result", {"rows": progress["rows"]} if "rows" in progress else {})
        self.param.update(
            result=dict(found),
            fraction=min(1.0, progress["done"] / max(progress["total"], 1)),
            message=f"{_capital(progress['message'])}{_remaining(progress.get('left'))}",
        )

    def end(self, state: str, message: str = "") -> None:
        """It is over: "done", "cancelled" or "failed"."""
        seconds = time.monotonic() - self._began
        usual = {"done": f"Finished in {seconds:.0f} s.", "cancelled": "Cancelled; what came before stays."}
        done = {"fraction": 1.0} if state == "done" else {}
        self.param.update(state=state, message=message or usual[state], **done)

    def settings(self) -> dict[str, Any]:
        """The settings on which this study's results rest."""
        bench = self.bench
        found = {name: getattr(bench, name) for name in self.spec.uses}
        if not bench.is_own:
            found["own"] = ""
        if "values" in found:
            varied = bench.grid() if self.key == "grid" else {}
            found["values"] = {key: value for key, value in bench.values.items() if key not in varied}
        return found

    def compare_with_computed(self) -> None:
        """Results of other settings must not pass for these."""
        self.stale = bool(self.result) and self._computed is not None and self.settings() != self._computed

    def forget(self) -> None:
        """Another system: nothing that was found applies any more."""
        self._computed = None
        self.param.update(result={}, fraction=0.0, stale=False, state="idle", message="")


def _remaining(seconds: float | None) -> str:
    if seconds is None or not seconds > 0.5:
        return ""
    told = f"{math.ceil(seconds)} s" if seconds < 90 else f"{math.ceil(seconds / 60)} min"
    return f" · about {told} left"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
