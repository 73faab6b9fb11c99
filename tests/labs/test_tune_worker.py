"""The simulation behind Lab 1, run in this process with a link that records what is posted."""

import numpy as np
import pytest

from revmd_app.labs.knobs import TYPED
from revmd_app.labs.tune_model import TuneModel
from revmd_app.labs.tune_worker import Simulation


class Recorder:
    """A link that keeps what is posted."""

    def __init__(self):
        self.messages = []

    def post(self, kind, payload=None):
        self.messages.append((kind, payload))

    def last(self, kind):
        return [payload for k, payload in self.messages if k == kind][-1]


@pytest.fixture
def model():
    return TuneModel()


@pytest.fixture
def link():
    return Recorder()


def begin(model, link):
    simulation = Simulation(link)
    simulation.follow(model.request())
    simulation.show()
    return simulation


def test_frames_show_the_liquid(model, link):
    simulation = begin(model, link)
    for _ in range(20):
        simulation.picture()
    frame = link.last("frame")
    box = np.asarray(model.case.system.box)
    assert frame["positions"].shape == (3, 108)
    assert frame["positions"].dtype == np.float32
    assert (frame["positions"] >= 0).all()
    assert (frame["positions"] <= box[:, None] * (1 + 1e-6)).all()
    assert frame["time"] == pytest.approx(20 * model.steps_per_picture * model.time_step / 1000)
    assert frame["kinetic"].mean() == pytest.approx(1.5)
    assert model.take(frame)
    series = model.series()
    assert len(series.time) == 21
    np.testing.assert_allclose(series.values["temperature"], 94.4, atol=40)
    assert (series.values["total"] > series.values["potential"]).all()


def test_the_rdf_of_a_frame_is_a_histogram_of_distances(model, link):
    begin(model, link)
    frame = link.last("frame")
    box = np.asarray(model.case.system.box)
    d = frame["positions"][:, :, None] - frame["positions"][:, None, :]
    d -= box[:, None, None] * np.round(d / box[:, None, None])
    distance = np.sqrt((d**2).sum(0))[np.triu_indices(108, 1)]
    edges = np.linspace(0, box.min() / 2, len(frame["r"]) + 1)
    counts, _ = np.histogram(distance, edges)
    ideal = 108 * 107 / 2 * 4 / 3 * np.pi * np.diff(edges**3) / box.prod()
    np.testing.assert_allclose(frame["rdf"]["Ar–Ar"], counts / ideal, atol=0.05)


def test_a_turned_knob_reaches_the_simulation_without_a_new_program(model, link):
    simulation = begin(model, link)
    simulation.picture()
    programs, n = len(simulation.known), link.last("frame")["n"]
    potential = link.last("frame")["series"][-1][3]
    model.turn("0.epsilon", 2.0)
    simulation.follow(model.request())
    simulation.picture()
    frame = link.last("frame")
    assert len(simulation.known) == programs
    assert frame["epoch"] == model.epoch
    assert frame["n"] == 1 < n + 1
    assert frame["series"][-1][3] < 1.7 * potential < 0


def test_an_explosion_keeps_the_last_good_frame_until_reset(model, link):
    model.form = TYPED
    model.formula = "-A*(sigma/r)**12"
    simulation = Simulation(link)
    simulation.follow({**model.request(), "running": True})  # the page would hold this formula
    simulation.show()
    for _ in range(200):
        if not simulation.moving:
            break
        simulation.picture()
    assert link.last("exploded").endswith(".")
    assert np.isfinite(link.last("frame")["positions"]).all()
    assert not simulation.moving
    model.form = "Lennard-Jones"
    model.restore()
    simulation.follow(model.request())
    assert simulation.moving
    simulation.picture()
    assert link.last("frame")["resets"] == model.resets


def test_single_steps_while_paused(model, link):
    model.running = False
    simulation = begin(model, link)
    assert not simulation.moving
    model.step_once()
    simulation.follow(model.request())
    assert simulation.moving
    simulation.picture()
    assert not simulation.moving
    assert link.last("frame")["time"] > 0


def test_water_shows_three_rdfs_and_whole_numbers_of_pairs(model, link):
    model.liquid = "Water, 64 molecules"
    begin(model, link)
    frame = link.last("frame")
    assert list(frame["rdf"]) == ["O–O", "O–H", "H–H"]
    assert model.take(frame)
    assert model.reference("O–O").label.startswith("Soper")
    oo = frame["rdf"]["O–O"]
    assert oo[frame["r"] < 0.22].max() == 0
    assert oo.max() > 1.5
