"""What a simulation must conserve, sample, and refuse."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.liquids import KEY, case, run_there, small_liquid, start_of

from revmd_app import units
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import VELOCITY_BITS, from_physical, to_snapshot
from revmd_app.engine.simulate import SimulationError, advance, simulate
from revmd_app.engine.system import make_system
from revmd_app.potentials import LennardJones

MASS = 39.948


@eqx.filter_jit
def total_energy(system, potential, settings, state):
    """Energy with the velocities brought from half a step before to the time of the positions."""
    snapshot = to_snapshot(system, state, settings, potential)
    velocity = snapshot.velocity + settings.dt / 2 * potential.forces(snapshot) / system.masses
    return potential.energy(snapshot) + 0.5 * jnp.sum(system.masses * velocity**2)


def test_energy_error_is_of_second_order():
    """The fluctuation of the energy over one and the same picosecond falls with dt^2: slope 2.00 +- 0.15."""
    liquid = small_liquid()
    system, potential, *_ = liquid
    steps, fluctuations = (0.002, 0.004, 0.008), []
    warm, _ = run_there(system, potential, Settings(0.002, 94.4, 5.0, precision="float64"), start_of(liquid), 1000)
    snapshot = to_snapshot(system, warm, Settings(0.002, 94.4, 5.0, precision="float64"))
    for dt in steps:
        settings = Settings(dt, 94.4, 0.0, precision="float64")
        state, energies = from_physical(system, snapshot.unwrapped, snapshot.velocity), []
        for _ in range(60):
            state, _ = run_there(system, potential, settings, state, round(0.016 / dt))
            energies.append(float(total_energy(system, potential, settings, state)))
        fluctuations.append(np.std(energies))
    slope = np.polyfit(np.log(steps), np.log(fluctuations), 1)[0]
    assert abs(slope - 2) < 0.15, (slope, fluctuations)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_momentum_is_conserved_to_rounding(precision):
    """The sum of momenta moves by no more than the rounding of forces to floats, and of kicks to integers, explains."""
    it = case("argon", 216)
    settings, n_steps = Settings(0.004, 94.4, 0.0, precision=precision), 400
    end, _ = run_there(it.system, it.potential, settings, it.state, n_steps)
    unit = np.asarray(it.system.box)[:, None] / 2.0**VELOCITY_BITS
    momentum = lambda state: np.sum(np.asarray(state.velocity).astype(np.float64) * unit * MASS, axis=1)
    forces = np.asarray(it.potential.forces(to_snapshot(it.system, end, settings)))
    by_kick = 0.5 * MASS * unit[:, 0] * 216
    by_force = 0.004 * np.finfo(forces.dtype).eps * 216 * np.max(np.abs(forces))
    assert np.all(np.abs(momentum(end) - momentum(it.state)) < n_steps * (by_kick + by_force))


def blocked_error(series, n_blocks=10):
    """Standard error of a correlated mean, from the means of blocks longer than its memory."""
    means = np.reshape(series, (n_blocks, -1)).mean(axis=1)
    return np.std(means, ddof=1) / np.sqrt(n_blocks)


def test_langevin_dynamics_holds_its_temperature():
    """Kinetic temperature of liquid argon within 5 standard errors of the thermostat's, the errors from blocks."""
    it = case("argon", 216)
    settings = Settings(0.004, 94.4, 5.0, precision="float32")
    state, _ = run_there(it.system, it.potential, settings, it.state, 1000)
    temperatures = []
    for _ in range(200):
        state, _ = run_there(it.system, it.potential, settings, state, 20)
        v = to_snapshot(it.system, state, settings).velocity
        temperatures.append(float(MASS * jnp.mean(v**2) / units.BOLTZMANN))
    error = blocked_error(temperatures)
    assert error < 0.01 * 94.4
    assert abs(np.mean(temperatures) - 94.4) < 5 * error


def test_velocities_are_maxwells():
    """Fourth moment of the velocities of a liquid: 3 (kT/m)^2, within 5 standard errors over independent atoms."""
    it = case("argon", 216)
    settings = Settings(0.004, 94.4, 5.0, precision="float32")
    state, _ = run_there(it.system, it.potential, settings, it.state, 1500)
    v2 = np.asarray(to_snapshot(it.system, state, settings).velocity).ravel().astype(float) ** 2
    v2 = v2 * MASS / (units.BOLTZMANN * 94.4)
    assert abs(np.mean(v2) - 1) < 5 * np.sqrt(2 / v2.size)
    assert abs(np.mean(v2**2) - 3) < 5 * np.sqrt(96 / v2.size)


