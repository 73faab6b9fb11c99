"""Lab 5 without a browser: its model, the sums of displacements, the simulation in its process, training and study."""

from types import SimpleNamespace

import numpy as np
import pytest

from revmd_app.labs import diffuse_work
from revmd_app.labs.diffuse_model import DiffuseModel, Work, readable_seconds
from revmd_app.labs.diffuse_panels import TrainPanel
from revmd_app.labs.diffuse_plots import StudyPlots
from revmd_app.labs.diffuse_series import Displacements, ladder
from revmd_app.labs.diffuse_systems import FORCE_FIELDS, SIZES
from revmd_app.labs.diffuse_text import WHY_NOT
from revmd_app.labs.diffuse_view import trail_text
from revmd_app.labs.diffuse_worker import TRAIL, Simulation
from revmd_app.labs.widgets.share import follow
from revmd_app.observables.transport import self_diffusion, yeh_hummer


class Mailbox:
    """A link that keeps what is posted."""

    def __init__(self):
        self.posted: dict[str, list] = {}

    def post(self, kind, payload=None):
        self.posted.setdefault(kind, []).append(payload)

    def cancelled(self):
        return False

    def last(self, kind):
        return self.posted[kind][-1]


def walk(frames=400, molecules=6, seed=0):
    """(frames, 3, molecules) of a random walk."""
    return np.cumsum(0.01 * np.random.default_rng(seed).normal(size=(frames, 3, molecules)), axis=0)


# ------------------------------------------------------------------------------------------------------ displacements


def test_sums_over_origins_are_the_mean_squared_displacement():
    series, moved = walk(), Displacements(6, 0.05)
    for frame in series:
        moved.add(frame)
    times, msd, error = moved.curve()
    own = [np.sum((series[n:] - series[: 400 - n]) ** 2, axis=1).mean() for n in range(200)]
    expected = np.array(own)
    lags = np.round(times / 0.05).astype(int)
    assert lags[-1] < 200
    np.testing.assert_allclose(msd, expected[lags], rtol=1e-10)
    assert np.all(error > 0)
    assert moved.time == pytest.approx(399 * 0.05)


def test_d_agrees_with_the_estimator_over_every_lag():
    series, moved = walk(500, 8), Displacements(8, 0.05)
    for frame in series:
        moved.add(frame)
    fit, known = moved.fit(), self_diffusion(series, 0.05)
    assert fit.window == pytest.approx(known.window)
    assert fit.coefficient == pytest.approx(float(known.coefficient), rel=0.05)
    assert fit.error == pytest.approx(float(known.error), rel=0.25)
    assert abs(fit.coefficient - 1e-4 / (2 * 0.05)) < 5 * fit.error


def test_a_series_too_short_has_no_d():
    moved = Displacements(3, 0.05)
    for frame in walk(8, 3):
        moved.add(frame)
    assert moved.fit() is None
    assert Displacements(3, 0.05).fit() is None
    assert ladder(100)[:3].tolist() == [1, 2, 3]
    assert np.all(np.diff(ladder()) > 0)


# -------------------------------------------------------------------------------------------------------------- model


def test_another_force_field_brings_its_own_knobs():
    model = DiffuseModel()
    model.turn("0.gas_sigma", 0.33)
    assert model.address() == {"gas_sigma": "0.33"}
    model.force_field = next(name for name in FORCE_FIELDS if name.startswith("Buckingham"))
    assert [model.leaf_of(k) for k in model.knobs if k.of_pair] == [
        "MixedPair.gas_A",
        "MixedPair.gas_B",
        "MixedPair.gas_C",
    ]
    assert model.address() == {"force_field": "buckingham-start"}
    assert model.parameter == "A gas"
    model.restore()
    assert model.temperature == 295.15


def test_a_link_is_taken_up_and_a_bad_one_answered():
    model = DiffuseModel()
    complaints = follow(model, {"size": "8-o2-in-208-waters", "gas_sigma": "0.34", "friction": "900", "panel": "study"})
    assert complaints == ["Friction must be a number from 0 to 20, not '900'."]
    assert (model.n_waters, model.values["0.gas_sigma"], model.panel) == (208, 0.34, "study")
    assert model.request()["size"] == 208


