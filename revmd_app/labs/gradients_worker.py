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

The studies choose lengths of their own, so that each takes about a minute; a request's optional "study" changes them
(the keys are those of each study's defaults). What `result` holds:

`growth`: the walk back in time.
    steps, time        how far back
    parameters         names
    mu, mu_low, mu_high, lam    |dL/dv| (geometric mean over trajectories, one standard deviation of the log to either
                       side) and |dL/dx|; None where a norm is zero
    curves             |dL/dv| of single trajectories, 16 at most
    gradient, gradient_error, gradient_spread    by name: dL/dtheta gathered up to this far back
    fit                slope and error (1/ps), from, to (ps), intercept (log |dL/dv| at 0); None when nothing can be fit
    lyapunov           slope, error, how, time, log_growth of two trajectories that part; None until it is known
    marker             by name: steps, time, why: where to cut
    paper_steps        200
`truncation`: the gradient against how far each sample's influence is followed.
    rows               truncate (steps), time; by name: mean, error, spread (over runs), bias, bias_error
    reference          gradient, error (by name), how
    best               by name: the length of least root mean square error of one run
`cost`: bytes and seconds against the length.
    rows               method, n_steps, bytes, seconds (None: not run), timed, extrapolated (bytes off a straight line,
                       not from XLA), why (it was not run or compiled)
    limits             bytes that Binder offers: [least, most];  crossing: by method, steps at which it needs the least
    samples (of every run), atoms
`scatter`: both gradients over a grid ("study": {"grid": {knob key: values}}; `studies.default_grid` gives the default).
    points             values ({knob key: value}), loss, loss_error; by name: reversible, reversible_error, reweighting,
                       reweighting_error;  points_total
    truncate           steps that the reversible gradient looks back
    fit                by name: pearson, low, high (95 %), slope, intercept, points;  failed: values, why
`away`: reweighting away from the point ("study": {"knob": knob key, "factors": [...], "direct": [...]}).
    knob, name, at, samples
    points             factor, value, ess, ess_fraction, loss, loss_error, gradient, gradient_error
    direct             factor, value, loss, loss_error, gradient, gradient_error of simulations at these points
                       (None, and why, where one failed)
    trusted            [least, greatest factor] with at least a tenth of the samples; None when there is none
`snapshots`: the loss of each snapshot against the loss of the average.
    rows               of ("average", "snapshots", "bias", "variance"), value, value_error; by name: gradient,
                       gradient_error
    identity           difference, variance, relative;  exact;  sentence;  samples
    against            samples, average, snapshots, average_error, snapshots_error
"""

from __future__ import annotations

from typing import Any

import jax

from revmd_app.gradients import Experiment, compare_iter, plain
from revmd_app.gradients.losses import make_experiment as experiment_of
from revmd_app.gradients.studies import STUDIES, Question
from revmd_app.labs import knobs
from revmd_app.labs.widgets.jobs import Link
from revmd_app.systems.case import Case
from revmd_app.systems.prepare import prepared


def run(link: Link, request: dict[str, Any]) -> None:
    """Compare estimators, one replica of each in turn."""
    _post(link, "run", 0, 1, "preparing the liquid", rows=[])
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
        _post(link, "run", progress.done, progress.total, message, progress.left, rows=plain(progress.rows()))


def growth(link: Link, request: dict[str, Any]) -> None:
    """How the cotangent grows on its way back, and the Lyapunov exponent."""
    study(link, "growth", request)


def truncation(link: Link, request: dict[str, Any]) -> None:
    """Bias and spread against the length of the truncation."""
    study(link, "truncation", request)


def cost(link: Link, request: dict[str, Any]) -> None:
    """Memory and time against the length."""
    study(link, "cost", request)


def scatter(link: Link, request: dict[str, Any]) -> None:
    """Reversible against reweighting over a grid of parameters."""
    study(link, "scatter", request)


def away(link: Link, request: dict[str, Any]) -> None:
    """Reweighting away from where the samples were drawn."""
    study(link, "away", request)


def snapshots(link: Link, request: dict[str, Any]) -> None:
    """The loss of each snapshot against the loss of the average."""
    study(link, "snapshots", request)


def study(link: Link, task: str, request: dict[str, Any]) -> None:
    """Run one of the studies and post each of its steps."""
    _post(link, task, 0, 1, "preparing the liquid", result={})
    case = prepared(*request["system"])
    potential = knobs.turned(case.potential, request["values"])
    question = Question(case, potential, request["loss"], request.get("formula", ""))
    for step in STUDIES[task](question, request.get("study")):
        _post(link, task, step.done, step.total, step.message, step.left, result=plain(step.result))
        if link.cancelled():
            return


def make_experiment(case: Case, request: dict[str, Any]) -> Experiment:
    """The experiment that a request describes. Raises `ValueError` for one that cannot be made."""
    return experiment_of(
        case, request["loss"], request["n_steps"], request["sample_every"], formula=request.get("formula", "")
    )


def _post(link: Link, task: str, done: int, total: int, message: str, left: float | None = None, **found) -> None:
    link.post("progress", {"task": task, "done": done, "total": total, "message": message, "left": left, **found})
