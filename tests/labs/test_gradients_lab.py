"""Lab 3 without a browser: what it asks for, what the comparison answers, what is shown."""

import math

import numpy as np
import pytest

from revmd_app.labs import gradients_worker
from revmd_app.labs.gradients_model import LOSSES, GradientsModel


class Recorder:
    """A link that keeps the progress, and cancels after so many messages."""

    def __init__(self, cancel_after=10**9):
        self.progress, self.cancel_after = [], cancel_after

    def post(self, kind, payload=None):
        if kind == "progress":
            self.progress.append(payload)

    def cancelled(self):
        return len(self.progress) >= self.cancel_after


@pytest.fixture
def model():
    return GradientsModel(n_steps=50, sample_every=10, replicas=2)


def run(model, **options):
    link = Recorder(**options)
    gradients_worker.run(link, model.begin())
    for progress in link.progress:
        model.take(progress)
    return link


def test_reversible_and_finite_difference_agree_and_arrive_one_by_one(model):
    model.loss, model.estimators = "Potential energy", ["reversible", "finite_difference"]
    link = run(model)
    model.end("done")
    assert [len({r["estimator"] for r in p["rows"]}) for p in link.progress][-1] == 2
    assert model.fraction == 1
    rows = {row["estimator"]: row for row in model.chosen_rows()}
    assert rows["reversible"]["gradient"] == pytest.approx(rows["finite_difference"]["gradient"], rel=2e-2)
    assert len(rows["reversible"]["samples"]) == 2
    assert rows["reversible"]["explicit"] + rows["reversible"]["response"] == pytest.approx(
        rows["reversible"]["gradient"]
    )
    assert model.gradient_unit == "kJ/mol/nm"


def test_reweighting_of_a_correlation_in_time_is_refused_with_its_reason(model):
    model.loss, model.estimators = "Velocity autocorrelation", ["reweighting"]
    run(model)
    (row,) = model.chosen_rows()
    assert "order of its samples in time" in row["refused"]


def test_cancelled_between_replicas(model):
    model.loss, model.estimators, model.replicas = "Potential energy", ["forward_mode"], 8
    link = run(model, cancel_after=3)
    assert link.progress[-1]["done"] < link.progress[-1]["total"]


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("liquid", ["Argon, 108 atoms", "Toy fluid, 108 atoms"])
def test_every_loss_has_a_finite_value(model, loss, liquid):
    model.liquid, model.loss = liquid, loss
    case = model.case
    experiment = gradients_worker.make_experiment(case, model.request())
    samples = [experiment.observe(case.snapshot())] * 5
    series = np.stack([np.asarray(s) for s in samples])
    assert math.isfinite(float(experiment.value(series)))


def test_settings_that_cannot_be_run_are_explained(model):
    model.n_steps, model.sample_every = 50, 50
    assert model.begin() is None
    assert model.message.startswith("A run of 50 steps")
    model.estimators = []
    assert model.begin() is None
    assert model.message == "Choose at least one estimator."


def test_results_of_other_settings_are_marked_stale(model):
    model.begin()
    model.rows = [{"estimator": "reversible", "parameter": "sigma", "refused": None}]
    assert not model.stale
    model.turn("0.sigma", 0.36)
    assert model.stale
    model.begin()
    assert not model.stale


def test_the_parameter_is_named_as_in_the_table(model):
    assert model.parameter == "σ"
    assert model.parameter_name == "sigma"
    model.liquid = "Water, 64 molecules"
    model.parameter = next(name for name in model.param.parameter.objects if name.startswith("q"))
    assert model.parameter_name == "ReactionField.charge"


def test_the_time_left_counts_compilation_once(model, monkeypatch):
    clock = iter([0.0, 10.0, 20.0, 21.0])
    monkeypatch.setattr("revmd_app.labs.gradients_model.time.monotonic", lambda: next(clock))
    model.estimators, model.replicas = ["reversible", "reweighting"], 8
    model.begin()
    for done, left in ((1, "17"), (2, "7"), (3, "13")):
        model.take({"rows": [], "done": done, "total": 16, "message": "…"})
        assert f"about {left} s left" in model.message