def test_reduced_units_are_the_same_dynamics():
    """Argon in nm, ps, kJ/mol and in units of sigma, sigma sqrt(m/eps), eps: the same path and the same noise."""
    system, _, x, v = small_liquid()
    sigma, epsilon = 0.34, 0.996
    clock = sigma * np.sqrt(MASS / epsilon)
    reduced_system = make_system("LJ", ("A",), (32,), (1.0,), np.asarray(system.box) / sigma, boltzmann=1.0)
    options = {"precision": "float64", "neighbours": "dense"}
    real = Settings(0.004, 94.4, 3.0, **options)
    reduced = Settings(0.004 / clock, units.BOLTZMANN * 94.4 / epsilon, 3.0 * clock, **options)
    run = {"observe": lambda s: s.unwrapped, "n_steps": 60, "sample_every": 60, "key": KEY}
    paths = [
        simulate(system, LennardJones(sigma, epsilon, cutoff=0.55), real, positions=x, velocities=v, **run),
        simulate(
            reduced_system, LennardJones(1.0, 1.0, cutoff=0.55 / sigma), reduced, positions=x / sigma,
            velocities=v * clock / sigma, **run,
        ) * sigma,
    ]  # fmt: skip
    assert np.max(np.abs(paths[0][0] - x)) > 0.01
    np.testing.assert_allclose(paths[0], paths[1], atol=1e-7)


def test_an_explosion_is_reported_and_never_a_number():
    """Two atoms on top of each other, and a time step a hundred times too long."""
    system, potential, x, v = small_liquid()
    energy = lambda snapshot: snapshot.potential.energy(snapshot)
    overlapping = x.at[:, 1].set(x[:, 0] + 0.01)
    good = Settings(0.004, 94.4, 1.0, precision="float64")
    for positions, settings in ((overlapping, good), (x, eqx.tree_at(lambda s: s.dt, good, jnp.asarray(0.4)))):
        _, _, report = advance(system, potential, settings, from_physical(system, positions, v), KEY, 20)
        with pytest.raises(SimulationError, match=r"exploded: .*; use a smaller time step.*\.$"):
            report.check()
        series = simulate(
            system, potential, settings, observe=energy, n_steps=20, sample_every=10, key=KEY, positions=positions,
            velocities=v,
        )  # fmt: skip
        assert np.all(np.isnan(series))


def test_an_overflowing_list_is_reported_and_never_a_number():
    it = case("argon", 500)
    settings = Settings(0.004, 94.4, 1.0, neighbours="list", capacity=0.5)
    _, _, report = advance(it.system, it.potential, settings, it.state, KEY, 2)
    with pytest.raises(SimulationError, match=r"neighbour list overflowed: .* raise `Settings.capacity`"):
        report.check()
    series = simulate(
        it.system, it.potential, settings, observe=lambda s: s.velocity[0, :1], n_steps=2, sample_every=1, key=KEY,
        state=it.state,
    )  # fmt: skip
    assert np.all(np.isnan(series))


def test_a_full_tape_is_reported():
    system, potential, *_ = liquid = small_liquid()
    with pytest.raises(SimulationError, match="tape is full"):
        run_there(system, potential, Settings(0.004, 94.4, 80.0), start_of(liquid), 400, capacity=4)


def test_impossible_schedules_are_refused_in_a_sentence():
    system, potential, x, v = small_liquid()
    run = {"observe": lambda s: s.velocity, "key": KEY, "positions": x, "velocities": v}
    settings = Settings()
    with pytest.raises(ValueError, match=r"n_steps \(10\) must be a positive multiple of sample_every \(3\)"):
        simulate(system, potential, settings, n_steps=10, sample_every=3, **run)
    with pytest.raises(ValueError, match="method must be one of reversible, reverse_mode, checkpointed, forward_mode"):
        simulate(system, potential, settings, n_steps=10, sample_every=5, method="magic", **run)
    with pytest.raises(ValueError, match="only for the reversible method"):
        simulate(system, potential, settings, n_steps=10, sample_every=5, method="reverse_mode", truncate=3, **run)
    with pytest.raises(ValueError, match="exceeds half the box"):
        simulate(system, LennardJones(cutoff=0.8), settings, n_steps=10, sample_every=5, **run)
    with pytest.raises(ValueError, match="start from a `state`, or from `positions` and `velocities` together"):
        simulate(system, potential, settings, n_steps=10, sample_every=5, observe=lambda s: s.velocity, key=KEY)


def test_different_keys_are_different_replicas():
    system, potential, *_ = liquid = small_liquid()
    settings = Settings(0.004, 94.4, 5.0, precision="float64")
    ends = [run_there(system, potential, settings, start_of(liquid), 50, key=jax.random.key(k))[0] for k in (1, 1, 2)]
    assert np.array_equal(ends[0].position, ends[1].position)
    assert not np.any(np.asarray(ends[0].position == ends[2].position))
