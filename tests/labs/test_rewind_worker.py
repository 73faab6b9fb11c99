"""The time machine behind Lab 2, run in this process with a link that keeps what is posted."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest

from revmd_app import units
from revmd_app.labs.rewind_clocks import Clocks, bit_size, key_of
from revmd_app.labs.rewind_model import RewindModel
from revmd_app.labs.rewind_systems import case_of
from revmd_app.labs.rewind_worker import Bench, Series
from revmd_app.systems import prepared

SMALL = "Argon crystal, 108 atoms"


class Link:
    """A link that keeps what is posted."""

    def __init__(self):
        self.messages = []

    def post(self, kind, payload=None):
        self.messages.append((kind, payload))

    def last(self, kind):
        return [payload for k, payload in self.messages if k == kind][-1]

    def kinds(self):
        return {kind for kind, _ in self.messages}


class Session:
    """A model and a bench that follows its wishes to the end."""

    def __init__(self, **settings):
        self.model = RewindModel()
        self.model.configure({"system": SMALL, "length": 2000, **settings})
        self.link = Link()
        self.bench = Bench(self.link)
        self.obey()

    def obey(self):
        self.bench.follow(self.model.request())
        while self.bench.moving:
            self.bench.go_on()
        self.model.take(self.link.last("frame"))
        self.model.saved = self.link.last("file")
        return self.model.frame


@pytest.fixture(scope="module")
def session():
    return Session()


def test_melt_and_unmelt_ends_on_the_integers_of_the_start(session):
    """There the crystal melts; back it is the same integers, while single precision is lost and heated to bits."""
    model = session.model
    model.there_and_back()
    frame = session.obey()
    assert frame["step"] == 0
    assert frame["identical"] == (972, 972)
    assert model.verdict() == ("done", "Back at the start, bit for bit: all 972 integers are the same.")
    _, out, back = model.curve("off", "exact")
    assert back[0] == 0.0
    np.testing.assert_array_equal(out[:-1], back[:-1])
    assert out[-1] > 0.3
    assert frame["lost"].keys() == {"float32"}
    assert np.sqrt(np.mean(frame["off"]["float32"] ** 2)) > 0.05
    assert 0 < np.sqrt(np.mean(frame["off"]["float64"] ** 2)) < 0.05
    _, melted, frozen = model.curve("order", "exact")
    assert melted[0] == frozen[0] == pytest.approx(1.0)
    assert np.nanmin(melted) < 0.1
    _, _, astray = model.curve("astray", "exact")
    assert np.nanmax(astray) == 0.0
    assert np.nanmax(model.curve("astray", "float64")[2]) > 0


def test_the_tape_holds_what_friction_burnt_to_a_word(session):
    """gamma t / ln 2 bits a degree of freedom, less the word that is not yet full."""
    model = session.model
    model.restart()
    model.friction = 5.0
    model.seek(2000)
    frame = session.obey()
    law = 5.0 * 2000 * 0.004 / math.log(2)
    on_tape, burnt = frame["tape"]
    assert burnt == pytest.approx(law, rel=1e-9)
    assert 0 <= law - on_tape < 16
    model.restart()
    model.friction = 0.0
    model.seek(500)
    assert session.obey()["tape"] == (0.0, 0.0)
    model.friction = 1.0


def test_going_back_passes_the_changes_and_forward_makes_them_again(session):
    """A slider moved on the way is on the time axis; the same future comes back after any drag of the slider."""
    model = session.model
    model.restart()
    model.seek(600)
    session.obey()
    model.param.update(temperature=120.0, sigma=0.335)
    model.seek(1000)
    end = session.obey()
    assert [step for step, _ in model.markers()] == [600]
    assert "T 120 K" in model.markers()[0][1]
    for step, temperature in ((800, 120.0), (300, 300.0), (0, 300.0), (900, 120.0)):
        model.seek(step)
        frame = session.obey()
        assert frame["step"] == step
        assert model.temperature == pytest.approx(temperature)
    model.seek(1000)
    frame = session.obey()
    assert frame["same future"]
    np.testing.assert_array_equal(frame["positions"]["exact"], end["positions"]["exact"])
    assert "computed forwards: 100 steps" in frame["words"]


def test_a_flipped_bit_prevents_the_crystal_and_grows_exponentially(session):
    model = session.model
    model.restart()
    model.friction, model.temperature = 0.0, 600.0
    model.param.update(flip_atom=7, flip_component="y", flip_bit=40)
    model.flip_and_back()
    frame = session.obey()
    assert frame["identical"] == (972, 972)
    same, of = frame["identical flipped"]
    assert same < of / 2
    assert np.sqrt(np.mean(frame["off"]["flipped"] ** 2)) > 0.1
    first = frame["spread"][0]
    edge = float(frame["box"][1])
    assert first[2] * np.sqrt(108) == pytest.approx(bit_size(edge, 40), rel=1e-6)
    assert frame["spread"][-1][3] > 50
    early = frame["spread"][frame["spread"][:, 2] < 0.2]
    assert np.diff(early[:, 0]).min() >= -20  # steps: fine enough for a slope
    assert np.isfinite(model.curve("off", "flipped")[2]).mean() > 0.9
    growth = model.growth()
    assert growth is not None
    assert 1.0 < growth.rate < 15.0
    model.friction, model.temperature = 1.0, 300.0


def test_friction_undone_heats_a_run_with_a_flipped_bit(session):
    """It lost step with the noise: what is divided by a at every step then grows, and is called lost."""
    model = session.model
    model.restart()
    model.param.update(friction=3.0, flip_bit=44)
    model.flip_and_back()
    frame = session.obey()
    assert frame["identical"] == (972, 972)
    assert 0 < frame["lost"]["flipped"] < 2000
    assert "blew up at step" in model.verdict()[1]
    model.friction = 1.0


def test_a_low_bit_stays_what_it_is_until_it_carries_over():
    """Forces see the upper 32 bits: ten steps later bit 0 is still all the difference."""
    clocks = Clocks(case_of(SMALL), {**RewindModel(system=SMALL).controls()}, key_of(0))
    clocks.forward(10)
    clocks.flip(3, 2, 0)
    clocks.backward(10)
    assert clocks.identical() == (972, 972)
    assert clocks.identical("flipped") == (971, 972)


def test_the_exponent_agrees_with_benettins(benettin):
    """Liquid argon without friction: the flipped bit against two textbook trajectories, renormalised every 50 steps."""
    model = RewindModel()
    model.configure({"system": "Liquid argon, 216 atoms", "length": 5000, "friction": 0.0})
    case = case_of(model.system)
    clocks = Clocks(case, model.controls(), key_of(0))
    clocks.forward(2500)
    clocks.flip(0, 0, 36)
    rows = []
    for k in range(1, 120):
        clocks.backward(20)
        rows.append((k * 20 * 0.004, float(np.sqrt(np.mean(clocks.apart() ** 2)))))
    time, apart = np.array(rows).T
    grown = (apart > 10 * apart[0]) & (apart < 0.02)
    rate = np.polyfit(time[grown], np.log(apart[grown]), 1)[0]
    assert rate == pytest.approx(benettin, rel=0.35)


@pytest.fixture(scope="module")
def benettin():
    """The largest Lyapunov exponent (1/ps) of liquid argon, by velocity Verlet in NumPy (Benettin et al., 1976)."""
    case = prepared("argon", 216)
    box, mass, dt = float(case.system.box[0]), float(case.system.masses[0]), 0.004
    snapshot = case.snapshot()
    x, v = np.asarray(snapshot.centred_positions, float), np.asarray(snapshot.velocity, float)
    rng, size, before, rates = np.random.default_rng(1), 1e-7, 1e-7, []
    y, w = x + size * _unit(rng.normal(size=x.shape)), v.copy()
    for block in range(24):
        for _ in range(50):
            (x, v), (y, w) = _verlet(x, v, box, mass, dt), _verlet(y, w, box, mass, dt)
        grown = np.sqrt(np.sum((y - x) ** 2) + np.sum((w - v) ** 2))
        if block >= 6:
            rates.append(np.log(grown / before) / (50 * dt))
        y, w = x + (y - x) * size / grown, v + (w - v) * size / grown
        before = np.sqrt(np.sum((y - x) ** 2) + np.sum((w - v) ** 2))
    return float(np.mean(rates))


def _unit(a):
    return a / np.linalg.norm(a)


def _verlet(x, v, box, mass, dt):
    """Kick and drift (leapfrog)."""
    v = v + dt / mass * _forces(x, box)
    return x + dt * v, v


def _forces(x, box, sigma=0.34, epsilon=120 * units.BOLTZMANN, cutoff=0.85):
    """Force-shifted Lennard-Jones."""
    d = x[:, :, None] - x[:, None, :]
    d -= box * np.rint(d / box)
    r2 = np.einsum("kij,kij->ij", d, d)
    np.fill_diagonal(r2, np.inf)
    radial = lambda r2, s6: 24 * epsilon * (2 * s6 * s6 - s6) / r2
    slope = radial(cutoff**2, (sigma / cutoff) ** 6) * cutoff
    phi = np.where(r2 < cutoff**2, radial(r2, (sigma**2 / r2) ** 3) - slope / np.sqrt(r2), 0.0)
    return np.einsum("kij,ij->ki", d, phi)


def test_a_saved_run_opens_and_meets_its_own_integers(session):
    model = session.model
    model.restart()
    model.param.update(friction=4.0)
    model.seek(700)
    session.obey()
    model.temperature = 150.0
    model.seek(1200)
    end = session.obey()
    saved = model.saved
    assert saved["step"] == 1200
    model.restart()
    session.obey()
    model.open("run.npz", saved["bytes"])
    session.bench.follow(model.request())
    model.opened(session.link.last("opened"))
    frame = session.obey()
    assert frame["same future"]
    assert [step for step, _ in model.markers()] == [700]
    np.testing.assert_array_equal(frame["positions"]["exact"], end["positions"]["exact"])
    model.seek(0)
    frame = session.obey()
    assert frame["identical"] == (972, 972)


@pytest.mark.parametrize("content", [b"hello", b"PK" + bytes(300), "zip"])
def test_a_foreign_file_is_one_sentence_and_nothing_is_lost(session, content):
    model = session.model
    before = session.obey()
    if content == "zip":
        buffer = io.BytesIO()
        np.savez(buffer, x=np.zeros(3))
        content = buffer.getvalue()
    model.open("photo.npz", content)
    after = session.obey()
    words = session.link.last("refused")
    assert "photo.npz" in words
    assert words.endswith("The run on the bench stays as it was.")
    assert after["step"] == before["step"]
    np.testing.assert_array_equal(after["positions"]["exact"], before["positions"]["exact"])


def test_an_explosion_is_one_sentence_and_the_last_good_state_goes_back():
    session = Session(length=500)
    model = session.model
    model.seek(300)
    session.obey()
    model.time_step = 20.0
    model.sigma = 0.5
    model.seek(500)
    frame = session.obey()
    assert "exploded" in session.link.last("exploded")
    assert 300 <= frame["step"] < 500
    assert np.isfinite(frame["positions"]["exact"]).all()
    model.seek(0)
    assert session.obey()["identical"] == (972, 972)


def test_strides_end_on_the_grid():
    series = Series(1000, 25)
    assert [series.next_after(step, True) for step in (0, 10, 25)] == [25, 25, 50]
    assert [series.next_after(step, False) for step in (50, 40, 26, 25)] == [25, 25, 25, 0]


def test_frames_are_small_and_strides_short(session):
    """A page can follow, and can interrupt at any time."""
    model = session.model
    model.restart()
    model.seek(2000)
    session.bench.follow(model.request())
    session.bench.go_on()
    assert 0 < session.bench.clocks.step <= 250
    model.halt()
    session.bench.follow(model.request())
    assert not session.bench.moving
    frame = session.link.last("frame")
    arrays = [*frame["positions"].values(), *frame["off"].values(), *frame["series"].values()]
    assert sum(a.nbytes for a in arrays) < 60_000
