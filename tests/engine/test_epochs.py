"""Preparation at changing parameters, as in a training run: another box and other parameters compile nothing again."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine import neighbours as lists
from revmd_app.engine.barostat import at_constant_pressure
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.minimise import minimise
from revmd_app.engine.simulate import advance
from revmd_app.systems import prepared
from revmd_app.systems.case import maxwell_boltzmann, start
from revmd_app.systems.force_fields import water_potential

COMPILED: list[float] = []


def _listen(event: str, seconds: float, **_) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(seconds)


jax.monitoring.register_event_duration_secs_listener(_listen)


def epoch(case, potential, system, state, settings, seed):
    """Minimise, draw velocities, find the volume, go on in the frozen box: what a training epoch does first."""
    key = jax.random.key(seed)
    minimum = minimise(system, potential, settings, state, force_tolerance=5000.0, max_iterations=2)
    positions = to_snapshot(system, minimum.state, settings).unwrapped
    state = start(system, positions, maxwell_boltzmann(system, float(settings.temperature), seed))
    moved = at_constant_pressure(
        system, potential, settings, state, key, pressure=0.06, n_trials=3, interval=2, largest_step=0.01
    )
    state, _, report = advance(moved.system, potential, settings, moved.state, key, 4)
    report.check()
    return moved.system, state


@pytest.mark.parametrize(("name", "n", "neighbours"), [("water", 64, "dense"), ("argon", 500, "list")])
def test_the_second_epoch_compiles_nothing(name, n, neighbours):
    """Boxes within a few per cent, parameters as a Python float, a NumPy number or an array: one program."""
    case = prepared(name, n)
    settings = Settings(case.settings.dt, case.settings.temperature, 1.0, neighbours=neighbours)
    where = lambda p: p.terms()[0].sigma
    sigma = float(where(case.potential))
    small = water_potential("lennard_jones", 0.55) if name == "water" else case.potential  # room for the barostat
    _, state = epoch(case, eqx.tree_at(where, small, sigma), case.system, case.state, settings, 0)
    before = len(COMPILED)
    for k, (value, stretch) in enumerate(
        [(jnp.asarray(1.01 * sigma, jnp.float64), 1.01), (0.99 * sigma, 0.995), (np.float64(sigma), 1.015)]
    ):
        potential = eqx.tree_at(where, small, value)
        _, state = epoch(
            case, potential, case.system.with_box(stretch * np.asarray(case.system.box)), state, settings, k + 1
        )
    assert len(COMPILED) == before


def test_nearly_equal_boxes_share_a_plan_and_others_do_not():
    case = prepared("argon", 500)
    settings = Settings(neighbours="list", skin=0.117)
    plan = lambda volume: lists.make_plan(
        case.system.with_box(np.asarray(case.system.box) * volume ** (1 / 3)), case.potential, settings
    )
    assert plan(1.05) == plan(0.95 * 1.05) == plan(1.0) == plan(1.05)
    assert plan(0.8).capacities[0] > plan(1.05).capacities[0]
    assert settings.capacity * (1 - lists.SAME_VOLUME) > 1.2  # the room that is left in the densest box that shares


def test_a_list_that_is_too_short_is_still_an_error():
    """A plan kept from a wider box: the denser one overflows it, and says so."""
    case = prepared("argon", 500)
    settings = Settings(case.settings.dt, 90.0, 1.0, neighbours="list", skin=0.113, capacity=1.0)
    state, n = case.state, case.system.n_atoms
    crowd = np.array(to_snapshot(case.system, state, settings).positions)
    crowd[:, : n // 2] *= 0.8  # half of the atoms in half of the room
    packed = start(case.system, crowd, np.zeros((3, n)))
    with pytest.raises(ValueError, match="neighbour list overflowed"):
        minimise(case.system, case.potential, settings, packed)
