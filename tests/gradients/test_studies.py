"""The studies against closed forms: exponents of a hill, responses in a well, weights of Gaussians, plain algebra."""

import json
import math

import jax
import numpy as np
import pytest
from gradients.traps import hill, trap

from revmd_app.gradients import Reversible, Reweighting, plain
from revmd_app.gradients.backward import Backward
from revmd_app.gradients.losses import OWN
from revmd_app.gradients.studies import STUDIES, Question, cost, default_grid
from revmd_app.gradients.studies.growth import marker
from revmd_app.gradients.studies.question import Clock, Part, repeated
from revmd_app.gradients.studies.scatter import correlation, spread_out, with_parameters
from revmd_app.labs import gradients_worker
from revmd_app.systems import prepared

ENERGY = "Potential energy"


def last(study, *arguments):
    """The result of a study, after checking that what it posts can be sent: plain, and nothing is NaN."""
    *_, step = steps = list(STUDIES[study](*arguments))
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    assert step.done == step.total
    assert step.left == 0.0
    json.dumps(plain(step.result), allow_nan=False)
    return step.result


@pytest.fixture(scope="module")
def well():
    case = trap()
    return Question(case, case.potential, ENERGY)


# ------------------------------------------------------------------------------------------------------ the walk back


@pytest.mark.parametrize("truncate", [30, None])
def test_one_walk_gives_every_truncated_gradient(well, truncate):
    """The independent route is `simulate` with `truncate`, one program for each length."""
    experiment = well._replace(loss=OWN, formula="(U - 1)^2 + vacf(0.5)").experiment(60, 10, 0)
    key, state, leaves = jax.random.key(5), well.case.state, well.leaves
    walk = Backward(experiment, well.potential, reach=60)(leaves, key, [0, 30, 60])
    sample = jax.jit(Reversible(truncate).build(experiment, well.potential))(leaves, state, key)
    edge = 1 if truncate else 2
    np.testing.assert_allclose(walk.value, sample.value, rtol=1e-12)
    np.testing.assert_allclose(walk.truncated(edge), sample.explicit + sample.response, rtol=1e-9)
    np.testing.assert_allclose(walk.truncated(0), walk.explicit)


@pytest.mark.slow
def test_the_samples_of_a_walk_reweight_as_the_estimator_does():
    case = prepared("argon", 108)
    question = Question(case, case.potential, "g(r) against the reference")
    experiment = question.experiment(60, 20, 0)
    key, leaves = jax.random.key(5), question.leaves
    walk = Backward(experiment, case.potential, reach=20)(leaves, key, [20])
    weights = jax.jit(Reweighting().build(experiment, case.potential))(leaves, case.state, key)
    np.testing.assert_allclose(walk.reweighted(question.beta), weights.explicit + weights.response, rtol=1e-4)


def test_the_hill_has_its_exact_exponent_by_both_routes():
    case, potential, exact = hill()
    result = last("growth", Question(case, potential, ENERGY), {"steps": 250, "starts": 2, "replicas": 2})
    assert result["fit"]["slope"] == pytest.approx(exact, rel=5e-3)
    assert result["lyapunov"]["slope"] == pytest.approx(exact, rel=5e-3)
    assert result["time"][-1] == pytest.approx(250 * 0.02)
    assert result["mu"][-1] > 10 * result["mu"][5]


def test_the_marker_stands_before_the_spread_exceeds_the_mean():
    edges, mean = np.array([0, 10, 20, 30]), np.array([0.0, 1.0, 1.5, 2.0])
    times = [0.0, 0.1, 0.2, 0.3]
    assert marker(edges, times, mean, np.array([0.0, 0.2, 0.5, 4.0]))["steps"] == 20
    assert marker(edges, times, mean, np.array([0.0, 0.2, 0.5, 1.0]))["steps"] is None
    assert "from the start" in marker(edges, times, mean, np.array([0.0, 2.0, 5.0, 9.0]))["why"]
    assert "more replicas" in marker(edges, times, mean, np.full(4, np.nan))["why"]


def test_truncation_removes_the_response_of_a_well(well):
    """<U> = 3/2 kT whatever k: the explicit part 3/2 kT/k is undone by the response, if that is followed far enough."""
    given = {"lengths": [0, 40, 400], "steps": 1200, "sample_every": 60, "replicas": 6, "reference": 3}
    result = last("truncation", well, given)
    none, some, all_of_it = result["rows"]
    assert none["mean"]["k"] == pytest.approx(1.5, abs=5 * none["error"]["k"])
    assert abs(all_of_it["mean"]["k"]) < 5 * all_of_it["error"]["k"]
    assert none["mean"]["k"] > some["mean"]["k"] > all_of_it["mean"]["k"]
    assert abs(result["reference"]["gradient"]["k"]) < 5 * result["reference"]["error"]["k"]
    assert none["bias"]["k"] == pytest.approx(1.5, abs=0.3)
    assert result["best"]["k"] == 400


