"""The long calculations of Lab 5, in a process of their own: training D to a target, and the study of two estimators.

Both post "progress": {"done", "total", "message", "left" (s), "result"}. The result of `train` is {"epochs": rows},
each with epoch, loss, diffusion and its error (nm²/ps) and parameters by name; that of `study` is what
`gradients.studies.dynamics` yields.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from revmd_app.gradients import plain
from revmd_app.gradients.studies.dynamics import dynamics
from revmd_app.gradients.studies.question import Question
from revmd_app.labs import knobs
from revmd_app.labs.diffuse_systems import liquid, potential_of
from revmd_app.labs.widgets import memory
from revmd_app.labs.widgets.jobs import Link
from revmd_app.systems.case import Case
from revmd_app.systems.oxygen_in_water import usual_oxygen
from revmd_app.training.configuration import Configuration, configuration
from revmd_app.training.fit import Training

STEPS, SAMPLE_EVERY, TRUNCATE = 5000, 200, 200
"""Of one epoch: two runs of 5 ps, each sample followed back for 0.2 ps."""
RATE = 5e-3
"""Adam's learning rate, relative to each parameter: large, for a lab has few epochs."""


def train(link: Link, request: dict[str, Any]) -> None:
    """Train the pair parameters until D of O2 is the target. Raises `ValueError` for what cannot be trained."""
    n = request["epochs"]
    link.post(
        "progress",
        {"done": 0, "total": n, "message": "preparing the liquid and compiling; the first epoch takes longest"},
    )
    training = Training(configuration_of(request))
    progress, rows, marks = training.begin(), [], [time.monotonic()]
    for _ in range(n):
        progress, record = training.epoch(progress)
        value, _, _ = record.terms["diffusion"]
        rows.append(
            {
                "epoch": int(record.epoch),
                "loss": float(record.loss),
                "diffusion": value,
                "error": float(record.term_errors["diffusion"]),
                "parameters": {k: float(x) for k, x in zip(training.names, np.asarray(record.parameters), strict=True)},
            }
        )
        if len(rows) == 1:
            memory.give_back()  # what compiling took
        marks.append(time.monotonic())
        pace = np.diff(marks[1:]).mean() if len(marks) > 2 else None
        left = None if pace is None else float(pace * (n - len(rows)))
        message = f"epoch {len(rows)} of {n}"
        result = plain({"epochs": rows})
        link.post("progress", {"done": len(rows), "total": n, "message": message, "left": left, "result": result})
        if link.cancelled():
            return


def configuration_of(request: dict[str, Any]) -> Configuration:
    """The configuration of the lab's short training."""
    n = request["size"]
    return configuration(
        "oxygen",
        "lab",
        system={
            "molecules": n,
            "gas_molecules": usual_oxygen(n),
            "force_field": request["force_field"],
            "temperature": request["temperature"],
        },
        run={"steps": STEPS, "sample_every": SAMPLE_EVERY, "replicas": 2},
        loss={"diffusion_target": request["target"]},
        preparation={"first_steps": 2000},
        gradient={"estimator": request["estimator"], "truncate": TRUNCATE},
        optimiser={"epochs": request["epochs"], "learning_rate": RATE},
    )


def study(link: Link, request: dict[str, Any]) -> None:
    """The variance of path reweighting and of the reversible gradient against the length of the run."""
    link.post("progress", {"done": 0, "total": 1, "message": "preparing the liquid"})
    case = at_point(liquid(request["size"]), request["temperature"], request["friction"])
    potential = knobs.turned(potential_of(case, request["force_field"]), request["values"])
    steps = request["longest"]
    options = {"steps": steps, "sample_every": steps // 16}
    for step in dynamics(Question(case, potential, ""), options):
        told = {"done": step.done, "total": step.total, "message": step.message, "left": step.left}
        link.post("progress", {**told, "result": plain(step.result)})
        if link.cancelled():
            return


def at_point(case: Case, temperature: float, friction: float) -> Case:
    """The case at another temperature (K) and friction (1/ps)."""
    wanted = (jnp.asarray(temperature, jnp.float64), jnp.asarray(friction, jnp.float64))
    return replace(case, settings=eqx.tree_at(lambda s: (s.temperature, s.friction), case.settings, wanted))