def test_a_change_makes_results_stale():
    model = DiffuseModel()
    model.begin("train")
    model.receive_work(
        "train", {"progress": {"done": 1, "total": 5, "message": "epoch 1", "left": 200.0, "result": {"epochs": []}}}
    )
    assert "4 min left" in model.train.message
    model.receive_work(
        "train",
        {"progress": {"done": 2, "total": 5, "message": "x", "result": {"epochs": [{"parameters": {}}]}}, "done": None},
    )
    assert (model.train.state, model.train.stale) == ("done", False)
    model.target = 3.0
    assert model.train.stale
    model.target = 2.0
    assert not model.train.stale
    epoch = model.epoch
    model.friction = 5.0
    assert model.epoch == epoch + 1


def test_the_correction_is_yeh_and_hummers():
    model = DiffuseModel(corrected=True, viscosity=0.5)
    edge = float(model.case.system.box[0])
    assert model.correction == pytest.approx(1000 * float(yeh_hummer(0.0, 295.15, 0.5, edge)))
    model.corrected = False
    assert model.correction == 0


def test_what_training_found_goes_into_the_box():
    model = DiffuseModel()
    assert model.trained() == {}
    row = {"parameters": {"MixedPair.gas_sigma": 0.35, "ReactionField.charge": -0.85, "HarmonicAngle.k": 1.0}}
    model.train.result = {"epochs": [row]}
    model.use_trained()
    assert (model.values["0.gas_sigma"], model.values["1.charge"]) == (0.35, -0.85)


def test_what_is_said_of_a_calculation_that_was_cancelled():
    work = Work()
    work.begin({})
    work.end("cancelled")
    assert work.message == "Cancelled; nothing had come yet."
    work.begin({})
    work.result = {"epochs": [{}]}
    work.end("cancelled")
    assert work.message == "Cancelled; what came before stays."


def test_every_method_of_the_study_has_an_entry_in_a_legend_and_a_name_in_saved_numbers():
    model = DiffuseModel()
    leaf = model.leaf_of(model.knobs[0])
    labels = ("path reweighting", "reversible, whole", *(f"reversible, {n} steps" for n in (50, 100, 200)))
    column = {leaf: [1.0, 2.0]}
    methods = {label: {"variance": column, "mean": column, "error": column} for label in labels}
    model.study.result = {"time": [0.1, 0.2], "runs": 3, "methods": methods}
    plots = StudyPlots(model)
    plots.draw()
    both = (plots.variance, plots.mean)
    told = [item.label.value for plot in both for item in plot.figure.legend[0].items if item.visible]
    assert told == ["path weights", "whole", "50 back", "100 back", "200 back"]
    named = [source.data["what"][0] for source in plots.variance.sources.values()]
    assert named == list(labels)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # Panel announces names of its version 2
def test_the_start_values_are_told_before_any_training():
    model = DiffuseModel()
    panel = TrainPanel(model, lambda _: None, lambda: None)
    assert "0.3297" in panel.table.object
    model.force_field = "Soft-core Lennard-Jones, trained"
    assert "0.3670" in panel.table.object
    model.target = 3.0
    assert list(panel.plots.d.sources["target"].data["y"]) == [3.0, 3.0]


def test_words():
    assert readable_seconds(0.2) == "1 s"
    assert readable_seconds(200) == "4 min"
    assert "order of its samples in time" in WHY_NOT
    work = Work()
    work.begin({})
    work.end("failed", "It broke.")
    assert work.message == "It broke."
    text = trail_text(2, 3, np.ones(3))
    assert text.count("HETATM") == 6
    assert text.count("CONECT") == 4


# ------------------------------------------------------------------------------------------------------------ workers


@pytest.fixture(scope="module")
def simulation():
    """A simulation that has made two pictures."""
    link = Mailbox()
    made = Simulation(link)
    made.follow({**DiffuseModel().request(), "steps": 100})
    made.picture()
    made.picture()
    return made


