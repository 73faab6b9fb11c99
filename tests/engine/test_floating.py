"""The floating-point step: that of a textbook, close to the exact engine for a while, and lost on the way back."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import textbook
from engine.liquids import KEY

from revmd_app import units
from revmd_app.engine import floating
from revmd_app.engine.integrator import Settings
from revmd_app.engine.loops import SimulationError
from revmd_app.engine.simulate import Tape, advance
from revmd_app.systems import water
from revmd_app.systems.crystal import argon_crystal


@pytest.fixture(scope="module")
def case():
    return argon_crystal(108, temperature=250.0, precision="float64")


def apart(case, position, origin):
    """Root mean square distance of atoms (nm), minimum image, between two (3, N) arrays in nm."""
    box = np.asarray(case.system.box)[:, None]
    d = np.asarray(position, np.float64) - np.asarray(origin, np.float64)
    d -= box * np.rint(d / box)
    return float(np.sqrt((d * d).sum(axis=0).mean()))


def in_nm(case, state):
    return np.asarray(state.position).astype(np.float64) * np.asarray(case.system.box)[:, None] / 2.0**64


def world(case, friction=1.0):
    return case.system, case.potential, dataclasses.replace(case.settings, friction=jnp.asarray(friction))


def numpy_forces(case):
    """Force-shifted Lennard-Jones as a textbook would sum it, in NumPy."""
    box, rc = np.asarray(case.system.box)[:, None, None], case.potential.cutoff
    sigma, epsilon = float(case.potential.sigma), float(case.potential.epsilon)
    radial = lambda r: 24 * epsilon * (2 * (sigma / r) ** 12 - (sigma / r) ** 6) / r

    def forces(x):
        d = x[:, :, None] - x[:, None, :]
        d = d - box * np.rint(d / box)
        r = np.sqrt((d * d).sum(axis=0))
        np.fill_diagonal(r, np.inf)
        f = np.where(r < rc, radial(np.where(r < rc, r, rc)) - radial(rc), 0.0)
        return (d / r * f).sum(axis=2)

    return forces


def test_float64_is_the_textbook_step(case):
    """Forty steps against NumPy: sums over pairs in another order, nothing else."""
    system, potential, settings = world(case)
    state = floating.from_state(system, case.state, settings, "float64")
    x, v = np.asarray(state.position), np.asarray(state.velocity)
    noise, forces = np.asarray(textbook.noises(KEY, 40, 108)), numpy_forces(case)
    a = np.exp(-float(settings.friction) * float(settings.dt))
    spread = np.sqrt((1 - a * a) * units.BOLTZMANN * float(settings.temperature) / np.asarray(system.masses))
    half = float(settings.dt) / 2
    for xi in noise:
        v = v + forces(x) * (2 * half / np.asarray(system.masses))
        x = x + half * v
        v = a * v + spread * xi
        x = x + half * v
    end, report = floating.advance(system, potential, settings, state, KEY, 40)
    report.check()
    assert apart(case, end.position, x) < 1e-12
    np.testing.assert_allclose(end.velocity, v, atol=1e-10)
    assert int(end.step) == 40


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-6), ("float32", 1e-3)])
def test_short_runs_agree_with_the_exact_engine(case, precision, tolerance):
    """Relative to how far the atoms have gone after 100 steps."""
    system, potential, settings = world(case)
    exact = advance(system, potential, settings, case.state, KEY, 100, Tape.empty(4, 108))[0]
    state = floating.from_state(system, case.state, settings, precision)
    end, report = floating.advance(system, potential, settings, state, KEY, 100)
    report.check()
    gone = apart(case, in_nm(case, exact), in_nm(case, case.state))
    assert gone > 0.05
    assert apart(case, end.position, in_nm(case, exact)) < tolerance * gone


def test_water_agrees_too():
    """Springs, charges and exclusions see the same separations."""
    case = water(64, precision="float64")
    exact = advance(*world(case), case.state, KEY, 40, Tape.empty(4, case.system.n_atoms))[0]
    state = floating.from_state(case.system, case.state, case.settings, "float64")
    end, _ = floating.advance(*world(case), state, KEY, 40)
    gone = apart(case, in_nm(case, exact), in_nm(case, case.state))
    assert apart(case, end.position, in_nm(case, exact)) < 1e-6 * gone


def there_and_back(case, precision, n_steps, friction):
    """Distance to the start (nm) after n steps there and back; infinite when the way back exploded."""
    system, potential, settings = world(case, friction)
    start = floating.from_state(system, case.state, settings, precision)
    end, report = floating.advance(system, potential, settings, start, KEY, n_steps)
    report.check()
    back, report = floating.rewind(system, potential, settings, end, KEY, n_steps)
    return np.inf if report.exploded else apart(case, back.position, start.position)


def test_a_short_way_back_succeeds_to_round_off_and_a_long_one_fails(case):
    """100 steps: the bounds that the published code sets itself. Thousands: lost, in a melt without friction too.

    With friction it explodes, since dividing by a heats what has lost step with the noise.
    """
    assert 0 < there_and_back(case, "float64", 100, 1.0) < 1e-9
    assert 1e-8 < there_and_back(case, "float32", 100, 1.0) < 1e-4
    hot = argon_crystal(108, temperature=600.0)
    assert there_and_back(hot, "float32", 3000, 0.0) > 0.05
    assert there_and_back(hot, "float64", 6000, 0.0) > 0.05
    assert there_and_back(case, "float32", 3000, 1.0) == np.inf


def test_one_program_serves_every_length(case):
    system, potential, settings = world(case)
    start = floating.from_state(system, case.state, settings, "float64")
    whole, _ = floating.advance(system, potential, settings, start, KEY, 70)
    parts = start
    for n in (1, 0, 31, 38):
        parts, _ = floating.advance(system, potential, settings, parts, KEY, n)
    assert np.array_equal(whole.position, parts.position)
    assert np.array_equal(whole.velocity, parts.velocity)


def test_refusals_are_one_sentence(case):
    system, potential, settings = world(case)
    with pytest.raises(ValueError, match="precision must be one of float32, float64, not 'float16'"):
        floating.from_state(system, case.state, settings, "float16")
    start = floating.from_state(system, case.state, settings, "float32")
    with pytest.raises(ValueError, match="must not be negative"):
        floating.rewind(system, potential, settings, start, KEY, -1)
    wild = Settings(0.2, 300.0, 1.0)
    _, report = floating.advance(system, potential, wild, start, jax.random.key(0), 100)
    with pytest.raises(SimulationError, match="exploded"):
        report.check()
