"""What Lab 4 draws of records: error bars where there are replicas, the target, and a replay that keeps its pace."""

import math

import numpy as np
import pytest

from revmd_app.labs import learn_replay_view
from revmd_app.labs.learn_plots import Measures
from revmd_app.labs.learn_plots_base import CROWDED, Curves, Look
from revmd_app.labs.learn_replay_view import ReplayView

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # Panel announces names of its version 2


def record(epoch, heat, error):
    return {
        "epoch": epoch,
        "terms": {"enthalpy": (heat, 46.92, 1.0)},
        "errors": {"enthalpy": error},
        "density": 1.0 + 0.01 * epoch,
        "parameters": {},
    }


def test_errors_over_replicas_are_drawn_and_one_replica_has_none():
    measures = Measures()
    tracks = [
        ("Reversible", [record(1, 44.0, 0.5), record(2, 45.0, 0.25)]),
        ("Reweighting", [record(1, 44.0, math.nan)]),
    ]
    measures.draw(tracks, "ΔH_vap (kJ/mol)")
    sources = measures.plot.sources
    assert list(sources["first"].data["low"]) == [43.5, 44.75]
    assert list(sources["first"].data["high"]) == [44.5, 45.25]
    assert list(sources["second"].data["low"]) == list(sources["second"].data["high"]) == [44.0]
    assert list(sources["target"].data["y"]) == [46.92, 46.92]
    assert measures.plot.y_range.start < 43.5  # no bar is cut off
    measures.draw(tracks, "Density (g/cm³)")
    np.testing.assert_allclose(sources["first"].data["low"], sources["first"].data["y"])  # density has no error here


def test_a_crowded_curve_shows_its_dashes_and_one_that_stays_costs_nothing():
    plot = Curves("epoch", "loss", {"a": Look("a", dash="dashed", marker=3)})
    dots, _ = plot._dots["a"]
    few, many = np.arange(CROWDED), np.arange(CROWDED + 1)
    plot.set("a", few, few)
    assert dots.size == 3
    before = plot.sources["a"].data
    plot.set("a", few, few)
    assert plot.sources["a"].data is before
    plot.set("a", many, many)
    assert dots.size == 0


def test_the_shipped_runs_are_replayed_with_their_errors_and_a_slow_browser_leaves_pictures_out(monkeypatch):
    view = ReplayView()
    bars = view.plots.measures.plot.sources["first"].data
    assert len(bars["y"]) == view.epoch.end
    assert np.all(bars["high"] > bars["y"])
    now = [0.0]
    monkeypatch.setattr(learn_replay_view.time, "monotonic", lambda: now[0])
    view.epoch.value, view._drawn = view.epoch.start, 0.0
    steps = []
    for seconds in (0.12, 0.13, 0.5, 9.0):
        now[0] += seconds
        before = view.epoch.value
        view._next()
        steps.append(view.epoch.value - before)
    assert steps == [1, 1, 4, 4]
    view.close()
