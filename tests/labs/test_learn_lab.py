"""Lab 4's child process at a tiny size, and what the lab draws of it; a replay of a run made here."""

import numpy as np
import pytest

from revmd_app.labs import learn_replay, learn_worker
from revmd_app.labs.learn import LearnLab
from revmd_app.labs.learn_model import LearnModel
from revmd_app.labs.learn_plots import measured, table
from revmd_app.labs.learn_plots_surface import grid_of
from revmd_app.labs.learn_replay_view import ReplayView
from revmd_app.labs.learn_views import live_tracks, summary
from revmd_app.labs.widgets.jobs import Cancelled
from revmd_app.training.runs import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # it compiles five programs
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),  # Panel announces names of its version 2
]
TINY = {"run": {"steps": 40, "sample_every": 20}, "preparation": {"first_steps": 20, "steps": 20, "interval": 10}}


class Page:
    """The page's end of a link: it keeps what is posted and answers with the next controls of a script."""

    def __init__(self, *script):
        self.messages, self.script = [], list(script)

    def post(self, kind, payload=None):
        self.messages.append((kind, payload))

    def controls(self, wait=0.0):
        if wait == 0.0:
            return None
        if not self.script:
            raise Cancelled
        return self.script.pop(0)  # asked for when there is nothing left to do

    def found(self):
        return dict(self.messages)


def plan(number=1):
    sigma, epsilon = ("LennardJones.sigma", [0.31, 0.32]), ("LennardJones.epsilon", [0.6, 0.7])
    return {"number": number, "x": sigma, "y": epsilon}


def controls(until, preview=False, surface=None):
    return {"until": until, "preview": preview, "surface": surface}


@pytest.fixture(scope="module")
def trained():
    """(model, page) after a preview, two epochs of both estimators, and a surface."""
    model = LearnModel(epochs=2, seed=3)
    request = {**model.preview(), **TINY, "controls": controls(1, preview=True)}
    page = Page(controls(2), controls(2, surface=plan()))
    with pytest.raises(Cancelled):
        learn_worker.train(page, request)
    model.state = "running"
    model.take(page.found())
    return model, page


def test_epochs_alternate_and_both_estimators_begin_with_the_same_simulation(trained):
    model, page = trained
    kinds = [kind for kind, _ in page.messages if kind.startswith("record")]
    assert kinds[0] == "record reversible 1"  # the preview
    assert sorted(kinds[1:]) == ["record reversible 2", "record reweighting 1", "record reweighting 2"]
    assert model.state == "done"
    one, two = (model.tracks[name]["records"] for name in ("reversible", "reweighting"))
    assert one[0]["loss"] == pytest.approx(two[0]["loss"], rel=1e-5)
    np.testing.assert_allclose(one[0]["curves"]["rdf_OO"][1], two[0]["curves"]["rdf_OO"][1], rtol=1e-4)
    assert one[0]["parameters"] == two[0]["parameters"]
    moved = {name for name, value in one[1]["parameters"].items() if value != one[0]["parameters"][name]}
    assert moved == set(one[0]["parameters"])
    steps = [abs(one[1]["parameters"][q.name] / q.start - 1) for q in model.quantities]
    np.testing.assert_allclose(steps, model.rate, rtol=1e-3)  # Adam's first step
    assert sum(part for *_, part in one[0]["terms"].values()) == pytest.approx(one[0]["loss"], rel=1e-5)


def test_a_surface_comes_point_by_point(trained):
    _, page = trained
    counts = [len(payload["points"]) for kind, payload in page.messages if kind == "surface"]
    assert counts[-1] == 4
    last = page.found()["surface"]
    assert all(loss > 0 for *_, loss, _ in last["points"])
    assert grid_of({**plan(), **last})[2].shape == (2, 2)
    assert grid_of({**plan(), "points": last["points"][:3]}) is None


def test_a_training_that_goes_astray_says_why_and_ends(trained):
    model = LearnModel(estimators=["reweighting"], seed=3)
    request = {**model.preview(), **TINY, "rate": 1.0, "controls": controls(5)}
    page = Page()
    with pytest.raises(Cancelled):
        learn_worker.train(page, request)
    fault = page.found()["fault reweighting"]
    assert "cannot be finished" in fault
    assert fault.endswith("; use a smaller learning rate or other weights.")  # nothing that cannot be set in this lab
    assert fault.count(";") == 1


