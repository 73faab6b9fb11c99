"""What Lab 2 knows, without a child and without a browser."""

import numpy as np
import pytest

from revmd_app.labs.rewind_model import RewindModel
from revmd_app.labs.rewind_systems import SYSTEMS, case_of


@pytest.mark.parametrize("key", list(SYSTEMS))
def test_every_system_has_controls_within_its_bounds(key):
    model = RewindModel()
    model.system = key
    for name in ("temperature", "friction", "time_step", "sigma", "epsilon"):
        low, high = model.bounds(name)
        assert low <= getattr(model, name) <= high
    case = case_of(key)
    assert model.controls()["dt"] == pytest.approx(float(case.settings.dt))
    assert model.controls()["sigma"] == pytest.approx(float(case.potential.terms()[0].sigma))


def test_a_configuration_is_what_differs_and_comes_back():
    model = RewindModel()
    assert model.configuration() == {}
    model.configure({"system": "liquid-argon-216-atoms", "length": "5000", "temperature": "120", "flip_bit": 40})
    assert model.controls()["temperature"] == 120.0
    again = RewindModel()
    again.configure(model.address())
    assert again.request()["controls"] == model.request()["controls"]
    assert (again.length, again.flip_bit) == (5000, 40)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"flip_bit": "64"}, "from 0 to 63"),
        ({"temperature": "hot"}, "must be a number"),
        ({"system": "helium"}, "System cannot be 'helium'"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_changes_nothing(given, words):
    model = RewindModel()
    before = model.request()
    with pytest.raises(ValueError, match=words):
        model.configure(given)
    assert model.request() == before


def test_wishes_are_routes():
    model = RewindModel()
    model.there_and_back()
    assert model.request()["route"] == [{"to": 20_000}, {"to": 0}]
    model.seek(10**9)
    assert model.request()["route"] == [{"to": 20_000}]
    model.flip_and_back()
    assert model.request()["route"] == [{"to": 20_000}, {"flip": (0, 0, 32)}, {"to": 0}]
    model.halt()
    assert model.request()["route"] == []
    assert model.request()["pace"] == 0
    model.play()
    assert model.request()["pace"] == 20


def test_a_file_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="51 MB; a restart file has at most 50 MB"):
        RewindModel().open("big.npz", bytes(51_000_000))


def test_the_exponent_is_the_slope_of_the_logarithm():
    model = RewindModel()
    time = np.linspace(0, 6, 60)
    rows = np.stack([1000 - 100 * time, time, 1e-9 * np.exp(4.0 * time), 0 * time], axis=1)
    model.frame = {"spread": rows}
    assert model.growth().rate == pytest.approx(4.0)
