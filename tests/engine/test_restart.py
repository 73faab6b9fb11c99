"""Restart files: what was saved comes back to the bit, and what is no restart file is refused in one sentence."""

from __future__ import annotations

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.liquids import KEY, differences, small_liquid, start_of
from hypothesis import given
from hypothesis import strategies as st

from revmd_app.engine.integrator import Settings
from revmd_app.engine.restart import Recorder, load_restart, save_restart
from revmd_app.engine.simulate import SimulationError
from revmd_app.potentials import LennardJones, Morse

SYSTEM, POTENTIAL, *_ = LIQUID = small_liquid()
SETTINGS = Settings(0.004, 94.4, 60.0, neighbours="dense")
MORSE = Morse(cutoff=0.5)


def new_run(settings=SETTINGS):
    return Recorder(SYSTEM, POTENTIAL, settings, start_of(LIQUID), KEY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run with two changes of controls, one of them another form of potential, and its file."""
    run, path = new_run(), tmp_path_factory.mktemp("restart") / "run.npz"
    run.forward(100)
    run.set(settings=Settings(0.003, 120.0 + 1e-13, 30.0, neighbours="dense", skin=0.07))
    run.forward(50)
    run.set(potential=eqx.tree_at(lambda p: p.a, MORSE, jnp.asarray(16.1)))
    run.forward(50)
    run.save(path)
    return run, path


def test_everything_comes_back(saved):
    run, path = saved
    again = load_restart(path, SYSTEM, [POTENTIAL, MORSE])
    assert not differences(again.state, run.state)
    assert np.array_equal(again.words, run.words)
    assert np.array_equal(jax.random.key_data(again.key), jax.random.key_data(run.key))
    assert [c.since for c in again.controls] == [0, 100, 150]
    for got, wanted in zip(again.controls, run.controls, strict=True):
        assert eqx.tree_equal(got.potential, wanted.potential)
        assert eqx.tree_equal(got.settings, wanted.settings)
        assert got[3:] == wanted[3:]


def test_a_loaded_run_rewinds_and_resumes(saved):
    run, path = saved
    again = Recorder.load(path, SYSTEM, [POTENTIAL, MORSE])
    again.backward(200)
    assert not differences(again.state, start_of(LIQUID))
    assert not again.words
    ahead, also = (Recorder.load(path, SYSTEM, [POTENTIAL, MORSE]) for _ in range(2))
    ahead.forward(64)
    also.forward(30)
    also.forward(34)
    assert not differences(ahead.state, also.state)
    assert ahead.step == run.step + 64


def test_the_tape_holds_what_friction_burnt():
    run = new_run()
    run.forward(300)
    words = int(60.0 * 0.004 * 300 / np.log(2) / 16)
    assert run.tape_bytes == words * 2 * 3 * SYSTEM.n_atoms
    still = new_run(Settings(0.004, 94.4, 0.0, neighbours="dense"))
    still.forward(300)
    assert still.tape_bytes == 0


def test_the_floats_of_the_file_win_over_the_template(tmp_path):
    """A box that a barostat has changed, a parameter that somebody has tuned."""
    tuned = eqx.tree_at(lambda p: p.sigma, POTENTIAL, jnp.asarray(0.1 + 0.2))
    smaller = SYSTEM.with_box(SYSTEM.box * 0.999)
    save_restart(tmp_path / "run.npz", Recorder(smaller, tuned, SETTINGS, start_of(LIQUID), KEY))
    again = load_restart(tmp_path / "run.npz", SYSTEM, POTENTIAL)
    assert float(again.potential.sigma) == 0.1 + 0.2
    assert np.array_equal(again.system.box, smaller.box)


def test_a_failed_run_leaves_the_last_good_state():
    run = new_run()
    run.forward(20)
    before, words = run.state, len(run.words)
    run.set(settings=Settings(0.5, 94.4, 1.0, neighbours="dense"))
    with pytest.raises(SimulationError, match="exploded"):
        run.forward(20)
    assert np.array_equal(run.state.position, before.position)
    assert len(run.words) == words
    run.backward(20)
    assert not differences(run.state, start_of(LIQUID))


def test_steps_that_do_not_exist_cannot_be_taken():
    run = new_run()
    run.forward(10)
    with pytest.raises(ValueError, match="between 0 and 10 steps can be taken back, not 11"):
        run.backward(11)
    with pytest.raises(ValueError, match="between 0 and 10 steps can be taken back, not -1"):
        run.backward(-1)
    with pytest.raises(ValueError, match="must not be negative"):
        run.forward(-1)
    with pytest.raises(ValueError, match="exceeds half the box"):
        run.set(potential=LennardJones(cutoff=0.9))


def test_a_shortened_tape_is_noticed():
    run = new_run()
    run.forward(200)
    del run.words[0]
    with pytest.raises(SimulationError, match="the tape ran out"):
        run.backward(200)


# -------------------------------------------------------------------------------------------------------- wrong files


def rewritten(path, target, change):
    """A copy of a restart file after `change(dict of its arrays)`."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    change(arrays)
    np.savez(target, **arrays)
    return target


def with_header(**entries):
    def change(arrays):
        arrays["header"] = np.array(json.dumps(json.loads(str(arrays["header"])) | entries))

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda arrays: arrays.pop("header"), "is not a restart file: it has no header"),
        (lambda arrays: arrays.pop("velocity"), "is incomplete: it has no field 'velocity'"),
        (lambda arrays: arrays.pop("potential 1.sigma"), "is incomplete: it has no field 'potential 1.sigma'"),
        (with_header(version=2), "has version 2; this program reads 1"),
        (with_header(format="poem"), "is not a restart file"),
        (with_header(step=None), "is incomplete: its header has no 'step'"),
        (lambda arrays: arrays.update(header=np.array("{")), "is not JSON"),
        (lambda arrays: arrays.update(position=arrays["position"][:, 1:]), r"int64\[3, 31\], and should be int64\[3"),
        (lambda arrays: arrays.update(image=arrays["image"] * 1.0), "is float64"),
        (lambda arrays: arrays.update(tape=arrays["tape"][1:]), "field 'tape'"),
        (lambda arrays: arrays["system.molecule"].__setitem__(0, 5), "'system.molecule' .* differs"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(saved, tmp_path, change, sentence):
    wrong = rewritten(saved[1], tmp_path / "wrong.npz", change)
    with pytest.raises(ValueError, match=sentence):
        load_restart(wrong, SYSTEM, [POTENTIAL, MORSE])


def test_other_systems_and_potentials_are_refused(saved):
    path = saved[1]
    with pytest.raises(ValueError, match=r"needs Morse\(.*\), and was offered LennardJones\("):
        load_restart(path, SYSTEM, POTENTIAL)
    with pytest.raises(ValueError, match=r"needs LennardJones\(.*cutoff=0.55"):
        load_restart(path, SYSTEM, [LennardJones(cutoff=0.5), MORSE])
    with pytest.raises(ValueError, match="belongs to another system"):
        load_restart(path, small_liquid(108)[0], [POTENTIAL, MORSE])


@given(st.integers(0, 10_000))
def test_a_file_cut_short_is_refused(saved, tmp_path_factory, at):
    content = saved[1].read_bytes()
    cut = tmp_path_factory.mktemp("cut") / "cut.npz"
    cut.write_bytes(content[: at % len(content)])
    with pytest.raises(ValueError, match=r"damaged or cut short|is not a restart file"):
        load_restart(cut, SYSTEM, [POTENTIAL, MORSE])


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "note.npz"
    path.write_text("a note")
    with pytest.raises(ValueError, match=r"is not a restart file: it is no \.npz archive"):
        load_restart(path, SYSTEM, POTENTIAL)
    np.savez(path, header=np.array({"an": "object"}, dtype=object))
    with pytest.raises(ValueError, match="damaged"):
        load_restart(path, SYSTEM, POTENTIAL)
    with pytest.raises(FileNotFoundError):
        load_restart(tmp_path / "nowhere.npz", SYSTEM, POTENTIAL)


def test_a_save_that_fails_leaves_the_old_file(saved, tmp_path, monkeypatch):
    run, path = saved[0], tmp_path / "run.npz"
    run.save(path)
    old = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"PK, and then the disk is full")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="no space left"):
        run.save(path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
