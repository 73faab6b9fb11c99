"""Lab 3 without a browser: what it asks for, what the comparison answers, what is shown."""

import math

import numpy as np
import pytest

from revmd_app.gradients import ESTIMATORS
from revmd_app.gradients.losses import LOSSES, OWN
from revmd_app.labs import gradients_words, gradients_worker
from revmd_app.labs.gradients_model import GradientsModel


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


@pytest.fixture
def study(model):
    return model.studies["compare"]


def run(model, **options):
    link = Recorder(**options)
    gradients_worker.run(link, model.begin("compare"))
    for progress in link.progress:
        model.studies["compare"].take(progress)
    return link


def test_reversible_and_finite_difference_agree_and_arrive_one_by_one(model, study):
    model.loss, model.estimators = "Potential energy", ["reversible", "finite_difference"]
    link = run(model)
    study.end("done")
    assert [len({r["estimator"] for r in p["rows"]}) for p in link.progress][-1] == 2
    assert study.fraction == 1
    rows = {row["estimator"]: row for row in model.chosen_rows()}
    assert rows["reversible"]["gradient"] == pytest.approx(rows["finite_difference"]["gradient"], rel=2e-2)
    assert len(rows["reversible"]["samples"]) == 2
    assert rows["reversible"]["explicit"] + rows["reversible"]["response"] == pytest.approx(
        rows["reversible"]["gradient"]
    )
    assert model.gradient_unit == "kJ/mol/nm"
    assert "agrees with the referee to" in gradients_words.compare(model)
    assert "response" in gradients_words.parts(model)
    model.guess_sign = "negative" if rows["reversible"]["gradient"] > 0 else "positive"
    assert f"not {model.guess_sign}" in gradients_words.feedback(model)


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
    n = model.n_steps // model.sample_every
    samples = [experiment.observe(case.snapshot())] * n
    series = (
        {k: np.stack([np.asarray(s[k]) for s in samples]) for k in samples[0]}
        if isinstance(samples[0], dict)
        else (np.stack([np.asarray(s) for s in samples]))
    )
    assert math.isfinite(float(experiment.value(series)))


def test_all_estimators_are_asked_by_default():
    assert GradientsModel().request()["estimators"] == list(ESTIMATORS)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_steps": 50, "sample_every": 50}, "A run of 50 steps"),
        ({"estimators": []}, "Choose at least one estimator."),
        ({"loss": OWN, "own": "__import__('os').system('true')"}, "The formula"),
        ({"loss": OWN, "own": ""}, "The formula"),
        ({"loss": OWN, "own": "7"}, "The formula"),
    ],
)
def test_settings_that_cannot_be_run_are_explained_and_the_lab_goes_on(model, study, settings, sentence):
    model.param.update(**settings)
    assert model.begin("compare") is None
    assert study.message.startswith(sentence), study.message
    assert study.message.count(". ") == 0
    assert study.state == "failed"
    model.param.update(estimators=["reversible"], own="(U + 5)^2", n_steps=50, sample_every=10)
    assert model.begin("compare") is not None


def test_an_own_formula_says_whether_it_is_of_averages_or_of_dynamics(model):
    model.loss, model.own = OWN, "(p - 100)^2"
    assert model.loss_of == "average"
    model.own = "D"
    assert model.loss_of == "series"
    with pytest.raises(ValueError, match="reweighting"):
        model.request("away")


def test_a_value_outside_its_range_is_refused(model):
    before = model.values
    with pytest.raises(ValueError, match="σ must be a number from"):
        model.turn("0.sigma", -1.0)
    assert model.values == before


def test_results_of_other_settings_are_marked_stale(model, study):
    model.begin("compare")
    study.take({"rows": [{"estimator": "reversible"}], "done": 1, "total": 2, "message": "…", "left": 17.2})
    assert study.message == "… · about 18 s left"
    assert not study.stale
    sigma = model.values["0.sigma"]
    model.turn("0.sigma", 0.36)
    assert study.stale
    model.turn("0.sigma", sigma)
    assert not study.stale
    model.effort = "quick"  # the comparison does not know it
    assert not study.stale


def test_a_study_that_begins_ends_the_one_that_runs(model):
    model.begin("compare")
    assert model.running is model.studies["compare"]
    model.begin("cost")
    assert model.studies["compare"].state == "cancelled"
    assert model.running is model.studies["cost"]


def test_the_parameter_is_named_as_in_the_table(model):
    assert model.parameter == "σ"
    assert model.parameter_name == "sigma"
    model.liquid = "Water, 64 molecules"
    model.parameter = next(name for name in model.param.parameter.objects if name.startswith("q"))
    assert model.parameter_name == "ReactionField.charge"


def test_a_configuration_survives_the_address(model):
    model.param.update(study="cost", liquid="Water, 64 molecules", loss=OWN, own="(U + 40)^2")
    model.param.update(estimators=["reversible", "reweighting"])
    model.turn("0.epsilon", 0.7)
    other = GradientsModel()
    other.configure(model.address())
    assert other.configuration() == model.configuration()
    with pytest.raises(ValueError, match="Study cannot be"):
        other.configure({"study": "nonsense"})
    with pytest.raises(ValueError, match="formula"):
        other.configure({"own": "import os"})
    assert other.configuration() == model.configuration()
