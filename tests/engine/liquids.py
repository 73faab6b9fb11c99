"""Small systems for the engine's tests, and the sentence that all tests of reversal are about."""

from __future__ import annotations

import sys
import time
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app import units
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, from_physical
from revmd_app.engine.simulate import Tape, advance, rewind
from revmd_app.engine.system import make_system
from revmd_app.potentials import LennardJones
from revmd_app.systems import argon, water

KEY = jax.random.key(7)
INTEGERS = ("position", "velocity", "image", "step", "reference_step", "bits_at_reference")


def differences(a: State, b: State) -> dict[str, int]:
    """How many entries of each field of two states differ; empty when they are the same bits."""
    counts = {name: int(jnp.sum(getattr(a, name) != getattr(b, name))) for name in INTEGERS}
    return {name: count for name, count in counts.items() if count}


def run_there(system, potential, settings, state, n_steps, capacity=32, key=KEY):
    """(state, tape) after a run that succeeded; one tape capacity for all, so that programs are shared."""
    state, tape, report = advance(
        system, potential, settings, state, key, n_steps, Tape.empty(capacity, system.n_atoms)
    )
    report.check()
    return state, tape


def run_back(system, potential, settings, state, tape, n_steps, key=KEY):
    state, tape, report = rewind(system, potential, settings, state, tape, key, n_steps)
    report.check()
    return state, tape


@cache
def case(name: str, n: int):
    """A case that ships, from its lattice start."""
    return {"argon": argon, "water": water}[name](n)


@cache
def small_liquid(n: int = 32, cutoff: float = 0.55):
    """(system, potential, positions, velocities): a few argon atoms at liquid density, off their lattice."""
    edge = (n / 20.7) ** (1 / 3)  # 20.7 atoms a nm^3: 1.374 g/cm^3
    system = make_system("argon", ("Ar",), (n,), (39.948,), edge)
    potential = LennardJones(cutoff=cutoff, truncation="switched", switch_start=0.7)
    cells = round((n / 4) ** (1 / 3))
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = ((corners + basis) / cells * edge).reshape(-1, 3).T - edge / 2
    rng = np.random.default_rng(3)
    velocities = rng.normal(size=(3, n)) * np.sqrt(units.BOLTZMANN * 94.4 / 39.948)
    positions = sites + rng.normal(size=(3, n)) * 0.012
    return system, potential, jnp.asarray(positions), jnp.asarray(velocities)


def start_of(liquid) -> State:
    system, _, positions, velocities = liquid
    return from_physical(system, positions, velocities)


def long_reversal(name: str, n: int, precision: str, n_steps: int) -> bool:
    """Run a shipped system far forward and back: `python tests/engine/liquids.py argon 216 float32 50000`."""
    it = case(name, n)
    settings = Settings(it.settings.dt, it.settings.temperature, it.settings.friction, precision=precision)
    begin = time.perf_counter()
    end, tape = run_there(it.system, it.potential, settings, it.state, n_steps, capacity=256)
    back, _ = run_back(it.system, it.potential, settings, end, tape, n_steps)
    wrong = differences(back, it.state)
    print(f"{name} {n} {precision}: {n_steps} steps and back, {int(tape.count)} words a component on the tape,")
    print(f"{time.perf_counter() - begin:.0f} s: {wrong or 'the same integers'}")
    return not wrong


if __name__ == "__main__":
    sys.exit(not long_reversal(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