def test_pictures_show_the_oxygen_on_its_way(simulation):
    frame = simulation.link.last("frame")
    model = DiffuseModel()
    assert frame["positions"].shape == (3, 188)
    assert frame["trail"].shape == (4, TRAIL, 3)
    assert frame["time"] == pytest.approx(7 * 0.025)
    assert np.abs(frame["trail"][:, -1] - frame["trail"][:, 0]).max() > 1e-3
    assert 200 < frame["temperature"] < 400
    assert model.take({**frame, "resets": model.resets})
    assert not model.take({**frame, "resets": -1})


def test_a_turned_knob_begins_the_sums_anew(simulation):
    asked = simulation.asked
    simulation.follow({**asked, "epoch": asked["epoch"] + 1, "values": {**asked["values"], "0.gas_sigma": 0.35}})
    assert simulation.moved.n_frames == 0
    assert float(simulation.potential.terms()[0].gas_sigma) == 0.35
    simulation.picture()
    assert simulation.moved.n_frames == 4


def test_an_explosion_is_told_of(simulation):
    asked, before = simulation.asked, simulation.state
    simulation.follow({**asked, "epoch": asked["epoch"] + 1, "temperature": 1e9})
    simulation.picture()
    assert simulation.link.last("exploded")
    assert not simulation.moving
    np.testing.assert_array_equal(simulation.state.velocity.shape, before.velocity.shape)


class Epochs:
    """Stands in for `Training`, whose own tests run it: records of the right shape at no cost."""

    def __init__(self, run):
        self.run = run
        self.names = tuple(DiffuseModel().leaf_of(knob) for knob in DiffuseModel().knobs)

    def begin(self):
        return 0

    def epoch(self, done):
        record = SimpleNamespace(
            epoch=done + 1,
            loss=9.0 / (done + 1),
            terms={"diffusion": (4e-3 / (done + 1), 2e-3, 1.0)},
            term_errors={"diffusion": 1e-4},
            parameters=np.arange(len(self.names)) + 0.1 * done,
        )
        return done + 1, record


def test_training_posts_every_epoch(monkeypatch):
    monkeypatch.setattr(diffuse_work, "Training", Epochs)
    link, model = Mailbox(), DiffuseModel()
    request = {**model.work_request("train"), "epochs": 3}
    diffuse_work.train(link, request)
    told = link.last("progress")
    rows = told["result"]["epochs"]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert (told["done"], told["total"], told["left"]) == (3, 3, 0.0)
    assert rows[1]["diffusion"] == 2e-3
    model.begin("train")
    model.receive_work("train", {"progress": told})
    assert set(model.trained()) == {knob.key for knob in model.knobs}


def test_the_labs_training_is_one_that_can_be_made():
    """Every force field of the menu and both boxes give a configuration with the page's target and temperature."""
    model = DiffuseModel(target=2.5, temperature=310.0)
    for model.size in SIZES:
        for model.force_field in FORCE_FIELDS:
            run = diffuse_work.configuration_of(model.work_request("train"))
            assert run.loss.diffusion_target == pytest.approx(2.5e-3)
            assert run.system.force_field == model.preset
            assert run.system.temperature == 310.0
            assert run.system.cutoff <= float(model.case.system.box[0]) / 2


def test_reweighting_refuses_in_its_own_words():
    request = {**DiffuseModel().work_request("train"), "estimator": "reweighting"}
    with pytest.raises(ValueError, match="depends on the order of its samples in time"):
        diffuse_work.train(Mailbox(), request)


def test_the_study_runs_at_the_pages_point(monkeypatch):
    seen = []

    def short(question, options):
        seen.append((question, options))
        return iter(())

    monkeypatch.setattr(diffuse_work, "dynamics", short)
    model = DiffuseModel(friction=4.0, longest="1.6 ps")
    model.turn("0.sigma", 0.32)
    diffuse_work.study(Mailbox(), model.work_request("study"))
    (question, options), names = seen[0], list(SIZES)
    assert float(question.case.settings.friction) == 4.0
    assert float(question.potential.terms()[0].sigma) == 0.32
    assert options == {"steps": 1600, "sample_every": 100}
    assert names[0] == "4 O₂ in 60 waters"
