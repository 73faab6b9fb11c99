"""What Lab 3 computes in its own process. Each task posts what it has found so far, and the page draws it.

A request holds plain values: "system" (name, size), "values" ({knob key: value}, the point at which gradients are
taken), "loss" (a name of `losses.LOSSES`) and "formula" (the text of your own loss, when it is that one).

Every task posts one kind of message, "progress", and each message holds all that has come so far:

    task     the name of the task
    done, total, message    how far it is, and what is being done
    left     seconds still to go, estimated from what this task has measured; None while nothing has been
    result   what has come so far, as plain numbers, texts, lists and dictionaries; no number is ever NaN, but None

Parameters are named as in the table of estimators ("sigma", "ReactionField.charge"). Times are in ps (or reduced).

`run` compares estimators; it needs "estimators", "n_steps", "sample_every", "replicas" and "truncate" too, and posts
    rows     one dictionary an estimator and parameter: value, value_error, gradient, standard_error, explicit,
             explicit_error, response, response_error, seconds, compile_seconds, peak_bytes, force_evaluations,
             replicas, refused (the reason, in place of all others), samples (the gradient of each replica)
"""

from __future__ import annotations

from typing import Any

import jax

from revmd_app.gradients import Experiment, compare_iter, plain
from revmd_app.gradients.losses import make_experiment as experiment_of
from revmd_app.labs import knobs
from revmd_app.labs.widgets.jobs import Link
from revmd_app.systems.case import Case
from revmd_app.systems.prepare import prepared


def run(link: Link, request: dict[str, Any]) -> None:
    """Compare estimators, one replica of each in turn."""
    _post(link, "run", [], 0, 1, "preparing the liquid")
    case = prepared(*request["system"])
    potential = knobs.turned(case.potential, request["values"])
    steps = compare_iter(
        make_experiment(case, request),
        potential,
        request["estimators"],
        jax.random.key(1),
        replicas=request["replicas"],
        truncate=request["truncate"],
        cancelled=link.cancelled,
    )
    for progress in steps:
        message = progress.message.replace("_", " ")
        _post(link, "run", plain(progress.rows()), progress.done, progress.total, message, progress.left)


def make_experiment(case: Case, request: dict[str, Any]) -> Experiment:
    """The experiment that a request describes. Raises `ValueError` for one that cannot be made."""
    return experiment_of(
        case, request["loss"], request["n_steps"], request["sample_every"], formula=request.get("formula", "")
    )


def _post(link: Link, task: str, rows, done: int, total: int, message: str, left: float | None = None) -> None:
    link.post("progress", {"task": task, "rows": rows, "done": done, "total": total, "message": message, "left": left})
