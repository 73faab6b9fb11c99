"""The model of Lab 1, without a browser: knobs, forms, typed formulas, ghosts, averages."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from revmd_app.labs.knobs import FORMS, TYPED
from revmd_app.labs.tune_model import YOUNG, TuneModel


@pytest.fixture
def model():
    return TuneModel()


def frame(model, n=1, time=0.0, rows=()):
    """What the simulation would send."""
    return {
        "resets": model.resets,
        "epoch": model.epoch,
        "n": n,
        "time": time,
        "r": np.linspace(0, 1, 5),
        "rdf": {"Ar–Ar": np.full(5, float(n))},
        "series": list(rows),
    }


def test_the_curve_is_the_force_shifted_lennard_jones_energy(model):
    curves = model.curves()
    sigma, epsilon, rc = model.values["0.sigma"], model.values["0.epsilon"], model.cutoff
    u = lambda r: 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)
    slope = lambda r: 4 * epsilon * (-12 * sigma**12 / r**13 + 6 * sigma**6 / r**7)
    r = curves["r"]
    inside = r < rc
    np.testing.assert_allclose(curves["u"], np.where(inside, u(r) - u(rc) - (r - rc) * slope(rc), 0), atol=1e-10)
    np.testing.assert_allclose(curves["force"], np.where(inside, slope(rc) - slope(r), 0), atol=1e-8)
    np.testing.assert_allclose(curves["bare"], u(r), atol=1e-10)


def test_turning_a_knob_leaves_a_ghost_and_makes_averages_stale(model):
    before, epoch = model.curves()["u"], model.epoch
    model.take(frame(model, n=YOUNG))
    assert not model.young
    model.turn("0.sigma", 0.36)
    curves = model.curves()
    np.testing.assert_allclose(curves["u_before"], before)
    assert curves["u"][0] > before[0]
    assert model.epoch == epoch + 1
    assert model.young
    assert model.old_rdf["Ar–Ar"][0] == YOUNG
    assert model.request()["values"]["0.sigma"] == 0.36


def test_a_gesture_has_one_ghost(model):
    before = model.curves()["u"]
    for sigma in (0.345, 0.35, 0.355):
        model.turn("0.sigma", sigma)
    np.testing.assert_allclose(model.curves()["u_before"], before)


@pytest.mark.parametrize("liquid", ["Argon, 108 atoms", "Water, 64 molecules", "Toy fluid, 256 atoms"])
def test_every_form_has_a_well_of_the_right_size_in_every_liquid(model, liquid):
    model.liquid = liquid
    wells = {}
    for form in FORMS:
        model.form = form
        assert model.message == ""
        curves = model.curves()
        assert np.isfinite(curves["u"]).all()
        wells[form] = -curves["bare"].min()
        assert all(low <= model.values[k.key] <= high for k in model.knobs for low, high in [k.parameter.bounds])
        pickle.dumps(model.request())
    well = wells.pop("Lennard-Jones")
    assert wells.pop("Weeks–Chandler–Andersen") == pytest.approx(0)
    np.testing.assert_allclose(list(wells.values()), well, rtol=0.15)


def test_a_typed_formula_makes_its_own_knobs(model):
    model.form = TYPED
    model.formula = "A*exp(-B*r) - C/r**6"
    assert [knob.key for knob in model.knobs] == ["0.A", "0.B", "0.C"]
    model.turn("0.B", 2.0)
    r = model.curves()["r"]
    np.testing.assert_allclose(model.curves()["bare"], np.exp(-2 * r) - 1 / r**6, rtol=1e-9)


def test_a_formula_that_would_collapse_is_held_until_it_is_turned_sound(model):
    model.form = TYPED
    model.formula = "A*(sigma/r)**12 - B*(sigma/r)**6"
    assert model.message == ""
    model.turn("0.A", 0.1)
    model.formula = "-A*(sigma/r)**6"
    assert model.message.startswith("Held: ")
    assert "attracts at every distance" in model.message
    assert model.running
    assert not model.request()["running"]
    model.formula = "A*(sigma/r)**12"
    assert model.message == ""
    assert model.request()["running"]


@pytest.mark.parametrize(
    "hostile", ["__import__('os').system('true')", "r.__class__", "4*eps*(", "9**9**9*r", "", "open('x')"]
)
def test_a_bad_formula_gives_one_sentence_and_changes_nothing(model, hostile):
    model.form = TYPED
    potential, accepted = model.potential, model.request()["formula"]
    model.formula = hostile
    assert model.message.endswith(".")
    assert "\n" not in model.message
    assert model.message[0].isupper()
    assert model.potential is potential
    assert model.request()["formula"] == accepted
    model.liquid = "Argon, 216 atoms"  # and the lab goes on
    assert model.message == ""
    assert model.formula == accepted


def test_a_cutoff_beyond_half_the_box_is_explained(model):
    model.cutoff = 1.2
    assert "half the box" in model.message


def test_the_truncation_shows_on_the_curve(model):
    at_the_end = {}
    for name in ("force-shifted", "switched", "plain (jumps)"):
        model.truncation = name
        curves = model.curves()
        at_the_end[name] = curves["u"][np.searchsorted(curves["r"], model.cutoff) - 1]
    assert at_the_end["plain (jumps)"] < -1e-3
    assert abs(at_the_end["force-shifted"]) < 1e-6
    assert abs(at_the_end["switched"]) < 1e-6


def test_frames_of_another_start_are_ignored_and_series_do_not_repeat(model):
    rows = [(0.1 * i, 90.0, 1.0, -5.0, -4.0) for i in range(4)]
    assert model.take(frame(model, rows=rows[:3]))
    assert model.take(frame(model, rows=rows))
    np.testing.assert_allclose(model.series().time, [0, 0.1, 0.2, 0.3])
    old = frame(model, n=7)
    model.restore()
    assert not model.take(old)
    assert model.frame is None
    assert len(model.series().time) == 0


def test_reset_restores_what_was_changed(model):
    model.turn("0.epsilon", 2.0)
    model.temperature, model.running = 250.0, False
    model.state, model.message = "exploded", "It exploded."
    model.restore()
    assert model.values["0.epsilon"] == pytest.approx(0.9977, abs=1e-3)
    assert model.temperature == pytest.approx(94.4)
    assert model.running
    assert model.message == ""


def test_the_model_needs_no_panel():
    code = "import sys, revmd_app.labs.tune_model, revmd_app.labs.gradients_model; assert 'panel' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
