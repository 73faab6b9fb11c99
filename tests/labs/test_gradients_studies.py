"""The studies of Lab 3 without a browser: small real runs, what is drawn of them, and what is said."""

import numpy as np
import pytest

from revmd_app.labs import gradients_words, gradients_worker
from revmd_app.labs.gradients_model import GradientsModel
from revmd_app.labs.gradients_plots_base import Series, StatPlot
from revmd_app.labs.gradients_studies_model import SPECS
from revmd_app.labs.gradients_text import BUTTONS, SEES
from revmd_app.labs.gradients_views import VIEWS

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # Panel announces names of its version 2


class Recorder:
    """A link that keeps the latest progress."""

    latest: dict

    def post(self, kind, payload=None):
        if kind == "progress":
            self.latest = payload

    def cancelled(self):
        return False


def ended(key, **settings):
    """A model in which a small study has been run, and the view of it."""
    model = GradientsModel(effort="quick", **settings)
    view = VIEWS[key](model, lambda key: None, lambda: None)
    link = Recorder()
    getattr(gradients_worker, SPECS[key].task)(link, model.begin(key))
    study = model.studies[key]
    study.take(link.latest)
    study.end("done")
    return model, study, view


def drawn(view, plot, series):
    return view.plots[plot].sources[series].data


def test_the_cost_of_the_reversible_gradient_is_flat_and_drawn_so():
    model, study, view = ended("cost", loss="Potential energy")
    ours, reverse = (np.asarray(drawn(view, "memory", name)["y"]) for name in ("reversible", "reverse_mode"))
    assert ours.max() < 1.2 * ours.min()
    assert reverse[-1] > 3 * reverse[0]
    assert gradients_words.cost(model).startswith("Reversible: ")
    assert study.fraction == 1


@pytest.mark.slow
def test_the_grid_is_drawn_and_a_point_sets_the_sliders_without_making_the_study_stale():
    model, study, view = ended("grid", loss="Potential energy")
    data = drawn(view, "grid", "sets")
    assert len(data["x"]) == 4
    assert "over 4 sets" in gradients_words.grid(model)
    view.grid.pick(0)
    assert model.values["0.sigma"] == study.result["points"][int(data["number"][0])]["values"]["0.sigma"]
    assert not study.stale
    model.liquid = "Toy fluid, 108 atoms"
    assert study.result == {}


@pytest.mark.slow
def test_growth_is_drawn_with_its_slope_and_the_marker_follows_the_slider():
    model, study, view = ended("growth", loss="Potential energy")
    assert "per ps" in gradients_words.growth(model)
    assert len(drawn(view, "growth", "fit")["x"]) == 2
    view.moved(study.result["time"][3])
    assert view.growth.markers[0].location == pytest.approx(study.result["time"][3])
    assert f"Cut {study.result['steps'][3]} steps back" in view.cut_words.object


@pytest.mark.parametrize("key", ["grid", "away", "snapshots"])
def test_studies_of_averages_refuse_dynamics_in_one_sentence(key):
    model = GradientsModel(loss="Velocity autocorrelation")
    assert model.begin(key) is None
    message = model.studies[key].message
    assert message.endswith("the energy or the pressure.")
    assert message.count(". ") == 0


@pytest.mark.parametrize("key", list(SPECS))
def test_every_study_has_a_button_a_sentence_and_an_empty_view(key):
    model = GradientsModel(study=key)
    view = VIEWS[key](model, lambda key: None, lambda: None)
    assert BUTTONS[key] in view.status.object
    assert SEES[key] in view.sees.object
    assert gradients_words.WORDS[key](model) == ""


def test_a_refusal_in_mid_run_is_shown_and_the_next_run_begins_afresh():
    model = GradientsModel()
    study = model.studies["cost"]
    model.begin("cost")
    study.end("failed", "The simulation exploded.")
    assert study.message == "The simulation exploded."
    assert model.begin("cost") is not None
    assert (study.state, study.fraction) == ("running", 0.0)


def test_error_bars_on_a_logarithmic_axis_end_at_the_edge_and_not_below_zero():
    plot = StatPlot("x", "y", {"a": Series("a")}, log="y")
    plot.set("a", [1, 2, 3], [1.0, 10.0, -1.0], [2.0, 1.0, 1.0])
    plot.fit()
    data = plot.sources["a"].data
    assert list(data["y"]) == [1.0, 10.0]
    assert data["low"][0] > 0
    assert 0.1 < plot.y_range.start < 1 < 11 < plot.y_range.end


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (-1.2359, 0.0432, "−1.236 ± 0.043 nm"),
        (12.0, 3.4, "12.0 ± 3.4 nm"),
        (5.0, None, "5.00 nm"),
        (None, None, "unknown"),
        (1e9, 2e7, "1.00e9 ± 2.0e7 nm"),
    ],
)
def test_numbers_are_written_with_their_errors(x, error, words):
    assert gradients_words.within(x, error, "nm").replace("e+0", "e").replace("e+", "e") == words