def test_everything_is_drawn(trained):
    model, page = trained
    lab = LearnLab(model)
    view = lab.views["training"]
    drawn = lambda plot, name: plot.sources[name].data["y"]
    g = view.plots.structure.plots["rdf_OO"]
    assert len(drawn(g, "experiment")) > 100
    for name in ("start", "first", "second"):
        assert len(drawn(g, name)) == 56
    assert len(drawn(view.plots.losses.plot, "total 0")) == len(drawn(view.plots.losses.plot, "enthalpy 1")) == 2
    assert drawn(view.plots.parameters.plot, "p0 0") == pytest.approx([1, 1], abs=2.1e-3)
    assert len(drawn(view.plots.measures.plot, "first")) == 2
    view.plots.measure.value = "Density (g/cm³)"
    assert drawn(view.plots.measures.plot, "first")[0] == pytest.approx(1.0, abs=0.1)
    assert "0.32294" in view.plots.numbers.object  # published
    assert "Reversible" in summary(live_tracks(model))
    model.view = "surface"
    model.param.update(surface={**plan(), "points": [], "total": 4, "fault": ""}, surface_state="running")
    model.take({"surface": page.found()["surface"]})
    surface = lab.views["surface"].map
    assert len(surface.cells.data["loss"]) == 4
    assert len(surface.ways["first"].data["x"]) == 2
    assert model.surface_state == "done"
    lab.stop()


def test_a_table_without_a_training_shows_start_and_published_values():
    model = LearnModel(form="Soft-core Lennard-Jones")
    text = table([], model.quantities)
    assert "0.32380" in text
    assert "reweighting" not in text  # nobody published one
    assert np.isnan(measured({"terms": {}}, "enthalpy"))


def test_without_shipped_runs_the_replay_says_so(monkeypatch):
    monkeypatch.setattr(learn_replay, "shipped_runs", dict)
    view = ReplayView()
    assert "No run is shipped" in view.banner.object
    assert view.play.disabled


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run in a directory, made as `revmd train` makes it."""
    folder = tmp_path_factory.mktemp("runs") / "water-short"
    request = {**LearnModel(seed=3).request(), **TINY, "rate": 0.002}
    short = learn_worker.configured(request, "reweighting")
    with Run.create(folder, short, "revmd train water --preset lab --to water-short") as made:
        made.go(should_stop=lambda: made.progress.epoch >= 3)
    return folder


def test_a_run_is_replayed_epoch_by_epoch_with_its_command(run, monkeypatch):
    recorded = learn_replay.load(run)
    assert [record["epoch"] for record in recorded.records] == [1, 2, 3]
    assert recorded.until(2)[-1]["epoch"] == 2
    assert recorded.records[0]["terms"]["enthalpy"][1] == 46.92
    assert "Lennard-Jones, reweighting, 64 molecules, 3 epochs" in learn_replay.described(recorded)
    monkeypatch.setattr(learn_replay, "shipped_runs", lambda: {"water-short": run})
    view = ReplayView()
    assert "computed beforehand with" in view.banner.object
    assert "revmd train water --preset lab" in view.banner.object
    losses = view.plots.losses.plot.sources["total 0"]
    assert len(losses.data["y"]) == 3
    view.epoch.value = 1
    assert len(losses.data["y"]) == 1
    view.close()


def test_a_damaged_run_is_told_of(run, tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text((run / "config.toml").read_text())
    (tmp_path / "metrics.csv").write_text("")
    with pytest.raises(ValueError, match="no metrics"):
        learn_replay.load(tmp_path)
    monkeypatch.setattr(learn_replay, "shipped_runs", lambda: {"damaged": tmp_path})
    view = ReplayView()
    assert "The run damaged cannot be read" in view.banner.object


class Child:
    """A child process that notes that it was ended."""

    running, ended = True, False

    def stop(self):
        self.ended = True

    def poll(self):
        return {}

    def send(self, controls):
        pass


@pytest.mark.parametrize(("state", "gone"), [("idle", True), ("paused", False), ("running", False)])
def test_a_hidden_lab_without_a_training_lets_its_child_go(state, gone):
    """Half a gigabyte, on a machine with two; a training is kept, and without one the next start begins anew."""
    model = LearnModel()
    model.preview()
    lab = LearnLab(model)
    lab.job = child = Child()
    model.state = state
    lab.shown = False
    assert child.ended == gone
    if gone:
        assert model.start() is not None  # a request for a new child
        assert model.state == "running"
