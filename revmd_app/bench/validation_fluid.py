"""Self-diffusion of the Lennard-Jones fluid from our engine, against published values.

    python -m revmd_app.bench.validation_fluid --to results.json

Near the triple point (T* 0.722, ρ* 0.8442) at three sizes, extrapolated to the infinite fluid by Yeh and Hummer's
correction; the same with a thermostat's friction, which slows diffusion far more than 1/(1 + γ D/kT), since the cage
of neighbours multiplies it; and three state points of NIST's table (N = 500, cutoff 3σ). All others at constant
energy, which is set so that the temperature is the one asked for. The file is written after each run; a second call
goes on from it. See `docs/validation.md`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.simulate import advance, change_settings, simulate
from revmd_app.observables.thermodynamics import temperature
from revmd_app.observables.transport import finite_size_correction, self_diffusion, unwrapped_positions
from revmd_app.systems import prepared
from revmd_app.systems.case import Case, at_rest, start

VISCOSITY = 3.258
"""η* at T* 0.722, ρ* 0.8442; for the other points it is no more than a guess.

K. Meier, A. Laesecke and S. Kabelac, J. Chem. Phys. 121, 3671 (2004)."""
TRIPLE = (0.722, 0.8442)
RUNS = [(n, *TRIPLE, 0.0) for n in (256, 500, 1372)]
RUNS += [(500, *TRIPLE, friction) for friction in (1.0, 5.0)]
RUNS += [(500, t, rho, 0.0) for t, rho in ((0.851, 0.776), (0.851, 0.840), (0.849, 0.860))]
"""(atoms, T*, ρ*, γ*)."""
SAMPLE_EVERY = 50
HEAT_CAPACITY = 2.7
"""c_v* of the liquid, roughly: how much energy changes the temperature. Three corrections forgive its error."""


def main() -> None:
    """Every run that the file does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, required=True, help="the JSON file to write, or to go on with")
    parser.add_argument("--steps", type=int, default=100_000, help="of each run, 0.004 long (default 100,000)")
    parser.add_argument("--replicas", type=int, default=2, help="independent runs of each kind")
    options = parser.parse_args()
    runs: list[dict[str, Any]] = json.loads(options.to.read_text()) if options.to.exists() else []
    for replica in range(options.replicas):
        for n, t, rho, friction in RUNS:
            name = {"atoms": n, "T": t, "density": rho, "friction": friction, "replica": replica}
            if any(all(run[key] == value for key, value in name.items()) for run in runs):
                continue
            began = time.perf_counter()
            measured = measure(n, t, rho, friction, replica, options.steps)
            runs.append({**name, **measured, "seconds": round(time.perf_counter() - began)})
            options.to.write_text(json.dumps(runs, indent=1) + "\n")
            print(json.dumps(runs[-1]), flush=True)


def measure(n: int, t: float, rho: float, friction: float, replica: int, n_steps: int) -> dict[str, float]:
    """D* of one run: melted, equilibrated, and followed for `n_steps`."""
    case = prepared("lennard_jones_fluid", n, density=rho, temperature=t, truncation="switched", seed=replica)
    dt = float(case.settings.dt)
    warm, settle, produce = jax.random.split(jax.random.key(replica + 17), 3)
    state, _, report = advance(case.system, case.potential, case.settings, case.state, warm, 20_000)
    report.check()
    settings = replace(Settings(dt=dt, temperature=t, friction=friction), skin=case.settings.skin)
    state = change_settings(state, case.settings, settings)
    if friction == 0:
        state = at_energy(case, settings, state, settle)
    positions, kinetic = follow(case, settings, state, produce, n_steps)
    centre = jnp.mean(positions, axis=2, keepdims=True)  # a thermostat pushes the fluid as a whole
    result = self_diffusion(positions - centre, SAMPLE_EVERY * dt, 2.0, 20.0)
    return {
        "D": float(result.coefficient),
        "error": float(result.error),
        "correction": float(finite_size_correction(t, VISCOSITY, float(case.system.box[0]))),
        "temperature": float(np.mean(kinetic)),
        "time": n_steps * dt,
    }


def follow(case: Case, settings: Settings, state, key, n_steps: int):
    """(positions (frames, 3, N), temperatures (frames,)) of a run."""
    return simulate(
        case.system,
        case.potential,
        settings,
        observe=lambda s: (unwrapped_positions(s), temperature(s)),
        n_steps=n_steps,
        sample_every=SAMPLE_EVERY,
        key=key,
        state=state,
    )


def at_energy(case: Case, settings: Settings, state, key):
    """The state with its velocities scaled until a run at constant energy has the temperature of the settings."""
    wanted = float(settings.temperature)
    for _ in range(3):
        _, kinetic = follow(case, settings, state, key, 10_000)
        snapshot = to_snapshot(case.system, state, replace(settings, precision="float64"))
        velocities = at_rest(case.system, snapshot.velocity)
        now = float(np.sum(velocities**2)) / (3 * case.system.n_atoms)
        missing = HEAT_CAPACITY * (wanted - float(np.mean(kinetic))) / 1.5
        state = start(case.system, snapshot.unwrapped, velocities * np.sqrt(1 + missing / now))
    return state


if __name__ == "__main__":
    main()
