"""Forward and back: the same integers, whatever the system, the precision, the friction and the schedule."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.liquids import KEY, case, differences, run_back, run_there
from hypothesis import given
from hypothesis import strategies as st

from revmd_app.engine.integrator import Settings
from revmd_app.engine.restart import Recorder
from revmd_app.engine.simulate import SimulationError, Tape, advance, rewind
from revmd_app.systems import prepared

ROOT = Path(__file__).resolve().parents[2]
STRONG = 50.0
"""1/ps: argon's friction burns 16 bits every 55 steps, water's every 440."""


def settings_of(it, precision, friction, **options):
    return Settings(it.settings.dt, it.settings.temperature, friction, precision=precision, **options)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("name", "n", "n_steps"), [("argon", 216, 700), ("argon", 1000, 150), ("water", 64, 600)])
def test_the_same_integers_come_back(name, n, n_steps, precision):
    """216 argon atoms over all pairs, 1,000 with a neighbour list, flexible water; without friction and with much."""
    it = case(name, n)
    for friction in (0.0, STRONG):
        settings = settings_of(it, precision, friction)
        end, tape = run_there(it.system, it.potential, settings, it.state, n_steps)
        assert differences(end, it.state)["position"] == 3 * it.system.n_atoms
        back, left = run_back(it.system, it.potential, settings, end, tape, n_steps)
        assert not differences(back, it.state)
        assert int(left.count) == 0
        assert_tape_holds_what_friction_burnt(tape, friction * float(settings.dt) * n_steps)


def assert_tape_holds_what_friction_burnt(tape, friction_time):
    """gamma t / ln 2 bits a component, to within the 16 bits of the word that is not yet full."""
    assert int(tape.count) == math.floor(friction_time / math.log(2) / 16)
    assert not np.any(np.asarray(tape.words[int(tape.count) :]))


def test_a_list_of_water_returns():
    """Every pair of species has its list, and molecules are left out of it."""
    it = case("water", 64)
    settings = settings_of(it, "float32", STRONG, neighbours="list", skin=0.05, capacity=2.0)
    end, tape = run_there(it.system, it.potential, settings, it.state, 300)
    assert not differences(run_back(it.system, it.potential, settings, end, tape, 300)[0], it.state)


def test_bits_do_not_depend_on_the_list_or_the_schedule():
    """One run of 200 steps forward; back in ten, on lists with another skin and another capacity."""
    it = case("argon", 1000)
    settings = settings_of(it, "float32", STRONG)
    other = settings_of(it, "float32", STRONG, skin=0.05, capacity=1.7)
    end, tape = run_there(it.system, it.potential, settings, it.state, 200)
    assert not differences(end, run_there(it.system, it.potential, other, it.state, 200)[0])
    state = end
    for n_steps in (1, 7, 32, 30, 50, 20, 12, 18, 25, 5):
        state, tape = run_back(it.system, it.potential, other, state, tape, n_steps)
    assert not differences(state, it.state)


@given(st.lists(st.integers(0, 90), min_size=1, max_size=5), st.lists(st.integers(1, 90), max_size=5))
def test_any_schedule_returns(forward, backward):
    """Forward in some pieces, back in others, with a shift due every 55 steps."""
    it = case("argon", 216)
    run = Recorder(it.system, it.potential, settings_of(it, "float32", STRONG), it.state, KEY)
    for n_steps in forward:
        run.forward(n_steps)
    for n_steps in backward:
        run.backward(min(n_steps, run.step))
    run.backward(run.step)
    assert not differences(run.state, it.state)
    assert not run.words


@pytest.mark.parametrize("field", ["position", "velocity"])
def test_one_flipped_bit_does_not_return(field):
    it = case("argon", 216)
    settings = settings_of(it, "float32", STRONG)
    end, tape = run_there(it.system, it.potential, settings, it.state, 1000)
    flipped = eqx.tree_at(lambda s: getattr(s, field), end, getattr(end, field).at[0, 0].add(1 << 40))
    back, _ = run_back(it.system, it.potential, settings, flipped, tape, 1000)
    assert differences(back, it.state)["position"] == 3 * 216


def test_another_key_does_not_return():
    it = case("argon", 216)
    settings = settings_of(it, "float32", STRONG)
    end, tape = run_there(it.system, it.potential, settings, it.state, 100)
    back, _ = run_back(it.system, it.potential, settings, end, tape, 100, key=jax.random.key(8))
    assert differences(back, it.state)["position"] == 3 * 216


def test_changes_of_controls_are_undone_in_their_order():
    """Temperature, friction, time step and a parameter change on the way, one of them to no friction and back."""
    it = case("argon", 216)
    run = Recorder(it.system, it.potential, settings_of(it, "float32", STRONG), it.state, KEY)
    run.forward(130)
    softer = eqx.tree_at(lambda p: p.epsilon, it.potential, jnp.asarray(0.7))
    run.set(settings=Settings(0.002, 150.0, 20.0))
    run.set(potential=softer)
    run.forward(100)
    middle = run.state
    run.set(settings=Settings(0.002, 150.0, 0.0))
    run.forward(90)
    run.set(settings=Settings(0.003, 90.0, 70.0), potential=it.potential)
    run.forward(110)
    run.backward(200)
    assert not {name: n for name, n in differences(run.state, middle).items() if "reference" not in name}
    assert float(run.settings.friction) == 0.0
    run.backward(1)
    assert float(run.settings.friction) == 20.0
    assert float(run.potential.epsilon) == pytest.approx(0.7)
    run.backward(run.step)
    assert not differences(run.state, it.state)
    assert float(run.settings.friction) == STRONG
    with pytest.raises(ValueError, match="0 steps can be taken back"):
        run.backward(1)


CHILD = """
import sys
import jax
from revmd_app.engine.restart import Recorder
from revmd_app.systems import argon, water
for path, case in zip(sys.argv[1:], (argon(216), water(64)), strict=True):
    run = Recorder.load(path, case.system, case.potential)
    run.backward(run.step)
    run.save(path)
"""


def test_another_process_takes_runs_back(tmp_path):
    """Argon and water go forward here, back in a process of their own, and forward here again."""
    cases, paths, runs = (case("argon", 216), case("water", 64)), (tmp_path / "argon.npz", tmp_path / "water.npz"), []
    for it, path in zip(cases, paths, strict=True):
        run = Recorder(it.system, it.potential, settings_of(it, "float32", STRONG), it.state, KEY)
        run.forward(500)
        run.save(path)
        runs.append(run)
    command = [sys.executable, "-c", CHILD, *map(str, paths)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert child.returncode == 0, child.stderr
    for it, path, run in zip(cases, paths, runs, strict=True):
        back = Recorder.load(path, it.system, it.potential)
        assert not differences(back.state, it.state)
        assert not back.words
        back.forward(500)
        assert not differences(back.state, run.state)
        assert np.array_equal(back.words, run.words)


def test_a_tape_that_ran_out_and_a_negative_length_are_said():
    """Rewinding further than the tape reaches cannot work, and says so."""
    case = prepared("argon", 108)
    settings = dataclasses.replace(case.settings, friction=jnp.asarray(50.0))
    world = (case.system, case.potential, settings)
    key = jax.random.key(0)
    state, tape, report = advance(*world, case.state, key, 400)
    report.check()
    assert int(tape.count) > 0
    with pytest.raises(SimulationError, match="the tape ran out"):
        rewind(*world, state, Tape.empty(4, 108), key, 400)[2].check()
    with pytest.raises(ValueError, match="whole number of at least 0"):
        advance(*world, case.state, key, -1)
