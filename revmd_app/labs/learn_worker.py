"""The child process of Lab 4: trains, one epoch of each estimator in turn, and computes loss surfaces in between.

`train` posts, beside "progress" ({"message", "seconds": of one epoch}):

"record <estimator> <epoch>"   one epoch: epoch, loss, loss_error, terms {name: (value, target, loss)}, errors of the
                               values, parameters by name, density (g/cm³), temperature (K), seconds,
                               curves {"rdf_OO": (r, g)}
"fault <estimator>"            why that training has ended, in a sentence; the other goes on
"surface"                      {"number", "points": [(column, row, loss, error), …], "seconds", "fault"}

The page's controls say up to which epoch to train and which surface to compute; between them the child waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from revmd_app.labs.learn_quantities import ESTIMATORS
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets import memory
from revmd_app.labs.widgets.jobs import Link
from revmd_app.training.configuration import Configuration, configuration
from revmd_app.training.fit import Diverged, Progress, Record, Training
from revmd_app.training.surface import Point, surface

IDLE = 0.3
"""Seconds between two looks for controls while there is nothing to do."""
LARGE = {"system": {"cutoff": 0.85}, "loss": {"r_max": 0.85, "bins": 85}}
"""What a box of 216 molecules allows."""


def train(link: Link, request: dict[str, Any]) -> None:
    """Train as the controls say, until the page ends the process."""
    tracks = [Track(name, request) for name in request["estimators"]]
    controls, plain = request["controls"], Surface(request)
    while True:
        controls = link.controls() or controls
        wanted = tracks[:1] if controls["preview"] else tracks
        behind = [track for track in wanted if track.goes_on and track.done < controls["until"]]
        plain.follow(controls["surface"])
        if behind:
            one_epoch(link, min(behind, key=lambda track: track.done), controls)
        if plain.goes_on:
            plain.one_point(link)
        elif not behind:
            controls = link.controls(IDLE) or controls


def configured(request: dict[str, Any], estimator: str) -> Configuration:
    """The training of one estimator. Raises `ValueError` for settings that mean nothing."""
    changes: dict[str, dict[str, Any]] = {
        "system": {"force_field": request["form"], "molecules": request["molecules"]},
        "run": {"replicas": request["replicas"], "seed": request["seed"], **request.get("run", {})},
        "preparation": dict(request.get("preparation", {})),
        "loss": dict(request["weights"]),
        "gradient": {"estimator": estimator, "truncate": request["truncate"]},
        "optimiser": {"learning_rate": request["rate"]},
    }
    if request["molecules"] > 64:
        changes = {name: {**values, **LARGE.get(name, {})} for name, values in changes.items()}
    return configuration("water", "lab", **changes)


class Track:
    """One estimator's training: built when its first epoch is asked for, since that takes a while."""

    def __init__(self, name: str, request: dict[str, Any]):
        self.name, self.words = name, ESTIMATORS[name]
        self.configuration = configured(request, name)
        self.done, self.goes_on = 0, True
        self.seconds: float | None = None
        self._training: Training | None = None
        self._progress: Progress | None = None

    def epoch(self) -> dict[str, Any]:
        """One epoch's record as plain values. Raises `Diverged` when it cannot be finished."""
        began = time.perf_counter()
        if self._training is None:
            self._training = Training(self.configuration)
            self._progress = self._training.begin()
        assert self._progress is not None
        self._progress, record = self._training.epoch(self._progress)
        self.done += 1
        if self.done == 1:
            memory.give_back()  # what compiling took
        took = time.perf_counter() - began
        self.seconds = took if self.done > 1 else None  # the first one compiles
        return {**plain_record(record), "seconds": took}


def plain_record(record: Record) -> dict[str, Any]:
    """A record as what a page draws: numbers, and arrays of numbers, by name."""
    return {
        "epoch": record.epoch,
        "loss": record.loss,
        "loss_error": record.loss_error,
        "terms": {name: tuple(values) for name, values in record.terms.items()},
        "errors": dict(record.term_errors),
        "parameters": dict(zip(record.names, map(float, record.parameters), strict=True)),
        "density": record.density,
        "temperature": record.temperature,
        "curves": {name: (np.asarray(record.grid), np.asarray(g)) for name, g in record.curves.items()},
    }


def one_epoch(link: Link, track: Track, controls: dict[str, Any]) -> None:
    """Train one epoch and post its record, or why there is none."""
    doing = f"{track.words}: epoch {track.done + 1} of {controls['until']}"
    if controls["preview"]:
        doing = "Simulating water with the start values"
    first = " (compiling the simulation, once) …" if track.done == 0 else ""
    link.post("progress", {"message": f"{doing}{first}", "seconds": track.seconds})
    try:
        record = track.epoch()
    except (Diverged, ValueError) as error:
        track.goes_on = False
        link.post(f"fault {track.name}", why(error))
        return
    link.post(f"record {track.name} {record['epoch']}", record)
    link.post("progress", {"message": doing, "seconds": track.seconds})


def why(error: Exception) -> str:
    """Why a training has ended, and what helps in this lab: the engine's own advice is of what cannot be set here."""
    reason = as_sentence(error).partition("; ")[0].rstrip(".")
    return f"{reason}; use a smaller learning rate or other weights."


class Surface:
    """The loss surface that the page has asked for last, one point at a time."""

    def __init__(self, request: dict[str, Any]):
        self._request = request
        self._training: Training | None = None
        self._number = 0
        self._points: list[tuple] = []
        self._steps: Iterator[Point] | None = None

    @property
    def goes_on(self) -> bool:
        """Whether a point is still to be computed."""
        return self._steps is not None

    def follow(self, plan: dict[str, Any] | None) -> None:
        """Take up another plan; None ends the one that is computed."""
        if plan is None:
            self._steps = None
        elif plan["number"] != self._number:
            self._number, self._points = plan["number"], []
            if self._training is None:
                self._training = Training(configured(self._request, "reweighting"))  # no gradient is taken
            self._steps = surface(self._training, plan["x"], plan["y"])

    def one_point(self, link: Link) -> None:
        """Compute the next point and post all of them."""
        assert self._steps is not None
        began = time.perf_counter()
        point = next(self._steps, None)
        if point is None:
            self._steps = None
            return
        self._points.append((point.column, point.row, point.loss, point.error))
        nothing = all(not math.isfinite(loss) for _, _, loss, _ in self._points) and len(self._points) > 3
        if len(self._points) == 1:
            memory.give_back()
        took = time.perf_counter() - began if len(self._points) > 1 else None
        fault = as_sentence(ValueError(point.fault)) if nothing else ""
        link.post("surface", {"number": self._number, "points": self._points, "seconds": took, "fault": fault})