def test_where_reweighting_has_no_answer_whole_runs_are_the_reference():
    case = trap(16)
    given = {"lengths": [0, 50], "steps": 100, "sample_every": 10, "replicas": 2, "reference": 2}
    result = last("truncation", Question(case, case.potential, OWN, "vacf(1)"), given)
    assert "finite differences" in result["reference"]["how"]


# -------------------------------------------------------------------------------------------------------- reweighting


def test_effective_samples_of_a_gaussian(well):
    """exp(entropy of the weights) / N tends to exp(-KL), and KL of two Gaussians is known."""
    case = trap(1)
    factors = [0.8, 1.0, 1.25]
    given = {"knob": "0.k", "factors": factors, "direct": [1.25], "steps": 40_000, "sample_every": 40, "replicas": 4}
    result = last("away", Question(case, case.potential, ENERGY), given)
    for factor, point in zip(factors, result["points"], strict=True):
        divergence = 1.5 * (1 / factor - 1 + math.log(factor))
        assert point["ess_fraction"] == pytest.approx(math.exp(-divergence), abs=0.01)
        assert point["loss"] == pytest.approx(1.5, abs=6 * point["loss_error"] + 1e-3)
        assert abs(point["gradient"]) < 6 * point["gradient_error"]
    (direct,) = result["direct"]
    assert direct["loss"] == pytest.approx(1.5, abs=6 * direct["loss_error"])
    assert result["trusted"] == [0.8, 1.25]
    assert result["samples"] == 4000


def test_correlation_of_a_linear_toy():
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    y = 2 * x + 1 + rng.normal(size=200)
    found = correlation(x, y)
    assert found.pearson == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.low < 2 / math.sqrt(5) < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.2 / math.sqrt(200), rel=0.4)  # (1 - r^2)/sqrt(n)
    assert (found.slope, found.intercept) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    assert correlation(x, 3 * x).low == pytest.approx(1)
    assert math.isnan(correlation(np.ones(5), np.arange(5)).pearson)
    with pytest.raises(ValueError, match="at least three pairs"):
        correlation([1, 2], [1, 2])


def test_the_grid_is_covered_early_and_names_knobs():
    for n in (2, 25, 27, 40):
        assert sorted(spread_out(n)) == list(range(n))
    assert max(np.diff(sorted(spread_out(25)[:6]))) < 10
    argon, water = prepared("argon", 108), prepared("water", 64)
    assert {key: len(values) for key, values in default_grid(argon, argon.potential).items()} == {
        "0.sigma": 5,
        "0.epsilon": 5,
    }
    grid = default_grid(water, water.potential)
    assert math.prod(map(len, grid.values())) == 27
    assert grid["1.charge"][1] == pytest.approx(-0.834)
    assert float(with_parameters(water.potential, {"1.charge": -0.8}).terms()[1].charge) == -0.8


def test_a_scatter_compiles_once_and_every_point_can_set_the_knobs():
    case = prepared("argon", 108)
    question = Question(case, case.potential, ENERGY)
    given = {"grid": {"0.sigma": [0.338, 0.342], "0.epsilon": [0.95, 1.0]}, "steps": 60, "sample_every": 20}
    compilations: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compilations.append(name) if name.endswith("backend_compile_duration") else None
    )
    study = STUDIES["scatter"](question, {**given, "truncate": 20, "repeats": 2})
    next(study)
    next(study)
    before = len(compilations)
    *_, step = study
    assert before > 0
    assert len(compilations) == before
    result = plain(step.result)
    assert sorted((p["values"]["0.sigma"], p["values"]["0.epsilon"]) for p in result["points"]) == [
        (0.338, 0.95),
        (0.338, 1.0),
        (0.342, 0.95),
        (0.342, 1.0),
    ]
    assert all(p["reversible_error"]["sigma"] > 0 and p["reweighting_error"]["sigma"] > 0 for p in result["points"])
    assert set(result["fit"]) == {"sigma", "epsilon"}


# ---------------------------------------------------------------------------------------------- snapshots, cost, clock


def test_the_loss_of_each_snapshot_exceeds_that_of_the_average_by_the_variance(well):
    question = well._replace(loss=OWN, formula="(U - 1)^2")
    result = last("snapshots", question, {"steps": 1200, "sample_every": 60, "truncate": 60, "replicas": 8})
    assert result["exact"]
    rows = {row["of"]: row for row in result["rows"]}
    assert rows["bias"]["value"] == pytest.approx(rows["variance"]["value"], rel=1e-9)
    assert rows["bias"]["gradient"]["k"] == pytest.approx(rows["variance"]["gradient"]["k"], rel=1e-6)
    assert rows["variance"]["value"] == pytest.approx(1.5 / 64, abs=5 * rows["variance"]["value_error"] + 1.5 / 64 / 20)
    one, *_, many = result["against"]
    assert one["average"] == one["snapshots"]
    assert many["snapshots"] > many["average"]


def test_losses_of_one_kind_only_are_told_apart(well):
    linear = last("snapshots", well, {"steps": 100, "sample_every": 20, "truncate": 20, "replicas": 2})
    assert "linear" in linear["sentence"]
    cubic = well._replace(loss=OWN, formula="U^3")
    result = last("snapshots", cubic, {"steps": 100, "sample_every": 20, "truncate": 20, "replicas": 2})
    assert not result["exact"]
    assert "not quadratic" in result["sentence"]


def test_memory_climbs_for_reverse_mode_alone(well, monkeypatch):
    monkeypatch.setitem(cost.__globals__, "WORTH_COMPILING", 1e5)
    result = last("cost", well, {"lengths": [100, 200, 4000], "seconds": 0.5})
    of = {m: [r for r in result["rows"] if r["method"] == m] for m in ("forward", "reversible", "reverse_mode")}
    assert of["reversible"][2]["bytes"] < 1.3 * of["reversible"][0]["bytes"]
    first, second, third = of["reverse_mode"]
    assert first["bytes"] < second["bytes"] < third["bytes"]
    assert third["extrapolated"]
    assert "straight line" in third["why"]
    assert third["bytes"] == pytest.approx(second["bytes"] + 38 * (second["bytes"] - first["bytes"]))
    assert all(row["seconds"] > 0 for row in of["forward"][:2])
    assert result["crossing"]["reversible"] is None


def test_the_clock_tells_nothing_before_it_knows(monkeypatch):
    now = iter([0.0, 12.0, 14.0, 30.0])
    monkeypatch.setattr("revmd_app.gradients.studies.question.time.perf_counter", lambda: next(now))
    clock = Clock([*repeated(10.0, 2), Part(30.0, True), Part(30.0)])
    assert clock.left() is None
    clock.tick()
    assert clock.left() is None
    clock.tick()
    assert clock.left() == pytest.approx(2 * 6 + 10)  # 0.2 s a unit; the first one compiled for 10 s
    clock.tick()
    assert clock.left() == pytest.approx(6)


# -------------------------------------------------------------------------------------------------------- bad requests


@pytest.mark.parametrize(
    ("study", "given", "sentence"),
    [
        ("growth", {"speed": 3}, "no setting 'speed'"),
        ("growth", {"replicas": 0}, "at least 1"),
        ("truncation", {"lengths": []}, "at least one"),
        ("truncation", {"steps": 70, "sample_every": 20}, "multiple of 20"),
        ("scatter", {"grid": {"0.mass": [1, 2]}}, "no parameter '0.mass'"),
        ("scatter", {"grid": {"0.k": [1.0]}}, "from 2 to"),
        ("away", {"factors": [0.0]}, "above 0"),
        ("away", {"knob": "7.k"}, "no parameter '7.k'"),
        ("away", {"steps": 40, "sample_every": 40}, "at least two samples"),
        ("snapshots", {"steps": 50, "sample_every": 50}, "at least two samples"),
        ("cost", {"lengths": [15]}, "multiples of 10"),
    ],
)
def test_settings_that_cannot_be_used_are_explained(well, study, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        list(STUDIES[study](well, given))


@pytest.mark.parametrize("study", ["scatter", "away", "snapshots"])
def test_dynamics_are_refused_where_only_averages_will_do(well, study):
    with pytest.raises(ValueError, match=r"in time"):
        list(STUDIES[study](well._replace(loss="Velocity autocorrelation"), None))


class Recorder:
    """A link that keeps what is posted and cancels after so many messages."""

    def __init__(self, cancel_after=10**9):
        self.posted, self.cancel_after = [], cancel_after

    def post(self, kind, payload=None):
        self.posted.append((kind, payload))

    def cancelled(self):
        return len(self.posted) >= self.cancel_after


def test_the_worker_posts_plain_progress_and_can_be_cancelled():
    request = {"system": ("harmonic_oscillator", 8), "values": {"0.k": 1.5}, "loss": OWN, "formula": "(U - 1)^2"}
    given = {"steps": 40, "sample_every": 20, "truncate": 20, "replicas": 20}
    link = Recorder(cancel_after=4)
    gradients_worker.snapshots(link, {**request, "study": given})
    kinds, payloads = zip(*link.posted, strict=True)
    assert set(kinds) == {"progress"}
    assert payloads[-1]["done"] == 2
    assert set(payloads[-1]) == {"task", "done", "total", "message", "left", "result"}
    json.dumps(payloads, allow_nan=False)
